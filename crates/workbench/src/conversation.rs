//! Plays the analyzer's side of a capture into the same session that a live line has.

use core::time::Duration;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_capture::{Content, Entry};
use labwire_driver::Plan;
use labwire_link::ErrorMode;
use labwire_model::DecodedMessage;
use labwire_session::{Effect, Input, Note, Now, Resolves, Session, Settings};

/// Longest message that is put together from a capture, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a host that stores everything at once hears in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A complete message.
    Message {
        /// Its text.
        raw: Vec<u8>,
        /// What the plan reads.
        decoded: DecodedMessage,
        /// The incomplete messages that it settles.
        resolves: Vec<Resolves>,
    },
    /// A reception that broke off.
    Incomplete {
        /// Its number.
        transmission: u64,
        /// What came of it.
        raw: Vec<u8>,
        /// What the plan reads, held.
        decoded: DecodedMessage,
    },
    /// What happened on the line.
    Note(Note),
    /// The host would have closed the stream here.
    Close(&'static str),
}

/// One step of the analyzer's side.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// A damaged character.
    CharacterError,
    /// The line went away.
    Closed,
}

/// A host for captures: stores at once, keeps what it hears and what it replies.
#[derive(Debug)]
pub struct Host {
    session: Session,
    started: Timestamp,
    at: Duration,
    /// What was heard so far.
    pub heard: Vec<Heard>,
    /// What was replied so far.
    pub replies: Vec<u8>,
}

impl Host {
    /// A host with a neutral line.
    #[must_use]
    pub fn new(plan: Arc<Plan>, zone: TimeZone, started: Timestamp, strict: Option<bool>) -> Self {
        let settings = Settings {
            // A file is read by the profile that the person named, and told where that seems wrong.
            identity: labwire_session::Identity::Note,
            plan,
            strict,
            transport: ErrorMode::Close,
            zone,
            first_transmission: 1,
            control_id_prefix: "R".to_owned(),
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        let mut host = Self {
            session: Session::new(settings),
            started,
            at: Duration::ZERO,
            heard: Vec::new(),
            replies: Vec::new(),
        };
        host.input(Input::StoreReady(true));
        host
    }

    fn now(&self) -> Now {
        let wall = self.started.checked_add(self.at).unwrap_or(self.started);
        Now { monotonic: self.at, wall }
    }

    fn input(&mut self, input: Input<'_>) {
        self.session.handle(self.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            while self.session.poll_transmit(&mut self.replies) {}
            let Some(effect) = self.session.poll_effect() else { return };
            match effect {
                Effect::Persist(persist) => {
                    for message in persist.completes {
                        let labwire_session::Message { raw, decoded, resolves, .. } = message;
                        self.heard.push(Heard::Message { raw, decoded, resolves });
                    }
                    self.session.persisted(self.now(), persist.token);
                }
                Effect::Incomplete(incomplete) => {
                    let labwire_session::Incomplete { transmission, raw, decoded } = *incomplete;
                    self.heard.push(Heard::Incomplete { transmission, raw, decoded });
                }
                Effect::Note(note) => self.heard.push(Heard::Note(note)),
                Effect::Close(reason) => self.heard.push(Heard::Close(reason)),
            }
        }
    }

    /// Lets time pass up to `at`, and every timer that ends in it.
    pub fn wait_until(&mut self, at: Duration) {
        while let Some(deadline) = self.session.poll_deadline().filter(|deadline| *deadline <= at) {
            self.at = self.at.max(deadline);
            self.input(Input::Deadline);
        }
        self.at = self.at.max(at);
    }

    /// Lets time pass until no timer runs, at most ten minutes.
    pub fn settle(&mut self) {
        let end = self.at + Duration::from_secs(600);
        while let Some(deadline) = self.session.poll_deadline().filter(|deadline| *deadline <= end) {
            self.wait_until(deadline);
        }
    }

    /// One step of the analyzer's side, at the present time.
    pub fn take(&mut self, step: Step<'_>) {
        match step {
            Step::Bytes(bytes) => self.input(Input::Bytes(bytes)),
            Step::CharacterError => self.input(Input::CharacterError),
            Step::Closed => self.input(Input::Closed),
        }
    }
}

/// Plays a capture's entries and lets the line fall silent behind them.
#[must_use]
pub fn hear(plan: Arc<Plan>, zone: &TimeZone, started: Timestamp, entries: &[Entry]) -> Vec<Heard> {
    let mut host = Host::new(plan.clone(), zone.clone(), started, None);
    for entry in entries {
        host.wait_until(entry.offset);
        match &entry.content {
            Content::ToHost(bytes) => host.take(Step::Bytes(bytes)),
            Content::ToAnalyzer(_) => {}
            Content::Event(event) => match event.split_whitespace().next() {
                Some("close") => host.take(Step::Closed),
                Some("parity" | "framing" | "break" | "overrun") => host.take(Step::CharacterError),
                _ => {}
            },
        }
    }
    host.settle();
    // A capture that ends in the middle of a message is a line that went away.
    host.take(Step::Closed);
    host.heard
}
