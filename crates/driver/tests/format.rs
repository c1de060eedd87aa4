//! What a profile can say about places, values, units, times and records.

mod support;

use labwire_driver::Plan;
use labwire_model::{Comparator, Observation, ObservationStatus};
use support::{code, codes, decode, message, plan, profile};

/// A LIS02 profile with these further keys under `[result]`, and whatever follows.
fn lis02(keys: &str) -> Plan {
    plan(&profile(
        "lis02",
        &format!("[specimen]\nid = \"O.3\"\n[patient]\nid = \"P.3\"\n[result]\nopen_tests = true\n{keys}\n"),
    ))
}

fn first(plan: &Plan, records: &[&str]) -> Observation {
    let mut lines = vec![r"H|\^&|||One", "P|1|PAT"];
    lines.extend(records);
    lines.push("L|1|N");
    let decoded = decode(plan, &message(&lines));
    decoded.outcomes[0].observation.clone()
}

const PLAIN: &str = "test = \"R.3.4\"\nvalue = \"R.4\"";

#[test]
fn places_fall_back_to_places_with_steps_of_their_own() {
    let plan = plan(&profile(
        "lis02",
        r#"[specimen]
id = { first_of = [{ at = "O.3.2", strip = '^0+' }, { at = "O.3.1", match = '^[A-Z]' , unless = { "O.3.1" = '^ERR' } }, "O.4.1"] }
[result]
open_tests = true
test = { join = ["R.3.4", { at = "R.5", case = "upper" }], with = "-" }
value = "R.4"
"#,
    ));
    let id = |order: &str| first(&plan, &[order, "R|1|^^^PT|12.1|s"]).specimen_id;
    assert_eq!(id("O|1|117^0042|rack").as_deref(), Some("42"));
    assert_eq!(id("O|1|B7|rack").as_deref(), Some("B"));
    assert_eq!(id("O|1|ERR1|S9").as_deref(), Some("S9"), "an unread barcode is no id");
    assert_eq!(first(&plan, &["O|1|B7", "R|1|^^^PT|12.1|s"]).analyzer_test.as_deref(), Some("PT-S"));
}

#[test]
fn where_chooses_the_repeat_of_a_field_and_the_record_among_several() {
    let plan = lis02(
        r#"test = "R.3.4"
value = { at = "R.4.1", where = { "R.4.2" = '^RAW$' } }
reagent = { at = "M.4", where = { "M.3" = '^REAGENT$' } }"#,
    );
    let o = first(
        &plan,
        &["O|1|S1", "M|1|REAGENT|LOT-7", "M|2|CARRIER|C1", r"R|1|^^^RBC|290^MAINFORMAT\293.9^RAW\1^X"],
    );
    assert_eq!(o.text.as_deref(), Some("293.9"));
    assert_eq!(o.value.as_deref(), Some(r"290^MAINFORMAT\293.9^RAW\1^X"), "the field is kept whole");
    assert_eq!(o.reagent.as_deref(), Some("LOT-7"));
    let none = first(&plan, &["O|1|S1", "R|1|^^^RBC|290^MAINFORMAT"]);
    assert_eq!(none.text, None, "no repeat is the one that is meant");
}

#[test]
fn a_qualitative_code_and_its_number_come_out_of_one_field() {
    let plan = lis02(
        r#"test = "R.3.4"
value = { at = "R.4.1", map = { "-1" = "negative", "1" = "positive" } }
number = { at = "R.4.2" }
flags = { join = ["R.7", { at = "R.4.1", when = { "R.4.2" = '.' } }] }
[flags]
"-1" = "negative""#,
    );
    let o = first(&plan, &["O|1|S1", "R|1|^^^HBSAG|-1^0.325|COI||N"]);
    assert_eq!((o.text.as_deref(), o.number.as_deref()), (Some("negative"), Some("0.325")));
    let flags: Vec<_> = o.flags.iter().map(|flag| (flag.sent.as_str(), flag.meaning.as_deref())).collect();
    assert_eq!(flags, [("N", Some("normal")), ("-1", Some("negative"))]);
}

#[test]
fn a_doubting_sign_stays_in_the_text_and_the_number_stands_behind_it() {
    let plan = lis02(
        r#"test = "R.3.4"
value = "R.4"
number = { at = "R.4", strip = '^[?*]\s*' }
flags = { at = "R.4", match = '^[?*]' }
[flags]
"?" = "unreliable""#,
    );
    let o = first(&plan, &["O|1|S1", "R|1|^^^pH|?<7.412"]);
    assert_eq!(o.text.as_deref(), Some("?<7.412"));
    assert_eq!((o.comparator, o.number.as_deref()), (Some(Comparator::Less), Some("7.412")));
    assert_eq!(o.flags[0].meaning.as_deref(), Some("unreliable"));
}

#[test]
fn values_that_stand_for_none_have_neither_text_nor_number() {
    let plan = lis02(&format!("{PLAIN}\nno_value = ['^-+$', '^NA$', '^-268435455$']"));
    for sent in ["-----", "NA", "-268435455"] {
        let bytes = message(&[r"H|\^&", "P|1", "O|1|S1", &format!("R|1|^^^K|{sent}"), "L|1|N"]);
        let decoded = decode(&plan, &bytes);
        let o = &decoded.outcomes[0].observation;
        assert_eq!((o.value.as_deref(), &o.text, &o.number), (Some(sent), &None, &None));
        assert!(codes(&decoded).iter().all(|code| *code != "no-value"), "{sent} was sent");
    }
    let below = first(&plan, &["O|1|S1", "R|1|^^^K|-0.5"]);
    assert_eq!(below.number.as_deref(), Some("-0.5"), "a negative number is one");
}

#[test]
fn decimals_are_put_where_the_test_says_and_only_where_none_were_sent() {
    let plan = lis02(&format!("{PLAIN}\n[tests.HGB]\nname = \"Hemoglobin\"\ndecimals = 1\n"));
    let o = first(&plan, &["O|1|S1", "R|1|^^^HGB|00123"]);
    assert_eq!(
        (o.value.as_deref(), o.text.as_deref(), o.number.as_deref()),
        (Some("00123"), Some("12.3"), Some("12.3"))
    );
    let own = first(&plan, &["O|1|S1", "R|1|^^^HGB|12.34"]);
    assert_eq!(own.number.as_deref(), Some("12.34"));
    let above = first(&plan, &["O|1|S1", "R|1|^^^HGB|>0250"]);
    assert_eq!((above.text.as_deref(), above.number.as_deref()), (Some(">25.0"), Some("25.0")));
    let text = first(&plan, &["O|1|S1", "R|1|^^^HGB|****"]);
    assert_eq!((text.text.as_deref(), text.number), (Some("****"), None));
}

#[test]
fn units_come_from_the_message_a_table_of_codes_or_the_test() {
    let plan = lis02(&format!(
        "{PLAIN}\nunit = \"R.5\"\nunit_of_test = true\n[tests.HGB]\nname = \"Hemoglobin\"\nunit = \"g/dL\"\nunit_codes = {{ \"1\" = \"g/dL\", \"3\" = \"mmol/L\" }}\n"
    ));
    let of = |unit: &str| {
        let lines = [r"H|\^&", "P|1", "O|1|S1", &format!("R|1|^^^HGB|12.3|{unit}"), "L|1|N"];
        let decoded = decode(&plan, &message(&lines));
        (code(&decoded.outcomes[0]), decoded.outcomes[0].observation.ucum.clone())
    };
    assert_eq!(of("1"), ("deliver".to_owned(), Some("g/dL".to_owned())));
    assert_eq!(of("3"), ("deliver".to_owned(), Some("mmol/L".to_owned())));
    assert_eq!(of(""), ("deliver".to_owned(), Some("g/dL".to_owned())));
    assert_eq!(of("4").0, "unknown-unit", "a code that no table has is not guessed at");
    assert_eq!(of("g/L").0, "unit-mismatch");
}

#[test]
fn a_test_may_have_several_codes() {
    let plan = plan(&profile(
        "lis02",
        "[specimen]\nid = \"O.3\"\n[result]\ntest = \"R.3.4\"\nvalue = \"R.4\"\n[tests.TSH]\nname = \"Thyrotropin\"\nlis = \"TSH\"\nalso = [\"TSH3\", \"10\"]\n",
    ));
    for sent in ["TSH", "TSH3", "10"] {
        let o = first(&plan, &["O|1|S1", &format!("R|1|^^^{sent}|2.1")]);
        assert_eq!(o.analyzer_test.as_deref(), Some(sent));
        assert_eq!(o.lis_test.as_deref(), Some("TSH"));
    }
}

#[test]
fn flags_are_split_by_every_separator_or_by_character() {
    let sent = |separators: &str, field: &str| -> Vec<String> {
        let plan = lis02(&format!("{PLAIN}\nflags = \"R.7\"\nflags_separator = {separators}"));
        let o = first(&plan, &["O|1|S1", &format!("R|1|^^^K|4.1|||{field}")]);
        o.flags.into_iter().map(|flag| flag.sent).collect()
    };
    assert_eq!(sent("[\"~\", \",\"]", r"H~A,W\B"), ["H", "A", "W", "B"]);
    assert_eq!(sent("\"\"", "pH "), ["p", "H"]);
}

#[test]
fn the_report_type_of_the_order_is_the_status_of_a_result_without_one() {
    let plan = lis02(&format!("{PLAIN}\nstatus = {{ first_of = [\"R.9\", \"O.26\"] }}"));
    let order = format!("O|1|S1{}P", "|".repeat(23));
    assert_eq!(first(&plan, &[&order, "R|1|^^^K|4.1"]).status, Some(ObservationStatus::Preliminary));
    assert_eq!(first(&plan, &[&order, "R|1|^^^K|4.1|||||F"]).status, Some(ObservationStatus::Final));
}

#[test]
fn rows_that_are_not_the_ordered_test_are_told_by_comparing_two_places() {
    let plan = lis02(
        r#"test = "R.3.4"
value = "R.4"
only = { same = { "R.3.4" = "O.5.4" }, reason = "not the ordered test" }"#,
    );
    let bytes = message(&[
        r"H|\^&",
        "P|1",
        r"O|1|S1||^^^qHIV\^^^HCV",
        "R|1|^^^qHIV|1200",
        "R|2|^^^ICResult|Valid",
        "R|3|^^^HCV|NEG",
        "L|1|N",
    ]);
    let decoded = decode(&plan, &bytes);
    let became: Vec<String> = decoded.outcomes.iter().map(code).collect();
    assert_eq!(became, ["deliver", "ignore: not the ordered test", "deliver"]);
}

#[test]
fn manufacturer_records_can_be_observations_and_never_see_each_other() {
    let plan = lis02(
        r#"records = ["R", "M"]
test = { first_of = ["M.3", "R.3.4"] }
value = { first_of = ["M.4", "R.4"] }"#,
    );
    let bytes = message(&[r"H|\^&", "P|1", "O|1|S1", "R|1|^^^K|4.1", "M|1|HIL|2", "R|2|^^^NA|140", "L|1|N"]);
    let decoded = decode(&plan, &bytes);
    let read: Vec<_> = decoded
        .outcomes
        .iter()
        .map(|outcome| {
            let o = &outcome.observation;
            (o.record, o.analyzer_test.clone().unwrap(), o.text.clone().unwrap())
        })
        .collect();
    let expected = [(4, "K", "4.1"), (5, "HIL", "2"), (6, "NA", "140")];
    assert_eq!(read, expected.map(|(record, test, text)| (record, test.to_owned(), text.to_owned())));
}

#[test]
fn pictures_are_attachments_and_ignored_by_name_and_what_they_are_about_is_not() {
    let plan = lis02(
        r#"test = "R.3.4"
value = "R.4"
[[attachment]]
when = { "R.3.4" = '^DIST_' }
reason = "histogram"
name = "R.3.4"
encoding = { at = "R.4.1" }
data = "R.4.2"
[[attachment]]
when = { "M.3" = '^MATRIX$' }
reason = "scattergram"
data = "M.4"
"#,
    );
    let bytes = message(&[
        r"H|\^&",
        "P|1",
        "O|1|S1",
        "M|1|MATRIX|AAAA",
        "R|1|^^^WBC|6.9",
        "R|2|^^^DIST_RBC|Base64^QUJD",
        "L|1|N",
    ]);
    let decoded = decode(&plan, &bytes);
    let became: Vec<String> = decoded.outcomes.iter().map(code).collect();
    assert_eq!(became, ["deliver", "ignore: histogram"]);
    let kept: Vec<_> = decoded
        .attachments
        .iter()
        .map(|a| (a.record, a.reason.as_str(), a.name.as_deref(), a.encoding.as_deref(), a.bytes))
        .collect();
    assert_eq!(
        kept,
        [(4, "scattergram", None, None, 4), (6, "histogram", Some("DIST_RBC"), Some("Base64"), 4)]
    );
}

#[test]
fn comments_are_dropped_or_given_to_the_specimen_by_rule() {
    let plan = lis02(&format!(
        "{PLAIN}\n[comments]\nignore = [{{ when = {{ \"C.4\" = '^0$' }}, reason = \"no alarm\" }}]\nof_specimen = {{ when = {{ \"C.5\" = '^S$' }} }}\n"
    ));
    let bytes = message(&[
        r"H|\^&",
        "P|1",
        "O|1|S1",
        "R|1|^^^K|4.1",
        "C|1|I|0|I",
        "R|2|^^^NA|140",
        "C|1|I|hemolytic|S",
        "R|3|^^^CL|99",
        "C|1|I|27|I",
        "O|2|S2",
        "R|1|^^^K|4.4",
        "L|1|N",
    ]);
    let comments: Vec<_> =
        decode(&plan, &bytes).outcomes.into_iter().map(|o| o.observation.comments).collect();
    let expected: [&[&str]; 4] = [&["hemolytic"], &["hemolytic"], &["hemolytic", "27"], &[]];
    assert_eq!(comments, expected);
}

#[test]
fn an_isolate_and_its_organism_stand_beside_each_susceptibility() {
    let plan = plan(&profile(
        "lis02",
        r#"[specimen]
id = "O.3.1"
[result]
open_tests = true
test = "R.3.6"
value = "R.4.2"
flags = "R.4.3"
[isolate]
id = "O.3.2"
organism = "O.3.3"
[flags]
S = "susceptible"
R = "resistant"
"#,
    ));
    let bytes = message(&[
        r"H|\^&",
        "P|1",
        "O|1|B100^1^PSEAER^E",
        "R|1|^^^AST^^ATM|^<=1^S",
        "O|2|B100^2^ECOLI^E",
        "R|1|^^^AST^^ATM|^>=64^R",
        "L|1|N",
    ]);
    let decoded = decode(&plan, &bytes);
    let rows: Vec<_> = decoded
        .outcomes
        .iter()
        .map(|outcome| {
            let o = &outcome.observation;
            let meaning = o.flags[0].meaning.clone().unwrap();
            format!(
                "{} {} {} {} {} {meaning}",
                o.specimen_id.as_deref().unwrap(),
                o.isolate.as_deref().unwrap(),
                o.organism.as_deref().unwrap(),
                o.analyzer_test.as_deref().unwrap(),
                o.text.as_deref().unwrap()
            )
        })
        .collect();
    assert_eq!(rows, ["B100 1 PSEAER ATM <=1 susceptible", "B100 2 ECOLI ATM >=64 resistant"]);
}

#[test]
fn times_are_read_in_the_formats_and_the_zone_of_the_analyzer() {
    let at = |keys: &str, sent: &str| {
        let plan = lis02(&format!("{PLAIN}\nat = \"R.13\"\n{keys}"));
        let record = format!("R|1|^^^K|4.1|||||||||{sent}");
        let bytes = message(&[r"H|\^&", "P|1", "O|1|S1", &record, "L|1|N"]);
        let decoded = decode(&plan, &bytes);
        let bad = codes(&decoded).contains(&"bad-time");
        (decoded.outcomes[0].observation.observed_at.clone().unwrap_or_default(), bad)
    };
    let two = "at_format = [\"%m/%d/%Y\", \"%Y/%m/%d\"]";
    assert_eq!(at(two, "10/25/2024"), ("2024-10-25".to_owned(), false));
    assert_eq!(at(two, "2024/10/25"), ("2024-10-25".to_owned(), false));
    let either = "at_format = [\"%m/%d/%Y\", \"%d/%m/%Y\"]";
    assert_eq!(at(either, "25/10/2024"), ("2024-10-25".to_owned(), false));
    assert_eq!(at(either, "03/04/2024"), (String::new(), true), "two readings, neither is taken");
    assert_eq!(at(either, "04/04/2024"), ("2024-04-04".to_owned(), false), "both say the same");
    assert_eq!(at("at_zone = \"UTC\"", "20260302081500").0, "2026-03-02T08:15:00+00:00");
    assert_eq!(at("at_zone = \"-03:30\"", "20260302081500").0, "2026-03-02T08:15:00-03:30");
    assert_eq!(at("at_format = \"epoch\"", "1772438400").0, "2026-03-02T10:00:00+02:00");
    assert_eq!(at("at_format = \"epoch-ms\"", "1772438400250").0, "2026-03-02T10:00:00.250+02:00");
    let own = "at_format = \"%Y-%m-%dT%H:%M:%S%:z\"";
    assert_eq!(at(own, "2026-03-02T08:15:00+05:30").0, "2026-03-02T08:15:00+05:30");
}
