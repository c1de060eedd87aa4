//! Embedded data (type ED): the bytes of a file that a field carries as text.

use crate::parts::Field;

/// Why embedded data cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddedError {
    /// ED-4 names no encoding that is known: `A` (none), `Hex`, `Base64`.
    UnknownEncoding,
    /// ED-5 is not what its encoding allows.
    Malformed,
}

/// The bytes of embedded data: ED-5 by the encoding that ED-4 names. Line breaks inside it, as such or
/// as the sequence `\.br\`, are no data.
///
/// # Errors
/// [`EmbeddedError`] says what is wrong; the field as sent is all there is then.
pub fn embedded_data(field: &Field<'_>, escape: Option<u8>) -> Result<Vec<u8>, EmbeddedError> {
    let part = |number| field.component(number).map_or(&b""[..], |part| part.bytes());
    let data = part(5);
    let encoding = part(4).trim_ascii();
    if encoding.eq_ignore_ascii_case(b"A") {
        return Ok(data.to_vec());
    }
    let characters = characters(data, escape);
    if encoding.eq_ignore_ascii_case(b"Base64") {
        base64(characters).ok_or(EmbeddedError::Malformed)
    } else if encoding.eq_ignore_ascii_case(b"Hex") {
        hex(characters).ok_or(EmbeddedError::Malformed)
    } else {
        Err(EmbeddedError::UnknownEncoding)
    }
}

fn characters(data: &[u8], escape: Option<u8>) -> impl Iterator<Item = u8> {
    let mut rest = data;
    core::iter::from_fn(move || {
        loop {
            let (&first, behind) = rest.split_first()?;
            rest = behind;
            if Some(first) == escape && behind.len() >= 4 && behind.starts_with(b".br") && behind[3] == first
            {
                rest = &behind[4..];
            } else if !first.is_ascii_whitespace() {
                return Some(first);
            }
        }
    })
}

/// RFC 4648 §4. The padding may be missing, data behind it may not.
fn base64(characters: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let (mut bytes, mut group, mut count, mut is_padded) = (Vec::new(), 0_u32, 0_u8, false);
    for character in characters {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                is_padded = true;
                continue;
            }
            _ => return None,
        };
        if is_padded {
            return None;
        }
        group = group << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&group.to_be_bytes()[1..]);
            (group, count) = (0, 0);
        }
    }
    match count {
        0 => {}
        2 => bytes.push(group.to_be_bytes()[3] >> 4 | group.to_be_bytes()[2] << 4),
        3 => bytes.extend_from_slice(&(group << 6).to_be_bytes()[1..3]),
        _ => return None,
    }
    Some(bytes)
}

fn hex(characters: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        characters.map(|digit| u8::try_from(char::from(digit).to_digit(16)?).ok()).collect();
    let digits = digits?;
    let whole = digits.len() % 2 == 0;
    whole.then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Index, Syntax};

    fn read(value: &str) -> Result<Vec<u8>, EmbeddedError> {
        let message = format!("MSH|^~\\&|A\rOBX|1|ED|X||{value}\r");
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, message.as_bytes());
        let field = view.record(1).and_then(|obx| obx.field(5));
        field.map_or(Err(EmbeddedError::Malformed), |field| embedded_data(&field, Some(b'\\')))
    }

    #[test]
    fn data_of_each_encoding_is_decoded() {
        for (value, bytes) in [
            ("^IM^PNG^Base64^QUJD", "ABC"),
            ("^IM^PNG^Base64^QUI=", "AB"),
            ("^IM^PNG^base64^QQ", "A"),
            ("^IM^PNG^Base64^QU\\.br\\JDRA==", "ABCD"),
            ("^TX^^Hex^414243", "ABC"),
            ("^TX^^A^as it is", "as it is"),
        ] {
            assert_eq!(read(value), Ok(bytes.as_bytes().to_vec()), "{value}");
        }
    }

    #[test]
    fn damaged_data_is_an_error_and_no_panic() {
        for value in ["^IM^PNG^Base64^QUJDR", "^IM^PNG^Base64^QU!D", "^IM^PNG^Base64^QQ==QQ", "^^^Hex^4"] {
            assert_eq!(read(value), Err(EmbeddedError::Malformed), "{value}");
        }
        assert_eq!(read("^IM^PNG^uu^QUJD"), Err(EmbeddedError::UnknownEncoding));
    }
}
