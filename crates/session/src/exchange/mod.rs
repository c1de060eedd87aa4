//! Messages of ours to an HL7 peer, one at a time.
//!
//! Constraints:
//! - One message is on the line; the next follows its outcome. A queue of a thousand is no flood.
//! - A reply counts by its MSA-2 alone. One that names another message, as a late one does, is told
//!   and changes nothing.
//! - A stream on which an answer is outstanding beyond its time is closed and not used again: what
//!   comes on it later could be taken for the answer to another message.
//! - A message that has to be sent again is sent byte for byte, with the same MSH-10.
//! - A function of bytes, time and a seed, with the face of the other machines.

mod backoff;
mod item;

use core::time::Duration;
use std::collections::VecDeque;

use labwire_link::{self as link, FaultKind, Machine as _, Mllp, MllpSettings, SendFailure};
use labwire_message::hl7::{self, AckCode, AckFields, Outcome, Reply};
use labwire_message::{Charset, Index, Syntax, View};

use self::backoff::Backoff;
pub use self::backoff::Retry;
use self::item::{Item, Queue};
use crate::session::Now;

/// Table 0357: the record is locked, or the peer's application met an error. Both pass.
const PASSING: [u16; 2] = [206, 207];

/// How messages are exchanged with one peer.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// The lower layer.
    pub link: MllpSettings,
    /// How long a reply may take, from the last byte written; an application reply that follows a
    /// commit reply has the same time of its own.
    pub reply_timeout: Duration,
    /// How attempts follow each other.
    pub retry: Retry,
    /// How many messages may wait.
    pub queue_max: usize,
    /// Begins the control ids of our own replies; unique for the peer.
    pub control_id_prefix: String,
    /// For the pauses between attempts.
    pub seed: u64,
}

impl Default for ExchangeSettings {
    fn default() -> Self {
        Self {
            link: MllpSettings::default(),
            reply_timeout: Duration::from_secs(30),
            retry: Retry::default(),
            queue_max: 1_000,
            control_id_prefix: String::new(),
            seed: 1,
        }
    }
}

/// What the world tells an exchange.
#[derive(Clone, Copy, Debug)]
pub enum ExchangeInput<'a> {
    /// The transport that [`ExchangeEvent::Connect`] asked for is open.
    Connected,
    /// Bytes from the peer, in any pieces.
    Bytes(&'a [u8]),
    /// [`Exchange::poll_deadline`] has come.
    Deadline,
    /// The transport is gone, or could not be opened.
    Closed,
    /// Send this message: HL7 with MSH-10, segments ended by CR.
    Send {
        /// Names it in events.
        id: u64,
        /// The message; it is copied.
        message: &'a [u8],
    },
    /// Forget a message that is not on the line. One that is goes on to its end.
    Withdraw {
        /// The name given in `Send`.
        id: u64,
    },
}

/// Why a message did not get across. It stays with the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer answered AE, AR or CR.
    Refused {
        /// MSA-1.
        code: AckCode,
        /// The code of table 0357, where the reply gives one.
        condition: Option<u16>,
        /// The peer's words; for the error queue, not for a log.
        text: Option<String>,
    },
    /// As often as it may be sent, no reply came in time.
    Unanswered,
    /// As often as it may be sent, the line ended before a reply came.
    ConnectionLost,
    /// There is no MSH-10 that a reply could name.
    NoControlId,
    /// The lower layer cannot carry it.
    Unsendable(SendFailure),
    /// Too many messages wait.
    QueueFull,
    /// The owner withdrew it.
    Withdrawn,
}

/// Why a message is sent again, or a reply was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeNote {
    /// No reply came in time.
    Unanswered,
    /// A reply came without block framing, which is none.
    UnframedReply,
    /// The line ended before a reply came.
    ConnectionLost,
    /// The peer answered that it cannot take the message yet: CE, or a condition that passes.
    TryLater,
    /// A reply names a message that is not on the line.
    Stray,
    /// MSA-1 is none of the six codes.
    UnknownCode,
    /// MSA-1 is written in lower case.
    LowerCaseCode,
}

impl ExchangeNote {
    /// Kebab-case name for metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::UnframedReply => "unframed-reply",
            Self::ConnectionLost => "connection-lost",
            Self::TryLater => "try-later",
            Self::Stray => "stray-reply",
            Self::UnknownCode => "unknown-code",
            Self::LowerCaseCode => "lower-case-code",
        }
    }
}

/// What an exchange wants done, and what it has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeEvent {
    /// Open a transport, then say [`ExchangeInput::Connected`] or [`ExchangeInput::Closed`].
    Connect,
    /// Close the transport; nothing that comes on it is read any more.
    Close(&'static str),
    /// The message is with the peer: acknowledged as it asked to be.
    Delivered {
        /// The name given in `Send`.
        id: u64,
        /// The reply, whole: an order reply tells more than AA. Empty where none was asked for.
        reply: Vec<u8>,
    },
    /// The message did not get across.
    Failed {
        /// The name given in `Send`.
        id: u64,
        /// Why.
        failure: Failure,
    },
    /// Something to count. It changes no outcome.
    Note(ExchangeNote),
    /// A message of the peer that is no reply. Nothing is answered for it here.
    Received(Vec<u8>),
}

/// The transport as the exchange sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Down,
    Dialling,
    Open,
}

/// A reply that is waited for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    until: Duration,
    /// The commit reply has come; the application reply has not.
    committed: bool,
    /// Something without block framing came instead.
    unframed: bool,
}

/// The sending side of one peer. Mutate with [`handle`](Self::handle), then drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event).
#[derive(Debug)]
pub struct Exchange {
    settings: ExchangeSettings,
    link: Mllp,
    line: Line,
    queue: Queue,
    waiting: Option<Waiting>,
    /// No attempt before this.
    pause_until: Option<Duration>,
    backoff: Backoff,
    replies_sent: u64,
    transmit: Vec<u8>,
    events: VecDeque<ExchangeEvent>,
}

impl Exchange {
    /// An exchange without a transport and without a message.
    #[must_use]
    pub fn new(settings: ExchangeSettings) -> Self {
        Self {
            link: Mllp::new(settings.link.clone()),
            line: Line::Down,
            queue: Queue::default(),
            waiting: None,
            pause_until: None,
            backoff: Backoff::new(settings.retry, settings.seed),
            replies_sent: 0,
            transmit: Vec::new(),
            events: VecDeque::new(),
            settings,
        }
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: ExchangeInput<'_>) {
        let at = now.monotonic;
        match input {
            ExchangeInput::Connected if self.line == Line::Dialling => {
                self.line = Line::Open;
                self.transmit.clear();
                self.link = Mllp::new(self.settings.link.clone());
            }
            ExchangeInput::Bytes(bytes) if self.line == Line::Open => {
                self.link.handle(at, link::Input::Bytes(bytes));
                self.take_link_events(now);
            }
            ExchangeInput::Deadline if self.line == Line::Open => {
                self.link.handle(at, link::Input::Deadline);
                self.take_link_events(now);
            }
            ExchangeInput::Closed => self.closed(now),
            ExchangeInput::Send { id, message } => self.send(id, message),
            ExchangeInput::Withdraw { id } => {
                if self.queue.withdraw(id, self.waiting.is_some()) {
                    self.events.push_back(ExchangeEvent::Failed { id, failure: Failure::Withdrawn });
                }
            }
            ExchangeInput::Connected | ExchangeInput::Bytes(_) | ExchangeInput::Deadline => {}
        }
        self.expire(at);
        self.advance(now);
    }

    /// Bytes for the peer, appended to `out`; `false` when there are none.
    #[must_use]
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let any = !self.transmit.is_empty();
        out.append(&mut self.transmit);
        any
    }

    /// The next event, in order.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ExchangeEvent> {
        self.events.pop_front()
    }

    /// When to call with [`ExchangeInput::Deadline`], on the monotonic clock.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Duration> {
        let link = self.link.poll_deadline().filter(|_| self.line == Line::Open);
        let pause = self.pause_until.filter(|_| !self.queue.is_empty());
        [link, pause, self.waiting.map(|waiting| waiting.until)].into_iter().flatten().min()
    }

    fn send(&mut self, id: u64, message: &[u8]) {
        let failure = match Item::new(id, message) {
            None => Failure::NoControlId,
            Some(_) if self.queue.len() >= self.settings.queue_max => Failure::QueueFull,
            Some(item) => return self.queue.push(item),
        };
        self.events.push_back(ExchangeEvent::Failed { id, failure });
    }

    /// Begins the next attempt, when it is time for one.
    fn advance(&mut self, now: Now) {
        let at = now.monotonic;
        if self.pause_until.is_some_and(|until| until <= at) {
            self.pause_until = None;
        }
        while self.waiting.is_none() && self.pause_until.is_none() && !self.queue.is_empty() {
            match self.line {
                Line::Dialling => return,
                Line::Down => {
                    self.line = Line::Dialling;
                    self.events.push_back(ExchangeEvent::Connect);
                    return;
                }
                Line::Open => self.write(now),
            }
        }
    }

    fn write(&mut self, now: Now) {
        let Some(item) = self.queue.first_mut() else { return };
        item.attempts += 1;
        let until = now.monotonic + self.settings.reply_timeout;
        self.waiting = Some(Waiting { until, committed: false, unframed: false });
        self.link.handle(now.monotonic, link::Input::Send { id: item.id, message: &item.message });
        self.take_link_events(now);
    }

    fn take_link_events(&mut self, now: Now) {
        loop {
            while self.link.poll_transmit(&mut self.transmit) {}
            let Some(event) = self.link.poll_event() else { return };
            match event {
                link::Event::Unit { token, bytes, .. } => {
                    self.link.handle(now.monotonic, link::Input::Accept(token));
                    self.receive(now, bytes);
                }
                link::Event::Sent { id } => self.written(id),
                link::Event::SendFailed { id, reason } => self.not_written(now, id, reason),
                link::Event::Fault(fault) if fault.kind == FaultKind::MessageUnframed => {
                    if let Some(waiting) = &mut self.waiting {
                        waiting.unframed = true;
                    }
                }
                link::Event::Desynchronised(reason) => self.give_line_up(now.monotonic, reason),
                _ => {}
            }
        }
    }

    /// The message is on its way; one that asks for no reply is with the peer.
    fn written(&mut self, id: u64) {
        let is_done = self
            .queue
            .first()
            .is_some_and(|item| item.id == id && !item.wants_commit && !item.wants_application);
        if is_done {
            self.deliver(Vec::new());
        }
    }

    fn not_written(&mut self, now: Now, id: u64, reason: SendFailure) {
        if self.waiting.is_none() || self.queue.first().is_none_or(|item| item.id != id) {
            return;
        }
        match reason {
            // Release 2: the peer's lower layer did not store it, or did not answer.
            SendFailure::Refused => self.try_again(now.monotonic, ExchangeNote::TryLater, None),
            SendFailure::Unanswered => self.give_line_up(now.monotonic, "the peer did not answer in time"),
            SendFailure::ConnectionLost => {}
            reason => self.fail(Failure::Unsendable(reason)),
        }
    }

    fn receive(&mut self, now: Now, bytes: Vec<u8>) {
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, &bytes);
        let Some(reply) = Reply::read(&view, Charset::default()) else {
            self.events.push_back(ExchangeEvent::Received(bytes));
            return;
        };
        let awaited = self.waiting.is_some()
            && self.queue.first().is_some_and(|item| item.control_id == reply.control_id);
        if !awaited {
            self.note(ExchangeNote::Stray);
            return;
        }
        let Some(code) = reply.code else {
            self.note(ExchangeNote::UnknownCode);
            return;
        };
        if reply.is_lower_case {
            self.note(ExchangeNote::LowerCaseCode);
        }
        self.confirm(now, &view, code);
        let passes = reply.condition.is_some_and(|condition| PASSING.contains(&condition));
        let refused = Failure::Refused { code, condition: reply.condition, text: reply.text };
        match code {
            AckCode::Ca => self.committed(now, bytes),
            AckCode::Aa => self.deliver(bytes),
            AckCode::Ce => self.try_again(now.monotonic, ExchangeNote::TryLater, Some(refused)),
            AckCode::Ae | AckCode::Ar if passes => {
                self.try_again(now.monotonic, ExchangeNote::TryLater, Some(refused));
            }
            AckCode::Ae | AckCode::Ar | AckCode::Cr => self.fail(refused),
        }
    }

    /// An application reply may ask for a commit reply of its own; a commit reply never does.
    fn confirm(&mut self, now: Now, view: &View<'_>, code: AckCode) {
        if !matches!(code, AckCode::Aa | AckCode::Ae | AckCode::Ar) {
            return;
        }
        let Some(msh) = view.record(0) else { return };
        let Some(wanted) = hl7::ack_policy(&msh).accept_reply(Outcome::Success) else { return };
        self.replies_sent += 1;
        let control_id = format!("{}{}", self.settings.control_id_prefix, self.replies_sent);
        let time = now.wall.strftime("%Y%m%d%H%M%S+0000").to_string();
        let fields = AckFields { control_id: &control_id, time: &time, ..AckFields::default() };
        let message = hl7::acknowledge(&msh, wanted, &fields);
        self.link.handle(now.monotonic, link::Input::Send { id: u64::MAX, message: &message });
    }

    fn committed(&mut self, now: Now, reply: Vec<u8>) {
        if self.queue.first().is_some_and(|item| item.wants_application) {
            let until = now.monotonic + self.settings.reply_timeout;
            if let Some(waiting) = &mut self.waiting {
                *waiting = Waiting { until, committed: true, ..*waiting };
            }
        } else {
            self.deliver(reply);
        }
    }

    fn deliver(&mut self, reply: Vec<u8>) {
        self.waiting = None;
        self.backoff.reset();
        if let Some(item) = self.queue.take_first() {
            self.events.push_back(ExchangeEvent::Delivered { id: item.id, reply });
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.waiting = None;
        if let Some(item) = self.queue.take_first() {
            self.events.push_back(ExchangeEvent::Failed { id: item.id, failure });
        }
    }

    /// Sends the message again after a pause, or gives it back when it was sent often enough.
    fn try_again(&mut self, at: Duration, note: ExchangeNote, refused: Option<Failure>) {
        self.note(note);
        // The peer has taken the message over with its commit reply: what becomes of it is unknown,
        // and sending it again would make two of it.
        if self.waiting.take().is_some_and(|waiting| waiting.committed) && refused.is_none() {
            return self.deliver(Vec::new());
        }
        self.pause_until = Some(at + self.backoff.fail());
        let attempts = self.queue.first().map_or(0, |item| item.attempts);
        if self.settings.retry.attempts_max.is_some_and(|max| attempts >= max) {
            let unanswered = match note {
                ExchangeNote::ConnectionLost => Failure::ConnectionLost,
                _ => Failure::Unanswered,
            };
            self.fail(refused.unwrap_or(unanswered));
        }
    }

    fn expire(&mut self, at: Duration) {
        if self.waiting.is_some_and(|waiting| waiting.until <= at) {
            self.give_line_up(at, "the peer did not answer in time");
        }
    }

    /// Leaves a stream on which an answer is outstanding.
    fn give_line_up(&mut self, at: Duration, reason: &'static str) {
        self.line = Line::Down;
        self.transmit.clear();
        self.events.push_back(ExchangeEvent::Close(reason));
        if let Some(waiting) = self.waiting {
            let note = if waiting.unframed { ExchangeNote::UnframedReply } else { ExchangeNote::Unanswered };
            self.try_again(at, note, None);
        }
    }

    fn closed(&mut self, now: Now) {
        if self.line == Line::Down {
            return;
        }
        if self.line == Line::Open {
            // What came before the close may hold the reply.
            self.link.handle(now.monotonic, link::Input::Closed);
            self.take_link_events(now);
        } else {
            self.pause_until = Some(now.monotonic + self.backoff.fail());
        }
        self.line = Line::Down;
        self.transmit.clear();
        if self.waiting.is_some() {
            self.try_again(now.monotonic, ExchangeNote::ConnectionLost, None);
        }
    }

    fn note(&mut self, note: ExchangeNote) {
        self.events.push_back(ExchangeEvent::Note(note));
    }
}
