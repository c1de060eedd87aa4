//! Bringing messages of the spool into the LIS database.

use labwire_model::Observation;
use labwire_store::{Delivery, MessageState, QuarantineItem, Stamp};
use rusqlite::{Connection, ErrorCode, params};

use crate::{LisDatabase, SinkError};

/// What became of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// [`Delivery::id`].
    pub id: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the database.
    Filed {
        /// Result rows that were added; 0 when all were there.
        added: usize,
    },
    /// The database will never take it as it is: hold it for a person.
    Refused {
        /// Stable kebab-case code.
        code: &'static str,
        /// One sentence, no patient data.
        reason: String,
    },
}

/// Milliseconds since 1970 as RFC 3339 text in UTC, by the database's own means.
macro_rules! utc {
    ($parameter:literal) => {
        concat!(
            "strftime('%Y-%m-%dT%H:%M:%S', ",
            $parameter,
            " / 1000, 'unixepoch') || printf('.%03dZ', ",
            $parameter,
            " % 1000)"
        )
    };
}

impl LisDatabase {
    /// Delivers a batch in one transaction: when this returns `Ok`, every outcome in it is durable.
    ///
    /// # Errors
    /// When the database takes nothing: nothing of the batch was delivered.
    pub fn deliver(&mut self, batch: &[Delivery]) -> Result<Vec<Delivered>, SinkError> {
        let now_ms = Stamp::now().wall_ms;
        self.in_place()?;
        let delivered = self.transact(|sql| {
            batch
                .iter()
                .map(|delivery| Ok(Delivered { id: delivery.id, outcome: try_one(sql, delivery, now_ms)? }))
                .collect()
        })?;
        // Committed into a file that was taken away meanwhile is not delivered: the next try goes to the
        // one that stands there, and a row that both have counts once in each.
        self.in_place()?;
        Ok(delivered)
    }
}

/// Delivers one message, or takes back what it wrote of it and says why.
fn try_one(sql: &Connection, delivery: &Delivery, now_ms: i64) -> rusqlite::Result<Outcome> {
    sql.execute_batch("SAVEPOINT delivery")?;
    match deliver_one(sql, delivery, now_ms) {
        Ok(added) => {
            sql.execute_batch("RELEASE delivery")?;
            Ok(Outcome::Filed { added })
        }
        Err(error) => match refusal(&error) {
            Some(reason) => {
                sql.execute_batch("ROLLBACK TO delivery; RELEASE delivery")?;
                Ok(Outcome::Refused { code: "refused-by-sink", reason })
            }
            None => Err(error),
        },
    }
}

/// Why this delivery alone cannot be taken; `None` when it is about the whole database.
fn refusal(error: &rusqlite::Error) -> Option<String> {
    match error.sqlite_error_code()? {
        // SQLite's text may be that of a trigger of the LIS, which may quote a value.
        ErrorCode::ConstraintViolation => {
            Some("a constraint or trigger of the LIS database refuses the row".to_owned())
        }
        ErrorCode::TooBig => Some("the message is larger than a row of the LIS database can be".to_owned()),
        ErrorCode::TypeMismatch => Some("a column of the LIS database has another type".to_owned()),
        _ => None,
    }
}

fn deliver_one(sql: &Connection, delivery: &Delivery, now_ms: i64) -> rusqlite::Result<usize> {
    copy_message(sql, delivery)?;
    for item in &delivery.quarantine {
        copy_item(sql, item)?;
    }
    let mut added = 0;
    for observation in &delivery.observations {
        added += add_result(sql, delivery, observation, now_ms)?;
    }
    Ok(added)
}

/// Adds one result and queues it, unless its key is there: then nothing happens.
fn add_result(
    sql: &Connection,
    delivery: &Delivery,
    observation: &Observation,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    let message = &delivery.message;
    let added = sql
        .prepare_cached(concat!(
            "INSERT INTO result(tenant, message_id, record, connection, driver, driver_version, kind,
               specimen_id, patient_id, analyzer_test, lis_test, test_name, loinc, value, text, comparator,
               number, unit, ucum, flags, status, status_sent, reference_range, observed_at,
               observed_at_verbatim, operator, instrument, reagent, comments, possible_repeat,
               sub_id, isolate, organism, organism_name, converted_number, converted_ucum,
               received_at, delivered_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
               ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35,
               ?36, ",
            utc!("?37"),
            ", ",
            utc!("?38"),
            ")
             ON CONFLICT(tenant, message_id, record) DO NOTHING"
        ))?
        .execute(params![
            message.tenant,
            message.id.to_string(),
            i64::try_from(observation.record).unwrap_or(i64::MAX),
            message.connection,
            message.driver,
            message.driver_version,
            observation.kind.as_str(),
            observation.specimen_id,
            observation.patient_id,
            observation.analyzer_test,
            observation.lis_test,
            observation.test_name,
            observation.loinc,
            observation.value,
            observation.text,
            observation.comparator.map(|comparator| comparator.as_str()),
            observation.number,
            observation.unit,
            observation.ucum,
            json(&observation.flags)?,
            observation.status.map(|status| word(&status)).transpose()?,
            observation.status_sent,
            observation.reference_range,
            observation.observed_at,
            observation.observed_at_verbatim,
            observation.operator,
            observation.instrument,
            observation.reagent,
            json(&observation.comments)?,
            message.possible_repeat,
            observation.sub_id,
            observation.isolate,
            observation.organism,
            observation.organism_name,
            observation.converted_number,
            observation.converted_ucum,
            message.at.wall_ms,
            now_ms
        ])?;
    if added == 1 {
        sql.prepare_cached("INSERT INTO result_queue(result, kind) VALUES (last_insert_rowid(), ?1)")?
            .execute([observation.kind.as_str()])?;
    }
    Ok(added)
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The word that an enum of the model is written as.
fn word(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    Ok(json(value)?.trim_matches('"').to_owned())
}

/// Where the message stands as this database sees it, once this delivery is in it.
fn state_here(state: MessageState) -> &'static str {
    match state {
        MessageState::Pending => MessageState::Delivered.as_str(),
        other => other.as_str(),
    }
}

fn copy_message(sql: &Connection, delivery: &Delivery) -> rusqlite::Result<()> {
    let message = &delivery.message;
    sql.prepare_cached(concat!(
        "INSERT INTO message(tenant, message_id, connection, sequence, driver, driver_version, state,
           control_id, possible_repeat, duplicate_of, observations, held, raw, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ",
        utc!("?14"),
        ")
         ON CONFLICT(tenant, message_id) DO UPDATE SET
           state = excluded.state, duplicate_of = excluded.duplicate_of, held = excluded.held"
    ))?
    .execute(params![
        message.tenant,
        message.id.to_string(),
        message.connection,
        message.sequence,
        message.driver,
        message.driver_version,
        state_here(message.state),
        message.control_id,
        message.possible_repeat,
        message.duplicate_of.map(|id| id.to_string()),
        i64::try_from(message.observations).unwrap_or(i64::MAX),
        i64::try_from(message.held).unwrap_or(i64::MAX),
        delivery.raw,
        message.at.wall_ms
    ])?;
    Ok(())
}

fn copy_item(sql: &Connection, item: &QuarantineItem) -> rusqlite::Result<()> {
    sql.prepare_cached(concat!(
        "INSERT INTO quarantine(tenant, item, message_id, record, connection, driver, code, reason, state,
           kind, specimen_id, analyzer_test, value, unit, decided_by, decided_reason, held_at, decided_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ",
        utc!("?17"),
        ", ",
        utc!("?18"),
        ")
         ON CONFLICT(tenant, item) DO UPDATE SET state = excluded.state, decided_at = excluded.decided_at,
           decided_by = excluded.decided_by, decided_reason = excluded.decided_reason"
    ))?
    .execute(params![
        item.tenant,
        item.id,
        item.message_id.to_string(),
        i64::try_from(item.record).unwrap_or(i64::MAX),
        item.connection,
        item.driver,
        item.code,
        item.reason,
        item.state.as_str(),
        item.observation.kind.as_str(),
        item.observation.specimen_id,
        item.observation.analyzer_test,
        item.observation.value,
        item.observation.unit,
        item.decided_by,
        item.decided_reason,
        item.held_ms,
        item.decided_ms
    ])?;
    Ok(())
}
