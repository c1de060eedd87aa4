//! Escape sequences: decoded once, after the last cut, and written so that they decode to the same.
//!
//! What is no known sequence is text. It is kept byte for byte and counted, because senders write
//! lone escape characters into free text and a receiver that drops them changes a result.

use std::borrow::Cow;

use memchr::memchr;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::scan::Syntax;

/// The longest body of a sequence that is no hex or local data: `.in+99`, `M242844`.
const BODY_BYTES_MAX: usize = 12;

/// A part with its escape sequences decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The decoded bytes; borrowed where nothing was escaped.
    pub bytes: Cow<'a, [u8]>,
    /// How many sequences are to be told of: unknown ones and those without an end, which were kept as
    /// they stand, and in HL7 hexadecimal ones with an odd number of digits, which were decoded.
    pub kept: usize,
}

impl<'a> Decoded<'a> {
    /// The text in a character set, and whether any byte could not be decoded.
    #[must_use]
    pub fn text(self, charset: Charset) -> (Cow<'a, str>, bool) {
        match self.bytes {
            Cow::Borrowed(bytes) => charset.decode(bytes),
            Cow::Owned(bytes) => {
                let (text, had_errors) = charset.decode(&bytes);
                (Cow::Owned(text.into_owned()), had_errors)
            }
        }
    }
}

/// What one sequence stands for.
enum Meaning<'b> {
    Byte(u8),
    Hex(&'b [u8]),
    Text(u8, usize),
    /// Formatting without text of its own.
    Nothing,
    /// Vendor-defined: kept, and not worth a finding.
    Local,
    /// Kept and counted.
    Unknown,
    /// The escape character is text.
    Lone,
}

/// Decodes one part of a record of either syntax.
#[must_use]
pub fn decode<'a>(syntax: Syntax, raw: &'a [u8], delimiters: &Delimiters) -> Decoded<'a> {
    let Some(escape) = delimiters.escape else { return Decoded { bytes: Cow::Borrowed(raw), kept: 0 } };
    let Some(first) = memchr(escape, raw) else { return Decoded { bytes: Cow::Borrowed(raw), kept: 0 } };
    let mut bytes = Vec::with_capacity(raw.len());
    bytes.extend_from_slice(&raw[..first]);
    let mut kept = 0;
    let mut rest = &raw[first..];
    while let Some((_, after)) = rest.split_first() {
        let close = memchr(escape, after);
        let body = close.map_or(&[][..], |close| &after[..close]);
        let meaning = match syntax {
            Syntax::Lis02 => meaning_lis02(body, delimiters),
            Syntax::Hl7 => meaning_hl7(body, delimiters),
        };
        let whole = body.len() + 2;
        let taken = match meaning {
            Meaning::Lone => 1,
            _ => whole,
        };
        match meaning {
            Meaning::Byte(byte) => bytes.push(byte),
            Meaning::Hex(digits) => {
                kept += usize::from(syntax == Syntax::Hl7 && digits.len() % 2 == 1);
                push_hex(digits, &mut bytes);
            }
            Meaning::Text(byte, times) => bytes.extend(core::iter::repeat_n(byte, times)),
            Meaning::Nothing => {}
            Meaning::Local => bytes.extend_from_slice(&rest[..taken]),
            Meaning::Unknown | Meaning::Lone => {
                kept += 1;
                bytes.extend_from_slice(&rest[..taken]);
            }
        }
        rest = &rest[taken..];
        let plain = memchr(escape, rest).unwrap_or(rest.len());
        bytes.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
    }
    Decoded { bytes: Cow::Owned(bytes), kept }
}

/// Decodes one part of a LIS02 record.
#[must_use]
pub fn decode_lis02<'a>(raw: &'a [u8], delimiters: &Delimiters) -> Decoded<'a> {
    decode(Syntax::Lis02, raw, delimiters)
}

/// Decodes one part of an HL7 segment.
#[must_use]
pub fn decode_hl7<'a>(raw: &'a [u8], delimiters: &Delimiters) -> Decoded<'a> {
    decode(Syntax::Hl7, raw, delimiters)
}

/// Escapes text for one part of a record of either syntax.
///
/// Delimiters and every control character are escaped, so that neither the record layer nor the
/// link below it can meet one. Where the delimiters in force have no escape character, such a byte
/// cannot be said and becomes a blank.
#[must_use]
pub fn encode<'a>(syntax: Syntax, text: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let truncates =
        syntax == Syntax::Hl7 && text.last().is_some_and(|last| Some(*last) == delimiters.truncation);
    let needed = |place: usize, byte: u8| {
        needs_escape(syntax, byte, delimiters) || (truncates && place + 1 == text.len())
    };
    let Some(first) = text.iter().enumerate().position(|(place, byte)| needed(place, *byte)) else {
        return Cow::Borrowed(text);
    };
    let mut encoded = Vec::with_capacity(text.len() + 8);
    encoded.extend_from_slice(&text[..first]);
    for (place, &byte) in text.iter().enumerate().skip(first) {
        match (needed(place, byte), delimiters.escape) {
            (false, _) => encoded.push(byte),
            (true, None) => encoded.push(b' '),
            (true, Some(escape)) => {
                encoded.push(escape);
                match letter(syntax, byte, delimiters) {
                    Some(letter) => encoded.push(letter),
                    None => push_as_hex(byte, &mut encoded),
                }
                encoded.push(escape);
            }
        }
    }
    Cow::Owned(encoded)
}

/// Escapes text for one part of a LIS02 record.
#[must_use]
pub fn encode_lis02<'a>(text: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    encode(Syntax::Lis02, text, delimiters)
}

/// Escapes text for one part of an HL7 segment.
#[must_use]
pub fn encode_hl7<'a>(text: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    encode(Syntax::Hl7, text, delimiters)
}

fn meaning_lis02<'b>(body: &'b [u8], delimiters: &Delimiters) -> Meaning<'b> {
    match body {
        b"F" => Meaning::Byte(delimiters.field),
        b"S" => delimiters.component.map_or(Meaning::Unknown, Meaning::Byte),
        b"R" => delimiters.repeat.map_or(Meaning::Unknown, Meaning::Byte),
        b"E" => delimiters.escape.map_or(Meaning::Unknown, Meaning::Byte),
        b"H" | b"N" => Meaning::Nothing,
        [b'X', digits @ ..] if is_hex(digits) => Meaning::Hex(digits),
        [b'Z', ..] => Meaning::Local,
        _ => unknown_or_lone(body),
    }
}

fn meaning_hl7<'b>(body: &'b [u8], delimiters: &Delimiters) -> Meaning<'b> {
    match body {
        b"F" => Meaning::Byte(delimiters.field),
        b"S" => delimiters.component.map_or(Meaning::Unknown, Meaning::Byte),
        b"T" => Meaning::Byte(delimiters.subcomponent.unwrap_or(b'&')),
        b"R" => delimiters.repeat.map_or(Meaning::Unknown, Meaning::Byte),
        b"E" => delimiters.escape.map_or(Meaning::Unknown, Meaning::Byte),
        b"P" => Meaning::Byte(delimiters.truncation.unwrap_or(b'#')),
        b"H" | b"N" => Meaning::Nothing,
        [b'X', digits @ ..] if is_hex(digits) => Meaning::Hex(digits),
        [b'Z', ..] => Meaning::Local,
        [b'.', command @ ..] => layout(command),
        _ => unknown_or_lone(body),
    }
}

/// The formatting commands of HL7 2.A: a break and its relatives become line feeds, indents vanish.
fn layout<'b>(command: &[u8]) -> Meaning<'b> {
    let (name, rest) = command.split_at(command.len().min(2));
    let unknown = || match command.len() <= BODY_BYTES_MAX && command.iter().all(u8::is_ascii_graphic) {
        true => Meaning::Unknown,
        false => Meaning::Lone,
    };
    let rest = rest.trim_ascii();
    let digits = rest.strip_prefix(b"+").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
    let count = match core::str::from_utf8(digits).ok().map(str::parse::<u8>) {
        _ if digits.is_empty() => 1,
        Some(Ok(count)) => usize::from(count),
        _ => return unknown(),
    };
    match name {
        b"br" | b"ce" if digits.is_empty() => Meaning::Text(b'\n', 1),
        b"sp" => Meaning::Text(b'\n', count),
        b"sk" => Meaning::Text(b' ', count),
        b"in" | b"ti" => Meaning::Nothing,
        b"fi" | b"nf" if digits.is_empty() => Meaning::Nothing,
        _ => unknown(),
    }
}

/// A body that looks like a code belongs to an unknown sequence, which stays whole; any other is
/// prose after an escape character that its sender did not mean as one.
fn unknown_or_lone<'b>(body: &[u8]) -> Meaning<'b> {
    let is_code = body.len() <= BODY_BYTES_MAX
        && body.first().is_some_and(u8::is_ascii_uppercase)
        && body.iter().all(u8::is_ascii_alphanumeric);
    if is_code { Meaning::Unknown } else { Meaning::Lone }
}

fn is_hex(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit)
}

/// Appends the bytes of hex digits. An odd count is read with a leading zero, and `000D` or `00A`
/// is the one control character that its senders mean, not a NUL before it.
fn push_hex(digits: &[u8], bytes: &mut Vec<u8>) {
    let digits = match digits {
        [b'0', b'0', rest @ ..]
            if matches!(rest, [b'0', b'A' | b'a' | b'D' | b'd'] | [b'A' | b'a' | b'D' | b'd']) =>
        {
            rest
        }
        _ => digits,
    };
    let (lone, pairs) = digits.split_at(digits.len() % 2);
    bytes.extend(lone.iter().map(|digit| nibble(*digit)));
    bytes.extend(pairs.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])));
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

fn push_as_hex(byte: u8, encoded: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    encoded.push(b'X');
    encoded.push(DIGITS[usize::from(byte >> 4)]);
    encoded.push(DIGITS[usize::from(byte & 0x0F)]);
}

fn needs_escape(syntax: Syntax, byte: u8, delimiters: &Delimiters) -> bool {
    let is_truncation = Some(byte) == delimiters.truncation;
    byte.is_ascii_control()
        || (syntax == Syntax::Lis02 && byte == 0xFF)
        || (!is_truncation && letter(syntax, byte, delimiters).is_some())
}

fn letter(syntax: Syntax, byte: u8, delimiters: &Delimiters) -> Option<u8> {
    if Some(byte) == delimiters.escape {
        Some(b'E')
    } else if byte == delimiters.field {
        Some(b'F')
    } else if Some(byte) == delimiters.component {
        Some(b'S')
    } else if Some(byte) == delimiters.repeat {
        Some(b'R')
    } else if syntax == Syntax::Hl7 && Some(byte) == delimiters.subcomponent {
        Some(b'T')
    } else if syntax == Syntax::Hl7 && Some(byte) == delimiters.truncation {
        Some(b'P')
    } else {
        None
    }
}
