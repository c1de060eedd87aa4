//! Damaged messages of every analyzer: nothing is lost, nothing stops the decoder, and nothing is filed under
//! a test or a specimen that its own record and the records that govern it do not name.

#[path = "mutations.rs"]
mod mutations;
#[path = "oracle.rs"]
mod oracle;

use std::collections::BTreeSet;

use labwire_driver::{Plan, Protocol, TextShape};
use labwire_model::{DecodedMessage, Disposition};
use labwire_testkit::{Seed, control_names};

use crate::{analyzers, decode, messages};
use mutations::damaged;
use oracle::{contradiction, results};

/// Damaged copies of each message.
const COPIES: usize = 16;

/// What is wrong with what was read of a message.
fn complaints(plan: &Plan, message: &[u8], decoded: &DecodedMessage) -> Vec<String> {
    let mut complaints: Vec<String> = decoded
        .outcomes
        .iter()
        .filter_map(|outcome| {
            let why = contradiction(plan, message, outcome)?;
            let read = &outcome.observation;
            Some(format!("{:?} {:?} {:?}: {why}", read.specimen_id, read.analyzer_test, read.value))
        })
        .collect();
    if plan.protocol != Protocol::Text {
        let expected = results(plan, message);
        if decoded.outcomes.len() != expected {
            complaints.push(format!("{} outcomes of {expected} results", decoded.outcomes.len()));
        }
        let records: BTreeSet<usize> =
            decoded.outcomes.iter().map(|outcome| outcome.observation.record).collect();
        if records.len() != decoded.outcomes.len() {
            complaints.push("one record became several observations".to_owned());
        }
    }
    complaints
}

#[test]
fn no_damage_files_a_value_under_a_test_or_specimen_that_the_message_does_not_name_for_it() {
    let (mut delivered, mut held, mut told) = (0, 0, Vec::new());
    for plan in analyzers() {
        let separator = if matches!(plan.text_shape(), Some(TextShape::Rows { .. })) { b' ' } else { b'|' };
        for (number, message) in (0..).zip(messages(&plan)) {
            let mut seed = Seed::new(number);
            for copy in 0..COPIES {
                let text = if copy == 0 { message.clone() } else { damaged(&message, separator, &mut seed) };
                let decoded = decode(&plan, &text);
                for outcome in &decoded.outcomes {
                    match outcome.disposition {
                        Disposition::Deliver => delivered += 1,
                        Disposition::Hold { .. } => held += 1,
                        Disposition::Ignore { .. } => {}
                    }
                }
                let complaints = complaints(&plan, &text, &decoded);
                if !complaints.is_empty() {
                    told.push(format!("{}: {complaints:?} in\n{}", plan.id, control_names(&text)));
                }
            }
        }
    }
    assert!(told.is_empty(), "{} of them, the first:\n{}", told.len(), told[..told.len().min(12)].join("\n"));
    assert!(delivered > 5_000 && held > 2_000, "{delivered} delivered, {held} held");
}

#[test]
fn a_value_under_the_specimen_or_test_of_another_is_seen() {
    let (mut exchanged, mut seen) = (0, 0);
    for plan in analyzers() {
        for message in messages(&plan) {
            let decoded = decode(&plan, &message);
            let delivers = |place: &usize| decoded.outcomes[*place].disposition == Disposition::Deliver;
            let delivered: Vec<usize> = (0..decoded.outcomes.len()).filter(delivers).collect();
            for pair in delivered.windows(2) {
                let [one, other] = [pair[0], pair[1]].map(|place| &decoded.outcomes[place].observation);
                let mut swapped = decoded.clone();
                if one.specimen_id != other.specimen_id {
                    swapped.outcomes[pair[0]].observation.specimen_id.clone_from(&other.specimen_id);
                } else if one.analyzer_test != other.analyzer_test {
                    swapped.outcomes[pair[0]].observation.analyzer_test.clone_from(&other.analyzer_test);
                } else {
                    continue;
                }
                exchanged += 1;
                seen += usize::from(!complaints(&plan, &message, &swapped).is_empty());
            }
        }
    }
    // A code of one letter may stand in a record by chance.
    assert!(exchanged > 100 && seen * 10 > exchanged * 9, "{seen} of {exchanged} were seen");
}
