//! What a reply says: MSA and ERR, in the forms of all versions.

use crate::charset::Charset;
use crate::hl7::acknowledge::AckCode;
use crate::view::{Record, View};

/// A reply to a message of ours. Its text is the peer's, and may hold what a log must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// MSA-1; `None` when it is none of the six codes, which is no answer.
    pub code: Option<AckCode>,
    /// MSA-1 was written otherwise than in capitals.
    pub is_lower_case: bool,
    /// MSA-2, byte for byte.
    pub control_id: &'a [u8],
    /// MSA-4.
    pub expected_sequence: &'a [u8],
    /// The code of table 0357: ERR-3 (2.5 on), the fourth component of ERR-1, or MSA-6.
    pub condition: Option<u16>,
    /// The first words for a person: MSA-3, ERR-8 or ERR-7.
    pub text: Option<String>,
}

impl<'a> Reply<'a> {
    /// Reads the reply in a message; `None` when it has no MSA segment.
    #[must_use]
    pub fn read(view: &View<'a>, charset: Charset) -> Option<Self> {
        let msa = view.records().find(|record| record.name() == "MSA")?;
        let err = view.records().find(|record| record.name() == "ERR");
        let code = AckCode::parse(field(&msa, 1));
        let places = [(err, 3, 1), (err, 1, 4), (Some(msa), 6, 1)];
        let condition = places.into_iter().find_map(|(record, number, component)| {
            let part = record?.field(number)?.component(component)?.bytes();
            let digits = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
            core::str::from_utf8(&part[..digits]).ok()?.parse().ok()
        });
        let words = [(Some(msa), 3), (err, 8), (err, 7)];
        let text = words.into_iter().find_map(|(record, number)| {
            let record = record?;
            let path = crate::Path::field(record.name(), number);
            record.text(&path, charset).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        });
        Some(Self {
            code,
            is_lower_case: code.is_some_and(|code| field(&msa, 1) != code.as_str().as_bytes()),
            control_id: field(&msa, 2),
            expected_sequence: field(&msa, 4),
            condition,
            text,
        })
    }
}

fn field<'a>(record: &Record<'a>, number: u16) -> &'a [u8] {
    record.field(number).map_or(b"", |field| field.bytes())
}

/// The state of one order in an order reply, ORC by ORC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderState<'a> {
    /// Which of the reply's orders, from 1: it tells the order where no number does.
    pub position: usize,
    /// ORC-2, the number that the placer gave.
    pub placer: &'a [u8],
    /// ORC-1, table 0119: `OK`, `UA`, `CR`, `UC` …
    pub control: &'a [u8],
    /// ORC-5, table 0038: `SC`, `IP`, `CM`, `CA` …
    pub status: &'a [u8],
}

/// The states of orders that a reply (ORL, ORR) tells, with or without the orders themselves.
#[must_use]
pub fn order_states<'a>(view: &View<'a>) -> Vec<OrderState<'a>> {
    let orders = view.records().filter(|record| record.name() == "ORC");
    (1..)
        .zip(orders)
        .map(|(position, orc)| OrderState {
            position,
            placer: field(&orc, 2),
            control: field(&orc, 1),
            status: field(&orc, 5),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Index, Syntax};

    /// Code, whether it is in lower case, control id, condition, text.
    type Read = (Option<AckCode>, bool, Vec<u8>, Option<u16>, Option<String>);

    fn read(segments: &str) -> Option<Read> {
        let message = format!("MSH|^~\\&|A\r{segments}\r");
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, message.as_bytes());
        let reply = Reply::read(&view, Charset::Utf8)?;
        Some((reply.code, reply.is_lower_case, reply.control_id.to_vec(), reply.condition, reply.text))
    }

    #[test]
    fn code_condition_and_text_are_found_in_the_form_of_each_version() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(read("MSA|AA|7"), Some((Some(AckCode::Aa), false, b"7".to_vec(), None, None)));
        let new = "MSA|AR|7 \rERR||MSH^1|206^locked^HL70357|E||||try later";
        assert_eq!(read(new), Some((Some(AckCode::Ar), false, b"7 ".to_vec(), Some(206), text("try later"))));
        let old = "MSA|ae|7|no\rERR|PID^1^3^101&missing&HL70357";
        assert_eq!(read(old), Some((Some(AckCode::Ae), true, b"7".to_vec(), Some(101), text("no"))));
        assert_eq!(
            read("MSA|AE|7||||207^internal"),
            Some((Some(AckCode::Ae), false, b"7".to_vec(), Some(207), None))
        );
        assert_eq!(read("MSA|AAfoo|7").map(|reply| reply.0), Some(None));
        assert_eq!(read("OBX|1"), None);
    }
}
