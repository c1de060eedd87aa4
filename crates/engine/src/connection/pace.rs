//! How much of our time one peer may take: bytes a second, a message without an end, a peer that sends
//! and completes nothing, a peer that is silent. A function of what arrives and when.

use core::time::Duration;
use std::time::Instant;

/// Limits of one peer of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// How fast it is read.
    pub bytes_per_second_max: u64,
    /// How long a message may take from its first byte to its end.
    pub message_timeout: Duration,
    /// How long it may send without completing a unit or a session.
    pub progress_timeout: Duration,
    /// How long it may be silent; for ever without it.
    pub idle_timeout: Option<Duration>,
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            bytes_per_second_max: 2 << 20,
            message_timeout: Duration::from_secs(30 * 60),
            progress_timeout: Duration::from_secs(2 * 60),
            idle_timeout: None,
        }
    }
}

/// A limit of the peer that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overrun {
    /// A message takes too long.
    Message,
    /// Bytes come and nothing is completed.
    Progress,
}

/// Between two bytes that come further apart while nothing is under way, it is noise and not a slow
/// sender.
const NOISE_GAP: Duration = Duration::from_secs(30);

/// Time that a peer which was silent may make up for at once.
const SAVED_MAX: Duration = Duration::from_secs(1);

/// What one peer has taken so far.
#[derive(Debug)]
pub(super) struct Pace {
    limits: PeerLimits,
    /// The last byte, or the beginning.
    heard: Instant,
    /// The first byte after something was completed.
    uncompleted_since: Option<Instant>,
    /// The first byte of the message under way.
    message_since: Option<Instant>,
    /// Reading waits until then.
    reads_from: Instant,
}

impl Pace {
    pub(super) fn new(limits: PeerLimits, now: Instant) -> Self {
        Self { limits, heard: now, uncompleted_since: None, message_since: None, reads_from: now }
    }

    /// Bytes have come and have been carried out. `neutral` says that nothing is under way behind them.
    /// Answers the limit that the peer has reached.
    pub(super) fn hear(&mut self, neutral: bool, now: Instant) -> Option<Overrun> {
        let gap = now.saturating_duration_since(self.heard);
        self.heard = now;
        if neutral {
            self.message_since = None;
            if gap >= NOISE_GAP {
                self.uncompleted_since = None;
            }
        } else {
            self.message_since.get_or_insert(now);
        }
        let since = *self.uncompleted_since.get_or_insert(now);
        let over = |since: Instant, max| now.saturating_duration_since(since) >= max;
        if over(since, self.limits.progress_timeout) {
            Some(Overrun::Progress)
        } else if self.message_since.is_some_and(|since| over(since, self.limits.message_timeout)) {
            Some(Overrun::Message)
        } else {
            None
        }
    }

    /// A unit or a session is complete.
    pub(super) const fn complete(&mut self) {
        self.uncompleted_since = None;
    }

    /// A message is complete.
    pub(super) const fn complete_message(&mut self) {
        self.complete();
        self.message_since = None;
    }

    /// Whether the peer has been silent for longer than it may.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.idle_at().is_some_and(|at| at <= now)
    }

    /// When it will have been.
    pub(super) fn idle_at(&self) -> Option<Instant> {
        self.limits.idle_timeout.map(|timeout| self.heard + timeout)
    }

    /// When it may be read again.
    pub(super) const fn reads_from(&self) -> Instant {
        self.reads_from
    }

    /// Bytes have been read: each takes its share of a second, and up to a second may have been saved.
    /// Answers whether reading has to wait.
    pub(super) fn pay(&mut self, bytes: usize, now: Instant) -> bool {
        let saved = now.checked_sub(SAVED_MAX).unwrap_or(now);
        let nanoseconds = bytes as u64 * 1_000_000_000 / self.limits.bytes_per_second_max.max(1);
        self.reads_from = self.reads_from.max(saved) + Duration::from_nanos(nanoseconds);
        self.reads_from > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pace() -> (Pace, Instant) {
        let start = Instant::now();
        let limits = PeerLimits {
            bytes_per_second_max: 1000,
            message_timeout: seconds(100),
            progress_timeout: seconds(60),
            idle_timeout: Some(seconds(3600)),
        };
        (Pace::new(limits, start), start)
    }

    #[test]
    fn a_peer_that_sends_a_byte_a_second_and_completes_nothing_is_found_out() {
        for neutral in [false, true] {
            let (mut pace, start) = pace();
            let found = (0..120).find(|second| pace.hear(neutral, start + seconds(*second)).is_some());
            assert_eq!(found, Some(60), "neutral: {neutral}");
        }
    }

    #[test]
    fn frames_one_behind_the_other_are_progress_and_a_message_of_them_still_ends() {
        let (mut pace, start) = pace();
        let found = (0..300).find_map(|second| {
            let overrun = pace.hear(false, start + seconds(second));
            pace.complete();
            overrun.map(|overrun| (second, overrun))
        });
        assert_eq!(found, Some((100, Overrun::Message)));
    }

    #[test]
    fn a_session_of_many_messages_has_no_end_to_reach() {
        let (mut pace, start) = pace();
        for second in 0..1000 {
            assert_eq!(pace.hear(false, start + seconds(second)), None);
            pace.complete_message();
        }
    }

    #[test]
    fn single_characters_of_noise_hours_apart_end_nothing() {
        let (mut pace, start) = pace();
        for hour in 0..20 {
            assert_eq!(pace.hear(true, start + seconds(hour * 3600)), None);
        }
    }

    #[test]
    fn a_silent_peer_is_idle_when_its_time_is_over_and_not_before() {
        let (mut pace, start) = pace();
        pace.hear(true, start + seconds(10));
        assert_eq!(pace.idle_at(), Some(start + seconds(3610)));
        assert!(!pace.is_idle(start + seconds(3609)) && pace.is_idle(start + seconds(3610)));
        let unlimited = Pace::new(PeerLimits::default(), start);
        assert!(!unlimited.is_idle(start + seconds(1_000_000)));
    }

    #[test]
    fn a_fast_peer_is_read_at_its_rate_and_a_slow_one_at_once() {
        let (mut pace, start) = pace();
        let mut now = start;
        let mut waits = 0;
        for _ in 0..100 {
            waits += u32::from(pace.pay(100, now));
            now = now.max(pace.reads_from());
        }
        let taken = now - start;
        assert!(
            (seconds(9)..=seconds(10)).contains(&taken),
            "10,000 bytes at 1000 a second, less what was saved, in {taken:?}"
        );
        assert!(waits >= 90, "{waits}");
        assert!(!pace.pay(1, now + seconds(1)));
    }
}
