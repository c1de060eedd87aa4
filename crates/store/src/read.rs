//! Reads: over a connection of their own, beside the writer or alone. Here is what the daemon
//! works with; lists are in `browse`, counts and checks in `inspect`.

use std::path::Path;
use std::sync::Arc;

use labwire_model::Disposition;
use rusqlite::{Connection, Row};

use crate::lock::Lock;
use crate::persist::decoded_of;
use crate::rows::{BODIES, BODIES_AT, MESSAGE, RawMessage, failed, frame_of};
use crate::seal::unsigned;
use crate::standing::{self, Facts};
use crate::transaction::numbers_of;
use crate::view::{
    Batch, Damage, Delivery, IncompleteMessage, MessageState, MessageSummary, OpenTransmission,
};
use crate::{StoreError, database};

/// Bytes of raw messages in one batch of deliveries; a single larger one goes alone.
pub const BATCH_RAW_BYTES_MAX: usize = 8 << 20;
/// Damaged messages that a batch names.
const DAMAGED_MAX: usize = 1_000;
/// Incomplete messages that are read for a connection: those of years pile up.
const INCOMPLETES_MAX: usize = 64;
/// Bytes of incomplete messages that are read for a connection, but for a single larger one.
const INCOMPLETES_BYTES_MAX: usize = 8 << 20;

/// A reading connection. Its reads block on the disk; each sees one consistent state.
pub struct Reader {
    pub(crate) sql: Connection,
    _lock: Arc<Lock>,
}

impl Reader {
    pub(crate) fn open(path: &Path, lock: Arc<Lock>) -> Result<Self, StoreError> {
        Ok(Self { sql: database::open_for_reading(path)?, _lock: lock })
    }

    /// Reads from one consistent state.
    pub(crate) fn snapshot<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
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

    /// Hands over the receptions that had not ended, one after the other, for the session to close: no more
    /// than one is in memory. One with a damaged frame stays in the spool as it is and is told to the log;
    /// the others are given.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; what was handed over before it stays so.
    pub fn each_open_transmission(&self, mut take: impl FnMut(OpenTransmission)) -> Result<(), StoreError> {
        let mut statement = self
            .sql
            .prepare(
                "SELECT connection, transmission, id, format, tenant, sequence, key, checksum, monotonic_ns,
                   wall_ms, number, ends_chain, body FROM frame ORDER BY connection, transmission, id",
            )
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut open: Option<OpenTransmission> = None;
        let mut is_damaged = false;
        while let Some(row) = rows.next().map_err(failed)? {
            let connection: String = row.get(0).map_err(failed)?;
            let number: i64 = row.get(1).map_err(failed)?;
            let frame = match frame_of(row, &connection, number) {
                Err(error @ StoreError::Failed { .. }) => return Err(error),
                frame => frame,
            };
            let transmission = unsigned(number);
            let is_same =
                |open: &OpenTransmission| open.connection == connection && open.transmission == transmission;
            if !open.as_ref().is_some_and(is_same) {
                let begun = OpenTransmission { connection, transmission, frames: Vec::new() };
                if let Some(ended) = open.replace(begun).filter(|_| !is_damaged) {
                    take(ended);
                }
                is_damaged = false;
            }
            match (frame, &mut open) {
                (Ok(frame), Some(open)) if !is_damaged => open.frames.push(frame),
                (Ok(_), _) => {}
                (Err(error), open) => {
                    tell_damage(&error);
                    is_damaged = true;
                    open.iter_mut().for_each(|open| open.frames.clear());
                }
            }
        }
        if let Some(last) = open.filter(|_| !is_damaged) {
            take(last);
        }
        Ok(())
    }

    /// The newest incomplete messages of a connection that a later message may still settle, oldest
    /// first; as many as memory may hold. A damaged one is told to the log and left out.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn incompletes(&self, connection: &str) -> Result<Vec<IncompleteMessage>, StoreError> {
        let mut statement = self
            .sql
            .prepare(&format!(
                "SELECT {MESSAGE}, {BODIES}, expired_ms IS NOT NULL, EXISTS (
                   SELECT 1 FROM message AS later WHERE later.connection = message.connection
                     AND later.sequence > message.sequence AND later.identity IS NOT NULL)
                 FROM message WHERE connection = ?1 AND identity IS NULL AND state IN ('incomplete', 'filed')
                 ORDER BY id DESC"
            ))
            .map_err(failed)?;
        let mut rows = statement.query([connection]).map_err(failed)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while found.len() < INCOMPLETES_MAX && bytes < INCOMPLETES_BYTES_MAX {
            let Some(row) = rows.next().map_err(failed)? else { break };
            let message = match RawMessage::read(row) {
                Ok(message) => message,
                Err(error @ StoreError::Failed { .. }) => return Err(error),
                Err(error) => {
                    tell_damage(&error);
                    continue;
                }
            };
            bytes += message.raw.len();
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
        found.reverse();
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
                    Err(_) if batch.damaged.len() >= DAMAGED_MAX => {}
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

    /// Every sink that the spool keeps accounts for.
    pub(crate) fn sinks(&self) -> Result<Vec<String>, StoreError> {
        database::known_sinks(&self.sql)
    }

    pub(crate) fn summarize(
        &self,
        message: &RawMessage,
        sinks: &[String],
    ) -> Result<MessageSummary, StoreError> {
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

/// The error names table and row and holds no patient data.
fn tell_damage(error: &StoreError) {
    tracing::error!(event = "spool_record_damaged", %error, "it stays in the spool for a person to look at");
}
