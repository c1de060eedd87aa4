//! Capture files: every byte of a line, in both directions and with its time, as text that a
//! person can read, diff and edit.
//!
//! ```text
//! labwire-capture 1
//! driver generic/lis02
//! link tcp
//! started 2026-03-02T08:14:07.120Z
//! 0.000 > <ENQ>
//! 0.002 < <ACK>
//! ```
//!
//! [`Writer`] and [`Reader`] are the format; [`import()`] makes one of anything else that people keep
//! (raw dumps, terminal logs, packet captures, bare messages); [`Ring`] holds the latest bytes of a live line in
//! bounded memory; [`Replay`] turns a capture into what a player has to send and to wait for.
//!
//! Nothing here opens a file or reads a clock: the caller hands in readers, writers and offsets.

#![forbid(unsafe_code)]

mod entry;
mod escape;
mod import;
mod pcap;
mod read;
mod replay;
mod ring;
mod split;
mod terminal;
mod write;

pub use entry::{Content, Direction, Entry, Header};
pub use escape::{control_name, escape, escape_into, unescape};
pub use import::{Body, Format, Import, Note, import, sniff};
pub use read::{LINE_BYTES_MAX, ReadError, Reader};
pub use replay::{Action, Replay, Step};
pub use ring::{Dropped, Ring};
pub use write::Writer;
