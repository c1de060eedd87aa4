//! A value's numeric view: decimal text, never a float.

use serde::{Deserialize, Serialize};

/// What stands before a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// `~`
    #[serde(rename = "~")]
    Approximately,
}

impl Comparator {
    /// The sign as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::Approximately => "~",
        }
    }
}

/// The numeric view of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedValue {
    /// The sign before the number.
    pub comparator: Option<Comparator>,
    /// Decimal text: optional `-`, digits, optional `.` and digits, optional exponent.
    pub number: Option<String>,
    /// A sign that looks like a comparator and is none that we know (`>>`, `=<`, `<>`).
    pub unknown_comparator: bool,
}

/// Which character separates the decimals in what the analyzer sends.
fn decimal_text(text: &str, comma: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    match bytes.first() {
        Some(b'-') => {
            out.push('-');
            at = 1;
        }
        Some(b'+') => at = 1,
        _ => {}
    }
    let (mut digits, mut point) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                out.push(char::from(byte));
            }
            b'.' if !point => {
                point = true;
                if digits == 0 {
                    out.push('0');
                }
                out.push('.');
            }
            b',' if comma && !point => {
                point = true;
                if digits == 0 {
                    out.push('0');
                }
                out.push('.');
            }
            b'e' | b'E' if digits > 0 => break,
            _ => return None,
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    if out.ends_with('.') {
        out.pop();
    }
    if at < bytes.len() {
        let exponent = &text[at + 1..];
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        out.push('e');
        out.push_str(exponent.strip_prefix('+').unwrap_or(exponent));
    }
    Some(out)
}

/// Reads the numeric view of a trimmed text. `decimal_comma` says whether a comma separates the
/// decimals (`7,41`); without it a comma makes the text no number. `1:128`, `+++`, `-----` and
/// words have no numeric view, and that is no error.
#[must_use]
pub fn parse_value(text: &str, decimal_comma: bool) -> ParsedValue {
    let text = text.trim();
    let signs = text.len() - text.trim_start_matches(['<', '>', '=', '~', '≤', '≥']).len();
    let (sign, rest) = text.split_at(signs);
    let comparator = match sign {
        "" => None,
        "<" => Some(Comparator::Less),
        ">" => Some(Comparator::Greater),
        "<=" | "≤" => Some(Comparator::LessOrEqual),
        ">=" | "≥" => Some(Comparator::GreaterOrEqual),
        "~" => Some(Comparator::Approximately),
        _ => return ParsedValue { comparator: None, number: None, unknown_comparator: true },
    };
    let number = decimal_text(rest.trim_start(), decimal_comma);
    ParsedValue { comparator, number, unknown_comparator: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, comma: bool, comparator: Option<Comparator>, number: Option<&str>) {
        let parsed = parse_value(text, comma);
        assert_eq!((parsed.comparator, parsed.number.as_deref()), (comparator, number), "{text}");
    }

    #[test]
    fn digits_are_kept_as_sent() {
        check("4.10", false, None, Some("4.10"));
        check("-0.50", false, None, Some("-0.50"));
        check("+7", false, None, Some("7"));
        check("  6.9 ", false, None, Some("6.9"));
        check(".5", false, None, Some("0.5"));
        check("5.", false, None, Some("5"));
        check("2.00E+01", false, None, Some("2.00e01"));
        check("123456789012345678901234567890.10", false, None, Some("123456789012345678901234567890.10"));
    }

    #[test]
    fn comparators_are_read_and_unknown_ones_are_said() {
        check("<0.25", false, Some(Comparator::Less), Some("0.25"));
        check(">= 32", false, Some(Comparator::GreaterOrEqual), Some("32"));
        check("≤1.005", false, Some(Comparator::LessOrEqual), Some("1.005"));
        assert!(parse_value(">>5", false).unknown_comparator);
        assert!(parse_value("=<5", false).unknown_comparator);
    }

    #[test]
    fn a_comma_is_a_decimal_sign_only_where_the_profile_says_so() {
        check("7,41", true, None, Some("7.41"));
        check("7,41", false, None, None);
        check("1,234.5", true, None, None);
    }

    #[test]
    fn what_is_no_number_stays_text() {
        for text in ["", "-----", "+++", "1:128", "NEG", "1.2.3", "12a", "e5", "-", "***.**", "0x10"] {
            check(text, false, None, None);
        }
    }
}
