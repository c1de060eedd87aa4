//! Why the spool refuses, sorted by who has to act. No text holds patient data: SQLite's own
//! messages name tables and columns, never values.

use std::path::PathBuf;

/// A refusal of the spool. Every reply is either durable success or one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the spool.
    #[error("the spool {path} is in use{}; ask that process over its control socket or stop it", holder_text(*holder))]
    InUse {
        /// The spool file.
        path: PathBuf,
        /// Process id that the holder wrote into the lock file.
        holder: Option<u32>,
    },
    /// The file was written by a newer Labwire.
    #[error("the spool {path} has format {found}, this program knows up to {known}; start the newer program")]
    NewerFormat {
        /// The spool file.
        path: PathBuf,
        /// Format of the file.
        found: i64,
        /// Newest format that this program reads.
        known: i64,
    },
    /// The file is no spool.
    #[error("{path} is no Labwire spool")]
    NotASpool {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to another tenant.
    #[error("the spool {path} belongs to tenant `{found}`, not `{expected}`")]
    OtherTenant {
        /// The spool file.
        path: PathBuf,
        /// Tenant that the configuration names.
        expected: String,
        /// Tenant that the file names.
        found: String,
    },
    /// The SQLite that was linked has the WAL-reset defect.
    #[error("SQLite {found} can corrupt a write-ahead log; 3.51.3 or newer is required")]
    SqliteTooOld {
        /// Version that was linked.
        found: String,
    },
    /// There is no spool at that path.
    #[error("there is no spool at {path}")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The queue to the writer is full.
    #[error("the spool's queue is full ({limit})")]
    Busy {
        /// Name of the limit that was reached.
        limit: &'static str,
    },
    /// There is no space. The transaction was rolled back; the spool recovers by itself.
    #[error("no space left for the spool")]
    Full,
    /// A write or commit failed, or the file went away: nothing is reported durable until it was
    /// reopened and verified.
    #[error("the spool stopped after an I/O error ({reason}) and is being reopened and verified")]
    Latched {
        /// SQLite's or the system's words.
        reason: String,
    },
    /// A stored record does not have the checksum that it was written with.
    #[error("stored {table} record {row} is damaged: its checksum does not match")]
    Damaged {
        /// Table of the record.
        table: &'static str,
        /// Its row id.
        row: i64,
    },
    /// A stored record has a format that this program does not know.
    #[error("stored {table} record {row} has format {found}, which this program does not know")]
    UnknownRecordFormat {
        /// Table of the record.
        table: &'static str,
        /// Its row id.
        row: i64,
        /// Format that it names.
        found: i64,
    },
    /// The request names something that is not there or not in that state any more.
    #[error("{what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The writer has ended; the daemon must end too.
    #[error("the spool's writer has stopped")]
    Stopped,
    /// The environment plants a fault in a build that has none.
    #[error("LABWIRE_SABOTAGE is set, but this build holds no planted faults; unset it")]
    Sabotage,
    /// SQLite or the system refused a read or the opening.
    #[error("failed to {action}: {reason}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// SQLite's or the system's words.
        reason: String,
    },
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

impl StoreError {
    /// A stable kebab-case code for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in-use",
            Self::NewerFormat { .. } => "newer-format",
            Self::NotASpool { .. } => "not-a-spool",
            Self::OtherTenant { .. } => "other-tenant",
            Self::SqliteTooOld { .. } => "sqlite-too-old",
            Self::Missing { .. } => "missing",
            Self::Busy { .. } => "busy",
            Self::Full => "full",
            Self::Latched { .. } => "latched",
            Self::Damaged { .. } => "damaged",
            Self::UnknownRecordFormat { .. } => "unknown-record-format",
            Self::NotFound { .. } => "not-found",
            Self::Stopped => "stopped",
            Self::Sabotage => "sabotage",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether the same request may succeed later without anyone changing it.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Full | Self::Latched { .. } | Self::InUse { .. })
    }

    pub(crate) fn failed(action: &'static str, reason: &impl ToString) -> Self {
        Self::Failed { action, reason: reason.to_string() }
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }
}

/// What an SQLite error means for the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// This request cannot be done; its neighbours can.
    Request,
    /// No space: the transaction is rolled back and the next one may succeed.
    Full,
    /// The file or what lies below it failed: latch.
    File,
}

/// Sorts an SQLite error. What is not known to be harmless latches.
pub(crate) fn severity(error: &rusqlite::Error) -> Severity {
    use rusqlite::ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => Severity::Full,
        Some(Code::ConstraintViolation | Code::TooBig | Code::TypeMismatch | Code::ParameterOutOfRange)
        | None => Severity::Request,
        Some(_) => Severity::File,
    }
}
