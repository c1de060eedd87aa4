//! The reading side's queue: claim, acknowledge, reject.

use std::time::Duration;

use crate::{LisDatabase, SinkError};

/// How long a claim holds when the consumer names no time.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(60);

/// One result that a consumer claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedResult {
    /// `result.id`: what `acknowledge` and `reject` take.
    pub id: i64,
    /// The row by column name.
    pub row: serde_json::Map<String, serde_json::Value>,
}

impl LisDatabase {
    /// Gives the oldest results that nobody holds to `consumer`, for `lease`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn claim(&mut self, consumer: &str, results_max: usize, lease: Duration, now_ms: i64) -> Result<Vec<ClaimedResult>, SinkError> {
        let _ = (consumer, results_max, lease, now_ms);
        Ok(vec![])
    }

    /// Takes results that `consumer` has filed out of the queue; answers how many it held.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn acknowledge(&mut self, consumer: &str, ids: &[i64], now_ms: i64) -> Result<usize, SinkError> {
        let _ = (consumer, ids, now_ms);
        Ok(0)
    }

    /// Sets results aside that `consumer` cannot file; answers how many it held.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn reject(&mut self, consumer: &str, ids: &[i64], reason: &str, now_ms: i64) -> Result<usize, SinkError> {
        let _ = (consumer, ids, reason, now_ms);
        Ok(0)
    }
}
