//! Messages that never completed: kept, resumed, superseded, or handed to a person.

use labwire_model::{DecodedMessage, Disposition, MessageKind, Observation};
use rusqlite::{OptionalExtension, params};

use crate::persist::{self, NewMessage};
use crate::record::{CloseIncomplete, Closed, MessageId, Resolution, Resolves, Stamp};
use crate::seal::signed;
use crate::standing::{self, RowState};
use crate::transaction::{Hold, Refusal, Transaction, message_id};

const CODE: &str = "incomplete";
const REASON: &str = "the message broke off before its end; ask the analyzer to send it again, or release it";

/// Keeps what was received of a reception that ended too early.
pub(crate) fn close(transaction: &Transaction<'_>, close: &CloseIncomplete) -> Result<Closed, Refusal> {
    let settled: Option<MessageId> = transaction
        .sql
        .prepare_cached(
            "SELECT uuid FROM message WHERE connection = ?1 AND transmission = ?2 ORDER BY sequence LIMIT 1",
        )?
        .query_row(params![close.connection, signed(close.transmission)], |row| message_id(row, 0))
        .optional()?;
    let frames = persist::discard_frames(transaction, &close.connection, close.transmission)?;
    // The commit that completed it took its frames along. Those that are there came after a late commit
    // whose message the analyzer gave up, and were acknowledged.
    if frames == 0
        && let Some(id) = settled
    {
        return Ok(Closed::Settled(id));
    }
    if frames == 0 && close.raw.is_empty() {
        return Ok(Closed::Nothing);
    }
    let stored = persist::store_message(
        transaction,
        &NewMessage {
            connection: &close.connection,
            at: close.at,
            transmission: close.transmission,
            driver: &close.driver,
            driver_version: &close.driver_version,
            raw: &close.raw,
            decoded: &close.decoded,
            identity: None,
            state: RowState::Incomplete,
            possible_repeat: false,
            duplicate_of: None,
            repeated: &[],
            sinks: &close.sinks,
        },
    )?;
    Ok(Closed::Incomplete(stored.id))
}

fn decoded(transaction: &Transaction<'_>, message: i64) -> Result<DecodedMessage, Refusal> {
    let bytes: Vec<u8> = transaction
        .sql
        .prepare_cached("SELECT decoded FROM message WHERE id = ?1")?
        .query_row([message], |row| row.get(0))?;
    Ok(persist::decoded_of(&bytes)?)
}

/// Ends the hold of incomplete messages whose reception ended before the time of their connection.
pub(crate) fn expire(
    transaction: &Transaction<'_>,
    before_ms: impl Fn(&str) -> i64,
    at: Stamp,
) -> Result<Vec<MessageId>, Refusal> {
    let mut waiting: Vec<(i64, MessageId, String, i64)> = transaction
        .sql
        .prepare_cached(
            "SELECT id, uuid, connection, wall_ms FROM message WHERE state = 'incomplete' ORDER BY id",
        )?
        .query_map([], |row| Ok((row.get(0)?, message_id(row, 1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    waiting.retain(|(_, _, connection, ended_ms)| *ended_ms < before_ms(connection));
    let mut expired = Vec::with_capacity(waiting.len());
    for (row, id, connection, _) in &waiting {
        let decoded = match decoded(transaction, *row) {
            Ok(decoded) => decoded,
            // A damaged one stays as it is (`Reader::verify` names it); its neighbours go on.
            Err(Refusal::Store(_)) => continue,
            Err(error) => return Err(error),
        };
        transaction.change(*row, || {
            transaction
                .sql
                .prepare_cached(
                    "UPDATE message SET state = 'filed', deliverable = 0, expired_ms = ?2 WHERE id = ?1",
                )?
                .execute(params![row, at.wall_ms])?;
            for outcome in &decoded.outcomes {
                if decoded.kind == MessageKind::Results
                    && !matches!(outcome.disposition, Disposition::Ignore { .. })
                {
                    transaction.hold(&Hold {
                        connection,
                        message: *row,
                        record: outcome.observation.record,
                        code: CODE,
                        reason: REASON,
                        sink: None,
                        at,
                    })?;
                }
            }
            transaction.tell_sinks(connection, *row, at)
        })?;
        expired.push(*id);
    }
    Ok(expired)
}

/// The incomplete message that a complete one may settle: kept, or expired.
fn unsettled(
    transaction: &Transaction<'_>,
    connection: &str,
    resolves: Resolves,
) -> rusqlite::Result<Option<i64>> {
    transaction
        .sql
        .prepare_cached(
            "SELECT id FROM message WHERE connection = ?1 AND transmission = ?2 AND identity IS NULL
               AND state IN ('incomplete', 'filed') ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![connection, signed(resolves.transmission)], |row| row.get(0))
        .optional()
}

/// Whether two observations say the same about the same.
fn is_same(one: &Observation, other: &Observation) -> bool {
    one.record == other.record
        && one.specimen_id == other.specimen_id
        && one.analyzer_test == other.analyzer_test
        && one.value == other.value
}

/// Records of `complete` that a person released out of the incomplete message that it settles:
/// they are not filed again.
pub(crate) fn released_records(
    transaction: &Transaction<'_>,
    connection: &str,
    resolves: Resolves,
    complete: &DecodedMessage,
) -> Result<Vec<usize>, Refusal> {
    let Some(row) = unsettled(transaction, connection, resolves)? else { return Ok(Vec::new()) };
    let released: Vec<i64> = transaction
        .sql
        .prepare_cached(
            "SELECT record FROM quarantine WHERE message = ?1 AND state = 'released' AND sink IS NULL",
        )?
        .query_map([row], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if released.is_empty() {
        return Ok(Vec::new());
    }
    let earlier = decoded(transaction, row)?;
    Ok(earlier
        .outcomes
        .iter()
        .map(|outcome| &outcome.observation)
        .filter(|earlier| released.contains(&(earlier.record as i64)))
        .filter(|earlier| {
            complete.outcomes.iter().any(|outcome| {
                is_same(earlier, &outcome.observation)
                    && !matches!(outcome.disposition, Disposition::Ignore { .. })
            })
        })
        .map(|earlier| earlier.record)
        .collect())
}

/// Settles an incomplete message by the complete one in `by`. One that is settled already, or that
/// a late commit had completed, stays as it is; of one that could not be closed the frames go, since
/// the complete message holds what they held.
pub(crate) fn settle(
    transaction: &Transaction<'_>,
    connection: &str,
    resolves: Resolves,
    by: i64,
    at: Stamp,
) -> Result<(), Refusal> {
    let Some(row) = unsettled(transaction, connection, resolves)? else {
        persist::discard_frames(transaction, connection, resolves.transmission)?;
        return Ok(());
    };
    let state = match resolves.how {
        Resolution::Superseded => RowState::Duplicate,
        Resolution::Resumed => RowState::Resumed,
    };
    transaction.change(row, || {
        transaction
            .sql
            .prepare_cached(
                "UPDATE quarantine SET state = 'superseded', decided_ms = ?2
                 WHERE message = ?1 AND state = 'open' AND sink IS NULL",
            )?
            .execute(params![row, at.wall_ms])?;
        transaction
            .sql
            .prepare_cached("UPDATE message SET state = ?2, duplicate_of = ?3 WHERE id = ?1")?
            .execute(params![row, state.as_str(), by])?;
        transaction.tell_sinks(connection, row, at)
    })?;
    if state == RowState::Resumed
        && let Some(facts) = standing::facts(transaction.sql, row)?
        && facts.results
    {
        // Both count once. What a person had decided of the first part stays in the sums.
        let decided = standing::counted_apart(&standing::at_sink(transaction.sql, row, "")?);
        transaction.receive(connection, -1, decided - facts.observations)?;
    }
    Ok(())
}
