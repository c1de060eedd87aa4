//! `[text]`: one way to read a message, and the names of the texts that it gives.

use labwire_schema::{Entry, Node, Problem};
use regex::Regex;

use crate::checks::named_bytes;
use crate::compile::{Compiler, texts_of};
use crate::plan::Protocol;
use crate::text::{Groups, Layout, Span, Tag, Tagged, TextRule, TextWay, Value};

/// The names that `[text]` gives to texts.
#[derive(Debug, Default)]
pub(crate) struct TextNames {
    pub(super) names: Vec<String>,
    /// Any name of so many characters is a tag.
    pub(super) tag_length: Option<usize>,
    /// Any name may be a tag.
    pub(super) any: bool,
}

impl TextNames {
    pub(crate) fn of(root: &Node) -> Self {
        let keys = |node: &Node, path: &str| -> Vec<String> {
            let entries = node.table(path).map_or(&[][..], Node::entries);
            entries.iter().map(|entry| entry.key.clone()).collect()
        };
        let mut names = keys(root, "text.fields");
        for row in root.texts("text.row").filter_map(|row| Regex::new(row).ok()) {
            names.extend(row.capture_names().flatten().map(str::to_owned));
        }
        for layout in root.list("text.layout") {
            names.extend(keys(layout, "fields"));
            names.extend(keys(layout, "groups.fields"));
            if !layout.list("values").is_empty() {
                names.extend(["test", "value"].map(str::to_owned));
                if layout.list("values").iter().any(|value| value.get("flags_at").is_some()) {
                    names.push("flags".to_owned());
                }
            }
        }
        let tagged = root.table("text.tagged");
        if tagged.is_some_and(|tagged| tagged.bool("each") == Some(true)) {
            names.extend(["tag", "text"].map(str::to_owned));
        }
        names.sort();
        names.dedup();
        let any = tagged.is_some_and(|tagged| tagged.get("assign").is_some());
        let tag_length = tagged.filter(|_| !any).map(|tagged| {
            tagged.integer("tag_length").and_then(|length| usize::try_from(length).ok()).unwrap_or(2)
        });
        Self { names, tag_length, any }
    }
}

impl Compiler<'_> {
    pub(super) fn text_rule(&mut self) -> Option<TextRule> {
        let entry = self.root.entry("text");
        let (entry, node) = match (entry, self.protocol) {
            (None, Protocol::Text) => {
                let end = self.sources.get(self.root.origin).map_or(0..0, |source| source.end());
                let problem = Problem::error(end, "protocol \"text\" without a `[text]` table")
                    .help("add `[text]` with `row`, `tagged` or `layout`");
                self.report(self.root, problem);
                return None;
            }
            (None, _) => return None,
            (Some(entry), _) => (entry, &entry.node),
        };
        if self.protocol != Protocol::Text {
            let problem = Problem::error(
                entry.key_span.clone(),
                format!("`[text]` has no meaning for protocol \"{}\"", self.protocol.as_str()),
            )
            .help("leave it out, or set `protocol = \"text\"` under `[analyzer]`");
            self.report(node, problem);
            return None;
        }
        let ways: Vec<&Entry> =
            ["row", "tagged", "layout"].iter().filter_map(|way| node.entry(way)).collect();
        let way = match ways.as_slice() {
            [] => {
                self.error(
                    node,
                    "`[text]` has none of `row`, `tagged` and `layout`",
                    "add the one that fits the message",
                );
                return None;
            }
            [way] => match way.key.as_str() {
                "row" => TextWay::Rows(self.rows(node)),
                "tagged" => TextWay::Tagged(tagged(&way.node)),
                _ => TextWay::Layouts(self.layouts(&way.node)),
            },
            [first, second, ..] => {
                self.error(
                    &second.node,
                    format!("both `{}` and `{}`", first.key, second.key),
                    "a message is read one way; leave one of them out",
                );
                return None;
            }
        };
        let regex = |pattern: &str| Regex::new(pattern).ok();
        Some(TextRule {
            split: node.text("split").and_then(regex),
            fields: texts_of(node, "fields")
                .filter_map(|(name, pattern)| Some((name, regex(&pattern)?)))
                .collect(),
            skip: node.texts("skip").filter_map(regex).collect(),
            way,
        })
    }

    fn rows(&mut self, node: &Node) -> Vec<Regex> {
        let mut rows = Vec::new();
        for item in node.list("row") {
            let Some(row) = item.as_text().and_then(|row| Regex::new(row).ok()) else { continue };
            if row.capture_names().flatten().next().is_none() {
                self.error(
                    item,
                    "`row` has no named group",
                    "name what it finds: '(?P<test>[A-Z]+) +(?P<value>\\S+)'",
                );
            }
            rows.push(row);
        }
        rows
    }

    fn layouts(&mut self, node: &Node) -> Vec<Layout> {
        let mut layouts = Vec::new();
        for layout in node.items() {
            if layout.list("values").is_empty() && layout.table("groups").is_none() {
                self.error(
                    layout,
                    "a layout without results",
                    "add `values` for values at fixed places, or `groups`",
                );
            }
            let groups = layout.table("groups").and_then(|groups| self.groups(groups));
            layouts.push(Layout {
                pattern: layout.text("match").and_then(|pattern| Regex::new(pattern).ok()),
                separator: layout.get("separator").map(|_| bytes_text(layout, "separator")),
                quote: bytes_text(layout, "quote"),
                fields: spans(layout, "fields"),
                values: layout.list("values").iter().filter_map(value).collect(),
                groups,
            });
        }
        layouts
    }

    fn groups(&mut self, node: &Node) -> Option<Groups> {
        let from = count(node, "at")?.checked_sub(1)?;
        let width = count(node, "width")?;
        let fields = spans(node, "fields");
        for (name, span) in &fields {
            if span.from + span.width > width {
                let at = node.get("fields").and_then(|fields| fields.get(name)).unwrap_or(node);
                self.error(
                    at,
                    format!("`{name}` ends behind its group, which is {width} wide"),
                    "count `at` from 1 within the group",
                );
            }
        }
        Some(Groups { from, width, fields })
    }
}

fn tagged(node: &Node) -> Tagged {
    Tagged {
        separator: bytes_text(node, "separator"),
        record: bytes_text(node, "record"),
        tag: match node.get("assign") {
            Some(_) => Tag::Before(bytes_text(node, "assign")),
            None => Tag::Length(count(node, "tag_length").unwrap_or(2)),
        },
        rows: node.texts("row").map(str::to_owned).collect(),
        each_but: (node.bool("each") == Some(true))
            .then(|| node.texts("shared").map(str::to_owned).collect()),
    }
}

fn value(node: &Node) -> Option<Value> {
    let flags = count(node, "flags_at").and_then(|at| {
        Some(Span { from: at.checked_sub(1)?, width: count(node, "flags_width").unwrap_or(1) })
    });
    Some(Value { test: node.text("test")?.to_owned(), value: span(node)?, flags })
}

fn spans(node: &Node, path: &str) -> Vec<(String, Span)> {
    let entries = node.table(path).map_or(&[][..], Node::entries);
    entries.iter().filter_map(|entry| Some((entry.key.clone(), span(&entry.node)?))).collect()
}

fn span(node: &Node) -> Option<Span> {
    Some(Span { from: count(node, "at")?.checked_sub(1)?, width: count(node, "width").unwrap_or(1) })
}

fn count(node: &Node, key: &str) -> Option<usize> {
    node.integer(key).and_then(|number| usize::try_from(number).ok())
}

/// Bytes that stand in decoded text: what is no UTF-8 can never be met there.
fn bytes_text(node: &Node, key: &str) -> String {
    let bytes = node.text(key).and_then(|text| named_bytes(text).ok()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
