//! The end of a certificate's life, read from its DER (RFC 5280, 4.1.2.5).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// `notAfter`; nothing where the bytes are no certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let mut certificate = Der(Der(certificate).tagged(SEQUENCE)?);
    let mut fields = Der(certificate.tagged(SEQUENCE)?);
    let (mut tag, _) = fields.element()?;
    if tag == VERSION {
        (tag, _) = fields.element()?;
    }
    if tag != INTEGER {
        return None;
    }
    let _algorithm = fields.tagged(SEQUENCE)?;
    let _issuer = fields.tagged(SEQUENCE)?;
    let mut validity = Der(fields.tagged(SEQUENCE)?);
    let _not_before = validity.element()?;
    time(validity.element()?)
}

fn time((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let text = core::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, text.len()) {
        // Two digits stand for 1950 to 2049.
        (UTC_TIME, 12) => {
            let year: i16 = text[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (GENERALIZED_TIME, 14) => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let part = |at: usize| rest[at..at + 2].parse::<i8>().ok();
    let civil = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Elements one behind the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            // Four bytes of length are more than any certificate has.
            let digits = rest.get(..usize::from(first & 0x7f)).filter(|digits| digits.len() <= 4)?;
            rest = &rest[digits.len()..];
            digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))
        };
        let content = rest.get(..length)?;
        self.0 = &rest[length..];
        Some((tag, content))
    }

    fn tagged(&mut self, expected: u8) -> Option<&'a [u8]> {
        self.element().filter(|(tag, _)| *tag == expected).map(|(_, content)| content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["analyzer.lab".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, month, day);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_ways_of_writing_a_year() {
        assert_eq!(not_after(&certificate(2031, 2, 28)), "2031-02-28T00:00:00Z".parse().ok());
        assert_eq!(not_after(&certificate(2150, 12, 1)), "2150-12-01T00:00:00Z".parse().ok());
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_end_and_break_nothing() {
        let whole = certificate(2031, 2, 28);
        for length in 0..whole.len() {
            let _ = not_after(&whole[..length]);
        }
        for at in 0..whole.len().min(300) {
            for bit in 0..8 {
                let mut broken = whole.clone();
                broken[at] ^= 1 << bit;
                let _ = not_after(&broken);
            }
        }
        assert_eq!(not_after(b"-----BEGIN CERTIFICATE-----"), None);
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
