//! What a session asks of the world.

use labwire_link::{EndReason, Fault, Tolerance};
use labwire_model::DecodedMessage;

/// Names one outstanding [`Persist`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// One unit as the dialect acknowledges it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// LIS01 frame number; `None` where the dialect has none.
    pub number: Option<u8>,
    /// Whether the unit ends its chain (ETX, end block).
    pub ends_chain: bool,
    /// The unit's text without framing.
    pub bytes: Vec<u8>,
}

/// How a complete message settles an incomplete one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It repeats the incomplete message whole.
    Superseded,
    /// It goes on where the incomplete message stopped; both are read as one.
    Resumed,
}

/// Which incomplete message a complete one settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolves {
    /// The reception that broke off.
    pub transmission: u64,
    /// How.
    pub how: Resolution,
}

/// A complete message, read through the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message without framing, as sent; of a resumed one both parts joined.
    pub raw: Vec<u8>,
    /// What the plan read.
    pub decoded: DecodedMessage,
    /// The incomplete messages that it settles.
    pub resolves: Vec<Resolves>,
    /// The analyzer went on in the same session after our reply to the message before this one, so
    /// it received that reply, and this message is no repetition of that one. `false` when in doubt.
    pub previous_reply_received: bool,
}

/// Make these bytes durable, then answer [`Session::persisted`](crate::Session::persisted) or
/// [`Session::not_persisted`](crate::Session::not_persisted).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// To be named in the answer.
    pub token: Token,
    /// The reception that the frame belongs to.
    pub transmission: u64,
    /// The unit.
    pub frame: Frame,
    /// Messages that this unit completes: to be committed in the same transaction, in order. With
    /// any, the frames of `transmission` are settled and need not be kept.
    pub completes: Vec<Message>,
    /// Text that follows the last completed message in the same unit: it opens the reception with
    /// this number and must be as durable as the rest.
    pub carry: Option<(u64, Vec<u8>)>,
}

/// A reception ended without its message being complete: keep and show it, file nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// The reception.
    pub transmission: u64,
    /// What of it was acknowledged, as sent.
    pub raw: Vec<u8>,
    /// What the plan reads in it, every observation held with the code `incomplete`.
    pub decoded: DecodedMessage,
}

/// What an operator or a metric should know; none of it changes what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The analyzer opened a session.
    Opened,
    /// The session ended.
    Ended(EndReason),
    /// A session without a frame.
    EmptySession,
    /// Something on the line was wrong.
    Fault(Fault),
    /// A deviation that the profile tolerates was met.
    Tolerated(Tolerance),
    /// A host query that gets no answer yet.
    UnansweredQuery,
    /// A message was stored and answered negatively, with this code of table 0357.
    Refused(u16),
    /// A batch does not hold the messages that its trailer counts.
    BatchMiscounted {
        /// The messages that it counts (BTS-1).
        declared: usize,
        /// The messages that came.
        received: usize,
    },
    /// A message was not accepted: its sequence number (MSH-13) is not the one that has to come.
    SequenceGap {
        /// The number that has to come.
        expected: u64,
        /// The number that came.
        received: u64,
    },
    /// A control id came again over another content: the sender's counter began anew.
    ControlIdReused,
    /// A message of ours was acknowledged by the analyzer.
    Sent(u64),
    /// A message of ours could not be sent.
    SendFailed(u64),
}

/// What a session asks of the world, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Commit and answer.
    Persist(Box<Persist>),
    /// Commit; no answer is waited for.
    Incomplete(Box<Incomplete>),
    /// Tell.
    Note(Note),
    /// The stream is beyond recovery: close it. Holds the reason.
    Close(&'static str),
}
