//! Texts in a profile that a function judges.

use labwire_message::Charset;
use labwire_schema::{Mistake, suggest};

use crate::ucum::amount::Fraction;

pub(crate) fn regex(text: &str) -> Result<(), Mistake> {
    let Err(error) = regex::Regex::new(text) else { return Ok(()) };
    let said = error.to_string();
    let what = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let mistake = Mistake::new(match (what, &error) {
        (Some(what), _) => format!("the regular expression cannot be read: {what}"),
        (None, regex::Error::CompiledTooBig(_)) => "the regular expression is too large".to_owned(),
        (None, _) => "the regular expression cannot be read".to_owned(),
    })
    .help("write it in single quotes, with a backslash before a literal ( ) [ ] { } . * + ? | ^ $");
    // The pattern is printed four columns in, a line of carets below it.
    let mut lines = said.lines().skip_while(|line| !line.starts_with("    "));
    let carets = match (lines.next(), lines.next()) {
        (Some(_), Some(carets)) if carets.trim_start().starts_with('^') => carets,
        _ => return Err(mistake),
    };
    let byte_of = |column: usize| text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
    let from = carets.find('^').unwrap_or(4).saturating_sub(4);
    let to = from + carets.matches('^').count();
    Err(mistake.at(byte_of(from)..byte_of(to)))
}

pub(crate) fn charset(text: &str) -> Result<(), Mistake> {
    if Charset::from_name(text).is_some() {
        return Ok(());
    }
    Err(Mistake::new(format!("unknown character set \"{text}\"")).help(
        match suggest(text, Charset::names()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("the sets are {}", Charset::names().collect::<Vec<_>>().join(", ")),
        },
    ))
}

/// LOINC codes end in a mod-10 check digit, which tells a code from a number that looks like one.
pub(crate) fn loinc(text: &str) -> Result<(), Mistake> {
    let shape = || {
        Mistake::new(format!("\"{text}\" is no LOINC code"))
            .help("a LOINC code is up to seven digits, a hyphen and a check digit: \"6690-2\"")
    };
    let (number, check) = text.split_once('-').ok_or_else(shape)?;
    if number.is_empty() || number.len() > 7 || check.len() != 1 {
        return Err(shape());
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return Err(shape());
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0') * if at % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    let expected = (10 - sum % 10) % 10;
    if check.bytes().map(|digit| u32::from(digit - b'0')).ne([expected]) {
        return Err(Mistake::new(format!("the check digit of LOINC {number} is {expected}, not {check}"))
            .help("look the code up again; a digit may be wrong")
            .at(number.len() + 1..text.len()));
    }
    Ok(())
}

pub(crate) fn capture(text: &str) -> Result<(), Mistake> {
    if text.starts_with('/') || text.contains('\\') || text.split('/').any(|part| part == "..") {
        return Err(Mistake::new("a capture's path leads out of the fixtures")
            .help("write it relative to `fixtures/` or to the profile: \"vendor/model/case.cap\""));
    }
    if !text.ends_with(".cap") || text.ends_with("/.cap") || text == ".cap" {
        return Err(Mistake::new("a capture ends in `.cap`")
            .help("`labwire capture import` makes one from a dump or a log"));
    }
    Ok(())
}

/// A positive decimal number, as text: it is reckoned with exactly.
pub(crate) fn decimal(text: &str) -> Result<(), Mistake> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_positive = text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if digits && is_positive && Fraction::from_decimal(text).is_some() {
        return Ok(());
    }
    Err(Mistake::new(format!("\"{text}\" is no decimal number above zero")).help("write it as \"180.156\""))
}

pub(crate) fn character(text: &str) -> Result<(), Mistake> {
    if text.chars().count() == 1 {
        return Ok(());
    }
    Err(Mistake::new(format!("\"{text}\" is not one character")).help("write one: \"0\""))
}

pub(crate) fn zone(text: &str) -> Result<(), Mistake> {
    if time_zone(text).is_some() {
        return Ok(());
    }
    Err(Mistake::new(format!("there is no time zone \"{text}\""))
        .help("write an offset such as \"+02:00\", or a name such as \"Europe/Paris\""))
}

/// A zone by name, or by its offset.
pub(crate) fn time_zone(text: &str) -> Option<jiff::tz::TimeZone> {
    let Some((sign, rest)) = text.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-")) else {
        return jiff::tz::TimeZone::get(text).ok();
    };
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 || !rest.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    if hours > 14 || minutes > 59 {
        return None;
    }
    let offset = jiff::tz::Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()?;
    Some(jiff::tz::TimeZone::fixed(offset))
}

pub(crate) fn bytes(text: &str) -> Result<(), Mistake> {
    if text.is_empty() {
        return Err(Mistake::new("nothing is written here"));
    }
    named_bytes(text).map(|_| ())
}

/// Control characters by name, other bytes as `<9F>`, a literal `<` as `<3C>`: the writing of
/// capture files.
pub(crate) fn named_bytes(text: &str) -> Result<Vec<u8>, Mistake> {
    const NAMES: [&str; 33] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO",
        "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS",
        "RS", "US", "SP",
    ];
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(inside) = rest.strip_prefix('<') else {
            let run = rest.find('<').unwrap_or(rest.len());
            out.extend_from_slice(&rest.as_bytes()[..run]);
            at += run;
            continue;
        };
        let Some(close) = inside.find('>') else {
            return Err(Mistake::new("`<` without `>`")
                .help("write a literal `<` as `<3C>`")
                .at(at..text.len()));
        };
        let name = &inside[..close];
        let byte = match NAMES.iter().position(|known| *known == name) {
            Some(code) => u8::try_from(code).ok(),
            None if name == "DEL" => Some(0x7f),
            None if name.len() == 2 => u8::from_str_radix(name, 16).ok(),
            None => None,
        };
        let Some(byte) = byte else {
            return Err(Mistake::new(format!("`<{name}>` names no control character"))
                .help("write `<STX>`, `<CR>`, or the byte in hex: `<02>`")
                .at(at..at + close + 2));
        };
        out.push(byte);
        at += close + 2;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_regular_expression_is_pointed_at() {
        let mistake = regex("^(SCAT|DIST_").unwrap_err();
        assert!(mistake.message.contains("unclosed group"), "{}", mistake.message);
        assert_eq!(mistake.at, Some(1..2));
        assert!(regex("^(SCAT|DIST)_").is_ok());
    }

    #[test]
    fn a_loinc_code_with_a_wrong_digit_is_told() {
        for code in ["6690-2", "789-8", "718-7", "33256-9", "71695-1", "21000-5"] {
            assert_eq!(loinc(code), Ok(()), "{code}");
        }
        for code in ["6690-3", "6960-2", "6690", "LN-2", "6690-22", "12345678-1", "66\u{e9}0-2"] {
            assert!(loinc(code).is_err(), "{code}");
        }
    }

    #[test]
    fn control_characters_are_written_by_name() {
        assert_eq!(named_bytes("<STX>a<9F><3C>|"), Ok(vec![2, b'a', 0x9f, b'<', b'|']));
        assert!(named_bytes("<SXT>").is_err());
        assert!(named_bytes("a<b").is_err());
    }
}
