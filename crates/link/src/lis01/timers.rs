//! Every reason for a LIS01 line to wake up without a byte.

/// Named after what is missing or must be waited for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// T1: the other side owes an answer to our bid.
    BidReply,
    /// T2, T3, T7 and the pauses after them: we must not bid yet.
    LineHold,
    /// T4: the other side owes a reply to our frame.
    FrameReply,
    /// Our next frame waits for the line to turn round.
    Turnaround,
    /// T5: the other side owes a frame.
    Receive,
    /// A frame has begun and must go on.
    FrameProgress,
    /// Silence would decide what the last byte meant.
    Silence,
    /// The owner owes a verdict.
    Verdict,
}
