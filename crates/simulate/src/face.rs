//! What goes into a simulated analyzer and what comes out.

use core::fmt;
use core::time::Duration;

use jiff::civil::DateTime;

use crate::faults::{Fault, Faults};
use crate::message::Message;

/// How an analyzer behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Wall time of the first moment, in the analyzer's own zone.
    pub started: DateTime,
    /// What specimen and control ids begin with. Two analyzers of one test need two prefixes.
    pub prefix: String,
    /// Observations of a message at most; fewer where the profile knows fewer tests.
    pub observations_max: usize,
    /// Every so many messages are quality control; 0 for none, and none where the profile cannot tell them.
    pub control_every: u64,
    /// Messages until the analyzer falls silent; `None` goes on for ever.
    pub messages_max: Option<u64>,
    /// Pause between an acknowledged message and the next.
    pub interval: Duration,
    /// Pause before a message that was not acknowledged is sent again.
    pub retry_pause: Duration,
    /// How long the reply to a block is waited for (MLLP); then the line is dropped, because a late reply
    /// could be taken for another's.
    pub reply_timeout: Duration,
    /// Replaces the link's pauses between sessions and after failures, for tests that cannot wait.
    pub pauses: Option<Duration>,
    /// Faults to plant.
    pub faults: Faults,
}

impl Settings {
    /// An analyzer without faults: a message each second, a control after every nineteen.
    pub fn new(started: DateTime, prefix: impl Into<String>) -> Self {
        Self {
            started,
            prefix: prefix.into(),
            observations_max: 12,
            control_every: 20,
            messages_max: None,
            interval: Duration::from_secs(1),
            retry_pause: Duration::from_secs(1),
            reply_timeout: Duration::from_secs(30),
            pauses: None,
            faults: Faults::NONE,
        }
    }
}

/// Something that happened to the line.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// The line is open.
    Opened,
    /// Bytes from the host.
    Bytes(&'a [u8]),
    /// The time that [`Simulator::poll_deadline`](crate::Simulator::poll_deadline) named has come. Too early is harmless.
    Deadline,
    /// The line is gone.
    Closed,
}

/// What the analyzer has to tell.
///
/// Bytes of the host are shown by their number: even invented patients stay out of logs.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A message goes on the line, for the first time or again.
    Sending {
        /// Its number.
        id: u64,
        /// From one.
        attempt: u32,
    },
    /// The last acknowledgement of this message was seen: in the analyzer's eyes the host has it.
    Acknowledged(Message),
    /// The message was written to a host that acknowledges nothing.
    Written(Message),
    /// The message was not taken; it will be sent again.
    NotTaken {
        /// Its number.
        id: u64,
        /// Kebab-case reason of the link, or the code of the host's reply.
        reason: String,
    },
    /// A fault was planted.
    Planted(Fault),
    /// The line must be dropped, once everything that was polled before has been written. The machine takes
    /// it as closed already.
    Disconnect,
    /// The host sent something that is no reply: an order or a query.
    Received(Vec<u8>),
    /// `messages_max` is reached and every message is acknowledged.
    Finished,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sending { id, attempt } => {
                f.debug_struct("Sending").field("id", id).field("attempt", attempt).finish()
            }
            Self::Acknowledged(message) => f.debug_tuple("Acknowledged").field(&message.id).finish(),
            Self::Written(message) => f.debug_tuple("Written").field(&message.id).finish(),
            Self::NotTaken { id, reason } => {
                f.debug_struct("NotTaken").field("id", id).field("reason", reason).finish()
            }
            Self::Planted(fault) => f.debug_tuple("Planted").field(fault).finish(),
            Self::Disconnect => f.write_str("Disconnect"),
            Self::Received(bytes) => f.debug_tuple("Received").field(&bytes.len()).finish(),
            Self::Finished => f.write_str("Finished"),
        }
    }
}

/// What one input led to, for whoever drives the machine.
#[derive(Debug, Default)]
pub struct Step {
    /// Bytes to write, each entry in a write of its own.
    pub writes: Vec<Vec<u8>>,
    /// What happened, to be looked at behind the writes.
    pub events: Vec<Event>,
    /// When [`Input::Deadline`] is wanted at the latest.
    pub deadline: Option<Duration>,
}
