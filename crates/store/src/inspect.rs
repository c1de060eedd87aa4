//! Counts and checks: status, ledger, verification of every record.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use crate::read::Reader;
use crate::rows::{BODIES, MESSAGE, RawMessage, failed, frame_of};
use crate::seal::unsigned;
use crate::view::{ConnectionStatus, Damage, SinkStatus, Status};
use crate::{Ledger, StoreError, recount};

impl Reader {
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
}
