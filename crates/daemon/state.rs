//! `labwire results|quarantine|ledger|status`: what the spool holds.

use std::io::{self, Write};
use std::time::Duration;

use labwire_admin::control::{Client, ClientError, Request};
use labwire_config::SiteConfig;
use labwire_store::{Spool, StoreError};
use serde_json::Value;

use crate::arguments::{Ledger, Quarantine, Results, State};
use crate::exit::{Exit, Failure, Outcome};
use crate::show::{Row, cell, flags, harmless, json_lines, table};
use crate::{check, control};

/// Longest silence of the daemon while it answers; recomputing a large ledger takes its time.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// Asks the running daemon, or the spool itself when none runs.
pub(crate) fn ask(state: &State, request: &Request) -> Result<Vec<Value>, Failure> {
    let site = check::load_site_alone(&state.config)?;
    match Client::connect(&site.control.socket, SILENCE_MAX) {
        Ok(mut client) => client.collect(request).map_err(|error| client_failure(&error)),
        Err(ClientError::NoDaemon { .. }) => ask_spool(&site, request),
        Err(error) => Err(client_failure(&error)),
    }
}

/// Asks the running daemon what only it can know or do.
pub(crate) fn ask_daemon(state: &State, request: &Request) -> Result<Vec<Value>, Failure> {
    let site = check::load_site_alone(&state.config)?;
    let mut client =
        Client::connect(&site.control.socket, SILENCE_MAX).map_err(|error| client_failure(&error))?;
    client.collect(request).map_err(|error| client_failure(&error))
}

fn ask_spool(site: &SiteConfig, request: &Request) -> Result<Vec<Value>, Failure> {
    let reader = Spool::open_read(&site.spool.path).map_err(|error| {
        let exit = match error {
            StoreError::InUse { .. } => Exit::Busy,
            StoreError::Missing { .. } => Exit::Unavailable,
            StoreError::NewerFormat { .. } => Exit::Config,
            _ => Exit::Io,
        };
        Failure::new(exit, error.to_string())
    })?;
    control::answer(&reader, request).map_err(|refusal| refusal_failure(&refusal.code, &refusal.message))
}

fn refusal_failure(code: &str, message: &str) -> Failure {
    let exit = match code {
        "bad-request" | "unknown-command" | "not-found" => Exit::Usage,
        "busy" => Exit::Busy,
        "damaged" => Exit::Data,
        _ => Exit::Io,
    };
    Failure::new(exit, message)
}

fn client_failure(error: &ClientError) -> Failure {
    match error {
        ClientError::Refused(refusal) => refusal_failure(&refusal.code, &refusal.message),
        ClientError::NotPermitted { .. } => Failure::new(Exit::NoPermission, error.to_string()),
        other => Failure::new(Exit::Unavailable, other.to_string()),
    }
}

/// The request with an argument that may be absent.
pub(crate) fn with(request: Request, name: &str, value: Option<impl Into<Value>>) -> Request {
    match value {
        Some(value) => request.with(name, value),
        None => request,
    }
}

pub(crate) fn results(results: &Results) -> Outcome {
    let Results::List(list) = results;
    let request = Request::new("results list").with("limit", list.limit);
    let request = with(request, "specimen", list.specimen.clone());
    let request = with(request, "connection", list.connection.clone());
    let lines = ask(&list.state, &request)?;
    let mut out = io::stdout().lock();
    if list.state.json {
        return Ok(json_lines(&mut out, &lines)?);
    }
    let rows: Vec<Row> = lines
        .iter()
        .map(|line| {
            let test = if line["lis_test"].is_null() { "analyzer_test" } else { "lis_test" };
            ["received_at", "connection", "kind", "specimen_id", test, "text", "unit"]
                .iter()
                .map(|key| cell(line, key))
                .chain([flags(line), cell(line, "status"), cell(line, "state")])
                .collect()
        })
        .collect();
    let heading =
        ["RECEIVED", "CONNECTION", "KIND", "SPECIMEN", "TEST", "VALUE", "UNIT", "FLAGS", "STATUS", "STATE"];
    Ok(table(&mut out, &heading, &rows)?)
}

pub(crate) fn quarantine(quarantine: &Quarantine) -> Outcome {
    match quarantine {
        Quarantine::List(list) => {
            let request = Request::new("quarantine list").with("limit", list.limit);
            let lines = ask(&list.state, &with(request, "connection", list.connection.clone()))?;
            let mut out = io::stdout().lock();
            if list.state.json {
                return Ok(json_lines(&mut out, &lines)?);
            }
            let keys = [
                "id",
                "held_at",
                "connection",
                "specimen_id",
                "analyzer_test",
                "text",
                "unit",
                "reason_code",
                "reason",
            ];
            let rows: Vec<Row> =
                lines.iter().map(|line| keys.iter().map(|key| cell(line, key)).collect()).collect();
            let heading = ["ID", "HELD", "CONNECTION", "SPECIMEN", "TEST", "VALUE", "UNIT", "CODE", "REASON"];
            Ok(table(&mut out, &heading, &rows)?)
        }
        Quarantine::Show(show) => {
            let lines = ask(&show.state, &Request::new("quarantine show").with("id", show.id))?;
            let mut out = io::stdout().lock();
            if show.state.json {
                return Ok(json_lines(&mut out, &lines)?);
            }
            for line in &lines {
                show_item(&mut out, line)?;
            }
            Ok(())
        }
    }
}

fn show_item(out: &mut impl Write, line: &Value) -> io::Result<()> {
    for (key, label) in [
        ("id", "number"),
        ("state", "state"),
        ("reason_code", "code"),
        ("reason", "reason"),
        ("remedy", "remedy"),
        ("connection", "connection"),
        ("driver", "driver"),
        ("message_id", "message"),
        ("record", "record"),
        ("kind", "kind"),
        ("specimen_id", "specimen"),
        ("patient_id", "patient"),
        ("analyzer_test", "test"),
        ("value", "value"),
        ("unit", "unit"),
        ("observed_at", "observed"),
    ] {
        writeln!(out, "{label:<12}{}", cell(line, key))?;
    }
    writeln!(out, "{:<12}{}", "flags", flags(line))?;
    let message = &line["message"];
    if let Some(raw) = message["raw"].as_str() {
        writeln!(out, "\nmessage received {}:", cell(message, "received_at"))?;
        for (ordinal, record) in raw.split(['\r', '\n']).filter(|record| !record.is_empty()).enumerate() {
            let mark = if line["record"].as_u64() == Some(ordinal as u64 + 1) { '>' } else { ' ' };
            writeln!(out, "{mark} {:>3}  {}", ordinal + 1, harmless(record))?;
        }
    }
    for diagnostic in message["diagnostics"].as_array().into_iter().flatten() {
        writeln!(out, "! {}: {}", cell(diagnostic, "code"), cell(diagnostic, "reason"))?;
    }
    Ok(())
}

pub(crate) fn ledger(ledger: &Ledger) -> Outcome {
    let lines = ask(&ledger.state, &Request::new("ledger").with("check", ledger.check))?;
    let mut out = io::stdout().lock();
    if ledger.state.json {
        json_lines(&mut out, &lines)?;
    } else {
        show_ledger(&mut out, &lines)?;
    }
    let balances = lines.iter().any(|line| line["type"] == "balance" && line["balances"] == true);
    if ledger.check && !balances {
        return Err(Failure::new(Exit::Data, "the ledger does not balance"));
    }
    Ok(())
}

/// The ledger as a person reads it: messages and observations, a line for each connection and sink.
pub(crate) fn show_ledger(out: &mut impl Write, lines: &[Value]) -> io::Result<()> {
    let parts =
        ["received", "delivered", "pending", "held", "incomplete", "ignored", "duplicate", "discarded"];
    let mut rows: Vec<Row> = Vec::new();
    for line in lines.iter().filter(|line| line["type"] == "ledger") {
        for what in ["messages", "observations"] {
            let mut row = vec![cell(line, "connection"), cell(line, "sink"), what.to_owned()];
            row.extend(parts.iter().map(|part| cell(&line[what], part)));
            rows.push(row);
        }
    }
    let heading = [
        "CONNECTION",
        "SINK",
        "WHAT",
        "RECEIVED",
        "DELIVERED",
        "PENDING",
        "HELD",
        "INCOMPLETE",
        "IGNORED",
        "DUPLICATE",
        "DISCARDED",
    ];
    table(out, &heading, &rows)?;
    for line in lines.iter().filter(|line| line["type"] == "apart") {
        let counts: Vec<String> = line
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, count)| count.as_i64().is_some_and(|count| count != 0))
            .map(|(name, count)| format!("{} {count}", name.replace('_', " ")))
            .collect();
        if !counts.is_empty() {
            writeln!(out, "counted apart on {}: {}", cell(line, "connection"), counts.join(", "))?;
        }
    }
    for line in lines.iter().filter(|line| line["type"] == "difference") {
        writeln!(
            out,
            "DIFFERENCE {} {} {}: counted {}, found {}",
            cell(line, "connection"),
            cell(line, "sink"),
            cell(line, "what"),
            cell(line, "counted"),
            cell(line, "found")
        )?;
    }
    for line in lines.iter().filter(|line| line["type"] == "balance") {
        let how = if line["checked"] == true { "recomputed from every row" } else { "as counted" };
        let verdict = if line["balances"] == true { "balances" } else { "DOES NOT BALANCE" };
        writeln!(out, "the ledger {verdict} ({how})")?;
    }
    Ok(())
}

pub(crate) fn status(state: &State) -> Outcome {
    let lines = ask(state, &Request::new("status"))?;
    let mut out = io::stdout().lock();
    if state.json {
        return Ok(json_lines(&mut out, &lines)?);
    }
    for line in lines.iter().filter(|line| line["type"] == "daemon") {
        let ready = if line["ready"] == true {
            "ready".to_owned()
        } else {
            format!("NOT READY: {}", cell(line, "why"))
        };
        match line["uptime_seconds"].as_u64() {
            Some(seconds) => writeln!(out, "{ready}  (up {seconds} s)\n")?,
            None => writeln!(out, "{ready}\n")?,
        }
    }
    let keys = [
        "connection",
        "driver",
        "state",
        "open",
        "messages",
        "observations",
        "held_observations",
        "incomplete",
        "last_message_at",
    ];
    let rows: Vec<Row> = lines
        .iter()
        .filter(|line| line["type"] == "connection")
        .map(|line| {
            let mut row: Row = keys.iter().map(|key| cell(line, key)).collect();
            let notes = [
                (line["plaintext"] == true, "PLAINTEXT"),
                (line["wrong_analyzer"].as_u64().is_some_and(|count| count > 0), "WRONG ANALYZER"),
            ];
            let notes: Vec<&str> = notes.iter().filter_map(|(said, note)| said.then_some(*note)).collect();
            row.push(notes.join(", "));
            row
        })
        .collect();
    let heading = [
        "CONNECTION",
        "DRIVER",
        "STATE",
        "OPEN",
        "MESSAGES",
        "OBSERVATIONS",
        "HELD",
        "INCOMPLETE",
        "LAST MESSAGE",
        "",
    ];
    table(&mut out, &heading, &rows)?;
    writeln!(out)?;
    let keys = ["sink", "backlog", "oldest_at", "delivered", "last_error"];
    let rows: Vec<Row> = lines
        .iter()
        .filter(|line| line["type"] == "sink")
        .map(|line| keys.iter().map(|key| cell(line, key)).collect())
        .collect();
    Ok(table(&mut out, &["SINK", "BACKLOG", "OLDEST", "DELIVERED", "LAST ERROR"], &rows)?)
}
