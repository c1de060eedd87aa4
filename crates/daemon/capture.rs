//! `labwire capture`: capture files shown and made.

use std::io::{self, Write};

use jiff::Timestamp;
use labwire_capture::{Body, Content, Entry, Header, Writer, escape, import};
use serde_json::json;

use crate::arguments::{Capture, CaptureImport, CaptureShow};
use crate::decode::read;
use crate::exit::{Exit, Failure, Outcome};
use crate::show::harmless;

pub(crate) fn capture(command: &Capture) -> Outcome {
    match command {
        Capture::Show(arguments) => show(arguments),
        Capture::Import(arguments) => make(arguments),
    }
}

fn show(arguments: &CaptureShow) -> Outcome {
    let imported = import(&read(&arguments.file)?);
    let mut out = io::stdout().lock();
    for note in &imported.notes {
        eprintln!("labwire: {}: {}", arguments.file.display(), harmless(&note.text));
    }
    let entries = match imported.body {
        Body::Wire(entries) => entries,
        Body::Records(bytes) => vec![Entry::to_host(core::time::Duration::ZERO, bytes)],
    };
    if !arguments.json
        && let Some(header) = &imported.header
    {
        let driver = header.driver.as_deref().unwrap_or("-");
        let (driver, link) = (harmless(driver), harmless(&header.link));
        writeln!(out, "driver {driver}, link {link}, started {}", header.started)?;
    }
    for entry in &entries {
        let seconds = entry.offset.as_secs_f64();
        if arguments.json {
            let direction = match entry.content {
                Content::ToHost(_) => "to-host",
                Content::ToAnalyzer(_) => "to-analyzer",
                Content::Event(_) => "event",
            };
            let text = escape(entry.bytes());
            writeln!(
                out,
                "{}",
                json!({ "type": "entry", "seconds": seconds, "direction": direction, "text": text })
            )?;
        } else {
            writeln!(out, "{seconds:>9.3} {} {}", entry.direction().mark(), escape(entry.bytes()))?;
        }
    }
    Ok(())
}

fn make(arguments: &CaptureImport) -> Outcome {
    let imported = import(&read(&arguments.file)?);
    for note in &imported.notes {
        eprintln!("labwire: {}: {}", arguments.file.display(), harmless(&note.text));
    }
    let Body::Wire(entries) = imported.body else {
        let what = format!(
            "{} holds messages without framing; nothing of a line is in it",
            arguments.file.display()
        );
        return Err(Failure::new(Exit::Data, what));
    };
    if entries.is_empty() {
        let what = format!("{} holds nothing of a line", arguments.file.display());
        return Err(Failure::new(Exit::Data, what));
    }
    let mut header = imported.header.unwrap_or_else(|| Header::new("file", Timestamp::now()));
    if let Some(driver) = &arguments.driver {
        header = header.with_driver(driver.clone());
    }
    let mut writer = Writer::new(io::stdout().lock(), &header)?;
    for entry in &entries {
        writer.entry(entry)?;
    }
    Ok(writer.flush()?)
}
