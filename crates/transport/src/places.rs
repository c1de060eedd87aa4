//! The places of a listener: how many callers may be connected, and who makes room for whom.

use core::time::Duration;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// What happens to a caller when every place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It is turned away.
    Refuse,
    /// It takes the place of the connection from its own address that has been silent longest: an
    /// analyzer that was switched off and on does not wait until its dead connection is found out.
    #[default]
    ReplaceIdle,
}

#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    when_full: WhenFull,
    /// Silence that makes a connection replaceable.
    idle_after: Duration,
    taken: Mutex<Vec<Arc<Occupant>>>,
}

#[derive(Debug)]
struct Occupant {
    source: IpAddr,
    heard: Mutex<Instant>,
    replaced: Notify,
}

impl Places {
    pub(crate) fn new(max: usize, when_full: WhenFull, idle_after: Duration) -> Arc<Self> {
        Arc::new(Self { max, when_full, idle_after, taken: Mutex::new(Vec::new()) })
    }

    pub(crate) fn taken(&self) -> usize {
        self.occupants().len()
    }

    /// A place for a caller; nothing when all are taken and none is given up for it.
    pub(crate) fn take(self: &Arc<Self>, source: IpAddr, now: Instant) -> Option<Place> {
        let mut taken = self.occupants();
        if taken.len() >= self.max {
            let longest_silent = taken
                .iter()
                .enumerate()
                .filter(|(_, occupant)| occupant.source == source)
                .map(|(position, occupant)| (position, now.saturating_duration_since(occupant.heard())))
                .filter(|(_, silence)| self.when_full == WhenFull::ReplaceIdle && *silence >= self.idle_after)
                .max_by_key(|(_, silence)| *silence);
            let (position, _) = longest_silent?;
            taken.remove(position).replaced.notify_one();
        }
        let occupant = Arc::new(Occupant { source, heard: Mutex::new(now), replaced: Notify::new() });
        taken.push(Arc::clone(&occupant));
        drop(taken);
        Some(Place { places: Arc::clone(self), occupant })
    }

    fn occupants(&self) -> MutexGuard<'_, Vec<Arc<Occupant>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupant {
    fn heard(&self) -> Instant {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One caller's place, given back when it goes.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    occupant: Arc<Occupant>,
}

impl Place {
    /// The caller has sent something.
    pub(crate) fn hear(&self, now: Instant) {
        *self.occupant.heard.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Waits until somebody else has taken the place.
    pub(crate) async fn replaced(&self) {
        self.occupant.replaced.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.occupants().retain(|other| !Arc::ptr_eq(other, &self.occupant));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(10);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn is_replaced(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(1), place.replaced()).await.is_ok()
    }

    #[tokio::test]
    async fn a_caller_replaces_the_longest_silent_connection_from_its_own_address() {
        let start = Instant::now();
        let places = Places::new(2, WhenFull::ReplaceIdle, IDLE);
        let first = places.take(address("10.0.0.7"), start).unwrap();
        let second = places.take(address("10.0.0.7"), start).unwrap();
        first.hear(start + IDLE);
        let _third = places.take(address("10.0.0.7"), start + IDLE * 2).unwrap();
        assert!(is_replaced(&second).await && !is_replaced(&first).await);
        assert_eq!(places.taken(), 2);
        drop(second);
        assert_eq!(places.taken(), 2, "a place that was taken over is not given back twice");
    }

    #[test]
    fn a_connection_that_talks_and_one_of_another_address_keep_their_places() {
        let start = Instant::now();
        let places = Places::new(1, WhenFull::ReplaceIdle, IDLE);
        let _one = places.take(address("10.0.0.7"), start).unwrap();
        assert!(places.take(address("10.0.0.7"), start + IDLE - Duration::from_millis(1)).is_none());
        assert!(places.take(address("10.0.0.8"), start + IDLE * 100).is_none());
        assert!(places.take(address("10.0.0.7"), start + IDLE).is_some());
    }

    #[test]
    fn nobody_is_replaced_where_callers_are_refused() {
        let start = Instant::now();
        let places = Places::new(1, WhenFull::Refuse, IDLE);
        let one = places.take(address("10.0.0.7"), start).unwrap();
        assert!(places.take(address("10.0.0.7"), start + IDLE * 10).is_none());
        drop(one);
        assert!(places.take(address("10.0.0.7"), start).is_some());
    }
}
