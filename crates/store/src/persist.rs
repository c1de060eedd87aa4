//! stub
use crate::record::{Persist, Persisted};
use crate::transaction::{Refusal, Transaction};
pub(crate) fn apply(_: &Transaction<'_>, _: &Persist) -> Result<Persisted, Refusal> { Ok(Persisted::default()) }
