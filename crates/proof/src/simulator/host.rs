//! The daemon without its wires and its disk: real sessions, and the shell that carries out what they ask.
//!
//! The shell is the engine's, in virtual time: one session for each transport, one unit of it outstanding,
//! incomplete messages taught to sessions beside it, late commits answered by the deadline.

use std::collections::VecDeque;
use std::sync::Arc;

use core::ops::Range;
use core::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::Plan;
use labwire_link::ErrorMode;
use labwire_session::{Effect, Incomplete, Input, Now, Persist, Session, Settings, Token};

use super::scenario::{Medium, Scenario};
use super::store::REMEMBERED_MAX;

/// A commit that takes longer is answered with a refusal.
pub(super) const PERSIST_DEADLINE: Duration = Duration::from_secs(10);
/// Longest message that a simulated host takes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Receptions of one session.
const TRANSMISSIONS: u64 = 1 << 24;
/// Effects that one thing that happens may cause.
const EFFECTS_MAX: usize = 64;

/// A request to the store.
#[derive(Debug)]
pub(super) enum Request {
    Persist { conversation: usize, persist: Box<Persist> },
    Close(Box<Incomplete>),
}

#[derive(Debug)]
struct Outstanding {
    token: Token,
    since: Duration,
    resolved: Vec<u64>,
    completes: bool,
}

/// One transport and its session.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Names it among all of the history.
    pub(super) number: usize,
    session: Session,
    transmissions: Range<u64>,
    seen: u64,
    outstanding: Option<Outstanding>,
    closing: Option<&'static str>,
    /// Said, not yet on the line.
    unsent: Vec<u8>,
    read_to_end: bool,
    /// The transport is of no use any more.
    pub(super) gone: bool,
    /// The analyzer has been told so.
    pub(super) said_end: bool,
}

#[derive(Debug)]
struct Remembered {
    transmission: u64,
    raw: Vec<u8>,
    last: bool,
    serial: u64,
}

/// The daemon while it lives.
#[derive(Debug)]
pub(super) struct Host {
    plan: Arc<Plan>,
    transport: ErrorMode,
    tells_late: bool,
    pub(super) conversations: Vec<Conversation>,
    /// What it wants of the store, oldest first.
    pub(super) requests: VecDeque<Request>,
    remembered: Vec<Remembered>,
    serial: u64,
    next_transmission: u64,
    ready: bool,
    origin: Timestamp,
    /// What the law has to say about the shell's own observations.
    pub(super) offence: Option<String>,
}

impl Host {
    /// A daemon that starts at the first message, or behind what an earlier one left.
    pub(super) fn new(scenario: &Scenario, plan: Arc<Plan>, next_transmission: u64) -> Self {
        Self {
            plan,
            transport: match scenario.medium {
                Medium::Tcp => ErrorMode::Close,
                Medium::Serial => ErrorMode::Resync,
            },
            tells_late: scenario.tells_late,
            conversations: Vec::new(),
            requests: VecDeque::new(),
            remembered: Vec::new(),
            serial: 0,
            next_transmission,
            ready: true,
            origin: Timestamp::UNIX_EPOCH,
            offence: None,
        }
    }

    pub(super) fn next_transmission(&self) -> u64 {
        self.next_transmission
    }

    fn session(&self, first_transmission: u64) -> Session {
        Session::new(Settings {
            identity: labwire_session::Identity::Hold,
            plan: Arc::clone(&self.plan),
            strict: None,
            transport: self.transport,
            zone: TimeZone::UTC,
            first_transmission,
            control_id_prefix: format!("{first_transmission}-"),
            message_bytes_max: MESSAGE_BYTES_MAX,
        })
    }

    /// What the spool held of receptions under way when the daemon before this one ended.
    pub(super) fn take_up(&mut self, open: Vec<super::store::Open>, incompletes: Vec<(u64, Vec<u8>, bool)>) {
        for (transmission, raw, last) in incompletes {
            self.remember(transmission, raw, last);
        }
        for open in open {
            let incomplete = self.session(0).recover(open.transmission, &open.frames);
            self.remember(open.transmission, incomplete.raw.clone(), true);
            self.requests.push_back(Request::Close(Box::new(incomplete)));
        }
    }

    fn remember(&mut self, transmission: u64, raw: Vec<u8>, last: bool) {
        if self.remembered.iter().all(|one| one.transmission != transmission) {
            self.serial += 1;
            if self.remembered.len() >= REMEMBERED_MAX {
                self.remembered.remove(0);
            }
            self.remembered.push(Remembered { transmission, raw, last, serial: self.serial });
        }
    }

    /// A transport is open.
    pub(super) fn open(&mut self, now: Duration, number: usize) {
        let first = self.next_transmission;
        self.next_transmission += TRANSMISSIONS;
        let conversation = Conversation {
            number,
            session: self.session(first),
            transmissions: first..first + TRANSMISSIONS,
            seen: 0,
            outstanding: None,
            closing: None,
            unsent: Vec::new(),
            read_to_end: false,
            gone: false,
            said_end: false,
        };
        self.conversations.push(conversation);
        let place = self.conversations.len() - 1;
        self.tell(now, place, Input::StoreReady(self.ready));
    }

    fn now(&self, now: Duration) -> Now {
        Now { monotonic: now, wall: self.origin.checked_add(now).unwrap_or(self.origin) }
    }

    fn tell(&mut self, now: Duration, place: usize, input: Input<'_>) {
        let at = self.now(now);
        self.conversations[place].session.handle(at, input);
        self.carry_out(now, place);
    }

    /// The store can commit, or can not.
    pub(super) fn set_ready(&mut self, now: Duration, ready: bool) {
        self.ready = ready;
        for place in 0..self.conversations.len() {
            self.tell(now, place, Input::StoreReady(ready));
        }
    }

    pub(super) fn place_of(&self, number: usize) -> Option<usize> {
        self.conversations.iter().position(|one| one.number == number)
    }

    pub(super) fn accepts_input(&self, place: usize) -> bool {
        let one = &self.conversations[place];
        !one.gone && !one.read_to_end && one.session.accepts_input()
    }

    /// Bytes arrived.
    pub(super) fn receive(&mut self, now: Duration, place: usize, bytes: &[u8]) {
        let one = &mut self.conversations[place];
        // An analyzer that lost its line dials in again beside it, and repeats here what breaks off there.
        for remembered in &self.remembered {
            if remembered.serial > one.seen && !one.transmissions.contains(&remembered.transmission) {
                one.session.remember_incomplete(
                    remembered.transmission,
                    remembered.raw.clone(),
                    remembered.last,
                );
            }
        }
        one.seen = self.serial;
        self.tell(now, place, Input::Bytes(bytes));
    }

    /// A damaged character arrived.
    pub(super) fn receive_damaged(&mut self, now: Duration, place: usize) {
        self.tell(now, place, Input::CharacterError);
    }

    /// The analyzer will write no more.
    pub(super) fn read_to_end(&mut self, now: Duration, place: usize) {
        self.conversations[place].read_to_end = true;
        self.carry_out(now, place);
    }

    /// When it must be woken.
    pub(super) fn deadline(&self, place: usize) -> Option<Duration> {
        let one = &self.conversations[place];
        let commit = one.outstanding.as_ref().map(|outstanding| outstanding.since + PERSIST_DEADLINE);
        [one.session.poll_deadline(), commit.filter(|_| !self.tells_late)].into_iter().flatten().min()
    }

    /// Its deadline has come.
    pub(super) fn wake(&mut self, now: Duration, place: usize) {
        if !self.tells_late {
            self.refuse_late(now, place);
        }
        self.tell(now, place, Input::Deadline);
    }

    fn refuse_late(&mut self, now: Duration, place: usize) {
        let one = &mut self.conversations[place];
        let late = one.outstanding.take_if(|outstanding| now >= outstanding.since + PERSIST_DEADLINE);
        if let Some(late) = late {
            let at = self.now(now);
            self.conversations[place].session.not_persisted(at, late.token);
            self.carry_out(now, place);
        }
    }

    /// The store has answered. Nothing is written for an answer that comes too late.
    pub(super) fn committed(&mut self, now: Duration, number: usize, token: Token, durable: bool) {
        let Some(place) = self.place_of(number) else { return };
        if !self.tells_late {
            self.refuse_late(now, place);
        }
        let at = self.now(now);
        let one = &mut self.conversations[place];
        let Some(outstanding) = one.outstanding.take_if(|outstanding| outstanding.token == token) else {
            return;
        };
        let late = now > outstanding.since + PERSIST_DEADLINE;
        let mut before = Vec::new();
        while one.session.poll_transmit(&mut before) {}
        if durable {
            one.session.persisted(at, token);
            if !late {
                self.remembered.retain(|one| !outstanding.resolved.contains(&one.transmission));
                for one in &mut self.remembered {
                    one.last &= !outstanding.completes;
                }
            }
        } else {
            one.session.not_persisted(at, token);
        }
        let one = &mut self.conversations[place];
        let mut after = Vec::new();
        while one.session.poll_transmit(&mut after) {}
        if late && !after.is_empty() && !one.gone {
            self.offence = Some(format!("a commit that came after {PERSIST_DEADLINE:?} was replied to"));
        }
        self.written(place, before);
        self.written(place, after);
        self.carry_out(now, place);
    }

    fn written(&mut self, place: usize, bytes: Vec<u8>) {
        self.conversations[place].unsent.extend(bytes);
    }

    /// Bytes for the analyzer.
    pub(super) fn transmit(&mut self, place: usize, out: &mut Vec<u8>) {
        let one = &mut self.conversations[place];
        out.append(&mut one.unsent);
        while one.session.poll_transmit(out) {}
    }

    fn carry_out(&mut self, now: Duration, place: usize) {
        let mut effects = 0;
        loop {
            let one = &mut self.conversations[place];
            let Some(effect) = one.session.poll_effect() else {
                if one.closing.take().is_some() && !one.gone {
                    // What was said before the stream is closed is on its way.
                    let mut said = Vec::new();
                    while one.session.poll_transmit(&mut said) {}
                    one.unsent.extend(said);
                    one.gone = true;
                    let at = self.now(now);
                    self.conversations[place].session.handle(at, Input::Closed);
                    continue;
                }
                if one.read_to_end && !one.gone && one.outstanding.is_none() {
                    one.gone = true;
                    let at = self.now(now);
                    self.conversations[place].session.handle(at, Input::Closed);
                    continue;
                }
                return;
            };
            effects += 1;
            if effects > EFFECTS_MAX {
                self.offence = Some(format!("more than {EFFECTS_MAX} effects of one thing"));
                return;
            }
            match effect {
                Effect::Persist(persist) => {
                    one.outstanding = Some(Outstanding {
                        token: persist.token,
                        since: now,
                        resolved: persist
                            .completes
                            .iter()
                            .flat_map(|message| message.resolves.iter().map(|resolves| resolves.transmission))
                            .collect(),
                        completes: !persist.completes.is_empty(),
                    });
                    let conversation = one.number;
                    self.requests.push_back(Request::Persist { conversation, persist });
                }
                Effect::Incomplete(incomplete) => {
                    self.remember(incomplete.transmission, incomplete.raw.clone(), true);
                    self.requests.push_back(Request::Close(incomplete));
                }
                Effect::Close(reason) => one.closing = Some(reason),
                Effect::Note(_) => {}
            }
        }
    }

    /// Whether the conversation is over and can be forgotten.
    pub(super) fn is_over(&self, place: usize) -> bool {
        let one = &self.conversations[place];
        one.said_end && one.outstanding.is_none() && one.session.is_neutral()
    }
}
