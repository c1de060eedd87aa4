//! Planted bugs of link machines and of the session above them, in a build with `--cfg labwire_sabotage`.
//! A simulator that finds nothing while one is planted proves nothing.
//!
//! In an ordinary build [`planted`] is `false` for the compiler, and nothing of it is left.

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Bug {
    /// A frame's checksum is not compared.
    SkipChecksum,
    /// The repeat of a frame counts as a new one.
    RepeatAsNew,
    /// A frame is acknowledged before the verdict.
    AcknowledgeBeforeVerdict,
    /// A verdict that comes too late is replied to all the same.
    AcknowledgeLateVerdict,
    /// A refused frame is acknowledged.
    AcknowledgeRefusal,
    /// The frame number expected next does not move on.
    FrameNumberStuck,
    /// A read of seven bytes loses its last one.
    SwallowByte,
    /// A sender takes NAK for ACK.
    RefusalAsAcknowledgement,
    /// The session keeps a frame twice.
    KeepFrameTwice,
    /// The session keeps a frame that was refused.
    KeepRefusedFrame,
    /// The session takes an intermediate frame for an end frame.
    IntermediateAsEnd,
    /// What broke off stays at the head of the next message.
    KeepTornText,
    /// A complete message settles only the newest of its torn beginnings.
    SettleNewestOnly,
    /// A block that could not be stored is answered positively.
    AnswerRefusedBlock,
}

impl Bug {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 14] = [
        Self::SkipChecksum,
        Self::RepeatAsNew,
        Self::AcknowledgeBeforeVerdict,
        Self::AcknowledgeLateVerdict,
        Self::AcknowledgeRefusal,
        Self::FrameNumberStuck,
        Self::SwallowByte,
        Self::RefusalAsAcknowledgement,
        Self::KeepFrameTwice,
        Self::KeepRefusedFrame,
        Self::IntermediateAsEnd,
        Self::KeepTornText,
        Self::SettleNewestOnly,
        Self::AnswerRefusedBlock,
    ];

    /// The word that plants it, behind [`PREFIX`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SkipChecksum => "skip-checksum",
            Self::RepeatAsNew => "repeat-as-new",
            Self::AcknowledgeBeforeVerdict => "acknowledge-before-verdict",
            Self::AcknowledgeLateVerdict => "acknowledge-late-verdict",
            Self::AcknowledgeRefusal => "acknowledge-refusal",
            Self::FrameNumberStuck => "frame-number-stuck",
            Self::SwallowByte => "swallow-byte",
            Self::RefusalAsAcknowledgement => "refusal-as-acknowledgement",
            Self::KeepFrameTwice => "keep-frame-twice",
            Self::KeepRefusedFrame => "keep-refused-frame",
            Self::IntermediateAsEnd => "intermediate-as-end",
            Self::KeepTornText => "keep-torn-text",
            Self::SettleNewestOnly => "settle-newest-only",
            Self::AnswerRefusedBlock => "answer-refused-block",
        }
    }
}

/// What the words of this module begin with, among the words of other crates.
pub const PREFIX: &str = "link:";

/// Whether this bug is planted.
#[cfg(not(labwire_sabotage))]
#[must_use]
pub const fn planted(_bug: Bug) -> bool {
    false
}

#[cfg(labwire_sabotage)]
pub use planting::{plant, planted};

#[cfg(labwire_sabotage)]
mod planting {
    use core::sync::atomic::{AtomicU32, Ordering};

    use super::{Bug, PREFIX};

    static PLANTED: AtomicU32 = AtomicU32::new(0);

    /// Whether this bug is planted.
    #[must_use]
    pub fn planted(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) & 1 << bug as u8 != 0
    }

    /// Plants what these words name, separated by commas; words of other crates are left alone.
    ///
    /// # Errors
    /// The word that is no planted bug: a test must not pass because of a typing error.
    pub fn plant(words: &str) -> Result<(), &str> {
        for word in words.split(',').filter_map(|word| word.trim().strip_prefix(PREFIX)) {
            let bug = Bug::ALL.into_iter().find(|bug| bug.name() == word).ok_or(word)?;
            PLANTED.fetch_or(1 << bug as u8, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_build_holds_no_planted_bug() {
        assert_eq!(Bug::ALL.into_iter().find(|bug| planted(*bug)), None);
    }

    #[test]
    fn every_bug_has_a_word_of_its_own() {
        let mut names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Bug::ALL.len());
    }
}
