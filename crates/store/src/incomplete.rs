//! stub
use crate::record::*;
use crate::transaction::{Refusal, Transaction};
pub(crate) fn close(_: &Transaction<'_>, _: &CloseIncomplete) -> Result<Closed, Refusal> { Ok(Closed::Nothing) }
pub(crate) fn expire(_: &Transaction<'_>, _: i64, _: Stamp) -> Result<Vec<MessageId>, Refusal> { Ok(vec![]) }
