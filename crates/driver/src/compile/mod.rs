//! From the effective key tree to a [`Plan`], with everything that no single key can tell: places
//! that do not fit the protocol, rules that never match, units that are no UCUM.

mod acknowledge;
mod link;
mod places;
mod table;
mod text;
mod time;

use std::collections::BTreeMap;

use labwire_message::{Charset, Name};
use labwire_schema::{Node, Problem, Source, Tree, missing};
use regex::Regex;

use crate::codes::status_word;
use crate::compile::places::Role;
use crate::compile::text::TextNames;
use crate::filter::Rule;
use crate::keys::PROFILE;
use crate::place::Place;
use crate::plan::{AttachmentRule, Check, KindRule, MessageUse, Places, Plan, Protocol, QueryRule, Rules};
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
            also: self.other_codes(),
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
            at_formats: self.at_formats(),
            at_zone: root.text("result.at_zone").and_then(crate::checks::time_zone),
            flags_separators: root.texts("result.flags_separator").map(str::to_owned).collect(),
            unit_of_test: root.bool("result.unit_of_test").unwrap_or(false),
            unit_default: root.get("result.unit_default").and_then(|node| self.ucum(node)),
            status_default: root.text("result.status_default").and_then(status_word),
            sentinels: root.texts("result.sentinels").map(|text| text.trim().to_owned()).collect(),
            no_value: root.texts("result.no_value").filter_map(|pattern| Regex::new(pattern).ok()).collect(),
            other_records: self.other_records(),
            open_tests: root.bool("result.open_tests").unwrap_or(false),
            hold_unknown_flag: root.bool("result.hold_unknown_flag").unwrap_or(false),
            hold_unknown_status: root.bool("result.hold_unknown_status").unwrap_or(false),
            ignore: self.rule_list("result.ignore", Role::Observation),
            only: root.get("result.only").and_then(|node| self.rule(node, Role::Observation)),
            hold: self.rule_list("result.hold", Role::Observation),
            attachments: self.attachments(),
            ignored_comments: self.rule_list("comments.ignore", Role::CommentRule),
            specimen_comments: root
                .table("comments.of_specimen")
                .and_then(|node| self.filter(node, Role::CommentRule)),
            qc: root.table("qc").and_then(|node| self.filter(node, Role::Observation)),
            calibration: root.table("calibration").and_then(|node| self.filter(node, Role::Observation)),
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
                number: place("result.number", Role::Observation, &[]),
                sub_id: place("result.sub_id", Role::Observation, &[]),
                isolate: place("isolate.id", Role::Observation, &[]),
                organism: place("isolate.organism", Role::Observation, &[]),
                organism_name: place("isolate.organism_name", Role::Observation, &[]),
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
            number: None,
            sub_id: place("result.sub_id", Role::Observation, of(&[], &["OBX-4"])),
            isolate: None,
            organism: None,
            organism_name: None,
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
                // A blank in a value that is looked for where blanks are left out can only be meant so.
                let trims = at.as_ref().is_some_and(|at| at.steps.trim);
                let value = if trims { value.trim() } else { value };
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

    /// Records beside `R` that are observations. An `R` is always one.
    fn other_records(&mut self) -> Vec<Name> {
        let mut records = Vec::new();
        for node in self.root.list("result.records") {
            match node.as_text() {
                _ if self.protocol != Protocol::Lis02 => {
                    self.error(node, "`records` has no meaning outside LIS02", "leave it out");
                }
                Some("R") | None => {}
                Some(letter @ ("M" | "S")) => records.extend(Name::new(letter.as_bytes())),
                Some(other) => {
                    self.error(
                        node,
                        format!("records named \"{other}\" are no observations"),
                        "write \"M\" or \"S\" beside \"R\"",
                    );
                }
            }
        }
        records
    }

    fn attachments(&mut self) -> Vec<AttachmentRule> {
        let mut rules = Vec::new();
        for node in self.root.list("attachment") {
            let mut place = |key: &str| node.get(key).and_then(|node| self.selector(node, Role::Attachment));
            let (name, media, encoding, data) =
                (place("name"), place("media"), place("encoding"), place("data"));
            let rule = self.rule(node, Role::Attachment);
            if let (Some(rule), Some(data)) = (rule, data) {
                let record = data.places().first().and_then(|place| match place {
                    Place::Path(path) => Some(path.record),
                    Place::Name(_) => None,
                });
                rules.push(AttachmentRule { record, rule, name, media, encoding, data });
            }
        }
        rules
    }

    fn rule_list(&mut self, path: &str, role: Role) -> Vec<Rule> {
        let nodes = self.root.list(path);
        let mut rules: Vec<(Rule, &Node)> = Vec::new();
        for node in nodes {
            let Some(rule) = self.rule(node, role) else { continue };
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
}

/// Whether `earlier` matches wherever `later` does: each of its terms is one of `later`'s.
fn takes_all_of(earlier: &Rule, later: &Rule) -> bool {
    let terms = |rule: &Rule| -> Vec<(Place, String)> {
        let when = rule.filter.when.iter().flat_map(|when| when.terms.iter());
        when.map(|(place, pattern)| (place.clone(), pattern.as_str().to_owned())).collect()
    };
    let later = terms(later);
    earlier.filter.is_plain() && terms(earlier).iter().all(|term| later.contains(term))
}

pub(crate) fn texts_of<'t>(node: &'t Node, path: &str) -> impl Iterator<Item = (String, String)> + use<'t> {
    let entries = node.table(path).map_or(&[][..], Node::entries);
    entries.iter().filter_map(|entry| Some((entry.key.clone(), entry.node.as_text()?.to_owned())))
}
