//! ADD segments: what they hold goes on where the segment before them ended.

use std::borrow::Cow;

/// The message with its addenda joined to their segments (HL7 v2 §2.10.2). Nothing is copied where
/// there is none.
pub(super) fn joined(raw: &[u8]) -> Cow<'_, [u8]> {
    let separator = raw.windows(4).find(|window| window.starts_with(b"MSH")).map(|window| window[3]);
    let Some(separator) = separator else { return Cow::Borrowed(raw) };
    let addendum = [b'A', b'D', b'D', separator];
    let begins = |line: &[u8]| line.starts_with(&addendum);
    if !raw.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')).any(begins) {
        return Cow::Borrowed(raw);
    }
    let mut whole: Vec<u8> = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
        match line.strip_prefix(&addendum) {
            Some(rest) if !whole.is_empty() => {
                while whole.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                    whole.pop();
                }
                whole.extend_from_slice(rest);
            }
            _ => whole.extend_from_slice(line),
        }
    }
    Cow::Owned(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_addendum_goes_on_with_the_last_field_and_nothing_else_changes() {
        assert_eq!(
            joined(b"MSH|^~\\&\rOBX|1|TX|A||a\r\nADD|b||F\rADD|!\rOBX|2\r").as_ref(),
            b"MSH|^~\\&\rOBX|1|TX|A||ab||F!\rOBX|2\r"
        );
        let plain = b"MSH|^~\\&\rNTE|1||ADD|x\rADDX|y\r";
        assert!(matches!(joined(plain), Cow::Borrowed(same) if same == plain));
    }
}
