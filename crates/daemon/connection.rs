//! `labwire connection`: what the analyzers' lines do at this moment, and telling them to wait, to go on
//! or to begin anew.

use std::io::{self, Write};

use labwire_admin::control::Request;
use serde_json::Value;

use crate::arguments::{Connection, ConnectionName};
use crate::exit::Outcome;
use crate::show::{Row, cell, count, json_lines, table};
use crate::state::{ask_daemon, with};

pub(crate) fn connection(command: &Connection) -> Outcome {
    match command {
        Connection::List(list) => {
            let request = with(Request::new("connection list"), "connection", list.name.clone());
            let lines = ask_daemon(&list.state, &request)?;
            let mut out = io::stdout().lock();
            if list.state.json {
                return Ok(json_lines(&mut out, &lines)?);
            }
            Ok(show(&mut out, &lines, list.name.is_some())?)
        }
        Connection::Pause(name) => order("connection pause", name),
        Connection::Resume(name) => order("connection resume", name),
        Connection::Restart(name) => order("connection restart", name),
    }
}

/// Tells the daemon, then shows what came of it.
fn order(command: &str, to: &ConnectionName) -> Outcome {
    ask_daemon(&to.state, &Request::new(command).with("connection", to.name.clone()))?;
    let list = Request::new("connection list").with("connection", to.name.clone());
    let lines = ask_daemon(&to.state, &list)?;
    let mut out = io::stdout().lock();
    if to.state.json {
        return Ok(json_lines(&mut out, &lines)?);
    }
    Ok(show(&mut out, &lines, false)?)
}

fn show(out: &mut impl Write, lines: &[Value], in_full: bool) -> io::Result<()> {
    let keys = [
        "connection",
        "state",
        "since",
        "driver",
        "open",
        "open_sessions",
        "messages_today",
        "last_byte_at",
        "last_message_at",
    ];
    let rows: Vec<Row> = lines.iter().map(|line| keys.iter().map(|key| cell(line, key)).collect()).collect();
    let heading =
        ["CONNECTION", "STATE", "SINCE", "DRIVER", "OPEN", "SESSIONS", "TODAY", "LAST BYTE", "LAST MESSAGE"];
    table(out, &heading, &rows)?;
    for line in lines {
        let name = cell(line, "connection");
        let mut note = |text: String| writeln!(out, "{name}: {text}");
        if line["failure"].is_object() {
            let failure = &line["failure"];
            let (error, retry) = (cell(failure, "error"), cell(failure, "retry_at"));
            note(format!("attempt {} failed: {error}; tried again at {retry}", failure["attempt"]))?;
        }
        if let Some(foreign) = line["wrong_analyzer"].as_u64().filter(|foreign| *foreign > 0) {
            note(format!("{} of another analyzer than the profile's", count(foreign, "message")))?;
        }
        if line["plaintext"] == true {
            note("what it carries can be read on the network".to_owned())?;
        }
        for (key, what) in [("faults", "faults"), ("tolerances", "tolerances used")] {
            let counts = counts(&line[key]);
            if !counts.is_empty() {
                note(format!("{what}: {counts}"))?;
            }
        }
        if in_full {
            for transport in line["transports"].as_array().into_iter().flatten() {
                let session = if transport["in_session"] == true { ", in a session" } else { "" };
                let (peer, since) = (cell(transport, "peer"), cell(transport, "since"));
                note(format!("open to {peer} since {since}{session}"))?;
            }
            note(format!("driver version {}", cell(line, "driver_version")))?;
        }
    }
    Ok(())
}

fn counts(object: &Value) -> String {
    let counts: Vec<String> =
        object.as_object().into_iter().flatten().map(|(name, count)| format!("{name} {count}")).collect();
    counts.join(", ")
}
