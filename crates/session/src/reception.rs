//! The text of one reception as its units arrive, and what earlier receptions left behind.

use labwire_model::{DecodedMessage, Disposition, MessageKind};

/// A frame that the spool held when the daemon started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredFrame {
    /// LIS01 frame number.
    pub number: Option<u8>,
    /// Whether it ended its chain.
    pub ends_chain: bool,
    /// Its text.
    pub bytes: Vec<u8>,
}

/// The text received so far of a message that is not complete.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    /// Number of the reception, unique for the connection.
    pub(crate) transmission: u64,
    text: Vec<u8>,
}

/// What ends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageEnd {
    /// Its terminator; the text behind it begins here.
    Terminator(usize),
    /// The header of the next message, which begins here.
    Header(usize),
}

/// Whether a record is of this type: the letter alone, or followed by a delimiter. Case does not
/// matter (LIS02-A2 §5.1).
fn is_letter(record: &[u8], letter: u8) -> bool {
    match record {
        [first] => first.eq_ignore_ascii_case(&letter),
        [first, delimiter, ..] => first.eq_ignore_ascii_case(&letter) && !delimiter.is_ascii_alphanumeric(),
        [] => false,
    }
}

/// Where the text stood before a unit that may still be refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Reception {
    pub(crate) fn new(transmission: u64) -> Self {
        Self { transmission, text: Vec::new() }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where the message that begins at `from` ends: behind its terminator record, or before the
    /// header of another message, which means that it will never be complete (LIS02-A2 §12).
    /// `None` while neither has come.
    pub(crate) fn message_end(&self, from: usize) -> Option<MessageEnd> {
        let mut at = from;
        loop {
            let record = self.text.get(at..)?;
            if at > from && is_letter(record, b'H') {
                return Some(MessageEnd::Header(at));
            }
            let length = record.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
            at += length + 1;
            if is_letter(&record[..length], b'L') {
                if self.text.get(at - 1) == Some(&b'\r') && self.text.get(at) == Some(&b'\n') {
                    at += 1;
                }
                return Some(MessageEnd::Terminator(at));
            }
        }
    }

    /// Whether a unit begins another message than the one that is under way.
    pub(crate) fn is_cut_by(&self, unit: &[u8]) -> bool {
        self.text.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) && is_letter(unit, b'H')
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds a unit's text. The end of a chain is the end of a record also where the CR before ETX
    /// is missing; several analyzers leave it out of the terminator record.
    pub(crate) fn append(&mut self, bytes: &[u8], ends_chain: bool) -> Mark {
        let mark = Mark(self.text.len());
        self.text.extend_from_slice(bytes);
        if ends_chain && self.text.last().is_some_and(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.text.push(b'\r');
        }
        mark
    }

    /// Forgets a unit that was refused: the analyzer sends it again.
    pub(crate) fn undo(&mut self, mark: Mark) {
        self.text.truncate(mark.0);
    }

    /// Forgets what completed messages took; what follows them opens the next reception.
    pub(crate) fn settle(&mut self, taken: usize) {
        self.text.drain(..taken.min(self.text.len()));
        self.transmission += 1;
    }

    /// Ends the reception and gives what it held.
    pub(crate) fn take(&mut self) -> (u64, Vec<u8>) {
        let ended = self.transmission;
        self.transmission += 1;
        (ended, core::mem::take(&mut self.text))
    }
}

/// An incomplete message that a later one may still settle.
#[derive(Clone, Debug)]
pub(crate) struct Unsettled {
    pub(crate) transmission: u64,
    pub(crate) raw: Vec<u8>,
    pub(crate) identity: Vec<u8>,
    /// No complete message has followed it: only the next one may go on where it stopped.
    pub(crate) last: bool,
}

impl Unsettled {
    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.raw.len() + self.identity.len()
    }
}

/// Joins the frames of a reception as the spool held them. A frame that was refused because its
/// commit was late is durable all the same; its retransmission follows it with the same number and
/// the same bytes and counts once.
pub(crate) fn join(frames: &[RecoveredFrame]) -> Vec<u8> {
    let mut reception = Reception::default();
    let mut previous: Option<&RecoveredFrame> = None;
    for frame in frames {
        if frame.number.is_none() || previous != Some(frame) {
            reception.append(&frame.bytes, frame.ends_chain);
        }
        previous = Some(frame);
    }
    reception.text
}

/// Holds every observation of a message that never completed.
pub(crate) fn hold_incomplete(decoded: &mut DecodedMessage) {
    if decoded.kind != MessageKind::Results {
        return;
    }
    for outcome in &mut decoded.outcomes {
        outcome.disposition = Disposition::Hold {
            code: "incomplete".to_owned(),
            reason: "the message broke off before its end; ask the analyzer to send it again, or release it"
                .to_owned(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u8, text: &str, ends_chain: bool) -> RecoveredFrame {
        RecoveredFrame { number: Some(number), ends_chain, bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn a_frame_that_was_refused_late_and_sent_again_counts_once() {
        let frames = [
            frame(1, "H|\\^&\r", true),
            frame(2, "R|1", false),
            frame(2, "R|1", false),
            frame(3, "|5\r", true),
        ];
        assert_eq!(join(&frames), b"H|\\^&\rR|1|5\r");
    }

    #[test]
    fn equal_text_under_the_next_number_counts_twice() {
        let frames = [frame(1, "C|1\r", true), frame(2, "C|1\r", true)];
        assert_eq!(join(&frames), b"C|1\rC|1\r");
    }

    #[test]
    fn the_end_of_a_chain_ends_the_record() {
        let frames = [frame(1, "L|1", false), frame(2, "|N", true)];
        assert_eq!(join(&frames), b"L|1|N\r");
        let cut_before_cr = [frame(1, "L|1|N", false), frame(2, "\r", true)];
        assert_eq!(join(&cut_before_cr), b"L|1|N\r");
    }

    #[test]
    fn a_message_ends_behind_its_terminator() {
        let mut reception = Reception::new(1);
        reception.append(b"H|\\^&\rL|1", false);
        assert_eq!(reception.message_end(0), None);
        reception.append(b"|N\rH|\\^&\rLAB|1\rL\r", true);
        let Some(MessageEnd::Terminator(first)) = reception.message_end(0) else { panic!("no end") };
        assert_eq!(&reception.text()[..first], b"H|\\^&\rL|1|N\r");
        assert_eq!(reception.message_end(first), Some(MessageEnd::Terminator(reception.text().len())));
    }

    #[test]
    fn a_second_header_ends_a_message_that_has_no_terminator() {
        let mut reception = Reception::new(1);
        reception.append(b"H|\\^&\rR|1\rH|\\^&\r", true);
        assert_eq!(reception.message_end(0), Some(MessageEnd::Header(10)));
        assert_eq!(reception.message_end(10), None);
        assert!(
            reception.is_cut_by(b"H|\\^&\r")
                && !reception.is_cut_by(b"HELLO")
                && !reception.is_cut_by(b"P|1\r")
        );
    }

    #[test]
    fn a_refused_unit_leaves_no_trace() {
        let mut reception = Reception::new(7);
        reception.append(b"H|\\^&\r", true);
        let mark = reception.append(b"P|1", true);
        reception.undo(mark);
        assert_eq!(reception.text(), b"H|\\^&\r");
    }
}
