//! The scanner: one pass that notes where records and fields begin, for both syntaxes.

use core::ops::Range;
use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::delimiters::{Delimiters, Oddity};
use crate::finding::Finding;
use crate::name::Name;
use crate::places::push_places;
use crate::run_together;
use crate::view::View;

/// The two delimited syntaxes that analyzers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// ASTM E1394 / CLSI LIS02: one-letter records, the letter is field 1.
    Lis02,
    /// HL7 v2 ER7: three-character segments, the first field after the id is field 1.
    Hl7,
}

/// Scanned at most; what lies behind is left unread and reported. Offsets are kept in 32 bits.
pub const SCAN_BYTES_MAX: usize = u32::MAX as usize;

/// Findings kept of one scan; a last one says that there were more.
pub const FINDINGS_MAX: usize = 1000;

/// Room for separators that an index keeps between scans; what one huge message needed is given back.
const SEPARATORS_KEPT_MAX: usize = 1 << 18;

const CR: u8 = b'\r';
const LF: u8 = b'\n';
const VT: u8 = 0x0B;
const FS: u8 = 0x1C;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Where one record lies, and which slice of the separators and which delimiters are its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordSpan {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) first_separator: u32,
    pub(crate) separators: u32,
    pub(crate) delimiters: u32,
    pub(crate) name: Name,
}

/// A reusable index over one input of one or more messages.
///
/// Its vectors grow to the largest input seen and are reused, so that scanning allocates nothing
/// after the first few messages of a connection.
#[derive(Debug, Default)]
pub struct Index {
    pub(crate) records: Vec<RecordSpan>,
    pub(crate) separators: Vec<u32>,
    pub(crate) delimiters: Vec<Delimiters>,
    pub(crate) findings: Vec<Finding>,
}

impl Index {
    /// An empty index.
    #[must_use]
    pub const fn new() -> Self {
        Self { records: Vec::new(), separators: Vec::new(), delimiters: Vec::new(), findings: Vec::new() }
    }

    /// Notes the records of `bytes`. Never fails: what is no record becomes a finding.
    ///
    /// Records end at CR, LF or CR LF and empty lines are dropped. Delimiters are read again at
    /// each header. Where CR is used, a lone LF that is not followed by a record is text inside a
    /// field and stays there.
    pub fn scan<'a>(&'a mut self, syntax: Syntax, bytes: &'a [u8]) -> View<'a> {
        if self.separators.capacity() > SEPARATORS_KEPT_MAX {
            *self = Self::new();
        }
        self.records.clear();
        self.separators.clear();
        self.delimiters.clear();
        self.findings.clear();
        self.delimiters.push(Delimiters::usual(syntax));
        let scanned = &bytes[..bytes.len().min(SCAN_BYTES_MAX)];
        Scan { index: self, syntax, bytes: scanned, has_cr: memchr(CR, scanned).is_some(), line_feeds: 0 }
            .run();
        if scanned.len() < bytes.len() {
            self.find(Finding {
                code: "input-too-long",
                offset: scanned.len(),
                length: bytes.len() - scanned.len(),
                record: 0,
                field: None,
                text: Cow::Borrowed("bytes past the limit of one scan were not read"),
            });
        }
        View::new(syntax, bytes, self)
    }

    fn find(&mut self, finding: Finding) {
        match self.findings.len() {
            FINDINGS_MAX.. => {}
            count if count + 1 == FINDINGS_MAX => self.findings.push(Finding {
                code: "more-findings",
                length: 0,
                text: Cow::Borrowed("more was found from here on than is listed"),
                ..finding
            }),
            _ => self.findings.push(finding),
        }
    }
}

/// Segments that are recognised in lower case as well; any other such word begins a line of text.
const LOWER_CASE: &[&[u8]] =
    &[b"pid", b"pv1", b"orc", b"obr", b"obx", b"nte", b"spm", b"sac", b"inv", b"msa", b"err"];

/// One line of the input, its terminator left out.
struct Line {
    start: usize,
    end: usize,
    next: usize,
    /// Offset of the first LF that was taken as text.
    glued: Option<usize>,
    ends_with_lf: bool,
}

struct Scan<'i, 'a> {
    index: &'i mut Index,
    syntax: Syntax,
    bytes: &'a [u8],
    has_cr: bool,
    line_feeds: usize,
}

/// What a line is, once blanks before it are left out.
enum Kind {
    Header(Name),
    Record(Name),
    Noise,
}

impl Scan<'_, '_> {
    fn run(mut self) {
        let mut at = 0;
        while at < self.bytes.len() {
            let line = self.line(at);
            at = line.next;
            self.take(&line);
        }
    }

    fn delimiters(&self) -> Delimiters {
        self.index.delimiters.last().copied().unwrap_or(Delimiters::usual(self.syntax))
    }

    fn find(
        &mut self,
        code: &'static str,
        offset: usize,
        length: usize,
        field: Option<u16>,
        text: &'static str,
    ) {
        let record = self.index.records.len();
        let text = Cow::Borrowed(text);
        self.index.find(Finding { code, offset, length, record, field, text });
    }

    /// The line that begins at `start`.
    fn line(&self, start: usize) -> Line {
        let bytes = self.bytes;
        let mut glued = None;
        let mut from = start;
        loop {
            let Some(end) = memchr2(CR, LF, &bytes[from..]).map(|found| from + found) else {
                return Line { start, end: bytes.len(), next: bytes.len(), glued, ends_with_lf: false };
            };
            if bytes[end] == CR {
                let ends_with_lf = bytes.get(end + 1) == Some(&LF);
                return Line { start, end, next: end + 1 + usize::from(ends_with_lf), glued, ends_with_lf };
            }
            let run = bytes[end..].iter().take_while(|byte| **byte == LF).count();
            let next = end + run;
            if !self.is_text(start, next) {
                return Line { start, end, next, glued, ends_with_lf: true };
            }
            glued = glued.or(Some(end));
            from = next;
        }
    }

    /// Whether the line feeds before `next` are text of the record that begins at `start`.
    fn is_text(&self, start: usize, next: usize) -> bool {
        if !self.has_cr || next >= self.bytes.len() || self.bytes[next] == CR {
            return false;
        }
        let holder = self.kind(trim_start(&self.bytes[start..next]));
        let carries_text = match holder {
            Kind::Record(name) => name != "L",
            Kind::Header(_) | Kind::Noise => false,
        };
        carries_text && matches!(self.kind(trim_start(&self.bytes[next..])), Kind::Noise)
    }

    /// Judges the beginning of a line, or of the input that begins with it.
    fn kind(&self, line: &[u8]) -> Kind {
        let separator = self.delimiters().field;
        let name_length = match self.syntax {
            Syntax::Lis02 => 1,
            Syntax::Hl7 => 3,
        };
        let Some((name, rest)) = line.split_at_checked(name_length) else { return Kind::Noise };
        if self.syntax == Syntax::Hl7
            && name.iter().any(u8::is_ascii_lowercase)
            && !LOWER_CASE.contains(&name)
        {
            return Kind::Noise;
        }
        let Some(name) = Name::new(name) else { return Kind::Noise };
        let is_header = match self.syntax {
            Syntax::Lis02 => name == "H",
            Syntax::Hl7 => name == "MSH" || name == "FHS" || name == "BHS",
        };
        match rest.first() {
            None | Some(&(CR | LF)) if is_header => Kind::Header(name),
            None | Some(&(CR | LF)) => Kind::Record(name),
            Some(&next) if is_header && (next == separator || self.declares(rest)) => Kind::Header(name),
            Some(&next) if next == separator && !is_header => Kind::Record(name),
            Some(_) => Kind::Noise,
        }
    }

    /// Whether what follows the name of a header looks like delimiters rather than prose.
    fn declares(&self, rest: &[u8]) -> bool {
        let Some((&separator, rest)) = rest.split_first() else { return true };
        if separator.is_ascii_alphanumeric() || separator.is_ascii_control() || separator == b' ' {
            return false;
        }
        if self.syntax == Syntax::Hl7 {
            return true;
        }
        let near = rest.iter().take(6).take_while(|byte| !matches!(**byte, CR | LF));
        near.clone().any(|byte| *byte == separator) || near.count() <= 4
    }

    /// Files one line as record, finding or nothing.
    fn take(&mut self, line: &Line) {
        let content = &self.bytes[line.start..line.end];
        let trimmed = trim_start(content);
        if trimmed.is_empty() {
            return;
        }
        let indent = content.len() - trimmed.len();
        let (name, is_header) = match self.kind(trimmed) {
            Kind::Header(name) => (name, true),
            Kind::Record(name) => (name, false),
            Kind::Noise => {
                let text = "this line is not a record and was left out";
                self.index.find(Finding {
                    code: "not-a-record",
                    offset: line.start,
                    length: content.len(),
                    record: 0,
                    field: None,
                    text: Cow::Borrowed(text),
                });
                return;
            }
        };
        let start = line.start + indent;
        let mut end = line.end;
        if self.syntax == Syntax::Hl7 && end > start && self.bytes[end - 1] == FS {
            end -= 1;
        }
        let oddity = if is_header { self.declare(start + name.len(), end) } else { None };
        self.file(name, start, end, is_header);
        if self.syntax == Syntax::Hl7 && self.bytes[start].is_ascii_lowercase() {
            let text = "the name of the segment is in lower case; it was read as if it were not";
            self.find("lower-case-segment", start, name.len(), None, text);
        }
        self.report(line, start, indent, oddity);
    }

    fn declare(&mut self, after_name: usize, end: usize) -> Option<Oddity> {
        let (delimiters, oddity) = Delimiters::declared(self.syntax, &self.bytes[after_name..end]);
        if self.delimiters() != delimiters {
            self.index.delimiters.push(delimiters);
        }
        oddity
    }

    fn file(&mut self, name: Name, start: usize, end: usize, is_header: bool) {
        let first_separator = self.index.separators.len();
        let separator = self.delimiters().field;
        push_places(&self.bytes[start..end], separator, offset(start), &mut self.index.separators);
        let record = RecordSpan {
            start: offset(start),
            end: offset(end),
            first_separator: offset(first_separator),
            separators: offset(self.index.separators.len() - first_separator),
            delimiters: offset(self.index.delimiters.len() - 1),
            name,
        };
        self.index.records.push(record);
        self.look_inside(start..end, first_separator, is_header);
    }

    /// Reports every record that seems to begin inside this one.
    fn look_inside(&mut self, record: Range<usize>, first_separator: usize, is_header: bool) {
        let delimiters = self.delimiters();
        let mut from = 0;
        loop {
            let separators = &self.index.separators[first_separator..];
            let found = run_together::find(
                from,
                self.syntax,
                self.bytes,
                record.clone(),
                separators,
                &delimiters,
                is_header,
            );
            let Some(beginning) = found else { return };
            from = beginning.next;
            self.find(
                "records-run-together",
                beginning.offset,
                0,
                u16::try_from(beginning.field).ok(),
                "another record seems to begin here, inside this one; its fields were not read as a record",
            );
        }
    }

    fn report(&mut self, line: &Line, start: usize, indent: usize, oddity: Option<Oddity>) {
        if let Some(oddity) = oddity {
            let (code, text) = match oddity {
                Oddity::Short => ("delimiters-short", "the header declares fewer delimiters than usual"),
                Oddity::Doubled => ("delimiters-doubled", "the header declares a delimiter twice in a row"),
                Oddity::Invalid => {
                    ("delimiters-invalid", "the header declares delimiters that cannot all delimit")
                }
                Oddity::Absent => {
                    ("delimiters-absent", "the header declares no delimiters; the usual ones were taken")
                }
            };
            self.find(code, start, 0, Some(2), text);
        }
        if let Some(place) = line.glued {
            self.find("line-feed-in-field", place, 1, None, "a line feed inside a field was kept as text");
        }
        if self.bytes[line.start..start].iter().any(|byte| matches!(byte, b' ' | b'\t')) {
            self.find("record-indented", line.start, indent, None, "blanks before the record were left out");
        }
        let letter = self.index.records.last().and_then(|record| record.name.letter());
        if letter.is_some_and(|letter| !b"HPORCQLSM".contains(&letter)) {
            self.find(
                "unknown-record",
                start,
                1,
                Some(1),
                "LIS02 knows no record of this letter; it is kept as sent",
            );
        }
        if line.ends_with_lf {
            self.line_feeds += 1;
            if self.line_feeds == 1 {
                let text = "records end with a line feed, as an editor or a program left them; the standard ends them with CR";
                self.find("line-end", line.end, 1, None, text);
            }
        }
    }
}

/// Leaves out what precedes a record on its line: blanks, a byte order mark, MLLP's block bytes.
fn trim_start(line: &[u8]) -> &[u8] {
    let mut rest = line;
    loop {
        rest = match rest {
            [b' ' | b'\t' | VT | FS, tail @ ..] => tail,
            _ => match rest.strip_prefix(BYTE_ORDER_MARK) {
                Some(tail) => tail,
                None => return rest,
            },
        };
    }
}

/// An offset in 32 bits; [`SCAN_BYTES_MAX`] keeps every offset below the limit.
fn offset(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
