//! The receiving half, above frames: bids, sessions, frame numbers, verdicts, replies.
//!
//! A frame is judged when it is complete and not before; the first rule it broke decides. Only the
//! owner's verdict leads to a positive reply.

use core::time::Duration;

use super::timers::Timer;
use super::{Capability, LineState, Lis01, following, is_end, opens_message};
use crate::control::{ACK, EOT, ETB, ETX, NAK, STX};
use crate::{EndReason, Event, FaultKind, Reply, Token, Tolerance, UnitEnd};

/// What a session remembers from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Session {
    expected: u8,
    /// Number and end of the frame accepted last.
    last: Option<(u8, UnitEnd)>,
    last_text: Vec<u8>,
    line_wanted: bool,
}

impl Session {
    pub(super) fn want_line(&mut self) {
        self.line_wanted = true;
    }

    fn begin(&mut self) {
        self.expected = 1;
        self.last = None;
        self.last_text.clear();
    }
}

/// A unit that waits for the owner.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) token: Token,
    number: u8,
    novelty: Novelty,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Novelty {
    New,
    Repeat,
}

impl Lis01 {
    /// Whether this byte opens a session on a neutral line although nobody bid.
    pub(super) fn opens_without_bid(&self, byte: u8) -> bool {
        byte == STX && self.ready && self.settings.tolerates(Tolerance::SessionWithoutEnq)
    }

    pub(super) fn answer_bid(&mut self, now: Duration, at: u64) {
        self.output.report(&mut self.skipped);
        if self.ready && self.settings.capability != Capability::SendOnly {
            self.output.transmit.push(ACK);
            self.begin_session(now);
        } else {
            self.output.transmit.push(NAK);
            self.output.fault(FaultKind::NotReady, at, Reply::Nak);
        }
    }

    pub(super) fn open_session(&mut self, now: Duration) {
        self.output.report(&mut self.skipped);
        self.output.tolerated(Tolerance::SessionWithoutEnq);
        self.begin_session(now);
    }

    fn begin_session(&mut self, now: Duration) {
        self.line = LineState::Receiving;
        self.session.begin();
        self.incoming.abandon();
        self.timers.set(Timer::Receive, now + self.settings.receive_timeout);
        self.output.event(Event::Opened);
    }

    /// The line is neutral again, and every hold-off is over with it.
    pub(super) fn end_session(&mut self, now: Duration, reason: EndReason) {
        self.output.report(&mut self.skipped);
        self.incoming.abandon();
        self.session.line_wanted = false;
        self.line = LineState::Neutral;
        for timer in [Timer::Receive, Timer::FrameProgress, Timer::Silence] {
            self.timers.clear(timer);
        }
        self.timers.set(Timer::LineHold, now + self.settings.session_gap);
        self.output.event(Event::Ended(reason));
    }

    pub(super) fn restart_session(&mut self, now: Duration, at: u64) {
        self.end_session(now, EndReason::Restarted);
        self.output.tolerated(Tolerance::EnqRestart);
        self.answer_bid(now, at);
    }

    /// Judges a complete frame.
    pub(super) fn finish_frame(&mut self, now: Duration) {
        self.incoming.abandon();
        for timer in [Timer::Receive, Timer::FrameProgress, Timer::Silence] {
            self.timers.clear(timer);
        }
        match self.judge() {
            Ok(novelty) => self.ask_for_verdict(now, novelty),
            Err(kind) => self.refuse_frame(now, kind),
        }
    }

    fn judge(&mut self) -> Result<Novelty, FaultKind> {
        let frame = &mut self.incoming;
        if let Some(kind) = frame.defect {
            return Err(kind);
        }
        let (sent, computed) = (frame.sent_check, frame.sum);
        if sent != computed {
            let terminator = if is_end(frame.end) { ETX } else { ETB };
            return Err(if sent == computed.wrapping_sub(terminator) {
                FaultKind::ChecksumWithoutTerminator
            } else {
                FaultKind::ChecksumMismatch { sent, computed }
            });
        }
        let (expected, received) = (self.session.expected, frame.number);
        if received == expected {
            return Ok(Novelty::New);
        }
        let same_number = self.session.last.is_some_and(|(number, _)| number == received);
        if same_number
            && self.session.last == Some((received, frame.end))
            && self.session.last_text == frame.text
        {
            return Ok(Novelty::Repeat);
        }
        let restarts = match self.session.last {
            None => true,
            Some((_, end)) => is_end(end) && opens_message(&frame.text),
        };
        if restarts && self.settings.tolerates(Tolerance::FrameNumberRestart) {
            frame.tolerated = frame.tolerated.with(Tolerance::FrameNumberRestart);
            return Ok(Novelty::New);
        }
        if self.settings.tolerates(Tolerance::FrameNumberAny) {
            frame.tolerated = frame.tolerated.with(Tolerance::FrameNumberAny);
            return Ok(Novelty::New);
        }
        // An ACK for other content under a known number would acknowledge what nobody kept.
        Err(if same_number {
            FaultKind::FrameNumberReused { number: received }
        } else {
            FaultKind::FrameNumberGap { expected, received }
        })
    }

    fn ask_for_verdict(&mut self, now: Duration, novelty: Novelty) {
        let frame = &self.incoming;
        self.tokens += 1;
        let (token, number) = (Token(self.tokens), frame.number);
        for tolerance in frame.tolerated.iter() {
            self.output.tolerated(tolerance);
        }
        self.output.event(match novelty {
            Novelty::New => {
                Event::Unit { token, number: Some(number), bytes: frame.text.clone(), end: frame.end }
            }
            Novelty::Repeat => Event::Repeat { token, number },
        });
        self.verdict = Some(Verdict { token, number, novelty });
        self.timers.set(Timer::Verdict, now + self.settings.verdict_timeout);
    }

    pub(super) fn accept(&mut self, now: Duration, token: Token) {
        let Some(verdict) = self.take_verdict(token) else { return };
        if verdict.novelty == Novelty::New {
            self.session.expected = following(verdict.number);
            self.session.last = Some((verdict.number, self.incoming.end));
            core::mem::swap(&mut self.session.last_text, &mut self.incoming.text);
        }
        // Half a record would be lost if the line changed hands after an intermediate frame.
        let interrupts = self.session.line_wanted && is_end(self.incoming.end);
        self.reply(now, if interrupts { EOT } else { ACK });
    }

    pub(super) fn refuse(&mut self, now: Duration, token: Token) {
        if self.take_verdict(token).is_some() {
            self.reply(now, NAK);
        }
    }

    pub(super) fn verdict_late(&mut self, now: Duration) {
        if self.verdict.take().is_some() {
            self.refuse_frame(now, FaultKind::VerdictLate);
        }
    }

    fn take_verdict(&mut self, token: Token) -> Option<Verdict> {
        let verdict = self.verdict.take_if(|verdict| verdict.token == token)?;
        self.timers.clear(Timer::Verdict);
        Some(verdict)
    }

    fn refuse_frame(&mut self, now: Duration, kind: FaultKind) {
        let start = self.incoming.start;
        self.output.fault(kind, start, Reply::Nak);
        self.reply(now, NAK);
    }

    fn reply(&mut self, now: Duration, byte: u8) {
        self.output.transmit.push(byte);
        self.timers.set(Timer::Receive, now + self.settings.receive_timeout);
    }
}
