//! What can be set on a LIS01 line. The defaults survive the field; `strict` is the letter.

use core::time::Duration;

use super::frame::Layout;
use crate::{ErrorMode, Tolerance, Tolerances};

/// Which end of the line this machine is. It decides who yields when both bid, and has nothing to
/// do with who opened the TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// The computer system: yields in contention and waits 20 s.
    #[default]
    Host,
    /// The analyzer: bids again after a second.
    Instrument,
}

/// Which directions this side can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Capability {
    /// Both.
    #[default]
    SendAndReceive,
    /// Never bids.
    ReceiveOnly,
    /// Refuses every bid.
    SendOnly,
}

/// What a sender does when the receiver asks for the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum InterruptPolicy {
    /// Finish the message, then give the line away.
    #[default]
    AfterMessage,
    /// Give the line away at once; the message fails as interrupted.
    AtOnce,
    /// Treat the request as an ordinary acknowledgement.
    Ignore,
}

/// How a message is laid out in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Packing {
    /// Every record begins a frame of its own, as the standard says.
    #[default]
    RecordPerFrame,
    /// Every record begins a frame of its own, and every frame but the last of the message ends as
    /// an intermediate one.
    RecordChain,
    /// The whole message is one chain of frames, cut wherever one is full.
    WholeMessage,
}

/// What stands in the checksum field of our frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SentChecksum {
    /// Two hexadecimal digits.
    #[default]
    Digits,
    /// Two blanks.
    Blanks,
}

/// Settings of a LIS01 line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lis01Settings {
    /// Which end of the line this is.
    pub role: Role,
    /// Which directions this side can do.
    pub capability: Capability,
    /// Follow the state tables to the letter: `tolerate` and the machine's own safeguards (pauses
    /// before a bid, jitter, progress watchdog) are out of force.
    pub strict: bool,
    /// What to do when the stream cannot be followed any more.
    pub error_mode: ErrorMode,
    /// Allowed deviations; without effect when `strict`.
    pub tolerate: Tolerances,
    /// Longest frame accepted, framing included.
    pub receive_frame_bytes_max: usize,
    /// How long a frame may go on being read, and dropped, before the stream is given up.
    pub endless_frame_bytes_max: usize,
    /// How many bytes outside of any frame may come in one burst before the stream is given up.
    pub skipped_bytes_max: u64,
    /// How many bytes may wait behind an open verdict.
    pub backlog_bytes_max: usize,
    /// Longest text put into one frame: 240 for the serial editions, at most 63,993.
    pub send_text_bytes_max: usize,
    /// Longest message taken for sending.
    pub send_message_bytes_max: usize,
    /// How many messages may wait for the line.
    pub send_queue_messages_max: usize,
    /// How often one frame is sent before the session is aborted: 6 by the text of every edition,
    /// 7 by the LIS01-A2 figure.
    pub attempts: u8,
    /// How often in a row the line is asked for in vain before the message fails; `None`: until it
    /// is withdrawn.
    pub bids_max: Option<u32>,
    /// How a message is laid out in frames.
    pub packing: Packing,
    /// What stands in the checksum field of our frames.
    pub send_checksum: SentChecksum,
    /// What to do when the receiver asks for the line.
    pub interrupt: InterruptPolicy,
    /// T1: wait for the answer to a bid.
    pub bid_reply_timeout: Duration,
    /// T2: pause after a refused bid.
    pub busy_hold_off: Duration,
    /// T3 of an instrument: pause after contention.
    pub contention_hold_off_instrument: Duration,
    /// T3 of a host: pause after contention.
    pub contention_hold_off_host: Duration,
    /// T4: wait for the reply to a frame.
    pub frame_reply_timeout: Duration,
    /// T5: wait for the next frame of a session.
    pub receive_timeout: Duration,
    /// T7: pause after giving the line away.
    pub interrupt_hold_off: Duration,
    /// Pause after an unanswered bid and after an aborted session.
    pub abort_hold_off: Duration,
    /// Pause before a bid once a session has ended, so that a waiting analyzer can take the line
    /// and contention does not arise.
    pub session_gap: Duration,
    /// Pause between a reply and our next frame, for a line that turns round slowly. What arrives
    /// meanwhile is no reply to that frame and is skipped.
    pub turnaround: Duration,
    /// How long a frame may make no progress.
    pub progress_timeout: Duration,
    /// Silence after a checksum that counts as the end of a frame without CR LF.
    pub frame_end_idle: Duration,
    /// Silence after ENQ or EOT in a broken-off frame that makes it count as what it says.
    pub control_idle: Duration,
    /// How long a verdict may take before the unit is refused.
    pub verdict_timeout: Duration,
    /// Seed of the jitter that keeps two yielding sides from bidding in step.
    pub jitter_seed: u64,
}

impl Default for Lis01Settings {
    fn default() -> Self {
        Self {
            role: Role::default(),
            capability: Capability::default(),
            strict: false,
            error_mode: ErrorMode::default(),
            tolerate: Tolerances::LIS01,
            receive_frame_bytes_max: 64_000,
            endless_frame_bytes_max: 1 << 20,
            skipped_bytes_max: 64 << 10,
            backlog_bytes_max: 1 << 20,
            send_text_bytes_max: 240,
            send_message_bytes_max: 1 << 20,
            send_queue_messages_max: 64,
            attempts: 6,
            bids_max: None,
            packing: Packing::default(),
            send_checksum: SentChecksum::default(),
            interrupt: InterruptPolicy::default(),
            bid_reply_timeout: Duration::from_secs(15),
            busy_hold_off: Duration::from_secs(10),
            contention_hold_off_instrument: Duration::from_secs(1),
            contention_hold_off_host: Duration::from_secs(20),
            frame_reply_timeout: Duration::from_secs(15),
            receive_timeout: Duration::from_secs(30),
            interrupt_hold_off: Duration::from_secs(15),
            abort_hold_off: Duration::from_secs(1),
            session_gap: Duration::from_millis(100),
            turnaround: Duration::ZERO,
            progress_timeout: Duration::from_secs(10),
            frame_end_idle: Duration::from_millis(300),
            control_idle: Duration::from_millis(500),
            verdict_timeout: Duration::from_secs(10),
            jitter_seed: 0,
        }
    }
}

impl Lis01Settings {
    /// Whether a deviation is allowed.
    pub fn tolerates(&self, tolerance: Tolerance) -> bool {
        !self.strict && self.tolerate.contains(tolerance)
    }

    /// What our own frames consist of.
    pub(super) fn layout(&self) -> Layout {
        Layout {
            has_number: !self.tolerates(Tolerance::FrameNumberAbsent),
            sum_has_start: self.tolerates(Tolerance::ChecksumFromStart),
            sum_has_terminator: !self.tolerates(Tolerance::ChecksumWithoutTerminator),
            check_is_blank: !self.strict && self.send_checksum == SentChecksum::Blanks,
        }
    }
}
