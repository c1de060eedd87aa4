//! Over captures: decode, identify, check.
//!
//! A capture that holds both sides of a conversation goes through the same session as the wire. A
//! dump or a bare message has no conversation in it; its frames are read with the wire's limits and
//! sequence rules turned into diagnostics, because a file can not be asked to repeat.

#![forbid(unsafe_code)]

mod check;
mod conversation;
mod decode;
mod dump;

pub use check::{differences, expected_path};
pub use conversation::{Heard, Host, Step, hear};
pub use decode::{DecodeError, Decoded, File, FileMessage, decode, decode_with, identify};
