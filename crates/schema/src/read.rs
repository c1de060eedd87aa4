//! A document against its key table: every problem at once.

use core::ops::Range;
use core::time::Duration;

use crate::duration::{format_duration, parse_duration};
use crate::problem::Problem;
use crate::source::Source;
use crate::suggest::suggest;
use crate::syntax;
use crate::table::{Key, Mistake, Shape, Table};
use crate::tree::{Entry, Node, Tree, Value};

/// Reads a document and reports everything that is wrong with it: what is no TOML, unknown keys,
/// wrong types, values out of range, missing keys.
#[must_use]
pub fn read(source: &Source, table: &'static Table) -> (Tree, Vec<Problem>) {
    let (tree, mut problems) = read_overlay(source, table);
    problems.extend(missing(&tree, table).into_iter().map(|(_, problem)| problem));
    (tree, problems)
}

/// Reads a document that overrides another one: as [`read`], but keys may be missing. Ask
/// [`missing`] about the whole.
#[must_use]
pub fn read_overlay(source: &Source, table: &'static Table) -> (Tree, Vec<Problem>) {
    let (tree, problems) = syntax::parse(source);
    let mut reader = Reader { source, document: table, problems };
    reader.table(&tree.root, table, &Place::root());
    (tree, reader.problems)
}

/// What is wrong with a table that was not read from TOML; `path` is where it stands in a document.
#[must_use]
pub fn check_table(source: &Source, node: &Node, table: &'static Table, path: &str) -> Vec<Problem> {
    let mut reader = Reader { source, document: table, problems: Vec::new() };
    reader.table(node, table, &Place { path: path.to_owned(), written: format!("`[{path}]`") });
    reader.problems
}

/// The required keys that a document lacks, each with the origin of the table that lacks it. Says
/// nothing about a document that is not whole: what seems to be missing may stand in a line that
/// could not be read.
#[must_use]
pub fn missing(tree: &Tree, table: &'static Table) -> Vec<(usize, Problem)> {
    let mut problems = Vec::new();
    if tree.whole {
        missing_in(&tree.root, table, &Place::root(), &mut problems);
    }
    problems
}

/// Where in the document a table stands, as it would be written.
struct Place {
    path: String,
    written: String,
}

impl Place {
    fn root() -> Self {
        Self { path: String::new(), written: String::new() }
    }

    fn inside(&self, key: &str, shape: &Shape) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let written = match shape {
            _ if !self.path.is_empty() => format!("`{path}`"),
            Shape::ListOf(_) => format!("`[[{path}]]`"),
            _ => format!("`[{path}]`"),
        };
        Self { path, written }
    }
}

fn missing_in(node: &Node, table: &'static Table, place: &Place, problems: &mut Vec<(usize, Problem)>) {
    for key in table.keys {
        let Some(entry) = node.entries().iter().find(|entry| entry.key == key.name) else {
            if key.required {
                problems.push((node.origin, missing_key(node, key, place)));
            }
            continue;
        };
        missing_in_value(&entry.node, &key.shape, &place.inside(key.name, &key.shape), problems);
    }
}

fn missing_in_value(node: &Node, shape: &Shape, place: &Place, problems: &mut Vec<(usize, Problem)>) {
    match (shape, &node.value) {
        (Shape::Table(table), Value::Table(_)) => missing_in(node, table, place, problems),
        (Shape::ListOf(item), Value::List(items)) => {
            for node in items {
                missing_in_value(node, item, place, problems);
            }
        }
        (Shape::MapOf { value, .. }, Value::Table(entries)) => {
            for entry in entries {
                missing_in_value(&entry.node, value, &place.inside(&entry.key, value), problems);
            }
        }
        (Shape::Either(shapes), value) => {
            if let Some(shape) = shapes.iter().find(|shape| shape.takes(value)) {
                missing_in_value(node, shape, place, problems);
            }
        }
        _ => {}
    }
}

fn missing_key(node: &Node, key: &'static Key, place: &Place) -> Problem {
    let name = key.name;
    let span = node.span.clone();
    let example = |key: &Key| key.example.map(|example| format!("{} = {example}", key.name));
    let nested = match &key.shape {
        Shape::Table(table) => Some((format!("[{name}]"), *table)),
        Shape::ListOf(Shape::Table(table)) => Some((format!("[[{name}]]"), *table)),
        _ => None,
    };
    if let (Some((header, table)), true) = (nested, place.path.is_empty()) {
        let keys: Vec<String> = table
            .keys
            .iter()
            .filter(|key| key.required)
            .map(|key| format!("`{}`", example(key).unwrap_or_else(|| key.name.to_owned())))
            .collect();
        let help = if keys.is_empty() {
            format!("add `{header}`")
        } else {
            format!("add `{header}` with {}", keys.join(", "))
        };
        return Problem::error(span, format!("missing table `{header}`")).help(help);
    }
    let message = if place.path.is_empty() {
        format!("missing key `{name}`")
    } else {
        format!("missing key `{name}` in {}", place.written)
    };
    Problem::error(span, message).help(match example(key) {
        Some(example) => format!("add `{example}`"),
        None => format!("add `{name}`: {}", key.shape.noun()),
    })
}

/// A key with one of these words in it probably has a value that no message may repeat.
const SECRETS: [&str; 4] = ["passw", "secret", "token", "credential"];

struct Reader<'a> {
    source: &'a Source,
    document: &'static Table,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, node: &Node, table: &'static Table, place: &Place) {
        for entry in node.entries() {
            match table.key(&entry.key) {
                Some(key) => {
                    self.value(&entry.node, &key.shape, &entry.key, &place.inside(&entry.key, &key.shape))
                }
                None => {
                    let problem = self.unknown(entry, table, place);
                    self.problems.push(problem);
                }
            }
        }
    }

    fn unknown(&self, entry: &Entry, table: &'static Table, place: &Place) -> Problem {
        let key = &entry.key;
        let what = match &entry.node.value {
            Value::Table(_) if place.path.is_empty() => format!("unknown table `[{key}]`"),
            Value::List(items) if place.path.is_empty() && items.first().is_some_and(Node::is_table) => {
                format!("unknown table `[[{key}]]`")
            }
            _ if place.path.is_empty() => format!("unknown key `{key}`"),
            _ => format!("unknown key `{key}` in {}", place.written),
        };
        let mut problem = Problem::error(entry.key_span.clone(), what);
        if SECRETS.iter().any(|word| key.to_ascii_lowercase().contains(word)) {
            problem = problem.conceal(entry.node.span.clone());
        }
        if let Some((_, hint)) = table.hints.iter().find(|(word, _)| word == key) {
            return problem.help(*hint);
        }
        if let Some(meant) = suggest(key, table.keys.iter().map(|key| key.name)) {
            return problem.help(format!("did you mean `{meant}`?"));
        }
        if let Some(home) = self.home_of(key, table) {
            return problem.help(format!("`{key}` belongs in {home}"));
        }
        problem.help(table.keys_here())
    }

    /// The table of the document that has a key of this name.
    fn home_of(&self, key: &str, not: &'static Table) -> Option<String> {
        if self.document.key(key).is_some() && !core::ptr::eq(self.document, not) {
            return Some("the top level of the file, above the first `[table]`".to_owned());
        }
        self.document.keys.iter().find_map(|outer| match &outer.shape {
            Shape::Table(table) => table.key(key).map(|_| format!("`[{}]`", outer.name)),
            Shape::ListOf(Shape::Table(table)) => table.key(key).map(|_| format!("`[[{}]]`", outer.name)),
            _ => None,
        })
    }

    fn value(&mut self, node: &Node, shape: &Shape, key: &str, place: &Place) {
        match (shape, &node.value) {
            (Shape::Text, Value::Text(text)) if text.is_empty() => {
                self.push(node, format!("`{key}` is empty"), "write at least one character".to_owned());
            }
            (Shape::Text | Shape::TextOrEmpty, Value::Text(_)) | (Shape::Bool, Value::Bool(_)) => {}
            (Shape::Checked(checked), Value::Text(text)) => {
                if let Err(mistake) = (checked.check)(text) {
                    self.mistake(node, mistake);
                }
            }
            (Shape::OneOf(words), Value::Text(text)) => {
                if !words.contains(&text.as_str()) {
                    let help = match suggest(text, words.iter().copied()) {
                        Some(meant) => format!("did you mean \"{meant}\"?"),
                        None => format!("write {}", shape.noun()),
                    };
                    self.push(node, format!("`{key}` cannot be \"{text}\""), help);
                }
            }
            (Shape::Integer { min, max }, Value::Integer(number)) => {
                if number < min || number > max {
                    let side =
                        if number < min { format!("less than {min}") } else { format!("more than {max}") };
                    self.push(node, format!("`{key}` is {side}"), format!("write {}", shape.noun()));
                }
            }
            (Shape::Integer { .. } | Shape::IntegerOneOf(_), Value::HugeInteger(_)) => {
                self.push(
                    node,
                    format!("`{key}` is a number too large to be read"),
                    format!("write {}", shape.noun()),
                );
            }
            (Shape::IntegerOneOf(numbers), Value::Integer(number)) => {
                if !numbers.contains(number) {
                    self.push(node, format!("`{key}` cannot be {number}"), format!("write {}", shape.noun()));
                }
            }
            (Shape::Duration { min, max }, Value::Text(text)) => match parse_duration(text) {
                Err(mistake) => self.mistake(node, mistake),
                Ok(duration) if duration < *min => {
                    self.push(
                        node,
                        format!("`{key}` is shorter than {}", format_duration(*min)),
                        format!("write {}", shape.noun()),
                    );
                }
                Ok(duration) if duration > *max => {
                    self.push(
                        node,
                        format!("`{key}` is longer than {}", format_duration(*max)),
                        format!("write {}", shape.noun()),
                    );
                }
                Ok(_) => {}
            },
            (Shape::Table(table), Value::Table(_)) => self.table(node, table, place),
            (Shape::MapOf { key: check, value }, Value::Table(entries)) => {
                for entry in entries {
                    let verdict = match check {
                        Some(checked) => (checked.check)(&entry.key),
                        None if entry.key.is_empty() => Err(Mistake::new("empty key")),
                        None => Ok(()),
                    };
                    if let Err(mistake) = verdict {
                        let span = inner_span(self.source, &entry.key_span, &entry.key, mistake.at.clone());
                        self.problems.push(Problem::error(span, mistake.message).maybe_help(mistake.help));
                    }
                    self.value(&entry.node, value, &entry.key, &place.inside(&entry.key, value));
                }
            }
            (Shape::ListOf(item), Value::List(items)) => {
                for node in items {
                    self.value(node, item, key, place);
                }
            }
            (Shape::Either(shapes), value) if shapes.iter().any(|shape| shape.takes(value)) => {
                if let Some(shape) = shapes.iter().find(|shape| shape.takes(value)) {
                    self.value(node, shape, key, place);
                }
            }
            _ => self.wrong_type(node, shape, key),
        }
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, key: &str) {
        let written = self.source.text.get(node.span.clone()).unwrap_or_default();
        let scalar = !matches!(node.value, Value::List(_) | Value::Table(_) | Value::Bool(_));
        let help = match (shape, &node.value) {
            (Shape::Duration { .. }, Value::Integer(number)) => {
                format!("a duration is text with its unit: \"{number}s\", \"{number}m\"")
            }
            (Shape::Checked(checked), _) if scalar => match (checked.check)(written) {
                Ok(()) => format!("write it in quotes: \"{written}\""),
                Err(mistake) => mistake.help.unwrap_or_else(|| format!("write {}", shape.noun())),
            },
            (Shape::Text | Shape::TextOrEmpty, _) if scalar => format!("write it in quotes: \"{written}\""),
            (Shape::Integer { .. } | Shape::IntegerOneOf(_), Value::Text(text))
                if text.parse::<i64>().is_ok() =>
            {
                format!("write it without quotes: {text}")
            }
            (Shape::Bool, Value::Text(_) | Value::Integer(_)) => {
                match written.trim_matches(['"', '\'']).to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" | "1" => "write true".to_owned(),
                    "false" | "no" | "off" | "0" => "write false".to_owned(),
                    _ => "write true or false".to_owned(),
                }
            }
            (Shape::ListOf(Shape::Table(_)), Value::Table(_)) if written.starts_with('[') => {
                format!("write `[[{key}]]` with double brackets")
            }
            (Shape::ListOf(item), value) if item.takes(value) => format!("write a list: [{written}]"),
            (Shape::Table(_) | Shape::MapOf { .. }, Value::List(items))
                if items.first().is_some_and(Node::is_table) =>
            {
                format!("write `[{key}]` with single brackets")
            }
            (Shape::Table(table), _) => table.keys_here(),
            (shape, Value::List(items)) if items.len() == 1 && shape.takes(&items[0].value) => {
                let item = self.source.text.get(items[0].span.clone()).unwrap_or_default();
                format!("write it without brackets: {item}")
            }
            _ => format!("write {}", shape.noun()),
        };
        self.push(node, format!("`{key}` must be {}, not {}", shape.noun(), node.value.type_name()), help);
    }

    fn push(&mut self, node: &Node, message: String, help: String) {
        self.problems.push(Problem::error(node.span.clone(), message).help(help));
    }

    fn mistake(&mut self, node: &Node, mistake: Mistake) {
        let text = node.as_text().unwrap_or_default();
        let span = inner_span(self.source, &node.span, text, mistake.at);
        let problem = Problem::error(span.clone(), mistake.message).maybe_help(mistake.help);
        self.problems.push(if mistake.secret { problem.conceal(span) } else { problem });
    }
}

/// The place in the source of some bytes of a decoded text; all of it where escapes have moved them.
fn inner_span(source: &Source, span: &Range<usize>, decoded: &str, at: Option<Range<usize>>) -> Range<usize> {
    let written = source.text.get(span.clone()).unwrap_or_default();
    let Some(at) = at else { return span.clone() };
    let Some(open) = written.find(decoded).filter(|open| written.len() == decoded.len() + 2 * open) else {
        return span.clone();
    };
    span.start + open + at.start.min(decoded.len())..span.start + open + at.end.min(decoded.len())
}

impl Shape {
    /// Whether a value has the TOML type of this shape.
    pub(crate) fn takes(&self, value: &Value) -> bool {
        match self {
            Self::Text | Self::TextOrEmpty | Self::Checked(_) | Self::OneOf(_) | Self::Duration { .. } => {
                matches!(value, Value::Text(_))
            }
            Self::Integer { .. } | Self::IntegerOneOf(_) => {
                matches!(value, Value::Integer(_) | Value::HugeInteger(_))
            }
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Table(_) | Self::MapOf { .. } => matches!(value, Value::Table(_)),
            Self::ListOf(_) => matches!(value, Value::List(_)),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.takes(value)),
        }
    }

    /// What a value of this shape is called, with its article.
    #[must_use]
    pub fn noun(&self) -> String {
        match self {
            Self::Text | Self::TextOrEmpty => "text".to_owned(),
            Self::Checked(checked) => checked.noun.to_owned(),
            Self::OneOf(words) => or(&words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>()),
            Self::Integer { min, max: i64::MAX } => format!("a whole number from {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::IntegerOneOf(numbers) => or(&numbers.iter().map(i64::to_string).collect::<Vec<_>>()),
            Self::Bool => "true or false".to_owned(),
            Self::Duration { max: Duration::MAX, .. } => "a duration such as \"15s\"".to_owned(),
            Self::Duration { min, max } => {
                format!("a duration from \"{}\" to \"{}\"", format_duration(*min), format_duration(*max))
            }
            Self::Table(_) | Self::MapOf { .. } => "a table".to_owned(),
            Self::ListOf(Self::Table(_)) => "a list of tables".to_owned(),
            Self::ListOf(item) => format!("a list, each {}", item.noun()),
            Self::Either(shapes) => or(&shapes.iter().map(Self::noun).collect::<Vec<_>>()),
        }
    }
}

impl Table {
    /// Which keys there are, as a whole sentence.
    fn keys_here(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("`{}`", key.name)).collect();
        match keys.as_slice() {
            [only] => format!("the only key here is {only}"),
            keys => format!("the keys here are {}", joined(keys, "and")),
        }
    }
}

fn joined(words: &[String], last: &str) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

fn or(words: &[String]) -> String {
    joined(words, "or")
}
