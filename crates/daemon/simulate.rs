//! `labwire simulate`: a living analyzer on a line of its own.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use labwire_simulate::{Event, Message, Settings, Simulator};
use serde_json::json;
use tokio::time::Instant;

use crate::analyzer::{Ended, connect, live};
use crate::arguments::Simulate;
use crate::exit::{Exit, Failure, Outcome};
use crate::library::{library, plan};
use crate::run::runtime;

/// Pause before the line is opened again.
const RECONNECT: Duration = Duration::from_secs(1);

pub(crate) fn simulate(arguments: &Simulate) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let plan = Arc::new(plan(&library, &arguments.driver)?);
    let mut settings = Settings::new(now(), format!("S{:X}-", arguments.seed));
    settings.messages_max = arguments.messages;
    settings.interval = Duration::from_millis(arguments.pause_ms);
    settings.control_every = arguments.qc_every;
    let mut simulator = Simulator::new(plan, arguments.seed, settings).map_err(|unsuitable| {
        Failure::new(Exit::Data, format!("{} cannot be simulated: {unsuitable}", arguments.driver))
    })?;
    runtime()?.block_on(async {
        let origin = Instant::now();
        // The first line must open; a later loss is waited out, as an analyzer does.
        let mut wire = connect(&arguments.to).await?;
        loop {
            let living = live(&mut simulator, &mut wire, origin, |event| tell(&event, arguments.json));
            let ended = tokio::select! {
                ended = living => ended,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            if ended == Ended::Finished {
                return Ok(());
            }
            loop {
                tokio::select! {
                    () = tokio::time::sleep(RECONNECT) => {}
                    _ = tokio::signal::ctrl_c() => return Ok(()),
                }
                if let Ok(opened) = connect(&arguments.to).await {
                    wire = opened;
                    break;
                }
            }
        }
    })
}

/// The wall clock in this machine's idea of the analyzer's zone: an analyzer sends local time.
pub(crate) fn now() -> jiff::civil::DateTime {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).datetime()
}

fn tell(event: &Event, as_json: bool) {
    let (word, message) = match event {
        Event::Acknowledged(message) => ("acknowledged", message),
        Event::Written(message) => ("written", message),
        Event::NotTaken { id, reason } => {
            let mut out = io::stdout().lock();
            let _ = if as_json {
                writeln!(out, "{}", json!({ "type": "not_taken", "message": id, "reason": reason }))
            } else {
                writeln!(out, "message {id} was not taken ({reason}); it will be sent again")
            };
            return;
        }
        _ => return,
    };
    let mut out = io::stdout().lock();
    // A reader that has gone away does not stop an analyzer.
    let _ = if as_json {
        writeln!(out, "{}", line(word, message))
    } else {
        writeln!(
            out,
            "{word}: {} {} with {} observations",
            message.kind.as_str(),
            message.specimen_id,
            message.values.len()
        )
    };
}

fn line(word: &str, message: &Message) -> serde_json::Value {
    json!({
        "type": word,
        "message": message.id,
        "kind": message.kind.as_str(),
        "specimen_id": message.specimen_id,
        "attempts": message.attempts,
        "values": message.values.iter().map(|(test, value)| json!({ "test": test, "value": value })).collect::<Vec<_>>(),
    })
}
