//! `[link]`: the lower layer of a profile.

/// Which machine carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// ASTM E1381 / CLSI LIS01-A2 frames.
    Lis01,
    /// HL7 minimal lower layer blocks.
    Mllp,
    /// Text between a start and an end.
    Delimited,
    /// Delimited text between ENQ and EOT with a checksum behind GS.
    Bci,
}

/// What happens after an error that the protocol cannot recover from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorMode {
    /// The connection is closed.
    Close,
    /// Bytes are skipped until something begins that can be read.
    Resync,
}

/// `[link]`, compiled. What is `None` has the dialect's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Which machine carries the messages.
    pub dialect: Dialect,
    /// Whether the standard's state tables are followed to the letter.
    pub strict: bool,
    /// Longest frame or block accepted, in bytes.
    pub receive_frame_bytes_max: Option<usize>,
    /// Longest text of a frame that is sent, in bytes.
    pub send_text_bytes_max: Option<usize>,
    /// Deviations that are accepted and counted, by name.
    pub tolerate: Vec<String>,
    /// `None`: by transport, close on TCP and resynchronise on a serial line.
    pub error_mode: Option<ErrorMode>,
    /// Delimited text: the bytes before a message.
    pub start: Vec<u8>,
    /// Delimited text: the bytes behind a message.
    pub end: Vec<u8>,
    /// Delimited text: whether a message is answered.
    pub reply: bool,
}
