//! What can go wrong on a line, by rule: the clause, the place in the stream, our reply.

use core::fmt;

/// A broken rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which rule.
    pub kind: FaultKind,
    /// Where: offset in the bytes received since the connection was opened.
    pub at: u64,
    /// What was sent back for it.
    pub reply: Reply,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.at)?;
        if let Some(clause) = self.kind.clause() {
            write!(f, " ({clause})")?;
        }
        write!(f, "; {}", self.reply)
    }
}

/// What this side put on the line in answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Nothing.
    None,
    /// Positive.
    Ack,
    /// Negative.
    Nak,
    /// End of transmission.
    Eot,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "not answered",
            Self::Ack => "answered ACK",
            Self::Nak => "answered NAK",
            Self::Eot => "answered EOT",
        })
    }
}

/// A protocol that was recognised on a line configured for another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OtherProtocol {
    /// A TLS handshake on a plaintext port.
    Tls,
    /// An HTTP request.
    Http,
    /// LIS01 / E1381, by its ENQ.
    Lis01,
    /// MLLP, by its start block.
    Mllp,
}

impl OtherProtocol {
    /// Kebab-case reason, as in [`Event::Desynchronised`](crate::Event::Desynchronised).
    pub fn code(self) -> &'static str {
        match self {
            Self::Tls => "tls-on-plaintext-port",
            Self::Http => "http-request",
            Self::Lis01 => "lis01-on-this-port",
            Self::Mllp => "mllp-on-this-port",
        }
    }
}

/// Which rule was broken. Numbers and single bytes only: a fault never carries content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    // --- LIS01, as receiver ---
    /// The checksum sent is not that of the frame.
    ChecksumMismatch {
        /// As sent.
        sent: u8,
        /// As computed over number, text and terminator.
        computed: u8,
    },
    /// The checksum sent would be right without the terminator.
    ChecksumWithoutTerminator,
    /// The checksum is not two hexadecimal digits.
    ChecksumNotHex,
    /// The frame number is not a digit from 0 to 7.
    FrameNumberInvalid,
    /// The frame number is neither the expected one nor that of the frame accepted last.
    FrameNumberGap {
        /// The number that had to come.
        expected: u8,
        /// The number that came.
        received: u8,
    },
    /// The number of the frame accepted last, with another content: neither new nor a repeat.
    FrameNumberReused {
        /// The number that came again.
        number: u8,
    },
    /// A damaged character inside a frame.
    CharacterError,
    /// A byte that frame text must not contain.
    RestrictedByte {
        /// The byte.
        byte: u8,
    },
    /// ENQ or EOT inside a frame.
    ControlInFrame {
        /// The byte.
        byte: u8,
    },
    /// A frame began inside another one, which is dropped.
    FrameRestarted,
    /// A frame longer than the limit.
    FrameTooLong {
        /// `receive_frame_bytes_max`.
        limit: usize,
    },
    /// A frame that went on beyond every limit without an end.
    FrameEndless,
    /// Nothing came inside a frame for the progress timeout; it is dropped.
    FrameStalled,
    /// A frame without CR LF where they are demanded.
    FrameEndMissing,
    /// A bid inside a session, ignored.
    EnqInSession,
    /// A bid, or a unit, while the store cannot commit.
    NotReady,
    /// The store gave no verdict in time.
    VerdictLate,
    // --- LIS01, as sender ---
    /// Our bid was refused.
    BidRefused,
    /// Our bid was not answered.
    BidUnanswered,
    /// Both sides bid at the same time.
    Contention,
    /// Our frame was refused.
    FrameRefused {
        /// How often this frame has been sent.
        attempt: u8,
    },
    /// Our frame was answered with a byte that is no reply.
    UnexpectedReply {
        /// The byte.
        byte: u8,
    },
    /// Our frame was not answered.
    FrameUnanswered,
    // --- blocks and texts ---
    /// A block or text began inside another one, which is kept as a fragment.
    UnitRestarted,
    /// Nothing came inside a block or text for the progress timeout.
    UnitStalled,
    /// The connection closed inside a block or text.
    UnitCutOff,
    /// A block or text longer than the limit.
    UnitTooLong {
        /// The limit.
        limit: usize,
    },
    /// The end byte of a block was followed by something else than CR.
    BlockEndMalformed,
    /// A message without block framing, which is skipped.
    MessageUnframed,
    /// A reply of MLLP release 2 that no block of ours waits for, as on a release 1 line.
    CommitReply,
    /// A text of another length than all texts of this line have.
    UnitLength {
        /// The length of the settings.
        expected: usize,
        /// How many bytes stood between the markers.
        received: usize,
    },
    /// The check of a text is not that of its bytes, or is missing.
    CheckMismatch,
    // --- all ---
    /// Bytes outside of any unit were skipped.
    BytesSkipped {
        /// How many.
        count: u64,
    },
    /// Another protocol is spoken on this line.
    OtherProtocol(OtherProtocol),
    /// More bytes came behind an open verdict than may wait; the rest was dropped.
    BacklogFull {
        /// `backlog_bytes_max`.
        limit: usize,
    },
}

impl FaultKind {
    /// Kebab-case name for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::ChecksumMismatch { .. } => "checksum-mismatch",
            Self::ChecksumWithoutTerminator => "checksum-without-terminator",
            Self::ChecksumNotHex => "checksum-not-hex",
            Self::FrameNumberInvalid => "frame-number-invalid",
            Self::FrameNumberGap { .. } => "frame-number-gap",
            Self::FrameNumberReused { .. } => "frame-number-reused",
            Self::CharacterError => "character-error",
            Self::RestrictedByte { .. } => "restricted-byte",
            Self::ControlInFrame { .. } => "control-in-frame",
            Self::FrameRestarted => "frame-restarted",
            Self::FrameTooLong { .. } => "frame-too-long",
            Self::FrameEndless => "frame-endless",
            Self::FrameStalled => "frame-stalled",
            Self::FrameEndMissing => "frame-end-missing",
            Self::EnqInSession => "enq-in-session",
            Self::NotReady => "not-ready",
            Self::VerdictLate => "verdict-late",
            Self::BidRefused => "bid-refused",
            Self::BidUnanswered => "bid-unanswered",
            Self::Contention => "contention",
            Self::FrameRefused { .. } => "frame-refused",
            Self::UnexpectedReply { .. } => "unexpected-reply",
            Self::FrameUnanswered => "frame-unanswered",
            Self::UnitRestarted => "unit-restarted",
            Self::UnitStalled => "unit-stalled",
            Self::UnitCutOff => "unit-cut-off",
            Self::UnitTooLong { .. } => "unit-too-long",
            Self::BlockEndMalformed => "block-end-malformed",
            Self::MessageUnframed => "message-unframed",
            Self::CommitReply => "commit-reply",
            Self::UnitLength { .. } => "unit-length",
            Self::CheckMismatch => "check-mismatch",
            Self::BytesSkipped { .. } => "bytes-skipped",
            Self::OtherProtocol(_) => "other-protocol",
            Self::BacklogFull { .. } => "backlog-full",
        }
    }

    /// The clause that was broken, where a standard has one.
    pub fn clause(self) -> Option<&'static str> {
        Some(match self {
            Self::ChecksumMismatch { .. } | Self::ChecksumWithoutTerminator => "LIS01-A2 6.3.3.1",
            Self::ChecksumNotHex => "LIS01-A2 6.3.3.2",
            Self::FrameNumberInvalid => "LIS01-A2 6.3.2",
            Self::FrameNumberGap { .. } | Self::FrameNumberReused { .. } => "LIS01-A2 6.3.2.1",
            Self::CharacterError => "LIS01-A2 6.5.1.1",
            Self::RestrictedByte { .. } | Self::ControlInFrame { .. } => "LIS01-A2 6.6",
            Self::FrameRestarted | Self::FrameEndMissing => "LIS01-A2 6.3.1.2",
            Self::FrameTooLong { .. } | Self::FrameEndless => "LIS01-A2 6.3.1",
            Self::EnqInSession => "LIS01-A2 6.5.1.1",
            Self::NotReady | Self::BidRefused => "LIS01-A2 6.2.6",
            Self::VerdictLate => "LIS01-A2 6.5.2.5",
            Self::BidUnanswered => "LIS01-A2 6.5.2.1",
            Self::Contention => "LIS01-A2 6.2.7.1",
            Self::FrameRefused { .. } | Self::UnexpectedReply { .. } => "LIS01-A2 6.5.1.2",
            Self::FrameUnanswered => "LIS01-A2 6.5.2.3",
            Self::UnitRestarted | Self::BlockEndMalformed | Self::MessageUnframed => "MLLP block format",
            Self::FrameStalled
            | Self::UnitStalled
            | Self::UnitCutOff
            | Self::UnitTooLong { .. }
            | Self::CommitReply
            | Self::UnitLength { .. }
            | Self::CheckMismatch
            | Self::BytesSkipped { .. }
            | Self::OtherProtocol(_)
            | Self::BacklogFull { .. } => return None,
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ChecksumMismatch { sent, computed } => {
                write!(f, "checksum {sent:02X} was sent, {computed:02X} is right")
            }
            Self::ChecksumWithoutTerminator => f.write_str("checksum leaves out the terminator"),
            Self::ChecksumNotHex => f.write_str("checksum is not two hexadecimal digits"),
            Self::FrameNumberInvalid => f.write_str("frame number is not a digit from 0 to 7"),
            Self::FrameNumberGap { expected, received } => {
                write!(f, "frame number {received} where {expected} had to come")
            }
            Self::FrameNumberReused { number } => {
                write!(f, "frame number {number} came again with another content")
            }
            Self::CharacterError => f.write_str("damaged character in a frame"),
            Self::RestrictedByte { byte } => write!(f, "byte {byte:02X} is not allowed in frame text"),
            Self::ControlInFrame { byte } => write!(f, "control byte {byte:02X} inside a frame"),
            Self::FrameRestarted => f.write_str("a frame began inside another one"),
            Self::FrameTooLong { limit } => write!(f, "frame longer than {limit} bytes"),
            Self::FrameEndless => f.write_str("frame without an end"),
            Self::FrameStalled => f.write_str("frame broke off"),
            Self::FrameEndMissing => f.write_str("frame without CR LF"),
            Self::EnqInSession => f.write_str("bid inside a session"),
            Self::NotReady => f.write_str("the store cannot commit"),
            Self::VerdictLate => f.write_str("the store gave no verdict in time"),
            Self::BidRefused => f.write_str("our bid was refused"),
            Self::BidUnanswered => f.write_str("our bid was not answered"),
            Self::Contention => f.write_str("both sides bid for the line"),
            Self::FrameRefused { attempt } => write!(f, "our frame was refused, attempt {attempt}"),
            Self::UnexpectedReply { byte } => write!(f, "our frame was answered with byte {byte:02X}"),
            Self::FrameUnanswered => f.write_str("our frame was not answered"),
            Self::UnitRestarted => f.write_str("a block began inside another one"),
            Self::UnitStalled => f.write_str("block broke off"),
            Self::UnitCutOff => f.write_str("connection closed inside a block"),
            Self::UnitTooLong { limit } => write!(f, "block longer than {limit} bytes"),
            Self::BlockEndMalformed => f.write_str("end byte without CR"),
            Self::MessageUnframed => f.write_str("message without block framing"),
            Self::CommitReply => f.write_str("reply of MLLP release 2 to nothing"),
            Self::UnitLength { expected, received } => {
                write!(f, "{received} bytes of text where {expected} are right")
            }
            Self::CheckMismatch => f.write_str("check does not match the text"),
            Self::BytesSkipped { count } => write!(f, "{count} bytes outside of any frame skipped"),
            Self::OtherProtocol(protocol) => f.write_str(protocol.code()),
            Self::BacklogFull { limit } => {
                write!(f, "more than {limit} bytes came before the verdict on a frame")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_rule_place_and_reply() {
        let fault = Fault {
            kind: FaultKind::ChecksumMismatch { sent: 0x04, computed: 0xA7 },
            at: 512,
            reply: Reply::Nak,
        };
        assert_eq!(
            fault.to_string(),
            "checksum 04 was sent, A7 is right at byte 512 (LIS01-A2 6.3.3.1); answered NAK"
        );
    }

    #[test]
    fn a_fault_without_a_clause_names_place_and_reply() {
        let fault = Fault { kind: FaultKind::BytesSkipped { count: 3 }, at: 0, reply: Reply::None };
        assert_eq!(fault.to_string(), "3 bytes outside of any frame skipped at byte 0; not answered");
    }
}
