//! Bytes as a person writes them: control characters by name, as in a capture.

use core::fmt::Write;

/// The C0 set by its usual abbreviations, and DEL behind it.
const NAMES: [&str; 33] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS",
    "US", "DEL",
];

/// Bytes of a text in which `<STX>` is a control character, `<9F>` any byte by its value, and
/// `<x*240>` a repetition. Anything else stands for itself.
///
/// # Panics
///
/// On a name that nobody knows: the test that uses it is wrong.
#[expect(clippy::panic, reason = "a test with a misspelled byte must not go on")]
pub fn from_control_names(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, named)) = rest.split_once('<') {
        bytes.extend_from_slice(plain.as_bytes());
        let (name, behind) = named.split_once('>').unwrap_or_else(|| panic!("no `>` behind `<{named}`"));
        match byte_named(name) {
            Some((byte, times)) => bytes.extend(core::iter::repeat_n(byte, times)),
            None => panic!("no byte is called <{name}>"),
        }
        rest = behind;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn byte_named(name: &str) -> Option<(u8, usize)> {
    if let Some((byte, times)) = name.split_once('*') {
        return Some((*byte.as_bytes().first()?, times.parse().ok()?));
    }
    let place = NAMES.iter().position(|known| *known == name);
    let byte = match place {
        Some(32) => 0x7F,
        Some(place) => u8::try_from(place).ok()?,
        None => u8::from_str_radix(name.strip_prefix("0x").unwrap_or(name), 16).ok()?,
    };
    Some((byte, 1))
}

/// The reverse of [`from_control_names`], without repetitions.
pub fn control_names(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            0x7F => text.push_str("<DEL>"),
            // `<FF>` is the form feed.
            0xFF => text.push_str("<0xFF>"),
            ..0x20 => text.extend(["<", NAMES[usize::from(*byte)], ">"]),
            b'<' | 0x80.. => {
                // Writing to a String cannot fail.
                let _ = write!(text, "<{byte:02X}>");
            }
            _ => text.push(char::from(*byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_being_named() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_control_names(&control_names(&bytes)), bytes);
    }

    #[test]
    fn a_repetition_stands_for_its_bytes() {
        assert_eq!(from_control_names("a<x*3><CR>"), b"axxx\r");
    }
}
