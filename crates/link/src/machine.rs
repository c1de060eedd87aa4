//! The one face of all link machines: what goes in, what comes out, and the choice among them.

use core::fmt;
use core::time::Duration;

use crate::{Delimited, DelimitedSettings, Fault, Lis01, Lis01Settings, Mllp, MllpSettings, Tolerance};

/// Something that happened to a line: bytes, time, a verdict, a wish of the owner.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// Bytes in the order in which the line delivered them.
    Bytes(&'a [u8]),
    /// A character at this place of the stream was damaged (parity, framing, overrun, break).
    CharacterError,
    /// The time that [`Machine::poll_deadline`] named has come. Too early is harmless.
    Deadline,
    /// Whether the store can commit. It decides the answer to a bid; `false` until told.
    Ready(bool),
    /// The bytes of this unit are durable: reply positively.
    Accept(Token),
    /// They are not: reply negatively or, where the dialect has no negative reply, not at all.
    Refuse(Token),
    /// Send this message. LIS01: records joined with CR; MLLP: the content of one block;
    /// delimited: one text. The message is copied.
    Send {
        /// Name under which [`Event::Sent`] or [`Event::SendFailed`] reports the outcome.
        id: u64,
        /// The message without any framing.
        message: &'a [u8],
    },
    /// Forget a message that is not on the line yet. One that is goes on to its end.
    Withdraw {
        /// The name given in [`Input::Send`].
        id: u64,
    },
    /// LIS01: ask for the line by a receiver interrupt at the end frames of the running session.
    RequestLine,
    /// The transport is gone. It takes effect behind the bytes that came before it, so an open
    /// verdict still has to be answered.
    Closed,
}

/// Names one unit from its event to its verdict.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// What a machine has to tell its owner.
///
/// `Debug` shows lengths, never content: events end up in logs, patient data must not.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A session began: a bid was accepted, or a frame came without one where that is tolerated.
    /// MLLP blocks and texts outside of a handshake stand alone, without a session.
    Opened,
    /// One unit that the dialect acknowledges. The machine reads on after the verdict.
    Unit {
        /// To be named in the verdict.
        token: Token,
        /// The frame number, where the dialect numbers frames.
        number: Option<u8>,
        /// Content without framing, number and checksum.
        bytes: Vec<u8>,
        /// Whether the frame ended as an intermediate or an end frame.
        end: UnitEnd,
    },
    /// A good repeat of the unit accepted last, which is durable already: answer
    /// [`Input::Accept`].
    Repeat {
        /// To be named in the verdict.
        token: Token,
        /// The number of the repeated frame.
        number: u8,
    },
    /// The session is over; no unit of it follows.
    Ended(EndReason),
    /// What there is of a unit that will not be completed and was not replied to. Only dialects
    /// whose sender may never repeat it report fragments.
    Fragment {
        /// The content received so far.
        bytes: Vec<u8>,
    },
    /// A rule was broken.
    Fault(Fault),
    /// A rule was bent in a way that the settings allow.
    Tolerated(Tolerance),
    /// The message is with the other side: acknowledged, or written where nothing acknowledges.
    Sent {
        /// The name given in [`Input::Send`].
        id: u64,
    },
    /// The message did not get across; it stays with the owner.
    SendFailed {
        /// The name given in [`Input::Send`].
        id: u64,
        /// Why.
        reason: SendFailure,
    },
    /// This stream cannot be understood any more; the machine ignores it from here on, and the
    /// owner should close the connection. The text is a stable kebab-case reason.
    Desynchronised(&'static str),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened => f.write_str("Opened"),
            Self::Unit { token, number, bytes, end } => f
                .debug_struct("Unit")
                .field("token", &token.0)
                .field("number", number)
                .field("bytes", &bytes.len())
                .field("end", end)
                .finish(),
            Self::Repeat { token, number } => {
                f.debug_struct("Repeat").field("token", &token.0).field("number", number).finish()
            }
            Self::Ended(reason) => f.debug_tuple("Ended").field(reason).finish(),
            Self::Fragment { bytes } => f.debug_struct("Fragment").field("bytes", &bytes.len()).finish(),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Self::Tolerated(tolerance) => f.debug_tuple("Tolerated").field(tolerance).finish(),
            Self::Sent { id } => f.debug_struct("Sent").field("id", id).finish(),
            Self::SendFailed { id, reason } => {
                f.debug_struct("SendFailed").field("id", id).field("reason", reason).finish()
            }
            Self::Desynchronised(reason) => f.debug_tuple("Desynchronised").field(reason).finish(),
        }
    }
}

/// How a unit ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitEnd {
    /// ETB: more of the same chain is promised.
    Intermediate,
    /// ETX, end block or end of the text.
    End,
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// The sender returned the line with EOT.
    Eot,
    /// Nothing came for the receive timeout.
    Timeout,
    /// The transport went away.
    ConnectionLost,
    /// The sender bid again inside the session, as a rebooted analyzer does.
    Restarted,
    /// A record of a stream without replies was lost; the rest of its message is not taken.
    Broken,
}

impl EndReason {
    /// Kebab-case name for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Eot => "eot",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "connection-lost",
            Self::Restarted => "restarted",
            Self::Broken => "broken",
        }
    }
}

/// Why a message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendFailure {
    /// One frame was refused as often as the settings allow.
    Refused,
    /// A frame was not answered in time.
    Unanswered,
    /// The receiver asked for the line in the middle of the message and got it.
    Interrupted,
    /// The transport went away.
    ConnectionLost,
    /// Too many messages wait for the line.
    QueueFull,
    /// The message is longer than the settings allow.
    TooLong,
    /// There is nothing in the message.
    Empty,
    /// The dialect cannot carry this byte.
    RestrictedByte {
        /// The byte.
        byte: u8,
        /// Its place in the message.
        at: usize,
    },
    /// The settings forbid this side to send.
    ReceiveOnly,
    /// The owner withdrew it.
    Withdrawn,
}

impl SendFailure {
    /// Kebab-case name for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Interrupted => "interrupted",
            Self::ConnectionLost => "connection-lost",
            Self::QueueFull => "queue-full",
            Self::TooLong => "too-long",
            Self::Empty => "empty",
            Self::RestrictedByte { .. } => "restricted-byte",
            Self::ReceiveOnly => "receive-only",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What to do when a stream cannot be followed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ErrorMode {
    /// Report [`Event::Desynchronised`] and ignore the rest, so that the owner closes.
    #[default]
    Close,
    /// Drop what there is and look for the next beginning: for lines that cannot be closed.
    Resync,
}

/// A link machine: mutate it once with [`handle`](Self::handle), then drain it with
/// [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event) and
/// [`poll_deadline`](Self::poll_deadline), in this order: what is to be written was decided before
/// the events that report it. `now` counts from any fixed origin and must not go back.
pub trait Machine: fmt::Debug + Send + Sync {
    /// Takes one input. Deadlines that have passed by `now` take effect before it.
    fn handle(&mut self, now: Duration, input: Input<'_>);

    /// Appends the bytes to be written to the line; `false` if there are none.
    #[must_use]
    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool;

    /// The oldest event not yet taken.
    #[must_use]
    fn poll_event(&mut self) -> Option<Event>;

    /// When [`Input::Deadline`] is wanted at the latest.
    #[must_use]
    fn poll_deadline(&self) -> Option<Duration>;

    /// Whether more bytes are welcome. While it is `false` the owner should leave them in the
    /// transport, whose flow control then slows the sender down.
    #[must_use]
    fn accepts_input(&self) -> bool;
}

/// Which dialect a line speaks and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkSettings {
    /// LIS01 / E1381 frames.
    Lis01(Lis01Settings),
    /// HL7 minimal lower layer, release 1.
    Mllp(MllpSettings),
    /// Text between two markers, BCI among them.
    Delimited(DelimitedSettings),
}

/// The machine of one line, whatever its dialect.
#[derive(Debug)]
pub struct Link(Box<dyn Machine>);

impl Link {
    /// A machine in its initial state.
    pub fn new(settings: LinkSettings) -> Self {
        Self(match settings {
            LinkSettings::Lis01(settings) => Box::new(Lis01::new(settings)),
            LinkSettings::Mllp(settings) => Box::new(Mllp::new(settings)),
            LinkSettings::Delimited(settings) => Box::new(Delimited::new(settings)),
        })
    }
}

impl Machine for Link {
    fn handle(&mut self, now: Duration, input: Input<'_>) {
        self.0.handle(now, input);
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.0.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }

    fn poll_deadline(&self) -> Option<Duration> {
        self.0.poll_deadline()
    }

    fn accepts_input(&self) -> bool {
        self.0.accepts_input()
    }
}
