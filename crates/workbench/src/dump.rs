//! LIS01 frames of a byte dump, read without a conversation.

use labwire_link::control::{ACK, CR, ENQ, EOT, ETB, ETX, GS, LF, NAK, STX};
use labwire_model::Diagnostic;

/// Text of a dump, as its frames hold it.
#[derive(Debug, Default)]
pub(crate) struct Unframed {
    /// The frames' text joined, one entry for each session of the dump.
    pub(crate) texts: Vec<Vec<u8>>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

struct Frame<'a> {
    at: usize,
    number: Option<u8>,
    text: &'a [u8],
    ends_chain: bool,
    checksum_right: Option<bool>,
    end: usize,
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The frame whose STX stands at `at`.
fn frame(bytes: &[u8], at: usize) -> Frame<'_> {
    let body = &bytes[at + 1..];
    let length =
        body.iter().position(|byte| matches!(*byte, STX | ETX | ETB | EOT | ENQ)).unwrap_or(body.len());
    let terminator = body.get(length).copied().filter(|byte| matches!(*byte, ETX | ETB));
    let (number, text) = match body[..length].first() {
        Some(digit @ b'0'..=b'7') => (Some(digit - b'0'), &body[1..length]),
        _ => (None, &body[..length]),
    };
    let mut end = at + 1 + length;
    let mut checksum_right = None;
    if terminator.is_some() {
        let sum = body[..=length].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        end += 1;
        if let [high, low, ..] = bytes[end..]
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            checksum_right = Some(high * 16 + low == sum);
            end += 2;
        }
    }
    Frame { at, number, text, ends_chain: terminator == Some(ETX), checksum_right, end }
}

/// Reads every frame of a dump. Faults become diagnostics; the text is taken all the same, save
/// where the next frame is plainly the repetition of a refused one.
pub(crate) fn unframe(bytes: &[u8]) -> Unframed {
    let mut found = Unframed::default();
    let mut text = Vec::new();
    let mut previous: Option<Frame<'_>> = None;
    let mut before_previous = 0;
    let mut stray = 0_usize;
    let mut at = 0;
    let diagnostic = |code: &str, at: usize, reason: String| Diagnostic::new(code, at, 0, "", reason);
    while at < bytes.len() {
        match bytes[at] {
            STX => {
                let frame = frame(bytes, at);
                at = frame.end;
                if let (Some(before), Some(number)) = (&previous, frame.number) {
                    let next = before.number.map(|before| (before + 1) % 8);
                    if before.number == Some(number) && before.text == frame.text {
                        found.diagnostics.push(diagnostic(
                            "frame-repeated",
                            frame.at,
                            format!("frame {number} is a repetition of the one before it and counts once"),
                        ));
                        continue;
                    }
                    if before.number == Some(number) && before.checksum_right == Some(false) {
                        // Only its repetition follows a refused frame under the same number.
                        text.truncate(before_previous);
                    } else if next != Some(number) {
                        found.diagnostics.push(diagnostic(
                            "frame-number",
                            frame.at,
                            format!("frame {number} where another number is due (LIS01-A2 6.3.2.1); a live link refuses it"),
                        ));
                    }
                }
                match frame.checksum_right {
                    Some(true) => {}
                    Some(false) => found.diagnostics.push(diagnostic(
                        "checksum",
                        frame.at,
                        "the frame's checksum is wrong (LIS01-A2 6.3.3); a live link refuses it".to_owned(),
                    )),
                    None => found.diagnostics.push(diagnostic(
                        "frame-torn",
                        frame.at,
                        "the frame has no end or no checksum (LIS01-A2 6.3.1)".to_owned(),
                    )),
                }
                before_previous = text.len();
                text.extend_from_slice(frame.text);
                if frame.ends_chain && !text.ends_with(b"\r") && !text.ends_with(b"\n") {
                    text.push(b'\r');
                }
                previous = Some(frame);
            }
            ENQ | EOT => {
                if !text.is_empty() {
                    found.texts.push(core::mem::take(&mut text));
                }
                previous = None;
                at += 1;
            }
            byte => {
                // Line ends and the host's replies stand between the frames of many dumps.
                if !matches!(byte, CR | LF | ACK | NAK | 0) {
                    stray += 1;
                }
                at += 1;
            }
        }
    }
    if stray > 0 {
        found.diagnostics.push(diagnostic(
            "outside-frames",
            0,
            format!("{stray} bytes stand outside any frame and were not used"),
        ));
    }
    if !text.is_empty() {
        found.texts.push(text);
    }
    found
}

/// A dump of text with a check behind GS, ended with the ETX that tools which save such texts leave
/// out. `None` where no such end is lacking: without a whole check nothing tells that the text is.
pub(crate) fn ended(stream: &[u8]) -> Option<Vec<u8>> {
    let stream = stream.trim_ascii_end();
    match stream {
        [.., GS, high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Some([stream, &[ETX]].concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(number: char, text: &str, end: char) -> String {
        let sum = format!("{number}{text}{end}").bytes().fold(0_u8, u8::wrapping_add);
        format!("\u{2}{number}{text}{end}{sum:02X}\r\n")
    }

    fn check(dump: &str, texts: &[&str], codes: &[&str]) {
        let found = unframe(dump.as_bytes());
        let read: Vec<_> =
            found.texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        assert_eq!(read, texts);
        let named: Vec<_> = found.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
        assert_eq!(named, codes);
    }

    #[test]
    fn frames_are_joined_and_sessions_kept_apart() {
        let session =
            [framed('1', "H|\\^&\r", '\u{3}'), framed('2', "R|1|", '\u{17}'), framed('3', "A\r", '\u{3}')];
        let dump = format!("\u{5}{}\u{4}\u{5}{}\u{4}", session.concat(), session[0]);
        check(&dump, &["H|\\^&\rR|1|A\r", "H|\\^&\r"], &[]);
    }

    #[test]
    fn a_refused_frame_gives_way_to_its_repetition() {
        let good = framed('1', "H|\\^&\r", '\u{3}');
        let bad = good.replace("H|", "h|");
        check(&format!("{bad}{good}"), &["H|\\^&\r"], &["checksum"]);
        check(&format!("{good}{good}"), &["H|\\^&\r"], &["frame-repeated"]);
    }

    #[test]
    fn what_a_live_link_refuses_is_read_and_said() {
        check(&framed('1', "L|1\r", '\u{3}').replace("L|1", "L|2"), &["L|2\r"], &["checksum"]);
        let jump = format!("{}{}", framed('1', "P|1\r", '\u{3}'), framed('5', "L|1\r", '\u{3}'));
        check(&jump, &["P|1\rL|1\r"], &["frame-number"]);
        check("\u{2}1P|1\r", &["P|1\r"], &["frame-torn"]);
        check("log \u{2}", &[], &["frame-torn", "outside-frames"]);
    }

    #[test]
    fn text_with_a_whole_check_is_ended_and_torn_text_is_not() {
        assert_eq!(ended(b"\x02a|\x1db0\n").as_deref(), Some(&b"\x02a|\x1db0\x03"[..]));
        assert_eq!(ended(b"\x02a|\x1db0\x03"), None);
        assert_eq!(ended(b"\x02a|\x1db"), None);
        assert_eq!(ended(b"\x02a|"), None);
    }
}
