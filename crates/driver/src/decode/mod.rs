//! One message through a plan.

mod hl7;
mod lis02;
mod message;
mod observe;
mod scope;
mod strict;
pub(crate) mod text;

use std::borrow::Cow;

use labwire_message::hl7::Header;
use labwire_message::{Charset, Index, Syntax};
use labwire_model::DecodedMessage;

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
        let mut message = self.decode(bytes, context);
        if self.protocol == Protocol::Lis02 {
            strict::review(&Index::new().scan(Syntax::Lis02, bytes), &mut message);
        }
        message
    }

    /// As [`Plan::decode`], with an index that is used again and again.
    #[must_use]
    pub fn decode_with(&self, index: &mut Index, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
        let Some(syntax) = self.protocol.syntax() else { return text::decode(self, bytes, context) };
        let charset = self.rules.charset.or_else(|| declared(syntax, index, bytes)).unwrap_or_default();
        let transcoded = charset.hides_delimiters();
        let utf8 = if transcoded { charset.decode(bytes).0 } else { Cow::Borrowed("") };
        let (bytes, charset) = if transcoded { (utf8.as_bytes(), Charset::Utf8) } else { (bytes, charset) };
        let reading = Reading { charset, transcoded };
        let view = index.scan(syntax, bytes);
        match self.protocol {
            Protocol::Lis02 => lis02::decode(self, &view, reading, context),
            _ => hl7::decode(self, &view, reading, context),
        }
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
