//! Which acknowledgements a sender asks for: MSH-15 and MSH-16 by table 0155.

use crate::hl7::acknowledge::AckCode;
use crate::hl7::header::{Header, Version};
use crate::view::Record;

/// When a reply is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// AL, whatever comes of the message.
    Always,
    /// NE.
    Never,
    /// ER, on error or reject only.
    OnError,
    /// SU, on success only.
    OnSuccess,
}

/// The two modes of acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// One reply, AA, AE or AR, after the message was processed.
    Original,
    /// An accept reply (CA, CE, CR) and an application reply (AA, AE, AR), each when it is asked for.
    Enhanced,
}

/// What became of a message, seen from one of the two replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored, or processed.
    Success,
    /// It could not be stored, or its content not be processed.
    Error,
    /// It is of a type, version or processing id that is not handled.
    Reject,
}

/// The replies that one message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckPlan {
    /// Original or enhanced.
    pub mode: AckMode,
    /// The accept reply.
    pub accept: When,
    /// The application reply.
    pub application: When,
    /// MSH-15 holds something that table 0155 does not have; it was read as absent.
    pub accept_misused: bool,
    /// MSH-16 holds something that table 0155 does not have, as analyzers do that say there which
    /// kind of result they send; it was read as absent.
    pub application_misused: bool,
}

impl AckPlan {
    /// The accept reply to give, if any.
    #[must_use]
    pub const fn accept_reply(&self, outcome: Outcome) -> Option<AckCode> {
        match (self.accept.applies(outcome), outcome) {
            (false, _) => None,
            (true, Outcome::Success) => Some(AckCode::Ca),
            (true, Outcome::Error) => Some(AckCode::Ce),
            (true, Outcome::Reject) => Some(AckCode::Cr),
        }
    }

    /// The application reply to give, if any.
    #[must_use]
    pub const fn application_reply(&self, outcome: Outcome) -> Option<AckCode> {
        match (self.application.applies(outcome), outcome) {
            (false, _) => None,
            (true, Outcome::Success) => Some(AckCode::Aa),
            (true, Outcome::Error) => Some(AckCode::Ae),
            (true, Outcome::Reject) => Some(AckCode::Ar),
        }
    }
}

impl When {
    const fn applies(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !matches!(outcome, Outcome::Success),
            Self::OnSuccess => matches!(outcome, Outcome::Success),
        }
    }
}

/// Reads MSH-15 and MSH-16. Both absent, or a version before 2.2, which has neither field: original
/// mode, which is one application reply and no accept reply. An acknowledgement asks for nothing.
#[must_use]
pub fn ack_policy(msh: &Record<'_>) -> AckPlan {
    let header = Header::new(*msh);
    let is_acknowledgement = header.is_some_and(|header| header.is_acknowledgement());
    let before_fields =
        header.and_then(|header| header.version()).is_some_and(|version| version < Version(2, 2, 0));
    let read = |number: u16| match header {
        Some(header) if !before_fields => condition(header.field(number)),
        _ => (None, false),
    };
    let (accept, accept_misused) = read(15);
    let (application, application_misused) = read(16);
    let mode = if accept.is_none() && application.is_none() { AckMode::Original } else { AckMode::Enhanced };
    let unasked = match (mode, is_acknowledgement) {
        (AckMode::Original, false) => When::Always,
        _ => When::Never,
    };
    AckPlan {
        mode,
        accept: accept.unwrap_or(When::Never),
        application: application.unwrap_or(unasked),
        accept_misused,
        application_misused,
    }
}

/// The condition a field names, and whether it names something else.
fn condition(field: &[u8]) -> (Option<When>, bool) {
    let value = field.trim_ascii();
    let known =
        [(&b"AL"[..], When::Always), (b"NE", When::Never), (b"ER", When::OnError), (b"SU", When::OnSuccess)];
    let when = known.into_iter().find(|(code, _)| value.eq_ignore_ascii_case(code)).map(|(_, when)| when);
    (when, when.is_none() && !value.is_empty() && value != b"\"\"")
}
