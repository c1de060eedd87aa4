//! Which HL7 message types a host takes from an analyzer.

use labwire_driver::Acknowledge;

/// Table 0357: the message type is not supported.
pub(crate) const UNSUPPORTED_MESSAGE_TYPE: u16 = 200;
/// Table 0357: the event is not supported.
pub(crate) const UNSUPPORTED_EVENT: u16 = 201;

/// Results, and the notices of an analyzer's state that it wants acknowledged: status, inventory,
/// link test, test codes, log.
const TYPES: &[(&[u8], &[&[u8]])] = &[
    (b"ORU", &[b"R01", b"R03", b"R30", b"R31", b"R32", b"R40"]),
    (b"OUL", &[b"R20", b"R21", b"R22", b"R23", b"R24"]),
    (b"ORF", &[b"R02", b"R04"]),
    (b"NMD", &[b"N02"]),
    (b"ESU", &[b"U01"]),
    (b"SSU", &[b"U03"]),
    (b"INU", &[b"U05"]),
    (b"EAN", &[b"U09"]),
    (b"TCU", &[b"U10"]),
    (b"LSU", &[b"U12", b"U13"]),
];

/// Why a type is not taken, as a code of table 0357; `None` when it is. Analyzers of early versions
/// send no event.
pub(crate) fn refusal(rules: &Acknowledge, code: &[u8], event: &[u8]) -> Option<u16> {
    if Acknowledge::lists(&rules.accept, code, event) {
        return None;
    }
    match TYPES.iter().find(|(known, _)| *known == code) {
        None => Some(UNSUPPORTED_MESSAGE_TYPE),
        Some((_, events)) if event.is_empty() || events.contains(&event) => None,
        Some(_) => Some(UNSUPPORTED_EVENT),
    }
}
