//! From captures to a profile: what `driver identify`, `new`, `diff`, `docs` and `capture redact` say of
//! conversations that are in the tree.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use jiff::tz::TimeZone;
use labwire_driver::{Library, Plan, Protocol, Source};
use labwire_model::Kind;
use labwire_workbench::{File, Sample, candidates, decode_with, infer};
use serde_json::Value;
use support::labwire;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn good(arguments: &[&str]) -> Output {
    let output = labwire(arguments);
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    output
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every check of every profile that is not generic: profile, path and content of the capture.
fn checks() -> Vec<(Plan, String, Vec<u8>)> {
    let library = Library::embedded();
    let mut checks = Vec::new();
    for id in library.ids() {
        let plan = library.compile(id).unwrap().plan.unwrap();
        for check in plan.checks.clone() {
            let bytes = fs::read(fixtures().join(&check.capture)).unwrap();
            checks.push((plan.clone(), check.capture, bytes));
        }
    }
    checks.retain(|(plan, ..)| !plan.no_profile);
    checks
}

#[test]
fn the_profile_of_a_capture_is_the_first_that_is_named_for_it() {
    let library = Library::embedded();
    let mut recognised = 0;
    for (plan, capture, bytes) in checks() {
        let file = File { name: &capture, bytes: &bytes, driver: None, zone: &TimeZone::UTC };
        let found = candidates(&library, &file);
        let Some(first) = found.first().filter(|first| !first.signs.is_empty()) else { continue };
        // Two interfaces of one vendor may sign alike; then what they can read decides.
        let own = found.iter().find(|one| one.id == plan.id);
        assert!(
            first.id == plan.id || own.is_some_and(|own| own.signs.len() <= first.signs.len()),
            "{capture}: {} before {}",
            first.id,
            plan.id
        );
        recognised += usize::from(first.id == plan.id);
    }
    assert!(recognised > 50, "{recognised} captures were recognised");
}

#[test]
fn a_draft_reads_what_it_was_drafted_from() {
    let library = Library::embedded();
    let (mut drafted, mut read, mut all) = (0, 0, 0);
    for (plan, capture, bytes) in checks() {
        if plan.protocol == Protocol::Text {
            continue;
        }
        let Ok(draft) = infer(&library, "drafted/one", &[Sample { name: "case.cap", bytes: &bytes }]) else {
            continue;
        };
        let compiled = library.compile_source("drafted/one", &Source::new("one.toml", draft.text.as_str()));
        let drafted_plan = compiled.plan.unwrap_or_else(|| {
            let said: String = compiled
                .reports
                .iter()
                .map(|report| labwire_schema::render(&report.source, &report.problems))
                .collect();
            panic!("{capture}: the draft does not compile\n{said}{}", draft.text)
        });
        let file = File { name: &capture, bytes: &bytes, driver: None, zone: &TimeZone::UTC };
        let (results, held, ignored) = decode_with(&Arc::new(drafted_plan), Vec::new(), &file).counts();
        drafted += 1;
        read += results;
        all += results + held + ignored;
    }
    assert!(drafted > 60, "{drafted} drafts");
    assert!(read * 10 >= all * 7, "the drafts read {read} of {all} observations");
}

#[test]
fn a_draft_has_no_word_of_a_patient_in_it() {
    let library = Library::embedded();
    for (plan, capture, bytes) in checks() {
        let Ok(draft) = infer(&library, "drafted/one", &[Sample { name: "case.cap", bytes: &bytes }]) else {
            continue;
        };
        let file = File { name: &capture, bytes: &bytes, driver: None, zone: &TimeZone::UTC };
        let decoded = decode_with(&Arc::new(plan), Vec::new(), &file);
        for outcome in decoded.messages.iter().flat_map(|message| &message.decoded.outcomes) {
            let observation = &outcome.observation;
            for id in [&observation.specimen_id, &observation.patient_id].into_iter().flatten() {
                assert!(id.len() < 6 || !draft.text.contains(id.as_str()), "{capture}: {id} is in the draft");
            }
        }
    }
}

#[test]
fn the_commands_lead_from_a_capture_to_a_checked_profile() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(directory.path().join("acme")).unwrap();
    let capture = place("acme/first.cap");
    let message = "labwire-capture 1\nlink tcp\nstarted 2026-03-02T08:14:07.120Z\n0.000 > H|\\^&|||AcmeChem^1<CR>P|1<CR>O|1|T2603021||^^^NA\\^^^K<CR>R|1|^^^NA|140|mmol/L||N||F<CR>R|2|^^^K|6.9|mmol/L||HH||F<CR>L|1|N<CR>\n";
    fs::write(&capture, framed(message)).unwrap();

    let unknown = labwire(&["driver", "identify", &capture]);
    assert!(text(&unknown.stdout).contains("generic/lis02"), "{}", text(&unknown.stdout));

    let profile = place("acme/chem.toml");
    let made = good(&["driver", "new", "acme/chem", "--from", &capture, "--out", &profile]);
    assert!(text(&made.stderr).contains("2 results, 0 held"), "{}", text(&made.stderr));
    good(&["driver", "check", &profile]);
    let again = labwire(&["driver", "new", "acme/chem", "--from", &capture, "--out", &profile]);
    assert_eq!(again.status.code(), Some(74), "a profile is not overwritten");

    let from = ["--drivers", directory.path().to_str().unwrap()];
    let decoded = good(&["decode", "--json", "--driver", "acme/chem", from[0], from[1], &capture]);
    fs::write(place("acme/first.expected.json"), &decoded.stdout).unwrap();
    let results: Vec<Value> = lines(&decoded).into_iter().filter(|line| line["type"] == "result").collect();
    assert_eq!(results.len(), 2);
    assert_eq!((&results[1]["specimen_id"], &results[1]["value"]), (&"T2603021".into(), &"6.9".into()));
    good(&["driver", "test", "acme/chem", from[0], from[1]]);

    let changed = fs::read_to_string(&profile).unwrap().replace("lis = \"K\"", "lis = \"POTASSIUM\"");
    let other = place("acme/other.toml");
    fs::write(&other, changed).unwrap();
    let differences = good(&["driver", "diff", &profile, &other, "--captures", &capture, "--json"]);
    let differences = lines(&differences);
    let change = differences.iter().find(|line| line["type"] == "change").unwrap();
    assert_eq!((&change["key"], &change["new"]), (&"lis_test".into(), &"POTASSIUM".into()));
    assert_eq!(differences.last().unwrap()["changes"], 1);

    let page = good(&["driver", "docs", "acme/chem", from[0], from[1]]);
    assert!(text(&page.stdout).contains("driver = \"acme/chem\""), "{}", text(&page.stdout));
}

/// The capture with its records, one frame each, between a bid and its end.
fn framed(capture: &str) -> String {
    let (head, records) = capture.split_once("0.000 > ").unwrap();
    let mut lines = format!("{head}0.000 > <ENQ>\n0.001 < <ACK>\n");
    for (place, record) in records.trim_end().split_inclusive("<CR>").enumerate() {
        let number = u8::try_from((place + 1) % 8).unwrap();
        let plain = record.replace("<CR>", "\r");
        let sum = labwire_link::frame_checksum(number, plain.as_bytes(), labwire_link::UnitEnd::End);
        lines.push_str(&format!(
            "0.01{place} > <STX>{number}{record}<ETX>{sum:02X}<CR><LF>\n0.01{place} < <ACK>\n"
        ));
    }
    lines + "0.090 > <EOT>\n"
}

#[test]
fn a_redacted_capture_reads_as_the_original_about_somebody_else() {
    let directory = tempfile::tempdir().unwrap();
    for (plan, capture, bytes) in checks() {
        let case = directory.path().join("case.cap");
        fs::write(&case, &bytes).unwrap();
        let read = |bytes: &[u8]| {
            let file = File { name: &capture, bytes, driver: None, zone: &TimeZone::UTC };
            decode_with(&Arc::new(plan.clone()), Vec::new(), &file)
        };
        let redacted =
            good(&["capture", "redact", "--driver", &plan.id, "--keep-comments", case.to_str().unwrap()]);
        let (one, other) = (read(&bytes), read(&redacted.stdout));
        let of = |decoded: &labwire_workbench::Decoded| -> Vec<[Option<String>; 3]> {
            let outcomes = decoded.messages.iter().flat_map(|message| &message.decoded.outcomes);
            // The lot of a control may be told as a value, and has the stand-in of the control's id.
            outcomes
                .map(|outcome| outcome.observation.clone())
                .filter(|observation| observation.kind == Kind::Patient)
                .map(|observation| [observation.analyzer_test, observation.value, observation.unit])
                .collect()
        };
        assert_eq!(of(&one), of(&other), "{capture}");
        let specimens = |decoded: &labwire_workbench::Decoded| -> Vec<String> {
            let outcomes = decoded.messages.iter().flat_map(|message| &message.decoded.outcomes);
            outcomes.filter_map(|outcome| outcome.observation.specimen_id.clone()).collect()
        };
        let has_digits = |id: &String| id.len() >= 4 && id.bytes().any(|byte| byte.is_ascii_digit());
        for (one, other) in specimens(&one).iter().zip(specimens(&other)).filter(|(one, _)| has_digits(one)) {
            assert_ne!(*one, other, "{capture}");
            assert_eq!(one.len(), other.len(), "{capture}");
        }
    }
}
