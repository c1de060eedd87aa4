//! What an observation sees of a delimited message: the records it belongs to, by name.

use std::borrow::Cow;

use labwire_message::{Charset, Name, Path, Record, Syntax, View, charset};

use crate::place::{Extent, Place, Scope, Term, Text};

/// How the bytes of a message become text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) charset: Charset,
    /// The whole message was turned into UTF-8 before it was cut, because its own character set
    /// hides delimiters; what could not be decoded is a private-use character by now.
    pub(crate) transcoded: bool,
}

/// The records around an observation, at most one of each name.
#[derive(Clone, Debug)]
pub(crate) struct Records<'v> {
    pub(crate) reading: Reading,
    slots: Vec<Record<'v>>,
    /// Records of which an order may have several, all of them in order.
    several: Vec<Record<'v>>,
}

impl<'v> Records<'v> {
    pub(crate) fn new(reading: Reading) -> Self {
        Self { reading, slots: Vec::with_capacity(12), several: Vec::new() }
    }

    pub(crate) fn set(&mut self, record: Record<'v>) {
        match self.slots.iter_mut().find(|slot| slot.name() == record.name()) {
            Some(slot) => *slot = record,
            None => self.slots.push(record),
        }
    }

    /// As [`Records::set`], with those of the same name before it still in view of a `where`.
    pub(crate) fn add(&mut self, record: Record<'v>) {
        self.set(record);
        self.several.push(record);
    }

    pub(crate) fn forget(&mut self, names: &[&str]) {
        self.slots.retain(|slot| !names.iter().any(|name| slot.name() == *name));
        self.several.retain(|record| !names.iter().any(|name| record.name() == *name));
    }

    pub(crate) fn forget_all(&mut self) {
        self.slots.clear();
        self.several.clear();
    }

    pub(crate) fn get(&self, name: &str) -> Option<Record<'v>> {
        self.slots.iter().find(|slot| slot.name() == *name).copied()
    }

    fn record(&self, name: Name) -> Option<Record<'v>> {
        self.slots.iter().find(|slot| slot.name() == name).copied()
    }

    /// The record and the repeat in it that a path means, as the terms choose.
    fn chosen(&self, path: &Path, only: &[Term]) -> Option<(Record<'v>, Path)> {
        if only.is_empty() {
            return Some((self.record(path.record)?, *path));
        }
        let several = self.several.iter().filter(|record| record.name() == path.record).copied();
        let single = self.record(path.record).filter(|_| several.clone().next().is_none());
        several.chain(single).find_map(|record| {
            (1..=MAX_REPEATS)
                .take(record.repeats(path.field).count())
                .map(|repeat| Path { repeat: Some(repeat), ..*path })
                .find(|path| self.meets(record, path, only))
                .map(|path| (record, path))
        })
    }

    /// Whether all terms hold of a record; those about the path's own field, of its repeat.
    fn meets(&self, record: Record<'v>, path: &Path, only: &[Term]) -> bool {
        only.iter().all(|(term, pattern)| {
            let same = term.field == path.field && term.repeat.is_none();
            let term = if same { Path { repeat: path.repeat, ..*term } } else { *term };
            let raw = record.get(&term).filter(|raw| *raw != DELETE).unwrap_or_default();
            pattern.is_match(&self.decoded(record, raw, true).text)
        })
    }

    fn decoded(&self, record: Record<'v>, raw: &'v [u8], unescape: bool) -> Text<'v> {
        let Reading { charset, transcoded } = self.reading;
        let (text, damaged, odd_escape) = if unescape {
            let decoded = record.decode(raw);
            let odd_escape = decoded.kept > 0;
            let (text, damaged) = decoded.text(charset);
            (text, damaged, odd_escape)
        } else {
            let (text, damaged) = charset.decode(raw);
            (text, damaged, false)
        };
        let (text, malformed) = if transcoded { charset::shown(text) } else { (text, false) };
        Text { text, damaged: damaged || malformed, odd_escape }
    }
}

/// As many repeats of a field as a path can name.
const MAX_REPEATS: u16 = u16::MAX;

/// `""` asks to delete what is stored; it is no text.
pub(crate) const DELETE: &[u8] = b"\"\"";

impl Scope for Records<'_> {
    fn read(&self, place: &Place, only: &[Term], extent: Extent) -> Option<Text<'_>> {
        let Place::Path(path) = place else { return None };
        let (record, path) = self.chosen(path, only)?;
        if extent == Extent::WholeField {
            return Some(self.decoded(record, record.get(&path.whole())?, false));
        }
        let raw = record.get(&path).filter(|raw| *raw != DELETE)?;
        // H.2 and MSH-2 hold the delimiters themselves.
        let literal = path.field <= 2 && record.is_header();
        match extent {
            Extent::Meaning => (!raw.is_empty()).then(|| self.decoded(record, raw, !literal)),
            _ => Some(self.decoded(record, raw, false)),
        }
    }

    fn each_repeat(&self, place: &Place, only: &[Term], take: &mut dyn FnMut(Text<'_>)) {
        let Place::Path(path) = place else { return };
        let Some(record) = self.record(path.record) else { return };
        if path.repeat.is_some() || (path.field <= 2 && record.is_header()) {
            if let Some(text) = self.text(place) {
                take(text);
            }
            return;
        }
        for (number, repeat) in (1..=MAX_REPEATS).zip(record.repeats(path.field)) {
            if !only.is_empty() && !self.meets(record, &Path { repeat: Some(number), ..*path }, only) {
                continue;
            }
            let part = match (path.component, path.subcomponent) {
                (None, _) => Some(repeat.bytes()),
                (Some(component), None) => repeat.component(component).map(|part| part.bytes()),
                (Some(component), Some(sub)) => {
                    repeat.component(component).and_then(|part| part.subcomponent(sub))
                }
            };
            match part {
                Some(raw) if !raw.is_empty() && raw != DELETE => take(self.decoded(record, raw, true)),
                _ => {}
            }
        }
    }
}

/// Where records may have been lost: lines that are no record and yet have fields, records of no
/// known letter, records run into another one.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// What was lost may have named another specimen or patient.
    before: Vec<usize>,
    /// Records of no known letter: an order behind one names its specimen itself.
    letters: Vec<usize>,
    /// The record that it stands in, or that it stands right behind, may not be whole.
    inside: Vec<usize>,
}

impl Gaps {
    pub(crate) fn of(view: &View<'_>) -> Self {
        let mut gaps = Self::default();
        let separator = view.record(0).map_or(b'|', |record| record.delimiters().field);
        for finding in view.findings() {
            let from = view.bytes().get(finding.offset..).unwrap_or_default();
            let line = &from[..finding.length.min(from.len())];
            let (before, inside) = match finding.code {
                "not-a-record" => {
                    let has_fields = line.iter().filter(|byte| **byte == separator).count() >= 2;
                    (has_fields, has_fields)
                }
                "records-run-together" => {
                    let harmless: &[&[u8]] = match view.syntax() {
                        Syntax::Lis02 => &[b"R", b"L"],
                        Syntax::Hl7 => &[b"OBX", b"NTE"],
                    };
                    (!harmless.iter().any(|name| from.starts_with(name)), true)
                }
                "unknown-record" => {
                    gaps.letters.push(finding.offset);
                    continue;
                }
                "more-findings" => (true, false),
                _ => continue,
            };
            gaps.before.extend(before.then_some(finding.offset));
            gaps.inside.extend(inside.then_some(finding.offset));
        }
        gaps
    }

    /// Why an observation cannot be trusted: what lies between its patient and it, or in it.
    /// `specimen_from` is where what names the specimen begins.
    pub(crate) fn doubt(
        &self,
        patient_from: usize,
        specimen_from: usize,
        record: Record<'_>,
    ) -> Option<&'static str> {
        let (from, end) = (record.offset(), record.offset() + record.bytes().len());
        if self.before.iter().any(|place| (patient_from..from).contains(place))
            || self.letters.iter().any(|place| (specimen_from..from).contains(place))
        {
            return Some(
                "a record before the observation could not be read; it may have named another specimen",
            );
        }
        // CR LF may stand between a record and its rest.
        let cut = self.inside.iter().any(|place| (from..=end + 2).contains(place));
        cut.then_some("another record begins inside the observation, or its rest stands on a line of its own")
    }
}

/// A text as an owned string, nothing for the empty one.
pub(crate) fn owned(text: Cow<'_, str>) -> Option<String> {
    (!text.is_empty()).then(|| text.into_owned())
}
