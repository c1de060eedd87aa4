//! Reading as far as a defect of our own lets it: what cannot be read is kept and shown to a person,
//! and is not refused for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};

use labwire_model::{DecodedMessage, Diagnostic, Disposition, MessageKind, Observation, Outcome};

const CODE: &str = "unreadable";
const REASON: &str = "reading the message met a defect of this program; it is kept as it was sent";

/// What `read` makes of a message, or the message as one observation that is held where `read` panics.
pub(crate) fn decoded(raw: &[u8], read: impl FnOnce(&[u8]) -> DecodedMessage) -> DecodedMessage {
    attempt(|| read(raw)).unwrap_or_else(|| unreadable(raw))
}

/// What `work` gives; `None` where it panics. Nothing that it might leave half done is used again.
pub(crate) fn attempt<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn unreadable(raw: &[u8]) -> DecodedMessage {
    let disposition = Disposition::Hold { code: CODE.to_owned(), reason: REASON.to_owned() };
    let observation = Observation { record: 1, ..Observation::default() };
    DecodedMessage {
        outcomes: vec![Outcome { observation, disposition }],
        diagnostics: vec![Diagnostic::new(CODE, 0, 0, "", REASON)],
        identity: raw.to_vec(),
        ..DecodedMessage::empty(MessageKind::Results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_whose_reading_panics_is_held() {
        let found = decoded(b"H|\\^&\rL|1\r", |_| panic!("a defect"));
        assert_eq!((found.kind, found.held().count()), (MessageKind::Results, 1));
        assert_eq!(found.diagnostics[0].code, "unreadable");
        assert_eq!(found.identity, b"H|\\^&\rL|1\r", "a repeat of it is recognised");
    }
}
