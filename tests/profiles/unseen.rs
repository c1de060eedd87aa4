//! Messages that nobody has captured and that the standard allows: records that the captures do not have,
//! more fields than they have, tests that the profile does not know, another release of the analyzer.

use std::sync::Arc;

use labwire_driver::{Plan, Protocol};
use labwire_model::{Disposition, Outcome};

use crate::{analyzers, decode, messages};

/// A message as records.
type Records = Vec<Vec<u8>>;

/// Specimen, test, value, and what becomes of it.
type Read = (Option<String>, Option<String>, Option<String>, String);

fn read(outcome: &Outcome) -> Read {
    let becomes = match &outcome.disposition {
        Disposition::Deliver => "delivered",
        Disposition::Hold { code, .. } => code,
        Disposition::Ignore { rule } => rule,
    };
    let observation = &outcome.observation;
    (
        observation.specimen_id.clone(),
        observation.analyzer_test.clone(),
        observation.value.clone(),
        becomes.to_owned(),
    )
}

fn reads(plan: &Plan, records: &[Vec<u8>]) -> Vec<Read> {
    decode(plan, &records.join(&b'\r')).outcomes.iter().map(read).collect()
}

/// Profile and message of everything that has records and in which something is delivered.
fn cases() -> Vec<(Arc<Plan>, Records)> {
    let mut cases = Vec::new();
    for plan in analyzers().into_iter().filter(|plan| plan.protocol != Protocol::Text) {
        for message in messages(&plan) {
            let records: Records =
                message.split(|byte| matches!(byte, b'\r' | b'\n')).map(<[u8]>::to_vec).collect();
            if reads(&plan, &records).iter().any(|read| read.3 == "delivered") {
                cases.push((plan.clone(), records));
            }
        }
    }
    assert!(cases.len() > 60, "{} messages", cases.len());
    cases
}

fn is_lis02(plan: &Plan) -> bool {
    plan.protocol == Protocol::Lis02
}

fn begins(record: &[u8], name: &str) -> bool {
    record.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'|'))
}

/// The delimiter of components that a header declares.
fn component(plan: &Plan, header: &[u8]) -> u8 {
    header[if is_lis02(plan) { 3 } else { 4 }]
}

/// The message with these records behind each record of that name.
fn with_behind(records: &[Vec<u8>], name: &str, new: &[&str]) -> Records {
    let mut grown = Records::new();
    for record in records {
        grown.push(record.clone());
        if begins(record, name) {
            grown.extend(new.iter().map(|record| record.as_bytes().to_vec()));
        }
    }
    grown
}

#[test]
fn records_of_which_the_captures_know_nothing_change_no_result() {
    let mut told = Vec::new();
    for (plan, records) in cases() {
        let before = reads(&plan, &records);
        let additions: &[(&str, &[&str])] = if is_lis02(&plan) {
            &[
                ("H", &["C|1|I|of the message|G"]),
                ("P", &["C|1|I|of the patient|G"]),
                ("P", &["M|1|FW^2"]),
                ("O", &["C|1|I|of the order|G", "M|1|LOT^77"]),
                ("O", &["M|1|LOT^77", "C|1|I|of the order|G"]),
                ("R", &["C|1|I|of the result|G"]),
                ("R", &["M|1|CURVE^1"]),
            ]
        } else {
            &[
                ("MSH", &["SFT|VENDOR|9.9|ANALYZER"]),
                ("PID", &["PV1||I"]),
                ("PID", &["NTE|1|L|of the patient"]),
                ("OBR", &["TQ1|1||||||20260302", "ZDS|1|LOT"]),
                ("OBR", &["NTE|1|L|of the order"]),
                ("OBX", &["NTE|1|L|of the result"]),
                ("OBX", &["ZRE|1|CURVE"]),
            ]
        };
        for (name, new) in additions {
            let after = reads(&plan, &with_behind(&records, name, new));
            if after != before {
                told.push(format!("{} {new:?} behind {name}: {before:?} became {after:?}", plan.id));
            }
        }
    }
    assert!(told.is_empty(), "{} of them, the first:\n{}", told.len(), told[..told.len().min(9)].join("\n"));
}

#[test]
fn fields_behind_the_last_one_change_no_result() {
    let mut told = Vec::new();
    for (plan, records) in cases() {
        let before = reads(&plan, &records);
        let longer: Records = records
            .iter()
            .map(|record| {
                // Behind every field that the standards have: what a later release may add.
                let fields = record.iter().filter(|byte| **byte == b'|').count();
                let more = "|".repeat(60usize.saturating_sub(fields)) + "NEW^1|2";
                if record.is_empty() { Vec::new() } else { [record.as_slice(), more.as_bytes()].concat() }
            })
            .collect();
        let after = reads(&plan, &longer);
        if after != before {
            told.push(format!("{}: {before:?} became {after:?}", plan.id));
        }
    }
    assert!(told.is_empty(), "{} of them, the first:\n{}", told.len(), told[..told.len().min(9)].join("\n"));
}

#[test]
fn a_test_that_the_profile_does_not_know_is_held_alone_and_as_such() {
    let (mut told, mut renamed) = (Vec::new(), 0);
    for (plan, records) in cases() {
        let outcomes = decode(&plan, &records.join(&b'\r')).outcomes;
        let before = reads(&plan, &records);
        let Some(place) = before.iter().position(|read| read.3 == "delivered") else { continue };
        let observation = &outcomes[place].observation;
        let code = observation.analyzer_test.as_deref().unwrap_or_default();
        // A joined code is known by its first part.
        let code = code.split(['/', '#']).next().unwrap_or(code);
        let mut others = records.clone();
        let Some(record) = others.iter_mut().filter(|record| !record.is_empty()).nth(observation.record - 1)
        else {
            panic!("{}: record {} is not there", plan.id, observation.record)
        };
        let own = component(&plan, &records[0]);
        let delimits = |byte: &u8| *byte == own || b"|\\~+/".contains(byte);
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for piece in record.split_inclusive(delimits) {
            let (text, end) = match piece.split_last() {
                Some((last, text)) if delimits(last) => (text, &piece[text.len()..]),
                _ => (piece, &piece[..0]),
            };
            // The number of a record is no code.
            let is_code = text == code.as_bytes() && parts.len() > 1;
            parts.push([if is_code { b"NOTEST9".as_slice() } else { text }, end].concat());
        }
        *record = parts.concat();
        let after = reads(&plan, &others);
        renamed += 1;
        let alone = after.len() == before.len()
            && (0..before.len()).all(|other| other == place || after[other] == before[other]);
        if !alone || after[place].3 != "unknown-test" || after[place].2 != before[place].2 {
            told.push(format!("{}: {:?} became {:?}", plan.id, before[place], after.get(place)));
        }
    }
    assert!(renamed > 60);
    assert!(told.is_empty(), "{} of them, the first:\n{}", told.len(), told[..told.len().min(9)].join("\n"));
}

#[test]
fn another_release_of_the_analyzer_is_the_same_analyzer() {
    let mut told = Vec::new();
    for (plan, records) in cases() {
        let before = reads(&plan, &records);
        // H.5 and MSH-3 name the sender; a release stands in a component behind the model.
        let (header, sender) = if is_lis02(&plan) { ("H", 4) } else { ("MSH", 2) };
        let other: Records = records
            .iter()
            .map(|record| {
                if !begins(record, header) {
                    return record.clone();
                }
                let mut fields: Vec<Vec<u8>> =
                    record.split(|byte| *byte == b'|').map(<[u8]>::to_vec).collect();
                if let Some(sender) = fields.get_mut(sender).filter(|sender| !sender.is_empty()) {
                    sender.push(component(&plan, record));
                    sender.extend(b"99.9.9");
                }
                fields.join(&b'|')
            })
            .collect();
        let known = |records: &Records| plan.identifies(&records.join(&b'\r')).is_some();
        if reads(&plan, &other) != before || known(&records) && !known(&other) {
            told.push(format!("{}: {}", plan.id, String::from_utf8_lossy(&other[0])));
        }
    }
    assert!(told.is_empty(), "{} of them, the first:\n{}", told.len(), told[..told.len().min(9)].join("\n"));
}
