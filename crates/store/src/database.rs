//! The spool's file: tables, opening, verification.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::StoreError;
use crate::recount;
use crate::spool::Options;

/// `LWsp`: marks the file as a spool (`PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x4C57_7370;
/// Format of the file (`PRAGMA user_version`). A newer one is refused.
pub(crate) const FORMAT: i64 = 1;
/// First SQLite without the defect that lets a reset write-ahead log corrupt the database.
const SQLITE_MIN: i32 = 3_051_003;

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;

-- The last number of each connection's sequence of records.
CREATE TABLE connection(name TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;

-- Units of receptions that have not ended. What completes is in `message`.
CREATE TABLE frame(
  id INTEGER PRIMARY KEY,
  -- record header
  format INTEGER NOT NULL, tenant TEXT NOT NULL, connection TEXT NOT NULL, sequence INTEGER NOT NULL,
  key INTEGER NOT NULL, checksum BLOB NOT NULL, monotonic_ns INTEGER NOT NULL, wall_ms INTEGER NOT NULL,
  --
  transmission INTEGER NOT NULL,
  number INTEGER,
  ends_chain INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX frame_reception ON frame(connection, transmission);

CREATE TABLE message(
  id INTEGER PRIMARY KEY,
  uuid BLOB NOT NULL UNIQUE,
  -- record header
  format INTEGER NOT NULL, tenant TEXT NOT NULL, connection TEXT NOT NULL, sequence INTEGER NOT NULL,
  key INTEGER NOT NULL, checksum BLOB NOT NULL, monotonic_ns INTEGER NOT NULL, wall_ms INTEGER NOT NULL,
  --
  transmission INTEGER NOT NULL,
  driver TEXT NOT NULL, driver_version TEXT NOT NULL,
  control_id TEXT,
  raw BLOB NOT NULL,
  decoded BLOB NOT NULL,
  -- SHA-256 that decides on duplicates; NULL for a message that never completed
  identity BLOB,
  kind TEXT NOT NULL,
  -- filed | incomplete | duplicate | resumed
  state TEXT NOT NULL,
  possible_repeat INTEGER NOT NULL,
  duplicate_of INTEGER,
  -- when the hold of an incomplete message ended
  expired_ms INTEGER,
  observations INTEGER NOT NULL, ignored INTEGER NOT NULL, deliverable INTEGER NOT NULL,
  -- records that were released out of the incomplete message that this one settles: JSON array
  repeated_records TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_sequence ON message(connection, sequence);
CREATE INDEX message_reception ON message(connection, transmission);
CREATE INDEX message_identity ON message(identity, id) WHERE identity IS NOT NULL;
CREATE INDEX message_incomplete ON message(id) WHERE state = 'incomplete';
CREATE INDEX message_unsettled ON message(connection, id) WHERE identity IS NULL;

CREATE TABLE message_specimen(
  specimen_id TEXT NOT NULL, message INTEGER NOT NULL,
  PRIMARY KEY(specimen_id, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sink TEXT NOT NULL, connection TEXT NOT NULL, message INTEGER NOT NULL,
  -- records to deliver: JSON array; NULL for all that the profile delivers
  records TEXT,
  observations INTEGER NOT NULL,
  -- pending | delivered | refused
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, last_error TEXT,
  created_ms INTEGER NOT NULL, decided_ms INTEGER
) STRICT;
CREATE INDEX outbox_pending ON outbox(sink, id, observations, created_ms) WHERE state = 'pending';
CREATE INDEX outbox_message ON outbox(message);

CREATE TABLE quarantine(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  connection TEXT NOT NULL, message INTEGER NOT NULL, record INTEGER NOT NULL,
  code TEXT NOT NULL, reason TEXT NOT NULL,
  -- open | released | discarded | superseded
  state TEXT NOT NULL,
  -- the sink that refused it; NULL when held before any sink
  sink TEXT,
  held_ms INTEGER NOT NULL, decided_ms INTEGER, decided_by TEXT, decided_reason TEXT
) STRICT;
CREATE INDEX quarantine_message ON quarantine(message);
CREATE INDEX quarantine_open ON quarantine(id) WHERE state = 'open';

-- One account a connection, a sink and a side; what was received is counted apart from where it
-- stands, so that a mistake in either shows.
CREATE TABLE ledger(
  connection TEXT NOT NULL, sink TEXT NOT NULL, side TEXT NOT NULL,
  received INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
  incomplete INTEGER NOT NULL DEFAULT 0, ignored INTEGER NOT NULL DEFAULT 0,
  duplicate INTEGER NOT NULL DEFAULT 0, discarded INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(connection, sink, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally(
  connection TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(connection, name)
) STRICT, WITHOUT ROWID;

-- Written and emptied again by the self-check of a spool that ran full.
CREATE TABLE space_check(id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
";

/// What the linked SQLite must be.
pub(crate) fn check_sqlite() -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(StoreError::SqliteTooOld { found: rusqlite::version().to_owned() });
    }
    Ok(())
}

fn opening(error: &rusqlite::Error) -> StoreError {
    StoreError::failed("open the spool", error)
}

/// Refuses a file that is not a spool of ours, of this format and tenant.
fn check_file(connection: &Connection, path: &Path, tenant: Option<&str>) -> Result<(), StoreError> {
    let pragma = |name: &str| -> Result<i64, StoreError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| {
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
                StoreError::NotASpool { path: path.to_owned() }
            } else {
                opening(&error)
            }
        })
    };
    let format = pragma("user_version")?;
    if pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Err(StoreError::NotASpool { path: path.to_owned() });
    }
    if format > FORMAT {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found: format, known: FORMAT });
    }
    let found: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'tenant'", [], |row| row.get(0))
        .optional()
        .map_err(|error| opening(&error))?;
    match (found, tenant) {
        (Some(found), Some(expected)) if found != expected => {
            Err(StoreError::OtherTenant { path: path.to_owned(), expected: expected.to_owned(), found })
        }
        (None, _) => Err(StoreError::NotASpool { path: path.to_owned() }),
        _ => Ok(()),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

/// Reads the whole file and compares its structure; finds torn and misplaced pages.
fn verify(connection: &Connection) -> Result<(), StoreError> {
    let finding: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StoreError::Latched { reason: format!("quick_check: {error}") })?;
    if finding == "ok" {
        return Ok(());
    }
    Err(StoreError::Latched { reason: format!("quick_check: {finding}") })
}

fn configure(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // The writer checkpoints itself: SQLite's own automatic checkpoint ignores its errors.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |row| row.get::<_, i64>(0))?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |row| row.get::<_, i64>(0))?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_prepared_statement_cache_capacity(128);
    if options.pages_max > 0 {
        connection
            .pragma_update_and_check(None, "max_page_count", options.pages_max, |row| row.get::<_, i64>(0))?;
    }
    Ok(())
}

fn create(connection: &Connection, tenant: &str) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(TABLES)?;
    connection.execute(
        "INSERT INTO meta(key, value) VALUES ('tenant', ?1), ('clean', 1), ('sinks', '[]')",
        [tenant],
    )?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", FORMAT)?;
    connection.execute_batch("COMMIT")
}

/// Makes the name of a file that was just created as durable as its content.
fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::File::open(directory)?.sync_all()
}

/// Opens the spool for its writer, creating it where there is none. The caller holds the lock.
pub(crate) fn open_for_writing(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    check_sqlite()?;
    if !path.exists() {
        // Created here and not by SQLite, so that nobody else can ever read it.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|_| sync_directory_of(path))
            .map_err(|error| StoreError::failed("create the spool", &error))?;
    }
    let connection = open(path)?;
    match is_empty(&connection) {
        Ok(true) => {
            configure(&connection, options)
                .and_then(|()| create(&connection, &options.tenant))
                .map_err(|error| StoreError::failed("create the spool", &error))?;
        }
        Ok(false) | Err(_) => {
            check_file(&connection, path, Some(&options.tenant))?;
            configure(&connection, options).map_err(|error| opening(&error))?;
        }
    }
    let clean: i64 = connection
        .query_row("SELECT value FROM meta WHERE key = 'clean'", [], |row| row.get(0))
        .map_err(|error| opening(&error))?;
    if clean == 0 {
        verify(&connection)?;
        settle_log(&connection)?;
    }
    connection
        .execute("UPDATE meta SET value = 0 WHERE key = 'clean'", [])
        .map_err(|error| opening(&error))?;
    Ok(connection)
}

/// The row of the newest message; 0 where there is none.
pub(crate) fn last_message(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .query_row("SELECT coalesce(max(id), 0) FROM message", [], |row| row.get(0))
        .map_err(|error| opening(&error))
}

/// Every sink that the spool keeps accounts for, also one that the site has no more.
pub(crate) fn known_sinks(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let json: String = connection
        .query_row("SELECT value FROM meta WHERE key = 'sinks'", [], |row| row.get(0))
        .map_err(|error| StoreError::failed("read the spool", &error))?;
    serde_json::from_str(&json).map_err(|error| StoreError::failed("read the list of sinks", &error))
}

/// Opens accounts for sinks that are new to the spool and answers all that it knows.
pub(crate) fn adopt_sinks(connection: &Connection, sinks: &[String]) -> Result<Vec<String>, StoreError> {
    let mut known = known_sinks(connection)?;
    let new: Vec<String> = sinks.iter().filter(|sink| !known.contains(sink)).cloned().collect();
    if new.is_empty() {
        return Ok(known);
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| opening(&error))?;
    recount::open_accounts(connection, &new)?;
    known.extend(new);
    let json = serde_json::to_string(&known)
        .map_err(|error| StoreError::failed("write the list of sinks", &error))?;
    connection
        .execute("UPDATE meta SET value = ?1 WHERE key = 'sinks'", [json])
        .and_then(|_| connection.execute_batch("COMMIT"))
        .map_err(|error| opening(&error))?;
    Ok(known)
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| opening(&error))
}

/// Writes everything in the log anew into the database, syncs it and starts the log afresh. What
/// the page cache shows of a log is not what the disk has after a failed fsync, and a commit behind
/// a hole in the log is lost with it.
fn settle_log(connection: &Connection) -> Result<(), StoreError> {
    match checkpoint(connection, Checkpoint::Truncate) {
        Ok(Progress::Complete) => Ok(()),
        Ok(Progress::ReaderInTheWay) => {
            Err(StoreError::Latched { reason: "a reader keeps the log from being settled".to_owned() })
        }
        Err(error) => Err(StoreError::Latched { reason: format!("settling the log: {error}") }),
    }
}

/// Opens the spool again after an I/O error and proves that it holds: it reads back, its log can
/// be settled, and it takes a commit. Never creates a file.
pub(crate) fn reopen(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let connection = open(path)?;
    check_file(&connection, path, Some(&options.tenant))?;
    configure(&connection, options).map_err(|error| opening(&error))?;
    verify(&connection)?;
    settle_log(&connection)?;
    connection
        .execute("UPDATE meta SET value = 0 WHERE key = 'clean'", [])
        .map_err(|error| opening(&error))?;
    Ok(connection)
}

/// Opens the spool for reading beside the writer, or alone.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    check_sqlite()?;
    // Read-write, because reading a log that a crash left behind needs its index rebuilt; the
    // pragma keeps every statement from writing.
    let connection = open(path)?;
    check_file(&connection, path, None)?;
    let set = || -> rusqlite::Result<()> {
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -1024)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(())
    };
    set().map_err(|error| opening(&error))?;
    Ok(connection)
}

/// How much a checkpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// What it can without waiting for readers.
    Passive,
    /// All of it, and empties the log.
    Truncate,
}

/// How far a checkpoint came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// To the end of what was asked.
    Complete,
    /// Not all of it; the log grows until the next.
    ReaderInTheWay,
}

/// Moves the log into the database.
pub(crate) fn checkpoint(connection: &Connection, how: Checkpoint) -> rusqlite::Result<Progress> {
    let statement = match how {
        Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let busy: bool = connection.query_row(statement, [], |row| row.get(0))?;
    Ok(if busy { Progress::ReaderInTheWay } else { Progress::Complete })
}

/// Ends a spool cleanly: the next opening need not read it all.
pub(crate) fn close(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE meta SET value = 1 WHERE key = 'clean'", [])?;
    checkpoint(connection, Checkpoint::Truncate).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_a_reader_keeps_from_being_written_anew_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let writer = open_for_writing(&path, &Options::new("lab", Vec::new())).unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        let reader = open_for_reading(&path).unwrap();
        let snapshot = reader.unchecked_transaction().unwrap();
        known_sinks(&snapshot).unwrap();
        writer.execute("UPDATE meta SET value = 0 WHERE key = 'clean'", []).unwrap();
        assert!(matches!(settle_log(&writer), Err(StoreError::Latched { .. })));
        drop(snapshot);
        assert_eq!(settle_log(&writer), Ok(()));
        let mut log = path.into_os_string();
        log.push("-wal");
        assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
    }

    #[test]
    fn the_writer_syncs_every_commit_and_a_reader_cannot_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let writer = open_for_writing(&path, &Options::new("lab", Vec::new())).unwrap();
        let number = |name: &str| writer.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(number("synchronous"), 2, "FULL");
        assert_eq!(number("wal_autocheckpoint"), 0, "the writer moves the log and sees the errors");
        let mode: String = writer.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let reader = open_for_reading(&path).unwrap();
        assert!(reader.execute("DELETE FROM meta", []).is_err());
    }

    #[test]
    fn what_never_completed_is_found_without_reading_what_did() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let writer = open_for_writing(&path, &Options::new("lab", Vec::new())).unwrap();
        let plan: String = writer
            .query_row(
                "EXPLAIN QUERY PLAN SELECT raw FROM message WHERE connection = ?1 AND identity IS NULL
                   AND state IN ('incomplete', 'filed') ORDER BY id DESC",
                ["a"],
                |row| row.get(3),
            )
            .unwrap();
        assert!(plan.contains("USING INDEX message_unsettled"), "{plan}");
    }

    #[test]
    fn the_linked_sqlite_is_one_that_keeps_its_log() {
        check_sqlite().unwrap();
    }
}
