//! What becomes of deliveries.

use labwire_model::Disposition;
use rusqlite::{OptionalExtension, params};

use crate::StoreError;
use crate::persist;
use crate::record::Stamp;
use crate::transaction::{Hold, Refusal, Transaction, numbers_of};

/// Marks deliveries that waited as arrived; answers how many did.
pub(crate) fn mark_delivered(transaction: &Transaction<'_>, ids: &[i64], at: Stamp) -> Result<u64, Refusal> {
    let mut marked = 0;
    for id in ids {
        let waiting: Option<(i64, i64)> = transaction
            .sql
            .prepare_cached("SELECT message, observations FROM outbox WHERE id = ?1 AND state = 'pending'")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((message, observations)) = waiting else { continue };
        marked += 1;
        let mark = || {
            transaction
                .sql
                .prepare_cached("UPDATE outbox SET state = 'delivered', attempts = attempts + 1, decided_ms = ?2 WHERE id = ?1")?
                .execute(params![id, at.wall_ms])?;
            Ok(())
        };
        // A copy brought up to date moves nothing in the ledger.
        if observations == 0 { mark()? } else { transaction.change(message, mark)? }
    }
    Ok(marked)
}

/// Counts an attempt that failed.
pub(crate) fn mark_failed(transaction: &Transaction<'_>, ids: &[i64], error: &str) -> Result<(), Refusal> {
    for id in ids {
        transaction
            .sql
            .prepare_cached(
                "UPDATE outbox SET attempts = attempts + 1, last_error = ?2 WHERE id = ?1 AND state = 'pending'",
            )?
            .execute(params![id, error])?;
    }
    Ok(())
}

/// Takes a delivery that its sink will never accept out of the way.
pub(crate) fn refuse(
    transaction: &Transaction<'_>,
    id: i64,
    code: &str,
    reason: &str,
    at: Stamp,
) -> Result<(), Refusal> {
    let waiting: Option<(i64, String, String, Option<String>, i64)> = transaction
        .sql
        .prepare_cached(
            "SELECT message, sink, connection, records, observations FROM outbox
             WHERE id = ?1 AND state = 'pending'",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((message, sink, connection, records, observations)) = waiting else {
        return Err(StoreError::not_found(format!("delivery {id} does not wait")).into());
    };
    let records = match records {
        Some(records) => numbers_of(&records)?,
        None => deliverable_records(transaction, message)?,
    };
    transaction.change(message, || {
        transaction
            .sql
            .prepare_cached(
                "UPDATE outbox SET state = 'refused', attempts = attempts + 1, last_error = ?2, decided_ms = ?3
                 WHERE id = ?1",
            )?
            .execute(params![id, reason, at.wall_ms])?;
        for record in &records {
            transaction.hold(&Hold {
                connection: &connection,
                message,
                record: *record,
                code,
                reason,
                sink: Some(&sink),
                at,
            })?;
        }
        if observations > 0 {
            // The copies alone may be acceptable; refused, they queue no further attempt.
            transaction.queue(&sink, &connection, message, Some(&[]), 0, at)?;
        }
        Ok(())
    })
}

fn deliverable_records(transaction: &Transaction<'_>, message: i64) -> Result<Vec<usize>, Refusal> {
    let bytes: Vec<u8> = transaction
        .sql
        .prepare_cached("SELECT decoded FROM message WHERE id = ?1")?
        .query_row([message], |row| row.get(0))?;
    let repeated = persist::repeated_of(transaction, message)?;
    Ok(persist::decoded_of(&bytes)?
        .outcomes
        .iter()
        .filter(|outcome| outcome.disposition == Disposition::Deliver)
        .map(|outcome| outcome.observation.record)
        .filter(|record| !repeated.contains(record))
        .collect())
}
