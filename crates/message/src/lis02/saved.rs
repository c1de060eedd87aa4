//! What a receiver holds for certain and a sender need not repeat (LIS02-A2 §4.2).
//!
//! Whenever the level falls from one record to the next, everything before that record counts as
//! saved; a terminator saves the rest and itself. After a line failure the sender repeats the
//! ancestors of the first unsaved record, then the unsaved ones, and goes on.

use core::ops::Range;

/// Follows the levels of one message and says what is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    levels: Vec<u8>,
    saved: usize,
}

impl Saved {
    /// Nothing received yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { levels: Vec::new(), saved: 0 }
    }

    /// Takes the next record, with its level. Returns the places that its arrival saves, 0-based;
    /// mostly none.
    pub fn push(&mut self, level: u8) -> Range<usize> {
        let arrived = self.levels.len();
        let falls = self.levels.last().is_some_and(|before| level < *before);
        self.levels.push(level);
        let from = self.saved;
        if falls {
            self.saved = arrived;
        }
        from..self.saved
    }

    /// Takes the terminator, which saves everything and itself.
    pub fn push_terminator(&mut self) -> Range<usize> {
        let from = self.saved;
        self.levels.push(0);
        self.saved = self.levels.len();
        from..self.saved
    }

    /// How many records arrived.
    #[must_use]
    pub const fn arrived(&self) -> usize {
        self.levels.len()
    }

    /// How many records, from the first, are saved.
    #[must_use]
    pub const fn saved(&self) -> usize {
        self.saved
    }

    /// The ancestors of a record, outermost first: before it, the nearest record of each smaller level.
    #[must_use]
    pub fn ancestors(&self, place: usize) -> Vec<usize> {
        ancestors(&self.levels, place)
    }

    /// The places a sender repeats after the line failed on the record behind the last one that
    /// arrived, whose level is `next`: ancestors of the first unsaved record, then the unsaved ones.
    #[must_use]
    pub fn repeated(&self, next: u8) -> Vec<usize> {
        let mut levels = self.levels.clone();
        levels.push(next);
        let mut repeated = ancestors(&levels, self.saved);
        repeated.extend(self.saved..self.levels.len());
        repeated
    }
}

fn ancestors(levels: &[u8], place: usize) -> Vec<usize> {
    let Some(&level) = levels.get(place) else { return Vec::new() };
    let mut found = Vec::new();
    let mut below = level;
    for (before, &level) in levels[..place].iter().enumerate().rev() {
        if level < below {
            found.push(before);
            below = level;
        }
    }
    found.reverse();
    found
}

/// How a message stands to an incomplete one before it on the same connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// It goes on where the other stopped: the first `kept` records of the incomplete one, then its
    /// own from `from` on, are one message.
    Continues {
        /// How many records of the incomplete message are read.
        kept: usize,
        /// The first record of the new message that is read; those before it repeat ancestors.
        from: usize,
    },
    /// It repeats the whole message, which supersedes the incomplete one.
    Repeats,
    /// It is another message.
    Unrelated,
}

/// Compares a message with the incomplete one before it. `levels` are the levels of the incomplete
/// message's records, `count` is how many records the new one has, and `same(old, new)` says whether
/// two records are the same but for what a repetition changes: the time in H.14, or the missing rest
/// of the last record when the line dropped within it.
///
/// A new message that has less than the sender owes is unrelated: it may never be taken for what it
/// does not hold. The longest repeat is tried first, the whole one before all: the sender may have
/// missed the last reply and so count less as saved than the receiver, and analyzers that write the
/// same order record before every result would else look as if they had gone on further.
#[must_use]
pub fn resume(levels: &[u8], count: usize, same: impl Fn(usize, usize) -> bool) -> Resumption {
    let repeats = |ancestors: &[usize], kept: usize| {
        let owed = ancestors.len() + levels.len() - kept;
        owed <= count
            && ancestors.iter().copied().chain(kept..levels.len()).zip(0..).all(|(old, new)| same(old, new))
    };
    if levels.is_empty() {
        return Resumption::Unrelated;
    }
    if repeats(&[], 0) {
        return Resumption::Repeats;
    }
    let mut saved = Saved::new();
    for level in levels {
        let kept = match saved.push(*level) {
            point if point.is_empty() => continue,
            point => point.end,
        };
        let ancestors = ancestors(levels, kept);
        if repeats(&ancestors, kept) {
            return Resumption::Continues { kept, from: ancestors.len() };
        }
    }
    Resumption::Unrelated
}
