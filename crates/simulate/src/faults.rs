//! Faults on demand. Each is planted in the first attempt of a message and not in its repeat, so that a
//! right host gets every message in the end.

use labwire_driver::{Dialect, LinkSettings};

use crate::seed::Chance;

/// Something that goes wrong on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// One frame goes out with a wrong checksum.
    BadChecksum,
    /// An acknowledgement arrives damaged, so that an accepted frame is sent again.
    GarbledReply,
    /// The line drops between the last acknowledgement and EOT.
    DropBeforeEot,
    /// The line drops before the record, or the end, that completes the message.
    DropBeforeEnd,
    /// The line drops after the last byte of the message, before its acknowledgement is read.
    DropBeforeReply,
    /// Every byte is a write of its own.
    ByteByByte,
}

impl Fault {
    /// Kebab-case name for reports.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadChecksum => "bad-checksum",
            Self::GarbledReply => "garbled-reply",
            Self::DropBeforeEot => "drop-before-eot",
            Self::DropBeforeEnd => "drop-before-end",
            Self::DropBeforeReply => "drop-before-reply",
            Self::ByteByByte => "byte-by-byte",
        }
    }

    /// Whether a line has what this fault breaks, and a way to get over it: where nothing is acknowledged,
    /// nothing is repeated.
    pub(crate) fn exists_on(self, link: &LinkSettings) -> bool {
        match self {
            Self::BadChecksum => matches!(link.dialect, Dialect::Lis01 | Dialect::Bci),
            Self::GarbledReply | Self::DropBeforeEot => link.dialect == Dialect::Lis01,
            Self::DropBeforeEnd | Self::DropBeforeReply => link.is_acknowledged(),
            Self::ByteByByte => true,
        }
    }
}

/// How often each fault is planted, in messages of a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// [`Fault::BadChecksum`].
    pub bad_checksum_per_mille: u16,
    /// [`Fault::GarbledReply`].
    pub garbled_reply_per_mille: u16,
    /// [`Fault::DropBeforeEot`].
    pub drop_before_eot_per_mille: u16,
    /// [`Fault::DropBeforeEnd`].
    pub drop_before_end_per_mille: u16,
    /// [`Fault::DropBeforeReply`].
    pub drop_before_reply_per_mille: u16,
    /// [`Fault::ByteByByte`].
    pub byte_by_byte_per_mille: u16,
}

impl Faults {
    /// No faults.
    pub const NONE: Self = Self {
        bad_checksum_per_mille: 0,
        garbled_reply_per_mille: 0,
        drop_before_eot_per_mille: 0,
        drop_before_end_per_mille: 0,
        drop_before_reply_per_mille: 0,
        byte_by_byte_per_mille: 0,
    };

    /// Every fault in so many messages of a thousand.
    pub const fn each(per_mille: u16) -> Self {
        Self {
            bad_checksum_per_mille: per_mille,
            garbled_reply_per_mille: per_mille,
            drop_before_eot_per_mille: per_mille,
            drop_before_end_per_mille: per_mille,
            drop_before_reply_per_mille: per_mille,
            byte_by_byte_per_mille: per_mille,
        }
    }

    /// The fault of one message: at most one, the first that chance picks.
    pub(crate) fn draw(&self, link: &LinkSettings, chance: &mut Chance) -> Option<Fault> {
        let shares = [
            (Fault::BadChecksum, self.bad_checksum_per_mille),
            (Fault::GarbledReply, self.garbled_reply_per_mille),
            (Fault::DropBeforeEot, self.drop_before_eot_per_mille),
            (Fault::DropBeforeEnd, self.drop_before_end_per_mille),
            (Fault::DropBeforeReply, self.drop_before_reply_per_mille),
            (Fault::ByteByByte, self.byte_by_byte_per_mille),
        ];
        // Every share is drawn, so that changing one rate does not change the others' messages.
        let hits = shares.map(|(fault, per_mille)| chance.in_thousand(per_mille).then_some(fault));
        hits.into_iter().flatten().find(|fault| fault.exists_on(link))
    }
}
