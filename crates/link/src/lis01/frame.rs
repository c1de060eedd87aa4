//! The frame on the wire: layout, checksum, forbidden bytes.

use crate::UnitEnd;
use crate::control::{CR, ETB, ETX, LF, STX};

/// STX, frame number, terminator, two checksum digits, CR and LF.
pub(crate) const FRAME_OVERHEAD: usize = 7;
/// Longest text that any edition allows in one frame.
pub(crate) const TEXT_BYTES_MAX: usize = 63_993;

/// Checksum of a frame: number digit, text and terminator, added as octets.
pub fn frame_checksum(number: u8, text: &[u8], end: UnitEnd) -> u8 {
    text.iter().fold(digit(number).wrapping_add(terminator(end)), |sum, byte| sum.wrapping_add(*byte))
}

/// Appends a whole frame.
pub fn write_frame(out: &mut Vec<u8>, number: u8, text: &[u8], end: UnitEnd) {
    let sum = frame_checksum(number, text, end);
    out.reserve(text.len() + FRAME_OVERHEAD);
    out.extend_from_slice(&[STX, digit(number)]);
    out.extend_from_slice(text);
    out.extend_from_slice(&[terminator(end), hex_digit(sum >> 4), hex_digit(sum & 0x0F), CR, LF]);
}

/// Transmission controls, device controls and LF, which text must not contain (LIS01-A2 6.6). CR
/// is not among them: it ends records.
pub(crate) fn is_restricted(byte: u8) -> bool {
    matches!(byte, 0x01..=0x06 | LF | 0x10..=0x17)
}

/// The value of a checksum digit.
pub(crate) fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}

fn digit(number: u8) -> u8 {
    b'0' + (number & 7)
}

fn terminator(end: UnitEnd) -> u8 {
    match end {
        UnitEnd::Intermediate => ETB,
        UnitEnd::End => ETX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminator_record_has_its_well_known_frame() {
        let mut frame = Vec::new();
        write_frame(&mut frame, 1, b"L|1|N\r", UnitEnd::End);
        assert_eq!(frame, b"\x021L|1|N\r\x0304\r\n");
    }

    #[test]
    fn an_intermediate_frame_sums_its_own_terminator() {
        assert_eq!(frame_checksum(1, b"L|1|N", UnitEnd::Intermediate), 0x0B);
    }

    #[test]
    fn carriage_return_is_text_and_line_feed_is_not() {
        assert!(!is_restricted(CR));
        assert!(is_restricted(LF));
    }
}
