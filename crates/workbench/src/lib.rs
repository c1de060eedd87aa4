//! Over captures: decode, identify, draft a profile, compare two, redact.
//!
//! A capture that holds both sides of a conversation goes through the same session as the wire. A
//! dump or a bare message has no conversation in it; its frames are read with the wire's limits and
//! sequence rules turned into diagnostics, because a file can not be asked to repeat.

#![forbid(unsafe_code)]

mod check;
mod conversation;
mod decode;
mod difference;
mod dump;
mod identify;
mod infer;
mod page;
mod redact;
mod texts;

pub use check::{differences, expected_path};
pub use conversation::{Heard, Host, Step, hear};
pub use decode::{DecodeError, Decoded, File, FileMessage, decode, decode_with};
pub use difference::Difference;
pub use identify::{Candidate, candidates, identify};
pub use infer::{Draft, InferError, Sample, infer};
pub use page::page;
pub use redact::{Redacted, Redactor};
