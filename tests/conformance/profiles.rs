//! Plans for the scripts: a profile of the table, or one that is shipped, with a case's own keys laid
//! over it.

use std::collections::BTreeMap;

use labwire_driver::{Library, Plan};
use labwire_schema::{Source, render};

use crate::table::Step;

/// Compiles a profile; `toml` steps are laid over it key by key.
pub(crate) fn plan(profiles: &BTreeMap<String, String>, name: &str, steps: &[Step]) -> Plan {
    let own: String =
        steps.iter().filter(|step| step.verb == "toml").map(|step| format!("{}\n", step.rest)).collect();
    let mut library = Library::embedded();
    let id = match profiles.get(name) {
        Some(text) => {
            let id = format!("conformance/{name}");
            let source = Source::new(format!("{name}.toml"), text);
            library = library.with_directory(vec![(id.clone(), source)]);
            id
        }
        None => name.to_owned(),
    };
    if !own.is_empty() {
        library = library
            .with_directory(vec![(id.clone(), Source::new("case.toml", format!("schema = 1\n{own}")))]);
    }
    let compiled = library.compile(&id).unwrap_or_else(|| panic!("there is no profile {name}"));
    let said: String =
        compiled.reports.iter().map(|report| render(&report.source, &report.problems)).collect();
    assert_eq!(said, "", "profile {name}");
    compiled.plan.expect("a profile without mistakes has a plan")
}
