//! LIS02: H, P, O, R and their comments, each `R` under the nearest `O` and `P` before it.

use labwire_message::{Record, View};
use labwire_model::{DecodedMessage, Diagnostic, MessageKind, Query};

use crate::decode::message::{Facts, attachment, begin, control_id, identity, says, says_when};
use crate::decode::observe::{Standing, observe};
use crate::decode::scope::{DELETE, Gaps, Reading, Records, owned};
use crate::place::Place;
use crate::plan::{Context, MessageUse, Plan};

/// Whom a comment speaks of: the nearest record before it that is no comment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Message,
    Patient,
    Order,
    Result,
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
        message: begin(view),
        records: Records::new(reading),
        facts: Facts::default(),
        gaps: Gaps::of(view),
        patient_from: 0,
        subject: Subject::Message,
        patient_comments: Vec::new(),
        order_comments: Vec::new(),
        order_from: 0,
        has_order: false,
        asked: false,
    };
    for record in view.records() {
        walk.record(record);
    }
    let mut message = walk.message;
    message.identity = identity(plan, view);
    message.kind = if !message.outcomes.is_empty() {
        MessageKind::Results
    } else if walk.asked || walk.facts.use_ == Some(MessageUse::Query) {
        MessageKind::Query
    } else if walk.has_order || walk.facts.use_ == Some(MessageUse::Order) {
        MessageKind::Order
    } else {
        MessageKind::Other
    };
    message
}

struct Walk<'p, 'v> {
    plan: &'p Plan,
    context: &'p Context<'p>,
    message: DecodedMessage,
    records: Records<'v>,
    facts: Facts,
    gaps: Gaps,
    /// Where the patient of the records to come begins.
    patient_from: usize,
    subject: Subject,
    patient_comments: Vec<String>,
    order_comments: Vec<String>,
    /// Where the observations of the open order begin.
    order_from: usize,
    has_order: bool,
    asked: bool,
}

impl<'v> Walk<'_, 'v> {
    fn record(&mut self, record: Record<'v>) {
        match record.name().as_bytes() {
            b"H" => self.header(record),
            b"P" => {
                self.records.forget(&["O", "R", "M", "S"]);
                self.records.set(record);
                self.patient_from = record.offset() + record.bytes().len();
                self.patient_comments.clear();
                self.order_comments.clear();
                self.order_from = self.message.outcomes.len();
                self.subject = Subject::Patient;
            }
            b"O" => {
                self.records.forget(&["R", "M", "S"]);
                self.records.set(record);
                self.order_comments.clear();
                self.order_from = self.message.outcomes.len();
                self.has_order = true;
                self.subject = Subject::Order;
            }
            b"R" => self.result(record),
            b"M" | b"S" if self.plan.rules.other_records.contains(&record.name()) => self.result(record),
            b"C" => self.comment(record),
            b"Q" => self.query(record),
            // What the manufacturer adds between an order and its comments changes no subject.
            b"M" => {
                self.records.add(record);
                self.attach(record);
            }
            b"L" => {
                // What follows without a header belongs to nobody in this message.
                self.records.forget_all();
                self.subject = Subject::Message;
            }
            _ => self.subject = Subject::Message,
        }
    }

    fn header(&mut self, record: Record<'v>) {
        self.records.forget_all();
        self.records.set(record);
        self.patient_from = record.offset();
        self.patient_comments.clear();
        self.order_comments.clear();
        self.order_from = self.message.outcomes.len();
        self.subject = Subject::Message;
        let processing = "H.12.1".parse().ok().map(Place::Path);
        self.facts = Facts::of(self.plan, &self.records, processing.as_ref());
        if self.message.control_id.is_none() {
            self.message.control_id = control_id(self.plan, record, 3, &self.records);
        }
        self.message.distinguishable |= says(self.plan, record, &[3, 14]);
    }

    fn result(&mut self, record: Record<'v>) {
        // One observation never sees another, whatever their records are called.
        let others: &[&str] = if record.name() == "R" { &[] } else { &["R"] };
        self.records.forget(others);
        for name in self.plan.rules.other_records.iter().filter(|name| **name != record.name()) {
            self.records.forget(&[name.as_str()]);
        }
        self.records.set(record);
        self.subject = Subject::Result;
        for (name, code, what) in [
            ("H", "result-without-header", "a header"),
            ("P", "result-without-patient", "a patient record"),
            ("O", "result-without-order", "an order record"),
        ] {
            if self.records.get(name).is_none() {
                let reason =
                    format!("the result has no {} before it", what.split_once(' ').map_or(what, |(_, w)| w));
                self.message.diagnostics.push(Diagnostic::new(
                    code,
                    record.offset(),
                    record.ordinal(),
                    "",
                    reason,
                ));
            }
        }
        let value = self.plan.rules.places.value.as_ref();
        let deletes = value.is_some_and(|value| {
            value.places().iter().any(|place| match place {
                Place::Path(path) => {
                    record.whole_field(path) == Some(DELETE) || record.get(path) == Some(DELETE)
                }
                Place::Name(_) => false,
            })
        });
        let standing = Standing {
            record: record.ordinal(),
            name: Some(record.name()),
            byte: record.offset(),
            structured: None,
            deletes,
            doubt: self.gaps.doubt(self.patient_from, self.specimen_from(), record),
        };
        let mut outcome = observe(
            self.plan,
            &self.records,
            self.context,
            self.facts,
            &standing,
            &mut self.message.diagnostics,
        );
        outcome.observation.comments =
            self.patient_comments.iter().chain(&self.order_comments).cloned().collect();
        self.message.distinguishable |=
            says(self.plan, record, &[12, 13]) || says_when(self.plan, &self.records);
        self.message.outcomes.push(outcome);
        self.attach(record);
    }

    fn attach(&mut self, record: Record<'v>) {
        self.message.attachments.extend(attachment(
            self.plan,
            &self.records,
            record.ordinal(),
            Some(record.name()),
        ));
    }

    /// Where the record begins that names the specimen: the order where the profile says so.
    fn specimen_from(&self) -> usize {
        let selector = self.plan.rules.places.specimen.as_ref();
        let by_order = selector.is_some_and(|selector| {
            selector.places().iter().all(|place| matches!(place, Place::Path(path) if path.record == "O"))
        });
        self.records.get("O").filter(|_| by_order).map_or(self.patient_from, |order| order.offset())
    }

    fn comment(&mut self, record: Record<'v>) {
        self.records.set(record);
        let selector = self.plan.rules.places.comments.as_ref();
        let Some(text) =
            selector.and_then(|selector| selector.take(&self.records)).and_then(|text| owned(text.text))
        else {
            return;
        };
        let rules = &self.plan.rules;
        if rules.ignored_comments.iter().any(|rule| rule.filter.holds(&self.records)) {
            return;
        }
        let of_specimen = rules.specimen_comments.as_ref().is_some_and(|filter| filter.holds(&self.records));
        match self.subject {
            Subject::Result if of_specimen => {
                for outcome in self.message.outcomes.iter_mut().skip(self.order_from) {
                    outcome.observation.comments.push(text.clone());
                }
                self.order_comments.push(text);
            }
            Subject::Message => {}
            Subject::Patient => self.patient_comments.push(text),
            Subject::Order => self.order_comments.push(text),
            Subject::Result => {
                if let Some(outcome) = self.message.outcomes.last_mut() {
                    outcome.observation.comments.push(text);
                }
            }
        }
    }

    fn query(&mut self, record: Record<'v>) {
        self.records.set(record);
        self.subject = Subject::Message;
        self.asked = true;
        let rule = self.plan.rules.query.as_ref();
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
        if let Some(rule) = rule {
            rule.id.each(&self.records, &mut |found| specimen_ids.extend(owned(found.text)));
        }
        self.message.queries.push(Query { record: record.ordinal(), specimen_ids });
    }
}
