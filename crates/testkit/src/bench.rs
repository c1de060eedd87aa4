//! One link machine under the hand of a test.

use core::time::Duration;

use labwire_link::{Event, Fault, Input, Link, LinkSettings, Machine, Token, Tolerance};

use crate::{control_names, from_control_names};

/// What the owner of the machine does with units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    /// Accepts them at once.
    Accepts,
    /// Refuses them at once.
    Refuses,
    /// Says nothing until the test does.
    Waits,
}

/// A machine, its clock, and everything it has said.
#[derive(Debug)]
pub struct Bench {
    /// The machine.
    pub machine: Link,
    /// The clock.
    pub now: Duration,
    /// What happens to units.
    pub judge: Judge,
    /// All events so far.
    pub events: Vec<Event>,
    /// Units and repeats that wait for a verdict, oldest first.
    pub open: Vec<Token>,
    written: Vec<u8>,
}

impl Bench {
    /// A machine whose store is ready and accepts at once.
    pub fn new(settings: LinkSettings) -> Self {
        let mut bench = Self {
            machine: Link::new(settings),
            now: Duration::ZERO,
            judge: Judge::Accepts,
            events: Vec::new(),
            open: Vec::new(),
            written: Vec::new(),
        };
        bench.handle(Input::Ready(true));
        bench
    }

    /// Gives the machine an input and takes everything it has to say.
    pub fn handle(&mut self, input: Input<'_>) {
        self.machine.handle(self.now, input);
        loop {
            let _ = self.machine.poll_transmit(&mut self.written);
            let Some(event) = self.machine.poll_event() else { return };
            let token = match &event {
                Event::Unit { token, .. } | Event::Repeat { token, .. } => Some(*token),
                _ => None,
            };
            self.events.push(event);
            match (token, self.judge) {
                (Some(token), Judge::Accepts) => self.machine.handle(self.now, Input::Accept(token)),
                (Some(token), Judge::Refuses) => self.machine.handle(self.now, Input::Refuse(token)),
                (Some(token), Judge::Waits) => self.open.push(token),
                (None, _) => {}
            }
        }
    }

    /// Bytes arrive, written with the names of control characters.
    pub fn feed(&mut self, text: &str) -> &mut Self {
        self.handle(Input::Bytes(&from_control_names(text)));
        self
    }

    /// Accepts the oldest open unit.
    pub fn accept(&mut self) -> &mut Self {
        if !self.open.is_empty() {
            let token = self.open.remove(0);
            self.handle(Input::Accept(token));
        }
        self
    }

    /// Refuses the oldest open unit.
    pub fn refuse(&mut self) -> &mut Self {
        if !self.open.is_empty() {
            let token = self.open.remove(0);
            self.handle(Input::Refuse(token));
        }
        self
    }

    /// Time passes, and the machine is woken whenever it wants to be.
    pub fn wait(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while let Some(due) = self.machine.poll_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.handle(Input::Deadline);
        }
        self.now = end;
        self
    }

    /// What was written since the last call, with control characters by name.
    pub fn written(&mut self) -> String {
        control_names(&core::mem::take(&mut self.written))
    }

    /// The content of all units so far, with control characters by name.
    pub fn units(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Unit { bytes, .. } => Some(control_names(bytes)),
                _ => None,
            })
            .collect()
    }

    /// The content of all fragments so far, with control characters by name.
    pub fn fragments(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Fragment { bytes } => Some(control_names(bytes)),
                _ => None,
            })
            .collect()
    }

    /// The codes of all faults so far.
    pub fn faults(&self) -> Vec<&'static str> {
        self.fault_details().iter().map(|fault| fault.kind.code()).collect()
    }

    /// All faults so far.
    pub fn fault_details(&self) -> Vec<Fault> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Fault(fault) => Some(*fault),
                _ => None,
            })
            .collect()
    }

    /// All tolerances used so far.
    pub fn tolerated(&self) -> Vec<Tolerance> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Tolerated(tolerance) => Some(*tolerance),
                _ => None,
            })
            .collect()
    }
}
