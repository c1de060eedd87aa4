//! What is odd about an HL7 observation although it can be read: told beside it, and no reason to hold it.

use labwire_message::Record;
use labwire_message::hl7::embedded_data;
use labwire_model::{Diagnostic, Disposition, Outcome};

use crate::checks;
use crate::plan::Plan;

/// Findings about one OBX that no rule of the profile ignores.
pub(super) fn tell(plan: &Plan, obx: Record<'_>, outcome: &Outcome, diagnostics: &mut Vec<Diagnostic>) {
    if matches!(outcome.disposition, Disposition::Ignore { .. }) {
        return;
    }
    let mut tell = |code: &str, path: &str, reason: &'static str| {
        diagnostics.push(Diagnostic::new(code, obx.offset(), obx.ordinal(), path, reason));
    };
    let bytes = |number: u16| obx.field(number).map_or(&b""[..], |field| field.bytes());
    let (value_type, value) = (bytes(2), bytes(5));
    let text = outcome.observation.text.as_deref().unwrap_or_default();
    let is_sentinel = plan.rules.sentinels.iter().any(|sentinel| sentinel == text);
    if value_type.is_empty() && !value.is_empty() {
        tell(
            "type-missing",
            "OBX-2",
            "the observation has a value and no type; the value was read as it looks",
        );
    } else if value_type == b"NM" && !text.is_empty() && !is_sentinel && !is_number(text) {
        tell("type-mismatch", "OBX-2", "the value is called a number and is more or something else");
    }
    if value.last().is_some_and(|last| Some(*last) == obx.delimiters().truncation) {
        tell("value-truncated", "OBX-5", "the sender cut the value short, as its last character says");
    }
    if value_type == b"ED"
        && let Some(field) = obx.field(5)
        && embedded_data(&field, obx.delimiters().escape).is_err()
    {
        tell("embedded-data", "OBX-5", "the embedded data cannot be decoded; it is kept as sent");
    }
    let component = |number: u16| {
        let part = obx.field(3).and_then(|field| field.component(number));
        part.and_then(|part| core::str::from_utf8(part.bytes()).ok()).unwrap_or_default()
    };
    if component(3) == "LN" && checks::loinc(component(1)).is_err() {
        tell("loinc-check-digit", "OBX-3", "the code is called a LOINC code and its check digit is wrong");
    }
}

/// Digits with a sign and a point: all that NM allows (HL7 v2 §2.A.47).
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
}
