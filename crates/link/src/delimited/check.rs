//! How the bytes of a text are checked, and where the check stands.

use crate::control::{CR, LF};

/// How the bytes of a text are checked. Mark and check are no content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Check {
    /// Not at all.
    #[default]
    None,
    /// The text ends with a mark and two hexadecimal digits: the sum of all bytes behind the start
    /// marker up to and including the mark, modulo 256.
    SumThroughMark {
        /// The mark, GS in BCI.
        mark: u8,
    },
    /// The text ends with two hexadecimal digits: the sum of all bytes behind the start marker up to
    /// them, modulo 256.
    SumBeforeEnd,
    /// Two hexadecimal digits behind the end marker: the sum of all bytes behind the start marker
    /// through the end marker, modulo 256.
    SumBehindEnd,
    /// One byte behind the end marker: exclusive or of all bytes behind the start marker through the
    /// end marker (block check character).
    XorBehindEnd,
}

impl Check {
    /// How many bytes of the check stand behind the end marker.
    pub(super) fn trailer_bytes(self) -> usize {
        match self {
            Self::None | Self::SumThroughMark { .. } | Self::SumBeforeEnd => 0,
            Self::SumBehindEnd => 2,
            Self::XorBehindEnd => 1,
        }
    }

    /// Length of the content of what stood between the markers, if the check holds. `trailer` stood
    /// behind the end marker.
    pub(super) fn content(self, text: &[u8], end: &[u8], trailer: &[u8]) -> Option<usize> {
        match self {
            Self::None => Some(text.len()),
            Self::SumThroughMark { mark } => {
                let last = text.iter().rposition(|byte| !matches!(*byte, CR | LF));
                let (summed, digits) = text[..last.map_or(0, |last| last + 1)].split_last_chunk::<2>()?;
                let content = summed.strip_suffix(&[mark])?;
                (hex(digits) == Some(sum(summed))).then_some(content.len())
            }
            Self::SumBeforeEnd => {
                let (summed, digits) = text.split_last_chunk::<2>()?;
                (hex(digits) == Some(sum(summed))).then_some(summed.len())
            }
            Self::SumBehindEnd => {
                let right = sum(text).wrapping_add(sum(end));
                (hex(trailer) == Some(right)).then_some(text.len())
            }
            Self::XorBehindEnd => (trailer == [xor(text) ^ xor(end)]).then_some(text.len()),
        }
    }

    /// Appends check and end marker to a text of ours, which begins at `start` of `out`.
    pub(super) fn close(self, out: &mut Vec<u8>, start: usize, end: &[u8]) {
        let digits = match self {
            Self::None | Self::SumBehindEnd | Self::XorBehindEnd => String::new(),
            Self::SumThroughMark { mark } => {
                out.push(mark);
                format!("{:02x}", sum(&out[start..]))
            }
            Self::SumBeforeEnd => format!("{:02X}", sum(&out[start..])),
        };
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(end);
        match self {
            Self::SumBehindEnd => {
                let digits = format!("{:02X}", sum(&out[start..]));
                out.extend_from_slice(digits.as_bytes());
            }
            Self::XorBehindEnd => out.push(xor(&out[start..])),
            Self::None | Self::SumThroughMark { .. } | Self::SumBeforeEnd => {}
        }
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |xor, byte| xor ^ byte)
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digits = core::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{ETX, FS, GS};

    const BCI: Check = Check::SumThroughMark { mark: GS };

    #[test]
    fn the_sum_covers_everything_from_behind_the_start_through_the_mark() {
        // 1E + 63 + 69 + 37 + 7C + 1D = 1BA
        assert_eq!(BCI.content(b"\x1Eci7|\x1Dba", &[ETX], b""), Some(5));
        assert_eq!(BCI.content(b"\x1Eci7|\x1DBA\r\n", &[ETX], b""), Some(5));
        assert_eq!(BCI.content(b"\x1Eci7|\x1Dbb", &[ETX], b""), None);
    }

    #[test]
    fn a_text_without_mark_or_digits_fails_its_check() {
        // 1E + 63 + 69 + 37 + 7C = 19D: the sum alone is not enough.
        for text in [&b""[..], b"ba", b"\x1Eci7|9d", b"\x1Eci7|\x1D+a", b"\x1D"] {
            assert_eq!(BCI.content(text, &[ETX], b""), None);
        }
    }

    #[test]
    fn a_sum_before_the_end_covers_the_fields_with_their_separators() {
        assert_eq!(Check::SumBeforeEnd.content(b"N\x1C6A", &[ETX], b""), Some(2));
        assert_eq!(Check::SumBeforeEnd.content(b"M\x1CA\x1C\x1CE2", &[ETX], b""), Some(5));
        assert_eq!(Check::SumBeforeEnd.content(b"M\x1CA\x1C\x1CE3", &[ETX], b""), None);
        assert_eq!(Check::SumBeforeEnd.content(b"A", &[ETX], b""), None);
    }

    #[test]
    fn a_check_behind_the_end_covers_the_end_too() {
        // 41 ^ 42 ^ 03 = 00, 41 + 42 + 03 = 86
        assert_eq!(Check::XorBehindEnd.content(b"AB", &[ETX], b"\x00"), Some(2));
        assert_eq!(Check::XorBehindEnd.content(b"AB", &[ETX], b"\x03"), None);
        assert_eq!(Check::SumBehindEnd.content(b"AB", &[ETX], b"86"), Some(2));
        assert_eq!(Check::SumBehindEnd.content(b"AB", &[ETX], b"83"), None);
    }

    #[test]
    fn what_is_closed_passes_its_own_check() {
        for check in [Check::None, BCI, Check::SumBeforeEnd, Check::SumBehindEnd, Check::XorBehindEnd] {
            let mut out = vec![b'\x02', b'N', FS];
            check.close(&mut out, 1, &[ETX]);
            let end = out.len() - check.trailer_bytes();
            assert_eq!(check.content(&out[1..end - 1], &[ETX], &out[end..]), Some(2), "{check:?}");
        }
    }
}
