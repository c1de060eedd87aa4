//! Cases of HL7 v2, MLLP, IHE LAW and TLS that need more than a script.

use crate::Function;

pub(crate) const FUNCTIONS: &[Function] = &[];
