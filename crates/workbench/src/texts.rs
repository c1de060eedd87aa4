//! The texts of a file's messages, whatever carries them, for looking at them without a profile.

use labwire_capture::{Body, Content};
use labwire_link::control::{FS, VT};
use labwire_message::Syntax;

use crate::dump::unframe;

/// Everything that the analyzer sent, in order.
pub(crate) fn sent(body: &Body) -> Vec<u8> {
    match body {
        Body::Records(bytes) => bytes.clone(),
        Body::Wire(entries) => {
            let mut stream = Vec::new();
            for entry in entries {
                if let Content::ToHost(bytes) = &entry.content {
                    stream.extend_from_slice(bytes);
                }
            }
            stream
        }
    }
}

/// The texts of a body without framing: blocks, else the text of each session's frames, else the whole
/// stream, for dialects that have neither.
pub(crate) fn texts(body: &Body) -> Vec<Vec<u8>> {
    let stream = sent(body);
    if matches!(body, Body::Records(_)) {
        return vec![stream];
    }
    let blocks: Vec<Vec<u8>> = stream
        .split(|byte| *byte == VT)
        .skip(1)
        .map(|block| block.split(|byte| *byte == FS).next().unwrap_or_default().to_vec())
        .collect();
    if !blocks.is_empty() {
        return blocks;
    }
    let texts = unframe(&stream).texts;
    if texts.is_empty() { vec![stream] } else { texts }
}

/// How the messages of a body are built, told by their headers; `None` for text of a vendor's own.
pub(crate) fn syntax(body: &Body) -> Option<Syntax> {
    let texts = texts(body);
    let begins = |mark: &[u8]| {
        texts
            .iter()
            .flat_map(|text| text.split(|byte| matches!(*byte, b'\r' | b'\n')))
            .any(|line| line.trim_ascii_start().starts_with(mark))
    };
    if begins(b"MSH") {
        Some(Syntax::Hl7)
    } else if [&b"H|"[..], b"H\\", b"H^", b"H~"].iter().any(|mark| begins(mark)) {
        Some(Syntax::Lis02)
    } else {
        None
    }
}
