//! Captures that can be shown to others: whom they are about is replaced, what the analyzer did is not.
//!
//! Everything keeps its length, so frames keep their limits and cuts; sums are made right again. Names,
//! dates of birth, addresses, ids of patients, tubes and orders, physicians, operators and free comments get
//! stand-ins, the same for the same word in all files of a run and on both sides of the line. Test codes,
//! values, units, flags, times of measurement and the analyzer's own name stay.

mod pseudonym;
mod wire;

use core::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;
use labwire_capture::{Body, Content, Entry, Import, import};
use labwire_driver::{Library, Plan, Protocol};
use labwire_message::{Delimiters, Index, Syntax};
use memchr::memmem;

use self::pseudonym::{Class, Pseudonyms};
use self::wire::Layout;
use crate::decode::{File, decode_with};
use crate::identify::identify_body;

/// Fields of a LIS02 record that name a person, and those that name a tube or an order.
const LIS02: &[(&str, &[u16], &[u16])] = &[
    ("P", &[4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 19, 20, 21, 22, 30, 31], &[3]),
    ("O", &[11, 14, 17, 18, 19, 20], &[3, 4]),
    ("R", &[11], &[]),
    ("Q", &[], &[3, 4]),
    ("C", &[4], &[]),
];
/// The same of HL7 segments.
const HL7: &[(&str, &[u16], &[u16])] = &[
    ("PID", &[2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 18, 19, 20, 21, 22, 23], &[]),
    ("PV1", &[3, 7, 8, 9, 17, 19, 50, 52], &[]),
    ("PV2", &[], &[]),
    ("NK1", &[2, 4, 5, 6, 16, 30, 31, 32, 33], &[]),
    ("GT1", &[2, 3, 5, 6, 7, 8, 12], &[]),
    ("IN1", &[2, 16, 18, 19, 36, 49], &[]),
    ("ORC", &[10, 11, 12, 14, 17, 19], &[2, 3, 4]),
    ("OBR", &[10, 16, 17, 28, 32, 33, 34, 35], &[2, 3, 18, 19, 20, 21]),
    ("OBX", &[16, 25], &[]),
    ("SPM", &[], &[2, 3]),
    ("SAC", &[], &[3, 4]),
    ("QRD", &[], &[8]),
    ("QPD", &[], &[3]),
    ("DSP", &[3], &[]),
    ("NTE", &[3], &[]),
];

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The file, as it was taken apart, with stand-ins.
    pub import: Import,
    /// Words that were replaced so far in the run.
    pub words: usize,
    /// What a person has to look at before the file is shown to others.
    pub warnings: Vec<String>,
}

/// Replaces people consistently over the files of one run.
#[derive(Debug)]
pub struct Redactor<'a> {
    library: &'a Library,
    pseudonyms: Pseudonyms,
    keep_comments: bool,
}

impl<'a> Redactor<'a> {
    /// `key` is chance of the run; who knows it can try ids until one fits, so it must not be kept.
    #[must_use]
    pub const fn new(library: &'a Library, key: [u64; 2], keep_comments: bool) -> Self {
        Self { library, pseudonyms: Pseudonyms::new(key), keep_comments }
    }

    /// One file of any kind that `decode` reads; `driver` where the file does not tell.
    #[must_use]
    pub fn file(&mut self, bytes: &[u8], driver: Option<&str>) -> Redacted {
        let mut import = import(bytes);
        let mut warnings = Vec::new();
        let plan = self.plan(&import, driver);
        self.learn(bytes, plan.as_ref(), &mut warnings);
        match &mut import.body {
            Body::Records(text) => *text = self.stream(text, plan.as_deref(), &mut warnings),
            Body::Wire(entries) => {
                self.side(entries, true, plan.as_deref(), &mut warnings);
                self.side(entries, false, plan.as_deref(), &mut warnings);
            }
        }
        if let Some(header) = &mut import.header {
            header.extra.clear();
        }
        Redacted { import, words: self.pseudonyms.len(), warnings }
    }

    fn plan(&self, import: &Import, driver: Option<&str>) -> Option<Arc<Plan>> {
        let named = import.header.as_ref().and_then(|header| header.driver.clone());
        let id = driver.map(str::to_owned).or(named).or_else(|| {
            identify_body(self.library, &import.body).into_iter().next().map(|identified| identified.id)
        })?;
        self.library.compile(&id)?.plan.map(Arc::new)
    }

    /// Ids that the profile reads from places of the analyzer's own.
    fn learn(&mut self, bytes: &[u8], plan: Option<&Arc<Plan>>, warnings: &mut Vec<String>) {
        let Some(plan) = plan else {
            warnings.push(
                "no driver profile reads the file: ids in places of the analyzer's own stay".to_owned(),
            );
            return;
        };
        let file = File { name: "", bytes, driver: None, zone: &TimeZone::UTC };
        let decoded = decode_with(plan, Vec::new(), &file);
        for outcome in decoded.messages.iter().flat_map(|message| &message.decoded.outcomes) {
            let observation = &outcome.observation;
            for (word, class) in [
                (&observation.specimen_id, Class::Id),
                (&observation.patient_id, Class::Person),
                (&observation.operator, Class::Person),
            ] {
                if let Some(word) = word {
                    self.pseudonyms.of(word.trim().as_bytes(), class);
                }
            }
        }
        if plan.protocol == Protocol::Text {
            warnings.push(
                "the analyzer writes text of its own: only ids and operators that the profile reads were replaced"
                    .to_owned(),
            );
        }
    }

    /// All that one side of the line sent, as one stream, because a word may be cut by a read.
    fn side(
        &mut self,
        entries: &mut [Entry],
        to_host: bool,
        plan: Option<&Plan>,
        warnings: &mut Vec<String>,
    ) {
        let mut stream = Vec::new();
        for entry in entries.iter() {
            if let Some(bytes) = of_side(&entry.content, to_host) {
                stream.extend_from_slice(bytes);
            }
        }
        let mut redacted = self.stream(&stream, plan, warnings).into_iter();
        for entry in entries {
            let bytes = match &mut entry.content {
                Content::ToHost(bytes) if to_host => bytes,
                Content::ToAnalyzer(bytes) if !to_host => bytes,
                _ => continue,
            };
            *bytes = redacted.by_ref().take(bytes.len()).collect();
        }
    }

    fn stream(&mut self, before: &[u8], plan: Option<&Plan>, warnings: &mut Vec<String>) -> Vec<u8> {
        let layout = Layout::of(before);
        let mut stream = before.to_vec();
        for places in &layout.texts {
            let text: Vec<u8> = places.iter().map(|place| before[*place]).collect();
            let mut redacted = text.clone();
            self.fields(&text, &mut redacted, plan);
            for (place, byte) in places.iter().zip(redacted) {
                stream[*place] = byte;
            }
        }
        for places in &layout.texts {
            let mut text: Vec<u8> = places.iter().map(|place| stream[*place]).collect();
            let original: Vec<u8> = places.iter().map(|place| before[*place]).collect();
            for (word, other) in self.pseudonyms.longest_first() {
                for at in memmem::find_iter(&original, word) {
                    // What a field gave a stand-in keeps it.
                    if text[at..at + word.len()] == *word {
                        text[at..at + word.len()].copy_from_slice(other);
                    }
                }
            }
            for (place, byte) in places.iter().zip(text) {
                stream[*place] = byte;
            }
        }
        layout.mend(before, &mut stream);
        if layout.unknown_checks > 0 {
            warnings.push(format!(
                "{} texts end with a check of a kind that is not made right again",
                layout.unknown_checks
            ));
        }
        stream
    }

    /// Stand-ins for the fields of the standards that name somebody or something of somebody's.
    fn fields(&mut self, text: &[u8], redacted: &mut [u8], plan: Option<&Plan>) {
        let is_hl7 = text.trim_ascii_start().starts_with(b"MSH");
        if plan.is_some_and(|plan| plan.protocol == Protocol::Text) {
            return;
        }
        let (syntax, table) = if is_hl7 { (Syntax::Hl7, HL7) } else { (Syntax::Lis02, LIS02) };
        let mut index = Index::new();
        let view = index.scan(syntax, text);
        for record in view.records() {
            let Some((name, persons, ids)) = table.iter().find(|(name, ..)| record.name() == **name) else {
                continue;
            };
            if self.keep_comments && matches!(*name, "C" | "NTE") {
                continue;
            }
            let of_class = persons.iter().map(|field| (*field, Class::Person));
            for (field, class) in of_class.chain(ids.iter().map(|field| (*field, Class::Id))) {
                let Some(field) = record.field(field) else { continue };
                let range = field.offset()..field.offset() + field.bytes().len();
                for word in words(&text[range.clone()], record.delimiters()) {
                    let word = range.start + word.start..range.start + word.end;
                    let other = self.pseudonyms.of(&text[word.clone()], class);
                    redacted[word].copy_from_slice(&other);
                }
            }
        }
    }
}

fn of_side(content: &Content, to_host: bool) -> Option<&[u8]> {
    match content {
        Content::ToHost(bytes) if to_host => Some(bytes),
        Content::ToAnalyzer(bytes) if !to_host => Some(bytes),
        _ => None,
    }
}

/// Stretches between separators, trimmed of spaces. Escape sequences are separators, not words.
fn words(text: &[u8], delimiters: &Delimiters) -> Vec<Range<usize>> {
    let separates =
        |byte: u8| [delimiters.repeat, delimiters.component, delimiters.subcomponent].contains(&Some(byte));
    let mut words = Vec::new();
    let mut begins = 0;
    let mut place = 0;
    while place <= text.len() {
        let escape = text.get(place).filter(|byte| Some(**byte) == delimiters.escape);
        let closes = escape.and_then(|escape| text[place + 1..].iter().position(|byte| byte == escape));
        if place == text.len() || closes.is_some() || separates(text[place]) {
            let part = &text[begins..place];
            let from = begins + part.iter().take_while(|byte| **byte == b' ').count();
            let trailing = part.iter().rev().take_while(|byte| **byte == b' ').count();
            if from + trailing < place {
                words.push(from..place - trailing);
            }
            begins = place + 1 + closes.map_or(0, |length| length + 1);
            place = begins;
        } else {
            place += 1;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use labwire_link::UnitEnd;

    use super::*;
    use crate::dump::unframe;

    fn redacted(bytes: &[u8]) -> (Vec<u8>, Redacted) {
        let library = Library::embedded();
        let redacted = Redactor::new(&library, [11, 12], false).file(bytes, None);
        let out = match &redacted.import.body {
            Body::Records(bytes) => bytes.clone(),
            Body::Wire(entries) => entries.iter().flat_map(|entry| entry.bytes().to_vec()).collect(),
        };
        (out, redacted)
    }

    fn frame(number: u8, text: &[u8], end: UnitEnd) -> Vec<u8> {
        let mut frame = Vec::new();
        labwire_link::write_frame(&mut frame, number, text, end);
        frame
    }

    #[test]
    fn a_name_cut_by_a_frame_is_replaced_and_the_sums_are_right() {
        let mut wire = vec![5];
        wire.extend(frame(1, b"H|\\^&|||One|||||||P\rP|1||PAT4711||Mustermann^Er", UnitEnd::Intermediate));
        wire.extend(frame(2, b"ika||19620304|F\rO|1|SAMPLE-260302||^^^A\r", UnitEnd::End));
        wire.extend(frame(3, b"R|1|^^^A|6.9|mmol/L||||F||Erika\rL|1|N\r", UnitEnd::End));
        wire.push(4);
        let (out, told) = redacted(&wire);
        assert_eq!(out.len(), wire.len());
        for word in ["PAT4711", "Mustermann", "ika|", "Erika", "19620304", "260302"] {
            assert!(find(&out, word.as_bytes()).is_none(), "{word} in {}", String::from_utf8_lossy(&out));
        }
        assert!(find(&out, b"|6.9|mmol/L|").is_some() && find(&out, b"SAMPLE-").is_some());
        let found = unframe(&out);
        assert_eq!(found.diagnostics, [], "every sum is right");
        assert!(told.words >= 5);
    }

    #[test]
    fn the_same_word_gets_the_same_stand_in_on_both_sides_and_in_the_next_file() {
        let library = Library::embedded();
        let mut redactor = Redactor::new(&library, [1, 2], false);
        let text = b"H|\\^&|||One\rP|1|||PAT-9911|Doe^Jane\rO|1|S-1001||^^^A\rR|1|^^^A|5\rL|1|N\r";
        let Body::Records(one) = redactor.file(text, None).import.body else { panic!() };
        let Body::Records(other) = redactor.file(text, None).import.body else { panic!() };
        assert_eq!(one, other);
        assert!(find(&one, b"Doe^Jane").is_none());
    }

    #[test]
    fn a_wrong_sum_stays_wrong_by_as_much() {
        let mut wrong = frame(1, b"P|1||PAT4711||Doe\r", UnitEnd::End);
        let at = wrong.len() - 4;
        wrong[at..at + 2].copy_from_slice(b"00");
        let (out, _) = redacted(&[&[5][..], &frame(1, b"H|\\^&|||One\r", UnitEnd::End), &wrong].concat());
        assert_eq!(unframe(&out).diagnostics.iter().filter(|one| one.code == "checksum").count(), 1);
    }

    #[test]
    fn escape_sequences_are_no_words() {
        let delimiters = Delimiters::HL7;
        let found: Vec<_> = words(b"Doe\\S\\Jo ^ ~12", &delimiters);
        assert_eq!(found, [0..3, 6..8, 12..14]);
    }

    #[test]
    fn segments_of_hl7_lose_their_people_and_keep_their_results() {
        let text = b"MSH|^~\\&|One|Lab|||20260302||ORU^R01|77|P|2.3.1\rPID|1||P-4411||Doe^Jane||19620304|F\r\
                     OBR|1|ORD-881|26030277|CBC\rOBX|1|NM|WBC||5.5|10*3/uL|||||F|||||Nurse\rNTE|1||called Dr Doe\r";
        let (out, _) = redacted(text);
        for word in ["P-4411", "Doe", "Jane", "19620304", "26030277", "Nurse", "called"] {
            assert!(find(&out, word.as_bytes()).is_none(), "{word} in {}", String::from_utf8_lossy(&out));
        }
        assert!(find(&out, b"OBX|1|NM|WBC||5.5|10*3/uL").is_some());
    }

    fn find(text: &[u8], word: &[u8]) -> Option<usize> {
        memmem::find(text, word)
    }
}
