//! What can be set on a line of delimited texts.

use core::time::Duration;

use crate::ErrorMode;
use crate::control::{ETX, GS, STX};

/// What the other side gets for a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TextReply {
    /// Nothing, whatever the verdict.
    #[default]
    None,
    /// ACK once it is durable, NAK when it is refused or damaged.
    AckOrNak,
}

/// How the bytes of a text are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Check {
    /// Not at all.
    #[default]
    None,
    /// The text ends with a mark and two hexadecimal digits: the sum of all bytes behind the start
    /// marker up to and including the mark, modulo 256. Mark and digits are no content.
    SumThroughMark {
        /// The mark, GS in BCI.
        mark: u8,
    },
}

/// Settings of a line of delimited texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DelimitedSettings {
    /// What opens a text; empty if the first byte does.
    pub start: Vec<u8>,
    /// What closes a text; empty if only silence does.
    pub end: Vec<u8>,
    /// Silence that closes a text.
    pub idle_end: Option<Duration>,
    /// Whether ENQ (answered ACK or NAK) and EOT may stand around texts, and do when we send.
    pub handshake: bool,
    /// What the other side gets for a text.
    pub reply: TextReply,
    /// How the bytes of a text are checked.
    pub check: Check,
    /// What to do when the stream cannot be followed any more.
    pub error_mode: ErrorMode,
    /// Longest text accepted or sent.
    pub bytes_max: usize,
    /// How many bytes outside of any text may come in one burst before the stream is given up.
    pub skipped_bytes_max: u64,
    /// How many bytes may wait behind an open verdict.
    pub backlog_bytes_max: usize,
    /// How many messages may wait for the line.
    pub send_queue_messages_max: usize,
    /// How often one text is sent before it fails.
    pub attempts: u8,
    /// How long a text may make no progress.
    pub progress_timeout: Duration,
    /// How long a session with a handshake may be silent between texts.
    pub receive_timeout: Duration,
    /// How long we wait for a reply.
    pub reply_timeout: Duration,
    /// Pause after a bid or text that failed.
    pub hold_off: Duration,
    /// Pause before a bid once a session has ended.
    pub session_gap: Duration,
    /// How long a verdict may take before the text is refused.
    pub verdict_timeout: Duration,
}

impl Default for DelimitedSettings {
    fn default() -> Self {
        Self {
            start: vec![STX],
            end: vec![ETX],
            idle_end: None,
            handshake: false,
            reply: TextReply::default(),
            check: Check::default(),
            error_mode: ErrorMode::default(),
            bytes_max: 1 << 20,
            skipped_bytes_max: 64 << 10,
            backlog_bytes_max: 1 << 20,
            send_queue_messages_max: 64,
            attempts: 6,
            progress_timeout: Duration::from_secs(30),
            receive_timeout: Duration::from_secs(30),
            reply_timeout: Duration::from_secs(15),
            hold_off: Duration::from_secs(10),
            session_gap: Duration::from_millis(100),
            verdict_timeout: Duration::from_secs(10),
        }
    }
}

impl DelimitedSettings {
    /// The BCI dialect: ENQ and EOT around texts from STX to ETX, each with a check, each replied
    /// to.
    pub fn bci() -> Self {
        Self {
            handshake: true,
            reply: TextReply::AckOrNak,
            check: Check::SumThroughMark { mark: GS },
            ..Self::default()
        }
    }
}
