//! One message through a plan.

mod addendum;
mod hl7;
mod lis02;
mod message;
mod observe;
mod oddities;
mod scope;
mod strict;
pub(crate) mod text;
mod time;
mod value;

use std::borrow::Cow;

use labwire_message::hl7::Header;
use labwire_message::{Charset, Index, Syntax, View, charset};
use labwire_model::{DecodedMessage, Diagnostic};

use crate::decode::scope::Reading;
use crate::plan::{Context, Plan, Protocol};

impl Plan {
    /// Reads one message, without framing. Never fails: what cannot be read is held or reported.
    #[must_use]
    pub fn decode(&self, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
        self.decode_with(&mut Index::new(), bytes, context)
    }

    /// As [`Plan::decode`], to the letter: what LIS02 does not allow is told, and the observations that it
    /// concerns are held.
    #[must_use]
    pub fn decode_strictly(&self, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
        self.read(&mut Index::new(), bytes, context, true)
    }

    /// As [`Plan::decode`], with an index that is used again and again.
    #[must_use]
    pub fn decode_with(&self, index: &mut Index, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
        self.read(index, bytes, context, false)
    }

    fn read(&self, index: &mut Index, raw: &[u8], context: &Context<'_>, strict: bool) -> DecodedMessage {
        let Some(syntax) = self.protocol.syntax() else { return text::decode(self, raw, context) };
        let whole = if syntax == Syntax::Hl7 { addendum::joined(raw) } else { Cow::Borrowed(raw) };
        let raw = whole.as_ref();
        let charset = self.charset_of(syntax, index, raw);
        let transcoded = charset.hides_delimiters();
        let text = if transcoded { charset::transcode(charset, raw) } else { String::new() };
        let bytes = if transcoded { text.as_bytes() } else { raw };
        let reading = Reading { charset: if transcoded { Charset::Utf8 } else { charset }, transcoded };
        let view = index.scan(syntax, bytes);
        let mut message = match self.protocol {
            Protocol::Lis02 => lis02::decode(self, &view, reading, context),
            _ => hl7::decode(self, &view, reading, context),
        };
        match syntax {
            Syntax::Lis02 if strict => strict::review(&view, &mut message),
            Syntax::Hl7 if strict => strict::review_segments(&view, &mut message),
            _ => {}
        }
        if syntax == Syntax::Hl7 && self.rules.charset.is_none() && charset == Charset::default() {
            tell_of_charset(&view, raw, &mut message);
        }
        let malformed = charset.first_malformed(raw);
        // While positions are still those of what was cut.
        let record = malformed.map(|place| {
            let starts = view.records().map(|record| record.offset());
            if transcoded {
                let mut starts: Vec<usize> = starts.collect();
                charset::raw_offsets(charset, raw, &mut starts);
                starts.iter().filter(|start| **start <= place).count()
            } else {
                starts.filter(|start| *start <= place).count()
            }
        });
        if transcoded {
            lead_back(charset, raw, &mut message.diagnostics);
        }
        if let (Some(place), Some(record)) = (malformed, record) {
            let reason = "bytes from here on belong to no character of the message's character set; \
                          they are kept as sent and shown as U+FFFD";
            message.diagnostics.push(Diagnostic::new("undecodable-bytes", place, record, "", reason));
        }
        message
    }

    /// The profile's character set, else the one that the message declares or plainly shows.
    fn charset_of(&self, syntax: Syntax, index: &mut Index, raw: &[u8]) -> Charset {
        let shows = || is_utf_16(raw).then_some(Charset::Utf16Le);
        self.rules.charset.or_else(shows).or_else(|| declared(syntax, index, raw)).unwrap_or_default()
    }
}

/// Whether a header or a byte order mark stands at the beginning in two bytes a character. No message of
/// one byte a character has a NUL there.
const fn is_utf_16(raw: &[u8]) -> bool {
    matches!(raw, [0xFF, 0xFE, ..] | [b'M', 0, b'S', 0, b'H', 0, ..] | [b'H' | b'h', 0, _, 0, ..])
}

/// Positions of the text back into positions of the bytes that were sent.
fn lead_back(charset: Charset, raw: &[u8], diagnostics: &mut [Diagnostic]) {
    let mut order: Vec<usize> = (0..diagnostics.len()).collect();
    order.sort_by_key(|place| diagnostics[*place].position.byte);
    let mut offsets: Vec<usize> = order.iter().map(|place| diagnostics[*place].position.byte).collect();
    charset::raw_offsets(charset, raw, &mut offsets);
    for (place, offset) in order.into_iter().zip(offsets) {
        diagnostics[place].position.byte = offset;
    }
}

/// Tells of a message whose character set nobody has named: MSH-18 holds an unknown name, or the bytes
/// show that it is not UTF-8.
fn tell_of_charset(view: &View<'_>, raw: &[u8], message: &mut DecodedMessage) {
    let header = view.records().find_map(|record| Header::new(record).map(|header| (record, header)));
    if let Some((record, header)) = header.filter(|(_, header)| !header.character_set().is_empty())
        && header.charset().is_none()
    {
        let reason = "MSH-18 names a character set that is not known; the usual ones were tried";
        let at = record.offset();
        message.diagnostics.push(Diagnostic::new("unknown-charset", at, record.ordinal(), "MSH-18", reason));
    }
    if let Err(error) = core::str::from_utf8(raw) {
        let at = error.valid_up_to();
        let record = view.records().filter(|record| record.offset() <= at).count();
        let reason = "the message names no character set and is not UTF-8; it was read as Windows-1252";
        message.diagnostics.push(Diagnostic::new("assumed-charset", at, record, "", reason));
    }
}

/// What MSH-18 says, of the header alone: the rest of the message is not cut yet.
fn declared(syntax: Syntax, index: &mut Index, bytes: &[u8]) -> Option<Charset> {
    if syntax != Syntax::Hl7 {
        return None;
    }
    let start = bytes.windows(3).position(|window| window == b"MSH")?;
    let line = bytes[start..].split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    Header::new(index.scan(syntax, line).record(0)?)?.charset()
}
