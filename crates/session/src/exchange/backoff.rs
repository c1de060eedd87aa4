//! Pauses between attempts, as data.

use core::time::Duration;

/// How attempts follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Pause behind the first failure; it doubles with each one that follows.
    pub pause_first: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// How often one message is sent at most; `None` for ever.
    pub attempts_max: Option<u32>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { pause_first: Duration::from_secs(1), pause_max: Duration::from_secs(60), attempts_max: None }
    }
}

/// Failures in a row, and the chance that keeps many senders out of step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    retry: Retry,
    failures: u32,
    chance: u64,
}

impl Backoff {
    pub(super) fn new(retry: Retry, seed: u64) -> Self {
        // The generator stands still at zero.
        Self { retry, failures: 0, chance: seed | 1 }
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause behind one more failure: between three quarters and the whole of its length.
    pub(super) fn fail(&mut self) -> Duration {
        let doubled = self.retry.pause_first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.retry.pause_max);
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let less = u32::try_from(self.chance % 64).unwrap_or(0);
        whole - whole / 4 * less / 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_limit_and_begin_anew_after_success() {
        let mut backoff = Backoff::new(Retry::default(), 7);
        let pauses: Vec<f64> = (0..9).map(|_| backoff.fail().as_secs_f64()).collect();
        for (pause, whole) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
            assert!((whole * 0.75..=whole).contains(pause), "{pauses:?}");
        }
        backoff.reset();
        assert!(backoff.fail() <= Duration::from_secs(1));
        assert_ne!(Backoff::new(Retry::default(), 8).fail(), Backoff::new(Retry::default(), 80).fail());
    }
}
