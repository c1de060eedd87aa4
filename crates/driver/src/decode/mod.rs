//! One message through a plan.

mod hl7;
mod lis02;
mod message;
mod observe;
mod scope;
pub(crate) mod text;

use labwire_message::Index;
use labwire_model::DecodedMessage;

use crate::plan::{Context, Plan, Protocol};

impl Plan {
    /// Reads one message, without framing. Never fails: what cannot be read is held or reported.
    #[must_use]
    pub fn decode(&self, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
        self.decode_with(&mut Index::new(), bytes, context)
    }

    /// As [`Plan::decode`], with an index that is used again and again.
    #[must_use]
    pub fn decode_with(&self, index: &mut Index, bytes: &[u8], context: &Context<'_>) -> DecodedMessage {
        let Some(syntax) = self.protocol.syntax() else { return text::decode(self, bytes, context) };
        let view = index.scan(syntax, bytes);
        match self.protocol {
            Protocol::Lis02 => lis02::decode(self, &view, context),
            _ => hl7::decode(self, &view, context),
        }
    }
}
