//! Levels and parents of LIS02 records (LIS02-A2 §4.1): H and L 0, P Q S 1, O 2, R 3, C and M one
//! below the record they follow.

use std::borrow::Cow;

use crate::finding::Finding;
use crate::view::{Record, View};

/// Where one record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its level; `None` for a record of an unknown letter, which changes nothing around it.
    pub level: Option<u8>,
    /// The place of its parent in the view, 0-based. A result without an order hangs on its
    /// patient, and so on upwards: no record is dropped for want of a parent.
    pub parent: Option<usize>,
}

/// The hierarchy of the records of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// One for each record, in order.
    pub places: Vec<Place>,
    /// Missing parents, comments behind a terminator.
    pub findings: Vec<Finding>,
}

/// The level that the letter alone decides; `None` for C, M and unknown letters.
#[must_use]
pub const fn fixed_level(letter: u8) -> Option<u8> {
    match letter {
        b'H' | b'L' => Some(0),
        b'P' | b'Q' | b'S' => Some(1),
        b'O' => Some(2),
        b'R' => Some(3),
        _ => None,
    }
}

impl Hierarchy {
    /// Finds level and parent of every record.
    #[must_use]
    pub fn of(view: &View<'_>) -> Self {
        let mut hierarchy = Self::default();
        let mut walk = Walk::default();
        for (place, record) in view.records().enumerate() {
            let (found, finding) = walk.step(place, &record, &hierarchy.places);
            hierarchy.places.push(found);
            hierarchy.findings.extend(finding);
        }
        hierarchy
    }

    /// The parent of a record.
    #[must_use]
    pub fn parent(&self, place: usize) -> Option<usize> {
        self.places.get(place)?.parent
    }

    /// The level of a record.
    #[must_use]
    pub fn level(&self, place: usize) -> Option<u8> {
        self.places.get(place)?.level
    }

    /// The ancestors of a record, outermost first.
    #[must_use]
    pub fn ancestors(&self, place: usize) -> Vec<usize> {
        let mut ancestors: Vec<_> =
            core::iter::successors(self.parent(place), |parent| self.parent(*parent)).collect();
        ancestors.reverse();
        ancestors
    }

    /// The records whose parent is the given one, in order.
    pub fn children(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        self.places
            .iter()
            .enumerate()
            .filter(move |(_, child)| child.parent == Some(place))
            .map(|(child, _)| child)
    }
}

/// What the walk over the records remembers.
#[derive(Default)]
struct Walk {
    /// The records that can still have children: level, letter, place; levels rise.
    open: Vec<(u8, u8, usize)>,
    /// The last record that a comment can describe.
    described: Option<usize>,
    /// The last record that manufacturer information can follow.
    followed: Option<usize>,
    terminated: bool,
}

impl Walk {
    fn step(&mut self, place: usize, record: &Record<'_>, before: &[Place]) -> (Place, Option<Finding>) {
        let letter = record.name().letter().unwrap_or_default();
        match (letter, fixed_level(letter)) {
            (_, Some(level)) => self.structural(place, record, letter, level),
            (b'C' | b'M', _) => self.appended(place, record, letter, before),
            _ => (Place { level: None, parent: None }, None),
        }
    }

    fn structural(
        &mut self,
        place: usize,
        record: &Record<'_>,
        letter: u8,
        level: u8,
    ) -> (Place, Option<Finding>) {
        if letter == b'H' {
            self.open.clear();
        }
        self.open.retain(|(open, ..)| *open < level);
        let parent = self.open.last().map(|(.., place)| *place);
        let above = self.open.last().map(|(_, letter, _)| *letter);
        let missing = match (letter, above) {
            (b'O', above) if above != Some(b'P') => {
                Some(("order-without-patient", "no patient record precedes this order"))
            }
            (b'R', above) if above != Some(b'O') => {
                Some(("result-without-order", "no order record precedes this result"))
            }
            _ => None,
        };
        self.terminated = letter == b'L';
        if letter == b'L' {
            self.open.clear();
            self.described = None;
            self.followed = None;
        } else {
            self.open.push((level, letter, place));
            self.described = Some(place);
            self.followed = Some(place);
        }
        (Place { level: Some(level), parent }, missing.map(|(code, text)| finding(record, code, text)))
    }

    /// Comments and manufacturer information: they hang on the record they follow and close nothing.
    fn appended(
        &mut self,
        place: usize,
        record: &Record<'_>,
        letter: u8,
        before: &[Place],
    ) -> (Place, Option<Finding>) {
        let parent = if letter == b'C' { self.described } else { self.followed };
        let level = parent.and_then(|parent| before.get(parent)?.level).map(|level| level.saturating_add(1));
        let finding = match (parent, self.terminated) {
            (Some(_), _) => None,
            (None, true) => Some(finding(
                record,
                "record-after-terminator",
                "no comment may follow a terminator before the next header",
            )),
            (None, false) => Some(finding(
                record,
                "comment-without-record",
                "no record precedes this one that it could describe",
            )),
        };
        if parent.is_some() {
            match letter {
                b'C' => self.followed = Some(place),
                _ => self.described = Some(place),
            }
        }
        (Place { level, parent }, finding)
    }
}

fn finding(record: &Record<'_>, code: &'static str, text: &'static str) -> Finding {
    Finding {
        code,
        offset: record.offset(),
        length: record.bytes().len(),
        record: record.ordinal(),
        field: None,
        text: Cow::Borrowed(text),
    }
}

/// Compares the sequence numbers (field 2) with the rule of §5.6.7. Many analyzers count otherwise,
/// so this is asked for apart and never holds a record.
#[must_use]
pub fn check_sequence(view: &View<'_>) -> Vec<Finding> {
    let hierarchy = Hierarchy::of(view);
    let mut counters = Counters::default();
    let mut findings = Vec::new();
    for (record, place) in view.records().zip(&hierarchy.places) {
        let (Some(letter), Some(level)) = (record.name().letter(), place.level) else { continue };
        let expected = counters.next(letter, level);
        if letter == b'H' {
            continue;
        }
        let sent = record.field(2);
        let number =
            sent.and_then(|field| core::str::from_utf8(field.bytes()).ok()?.trim().parse::<u32>().ok());
        if number != Some(expected) {
            findings.push(Finding {
                code: "sequence-number",
                offset: sent.map_or(record.offset(), |field| field.offset()),
                length: sent.map_or(0, |field| field.bytes().len()),
                record: record.ordinal(),
                field: Some(2),
                text: Cow::Owned(format!("the sequence number should be {expected}")),
            });
        }
    }
    findings
}

/// Counts records by the rule of §5.6.7: the n-th of its letter at its level; back to 1 when a record
/// of a smaller level is sent, or when the letter is used at another level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    counted: Vec<(u8, u8, u32)>,
}

impl Counters {
    /// The number of the next record of a letter at a level.
    pub(crate) fn next(&mut self, letter: u8, level: u8) -> u32 {
        self.counted.retain(|(other, at, _)| *at <= level && (*other != letter || *at == level));
        if letter == b'L' {
            return 1;
        }
        match self.counted.iter_mut().find(|(other, ..)| *other == letter) {
            Some((_, _, count)) => {
                *count = count.saturating_add(1);
                *count
            }
            None => {
                self.counted.push((letter, level, 1));
                1
            }
        }
    }
}
