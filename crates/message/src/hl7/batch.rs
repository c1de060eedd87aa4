//! Replies to batches: a batch of acknowledgements, and what stands for the batch as a whole.

use crate::build::RecordBuilder;
use crate::name::Name;
use crate::scan::Syntax;
use crate::view::Record;

const BHS: Name = Name::of(*b"BHS");
const BTS: Name = Name::of(*b"BTS");
const MSH: Name = Name::of(*b"MSH");

/// A batch of acknowledgements in the order of the messages they answer. `control_id` is new (BHS-11);
/// BHS-12 names the batch that is answered, byte for byte. `time` is `YYYYMMDDHHMMSS±HHMM`.
#[must_use]
pub fn acknowledge_batch(bhs: &Record<'_>, control_id: &str, time: &str, replies: &[Vec<u8>]) -> Vec<u8> {
    let delimiters = *bhs.delimiters();
    let mut header = RecordBuilder::new(Syntax::Hl7, BHS, delimiters);
    for (ours, theirs) in [(3, 5), (4, 6), (5, 3), (6, 4), (12, 11)] {
        header.raw(ours, bytes_of(bhs, theirs));
    }
    header.text(7, time.as_bytes()).text(11, control_id.as_bytes());
    let mut trailer = RecordBuilder::new(Syntax::Hl7, BTS, delimiters);
    trailer.text(1, replies.len().to_string().as_bytes());
    [&header.finish(), &b"\r"[..], &replies.concat(), &trailer.finish(), b"\r"].concat()
}

/// An MSH segment that stands for a batch, so that the batch can be answered like a message: its
/// parties and its control id (BHS-11) are the batch's, processing id and version are those of
/// `message`, one of its messages.
#[must_use]
pub fn batch_as_message(bhs: &Record<'_>, message: Option<&Record<'_>>) -> Vec<u8> {
    let mut header = RecordBuilder::new(Syntax::Hl7, MSH, *bhs.delimiters());
    for (ours, theirs) in [(3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (10, 11)] {
        header.raw(ours, bytes_of(bhs, theirs));
    }
    if let Some(message) = message {
        header.raw(11, bytes_of(message, 11)).raw(12, bytes_of(message, 12));
    }
    header.finish()
}

fn bytes_of<'a>(record: &Record<'a>, number: u16) -> &'a [u8] {
    record.field(number).map_or(b"", |field| field.bytes())
}
