//! Link-layer machines: LIS01/E1381 receiver and sender, MLLP, delimited text streams.
//!
//! A machine turns the bytes of one line into acknowledged units and turns verdicts about those
//! units into replies. It owns no socket and no clock: bytes and time come in through
//! [`Machine::handle`], and everything it wants done comes out through the `poll_` methods.
//!
//! Three rules hold for every machine here:
//!
//! - **It never acknowledges data by itself.** After [`Event::Unit`] or [`Event::Repeat`] it stops
//!   reading until the owner answers [`Input::Accept`] (the bytes are durable) or
//!   [`Input::Refuse`]. Only bytes that carry no data, such as ENQ, are answered from
//!   [`Input::Ready`].
//! - **Chunks mean nothing.** Bytes behind an open verdict wait in a bounded queue, so events and
//!   replies are a function of the byte stream and of time, not of how reads cut the stream.
//! - **Everything has a limit** with a name in the settings; reaching it is a [`Fault`].
#![forbid(unsafe_code)]

mod delimited;
mod fault;
mod intake;
mod lis01;
mod machine;
mod mllp;
mod output;
pub mod sabotage;
mod skipped;
mod timers;
mod tolerance;

pub use delimited::{Answer, Check, Delimited, DelimitedSettings, TextReply, TextSession};
pub use fault::{Fault, FaultKind, OtherProtocol, Reply};
pub use lis01::{
    Capability, InterruptPolicy, LineState, Lis01, Lis01Settings, Packing, Role, SentChecksum,
    frame_checksum, write_frame,
};
pub use machine::{
    EndReason, ErrorMode, Event, Input, Link, LinkSettings, Machine, SendFailure, Token, UnitEnd,
};
pub use mllp::{Mllp, MllpSettings, Release};
pub use tolerance::{Tolerance, Tolerances, UnknownTolerance};

/// The control bytes of the dialects, by the names that the standards give them.
pub mod control {
    /// Start of heading: opens a block of some dialects.
    pub const SOH: u8 = 0x01;
    /// Start of text: opens a frame.
    pub const STX: u8 = 0x02;
    /// End of text: closes an end frame.
    pub const ETX: u8 = 0x03;
    /// End of transmission: returns the line to neutral.
    pub const EOT: u8 = 0x04;
    /// Enquiry: a bid for the line.
    pub const ENQ: u8 = 0x05;
    /// Positive reply.
    pub const ACK: u8 = 0x06;
    /// Line feed.
    pub const LF: u8 = 0x0A;
    /// Vertical tab: opens an MLLP block.
    pub const VT: u8 = 0x0B;
    /// Carriage return.
    pub const CR: u8 = 0x0D;
    /// Negative reply.
    pub const NAK: u8 = 0x15;
    /// End of transmission block: closes an intermediate frame.
    pub const ETB: u8 = 0x17;
    /// File separator: closes an MLLP block.
    pub const FS: u8 = 0x1C;
    /// Group separator: stands before the check of a BCI text.
    pub const GS: u8 = 0x1D;
    /// Record separator: opens a record of a BCI text.
    pub const RS: u8 = 0x1E;
}
