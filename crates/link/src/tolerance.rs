//! Deviations that settings may allow, each with a name and each use of it reported.

use core::fmt;
use core::str::FromStr;

/// One deviation from the letter of a dialect that can be allowed by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Tolerance {
    /// A frame ends after its checksum, without CR LF or with only one of them.
    MissingCrlf,
    /// Checksum digits in lower case.
    LowerCaseChecksum,
    /// LF inside frame text.
    LineFeedInText,
    /// A transmission control or device control inside frame text whose checksum holds.
    RestrictedByteInText,
    /// A bid inside a session, or in a broken-off frame, begins a new session.
    EnqRestart,
    /// The first frame of a session, or of a message inside it, may carry any number.
    FrameNumberRestart,
    /// Frame numbers are not checked at all; only a byte-equal neighbour counts as a repeat.
    FrameNumberAny,
    /// Frames have no number, neither theirs nor ours; a byte-equal neighbour counts as a repeat.
    FrameNumberAbsent,
    /// The sum leaves the terminator out, in their frames and in ours.
    ChecksumWithoutTerminator,
    /// The sum begins with STX, in their frames and in ours.
    ChecksumFromStart,
    /// A checksum below 10 hexadecimal is one digit.
    ChecksumOneDigit,
    /// A frame whose checksum is wrong or unreadable was taken all the same.
    ChecksumIgnored,
    /// A frame was taken whose checksum nobody looked at.
    ChecksumOff,
    /// EOT wants a reply of its own, like a frame.
    EotReply,
    /// Our bid is granted by ENQ.
    EnqReplyIsAck,
    /// In contention the host goes first and the analyzer yields.
    HostPriority,
    /// ACK or NAK inside a text, which are dropped from it.
    ReplyByteInText,
    /// A frame on a neutral line opens a session without a bid.
    SessionWithoutEnq,
    /// A block ends with its end byte, without the CR behind it.
    BlockEndWithoutCr,
    /// The end byte of a block inside its content.
    BlockEndByteInText,
    /// A block without content, used as a sign of life.
    EmptyBlock,
    /// A message without block framing.
    UnframedMessage,
}

impl Tolerance {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 22] = [
        Self::MissingCrlf,
        Self::LowerCaseChecksum,
        Self::LineFeedInText,
        Self::RestrictedByteInText,
        Self::EnqRestart,
        Self::FrameNumberRestart,
        Self::FrameNumberAny,
        Self::FrameNumberAbsent,
        Self::ChecksumWithoutTerminator,
        Self::ChecksumFromStart,
        Self::ChecksumOneDigit,
        Self::ChecksumIgnored,
        Self::ChecksumOff,
        Self::EotReply,
        Self::EnqReplyIsAck,
        Self::HostPriority,
        Self::ReplyByteInText,
        Self::SessionWithoutEnq,
        Self::BlockEndWithoutCr,
        Self::BlockEndByteInText,
        Self::EmptyBlock,
        Self::UnframedMessage,
    ];

    /// The name in profiles and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingCrlf => "missing-crlf",
            Self::LowerCaseChecksum => "lower-case-checksum",
            Self::LineFeedInText => "line-feed-in-text",
            Self::RestrictedByteInText => "restricted-byte-in-text",
            Self::EnqRestart => "enq-restart",
            Self::FrameNumberRestart => "frame-number-restart",
            Self::FrameNumberAny => "frame-number-any",
            Self::FrameNumberAbsent => "frame-number-absent",
            Self::ChecksumWithoutTerminator => "checksum-without-terminator",
            Self::ChecksumFromStart => "checksum-from-start",
            Self::ChecksumOneDigit => "checksum-one-digit",
            Self::ChecksumIgnored => "checksum-ignored",
            Self::ChecksumOff => "checksum-off",
            Self::EotReply => "eot-reply",
            Self::EnqReplyIsAck => "enq-reply-is-ack",
            Self::HostPriority => "host-priority",
            Self::ReplyByteInText => "reply-byte-in-text",
            Self::SessionWithoutEnq => "session-without-enq",
            Self::BlockEndWithoutCr => "block-end-without-cr",
            Self::BlockEndByteInText => "block-end-byte-in-text",
            Self::EmptyBlock => "empty-block",
            Self::UnframedMessage => "unframed-message",
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no tolerance has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownTolerance;

impl fmt::Display for UnknownTolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no tolerance has this name")
    }
}

impl core::error::Error for UnknownTolerance {}

impl FromStr for Tolerance {
    type Err = UnknownTolerance;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|tolerance| tolerance.name() == name).ok_or(UnknownTolerance)
    }
}

/// A set of tolerances.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerances(u32);

impl Tolerances {
    /// Nothing is tolerated.
    pub const NONE: Self = Self(0);

    /// What a LIS01 line tolerates unless told otherwise: deviations under which the checksum
    /// still proves the content, and the bid of a rebooted analyzer.
    pub const LIS01: Self = Self::NONE
        .with(Tolerance::MissingCrlf)
        .with(Tolerance::LowerCaseChecksum)
        .with(Tolerance::LineFeedInText)
        .with(Tolerance::RestrictedByteInText)
        .with(Tolerance::EnqRestart);

    /// What an MLLP line tolerates unless told otherwise.
    pub const MLLP: Self = Self::NONE
        .with(Tolerance::BlockEndWithoutCr)
        .with(Tolerance::BlockEndByteInText)
        .with(Tolerance::EmptyBlock);

    /// Everything that means something on a LIS01 line.
    pub const OF_LIS01: Self = Self::LIS01
        .with(Tolerance::FrameNumberRestart)
        .with(Tolerance::FrameNumberAny)
        .with(Tolerance::FrameNumberAbsent)
        .with(Tolerance::ChecksumWithoutTerminator)
        .with(Tolerance::ChecksumFromStart)
        .with(Tolerance::ChecksumOneDigit)
        .with(Tolerance::ChecksumIgnored)
        .with(Tolerance::ChecksumOff)
        .with(Tolerance::EotReply)
        .with(Tolerance::EnqReplyIsAck)
        .with(Tolerance::HostPriority)
        .with(Tolerance::SessionWithoutEnq);

    /// Everything that means something on an MLLP line.
    pub const OF_MLLP: Self = Self::MLLP.with(Tolerance::UnframedMessage);

    /// Everything that means something on a line of delimited texts. Nothing of it is on by default.
    pub const OF_TEXTS: Self = Self::NONE.with(Tolerance::ReplyByteInText);

    /// The set and one more.
    #[must_use]
    pub const fn with(self, tolerance: Tolerance) -> Self {
        Self(self.0 | 1 << tolerance as u8)
    }

    /// The set without one.
    #[must_use]
    pub const fn without(self, tolerance: Tolerance) -> Self {
        Self(self.0 & !(1 << tolerance as u8))
    }

    /// Whether a tolerance is in the set.
    #[must_use]
    pub const fn contains(self, tolerance: Tolerance) -> bool {
        self.0 & 1 << tolerance as u8 != 0
    }

    /// The members, in the order of [`Tolerance::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Tolerance> {
        Tolerance::ALL.into_iter().filter(move |tolerance| self.contains(*tolerance))
    }
}

impl FromIterator<Tolerance> for Tolerances {
    fn from_iter<I: IntoIterator<Item = Tolerance>>(tolerances: I) -> Self {
        tolerances.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Tolerances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tolerance_is_found_by_its_own_name() {
        for tolerance in Tolerance::ALL {
            assert_eq!(tolerance.name().parse(), Ok(tolerance));
        }
        assert_eq!("missing-cr".parse::<Tolerance>(), Err(UnknownTolerance));
    }

    #[test]
    fn every_tolerance_belongs_to_a_dialect() {
        for tolerance in Tolerance::ALL {
            let known = [Tolerances::OF_LIS01, Tolerances::OF_MLLP, Tolerances::OF_TEXTS];
            assert!(known.iter().any(|set| set.contains(tolerance)), "{tolerance}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set: Tolerances = [Tolerance::EnqRestart, Tolerance::MissingCrlf].into_iter().collect();
        let members: Vec<_> = set.iter().collect();
        assert_eq!(members, [Tolerance::MissingCrlf, Tolerance::EnqRestart]);
        assert!(!set.without(Tolerance::EnqRestart).contains(Tolerance::EnqRestart));
    }
}
