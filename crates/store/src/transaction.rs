//! The open transaction as the requests see it: settings, sequence, ledger movements.

use rusqlite::{Connection, OptionalExtension, params};

use crate::StoreError;
use crate::error::{Severity, severity};
use crate::ledger::Standing;
use crate::record::Tally;
use crate::spool::Options;

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

/// What one message contributes to the ledger, per sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contribution {
    pub(crate) messages: Standing,
    pub(crate) observations: Standing,
}

/// The open transaction.
pub(crate) struct Transaction<'c> {
    pub(crate) sql: &'c Connection,
    pub(crate) options: &'c Options,
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

    /// Counts something that is counted apart.
    pub(crate) fn tally(&self, connection: &str, tally: Tally) -> Result<(), Refusal> {
        self.sql
            .prepare_cached(
                "INSERT INTO tally(connection, name, count) VALUES (?1, ?2, 1)
                 ON CONFLICT(connection, name) DO UPDATE SET count = count + 1",
            )?
            .execute([connection, tally.as_str()])?;
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
                connection, sink, side, change[0], change[1], change[2], change[3], change[4], change[5], change[6]
            ])?;
        Ok(())
    }

    /// Moves a message's contribution from where it stood to where it stands.
    pub(crate) fn move_ledger(
        &self,
        connection: &str,
        sink: &str,
        before: &Contribution,
        after: &Contribution,
    ) -> rusqlite::Result<()> {
        self.move_side(connection, sink, "messages", &before.messages, &after.messages)?;
        self.move_side(connection, sink, "observations", &before.observations, &after.observations)
    }

    /// Whether a row that `statement` asks for exists.
    pub(crate) fn exists(&self, statement: &str, params: impl rusqlite::Params) -> rusqlite::Result<bool> {
        Ok(self.sql.prepare_cached(statement)?.query_row(params, |_| Ok(())).optional()?.is_some())
    }
}
