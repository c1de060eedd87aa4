//! From the effective key tree to a [`Plan`], with everything that no single key can tell: places
//! that do not fit the protocol, rules that never match, units that are no UCUM.

mod acknowledge;
mod link;
mod places;
mod table;

use std::collections::BTreeMap;

use labwire_message::Charset;
use labwire_schema::{Node, Problem, Source, Tree, missing};
use regex::Regex;

use crate::checks::named_bytes;
use crate::codes::status_word;
use crate::compile::places::{Role, TextNames};
use crate::keys::PROFILE;
use crate::place::Rule;

use crate::plan::{Check, KindRule, MessageUse, Places, Plan, Protocol, QueryRule, Rules, TextRule};
use crate::version::version;

/// Compiles the effective tree. Problems come with the origin of the file that they are in; the
/// plan is complete as far as it goes, for the caller to use only where there is no error.
pub(crate) fn compile(id: &str, tree: &Tree, sources: &[&Source]) -> (Option<Plan>, Vec<(usize, Problem)>) {
    let mut problems = missing(tree, &PROFILE);
    let root = &tree.root;
    let Some(protocol) = root.text("analyzer.protocol").and_then(Protocol::from_word) else {
        return (None, problems);
    };
    let names = TextNames::of(root);
    let mut compiler = Compiler { root, sources, protocol, names, problems: Vec::new() };
    let plan = compiler.plan(id, tree.whole);
    problems.append(&mut compiler.problems);
    (Some(plan), problems)
}

/// The models that the profile lists, else the one that it names.
fn models(root: &Node) -> Vec<String> {
    let mut models: Vec<String> = root.texts("analyzer.models").map(str::to_owned).collect();
    if models.is_empty() {
        models.extend(root.text("analyzer.model").map(str::to_owned));
    }
    models
}

pub(crate) struct Compiler<'a> {
    pub(crate) root: &'a Node,
    sources: &'a [&'a Source],
    pub(crate) protocol: Protocol,
    pub(crate) names: TextNames,
    problems: Vec<(usize, Problem)>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn report(&mut self, node: &Node, problem: Problem) {
        self.problems.push((node.origin, problem));
    }

    pub(crate) fn error(&mut self, node: &Node, message: impl Into<String>, help: impl Into<String>) {
        self.report(node, Problem::error(node.span.clone(), message).help(help));
    }

    pub(crate) fn source(&self, node: &Node) -> Option<&'a Source> {
        self.sources.get(node.origin).copied()
    }

    fn plan(&mut self, id: &str, whole: bool) -> Plan {
        let root = self.root;
        let text = |path: &str| root.text(path).unwrap_or_default().to_owned();
        let no_profile = root.bool("no_profile").unwrap_or(false);
        let rules = self.rules(no_profile, whole);
        let tests = self.tests();
        Plan {
            id: id.to_owned(),
            version: version(root),
            vendor: text("analyzer.vendor"),
            model: text("analyzer.model"),
            models: models(root),
            kind: text("analyzer.kind"),
            protocol: self.protocol,
            evidence: root.text("analyzer.evidence").unwrap_or("unverified").to_owned(),
            sources: root.texts("analyzer.sources").map(str::to_owned).collect(),
            notes: root.text("analyzer.notes").map(str::to_owned),
            link: self.link(),
            acknowledge: self.acknowledge(),
            checks: self.checks(),
            no_profile,
            tests,
            rules,
        }
    }

    fn rules(&mut self, no_profile: bool, whole: bool) -> Rules {
        let root = self.root;
        let text = self.text_rule();
        let places = self.observation_places(no_profile, whole);
        let charset = root.text("message.charset").and_then(Charset::from_name);
        Rules {
            identify: self.identify(),
            charset,
            decimal_comma: root.bool("message.decimal_comma").unwrap_or(false),
            volatile: self.volatile(),
            accept_processing: root.texts("message.accept_processing").map(str::to_owned).collect(),
            kind: self.kind_rule(),
            places,
            at_format: self.at_format(),
            flags_separator: root.text("result.flags_separator").map(str::to_owned),
            unit_default: root.get("result.unit_default").and_then(|node| self.ucum(node)),
            status_default: root.text("result.status_default").and_then(status_word),
            sentinels: root.texts("result.sentinels").map(|text| text.trim().to_owned()).collect(),
            open_tests: root.bool("result.open_tests").unwrap_or(false),
            hold_unknown_flag: root.bool("result.hold_unknown_flag").unwrap_or(false),
            hold_unknown_status: root.bool("result.hold_unknown_status").unwrap_or(false),
            ignore: self.rule_list("result.ignore"),
            only: root.get("result.only").and_then(|node| self.rule(node)),
            hold: self.rule_list("result.hold"),
            qc: root.table("qc").and_then(|node| self.filter(node)),
            calibration: root.table("calibration").and_then(|node| self.filter(node)),
            flags: texts_of(root, "flags").collect(),
            status: texts_of(root, "status")
                .filter_map(|(letter, word)| Some((letter, status_word(&word)?)))
                .collect(),
            units: self.units(),
            query: self.query_rule(),
            text,
        }
    }

    fn observation_places(&mut self, no_profile: bool, whole: bool) -> Places {
        if whole && !no_profile {
            self.require("specimen", "id", "where the specimen id stands");
            self.require("result", "test", "where the test code stands");
            self.require("result", "value", "where the value stands");
        }
        let root = self.root;
        let mut place = |path: &str, role: Role, standard: &[&str]| match root.get(path) {
            Some(node) => self.selector(node, role),
            None => self.standard_selector(standard),
        };
        let comments = match root.text("analyzer.protocol") {
            Some("lis02") => &["C.4"][..],
            Some("text") => &[][..],
            _ => &["NTE-3"][..],
        };
        if !no_profile {
            return Places {
                specimen: place("specimen.id", Role::Observation, &[]),
                patient: place("patient.id", Role::Observation, &[]),
                test: place("result.test", Role::Observation, &[]),
                value: place("result.value", Role::Value, &[]),
                unit: place("result.unit", Role::Observation, &[]),
                flags: place("result.flags", Role::Observation, &[]),
                status: place("result.status", Role::Observation, &[]),
                range: place("result.range", Role::Observation, &[]),
                at: place("result.at", Role::Observation, &[]),
                operator: place("result.operator", Role::Observation, &[]),
                instrument: place("result.instrument", Role::Observation, &[]),
                reagent: place("result.reagent", Role::Observation, &[]),
                comments: place("result.comments", Role::Comment, comments),
            };
        }
        // Where the standards themselves put things, for a message that no profile knows.
        let of = |lis02: &'static [&'static str], hl7: &'static [&'static str]| {
            if comments == ["C.4"] { lis02 } else { hl7 }
        };
        Places {
            specimen: place("specimen.id", Role::Observation, of(&["O.3"], &["SPM-2.1", "OBR-3.1"])),
            patient: place("patient.id", Role::Observation, of(&["P.4", "P.3"], &["PID-3.1"])),
            test: place("result.test", Role::Observation, of(&["R.3.4"], &["OBX-3.1"])),
            value: place("result.value", Role::Value, of(&["R.4"], &["OBX-5"])),
            unit: place("result.unit", Role::Observation, of(&["R.5"], &["OBX-6"])),
            flags: place("result.flags", Role::Observation, of(&["R.7"], &["OBX-8"])),
            status: place("result.status", Role::Observation, of(&["R.9"], &["OBX-11"])),
            range: place("result.range", Role::Observation, of(&["R.6"], &["OBX-7"])),
            at: place("result.at", Role::Observation, of(&["R.13"], &["OBX-14", "OBX-19"])),
            operator: place("result.operator", Role::Observation, of(&["R.11"], &["OBX-16"])),
            instrument: place("result.instrument", Role::Observation, of(&["R.14"], &["OBX-18"])),
            reagent: place("result.reagent", Role::Observation, &[]),
            comments: place("result.comments", Role::Comment, comments),
        }
    }

    /// Without these a message gives no results, so a profile that lacks them is a mistake.
    fn require(&mut self, table: &str, key: &str, what: &str) {
        let (lis02, hl7, text) = match key {
            "id" => ("\"O.3\"", "\"SPM-2.1\"", "\"specimen\""),
            "test" => ("\"R.3.4\"", "\"OBX-3.1\"", "\"test\""),
            _ => ("\"R.4\"", "\"OBX-5\"", "\"value\""),
        };
        let example = match self.protocol {
            Protocol::Lis02 => lis02,
            Protocol::Hl7 | Protocol::Law => hl7,
            Protocol::Text => text,
        };
        match self.root.get(table) {
            Some(node) if node.is_table() && node.get(key).is_none() => {
                self.error(
                    node,
                    format!("missing key `{key}` in `[{table}]`: {what}"),
                    format!("add `{key} = {example}`"),
                );
            }
            None if key != "value" => {
                let help = if table == "result" {
                    format!("add `[result]` with `test = {example}` and `value`")
                } else {
                    format!("add `[{table}]` with `{key} = {example}`")
                };
                let end = self.sources.get(self.root.origin).map_or(0..0, |source| source.end());
                self.report(self.root, Problem::error(end, format!("missing table `[{table}]`")).help(help));
            }
            _ => {}
        }
    }

    fn checks(&self) -> Vec<Check> {
        let captures = self.root.list("check").iter().filter_map(|node| node.text("capture"));
        captures.map(|capture| Check { capture: capture.to_owned() }).collect()
    }

    fn kind_rule(&mut self) -> Option<KindRule> {
        let node = self.root.table("message.kind")?;
        let at = node.get("at").and_then(|at| self.selector(at, Role::Header));
        let mut values: BTreeMap<String, MessageUse> = BTreeMap::new();
        for (key, use_) in [
            ("results", MessageUse::Results),
            ("qc", MessageUse::Qc),
            ("calibration", MessageUse::Calibration),
            ("query", MessageUse::Query),
            ("order", MessageUse::Order),
            ("ignore", MessageUse::Ignore),
        ] {
            for item in node.list(key) {
                let Some(value) = item.as_text() else { continue };
                if values.insert(value.to_owned(), use_).is_some() {
                    self.error(
                        item,
                        format!("\"{value}\" is listed twice"),
                        "a message is for one thing; leave it in one list",
                    );
                }
            }
        }
        Some(KindRule { at: at?, values })
    }

    fn at_format(&mut self) -> Option<String> {
        let node = self.root.get("result.at_format")?;
        let format = node.as_text()?;
        if !format.contains('%') {
            self.error(
                node,
                format!("\"{format}\" names no part of a time"),
                "write it as strftime does: \"%y/%m/%d %H:%M\"",
            );
            return None;
        }
        let sample = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0);
        if jiff::fmt::strtime::format(format, sample).is_err() {
            self.error(
                node,
                format!("\"{format}\" is no time format, or one with a zone, which the site says"),
                "write it as strftime does: \"%y/%m/%d %H:%M\"",
            );
            return None;
        }
        Some(format.to_owned())
    }

    fn rule_list(&mut self, path: &str) -> Vec<Rule> {
        let nodes = self.root.list(path);
        let mut rules: Vec<(Rule, &Node)> = Vec::new();
        for node in nodes {
            let Some(rule) = self.rule(node) else { continue };
            if let Some((_, earlier)) = rules.iter().find(|(earlier, _)| takes_all_of(earlier, &rule)) {
                let problem = Problem::error(node.span.clone(), "this rule is never reached")
                    .help(
                        "a rule before it takes every row that it could match; leave it out or put it first",
                    )
                    .related(earlier.span.clone(), "this one matches first");
                self.report(node, problem);
            }
            rules.push((rule, node));
        }
        rules.into_iter().map(|(rule, _)| rule).collect()
    }

    fn query_rule(&mut self) -> Option<QueryRule> {
        let node = self.root.table("query")?;
        let id = node.get("id").and_then(|id| self.selector(id, Role::Query));
        let cancel = node.get("cancel").and_then(|cancel| self.condition(cancel, Role::Query));
        Some(QueryRule { id: id?, cancel })
    }

    fn text_rule(&mut self) -> Option<TextRule> {
        let entry = self.root.entry("text");
        let (entry, node) = match (entry, self.protocol) {
            (None, Protocol::Text) => {
                let end = self.sources.get(self.root.origin).map_or(0..0, |source| source.end());
                let problem = Problem::error(end, "protocol \"text\" without a `[text]` table")
                    .help("add `[text]` with `row` or `tagged`");
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
        match (node.text("row"), node.table("tagged")) {
            (Some(row), None) => {
                let row = Regex::new(row).ok()?;
                if row.capture_names().flatten().next().is_none() {
                    let node = node.get("row").unwrap_or(node);
                    self.error(
                        node,
                        "`row` has no named group",
                        "name what it finds: '(?P<test>[A-Z]+) +(?P<value>\\S+)'",
                    );
                }
                let fields = texts_of(node, "fields")
                    .filter_map(|(name, pattern)| Some((name, Regex::new(&pattern).ok()?)))
                    .collect();
                Some(TextRule::Rows { fields, row })
            }
            (None, Some(tagged)) => {
                let bytes =
                    |key: &str| tagged.text(key).and_then(|text| named_bytes(text).ok()).unwrap_or_default();
                let tag_length = tagged.integer("tag_length").and_then(|length| usize::try_from(length).ok());
                Some(TextRule::Tagged {
                    separator: bytes("separator"),
                    record: bytes("record"),
                    tag_length: tag_length.unwrap_or(2),
                    row: tagged.text("row").map(str::to_owned),
                })
            }
            (Some(_), Some(tagged)) => {
                self.error(
                    tagged,
                    "both `row` and `tagged`",
                    "a message is read one way; leave one of them out",
                );
                None
            }
            (None, None) => {
                self.error(
                    node,
                    "`[text]` has neither `row` nor `tagged`",
                    "add the one that fits the message",
                );
                None
            }
        }
    }
}

/// Whether `earlier` matches wherever `later` does: each of its terms is one of `later`'s.
fn takes_all_of(earlier: &Rule, later: &Rule) -> bool {
    earlier.when.terms.iter().all(|(place, pattern)| {
        let same = |(other, regex): &(_, Regex)| other == place && regex.as_str() == pattern.as_str();
        later.when.terms.iter().any(same)
    })
}

fn texts_of<'t>(node: &'t Node, path: &str) -> impl Iterator<Item = (String, String)> + use<'t> {
    let entries = node.table(path).map_or(&[][..], Node::entries);
    entries.iter().filter_map(|entry| Some((entry.key.clone(), entry.node.as_text()?.to_owned())))
}
