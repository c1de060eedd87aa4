//! Messages in a scanned input: where each begins, and whether it came to its end.

use core::ops::Range;

use crate::finding::Finding;

/// One message among the records of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The places of its records, 0-based, for [`crate::View::part`].
    pub records: Range<usize>,
    /// Whether it begins with a header (H, MSH). Records that no header precedes are kept together
    /// as a message without one, so that nothing is lost.
    pub has_header: bool,
    /// What ended it.
    pub end: End,
    /// Whether its sender said everything: header and terminator in LIS02; in HL7, which has no
    /// terminator, a header.
    pub is_complete: bool,
}

/// What ended a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its terminator record L.
    Terminator,
    /// The header of the next message.
    NextHeader,
    /// A segment of the batch around it: FHS, BHS, BTS or FTS.
    Envelope,
    /// The end of the input.
    Input,
}

/// The messages of an input and what was noticed between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// In the order in which they were sent.
    pub messages: Vec<Message>,
    /// Places of batch segments (FHS, BHS, BTS, FTS), which belong to no message.
    pub envelope: Vec<usize>,
    /// In the order of the bytes.
    pub findings: Vec<Finding>,
}
