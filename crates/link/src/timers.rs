//! The timers of a machine, one table.

use core::time::Duration;

/// When each running timer ends. `T` names the timers of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Timers<T>(Vec<(Duration, T)>);

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// Starts a timer, or starts it anew.
    pub(crate) fn set(&mut self, timer: T, at: Duration) {
        self.clear(timer);
        self.0.push((at, timer));
    }

    pub(crate) fn clear(&mut self, timer: T) {
        self.0.retain(|(_, running)| *running != timer);
    }

    pub(crate) fn clear_all(&mut self) {
        self.0.clear();
    }

    pub(crate) fn runs(&self, timer: T) -> bool {
        self.0.iter().any(|(_, running)| *running == timer)
    }

    /// The earliest end among the timers that `counts` lets count.
    pub(crate) fn next(&self, counts: impl Fn(T) -> bool) -> Option<Duration> {
        self.0.iter().filter(|(_, timer)| counts(*timer)).map(|(at, _)| *at).min()
    }

    /// Stops the earliest timer that has ended by `now` and names it; of two that end together,
    /// the one that sorts first.
    pub(crate) fn expire(&mut self, now: Duration) -> Option<T> {
        let (_, timer) = self.0.iter().copied().min().filter(|(at, _)| *at <= now)?;
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn timers_end_in_the_order_of_their_ends() {
        let mut timers = Timers::default();
        timers.set('b', at(30));
        timers.set('c', at(10));
        timers.set('a', at(30));
        assert_eq!(timers.next(|_| true), Some(at(10)));
        assert_eq!(timers.next(|timer| timer != 'c'), Some(at(30)));
        assert_eq!(timers.expire(at(9)), None);
        let order: Vec<_> = core::iter::from_fn(|| timers.expire(at(40))).collect();
        assert_eq!(order, ['c', 'a', 'b']);
    }

    #[test]
    fn a_timer_that_is_set_again_ends_once() {
        let mut timers = Timers::default();
        timers.set('a', at(1));
        timers.set('a', at(2));
        assert_eq!(timers.expire(at(1)), None);
        assert_eq!(timers.expire(at(2)), Some('a'));
        assert!(!timers.runs('a'));
    }
}
