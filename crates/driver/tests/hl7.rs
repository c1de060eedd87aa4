//! HL7 v2 messages through a plan.

mod support;

use labwire_driver::Plan;
use labwire_model::{Comparator, MessageKind, ObservationStatus};
use support::{brief, code, codes, decode, message, plan, profile};

const RULES: &str = r#"
[message]
volatile = ["MSH-7"]
[specimen]
id = { first_of = ["SPM-2.1.1", "SPM-2.1", "OBR-3.1"] }
[patient]
id = "PID-3.1"
[result]
test = { first_of = ["OBX-3.1", "OBX-3.4"] }
value = "OBX-5"
unit = "OBX-6.1"
range = "OBX-7"
flags = "OBX-8"
status = "OBX-11"
at = { first_of = ["OBX-19", "OBX-14"] }
operator = "OBX-16"
ignore = [{ when = { "OBX-2" = '^(ED|IS)$' }, reason = "picture or mode" }]
[qc]
any = [{ "SPM-11" = '^Q$' }, { "MSH-16" = '^2$' }]
[query]
id = { first_of = ["QRD-8", "QPD-3.1", "ORC-3"] }
[tests.WBC]
name = "Leukocytes"
unit = "10*9/L"
lis = "WBC"
[tests.TITER]
name = "Titer"
[tests.CT]
name = "Cycle threshold"
"#;

const MSH: &str = r"MSH|^~\&|ONE|LAB|||20260302081407||ORU^R01|42|P|2.5.1";
const OUL: &str = r"MSH|^~\&|ONE|LAB|||20260302081407||OUL^R22|42|P|2.5.1";

fn example() -> Plan {
    plan(&profile("hl7", RULES))
}

fn one(segment: &str) -> Vec<u8> {
    message(&[MSH, "PID|1||PAT7^^^LAB", "OBR|1||S1|PANEL", segment])
}

#[test]
fn every_part_of_an_observation_is_read_from_its_place() {
    let decoded = decode(
        &example(),
        &one(
            "OBX|1|NM|WBC^Leukocytes^L||7.30|10\\S\\9/L^^UCUM|4.0-10.0|H~A^abnormal^HL70078|||F|||20260302080000||op^Name|||20260302081500",
        ),
    );
    let o = &decoded.outcomes[0].observation;
    assert_eq!(code(&decoded.outcomes[0]), "deliver");
    assert_eq!(o.record, 4);
    assert_eq!(o.specimen_id.as_deref(), Some("S1"));
    assert_eq!(o.patient_id.as_deref(), Some("PAT7"));
    assert_eq!(o.value.as_deref(), Some("7.30"));
    assert_eq!(o.number.as_deref(), Some("7.30"));
    assert_eq!(o.unit.as_deref(), Some("10\\S\\9/L"), "the unit is stored as sent");
    assert_eq!(o.ucum.as_deref(), Some("10*9/L"));
    let flags: Vec<_> = o.flags.iter().map(|flag| (flag.sent.as_str(), flag.meaning.as_deref())).collect();
    assert_eq!(flags, [("H", Some("high")), ("A^abnormal^HL70078", Some("abnormal"))]);
    assert_eq!(o.status, Some(ObservationStatus::Final));
    assert_eq!(o.observed_at.as_deref(), Some("2026-03-02T08:15:00+02:00"));
    assert_eq!(decoded.control_id.as_deref(), Some("42"));
    assert_eq!(decoded.kind, MessageKind::Results);
    assert!(decoded.distinguishable);
    assert!(decoded.diagnostics.is_empty(), "{:?}", decoded.diagnostics);
}

#[test]
fn a_structured_numeric_is_read_by_its_components() {
    for (sent, comparator, number, expected) in [
        (">^200", Some(Comparator::Greater), Some("200"), "deliver"),
        ("^5.0", None, Some("5.0"), "deliver"),
        ("=^5", None, Some("5"), "deliver"),
        ("<=^0.5", Some(Comparator::LessOrEqual), Some("0.5"), "deliver"),
        ("^1^:^128", None, None, "deliver"),
        ("^10^-^20", None, None, "deliver"),
        ("<>^5", None, None, "unknown-comparator"),
    ] {
        let decoded = decode(&example(), &one(&format!("OBX|1|SN|TITER||{sent}||||||F")));
        let o = &decoded.outcomes[0].observation;
        assert_eq!(o.value.as_deref(), Some(sent));
        assert_eq!((o.comparator, o.number.as_deref()), (comparator, number), "{sent}");
        assert_eq!(code(&decoded.outcomes[0]), expected, "{sent}");
    }
}

#[test]
fn status_letters_that_take_a_result_back_are_held() {
    for (letter, status, expected) in [
        ("F", ObservationStatus::Final, "deliver"),
        ("C", ObservationStatus::Corrected, "deliver"),
        ("R", ObservationStatus::Preliminary, "deliver"),
        ("D", ObservationStatus::Unknown, "retraction"),
        ("W", ObservationStatus::Unknown, "retraction"),
        ("@", ObservationStatus::Unknown, "deliver"),
    ] {
        let decoded = decode(&example(), &one(&format!("OBX|1|NM|WBC||7||||||{letter}")));
        assert_eq!(decoded.outcomes[0].observation.status, Some(status), "{letter}");
        assert_eq!(code(&decoded.outcomes[0]), expected, "{letter}");
    }
}

#[test]
fn a_specimen_behind_its_order_speaks_of_that_order_alone() {
    let decoded = decode(
        &example(),
        &message(&[
            MSH,
            "PID|1||PAT7",
            "OBR|1||",
            "OBX|1|NM|WBC||1||||||F",
            "SPM|1|S1&ONE",
            "OBR|2||",
            "OBX|1|NM|WBC||2||||||F",
            "SPM|1|S2&ONE",
            "OBR|3||",
            "OBX|1|NM|WBC||3||||||F",
            "OBR|4||",
            "OBX|1|NM|WBC||4||||||F",
            "SPM|1|S4",
            "SPM|2|S5",
        ]),
    );
    assert_eq!(
        brief(&decoded),
        ["4 S1 WBC 1 deliver", "7 S2 WBC 2 deliver", "10 - WBC 3 no-specimen", "12 - WBC 4 no-specimen",]
    );
    assert!(codes(&decoded).contains(&"ambiguous-specimen"));
}

#[test]
fn a_specimen_before_its_orders_speaks_of_all_of_them() {
    let decoded = decode(
        &example(),
        &message(&[
            OUL,
            "SPM|1|S1&ONE||SER|||||||P",
            "OBR|1||OLD",
            "ORC|RE",
            "OBX|1|NM|WBC||1||||||F",
            "OBR|2||",
            "OBX|1|NM|WBC||2||||||F",
            "SPM|2|C1&ONE||SER|||||||Q",
            "OBX|1|NM|WBC||3||||||F",
            "OBR|1||",
            "OBX|1|NM|WBC||4||||||F",
            "SPM|3|",
            "OBX|1|NM|WBC||5||||||F",
        ]),
    );
    assert_eq!(
        brief(&decoded),
        [
            "5 S1 WBC 1 deliver",
            "7 S1 WBC 2 deliver",
            "9 C1 WBC 3 qc deliver",
            "11 C1 WBC 4 qc deliver",
            "13 - WBC 5 no-specimen",
        ]
    );
}

#[test]
fn a_new_patient_closes_the_order_before() {
    let decoded = decode(
        &example(),
        &message(&[
            MSH,
            "PID|1||PAT1",
            "OBR|1||S1",
            "OBX|1|NM|WBC||1||||||F",
            "PID|2||PAT2",
            "OBX|1|NM|WBC||2||||||F",
            "OBR|1||S2",
            "OBX|1|NM|WBC||3||||||F",
        ]),
    );
    assert_eq!(brief(&decoded), ["4 S1 WBC 1 deliver", "6 - WBC 2 no-specimen", "8 S2 WBC 3 deliver"]);
    let patients: Vec<_> = decoded.outcomes.iter().map(|o| o.observation.patient_id.as_deref()).collect();
    assert_eq!(patients, [Some("PAT1"), Some("PAT2"), Some("PAT2")]);
}

#[test]
fn notes_belong_to_the_segment_before_them() {
    let decoded = decode(
        &example(),
        &message(&[
            MSH,
            "NTE|1||message",
            "PID|1||PAT1",
            "NTE|1||patient",
            "OBR|1||S1",
            "NTE|1||order",
            "OBX|1|NM|WBC||1||||||F",
            "TCD|x",
            "NTE|1||first \\T\\ only",
            "OBX|2|NM|WBC||2||||||F",
            "OBR|2||S2",
            "OBX|1|NM|WBC||3||||||F",
        ]),
    );
    let comments: Vec<Vec<&str>> = decoded
        .outcomes
        .iter()
        .map(|outcome| outcome.observation.comments.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(
        comments,
        [vec!["patient", "order", "first & only"], vec!["patient", "order"], vec!["patient"]]
    );
}

#[test]
fn rows_that_are_no_results_are_ignored_by_a_named_rule() {
    let decoded = decode(
        &example(),
        &message(&[
            MSH,
            "OBR|1||S1",
            "OBX|1|IS|08001^Take Mode||A||||||F",
            "OBX|2|ED|HIST||^Image^BMP^Base64^Qk0=||||||F",
            "OBX|3|NM|^^^WBC||1||||||F",
            "OBX",
        ]),
    );
    assert_eq!(
        brief(&decoded),
        [
            "3 S1 08001 A ignore: picture or mode",
            "4 S1 HIST ^Image^BMP^Base64^Qk0= ignore: picture or mode",
            "5 S1 WBC 1 deliver",
            "6 S1 - - unreadable",
        ]
    );
}

#[test]
fn training_messages_and_delete_markers_are_held() {
    let training = message(&[&MSH.replace("|P|", "|T|"), "OBR|1||S1", "OBX|1|NM|WBC||1||||||F"]);
    assert_eq!(code(&decode(&example(), &training).outcomes[0]), "processing-id");
    assert_eq!(code(&decode(&example(), &one("OBX|1|NM|WBC||\"\"||||||F")).outcomes[0]), "delete-marker");
    let no_id = message(&[MSH, "OBR|1||\"\"", "OBX|1|NM|WBC||1||||||F"]);
    assert_eq!(code(&decode(&example(), &no_id).outcomes[0]), "no-specimen", "two quotes are no specimen id");
}

#[test]
fn the_character_set_is_the_profile_s_else_the_message_s() {
    let mut latin = message(&[&format!("{MSH}||||||8859/1"), "OBR|1||S1"]);
    latin.extend_from_slice(b"OBX|1|ST|TITER||Gr\xfc\xdfe||||||F\r");
    assert_eq!(decode(&example(), &latin).outcomes[0].observation.text.as_deref(), Some("Gr\u{fc}\u{df}e"));
    let utf8 = plan(&profile("hl7", &RULES.replace("[message]", "[message]\ncharset = \"utf-8\"")));
    assert_eq!(code(&decode(&utf8, &latin).outcomes[0]), "unreadable");
}

#[test]
fn a_character_set_that_hides_delimiters_is_decoded_before_the_cuts() {
    // In GB 18030 the second byte of a character may be the one of a delimiter: 0x81 0x7c.
    let mut bytes = message(&[&format!("{MSH}||||||GB 18030-2000"), "OBR|1||S1"]);
    bytes.extend_from_slice(b"OBX|1|ST|TITER||a\x81\x7cb||||||F\r");
    let decoded = decode(&example(), &bytes);
    assert_eq!(brief(&decoded), ["3 S1 TITER a\u{4e85}b deliver"]);
    bytes.truncate(bytes.len() - 10);
    bytes.extend_from_slice(b"\xff||||||F\r");
    assert_eq!(code(&decode(&example(), &bytes).outcomes[0]), "unreadable");
}

#[test]
fn queries_orders_and_acknowledgements_are_told_apart() {
    let ask = message(&[&MSH.replace("ORU^R01", "QRY^Q02"), "QRD|20260302|R|D|1|||RD|S1^x|OTH|||T"]);
    let decoded = decode(&example(), &ask);
    assert_eq!(
        (decoded.kind, decoded.queries[0].specimen_ids.as_slice()),
        (MessageKind::Query, &["S1^x".to_owned()][..])
    );
    let worklist = message(&[&MSH.replace("ORU^R01", "ORM^O01"), "ORC|RF||S9"]);
    let decoded = decode(&example(), &worklist);
    assert_eq!(
        (decoded.kind, decoded.queries[0].specimen_ids.as_slice()),
        (MessageKind::Query, &["S9".to_owned()][..])
    );
    let results = message(&[MSH, "ORC|RE||S9", "OBR|1||S9", "OBX|1|NM|WBC||1||||||F"]);
    let decoded = decode(&example(), &results);
    assert_eq!(
        (decoded.kind, decoded.queries.len()),
        (MessageKind::Results, 0),
        "an order beside results asks nothing"
    );
    let answer = message(&[&MSH.replace("ORU^R01", "ORR^O02"), "MSA|AA|17", "ORC|OK||S9"]);
    let decoded = decode(&example(), &answer);
    assert_eq!((decoded.kind, decoded.queries.len()), (MessageKind::Acknowledgement, 0));
    let other = message(&[&MSH.replace("ORU^R01", "ESU^U01"), "EQU|1"]);
    assert_eq!(decode(&example(), &other).kind, MessageKind::Other);
}

#[test]
fn identity_leaves_out_what_is_volatile_and_nothing_else() {
    let with = |from: &str, to: &str| {
        let bytes = one("OBX|1|NM|WBC||7||||||F");
        let text = String::from_utf8(bytes).unwrap().replace(from, to);
        decode(&example(), text.as_bytes()).identity
    };
    let first = with("", "");
    assert_eq!(first, with("20260302081407", "20260302081555"));
    assert_eq!(first, with("\r", "\r\n"));
    assert_ne!(first, with("|42|", "|43|"));
    assert_ne!(first, with("||7||", "||7.0||"));
    let renewing = plan(&profile("hl7", &RULES.replace("[\"MSH-7\"]", "[\"MSH-7\", \"MSH-10\"]")));
    let decoded = decode(&renewing, &one("OBX|1|NM|WBC||7||||||F"));
    assert_eq!(decoded.control_id, None, "an id that a repeat renews is no key");
    assert!(!decoded.distinguishable);
}

#[test]
fn segments_run_into_one_another_are_told_and_cost_no_neighbour() {
    let decoded = decode(
        &example(),
        &message(&[MSH, "OBR|1||S1|PANEL|| OBX|1|NM|WBC||9||||||F", "OBX|2|NM|WBC||1||||||F"]),
    );
    assert_eq!(brief(&decoded), ["3 S1 WBC 1 deliver"]);
    assert!(!decoded.diagnostics.is_empty());
}

#[test]
fn a_specimen_behind_the_next_order_s_orc_is_not_the_one_before() {
    let lines = [
        MSH,
        "PID|1||A",
        "ORC|RE",
        "OBR|1",
        "OBX|1|NM|WBC||9||||||F",
        "ORC|RE",
        "SPM|1|S2",
        "OBR|2",
        "OBX|1|NM|WBC||8||||||F",
    ];
    let decoded = decode(&example(), &message(&lines));
    assert_eq!(brief(&decoded), ["5 - WBC 9 no-specimen", "9 - WBC 8 no-specimen"]);
}

#[test]
fn several_structured_numerics_are_no_number() {
    let decoded = decode(&example(), &one("OBX|1|SN|CT||^5~^6||||||F"));
    let o = &decoded.outcomes[0].observation;
    assert_eq!((o.value.as_deref(), o.number.as_deref()), (Some("^5~^6"), None));
}

#[test]
fn observations_of_orders_and_admissions_are_no_results() {
    for (kind, expected) in [
        ("ORU^R01", "deliver"),
        ("OUL^R22", "deliver"),
        ("", "deliver"),
        ("ORM^O01", "message-kind"),
        ("ADT^A01", "message-kind"),
    ] {
        let header = MSH.replace("ORU^R01", kind);
        let lines = [header.as_str(), "PID|1||A", "OBR|1||S1|PANEL", "OBX|1|NM|WBC||9||||||F"];
        assert_eq!(code(&decode(&example(), &message(&lines)).outcomes[0]), expected, "{kind}");
    }
}

#[test]
fn a_lost_segment_that_may_have_named_another_specimen_holds_what_follows() {
    let first = "OBX|1|NM|WBC||9|||||F";
    let read_in_lower_case =
        [MSH, "PID|1||A", "OBR|1||S1|PANEL", first, "obr|2||S2|PANEL", "OBX|1|NM|WBC||1||||||F"];
    let decoded = decode(&example(), &message(&read_in_lower_case));
    assert_eq!(brief(&decoded), ["4 S1 WBC 9 deliver", "6 S2 WBC 1 deliver"]);
    assert_eq!(codes(&decoded), ["lower-case-segment"]);
    for lost in ["0br|2||S2|PANEL", "O BR|2||S2|PANEL"] {
        let lines = [MSH, "PID|1||A", "OBR|1||S1|PANEL", first, lost, "OBX|1|NM|WBC||1||||||F"];
        assert_eq!(
            brief(&decode(&example(), &message(&lines))),
            ["4 S1 WBC 9 unreadable", "5 S1 WBC 1 unreadable"]
        );
    }
    let run_in = format!("{first}OBR|2||S2|PANEL|x");
    let lines = [
        MSH,
        "PID|1||A",
        "OBR|1||S1|PANEL",
        &run_in,
        "OBX|1|NM|WBC||1||||||F",
        "PID|2||B",
        "OBR|3||S3|P",
        first,
    ];
    assert_eq!(
        brief(&decode(&example(), &message(&lines))),
        ["4 S1 WBC 9 unreadable", "5 S1 WBC 1 unreadable", "8 S3 WBC 9 deliver"]
    );
}

#[test]
fn a_generic_profile_takes_the_standard_s_places() {
    let generic = plan(&profile("hl7", "").replace("schema = 1", "schema = 1\nno_profile = true"));
    let decoded = decode(&generic, &one("OBX|1|NM|718-7^Hb^LN||14.2|g/dL|12-16|N|||F|||20260302081500"));
    assert_eq!(brief(&decoded), ["4 S1 718-7 14.2 no-profile"]);
    let o = &decoded.outcomes[0].observation;
    assert_eq!((o.ucum.as_deref(), o.reference_range.as_deref()), (Some("g/dL"), Some("12-16")));
    assert_eq!(o.observed_at.as_deref(), Some("2026-03-02T08:15:00+02:00"));
}

#[test]
fn a_type_that_the_profile_accepts_carries_results() {
    let msh = MSH.replace("ORU^R01", "MDM^T02");
    let segments = [msh.as_str(), "PID|1||PAT7", "OBR|1||S1|PANEL", "OBX|1|NM|WBC||7||||||F"];
    let decoded = decode(&example(), &message(&segments));
    assert_eq!(code(&decoded.outcomes[0]), "message-kind");
    let accepting = plan(&profile("hl7", &format!("[acknowledge]\naccept = [\"MDM^T02\"]\n{RULES}")));
    assert_eq!(code(&decode(&accepting, &message(&segments)).outcomes[0]), "deliver");
}

#[test]
fn repeats_of_a_value_are_lines_of_its_text_and_a_sign_is_none() {
    for (sent, text) in [("a~b", "a\nb"), ("~5", "~5"), ("a~", "a~"), ("one\\R\\two", "one~two")] {
        let decoded = decode(&example(), &one(&format!("OBX|1|ST|TITER||{sent}||||||F")));
        let o = &decoded.outcomes[0].observation;
        assert_eq!((o.value.as_deref(), o.text.as_deref()), (Some(sent), Some(text)));
    }
}

#[test]
fn material_before_the_observations_is_the_specimens_and_behind_one_it_is_its_own() {
    let rules = RULES.replace("[result]\n", "[result]\nreagent = \"INV-16\"\n");
    let inventory = |lot: &str| format!("INV|1|OK|MR|||||||||20251130||||{lot}");
    let decoded = decode(
        &plan(&profile("hl7", &rules)),
        &message(&[
            OUL,
            "SPM|1|S1",
            &inventory("MATERIAL"),
            "OBR|1",
            "OBX|1|NM|WBC||1||||||F",
            "OBX|2|NM|WBC||2||||||F",
            "SPM|2|S2",
            "OBR|1",
            "OBX|1|NM|WBC||3||||||F",
            &inventory("REAGENT"),
            "OBX|2|NM|WBC||4||||||F",
        ]),
    );
    let lots: Vec<_> = decoded.outcomes.iter().map(|one| one.observation.reagent.as_deref()).collect();
    assert_eq!(lots, [Some("MATERIAL"), Some("MATERIAL"), Some("REAGENT"), None]);
}

#[test]
fn under_law_a_repeat_has_another_time_and_control_id_and_the_same_identity() {
    let law = profile("law", RULES).replace("volatile = [\"MSH-7\"]\n", "");
    let sent = |id: &str, time: &str| {
        let header = OUL.replace("|42|", &format!("|{id}|")).replace("20260302081407", time);
        decode(&plan(&law), &message(&[&header, "SPM|1|S1", "OBR|1", "OBX|1|NM|WBC||1||||||F"]))
    };
    let (first, again) = (sent("1", "20260302081407"), sent("2", "20260302091407"));
    assert_eq!((first.control_id, first.identity), (again.control_id, again.identity));
}
