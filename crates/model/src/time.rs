//! Times as analyzers send them: `YYYY[MM[DD[HH[MM[SS[.S+]]]]]][±HHMM]` (LIS02 §5.6.2, HL7 TS/DTM).

use core::fmt;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// Not of the shape of the standards.
    Shape,
    /// The shape is right, the calendar or the clock has no such value.
    Range,
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "not of the form YYYY[MM[DD[HH[MM[SS]]]]][±HHMM]",
            Self::Range => "no such date or time of day",
        })
    }
}

/// How the offset of a time without one was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneRule {
    /// The analyzer sent the offset.
    Sent,
    /// Taken from the connection's time zone, without doubt.
    Zone,
    /// The clock showed this time twice that night; the earlier one was taken.
    Fold,
    /// The clock skipped this time; the offset before the gap was taken.
    Gap,
}

/// A time of any precision, and how its offset was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialTime {
    /// RFC 3339 where at least minutes were sent (`2026-03-02T08:14:07+02:00`), else the date part
    /// alone (`2026-03-02`, `2026-03`, `2026`): never more precise than what was sent.
    pub text: String,
    /// How the offset was found; `None` for a date without a time of day.
    pub rule: Option<ZoneRule>,
}

fn two(bytes: &[u8], at: usize) -> Option<i8> {
    let (tens, ones) = (bytes.get(at)?, bytes.get(at + 1)?);
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return None;
    }
    i8::try_from((tens - b'0') * 10 + (ones - b'0')).ok()
}

fn sent_offset(text: &str) -> Result<Offset, TimeError> {
    let bytes = text.as_bytes();
    if bytes.len() != 5 {
        return Err(TimeError::Shape);
    }
    let hours = i32::from(two(bytes, 1).ok_or(TimeError::Shape)?);
    let minutes = i32::from(two(bytes, 3).ok_or(TimeError::Shape)?);
    if minutes > 59 {
        return Err(TimeError::Range);
    }
    let seconds = (hours * 60 + minutes) * 60;
    Offset::from_seconds(if bytes[0] == b'-' { -seconds } else { seconds }).map_err(|_| TimeError::Range)
}

/// Two digits of a number below 100.
fn push_two(out: &mut String, number: u8) {
    out.push(char::from(b'0' + number / 10 % 10));
    out.push(char::from(b'0' + number % 10));
}

fn push_offset(out: &mut String, offset: Offset) {
    let seconds = offset.seconds();
    let minutes = seconds.unsigned_abs() / 60;
    out.push(if seconds < 0 { '-' } else { '+' });
    push_two(out, u8::try_from(minutes / 60).unwrap_or_default());
    out.push(':');
    push_two(out, u8::try_from(minutes % 60).unwrap_or_default());
}

impl PartialTime {
    /// Reads a time as the standards write it. A time without an offset is the analyzer's local
    /// time in `zone`.
    ///
    /// # Errors
    /// [`TimeError`] when the text is no time; the caller keeps the text as sent.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, TimeError> {
        let text = text.trim();
        let at = text.find(['+', '-']).unwrap_or(text.len());
        let (body, tail) = text.split_at(at);
        let (digits, fraction) = match body.split_once('.') {
            Some((digits, fraction)) => (digits, Some(fraction)),
            None => (body, None),
        };
        let bytes = digits.as_bytes();
        if !bytes.iter().all(u8::is_ascii_digit)
            || !matches!(bytes.len(), 4 | 6 | 8 | 10 | 12 | 14)
            || (bytes.len() <= 8 && !tail.is_empty())
            || fraction
                .is_some_and(|f| bytes.len() != 14 || f.is_empty() || !f.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(TimeError::Shape);
        }
        let year: i16 = digits[..4].parse().map_err(|_| TimeError::Shape)?;
        let part = |at: usize, default: i8| two(bytes, at).unwrap_or(default);
        let (month, day) = (part(4, 1), part(6, 1));
        let date = civil::Date::new(year, month, day).map_err(|_| TimeError::Range)?;
        if bytes.len() <= 8 {
            let text = match bytes.len() {
                4 => format!("{year:04}"),
                6 => format!("{year:04}-{month:02}"),
                _ => format!("{year:04}-{month:02}-{day:02}"),
            };
            return Ok(Self { text, rule: None });
        }
        let (hour, minute, second) = (part(8, 0), part(10, 0), part(12, 0));
        // A clock that prints 60 or 24 is wrong, not precise; leap seconds do not reach analyzers.
        let time = civil::Time::new(hour, minute, second, 0).map_err(|_| TimeError::Range)?;
        let datetime = date.to_datetime(time);
        let (offset, rule) = if tail.is_empty() {
            let ambiguous = zone.to_ambiguous_timestamp(datetime);
            let rule = match ambiguous.offset() {
                jiff::tz::AmbiguousOffset::Unambiguous { .. } => ZoneRule::Zone,
                jiff::tz::AmbiguousOffset::Gap { .. } => ZoneRule::Gap,
                jiff::tz::AmbiguousOffset::Fold { .. } => ZoneRule::Fold,
            };
            let offset = match ambiguous.offset() {
                jiff::tz::AmbiguousOffset::Unambiguous { offset } => offset,
                jiff::tz::AmbiguousOffset::Gap { before, .. }
                | jiff::tz::AmbiguousOffset::Fold { before, .. } => before,
            };
            (offset, rule)
        } else {
            (sent_offset(tail)?, ZoneRule::Sent)
        };
        // The digits are a date and a time by now: they are put together again as RFC 3339 has them.
        let mut out = String::with_capacity(text.len() + 16);
        for (part, before) in
            [(0..4, ""), (4..6, "-"), (6..8, "-"), (8..10, "T"), (10..12, ":"), (12..14, ":")]
        {
            out.push_str(before);
            // RFC 3339 has no shorter form; the text as sent stands beside it and tells.
            out.push_str(digits.get(part).unwrap_or("00"));
        }
        if let Some(fraction) = fraction {
            out.push('.');
            out.push_str(fraction);
        }
        push_offset(&mut out, offset);
        Ok(Self { text: out, rule: Some(rule) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cairo() -> TimeZone {
        TimeZone::get("Africa/Cairo").unwrap()
    }

    fn check(sent: &str, expected: &str, rule: Option<ZoneRule>) {
        let time = PartialTime::parse(sent, &cairo()).unwrap();
        assert_eq!((time.text.as_str(), time.rule), (expected, rule), "{sent}");
    }

    #[test]
    fn every_precision_is_kept() {
        check("1989", "1989", None);
        check("198912", "1989-12", None);
        check("19891201", "1989-12-01", None);
        check("198912011530", "1989-12-01T15:30:00+02:00", Some(ZoneRule::Zone));
        check("19891201153012", "1989-12-01T15:30:12+02:00", Some(ZoneRule::Zone));
        check("19891201153012.25", "1989-12-01T15:30:12.25+02:00", Some(ZoneRule::Zone));
        check("19891201153012-0500", "1989-12-01T15:30:12-05:00", Some(ZoneRule::Sent));
    }

    #[test]
    fn a_doubtful_local_time_says_so() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let fold = PartialTime::parse("20261025023000", &berlin).unwrap();
        assert_eq!(fold.rule, Some(ZoneRule::Fold));
        assert_eq!(fold.text, "2026-10-25T02:30:00+02:00");
        let gap = PartialTime::parse("20260329023000", &berlin).unwrap();
        assert_eq!(gap.rule, Some(ZoneRule::Gap));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, error) in [
            ("", TimeError::Shape),
            ("2026-10-29T17:29:20", TimeError::Shape),
            ("20261301", TimeError::Range),
            ("00000000", TimeError::Range),
            ("20260230", TimeError::Range),
            ("20261001256000", TimeError::Range),
            ("2026100112000é", TimeError::Shape),
            ("20261001120000+2", TimeError::Shape),
        ] {
            assert_eq!(PartialTime::parse(text, &cairo()), Err(error), "{text}");
        }
    }
}
