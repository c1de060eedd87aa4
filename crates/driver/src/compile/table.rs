//! `[tests]` and `[units]`: what the profile calls UCUM must be UCUM.

use std::collections::BTreeMap;

use labwire_schema::{Entry, Node};

use crate::compile::Compiler;
use crate::plan::{Test, TestKind};
use crate::units::common_ucum;

impl Compiler<'_> {
    pub(super) fn tests(&mut self) -> BTreeMap<String, Test> {
        let mut tests = BTreeMap::new();
        let Some(node) = self.root.table("tests") else { return tests };
        for Entry { key, node, .. } in node.entries() {
            let unit = node.get("unit").and_then(|unit| self.ucum(unit));
            let mut units: Vec<String> = Vec::new();
            for item in node.list("units") {
                let Some(text) = item.as_text().map(str::trim) else { continue };
                if units.iter().any(|known| known == text) || unit.as_deref() == Some(text) {
                    self.error(item, format!("unit \"{text}\" is listed twice"), "leave one of them out");
                } else if unit.is_none() && !self.unit_is_known(text) {
                    self.error(
                        item,
                        format!("no UCUM unit is known for \"{text}\""),
                        "give the test a `unit`, or the spelling a line under `[units]`",
                    );
                }
                units.push(text.to_owned());
            }
            let kind = node.text("kind").and_then(|kind| match kind {
                "number" => Some(TestKind::Number),
                "text" => Some(TestKind::Text),
                "coded" => Some(TestKind::Coded),
                "titer" => Some(TestKind::Titer),
                _ => None,
            });
            let mut unit_codes = BTreeMap::new();
            for Entry { key, node, .. } in node.table("unit_codes").map_or(&[][..], Node::entries) {
                if let Some(ucum) = self.ucum(node) {
                    unit_codes.insert(key.trim().to_owned(), ucum);
                }
            }
            let text = |key: &str| node.text(key).map(str::to_owned);
            let test = Test {
                name: text("name").unwrap_or_default(),
                loinc: text("loinc"),
                unit,
                units,
                unit_codes,
                decimals: node.integer("decimals").and_then(|decimals| usize::try_from(decimals).ok()),
                lis: text("lis"),
                kind,
            };
            tests.insert(key.clone(), test);
        }
        tests
    }

    /// Other codes for tests. A code that means two tests would file a value under the wrong one.
    pub(super) fn other_codes(&mut self) -> BTreeMap<String, String> {
        let mut also: BTreeMap<String, String> = BTreeMap::new();
        let Some(tests) = self.root.table("tests") else { return also };
        for Entry { key, node, .. } in tests.entries() {
            for item in node.list("also") {
                let Some(code) = item.as_text() else { continue };
                let taken = if tests.entry(code).is_some() {
                    Some(code.to_owned())
                } else {
                    also.insert(code.to_owned(), key.clone())
                };
                if let Some(taken) = taken {
                    self.error(
                        item,
                        format!("the code \"{code}\" is the test `{taken}` already"),
                        "a code means one test; leave one of them out",
                    );
                }
            }
        }
        also
    }

    fn unit_is_known(&self, sent: &str) -> bool {
        self.root.table("units").is_some_and(|units| units.entry(sent).is_some())
            || common_ucum(sent).is_some()
    }

    pub(super) fn units(&mut self) -> BTreeMap<String, String> {
        let mut units = BTreeMap::new();
        let Some(node) = self.root.table("units") else { return units };
        for Entry { key, node, .. } in node.entries() {
            if let Some(ucum) = self.ucum(node) {
                units.insert(key.trim().to_owned(), ucum);
            }
        }
        units
    }

    /// A unit that must be UCUM: what is a common spelling of something else is told.
    pub(super) fn ucum(&mut self, node: &Node) -> Option<String> {
        let unit = node.as_text()?;
        match common_ucum(unit) {
            Some(ucum) if ucum != unit => {
                self.error(node, format!("\"{unit}\" is not UCUM"), format!("write \"{ucum}\""));
                None
            }
            None if unit.chars().any(|c| !c.is_ascii_graphic()) => {
                self.error(
                    node,
                    format!("\"{unit}\" is not UCUM, which has neither blanks nor letters beyond ASCII"),
                    "write what you want to say in braces: \"{cells}/uL\"",
                );
                None
            }
            _ => Some(unit.to_owned()),
        }
    }
}
