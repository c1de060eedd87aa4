//! What a whole message says, once a driver plan has read it.

use serde::{Deserialize, Serialize};

use crate::{Diagnostic, Disposition, Outcome};

/// What a message is for. Only [`MessageKind::Results`] counts in the ledger's sums (law 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// At least one observation.
    Results,
    /// A host query.
    Query,
    /// A reply to a message of ours.
    Acknowledgement,
    /// An order, as the LIS would send it.
    Order,
    /// Neither observation nor query: a header and a terminator, an inventory or status message.
    Other,
}

/// A host query found in a message: the analyzer asks what to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Ordinal of the query record in the message, 1-based.
    pub record: usize,
    /// Specimen ids asked for, as sent and trimmed; empty when the profile does not say where.
    pub specimen_ids: Vec<String>,
}

/// A picture, a histogram or raw data that a message carries beside its observations. The data stay
/// in the message, which is stored as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Ordinal of the record or segment in the message, 1-based.
    pub record: usize,
    /// What the profile calls it.
    pub reason: String,
    /// Its name, where the message gives one.
    pub name: Option<String>,
    /// Its kind as sent, such as `image/png`.
    pub media: Option<String>,
    /// How the data are written as text, as sent: `Base64`.
    pub encoding: Option<String>,
    /// Bytes of the data as they stand in the message, still encoded.
    pub bytes: usize,
}

/// A message read through a driver plan: outcomes in the order of the records, and findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodedMessage {
    /// What the message is for.
    pub kind: MessageKind,
    /// One entry for each observation of the input, none left out.
    pub outcomes: Vec<Outcome>,
    /// Host queries.
    pub queries: Vec<Query>,
    /// Pictures, histograms and raw data.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Findings; no patient data in them.
    pub diagnostics: Vec<Diagnostic>,
    /// MSH-10 or H.3 as sent, where there is one.
    pub control_id: Option<String>,
    /// Whether the message holds a time or an id of its own. Without one, an identical message may
    /// be a real second measurement.
    pub distinguishable: bool,
    /// The bytes that identity is decided on: the records without framing and without what the
    /// profile says a retransmission changes.
    #[serde(skip)]
    pub identity: Vec<u8>,
}

impl DecodedMessage {
    /// A message with nothing in it.
    #[must_use]
    pub fn empty(kind: MessageKind) -> Self {
        Self {
            kind,
            outcomes: Vec::new(),
            queries: Vec::new(),
            attachments: Vec::new(),
            diagnostics: Vec::new(),
            control_id: None,
            distinguishable: false,
            identity: Vec::new(),
        }
    }

    /// Observations with the given disposition kind.
    pub fn held(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| matches!(outcome.disposition, Disposition::Hold { .. }))
    }
}
