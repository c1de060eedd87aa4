//! The profiles that come with the binary.

use labwire_driver::Library;
use labwire_schema::render;

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
    let first =
        |message: &[u8]| Library::embedded().identify(message).into_iter().next().map(|found| found.id);
    let known = "H|\\^&|||c311^1|||||host|RSUPL^REAL|P|1\rL|1|N\r";
    assert_ne!(first(known.as_bytes()).as_deref(), Some("generic/lis02"));
    let unknown = "H|\\^&|||Nobody^1|||||host||P|1\rL|1|N\r";
    assert_eq!(first(unknown.as_bytes()).as_deref(), Some("generic/lis02"));
    let unknown = "MSH|^~\\&|NOBODY||||20260303||ORU^R01|1|P|2.5.1\r";
    assert_eq!(first(unknown.as_bytes()).as_deref(), Some("generic/hl7"));
    assert_eq!(first(b"nothing that anybody knows"), None);
}
