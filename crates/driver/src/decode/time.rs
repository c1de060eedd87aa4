//! When it was measured, in the formats that a profile names.

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use labwire_model::{PartialTime, TimeError};

use crate::plan::TimeFormat;

/// What a text says as a time.
pub(crate) enum Reading {
    Time(PartialTime),
    /// It has the right form and is no time.
    Wrong(TimeError),
    /// It is of none of the formats.
    Unlike,
    /// Two formats read it as different times: neither is taken.
    Several,
}

/// Reads a text by the profile's formats, or as the standards write a time where there are none.
pub(crate) fn read_time(formats: &[TimeFormat], sent: &str, zone: &TimeZone) -> Reading {
    if formats.is_empty() {
        return PartialTime::parse(sent, zone).map_or_else(Reading::Wrong, Reading::Time);
    }
    let mut read: Option<PartialTime> = None;
    let mut wrong = None;
    for standard in formats.iter().filter_map(|format| standard(format, sent, zone)) {
        match (PartialTime::parse(&standard, zone), &read) {
            (Ok(time), Some(before)) if before.text != time.text => return Reading::Several,
            (Ok(time), _) => read = Some(time),
            (Err(error), _) => wrong = Some(error),
        }
    }
    match (read, wrong) {
        (Some(time), _) => Reading::Time(time),
        (None, Some(error)) => Reading::Wrong(error),
        (None, None) => Reading::Unlike,
    }
}

/// A time of the profile's format as the standards write it, no more precise than the format is.
fn standard(format: &TimeFormat, sent: &str, zone: &TimeZone) -> Option<String> {
    let per_second = match format {
        TimeFormat::Epoch => 1,
        TimeFormat::EpochMilliseconds => 1000,
        TimeFormat::Strftime { format, seconds, offset } => {
            return broken_down(format, sent, *seconds, *offset);
        }
    };
    let count: i64 = sent.parse().ok()?;
    let time = Timestamp::from_second(count.div_euclid(per_second)).ok()?.to_zoned(zone.clone());
    let mut out = time.strftime("%Y%m%d%H%M%S").to_string();
    if per_second == 1000 {
        out.push_str(&format!(".{:03}", count.rem_euclid(per_second)));
    }
    out.push_str(&time.strftime("%z").to_string());
    Some(out)
}

fn broken_down(format: &str, sent: &str, seconds: bool, offset: bool) -> Option<String> {
    let parsed = BrokenDownTime::parse(format, sent).ok()?;
    let date = parsed.to_date().ok()?;
    let mut out = format!("{:04}{:02}{:02}", date.year(), date.month(), date.day());
    if let Some(time) = parsed.hour().and_then(|_| parsed.to_time().ok()) {
        out.push_str(&format!("{:02}{:02}", time.hour(), time.minute()));
        if seconds {
            out.push_str(&format!("{:02}", time.second()));
        }
        if let Some(offset) = parsed.offset().filter(|_| offset) {
            let minutes = offset.seconds().abs() / 60;
            let sign = if offset.seconds() < 0 { '-' } else { '+' };
            out.push_str(&format!("{sign}{:02}{:02}", minutes / 60, minutes % 60));
        }
    }
    Some(out)
}
