//! Text between two markers, with or without replies, check and session.
//!
//! ```text
//! text     = [start] content [check] [end] [check]
//! alone    = text…                              each replied to, or none
//! silence  = text… pause                        records of a stream
//! bid      = ENQ text… EOT                      ENQ and texts replied to
//! envelope = [ENQ] text… EOT                    ENQ, start, end and EOT replied to
//! ```
//!
//! `receive` finds texts, `verdict` judges and replies, `check` knows the checks, `send` writes texts;
//! the line between both sides is shared only where there are bids. Content cannot hold the end
//! marker, and not the start marker where that is one control byte.

mod check;
mod receive;
mod send;
mod settings;
mod verdict;

use core::fmt;
use core::time::Duration;

pub use check::Check;
pub use settings::{Answer, DelimitedSettings, TextReply, TextSession};

use crate::intake::{self, Intake, Reader};
use crate::output::Output;
use crate::skipped::Skipped;
use crate::timers::Timers;
use crate::{EndReason, ErrorMode, Event, FaultKind, Input, Machine, Reply, SendFailure};
use receive::Incoming;
use send::Outgoing;
use verdict::Verdict;

/// What the line is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    /// Nobody has it.
    Neutral,
    /// A bid of the other side was accepted.
    Receiving,
    /// Our bid waits for its answer.
    Bidding,
    /// Our start marker waits for its reply.
    Starting,
    /// Our text waits for its reply.
    Sending,
    /// Our end marker waits for its reply; the records in front of it have theirs.
    Ending,
    /// Our EOT waits for its reply.
    Closing,
    /// The stream was given up; only a close leads out.
    Halted,
}

/// Every reason to wake up without a byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    /// Records have come, and the other side may wait for a reply to them.
    Block,
    /// A text has begun: it must go on, or silence ends it.
    Text,
    /// The other side owes a text of its session.
    Receive,
    /// The other side owes a reply to what we sent.
    Reply,
    /// We must not bid yet.
    LineHold,
    /// The owner owes a verdict.
    Verdict,
}

/// Receiver and sender of one line of delimited texts.
pub struct Delimited {
    settings: DelimitedSettings,
    line: Line,
    ready: bool,
    incoming: Incoming,
    /// A session of theirs is open.
    open: bool,
    /// A text of the running message is lost, so the rest of it is not taken either.
    spoiled: bool,
    /// The connection closed; the session ends with the open verdict.
    gone: bool,
    verdict: Option<Verdict>,
    tokens: u64,
    outgoing: Outgoing,
    intake: Intake,
    skipped: Skipped,
    output: Output,
    timers: Timers<Timer>,
    clock: Duration,
}

impl Delimited {
    /// A machine that waits for the first text, not ready to receive until told.
    pub fn new(settings: DelimitedSettings) -> Self {
        Self {
            settings,
            line: Line::Neutral,
            ready: false,
            incoming: Incoming::default(),
            open: false,
            spoiled: false,
            gone: false,
            verdict: None,
            tokens: 0,
            outgoing: Outgoing::default(),
            intake: Intake::default(),
            skipped: Skipped::default(),
            output: Output::default(),
            timers: Timers::default(),
            clock: Duration::ZERO,
        }
    }

    fn skip(&mut self, now: Duration, at: u64, byte: u8) {
        let limit = self.settings.skipped_bytes_max;
        if let Some(reason) = self.output.skip(&mut self.skipped, (now, at, byte), limit) {
            self.give_up(reason);
        }
    }

    fn give_up(&mut self, reason: &'static str) {
        if self.settings.error_mode == ErrorMode::Close && self.line != Line::Halted {
            if core::mem::take(&mut self.open) {
                self.output.event(Event::Ended(EndReason::ConnectionLost));
            }
            self.line = Line::Halted;
            self.timers.clear_all();
            self.output.event(Event::Desynchronised(reason));
        }
    }

    fn expire(&mut self, now: Duration) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Block => self.block_silent(now),
                Timer::Text => self.text_silent(now),
                Timer::Receive => self.end_session(now, EndReason::Timeout),
                Timer::Reply => self.reply_missing(now),
                Timer::LineHold => {}
                Timer::Verdict => self.verdict_late(now),
            }
        }
    }
}

impl Machine for Delimited {
    fn handle(&mut self, now: Duration, input: Input<'_>) {
        let now = now.max(self.clock);
        self.clock = now;
        self.expire(now);
        match input {
            Input::Bytes(bytes) => self.intake.push(bytes),
            Input::CharacterError => self.intake.push_damaged(),
            Input::Ready(ready) => self.ready = ready,
            Input::Accept(token) => self.accept(now, token),
            Input::Refuse(token) => self.refuse(now, token),
            Input::Send { id, message } => self.enqueue(id, message),
            Input::Withdraw { id } => self.withdraw(id),
            Input::Closed => self.intake.close(),
            Input::Deadline | Input::RequestLine => {}
        }
        intake::run(self, now);
        if self.intake.truncate(self.settings.backlog_bytes_max) {
            let limit = self.settings.backlog_bytes_max;
            self.output.fault(FaultKind::BacklogFull { limit }, self.intake.end(), Reply::None);
            self.intake.push_damaged();
        }
        // Bytes that are already here come first, so that a bid does not cross another one.
        if !matches!(input, Input::Bytes(_)) {
            self.send_if_due(now);
        }
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.output.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.output.poll_event()
    }

    fn poll_deadline(&self) -> Option<Duration> {
        let wants_line = self.wants_line();
        if wants_line && !self.timers.runs(Timer::LineHold) {
            return Some(self.clock);
        }
        self.timers.next(|timer| timer != Timer::LineHold || wants_line)
    }

    fn accepts_input(&self) -> bool {
        self.line != Line::Halted && self.intake.waiting() == 0
    }
}

impl Reader for Delimited {
    fn intake(&mut self) -> &mut Intake {
        &mut self.intake
    }

    fn reads(&self) -> bool {
        self.verdict.is_none()
    }

    fn read(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        match self.line {
            Line::Halted => bytes.len(),
            Line::Bidding => self.read_bid_reply(now, at, bytes[0]),
            Line::Starting | Line::Ending | Line::Closing => self.read_control_reply(now, at, bytes[0]),
            Line::Sending if self.is_reply(bytes[0]) => self.read_text_reply(now, at, bytes[0]),
            Line::Sending if self.settings.session.has_bids() => {
                self.skip(now, at, bytes[0]);
                1
            }
            Line::Neutral | Line::Receiving | Line::Sending => self.read_text(now, at, bytes),
        }
    }

    fn damaged(&mut self, _now: Duration, _at: u64) {
        self.incoming.mark_damaged();
    }

    fn closed(&mut self, now: Duration, at: u64) {
        self.cut_off(now, at);
        self.output.report(&mut self.skipped);
        // A text that the close completed belongs to the session, which ends behind its verdict.
        self.gone = self.open && self.verdict.is_some();
        if !self.gone && core::mem::take(&mut self.open) {
            self.output.event(Event::Ended(EndReason::ConnectionLost));
        }
        self.fail_all(SendFailure::ConnectionLost);
        self.line = Line::Neutral;
        self.spoiled = false;
        if self.verdict.is_none() {
            self.timers.clear_all();
        }
        self.skipped = Skipped::default();
    }
}

impl fmt::Debug for Delimited {
    // Buffers hold patient data and stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delimited")
            .field("line", &self.line)
            .field("ready", &self.ready)
            .field("open", &self.open)
            .field("verdict", &self.verdict.as_ref().map(|verdict| verdict.token))
            .field("waiting", &self.intake.waiting())
            .field("timers", &self.timers)
            .finish_non_exhaustive()
    }
}
