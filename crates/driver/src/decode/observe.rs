//! One observation: every part read, then what becomes of it.

use std::borrow::Cow;

use labwire_message::Name;
use labwire_model::{
    Diagnostic, Disposition, Flag, Kind, Observation, ObservationStatus, Outcome, ZoneRule, parse_value,
};

use crate::codes::{Status, standard_flag, standard_status};
use crate::decode::message::Facts;
use crate::decode::scope::owned;
use crate::decode::time::{Reading, read_time};
use crate::decode::value::with_decimals;
use crate::place::{Scope, Selector, Text};
use crate::plan::{Context, MessageUse, Plan, Test, TestKind};
use crate::ucum::convert::{ConvertError, convert, factor};
use crate::units::{common_ucum, same_number};

/// Where an observation stands in its message.
pub(crate) struct Standing<'a> {
    pub(crate) record: usize,
    /// The record's name; a row of a vendor's own text has none.
    pub(crate) name: Option<Name>,
    pub(crate) byte: usize,
    /// HL7 structured numeric: the text whose numeric view is the value's, empty where the value
    /// is a ratio or a range.
    pub(crate) structured: Option<Cow<'a, str>>,
    /// `""` stands where the value should: the sender asks to delete what is stored.
    pub(crate) deletes: bool,
    /// Why the records around the observation cannot be trusted.
    pub(crate) doubt: Option<&'static str>,
}

/// Reads an observation and decides what becomes of it.
pub(crate) fn observe(
    plan: &Plan,
    scope: &dyn Scope,
    context: &Context<'_>,
    facts: Facts,
    standing: &Standing<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Outcome {
    let mut reader = Reader {
        plan,
        scope,
        context,
        standing,
        diagnostics: Vec::new(),
        observation: Observation { record: standing.record, ..Observation::default() },
        holds: Vec::new(),
    };
    reader.read(facts);
    let disposition = reader.disposition(facts);
    // What is odd about a row that is no result is of no interest.
    if !matches!(disposition, Disposition::Ignore { .. }) {
        diagnostics.append(&mut reader.diagnostics);
    }
    Outcome { observation: reader.observation, disposition }
}

struct Reader<'a> {
    plan: &'a Plan,
    scope: &'a dyn Scope,
    context: &'a Context<'a>,
    standing: &'a Standing<'a>,
    diagnostics: Vec<Diagnostic>,
    observation: Observation,
    /// Everything that asks for a person, and why.
    holds: Vec<(Hold, String)>,
}

/// Why an observation is held; the order is that of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    NoProfile,
    Unreadable,
    MessageKind,
    ProcessingId,
    Retraction,
    DeleteMarker,
    NoSpecimen,
    UnknownTest,
    UnknownComparator,
    UnknownUnit,
    UnitMismatch,
    UnknownStatus,
    UnknownFlag,
    Profile,
}

impl Hold {
    const fn code(self) -> &'static str {
        match self {
            Self::NoProfile => "no-profile",
            Self::Unreadable => "unreadable",
            Self::MessageKind => "message-kind",
            Self::ProcessingId => "processing-id",
            Self::Retraction => "retraction",
            Self::DeleteMarker => "delete-marker",
            Self::NoSpecimen => "no-specimen",
            Self::UnknownTest => "unknown-test",
            Self::UnknownComparator => "unknown-comparator",
            Self::UnknownUnit => "unknown-unit",
            Self::UnitMismatch => "unit-mismatch",
            Self::UnknownStatus => "unknown-status",
            Self::UnknownFlag => "unknown-flag",
            Self::Profile => "profile-hold",
        }
    }
}

impl<'a> Reader<'a> {
    fn read(&mut self, facts: Facts) {
        let plan = self.plan;
        let places = &plan.rules.places;
        self.observation.kind = self.kind(facts);
        self.observation.specimen_id = self.plain(places.specimen.as_ref(), "specimen id");
        self.observation.patient_id = self.plain(places.patient.as_ref(), "patient id");
        self.observation.analyzer_test = self.plain(places.test.as_ref(), "test code");
        self.observation.sub_id = self.text(places.sub_id.as_ref());
        self.observation.isolate = self.plain(places.isolate.as_ref(), "isolate number");
        self.observation.organism = self.plain(places.organism.as_ref(), "organism");
        self.observation.organism_name = self.text(places.organism_name.as_ref());
        let test = self.observation.analyzer_test.as_ref().and_then(|code| plan.test(code));
        if let Some(test) = test {
            self.observation.lis_test.clone_from(&test.lis);
            self.observation.test_name = Some(test.name.clone());
            self.observation.loinc.clone_from(&test.loinc);
        }
        self.value(test);
        self.unit(test);
        self.convert(test);
        self.flags();
        self.status();
        self.observation.reference_range = self.text(places.range.as_ref());
        self.time();
        self.observation.operator = self.text(places.operator.as_ref());
        self.observation.instrument = self.text(places.instrument.as_ref());
        self.observation.reagent = self.text(places.reagent.as_ref());
    }

    fn kind(&self, facts: Facts) -> Kind {
        let rules = &self.plan.rules;
        let holds = |filter: &Option<crate::filter::Filter>| {
            filter.as_ref().is_some_and(|filter| filter.holds(self.scope))
        };
        match facts.use_ {
            Some(MessageUse::Qc) => Kind::Qc,
            Some(MessageUse::Calibration) => Kind::Calibration,
            _ if facts.quality_control => Kind::Qc,
            _ if holds(&rules.qc) => Kind::Qc,
            _ if holds(&rules.calibration) => Kind::Calibration,
            _ => Kind::Patient,
        }
    }

    /// A text that may not be guessed at: damaged bytes hold the observation.
    fn plain(&mut self, selector: Option<&Selector>, what: &str) -> Option<String> {
        let found = selector?.take(self.scope)?;
        self.undamaged(&found, what);
        owned(found.text)
    }

    fn text(&self, selector: Option<&Selector>) -> Option<String> {
        owned(selector?.take(self.scope)?.text)
    }

    fn undamaged(&mut self, found: &Text<'_>, what: &str) {
        if found.damaged {
            self.hold(
                Hold::Unreadable,
                format!("the {what} has bytes that are not in the message's character set"),
            );
        }
    }

    fn hold(&mut self, hold: Hold, reason: impl Into<String>) {
        self.holds.push((hold, reason.into()));
    }

    fn tell(&mut self, code: &str, selector: Option<&Selector>, reason: impl Into<String>) {
        let path = selector.and_then(|selector| selector.places().first()).map(ToString::to_string);
        self.diagnostics.push(Diagnostic::new(
            code,
            self.standing.byte,
            self.standing.record,
            path.as_deref().unwrap_or_default(),
            reason,
        ));
    }

    fn value(&mut self, test: Option<&Test>) {
        let rules = &self.plan.rules;
        let scope = self.scope;
        let Some(selector) = rules.places.value.as_ref() else { return };
        let found = selector.find(scope);
        let whole = found.as_ref().and_then(|found| found.leaf.whole(scope));
        if let Some(whole) = whole.or_else(|| selector.any_whole(scope)) {
            self.undamaged(&whole, "value");
            self.observation.value = owned(whole.text);
        }
        if self.standing.deletes {
            self.hold(Hold::DeleteMarker, "the analyzer asks to delete a stored value (`\"\"`)");
            return;
        }
        let Some(found) = found.map(|found| found.text) else {
            self.tell("no-value", Some(selector), "the observation has no value");
            return;
        };
        if rules.no_value.iter().any(|pattern| pattern.is_match(&found.text)) {
            return;
        }
        if found.odd_escape {
            self.tell(
                "unknown-escape",
                Some(selector),
                "an escape sequence of the value is unknown and kept as sent",
            );
        }
        let numeric = test.is_none_or(|test| matches!(test.kind, None | Some(TestKind::Number)));
        let sentinel = rules.sentinels.iter().any(|sentinel| *sentinel == found.text);
        if !numeric || sentinel {
            self.observation.text = owned(found.text);
            return;
        }
        let beside = rules.places.number.as_ref();
        let view = match beside {
            Some(beside) => beside.take(scope).map_or(Cow::Borrowed(""), |number| number.text),
            None => Cow::Borrowed(self.standing.structured.as_deref().unwrap_or(&found.text)),
        };
        let mut parsed = parse_value(&view, rules.decimal_comma);
        let implied = test.and_then(|test| test.decimals).zip(parsed.number.as_deref());
        if let Some(number) = implied.and_then(|(decimals, digits)| with_decimals(digits, decimals)) {
            // The text is what people read: without the decimal sign it would be another amount.
            let sign = parsed.comparator.map_or("", |comparator| comparator.as_str());
            self.observation.text = Some(format!("{sign}{number}"));
            parsed.number = Some(number);
        }
        if parsed.unknown_comparator {
            self.hold(Hold::UnknownComparator, "the sign before the value is none of < > <= >= ~");
        } else if parsed.number.is_none() && test.is_some_and(|test| test.kind == Some(TestKind::Number)) {
            self.tell("not-a-number", Some(selector), "the value is not a number, as the profile says it is");
        }
        self.observation.comparator = parsed.comparator;
        self.observation.number = parsed.number;
        drop(view);
        if self.observation.text.is_none() {
            self.observation.text = owned(found.text);
        }
    }

    fn unit(&mut self, test: Option<&Test>) {
        let rules = &self.plan.rules;
        let own = test.and_then(|test| test.unit.as_deref());
        let sent = rules.places.unit.as_ref().and_then(|selector| {
            let found = selector.find(self.scope)?;
            let as_sent = found.leaf.as_sent(self.scope)?;
            Some((found.text, as_sent))
        });
        let Some((found, as_sent)) = sent else {
            let of_test = own.filter(|_| rules.unit_of_test).map(str::to_owned);
            self.observation.ucum = of_test.or_else(|| rules.unit_default.clone());
            return;
        };
        self.undamaged(&as_sent, "unit");
        self.observation.unit = owned(as_sent.text);
        let unit = found.text.as_ref();
        let coded = test.and_then(|test| test.unit_codes.get(unit)).map(String::as_str);
        let known = coded.or_else(|| rules.units.get(unit).map(String::as_str)).or_else(|| common_ucum(unit));
        let accepted =
            coded.is_some() || test.is_some_and(|test| test.units.iter().any(|accepted| accepted == unit));
        self.observation.ucum = match (known, own) {
            _ if own == Some(unit) => own,
            (Some(known), _) => Some(known),
            (None, own) if accepted => own,
            _ => None,
        }
        .map(str::to_owned);
        let ucum = self.observation.ucum.as_deref();
        if ucum.is_none() && !accepted {
            self.hold(Hold::UnknownUnit, "the unit is neither the test's nor in the profile's [units]");
        } else if !accepted && own.zip(ucum).is_some_and(|(own, ucum)| !same_number(own, ucum)) {
            self.hold(Hold::UnitMismatch, "the unit is not the one that the profile gives for this test");
        }
    }

    /// The number in the unit that the laboratory declared, beside the one that was sent.
    fn convert(&mut self, test: Option<&Test>) {
        let Some(conversion) = test.and_then(|test| test.conversion.as_ref()) else { return };
        let Some(number) = self.observation.number.as_deref() else { return };
        let converted = match self.observation.ucum.as_deref() {
            None => Err("the observation has no unit that is known"),
            Some(ucum) => conversion
                .known
                .iter()
                .find(|(from, _)| from == ucum)
                .map_or_else(|| factor(ucum, &conversion.to, conversion.substance), |(_, factor)| Ok(*factor))
                .and_then(|factor| convert(number, factor, conversion.decimals))
                .map_err(ConvertError::reason),
        };
        match converted {
            Ok(number) => {
                self.observation.converted_number = Some(number);
                self.observation.converted_ucum = Some(conversion.to.clone());
            }
            Err(reason) => {
                let unit = self.plan.rules.places.unit.as_ref();
                self.tell("not-converted", unit, format!("the number is delivered as sent only: {reason}"));
            }
        }
    }

    fn flags(&mut self) {
        let plan = self.plan;
        let rules = &plan.rules;
        let Some(selector) = rules.places.flags.as_ref() else { return };
        let mut flags: Vec<Flag> = Vec::new();
        let mut unknown = false;
        selector.each(self.scope, &mut |found| {
            let mut one = |sent: &str| {
                let sent = sent.trim();
                if sent.is_empty() {
                    return;
                }
                // A coded flag is known by its first component: `H^High^HL70078`.
                let code = sent.split('^').next().unwrap_or(sent);
                let own = rules.flags.get(sent).or_else(|| rules.flags.get(code)).map(String::as_str);
                let meaning = own.or_else(|| standard_flag(plan.protocol, code));
                unknown |= meaning.is_none();
                flags.push(Flag { sent: sent.to_owned(), meaning: meaning.map(str::to_owned) });
            };
            split_flags(&found.text, &rules.flags_separators, &mut one);
        });
        self.observation.flags = flags;
        if unknown {
            self.tell(
                "unknown-flag",
                Some(selector),
                "a flag is neither the standard's nor in the profile's [flags]",
            );
            if rules.hold_unknown_flag {
                self.hold(Hold::UnknownFlag, "a flag is neither the standard's nor in the profile's [flags]");
            }
        }
    }

    fn status(&mut self) {
        let plan = self.plan;
        let rules = &plan.rules;
        let selector = rules.places.status.as_ref();
        let Some(sent) = self.text(selector) else {
            self.observation.status = rules.status_default;
            return;
        };
        let meant = rules
            .status
            .get(&sent)
            .copied()
            .map(Status::Is)
            .or_else(|| standard_status(plan.protocol, &sent));
        self.observation.status_sent = Some(sent);
        self.observation.status = Some(match meant {
            Some(Status::Is(status)) => status,
            Some(Status::OfTheMessage) => ObservationStatus::Unknown,
            Some(Status::Retraction) => {
                self.hold(Hold::Retraction, "the status says that a result sent before is taken back");
                ObservationStatus::Unknown
            }
            None => {
                self.tell(
                    "unknown-status",
                    selector,
                    "the status is neither the standard's nor in the profile's [status]",
                );
                if rules.hold_unknown_status {
                    self.hold(
                        Hold::UnknownStatus,
                        "the status is neither the standard's nor in the profile's [status]",
                    );
                }
                ObservationStatus::Unknown
            }
        });
    }

    fn time(&mut self) {
        let rules = &self.plan.rules;
        let Some(selector) = rules.places.at.as_ref() else { return };
        let Some(sent) = self.text(Some(selector)) else { return };
        let zone = rules.at_zone.as_ref().unwrap_or(self.context.zone);
        match read_time(&rules.at_formats, &sent, zone) {
            Reading::Time(time) => {
                self.doubt_of_zone(time.rule, selector);
                self.observation.observed_at = Some(time.text);
            }
            Reading::Wrong(error) => self.tell("bad-time", Some(selector), format!("the time is {error}")),
            Reading::Unlike => {
                self.tell("bad-time", Some(selector), "the time is not of the profile's `at_format`");
            }
            Reading::Several => {
                let reason = "the time can be read by several of the profile's `at_format`, and differs";
                self.tell("bad-time", Some(selector), reason);
            }
        }
        self.observation.observed_at_verbatim = Some(sent);
    }

    fn doubt_of_zone(&mut self, rule: Option<ZoneRule>, selector: &Selector) {
        match rule {
            Some(ZoneRule::Fold) => {
                self.tell(
                    "ambiguous-time",
                    Some(selector),
                    "the clock showed this time twice; the earlier was taken",
                );
            }
            Some(ZoneRule::Gap) => {
                self.tell(
                    "skipped-time",
                    Some(selector),
                    "the clock skipped this time; the offset before was taken",
                );
            }
            _ => {}
        }
    }

    fn disposition(&mut self, facts: Facts) -> Disposition {
        let rules = &self.plan.rules;
        if self.plan.no_profile {
            return Disposition::Hold {
                code: Hold::NoProfile.code().to_owned(),
                reason: "no profile says how to read this analyzer".to_owned(),
            };
        }
        if facts.use_ == Some(MessageUse::Ignore) {
            return Disposition::Ignore { rule: "message kind".to_owned() };
        }
        let mut ignore = rules
            .attachments
            .iter()
            .filter(|attachment| attachment.record == self.standing.name)
            .map(|attachment| &attachment.rule)
            .chain(&rules.ignore);
        if let Some(rule) = ignore.find(|rule| rule.filter.holds(self.scope)) {
            return Disposition::Ignore { rule: rule.reason.clone() };
        }
        if let Some(only) = rules.only.as_ref().filter(|only| !only.filter.holds(self.scope)) {
            return Disposition::Ignore { rule: only.reason.clone() };
        }
        self.hold_by_message(facts);
        self.hold_by_content();
        self.holds.sort_by_key(|(hold, _)| *hold);
        let Some((gravest, _)) = self.holds.first() else { return Disposition::Deliver };
        let reasons: Vec<&str> = self.holds.iter().map(|(_, reason)| reason.as_str()).collect();
        Disposition::Hold { code: gravest.code().to_owned(), reason: reasons.join("; ") }
    }

    fn hold_by_message(&mut self, facts: Facts) {
        if facts.unlisted {
            self.hold(Hold::MessageKind, "the message is of a kind that the profile does not list");
        }
        if matches!(facts.use_, Some(MessageUse::Query | MessageUse::Order)) {
            self.hold(Hold::MessageKind, "the message is a query or an order and should hold no result");
        }
        if facts.not_production {
            self.hold(Hold::ProcessingId, "the message was sent for training or debugging");
        }
    }

    fn hold_by_content(&mut self) {
        let plan = self.plan;
        let observation = &self.observation;
        let nothing = observation.value.is_none() && observation.analyzer_test.is_none();
        let no_specimen = observation.kind == Kind::Patient && observation.specimen_id.is_none();
        let test = observation.analyzer_test.as_ref().map(|code| plan.test(code).is_some());
        if nothing {
            self.hold(
                Hold::Unreadable,
                "there is neither a test code nor a value where the profile looks for them",
            );
        }
        if let Some(doubt) = self.standing.doubt {
            self.hold(Hold::Unreadable, doubt);
        }
        if no_specimen {
            self.hold(Hold::NoSpecimen, "there is no specimen id where the profile looks for it");
        }
        match test {
            None if !nothing => {
                self.hold(Hold::UnknownTest, "there is no test code where the profile looks for it");
            }
            Some(false) if !plan.rules.open_tests => {
                self.hold(Hold::UnknownTest, "the test code is not in the profile's [tests]");
            }
            _ => {}
        }
        for rule in &plan.rules.hold {
            if rule.filter.holds(self.scope) {
                self.hold(Hold::Profile, rule.reason.clone());
            }
        }
    }
}

/// Flags in one text: by the separators, or by characters where one of them is empty.
fn split_flags(text: &str, separators: &[String], take: &mut dyn FnMut(&str)) {
    match separators {
        [] => take(text),
        [single] if single.is_empty() => {
            let mut character = [0; 4];
            text.chars().for_each(|flag| take(flag.encode_utf8(&mut character)));
        }
        [separator, rest @ ..] => {
            text.split(separator.as_str()).for_each(|part| split_flags(part, rest, take));
        }
    }
}
