//! What can be set on an MLLP line.

use core::time::Duration;

use crate::{ErrorMode, Tolerance, Tolerances};

/// Which release of the minimal lower layer a line speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Release {
    /// Blocks alone; every reply is a message.
    #[default]
    One,
    /// Each block with content is answered by a block that holds ACK when the content is stored and
    /// NAK when it is not. A sender waits for it before its next block.
    Two,
}

/// Settings of an MLLP line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MllpSettings {
    /// Which release the line speaks.
    pub release: Release,
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
    /// Release 2: how long the reply to a block may take before the block is sent again.
    pub commit_timeout: Duration,
    /// Release 2: how often a block is sent again after NAK or silence.
    pub commit_retries_max: u8,
    /// Release 2: how many messages may wait for the reply to the one before them.
    pub send_queue_max: usize,
}

impl Default for MllpSettings {
    fn default() -> Self {
        Self {
            release: Release::default(),
            strict: false,
            error_mode: ErrorMode::default(),
            tolerate: Tolerances::MLLP,
            block_bytes_max: 16 << 20,
            skipped_bytes_max: 64 << 10,
            backlog_bytes_max: 16 << 20,
            progress_timeout: Duration::from_secs(30),
            block_end_idle: Duration::from_millis(250),
            unframed_idle: Duration::from_secs(2),
            commit_timeout: Duration::from_secs(30),
            commit_retries_max: 2,
            send_queue_max: 64,
        }
    }
}

impl MllpSettings {
    /// Whether a deviation is allowed.
    pub fn tolerates(&self, tolerance: Tolerance) -> bool {
        !self.strict && self.tolerate.contains(tolerance)
    }
}
