//! `[link]`: the lower layer of a profile, as settings of the link machines.

use labwire_link::{Capability, ErrorMode, Link, Packing, Release, Role, TextReply};

use crate::plan::{Plan, Protocol};

/// Which dialect carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// ASTM E1381 / CLSI LIS01-A2 frames.
    Lis01,
    /// HL7 minimal lower layer blocks.
    Mllp,
    /// Text between a start and an end.
    Delimited,
    /// Delimited text between ENQ and EOT, with a check behind GS.
    Bci,
    /// Records between STX and ETX, where each control character is answered.
    ControlAckEnvelope,
    /// Blocks from SOH to EOT.
    SohBlock,
    /// Texts of one length, without markers.
    FixedLength,
    /// Records that end with CR or LF, without any framing.
    Records,
}

impl Dialect {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Lis01,
        Self::Mllp,
        Self::Delimited,
        Self::Bci,
        Self::ControlAckEnvelope,
        Self::SohBlock,
        Self::FixedLength,
        Self::Records,
    ];

    /// The word in a profile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lis01 => "lis01",
            Self::Mllp => "mllp",
            Self::Delimited => "delimited",
            Self::Bci => "bci",
            Self::ControlAckEnvelope => "control-ack-envelope",
            Self::SohBlock => "soh-block",
            Self::FixedLength => "fixed-length",
            Self::Records => "records",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == word)
    }

    /// The dialects that carry a protocol, the usual one first.
    pub(crate) const fn carrying(protocol: Protocol) -> &'static [Self] {
        match protocol {
            Protocol::Lis02 => {
                &[Self::Lis01, Self::ControlAckEnvelope, Self::Records, Self::SohBlock, Self::Delimited]
            }
            Protocol::Hl7 | Protocol::Law => &[Self::Mllp],
            Protocol::Text => &[
                Self::Delimited,
                Self::Bci,
                Self::ControlAckEnvelope,
                Self::SohBlock,
                Self::FixedLength,
                Self::Records,
            ],
        }
    }
}

/// `[link]`, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Which dialect carries the messages.
    pub dialect: Dialect,
    /// Whether the standard's state tables are followed to the letter.
    pub strict: bool,
    /// What the profile says about errors that the protocol cannot recover from; `None` leaves it
    /// to the transport.
    pub error_mode: Option<ErrorMode>,
    /// Everything else. What depends on the connection (role, strictness, error mode) is filled in
    /// by [`Plan::link_settings`].
    pub machine: labwire_link::LinkSettings,
}

impl LinkSettings {
    /// Whether the analyzer hears that its message was taken.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        match &self.machine {
            labwire_link::LinkSettings::Lis01(_) | labwire_link::LinkSettings::Mllp(_) => true,
            labwire_link::LinkSettings::Delimited(link) => link.reply != TextReply::None,
        }
    }

    /// Whether each block is replied to by a block that says only whether it was stored.
    #[must_use]
    pub fn has_commit_replies(&self) -> bool {
        match &self.machine {
            labwire_link::LinkSettings::Mllp(link) => link.release == Release::Two,
            _ => false,
        }
    }

    /// Whether each record of a message is a frame that ends as one.
    #[must_use]
    pub fn has_a_frame_for_each_record(&self) -> bool {
        match &self.machine {
            labwire_link::LinkSettings::Lis01(link) => link.packing == Packing::RecordPerFrame,
            _ => false,
        }
    }

    /// Whether a sender asks for the line before every session, so that a host can say "not yet"
    /// without refusing a message.
    #[must_use]
    pub const fn has_bids(&self) -> bool {
        matches!(self.dialect, Dialect::Lis01)
    }
}

impl Plan {
    /// A link machine for one connection. `strict` overrides the profile's.
    #[must_use]
    pub fn link(&self, role: Role, strict: Option<bool>) -> Link {
        Link::new(self.link_settings(role, strict, ErrorMode::Close))
    }

    /// The settings of [`Plan::link`], for an owner that changes more of them. `transport` is the
    /// error mode of the transport, for a profile that does not name one: close on TCP, resync on a
    /// serial line.
    #[must_use]
    pub fn link_settings(
        &self,
        role: Role,
        strict: Option<bool>,
        transport: ErrorMode,
    ) -> labwire_link::LinkSettings {
        let strict = strict.unwrap_or(self.link.strict);
        let error_mode = self.link.error_mode.unwrap_or(transport);
        let mut machine = self.link.machine.clone();
        match &mut machine {
            labwire_link::LinkSettings::Lis01(link) => {
                link.capability = role_capability(role, link.capability);
                (link.role, link.strict, link.error_mode) = (role, strict, error_mode);
            }
            labwire_link::LinkSettings::Mllp(link) => (link.strict, link.error_mode) = (strict, error_mode),
            labwire_link::LinkSettings::Delimited(link) => (link.role, link.error_mode) = (role, error_mode),
        }
        machine
    }
}

/// A profile says what the host can do; the analyzer's side of the same line can do the other half.
fn role_capability(role: Role, host: Capability) -> Capability {
    match (role, host) {
        (Role::Instrument, Capability::ReceiveOnly) => Capability::SendOnly,
        (Role::Instrument, Capability::SendOnly) => Capability::ReceiveOnly,
        (_, same) => same,
    }
}
