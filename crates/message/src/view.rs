//! Borrowed views: a scanned input, the messages in it, their records.

use core::ops::Range;
use std::borrow::Cow;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::{self, Decoded};
use crate::finding::Finding;
use crate::name::Name;
use crate::parts::{Field, Repeat};
use crate::path::Path;
use crate::scan::{Index, RecordSpan, Syntax};

/// The records of a scanned input, or of one message in it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    syntax: Syntax,
    bytes: &'a [u8],
    index: &'a Index,
    records: &'a [RecordSpan],
    first: usize,
}

impl<'a> View<'a> {
    pub(crate) fn new(syntax: Syntax, bytes: &'a [u8], index: &'a Index) -> Self {
        Self { syntax, bytes, index, records: &index.records, first: 0 }
    }

    /// The syntax it was scanned in.
    #[must_use]
    pub const fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// The whole input that was scanned, whichever part this view shows.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record at a place, 0-based within this view.
    #[must_use]
    pub fn record(&self, place: usize) -> Option<Record<'a>> {
        let span = self.records.get(place)?;
        let first = span.first_separator as usize;
        Some(Record {
            syntax: self.syntax,
            input: self.bytes,
            separators: self.index.separators.get(first..first + span.separators as usize)?,
            delimiters: self.index.delimiters.get(span.delimiters as usize)?,
            start: span.start as usize,
            end: span.end as usize,
            name: span.name,
            ordinal: self.first + place + 1,
        })
    }

    /// The records in the order in which they were sent.
    pub fn records(
        &self,
    ) -> impl DoubleEndedIterator<Item = Record<'a>> + ExactSizeIterator + Clone + use<'a> {
        let view = *self;
        (0..self.records.len()).map(move |place| view.at(place))
    }

    /// Some of the records, as a view of their own. Ordinals stay those of the whole input.
    #[must_use]
    pub fn part(&self, places: Range<usize>) -> Self {
        let end = places.end.min(self.records.len());
        let start = places.start.min(end);
        Self { records: &self.records[start..end], first: self.first + start, ..*self }
    }

    /// Where the records of this view lie in [`View::bytes`], from the first byte of the first to
    /// the last byte of the last.
    #[must_use]
    pub fn extent(&self) -> Range<usize> {
        match (self.records.first(), self.records.last()) {
            (Some(first), Some(last)) => first.start as usize..last.end as usize,
            _ => 0..0,
        }
    }

    /// What the scan of the whole input noticed, in the order of the bytes.
    #[must_use]
    pub fn findings(&self) -> &'a [Finding] {
        &self.index.findings
    }

    fn at(&self, place: usize) -> Record<'a> {
        let nothing = Record {
            syntax: self.syntax,
            input: self.bytes,
            separators: &[],
            delimiters: match self.syntax {
                Syntax::Lis02 => &Delimiters::LIS02,
                Syntax::Hl7 => &Delimiters::HL7,
            },
            start: 0,
            end: 0,
            name: Name::NONE,
            ordinal: 0,
        };
        self.record(place).unwrap_or(nothing)
    }
}

/// One record or segment.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    syntax: Syntax,
    input: &'a [u8],
    separators: &'a [u32],
    delimiters: &'a Delimiters,
    start: usize,
    end: usize,
    name: Name,
    ordinal: usize,
}

impl<'a> Record<'a> {
    /// The record letter or segment id, upper case.
    #[must_use]
    pub const fn name(&self) -> Name {
        self.name
    }

    /// The place of the record in the scanned input, 1-based.
    #[must_use]
    pub const fn ordinal(&self) -> usize {
        self.ordinal
    }

    /// Offset of its first byte in the scanned input.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.start
    }

    /// Its bytes, without the terminator.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        &self.input[self.start..self.end]
    }

    /// The syntax it was scanned in.
    #[must_use]
    pub const fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// The delimiters that its header declared.
    #[must_use]
    pub const fn delimiters(&self) -> &'a Delimiters {
        self.delimiters
    }

    /// Whether it declares delimiters itself: H, MSH, FHS, BHS.
    #[must_use]
    pub fn is_header(&self) -> bool {
        match self.syntax {
            Syntax::Lis02 => self.name == "H",
            Syntax::Hl7 => self.name == "MSH" || self.name == "FHS" || self.name == "BHS",
        }
    }

    /// The number of its last field, counted as the standard counts; 0 when it has only a name in HL7.
    #[must_use]
    pub fn field_count(&self) -> usize {
        let separators = self.separators.len();
        match (self.syntax, self.is_header()) {
            (Syntax::Lis02, _) => separators + 1,
            (Syntax::Hl7, true) if separators > 0 => separators + 1,
            (Syntax::Hl7, _) => separators,
        }
    }

    /// A field, 1-based; `None` beyond the last one. In LIS02 field 1 is the record letter; in MSH,
    /// FHS and BHS field 1 is the field separator itself.
    #[must_use]
    pub fn field(&self, number: u16) -> Option<Field<'a>> {
        let index = usize::from(number.checked_sub(1)?);
        let literal = number <= 2 && self.is_header();
        if self.syntax == Syntax::Hl7 && number == 1 && self.is_header() {
            let place = *self.separators.first()? as usize;
            return Some(self.cut(number, place, place + 1, literal));
        }
        let piece = if self.counts_name() { index } else { index + 1 };
        let start = match piece.checked_sub(1) {
            None => self.start,
            Some(before) => *self.separators.get(before)? as usize + 1,
        };
        let end = self.separators.get(piece).map_or(self.end, |place| *place as usize);
        Some(self.cut(number, start, end, literal))
    }

    /// Its fields in order, from field 1.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + Clone + use<'a> {
        let record = *self;
        (1..=u16::MAX).map_while(move |number| record.field(number))
    }

    /// The repeats of a field; none when the record ends before it.
    pub fn repeats(&self, field: u16) -> impl Iterator<Item = Repeat<'a>> + Clone + use<'a> {
        self.field(field).into_iter().flat_map(|field| field.repeats())
    }

    /// The raw bytes of the part that a path names: `None` for a record of another name or beyond
    /// the last part, `Some(b"")` for a part that is there and empty.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&'a [u8]> {
        if path.record != self.name {
            return None;
        }
        let field = self.field(path.field)?;
        if path.repeat.is_none() && path.component.is_none() {
            return Some(field.bytes());
        }
        let repeat = field.repeat(path.repeat.unwrap_or(1))?;
        let Some(component) = path.component else { return Some(repeat.bytes()) };
        let component = repeat.component(component)?;
        match path.subcomponent {
            None => Some(component.bytes()),
            Some(number) => component.subcomponent(number),
        }
    }

    /// The raw bytes of the whole field that a path lies in.
    #[must_use]
    pub fn whole_field(&self, path: &Path) -> Option<&'a [u8]> {
        self.get(&path.whole())
    }

    /// Decodes the escape sequences of one part of this record.
    #[must_use]
    pub fn decode(&self, raw: &'a [u8]) -> Decoded<'a> {
        escape::decode(self.syntax, raw, self.delimiters)
    }

    /// The text of the part that a path names: unescaped, then decoded in a character set.
    #[must_use]
    pub fn text(&self, path: &Path, charset: Charset) -> Option<Cow<'a, str>> {
        let raw = self.get(path)?;
        if path.field <= 2 && self.is_header() {
            return Some(charset.decode(raw).0);
        }
        Some(self.decode(raw).text(charset).0)
    }

    fn counts_name(&self) -> bool {
        self.syntax == Syntax::Lis02 || self.is_header()
    }

    fn cut(&self, number: u16, start: usize, end: usize, literal: bool) -> Field<'a> {
        let delimiters = if literal {
            Delimiters {
                field: self.delimiters.field,
                repeat: None,
                component: None,
                escape: None,
                subcomponent: None,
                truncation: None,
            }
        } else {
            *self.delimiters
        };
        Field::new(number, &self.input[start..end], start, delimiters)
    }
}
