//! The open transaction as the requests see it: settings, sequence, ledger movements.

use rusqlite::{Connection, OptionalExtension, params};

use crate::StoreError;
use crate::error::{Severity, severity};
use crate::ledger::Standing;
use crate::record::{MessageId, Stamp, Tally};
use crate::seal::{Header, KEY_CLEAR, RECORD_FORMAT};
use crate::spool::Options;
use crate::standing::{self, Contribution};

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// SQLite's doing.
    Sqlite(rusqlite::Error),
    /// Ours: the request is wrong.
    Store(StoreError),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Refusal {
    pub(crate) fn severity(&self) -> Severity {
        match self {
            Self::Sqlite(error) => severity(error),
            Self::Store(_) => Severity::Request,
        }
    }

    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Sqlite(error) => match severity(&error) {
                Severity::Full => StoreError::Full,
                Severity::File => StoreError::Latched { reason: error.to_string() },
                Severity::Request => StoreError::failed("store the request", &error),
            },
            Self::Store(error) => error,
        }
    }
}

/// The open transaction.
pub(crate) struct Transaction<'c> {
    pub(crate) sql: &'c Connection,
    pub(crate) options: &'c Options,
    /// The last row that an earlier run of the daemon gave a message.
    pub(crate) rows_before: i64,
}

impl Transaction<'_> {
    /// The next number of the connection's sequence of records.
    pub(crate) fn next_sequence(&self, connection: &str) -> rusqlite::Result<i64> {
        self.sql
            .prepare_cached(
                "INSERT INTO connection(name, sequence) VALUES (?1, 1)
                 ON CONFLICT(name) DO UPDATE SET sequence = sequence + 1 RETURNING sequence",
            )?
            .query_row([connection], |row| row.get(0))
    }

    /// Counts so many more of something that is counted apart.
    pub(crate) fn tally(&self, connection: &str, tally: Tally, more: u32) -> Result<(), Refusal> {
        self.sql
            .prepare_cached(
                "INSERT INTO tally(connection, name, count) VALUES (?1, ?2, ?3)
                 ON CONFLICT(connection, name) DO UPDATE SET count = count + ?3",
            )?
            .execute(params![connection, tally.as_str(), more])?;
        Ok(())
    }

    /// The smallest commit there is.
    pub(crate) fn mark_self_check(&self) -> Result<(), Refusal> {
        self.sql.prepare_cached("UPDATE meta SET value = 0 WHERE key = 'clean'")?.execute([])?;
        Ok(())
    }

    /// Writes and frees as much as a large message takes: proves that there is space.
    pub(crate) fn probe(&self) -> Result<(), Refusal> {
        self.sql
            .prepare_cached("INSERT OR REPLACE INTO space_check(id, body) VALUES (1, zeroblob(65536))")?
            .execute([])?;
        self.sql.prepare_cached("DELETE FROM space_check")?.execute([])?;
        Ok(())
    }

    /// Adds to what was received on a connection, in every sink's account.
    pub(crate) fn receive(&self, connection: &str, messages: i64, observations: i64) -> rusqlite::Result<()> {
        for sink in &self.options.sinks {
            for (side, count) in [("messages", messages), ("observations", observations)] {
                if count != 0 {
                    self.sql
                        .prepare_cached(
                            "INSERT INTO ledger(connection, sink, side, received) VALUES (?1, ?2, ?3, ?4)
                             ON CONFLICT(connection, sink, side) DO UPDATE SET received = received + ?4",
                        )?
                        .execute(params![connection, sink, side, count])?;
                }
            }
        }
        Ok(())
    }

    fn move_side(
        &self,
        connection: &str,
        sink: &str,
        side: &str,
        before: &Standing,
        after: &Standing,
    ) -> rusqlite::Result<()> {
        if before == after {
            return Ok(());
        }
        let mut change = [0_i64; 7];
        for (slot, ((_, old), (_, new))) in change.iter_mut().zip(before.parts().iter().zip(after.parts())) {
            *slot = new - old;
        }
        self.sql
            .prepare_cached(
                "INSERT INTO ledger(connection, sink, side,
                   delivered, pending, held, incomplete, ignored, duplicate, discarded)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT(connection, sink, side) DO UPDATE SET
                   delivered = delivered + ?4, pending = pending + ?5, held = held + ?6,
                   incomplete = incomplete + ?7, ignored = ignored + ?8, duplicate = duplicate + ?9,
                   discarded = discarded + ?10",
            )?
            .execute(params![
                connection, sink, side, change[0], change[1], change[2], change[3], change[4], change[5],
                change[6]
            ])?;
        Ok(())
    }

    /// What a message contributes to each sink's accounts, in the order of the sinks.
    fn contributions(&self, message: i64) -> Result<Vec<Contribution>, Refusal> {
        let Some(facts) = standing::facts(self.sql, message)? else {
            return Ok(vec![Contribution::default(); self.options.sinks.len()]);
        };
        if !facts.results {
            return Ok(vec![Contribution::default(); self.options.sinks.len()]);
        }
        let mut found = Vec::with_capacity(self.options.sinks.len());
        for sink in &self.options.sinks {
            found.push(standing::contribution(&facts, &standing::at_sink(self.sql, message, sink)?));
        }
        Ok(found)
    }

    /// Changes a message and moves the ledger from where it stood to where it stands.
    pub(crate) fn change<T>(
        &self,
        message: i64,
        change: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.contributions(message)?;
        let value = change()?;
        self.move_ledger(message, &before)?;
        Ok(value)
    }

    /// Enters a message that was just stored into the ledger.
    pub(crate) fn enter(&self, message: i64) -> Result<(), Refusal> {
        self.move_ledger(message, &vec![Contribution::default(); self.options.sinks.len()])
    }

    fn move_ledger(&self, message: i64, before: &[Contribution]) -> Result<(), Refusal> {
        let after = self.contributions(message)?;
        if after == before {
            return Ok(());
        }
        let connection: String = self
            .sql
            .prepare_cached("SELECT connection FROM message WHERE id = ?1")?
            .query_row([message], |row| row.get(0))?;
        for ((sink, before), after) in self.options.sinks.iter().zip(before).zip(&after) {
            self.move_side(&connection, sink, "messages", &before.messages, &after.messages)?;
            self.move_side(&connection, sink, "observations", &before.observations, &after.observations)?;
        }
        Ok(())
    }

    /// The header of a record that is about to be written.
    pub(crate) fn header<'a>(&'a self, connection: &'a str, at: Stamp) -> rusqlite::Result<Header<'a>> {
        Ok(Header {
            format: RECORD_FORMAT,
            tenant: &self.options.tenant,
            connection,
            sequence: self.next_sequence(connection)?,
            key: KEY_CLEAR,
            at,
        })
    }

    /// Queues a delivery. Without observations it only brings the sink's copies up to date.
    pub(crate) fn queue(
        &self,
        sink: &str,
        connection: &str,
        message: i64,
        records: Option<&[usize]>,
        observations: i64,
        at: Stamp,
    ) -> Result<(), Refusal> {
        if !self.options.sinks.iter().any(|known| known == sink) {
            return Err(StoreError::not_found(format!("`{sink}` is not a sink of this spool")).into());
        }
        self.sql
            .prepare_cached(
                "INSERT INTO outbox(sink, connection, message, records, observations, state, created_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6)",
            )?
            .execute(params![
                sink,
                connection,
                message,
                records.map(json_numbers),
                observations,
                at.wall_ms
            ])?;
        Ok(())
    }

    /// Sinks that a message is routed to.
    pub(crate) fn sinks_of(&self, message: i64) -> rusqlite::Result<Vec<String>> {
        self.sql
            .prepare_cached("SELECT DISTINCT sink FROM outbox WHERE message = ?1 ORDER BY sink")?
            .query_map([message], |row| row.get(0))?
            .collect()
    }

    /// Queues for every sink of a message that its copies be brought up to date.
    pub(crate) fn tell_sinks(&self, connection: &str, message: i64, at: Stamp) -> Result<(), Refusal> {
        for sink in self.sinks_of(message)? {
            self.queue(&sink, connection, message, Some(&[]), 0, at)?;
        }
        Ok(())
    }

    /// Holds an observation for a person.
    pub(crate) fn hold(&self, hold: &Hold<'_>) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO quarantine(connection, message, record, code, reason, state, sink, held_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'open', ?6, ?7)",
            )?
            .execute(params![
                hold.connection,
                hold.message,
                hold.record as i64,
                hold.code,
                hold.reason,
                hold.sink,
                hold.at.wall_ms
            ])?;
        Ok(())
    }

    /// The id that a row is known by.
    pub(crate) fn id_of(&self, message: i64) -> rusqlite::Result<MessageId> {
        self.sql
            .prepare_cached("SELECT uuid FROM message WHERE id = ?1")?
            .query_row([message], |row| message_id(row, 0))
    }

    /// Whether a row that `statement` asks for exists.
    pub(crate) fn exists(&self, statement: &str, params: impl rusqlite::Params) -> rusqlite::Result<bool> {
        Ok(self.sql.prepare_cached(statement)?.query_row(params, |_| Ok(())).optional()?.is_some())
    }
}

/// One observation to hold.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    pub(crate) connection: &'a str,
    pub(crate) message: i64,
    pub(crate) record: usize,
    pub(crate) code: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) sink: Option<&'a str>,
    pub(crate) at: Stamp,
}

/// Reads a message id out of a row.
pub(crate) fn message_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<MessageId> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(MessageId(uuid::Uuid::from_bytes(bytes)))
}

/// A list of record numbers as the JSON array of a column.
pub(crate) fn json_numbers(numbers: &[usize]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// The list that [`json_numbers`] wrote.
pub(crate) fn numbers_of(json: &str) -> Result<Vec<usize>, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::failed("read a list of records", &error))
}
