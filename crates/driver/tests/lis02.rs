//! LIS02 messages through a plan.

mod support;

use labwire_driver::Plan;
use labwire_model::{Comparator, MessageKind, ObservationStatus};
use support::{brief, code, codes, decode, message, plan, profile};

const RULES: &str = r#"
[message]
volatile = ["H.14"]
[specimen]
id = "O.3"
[patient]
id = "P.4"
[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
range = "R.6"
flags = "R.7"
status = "R.9"
at = "R.13"
operator = "R.11"
instrument = "R.14"
sentinels = ["-----"]
ignore = [{ when = { "R.3.4" = '^SCAT_' }, reason = "image reference" }]
hold = [{ when = { "R.7" = '!' }, reason = "the analyzer doubts it" }]
[qc]
when = { "O.12" = '^Q$' }
[calibration]
when = { "O.12" = '^K$' }
[flags]
W = "unreliable"
[status]
N = "final"
[units]
"cells" = "/uL"
[query]
id = "Q.3.2"
cancel = { "Q.13" = '^A$' }
[tests.GLU]
name = "Glucose"
loinc = "2345-7"
unit = "mg/dL"
units = ["mmol/L"]
lis = "GLUC"
[tests.WBC]
name = "Leukocytes"
unit = "10*3/uL"
[tests.ABO]
name = "Blood group"
kind = "coded"
[tests.HBA1C]
name = "HbA1c"
unit = "%"
kind = "number"
"#;

fn example() -> Plan {
    plan(&profile("lis02", RULES))
}

/// One result record under a header, a patient and an order.
fn one(record: &str) -> Vec<u8> {
    message(&[r"H|\^&|||One", "P|1|X|PAT7", "O|1|S1", record, "L|1|N"])
}

#[test]
fn every_part_of_a_result_is_read_from_its_place() {
    let bytes = message(&[
        r"H|\^&|MSG-1||One^2.0|||||||P|LIS2-A2|20260302081407",
        "P|1|X|PAT7||Muster^Erika",
        "O|1|  S-100 ^x||^^^GLU",
        "R|1|^^^GLU^extra| 98.10 |mg/dL|70 to 110|L\\W||F||op1^op2|20260302080000|20260302081500|M2",
        "L|1|N",
    ]);
    let decoded = decode(&example(), &bytes);
    let o = &decoded.outcomes[0].observation;
    assert_eq!(code(&decoded.outcomes[0]), "deliver");
    assert_eq!(o.record, 4);
    assert_eq!(o.specimen_id.as_deref(), Some("S-100 ^x"));
    assert_eq!(o.patient_id.as_deref(), Some("PAT7"));
    assert_eq!(o.analyzer_test.as_deref(), Some("GLU"));
    assert_eq!(o.lis_test.as_deref(), Some("GLUC"));
    assert_eq!(o.test_name.as_deref(), Some("Glucose"));
    assert_eq!(o.loinc.as_deref(), Some("2345-7"));
    assert_eq!(o.value.as_deref(), Some(" 98.10 "), "the value is the whole field as sent");
    assert_eq!(o.text.as_deref(), Some("98.10"));
    assert_eq!(o.number.as_deref(), Some("98.10"), "no digit is added or lost");
    assert_eq!(o.unit.as_deref(), Some("mg/dL"));
    assert_eq!(o.ucum.as_deref(), Some("mg/dL"));
    let flags: Vec<_> = o.flags.iter().map(|flag| (flag.sent.as_str(), flag.meaning.as_deref())).collect();
    assert_eq!(flags, [("L", Some("low")), ("W", Some("unreliable"))]);
    assert_eq!(o.status, Some(ObservationStatus::Final));
    assert_eq!(o.reference_range.as_deref(), Some("70 to 110"));
    assert_eq!(o.observed_at.as_deref(), Some("2026-03-02T08:15:00+02:00"));
    assert_eq!(o.observed_at_verbatim.as_deref(), Some("20260302081500"));
    assert_eq!(o.operator.as_deref(), Some("op1^op2"));
    assert_eq!(o.instrument.as_deref(), Some("M2"));
    assert_eq!(decoded.kind, MessageKind::Results);
    assert_eq!(decoded.control_id.as_deref(), Some("MSG-1"));
    assert!(decoded.distinguishable);
    assert!(decoded.diagnostics.is_empty(), "{:?}", decoded.diagnostics);
}

#[test]
fn values_keep_what_was_sent_beside_what_was_read() {
    for (sent, text, comparator, number) in [
        ("<0.25", "<0.25", Some(Comparator::Less), Some("0.25")),
        (">= 500", ">= 500", Some(Comparator::GreaterOrEqual), Some("500")),
        ("1&F&2", "1|2", None, None),
        ("3+^3+^45", "3+^3+^45", None, None),
        ("&X41&", "A", None, None),
        ("-----", "-----", None, None),
        ("7,41", "7,41", None, None),
        ("1:128", "1:128", None, None),
        ("+++", "+++", None, None),
    ] {
        let decoded = decode(&example(), &one(&format!("R|1|^^^GLU|{sent}|||||F")));
        let o = &decoded.outcomes[0].observation;
        assert_eq!(o.value.as_deref(), Some(sent), "{sent}");
        assert_eq!(o.text.as_deref(), Some(text), "{sent}");
        assert_eq!((o.comparator, o.number.as_deref()), (comparator, number), "{sent}");
        assert_eq!(code(&decoded.outcomes[0]), "deliver", "{sent}");
    }
}

#[test]
fn what_the_profile_does_not_know_is_held_with_a_code() {
    for (record, expected) in [
        ("R|1|^^^GLU|98|mg/dL|||F|F", "deliver"),
        ("R|1|^^^LAC|1.2|mmol/L||N||F", "unknown-test"),
        ("R|1|^^^glu|1.2|mg/dL||N||F", "unknown-test"),
        ("R|1||1.2|mg/dL||N||F", "unknown-test"),
        ("R|1|^^^GLU|98|furlong||N||F", "unknown-unit"),
        ("R|1|^^^GLU|5.4|mmol/L||N||F", "deliver"),
        ("R|1|^^^GLU|0.98|g/L||N||F", "unit-mismatch"),
        ("R|1|^^^WBC|8.1|10^9/L||N||F", "deliver"),
        ("R|1|^^^WBC|8.1|10^6/uL||N||F", "unit-mismatch"),
        ("R|1|^^^GLU|98|||N||F", "deliver"),
        ("R|1|^^^GLU|>>98|mg/dL||N||F", "unknown-comparator"),
        ("R|1|^^^ABO|=<B|||N||F", "deliver"),
        ("R|1|^^^GLU|\"\"|mg/dL||N||F", "delete-marker"),
        ("R|1|^^^GLU|98|mg/dL||!||F", "profile-hold"),
        ("R|1|^^^SCAT_WDF|file.png|||N||F", "ignore: image reference"),
        ("R|1", "unreadable"),
        ("R", "unreadable"),
    ] {
        let decoded = decode(&example(), &one(record));
        let got: Vec<String> = decoded.outcomes.iter().map(code).collect();
        assert_eq!(got, [expected], "{record}");
    }
}

#[test]
fn a_hold_tells_every_reason_and_no_value() {
    let decoded = decode(&example(), &one("R|1|^^^SECRETCODE|>>77777|furlong||N||F"));
    let labwire_model::Disposition::Hold { code, reason } = &decoded.outcomes[0].disposition else {
        panic!("{:?}", decoded.outcomes[0]);
    };
    assert_eq!(code, "unknown-test");
    assert_eq!(reason.matches(';').count(), 2, "{reason}");
    for sent in ["SECRETCODE", "77777", "furlong", "PAT7"] {
        assert!(!reason.contains(sent), "{reason}");
        assert!(decoded.diagnostics.iter().all(|diagnostic| !diagnostic.reason.contains(sent)));
    }
}

#[test]
fn unknown_flags_and_status_letters_are_filed_as_sent_with_a_diagnostic() {
    let decoded = decode(&example(), &one("R|1|^^^GLU|98|mg/dL||ZZ||J"));
    let outcome = &decoded.outcomes[0];
    assert_eq!(code(outcome), "deliver");
    assert_eq!(outcome.observation.flags[0].sent, "ZZ");
    assert_eq!(outcome.observation.flags[0].meaning, None);
    assert_eq!(outcome.observation.status_sent.as_deref(), Some("J"));
    assert_eq!(outcome.observation.status, Some(ObservationStatus::Unknown));
    assert_eq!(codes(&decoded), ["unknown-flag", "unknown-status"]);
    assert_eq!(decoded.diagnostics[0].position.path, "R.7");
    assert_eq!(decoded.diagnostics[0].position.record, 4);

    let rules = RULES.replace("[result]", "[result]\nhold_unknown_flag = true\nhold_unknown_status = true");
    let strict = plan(&profile("lis02", &rules));
    assert_eq!(code(&decode(&strict, &one("R|1|^^^GLU|98|||ZZ||F")).outcomes[0]), "unknown-flag");
    assert_eq!(code(&decode(&strict, &one("R|1|^^^GLU|98|||||J")).outcomes[0]), "unknown-status");
}

#[test]
fn results_stay_with_the_nearest_order_and_patient_before_them() {
    let decoded = decode(
        &example(),
        &message(&[
            r"H|\^&|||One",
            "P|1||PAT1",
            "O|1|S1",
            "R|1|^^^GLU|1",
            "R|2|^^^WBC|2",
            "O|2|S2",
            "R|1|^^^GLU|3",
            "P|2",
            "R|1|^^^GLU|4",
            "O|1",
            "R|1|^^^GLU|5",
            "L|1|N",
            "R|1|^^^GLU|6",
        ]),
    );
    assert_eq!(
        brief(&decoded),
        [
            "4 S1 GLU 1 deliver",
            "5 S1 WBC 2 deliver",
            "7 S2 GLU 3 deliver",
            "9 - GLU 4 no-specimen",
            "11 - GLU 5 no-specimen",
            "13 - GLU 6 no-specimen",
        ]
    );
    let patients: Vec<_> = decoded.outcomes.iter().map(|o| o.observation.patient_id.as_deref()).collect();
    assert_eq!(patients, [Some("PAT1"), Some("PAT1"), Some("PAT1"), None, None, None]);
}

#[test]
fn quality_control_and_calibration_are_streams_of_their_own_even_without_an_id() {
    let decoded = decode(
        &example(),
        &message(&[
            r"H|\^&|||One",
            "P|1",
            "O|1||||||||||Q",
            "R|1|^^^GLU|1",
            "O|2|C1|||||||||K",
            "R|1|^^^GLU|2",
            "O|3|S1|||||||||N",
            "R|1|^^^GLU|3",
            "L|1|N",
        ]),
    );
    // O.12 is the twelfth field, with the letter as the first.
    assert_eq!(
        brief(&decoded),
        ["4 - GLU 1 qc deliver", "6 C1 GLU 2 calibration deliver", "8 S1 GLU 3 deliver"]
    );
}

#[test]
fn comments_belong_to_the_record_before_them() {
    let decoded = decode(
        &example(),
        &message(&[
            r"H|\^&|||One",
            "C|1|I|about the message",
            "P|1",
            "C|1|I|about the patient",
            "O|1|S1",
            "M|1|histogram",
            "C|1|I|about the order",
            "R|1|^^^GLU|1",
            "C|1|I|first",
            "C|2|I|second",
            "R|2|^^^WBC|2",
            "O|2|S2",
            "R|1|^^^GLU|3",
            "P|2",
            "O|1|S3",
            "R|1|^^^GLU|4",
            "L|1|N",
        ]),
    );
    let comments: Vec<Vec<&str>> = decoded
        .outcomes
        .iter()
        .map(|outcome| outcome.observation.comments.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(
        comments,
        [
            vec!["about the patient", "about the order", "first", "second"],
            vec!["about the patient", "about the order"],
            vec!["about the patient"],
            vec![],
        ]
    );
}

#[test]
fn results_without_parents_are_read_and_told() {
    let decoded = decode(&example(), &message(&["R|1|^^^GLU|1"]));
    assert_eq!(brief(&decoded), ["1 - GLU 1 no-specimen"]);
    for code in ["result-without-header", "result-without-patient", "result-without-order"] {
        assert!(codes(&decoded).contains(&code), "{:?}", codes(&decoded));
    }
}

#[test]
fn a_lost_record_that_may_have_named_another_specimen_holds_what_follows() {
    for (lost, first) in [("?|2|S2", "unreadable"), ("X|2|S2", "deliver")] {
        let lines = [
            r"H|\^&|||One",
            "P|1",
            "O|1|S1",
            "R|1|^^^GLU|1",
            lost,
            "R|1|^^^GLU|2",
            "P|2",
            "O|1|S3",
            "R|1|^^^GLU|3",
        ];
        let got: Vec<String> = decode(&example(), &message(&lines)).outcomes.iter().map(code).collect();
        assert_eq!(got, [first, "unreadable", "deliver"], "{lost}");
    }
    let torn = [r"H|\^&|||One", "P|1", "O|1|S1", "R|1|^^^GLU|1", "2|mg/dL||N||F"];
    assert_eq!(code(&decode(&example(), &message(&torn)).outcomes[0]), "unreadable");
    let own = [r"H|\^&|||One", "P|1", "Z|1|x", "O|1|S1", "R|1|^^^GLU|1"];
    assert_eq!(code(&decode(&example(), &message(&own)).outcomes[0]), "deliver", "the order names its own");
    // A comment that somebody wrote between the records harms nothing.
    let comment = [r"H|\^&|||One", "P|1", "O|1|S1", "# written by hand", "R|1|^^^GLU|1"];
    assert_eq!(code(&decode(&example(), &message(&comment)).outcomes[0]), "deliver");
}

#[test]
fn training_and_debugging_messages_are_held_unless_the_profile_accepts_the_letter() {
    let bytes = |letter: &str| {
        message(&[&format!(r"H|\^&|||One|||||||{letter}|1"), "P|1", "O|1|S1", "R|1|^^^GLU|1", "L|1"])
    };
    for (letter, expected) in
        [("P", "deliver"), ("", "deliver"), ("Q", "deliver"), ("T", "processing-id"), ("D", "processing-id")]
    {
        assert_eq!(code(&decode(&example(), &bytes(letter)).outcomes[0]), expected, "{letter}");
    }
    let rules = RULES.replace("[message]", "[message]\naccept_processing = [\"D\"]");
    let accepting = plan(&profile("lis02", &rules));
    assert_eq!(code(&decode(&accepting, &bytes("D")).outcomes[0]), "deliver");
    assert_eq!(code(&decode(&accepting, &bytes("T")).outcomes[0]), "processing-id");
}

#[test]
fn the_header_s_word_for_the_message_decides_what_its_results_are() {
    let rules = RULES.replace(
        "[message]",
        "[message]\nkind = { at = \"H.11.1\", results = [\"RES\"], qc = [\"CON\"], calibration = [\"CAL\"], query = [\"ASK\"], ignore = [\"RAW\"] }",
    );
    let plan = plan(&profile("lis02", &rules));
    for (word, expected) in [
        ("RES", "4 S1 GLU 1 deliver"),
        ("CON", "4 S1 GLU 1 qc deliver"),
        ("CAL", "4 S1 GLU 1 calibration deliver"),
        ("RAW", "4 S1 GLU 1 ignore: message kind"),
        ("ASK", "4 S1 GLU 1 message-kind"),
        ("NEW", "4 S1 GLU 1 message-kind"),
        ("", "4 S1 GLU 1 deliver"),
    ] {
        let header = format!(r"H|\^&|||One||||||{word}^REAL");
        let decoded = decode(&plan, &message(&[&header, "P|1", "O|1|S1", "R|1|^^^GLU|1", "L|1"]));
        assert_eq!(brief(&decoded), [expected], "{word}");
    }
    let asked = decode(&plan, &message(&[r"H|\^&|||One||||||ASK^REAL", "L|1|N"]));
    assert_eq!(asked.kind, MessageKind::Query);
}

#[test]
fn queries_name_every_specimen_asked_for() {
    let decoded = decode(&example(), &message(&[r"H|\^&|||One", r"Q|1|^S1\^ S2 ||ALL", "L|1|N"]));
    assert_eq!(decoded.kind, MessageKind::Query);
    assert_eq!(decoded.queries.len(), 1);
    assert_eq!(decoded.queries[0].record, 2);
    assert_eq!(decoded.queries[0].specimen_ids, ["S1", "S2"]);
    let cancelled = decode(&example(), &message(&[r"H|\^&|||One", "Q|1|^S1||ALL||||||||A", "L|1|N"]));
    assert_eq!((cancelled.kind, cancelled.queries.len()), (MessageKind::Query, 0));
    assert_eq!(codes(&cancelled), ["query-cancelled"]);
}

#[test]
fn a_message_is_what_its_records_say() {
    for (lines, kind) in [
        (&[r"H|\^&", "L|1"][..], MessageKind::Other),
        (&[r"H|\^&", "P|1", "O|1|S1", "L|1"], MessageKind::Order),
        (&[r"H|\^&", "M|1|x", "L|1"], MessageKind::Other),
        (&[], MessageKind::Other),
    ] {
        assert_eq!(decode(&example(), &message(lines)).kind, kind, "{lines:?}");
    }
}

#[test]
fn delimiters_are_read_from_each_header() {
    let decoded = decode(
        &example(),
        &message(&[
            "H|@^\\|||One",
            "P|1",
            "O|1|S1",
            "R|1|^^^GLU|1\\F\\2|||H@L",
            "H!\\^&!!!One",
            "P!1",
            "O!1!S2",
            "R!1!^^^GLU!2",
        ]),
    );
    assert_eq!(brief(&decoded), ["4 S1 GLU 1|2 deliver", "8 S2 GLU 2 deliver"]);
    assert_eq!(decoded.outcomes[0].observation.flags.len(), 2);
}

#[test]
fn identity_is_the_records_without_what_a_repeat_changes() {
    let bytes = |time: &str, value: &str, end: &str| {
        [&format!(r"H|\^&|||One|||||||P|1|{time}"), "P|1", "O|1|S1", &format!("R|1|^^^GLU|{value}"), "L|1|N"]
            .join(end)
            .into_bytes()
    };
    let identity = |bytes: &[u8]| decode(&example(), bytes).identity;
    let first = identity(&bytes("20260302081407", "98", "\r"));
    assert_eq!(first, identity(&bytes("20260302081555", "98", "\r\n")), "time and line ends do not count");
    assert_ne!(first, identity(&bytes("20260302081407", "98.0", "\r")), "every digit of a value counts");
    // H.14 changes in a repeat, so it cannot tell two measurements apart either.
    assert!(!decode(&example(), &bytes("20260302081407", "98", "\r")).distinguishable);
}

#[test]
fn a_message_without_time_or_id_is_not_distinguishable() {
    let distinguishable = |lines: &[&str]| decode(&example(), &message(lines)).distinguishable;
    assert!(
        !distinguishable(&[r"H|\^&", "P|1", "O|1|S1||^^^GLU||20260101", "R|1|^^^GLU|1"]),
        "an order's time is no measurement's"
    );
    assert!(distinguishable(&[r"H|\^&|17", "P|1", "O|1|S1", "R|1|^^^GLU|1"]));
    assert!(distinguishable(&[r"H|\^&", "P|1", "O|1|S1", "R|1|^^^GLU|1||||||||20260101"]));
    let ordered = plan(&profile("lis02", &RULES.replace("at = \"R.13\"", "at = \"O.8\"")));
    assert!(
        decode(&ordered, &message(&[r"H|\^&", "P|1", "O|1|S1|||||20260101", "R|1|^^^GLU|1"])).distinguishable
    );
}

#[test]
fn doubtful_times_are_told_and_kept_as_sent() {
    for (sent, at, diagnostic) in [
        ("20260302", Some("2026-03-02"), None),
        ("202603021530", Some("2026-03-02T15:30:00+02:00"), None),
        ("20261301", None, Some("bad-time")),
        ("yesterday", None, Some("bad-time")),
        ("20260424003000", Some("2026-04-24T00:30:00+02:00"), Some("skipped-time")),
        ("20261029233000", Some("2026-10-29T23:30:00+03:00"), Some("ambiguous-time")),
    ] {
        let decoded = decode(&example(), &one(&format!("R|1|^^^GLU|1|||||F||||{sent}|{sent}")));
        let o = &decoded.outcomes[0].observation;
        assert_eq!(o.observed_at_verbatim.as_deref(), Some(sent));
        assert_eq!(o.observed_at.as_deref(), at, "{sent}");
        assert_eq!(codes(&decoded).first().copied(), diagnostic, "{sent}");
        assert_eq!(code(&decoded.outcomes[0]), "deliver", "{sent}");
    }
}

#[test]
fn bytes_outside_the_character_set_hold_what_they_stand_in() {
    let rules = RULES.replace("[message]", "[message]\ncharset = \"utf-8\"");
    let plan = plan(&profile("lis02", &rules));
    let with = |part: &[u8], rest: &[u8]| {
        let mut bytes = message(&[r"H|\^&|||One", "P|1", "O|1|S1"]);
        bytes.extend_from_slice(b"R|1|^^^GLU|");
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(rest);
        bytes
    };
    assert_eq!(code(&decode(&plan, &with("\u{b5}".as_bytes(), b"|||||F")).outcomes[0]), "deliver");
    assert_eq!(code(&decode(&plan, &with(b"\xb5", b"|||||F")).outcomes[0]), "unreadable");
    assert_eq!(code(&decode(&plan, &with(b"1", b"|\xb5g/dL||||F")).outcomes[0]), "unreadable");
    // An operator's name is no reason to hold a result.
    assert_eq!(code(&decode(&plan, &with(b"1", b"|||||F||M\xfcller")).outcomes[0]), "deliver");
}

#[test]
fn values_that_are_no_numbers_are_told_where_the_profile_says_number() {
    let decoded = decode(&example(), &one("R|1|^^^HBA1C|see note|%||||F"));
    assert_eq!((code(&decoded.outcomes[0]).as_str(), codes(&decoded)), ("deliver", vec!["not-a-number"]));
    let coded = decode(&example(), &one("R|1|^^^ABO|0|||||F"));
    assert_eq!(coded.outcomes[0].observation.number, None, "the group O is no number");
    assert_eq!(coded.outcomes[0].observation.text.as_deref(), Some("0"));
}

#[test]
fn only_and_open_tests_and_defaults_do_what_they_say() {
    let rules = RULES.replace(
        "[result]",
        "[result]\nopen_tests = true\nstatus_default = \"preliminary\"\nunit_default = \"mg/dL\"\nonly = { when = { \"R.9\" = '^[FC]?$' }, reason = \"not a main result\" }",
    );
    let plan = plan(&profile("lis02", &rules));
    let decoded = decode(&plan, &one("R|1|^^^999|7"));
    let o = &decoded.outcomes[0].observation;
    assert_eq!(code(&decoded.outcomes[0]), "deliver");
    assert_eq!(
        (o.analyzer_test.as_deref(), o.lis_test.as_deref()),
        (Some("999"), None),
        "nothing is guessed"
    );
    assert_eq!((o.unit.as_deref(), o.ucum.as_deref()), (None, Some("mg/dL")));
    assert_eq!((o.status_sent.as_deref(), o.status), (None, Some(ObservationStatus::Preliminary)));
    assert_eq!(code(&decode(&plan, &one("R|1|^^^GLU|7|||||P")).outcomes[0]), "ignore: not a main result");
}

#[test]
fn a_generic_profile_fills_in_what_it_can_and_holds_everything() {
    let generic = plan(&profile("lis02", "").replace("schema = 1", "schema = 1\nno_profile = true"));
    let decoded = decode(
        &generic,
        &message(&[
            r"H|\^&|||Any",
            "P|1||A|B",
            "O|1|S1",
            "R|1|^^^GLU|98|mg/dL||H||F||||20260302081500",
            "R|2|^^^?|",
            "L|1",
        ]),
    );
    assert_eq!(brief(&decoded), ["4 S1 GLU 98 no-profile", "5 S1 ? - no-profile"]);
    let o = &decoded.outcomes[0].observation;
    assert_eq!(o.ucum.as_deref(), Some("mg/dL"));
    assert_eq!(o.flags[0].meaning.as_deref(), Some("high"));
    assert_eq!(o.observed_at.as_deref(), Some("2026-03-02T08:15:00+02:00"));
}
