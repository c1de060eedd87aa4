//! Whole messages into UTF-8 before they are cut, with the way back to the bytes that were sent.
//!
//! No byte is lost: one that belongs to no character becomes a private-use character of its own, U+F700
//! and its value, so that two messages that differ in such a byte differ in the text as well.
//! [`shown`] turns these into U+FFFD for people.

use std::borrow::Cow;

use encoding_rs::DecoderResult;

use super::Charset;

/// Stands for byte 0.
const MALFORMED: u32 = 0xF700;

/// A message in UTF-8.
#[must_use]
pub fn transcode(charset: Charset, raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len() + raw.len() / 2);
    walk(charset, raw, |_, piece| match piece {
        Piece::Text(piece) => text.push_str(piece),
        Piece::Malformed(bytes) => text.extend(bytes.iter().map(|byte| character(*byte))),
    });
    text
}

/// Turns offsets in the text of [`transcode`] into offsets in `raw`. They must ascend. An offset inside a
/// character becomes that of its first byte, one at or behind the end that of the end.
pub fn raw_offsets(charset: Charset, raw: &[u8], offsets: &mut [usize]) {
    let mut next = 0;
    let mut at = 0;
    walk(charset, raw, |start, piece| {
        // In a run of ASCII, and in bytes that are no text, each character has one byte of `raw`.
        let (length, one_to_one) = match piece {
            Piece::Text(piece) => (piece.len(), charset.keeps_ascii() && piece.is_ascii()),
            Piece::Malformed(bytes) => (bytes.len() * character(0).len_utf8(), false),
        };
        while let Some(offset) = offsets.get_mut(next).filter(|offset| **offset < at + length) {
            *offset = start + if one_to_one { *offset - at } else { 0 };
            next += 1;
        }
        at += length;
    });
    for offset in offsets.iter_mut().skip(next) {
        *offset = raw.len();
    }
}

/// A text as people see it, and whether bytes in it belonged to no character.
#[must_use]
pub fn shown(text: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    if !text.contains(is_malformed) {
        return (text, false);
    }
    (Cow::Owned(text.replace(is_malformed, "\u{FFFD}")), true)
}

/// Where the first byte stands that belongs to no character.
pub(super) fn first_malformed(charset: Charset, raw: &[u8]) -> Option<usize> {
    let mut first = None;
    walk(charset, raw, |start, piece| {
        if matches!(piece, Piece::Malformed(_)) && first.is_none() {
            first = Some(start);
        }
    });
    first
}

fn character(byte: u8) -> char {
    char::from_u32(MALFORMED + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_malformed(character: char) -> bool {
    (MALFORMED..=MALFORMED + 0xFF).contains(&u32::from(character))
}

/// What some bytes are.
enum Piece<'p> {
    /// A run of ASCII, or what one more byte completed.
    Text(&'p str),
    /// Bytes of no character.
    Malformed(&'p [u8]),
}

/// Goes over the bytes in order; each piece comes with the offset of its first byte. The decoder is given
/// one byte at a time outside ASCII: only so it says which bytes a character is made of.
fn walk(charset: Charset, raw: &[u8], mut each: impl FnMut(usize, Piece<'_>)) {
    let Some(encoding) = charset.encoding() else { return };
    let mut decoder = encoding.new_decoder_without_bom_handling();
    // Room for every character that one byte can complete.
    let mut room = [0; 32];
    let (mut start, mut at) = (0, 0);
    loop {
        if charset.keeps_ascii() && start == at {
            let run = raw[at..].iter().take_while(|byte| byte.is_ascii()).count();
            if let Ok(text) = core::str::from_utf8(&raw[at..at + run])
                && run > 0
            {
                each(at, Piece::Text(text));
                at += run;
                start = at;
            }
        }
        let is_last = at == raw.len();
        let byte = &raw[at..raw.len().min(at + 1)];
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(byte, &mut room, is_last);
        at += read;
        if let Ok(text) = core::str::from_utf8(&room[..written])
            && written > 0
        {
            each(start, Piece::Text(text));
            start = at;
        }
        match result {
            DecoderResult::Malformed(length, _) => {
                let end = at.min(start + usize::from(length));
                each(start, Piece::Malformed(&raw[start..end]));
                start = end;
            }
            DecoderResult::InputEmpty if is_last => return,
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
    }
}
