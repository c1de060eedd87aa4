//! A raw dump divided into what was probably one read or write each.
//!
//! A dump has neither times nor directions. Frames, blocks and the bytes that open and close a session
//! are taken as the analyzer's; lone ACK and NAK bytes, and blocks with an MSA segment, as the host's.

use core::time::Duration;

use crate::entry::{Direction, Entry};
use crate::escape::hex_byte;
use crate::import::Note;

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const EOT: u8 = 0x04;
const ENQ: u8 = 0x05;
const ACK: u8 = 0x06;
const LF: u8 = 0x0a;
const VT: u8 = 0x0b;
const CR: u8 = 0x0d;
const NAK: u8 = 0x15;
const ETB: u8 = 0x17;
const FS: u8 = 0x1c;

/// Entries of a dump, all at offset zero. Together they hold every byte of it, save that frames whose
/// line ends an editor changed are given their CRs back where the checksum proves that they had them.
pub(crate) fn split_dump(bytes: &[u8], notes: &mut Vec<Note>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut mended = 0_u32;
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let length = match first {
            ENQ | EOT | ACK | NAK => 1,
            STX => frame_length(rest),
            VT => block_length(rest),
            _ => rest.iter().position(|byte| is_start(*byte)).unwrap_or(rest.len()),
        };
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        let entry = match first {
            ACK | NAK => Entry::to_analyzer(Duration::ZERO, piece),
            VT if carries_msa(piece) => Entry::to_analyzer(Duration::ZERO, piece),
            STX => match mend(piece) {
                Some(frame) => {
                    mended += 1;
                    Entry::to_host(Duration::ZERO, frame)
                }
                None => Entry::to_host(Duration::ZERO, piece),
            },
            _ => Entry::to_host(Duration::ZERO, piece),
        };
        entries.push(entry);
    }
    if mended > 0 {
        notes.push(Note::general(format!(
            "line ends inside {mended} frames were changed by an editor; with CR their checksums are right"
        )));
    }
    if entries.iter().any(|entry: &Entry| entry.direction() == Direction::ToAnalyzer) {
        notes.push(Note::general(
            "a dump has no directions and no times: lone ACK and NAK are taken as the host's, all else as the analyzer's",
        ));
    }
    entries
}

/// Bytes that begin an entry of their own.
const fn is_start(byte: u8) -> bool {
    matches!(byte, ENQ | EOT | ACK | NAK | STX | VT)
}

/// STX to ETX or ETB with the two hex digits and the line end behind it; a frame without an end reaches
/// to the next control byte that cannot be text.
fn frame_length(bytes: &[u8]) -> usize {
    for (at, &byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            ETX | ETB => return at + 1 + trailer_length(&bytes[at + 1..]),
            STX | ENQ | EOT | VT => return at,
            _ => {}
        }
    }
    bytes.len()
}

fn trailer_length(bytes: &[u8]) -> usize {
    let digits = bytes.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let mut length = if digits == 2 { 2 } else { 0 };
    for end in [CR, LF] {
        if bytes.get(length) == Some(&end) {
            length += 1;
        }
    }
    length
}

/// VT to FS and the line end behind it; a block without an end reaches to the next VT.
fn block_length(bytes: &[u8]) -> usize {
    for (at, &byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            FS => {
                let end = bytes.get(at + 1).is_some_and(|byte| matches!(*byte, CR | LF));
                return at + 1 + usize::from(end);
            }
            VT => return at,
            _ => {}
        }
    }
    bytes.len()
}

fn carries_msa(block: &[u8]) -> bool {
    block.windows(4).any(|window| matches!(window[0], CR | LF) && &window[1..] == b"MSA")
}

/// The frame with CR for every line end, when its checksum is wrong as it stands and right with them.
fn mend(frame: &[u8]) -> Option<Vec<u8>> {
    let end = frame.iter().position(|byte| matches!(*byte, ETX | ETB))?;
    let sent = hex_byte(*frame.get(end + 1)?, *frame.get(end + 2)?)?;
    let text = &frame[1..=end];
    if !text.contains(&LF) || checksum(text) == sent {
        return None;
    }
    let mut mended = Vec::with_capacity(frame.len());
    mended.push(STX);
    let mut before = 0;
    for &byte in text {
        match byte {
            LF if before == CR => {}
            LF => mended.push(CR),
            _ => mended.push(byte),
        }
        before = byte;
    }
    if checksum(&mended[1..]) != sent {
        return None;
    }
    mended.extend_from_slice(&frame[end + 1..]);
    Some(mended)
}

/// LIS01-A2 6.3.3: the sum, modulo 256, of all bytes behind STX up to and including ETX or ETB.
fn checksum(text: &[u8]) -> u8 {
    text.iter().fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::escape;

    fn framed(text: &str) -> Vec<u8> {
        let mut body = text.as_bytes().to_vec();
        body.push(ETX);
        let sum = checksum(&body);
        let mut frame = vec![STX];
        frame.extend_from_slice(&body);
        frame.extend_from_slice(format!("{sum:02X}\r\n").as_bytes());
        frame
    }

    fn lines(entries: &[Entry]) -> Vec<String> {
        entries
            .iter()
            .map(|entry| format!("{} {}", entry.direction().mark(), escape(entry.bytes())))
            .collect()
    }

    #[test]
    fn a_session_of_both_directions_is_taken_apart() {
        let mut dump = b"\x05\x06".to_vec();
        dump.extend_from_slice(&framed("1H|\\^&\r"));
        dump.extend_from_slice(b"\x06\x04");
        let entries = split_dump(&dump, &mut Vec::new());
        assert_eq!(
            lines(&entries),
            ["> <ENQ>", "< <ACK>", "> <STX>1H|\\^&<CR><ETX>E5<CR><LF>", "< <ACK>", "> <EOT>"]
        );
    }

    #[test]
    fn every_byte_of_a_dump_is_in_an_entry() {
        let dump: Vec<u8> = (0..=255).rev().chain(0..=255).chain(0..=255).collect();
        let entries = split_dump(&dump, &mut Vec::new());
        let joined: Vec<u8> = entries.iter().flat_map(|entry| entry.bytes().to_vec()).collect();
        assert_eq!(joined, dump);
    }

    #[test]
    fn a_frame_with_changed_line_ends_is_mended_when_its_checksum_proves_them() {
        for ends in ["\n", "\r\n"] {
            let right = framed("1H|\\^&\rP|1\rL|1|N\r");
            let text = String::from_utf8(right.clone()).unwrap();
            let (inner, trailer) = text.split_once('\x03').unwrap();
            let edited = format!("{}\x03{trailer}", inner.replace('\r', ends));
            let mut notes = Vec::new();
            let entries = split_dump(edited.as_bytes(), &mut notes);
            assert_eq!(entries, [Entry::to_host(Duration::ZERO, right)]);
            assert!(notes[0].text.contains("1 frames"), "{notes:?}");
        }
    }

    #[test]
    fn a_frame_whose_checksum_proves_nothing_stays_as_it_is() {
        let broken = b"\x021H|\\^&\nL|1\n\x0300\r\n";
        let entries = split_dump(broken, &mut Vec::new());
        assert_eq!(entries[0].bytes(), broken);
    }

    #[test]
    fn blocks_that_acknowledge_are_the_hosts() {
        let dump = b"\x0bMSH|^~\\&|A\rPID|1\r\x1c\r\x0bMSH|^~\\&|B\rMSA|AA|7\r\x1c\r";
        let directions: Vec<Direction> =
            split_dump(dump, &mut Vec::new()).iter().map(Entry::direction).collect();
        assert_eq!(directions, [Direction::ToHost, Direction::ToAnalyzer]);
    }
}
