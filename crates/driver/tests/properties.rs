//! What holds for any message.

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use labwire_driver::{Library, Plan};
use labwire_model::Disposition;
use proptest::prelude::*;
use support::{compiled, decode, message, plan, profile};

static LIS02: LazyLock<Plan> = LazyLock::new(|| {
    plan(&profile(
        "lis02",
        "[specimen]\nid = { first_of = [\"O.3.2\", \"O.3.1\"] }\n[patient]\nid = \"P.4\"\n[result]\ntest = { at = \"R.3.4\", cut = \"/\" }\nvalue = \"R.4\"\nunit = \"R.5\"\nflags = \"R.7\"\nstatus = \"R.9\"\nat = \"R.13\"\nopen_tests = true\n[qc]\nwhen = { \"O.12\" = '^Q$' }\n[query]\nid = \"Q.3.2\"\n",
    ))
});

static HL7: LazyLock<Plan> = LazyLock::new(|| {
    plan(&profile(
        "hl7",
        "[specimen]\nid = { first_of = [\"SPM-2.1\", \"OBR-3.1\"] }\n[result]\ntest = \"OBX-3.1\"\nvalue = \"OBX-5\"\nunit = \"OBX-6\"\nflags = \"OBX-8\"\nstatus = \"OBX-11\"\nopen_tests = true\n",
    ))
});

static ALL: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    let library = Library::embedded();
    library.ids().iter().map(|id| compiled(&library, id)).collect()
});

/// Fields with delimiters, escapes and odd bytes in them, but no line end.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z0-9 .<>=+-]{0,8}",
        2 => r"[A-Z0-9^\\&~]{0,8}",
        1 => "[\"|^\u{e9}\u{b5}\t]{0,4}",
        1 => Just("\"\"".to_owned()),
    ]
}

fn record(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (prop::sample::select(names), prop::collection::vec(field(), 0..14))
        .prop_map(|(name, fields)| format!("{name}|{}", fields.join("|")))
}

/// Results of one analyte for each specimen, whose values name the specimen they belong to.
fn specimens() -> impl Strategy<Value = Vec<(String, Vec<u32>)>> {
    prop::collection::vec(("[A-Z]{2}[0-9]{1,4}", prop::collection::vec(0..10_000_u32, 0..4)), 1..5)
}

proptest! {
    #[test]
    fn every_result_record_is_one_outcome_whatever_stands_in_it(
        records in prop::collection::vec(record(&["P", "O", "R", "R", "C", "M", "Q", "L", "S", "X"]), 0..20)
    ) {
        let lines: Vec<&str> = [r"H|\^&|||One"].into_iter().chain(records.iter().map(String::as_str)).collect();
        let decoded = decode(&LIS02, &message(&lines));
        let places: Vec<usize> =
            lines.iter().enumerate().filter(|(_, line)| line.starts_with('R')).map(|(at, _)| at + 1).collect();
        let got: Vec<usize> = decoded.outcomes.iter().map(|outcome| outcome.observation.record).collect();
        prop_assert_eq!(got, places);
    }

    #[test]
    fn every_observation_segment_is_one_outcome_whatever_stands_in_it(
        records in prop::collection::vec(record(&["PID", "OBR", "OBX", "OBX", "SPM", "NTE", "ORC", "SAC", "ZZZ"]), 0..20)
    ) {
        let lines: Vec<&str> =
            [r"MSH|^~\&|One||||||ORU^R01|1|P|2.5"].into_iter().chain(records.iter().map(String::as_str)).collect();
        let decoded = decode(&HL7, &message(&lines));
        let places: Vec<usize> =
            lines.iter().enumerate().filter(|(_, line)| line.starts_with("OBX")).map(|(at, _)| at + 1).collect();
        let got: Vec<usize> = decoded.outcomes.iter().map(|outcome| outcome.observation.record).collect();
        prop_assert_eq!(got, places);
    }

    #[test]
    fn a_value_as_sent_is_the_field_of_its_own_record(
        values in prop::collection::vec(r"[A-Za-z0-9 .<>^\\&-]{1,12}", 1..6)
    ) {
        let mut lines = vec![r"H|\^&|||One".to_owned(), "P|1".to_owned(), "O|1|S1".to_owned()];
        lines.extend(values.iter().map(|value| format!("R|1|^^^GLU|{value}|mg/dL")));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let decoded = decode(&LIS02, &message(&lines));
        let got: Vec<Option<&str>> = decoded.outcomes.iter().map(|o| o.observation.value.as_deref()).collect();
        let expected: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_value_never_moves_to_another_specimen(specimens in specimens(), lost in any::<prop::sample::Index>()) {
        let mut lines = vec![r"H|\^&|||One".to_owned()];
        let mut belongs: BTreeMap<String, String> = BTreeMap::new();
        for (at, (id, values)) in specimens.iter().enumerate() {
            let id = format!("{id}-{at}");
            lines.push(format!("P|{at}||PAT{id}"));
            lines.push(format!("O|1|{id}"));
            for value in values {
                let value = format!("{value}.{at}");
                lines.push(format!("R|1|^^^GLU|{value}"));
                belongs.insert(value, id.clone());
            }
        }
        // A line that is lost may cost a specimen its id. It must not give it another's.
        let lost = lost.index(lines.len());
        let kept: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, line)| line.as_str()).collect();
        for (lines, whole) in [(lines.iter().map(String::as_str).collect::<Vec<_>>(), true), (kept, false)] {
            for outcome in decode(&LIS02, &message(&lines)).outcomes {
                let o = &outcome.observation;
                let own = belongs.get(o.value.as_deref().unwrap_or_default());
                if whole || outcome.disposition == Disposition::Deliver {
                    prop_assert_eq!(o.specimen_id.as_ref(), own);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_any_profile_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), header in 0..4_usize) {
        let headers: [&[u8]; 4] = [b"", b"H|\\^&|||One\r", b"MSH|^~\\&|ONE\r", b"\x02"];
        let bytes = [headers[header], &bytes].concat();
        for plan in ALL.iter() {
            let decoded = decode(plan, &bytes);
            prop_assert!(decoded.outcomes.iter().all(|outcome| outcome.observation.record > 0));
            let _ = plan.identifies(&bytes);
        }
    }

    #[test]
    fn no_damage_to_one_byte_changes_how_many_observations_there_are_by_more_than_the_line_it_hits(
        at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let lines =
            [r"H|\^&|||One", "P|1||PAT1", "O|1|S1", "R|1|^^^GLU|98|mg/dL||N||F", "C|1|I|c", "R|2|^^^LAC|1.2|mmol/L||N||F", "L|1|N"];
        let mut bytes = message(&lines);
        let at = at.index(bytes.len());
        // The delimiters of the header hold for every line, a record letter for its own.
        prop_assume!(at > 8 && bytes[at] != b'\r' && byte != b'\r' && byte != b'\n');
        bytes[at] = byte;
        let count = decode(&LIS02, &bytes).outcomes.len();
        prop_assert!((1..=3).contains(&count), "{count}");
        let starts = bytes.split(|byte| *byte == b'\r').filter(|line| line.starts_with(b"R|")).count();
        prop_assert!(count >= starts.min(2) || starts == 0, "{count} of {starts}");
    }
}
