//! TOML text to a [`Tree`]; what is no TOML becomes problems in our words.
//!
//! A parser that goes on after a slip sees further slips that are none. So only the first one of
//! a text counts; its line is painted over with blanks, which moves nothing, and the text is read
//! again, until what is left is TOML. Every slip is reported once and the rest of the file is
//! checked all the same.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;
use crate::source::{Lines, Source};
use crate::tree::{Entry, Node, Tree, Value};
use crate::twice;
use crate::wording;

/// More slips than a person wants to read at once; keeps a file of garbage cheap to refuse.
const SLIPS_MAX: usize = 100;

/// Reads as much as can be read.
pub(crate) fn parse(source: &Source) -> (Tree, Vec<Problem>) {
    let nothing = || Tree {
        root: Node { value: Value::Table(Vec::new()), span: source.end(), origin: 0 },
        whole: false,
    };
    let mut problems: Vec<Problem> = no_text(source).into_iter().collect();
    if is_wide(&source.text) {
        return (nothing(), problems);
    }
    let mut readable = source.clone();
    let mut whole = true;
    let mut follows = None;
    let lines = Lines::of(&source.text);
    for round in 0.. {
        let (document, errors) = DeTable::parse_recoverable(&readable.text);
        let mut found: Vec<(Range<usize>, &str)> = errors
            .iter()
            .map(|error| (error.span().unwrap_or_else(|| readable.end()), error.message()))
            .collect();
        found.sort_by_key(|(span, _)| (span.start, span.end));
        let first = found.iter().find(|(_, message)| !is_about_keys(message));
        if let Some((span, message)) = first {
            if round >= SLIPS_MAX {
                break;
            }
            whole = false;
            let slip = wording::slip(source, &readable, &lines, span.clone(), message, follows);
            follows = slip.problem.is_none().then(|| lines.number(slip.lines.start));
            if let Some(blanked) = blank(&readable.text, slip.lines) {
                problems.extend(slip.problem);
                readable.text = blanked;
                continue;
            }
            problems.extend(slip.problem);
            break;
        }
        problems.extend(
            found
                .iter()
                .filter(|(_, message)| is_about_keys(message))
                .take(SLIPS_MAX)
                .map(|(span, message)| twice::key_again(source, &lines, span.clone(), message)),
        );
        let root =
            Node { value: Value::Table(entries(source, document.get_ref())), span: source.end(), origin: 0 };
        return (Tree { root, whole }, problems);
    }
    (nothing(), problems)
}

/// The first place that was no UTF-8 in the file.
fn no_text(source: &Source) -> Option<Problem> {
    let at = source.text.find(char::REPLACEMENT_CHARACTER)?;
    let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
    Some(if is_wide(&source.text) {
        Problem::error(span, "the file is UTF-16").help("save it as UTF-8")
    } else {
        Problem::error(span, "this is not UTF-8").help("save the file as UTF-8")
    })
}

/// What the byte order mark of UTF-16 becomes when it is read as UTF-8.
fn is_wide(text: &str) -> bool {
    text.starts_with("\u{fffd}\u{fffd}") && text.contains('\0')
}

/// Whether the text is TOML in form, only its keys contradict each other.
fn is_about_keys(message: &str) -> bool {
    message == "duplicate key" || message.starts_with("cannot extend value")
}

/// The text with these bytes painted over; nothing if there is nothing to paint.
fn blank(text: &str, range: Range<usize>) -> Option<String> {
    let painted: String = text[range.clone()]
        .chars()
        .flat_map(|c| {
            let paint = if matches!(c, '\n' | '\r') { c } else { ' ' };
            core::iter::repeat_n(paint, c.len_utf8())
        })
        .collect();
    (painted != text[range.clone()])
        .then(|| [&text[..range.start], painted.as_str(), &text[range.end..]].concat())
}

fn entries(source: &Source, table: &DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: node(source, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

fn node(source: &Source, value: &Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let written = || source.text.get(span.clone()).unwrap_or_default().to_owned();
    let value = match value.get_ref() {
        DeValue::Table(table) => Value::Table(entries(source, table)),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(source, item)).collect()),
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::HugeInteger(written()),
        },
        DeValue::Float(_) => Value::Float(written()),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(_) => Value::Time(written()),
    };
    Node { value, span, origin: 0 }
}
