//! The sequence number protocol of HL7: MSH-13 counts the messages of a sender, MSA-4 answers.

use labwire_message::hl7::Header;
use labwire_message::{Index, Syntax};

/// What becomes of a message under its sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may be stored; MSA-4 of its reply, where it carries a number.
    Accept {
        /// MSA-4.
        answer: Option<String>,
    },
    /// It is not accepted: another number is expected.
    Refuse {
        /// The number that has to come.
        expected: u64,
        /// The number that came.
        received: u64,
    },
}

/// Judges MSH-13 by the number accepted last, which it sets.
///
/// `0` starts the link and asks which number is expected, `-1` where none is known; `-1` makes any
/// number acceptable. The last number again is a repetition, which the store recognises.
pub(crate) fn judge(last: &mut Option<u64>, number: &[u8]) -> Verdict {
    let sent = core::str::from_utf8(number).ok().and_then(|number| number.trim().parse::<i64>().ok());
    let answer = match sent {
        None => None,
        Some(0) => Some(last.map_or_else(|| "-1".to_owned(), |last| last.saturating_add(1).to_string())),
        Some(-1) => {
            *last = None;
            Some("-1".to_owned())
        }
        Some(sent) => {
            let Ok(received) = u64::try_from(sent) else { return Verdict::Accept { answer: None } };
            if let Some(last) = *last
                && received != last
                && received != last.saturating_add(1)
            {
                return Verdict::Refuse { expected: last.saturating_add(1), received };
            }
            *last = Some(received);
            Some(received.to_string())
        }
    };
    Verdict::Accept { answer }
}

/// The sequence number of a message that was accepted, which the next one has to follow: what a
/// restarted host knows from the message that it stored last.
#[must_use]
pub fn sequence_number(raw: &[u8]) -> Option<u64> {
    let line = raw.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| line.starts_with(b"MSH"))?;
    let mut index = Index::new();
    let header = Header::new(index.scan(Syntax::Hl7, line).record(0)?)?;
    let number = core::str::from_utf8(header.sequence_number()).ok()?.trim().parse::<u64>().ok()?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(answer: &str) -> Verdict {
        Verdict::Accept { answer: Some(answer.to_owned()) }
    }

    #[test]
    fn numbers_are_accepted_in_their_order_and_the_last_one_again() {
        let mut last = None;
        for (number, verdict) in [
            ("0", accepted("-1")),
            ("7", accepted("7")),
            ("8", accepted("8")),
            ("8", accepted("8")),
            ("0", accepted("9")),
            ("10", Verdict::Refuse { expected: 9, received: 10 }),
            ("9", accepted("9")),
            ("-1", accepted("-1")),
            ("400", accepted("400")),
            ("", Verdict::Accept { answer: None }),
        ] {
            assert_eq!(judge(&mut last, number.as_bytes()), verdict, "{number:?}");
        }
        assert_eq!(last, Some(400));
    }

    #[test]
    fn the_number_of_a_stored_message_is_found_in_its_header() {
        let message = |number: &str| format!("MSH|^~\\&|||||||ORU^R01|1|P|2.3.1|{number}\rOBX|1\r");
        assert_eq!(sequence_number(message("41").as_bytes()), Some(41));
        assert_eq!(sequence_number(message("0").as_bytes()), None);
        assert_eq!(sequence_number(b"OBX|1\r"), None);
    }
}
