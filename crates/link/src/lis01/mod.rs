//! LIS01-A2 / E1381: framed, numbered, checksummed records over a half-duplex line.
//!
//! One machine is receiver and sender, because the line is shared: who holds it, and who may bid
//! next, is one state. `receive` turns bytes into frames and `session` frames into units and replies;
//! `send` drives our own sessions; `timers` names every clock, `frame` is the layout on the wire.

mod frame;
mod receive;
mod send;
mod session;
mod settings;
mod timers;

use core::fmt;
use core::time::Duration;

pub use frame::{frame_checksum, write_frame};
pub use settings::{Capability, InterruptPolicy, Lis01Settings, Packing, Role, SentChecksum};

use crate::control::ENQ;
use crate::intake::{self, Intake, Reader};
use crate::output::Output;
use crate::skipped::Skipped;
use crate::timers::Timers;
use crate::{EndReason, ErrorMode, Event, FaultKind, Input, Machine, Reply, Tolerances, UnitEnd};
use receive::Incoming;
use send::{Outgoing, Queue};
use session::{Session, Verdict};
use timers::Timer;

/// What the line is used for right now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineState {
    /// Nobody has the line.
    Neutral,
    /// Our bid waits for its answer.
    Bidding,
    /// Our frame waits for its reply.
    Sending,
    /// The other side sends.
    Receiving,
    /// The stream was given up; only a close leads out.
    Halted,
}

/// Receiver and sender of one LIS01 line.
pub struct Lis01 {
    settings: Lis01Settings,
    line: LineState,
    ready: bool,
    intake: Intake,
    skipped: Skipped,
    incoming: Incoming,
    session: Session,
    /// Open only while `line` is `Receiving`; nothing is read until it is answered.
    verdict: Option<Verdict>,
    tokens: u64,
    queue: Queue,
    outgoing: Outgoing,
    timers: Timers<Timer>,
    output: Output,
    clock: Duration,
}

impl Lis01 {
    /// A machine on a neutral line, not ready to receive until told.
    pub fn new(mut settings: Lis01Settings) -> Self {
        if settings.strict {
            settings.tolerate = Tolerances::NONE;
            settings.session_gap = Duration::ZERO;
            settings.turnaround = Duration::ZERO;
        }
        settings.send_text_bytes_max = settings.send_text_bytes_max.clamp(1, frame::TEXT_BYTES_MAX);
        Self {
            outgoing: Outgoing::new(settings.jitter_seed),
            settings,
            line: LineState::Neutral,
            ready: false,
            intake: Intake::default(),
            skipped: Skipped::default(),
            incoming: Incoming::default(),
            session: Session::default(),
            verdict: None,
            tokens: 0,
            queue: Queue::default(),
            timers: Timers::default(),
            output: Output::default(),
            clock: Duration::ZERO,
        }
    }

    /// What the line is used for right now.
    pub fn line_state(&self) -> LineState {
        self.line
    }

    /// Counts a byte outside of any frame.
    fn skip(&mut self, now: Duration, at: u64, byte: u8) {
        let limit = self.settings.skipped_bytes_max;
        if let Some(reason) = self.output.skip(&mut self.skipped, (now, at, byte), limit) {
            self.give_up(reason);
        }
    }

    /// Leaves the stream where the error mode allows it; otherwise reading goes on.
    fn give_up(&mut self, reason: &'static str) {
        if self.settings.error_mode == ErrorMode::Close && self.line != LineState::Halted {
            if self.line == LineState::Receiving {
                self.output.event(Event::Ended(EndReason::ConnectionLost));
            }
            self.line = LineState::Halted;
            self.incoming.abandon();
            self.timers.clear_all();
            self.output.event(Event::Desynchronised(reason));
        }
    }

    fn read_neutral(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match byte {
            ENQ => self.answer_bid(now, at),
            _ if self.opens_without_bid(byte) => {
                self.open_session(now);
                return 0;
            }
            _ => self.skip(now, at, byte),
        }
        1
    }

    fn expire(&mut self, now: Duration) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::BidReply => self.bid_unanswered(now),
                Timer::FrameReply => self.frame_unanswered(now),
                Timer::LineHold => {}
                Timer::Turnaround => self.transmit_frame(now),
                Timer::Receive => self.end_session(now, EndReason::Timeout),
                Timer::FrameProgress => self.frame_stalled(now),
                Timer::Silence => self.silence(now),
                Timer::Verdict => self.verdict_late(now),
            }
        }
    }
}

impl Machine for Lis01 {
    fn handle(&mut self, now: Duration, input: Input<'_>) {
        let now = now.max(self.clock);
        self.clock = now;
        self.expire(now);
        match input {
            Input::Bytes(bytes) => self.intake.push(bytes),
            Input::CharacterError => self.intake.push_damaged(),
            Input::Deadline => {}
            Input::Ready(ready) => self.ready = ready,
            Input::Accept(token) => self.accept(now, token),
            Input::Refuse(token) => self.refuse(now, token),
            Input::Send { id, message } => self.enqueue(id, message),
            Input::Withdraw { id } => self.withdraw(id),
            Input::RequestLine => self.session.want_line(),
            Input::Closed => self.intake.close(),
        }
        intake::run(self, now);
        if self.intake.truncate(self.settings.backlog_bytes_max) {
            let limit = self.settings.backlog_bytes_max;
            self.output.fault(FaultKind::BacklogFull { limit }, self.intake.end(), Reply::None);
            self.intake.push_damaged();
        }
        // Bytes that are already here come first: a waiting analyzer's ENQ must not meet our own.
        if !matches!(input, Input::Bytes(_)) {
            self.bid_if_due(now);
        }
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.output.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.output.poll_event()
    }

    fn poll_deadline(&self) -> Option<Duration> {
        let wants_line = self.line == LineState::Neutral && !self.queue.is_empty();
        if wants_line && !self.timers.runs(Timer::LineHold) {
            return Some(self.clock);
        }
        self.timers.next(|timer| timer != Timer::LineHold || wants_line)
    }

    fn accepts_input(&self) -> bool {
        self.line != LineState::Halted && self.intake.waiting() == 0
    }
}

impl Reader for Lis01 {
    fn intake(&mut self) -> &mut Intake {
        &mut self.intake
    }

    fn reads(&self) -> bool {
        self.verdict.is_none()
    }

    fn read(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        match self.line {
            LineState::Neutral => self.read_neutral(now, at, bytes[0]),
            LineState::Bidding => self.read_bid_reply(now, at, bytes[0]),
            LineState::Sending => self.read_frame_reply(now, at, bytes[0]),
            LineState::Receiving => self.read_session(now, at, bytes),
            LineState::Halted => bytes.len(),
        }
    }

    fn damaged(&mut self, now: Duration, at: u64) {
        match self.line {
            LineState::Receiving => self.incoming.mark_damaged(),
            LineState::Sending if !self.timers.runs(Timer::Turnaround) => {
                self.frame_refused(now, FaultKind::CharacterError, at);
            }
            LineState::Sending | LineState::Neutral | LineState::Bidding | LineState::Halted => {}
        }
    }

    fn closed(&mut self, _now: Duration, at: u64) {
        self.output.report(&mut self.skipped);
        if self.incoming.abandon() {
            self.output.fault(FaultKind::UnitCutOff, at, Reply::None);
        }
        if self.line == LineState::Receiving {
            self.output.event(Event::Ended(EndReason::ConnectionLost));
        }
        self.fail_all(crate::SendFailure::ConnectionLost);
        self.line = LineState::Neutral;
        self.timers.clear_all();
        self.skipped = Skipped::default();
    }
}

impl fmt::Debug for Lis01 {
    // Buffers hold patient data and stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lis01")
            .field("role", &self.settings.role)
            .field("line", &self.line)
            .field("ready", &self.ready)
            .field("verdict", &self.verdict.as_ref().map(|verdict| verdict.token))
            .field("waiting", &self.intake.waiting())
            .field("timers", &self.timers)
            .finish_non_exhaustive()
    }
}

/// The number that follows another one: 7 is followed by 0.
fn following(number: u8) -> u8 {
    (number + 1) & 7
}

/// Whether a record of this frame text opens a message.
fn opens_message(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'H' | b'h'))
}

/// Whether a frame ended as an end frame.
fn is_end(end: UnitEnd) -> bool {
    end == UnitEnd::End
}
