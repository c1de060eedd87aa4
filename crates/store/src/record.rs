//! What goes into the spool and what comes back.

use std::fmt;
use std::str::FromStr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use labwire_model::DecodedMessage;

/// When something happened: both clocks, so that a step of the wall clock stays visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds of a clock that never steps; comparable within one run of the daemon.
    pub monotonic_ns: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
}

impl Stamp {
    /// Both clocks as they stand.
    #[must_use]
    pub fn now() -> Self {
        static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let monotonic = ORIGIN.get_or_init(Instant::now).elapsed();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            monotonic_ns: u64::try_from(monotonic.as_nanos()).unwrap_or(u64::MAX),
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// Names a stored message everywhere: spool, LIS database, logs. UUID version 7, given by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) uuid::Uuid);

impl MessageId {
    pub(crate) fn generate() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        uuid::Uuid::parse_str(text).map(Self).map_err(|_| "not a message id (a UUID is wanted)".to_owned())
    }
}

/// One unit as the dialect acknowledges it: LIS01 frame, MLLP block, text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    /// LIS01 frame number; `None` where the dialect has none.
    pub number: Option<u8>,
    /// Whether it ends its chain (ETX, end block).
    pub ends_chain: bool,
    /// Its text without framing.
    pub bytes: Vec<u8>,
    /// When it was received.
    pub at: Stamp,
}

/// A message as received and as the driver plan reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    /// The message without framing, as sent.
    pub raw: Vec<u8>,
    /// What the plan read. `control_id`, `identity` and `distinguishable` decide on duplicates.
    pub decoded: DecodedMessage,
    /// Id of the driver profile.
    pub driver: String,
    /// Version of the driver profile.
    pub driver_version: String,
    /// The incomplete messages that this one settles.
    pub resolves: Vec<Resolves>,
    /// The analyzer went on in the same session after our reply to the message before this one,
    /// which it therefore received: this one is no repetition of it. `false` when in doubt.
    pub previous_reply_received: bool,
    /// Sinks that it is routed to, frozen at receipt. For every other sink it counts as delivered
    /// ("routed elsewhere" is a named rule).
    pub sinks: Vec<String>,
}

/// How a complete message settles an incomplete one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It repeats the incomplete message whole, which thereby becomes its duplicate.
    Superseded,
    /// It was read as one with the incomplete message and goes on after it; both count once.
    Resumed,
}

/// Which incomplete message a complete one settles. One that is not (or no longer) incomplete is
/// left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolves {
    /// The reception that broke off, on the same connection.
    pub transmission: u64,
    /// How.
    pub how: Resolution,
}

/// Make a frame durable, and with it the messages that it completes: one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Name of the connection.
    pub connection: String,
    /// The reception that the frame belongs to, unique for the connection
    /// ([`Reader::next_transmission`](crate::Reader::next_transmission) gives the first).
    pub transmission: u64,
    /// The unit.
    pub frame: FrameRecord,
    /// Messages that it completes, in order. With any, the frames of the reception are settled.
    pub completes: Vec<MessageRecord>,
    /// Text behind the last completed message in the same unit: it opens the reception with this
    /// number.
    pub carry: Option<(u64, Vec<u8>)>,
}

/// Whether a completed message is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// It was filed.
    Fresh,
    /// It was filed, though an identical one without time or id was received before.
    PossibleRepeat(MessageId),
    /// It is a duplicate of that message and was not filed.
    Repeat(MessageId),
}

/// One message that a commit made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Id of its own record; for the repeat of a frame whose commit was late, of the record that
    /// the late commit made.
    pub message: MessageId,
    /// Whether it is new.
    pub fresh: Fresh,
}

/// The reply to [`Persist`]: everything in it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persisted {
    /// One entry for each message of [`Persist::completes`], in order.
    pub messages: Vec<Filed>,
    /// The frame was durable already: an earlier commit was refused to the analyzer as late.
    pub frame_repeated: bool,
}

/// A reception ended without its message being complete: keep and show it, file nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseIncomplete {
    /// Name of the connection.
    pub connection: String,
    /// The reception.
    pub transmission: u64,
    /// What of it was acknowledged, as sent.
    pub raw: Vec<u8>,
    /// What the plan reads in it.
    pub decoded: DecodedMessage,
    /// Id of the driver profile.
    pub driver: String,
    /// Version of the driver profile.
    pub driver_version: String,
    /// Sinks that what a person releases goes to.
    pub sinks: Vec<String>,
    /// When the reception ended.
    pub at: Stamp,
}

/// The reply to [`CloseIncomplete`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The message is kept under this id.
    Incomplete(MessageId),
    /// A late commit had completed the message, or it was closed before.
    Settled(MessageId),
    /// Nothing of the reception was ever stored.
    Nothing,
}

/// Things that are counted apart from results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tally {
    /// Host queries received.
    Queries,
    /// Replies to messages of ours.
    Acknowledgements,
    /// Orders received from an analyzer.
    Orders,
    /// Messages with neither observation nor query.
    OtherMessages,
    /// Sessions without a frame.
    EmptySessions,
    /// Host queries that got no answer.
    UnansweredQueries,
    /// Frames stored once that were sent again after a late commit was refused.
    RepeatedFrames,
}

impl Tally {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Queries,
        Self::Acknowledgements,
        Self::Orders,
        Self::OtherMessages,
        Self::EmptySessions,
        Self::UnansweredQueries,
        Self::RepeatedFrames,
    ];

    /// The name in the database, in JSON and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Acknowledgements => "acknowledgements",
            Self::Orders => "orders",
            Self::OtherMessages => "other_messages",
            Self::EmptySessions => "empty_sessions",
            Self::UnansweredQueries => "unanswered_queries",
            Self::RepeatedFrames => "repeated_frames",
        }
    }
}

/// Who decided about held observations, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The person, as the caller knows them.
    pub actor: String,
    /// Their words.
    pub reason: String,
    /// When.
    pub at: Stamp,
}
