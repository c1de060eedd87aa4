//! The ledger computed from every stored row, and compared with its counters.

use std::collections::BTreeMap;

use labwire_model::Disposition;
use rusqlite::{Connection, params};

use crate::StoreError;
use crate::ledger::{Account, Ledger, LedgerDifference, LedgerLine, Standing};
use crate::persist::decoded_of;
use crate::record::Tally;
use crate::standing::{self, Facts, RowState};
use crate::transaction::numbers_of;

/// Both accounts by connection and sink.
pub(crate) type Accounts = BTreeMap<(String, String), (Account, Account)>;

fn failed(error: &rusqlite::Error) -> StoreError {
    StoreError::failed("read the ledger", error)
}

/// What the rows say. The facts come from the encoded messages, not from the columns that the
/// counters were moved by.
pub(crate) fn from_rows(sql: &Connection, sinks: &[String]) -> Result<Accounts, StoreError> {
    let mut accounts = Accounts::new();
    let mut statement = sql
        .prepare(
            "SELECT id, connection, state, decoded, repeated_records, identity IS NULL FROM message
             WHERE kind = 'results' ORDER BY id",
        )
        .map_err(|error| failed(&error))?;
    let mut rows = statement.query([]).map_err(|error| failed(&error))?;
    while let Some(row) = rows.next().map_err(|error| failed(&error))? {
        let read = || -> rusqlite::Result<(i64, String, RowState, Vec<u8>, String, bool)> {
            Ok((
                row.get(0)?,
                row.get(1)?,
                RowState::from_column(row, 2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        };
        let (message, connection, state, decoded, repeated, broke_off) =
            read().map_err(|error| failed(&error))?;
        let decoded = decoded_of(&decoded)?;
        let repeated = numbers_of(&repeated)?;
        let mut facts =
            Facts { results: true, state, observations: 0, ignored: 0, deliverable: 0, repeated: 0 };
        for outcome in &decoded.outcomes {
            facts.observations += 1;
            match outcome.disposition {
                Disposition::Ignore { .. } => facts.ignored += 1,
                _ if repeated.contains(&outcome.observation.record) => facts.repeated += 1,
                Disposition::Deliver if !broke_off => facts.deliverable += 1,
                _ => {}
            }
        }
        for sink in sinks {
            let at_sink = standing::at_sink(sql, message, sink).map_err(|error| failed(&error))?;
            let found = standing::contribution(&facts, &at_sink);
            let (messages, observations) = accounts.entry((connection.clone(), sink.clone())).or_default();
            if state == RowState::Resumed {
                observations.received += standing::counted_apart(&at_sink);
            } else {
                messages.received += 1;
                observations.received += facts.observations;
            }
            messages.standing = messages.standing.plus(&found.messages);
            observations.standing = observations.standing.plus(&found.observations);
        }
    }
    Ok(accounts)
}

/// What the counters say.
pub(crate) fn counters(sql: &Connection) -> Result<Accounts, StoreError> {
    let mut accounts = Accounts::new();
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = sql.prepare_cached(
            "SELECT connection, sink, side, received,
               delivered, pending, held, incomplete, ignored, duplicate, discarded FROM ledger",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (messages, observations) = accounts.entry((row.get(0)?, row.get(1)?)).or_default();
            let account = if row.get_ref(2)?.as_str()? == "messages" { messages } else { observations };
            account.received = row.get(3)?;
            account.standing = Standing {
                delivered: row.get(4)?,
                pending: row.get(5)?,
                held: row.get(6)?,
                incomplete: row.get(7)?,
                ignored: row.get(8)?,
                duplicate: row.get(9)?,
                discarded: row.get(10)?,
            };
        }
        Ok(())
    };
    read().map_err(|error| failed(&error))?;
    Ok(accounts)
}

/// What is counted apart, by connection.
pub(crate) fn tallies(sql: &Connection) -> Result<BTreeMap<String, BTreeMap<Tally, i64>>, StoreError> {
    let mut found: BTreeMap<String, BTreeMap<Tally, i64>> = BTreeMap::new();
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = sql.prepare_cached("SELECT connection, name, count FROM tally")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(1)?.as_str()?;
            if let Some(tally) = Tally::ALL.into_iter().find(|tally| tally.as_str() == name) {
                found.entry(row.get(0)?).or_default().insert(tally, row.get(2)?);
            }
        }
        Ok(())
    };
    read().map_err(|error| failed(&error))?;
    Ok(found)
}

/// The ledger as the counters have it.
pub(crate) fn ledger(sql: &Connection) -> Result<Ledger, StoreError> {
    let lines = counters(sql)?
        .into_iter()
        .map(|((connection, sink), (messages, observations))| LedgerLine {
            connection,
            sink,
            messages,
            observations,
        })
        .collect();
    Ok(Ledger { lines, tallies: tallies(sql)?, differences: Vec::new() })
}

/// The ledger with every place where two of its views disagree.
pub(crate) fn checked(sql: &Connection, sinks: &[String]) -> Result<Ledger, StoreError> {
    let mut ledger = ledger(sql)?;
    let mut counted = counters(sql)?;
    let mut found = from_rows(sql, sinks)?;
    let places: std::collections::BTreeSet<_> = counted.keys().chain(found.keys()).cloned().collect();
    for place in places {
        let (counted_messages, counted_observations) = counted.remove(&place).unwrap_or_default();
        let (found_messages, found_observations) = found.remove(&place).unwrap_or_default();
        for (side, counted, found) in [
            ("messages", counted_messages, found_messages),
            ("observations", counted_observations, found_observations),
        ] {
            let mut compare = |what: &str, counted: i64, found: i64| {
                if counted != found {
                    ledger.differences.push(LedgerDifference {
                        connection: place.0.clone(),
                        sink: place.1.clone(),
                        what: format!("{side}.{what}"),
                        counted,
                        found,
                    });
                }
            };
            compare("received", counted.received, found.received);
            for ((part, counted), (_, found)) in counted.standing.parts().iter().zip(found.standing.parts()) {
                compare(part, *counted, found);
            }
            compare("sum", counted.received, counted.standing.sum());
        }
    }
    Ok(ledger)
}

/// Opens accounts for sinks that the spool has not had: all that it holds is routed elsewhere.
pub(crate) fn open_accounts(sql: &Connection, sinks: &[String]) -> Result<(), StoreError> {
    for ((connection, sink), (messages, observations)) in from_rows(sql, sinks)? {
        for (side, account) in [("messages", messages), ("observations", observations)] {
            let standing = account.standing;
            sql.execute(
                "INSERT OR REPLACE INTO ledger(connection, sink, side, received,
                   delivered, pending, held, incomplete, ignored, duplicate, discarded)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    connection,
                    sink,
                    side,
                    account.received,
                    standing.delivered,
                    standing.pending,
                    standing.held,
                    standing.incomplete,
                    standing.ignored,
                    standing.duplicate,
                    standing.discarded
                ],
            )
            .map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}
