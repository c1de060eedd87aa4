//! A vendor's own text: named texts by regular expressions or by tags, each row one observation.

use std::borrow::Cow;

use labwire_model::{DecodedMessage, Diagnostic, Disposition, MessageKind, Observation, Outcome};
use regex::Regex;

use crate::decode::message::Facts;
use crate::decode::observe::{Standing, observe};
use crate::decode::scope::owned;
use crate::place::{Place, Scope, Text};
use crate::plan::{Context, MessageUse, Plan, TextRule};

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const GS: u8 = 0x1d;

/// The text itself: from STX to ETX where they are there, without the check behind GS.
pub(crate) fn payload(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte == STX).map_or(0, |at| at + 1);
    let bytes = &bytes[start..];
    let end = bytes.iter().position(|byte| *byte == ETX).unwrap_or(bytes.len());
    let bytes = &bytes[..end];
    match bytes.iter().rposition(|byte| *byte == GS) {
        // Two hexadecimal digits, and perhaps a line end that an editor left.
        Some(at) if bytes.len() - at <= 5 => &bytes[..at],
        _ => bytes,
    }
}

pub(crate) fn decode(plan: &Plan, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
    let payload = payload(bytes);
    let offset = payload.as_ptr() as usize - bytes.as_ptr() as usize;
    let (text, damaged) = plan.rules.charset.unwrap_or_default().decode(payload);
    let mut message = DecodedMessage::empty(MessageKind::Other);
    message.identity = payload.to_vec();
    let rows = match &plan.rules.text {
        Some(TextRule::Rows { fields, row }) => by_pattern(&text, fields, row),
        Some(TextRule::Tagged { separator, record, tag_length, row }) => {
            by_tag(&text, separator, record, *tag_length, row.as_deref(), &single(plan))
        }
        None => Rows::default(),
    };
    let whole = Named { own: &[], shared: &rows.shared, damaged };
    let facts = Facts::of(plan, &whole, None);
    for (number, row) in rows.rows.iter().enumerate() {
        let named = Named { own: &row.texts, shared: &rows.shared, damaged };
        let standing = Standing {
            record: number + 1,
            byte: offset + row.at,
            structured: None,
            deletes: false,
            doubt: None,
        };
        let outcome = match row.unread {
            None => observe(plan, &named, context, facts, &standing, &mut message.diagnostics),
            Some(unread) => unread_text(plan, unread, &named, &standing),
        };
        let at = plan.rules.places.at.as_ref();
        message.distinguishable |= at.is_some_and(|at| at.take(&named).is_some());
        message.outcomes.push(outcome);
    }
    message.kind = match facts.use_ {
        _ if !message.outcomes.is_empty() => MessageKind::Results,
        Some(MessageUse::Query) => MessageKind::Query,
        Some(MessageUse::Order) => MessageKind::Order,
        _ => {
            if !payload.trim_ascii().is_empty() {
                message.diagnostics.push(Diagnostic::new(
                    "no-row",
                    offset,
                    0,
                    "",
                    "no part of the text is an observation by the profile's [text]",
                ));
            }
            MessageKind::Other
        }
    };
    message
}

/// A part of a text that no rule reads and that may be a result: a person looks at it.
fn unread_text(plan: &Plan, unread: &str, named: &Named<'_>, standing: &Standing<'_>) -> Outcome {
    let places = &plan.rules.places;
    let take = |selector: &Option<crate::place::Selector>| {
        selector.as_ref().and_then(|selector| selector.take(named)).and_then(|text| owned(text.text))
    };
    Outcome {
        observation: Observation {
            record: standing.record,
            specimen_id: take(&places.specimen),
            patient_id: take(&places.patient),
            value: Some(unread.to_owned()),
            text: Some(unread.trim().to_owned()),
            ..Observation::default()
        },
        disposition: Disposition::Hold {
            code: if plan.no_profile { "no-profile" } else { "unreadable" }.to_owned(),
            reason: "a part of the text is read by no rule of the profile's [text] and may be a result"
                .to_owned(),
        },
    }
}

/// Texts of which one observation has one.
fn single(plan: &Plan) -> Vec<&str> {
    let places = &plan.rules.places;
    [&places.specimen, &places.patient, &places.test, &places.value]
        .into_iter()
        .flatten()
        .flat_map(|selector| selector.places())
        .filter_map(|place| match place {
            Place::Name(name) => Some(name.as_str()),
            Place::Path(_) => None,
        })
        .collect()
}

/// The observations of a text and what holds for all of them.
#[derive(Default)]
struct Rows<'t> {
    shared: Vec<(&'t str, &'t str)>,
    rows: Vec<Row<'t>>,
}

struct Row<'t> {
    at: usize,
    texts: Vec<(&'t str, &'t str)>,
    /// Not a row: text between the rows.
    unread: Option<&'t str>,
}

fn by_pattern<'t>(text: &'t str, fields: &'t [(String, Regex)], row: &'t Regex) -> Rows<'t> {
    let mut shared = Vec::new();
    let mut read: Vec<(usize, usize)> = Vec::new();
    for (name, pattern) in fields {
        let mut matches = pattern.captures_iter(text).filter_map(|found| {
            let whole = found.get(0)?;
            Some((whole, found.get(1).unwrap_or(whole).as_str()))
        });
        if let Some((whole, first)) = matches.next() {
            read.push((whole.start(), whole.end()));
            // Of two specimens in one text neither is taken for all of its rows.
            if matches.all(|(_, other)| other == first) {
                shared.push((name.as_str(), first));
            }
        }
    }
    let mut rows: Vec<Row<'t>> = Vec::new();
    for found in row.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        let texts = row
            .capture_names()
            .flatten()
            .filter_map(|name| Some((name, found.name(name)?.as_str())))
            .collect();
        read.push((whole.start(), whole.end()));
        rows.push(Row { at: whole.start(), texts, unread: None });
    }
    read.sort_unstable();
    let mut at = 0;
    read.push((text.len(), text.len()));
    for (from, to) in read {
        // Behind the first row a letter may be a flag.
        let may_be = |between: &&str| {
            may_be_result(between)
                || (rows.iter().any(|row| row.at < at) && between.contains(char::is_alphanumeric))
        };
        if let Some(between) = text.get(at..from).filter(may_be) {
            rows.push(Row { at, texts: Vec::new(), unread: Some(between) });
        }
        at = at.max(to);
    }
    rows.sort_by_key(|row| row.at);
    Rows { shared, rows }
}

/// Values have digits, or the signs that stand for a value that could not be given.
fn may_be_result(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit() || matches!(c, '*' | '+' | '<' | '>')) || text.contains("--")
}

fn by_tag<'t>(
    text: &'t str,
    separator: &[u8],
    record: &[u8],
    tag_length: usize,
    row: Option<&str>,
    single: &[&str],
) -> Rows<'t> {
    let mut rows = Rows::default();
    let separator = core::str::from_utf8(separator).unwrap_or("|");
    let record = core::str::from_utf8(record).unwrap_or_default();
    let mut open: Vec<(&str, &str)> = Vec::new();
    let mut open_at = None;
    let mut offset = 0;
    for field in text.split(separator) {
        let at = offset;
        offset += field.len() + separator.len();
        let mut field = field.trim_matches(|c: char| c == '\r' || c == '\n');
        if !record.is_empty() {
            while let Some(rest) = field.strip_prefix(record) {
                field = rest.trim_start_matches(['\r', '\n']);
            }
        }
        let Some((end, _)) = field
            .char_indices()
            .nth(tag_length)
            .or_else(|| (field.chars().count() == tag_length).then_some((field.len(), ' ')))
        else {
            continue;
        };
        let (tag, content) = field.split_at(end);
        match row {
            Some(row) if row == tag => {
                if let Some(at) = open_at.replace(at) {
                    rows.rows.push(Row { at, texts: core::mem::take(&mut open), unread: None });
                }
                open.push((tag, content));
            }
            Some(_) if open_at.is_none() => rows.shared.push((tag, content)),
            // The message's first tag again: another message without a break between the two.
            None if open.first().is_some_and(|(first, _)| *first == tag) => {
                if let Some(at) = open_at.replace(at) {
                    rows.rows.push(Row { at, texts: core::mem::take(&mut open), unread: None });
                }
                open.push((tag, content));
            }
            _ => {
                open_at.get_or_insert(at);
                open.push((tag, content));
            }
        }
    }
    if let Some(at) = open_at {
        rows.rows.push(Row { at, texts: open, unread: None });
    }
    let ends: Vec<usize> = rows.rows.iter().skip(1).map(|row| row.at).chain([text.len()]).collect();
    for (row, end) in rows.rows.iter_mut().zip(ends) {
        let times = |name: &str| row.texts.iter().filter(|(tag, _)| *tag == name).count();
        if single.iter().any(|name| times(name) > 1) {
            row.unread = text.get(row.at..end);
            row.texts.clear();
        }
    }
    rows
}

/// The named texts of a row, over those of the message.
struct Named<'t> {
    own: &'t [(&'t str, &'t str)],
    shared: &'t [(&'t str, &'t str)],
    damaged: bool,
}

impl<'t> Named<'t> {
    fn find<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'t str> + 's {
        let own = self.own.iter().filter(move |(known, _)| *known == name);
        let shared = self.shared.iter().filter(move |(known, _)| *known == name);
        own.chain(shared).map(|(_, text)| *text)
    }

    fn piece(&self, text: &'t str) -> Text<'t> {
        let damaged = self.damaged && text.contains(char::REPLACEMENT_CHARACTER);
        Text { text: Cow::Borrowed(text), damaged, odd_escape: false }
    }
}

impl Scope for Named<'_> {
    fn text(&self, place: &Place) -> Option<Text<'_>> {
        let Place::Name(name) = place else { return None };
        self.find(name).next().filter(|text| !text.is_empty()).map(|text| self.piece(text))
    }

    fn verbatim(&self, place: &Place) -> Option<Text<'_>> {
        self.text(place)
    }

    fn whole(&self, place: &Place) -> Option<Text<'_>> {
        self.text(place)
    }

    fn each_repeat(&self, place: &Place, take: &mut dyn FnMut(Text<'_>)) {
        let Place::Name(name) = place else { return };
        for text in self.find(name).filter(|text| !text.is_empty()) {
            take(self.piece(text));
        }
    }
}
