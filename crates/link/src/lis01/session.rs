//! The receiving half, above frames: bids, sessions, frame numbers, verdicts, replies.
//!
//! A frame is judged when it is complete and not before; the first rule it broke decides. Only the
//! owner's verdict leads to a positive reply.

use core::time::Duration;

use super::frame::terminator;
use super::timers::Timer;
use super::{Capability, LineState, Lis01, following, is_end, opens_message};
use crate::control::{ACK, EOT, NAK, STX};
use crate::sabotage::{Bug, planted};
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
        if self.claims_line() {
            self.output.tolerated(Tolerance::HostPriority);
        } else if self.ready && self.settings.capability != Capability::SendOnly {
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

    /// EOT: the line is neutral. It carries no data, so whether the store is ready decides its
    /// reply, where it wants one.
    pub(super) fn line_returned(&mut self, now: Duration, at: u64) {
        self.end_session(now, EndReason::Eot);
        if self.settings.tolerates(Tolerance::EotReply) {
            self.output.tolerated(Tolerance::EotReply);
            if self.ready {
                self.output.transmit.push(ACK);
            } else {
                self.output.transmit.push(NAK);
                self.output.fault(FaultKind::NotReady, at, Reply::Nak);
            }
        }
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
        if let Some(kind) = self.incoming.defect {
            return Err(kind);
        }
        if self.settings.tolerates(Tolerance::ChecksumOff) {
            self.tolerate(Tolerance::ChecksumOff);
        } else {
            self.judge_checksum()?;
        }
        self.judge_number()
    }

    fn judge_checksum(&mut self) -> Result<(), FaultKind> {
        if planted(Bug::SkipChecksum) {
            return Ok(());
        }
        let frame = &self.incoming;
        let terminator = terminator(frame.end);
        let (sent, computed) = (frame.check.value, frame.sum);
        let variant = self.variant_sum(computed, terminator).filter(|(sum, _)| checksum_holds(sent, *sum));
        let wrong = if frame.check.unreadable {
            FaultKind::ChecksumNotHex
        } else if checksum_holds(sent, computed) {
            return Ok(());
        } else if let Some((_, tolerance)) = variant {
            self.tolerate(tolerance);
            return Ok(());
        } else if sent == computed.wrapping_sub(terminator) {
            FaultKind::ChecksumWithoutTerminator
        } else {
            FaultKind::ChecksumMismatch { sent, computed }
        };
        if self.settings.tolerates(Tolerance::ChecksumIgnored) {
            self.tolerate(Tolerance::ChecksumIgnored);
            Ok(())
        } else {
            Err(wrong)
        }
    }

    /// The sum as the settings say that this analyzer computes it, if that is not the standard's way.
    fn variant_sum(&self, computed: u8, terminator: u8) -> Option<(u8, Tolerance)> {
        let with_start = self.settings.tolerates(Tolerance::ChecksumFromStart);
        let without_terminator = self.settings.tolerates(Tolerance::ChecksumWithoutTerminator);
        let sum = if without_terminator { computed.wrapping_sub(terminator) } else { computed };
        if with_start {
            Some((sum.wrapping_add(STX), Tolerance::ChecksumFromStart))
        } else {
            without_terminator.then_some((sum, Tolerance::ChecksumWithoutTerminator))
        }
    }

    fn judge_number(&mut self) -> Result<Novelty, FaultKind> {
        let expected = self.session.expected;
        if self.settings.tolerates(Tolerance::FrameNumberAbsent) {
            let repeat = self.session.last.filter(|(number, _)| self.is_repeat(*number));
            self.incoming.number = repeat.map_or(expected, |(number, _)| number);
            self.tolerate(Tolerance::FrameNumberAbsent);
            return Ok(if repeat.is_some() { Novelty::Repeat } else { Novelty::New });
        }
        let received = self.incoming.number;
        if received == expected {
            return Ok(Novelty::New);
        }
        if self.is_repeat(received) {
            return Ok(if planted(Bug::RepeatAsNew) { Novelty::New } else { Novelty::Repeat });
        }
        if self.numbers_restart() && self.settings.tolerates(Tolerance::FrameNumberRestart) {
            self.tolerate(Tolerance::FrameNumberRestart);
            return Ok(Novelty::New);
        }
        if self.settings.tolerates(Tolerance::FrameNumberAny) {
            self.tolerate(Tolerance::FrameNumberAny);
            return Ok(Novelty::New);
        }
        // An ACK for other content under a known number would acknowledge what nobody kept.
        let known = self.session.last.is_some_and(|(number, _)| number == received);
        Err(if known {
            FaultKind::FrameNumberReused { number: received }
        } else {
            FaultKind::FrameNumberGap { expected, received }
        })
    }

    /// Whether the frame is the one accepted last, byte for byte, under this number.
    fn is_repeat(&self, number: u8) -> bool {
        self.session.last == Some((number, self.incoming.end)) && self.session.last_text == self.incoming.text
    }

    /// Whether a sender that begins its numbers anew would do so with this frame.
    fn numbers_restart(&self) -> bool {
        match self.session.last {
            None => true,
            Some((_, end)) => is_end(end) && opens_message(&self.incoming.text),
        }
    }

    fn tolerate(&mut self, tolerance: Tolerance) {
        self.incoming.tolerated = self.incoming.tolerated.with(tolerance);
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
        if planted(Bug::AcknowledgeBeforeVerdict) {
            self.output.transmit.push(ACK);
        }
        self.timers.set(Timer::Verdict, now + self.settings.verdict_timeout);
    }

    pub(super) fn accept(&mut self, now: Duration, token: Token) {
        let Some(verdict) = self.take_verdict(token) else {
            if planted(Bug::AcknowledgeLateVerdict) {
                self.reply(now, ACK);
            }
            return;
        };
        if verdict.novelty == Novelty::New {
            if !planted(Bug::FrameNumberStuck) {
                self.session.expected = following(verdict.number);
            }
            self.session.last = Some((verdict.number, self.incoming.end));
            core::mem::swap(&mut self.session.last_text, &mut self.incoming.text);
        }
        // Half a record would be lost if the line changed hands after an intermediate frame.
        let interrupts = self.session.line_wanted && is_end(self.incoming.end);
        if !planted(Bug::AcknowledgeBeforeVerdict) {
            self.reply(now, if interrupts { EOT } else { ACK });
        }
    }

    pub(super) fn refuse(&mut self, now: Duration, token: Token) {
        if self.take_verdict(token).is_some() && !planted(Bug::AcknowledgeBeforeVerdict) {
            self.reply(now, if planted(Bug::AcknowledgeRefusal) { ACK } else { NAK });
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

/// Whether the checksum that was sent is that of the frame.
fn checksum_holds(sent: u8, computed: u8) -> bool {
    sent == computed
}
