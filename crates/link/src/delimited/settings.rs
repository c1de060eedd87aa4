//! What can be set on a line of delimited texts, and the dialects that are settings of it.

use core::time::Duration;

use super::Check;
use crate::control::{CR, EOT, ETX, GS, LF, SOH, STX};
use crate::{ErrorMode, Role, Tolerances};

/// What the other side gets for a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TextReply {
    /// Nothing, whatever the verdict.
    #[default]
    None,
    /// ACK once it is durable, NAK when it is refused or damaged.
    AckOrNak,
    /// The same, but only for the text that ends a message: one that begins with `L`. It is NAK
    /// when any text of the message was lost.
    AckOrNakAtTerminator,
}

/// What holds texts together, and which bytes around them are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TextSession {
    /// Every text stands alone.
    #[default]
    Alone,
    /// Texts are the records of a stream; a silence as long as `receive_timeout` ends it.
    Silence,
    /// ENQ, answered ACK or NAK, and EOT, not answered, stand around texts.
    Bid,
    /// The envelope: ENQ, the start marker and EOT are each answered ACK or NAK. A start marker
    /// opens the session too, without ENQ.
    EveryControl,
}

impl TextSession {
    /// Whether ENQ and EOT mean something.
    pub(super) fn has_bids(self) -> bool {
        matches!(self, Self::Bid | Self::EveryControl)
    }
}

/// A text of ours that follows a text of theirs, as some analyzers demand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// How their text begins.
    pub to: Vec<u8>,
    /// Our text, without framing and check; empty for none beyond the reply.
    pub with: Vec<u8>,
    /// Whether their text carries data: it is then a unit, answered once it is durable. Otherwise it
    /// is a poll, answered while the store can commit.
    pub is_data: bool,
}

/// Settings of a line of delimited texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DelimitedSettings {
    /// Which end of the line this is: the host waits longer when both bid.
    pub role: Role,
    /// What opens a text; empty if the first byte does.
    pub start: Vec<u8>,
    /// What closes a text; empty if only its length or silence does.
    pub end: Vec<u8>,
    /// What closes a text that another one continues; empty if none does.
    pub continued: Vec<u8>,
    /// Length of every text, for analyzers that send columns.
    pub length: Option<usize>,
    /// Bytes that may stand between texts and mean nothing.
    pub between: Vec<u8>,
    /// Silence that closes a text.
    pub idle_end: Option<Duration>,
    /// Silence behind a whole record after which the other side waits for a reply to what it has
    /// sent, before it sends the end marker, which is then answered by itself.
    pub block_idle: Option<Duration>,
    /// What holds texts together.
    pub session: TextSession,
    /// What the other side gets for a text.
    pub reply: TextReply,
    /// Texts of ours that follow texts of theirs; the first that fits. Not for sessions with bids.
    pub answers: Vec<Answer>,
    /// How the bytes of a text are checked.
    pub check: Check,
    /// Allowed deviations.
    pub tolerate: Tolerances,
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
    /// How long a session may be silent between texts.
    pub receive_timeout: Duration,
    /// How long we wait for a reply.
    pub reply_timeout: Duration,
    /// Pause after a bid or text that failed.
    pub hold_off: Duration,
    /// Pause of an analyzer after both sides bid; the host waits for `hold_off`.
    pub contention_retry: Duration,
    /// Pause before a bid once a session has ended.
    pub session_gap: Duration,
    /// How long a verdict may take before the text is refused.
    pub verdict_timeout: Duration,
}

impl Default for DelimitedSettings {
    fn default() -> Self {
        Self {
            role: Role::default(),
            start: vec![STX],
            end: vec![ETX],
            continued: Vec::new(),
            length: None,
            between: Vec::new(),
            idle_end: None,
            block_idle: None,
            session: TextSession::default(),
            reply: TextReply::default(),
            answers: Vec::new(),
            check: Check::default(),
            tolerate: Tolerances::NONE,
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
            contention_retry: Duration::from_secs(1),
            session_gap: Duration::from_millis(100),
            verdict_timeout: Duration::from_secs(10),
        }
    }
}

impl DelimitedSettings {
    /// The BCI dialect: `ENQ (STX text GS sum ETX)… EOT`, ENQ and each text replied to.
    pub fn bci() -> Self {
        Self {
            session: TextSession::Bid,
            reply: TextReply::AckOrNak,
            check: Check::SumThroughMark { mark: GS },
            ..Self::default()
        }
    }

    /// The control-acknowledged envelope: `[ENQ] (STX records ETX)… EOT`. ENQ, STX, ETX and EOT are
    /// each replied to; the reply to ETX is the one for the records. Neither frame numbers nor
    /// checksums.
    pub fn control_ack_envelope() -> Self {
        Self {
            session: TextSession::EveryControl,
            reply: TextReply::AckOrNak,
            between: vec![CR, LF],
            ..Self::default()
        }
    }

    /// Blocks from SOH to EOT, each replied to.
    pub fn soh_block() -> Self {
        Self {
            start: vec![SOH],
            end: vec![EOT],
            between: vec![CR, LF],
            reply: TextReply::AckOrNak,
            ..Self::default()
        }
    }

    /// Records that end with CR, without any framing. A minute of silence ends what belongs together.
    pub fn records() -> Self {
        Self {
            start: Vec::new(),
            end: vec![CR],
            between: vec![CR, LF],
            session: TextSession::Silence,
            receive_timeout: Duration::from_secs(60),
            ..Self::default()
        }
    }

    /// Texts of so many bytes, without markers.
    pub fn fixed_length(length: usize) -> Self {
        Self { start: Vec::new(), end: Vec::new(), length: Some(length), ..Self::default() }
    }
}
