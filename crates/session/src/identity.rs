//! Whether the analyzer that the profile is for sent a message, and what is done where it did not.

use labwire_driver::{Plan, Protocol};
use labwire_model::{DecodedMessage, Diagnostic, Disposition, MessageKind, Observation, Outcome};

/// The code of everything that the wrong analyzer sent.
pub const WRONG_ANALYZER: &str = "wrong-analyzer";

/// What is done about a message that another analyzer seems to have sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Everything in it is held.
    #[default]
    Hold,
    /// It is filed, with a diagnostic.
    Note,
    /// Nobody looks.
    Off,
}

/// Compares what the message says of its sender with what the profile expects.
pub(crate) fn check(identity: Identity, plan: &Plan, raw: &[u8], decoded: &mut DecodedMessage) {
    if identity == Identity::Off {
        return;
    }
    let found = plan.contradictions(raw);
    if found.is_empty() {
        return;
    }
    let expected = format!("expected {} {}", plan.vendor, plan.model);
    for contradiction in &found {
        let reason = format!("{contradiction}: {expected}");
        decoded.diagnostics.push(Diagnostic::new(WRONG_ANALYZER, 0, 1, "", reason));
    }
    if identity == Identity::Note {
        return;
    }
    // A text in which this profile finds nothing may be full of another analyzer's results.
    if plan.protocol == Protocol::Text && decoded.kind == MessageKind::Other && decoded.outcomes.is_empty() {
        let observation = Observation { record: 1, ..Observation::default() };
        decoded.outcomes.push(Outcome { observation, disposition: Disposition::Deliver });
        decoded.kind = MessageKind::Results;
    }
    let reason = format!("{}: {expected}", found.join(", "));
    for outcome in &mut decoded.outcomes {
        // Also what a rule ignores or holds: the rules are those of an analyzer that did not speak.
        outcome.disposition = Disposition::Hold { code: WRONG_ANALYZER.to_owned(), reason: reason.clone() };
    }
}
