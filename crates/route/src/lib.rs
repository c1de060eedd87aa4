//! Which result goes to which sink, and when a delivery is tried again: as data, without a clock.

#![forbid(unsafe_code)]

use core::time::Duration;

use labwire_model::{DecodedMessage, Disposition};

/// The name of the one sink that every site has: the LIS database.
pub const LIS: &str = "lis";

/// When a failed delivery is tried again. Delivery to a sink never gives up: a result that was
/// acknowledged is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    /// Pause after the first failure.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(10) }
    }
}

impl RetrySchedule {
    /// Pause before the next try after `failures` failures in a row: doubled each time, bounded by
    /// [`Self::longest`].
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// The sinks that a message goes to. Every message goes to the LIS database, also one with nothing
/// to file: its copy there is how the LIS sees what is held.
#[must_use]
pub fn sinks_for(_message: &DecodedMessage) -> &'static [&'static str] {
    &[LIS]
}

/// Whether an outcome is for the sinks at all.
#[must_use]
pub fn is_delivered(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::Deliver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let schedule = RetrySchedule { first: Duration::from_millis(250), longest: Duration::from_secs(3) };
        let pauses: Vec<_> = (1..=6).map(|failures| schedule.pause(failures).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 3000, 3000]);
        assert_eq!(schedule.pause(u32::MAX), Duration::from_secs(3));
    }
}
