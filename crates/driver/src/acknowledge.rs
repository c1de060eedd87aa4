//! `[acknowledge]`: what one analyzer wants to hear for its HL7 messages, as data.

use labwire_message::Record;
use labwire_message::hl7::{AckMode, AckPlan, AckType, When, ack_policy};

/// Which replies a message gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Those that MSH-15 and MSH-16 ask for.
    #[default]
    Auto,
    /// One application reply, whatever MSH-15 and MSH-16 say.
    Original,
    /// An accept reply and an application reply, whatever MSH-15 and MSH-16 say.
    Enhanced,
    /// The accept reply alone.
    Commit,
    /// None.
    None,
}

impl ReplyMode {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "auto" => Self::Auto,
            "original" => Self::Original,
            "enhanced" => Self::Enhanced,
            "commit" => Self::Commit,
            "none" => Self::None,
            _ => return None,
        })
    }

    /// The replies that a message with this header gets.
    #[must_use]
    pub fn plan(self, msh: &Record<'_>) -> AckPlan {
        let asked = ack_policy(msh);
        let of = |mode, accept, application| AckPlan { mode, accept, application, ..asked };
        match self {
            Self::Auto => asked,
            Self::Original => of(AckMode::Original, When::Never, When::Always),
            Self::Enhanced => of(AckMode::Enhanced, When::Always, When::Always),
            Self::Commit => of(AckMode::Enhanced, When::Always, When::Never),
            Self::None => of(AckMode::Original, When::Never, When::Never),
        }
    }
}

/// What a message that could not be stored is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NotStored {
    /// CE where MSH-15 asks for replies on error, for a sender that asks so repeats after it; else
    /// silence, and the connection is closed.
    #[default]
    Asked,
    /// Silence, and the connection is closed.
    Silence,
    /// CE or AE: the analyzer repeats after it.
    Error,
}

/// How a message without MSH-10 is answered, which no reply can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unnamed {
    /// AE.
    #[default]
    Error,
    /// AR.
    Reject,
}

/// `[acknowledge]`, compiled.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Acknowledge {
    /// Which replies a message gets.
    pub mode: ReplyMode,
    /// How much of MSH-9 a reply fills; `None`: as the version has it.
    pub message_type: Option<AckType>,
    /// MSA-3 of a positive reply.
    pub text: Option<String>,
    /// MSA-6 of a positive reply.
    pub condition: Option<String>,
    /// Whether MSH-10 of the reply repeats that of the message.
    pub echo_msh_10: bool,
    /// Whether MSH-16 of the reply repeats that of the message.
    pub echo_msh_16: bool,
    /// Whether messages of a batch are answered each in a block of its own.
    pub batch_in_blocks: bool,
    /// What a message that could not be stored is answered with.
    pub not_stored: NotStored,
    /// How a message without MSH-10 is answered.
    pub unnamed: Unnamed,
    /// Types (`ORU^W01`, or `ORU` for every event) that are accepted beside the standard's.
    pub accept: Vec<String>,
    /// Types that are never answered.
    pub unanswered: Vec<String>,
    /// Whether training and debugging messages (MSH-11 `T`, `D`) are rejected rather than held.
    pub reject_processing: bool,
    /// Whether a version that no standard has (MSH-12) is rejected.
    pub reject_version: bool,
    /// Whether the sequence number protocol (MSH-13, MSA-4) is followed.
    pub sequence_numbers: bool,
}

impl Acknowledge {
    /// Whether one of the types in a list is that of a message, `code^event` or the code alone.
    #[must_use]
    pub fn lists(types: &[String], code: &[u8], event: &[u8]) -> bool {
        types.iter().any(|known| match known.split_once('^') {
            Some((known_code, known_event)) => {
                known_code.as_bytes() == code && known_event.as_bytes() == event
            }
            None => known.as_bytes() == code,
        })
    }
}
