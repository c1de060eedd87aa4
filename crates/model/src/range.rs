//! Reference ranges: what analyzers write, as bounds in decimal text.

/// The bounds that a reference range names, each as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds<'a> {
    /// The lower bound.
    pub low: Option<&'a str>,
    /// The upper bound.
    pub high: Option<&'a str>,
}

/// Reads `3.9-6.1`, `[0.00;1.00]`, `<5`, `>=40`. A range that is open on both sides, by its text or by
/// numbers of nines alone that stand for infinity, has no bounds; nor has a text that is no range.
#[must_use]
pub fn parse_range(text: &str) -> Bounds<'_> {
    let text = text.trim();
    for (sign, is_high) in [("<=", true), (">=", false), ("<", true), (">", false)] {
        if let Some(bound) = text.strip_prefix(sign) {
            let bound = number(bound);
            return if is_high {
                Bounds { low: None, high: bound }
            } else {
                Bounds { low: bound, high: None }
            };
        }
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let parts = match inner {
        Some(inner) => inner.split_once(';'),
        // A minus in front is a sign, the next one the dash.
        None => text.char_indices().skip(1).find(|(_, character)| *character == '-').map(|(at, _)| {
            let (low, high) = text.split_at(at);
            (low, &high[1..])
        }),
    };
    parts.map_or(Bounds::default(), |(low, high)| Bounds { low: number(low), high: number(high) })
}

/// A finite number.
fn number(text: &str) -> Option<&str> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !whole.is_empty() && [whole, fraction].concat().bytes().all(|byte| byte.is_ascii_digit());
    let is_infinite = whole.len() >= 6 && whole.bytes().all(|byte| byte == b'9');
    (is_number && !is_infinite).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_the_field_have_their_bounds_and_anything_else_has_none() {
        for (text, low, high) in [
            ("3.1-9.7", Some("3.1"), Some("9.7")),
            ("3.1 - 9.7", Some("3.1"), Some("9.7")),
            ("-2 - 3", Some("-2"), Some("3")),
            ("-5--1", Some("-5"), Some("-1")),
            ("[0.00;1.00]", Some("0.00"), Some("1.00")),
            ("<5", None, Some("5")),
            (">=40", Some("40"), None),
            ("-9999999 - 9999999", None, None),
            (" - ", None, None),
            ("negative", None, None),
            ("", None, None),
        ] {
            assert_eq!(parse_range(text), Bounds { low, high }, "{text:?}");
        }
    }
}
