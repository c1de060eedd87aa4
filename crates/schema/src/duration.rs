//! Lengths of time as people write them: `"15s"`, `"1h 30m"`.

use core::time::Duration;

use crate::table::Mistake;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What people write for a unit, and ours.
const OTHER_SPELLINGS: [(&str, &str); 22] = [
    ("day", "d"),
    ("days", "d"),
    ("hour", "h"),
    ("hours", "h"),
    ("hr", "h"),
    ("hrs", "h"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("msec", "ms"),
    ("millis", "ms"),
    ("millisecond", "ms"),
    ("milliseconds", "ms"),
    ("D", "d"),
    ("H", "h"),
    ("M", "m"),
    ("S", "s"),
];

/// Reads a length of time: whole numbers with the units `d`, `h`, `m`, `s`, `ms`, largest first.
///
/// # Errors
/// A [`Mistake`] that names the part that is wrong and how it is written.
pub fn parse_duration(text: &str) -> Result<Duration, Mistake> {
    let mut total: u64 = 0;
    let mut rest = text;
    let mut last_scale = u64::MAX;
    if text.trim().is_empty() {
        return Err(Mistake::new("empty duration").help("write a number with its unit, such as \"15s\""));
    }
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let at = text.len() - rest.len();
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = &rest[..digits];
        let unit_text = &rest[digits..];
        let unit_end = unit_text.find(|c: char| !c.is_alphabetic()).unwrap_or(unit_text.len());
        let unit = &unit_text[..unit_end];
        let part = at..at + digits + unit_end;
        if number.is_empty() {
            let end = text.len();
            return Err(Mistake::new(format!("`{text}` is not a duration"))
                .at(at..end)
                .help("write a whole number with its unit: d, h, m, s or ms, such as \"15s\""));
        }
        if unit_text[unit_end..].starts_with('.') || unit_text.starts_with('.') {
            return Err(Mistake::new(format!("`{text}` has a fraction"))
                .at(at..text.len())
                .help("use a smaller unit: \"1500ms\" for a second and a half"));
        }
        if unit.is_empty() {
            return Err(Mistake::new(format!("`{number}` has no unit"))
                .at(part)
                .help(format!("write the unit: \"{number}s\", \"{number}m\", \"{number}h\"")));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let meant = OTHER_SPELLINGS.iter().find(|(name, _)| *name == unit).map(|(_, ours)| ours);
            return Err(Mistake::new(format!("unknown unit of time `{unit}`")).at(part).help(match meant {
                Some(ours) => format!("write \"{number}{ours}\""),
                None => "the units are d, h, m, s and ms".to_owned(),
            }));
        };
        if *scale >= last_scale {
            return Err(Mistake::new(format!("`{text}` does not go from the largest unit to the smallest"))
                .at(part)
                .help("write each unit once, the largest first: \"1h 30m\""));
        }
        last_scale = *scale;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*scale))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| {
                Mistake::new(format!("`{text}` is too long a time")).at(part).help("write a shorter one")
            })?;
        rest = &unit_text[unit_end..];
    }
    Ok(Duration::from_millis(total))
}

/// Writes a length of time as [`parse_duration`] reads it. Parts of a millisecond are left out.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, scale) in UNITS {
        if rest >= scale {
            parts.push(format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_and_combinations_are_read() {
        let read = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("15s"), Ok(15_000));
        assert_eq!(read("15m"), Ok(900_000));
        assert_eq!(read("2h"), Ok(7_200_000));
        assert_eq!(read("7d"), Ok(604_800_000));
        assert_eq!(read("1h 30m"), Ok(5_400_000));
        assert_eq!(read("1m30s500ms"), Ok(90_500));
        assert_eq!(read("0s"), Ok(0));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for millis in [0, 1, 999, 1_000, 61_001, 604_800_000, 90_061_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn a_wrong_duration_says_how_it_is_written() {
        let help = |text: &str| {
            let mistake = parse_duration(text).unwrap_err();
            (mistake.message, mistake.help.unwrap_or_default(), mistake.at)
        };
        assert_eq!(help("15").1, "write the unit: \"15s\", \"15m\", \"15h\"");
        assert_eq!(help("15min").1, "write \"15m\"");
        assert_eq!(help("1h 15 minutes").2, Some(3..5));
        assert_eq!(help("3 fortnights").0, "`3` has no unit");
        assert_eq!(help("3fortnights").1, "the units are d, h, m, s and ms");
        assert_eq!(help("1.5s").0, "`1.5s` has a fraction");
        assert_eq!(help("soon").0, "`soon` is not a duration");
        assert_eq!(help("30m 1h").0, "`30m 1h` does not go from the largest unit to the smallest");
        assert_eq!(help("-5s").0, "`-5s` is not a duration");
        assert_eq!(help(" ").0, "empty duration");
        assert_eq!(help("99999999999999999999d").0, "`99999999999999999999d` is too long a time");
    }
}
