//! Lists for people and commands: messages, results, quarantine.

use std::collections::BTreeMap;

use labwire_model::{DecodedMessage, Disposition};
use rusqlite::{OptionalExtension, params};

use crate::persist::decoded_of;
use crate::read::Reader;
use crate::rows::{BODIES, MESSAGE, RawMessage, failed, observation_of};
use crate::standing::RowState;
use crate::transaction::numbers_of;
use crate::view::{
    MessageFilter, MessageSummary, ObservationState, QuarantineFilter, QuarantineItem, QuarantineState,
    ResultFilter, StoredMessage, StoredResult,
};
use crate::{MessageId, StoreError};

/// Rows that a list gives when its filter names no number.
pub const ROWS_DEFAULT: usize = 1_000;

fn limit(rows_max: usize) -> i64 {
    i64::try_from(if rows_max == 0 { ROWS_DEFAULT } else { rows_max }).unwrap_or(i64::MAX)
}

impl Reader {
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
                     WHERE id > ?1 AND (?2 IS NULL OR connection = ?2)
                       AND (?4 IS NULL OR id IN (SELECT message FROM message_specimen WHERE specimen_id = ?4))
                     ORDER BY id {order} LIMIT ?3"
                ))
                .map_err(failed)?;
            let mut rows = statement
                .query(params![after, filter.connection, limit(filter.messages_max), filter.specimen_id])
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

    /// Observations of one message with where each stands; none when there is no such message.
    ///
    /// # Errors
    /// As every read.
    pub fn results_of(&self, id: MessageId) -> Result<Vec<StoredResult>, StoreError> {
        self.snapshot(|| {
            let mut statement = self
                .sql
                .prepare(&format!("SELECT {MESSAGE}, {BODIES} FROM message WHERE uuid = ?1"))
                .map_err(failed)?;
            let mut rows = statement.query([id.0.as_bytes().as_slice()]).map_err(failed)?;
            let mut found = Vec::new();
            if let Some(row) = rows.next().map_err(failed)? {
                self.add_results(&RawMessage::read(row)?, &ResultFilter::default(), &mut found)?;
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
                // What was released may have been refused by the sink and held again: the latest
                // decision counts.
                let decided = items.iter().max_by_key(|item| item.id).map(|item| item.state);
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
                match decided {
                    Some(QuarantineState::Released) => return on_its_way(),
                    Some(QuarantineState::Discarded) => return ObservationState::Discarded,
                    _ => {}
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
    pub(crate) fn items_of(
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
}
