//! `[tests]` and `[units]`: what the profile calls UCUM must be UCUM.

use std::collections::BTreeMap;

use labwire_schema::{Entry, Node};

use crate::compile::Compiler;
use crate::plan::{Conversion, Test, TestKind};
use crate::ucum::amount::Fraction;
use crate::ucum::convert::{ConvertError, Substance, factor};
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
            let conversion = self.conversion(node, unit.as_deref(), &unit_codes);
            let text = |key: &str| node.text(key).map(str::to_owned);
            let test = Test {
                name: text("name").unwrap_or_default(),
                loinc: text("loinc"),
                unit,
                units,
                unit_codes,
                conversion,
                decimals: node.integer("decimals").and_then(|decimals| usize::try_from(decimals).ok()),
                lis: text("lis"),
                kind,
            };
            tests.insert(key.clone(), test);
        }
        tests
    }

    /// `convert_to`: refused where the test's own unit is not the same amount of anything.
    fn conversion(
        &mut self,
        test: &Node,
        unit: Option<&str>,
        unit_codes: &BTreeMap<String, String>,
    ) -> Option<Conversion> {
        let Some(node) = test.get("convert_to") else {
            for key in ["molar_mass", "valence", "convert_decimals"] {
                if let Some(node) = test.get(key) {
                    let what = format!("`{key}` has no meaning without `convert_to`");
                    self.error(node, what, "name the unit to convert to, or leave it out");
                }
            }
            return None;
        };
        let to = self.ucum(node)?;
        let number = |key: &str| test.integer(key).and_then(|number| u32::try_from(number).ok());
        let substance = Substance {
            molar_mass: test.text("molar_mass").and_then(Fraction::from_decimal),
            valence: number("valence").and_then(|valence| Fraction::new(valence.into(), 1)),
        };
        let mut known = Vec::new();
        for from in unit.into_iter().chain(unit_codes.values().map(String::as_str)) {
            match factor(from, &to, substance) {
                Ok(factor) => known.push((from.to_owned(), factor)),
                Err(error) => {
                    let what = format!("\"{from}\" cannot be converted to \"{to}\": {}", error.reason());
                    self.error(node, what, remedy(error));
                    return None;
                }
            }
        }
        Some(Conversion { to, substance, decimals: number("convert_decimals"), known })
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

fn remedy(error: ConvertError) -> &'static str {
    match error {
        ConvertError::NoMolarMass => "add it: molar_mass = \"180.156\"",
        ConvertError::NoValence => "add it: valence = 2",
        ConvertError::Special => "leave `convert_to` out; the number as sent is delivered",
        ConvertError::Unknown | ConvertError::NotCommensurable | ConvertError::Range => {
            "write a UCUM unit of the same kind as the test's `unit`"
        }
    }
}
