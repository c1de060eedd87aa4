//! Growing pauses between attempts, spread by a seeded generator so that fifty analyzers behind one
//! switch do not come back in step.

use core::time::Duration;

/// How the pauses grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffSettings {
    /// The first pause.
    pub first: Duration,
    /// What each pause is multiplied by to give the next.
    pub factor: u32,
    /// The longest pause.
    pub max: Duration,
    /// The share of each pause, in percent, that chance may take away.
    pub jitter_percent: u8,
    /// The pause after a failure that only a person can mend.
    pub after_misconfiguration: Duration,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            factor: 2,
            max: Duration::from_secs(30),
            jitter_percent: 25,
            after_misconfiguration: Duration::from_secs(300),
        }
    }
}

/// Pauses between attempts. The same seed gives the same pauses.
#[derive(Debug, Clone)]
pub struct Backoff {
    settings: BackoffSettings,
    pause: Duration,
    state: u64,
}

impl Backoff {
    /// Pauses that begin with the first one.
    pub const fn new(settings: BackoffSettings, seed: u64) -> Self {
        Self { settings, pause: settings.first, state: seed }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.pause.min(self.settings.max);
        self.pause = pause.saturating_mul(self.settings.factor.max(1)).min(self.settings.max);
        let share = u32::from(self.settings.jitter_percent.min(100));
        let part_per_mille = u32::try_from(self.next_random() % 1001).unwrap_or(0);
        pause.saturating_sub(pause.saturating_mul(share * part_per_mille) / 100_000)
    }

    /// The pause after a failure that only a person can mend.
    pub const fn pause_for_a_person(&self) -> Duration {
        self.settings.after_misconfiguration
    }

    /// Begins again with the first pause.
    pub const fn reset(&mut self) {
        self.pause = self.settings.first;
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): short, even, and good enough to spread reconnects.
    const fn next_random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: BackoffSettings = BackoffSettings {
        first: Duration::from_secs(1),
        factor: 2,
        max: Duration::from_secs(10),
        jitter_percent: 0,
        after_misconfiguration: Duration::from_secs(300),
    };

    #[test]
    fn pauses_grow_to_their_maximum_and_begin_again_after_a_reset() {
        let mut backoff = Backoff::new(EVEN, 1);
        let pauses: Vec<u64> = (0..6).map(|_| backoff.pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        backoff.reset();
        assert_eq!(backoff.pause(), Duration::from_secs(1));
    }

    #[test]
    fn jitter_only_shortens_and_never_by_more_than_its_share() {
        let mut backoff = Backoff::new(BackoffSettings { factor: 1, jitter_percent: 25, ..EVEN }, 7);
        let pauses: Vec<Duration> = (0..200).map(|_| backoff.pause()).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(
            *least >= Duration::from_millis(750) && *most <= Duration::from_secs(1),
            "{least:?}..{most:?}"
        );
        assert!(*most - *least > Duration::from_millis(150), "no spread: {least:?}..{most:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_seed_others() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(BackoffSettings::default(), seed);
            (0..8).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(3), pauses(3));
        assert_ne!(pauses(3), pauses(4));
    }
}
