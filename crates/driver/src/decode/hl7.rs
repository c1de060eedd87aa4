//! HL7 v2: a walk over the segments that keeps the context of each `OBX`, whatever order a vendor
//! sends them in.
//!
//! In `ORU` the specimen segment follows its order and speaks of the group before it; in `OUL` it
//! comes first and opens the group. Which of the two a message is, its first `SPM` and `OBR` tell.
//! A specimen of one group is never looked up in another: an observation without one is held.

use std::borrow::Cow;

use labwire_message::{Record, View, hl7::Header};
use labwire_model::{DecodedMessage, Diagnostic, MessageKind, Query};

use crate::acknowledge::Acknowledge;
use crate::decode::message::{Facts, attachment, begin, control_id, identity, says, says_when};
use crate::decode::observe::{Standing, observe};
use crate::decode::oddities;
use crate::decode::scope::{DELETE, Gaps, Reading, Records, owned};
use crate::place::Place;
use crate::plan::{Context, MessageUse, Plan};

/// Whom a note speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Message,
    Patient,
    Specimen,
    Order,
    Observation,
}

/// What opens a group of observations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Led {
    ByOrder,
    BySpecimen,
}

pub(crate) fn decode(
    plan: &Plan,
    view: &View<'_>,
    reading: Reading,
    context: &Context<'_>,
) -> DecodedMessage {
    let mut walk = Walk {
        plan,
        context,
        view: *view,
        message: begin(view),
        records: Records::new(reading),
        facts: Facts::default(),
        gaps: Gaps::of(view),
        patient_from: 0,
        led: Led::ByOrder,
        subject: Subject::Message,
        order_ahead: false,
        notes: Notes::default(),
        group_from: 0,
        asked: Vec::new(),
        answers: false,
        orders: false,
    };
    for (place, record) in view.records().enumerate() {
        walk.segment(place, record);
    }
    walk.finish()
}

/// Notes that hold for all observations to come.
#[derive(Default)]
struct Notes {
    patient: Vec<String>,
    specimen: Vec<String>,
    order: Vec<String>,
}

struct Walk<'p, 'v> {
    plan: &'p Plan,
    context: &'p Context<'p>,
    view: View<'v>,
    message: DecodedMessage,
    records: Records<'v>,
    facts: Facts,
    gaps: Gaps,
    /// Where the patient of the segments to come begins.
    patient_from: usize,
    led: Led,
    subject: Subject,
    /// An ORC came that belongs to the OBR to come.
    order_ahead: bool,
    notes: Notes,
    /// Where the observations of the open order begin.
    group_from: usize,
    /// Queries with the name of the segment that asks.
    asked: Vec<(&'static str, Query)>,
    answers: bool,
    orders: bool,
}

impl<'v> Walk<'_, 'v> {
    fn segment(&mut self, place: usize, record: Record<'v>) {
        match record.name().as_bytes() {
            b"MSH" => self.header(place, record),
            b"PID" => {
                // A patient that follows its specimen belongs to it (LAB-29 of early implementations).
                let follows_specimen = self.led == Led::BySpecimen && self.subject == Subject::Specimen;
                if !follows_specimen {
                    self.records.forget(&["SPM", "SAC", "INV"]);
                }
                self.records.forget(&["PV1", "ORC", "OBR", "OBX"]);
                self.records.set(record);
                self.patient_from = record.offset();
                self.notes = Notes::default();
                self.group_from = self.message.outcomes.len();
                self.order_ahead = false;
                self.subject = if follows_specimen { Subject::Specimen } else { Subject::Patient };
            }
            b"SPM" => self.specimen(record),
            b"SAC" => {
                self.records.set(record);
                self.subject = Subject::Specimen;
            }
            b"INV" => self.inventory(record),
            b"ORC" => {
                // In a group that a specimen opens, an ORC behind its OBR belongs to it.
                self.order_ahead = !(self.led == Led::BySpecimen && self.subject == Subject::Order);
                self.records.set(record);
                self.ask("ORC", record);
            }
            b"OBR" => self.order(place, record),
            b"OBX" => self.observation(record),
            b"NTE" => self.note(record),
            b"MSA" => self.answers = true,
            b"QRD" => self.ask("QRD", record),
            b"QRF" => self.records.set(record),
            b"QPD" => self.ask("QPD", record),
            b"PV1" => self.records.set(record),
            _ => {}
        }
    }

    fn header(&mut self, place: usize, record: Record<'v>) {
        self.records.forget_all();
        self.records.set(record);
        self.patient_from = record.offset();
        self.notes = Notes::default();
        self.order_ahead = false;
        self.subject = Subject::Message;
        if let Some(header) = Header::new(record) {
            self.answers |= header.is_acknowledgement();
            self.orders |= matches!(header.message_code(), b"ORM" | b"OML" | b"OMG");
        }
        let following = self.view.records().skip(place + 1).take_while(|record| record.name() != "MSH");
        self.led = match following.clone().find(|record| record.name() == "SPM" || record.name() == "OBR") {
            Some(first) if first.name() == "SPM" => Led::BySpecimen,
            _ => Led::ByOrder,
        };
        let processing = "MSH-11.1".parse().ok().map(Place::Path);
        self.facts = Facts::of(self.plan, &self.records, processing.as_ref());
        // Orders, admissions and queries carry OBX that are no results of an analyzer.
        let accepted = &self.plan.acknowledge.accept;
        let carries_results = Header::new(record).is_none_or(|header| {
            matches!(header.message_code(), b"" | b"ORU" | b"OUL" | b"ORF")
                || Acknowledge::lists(accepted, header.message_code(), header.trigger_event())
        });
        self.facts.unlisted |= self.facts.use_.is_none() && !carries_results;
        if self.message.control_id.is_none() {
            self.message.control_id = control_id(self.plan, record, 10, &self.records);
        }
        self.message.distinguishable |= says(self.plan, record, &[7, 10]);
    }

    fn specimen(&mut self, record: Record<'v>) {
        if self.led == Led::BySpecimen {
            self.records.forget(&["ORC", "OBR", "SAC", "INV", "OBX"]);
            self.notes.order.clear();
            self.group_from = self.message.outcomes.len();
            self.order_ahead = false;
        } else {
            self.records.forget(&["SAC"]);
        }
        self.notes.specimen.clear();
        self.records.set(record);
        self.subject = Subject::Specimen;
    }

    fn order(&mut self, place: usize, record: Record<'v>) {
        self.records.forget(&["OBX"]);
        if !self.order_ahead {
            self.records.forget(&["ORC"]);
        }
        self.order_ahead = false;
        self.notes.order.clear();
        self.group_from = self.message.outcomes.len();
        self.subject = Subject::Order;
        self.records.set(record);
        if self.led == Led::ByOrder {
            self.records.forget(&["SPM", "SAC"]);
            self.notes.specimen.clear();
            self.specimen_behind(place, record);
        }
        self.ask("OBR", record);
    }

    /// The specimen of an order that comes behind its observations. Of two, neither is taken.
    fn specimen_behind(&mut self, place: usize, order: Record<'v>) {
        let mut specimens = self
            .view
            .records()
            .skip(place + 1)
            .take_while(|record| !matches!(record.name().as_bytes(), b"ORC" | b"OBR" | b"PID" | b"MSH"))
            .filter(|record| record.name() == "SPM");
        match (specimens.next(), specimens.next()) {
            (Some(only), None) => self.records.set(only),
            (Some(_), Some(_)) => self.message.diagnostics.push(Diagnostic::new(
                "ambiguous-specimen",
                order.offset(),
                order.ordinal(),
                "",
                "several specimens follow this order; none is taken for its observations",
            )),
            _ => {}
        }
    }

    fn observation(&mut self, record: Record<'v>) {
        self.records.set(record);
        self.subject = Subject::Observation;
        if self.records.get("OBR").is_none() && self.records.get("SPM").is_none() {
            let reason = "the observation has neither an order nor a specimen before it";
            self.message.diagnostics.push(Diagnostic::new(
                "result-without-order",
                record.offset(),
                record.ordinal(),
                "",
                reason,
            ));
        }
        let deletes = record.field(5).is_some_and(|field| field.bytes() == DELETE);
        let standing = Standing {
            record: record.ordinal(),
            name: Some(record.name()),
            byte: record.offset(),
            structured: structured_numeric(record, &self.records),
            deletes,
            doubt: self.gaps.doubt(self.patient_from, self.patient_from, record),
        };
        let mut outcome = observe(
            self.plan,
            &self.records,
            self.context,
            self.facts,
            &standing,
            &mut self.message.diagnostics,
        );
        let Notes { patient, specimen, order } = &self.notes;
        outcome.observation.comments = patient.iter().chain(specimen).chain(order).cloned().collect();
        self.message.distinguishable |=
            says(self.plan, record, &[14, 19]) || says_when(self.plan, &self.records);
        if let Some(lines) = self.repeats(record) {
            outcome.observation.text = Some(lines);
        }
        oddities::tell(self.plan, record, &outcome, &mut self.message.diagnostics);
        self.message.outcomes.push(outcome);
        self.message.attachments.extend(attachment(
            self.plan,
            &self.records,
            record.ordinal(),
            Some(record.name()),
        ));
    }

    /// The repeats of a value as lines, where the profile takes the whole field: several values, or
    /// several lines of a text, are not one text with delimiters in it.
    fn repeats(&self, record: Record<'v>) -> Option<String> {
        let selector = self.plan.rules.places.value.as_ref()?;
        let [Place::Path(path)] = selector.places() else { return None };
        let is_whole = path.repeat.is_none() && path.component.is_none();
        let mut lines = Vec::new();
        if is_whole && record.field(path.field)?.repeats().nth(1).is_some() {
            selector.each(&self.records, &mut |found| lines.extend(owned(found.text)));
        }
        (lines.len() > 1).then(|| lines.join("\n"))
    }

    /// Material in front of the observations is that of the specimen; behind one, it is what that one
    /// was measured with.
    fn inventory(&mut self, record: Record<'v>) {
        if self.subject != Subject::Observation {
            return self.records.set(record);
        }
        let before = self.records.get("INV");
        self.records.set(record);
        let reagent = self.plan.rules.places.reagent.as_ref();
        let found = reagent.and_then(|selector| owned(selector.take(&self.records)?.text));
        if let Some(outcome) = self.message.outcomes.last_mut()
            && outcome.observation.reagent.is_none()
        {
            outcome.observation.reagent = found;
        }
        match before {
            Some(before) => self.records.set(before),
            None => self.records.forget(&["INV"]),
        }
    }

    fn note(&mut self, record: Record<'v>) {
        self.records.set(record);
        let Some(selector) = self.plan.rules.places.comments.as_ref() else { return };
        let Some(text) = selector.take(&self.records).and_then(|text| owned(text.text)) else { return };
        let rules = &self.plan.rules;
        if rules.ignored_comments.iter().any(|rule| rule.filter.holds(&self.records)) {
            return;
        }
        let of_specimen = rules.specimen_comments.as_ref().is_some_and(|filter| filter.holds(&self.records));
        match self.subject {
            Subject::Observation if of_specimen => {
                for outcome in self.message.outcomes.iter_mut().skip(self.group_from) {
                    outcome.observation.comments.push(text.clone());
                }
                self.notes.order.push(text);
            }
            Subject::Message => {}
            Subject::Patient => self.notes.patient.push(text),
            Subject::Specimen => self.notes.specimen.push(text),
            Subject::Order => self.notes.order.push(text),
            Subject::Observation => {
                if let Some(outcome) = self.message.outcomes.last_mut() {
                    outcome.observation.comments.push(text);
                }
            }
        }
    }

    /// A segment that asks: those made for it, and the one that the profile names.
    fn ask(&mut self, name: &'static str, record: Record<'v>) {
        self.records.set(record);
        let rule = self.plan.rules.query.as_ref();
        let named = rule.is_some_and(|rule| {
            rule.id.places().iter().any(|place| matches!(place, Place::Path(path) if path.record == name))
        });
        if !named && !matches!(name, "QRD" | "QPD") {
            return;
        }
        if rule.and_then(|rule| rule.cancel.as_ref()).is_some_and(|cancel| cancel.holds(&self.records)) {
            let reason = "the analyzer takes back its last query";
            self.message.diagnostics.push(Diagnostic::new(
                "query-cancelled",
                record.offset(),
                record.ordinal(),
                "",
                reason,
            ));
            return;
        }
        let mut specimen_ids = Vec::new();
        if let Some(rule) = rule.filter(|_| named) {
            rule.id.each(&self.records, &mut |found| specimen_ids.extend(owned(found.text)));
        }
        self.asked.push((name, Query { record: record.ordinal(), specimen_ids }));
    }

    fn finish(self) -> DecodedMessage {
        let Walk { plan, view, mut message, facts, asked, answers, orders, .. } = self;
        message.identity = identity(plan, &view);
        // An order segment asks only where a message holds nothing else.
        let asks = |name: &str| matches!(name, "QRD" | "QPD") || (message.outcomes.is_empty() && !answers);
        message.queries = asked.into_iter().filter(|(name, _)| asks(name)).map(|(_, query)| query).collect();
        message.kind = if !message.outcomes.is_empty() {
            MessageKind::Results
        } else if answers {
            MessageKind::Acknowledgement
        } else if !message.queries.is_empty() || facts.use_ == Some(MessageUse::Query) {
            MessageKind::Query
        } else if orders || facts.use_ == Some(MessageUse::Order) {
            MessageKind::Order
        } else {
            MessageKind::Other
        };
        message
    }
}

/// `SN` says comparator and number in components: `>^200`. A ratio, a range (`^1^:^128`) or
/// several of them are no number.
fn structured_numeric<'v>(record: Record<'v>, records: &Records<'v>) -> Option<Cow<'v, str>> {
    if record.field(2)?.bytes() != b"SN" {
        return None;
    }
    let field = record.field(5)?;
    let part = |number| field.component(number).map_or(&b""[..], |part| part.bytes().trim_ascii());
    if !part(3).is_empty() || !part(4).is_empty() || field.repeats().nth(1).is_some() {
        return Some(Cow::Borrowed(""));
    }
    let number = records.reading.charset.decode(part(2)).0;
    match part(1) {
        b"" | b"=" => Some(number),
        sign => Some(Cow::Owned(format!("{}{number}", records.reading.charset.decode(sign).0))),
    }
}
