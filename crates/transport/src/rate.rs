//! How often one source may dial: token buckets over a clock that is an argument.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

/// Sources that are counted apart. The ones beyond share one count.
const SOURCES_MAX: usize = 1024;

/// A bucket that is full at first and fills evenly.
#[derive(Debug, Clone)]
struct Bucket {
    capacity: u64,
    period: Duration,
    /// In parts of a token: `period` in nanoseconds makes one.
    level: u128,
    filled: Instant,
}

impl Bucket {
    /// `capacity` tokens in each `period`, as many at once after a pause.
    fn new(capacity: u64, period: Duration, now: Instant) -> Self {
        let mut bucket = Self { capacity, period, level: 0, filled: now };
        bucket.level = bucket.full();
        bucket
    }

    fn token(&self) -> u128 {
        self.period.as_nanos().max(1)
    }

    fn full(&self) -> u128 {
        u128::from(self.capacity) * self.token()
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_nanos();
        self.filled = self.filled.max(now);
        self.level = (self.level + passed.saturating_mul(u128::from(self.capacity))).min(self.full());
    }

    /// Takes one token, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let enough = self.level >= self.token();
        if enough {
            self.level -= self.token();
        }
        enough
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level == self.full()
    }
}

/// Counts who dials how often.
#[derive(Debug)]
pub(crate) struct ConnectRate {
    per_minute_max: u64,
    sources: BTreeMap<IpAddr, Bucket>,
    /// For sources that find the table full of others.
    strangers: Bucket,
    swept: Instant,
}

impl ConnectRate {
    pub(crate) fn new(per_minute_max: u32, now: Instant) -> Self {
        let per_minute_max = u64::from(per_minute_max);
        let strangers = Bucket::new(per_minute_max, MINUTE, now);
        Self { per_minute_max, sources: BTreeMap::new(), strangers, swept: now }
    }

    /// Whether this source may connect once more.
    pub(crate) fn admits(&mut self, source: IpAddr, now: Instant) -> bool {
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            // Not for every caller of a flood.
            if now.saturating_duration_since(self.swept) >= SWEEP_PAUSE {
                self.swept = now;
                // A full bucket says nothing that a new one would not say.
                self.sources.retain(|_, bucket| !bucket.is_full(now));
            }
            if self.sources.len() >= SOURCES_MAX {
                return self.strangers.take(now);
            }
        }
        let fresh = || Bucket::new(self.per_minute_max, MINUTE, now);
        self.sources.entry(source).or_insert_with(fresh).take(now)
    }
}

/// Least time between two looks for sources that have been silent.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn source(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn a_source_beyond_its_rate_waits_and_others_do_not() {
        let start = Instant::now();
        let mut rate = ConnectRate::new(60, start);
        let admitted = (0..100).filter(|_| rate.admits(source(1), start)).count();
        assert_eq!(admitted, 60);
        assert!(rate.admits(source(2), start));
        assert!(!rate.admits(source(1), start + Duration::from_millis(999)));
        assert!(rate.admits(source(1), start + Duration::from_secs(1)));
        assert!(!rate.admits(source(1), start + Duration::from_millis(1001)));
    }

    #[test]
    fn ten_thousand_sources_share_what_the_table_cannot_hold() {
        let start = Instant::now();
        let mut rate = ConnectRate::new(5, start);
        let admitted = (0..10_000).filter(|number| rate.admits(source(*number), start)).count();
        assert_eq!(admitted, SOURCES_MAX + 5);
        assert_eq!(rate.sources.len(), SOURCES_MAX);
        let later = start + MINUTE;
        assert!(rate.admits(source(20_000), later), "who has been silent makes room");
        assert_eq!(rate.sources.len(), 1);
    }
}
