//! Where the text of messages lies in a stream, and the sums that cover it.

use labwire_link::control::{ENQ, EOT, ETB, ETX, FS, GS, STX, VT};

/// One message's text: the place of each of its bytes in the stream.
pub(super) type Places = Vec<usize>;

/// Two hexadecimal digits that hold the sum of a stretch of the stream.
#[derive(Debug)]
struct Sum {
    covers: core::ops::Range<usize>,
    at: usize,
}

/// A stream taken apart.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Texts, each to be read as one message or session.
    pub(super) texts: Vec<Places>,
    /// Stretches that repeat an earlier one byte for byte: where it begins, where they do, how long.
    repeats: Vec<(usize, usize, usize)>,
    sums: Vec<Sum>,
    /// Bytes behind an end that may be a check of a kind that is not known here.
    pub(super) unknown_checks: usize,
}

fn is_hex(bytes: &[u8]) -> bool {
    matches!(bytes, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

impl Layout {
    pub(super) fn of(stream: &[u8]) -> Self {
        if stream.contains(&VT) && stream.contains(&FS) {
            Self::blocks(stream)
        } else if stream.contains(&STX) {
            Self::frames(stream)
        } else {
            Self { texts: vec![(0..stream.len()).collect()], ..Self::default() }
        }
    }

    fn blocks(stream: &[u8]) -> Self {
        let mut layout = Self::default();
        let mut text = Places::new();
        for (place, byte) in stream.iter().enumerate() {
            if matches!(*byte, VT | FS) {
                layout.texts.push(core::mem::take(&mut text));
            } else {
                text.push(place);
            }
        }
        layout.texts.push(text);
        layout
    }

    fn frames(stream: &[u8]) -> Self {
        let mut layout = Self::default();
        let mut text = Places::new();
        let mut previous: Option<core::ops::Range<usize>> = None;
        let mut place = 0;
        while place < stream.len() {
            match stream[place] {
                STX => {
                    let body = place + 1;
                    let length = stream[body..]
                        .iter()
                        .position(|byte| matches!(*byte, STX | ETX | ETB | EOT | ENQ))
                        .unwrap_or(stream.len() - body);
                    let end = body + length;
                    let numbered = matches!(stream.get(body), Some(b'0'..=b'7'));
                    let begins = body + usize::from(numbered);
                    let is_repeat = previous
                        .as_ref()
                        .is_some_and(|earlier| numbered && stream[earlier.clone()] == stream[body..end]);
                    if let (true, Some(earlier)) = (is_repeat, &previous) {
                        layout.repeats.push((earlier.start, body, end - body));
                    } else {
                        text.extend(begins..end);
                    }
                    layout.sum(stream, body, end);
                    previous = Some(body..end);
                    place = end + usize::from(matches!(stream.get(end), Some(&ETX | &ETB)));
                }
                ENQ | EOT => {
                    layout.texts.push(core::mem::take(&mut text));
                    previous = None;
                    place += 1;
                }
                _ => place += 1,
            }
        }
        layout.texts.push(text);
        layout
    }

    /// The sum of a frame, behind its terminator or, in a text with a group separator, behind that.
    fn sum(&mut self, stream: &[u8], body: usize, end: usize) {
        if let Some(separator) = stream[body..end].iter().rposition(|byte| *byte == GS) {
            let at = body + separator + 1;
            if is_hex(&stream[at..end]) {
                self.sums.push(Sum { covers: body..at - 1, at });
            }
            return;
        }
        match stream.get(end + 1..) {
            Some(rest) if is_hex(rest) => self.sums.push(Sum { covers: body..end, at: end + 1 }),
            Some([next, ..]) if !matches!(*next, b'\r' | b'\n' | STX | ENQ | EOT | 0x06 | 0x15) => {
                self.unknown_checks += 1;
            }
            _ => {}
        }
    }

    /// Makes repeats and sums right again. A sum is a sum, whatever else it covers: it moves by as much
    /// as what it covers moved, so one that was wrong stays wrong by the same amount.
    pub(super) fn mend(&self, before: &[u8], stream: &mut [u8]) {
        for (from, to, length) in &self.repeats {
            stream.copy_within(*from..*from + *length, *to);
        }
        let total = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        for sum in &self.sums {
            let digits = core::str::from_utf8(&before[sum.at..sum.at + 2]).unwrap_or_default();
            let Ok(old) = u8::from_str_radix(digits, 16) else { continue };
            let new = old
                .wrapping_add(total(&stream[sum.covers.clone()]))
                .wrapping_sub(total(&before[sum.covers.clone()]));
            let small = digits.bytes().any(|byte| byte.is_ascii_lowercase());
            let text = if small { format!("{new:02x}") } else { format!("{new:02X}") };
            stream[sum.at..sum.at + 2].copy_from_slice(text.as_bytes());
        }
    }
}
