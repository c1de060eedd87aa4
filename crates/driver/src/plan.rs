//! The compiled profile: everything that decoding one message needs, looked up once.

use jiff::tz::TimeZone;
use labwire_model::DecodedMessage;

use crate::link::LinkSettings;

/// How messages are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// ASTM E1394 / CLSI LIS02-A2 records.
    Lis02,
    /// HL7 v2 segments.
    Hl7,
    /// HL7 v2 in the shape of IHE Laboratory Analytical Workflow.
    Law,
    /// Text of the vendor's own, read by regular expressions or tags.
    Text,
}

/// A `[[check]]`: a capture that proves the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The capture's path, relative to `fixtures/` or to the profile's directory. The expected lines
    /// of `decode --json` stand beside it: `case.cap`, `case.expected.json`.
    pub capture: String,
}

/// What decoding needs to know beyond profile and message.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The zone of the analyzer's clock: the connection's, else the site's.
    pub zone: &'a TimeZone,
}

/// A driver profile, compiled. Immutable; shared between connections.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `vendor/model`, the profile's path below its directory without `.toml`.
    pub id: String,
    /// The profile's `version`, where it gives one, and a hash of the effective profile: `2+1f00ab54`.
    pub version: String,
    /// Vendor as it names itself.
    pub vendor: String,
    /// Model as the vendor names it.
    pub model: String,
    /// Kind of analyzer, one of the words of the key table.
    pub kind: String,
    /// How messages are built.
    pub protocol: Protocol,
    /// On what the profile rests: `unverified`, `documented`, `captured` or `field`.
    pub evidence: String,
    /// Texts and captures that the profile was written from.
    pub sources: Vec<String>,
    /// What an engineer should know before connecting the analyzer.
    pub notes: Option<String>,
    /// The lower layer.
    pub link: LinkSettings,
    /// The captures that prove the profile.
    pub checks: Vec<Check>,
    /// Whether the profile is a generic one, under which every observation is held.
    pub no_profile: bool,
}

impl Plan {
    /// Reads one message, without framing. Never fails: what cannot be read is held or reported.
    #[must_use]
    pub fn decode(&self, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
        let _ = (bytes, context);
        DecodedMessage::empty(labwire_model::MessageKind::Other)
    }

    /// Whether this analyzer sent the message, and by which signs. `None` where a sign is missing
    /// or the profile names none.
    #[must_use]
    pub fn identifies(&self, bytes: &[u8]) -> Option<Vec<String>> {
        let _ = bytes;
        None
    }
}
