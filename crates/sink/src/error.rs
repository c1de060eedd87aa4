//! Why the LIS database takes nothing. No text holds patient data.

use std::path::PathBuf;

/// A refusal of the whole database; what was to be delivered keeps waiting in the spool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// It is not there, cannot be written, is locked or has no space. Passes by itself or when
    /// someone mends it; to be tried again.
    #[error("the LIS database {path} takes nothing: {reason}")]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// SQLite's or the system's words.
        reason: String,
    },
    /// Its tables are of a newer Labwire. To be tried again: someone may put it right.
    #[error(
        "the LIS database {path} has schema {found}, this program knows up to {known}; start the newer program"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Newest schema that this program writes.
        known: i64,
    },
    /// It is a database of something else, or its tables were changed.
    #[error("{path} is not a LIS database as this program writes it: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
    /// The request names something that is not there.
    #[error("{what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
}

impl SinkError {
    /// A stable kebab-case code for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Newer { .. } => "newer-schema",
            Self::Foreign { .. } => "foreign-schema",
            Self::NotFound { .. } => "not-found",
        }
    }

    /// Whether trying again, unchanged, may succeed. The spool keeps what waits in every case.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Newer { .. } | Self::Foreign { .. })
    }
}
