//! The smallest set of tolerances under which a line's captures are received without a refusal.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_capture::{Body, Format, Import};
use labwire_driver::{Library, Plan};
use labwire_link::Tolerance;
use labwire_session::Note;

use super::source;
use crate::conversation::{Heard, hear};

/// Names of tolerances to be added to the dialect's defaults, in the order in which they helped most.
/// Only conversations are asked: a dump has no refusals in it. `with` makes the draft that has some.
pub(super) fn needed(
    library: &Library,
    id: &str,
    with: impl Fn(&[&str]) -> String,
    imported: &[Import],
) -> Vec<&'static str> {
    let faults = |names: &[&str]| {
        let compiled = library.compile_source(id, &source(id, &with(names)));
        compiled.plan.map(|plan| faults(&Arc::new(plan), imported))
    };
    let mut needed: Vec<&'static str> = Vec::new();
    let mut best = faults(&needed).unwrap_or(0);
    while best > 0 {
        let further = Tolerance::ALL.into_iter().map(Tolerance::name).filter(|name| !needed.contains(name));
        let tried = further.filter_map(|name| {
            let names: Vec<&str> = needed.iter().copied().chain([name]).collect();
            Some((faults(&names)?, name))
        });
        match tried.min_by_key(|(faults, _)| *faults) {
            Some((fewer, name)) if fewer < best => {
                best = fewer;
                needed.push(name);
            }
            _ => break,
        }
    }
    needed
}

/// Refusals and broken messages in all conversations.
fn faults(plan: &Arc<Plan>, imported: &[Import]) -> usize {
    imported
        .iter()
        .filter(|import| matches!(import.format, Format::Capture | Format::Packets))
        .filter_map(|import| match &import.body {
            Body::Wire(entries) => Some(entries),
            Body::Records(_) => None,
        })
        .flat_map(|entries| hear(Arc::clone(plan), &TimeZone::UTC, Timestamp::UNIX_EPOCH, entries))
        .filter(|heard| {
            matches!(heard, Heard::Note(Note::Fault(_)) | Heard::Incomplete { .. } | Heard::Close(_))
        })
        .count()
}
