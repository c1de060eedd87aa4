//! Reads: over a connection of their own, beside the writer or alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use labwire_model::{DecodedMessage, Disposition, MessageKind, Observation};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::lock::Lock;
use crate::persist::{decoded_of, frame_parts, kind_word, message_parts};
use crate::record::{FrameRecord, MessageId, Stamp};
use crate::seal::{Header, signed, unsigned};
use crate::standing::{self, Facts, RowState};
use crate::transaction::{message_id, numbers_of};
use crate::view::{
    Batch, ConnectionStatus, Damage, Delivery, IncompleteMessage, MessageFilter, MessageState,
    MessageSummary, ObservationState, OpenTransmission, QuarantineFilter, QuarantineItem, QuarantineState,
    ResultFilter, SinkStatus, Status, StoredMessage, StoredResult,
};
use crate::{Ledger, StoreError, database, recount};

/// Rows that a list gives when its filter names no number.
pub const ROWS_DEFAULT: usize = 1_000;
/// Bytes of raw messages in one batch of deliveries; a single larger one goes alone.
pub const BATCH_RAW_BYTES_MAX: usize = 8 << 20;

const MESSAGE: &str = "message.id, message.uuid, message.format, message.tenant, message.connection,
  message.sequence, message.key, message.checksum, message.monotonic_ns, message.wall_ms,
  message.transmission, message.driver, message.driver_version, message.control_id, message.kind,
  message.state, message.possible_repeat,
  (SELECT uuid FROM message AS first WHERE first.id = message.duplicate_of),
  message.observations, length(message.raw)";
const BODIES: &str = "message.raw, message.decoded, message.identity, message.repeated_records";
/// Columns in [`MESSAGE`].
const BODIES_AT: usize = 20;

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::failed("read the spool", &error)
}

fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, number: usize) -> Result<T, StoreError> {
    row.get(number).map_err(failed)
}

fn limit(rows_max: usize) -> i64 {
    i64::try_from(if rows_max == 0 { ROWS_DEFAULT } else { rows_max }).unwrap_or(i64::MAX)
}

fn kind_of(word: &str) -> Option<MessageKind> {
    use MessageKind as Kind;
    [Kind::Results, Kind::Query, Kind::Acknowledgement, Kind::Order, Kind::Other]
        .into_iter()
        .find(|kind| kind_word(*kind) == word)
}

/// A reading connection. Its reads block on the disk; each sees one consistent state.
pub struct Reader {
    sql: Connection,
    _lock: Arc<Lock>,
}

impl Reader {
    pub(crate) fn open(path: &Path, lock: Arc<Lock>) -> Result<Self, StoreError> {
        Ok(Self { sql: database::open_for_reading(path)?, _lock: lock })
    }

    fn snapshot<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.sql.unchecked_transaction().map_err(failed)?;
        let value = read()?;
        transaction.finish().map_err(failed)?;
        Ok(value)
    }

    /// The first number for a reception of this connection that no stored record has.
    ///
    /// # Errors
    /// As every read: [`StoreError::Failed`], [`StoreError::Damaged`],
    /// [`StoreError::UnknownRecordFormat`].
    pub fn next_transmission(&self, connection: &str) -> Result<u64, StoreError> {
        let last: Option<i64> = self
            .sql
            .query_row(
                "SELECT max(last) FROM (
                   SELECT max(transmission) AS last FROM message WHERE connection = ?1
                   UNION ALL SELECT max(transmission) FROM frame WHERE connection = ?1)",
                [connection],
                |row| row.get(0),
            )
            .map_err(failed)?;
        Ok(last.map_or(0, |last| unsigned(last).saturating_add(1)))
    }

    /// Receptions that had not ended, for the session to go on with or close.
    ///
    /// # Errors
    /// As every read.
    pub fn open_transmissions(&self) -> Result<Vec<OpenTransmission>, StoreError> {
        let mut statement = self
            .sql
            .prepare(
                "SELECT connection, transmission, id, format, tenant, sequence, key, checksum, monotonic_ns,
                   wall_ms, number, ends_chain, body FROM frame ORDER BY connection, transmission, id",
            )
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut found: Vec<OpenTransmission> = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let connection: String = row.get(0).map_err(failed)?;
            let number: i64 = row.get(1).map_err(failed)?;
            let frame = frame_of(row, &connection, number)?;
            match found.last_mut() {
                Some(last) if last.connection == connection && signed(last.transmission) == number => {
                    last.frames.push(frame);
                }
                _ => found.push(OpenTransmission {
                    connection,
                    transmission: unsigned(number),
                    frames: vec![frame],
                }),
            }
        }
        Ok(found)
    }

    /// Incomplete messages of a connection that a later message may still settle, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub fn incompletes(&self, connection: &str) -> Result<Vec<IncompleteMessage>, StoreError> {
        let mut statement = self
            .sql
            .prepare(&format!(
                "SELECT {MESSAGE}, {BODIES}, expired_ms IS NOT NULL, EXISTS (
                   SELECT 1 FROM message AS later WHERE later.connection = message.connection
                     AND later.sequence > message.sequence AND later.identity IS NOT NULL)
                 FROM message WHERE connection = ?1 AND identity IS NULL AND state IN ('incomplete', 'filed')
                 ORDER BY id"
            ))
            .map_err(failed)?;
        let mut rows = statement.query([connection]).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let message = RawMessage::read(row)?;
            found.push(IncompleteMessage {
                id: message.id,
                connection: message.connection,
                transmission: unsigned(message.transmission),
                raw: message.raw,
                at: message.at,
                expired: row.get(BODIES_AT + 4).map_err(failed)?,
                followed: row.get(BODIES_AT + 5).map_err(failed)?,
            });
        }
        Ok(found)
    }

    /// The oldest deliveries that wait for a sink, in the order to deliver them. A damaged record
    /// keeps waiting and is named; its neighbours go on.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn next_batch(&self, sink: &str, deliveries_max: usize) -> Result<Batch, StoreError> {
        self.snapshot(|| {
            let sinks = self.sinks()?;
            let mut statement = self
                .sql
                .prepare_cached(&format!(
                    "SELECT {MESSAGE}, {BODIES}, outbox.id, outbox.attempts, outbox.records
                     FROM outbox JOIN message ON message.id = outbox.message
                     WHERE outbox.sink = ?1 AND outbox.state = 'pending' ORDER BY outbox.id"
                ))
                .map_err(failed)?;
            let mut rows = statement.query([sink]).map_err(failed)?;
            let mut batch = Batch::default();
            let mut bytes = 0;
            while batch.deliveries.len() < deliveries_max && bytes < BATCH_RAW_BYTES_MAX {
                let Some(row) = rows.next().map_err(failed)? else { break };
                match self.delivery_of(row, sink, &sinks) {
                    Ok(delivery) => {
                        bytes += delivery.raw.len();
                        batch.deliveries.push(delivery);
                    }
                    Err(StoreError::Failed { action, reason }) => {
                        return Err(StoreError::Failed { action, reason });
                    }
                    Err(error) => batch.damaged.push(Damage {
                        table: "message",
                        row: row.get(0).map_err(failed)?,
                        reason: error.to_string(),
                    }),
                }
            }
            Ok(batch)
        })
    }

    fn delivery_of(&self, row: &Row<'_>, sink: &str, sinks: &[String]) -> Result<Delivery, StoreError> {
        let message = RawMessage::read(row)?;
        let decoded = decoded_of(&message.decoded)?;
        let records: Option<String> = row.get(BODIES_AT + 6).map_err(failed)?;
        let repeated = numbers_of(&message.repeated_records)?;
        let observations = match records {
            Some(records) => {
                let records = numbers_of(&records)?;
                decoded
                    .outcomes
                    .iter()
                    .map(|outcome| &outcome.observation)
                    .filter(|observation| records.contains(&observation.record))
                    .cloned()
                    .collect()
            }
            None => decoded
                .outcomes
                .iter()
                .filter(|outcome| outcome.disposition == Disposition::Deliver)
                .map(|outcome| &outcome.observation)
                .filter(|observation| !repeated.contains(&observation.record))
                .cloned()
                .collect(),
        };
        Ok(Delivery {
            id: row.get(BODIES_AT + 4).map_err(failed)?,
            sink: sink.to_owned(),
            attempts: row.get(BODIES_AT + 5).map_err(failed)?,
            quarantine: self.items_of(&message, &decoded)?,
            message: self.summarize(&message, sinks)?,
            raw: message.raw,
            observations,
        })
    }

    /// Messages, in the order of receipt.
    ///
    /// # Errors
    /// As every read.
    pub fn messages(&self, filter: &MessageFilter) -> Result<Vec<MessageSummary>, StoreError> {
        self.snapshot(|| {
            let sinks = self.sinks()?;
            let (after, order) = match filter.after_row {
                Some(after) => (after, "ASC"),
                None => (0, "DESC"),
            };
            let mut statement = self
                .sql
                .prepare(&format!(
                    "SELECT {MESSAGE} FROM message
                     WHERE id > ?1 AND (?2 IS NULL OR connection = ?2) ORDER BY id {order} LIMIT ?3"
                ))
                .map_err(failed)?;
            let mut rows = statement
                .query(params![after, filter.connection, limit(filter.messages_max)])
                .map_err(failed)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next().map_err(failed)? {
                found.push(self.summarize(&RawMessage::head(row)?, &sinks)?);
            }
            if filter.after_row.is_none() {
                found.reverse();
            }
            Ok(found)
        })
    }

    /// One message with everything stored of it.
    ///
    /// # Errors
    /// As every read.
    pub fn message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        self.snapshot(|| {
            let sinks = self.sinks()?;
            let mut statement = self
                .sql
                .prepare(&format!("SELECT {MESSAGE}, {BODIES} FROM message WHERE uuid = ?1"))
                .map_err(failed)?;
            let mut rows = statement.query([id.0.as_bytes().as_slice()]).map_err(failed)?;
            let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
            let message = RawMessage::read(row)?;
            Ok(Some(StoredMessage {
                summary: self.summarize(&message, &sinks)?,
                decoded: decoded_of(&message.decoded)?,
                raw: message.raw,
            }))
        })
    }

    /// Observations of result messages, in the order of receipt; those of a message that was
    /// resumed are with the message that continued it.
    ///
    /// # Errors
    /// As every read.
    pub fn results(&self, filter: &ResultFilter) -> Result<Vec<StoredResult>, StoreError> {
        self.snapshot(|| {
            let mut statement = self
                .sql
                .prepare(&format!(
                    "SELECT {MESSAGE}, {BODIES} FROM message WHERE id IN (
                       SELECT id FROM message WHERE kind = 'results' AND state <> 'resumed'
                         AND (?1 IS NULL OR connection = ?1)
                         AND (?2 IS NULL OR id IN (SELECT message FROM message_specimen WHERE specimen_id = ?2))
                       ORDER BY id DESC LIMIT ?3) ORDER BY id"
                ))
                .map_err(failed)?;
            let mut rows = statement
                .query(params![filter.connection, filter.specimen_id, limit(filter.messages_max)])
                .map_err(failed)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next().map_err(failed)? {
                self.add_results(&RawMessage::read(row)?, filter, &mut found)?;
            }
            Ok(found)
        })
    }

    fn add_results(
        &self,
        message: &RawMessage,
        filter: &ResultFilter,
        found: &mut Vec<StoredResult>,
    ) -> Result<(), StoreError> {
        let decoded = decoded_of(&message.decoded)?;
        let states = self.observation_states(message, &decoded)?;
        for (outcome, state) in decoded.outcomes.into_iter().zip(states) {
            if filter.specimen_id.is_some() && filter.specimen_id != outcome.observation.specimen_id {
                continue;
            }
            found.push(StoredResult {
                tenant: message.tenant.clone(),
                connection: message.connection.clone(),
                driver: message.driver.clone(),
                driver_version: message.driver_version.clone(),
                message_id: message.id,
                at: message.at,
                possible_repeat: message.possible_repeat,
                observation: outcome.observation,
                state,
            });
        }
        Ok(())
    }

    /// Where each observation of a message stands, in their order.
    fn observation_states(
        &self,
        message: &RawMessage,
        decoded: &DecodedMessage,
    ) -> Result<Vec<ObservationState>, StoreError> {
        let repeated = numbers_of(&message.repeated_records)?;
        let mut waiting: Vec<Option<Vec<usize>>> = Vec::new();
        let mut statement = self
            .sql
            .prepare_cached("SELECT records FROM outbox WHERE message = ?1 AND state = 'pending'")
            .map_err(failed)?;
        let mut rows = statement.query([message.row]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let records: Option<String> = row.get(0).map_err(failed)?;
            waiting.push(records.map(|records| numbers_of(&records)).transpose()?);
        }
        let mut held: BTreeMap<usize, Vec<QuarantineItem>> = BTreeMap::new();
        for item in self.items_of(message, decoded)? {
            held.entry(item.record).or_default().push(item);
        }
        Ok(decoded
            .outcomes
            .iter()
            .map(|outcome| {
                let record = outcome.observation.record;
                let items = held.get(&record).map_or(&[][..], Vec::as_slice);
                if let Some(item) = items.iter().find(|item| item.state == QuarantineState::Open) {
                    return ObservationState::Held { code: item.code.clone(), reason: item.reason.clone() };
                }
                let is_released = items.iter().any(|item| item.state == QuarantineState::Released);
                let named = |records: &Option<Vec<usize>>| {
                    records.as_ref().map_or(outcome.disposition == Disposition::Deliver, |records| {
                        records.contains(&record)
                    })
                };
                let on_its_way = || {
                    if waiting.iter().any(named) {
                        ObservationState::Pending
                    } else {
                        ObservationState::Delivered
                    }
                };
                if message.state == RowState::Incomplete
                    && !matches!(outcome.disposition, Disposition::Ignore { .. })
                {
                    return ObservationState::Held {
                        code: "incomplete".to_owned(),
                        reason: "the message broke off; its repetition or continuation may still come"
                            .to_owned(),
                    };
                }
                if is_released {
                    return on_its_way();
                }
                if items.iter().any(|item| item.state == QuarantineState::Discarded) {
                    return ObservationState::Discarded;
                }
                if matches!(message.state, RowState::Duplicate | RowState::Resumed)
                    || repeated.contains(&record)
                {
                    return ObservationState::Duplicate;
                }
                match &outcome.disposition {
                    Disposition::Ignore { rule } => ObservationState::Ignored { rule: rule.clone() },
                    _ => on_its_way(),
                }
            })
            .collect())
    }

    /// Held observations, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub fn quarantine(&self, filter: &QuarantineFilter) -> Result<Vec<QuarantineItem>, StoreError> {
        self.snapshot(|| {
            let ids: Vec<i64> = self
                .sql
                .prepare(
                    "SELECT id FROM quarantine WHERE (?1 OR state = 'open') AND (?2 IS NULL OR connection = ?2)
                       AND (?3 IS NULL OR code = ?3) ORDER BY id LIMIT ?4",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map(
                            params![filter.decided, filter.connection, filter.code, limit(filter.items_max)],
                            |row| row.get(0),
                        )?
                        .collect()
                })
                .map_err(failed)?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.extend(self.item(id)?);
            }
            Ok(found)
        })
    }

    /// One held observation.
    ///
    /// # Errors
    /// As every read.
    pub fn quarantine_item(&self, id: i64) -> Result<Option<QuarantineItem>, StoreError> {
        self.snapshot(|| self.item(id))
    }

    fn item(&self, id: i64) -> Result<Option<QuarantineItem>, StoreError> {
        let message: Option<i64> = self
            .sql
            .prepare_cached("SELECT message FROM quarantine WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
            .map_err(failed)?;
        let Some(message) = message else { return Ok(None) };
        let mut statement = self
            .sql
            .prepare_cached(&format!("SELECT {MESSAGE}, {BODIES} FROM message WHERE id = ?1"))
            .map_err(failed)?;
        let mut rows = statement.query([message]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let message = RawMessage::read(row)?;
        let decoded = decoded_of(&message.decoded)?;
        Ok(self.items_of(&message, &decoded)?.into_iter().find(|item| item.id == id))
    }

    /// Everything of a message that is or was in quarantine.
    fn items_of(
        &self,
        message: &RawMessage,
        decoded: &DecodedMessage,
    ) -> Result<Vec<QuarantineItem>, StoreError> {
        let mut statement = self
            .sql
            .prepare_cached(
                "SELECT id, record, code, reason, state, sink, held_ms, decided_ms, decided_by, decided_reason
                 FROM quarantine WHERE message = ?1 ORDER BY id",
            )
            .map_err(failed)?;
        statement
            .query_map([message.row], |row| {
                let record = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                let word: String = row.get(4)?;
                Ok(QuarantineItem {
                    id: row.get(0)?,
                    tenant: message.tenant.clone(),
                    connection: message.connection.clone(),
                    driver: message.driver.clone(),
                    message_id: message.id,
                    record,
                    code: row.get(2)?,
                    reason: row.get(3)?,
                    state: QuarantineState::from_word(&word).ok_or(rusqlite::Error::InvalidColumnType(
                        4,
                        word,
                        rusqlite::types::Type::Text,
                    ))?,
                    sink: row.get(5)?,
                    held_ms: row.get(6)?,
                    decided_ms: row.get(7)?,
                    decided_by: row.get(8)?,
                    decided_reason: row.get(9)?,
                    observation: observation_of(decoded, record),
                })
            })
            .and_then(Iterator::collect)
            .map_err(failed)
    }

    /// Counts for status and metrics.
    ///
    /// # Errors
    /// As every read.
    pub fn status(&self) -> Result<Status, StoreError> {
        self.snapshot(|| {
            let mut status = Status::default();
            for name in self.names("SELECT name FROM connection")? {
                let last_message_ms = self
                    .sql
                    .prepare_cached(
                        "SELECT wall_ms FROM message WHERE connection = ?1 ORDER BY sequence DESC LIMIT 1",
                    )
                    .and_then(|mut statement| statement.query_row([&name], |row| row.get(0)).optional())
                    .map_err(failed)?;
                status
                    .connections
                    .insert(name, ConnectionStatus { last_message_ms, ..ConnectionStatus::default() });
            }
            let mut delivered: BTreeMap<String, u64> = BTreeMap::new();
            for ((connection, sink), (messages, observations)) in recount::counters(&self.sql)? {
                let entry = status.connections.entry(connection).or_default();
                entry.messages = unsigned(messages.received);
                entry.observations = unsigned(observations.received);
                entry.incomplete = unsigned(messages.standing.incomplete);
                entry.duplicates = unsigned(messages.standing.duplicate);
                entry.held = entry.held.max(unsigned(messages.standing.held));
                entry.held_observations = entry.held_observations.max(unsigned(observations.standing.held));
                *delivered.entry(sink).or_default() += unsigned(messages.standing.delivered);
            }
            for (connection, tallies) in recount::tallies(&self.sql)? {
                status.connections.entry(connection).or_default().tallies =
                    tallies.into_iter().map(|(tally, count)| (tally, unsigned(count))).collect();
            }
            for sink in self.sinks()? {
                let mut entry = self.backlog_of(&sink)?;
                entry.delivered = delivered.get(&sink).copied().unwrap_or(0);
                status.sinks.insert(sink, entry);
            }
            status.open_frames = self.number("SELECT count(*) FROM frame")?;
            status.database_bytes = self.number("PRAGMA page_count")? * self.number("PRAGMA page_size")?;
            Ok(status)
        })
    }

    fn backlog_of(&self, sink: &str) -> Result<SinkStatus, StoreError> {
        let mut status = self
            .sql
            .prepare_cached(
                "SELECT count(*), coalesce(sum(observations), 0), min(created_ms) FROM outbox
                 WHERE sink = ?1 AND state = 'pending'",
            )
            .and_then(|mut statement| {
                statement.query_row([sink], |row| {
                    Ok(SinkStatus {
                        backlog: unsigned(row.get(0)?),
                        backlog_observations: unsigned(row.get(1)?),
                        oldest_ms: row.get(2)?,
                        ..SinkStatus::default()
                    })
                })
            })
            .map_err(failed)?;
        status.last_error = self
            .sql
            .prepare_cached(
                "SELECT last_error FROM outbox WHERE sink = ?1 AND state = 'pending' ORDER BY id LIMIT 1",
            )
            .and_then(|mut statement| statement.query_row([sink], |row| row.get(0)).optional())
            .map_err(failed)?
            .flatten();
        Ok(status)
    }

    /// The counters, without the check.
    ///
    /// # Errors
    /// As every read.
    pub fn ledger_counters(&self) -> Result<Ledger, StoreError> {
        self.snapshot(|| recount::ledger(&self.sql))
    }

    /// The ledger, computed again from every stored row and compared. Reads the whole spool.
    ///
    /// # Errors
    /// As every read.
    pub fn ledger(&self) -> Result<Ledger, StoreError> {
        self.snapshot(|| recount::checked(&self.sql, &self.sinks()?))
    }

    /// Reads every record and names those that are not as they were written.
    ///
    /// # Errors
    /// As every read.
    pub fn verify(&self) -> Result<Vec<Damage>, StoreError> {
        self.snapshot(|| {
            let mut found = Vec::new();
            let mut note = |table, row, result: Result<(), StoreError>| match result {
                Err(error @ StoreError::Failed { .. }) => Err(error),
                Err(error) => {
                    found.push(Damage { table, row, reason: error.to_string() });
                    Ok(())
                }
                Ok(()) => Ok(()),
            };
            let mut statement = self
                .sql
                .prepare(
                    "SELECT connection, transmission, id, format, tenant, sequence, key, checksum,
                       monotonic_ns, wall_ms, number, ends_chain, body FROM frame ORDER BY id",
                )
                .map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                let connection: String = row.get(0).map_err(failed)?;
                let transmission = row.get(1).map_err(failed)?;
                let result = frame_of(row, &connection, transmission).map(drop);
                note("frame", row.get(2).map_err(failed)?, result)?;
            }
            let mut statement = self
                .sql
                .prepare(&format!("SELECT {MESSAGE}, {BODIES} FROM message ORDER BY id"))
                .map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                note("message", row.get(0).map_err(failed)?, RawMessage::read(row).map(drop))?;
            }
            Ok(found)
        })
    }

    fn names(&self, statement: &str) -> Result<Vec<String>, StoreError> {
        self.sql
            .prepare_cached(statement)
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .map_err(failed)
    }

    fn number(&self, statement: &str) -> Result<u64, StoreError> {
        self.sql.query_row(statement, [], |row| row.get(0)).map(unsigned).map_err(failed)
    }

    /// Every sink that the spool keeps accounts for.
    fn sinks(&self) -> Result<Vec<String>, StoreError> {
        database::known_sinks(&self.sql)
    }

    fn summarize(&self, message: &RawMessage, sinks: &[String]) -> Result<MessageSummary, StoreError> {
        Ok(MessageSummary {
            row: message.row,
            id: message.id,
            tenant: message.tenant.clone(),
            connection: message.connection.clone(),
            sequence: message.sequence,
            at: message.at,
            transmission: unsigned(message.transmission),
            driver: message.driver.clone(),
            driver_version: message.driver_version.clone(),
            kind: message.kind,
            state: self.state_of(message.row, sinks)?,
            control_id: message.control_id.clone(),
            possible_repeat: message.possible_repeat,
            duplicate_of: message.duplicate_of,
            observations: unsigned(message.observations),
            held: self
                .sql
                .prepare_cached("SELECT count(*) FROM quarantine WHERE message = ?1 AND state = 'open'")
                .and_then(|mut statement| statement.query_row([message.row], |row| row.get(0)))
                .map(unsigned)
                .map_err(failed)?,
            raw_bytes: unsigned(message.raw_bytes),
        })
    }

    fn state_of(&self, message: i64, sinks: &[String]) -> Result<MessageState, StoreError> {
        let facts: Facts = standing::facts(&self.sql, message)
            .map_err(failed)?
            .ok_or_else(|| StoreError::not_found("the message is gone"))?;
        let at_sinks: Vec<standing::AtSink> = sinks
            .iter()
            .map(|sink| standing::at_sink(&self.sql, message, sink))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        Ok(standing::message_state(&facts, &at_sinks))
    }
}

fn observation_of(decoded: &DecodedMessage, record: usize) -> Observation {
    decoded
        .outcomes
        .iter()
        .map(|outcome| &outcome.observation)
        .find(|observation| observation.record == record)
        .cloned()
        .unwrap_or_else(|| Observation { record, ..Observation::default() })
}

/// Reads a frame whose columns follow connection and transmission, and verifies it.
fn frame_of(row: &Row<'_>, connection: &str, transmission: i64) -> Result<FrameRecord, StoreError> {
    let read = || -> rusqlite::Result<(i64, String, Header<'_>, Vec<u8>, FrameRecord)> {
        let at = Stamp { monotonic_ns: unsigned(row.get(8)?), wall_ms: row.get(9)? };
        let header = Header {
            format: row.get(3)?,
            tenant: "",
            connection,
            sequence: row.get(5)?,
            key: row.get(6)?,
            at,
        };
        let frame = FrameRecord { number: row.get(10)?, ends_chain: row.get(11)?, bytes: row.get(12)?, at };
        Ok((row.get(2)?, row.get(4)?, header, row.get(7)?, frame))
    };
    let (id, tenant, header, checksum, frame) = read().map_err(failed)?;
    let parts = frame_parts(transmission, frame.number, frame.ends_chain);
    Header { tenant: &tenant, ..header }.verify("frame", id, &checksum, &[&parts, &frame.bytes])?;
    Ok(frame)
}

/// A message row as stored.
struct RawMessage {
    row: i64,
    id: MessageId,
    tenant: String,
    connection: String,
    sequence: i64,
    at: Stamp,
    transmission: i64,
    driver: String,
    driver_version: String,
    control_id: Option<String>,
    kind: MessageKind,
    state: RowState,
    possible_repeat: bool,
    duplicate_of: Option<MessageId>,
    observations: i64,
    raw_bytes: i64,
    raw: Vec<u8>,
    decoded: Vec<u8>,
    repeated_records: String,
}

impl RawMessage {
    /// Reads [`MESSAGE`] alone.
    fn head(row: &Row<'_>) -> Result<Self, StoreError> {
        let read = || -> rusqlite::Result<Self> {
            let kind: String = row.get(14)?;
            let duplicate_of: Option<[u8; 16]> = row.get(17)?;
            Ok(Self {
                row: row.get(0)?,
                id: message_id(row, 1)?,
                tenant: row.get(3)?,
                connection: row.get(4)?,
                sequence: row.get(5)?,
                at: Stamp { monotonic_ns: unsigned(row.get(8)?), wall_ms: row.get(9)? },
                transmission: row.get(10)?,
                driver: row.get(11)?,
                driver_version: row.get(12)?,
                control_id: row.get(13)?,
                kind: kind_of(&kind).ok_or(rusqlite::Error::InvalidColumnType(
                    14,
                    kind,
                    rusqlite::types::Type::Text,
                ))?,
                state: RowState::from_column(row, 15)?,
                possible_repeat: row.get(16)?,
                duplicate_of: duplicate_of.map(|bytes| MessageId(uuid::Uuid::from_bytes(bytes))),
                observations: row.get(18)?,
                raw_bytes: row.get(19)?,
                raw: Vec::new(),
                decoded: Vec::new(),
                repeated_records: String::new(),
            })
        };
        read().map_err(failed)
    }

    /// Reads [`MESSAGE`] and [`BODIES`] and verifies the checksum.
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let mut message = Self::head(row)?;
        let (format, key): (i64, i64) = (column(row, 2)?, column(row, 6)?);
        let checksum: Vec<u8> = column(row, 7)?;
        let identity: Option<Vec<u8>> = column(row, BODIES_AT + 2)?;
        message.raw = column(row, BODIES_AT)?;
        message.decoded = column(row, BODIES_AT + 1)?;
        message.repeated_records = column(row, BODIES_AT + 3)?;
        let header = Header {
            format,
            tenant: &message.tenant,
            connection: &message.connection,
            sequence: message.sequence,
            key,
            at: message.at,
        };
        header.verify(
            "message",
            message.row,
            &checksum,
            &message_parts(
                &message.transmission.to_le_bytes(),
                &message.id,
                &message.driver,
                &message.driver_version,
                &message.raw,
                &message.decoded,
                identity.as_deref(),
            ),
        )?;
        Ok(message)
    }
}
