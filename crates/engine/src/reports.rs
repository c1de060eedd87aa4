//! What commands show of the spool, as JSON objects: the same with and without a daemon.

use jiff::Timestamp;
use labwire_model::{Diagnostic, Disposition, Outcome, OutcomeLine, Provenance};
use labwire_store::{
    Account, Ledger, MessageFilter, MessageId, MessageSummary, ObservationState, QuarantineFilter,
    QuarantineItem, Reader, ResultFilter, Status, StoreError, StoredResult,
};
use serde_json::{Value, json};

fn time(wall_ms: i64) -> Value {
    Timestamp::from_millisecond(wall_ms).map_or(Value::Null, |at| Value::from(format!("{at:.3}")))
}

fn object(value: impl serde::Serialize) -> Value {
    // Our own types have string keys and no failing serializer.
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Observations of stored result messages, in the order of receipt: at most `limit`, the newest.
///
/// # Errors
/// When the spool cannot be read.
pub fn results(
    reader: &Reader,
    specimen_id: Option<String>,
    connection: Option<String>,
    limit: usize,
) -> Result<Vec<Value>, StoreError> {
    let filter = ResultFilter { specimen_id, connection, messages_max: limit };
    let found = reader.results(&filter)?;
    let skip = found.len().saturating_sub(limit);
    Ok(found.into_iter().skip(skip).map(result_line).collect())
}

fn result_line(stored: StoredResult) -> Value {
    let message_id = stored.message_id.to_string();
    let provenance = Provenance {
        tenant: Some(&stored.tenant),
        connection: Some(&stored.connection),
        driver: Some(&stored.driver),
        driver_version: Some(&stored.driver_version),
        message_id: Some(&message_id),
    };
    let disposition = match &stored.state {
        ObservationState::Held { code, reason } => {
            Disposition::Hold { code: code.clone(), reason: reason.clone() }
        }
        ObservationState::Ignored { rule } => Disposition::Ignore { rule: rule.clone() },
        _ => Disposition::Deliver,
    };
    let outcome = Outcome { observation: stored.observation, disposition };
    let mut line = object(OutcomeLine::new(provenance, &outcome));
    line["state"] = stored.state.as_str().into();
    line["received_at"] = time(stored.at.wall_ms);
    line["possible_repeat"] = stored.possible_repeat.into();
    line
}

/// Received messages: the newest `messages_max`, or those behind a row, oldest first. Nothing of their
/// content is shown.
///
/// # Errors
/// When the spool cannot be read.
pub fn messages(reader: &Reader, filter: &MessageFilter) -> Result<Vec<Value>, StoreError> {
    Ok(reader.messages(filter)?.iter().map(message_line).collect())
}

fn message_line(message: &MessageSummary) -> Value {
    json!({
        "type": "message",
        "row": message.row,
        "message_id": message.id.to_string(),
        "tenant": message.tenant,
        "connection": message.connection,
        "received_at": time(message.at.wall_ms),
        "driver": message.driver,
        "driver_version": message.driver_version,
        "kind": object(message.kind),
        "state": message.state.as_str(),
        "control_id": message.control_id,
        "observations": message.observations,
        "held": message.held,
        "bytes": message.raw_bytes,
        "duplicate_of": message.duplicate_of.map(|id| id.to_string()),
        "possible_repeat": message.possible_repeat,
    })
}

/// One message: its line, then as much of it as `level` asks for.
///
/// # Errors
/// When the spool cannot be read.
pub fn message(reader: &Reader, id: MessageId, level: Level) -> Result<Option<Vec<Value>>, StoreError> {
    let Some(stored) = reader.message(id)? else { return Ok(None) };
    let mut lines = vec![message_line(&stored.summary)];
    match level {
        Level::Raw => lines.push(json!({ "type": "raw", "text": labwire_capture::escape(&stored.raw) })),
        Level::Records => {
            let ends = |byte: &u8| matches!(*byte, b'\r' | b'\n');
            let mut at = 0;
            let mut number = 0_usize;
            for record in stored.raw.split(ends) {
                if !record.is_empty() {
                    number += 1;
                    let text = labwire_capture::escape(record);
                    lines.push(json!({ "type": "record", "record": number, "byte": at, "text": text }));
                }
                at += record.len() + 1;
            }
            lines.extend(stored.decoded.diagnostics.iter().map(diagnostic_line));
        }
        Level::Results => {
            lines.extend(reader.results_of(id)?.into_iter().map(result_line));
            lines.extend(stored.decoded.diagnostics.iter().map(diagnostic_line));
        }
    }
    Ok(Some(lines))
}

fn diagnostic_line(found: &Diagnostic) -> Value {
    json!({
        "type": "diagnostic",
        "code": found.code,
        "byte": found.position.byte,
        "record": found.position.record,
        "path": (!found.position.path.is_empty()).then_some(&found.position.path),
        "reason": found.reason,
    })
}

/// How far a message is shown decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The bytes as sent, control characters by name.
    Raw,
    /// Record by record, with the diagnostics that name them.
    Records,
    /// What the profile read, and what became of each observation.
    Results,
}

impl Level {
    /// The level of a word of the command line.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "raw" => Some(Self::Raw),
            "records" => Some(Self::Records),
            "results" => Some(Self::Results),
            _ => None,
        }
    }
}

fn quarantine_line(item: &QuarantineItem) -> Value {
    let message_id = item.message_id.to_string();
    let provenance = Provenance {
        tenant: Some(&item.tenant),
        connection: Some(&item.connection),
        driver: Some(&item.driver),
        driver_version: None,
        message_id: Some(&message_id),
    };
    let outcome = Outcome {
        observation: item.observation.clone(),
        disposition: Disposition::Hold { code: item.code.clone(), reason: item.reason.clone() },
    };
    let mut line = object(OutcomeLine::new(provenance, &outcome));
    line["id"] = item.id.into();
    line["state"] = item.state.as_str().into();
    line["held_at"] = time(item.held_ms);
    line["remedy"] = remedy(&item.code).into();
    line
}

/// What a person can do about a reason for holding.
fn remedy(code: &str) -> &'static str {
    match code {
        "no-profile" => "write or choose a driver profile for this analyzer (drivers/README.md)",
        "unknown-test" => "add the test to [tests] of the profile",
        "unknown-unit" => "add the unit to the test's `units`, or to [units] of the profile",
        "unknown-comparator" => "look at the value as sent; the profile does not know its sign",
        "no-specimen" => "look for the specimen id in the message and mend [specimen] of the profile",
        "incomplete" => "ask the analyzer to send the message again; a whole repetition settles it",
        "processing-id" => "the message is marked as training or debugging; it is not for the LIS",
        "wrong-analyzer" => {
            "look which analyzer is on this line; if it is the right one, give the connection `identify = { … }` with the name that it sends"
        }
        "no-control-id" => "the message has no MSH-10 and was not acknowledged; mend it at the analyzer",
        _ => "look at the message with `labwire quarantine show`",
    }
}

/// What is held, the newest `limit`, oldest first.
///
/// # Errors
/// When the spool cannot be read.
pub fn quarantine(
    reader: &Reader,
    connection: Option<String>,
    limit: usize,
) -> Result<Vec<Value>, StoreError> {
    let filter = QuarantineFilter { connection, code: None, decided: false, items_max: limit };
    Ok(reader.quarantine(&filter)?.iter().map(quarantine_line).collect())
}

/// One held observation with the message that it came in; `None` when there is none of that number.
///
/// # Errors
/// When the spool cannot be read.
pub fn quarantine_item(reader: &Reader, id: i64) -> Result<Option<Value>, StoreError> {
    let Some(item) = reader.quarantine_item(id)? else { return Ok(None) };
    let mut line = quarantine_line(&item);
    if let Some(message) = reader.message(item.message_id)? {
        line["message"] = json!({
            "received_at": time(message.summary.at.wall_ms),
            "state": message.summary.state.as_str(),
            "driver_version": message.summary.driver_version,
            "raw": String::from_utf8_lossy(&message.raw),
            "diagnostics": object(&message.decoded.diagnostics),
        });
    }
    Ok(Some(line))
}

fn account(account: &Account) -> Value {
    let mut line = json!({ "received": account.received });
    for (name, count) in account.standing.parts() {
        line[name] = count.into();
    }
    line
}

/// The ledger, a line for each connection and sink, then what is counted apart, then differences;
/// and whether it balances. With `check` every sum is computed again from the rows.
///
/// # Errors
/// When the spool cannot be read.
pub fn ledger(reader: &Reader, check: bool) -> Result<(Vec<Value>, bool), StoreError> {
    let ledger = if check { reader.ledger()? } else { reader.ledger_counters()? };
    Ok((ledger_lines(&ledger, check), ledger.balances()))
}

fn ledger_lines(ledger: &Ledger, checked: bool) -> Vec<Value> {
    let mut lines: Vec<Value> = ledger
        .lines
        .iter()
        .map(|line| {
            json!({
                "type": "ledger",
                "connection": line.connection,
                "sink": line.sink,
                "messages": account(&line.messages),
                "observations": account(&line.observations),
            })
        })
        .collect();
    for (connection, tallies) in &ledger.tallies {
        let mut line = json!({ "type": "apart", "connection": connection });
        for (tally, count) in tallies {
            line[tally.as_str()] = (*count).into();
        }
        lines.push(line);
    }
    for difference in &ledger.differences {
        lines.push(json!({
            "type": "difference",
            "connection": difference.connection,
            "sink": difference.sink,
            "what": difference.what,
            "counted": difference.counted,
            "found": difference.found,
        }));
    }
    lines.push(json!({ "type": "balance", "checked": checked, "balances": ledger.balances() }));
    lines
}

/// Counts of the spool: a line for each connection and each sink.
#[must_use]
pub fn status(status: &Status) -> Vec<Value> {
    let mut lines = Vec::new();
    for (name, connection) in &status.connections {
        lines.push(json!({
            "type": "connection",
            "connection": name,
            "messages": connection.messages,
            "observations": connection.observations,
            "held_observations": connection.held_observations,
            "incomplete": connection.incomplete,
            "duplicates": connection.duplicates,
            "last_message_at": connection.last_message_ms.map_or(Value::Null, time),
        }));
    }
    for (name, sink) in &status.sinks {
        lines.push(json!({
            "type": "sink",
            "sink": name,
            "backlog": sink.backlog,
            "oldest_at": sink.oldest_ms.map_or(Value::Null, time),
            "delivered": sink.delivered,
            "last_error": sink.last_error,
        }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_so_that_they_sort_and_read_as_in_the_lis_database() {
        assert_eq!(time(1_000), "1970-01-01T00:00:01.000Z");
        assert_eq!(time(1_100), "1970-01-01T00:00:01.100Z");
        assert_eq!(time(1_123), "1970-01-01T00:00:01.123Z");
    }
}
