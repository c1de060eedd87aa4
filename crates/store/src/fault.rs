//! Where the tests of this crate make the writer's file fail. Without them it has no state.

use crate::StoreError;
use crate::error::Severity;

/// A step of the writer that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everything is written; COMMIT itself fails and nothing is kept.
    BeforeCommit,
    /// COMMIT reports an error although the log holds the transaction, as after a failed fsync.
    AfterCommit,
    /// The file that was opened again fails its verification.
    Reopen,
}

/// Faults to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    pub(crate) planned: std::sync::Mutex<Vec<(Place, Severity)>>,
}

impl Faults {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the tests' build has state")]
    pub(crate) fn check(&self, _place: Place) -> Result<(), (Severity, StoreError)> {
        Ok(())
    }

    /// Takes the first fault that is planned for `place`.
    #[cfg(test)]
    pub(crate) fn check(&self, place: Place) -> Result<(), (Severity, StoreError)> {
        let mut planned = self.planned.lock().unwrap();
        let Some(at) = planned.iter().position(|(planned, _)| *planned == place) else { return Ok(()) };
        let (_, severity) = planned.remove(at);
        Err(match severity {
            Severity::Full => (severity, StoreError::Full),
            _ => (severity, StoreError::Latched { reason: "planted".to_owned() }),
        })
    }
}
