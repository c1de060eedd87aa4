//! A vendor's own text through a plan.

mod support;

use labwire_driver::Plan;
use labwire_model::MessageKind;
use support::{brief, code, codes, decode, plan, profile};

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

#[test]
fn values_at_fixed_columns_are_observations_of_their_tests() {
    let plan = plan(&profile(
        "text",
        r#"[specimen]
id = "id"
[result]
test = "test"
value = "value"
flags = "flags"
[tests]
WBC = { name = "Leukocytes", decimals = 1 }
HGB = { name = "Hemoglobin", decimals = 1 }
PLT = { name = "Platelets", decimals = 0 }
[[text.layout]]
match = '^D1U'
fields = { id = { at = 5, width = 8 } }
values = [
  { test = "WBC", at = 13, width = 5, flags_at = 18 },
  { test = "HGB", at = 19, width = 5 },
  { test = "PLT", at = 24, width = 5 },
]
[[text.layout]]
separator = ","
quote = '"'
fields = { id = { at = 2 } }
values = [{ test = "WBC", at = 3 }]
"#,
    ));
    let decoded = decode(&plan, b"\x02D1U     S-4200069+00123     \x03");
    assert_eq!(
        brief(&decoded),
        ["1 S-42 WBC 6.9 deliver", "2 S-42 HGB 12.3 deliver"],
        "a blank was not measured"
    );
    assert_eq!(decoded.outcomes[0].observation.flags[0].sent, "+");
    assert_eq!(decoded.outcomes[0].observation.value.as_deref(), Some("00069"));
    let cells = decode(&plan, b"\x02\"CBC\",\"S-1,7\",0123,x\x03");
    assert_eq!(brief(&cells), ["1 S-1,7 WBC 12.3 deliver"]);
}

#[test]
fn groups_of_columns_follow_each_other_and_one_that_breaks_off_is_held() {
    let plan = plan(&profile(
        "text",
        r#"[message]
kind = { at = "kind", results = ["D "], qc = ["DQ"], query = ["R "], ignore = ["DB", "DE"] }
[specimen]
id = "id"
[result]
test = "test"
value = "value"
flags = "marks"
flags_separator = ""
[query]
id = "id"
[tests.001]
name = "Glucose"
[tests.002]
name = "Urea"
[text]
layout = [{ fields = { kind = { at = 1, width = 2 }, id = { at = 3, width = 6 } }, groups = { at = 9, width = 11, fields = { test = { at = 1, width = 3 }, value = { at = 4, width = 6 }, marks = { at = 10, width = 2 } } } }]
"#,
    ));
    let decoded = decode(&plan, b"\x02D   S-77001  5.10H 002    .5             002 7.\x03");
    let rows = brief(&decoded);
    assert_eq!(rows[..2], ["1 S-77 001 5.10 deliver", "2 S-77 002 .5 deliver"]);
    assert_eq!(code(&decoded.outcomes[2]), "unreadable", "{rows:?}");
    assert_eq!(decoded.outcomes[1].observation.number.as_deref(), Some("0.5"));
    let asked = decode(&plan, b"\x02R   S-78\x03");
    assert_eq!(asked.kind, MessageKind::Query);
    assert_eq!(asked.queries[0].specimen_ids, ["S-78"]);
}

#[test]
fn each_tag_may_be_a_test_and_some_hold_for_all() {
    let plan = plan(&profile(
        "text",
        r#"[specimen]
id = "u"
[result]
test = "tag"
value = "text"
ignore = [{ when = { "tag" = '^[WXY]$' }, reason = "histogram" }]
[tests]
"!" = { name = "Leukocytes" }
"2" = { name = "Erythrocytes" }
[text.tagged]
separator = "<CR>"
tag_length = 1
each = true
shared = ["u"]
"#,
    ));
    let decoded = decode(&plan, b"\x02! 07.4 \r2 4.51\rW 000111\r3 99.9\ru 1234\r\x03");
    assert_eq!(
        brief(&decoded),
        [
            "1 1234 ! 07.4 deliver",
            "2 1234 2 4.51 deliver",
            "3 1234 W 000111 ignore: histogram",
            "4 1234 3 99.9 unknown-test"
        ]
    );
}

#[test]
fn keys_with_an_assigning_sign_name_texts_and_what_has_none_is_held() {
    let plan = plan(&profile(
        "text",
        r#"[specimen]
id = "SampleID"
[result]
open_tests = true
test = "Analyte"
value = "Conc"
unit = "Unit"
[text.tagged]
separator = ","
assign = "="
row = "Analyte"
"#,
    ));
    let decoded =
        decode(&plan, b"SampleID=S5,Analyte=TSH,Conc=2.10,Unit=mIU/L,Analyte=FT4,Conc=<0.5,Unit=ng/dL,17.2");
    assert_eq!(brief(&decoded)[..2], ["1 S5 TSH 2.10 deliver", "2 S5 FT4 <0.5 deliver"]);
    assert_eq!(code(&decoded.outcomes[2]), "unreadable");
}

#[test]
fn rows_below_rows_see_what_stands_above_them() {
    let plan = plan(&profile(
        "text",
        r#"[specimen]
id = "ci"
[result]
open_tests = true
test = { first_of = ["a1", { at = "o1", map = { "citfre" = "ID" } }] }
value = { first_of = ["a3", "o2"] }
flags = "a4"
[isolate]
id = "c0"
organism = "o1"
[text.tagged]
separator = "|"
row = ["c0", "o1", "ra"]
"#,
    ));
    let decoded =
        decode(&plan, b"mtrsl|ciB9|c01|o1citfre|o2Citrobacter freundii|ra|a1am|a3>=32|a4R|ra|a1gm|a3<=1|a4S|c02|o1ecoli|ra|a1am|a3 4|a4I|");
    let rows: Vec<String> = decoded
        .outcomes
        .iter()
        .filter(|outcome| outcome.observation.analyzer_test.is_some())
        .map(|outcome| {
            let o = &outcome.observation;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{} {} {} {}", text(&o.isolate), text(&o.organism), text(&o.analyzer_test), text(&o.text))
        })
        .collect();
    assert_eq!(
        rows,
        [
            "1 citfre ID Citrobacter freundii",
            "1 citfre am >=32",
            "1 citfre gm <=1",
            "2 ecoli ecoli ",
            "2 ecoli am 4"
        ]
    );
}

#[test]
fn reports_in_one_text_keep_their_specimens_apart() {
    let plan = plan(&profile(
        "text",
        r#"[specimen]
id = "id"
[result]
open_tests = true
test = "test"
value = "value"
[text]
split = '(?m)^-{5,}$'
fields = { id = 'Patient ID +(\S+)' }
row = ['(?m)^(?P<test>pH) +(?P<value>\S+)$', '(?m)^(?P<test>[a-zA-Z]\w+) +(?P<value>[\d.]+) +mmHg$']
skip = ['(?m)^\d\d:\d\d .*$']
"#,
    ));
    let text =
        b"12:58 20 Nov\nPatient ID S1\npH 7.38\npCO2 41 mmHg\n------\n13:10 20 Nov\nPatient ID S2\npH 7.20\n";
    assert_eq!(
        brief(&decode(&plan, text)),
        ["1 S1 pH 7.38 deliver", "2 S1 pCO2 41 deliver", "3 S2 pH 7.20 deliver"]
    );
}
