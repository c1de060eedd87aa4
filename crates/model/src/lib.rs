//! Canonical nouns that the dialects meet in: specimen, result, verbatim value, code, unit, flag,
//! partial time, provenance.
//!
//! Invariant: what the analyzer sent is kept as text, character for character
//! ([`Observation::value`]); every parsed view stands beside it and may be absent. No type here
//! holds a binary floating point number.

#![forbid(unsafe_code)]

mod diagnostic;
mod line;
mod message;
mod number;
mod observation;
mod range;
mod time;

pub use diagnostic::{Diagnostic, Position};
pub use line::{OutcomeLine, Provenance};
pub use message::{Attachment, DecodedMessage, MessageKind, Query};
pub use number::{Comparator, ParsedValue, parse_value};
pub use observation::{Disposition, Flag, Kind, Observation, ObservationStatus, Outcome};
pub use range::{Bounds, parse_range};
pub use time::{PartialTime, TimeError, ZoneRule};
