//! What can be set on an MLLP line.

use core::time::Duration;

use crate::{ErrorMode, Tolerance, Tolerances};

/// Settings of an MLLP line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MllpSettings {
    /// Only blocks that keep to the letter; `tolerate` is out of force.
    pub strict: bool,
    /// What to do when the stream cannot be followed any more.
    pub error_mode: ErrorMode,
    /// Allowed deviations; without effect when `strict`.
    pub tolerate: Tolerances,
    /// Longest block content accepted or sent.
    pub block_bytes_max: usize,
    /// How many bytes outside of any block may come in one burst before the stream is given up.
    pub skipped_bytes_max: u64,
    /// How many bytes may wait behind an open verdict.
    pub backlog_bytes_max: usize,
    /// How long a block may make no progress.
    pub progress_timeout: Duration,
    /// Silence after the end byte that counts as the end of the block without its CR.
    pub block_end_idle: Duration,
    /// Silence that ends a message without block framing, where that is tolerated.
    pub unframed_idle: Duration,
}

impl Default for MllpSettings {
    fn default() -> Self {
        Self {
            strict: false,
            error_mode: ErrorMode::default(),
            tolerate: Tolerances::MLLP,
            block_bytes_max: 16 << 20,
            skipped_bytes_max: 64 << 10,
            backlog_bytes_max: 16 << 20,
            progress_timeout: Duration::from_secs(30),
            block_end_idle: Duration::from_millis(250),
            unframed_idle: Duration::from_secs(2),
        }
    }
}

impl MllpSettings {
    /// Whether a deviation is allowed.
    pub fn tolerates(&self, tolerance: Tolerance) -> bool {
        !self.strict && self.tolerate.contains(tolerance)
    }
}
