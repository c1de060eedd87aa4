//! A vendor's own text through a plan.

mod support;

use labwire_driver::Plan;
use labwire_model::MessageKind;
use support::{brief, codes, decode, plan, profile};

const ROWS: &str = r#"
[specimen]
id = "specimen"
[result]
test = "test"
value = "value"
unit = "unit"
at = "when"
at_format = "%y/%m/%d %H:%M"
sentinels = ["---"]
[text]
fields = { specimen = 'ID# (\S+)', when = '^(\d\d/\d\d/\d\d \d\d:\d\d)' }
row = '\b(?P<test>[A-Z][a-z]?) +(?P<value>[<>]?\d+(?:\.\d+)?|-+) +(?P<unit>[a-zA-Z]+/[a-zA-Z]+)'
[tests.Na]
name = "Sodium"
unit = "mmol/L"
[tests.K]
name = "Potassium"
unit = "mmol/L"
"#;

const TAGS: &str = r#"
[link]
dialect = "bci"
[specimen]
id = "ci"
[patient]
id = "pi"
[result]
test = "rt"
value = { first_of = ["qn", "ql"] }
unit = "y3"
flags = "ql"
at = { join = ["td", "tt"] }
at_format = "%m/%d/%y %H:%M"
[flags]
Pos = "positive"
[text]
tagged = { separator = "|", record = "<RS>" }
[tests.AAA]
name = "A"
"#;

fn rows() -> Plan {
    plan(&profile("text", ROWS))
}

#[test]
fn each_match_of_the_row_is_an_observation_of_the_same_specimen() {
    let decoded = decode(
        &rows(),
        b"\x0226/03/02 08:14 ID# S1   [Plasma] Na   140  mmol/L K     <2.0  mmol/L Cl   ---  mmol/L \x03",
    );
    assert_eq!(brief(&decoded), ["1 S1 Na 140 deliver", "2 S1 K <2.0 deliver", "3 S1 Cl --- unknown-test"]);
    let o = &decoded.outcomes[1].observation;
    assert_eq!(o.observed_at.as_deref(), Some("2026-03-02T08:14:00+02:00"));
    assert_eq!(o.observed_at_verbatim.as_deref(), Some("26/03/02 08:14"));
    assert_eq!(o.number.as_deref(), Some("2.0"));
    assert_eq!(decoded.kind, MessageKind::Results);
    assert!(decoded.distinguishable);
}

#[test]
fn text_that_no_rule_reads_and_that_may_be_a_result_is_held() {
    let decoded = decode(&rows(), b"26/03/02 08:14 ID# S1 Na 140 mmol/L K **** mmol/L Cl 9,7 mmol/L");
    assert_eq!(brief(&decoded), ["1 S1 Na 140 deliver", "2 S1 - K **** mmol/L Cl 9,7 mmol/L unreadable"]);
    let nothing = decode(&rows(), b"26/03/02 08:14 ID# S1 ready");
    assert_eq!((nothing.outcomes.len(), codes(&nothing)), (0, vec!["no-row"]));
}

#[test]
fn tagged_fields_make_one_observation() {
    let bytes = b"\x05\x02\x1emtrsl|\x1epi|\x1eciS1|\x1ertAAA|\x1ett18:35|\x1etd03/02/26|\x1eqlPos|\x1eqn0.05|\x1d7f\x03";
    let decoded = decode(&plan(&profile("text", TAGS)), bytes);
    assert_eq!(brief(&decoded), ["1 S1 AAA 0.05 deliver"]);
    let o = &decoded.outcomes[0].observation;
    assert_eq!(o.patient_id, None, "an empty tag is nothing");
    assert_eq!(o.observed_at.as_deref(), Some("2026-03-02T18:35:00+02:00"));
    assert_eq!(o.flags[0].meaning.as_deref(), Some("positive"));
    assert!(!decoded.identity.contains(&0x1d), "the check is no part of the message");
}

#[test]
fn a_tag_may_begin_every_row() {
    let rules = TAGS.replace("record = \"<RS>\" }", "record = \"<RS>\", row = \"rt\" }");
    let decoded = decode(
        &plan(&profile("text", &rules)),
        b"\x1eciS1|\x1ertAAA|\x1eqn1|\x1ertBBB|\x1eqn2|\x1ertAAA|\x1eqlPos|",
    );
    assert_eq!(brief(&decoded), ["1 S1 AAA 1 deliver", "2 S1 BBB 2 unknown-test", "3 S1 AAA Pos deliver"]);
}

#[test]
fn a_row_without_its_fields_is_held_and_never_takes_its_neighbour_s() {
    let rules = TAGS.replace("record = \"<RS>\" }", "record = \"<RS>\", row = \"rt\" }");
    let decoded = decode(&plan(&profile("text", &rules)), b"\x1eciS1|\x1ertAAA|\x1eqn1|\x1ert|");
    assert_eq!(brief(&decoded), ["1 S1 AAA 1 deliver", "2 S1 - - unreadable"]);
}

#[test]
fn two_specimens_in_one_text_give_neither_to_its_rows() {
    let decoded =
        decode(&rows(), b"26/03/02 08:14 ID# S1 Na 140 mmol/L\n26/03/02 08:20 ID# S2 Na 120 mmol/L\n");
    let delivered = brief(&decoded).iter().filter(|line| line.ends_with("deliver")).count();
    assert_eq!(delivered, 0, "{:?}", brief(&decoded));
    assert_eq!(decoded.outcomes.iter().filter(|o| o.observation.analyzer_test.is_some()).count(), 2);
}

#[test]
fn tagged_messages_without_a_break_do_not_mix() {
    let plan = plan(&profile("text", TAGS));
    let decoded = decode(&plan, b"mtrsl|ciS1|rtAAA|qn1|\nmtrsl|ciS2|rtAAA|qn2|qlPos|");
    assert_eq!(brief(&decoded), ["1 S1 AAA 1 deliver", "2 S2 AAA 2 deliver"]);
    assert!(decoded.outcomes[0].observation.flags.is_empty());
    // Two results where one is due: a person looks at both.
    let decoded = decode(&plan, b"mtrsl|ciS1|rtAAA|qn1|rtBBB|qn2|");
    assert_eq!(brief(&decoded), ["1 - - mtrsl|ciS1|rtAAA|qn1|rtBBB|qn2| unreadable"]);
}

#[test]
fn a_letter_between_the_rows_may_be_a_flag_and_is_not_lost() {
    let decoded = decode(&rows(), b"26/03/02 08:14 ID# S1 [Plasma] Na 140 mmol/L H K 4.1 mmol/L  ");
    assert_eq!(brief(&decoded), ["1 S1 Na 140 deliver", "2 S1 - H unreadable", "3 S1 K 4.1 deliver"]);
}
