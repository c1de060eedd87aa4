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
