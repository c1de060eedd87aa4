//! What can stand at the end of a wire, and the simplest thing that can: a link machine whose
//! owner keeps every unit.

use std::collections::VecDeque;

use core::time::Duration;

use labwire_link::{Event, Input, Link, LinkSettings, Machine, SendFailure, Token, UnitEnd};

/// One end of a [`Pair`](crate::Pair).
pub trait Peer {
    /// Bytes arrived.
    fn receive(&mut self, now: Duration, bytes: &[u8]);
    /// A damaged character arrived.
    fn receive_damaged(&mut self, now: Duration);
    /// The connection is gone.
    fn disconnect(&mut self, now: Duration);
    /// [`deadline`](Self::deadline) has come.
    fn wake(&mut self, now: Duration);
    /// Appends what is to be written; `false` if nothing is.
    fn transmit(&mut self, out: &mut Vec<u8>) -> bool;
    /// When to wake up at the latest.
    fn deadline(&self) -> Option<Duration>;
    /// Whether bytes may arrive.
    fn accepts_input(&self) -> bool;
}

/// How the owner of a machine judges units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdicts {
    /// How long a verdict takes.
    pub delay: Duration,
    /// Refuse each unit whose running number is divisible by this one.
    pub refuse_every: Option<u64>,
}

/// A unit that was accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// The frame number.
    pub number: Option<u8>,
    /// The content.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: UnitEnd,
}

/// A link machine with an owner that keeps what it accepts, as a store would.
#[derive(Debug)]
pub struct LinkPeer {
    /// The machine.
    pub machine: Link,
    /// How units are judged.
    pub verdicts: Verdicts,
    /// Units accepted in sessions that have ended, one list a session.
    pub sessions: Vec<Vec<Unit>>,
    /// Units accepted in the running session.
    pub units: Vec<Unit>,
    /// Everything the machine has said.
    pub events: Vec<Event>,
    /// Messages that got across, by name.
    pub sent: Vec<u64>,
    /// Messages that did not.
    pub failed: Vec<(u64, SendFailure)>,
    judged: u64,
    open: VecDeque<(Duration, Token, Option<Unit>)>,
}

impl LinkPeer {
    /// A machine whose store is ready and judges at once.
    pub fn new(settings: LinkSettings) -> Self {
        let mut machine = Link::new(settings);
        machine.handle(Duration::ZERO, Input::Ready(true));
        Self {
            machine,
            verdicts: Verdicts::default(),
            sessions: Vec::new(),
            units: Vec::new(),
            events: Vec::new(),
            sent: Vec::new(),
            failed: Vec::new(),
            judged: 0,
            open: VecDeque::new(),
        }
    }

    /// Gives the machine any input.
    pub fn handle(&mut self, now: Duration, input: Input<'_>) {
        self.machine.handle(now, input);
        self.settle(now);
    }

    /// Everything accepted: per session, the joined text of its units.
    pub fn session_texts(&self) -> Vec<Vec<u8>> {
        self.sessions
            .iter()
            .map(|units| units.iter().flat_map(|unit| unit.bytes.iter().copied()).collect())
            .collect()
    }

    /// Takes events and gives verdicts until there are none left for now.
    fn settle(&mut self, now: Duration) {
        loop {
            while let Some(event) = self.machine.poll_event() {
                self.note(now, &event);
                self.events.push(event);
            }
            let due = self.open.front().is_some_and(|(due, ..)| *due <= now);
            let Some((_, token, unit)) = due.then(|| self.open.pop_front()).flatten() else { return };
            self.judged += 1;
            let refused = self.verdicts.refuse_every.is_some_and(|every| self.judged.is_multiple_of(every));
            if refused {
                self.machine.handle(now, Input::Refuse(token));
            } else {
                self.units.extend(unit);
                self.machine.handle(now, Input::Accept(token));
            }
        }
    }

    fn note(&mut self, now: Duration, event: &Event) {
        match event {
            Event::Unit { token, number, bytes, end } => {
                let unit = Unit { number: *number, bytes: bytes.clone(), end: *end };
                self.open.push_back((now + self.verdicts.delay, *token, Some(unit)));
            }
            Event::Repeat { token, .. } => self.open.push_back((now + self.verdicts.delay, *token, None)),
            Event::Ended(_) => {
                self.sessions.push(core::mem::take(&mut self.units));
            }
            Event::Sent { id } => self.sent.push(*id),
            Event::SendFailed { id, reason } => self.failed.push((*id, *reason)),
            Event::Opened
            | Event::Fragment { .. }
            | Event::Fault(_)
            | Event::Tolerated(_)
            | Event::Desynchronised(_) => {}
        }
    }
}

impl Peer for LinkPeer {
    fn receive(&mut self, now: Duration, bytes: &[u8]) {
        self.handle(now, Input::Bytes(bytes));
    }

    fn receive_damaged(&mut self, now: Duration) {
        self.handle(now, Input::CharacterError);
    }

    fn disconnect(&mut self, now: Duration) {
        self.handle(now, Input::Closed);
    }

    fn wake(&mut self, now: Duration) {
        self.settle(now);
        self.handle(now, Input::Deadline);
    }

    fn transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.machine.poll_transmit(out)
    }

    fn deadline(&self) -> Option<Duration> {
        let verdict = self.open.front().map(|(due, ..)| *due);
        [verdict, self.machine.poll_deadline()].into_iter().flatten().min()
    }

    fn accepts_input(&self) -> bool {
        self.machine.accepts_input()
    }
}
