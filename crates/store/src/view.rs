//! What reads give: owned pictures of stored rows, with the words that commands print.

use std::collections::BTreeMap;

use labwire_model::{DecodedMessage, MessageKind, Observation};

use crate::record::{FrameRecord, MessageId, Stamp, Tally};

/// Where a message stands. For a result message the words are those of law 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageState {
    /// Everything in it that goes anywhere has arrived.
    Delivered,
    /// Something in it waits for a sink.
    Pending,
    /// Something in it waits for a person.
    Held,
    /// It never completed; its repetition or continuation may still come.
    Incomplete,
    /// It is a duplicate of another message, or was superseded by its whole repetition.
    Duplicate,
    /// A person discarded all that it held.
    Discarded,
    /// It was read as one with the message that continued it; that one counts.
    Resumed,
    /// A query, acknowledgement, order or empty message: counted apart.
    NotResults,
}

impl MessageState {
    /// The word in JSON and in the LIS database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Incomplete => "incomplete",
            Self::Duplicate => "duplicate",
            Self::Discarded => "discarded",
            Self::Resumed => "resumed",
            Self::NotResults => "not_results",
        }
    }
}

/// Where one observation stands (law 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservationState {
    /// It arrived at every sink that it goes to.
    Delivered,
    /// It waits for a sink.
    Pending,
    /// It waits for a person.
    Held {
        /// Stable code.
        code: String,
        /// One sentence.
        reason: String,
    },
    /// A named rule of the profile says that it is not a result.
    Ignored {
        /// The rule's reason.
        rule: String,
    },
    /// It was received before.
    Duplicate,
    /// A person discarded it.
    Discarded,
}

impl ObservationState {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Pending => "pending",
            Self::Held { .. } => "held",
            Self::Ignored { .. } => "ignored",
            Self::Duplicate => "duplicate",
            Self::Discarded => "discarded",
        }
    }
}

/// One line of `labwire messages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSummary {
    /// Row order in the spool: ascending in the order of receipt.
    pub row: i64,
    /// Its id.
    pub id: MessageId,
    /// Tenant.
    pub tenant: String,
    /// Connection.
    pub connection: String,
    /// Place in the connection's sequence of records.
    pub sequence: i64,
    /// When it was received.
    pub at: Stamp,
    /// The reception that it came in.
    pub transmission: u64,
    /// Id of the driver profile.
    pub driver: String,
    /// Version of the driver profile.
    pub driver_version: String,
    /// What it is for.
    pub kind: MessageKind,
    /// Where it stands, over all sinks.
    pub state: MessageState,
    /// MSH-10 or H.3 as sent.
    pub control_id: Option<String>,
    /// An identical message without time or id came before it.
    pub possible_repeat: bool,
    /// The message that it is a duplicate of, or that continued it.
    pub duplicate_of: Option<MessageId>,
    /// Observations in it.
    pub observations: u64,
    /// Of them, held for a person.
    pub held: u64,
    /// Length of the raw message.
    pub raw_bytes: u64,
}

/// A message with everything that is stored of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its line.
    pub summary: MessageSummary,
    /// As sent, without framing.
    pub raw: Vec<u8>,
    /// As the plan read it (without `identity`, which only the hash keeps).
    pub decoded: DecodedMessage,
}

/// One observation of a stored result message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResult {
    /// Tenant.
    pub tenant: String,
    /// Connection.
    pub connection: String,
    /// Id of the driver profile.
    pub driver: String,
    /// Version of the driver profile.
    pub driver_version: String,
    /// Its message.
    pub message_id: MessageId,
    /// When the message was received.
    pub at: Stamp,
    /// The message's flag.
    pub possible_repeat: bool,
    /// The observation as the plan read it.
    pub observation: Observation,
    /// Where it stands.
    pub state: ObservationState,
}

/// Which results to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultFilter {
    /// Only this specimen id, as the profile reads it.
    pub specimen_id: Option<String>,
    /// Only this connection.
    pub connection: Option<String>,
    /// The newest so many messages; 0 for the default of 1,000.
    pub messages_max: usize,
}

/// Which messages to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only this connection.
    pub connection: Option<String>,
    /// Only messages with a result of this specimen id, as the profile reads it.
    pub specimen_id: Option<String>,
    /// Only rows behind this one ([`MessageSummary::row`]), in the order of receipt; without it
    /// the newest.
    pub after_row: Option<i64>,
    /// At most so many; 0 for the default of 1,000.
    pub messages_max: usize,
}

/// One held observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineItem {
    /// Its number: what `release` and `discard` take.
    pub id: i64,
    /// Tenant.
    pub tenant: String,
    /// Connection.
    pub connection: String,
    /// Id of the driver profile.
    pub driver: String,
    /// Its message.
    pub message_id: MessageId,
    /// Ordinal of the record in the message.
    pub record: usize,
    /// Stable code.
    pub code: String,
    /// One sentence, no patient data.
    pub reason: String,
    /// Where it stands.
    pub state: QuarantineState,
    /// The sink that refused it; `None` when held before any sink.
    pub sink: Option<String>,
    /// When it was held, milliseconds since 1970.
    pub held_ms: i64,
    /// When it was decided.
    pub decided_ms: Option<i64>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why.
    pub decided_reason: Option<String>,
    /// The observation, as far as it could be read.
    pub observation: Observation,
}

/// Where a held observation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuarantineState {
    /// It waits for a person.
    Open,
    /// A person released it to the sinks.
    Released,
    /// A person discarded it.
    Discarded,
    /// The sender repeated the message whole; that copy was filed in its place.
    Superseded,
}

impl QuarantineState {
    /// The word in the database and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Released => "released",
            Self::Discarded => "discarded",
            Self::Superseded => "superseded",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Released, Self::Discarded, Self::Superseded]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// Which held observations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Only this connection.
    pub connection: Option<String>,
    /// Only this code.
    pub code: Option<String>,
    /// Also those that were decided.
    pub decided: bool,
    /// At most so many; 0 for the default of 1,000.
    pub items_max: usize,
}

/// A reception that had not ended when the spool was last closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransmission {
    /// Connection.
    pub connection: String,
    /// The reception.
    pub transmission: u64,
    /// Its frames in order, each once.
    pub frames: Vec<FrameRecord>,
}

/// An incomplete message that a later one may still settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteMessage {
    /// Its id.
    pub id: MessageId,
    /// Connection.
    pub connection: String,
    /// The reception that broke off.
    pub transmission: u64,
    /// What was received of it.
    pub raw: Vec<u8>,
    /// When the reception ended.
    pub at: Stamp,
    /// Its hold ended and it went to quarantine; only a whole repeat still settles it.
    pub expired: bool,
    /// A complete message followed it on its connection: only a whole repeat still settles it.
    pub followed: bool,
}

/// One delivery that waits: a message, or the part of it that a person released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number in the outbox: what [`mark_delivered`](crate::SpoolHandle::mark_delivered) takes.
    pub id: i64,
    /// Name of the sink.
    pub sink: String,
    /// Attempts so far.
    pub attempts: u32,
    /// The message.
    pub message: MessageSummary,
    /// The message as sent.
    pub raw: Vec<u8>,
    /// The observations to deliver, in order of their records. None when only the copies of
    /// message and quarantine are to be brought up to date.
    pub observations: Vec<Observation>,
    /// Everything of the message that is or was in quarantine.
    pub quarantine: Vec<QuarantineItem>,
}

/// What waits for a sink, as far as one batch goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order to deliver them.
    pub deliveries: Vec<Delivery>,
    /// Messages that wait but do not read back as they were written: someone must act. The first
    /// thousand are named.
    pub damaged: Vec<Damage>,
}

/// Counts for `status`, `/metrics` and readiness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Per connection, by name.
    pub connections: BTreeMap<String, ConnectionStatus>,
    /// Per sink, by name.
    pub sinks: BTreeMap<String, SinkStatus>,
    /// Frames of receptions that have not ended.
    pub open_frames: u64,
    /// Size of the spool's database in bytes.
    pub database_bytes: u64,
}

/// One connection's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// Result messages received.
    pub messages: u64,
    /// Observations received.
    pub observations: u64,
    /// Messages that wait for a person.
    pub held: u64,
    /// Observations that wait for a person.
    pub held_observations: u64,
    /// Messages that never completed and are not settled.
    pub incomplete: u64,
    /// Duplicates.
    pub duplicates: u64,
    /// When the last message was received, milliseconds since 1970.
    pub last_message_ms: Option<i64>,
    /// What is counted apart.
    pub tallies: BTreeMap<Tally, u64>,
}

/// One sink's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// Deliveries that wait.
    pub backlog: u64,
    /// Observations in them.
    pub backlog_observations: u64,
    /// When the oldest of them was received, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// The last error of the oldest waiting delivery.
    pub last_error: Option<String>,
}

/// A stored record that does not read back as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Table.
    pub table: &'static str,
    /// Row.
    pub row: i64,
    /// What is wrong.
    pub reason: String,
}
