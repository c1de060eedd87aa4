//! `labwire messages`: what was received, at the depth that is asked for, and as it comes.

use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use labwire_admin::control::Request;
use serde_json::Value;

use crate::arguments::{Messages, MessagesCommand, MessagesFollow, MessagesList, MessagesShow};
use crate::exit::{Exit, Failure, Outcome};
use crate::show::{Row, cell, flags, json_lines, table};
use crate::state::{ask, ask_daemon, with};

/// Between two looks for messages that came; a person does not see the difference to none.
const LOOK: Duration = Duration::from_millis(300);
/// Messages taken at one look; what came beyond them comes with the next, without a pause.
const LOOK_MESSAGES_MAX: usize = 500;

const COLUMNS: [&str; 8] =
    ["received_at", "connection", "kind", "state", "observations", "held", "bytes", "message_id"];
const HEADING: [&str; 8] =
    ["RECEIVED", "CONNECTION", "KIND", "STATE", "OBSERVATIONS", "HELD", "BYTES", "MESSAGE"];

pub(crate) fn messages(messages: &Messages) -> Outcome {
    match &messages.command {
        Some(MessagesCommand::List(arguments)) => list(arguments),
        Some(MessagesCommand::Show(arguments)) => show(arguments),
        None if messages.follow.follow => follow(&messages.follow),
        None => Err(Failure::new(Exit::Usage, "say `labwire messages list`, `show ID` or `--follow`")),
    }
}

fn list(arguments: &MessagesList) -> Outcome {
    let request = Request::new("messages list").with("limit", arguments.limit);
    let request = with(request, "connection", arguments.connection.clone());
    let request = with(request, "specimen", arguments.specimen.clone());
    let lines = ask(&arguments.state, &with(request, "after", arguments.after))?;
    let mut out = io::stdout().lock();
    if arguments.state.json {
        return Ok(json_lines(&mut out, &lines)?);
    }
    Ok(table(&mut out, &HEADING, &rows(&lines))?)
}

fn rows(lines: &[Value]) -> Vec<Row> {
    lines.iter().map(|line| COLUMNS.iter().map(|key| cell(line, key)).collect()).collect()
}

fn show(arguments: &MessagesShow) -> Outcome {
    let request =
        Request::new("messages show").with("id", arguments.id.clone()).with("level", arguments.level.clone());
    let lines = ask(&arguments.state, &request)?;
    let mut out = io::stdout().lock();
    if arguments.state.json {
        return Ok(json_lines(&mut out, &lines)?);
    }
    Ok(in_full(&mut out, &lines)?)
}

/// One message for a person.
fn in_full(out: &mut impl Write, lines: &[Value]) -> io::Result<()> {
    for line in lines {
        match line["type"].as_str() {
            Some("message") => {
                let text: Vec<String> = COLUMNS.iter().map(|key| cell(line, key)).collect();
                writeln!(
                    out,
                    "{}  {}  {}, {}, {} observations ({} held), {} bytes  {}",
                    text[0], text[1], text[2], text[3], text[4], text[5], text[6], text[7]
                )?;
            }
            // Escaped where it was made: every control character has its name.
            Some("raw") => writeln!(out, "{}", cell(line, "text"))?,
            Some("record") => writeln!(out, "{:>4}  {}", line["record"], cell(line, "text"))?,
            Some("diagnostic") => {
                writeln!(
                    out,
                    "   !  record {}: {}: {}",
                    line["record"],
                    cell(line, "code"),
                    cell(line, "reason")
                )?;
            }
            _ => {
                let keys = ["record", "specimen_id", "analyzer_test", "text", "unit"];
                let text: Vec<String> = keys.iter().map(|key| cell(line, key)).collect();
                writeln!(
                    out,
                    "{:>4}  {}  {}  {} {}  {}  {}  {}",
                    text[0],
                    text[1],
                    text[2],
                    text[3],
                    text[4],
                    flags(line),
                    cell(line, "state"),
                    if line["reason"].is_null() { String::new() } else { cell(line, "reason") }
                )?;
            }
        }
    }
    Ok(())
}

/// Ends when the daemon does, at Ctrl-C, or when nobody reads what it prints.
fn follow(arguments: &MessagesFollow) -> Outcome {
    let newest = Request::new("messages list").with("limit", 1);
    let mut after = ask_daemon(&arguments.state, &newest)?.last().map_or(0, row);
    loop {
        let request = Request::new("messages list").with("limit", LOOK_MESSAGES_MAX).with("after", after);
        let found = ask_daemon(&arguments.state, &with(request, "connection", arguments.connection.clone()))?;
        for line in &found {
            after = after.max(row(line));
            let lines = match &arguments.level {
                None => vec![line.clone()],
                Some(level) => {
                    let id = line["message_id"].clone();
                    let request = Request::new("messages show").with("id", id).with("level", level.clone());
                    ask_daemon(&arguments.state, &request)?
                }
            };
            let mut out = io::stdout().lock();
            if arguments.state.json {
                json_lines(&mut out, &lines)?;
            } else {
                in_full(&mut out, &lines)?;
            }
            out.flush()?;
        }
        if found.len() < LOOK_MESSAGES_MAX {
            sleep(LOOK);
        }
    }
}

fn row(line: &Value) -> i64 {
    line["row"].as_i64().unwrap_or(0)
}
