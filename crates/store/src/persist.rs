//! Making a frame durable, and with it the messages that it completes.

use labwire_model::{DecodedMessage, Disposition, MessageKind};
use rusqlite::{OptionalExtension, params};

use crate::StoreError;
use crate::incomplete;
use crate::record::{
    Filed, FrameRecord, Fresh, MessageId, MessageRecord, Persist, Persisted, Resolves, Stamp, Tally,
};
use crate::seal::{identity, signed, unsigned};
use crate::standing::RowState;
use crate::transaction::{Hold, Refusal, Transaction, json_numbers, message_id, numbers_of};

/// Does one [`Persist`].
pub(crate) fn apply(transaction: &Transaction<'_>, persist: &Persist) -> Result<Persisted, Refusal> {
    let connection = persist.connection.as_str();
    if let Some(messages) = completed_before(transaction, persist)? {
        transaction.tally(connection, Tally::RepeatedFrames, 1)?;
        return Ok(Persisted { messages, frame_repeated: true });
    }
    if persist.completes.is_empty() {
        let frame_repeated = is_last_frame(transaction, persist)?;
        if frame_repeated {
            transaction.tally(connection, Tally::RepeatedFrames, 1)?;
        } else {
            store_frame(transaction, connection, persist.transmission, &persist.frame)?;
        }
        return Ok(Persisted { messages: Vec::new(), frame_repeated });
    }
    // The messages hold what the frames of the reception held.
    discard_frames(transaction, connection, persist.transmission)?;
    let mut messages = Vec::with_capacity(persist.completes.len());
    let mut rows = Vec::with_capacity(persist.completes.len());
    for message in &persist.completes {
        let (row, filed) = file(transaction, persist, message, &rows)?;
        rows.push(row);
        messages.push(filed);
    }
    if let Some((transmission, text)) = &persist.carry {
        let carried =
            FrameRecord { number: None, ends_chain: false, bytes: text.clone(), at: persist.frame.at };
        store_frame(transaction, connection, *transmission, &carried)?;
    }
    Ok(Persisted { messages, frame_repeated: false })
}

/// The messages of an earlier commit of this very unit, which was refused to the analyzer as late
/// and stayed durable: a reception that completed is not used again otherwise.
fn completed_before(transaction: &Transaction<'_>, persist: &Persist) -> Result<Option<Vec<Filed>>, Refusal> {
    if persist.completes.is_empty() {
        return Ok(None);
    }
    let mut statement = transaction.sql.prepare_cached(
        "SELECT uuid, identity, duplicate_of, possible_repeat, id FROM message
         WHERE connection = ?1 AND transmission = ?2 AND identity IS NOT NULL ORDER BY sequence",
    )?;
    let mut rows = statement.query(params![persist.connection, signed(persist.transmission)])?;
    let mut found = Vec::new();
    for message in &persist.completes {
        let Some(row) = rows.next()? else { return Ok(None) };
        if row.get_ref(1)?.as_blob().ok() != Some(identity_of(persist, message).as_slice()) {
            return Ok(None);
        }
        let first: Option<i64> = row.get(2)?;
        found.push((message_id(row, 0)?, first, row.get::<_, bool>(3)?, row.get::<_, i64>(4)?));
    }
    drop(rows);
    let mut filed = Vec::with_capacity(found.len());
    for ((message, first, possible_repeat, row), repeat) in found.into_iter().zip(&persist.completes) {
        // What broke off since that commit is told of by the repeat alone.
        for resolves in repeat.resolves.iter().filter(|one| one.transmission != persist.transmission) {
            incomplete::settle(transaction, &persist.connection, *resolves, row, persist.frame.at)?;
        }
        let fresh = match first {
            Some(first) if possible_repeat => Fresh::PossibleRepeat(transaction.id_of(first)?),
            Some(first) => Fresh::Repeat(transaction.id_of(first)?),
            None => Fresh::Fresh,
        };
        filed.push(Filed { message, fresh });
    }
    Ok(Some(filed))
}

/// Whether the last frame of this reception has the same number and bytes: it was made durable by
/// a commit that was refused as late, and counts once. An unnumbered unit cannot be told apart
/// from a second one that reads the same.
fn is_last_frame(transaction: &Transaction<'_>, persist: &Persist) -> rusqlite::Result<bool> {
    let Some(number) = persist.frame.number else { return Ok(false) };
    let last: Option<(Option<u8>, bool, Vec<u8>)> = transaction
        .sql
        .prepare_cached(
            "SELECT number, ends_chain, body FROM frame WHERE connection = ?1 AND transmission = ?2
             ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![persist.connection, signed(persist.transmission)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    Ok(last.is_some_and(|(last, ends_chain, bytes)| {
        last == Some(number) && ends_chain == persist.frame.ends_chain && bytes == persist.frame.bytes
    }))
}

/// The immutable parts of a stored frame, as its checksum covers them.
pub(crate) fn frame_parts(transmission: i64, number: Option<u8>, ends_chain: bool) -> [u8; 11] {
    let mut parts = [0; 11];
    parts[..8].copy_from_slice(&transmission.to_le_bytes());
    parts[8] = u8::from(number.is_some());
    parts[9] = number.unwrap_or(0);
    parts[10] = u8::from(ends_chain);
    parts
}

fn store_frame(
    transaction: &Transaction<'_>,
    connection: &str,
    transmission: u64,
    frame: &FrameRecord,
) -> rusqlite::Result<()> {
    let header = transaction.header(connection, frame.at)?;
    let transmission = signed(transmission);
    let parts = frame_parts(transmission, frame.number, frame.ends_chain);
    transaction
        .sql
        .prepare_cached(
            "INSERT INTO frame(format, tenant, connection, sequence, key, checksum, monotonic_ns, wall_ms,
               transmission, number, ends_chain, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            header.format,
            header.tenant,
            header.connection,
            header.sequence,
            header.key,
            header.checksum(&[&parts, &frame.bytes]),
            signed(header.at.monotonic_ns),
            header.at.wall_ms,
            transmission,
            frame.number,
            frame.ends_chain,
            frame.bytes
        ])?;
    Ok(())
}

/// Drops the frames of a reception whose message is stored in the same transaction.
pub(crate) fn discard_frames(
    transaction: &Transaction<'_>,
    connection: &str,
    transmission: u64,
) -> rusqlite::Result<usize> {
    transaction
        .sql
        .prepare_cached("DELETE FROM frame WHERE connection = ?1 AND transmission = ?2")?
        .execute(params![connection, signed(transmission)])
}

fn identity_of(persist: &Persist, message: &MessageRecord) -> Vec<u8> {
    identity(&persist.connection, message.decoded.control_id.as_deref(), &message.decoded.identity)
}

/// Messages of a connection that a restart may lie behind whatever the wall clock says: an analyzer sends
/// again what it had no reply to, and that is among its last.
const RECENT_MESSAGES: i64 = 16;

/// A stored message that a new one is identical to.
struct Match {
    row: i64,
    /// The message that it is itself a duplicate of, or itself.
    first: i64,
    /// By the clocks it is older than the window, but one of them may have been set.
    is_doubtful: bool,
}

/// The newest result message with this identity, unless it is older than the window.
///
/// Its age is what the monotonic clock says, which nobody sets. That clock begins anew with each run of
/// the daemon; over a restart the wall clock is asked, and not believed about the last messages.
fn find_match(
    transaction: &Transaction<'_>,
    connection: &str,
    identity: &[u8],
    at: Stamp,
) -> rusqlite::Result<Option<Match>> {
    let found: Option<(i64, i64, Stamp, i64)> = transaction
        .sql
        .prepare_cached(
            "SELECT id, CASE state WHEN 'duplicate' THEN coalesce(duplicate_of, id) ELSE id END,
               monotonic_ns, wall_ms, sequence FROM message
             WHERE identity = ?1 AND kind = 'results' ORDER BY id DESC LIMIT 1",
        )?
        .query_row([identity], |row| {
            let stamp = Stamp { monotonic_ns: unsigned(row.get(2)?), wall_ms: row.get(3)? };
            Ok((row.get(0)?, row.get(1)?, stamp, row.get(4)?))
        })
        .optional()?;
    let Some((row, first, received, sequence)) = found else { return Ok(None) };
    let window = transaction.options.duplicate_window;
    let of_this_run = row > transaction.rows_before;
    let is_within = if of_this_run {
        u128::from(at.monotonic_ns.saturating_sub(received.monotonic_ns)) <= window.as_nanos()
    } else {
        at.wall_ms.saturating_sub(received.wall_ms) <= i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
    };
    if is_within {
        return Ok(Some(Match { row, first, is_doubtful: false }));
    }
    if of_this_run {
        return Ok(None);
    }
    let since: i64 = transaction
        .sql
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM message WHERE connection = ?1 AND sequence > ?2 LIMIT ?3)",
        )?
        .query_row(params![connection, sequence, RECENT_MESSAGES], |row| row.get(0))?;
    Ok((since < RECENT_MESSAGES).then_some(Match { row, first, is_doubtful: true }))
}

/// Whether the analyzer went on after `earlier`, which proves that it has our reply: any other
/// message since, unless it is a torn beginning of the one that is being filed.
fn was_followed(
    transaction: &Transaction<'_>,
    connection: &str,
    earlier: i64,
    settles: &[Resolves],
) -> rusqlite::Result<bool> {
    transaction.exists(
        "SELECT 1 FROM message WHERE connection = ?1
           AND sequence > (SELECT sequence FROM message WHERE id = ?2)
           AND NOT (identity IS NULL AND transmission IN (SELECT value FROM json_each(?3)))",
        params![connection, earlier, transmissions(settles)],
    )
}

/// As SQL takes a list.
fn transmissions(settles: &[Resolves]) -> String {
    let numbers: Vec<String> =
        settles.iter().map(|resolves| signed(resolves.transmission).to_string()).collect();
    format!("[{}]", numbers.join(","))
}

enum Verdict {
    Fresh,
    PossibleRepeat(i64),
    Duplicate(i64),
}

fn decide(
    transaction: &Transaction<'_>,
    persist: &Persist,
    message: &MessageRecord,
    identity: &[u8],
    same_unit: &[i64],
) -> Result<Verdict, Refusal> {
    // A query that is asked again wants its answer again; only results must not be filed twice.
    if message.decoded.kind != MessageKind::Results {
        return Ok(Verdict::Fresh);
    }
    let connection = persist.connection.as_str();
    let Some(found) = find_match(transaction, connection, identity, persist.frame.at)? else {
        return Ok(Verdict::Fresh);
    };
    if message.decoded.distinguishable {
        return Ok(Verdict::Duplicate(found.first));
    }
    // Two in one unit were acknowledged together: the second is no answer to a lost reply.
    let reply_received = found.is_doubtful
        || message.previous_reply_received
        || same_unit.contains(&found.row)
        || was_followed(transaction, connection, found.row, &message.resolves)?;
    Ok(if reply_received { Verdict::PossibleRepeat(found.first) } else { Verdict::Duplicate(found.first) })
}

fn file(
    transaction: &Transaction<'_>,
    persist: &Persist,
    message: &MessageRecord,
    same_unit: &[i64],
) -> Result<(i64, Filed), Refusal> {
    let connection = persist.connection.as_str();
    let at = persist.frame.at;
    let identity = identity_of(persist, message);
    let verdict = decide(transaction, persist, message, &identity, same_unit)?;
    let mut repeated = Vec::new();
    for resolves in &message.resolves {
        repeated.extend(incomplete::released_records(transaction, connection, *resolves, &message.decoded)?);
    }
    repeated.sort_unstable();
    repeated.dedup();
    let (state, first) = match verdict {
        Verdict::Fresh => (RowState::Filed, None),
        Verdict::PossibleRepeat(first) => (RowState::Filed, Some(first)),
        Verdict::Duplicate(first) => (RowState::Duplicate, Some(first)),
    };
    let row = store_message(
        transaction,
        &NewMessage {
            connection,
            at,
            transmission: persist.transmission,
            driver: &message.driver,
            driver_version: &message.driver_version,
            raw: &message.raw,
            decoded: &message.decoded,
            identity: Some(&identity),
            state,
            possible_repeat: matches!(verdict, Verdict::PossibleRepeat(_)),
            duplicate_of: first,
            repeated: if state == RowState::Filed { &repeated } else { &[] },
            sinks: &message.sinks,
        },
    )?;
    for resolves in &message.resolves {
        incomplete::settle(transaction, connection, *resolves, row.row, at)?;
    }
    let fresh = match verdict {
        Verdict::Fresh => Fresh::Fresh,
        Verdict::PossibleRepeat(first) => Fresh::PossibleRepeat(transaction.id_of(first)?),
        Verdict::Duplicate(first) => Fresh::Repeat(transaction.id_of(first)?),
    };
    Ok((row.row, Filed { message: row.id, fresh }))
}

/// A message row to be written, complete or not.
pub(crate) struct NewMessage<'a> {
    pub(crate) connection: &'a str,
    pub(crate) at: Stamp,
    pub(crate) transmission: u64,
    pub(crate) driver: &'a str,
    pub(crate) driver_version: &'a str,
    pub(crate) raw: &'a [u8],
    pub(crate) decoded: &'a DecodedMessage,
    pub(crate) identity: Option<&'a [u8]>,
    pub(crate) state: RowState,
    pub(crate) possible_repeat: bool,
    pub(crate) duplicate_of: Option<i64>,
    pub(crate) repeated: &'a [usize],
    pub(crate) sinks: &'a [String],
}

/// The row and the id that a message was given.
pub(crate) struct StoredRow {
    pub(crate) row: i64,
    pub(crate) id: MessageId,
}

/// The word of a kind in the database.
pub(crate) fn kind_word(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Results => "results",
        MessageKind::Query => "query",
        MessageKind::Acknowledgement => "acknowledgement",
        MessageKind::Order => "order",
        MessageKind::Other => "other",
    }
}

/// The immutable words of a stored message that its checksum covers beside its bodies.
pub(crate) fn message_parts<'a>(
    transmission: &'a [u8; 8],
    id: &'a MessageId,
    driver: &'a str,
    driver_version: &'a str,
    raw: &'a [u8],
    decoded: &'a [u8],
    identity: Option<&'a [u8]>,
) -> [&'a [u8]; 7] {
    [
        transmission,
        id.0.as_bytes(),
        driver.as_bytes(),
        driver_version.as_bytes(),
        raw,
        decoded,
        identity.unwrap_or_default(),
    ]
}

/// Writes a message with all that hangs on it: quarantine, outbox, index, ledger.
pub(crate) fn store_message(
    transaction: &Transaction<'_>,
    new: &NewMessage<'_>,
) -> Result<StoredRow, Refusal> {
    let decoded =
        serde_json::to_vec(new.decoded).map_err(|error| StoreError::failed("encode a message", &error))?;
    let id = MessageId::generate();
    let header = transaction.header(new.connection, new.at)?;
    let transmission = signed(new.transmission);
    let checksum = header.checksum(&message_parts(
        &transmission.to_le_bytes(),
        &id,
        new.driver,
        new.driver_version,
        new.raw,
        &decoded,
        new.identity,
    ));
    let outcomes = &new.decoded.outcomes;
    let is_repeated = |record: usize| new.repeated.contains(&record);
    let ignored =
        outcomes.iter().filter(|outcome| matches!(outcome.disposition, Disposition::Ignore { .. })).count();
    let deliverable = outcomes
        .iter()
        .filter(|outcome| {
            outcome.disposition == Disposition::Deliver && !is_repeated(outcome.observation.record)
        })
        .count();
    transaction
        .sql
        .prepare_cached(
            "INSERT INTO message(uuid, format, tenant, connection, sequence, key, checksum, monotonic_ns,
               wall_ms, transmission, driver, driver_version, control_id, raw, decoded, identity, kind, state,
               possible_repeat, duplicate_of, observations, ignored, deliverable, repeated_records)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
               ?21, ?22, ?23, ?24)",
        )?
        .execute(params![
            id.0.as_bytes().as_slice(),
            header.format,
            header.tenant,
            header.connection,
            header.sequence,
            header.key,
            checksum,
            signed(header.at.monotonic_ns),
            header.at.wall_ms,
            transmission,
            new.driver,
            new.driver_version,
            new.decoded.control_id,
            new.raw,
            decoded,
            new.identity,
            kind_word(new.decoded.kind),
            new.state.as_str(),
            new.possible_repeat,
            new.duplicate_of,
            outcomes.len() as i64,
            ignored as i64,
            deliverable as i64,
            json_numbers(new.repeated)
        ])?;
    let row = transaction.sql.last_insert_rowid();
    let stored = StoredRow { row, id };
    let is_complete = new.state != RowState::Incomplete;
    if new.decoded.kind != MessageKind::Results {
        if is_complete {
            transaction.tally(
                new.connection,
                match new.decoded.kind {
                    MessageKind::Query => Tally::Queries,
                    MessageKind::Acknowledgement => Tally::Acknowledgements,
                    MessageKind::Order => Tally::Orders,
                    MessageKind::Results | MessageKind::Other => Tally::OtherMessages,
                },
                1,
            )?;
        }
        return Ok(stored);
    }
    let is_filed = new.state == RowState::Filed;
    if is_filed {
        for outcome in outcomes {
            if let Disposition::Hold { code, reason } = &outcome.disposition
                && !is_repeated(outcome.observation.record)
            {
                transaction.hold(&Hold {
                    connection: new.connection,
                    message: row,
                    record: outcome.observation.record,
                    code,
                    reason,
                    sink: None,
                    at: new.at,
                })?;
            }
        }
    }
    index_specimens(transaction, row, new.decoded)?;
    for sink in new.sinks {
        if is_filed {
            transaction.queue(sink, new.connection, row, None, deliverable as i64, new.at)?;
        } else {
            transaction.queue(sink, new.connection, row, Some(&[]), 0, new.at)?;
        }
    }
    transaction.receive(new.connection, 1, outcomes.len() as i64)?;
    transaction.enter(row)?;
    Ok(stored)
}

fn index_specimens(
    transaction: &Transaction<'_>,
    row: i64,
    decoded: &DecodedMessage,
) -> rusqlite::Result<()> {
    let mut last: Option<&str> = None;
    for outcome in &decoded.outcomes {
        let specimen = outcome.observation.specimen_id.as_deref();
        // Observations of one specimen stand together: most messages are about one.
        if let Some(specimen) = specimen
            && last != Some(specimen)
        {
            transaction
                .sql
                .prepare_cached(
                    "INSERT OR IGNORE INTO message_specimen(specimen_id, message) VALUES (?1, ?2)",
                )?
                .execute(params![specimen, row])?;
            last = Some(specimen);
        }
    }
    Ok(())
}

/// Decodes what [`store_message`] encoded.
pub(crate) fn decoded_of(bytes: &[u8]) -> Result<DecodedMessage, StoreError> {
    // serde_json's message quotes the text that it could not read, which may be a patient's.
    serde_json::from_slice(bytes).map_err(|error| {
        StoreError::failed("read a stored message", &format!("not as encoded, at byte {}", error.column()))
    })
}

/// Records of a message that were released out of the incomplete one that it settles.
pub(crate) fn repeated_of(transaction: &Transaction<'_>, message: i64) -> Result<Vec<usize>, Refusal> {
    let json: String = transaction
        .sql
        .prepare_cached("SELECT repeated_records FROM message WHERE id = ?1")?
        .query_row([message], |row| row.get(0))?;
    Ok(numbers_of(&json)?)
}
