//! Terminal programs' logs: control characters by name, line breaks of the log's own, words about
//! times and directions in between.

use crate::escape::{byte_named, control_named, hex_byte};
use crate::import::Note;

/// Names that only stand in a log for what frames a message.
const FRAMING: [u8; 3] = [0x02, 0x05, 0x0b];

/// Whether a framing character is written by name: `<STX>`, `[ENQ]`, `{VT}`, `␂`.
pub(crate) fn names_framing(text: &[u8]) -> bool {
    (0..text.len()).any(|at| match token(&text[at..], Style::Names) {
        Some((byte, _)) => FRAMING.contains(&byte),
        None => false,
    })
}

/// Whether a framing character is written as `\x02`, which text may contain for other reasons.
pub(crate) fn has_hex_names(text: &[u8]) -> bool {
    (0..text.len()).any(|at| match token(&text[at..], Style::Escapes) {
        Some((byte, _)) => FRAMING.contains(&byte),
        None => false,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `<STX>`, `[STX]`, `{STX}`, `␂`.
    Names,
    /// `\x02`, `\r`, `\n`, `\\`: a program's string literal.
    Escapes,
}

/// The bytes that a log stands for. Inside a frame or block all of its text counts; outside, only
/// named control characters do, the rest is the log's own words.
pub(crate) fn expand(text: &[u8], notes: &mut Vec<Note>) -> Vec<u8> {
    let style = if names_framing(text) { Style::Names } else { Style::Escapes };
    let names_line_ends = (0..text.len()).any(|at| matches!(token(&text[at..], style), Some((b'\r', _))));
    let mut bytes = Vec::with_capacity(text.len());
    let mut place = Place::Outside;
    let mut left_out = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if let Some((byte, length)) = token(&text[at..], style) {
            bytes.push(byte);
            place = place.after(byte);
            at += length;
            continue;
        }
        match (text[at], place) {
            // The log breaks lines where it likes unless they are the only line ends that it has.
            (b'\r' | b'\n', Place::Inside) if names_line_ends => {}
            (b'\r', Place::Inside) if text.get(at + 1) == Some(&b'\n') => {}
            (b'\r' | b'\n', Place::Inside) => bytes.push(b'\r'),
            (byte, Place::Inside) => bytes.push(byte),
            (byte, Place::Trailer(digits)) if digits > 0 && byte.is_ascii_hexdigit() => {
                bytes.push(byte);
                place = Place::Trailer(digits - 1);
            }
            (b'\r' | b'\n', _) => place = Place::Outside,
            _ => {
                place = Place::Outside;
                left_out += 1;
            }
        }
        at += 1;
    }
    if left_out > 0 {
        notes.push(Note::general(format!(
            "{left_out} characters of the log between the messages were left out"
        )));
    }
    bytes
}

/// Where in the traffic the log has come to.
#[derive(Clone, Copy)]
enum Place {
    Outside,
    Inside,
    /// Behind ETX, ETB or GS, with so many checksum digits still to come.
    Trailer(u8),
}

impl Place {
    const fn after(self, byte: u8) -> Self {
        match byte {
            0x02 | 0x0b => Self::Inside,
            0x03 | 0x17 => Self::Trailer(2),
            0x1c | 0x04 | 0x05 => Self::Outside,
            _ => self,
        }
    }
}

/// The control character that the text begins with, and the length of its name.
fn token(text: &[u8], style: Style) -> Option<(u8, usize)> {
    match (text.first()?, style) {
        (open @ (b'<' | b'[' | b'{'), Style::Names) => {
            let close = match open {
                b'<' => b'>',
                b'[' => b']',
                _ => b'}',
            };
            let end = text.iter().take(6).position(|&byte| byte == close)?;
            let name = &text[1..end];
            // Two bare hex digits in square or curly brackets may be text such as a rack position.
            let byte = if *open == b'<' { byte_named(name) } else { control_named(name) }?;
            Some((byte, end + 1))
        }
        // U+2400 to U+241F are pictures of the control characters: E2 90 80 to E2 90 9F.
        (0xe2, Style::Names) => match text {
            [_, 0x90, last @ 0x80..=0x9f, ..] => Some((last - 0x80, 3)),
            _ => None,
        },
        (b'\\', Style::Escapes) => match text {
            [_, b'x', high, low, ..] => Some((hex_byte(*high, *low)?, 4)),
            [_, b'r', ..] => Some((b'\r', 2)),
            [_, b'n', ..] => Some((b'\n', 2)),
            [_, b'\\', ..] => Some((b'\\', 2)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(log: &str) -> String {
        let bytes = expand(log.as_bytes(), &mut Vec::new());
        crate::escape::escape(&bytes)
    }

    #[test]
    fn names_in_any_brackets_become_their_bytes() {
        let expected = "<ENQ><ACK><STX>1H|\\^&<CR><ETX>E5<CR><LF><EOT>";
        assert_eq!(expanded("<ENQ><ACK><STX>1H|\\^&<CR><ETX>E5<CR><LF><EOT>"), expected);
        assert_eq!(expanded("[ENQ]\n[ACK]\n[STX]1H|\\^&[CR][ETX]E5[CR][LF]\n[EOT]\n"), expected);
        assert_eq!(expanded("␅␆␂1H|\\^&␍␃E5␍␊␄"), expected);
        assert_eq!(expanded(r"b'\x05' b'\x06' b'\x021H|\\^&\r\x03E5\r\n' b'\x04'"), expected);
    }

    #[test]
    fn words_of_the_log_between_the_messages_are_left_out_and_counted() {
        let mut notes = Vec::new();
        let log =
            b"08:14:07 RX: <ENQ>\r\n08:14:07 TX: <ACK>\r\n08:14:08 RX: <STX>1L|1|N<CR><ETX>06<CR><LF>\r\n";
        let bytes = expand(log, &mut notes);
        assert_eq!(bytes, b"\x05\x06\x021L|1|N\r\x0306\r\n");
        assert!(notes[0].text.starts_with("39 characters"), "{notes:?}");
    }

    #[test]
    fn line_breaks_are_line_ends_only_where_the_log_names_none() {
        assert_eq!(expanded("<STX>1H|\\^&\nP|1\n<ETX>00"), "<STX>1H|\\^&<CR>P|1<CR><ETX>00");
        assert_eq!(expanded("<STX>1H|\\^&<CR>\nP|1<CR>\n<ETX>00"), "<STX>1H|\\^&<CR>P|1<CR><ETX>00");
    }

    #[test]
    fn brackets_that_name_nothing_stay_text() {
        assert_eq!(
            expanded("<STX>1R|1|<0.5|[B. Plasma]|[12]<ETX>00"),
            "<STX>1R|1|<3C>0.5|[B. Plasma]|[12]<ETX>00"
        );
    }
}
