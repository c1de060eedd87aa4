//! The profiles that come with the binary.

mod support;

use labwire_driver::{Library, Protocol};
use labwire_model::Kind;
use labwire_schema::{Source, render};
use support::{code, compiled, decode};

#[test]
fn every_embedded_profile_compiles_without_a_warning() {
    let library = Library::embedded();
    assert!(library.ids().contains(&"generic/lis02"), "{:?}", library.ids());
    let mut said = String::new();
    for id in library.ids() {
        let compiled = library.compile(id).unwrap();
        for report in &compiled.reports {
            said.push_str(&render(&report.source, &report.problems));
        }
        if let Some(plan) = compiled.plan {
            assert_eq!(plan.id, id);
        }
    }
    assert!(said.is_empty(), "{said}");
}

#[test]
fn a_generic_profile_is_only_taken_where_no_other_fits() {
    let text = r#"
schema = 1
analyzer = { vendor = "House", model = "Analyzer", kind = "other", protocol = "lis02" }
identify = { "H.5.1" = '^Somebody$' }
specimen = { id = "O.3" }
result = { test = "R.3.4", value = "R.4" }
"#;
    // It has as many signs as the generic one, and its id comes behind in the alphabet.
    let profile = ("house/analyzer".to_owned(), Source::new("analyzer.toml", text));
    let library = Library::embedded().with_directory(vec![profile]);
    let found = |message: &str| -> Vec<String> {
        library.identify(message.as_bytes()).into_iter().map(|found| found.id).collect()
    };
    assert_eq!(found("H|\\^&|||Somebody^1|||||host||P|1\rL|1|N\r"), ["house/analyzer", "generic/lis02"]);
    assert_eq!(found("H|\\^&|||Nobody^1|||||host||P|1\rL|1|N\r"), ["generic/lis02"]);
    assert_eq!(found("MSH|^~\\&|NOBODY||||20260303||ORU^R01|1|P|2.5.1\r"), ["generic/hl7"]);
    assert_eq!(found("nothing that anybody knows"), Vec::<String>::new());
}

#[test]
fn what_the_standard_marks_as_a_control_is_one_under_every_profile() {
    let library = Library::embedded();
    let kinds = |id: &str, message: &str| -> Vec<Kind> {
        let plan = compiled(&library, id);
        decode(&plan, message.as_bytes()).outcomes.iter().map(|outcome| outcome.observation.kind).collect()
    };
    for id in library.ids() {
        let plan = compiled(&library, id);
        let messages: &[&str] = match plan.protocol {
            Protocol::Lis02 => &[
                "H|\\^&||||||||||Q\rP|1||A|A|A\rO|1|S1|^^S1\rR|1|^^^A^A^^A|5\rL|1\r",
                "H|\\^&||||||||||P\rP|1||A|A|A\rO|1|S1|^^S1||||||||Q\rR|1|^^^A^A^^A|5\rL|1\r",
            ],
            Protocol::Hl7 | Protocol::Law => {
                &["MSH|^~\\&|A||||20260303||ORU^R01|1|Q|2.3.1\rPID|1||A\rOBR|1||S1\rOBX|1|NM|A||5\r"]
            }
            Protocol::Text => &[],
        };
        for message in messages {
            assert_eq!(kinds(id, message), [Kind::Qc], "{id} {message}");
        }
    }
}

#[test]
fn a_raised_morphology_flag_is_not_ignored() {
    let library = Library::embedded();
    let plan = library
        .ids()
        .into_iter()
        .map(|id| compiled(&library, id))
        .find(|plan| plan.kind == "hematology" && plan.protocol == Protocol::Hl7)
        .unwrap();
    let message = "MSH|^~\\&|A||||20260303||ORU^R01|1|P|2.3.1\rPID|1||A\rOBR|1||S1\r\
        OBX|1|IS|08001^Mode^99||A\rOBX|2|IS|12014^Left Shift?^99||F\rOBX|3|IS|12014^Left Shift?^99||T\r";
    let codes: Vec<String> = decode(&plan, message.as_bytes()).outcomes.iter().map(code).collect();
    assert_eq!(
        codes,
        ["ignore: mode of the run", "ignore: morphology flag that was not raised", "unknown-test"]
    );
}
