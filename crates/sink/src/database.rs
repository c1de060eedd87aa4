//! The LIS database's file: tables, migrations, opening.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use crate::SinkError;

/// `LWli`: marks the file as a LIS database (`PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x4C57_6C69;
/// How long to wait for a LIS that holds the write lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One step a version; a step that was released is never changed.
const MIGRATIONS: [&str; 2] = [
    "
CREATE TABLE message(
  tenant TEXT NOT NULL, message_id TEXT NOT NULL,
  connection TEXT NOT NULL, sequence INTEGER NOT NULL, received_at TEXT NOT NULL,
  driver TEXT NOT NULL, driver_version TEXT NOT NULL,
  state TEXT NOT NULL, control_id TEXT,
  possible_repeat INTEGER NOT NULL, duplicate_of TEXT,
  observations INTEGER NOT NULL, held INTEGER NOT NULL,
  raw BLOB NOT NULL,
  PRIMARY KEY(tenant, message_id)
) STRICT;

CREATE TABLE result(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL, message_id TEXT NOT NULL, record INTEGER NOT NULL,
  connection TEXT NOT NULL, driver TEXT NOT NULL, driver_version TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('patient', 'qc', 'calibration')),
  specimen_id TEXT, patient_id TEXT,
  analyzer_test TEXT, lis_test TEXT, test_name TEXT, loinc TEXT,
  value TEXT, text TEXT, comparator TEXT, number TEXT, unit TEXT, ucum TEXT,
  flags TEXT NOT NULL, status TEXT, status_sent TEXT, reference_range TEXT,
  observed_at TEXT, observed_at_verbatim TEXT,
  operator TEXT, instrument TEXT, reagent TEXT, comments TEXT NOT NULL,
  possible_repeat INTEGER NOT NULL,
  received_at TEXT NOT NULL, delivered_at TEXT NOT NULL,
  acknowledged_at TEXT, acknowledged_by TEXT,
  UNIQUE(tenant, message_id, record)
) STRICT;
CREATE INDEX result_patient ON result(tenant, specimen_id, id) WHERE kind = 'patient';
CREATE INDEX result_qc ON result(tenant, connection, lis_test, id) WHERE kind = 'qc';
CREATE INDEX result_calibration ON result(tenant, connection, id) WHERE kind = 'calibration';
CREATE VIEW patient_result AS SELECT * FROM result WHERE kind = 'patient';
CREATE VIEW qc_result AS SELECT * FROM result WHERE kind = 'qc';
CREATE VIEW calibration_result AS SELECT * FROM result WHERE kind = 'calibration';

CREATE TABLE result_queue(
  result INTEGER PRIMARY KEY REFERENCES result(id),
  kind TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'claimed', 'rejected')),
  consumer TEXT, lease_until_ms INTEGER, claims INTEGER NOT NULL DEFAULT 0, reason TEXT
) STRICT;
CREATE INDEX result_queue_next ON result_queue(kind, result) WHERE state <> 'rejected';

CREATE TABLE quarantine(
  tenant TEXT NOT NULL, item INTEGER NOT NULL,
  message_id TEXT NOT NULL, record INTEGER NOT NULL, connection TEXT NOT NULL, driver TEXT NOT NULL,
  code TEXT NOT NULL, reason TEXT NOT NULL, state TEXT NOT NULL,
  kind TEXT NOT NULL, specimen_id TEXT, analyzer_test TEXT, value TEXT, unit TEXT,
  held_at TEXT NOT NULL, decided_at TEXT, decided_by TEXT, decided_reason TEXT,
  PRIMARY KEY(tenant, item)
) STRICT;
CREATE INDEX quarantine_open ON quarantine(tenant, connection) WHERE state = 'open';

CREATE TABLE work_order(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL, order_id TEXT NOT NULL,
  specimen_id TEXT NOT NULL, specimen_type TEXT, collected_at TEXT,
  patient_id TEXT, patient_name TEXT, birth_date TEXT, sex TEXT,
  priority TEXT NOT NULL DEFAULT 'routine' CHECK (priority IN ('routine', 'stat')),
  state TEXT NOT NULL DEFAULT 'placed' CHECK (state IN ('placed', 'cancelled')),
  version INTEGER NOT NULL DEFAULT 1,
  placed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE(tenant, order_id)
) STRICT;
CREATE INDEX work_order_specimen ON work_order(tenant, specimen_id);
CREATE TABLE work_order_test(
  work_order INTEGER NOT NULL REFERENCES work_order(id),
  lis_test TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'ordered' CHECK (state IN ('ordered', 'cancelled')),
  PRIMARY KEY(work_order, lis_test)
) STRICT, WITHOUT ROWID;
-- A change of its tests is a change of the order.
CREATE TRIGGER work_order_test_added AFTER INSERT ON work_order_test BEGIN
  UPDATE work_order SET version = version + 1 WHERE id = NEW.work_order;
END;
CREATE TRIGGER work_order_test_changed AFTER UPDATE ON work_order_test BEGIN
  UPDATE work_order SET version = version + 1 WHERE id = NEW.work_order;
END;
CREATE TRIGGER work_order_changed AFTER UPDATE OF specimen_id, specimen_type, collected_at, patient_id,
  patient_name, birth_date, sex, priority, state ON work_order BEGIN
  UPDATE work_order SET version = version + 1 WHERE id = NEW.id;
END;
",
    "
ALTER TABLE result ADD COLUMN sub_id TEXT;
ALTER TABLE result ADD COLUMN isolate TEXT;
ALTER TABLE result ADD COLUMN organism TEXT;
ALTER TABLE result ADD COLUMN organism_name TEXT;
ALTER TABLE result ADD COLUMN converted_number TEXT;
ALTER TABLE result ADD COLUMN converted_ucum TEXT;
",
];

/// A LIS database opened for writing. It blocks; keep it on a thread of its own. After an error,
/// drop it and open again.
#[derive(Debug)]
pub struct LisDatabase {
    pub(crate) sql: Connection,
    path: PathBuf,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
}

/// Device and inode of the file that stands at a path.
fn standing_at(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

impl LisDatabase {
    /// Opens the database at `path`, creating or migrating its tables.
    ///
    /// # Errors
    /// [`SinkError`]; all but [`SinkError::NotFound`] are worth another try later.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        Self::open_waiting(path.as_ref(), BUSY_TIMEOUT)
    }

    pub(crate) fn open_waiting(path: &Path, busy_timeout: Duration) -> Result<Self, SinkError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let unavailable = |reason: String| SinkError::Unavailable { path: path.to_owned(), reason };
        let sql = Connection::open_with_flags(path, flags).map_err(|error| unavailable(error.to_string()))?;
        // SQLite would go on and leave a log and an index behind that stay read-only when the file is not.
        if sql.is_readonly(MAIN_DB).map_err(|error| unavailable(error.to_string()))? {
            return Err(unavailable("readonly: the file may not be opened for writing".to_owned()));
        }
        let file = standing_at(path).map_err(|error| unavailable(error.to_string()))?;
        let database = Self { sql, path: path.to_owned(), file };
        database.prepare(busy_timeout)?;
        Ok(database)
    }

    fn prepare(&self, busy_timeout: Duration) -> Result<(), SinkError> {
        let number = |name: &str| self.sql.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let configure = || -> rusqlite::Result<(i64, i64, bool)> {
            self.sql.busy_timeout(busy_timeout)?;
            self.sql.pragma_update(None, "cache_size", -2048)?;
            self.sql.pragma_update(None, "foreign_keys", true)?;
            self.sql.set_prepared_statement_cache_capacity(32);
            let empty = self
                .sql
                .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
            Ok((number("application_id")?, number("user_version")?, empty))
        };
        let (application, found, empty) = configure().map_err(|error| self.failure(&error))?;
        if !empty && application != i64::from(APPLICATION_ID) {
            return Err(self.foreign("it was made by another program"));
        }
        let known = MIGRATIONS.len();
        let found = usize::try_from(found).unwrap_or(usize::MAX);
        if found > known {
            return Err(SinkError::Newer {
                path: self.path.clone(),
                found: i64::try_from(found).unwrap_or(i64::MAX),
                known: i64::try_from(known).unwrap_or(i64::MAX),
            });
        }
        // The log is a mode of the file: set where a copy or another program has lost it.
        self.sql
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
            .and_then(|_| self.sql.pragma_update(None, "synchronous", "full"))
            .and_then(|()| self.migrate())
            .map_err(|error| self.failure(&error))
    }

    /// Brings the tables up to date, each step in a transaction of its own. Two that start at once
    /// do it one after the other.
    fn migrate(&self) -> rusqlite::Result<()> {
        loop {
            self.sql.execute_batch("BEGIN IMMEDIATE")?;
            let version: i64 = self.sql.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let step = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version));
            let done = match step {
                None => self.sql.execute_batch("COMMIT").map(|()| true),
                Some(step) => self
                    .sql
                    .execute_batch(step)
                    .and_then(|()| self.sql.pragma_update(None, "application_id", APPLICATION_ID))
                    .and_then(|()| self.sql.pragma_update(None, "user_version", version + 1))
                    .and_then(|()| self.sql.execute_batch("COMMIT"))
                    .map(|()| false),
            };
            match done {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    // The error that stopped the step says more than one about the rollback.
                    let _ = self.sql.execute_batch("ROLLBACK");
                    return Err(error);
                }
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses when the file that was opened stands there no more: SQLite goes on writing into a file that
    /// was renamed, replaced or removed, where no LIS looks.
    pub(crate) fn in_place(&self) -> Result<(), SinkError> {
        if standing_at(&self.path).is_ok_and(|found| found == self.file) {
            return Ok(());
        }
        let reason = "the file was replaced, renamed or removed since it was opened".to_owned();
        Err(SinkError::Unavailable { path: self.path.clone(), reason })
    }

    fn foreign(&self, reason: impl Into<String>) -> SinkError {
        SinkError::Foreign { path: self.path.clone(), reason: reason.into() }
    }

    /// What an error of SQLite says about the whole database.
    pub(crate) fn failure(&self, error: &rusqlite::Error) -> SinkError {
        match error.sqlite_error_code() {
            // A statement that does not compile: a table or column was renamed or dropped.
            Some(ErrorCode::Unknown | ErrorCode::SchemaChanged | ErrorCode::NotADatabase) | None => {
                self.foreign(error.to_string())
            }
            Some(_) => SinkError::Unavailable { path: self.path.clone(), reason: error.to_string() },
        }
    }

    /// Runs `work` in one transaction that is committed when it succeeds.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SinkError> {
        let run = || -> rusqlite::Result<T> {
            let transaction =
                rusqlite::Transaction::new_unchecked(&self.sql, rusqlite::TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|error| self.failure(&error))
    }
}
