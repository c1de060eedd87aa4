//! What a person decides about held observations.

use rusqlite::{OptionalExtension, params};

use crate::StoreError;
use crate::record::Decision;
use crate::transaction::{Refusal, Transaction};
use crate::view::QuarantineState;

struct Held {
    message: i64,
    connection: String,
    record: i64,
    sink: Option<String>,
}

/// Releases held observations to the sinks.
pub(crate) fn release(
    transaction: &Transaction<'_>,
    items: &[i64],
    decision: &Decision,
) -> Result<(), Refusal> {
    for item in items {
        let held = open_item(transaction, *item)?;
        transaction.change(held.message, || {
            decide(transaction, *item, QuarantineState::Released, decision)?;
            let sinks = match &held.sink {
                Some(sink) => vec![sink.clone()],
                None => transaction.sinks_of(held.message)?,
            };
            let record = usize::try_from(held.record).unwrap_or(0);
            for sink in sinks {
                transaction.queue(&sink, &held.connection, held.message, Some(&[record]), 1, decision.at)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Discards held observations.
pub(crate) fn discard(
    transaction: &Transaction<'_>,
    items: &[i64],
    decision: &Decision,
) -> Result<(), Refusal> {
    let mut told = Vec::new();
    for item in items {
        let held = open_item(transaction, *item)?;
        transaction
            .change(held.message, || decide(transaction, *item, QuarantineState::Discarded, decision))?;
        if !told.contains(&held.message) {
            transaction.tell_sinks(&held.connection, held.message, decision.at)?;
            told.push(held.message);
        }
    }
    Ok(())
}

fn open_item(transaction: &Transaction<'_>, item: i64) -> Result<Held, Refusal> {
    let found: Option<(Held, String)> = transaction
        .sql
        .prepare_cached("SELECT message, connection, record, sink, state FROM quarantine WHERE id = ?1")?
        .query_row([item], |row| {
            let held = Held {
                message: row.get(0)?,
                connection: row.get(1)?,
                record: row.get(2)?,
                sink: row.get(3)?,
            };
            Ok((held, row.get(4)?))
        })
        .optional()?;
    match found {
        Some((held, state)) if state == QuarantineState::Open.as_str() => Ok(held),
        Some((_, state)) => {
            Err(StoreError::not_found(format!("quarantine item {item} is not open but {state}")).into())
        }
        None => Err(StoreError::not_found(format!("there is no quarantine item {item}")).into()),
    }
}

fn decide(
    transaction: &Transaction<'_>,
    item: i64,
    state: QuarantineState,
    decision: &Decision,
) -> Result<(), Refusal> {
    transaction
        .sql
        .prepare_cached(
            "UPDATE quarantine SET state = ?2, decided_ms = ?3, decided_by = ?4, decided_reason = ?5 WHERE id = ?1",
        )?
        .execute(params![item, state.as_str(), decision.at.wall_ms, decision.actor, decision.reason])?;
    Ok(())
}
