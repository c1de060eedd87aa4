//! Whatever people keep of a line, made into a capture: recognise the kind of file, bring its bytes
//! back, say what had to be assumed.

use crate::entry::{Entry, Header};
use crate::pcap;
use crate::read::{MAGIC, Reader};
use crate::split::split_dump;
use crate::terminal;

/// Kinds of file, told apart by their content alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A `.cap` file.
    Capture,
    /// Bytes as they were on the wire, control characters included.
    Framed,
    /// A terminal program's log that names control characters: `<STX>`, `[STX]`, `\x02`, `␂`.
    Terminal,
    /// Packets of a network, as tcpdump and Wireshark write them.
    Packets,
    /// HL7 segments without block characters.
    Hl7,
    /// LIS02 records without frames.
    Bare,
    /// None of these; some analyzers send plain text.
    Text,
}

impl Format {
    /// The name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Framed => "raw dump with framing",
            Self::Terminal => "terminal log",
            Self::Packets => "packet capture",
            Self::Hl7 => "HL7 messages without framing",
            Self::Bare => "LIS02 records without framing",
            Self::Text => "text",
        }
    }
}

/// What an import found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The kind of file that it was taken for.
    pub format: Format,
    /// The header, when the file says as much.
    pub header: Option<Header>,
    /// The content.
    pub body: Body,
    /// What was assumed, mended or left out.
    pub notes: Vec<Note>,
}

/// The content of an imported file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Traffic of a line, to be fed to a link machine.
    Wire(Vec<Entry>),
    /// Messages without framing, for the message layer as they are.
    Records(Vec<u8>),
}

/// A remark about an imported file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Line of the file, counted from one, where the remark concerns one.
    pub line: Option<usize>,
    /// The remark; it contains no content of the file.
    pub text: String,
}

impl Note {
    pub(crate) fn general(text: impl Into<String>) -> Self {
        Self { line: None, text: text.into() }
    }

    pub(crate) fn at(line: usize, text: impl Into<String>) -> Self {
        Self { line: Some(line), text: text.into() }
    }
}

/// Imports a file of any kind. It never fails: what cannot be used is named in the notes.
pub fn import(bytes: &[u8]) -> Import {
    let format = sniff(bytes);
    let mut notes = Vec::new();
    let (header, body) = match format {
        Format::Capture => {
            let (header, entries) = read_capture(bytes, &mut notes);
            (header, Body::Wire(entries))
        }
        Format::Packets => {
            let (header, entries) = pcap::read(bytes, &mut notes);
            (header, Body::Wire(entries))
        }
        Format::Framed => (None, Body::Wire(split_dump(bytes, &mut notes))),
        Format::Terminal => {
            let raw = terminal::expand(without_bom(bytes), &mut notes);
            (None, Body::Wire(split_dump(&raw, &mut notes)))
        }
        Format::Hl7 | Format::Bare | Format::Text => (None, Body::Records(without_bom(bytes).to_vec())),
    };
    Import { format, header, body, notes }
}

/// Tells the kind of a file from its content.
pub fn sniff(bytes: &[u8]) -> Format {
    let text = without_bom(bytes);
    if text.starts_with(MAGIC.trim_ascii_end()) {
        return Format::Capture;
    }
    if pcap::is_packet_capture(bytes) {
        return Format::Packets;
    }
    if bytes.iter().any(|byte| matches!(byte, 0x02 | 0x05 | 0x0b)) {
        return Format::Framed;
    }
    if terminal::names_framing(text) {
        return Format::Terminal;
    }
    let mut lines = text.split(|&byte| byte == b'\r' || byte == b'\n');
    let begins_message = |line: &[u8]| match line {
        [b'M', b'S', b'H', delimiter, ..] if is_delimiter(*delimiter) => Some(Format::Hl7),
        [b'H' | b'h', delimiter, ..] if is_delimiter(*delimiter) => Some(Format::Bare),
        _ => None,
    };
    if let Some(format) = lines.find_map(begins_message) {
        return format;
    }
    if terminal::has_hex_names(text) { Format::Terminal } else { Format::Text }
}

const fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_punctuation()
}

fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn read_capture(bytes: &[u8], notes: &mut Vec<Note>) -> (Option<Header>, Vec<Entry>) {
    let reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => {
            notes.push(Note::at(error.line, error.to_string()));
            return (None, Vec::new());
        }
    };
    let header = reader.header().clone();
    let mut entries = Vec::new();
    for entry in reader {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => notes.push(Note::at(error.line, error.to_string())),
        }
    }
    (Some(header), entries)
}
