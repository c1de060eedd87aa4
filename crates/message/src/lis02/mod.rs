//! LIS02 records: levels and parents, messages in a session, what a sender need not repeat, building.

mod builder;
mod hierarchy;
mod messages;
mod saved;

pub use builder::MessageBuilder;
pub use hierarchy::{Hierarchy, Place, check_sequence, fixed_level};
pub use messages::messages;
pub use saved::{Resumption, Saved, resume};

/// The letters of LIS02's records, in the order of the standard.
pub const RECORD_LETTERS: &[u8; 9] = b"HPORCQLSM";
