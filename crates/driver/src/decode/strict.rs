//! What a strict connection holds besides: observations whose records LIS02 or HL7 does not allow as they
//! are.
//!
//! The same message under the default setting is filed; the deviations are told there only where they
//! matter to a person.

use labwire_message::lis02::{Hierarchy, check_sequence};
use labwire_message::{Finding, View};
use labwire_model::{DecodedMessage, Diagnostic, Disposition, Outcome};

use crate::decode::message::diagnostic;

/// Code under which such an observation is held.
const NOT_TO_THE_LETTER: &str = "not-to-the-letter";

/// Adds what only a strict reader minds, and holds the observations that it concerns.
pub(crate) fn review(view: &View<'_>, message: &mut DecodedMessage) {
    let hierarchy = Hierarchy::of(view);
    // A result without its order or patient is told of in every mode.
    let orders = hierarchy.findings.iter().filter(|finding| finding.code == "order-without-patient");
    let mut deviations: Vec<Finding> = orders.cloned().collect();
    deviations.extend(control_characters(view));
    let told = ["result-without-header", "result-without-patient", "result-without-order"];
    let mut records: Vec<usize> = message
        .diagnostics
        .iter()
        .filter(|diagnostic| told.contains(&diagnostic.code.as_str()))
        .map(|diagnostic| diagnostic.position.record)
        .collect();
    records.extend(deviations.iter().map(|finding| finding.record));
    for outcome in &mut message.outcomes {
        let record = outcome.observation.record;
        let mut enclosing = hierarchy.ancestors(record.saturating_sub(1)).into_iter().map(|place| place + 1);
        if records.contains(&record) || enclosing.any(|record| records.contains(&record)) {
            hold(outcome);
        }
    }
    // A wrong number is a warning only (§5.6.7): nothing is identified by it.
    deviations.extend(check_sequence(view));
    let found: Vec<Diagnostic> = deviations.iter().map(|finding| diagnostic(view, finding)).collect();
    message.diagnostics.extend(found);
}

/// Holds what stands in a segment whose name is in lower case: to the letter, HL7 has no such segment.
pub(crate) fn review_segments(view: &View<'_>, message: &mut DecodedMessage) {
    let in_lower_case = |record: usize| {
        let segment = record.checked_sub(1).and_then(|place| view.record(place));
        segment.is_some_and(|segment| segment.bytes().first().is_some_and(u8::is_ascii_lowercase))
    };
    for outcome in &mut message.outcomes {
        if in_lower_case(outcome.observation.record) {
            hold(outcome);
        }
    }
}

fn hold(outcome: &mut Outcome) {
    const REASON: &str =
        "the connection is strict, and a record of the observation is not as the standard has it";
    match &mut outcome.disposition {
        Disposition::Deliver => {
            outcome.disposition =
                Disposition::Hold { code: NOT_TO_THE_LETTER.to_owned(), reason: REASON.to_owned() };
        }
        Disposition::Hold { code, reason } => {
            *code = NOT_TO_THE_LETTER.to_owned();
            *reason = format!("{REASON}; {reason}");
        }
        Disposition::Ignore { .. } => {}
    }
}

/// The first byte of each field that no text field may hold (§5.1).
fn control_characters(view: &View<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for record in view.records() {
        for field in record.fields() {
            let Some(place) = field.bytes().iter().position(|byte| byte.is_ascii_control() || *byte == 0xFF)
            else {
                continue;
            };
            found.push(Finding {
                code: "control-character",
                offset: field.offset() + place,
                length: 1,
                record: record.ordinal(),
                field: Some(field.number()),
                text: "LIS02 allows no control character in a text field".into(),
            });
        }
    }
    found
}
