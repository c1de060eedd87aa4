//! Every analyzer profile that is embedded, beyond the captures that prove it: living on a line of its
//! own, with its messages damaged, and with messages that nobody has captured.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;

#[path = "profiles/mutated.rs"]
mod mutated;
#[path = "profiles/simulated.rs"]
mod simulated;
#[path = "profiles/unseen.rs"]
mod unseen;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_capture::{Body, import};
use labwire_driver::{Context, Library, Plan};
use labwire_model::DecodedMessage;
use labwire_workbench::{Heard, hear};

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

/// The messages of the captures that prove a profile.
fn messages(plan: &Arc<Plan>) -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut messages = Vec::new();
    for check in &plan.checks {
        match import(&fs::read(fixtures.join(&check.capture)).unwrap()).body {
            Body::Records(bytes) => messages.push(bytes),
            Body::Wire(entries) => {
                let heard = hear(Arc::clone(plan), &TimeZone::UTC, Timestamp::UNIX_EPOCH, &entries);
                messages.extend(heard.into_iter().filter_map(|heard| match heard {
                    Heard::Message { raw, .. } | Heard::Incomplete { raw, .. } => Some(raw),
                    Heard::Note(_) | Heard::Close(_) => None,
                }));
            }
        }
    }
    assert!(!messages.is_empty(), "{} has no message", plan.id);
    messages
}

fn decode(plan: &Plan, message: &[u8]) -> DecodedMessage {
    plan.decode(message, &Context { zone: &TimeZone::UTC })
}
