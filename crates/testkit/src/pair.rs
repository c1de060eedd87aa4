//! Two peers, the line between them, and the clock.

use core::time::Duration;

use labwire_link::{Input, LinkSettings};

use crate::wire::Parcel;
use crate::{LinkPeer, Peer, Wire};

/// How many things may happen in one run. Two machines that never come to rest are a finding.
const STEPS_MAX: usize = 1_000_000;

/// Which end of the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The host's.
    Host,
    /// The analyzer's.
    Analyzer,
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiet {
    /// Nothing is on the line and nobody waits for anything.
    ForGood,
    /// The time is up.
    TimeUp,
}

/// Two peers joined by a line.
#[derive(Debug)]
pub struct Pair<H, A> {
    /// The clock.
    pub now: Duration,
    /// The host.
    pub host: H,
    /// The analyzer.
    pub analyzer: A,
    /// From the analyzer to the host.
    pub to_host: Wire,
    /// From the host to the analyzer.
    pub to_analyzer: Wire,
    /// Break the line once the analyzer has written this many bytes.
    pub cut_after: Option<usize>,
    connected: bool,
}

impl Pair<LinkPeer, LinkPeer> {
    /// Two link machines.
    pub fn of_links(host: LinkSettings, analyzer: LinkSettings, seed: u64) -> Self {
        Self::new(LinkPeer::new(host), LinkPeer::new(analyzer), seed)
    }

    /// Gives one side a message to send.
    pub fn send(&mut self, side: Side, id: u64, message: &[u8]) {
        let now = self.now;
        let peer = match side {
            Side::Host => &mut self.host,
            Side::Analyzer => &mut self.analyzer,
        };
        peer.handle(now, Input::Send { id, message });
    }
}

impl<H: Peer, A: Peer> Pair<H, A> {
    /// Two peers and a line without faults; `seed` is for those that are set later.
    pub fn new(host: H, analyzer: A, seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            host,
            analyzer,
            to_host: Wire::new(seed),
            to_analyzer: Wire::new(!seed),
            cut_after: None,
            connected: true,
        }
    }

    /// Breaks the line; what is on it is lost.
    pub fn cut(&mut self) {
        self.to_host.clear();
        self.to_analyzer.clear();
        if core::mem::replace(&mut self.connected, false) {
            self.host.disconnect(self.now);
            self.analyzer.disconnect(self.now);
        }
    }

    /// Mends a broken line.
    pub fn mend(&mut self) {
        self.connected = true;
    }

    /// Runs until nothing happens any more, at most this long.
    ///
    /// # Panics
    ///
    /// If the two never come to rest.
    #[expect(clippy::panic, reason = "a livelock is a failed test")]
    pub fn run(&mut self, at_most: Duration) -> Quiet {
        let end = self.now + at_most;
        for _ in 0..STEPS_MAX {
            self.flush();
            let Some(next) = self.next_happening() else { return Quiet::ForGood };
            if next > end {
                self.now = end;
                return Quiet::TimeUp;
            }
            self.now = self.now.max(next);
            self.step();
        }
        panic!("no rest after {STEPS_MAX} steps, at {:?}", self.now)
    }

    fn flush(&mut self) {
        let mut bytes = Vec::new();
        if self.analyzer.transmit(&mut bytes) && self.connected {
            let room =
                self.cut_after.map_or(bytes.len(), |cut| cut.saturating_sub(self.to_host.written.len()));
            self.to_host.write(self.now, &bytes[..room.min(bytes.len())]);
            if room < bytes.len() {
                self.cut_after = None;
                self.deliver_rest();
                self.cut();
            }
        }
        bytes.clear();
        if self.host.transmit(&mut bytes) && self.connected {
            self.to_analyzer.write(self.now, &bytes);
        }
    }

    /// What was written before the break arrives before it.
    fn deliver_rest(&mut self) {
        self.now += self.to_host.latency;
        while let Some(parcel) = self.to_host.read(self.now) {
            deliver(&mut self.host, self.now, parcel);
        }
    }

    fn next_happening(&self) -> Option<Duration> {
        [
            self.to_host.due().filter(|_| self.host.accepts_input()),
            self.to_analyzer.due().filter(|_| self.analyzer.accepts_input()),
            self.host.deadline(),
            self.analyzer.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Bytes that are due arrive before timers that are due: a reply in time is a reply.
    fn step(&mut self) {
        let now = self.now;
        if self.host.accepts_input()
            && let Some(parcel) = self.to_host.read(now)
        {
            return deliver(&mut self.host, now, parcel);
        }
        if self.analyzer.accepts_input()
            && let Some(parcel) = self.to_analyzer.read(now)
        {
            return deliver(&mut self.analyzer, now, parcel);
        }
        if self.host.deadline().is_some_and(|deadline| deadline <= now) {
            self.host.wake(now);
        }
        if self.analyzer.deadline().is_some_and(|deadline| deadline <= now) {
            self.analyzer.wake(now);
        }
    }
}

fn deliver(peer: &mut impl Peer, now: Duration, parcel: Parcel) {
    match parcel {
        Parcel::Bytes(bytes) => peer.receive(now, &bytes),
        Parcel::Damaged => peer.receive_damaged(now),
    }
}
