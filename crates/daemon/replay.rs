//! `labwire replay`: the analyzer's side of a capture, played to a host.

use std::io::{self, Write};
use std::time::Duration;

use labwire_capture::{Action, Body, Replay as Steps, import};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout_at};

use crate::analyzer::connect;
use crate::arguments::Replay;
use crate::decode::read;
use crate::exit::{Exit, Failure, Outcome};
use crate::run::runtime;
use crate::show::count;

/// The end of an MLLP block.
const BLOCK_END: &[u8] = b"\x1c\r";

enum Speed {
    Max,
    Times(f64),
}

fn speed(text: &str) -> Result<Speed, Failure> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
        _ => Err(Failure::new(Exit::Usage, format!("--speed takes a number above 0 or `max`, not `{text}`"))),
    }
}

pub(crate) fn replay(arguments: &Replay) -> Outcome {
    let speed = speed(&arguments.speed)?;
    let imported = import(&read(&arguments.file)?);
    let Body::Wire(entries) = imported.body else {
        let what = format!(
            "{} holds messages without framing; there is no line to replay",
            arguments.file.display()
        );
        return Err(Failure::new(Exit::Data, what));
    };
    let patience = Duration::from_secs(u64::from(arguments.reply_seconds));
    runtime()?.block_on(async {
        let mut wire = connect(&arguments.to).await?;
        let mut buffer = vec![0; 4096];
        let (mut sent, mut received) = (0_usize, 0_usize);
        let mut surprises = 0_usize;
        for step in Steps::new(&entries) {
            if let Speed::Times(times) = speed {
                sleep(step.after.div_f64(times)).await;
            }
            match step.action {
                Action::Send(bytes) => {
                    wire.write_all(&bytes).await.map_err(|error| gone(&arguments.to, &error))?;
                    sent += bytes.len();
                }
                Action::Await(expected) => {
                    let deadline = Instant::now() + patience;
                    let mut answer = Vec::new();
                    while !is_whole(&answer, &expected) {
                        let read = tokio::io::AsyncReadExt::read(&mut wire, &mut buffer);
                        match timeout_at(deadline, read).await {
                            Ok(Ok(count)) if count > 0 => answer.extend_from_slice(&buffer[..count]),
                            Ok(Ok(_)) => return Err(closed(&arguments.to, sent)),
                            Ok(Err(error)) => return Err(gone(&arguments.to, &error)),
                            Err(_) => {
                                let what = format!(
                                    "{} did not answer within {} s after {sent} bytes",
                                    arguments.to, arguments.reply_seconds
                                );
                                return Err(Failure::new(Exit::Unavailable, what));
                            }
                        }
                    }
                    received += answer.len();
                    // HL7 replies hold times and ids of their own; control bytes must be the same.
                    surprises += usize::from(expected.len() <= 2 && answer != expected);
                }
                Action::Event(event) if event.starts_with("close") => {
                    // Dropping the line is part of what is replayed; a later step needs a new one.
                    let _ = wire.shutdown().await;
                    wire = connect(&arguments.to).await?;
                }
                Action::Event(_) => {}
            }
        }
        let mut out = io::stdout().lock();
        if arguments.json {
            let line = json!({
                "type": "replay", "file": arguments.file.display().to_string(), "to": arguments.to,
                "sent_bytes": sent, "received_bytes": received, "different_replies": surprises,
            });
            writeln!(out, "{line}")?;
        } else {
            let (sent, received) = (count(sent, "byte"), count(received, "byte"));
            let surprises = count(surprises, "reply");
            writeln!(out, "replayed {sent}, {received} of replies, {surprises} unlike the capture's")?;
        }
        if surprises > 0 { Err(Failure::told(Exit::Data)) } else { Ok(()) }
    })
}

/// Whether the host has said as much as the capture's did: bytes where it answers with single ones,
/// blocks where it answers with blocks, whose length is the host's own affair.
fn is_whole(answer: &[u8], expected: &[u8]) -> bool {
    let blocks = |bytes: &[u8]| bytes.windows(2).filter(|pair| *pair == BLOCK_END).count();
    match blocks(expected) {
        0 => answer.len() >= expected.len(),
        wanted => blocks(answer) >= wanted,
    }
}

fn gone(to: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("{to}: {error}"))
}

fn closed(to: &str, sent: usize) -> Failure {
    Failure::new(Exit::Unavailable, format!("{to} closed the connection after {sent} bytes"))
}
