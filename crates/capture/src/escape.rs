//! Bytes as printable text and back.
//!
//! Control characters are written by name, every other byte outside 0x20 to 0x7E by its two hex
//! digits, a literal `<` as `<3C>`. One token would mean two bytes: `FF` is the name of the form feed
//! and the digits of byte 255. The name wins; byte 255 is written `<0xFF>`.

/// Names of the control characters 0x00 to 0x1F, by code.
const NAMES: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS",
    "US",
];

/// Names that other tools write for the same characters; read, never written.
const ALIASES: [(&str, u8); 5] = [("TAB", 0x09), ("XON", 0x11), ("XOFF", 0x13), ("DEL", 0x7f), ("SP", 0x20)];

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The longest text between `<` and `>` that can be a byte.
pub(crate) const TOKEN_BYTES_MAX: usize = 4;

/// The name of a control character 0x00 to 0x1F.
pub fn control_name(byte: u8) -> Option<&'static str> {
    NAMES.get(usize::from(byte)).copied()
}

/// The printable text of `bytes`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    escape_into(bytes, &mut text);
    text
}

/// Appends the printable text of `bytes`.
pub fn escape_into(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        match byte {
            b'<' => out.push_str("<3C>"),
            0xff => out.push_str("<0xFF>"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                out.push('<');
                match control_name(byte) {
                    Some(name) => out.push_str(name),
                    None => {
                        out.push(char::from(HEX[usize::from(byte >> 4)]));
                        out.push(char::from(HEX[usize::from(byte & 0x0f)]));
                    }
                }
                out.push('>');
            }
        }
    }
}

/// The bytes of an escaped text, or the place (in bytes from its start) and the reason why it is none.
///
/// Bytes beyond 0x7E that stand unescaped are kept as they are: a capture edited in UTF-8 stays
/// readable.
///
/// # Errors
/// A `<` without its `>`, or a name between them that is neither a control character nor hex digits.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, (usize, String)> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'<') {
        bytes.extend_from_slice(&rest[..at]);
        let inner = &rest[at + 1..];
        let column = text.len() - rest.len() + at;
        let window = &inner[..inner.len().min(TOKEN_BYTES_MAX + 1)];
        let Some(end) = window.iter().position(|&byte| byte == b'>') else {
            return Err((column, "`<` begins a byte's name and has no `>`; a literal `<` is `<3C>`".into()));
        };
        let name = &inner[..end];
        let Some(byte) = byte_named(name) else {
            let name = String::from_utf8_lossy(name);
            return Err((column, format!("`<{name}>` names no byte; write `<STX>`, `<CR>`, `<9F>`")));
        };
        bytes.push(byte);
        rest = &inner[end + 1..];
    }
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

/// The byte that a name between brackets stands for: a control character's name, two hex digits, or
/// the digits behind `0x`; letters of either case.
pub(crate) fn byte_named(name: &[u8]) -> Option<u8> {
    control_named(name).or_else(|| match name {
        [high, low] | [b'0', b'x' | b'X', high, low] => hex_byte(*high, *low),
        _ => None,
    })
}

/// The control character of that name, letters of either case.
pub(crate) fn control_named(name: &[u8]) -> Option<u8> {
    let code = (0u8..).zip(NAMES).find(|(_, known)| name.eq_ignore_ascii_case(known.as_bytes()));
    code.map(|(code, _)| code).or_else(|| {
        ALIASES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, code)| *code)
    })
}

/// The byte of two hex digits.
pub(crate) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_have_names_and_other_bytes_have_digits() {
        assert_eq!(escape(b"\x021H|a<b\x03A7\r\n\x9f"), "<STX>1H|a<3C>b<ETX>A7<CR><LF><9F>");
        assert_eq!(escape(&[0x7f]), "<7F>");
    }

    #[test]
    fn form_feed_and_byte_255_stay_apart() {
        assert_eq!(escape(&[0x0c, 0xff]), "<FF><0xFF>");
        assert_eq!(unescape(b"<FF><0xFF>"), Ok(vec![0x0c, 0xff]));
    }

    #[test]
    fn every_byte_survives_the_way_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(escape(&all).as_bytes()), Ok(all));
    }

    #[test]
    fn a_name_may_be_written_in_lower_case_or_as_another_tool_writes_it() {
        assert_eq!(unescape(b"<stx><Xon><TAB><9f>"), Ok(vec![0x02, 0x11, 0x09, 0x9f]));
    }

    #[test]
    fn an_unknown_name_is_reported_where_it_stands() {
        let (column, message) = unescape(b"ab<CR>c<STY>").unwrap_err();
        assert_eq!(column, 7);
        assert!(message.contains("`<STY>`"), "{message}");
    }

    #[test]
    fn an_open_bracket_without_end_is_reported_with_its_remedy() {
        let (column, message) = unescape(b"R|1|<0.5 and more").unwrap_err();
        assert_eq!(column, 4);
        assert!(message.contains("<3C>"), "{message}");
    }
}
