//! `labwire decode`: captures, dumps and messages to canonical results.

use std::io::{self, Read, Write};
use std::path::Path;

use jiff::tz::TimeZone;
use labwire_workbench::{DecodeError, Decoded, File};
use serde_json::Value;

use crate::arguments::Decode;
use crate::exit::{Exit, Failure, Outcome};
use crate::library::library;
use crate::show::{Row, cell, count, flags, harmless, json_lines, table};

/// Largest file that is decoded, in bytes: the limit keeps a mistaken argument from filling memory.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(crate) fn decode(arguments: &Decode) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let zone = zone(&arguments.time_zone)?;
    let mut unread = false;
    for path in &arguments.files {
        let bytes = read(path)?;
        let name = path.display().to_string();
        let file = File { name: &name, bytes: &bytes, driver: arguments.driver.as_deref(), zone: &zone };
        match labwire_workbench::decode(&library, &file) {
            Ok(decoded) => {
                unread |= decoded.messages.is_empty();
                print(&decoded, arguments)?;
            }
            Err(DecodeError::UnknownDriver(id)) => {
                crate::library::plan(&library, &id)?;
            }
            Err(DecodeError::BadDriver(id)) => {
                crate::library::plan(&library, &id)?;
                return Err(Failure::told(Exit::Config));
            }
            Err(DecodeError::Unrecognised) => {
                eprintln!(
                    "labwire: {name}: nothing in it looks like a message of an analyzer; name a --driver to try one"
                );
                unread = true;
            }
        }
    }
    if unread { Err(Failure::told(Exit::Data)) } else { Ok(()) }
}

/// A time zone by its name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, Failure> {
    TimeZone::get(name).map_err(|_| {
        Failure::new(Exit::Usage, format!("there is no time zone `{name}`; write one like Africa/Cairo"))
    })
}

/// Reads a file whole, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::io("read", path.display(), &error);
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(path)
            .map_err(failed)?
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::new(
            Exit::Data,
            format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

fn print(decoded: &Decoded, arguments: &Decode) -> Outcome {
    let lines = decoded.lines();
    let mut out = io::stdout().lock();
    if arguments.json {
        return Ok(json_lines(&mut out, &lines)?);
    }
    Ok(text(&mut out, decoded, &lines)?)
}

fn text(out: &mut impl Write, decoded: &Decoded, lines: &[Value]) -> io::Result<()> {
    writeln!(out, "{}: {}, read with {}", decoded.name, decoded.format.name(), decoded.driver)?;
    for why in &decoded.why {
        writeln!(out, "  recognised: {}", harmless(why))?;
    }
    let is_observation = |line: &&Value| matches!(line["type"].as_str(), Some("result" | "held" | "ignored"));
    let rows: Vec<Row> = lines
        .iter()
        .filter(is_observation)
        .map(|line| {
            let mut row: Row = ["type", "record", "kind", "specimen_id", "analyzer_test", "text", "unit"]
                .iter()
                .map(|key| cell(line, key))
                .collect();
            row.extend([flags(line), cell(line, "status_sent"), cell(line, "observed_at")]);
            row.push(if line["type"] == "result" { String::new() } else { cell(line, "reason") });
            row
        })
        .collect();
    if !rows.is_empty() {
        let heading = [
            "", "RECORD", "KIND", "SPECIMEN", "TEST", "VALUE", "UNIT", "FLAGS", "STATUS", "OBSERVED",
            "REASON",
        ];
        table(out, &heading, &rows)?;
    }
    for line in lines {
        match line["type"].as_str() {
            Some("query") => {
                let specimens = line["specimen_ids"].as_array().into_iter().flatten();
                let specimens: Vec<String> =
                    specimens.filter_map(Value::as_str).map(|id| format!("`{}`", harmless(id))).collect();
                writeln!(out, "host query in record {} for {}", line["record"], specimens.join(", "))?
            }
            Some("diagnostic") => {
                let place = match (line["record"].as_u64(), line["path"].as_str()) {
                    (Some(record), Some(path)) if record > 0 => format!("record {record}, {path}"),
                    (Some(record), None) if record > 0 => format!("record {record}"),
                    _ => format!("byte {}", line["byte"]),
                };
                writeln!(out, "{} ({place}): {}", cell(line, "code"), cell(line, "reason"))?;
            }
            Some("summary") => {
                let of = |key: &str, what| count(line[key].as_u64().unwrap_or_default(), what);
                writeln!(
                    out,
                    "{} ({} incomplete): {}, {} held, {} ignored, {}, {}, {}\n",
                    of("messages", "message"),
                    line["incomplete"],
                    of("results", "result"),
                    line["held"],
                    line["ignored"],
                    of("queries", "query"),
                    of("attachments", "attachment"),
                    of("diagnostics", "diagnostic"),
                )?;
            }
            _ => {}
        }
    }
    Ok(())
}
