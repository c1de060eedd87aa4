//! What a capture is made of: one header, then entries in the order in which they happened.

use core::time::Duration;
use std::borrow::Cow;

use jiff::Timestamp;

/// The lines in front of the first entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The driver profile of the connection, when one was configured.
    pub driver: Option<String>,
    /// Kind of line: `tcp`, `serial`, `file`, or whatever the recorder said.
    pub link: String,
    /// Wall time of offset zero.
    pub started: Timestamp,
    /// Header lines of other names, in their order, as they stood.
    pub extra: Vec<(String, String)>,
}

impl Header {
    /// A header without driver and further lines.
    pub fn new(link: impl Into<String>, started: Timestamp) -> Self {
        Self { driver: None, link: link.into(), started, extra: Vec::new() }
    }

    /// The same header, naming the driver profile.
    #[must_use]
    pub fn with_driver(mut self, driver: impl Into<String>) -> Self {
        self.driver = Some(driver.into());
        self
    }
}

/// Who an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// `>`: bytes from the analyzer to the host.
    ToHost,
    /// `<`: bytes from the host to the analyzer.
    ToAnalyzer,
    /// `!`: something that happened to the line itself: open, close, break, parity error.
    Event,
}

impl Direction {
    /// The mark that stands for this direction in a capture file.
    pub const fn mark(self) -> char {
        match self {
            Self::ToHost => '>',
            Self::ToAnalyzer => '<',
            Self::Event => '!',
        }
    }

    pub(crate) const fn from_mark(mark: u8) -> Option<Self> {
        match mark {
            b'>' => Some(Self::ToHost),
            b'<' => Some(Self::ToAnalyzer),
            b'!' => Some(Self::Event),
            _ => None,
        }
    }
}

/// What an entry carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Bytes of one read, analyzer to host.
    ToHost(Vec<u8>),
    /// Bytes of one write, host to analyzer.
    ToAnalyzer(Vec<u8>),
    /// A word or sentence about the line: `open`, `close`, `break`.
    Event(String),
}

/// One line of a capture: one read, one write or one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Time since the capture started; files keep milliseconds.
    pub offset: Duration,
    /// What happened.
    pub content: Content,
}

impl Entry {
    /// Bytes that the analyzer sent.
    pub fn to_host(offset: Duration, bytes: impl Into<Vec<u8>>) -> Self {
        Self { offset, content: Content::ToHost(bytes.into()) }
    }

    /// Bytes that the host sent.
    pub fn to_analyzer(offset: Duration, bytes: impl Into<Vec<u8>>) -> Self {
        Self { offset, content: Content::ToAnalyzer(bytes.into()) }
    }

    /// Something that happened to the line.
    pub fn event(offset: Duration, text: impl Into<String>) -> Self {
        Self { offset, content: Content::Event(text.into()) }
    }

    /// Bytes or text travelling in `direction`; an event's text is read as UTF-8, byte errors replaced.
    pub fn new(offset: Duration, direction: Direction, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let content = match direction {
            Direction::ToHost => Content::ToHost(bytes),
            Direction::ToAnalyzer => Content::ToAnalyzer(bytes),
            Direction::Event => Content::Event(match String::from_utf8_lossy(&bytes) {
                Cow::Borrowed(text) => text.to_owned(),
                Cow::Owned(text) => text,
            }),
        };
        Self { offset, content }
    }

    /// Who the entry comes from.
    pub const fn direction(&self) -> Direction {
        match &self.content {
            Content::ToHost(_) => Direction::ToHost,
            Content::ToAnalyzer(_) => Direction::ToAnalyzer,
            Content::Event(_) => Direction::Event,
        }
    }

    /// The bytes of a read or write, the UTF-8 text of an event.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::ToHost(bytes) | Content::ToAnalyzer(bytes) => bytes,
            Content::Event(text) => text.as_bytes(),
        }
    }
}
