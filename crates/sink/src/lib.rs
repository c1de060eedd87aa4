//! Delivery to the LIS: the LIS database contract.
//!
//! The LIS database on SQLite is a file that Labwire writes and the LIS reads; `docs/lis-contract.md`
//! is the contract. Delivered means: its transaction is committed. A delivery that comes a second
//! time has no effect.
//!
//! Constraints:
//! - The unit of delivery is one message of the spool; its rows come in one transaction.
//! - The key of a result is (tenant, message id, record): written in the same transaction as the
//!   row, so that repeating a delivery whose answer was lost changes nothing.
//! - Whatever keeps the database from taking anything (missing, read-only, locked, full, newer) is
//!   one error for the whole batch and passes or needs a person; what is wrong with one delivery
//!   alone refuses that one and lets its neighbours through.
//! - Quality control and calibration never share an index or a view with patients' results.

#![forbid(unsafe_code)]

mod database;
mod deliver;
mod error;
mod queue;

pub use database::LisDatabase;
pub use deliver::{Delivered, Outcome};
pub use error::SinkError;
pub use queue::{Claim, ClaimedResult, LEASE_DEFAULT};

#[cfg(test)]
mod tests;
