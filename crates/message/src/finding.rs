//! What a reader of a message noticed, and where.

use std::borrow::Cow;

/// Something worth telling about a message, said beside its content and never instead of it.
///
/// Holds no patient data: `text` speaks of positions and of the standard's own names, never of a
/// value that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable kebab-case code, `unknown-record`, `record-outside-message`.
    pub code: &'static str,
    /// Byte offset from the start of the scanned bytes.
    pub offset: usize,
    /// How many bytes it concerns; 0 where it concerns a place.
    pub length: usize,
    /// Ordinal of the record, 1-based over the scanned bytes; 0 outside any record.
    pub record: usize,
    /// Number of the field, 1-based as the standard counts.
    pub field: Option<u16>,
    /// One sentence for a person at the bench.
    pub text: Cow<'static, str>,
}
