//! Findings about content: said beside the value, never instead of it.

use serde::{Deserialize, Serialize};

/// Where in a message a finding lies. Every part is 1-based, as the standards count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Byte offset (0-based) from the start of the message or file.
    pub byte: usize,
    /// Ordinal of the record or segment in the message, 1-based; 0 when outside any record.
    pub record: usize,
    /// The field path in the standard's notation, `R.4` or `OBX-5`; empty when not about a field.
    pub path: String,
}

/// One finding about a message. Holds no patient data: `reason` names positions, paths and codes
/// of the profile's own vocabulary, never a value that the analyzer sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// A stable kebab-case code, `unknown-flag`, `record-outside-message`.
    pub code: String,
    /// Where it was found.
    pub position: Position,
    /// One sentence for a person at the bench.
    pub reason: String,
}

impl Diagnostic {
    /// A finding at a byte of a record.
    #[must_use]
    pub fn new(code: &str, byte: usize, record: usize, path: &str, reason: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            position: Position { byte, record, path: path.to_owned() },
            reason: reason.into(),
        }
    }
}
