//! A vendor's own text: named texts by regular expressions, tags or places, each row one observation.

mod layout;
mod rows;
mod tagged;

use std::borrow::Cow;

use labwire_model::{DecodedMessage, Diagnostic, Disposition, MessageKind, Observation, Outcome, Query};

use crate::decode::message::{Facts, attachment};
use crate::decode::observe::{Standing, observe};
use crate::decode::scope::owned;
use crate::place::{Extent, Place, Scope, Term, Text};
use crate::plan::{Context, MessageUse, Plan};
use crate::text::{TextRule, TextWay};

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
    let Some(rule) = &plan.rules.text else { return message };
    let single = single(plan);
    let mut uses = Vec::new();
    for (from, report) in reports(rule, &text) {
        let rows = match &rule.way {
            TextWay::Rows(patterns) => rows::read(report, rule, patterns),
            TextWay::Tagged(tagged) => tagged::read(report, rule, tagged, &single),
            TextWay::Layouts(layouts) => layout::read(report, rule, layouts),
        };
        uses.extend(take_report(plan, context, &rows, offset + from, damaged, &mut message));
    }
    message.kind = if !message.outcomes.is_empty() {
        MessageKind::Results
    } else if uses.contains(&MessageUse::Query) {
        MessageKind::Query
    } else if uses.contains(&MessageUse::Order) {
        MessageKind::Order
    } else {
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
    };
    message
}

/// The reports of a message with the byte at which each begins.
fn reports<'t>(rule: &TextRule, text: &'t str) -> Vec<(usize, &'t str)> {
    let Some(split) = &rule.split else { return vec![(0, text)] };
    let mut reports = Vec::new();
    let mut from = 0;
    for found in split.find_iter(text) {
        reports.push((from, &text[from..found.start()]));
        from = found.end();
    }
    reports.push((from, &text[from..]));
    reports.retain(|(_, report)| !report.trim().is_empty());
    reports
}

/// The observations of one report; what the report is for, as a text of it says.
fn take_report(
    plan: &Plan,
    context: &Context<'_>,
    rows: &Rows<'_>,
    offset: usize,
    damaged: bool,
    message: &mut DecodedMessage,
) -> Option<MessageUse> {
    let whole = Named { rows, row: None, damaged };
    let facts = Facts::of(plan, &whole, None);
    for (place, row) in rows.rows.iter().enumerate() {
        let named = Named { rows, row: Some(place), damaged };
        let record = message.outcomes.len() + 1;
        let standing = Standing {
            record,
            name: None,
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
        message.attachments.extend(attachment(plan, &named, record, None));
    }
    if facts.use_ == Some(MessageUse::Query) {
        let mut specimen_ids = Vec::new();
        if let Some(query) = &plan.rules.query {
            query.id.each(&whole, &mut |found| specimen_ids.extend(owned(found.text)));
        }
        message.queries.push(Query { record: message.queries.len() + 1, specimen_ids });
    }
    facts.use_
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

/// The observations of a report and what holds for all of them.
#[derive(Default)]
struct Rows<'t> {
    shared: Vec<(&'t str, &'t str)>,
    rows: Vec<Row<'t>>,
}

struct Row<'t> {
    at: usize,
    texts: Vec<(&'t str, &'t str)>,
    /// The row before it whose texts it sees, by its place among the rows.
    above: Option<usize>,
    /// Not a row: text between the rows.
    unread: Option<&'t str>,
}

impl<'t> Row<'t> {
    fn of(at: usize, texts: Vec<(&'t str, &'t str)>) -> Self {
        Self { at, texts, above: None, unread: None }
    }

    fn unread(at: usize, text: &'t str) -> Self {
        Self { unread: Some(text), ..Self::of(at, Vec::new()) }
    }
}

/// Where something begins and ends, in bytes.
type Extents = Vec<(usize, usize)>;

/// `fields`: texts of the whole report, with the parts of it that were read.
fn fields<'t>(text: &'t str, rule: &'t TextRule) -> (Vec<(&'t str, &'t str)>, Extents) {
    let mut shared = Vec::new();
    let mut read = Vec::new();
    for (name, pattern) in &rule.fields {
        let mut matches = pattern.captures_iter(text).filter_map(|found| {
            let whole = found.get(0)?;
            Some((whole, found.get(1).unwrap_or(whole).as_str()))
        });
        if let Some((whole, first)) = matches.next() {
            read.push((whole.start(), whole.end()));
            // Of two specimens in one report neither is taken for all of its rows.
            if matches.all(|(_, other)| other == first) {
                shared.push((name.as_str(), first));
            }
        }
    }
    for pattern in &rule.skip {
        read.extend(pattern.find_iter(text).map(|found| (found.start(), found.end())));
    }
    (shared, read)
}

/// Values have digits, or the signs that stand for a value that could not be given.
fn may_be_result(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit() || matches!(c, '*' | '+' | '<' | '>')) || text.contains("--")
}

/// The named texts of a row, over those of the rows above it and of the report.
struct Named<'t> {
    rows: &'t Rows<'t>,
    /// The row; none for the report itself.
    row: Option<usize>,
    damaged: bool,
}

impl<'t> Named<'t> {
    fn find<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'t str> + 's {
        let row = |place: usize| self.rows.rows.get(place);
        let own = core::iter::successors(self.row.and_then(row), move |row| self.rows.rows.get(row.above?))
            .flat_map(|row| &row.texts);
        own.chain(&self.rows.shared).filter(move |(known, _)| *known == name).map(|(_, text)| *text)
    }

    fn piece(&self, text: &'t str) -> Text<'t> {
        let damaged = self.damaged && text.contains(char::REPLACEMENT_CHARACTER);
        Text { text: Cow::Borrowed(text), damaged, odd_escape: false }
    }
}

impl Scope for Named<'_> {
    fn read(&self, place: &Place, _: &[Term], _: Extent) -> Option<Text<'_>> {
        let Place::Name(name) = place else { return None };
        self.find(name).next().filter(|text| !text.is_empty()).map(|text| self.piece(text))
    }

    fn each_repeat(&self, place: &Place, _: &[Term], take: &mut dyn FnMut(Text<'_>)) {
        let Place::Name(name) = place else { return };
        for text in self.find(name).filter(|text| !text.is_empty()) {
            take(self.piece(text));
        }
    }
}
