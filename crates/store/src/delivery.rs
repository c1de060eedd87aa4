//! stub
use crate::record::*;
use crate::transaction::{Refusal, Transaction};
pub(crate) fn mark_delivered(_: &Transaction<'_>, _: &[i64], _: Stamp) -> Result<u64, Refusal> { Ok(0) }
pub(crate) fn mark_failed(_: &Transaction<'_>, _: &[i64], _: &str) -> Result<(), Refusal> { Ok(()) }
pub(crate) fn refuse(_: &Transaction<'_>, _: i64, _: &str, _: &str, _: Stamp) -> Result<(), Refusal> { Ok(()) }
