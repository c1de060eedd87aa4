//! Every analyzer profile that is embedded, beyond the captures that prove it: living on a line of its
//! own, with its messages damaged, and with messages that nobody has captured.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;

#[path = "profiles/simulated.rs"]
mod simulated;

use std::sync::Arc;

use labwire_driver::{Library, Plan};

/// The profiles of analyzers; under a generic one nothing is delivered.
fn analyzers() -> Vec<Arc<Plan>> {
    let library = Library::embedded();
    let plans: Vec<_> = library
        .ids()
        .iter()
        .map(|id| library.compile(id).and_then(|compiled| compiled.plan).unwrap())
        .filter(|plan| !plan.no_profile)
        .map(Arc::new)
        .collect();
    assert!(plans.len() >= 30, "{} profiles", plans.len());
    plans
}
