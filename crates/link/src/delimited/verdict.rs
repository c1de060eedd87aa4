//! Judging texts, asking the owner, replying; the sessions that texts belong to.

use core::mem;
use core::time::Duration;

use super::{Check, Delimited, Line, TextReply, TextSession, Timer};
use crate::control::{ACK, NAK};
use crate::{EndReason, Event, FaultKind, Reply, Token, Tolerance, UnitEnd};

/// A text that waits for the owner.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) token: Token,
    /// Place of our answer in the settings.
    answer: Option<usize>,
    terminator: bool,
}

/// Whether a record ends a LIS02 message.
pub(super) fn ends_message(record: &[u8]) -> bool {
    matches!(record.first(), Some(b'L' | b'l'))
}

/// Whether a record opens a LIS02 message.
fn opens_message(record: &[u8]) -> bool {
    matches!(record.first(), Some(b'H' | b'h'))
}

impl Delimited {
    /// Judges a text that has ended.
    pub(super) fn complete(&mut self, now: Duration) {
        self.leave_text();
        match self.judge() {
            Ok(0) if mem::take(&mut self.incoming.replied) => self.control_reply(now),
            Ok(0) => {
                self.output.tolerated(Tolerance::EmptyBlock);
                self.reply_to(now, self.ready, true);
            }
            Ok(length) => {
                let mut bytes = mem::take(&mut self.incoming.text);
                bytes.truncate(length);
                self.take(now, bytes);
            }
            Err(kind) => {
                let reply = self.refuse_damaged(now);
                self.output.fault(kind, self.incoming.start, reply);
                if reply == Reply::None {
                    self.give_fragment();
                    self.spoil(now);
                }
            }
        }
    }

    /// Length of the content, or what is wrong with it.
    fn judge(&self) -> Result<usize, FaultKind> {
        if self.incoming.damaged {
            return Err(FaultKind::CharacterError);
        }
        let content = self.checked().ok_or(FaultKind::CheckMismatch)?;
        match self.settings.length {
            Some(expected) if content != expected => {
                Err(FaultKind::UnitLength { expected, received: content })
            }
            _ => Ok(content),
        }
    }

    fn checked(&self) -> Option<usize> {
        let end = match self.incoming.end {
            UnitEnd::End => &self.settings.end,
            UnitEnd::Intermediate => &self.settings.continued,
        };
        self.settings.check.content(&self.incoming.text, end, &self.incoming.trailer)
    }

    /// Whether a text without its end marker has a check that proves it.
    pub(super) fn is_proven(&self) -> bool {
        let check = self.settings.check;
        check != Check::None && check.trailer_bytes() == 0 && self.judge().is_ok()
    }

    fn take(&mut self, now: Duration, bytes: Vec<u8>) {
        let terminator = ends_message(&bytes);
        if opens_message(&bytes) {
            self.spoiled = false;
        }
        if self.spoiled {
            self.spoiled = !terminator;
            return self.reply_to(now, false, terminator);
        }
        let answer = self.settings.answers.iter().position(|answer| bytes.starts_with(&answer.to));
        if answer.is_some_and(|place| !self.settings.answers[place].is_data) {
            self.reply_to(now, self.ready, true);
            if self.ready {
                self.send_answer(now, answer);
            }
            return;
        }
        if self.settings.session == TextSession::Silence {
            self.open_session();
        }
        self.tokens += 1;
        let token = Token(self.tokens);
        self.output.event(Event::Unit { token, number: None, bytes, end: self.incoming.end });
        self.verdict = Some(Verdict { token, answer, terminator });
        self.timers.set(Timer::Verdict, now + self.settings.verdict_timeout);
    }

    pub(super) fn accept(&mut self, now: Duration, token: Token) {
        if let Some(verdict) = self.take_verdict(token) {
            self.reply_to(now, true, verdict.terminator);
            self.send_answer(now, verdict.answer);
            self.leave_behind();
        }
    }

    pub(super) fn refuse(&mut self, now: Duration, token: Token) {
        if let Some(verdict) = self.take_verdict(token) {
            self.refuse_text(now, verdict.terminator);
        }
    }

    pub(super) fn verdict_late(&mut self, now: Duration) {
        if let Some(verdict) = self.verdict.take() {
            let answered = self.answers_text(verdict.terminator);
            let reply = if answered { Reply::Nak } else { Reply::None };
            self.output.fault(FaultKind::VerdictLate, self.incoming.start, reply);
            self.refuse_text(now, verdict.terminator);
        }
    }

    fn take_verdict(&mut self, token: Token) -> Option<Verdict> {
        let verdict = self.verdict.take_if(|open| open.token == token)?;
        self.timers.clear(Timer::Verdict);
        Some(verdict)
    }

    /// Nobody repeats a record that gets no reply, so the rest of its message must not pass for the
    /// whole.
    fn refuse_text(&mut self, now: Duration, terminator: bool) {
        self.reply_to(now, false, terminator);
        if !self.answers_text(terminator) {
            if self.settings.session == TextSession::Silence && self.settings.reply == TextReply::None {
                self.give_up("refused-without-reply");
            }
            self.spoil(now);
        }
        self.leave_behind();
    }

    /// Ends the session that the connection has left behind.
    fn leave_behind(&mut self) {
        if mem::take(&mut self.gone) && mem::take(&mut self.open) {
            self.timers.clear_all();
            self.output.event(Event::Ended(EndReason::ConnectionLost));
        }
    }

    /// A text of a stream of records is lost: what came before it is all there will be of its
    /// message.
    pub(super) fn spoil(&mut self, now: Duration) {
        if self.settings.session == TextSession::Silence && self.line != Line::Halted {
            self.spoiled = true;
            if self.open {
                self.end_session(now, EndReason::Broken);
            }
        }
    }

    pub(super) fn give_fragment(&mut self) {
        if !self.incoming.text.is_empty() {
            let bytes = mem::take(&mut self.incoming.text);
            self.output.event(Event::Fragment { bytes });
        }
    }

    fn answers_text(&self, terminator: bool) -> bool {
        match self.settings.reply {
            TextReply::None => false,
            TextReply::AckOrNak => true,
            TextReply::AckOrNakAtTerminator => terminator,
        }
    }

    fn reply_to(&mut self, now: Duration, positive: bool, terminator: bool) {
        if self.answers_text(terminator) {
            self.output.transmit.push(if positive { ACK } else { NAK });
        }
        self.await_text(now);
    }

    /// A sender that waits for a reply repeats a damaged text; any other one does not.
    pub(super) fn refuse_damaged(&mut self, now: Duration) -> Reply {
        let terminator = ends_message(&self.incoming.text);
        self.reply_to(now, false, terminator);
        if self.answers_text(terminator) { Reply::Nak } else { Reply::None }
    }

    /// The reply to a control byte, which carries no data: whether the store is ready decides.
    fn control_reply(&mut self, now: Duration) {
        if self.ready {
            self.output.transmit.push(ACK);
        } else {
            self.output.transmit.push(NAK);
            self.output.fault(FaultKind::NotReady, self.incoming.start, Reply::Nak);
        }
        self.await_text(now);
    }

    /// The start marker has come. Says whether a text may begin; in an envelope the store decides.
    pub(super) fn grant_start(&mut self, now: Duration, at: u64) -> bool {
        if self.settings.session != TextSession::EveryControl {
            return true;
        }
        self.output.report(&mut self.skipped);
        self.incoming.start = at;
        if self.ready {
            self.line = Line::Receiving;
            self.open_session();
        }
        self.control_reply(now);
        self.ready
    }

    fn open_session(&mut self) {
        if !mem::replace(&mut self.open, true) {
            self.output.event(Event::Opened);
        }
    }

    pub(super) fn answer_bid(&mut self, now: Duration, at: u64) {
        self.output.report(&mut self.skipped);
        if self.open {
            self.end_session(now, EndReason::Restarted);
        }
        self.incoming.start = at;
        if self.ready {
            self.line = Line::Receiving;
            self.open_session();
        }
        self.control_reply(now);
    }

    pub(super) fn line_returned(&mut self, now: Duration, at: u64) {
        self.end_session(now, EndReason::Eot);
        if self.settings.session == TextSession::EveryControl {
            self.incoming.start = at;
            self.control_reply(now);
        }
    }

    pub(super) fn end_session(&mut self, now: Duration, reason: EndReason) {
        self.output.report(&mut self.skipped);
        self.open = false;
        self.timers.clear(Timer::Receive);
        if self.line == Line::Receiving {
            self.line = Line::Neutral;
            self.timers.set(Timer::LineHold, now + self.settings.session_gap);
        }
        if reason != EndReason::Broken {
            self.spoiled = false;
        }
        self.output.event(Event::Ended(reason));
    }

    pub(super) fn await_text(&mut self, now: Duration) {
        if self.open {
            self.timers.set(Timer::Receive, now + self.settings.receive_timeout);
        }
    }
}
