//! TOML text to a [`Tree`]; what is no TOML becomes problems in our words, one a line.

use core::ops::Range;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;
use crate::source::Source;
use crate::tree::{Entry, Node, Tree, Value};

/// Reads as much as can be read. What stands on a line that is no TOML is not in the tree, so that
/// one slip is reported once and not again as a wrong value.
pub(crate) fn parse(source: &Source) -> (Tree, Vec<Problem>) {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let mut problems: Vec<Problem> = Vec::new();
    let mut broken = BTreeSet::new();
    let mut errors: Vec<(Range<usize>, String)> = errors
        .iter()
        .map(|error| (error.span().unwrap_or_else(|| source.end()), error.message().to_owned()))
        .collect();
    errors.sort_by_key(|(span, _)| (span.start, span.end));
    for (span, message) in errors {
        if message == "duplicate key" {
            problems.push(duplicate(source, span));
            continue;
        }
        // An error at the very end of a line is seen at the line ending or behind it.
        let line = source.position(span.start).line;
        if broken.insert(line) {
            problems.push(translate(source, span, &message));
        }
    }
    let reader = Reader { source, broken: &broken };
    let root = Value::Table(reader.entries(document.get_ref()));
    let whole = broken.is_empty();
    (Tree { root: Node { value: root, span: source.end(), origin: 0 }, whole }, problems)
}

struct Reader<'a> {
    source: &'a Source,
    broken: &'a BTreeSet<usize>,
}

impl Reader<'_> {
    fn entries(&self, table: &DeTable<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = table
            .iter()
            .filter_map(|(key, value)| {
                let node = self.node(value)?;
                let usable = node.is_container() || !self.is_broken(key.span().start);
                usable.then(|| Entry { key: key.get_ref().to_string(), key_span: key.span(), node })
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        entries
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Option<Node> {
        let span = value.span();
        let node = |value| Some(Node { value, span: span.clone(), origin: 0 });
        match value.get_ref() {
            DeValue::Table(table) => node(Value::Table(self.entries(table))),
            DeValue::Array(items) => {
                node(Value::List(items.iter().filter_map(|item| self.node(item)).collect()))
            }
            // The parser puts a value without a place where it found none.
            _ if span.is_empty() || self.is_broken(span.start) => None,
            DeValue::String(text) => node(Value::Text(text.to_string())),
            DeValue::Integer(number) => {
                let written = self.source.text[span.clone()].to_owned();
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => node(Value::Integer(number)),
                    Err(_) => node(Value::HugeInteger(written)),
                }
            }
            DeValue::Float(_) => node(Value::Float(self.source.text[span.clone()].to_owned())),
            DeValue::Boolean(truth) => node(Value::Bool(*truth)),
            DeValue::Datetime(_) => node(Value::Time(self.source.text[span.clone()].to_owned())),
        }
    }

    fn is_broken(&self, offset: usize) -> bool {
        self.broken.contains(&self.source.position(offset).line)
    }
}

impl Node {
    fn is_container(&self) -> bool {
        matches!(self.value, Value::Table(_) | Value::List(_))
    }
}

fn translate(_source: &Source, span: Range<usize>, message: &str) -> Problem {
    Problem::error(span, message.to_owned())
}

/// A key or table header that stands there for the second time, and where it stood first.
fn duplicate(source: &Source, span: Range<usize>) -> Problem {
    let text = &source.text;
    let name = &text[span.clone()];
    let line = source.line_range(source.position(span.start).line);
    let header = text[line.clone()].trim_start().starts_with('[');
    let mut first = None;
    for number in (1..source.position(span.start).line).rev() {
        let earlier = source.line_range(number);
        let content = text[earlier.clone()].trim_start();
        let at = earlier.end - content.len();
        if header {
            let same = header_name(content) == header_name(text[line.clone()].trim_start());
            if same && content.starts_with('[') {
                let open = content.len() - content.trim_start_matches('[').len();
                first = Some(at + open..at + open + header_name(content).len());
            }
        } else if content.starts_with('[') {
            break;
        } else if content.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(['=', '.'])) {
            first = Some(at..at + name.len());
        }
    }
    let problem = if header {
        Problem::error(
            span.clone(),
            format!("the table `{}` is given twice", header_name(text[line].trim_start())),
        )
        .help("put its keys under one header")
    } else {
        Problem::error(span.clone(), format!("the key `{name}` is given twice")).help("remove one of them")
    };
    match first {
        Some(first) => problem.related(first, "first given here"),
        None => problem,
    }
}

/// `site` of `[site]  # comment`, `connection` of `[[connection]]`.
fn header_name(line: &str) -> &str {
    let inner = line.trim_start_matches('[');
    inner.split(']').next().unwrap_or(inner).trim()
}
