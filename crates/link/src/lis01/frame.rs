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
    Layout::STANDARD.write(out, number, text, end);
}

/// What the frames of a dialect consist of, and what their sums cover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(crate) has_number: bool,
    pub(crate) sum_has_start: bool,
    pub(crate) sum_has_terminator: bool,
    pub(crate) check_is_blank: bool,
}

impl Layout {
    pub(crate) const STANDARD: Self =
        Self { has_number: true, sum_has_start: false, sum_has_terminator: true, check_is_blank: false };

    pub(crate) fn write(self, out: &mut Vec<u8>, number: u8, text: &[u8], end: UnitEnd) {
        out.reserve(text.len() + FRAME_OVERHEAD);
        out.push(STX);
        let start = out.len() - usize::from(self.sum_has_start);
        if self.has_number {
            out.push(digit(number));
        }
        out.extend_from_slice(text);
        out.push(terminator(end));
        let summed = &out[start..out.len() - usize::from(!self.sum_has_terminator)];
        let sum = summed.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        let digits =
            if self.check_is_blank { [b' '; 2] } else { [hex_digit(sum >> 4), hex_digit(sum & 0x0F)] };
        out.extend_from_slice(&digits);
        out.extend_from_slice(&[CR, LF]);
    }
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

pub(crate) fn terminator(end: UnitEnd) -> u8 {
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
    fn a_sum_covers_what_the_layout_says() {
        let written = |layout: Layout| {
            let mut frame = Vec::new();
            layout.write(&mut frame, 1, b"L|1|N\r", UnitEnd::End);
            frame
        };
        let standard = Layout::STANDARD;
        assert_eq!(written(Layout { sum_has_terminator: false, ..standard }), b"\x021L|1|N\r\x0301\r\n");
        assert_eq!(written(Layout { sum_has_start: true, ..standard }), b"\x021L|1|N\r\x0306\r\n");
        assert_eq!(written(Layout { has_number: false, ..standard }), b"\x02L|1|N\r\x03D3\r\n");
        assert_eq!(written(Layout { check_is_blank: true, ..standard }), b"\x021L|1|N\r\x03  \r\n");
    }

    #[test]
    fn carriage_return_is_text_and_line_feed_is_not() {
        assert!(!is_restricted(CR));
        assert!(is_restricted(LF));
    }
}
