//! The analyzer: the real link machine in its role, and above it what every analyzer does with messages:
//! one after the other, each again until it is acknowledged.

use std::collections::VecDeque;

use core::time::Duration;

use labwire_driver::Plan;
use labwire_link::{ErrorMode, Event, Input, Link, LinkSettings, Machine, Role, UnitEnd};
use labwire_message::hl7::AckCode;
use labwire_message::{Index, Syntax};

use super::books::Books;
use super::scenario::{Scenario, Speech};

/// How long a sender of blocks waits for a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a message that did not get across.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Pause between messages.
const PAUSE: Duration = Duration::from_millis(500);

/// One analyzer for the whole history; its line comes and goes.
#[derive(Debug)]
pub(super) struct Analyzer {
    machine: Link,
    pub(super) books: Books,
    pub(super) connected: bool,
    not_before: Duration,
    manner: Manner,
    /// It wants the line closed.
    pub(super) hangs_up: bool,
}

#[derive(Debug)]
enum Manner {
    /// The link acknowledges; one message is with the machine.
    Link { underway: bool },
    /// Messages acknowledge; several may wait for theirs, each until its time.
    Messages { window: usize, sent: VecDeque<(usize, Duration)> },
}

impl Analyzer {
    pub(super) fn new(scenario: &Scenario, plan: &Plan, books: Books) -> Self {
        let settings = match plan.link_settings(Role::Instrument, None, ErrorMode::Resync) {
            LinkSettings::Lis01(mut settings) => {
                settings.packing = scenario.packing;
                settings.send_text_bytes_max = scenario.text_bytes_max;
                settings.jitter_seed = scenario.seed;
                LinkSettings::Lis01(settings)
            }
            other => other,
        };
        let mut machine = Link::new(settings);
        machine.handle(Duration::ZERO, Input::Ready(true));
        let manner = match scenario.speech {
            Speech::Blocks => Manner::Messages { window: scenario.window, sent: VecDeque::new() },
            _ => Manner::Link { underway: false },
        };
        Self { machine, books, connected: false, not_before: Duration::ZERO, manner, hangs_up: false }
    }

    pub(super) fn connect(&mut self, now: Duration) {
        self.connected = true;
        self.hangs_up = false;
        self.not_before = self.not_before.max(now);
    }

    /// Whether it pauses before it does anything of its own.
    pub(super) fn waits(&self, now: Duration) -> bool {
        now < self.not_before
    }

    /// Nobody is at the other end.
    pub(super) fn wait(&mut self, now: Duration) {
        self.not_before = now + RETRY_PAUSE;
    }

    pub(super) fn disconnect(&mut self, now: Duration) {
        if core::mem::replace(&mut self.connected, false) {
            self.machine.handle(now, Input::Closed);
            self.settle(now);
            // Bytes for a line that is gone.
            let _ = self.machine.poll_transmit(&mut Vec::new());
            if let Manner::Messages { sent, .. } = &mut self.manner {
                sent.clear();
            }
            self.not_before = now + RETRY_PAUSE;
        }
    }

    pub(super) fn receive(&mut self, now: Duration, bytes: &[u8]) {
        self.machine.handle(now, Input::Bytes(bytes));
        self.settle(now);
    }

    pub(super) fn receive_damaged(&mut self, now: Duration) {
        self.machine.handle(now, Input::CharacterError);
        self.settle(now);
    }

    pub(super) fn accepts_input(&self) -> bool {
        self.connected && self.machine.accepts_input()
    }

    /// The next message that is to be sent, if one may be.
    fn next(&self) -> Option<usize> {
        match &self.manner {
            Manner::Link { underway } => self.books.next().filter(|_| !underway),
            Manner::Messages { window, sent } => {
                let next = match sent.back() {
                    Some((last, _)) => self.books.next_behind(last + 1),
                    None => self.books.next(),
                };
                next.filter(|_| sent.len() < *window)
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let send = self.next().map(|_| self.not_before);
        let reply = match &self.manner {
            Manner::Messages { sent, .. } => sent.front().map(|(_, until)| *until),
            Manner::Link { .. } => None,
        };
        [send, reply, self.machine.poll_deadline()].into_iter().flatten().min()
    }

    pub(super) fn wake(&mut self, now: Duration) {
        self.machine.handle(now, Input::Deadline);
        self.settle(now);
        if let Manner::Messages { sent, .. } = &self.manner
            && sent.front().is_some_and(|(_, until)| *until <= now)
        {
            // A stream with an answer outstanding is never used again.
            self.hangs_up = true;
            return;
        }
        if !self.connected || self.hangs_up || now < self.not_before {
            return;
        }
        let Some(number) = self.next() else { return };
        self.books.begin(number);
        match &mut self.manner {
            Manner::Link { underway } => *underway = true,
            Manner::Messages { sent, .. } => sent.push_back((number, now + REPLY_TIMEOUT)),
        }
        let text = self.books.texts[number].clone();
        self.machine.handle(now, Input::Send { id: number as u64, message: &text });
        self.settle(now);
    }

    pub(super) fn transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.machine.poll_transmit(out)
    }

    fn settle(&mut self, now: Duration) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Sent { id } => self.sent(now, id),
                Event::SendFailed { .. } => {
                    if let Manner::Link { underway } = &mut self.manner {
                        *underway = false;
                        self.not_before = now + RETRY_PAUSE;
                    }
                }
                Event::Unit { token, bytes, end, .. } => {
                    self.machine.handle(now, Input::Accept(token));
                    if end == UnitEnd::End {
                        self.read_reply(now, &bytes);
                    }
                }
                Event::Repeat { token, .. } => self.machine.handle(now, Input::Accept(token)),
                Event::Opened
                | Event::Ended(_)
                | Event::Fragment { .. }
                | Event::Fault(_)
                | Event::Tolerated(_)
                | Event::Desynchronised(_) => {}
            }
        }
    }

    fn sent(&mut self, now: Duration, id: u64) {
        if let Manner::Link { underway } = &mut self.manner {
            *underway = false;
            self.books.acknowledge(usize::try_from(id).unwrap_or(usize::MAX));
            self.not_before = now + PAUSE;
        }
    }

    /// A reply belongs to the message that it names, whenever it comes.
    fn read_reply(&mut self, now: Duration, block: &[u8]) {
        let Manner::Messages { sent, .. } = &mut self.manner else { return };
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, block);
        let Some(msa) = view.records().find(|record| record.name() == "MSA") else { return };
        let field = |number: u16| msa.field(number).map_or(&[][..], |field| field.bytes());
        let (code, control_id) = (AckCode::parse(field(1)), field(2));
        let place =
            sent.iter().position(|(number, _)| self.books.control_ids[*number].as_bytes() == control_id);
        let Some(place) = place else { return };
        if matches!(code, Some(AckCode::Aa | AckCode::Ca)) {
            if let Some((number, _)) = sent.remove(place) {
                self.books.acknowledge(number);
            }
        } else {
            self.hangs_up = true;
        }
        self.not_before = self.not_before.max(now + PAUSE);
    }
}
