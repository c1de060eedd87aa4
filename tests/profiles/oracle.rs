//! What a message says in plain sight, read without the decoder: which records may name the specimen of a
//! result, and which texts stand in the result's own record.

use labwire_driver::{Part, Place, Plan, Protocol, TextShape};
use labwire_model::{Disposition, Kind, Outcome};

/// Why a delivered outcome does not agree with the text of its message; `None`: it does.
pub(crate) fn contradiction(plan: &Plan, message: &[u8], outcome: &Outcome) -> Option<String> {
    if !matches!(outcome.disposition, Disposition::Deliver) {
        return None;
    }
    match plan.protocol {
        Protocol::Text => free_text(plan, message, outcome),
        _ => records(plan, message, outcome),
    }
}

/// How many results a message of records has.
pub(crate) fn results(plan: &Plan, message: &[u8]) -> usize {
    let result: &[u8] = if plan.protocol == Protocol::Lis02 { b"R" } else { b"OBX" };
    Sheet::of(plan, message).lines.iter().filter(|line| line.name == result).count()
}

fn records(plan: &Plan, message: &[u8], outcome: &Outcome) -> Option<String> {
    let sheet = Sheet::of(plan, message);
    let read = &outcome.observation;
    let Some(place) = sheet.lines.iter().position(|line| line.ordinal == read.record) else {
        return Some(format!("it is from record {}, which is none", read.record));
    };
    let own = &sheet.lines[place];
    let result: &[u8] = if plan.protocol == Protocol::Lis02 { b"R" } else { b"OBX" };
    if own.name != result {
        return Some(format!("it is from record {}, which is no result", read.record));
    }
    let value = read.value.as_deref().unwrap_or_default();
    if !has(&own.text, value) {
        return Some("its value is not in its record".to_owned());
    }
    let joint = plan.recipe(Part::Test).and_then(|recipe| recipe.joint);
    let code = read.analyzer_test.as_deref().unwrap_or_default();
    let parts: Vec<&str> = joint.map_or(vec![code], |joint| code.split(joint).collect());
    if code.is_empty() || !parts.iter().all(|part| has(&own.text, part)) {
        return Some("its test is not in its record".to_owned());
    }
    let specimen = read.specimen_id.as_deref().unwrap_or_default();
    let governing = match plan.protocol {
        Protocol::Lis02 => sheet.governing_lis02(place),
        _ => sheet.governing_hl7(place),
    };
    // A control may be known by its record alone.
    let is_nobody = specimen.is_empty() && read.kind != Kind::Patient;
    if !is_nobody && (specimen.is_empty() || !governing.iter().any(|line| has(&line.text, specimen))) {
        return Some("its specimen is in no record that governs it".to_owned());
    }
    None
}

/// Whether a text stands in another one, character for character as far as both are ASCII: what is not,
/// is a question of the character set.
fn has(text: &[u8], part: &str) -> bool {
    let part = plain(part.as_bytes());
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn plain(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii_graphic).collect()
}

/// Whether delimiters stand behind the name of a header. `H` also begins words, so that in LIS02 the first
/// delimiter must end their field.
fn declares(plan: &Plan, rest: &[u8], separator: u8) -> bool {
    let Some((&first, rest)) = rest.split_first() else { return true };
    let delimits = !first.is_ascii_alphanumeric() && !first.is_ascii_control() && first != b' ';
    let ends = || plan.protocol != Protocol::Lis02 || rest.iter().take(6).any(|byte| *byte == first);
    first == separator || (delimits && ends())
}

struct Line {
    /// Counts records from 1.
    ordinal: usize,
    name: Vec<u8>,
    text: Vec<u8>,
}

struct Sheet {
    lines: Vec<Line>,
}

impl Sheet {
    fn of(plan: &Plan, message: &[u8]) -> Self {
        let (header, length): (&[u8], usize) =
            if plan.protocol == Protocol::Lis02 { (b"H", 1) } else { (b"MSH", 3) };
        let mut separator = b'|';
        let mut lines: Vec<Line> = Vec::new();
        for line in message.split(|byte| matches!(byte, b'\r' | b'\n')) {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | 0x0B | 0x1C);
            let line = &line[line.iter().take_while(|byte| blank(byte)).count()..];
            let Some((name, rest)) = line.split_at_checked(length) else { continue };
            let name = name.to_ascii_uppercase();
            if name == header && declares(plan, rest, separator) {
                separator = rest.first().copied().unwrap_or(b'|');
            } else if rest.first().is_some_and(|next| *next != separator)
                || !name.iter().all(u8::is_ascii_alphanumeric)
                || name[0].is_ascii_digit()
            {
                // No record, but perhaps the rest of one behind a line feed.
                if let Some(before) = lines.last_mut() {
                    before.text.extend(plain(line));
                }
                continue;
            }
            lines.push(Line { ordinal: lines.len() + 1, name, text: plain(line) });
        }
        Self { lines }
    }

    /// The nearest record of a name before `place` with none of `ends` between.
    fn nearest(&self, place: usize, name: &[u8], ends: &[&[u8]]) -> Option<&Line> {
        self.lines[..place]
            .iter()
            .rev()
            .take_while(|line| line.name == name || !ends.contains(&line.name.as_slice()))
            .find(|line| line.name == name)
    }

    /// The nearest order of the nearest patient, and this patient.
    fn governing_lis02(&self, place: usize) -> Vec<&Line> {
        let patient = self.nearest(place, b"P", &[b"H", b"L"]);
        let order = self.nearest(place, b"O", &[b"P", b"H", b"L"]);
        patient.into_iter().chain(order).collect()
    }

    fn governing_hl7(&self, place: usize) -> Vec<&Line> {
        let before = &self.lines[..place];
        let begin = before.iter().rposition(|line| line.name == b"MSH").map_or(0, |at| at + 1);
        let end = self.lines[place..].iter().position(|line| line.name == b"MSH");
        let end = end.map_or(self.lines.len(), |at| place + at);
        let message = &self.lines[begin..end];
        let first = message.iter().find(|line| line.name == b"SPM" || line.name == b"OBR");
        let by_specimen = first.is_some_and(|line| line.name == b"SPM");
        let patient = self.nearest(place, b"PID", &[b"MSH"]);
        let order = match by_specimen {
            true => self.nearest(place, b"OBR", &[b"SPM", b"PID", b"MSH"]),
            false => self.nearest(place, b"OBR", &[b"PID", b"MSH"]),
        };
        let mut governing: Vec<&Line> = patient.into_iter().chain(order).collect();
        if by_specimen {
            // A patient right behind a specimen is that specimen's.
            let of_specimen =
                |at: usize| at > 0 && matches!(self.lines[at - 1].name.as_slice(), b"SPM" | b"SAC");
            let follows = before.iter().rposition(|line| line.name == b"PID").is_some_and(of_specimen);
            let ends: &[&[u8]] = if follows { &[b"MSH"] } else { &[b"PID", b"MSH"] };
            governing.extend(self.nearest(place, b"SPM", ends));
        } else {
            // Before the observations of the order, or behind them.
            governing.extend(self.nearest(place, b"SPM", &[b"OBR", b"PID", b"MSH"]));
            let group = self.lines[place..end]
                .iter()
                .take_while(|line| !matches!(line.name.as_slice(), b"ORC" | b"OBR" | b"PID"));
            governing.extend(group.filter(|line| line.name == b"SPM"));
        }
        governing
    }
}

/// A vendor's own text holds one specimen. In rows the value is the next thing behind its test; among tagged
/// fields the nearest test is meant.
fn free_text(plan: &Plan, message: &[u8], outcome: &Outcome) -> Option<String> {
    let read = &outcome.observation;
    let text = plain(message);
    let [specimen, code, value] =
        [&read.specimen_id, &read.analyzer_test, &read.text].map(|text| text.as_deref().unwrap_or_default());
    if specimen.is_empty() || code.is_empty() || !has(&text, specimen) {
        return Some("its specimen or test is not in the message".to_owned());
    }
    if value.is_empty() {
        return None;
    }
    let stands = match plan.text_shape() {
        Some(TextShape::Rows { .. }) => has(&text, &format!("{code}{value}")),
        Some(TextShape::Tagged { separator, record, .. }) => {
            let fields = Fields::of(message, separator, record);
            let values = fields.of_part(plan, Part::Value);
            let tests = fields.of_part(plan, Part::Test);
            values.iter().filter(|(_, text)| has(text, value)).any(|(place, _)| {
                let nearest = tests.iter().rev().find(|(test, _)| test < place).or_else(|| tests.first());
                nearest.is_some_and(|(_, text)| *text == plain(code.as_bytes()))
            })
        }
        _ => has(&text, code) && has(&text, value),
    };
    (!stands).then(|| "its value does not stand with its test".to_owned())
}

/// Fields of a tagged text, in their order.
struct Fields(Vec<Vec<u8>>);

impl Fields {
    fn of(message: &[u8], separator: &[u8], record: &[u8]) -> Self {
        let mut fields = vec![Vec::new()];
        let mut rest = message;
        while let Some((&byte, behind)) = rest.split_first() {
            if let Some(behind) = rest.strip_prefix(separator) {
                fields.push(Vec::new());
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix(record) {
                rest = behind;
            } else {
                fields.last_mut().unwrap().push(byte);
                rest = behind;
            }
        }
        Self(fields)
    }

    /// Place and text of the fields that a profile reads a part from.
    fn of_part(&self, plan: &Plan, part: Part) -> Vec<(usize, Vec<u8>)> {
        let places = plan.recipe(part).map(|recipe| recipe.places.to_vec()).unwrap_or_default();
        let text = |field: &Vec<u8>| {
            places.iter().find_map(|place| match place {
                Place::Name(tag) => field.strip_prefix(tag.as_bytes()).map(plain),
                Place::Path(_) => None,
            })
        };
        self.0.iter().enumerate().filter_map(|(at, field)| Some((at, text(field)?))).collect()
    }
}
