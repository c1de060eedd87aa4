//! Plans from text, and outcomes as one line each.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests; each test file uses its part"
)]

use jiff::tz::TimeZone;
use labwire_driver::{Compiled, Context, Library, Plan};
use labwire_model::{DecodedMessage, Disposition, Kind, Outcome};
use labwire_schema::{Source, render};

/// `[analyzer]` of a profile.
pub fn profile(protocol: &str, rest: &str) -> String {
    format!(
        "schema = 1\n[analyzer]\nvendor = \"Example\"\nmodel = \"One\"\nkind = \"other\"\nprotocol = \"{protocol}\"\n{rest}"
    )
}

/// Compiles a profile that has no mistake.
pub fn plan(text: &str) -> Plan {
    let compiled = Library::embedded().compile_source("example/one", &Source::new("one.toml", text));
    let said: String =
        compiled.reports.iter().map(|report| render(&report.source, &report.problems)).collect();
    assert_eq!(said, "", "the profile of this test has mistakes");
    compiled.plan.expect("a profile without mistakes has a plan")
}

/// A profile of a library, which must be there and have no mistake.
pub fn compiled(library: &Library, id: &str) -> Plan {
    let compiled = library.compile(id).expect("the profile is there");
    assert_eq!(said(&compiled), "", "{id} has mistakes");
    compiled.plan.expect("a profile without mistakes has a plan")
}

/// All that is said about a profile.
pub fn said(compiled: &Compiled) -> String {
    compiled.reports.iter().map(|report| render(&report.source, &report.problems)).collect()
}

/// Records and segments joined with CR.
pub fn message(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\r"].concat()).collect()
}

pub fn decode(plan: &Plan, bytes: &[u8]) -> DecodedMessage {
    let zone = TimeZone::get("Africa/Cairo").unwrap();
    plan.decode(bytes, &Context { zone: &zone })
}

/// Code of the disposition: `deliver`, `ignore: reason`, or the code of the hold.
pub fn code(outcome: &Outcome) -> String {
    match &outcome.disposition {
        Disposition::Deliver => "deliver".to_owned(),
        Disposition::Hold { code, .. } => code.clone(),
        Disposition::Ignore { rule } => format!("ignore: {rule}"),
    }
}

/// `record specimen test text code`, for tables.
pub fn brief(message: &DecodedMessage) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    message
        .outcomes
        .iter()
        .map(|outcome| {
            let o = &outcome.observation;
            let kind = match o.kind {
                Kind::Patient => "",
                Kind::Qc => " qc",
                Kind::Calibration => " calibration",
            };
            format!(
                "{} {} {} {}{kind} {}",
                o.record,
                or_dash(&o.specimen_id),
                or_dash(&o.analyzer_test),
                or_dash(&o.text),
                code(outcome)
            )
        })
        .collect()
}

pub fn codes(message: &DecodedMessage) -> Vec<&str> {
    message.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect()
}
