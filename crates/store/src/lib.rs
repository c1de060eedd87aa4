//! The spool: the local truth of one tenant. Frames, messages with their results as one encoded
//! row, outbox per sink, quarantine, duplicates, ledger; one SQLite file, owned by one process.
//!
//! Constraints:
//! - One writer thread owns the only connection that writes. It is never cancelled; whoever asked
//!   may go away, the commit does not.
//! - A reply that says "durable" is given after COMMIT returned (write-ahead log,
//!   `synchronous=FULL`), and by nothing else.
//! - Requests of many connections share a commit. It waits up to [`LINGER_MAX`] for stragglers,
//!   only while other connections are active and missing from it.
//! - The first failure of a write, a commit or the file latches: nothing is reported durable until
//!   the file was reopened, verified and has taken a new commit. A full disk does not latch; it
//!   refuses until space returns.
//! - Everything that moves a message or an observation moves the ledger in the same transaction.
//! - Stored records carry format version, tenant, connection, sequence, key id (0: clear),
//!   checksum and both clocks; a newer format is refused.
//!
//! `docs/spool.md` describes the file.

#![forbid(unsafe_code)]

mod browse;
mod database;
mod delivery;
mod error;
mod fault;
mod incomplete;
mod inspect;
mod ledger;
mod lock;
mod persist;
mod quarantine;
mod read;
mod record;
mod recount;
mod rows;
pub mod sabotage;
mod seal;
mod spool;
mod standing;
mod transaction;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use browse::ROWS_DEFAULT;
pub use error::StoreError;
pub use ledger::{Account, Ledger, LedgerDifference, LedgerLine, Standing};
pub use read::{BATCH_RAW_BYTES_MAX, Reader};
pub use record::{
    CloseIncomplete, Closed, Decision, Filed, FrameRecord, Fresh, MessageId, MessageRecord, Persist,
    Persisted, Resolution, Resolves, Stamp, Tally,
};
pub use spool::{CommitStats, Options, QUEUE_BYTES_MAX, QUEUE_JOBS_MAX, Spool, SpoolHandle, StoreState};
pub use view::{
    Batch, ConnectionStatus, Damage, Delivery, IncompleteMessage, MessageFilter, MessageState,
    MessageSummary, ObservationState, OpenTransmission, QuarantineFilter, QuarantineItem, QuarantineState,
    ResultFilter, SinkStatus, Status, StoredMessage, StoredResult,
};
pub use writer::{BATCH_BYTES_MAX, BATCH_JOBS_MAX, LINGER_MAX};
