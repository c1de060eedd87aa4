//! stub
use crate::record::*;
use crate::transaction::{Refusal, Transaction};
pub(crate) fn release(_: &Transaction<'_>, _: &[i64], _: &Decision) -> Result<(), Refusal> { Ok(()) }
pub(crate) fn discard(_: &Transaction<'_>, _: &[i64], _: &Decision) -> Result<(), Refusal> { Ok(()) }
