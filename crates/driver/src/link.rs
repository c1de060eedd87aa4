//! `[link]`: the lower layer of a profile, as settings of the link machines.

use labwire_link::{
    DelimitedSettings, ErrorMode, Link, Lis01Settings, MllpSettings, Packing, Release, Role, TextReply,
    Tolerances,
};

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
}

impl Dialect {
    /// The word in a profile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lis01 => "lis01",
            Self::Mllp => "mllp",
            Self::Delimited => "delimited",
            Self::Bci => "bci",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Lis01, Self::Mllp, Self::Delimited, Self::Bci]
            .into_iter()
            .find(|dialect| dialect.as_str() == word)
    }

    /// The dialects that carry a protocol, the usual one first.
    pub(crate) const fn carrying(protocol: Protocol) -> &'static [Self] {
        match protocol {
            Protocol::Lis02 => &[Self::Lis01, Self::Delimited],
            Protocol::Hl7 | Protocol::Law => &[Self::Mllp],
            Protocol::Text => &[Self::Delimited, Self::Bci],
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
    /// MLLP: release of the lower layer.
    pub release: Release,
    /// What the profile says about errors that the protocol cannot recover from; `None` leaves it
    /// to the transport.
    pub error_mode: Option<ErrorMode>,
    /// Longest frame, block or text accepted; `None`: the dialect's default.
    pub receive_bytes_max: Option<usize>,
    /// Longest text of a frame that is sent; `None`: the dialect's default.
    pub send_text_bytes_max: Option<usize>,
    /// How messages are laid out in frames that are sent.
    pub packing: Packing,
    /// Deviations accepted beyond the dialect's defaults.
    pub tolerate: Tolerances,
    /// Delimited text: what stands before a message.
    pub start: Vec<u8>,
    /// Delimited text: what stands behind a message.
    pub end: Vec<u8>,
    /// Delimited text: whether ENQ and EOT stand around messages.
    pub handshake: bool,
    /// Delimited text: what the analyzer gets for a message.
    pub reply: TextReply,
}

impl LinkSettings {
    /// A dialect with its defaults.
    #[must_use]
    pub fn of(dialect: Dialect) -> Self {
        let text = DelimitedSettings::default();
        Self {
            dialect,
            strict: false,
            release: Release::default(),
            error_mode: None,
            receive_bytes_max: None,
            send_text_bytes_max: None,
            packing: Packing::default(),
            tolerate: Tolerances::NONE,
            start: text.start,
            end: text.end,
            handshake: false,
            reply: TextReply::AckOrNak,
        }
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
        let link = &self.link;
        let strict = strict.unwrap_or(link.strict);
        let error_mode = link.error_mode.unwrap_or(transport);
        let with = |base: Tolerances| base.iter().chain(link.tolerate.iter()).collect::<Tolerances>();
        match link.dialect {
            Dialect::Lis01 => {
                let base = Lis01Settings::default();
                let receive_frame_bytes_max = link.receive_bytes_max.unwrap_or(base.receive_frame_bytes_max);
                labwire_link::LinkSettings::Lis01(Lis01Settings {
                    role,
                    strict,
                    error_mode,
                    tolerate: with(base.tolerate),
                    receive_frame_bytes_max,
                    // A frame that is allowed must be read to its end.
                    endless_frame_bytes_max: base.endless_frame_bytes_max.max(2 * receive_frame_bytes_max),
                    backlog_bytes_max: base.backlog_bytes_max.max(2 * receive_frame_bytes_max),
                    send_text_bytes_max: link.send_text_bytes_max.unwrap_or(base.send_text_bytes_max),
                    packing: link.packing,
                    ..base
                })
            }
            Dialect::Mllp => {
                let base = MllpSettings::default();
                labwire_link::LinkSettings::Mllp(MllpSettings {
                    release: link.release,
                    strict,
                    error_mode,
                    tolerate: with(base.tolerate),
                    block_bytes_max: link.receive_bytes_max.unwrap_or(base.block_bytes_max),
                    ..base
                })
            }
            Dialect::Delimited | Dialect::Bci => {
                let base = match link.dialect {
                    Dialect::Bci => DelimitedSettings::bci(),
                    _ => DelimitedSettings {
                        start: link.start.clone(),
                        end: link.end.clone(),
                        handshake: link.handshake,
                        reply: link.reply,
                        ..DelimitedSettings::default()
                    },
                };
                let bytes_max = link.receive_bytes_max.unwrap_or(base.bytes_max);
                labwire_link::LinkSettings::Delimited(DelimitedSettings { error_mode, bytes_max, ..base })
            }
        }
    }
}
