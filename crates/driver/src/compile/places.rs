//! Compiling places and conditions: every path must be one that the protocol has and that can be
//! seen from where it is used.

use labwire_message::{Name, Path};
use labwire_schema::{Entry, Node, Problem, suggest};
use regex::Regex;

use crate::compile::Compiler;
use crate::place::{Condition, Filter, Place, Rule, Selector};
use crate::plan::Protocol;

/// From where a place is looked at, which decides the records it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An observation: its own record, its order, its patient, the header.
    Observation,
    /// The value: only the observation's own record.
    Value,
    /// A comment.
    Comment,
    /// The message as a whole.
    Header,
    /// A host query.
    Query,
}

impl Role {
    fn records(self, protocol: Protocol) -> &'static [&'static str] {
        match (protocol, self) {
            (Protocol::Text, _) => &[],
            (Protocol::Lis02, Self::Observation) => &["H", "P", "O", "R"],
            (Protocol::Lis02, Self::Value) => &["R"],
            (Protocol::Lis02, Self::Comment) => &["C"],
            (Protocol::Lis02, Self::Header) => &["H"],
            (Protocol::Lis02, Self::Query) => &["Q", "H"],
            (_, Self::Observation) => &["MSH", "PID", "PV1", "ORC", "OBR", "SPM", "SAC", "INV", "OBX"],
            (_, Self::Value) => &["OBX"],
            (_, Self::Comment) => &["NTE"],
            (_, Self::Header) => &["MSH"],
            (_, Self::Query) => &["QRD", "QRF", "QPD", "ORC", "OBR", "MSH"],
        }
    }

    fn reach(self) -> &'static str {
        match self {
            Self::Observation => "an observation sees",
            Self::Value => "a value stands in",
            Self::Comment => "a comment stands in",
            Self::Header => "what holds for the message stands in",
            Self::Query => "a query sees",
        }
    }
}

/// The names that `[text]` gives to texts.
#[derive(Debug, Default)]
pub(crate) struct TextNames {
    names: Vec<String>,
    tag_length: Option<usize>,
}

impl TextNames {
    pub(crate) fn of(root: &Node) -> Self {
        let mut names: Vec<String> = root
            .table("text.fields")
            .map_or(&[][..], Node::entries)
            .iter()
            .map(|field| field.key.clone())
            .collect();
        if let Some(row) = root.text("text.row").and_then(|row| Regex::new(row).ok()) {
            names.extend(row.capture_names().flatten().map(str::to_owned));
        }
        let tag_length = root.table("text.tagged").map(|tagged| {
            tagged.integer("tag_length").and_then(|length| usize::try_from(length).ok()).unwrap_or(2)
        });
        Self { names, tag_length }
    }
}

impl Compiler<'_> {
    /// A place as a path or a table of them.
    pub(crate) fn selector(&mut self, node: &Node, role: Role) -> Option<Selector> {
        if node.as_text().is_some() {
            return Some(Selector::first_of(vec![self.place(node, role)?]));
        }
        if !node.is_table() {
            return None;
        }
        let ways: Vec<&Entry> = ["at", "first_of", "join"]
            .iter()
            .filter_map(|way| node.entries().iter().find(|e| e.key == *way))
            .collect();
        let way = match ways.as_slice() {
            [] => {
                self.error(
                    node,
                    "a place without a path",
                    "add `at = \"…\"`, `first_of = […]` or `join = […]`",
                );
                return None;
            }
            [way] => *way,
            [_, second, ..] => {
                let problem =
                    Problem::error(second.key_span.clone(), "a place has one of `at`, `first_of` and `join`")
                        .help("leave one of them out");
                self.report(&second.node, problem);
                return None;
            }
        };
        let places: Vec<Place> = way.node.items().iter().filter_map(|item| self.place(item, role)).collect();
        if places.is_empty() {
            if way.node.items().is_empty() {
                self.error(&way.node, format!("`{}` is an empty list", way.key), "add a path");
            }
            return None;
        }
        let mut selector = match way.key.as_str() {
            "join" => Selector::joined(places, node.text("with").unwrap_or(" ")),
            _ => Selector::first_of(places),
        };
        if let Some(with) = node.entry("with")
            && way.key != "join"
        {
            let problem = Problem::error(with.key_span.clone(), "`with` has no meaning without `join`")
                .help("leave it out, or write `join` for `first_of`");
            self.report(&with.node, problem);
        }
        selector.trim = node.bool("trim").unwrap_or(true);
        selector.cut = node.text("cut").map(str::to_owned);
        selector.part = node.table("part").and_then(|part| {
            Some((
                part.text("split")?.to_owned(),
                usize::try_from(part.integer("take")?).ok().filter(|take| *take > 0)?,
            ))
        });
        selector.pattern = node.text("match").and_then(|pattern| Regex::new(pattern).ok());
        Some(selector)
    }

    /// The standard's own places, which need no checking.
    pub(crate) fn standard_selector(&self, paths: &[&str]) -> Option<Selector> {
        let places: Vec<Place> = paths.iter().filter_map(|path| path.parse().ok().map(Place::Path)).collect();
        (!places.is_empty()).then(|| Selector::first_of(places))
    }

    fn place(&mut self, node: &Node, role: Role) -> Option<Place> {
        let written = node.as_text()?.to_owned();
        self.place_of(node, &written, role)
    }

    /// `node` is where `written` stands: the value itself, or the key of a condition.
    fn place_of(&mut self, node: &Node, written: &str, role: Role) -> Option<Place> {
        if self.protocol == Protocol::Text {
            return self.named(node, written);
        }
        let path = self.path(node, written)?;
        let records = role.records(self.protocol);
        if !records.contains(&path.record.as_str()) {
            let help = format!("{} {}", role.reach(), records.join(", "));
            self.error(node, format!("`{written}` names a record that cannot be seen from here"), help);
            return None;
        }
        Some(Place::Path(path))
    }

    fn path(&mut self, node: &Node, written: &str) -> Option<Path> {
        match written.parse::<Path>() {
            Ok(path) if path.record.letter().is_some() != (self.protocol == Protocol::Lis02) => {
                let (is, wants) = match self.protocol {
                    Protocol::Lis02 => ("an HL7 segment", "a LIS02 path such as `R.4` or `O.4.3`"),
                    _ => ("a LIS02 record", "an HL7 path such as `OBX-5` or `SPM-2.1`"),
                };
                self.error(
                    node,
                    format!("`{written}` names {is}, but the protocol is \"{}\"", self.protocol.as_str()),
                    format!("write {wants}"),
                );
                None
            }
            Ok(path) => Some(path),
            Err(error) => {
                let at = error.column.saturating_sub(1);
                let span = self.inside(node, written, at);
                let problem = Problem::error(span, format!("`{written}` is no path: {}", error.problem))
                    .help(error.remedy);
                self.report(node, problem);
                None
            }
        }
    }

    fn named(&mut self, node: &Node, written: &str) -> Option<Place> {
        let known = self.names.names.iter().any(|name| name == written);
        let tag = self.names.tag_length.is_some_and(|length| length == written.chars().count());
        if self.names.tag_length.is_none() && self.names.names.is_empty() {
            // What is wrong is said of `[text]`.
            return None;
        }
        if !known && !tag {
            let names = self.names.names.iter().map(String::as_str);
            let help = match (self.names.tag_length, suggest(written, names.clone())) {
                (_, Some(meant)) => format!("did you mean `{meant}`?"),
                (Some(length), None) => format!("write a tag of {length} characters"),
                (None, None) => format!("`[text]` gives {}", names.collect::<Vec<_>>().join(", ")),
            };
            self.error(node, format!("`[text]` gives no text named `{written}`"), help);
            return None;
        }
        Some(Place::Name(written.to_owned()))
    }

    /// From a byte of a text that is written without escapes to its end; else all of the node.
    fn inside(&self, node: &Node, written: &str, at: usize) -> core::ops::Range<usize> {
        let text =
            self.source(node).and_then(|source| source.text.get(node.span.clone())).unwrap_or_default();
        match text.find(written) {
            Some(open) if text.len() == written.len() + 2 * open => {
                node.span.start + open + at.min(written.len())..node.span.start + open + written.len()
            }
            _ => node.span.clone(),
        }
    }

    /// A table of places and regular expressions.
    pub(crate) fn condition(&mut self, node: &Node, role: Role) -> Option<Condition> {
        if !node.is_table() {
            return None;
        }
        if node.entries().is_empty() {
            self.error(
                node,
                "a condition without a path matches everything",
                "add a path: { \"O.12\" = '^Q$' }",
            );
        }
        let mut terms = Vec::new();
        for entry in node.entries() {
            let key = key_node(entry);
            let place = self.place_of(&key, &entry.key, role);
            let pattern = entry.node.as_text().and_then(|pattern| Regex::new(pattern).ok());
            if let (Some(place), Some(pattern)) = (place, pattern) {
                terms.push((place, pattern));
            }
        }
        Some(Condition { terms })
    }

    pub(crate) fn rule(&mut self, node: &Node) -> Option<Rule> {
        let when = node.get("when").and_then(|when| self.condition(when, Role::Observation));
        Some(Rule { when: when?, reason: node.text("reason")?.to_owned() })
    }

    pub(crate) fn filter(&mut self, node: &Node) -> Option<Filter> {
        let when = node.get("when").and_then(|when| self.condition(when, Role::Observation));
        let any: Vec<Condition> =
            node.list("any").iter().filter_map(|any| self.condition(any, Role::Observation)).collect();
        if node.get("when").is_none() && node.list("any").is_empty() {
            self.error(
                node,
                "neither `when` nor `any`",
                "say what it is recognised by: when = { \"O.12\" = '^Q$' }",
            );
            return None;
        }
        Some(Filter { when, any })
    }

    pub(crate) fn identify(&mut self) -> Vec<(Option<Path>, Regex)> {
        let root = self.root;
        let Some(node) = root.table("identify") else { return Vec::new() };
        let mut signs = Vec::new();
        for entry in node.entries() {
            let key = key_node(entry);
            let path = match self.protocol {
                Protocol::Text if entry.key == "text" => None,
                Protocol::Text => {
                    self.error(&key, format!("`{}` cannot identify a text", entry.key), "write `text = '…'`");
                    continue;
                }
                _ => match self.path(&key, &entry.key) {
                    Some(path) => Some(path),
                    None => continue,
                },
            };
            if let Some(pattern) = entry.node.as_text().and_then(|pattern| Regex::new(pattern).ok()) {
                signs.push((path, pattern));
            }
        }
        signs
    }

    pub(crate) fn volatile(&mut self) -> Vec<Path> {
        let root = self.root;
        let mut paths: Vec<Path> = Vec::new();
        // A retransmission under LAW is another message about the same results.
        if self.protocol == Protocol::Law && root.get("message.volatile").is_none() {
            paths
                .extend([7, 10].into_iter().filter_map(|field| Some(Path::field(Name::new(b"MSH")?, field))));
        }
        for node in root.list("message.volatile") {
            let Some(written) = node.as_text() else { continue };
            if self.protocol == Protocol::Text {
                self.error(node, "a text has no fields to leave out", "leave `volatile` out");
                continue;
            }
            let Some(path) = self.path(node, written) else { continue };
            if path.repeat.is_some() || path.component.is_some() {
                let whole = path.whole();
                self.error(
                    node,
                    format!("`{written}` is only a part of a field"),
                    format!("write `{whole}`"),
                );
            } else if paths.contains(&path) {
                self.error(node, format!("`{written}` is listed twice"), "leave one of them out");
            } else {
                paths.push(path);
            }
        }
        paths
    }
}

/// The key of an entry as a node, for problems that point at it.
fn key_node(entry: &Entry) -> Node {
    Node {
        value: labwire_schema::Value::Text(entry.key.clone()),
        span: entry.key_span.clone(),
        origin: entry.node.origin,
    }
}
