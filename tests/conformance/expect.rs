//! What the scripts expect, compared with what came.

use labwire_model::{Diagnostic, Outcome, OutcomeLine, Provenance};
use labwire_testkit::{control_names, from_control_names};
use serde_json::Value;

use crate::table::Step;

/// Bytes as the script writes them; `…` stands for any bytes.
pub(crate) fn bytes(step: &Step, found: &[u8]) -> Result<(), String> {
    let parts: Vec<Vec<u8>> = step.rest.split('…').map(from_control_names).collect();
    if matches(&parts, found) {
        return Ok(());
    }
    Err(format!("{}: found {}", step.at, control_names(found)))
}

fn matches(parts: &[Vec<u8>], found: &[u8]) -> bool {
    let Some((first, others)) = parts.split_first() else { return found.is_empty() };
    let Some(mut rest) = found.strip_prefix(first.as_slice()) else { return false };
    let Some((last, between)) = others.split_last() else { return rest.is_empty() };
    for part in between {
        let place = (0..=rest.len()).find(|place| rest[*place..].starts_with(part));
        let Some(place) = place else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

/// A list of words, complete and in order; `none` for an empty one.
pub(crate) fn words<'a>(step: &Step, found: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let found: Vec<&str> = found.into_iter().collect();
    let wanted: Vec<&str> = if step.rest == "none" { Vec::new() } else { step.rest.split(' ').collect() };
    if found == wanted { Ok(()) } else { Err(format!("{}: found {}", step.at, found.join(" "))) }
}

/// Looks at the observations: `result JSON` each, in order, with the keys of `decode --json` that
/// matter. A part that has one such line lists them all; `results none` says there are none.
pub(crate) fn results(steps: &[Step], found: &[Outcome]) -> Result<(), String> {
    let wanted: Vec<&Step> = steps.iter().filter(|step| step.verb == "result").collect();
    let none = steps.iter().find(|step| step.verb == "results");
    let lines: Vec<Value> = found
        .iter()
        .map(|outcome| {
            serde_json::to_value(OutcomeLine::new(Provenance::default(), outcome)).expect("a line is JSON")
        })
        .collect();
    let told = || lines.iter().map(|line| format!("\n  {line}")).collect::<String>();
    if let Some(step) = none {
        assert_eq!(step.rest, "none", "{}", step.at);
        return if lines.is_empty() { Ok(()) } else { Err(format!("{}: found{}", step.at, told())) };
    }
    let Some(first) = wanted.first() else { return Ok(()) };
    if wanted.len() != lines.len() {
        return Err(format!("{}: found {} observations:{}", first.at, lines.len(), told()));
    }
    for (step, line) in wanted.iter().zip(&lines) {
        let wanted: Value =
            serde_json::from_str(&step.rest).unwrap_or_else(|error| panic!("{}: {error}", step.at));
        let wanted = wanted.as_object().unwrap_or_else(|| panic!("{}: an object is wanted", step.at));
        for (key, value) in wanted {
            let there = line.get(key).unwrap_or_else(|| panic!("{}: an observation has no {key}", step.at));
            if there != value {
                return Err(format!("{}: {key} is {there}", step.at));
            }
        }
    }
    Ok(())
}

/// `diagnostics CODE…`, complete and in order. A code may say where: `unknown-flag@R.7`, with the
/// path, or `bad-character@byte:17`, with the offset.
pub(crate) fn diagnostics(step: &Step, found: &[Diagnostic]) -> Result<(), String> {
    let wanted: Vec<&str> = if step.rest == "none" { Vec::new() } else { step.rest.split(' ').collect() };
    let fits = |wanted: &str, found: &Diagnostic| match wanted.split_once('@') {
        None => wanted == found.code,
        Some((code, place)) => {
            code == found.code
                && (place == found.position.path || place == format!("byte:{}", found.position.byte))
        }
    };
    if wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| fits(wanted, found)) {
        return Ok(());
    }
    let told: Vec<String> = found
        .iter()
        .map(|found| format!("{} (@{} @byte:{})", found.code, found.position.path, found.position.byte))
        .collect();
    Err(format!("{}: found {}", step.at, told.join(" ")))
}

#[test]
fn an_ellipsis_stands_for_any_bytes_and_nothing_else_does() {
    let step = |rest: &str| Step { verb: "<".to_owned(), rest: rest.to_owned(), at: String::new() };
    assert!(bytes(&step("<VT>MSA…AA<FS>"), b"\x0bMSA|AA|AA\x1c").is_ok());
    assert!(bytes(&step("…"), b"").is_ok());
    assert!(bytes(&step(""), b"\x06").is_err());
    assert!(bytes(&step("a…b…c"), b"abbc").is_ok());
    assert!(bytes(&step("a…b…c"), b"acc").is_err());
    assert!(bytes(&step("ab…bc"), b"abc").is_err());
}
