//! Compiling places and conditions: every path must be one that the protocol has and that can be
//! seen from where it is used.

use labwire_message::{Name, Path};
use labwire_schema::{Entry, Node, Problem, suggest};
use regex::Regex;

use crate::compile::{Compiler, texts_of};
use crate::filter::{Condition, Filter, Rule};
use crate::place::{Leaf, Origin, Place, Selector, Term};
use crate::plan::Protocol;
use crate::steps::{Case, Steps};

/// From where a place is looked at, which decides the records it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An observation: its own record, its order, its patient, the header.
    Observation,
    /// The value: only the observation's own record.
    Value,
    /// A comment.
    Comment,
    /// A rule about comments: the comment and what an observation sees.
    CommentRule,
    /// An attachment: what an observation sees, and its own record where that is none.
    Attachment,
    /// The message as a whole.
    Header,
    /// A host query.
    Query,
}

impl Role {
    fn records(self, protocol: Protocol) -> &'static [&'static str] {
        match (protocol, self) {
            (Protocol::Text, _) => &[],
            (Protocol::Lis02, Self::Observation | Self::Attachment) => &["H", "P", "O", "R", "M", "S"],
            (Protocol::Lis02, Self::Value) => &["R", "M", "S"],
            (Protocol::Lis02, Self::CommentRule) => &["C", "H", "P", "O", "R"],
            (Protocol::Lis02, Self::Comment) => &["C"],
            (Protocol::Lis02, Self::Header) => &["H"],
            (Protocol::Lis02, Self::Query) => &["Q", "H"],
            (_, Self::CommentRule) => &["NTE", "MSH", "PID", "ORC", "OBR", "SPM", "OBX"],
            (_, Self::Observation | Self::Attachment) => {
                &["MSH", "PID", "PV1", "ORC", "OBR", "SPM", "SAC", "INV", "OBX"]
            }
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
            Self::CommentRule => "a rule about comments sees",
            Self::Attachment => "an attachment sees",
            Self::Header => "what holds for the message stands in",
            Self::Query => "a query sees",
        }
    }
}

impl Compiler<'_> {
    /// A place as a path or a table of them.
    pub(crate) fn selector(&mut self, node: &Node, role: Role) -> Option<Selector> {
        if node.as_text().is_some() {
            return Some(Selector::of_places([self.place(node, role)?]));
        }
        if !node.is_table() {
            return None;
        }
        let way = self.way(node)?;
        let mut origins: Vec<Origin> =
            way.node.items().iter().filter_map(|item| self.origin(item, role)).collect();
        if origins.is_empty() {
            if way.node.items().is_empty() {
                self.error(&way.node, format!("`{}` is an empty list", way.key), "add a path");
            }
            return None;
        }
        self.choose(node, way, &mut origins);
        let mut selector = match way.key.as_str() {
            "join" => Selector::joined(origins, node.text("with").unwrap_or(" ")),
            _ => Selector::first_of(origins),
        };
        if let Some(with) = node.entry("with")
            && way.key != "join"
        {
            let problem = Problem::error(with.key_span.clone(), "`with` has no meaning without `join`")
                .help("leave it out, or write `join` for `first_of`");
            self.report(&with.node, problem);
        }
        let when = node.get("when").and_then(|when| self.condition(when, role));
        let unless = node.get("unless").and_then(|unless| self.condition(unless, role));
        if when.is_some() || unless.is_some() {
            selector.filter = Some(Filter { when, unless, ..Filter::default() });
        }
        selector.steps = steps(node);
        Some(selector)
    }

    /// The one key of a place that says where it is.
    fn way<'n>(&mut self, node: &'n Node) -> Option<&'n Entry> {
        let ways: Vec<&Entry> = ["at", "first_of", "join"]
            .iter()
            .filter_map(|way| node.entries().iter().find(|e| e.key == *way))
            .collect();
        match ways.as_slice() {
            [] => {
                self.error(
                    node,
                    "a place without a path",
                    "add `at = \"…\"`, `first_of = […]` or `join = […]`",
                );
                None
            }
            [way] => Some(*way),
            [_, second, ..] => {
                let problem =
                    Problem::error(second.key_span.clone(), "a place has one of `at`, `first_of` and `join`")
                        .help("leave one of them out");
                self.report(&second.node, problem);
                None
            }
        }
    }

    fn origin(&mut self, node: &Node, role: Role) -> Option<Origin> {
        if node.as_text().is_some() {
            return Some(Origin::Leaf(self.place(node, role)?.into()));
        }
        self.selector(node, role).map(|selector| Origin::Selector(selector.into()))
    }

    /// `where`: which repeat or record of the one place is meant.
    fn choose(&mut self, node: &Node, way: &Entry, origins: &mut [Origin]) {
        let Some(entry) = node.entry("where") else { return };
        let (Some(Origin::Leaf(Leaf { place: Place::Path(path), only })), "at") =
            (origins.first_mut(), way.key.as_str())
        else {
            let problem = Problem::error(
                entry.key_span.clone(),
                "`where` chooses among the repeats of one path, which `at` names",
            )
            .help("write it beside an `at`, or `when` for a condition");
            self.report(&entry.node, problem);
            return;
        };
        if path.repeat.is_some() {
            let problem = Problem::error(entry.key_span.clone(), format!("`{path}` names a repeat already"))
                .help("leave out the number in brackets, or `where`");
            self.report(&entry.node, problem);
            return;
        }
        *only = self.terms(&entry.node, path.record);
    }

    fn terms(&mut self, node: &Node, record: labwire_message::Name) -> Vec<Term> {
        let mut terms = Vec::new();
        for entry in node.entries() {
            let key = key_node(entry);
            let Some(path) = self.path(&key, &entry.key) else { continue };
            if path.record != record {
                self.error(
                    &key,
                    format!("`{path}` is not of the same record"),
                    format!("write a path of {record}, or `when` for a condition"),
                );
            } else if let Some(pattern) = entry.node.as_text().and_then(|pattern| Regex::new(pattern).ok()) {
                terms.push((path, pattern));
            }
        }
        terms
    }

    /// The standard's own places, which need no checking.
    pub(crate) fn standard_selector(&self, paths: &[&str]) -> Option<Selector> {
        let places: Vec<Place> = paths.iter().filter_map(|path| path.parse().ok().map(Place::Path)).collect();
        (!places.is_empty()).then(|| Selector::of_places(places))
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
        let tag =
            self.names.any || self.names.tag_length.is_some_and(|length| length == written.chars().count());
        if !self.names.any && self.names.tag_length.is_none() && self.names.names.is_empty() {
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

    pub(crate) fn rule(&mut self, node: &Node, role: Role) -> Option<Rule> {
        let filter = self.filter(node, role)?;
        Some(Rule { filter, reason: node.text("reason")?.to_owned() })
    }

    /// `when`, `any`, `unless` and `same` of a table, at least one of them.
    pub(crate) fn filter(&mut self, node: &Node, role: Role) -> Option<Filter> {
        let when = node.get("when").and_then(|when| self.condition(when, role));
        let any: Vec<Condition> =
            node.list("any").iter().filter_map(|any| self.condition(any, role)).collect();
        let unless = node.get("unless").and_then(|unless| self.condition(unless, role));
        let same = self.same(node, role);
        if ["when", "unless", "same"].iter().all(|key| node.get(key).is_none()) && node.list("any").is_empty()
        {
            self.error(
                node,
                "none of `when`, `any`, `unless` and `same`",
                "say what it is recognised by: when = { \"O.12\" = '^Q$' }",
            );
            return None;
        }
        Some(Filter { when, any, unless, same })
    }

    fn same(&mut self, node: &Node, role: Role) -> Vec<(Place, Place)> {
        let entries = node.get("same").map_or(&[][..], Node::entries);
        let mut pairs = Vec::new();
        for entry in entries {
            let one = self.place_of(&key_node(entry), &entry.key, role);
            let other = self.place(&entry.node, role);
            pairs.extend(one.zip(other));
        }
        pairs
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

fn steps(node: &Node) -> Steps {
    let pattern = |key: &str| node.text(key).and_then(|pattern| Regex::new(pattern).ok());
    let number = |table: &Node, key: &str| table.integer(key).and_then(|number| usize::try_from(number).ok());
    Steps {
        trim: node.bool("trim").unwrap_or(true),
        strip: pattern("strip"),
        cut: node.text("cut").map(str::to_owned),
        part: node.table("part").and_then(|part| {
            Some((part.text("split")?.to_owned(), number(part, "take").filter(|take| *take > 0)?))
        }),
        pattern: pattern("match"),
        case: node.text("case").map(|case| if case == "upper" { Case::Upper } else { Case::Lower }),
        map: texts_of(node, "map").collect(),
        pad: node.table("pad").and_then(|pad| Some((pad.text("with")?.chars().next()?, number(pad, "to")?))),
    }
}
