//! Writing texts, and where there are bids asking for the line first.

use std::collections::VecDeque;

use core::time::Duration;

use super::{Delimited, Line, TextReply, TextSession, Timer};
use crate::control::{ACK, ENQ, EOT, NAK};
use crate::{Event, FaultKind, Reply, Role, SendFailure};

/// Messages that wait; the first one is on the line while the line is ours.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    queue: VecDeque<Waiting>,
    attempt: u8,
}

#[derive(Debug)]
struct Waiting {
    /// `None` for an answer of the machine's own.
    id: Option<u64>,
    /// The text from its start marker through its end, check included.
    text: Vec<u8>,
}

impl Delimited {
    pub(super) fn enqueue(&mut self, id: u64, message: &[u8]) {
        match self.admit(message) {
            Ok(()) => {
                let text = self.framed(message);
                self.outgoing.queue.push_back(Waiting { id: Some(id), text });
            }
            Err(reason) => self.output.event(Event::SendFailed { id, reason }),
        }
    }

    fn admit(&self, message: &[u8]) -> Result<(), SendFailure> {
        let settings = &self.settings;
        if message.is_empty() {
            return Err(SendFailure::Empty);
        }
        if message.len() > settings.bytes_max {
            return Err(SendFailure::TooLong);
        }
        if self.outgoing.queue.len() >= settings.send_queue_messages_max {
            return Err(SendFailure::QueueFull);
        }
        // The records of a stream end with its end marker; nothing tells them from the message.
        let end: &[u8] = if settings.session == TextSession::Silence { &[] } else { &settings.end };
        for marker in [&settings.start[..], end, &settings.continued] {
            let place = (!marker.is_empty())
                .then(|| message.windows(marker.len()).position(|window| window == marker))
                .flatten();
            if let Some(at) = place {
                return Err(SendFailure::RestrictedByte { byte: message[at], at });
            }
        }
        let has_bids = settings.session.has_bids();
        match message.iter().position(|byte| has_bids && matches!(*byte, ENQ | EOT)) {
            Some(at) => Err(SendFailure::RestrictedByte { byte: message[at], at }),
            None => Ok(()),
        }
    }

    fn framed(&self, message: &[u8]) -> Vec<u8> {
        let settings = &self.settings;
        let mut text = settings.start.clone();
        text.extend_from_slice(message);
        let is_closed = settings.session == TextSession::Silence && message.ends_with(&settings.end);
        let end: &[u8] = if is_closed { &[] } else { &settings.end };
        settings.check.close(&mut text, settings.start.len(), end);
        text
    }

    /// Puts our answer to a text of theirs in front of everything that waits.
    pub(super) fn send_answer(&mut self, now: Duration, place: Option<usize>) {
        let place = place.filter(|_| !self.settings.session.has_bids());
        let answer = place.and_then(|place| self.settings.answers.get(place));
        if let Some(answer) = answer.filter(|answer| !answer.with.is_empty()) {
            let text = self.framed(&answer.with);
            let on_line = usize::from(self.line == Line::Sending);
            let place = on_line.min(self.outgoing.queue.len());
            if self.outgoing.queue.len() < self.settings.send_queue_messages_max {
                self.outgoing.queue.insert(place, Waiting { id: None, text });
            }
        }
        self.send_waiting_answer(now);
    }

    /// An answer follows the bytes that it answers, and does not wait until all that came with them
    /// are read: how they were chunked must not show.
    fn send_waiting_answer(&mut self, now: Duration) {
        let is_first = self.outgoing.queue.front().is_some_and(|waiting| waiting.id.is_none());
        if is_first && self.line == Line::Neutral {
            self.outgoing.attempt = 0;
            self.send_text(now);
        }
    }

    pub(super) fn withdraw(&mut self, id: u64) {
        let on_line = usize::from(!matches!(self.line, Line::Neutral | Line::Receiving | Line::Bidding));
        let place = self.outgoing.queue.iter().skip(on_line).position(|waiting| waiting.id == Some(id));
        if let Some(place) = place {
            self.outgoing.queue.remove(place + on_line);
            self.output.event(Event::SendFailed { id, reason: SendFailure::Withdrawn });
        }
    }

    pub(super) fn wants_line(&self) -> bool {
        self.line == Line::Neutral
            && self.verdict.is_none()
            && self.incoming.is_idle()
            && !self.outgoing.queue.is_empty()
    }

    pub(super) fn send_if_due(&mut self, now: Duration) {
        while self.wants_line() && !self.timers.runs(Timer::LineHold) {
            self.outgoing.attempt = 0;
            if self.settings.session.has_bids() {
                self.line = Line::Bidding;
                self.output.transmit.push(ENQ);
                self.await_reply(now);
            } else {
                self.send_text(now);
            }
        }
    }

    fn await_reply(&mut self, now: Duration) {
        self.timers.set(Timer::Reply, now + self.settings.reply_timeout);
    }

    /// The first message goes on the line, in an envelope its start marker.
    fn send_message(&mut self, now: Duration) {
        if self.settings.session == TextSession::EveryControl && !self.outgoing.queue.is_empty() {
            self.line = Line::Starting;
            self.output.transmit.extend_from_slice(&self.settings.start);
            self.await_reply(now);
        } else {
            self.send_text(now);
        }
    }

    fn send_text(&mut self, now: Duration) {
        let Some(Waiting { text, .. }) = self.outgoing.queue.front() else {
            return self.leave_line(now, self.settings.session_gap);
        };
        let envelope = self.settings.session == TextSession::EveryControl;
        let from = if envelope { self.settings.start.len() } else { 0 };
        let to = if self.ends_apart() { text.len() - self.settings.end.len() } else { text.len() };
        self.output.transmit.extend_from_slice(&text[from..to]);
        self.outgoing.attempt = self.outgoing.attempt.saturating_add(1);
        match self.settings.reply {
            TextReply::None => self.sent(now),
            TextReply::AckOrNak | TextReply::AckOrNakAtTerminator => {
                self.line = Line::Sending;
                self.await_reply(now);
            }
        }
    }

    /// Whether records and end marker are replied to one after the other.
    fn ends_apart(&self) -> bool {
        self.settings.session == TextSession::EveryControl && self.settings.block_idle.is_some()
    }

    fn sent(&mut self, now: Duration) {
        if let Some(Waiting { id: Some(id), .. }) = self.outgoing.queue.pop_front() {
            self.output.event(Event::Sent { id });
        }
        self.leave_line(now, self.settings.session_gap);
    }

    fn fail(&mut self, now: Duration, reason: SendFailure) {
        if let Some(Waiting { id: Some(id), .. }) = self.outgoing.queue.pop_front() {
            self.output.event(Event::SendFailed { id, reason });
        }
        self.leave_line(now, self.settings.hold_off);
    }

    pub(super) fn fail_all(&mut self, reason: SendFailure) {
        for waiting in self.outgoing.queue.drain(..) {
            if let Some(id) = waiting.id {
                self.output.event(Event::SendFailed { id, reason });
            }
        }
    }

    fn leave_line(&mut self, now: Duration, pause: Duration) {
        self.line = Line::Neutral;
        self.timers.clear(Timer::Reply);
        if self.settings.session.has_bids() {
            self.output.transmit.push(EOT);
            self.timers.set(Timer::LineHold, now + pause);
        }
        if self.settings.session == TextSession::EveryControl {
            self.line = Line::Closing;
            self.await_reply(now);
        }
        self.send_waiting_answer(now);
    }

    fn yield_line(&mut self, now: Duration, pause: Duration) {
        self.line = Line::Neutral;
        self.timers.clear(Timer::Reply);
        self.timers.set(Timer::LineHold, now + pause);
    }

    pub(super) fn read_bid_reply(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match byte {
            ACK => {
                self.output.report(&mut self.skipped);
                self.send_message(now);
            }
            NAK => {
                self.output.fault(FaultKind::BidRefused, at, Reply::None);
                self.yield_line(now, self.settings.hold_off);
            }
            ENQ => {
                self.output.fault(FaultKind::Contention, at, Reply::None);
                let pause = match self.settings.role {
                    Role::Host => self.settings.hold_off,
                    Role::Instrument => self.settings.contention_retry,
                };
                self.yield_line(now, pause);
            }
            _ => self.skip(now, at, byte),
        }
        1
    }

    /// The reply to our start marker, end marker or EOT.
    pub(super) fn read_control_reply(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match (self.line, byte) {
            (Line::Closing, ACK | NAK) => {
                self.line = Line::Neutral;
                self.timers.clear(Timer::Reply);
            }
            // Whoever bids takes our EOT as read.
            (Line::Closing, ENQ) => {
                self.line = Line::Neutral;
                self.timers.clear(Timer::Reply);
                return 0;
            }
            (Line::Starting, ACK) => self.send_text(now),
            (Line::Ending, ACK) => self.sent(now),
            (Line::Starting, NAK) => {
                self.output.fault(FaultKind::BidRefused, at, Reply::None);
                self.yield_line(now, self.settings.hold_off);
            }
            (Line::Ending, NAK) => self.text_refused(now, at),
            _ => self.skip(now, at, byte),
        }
        1
    }

    /// While a text of theirs is being read, ACK and NAK belong to it.
    pub(super) fn is_reply(&self, byte: u8) -> bool {
        self.incoming.is_idle() && matches!(byte, ACK | NAK)
    }

    pub(super) fn read_text_reply(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        self.timers.clear(Timer::Reply);
        if byte != ACK {
            self.text_refused(now, at);
        } else if self.ends_apart() {
            self.line = Line::Ending;
            self.output.transmit.extend_from_slice(&self.settings.end);
            self.await_reply(now);
        } else {
            self.sent(now);
        }
        1
    }

    fn text_refused(&mut self, now: Duration, at: u64) {
        let attempt = self.outgoing.attempt;
        self.output.fault(FaultKind::FrameRefused { attempt }, at, Reply::None);
        if attempt < self.settings.attempts {
            self.send_message(now);
        } else {
            self.fail(now, SendFailure::Refused);
        }
    }

    pub(super) fn reply_missing(&mut self, now: Duration) {
        let reply = if self.settings.session.has_bids() { Reply::Eot } else { Reply::None };
        match self.line {
            Line::Bidding => {
                self.output.fault(FaultKind::BidUnanswered, self.intake.end(), reply);
                self.leave_line(now, self.settings.hold_off);
            }
            Line::Closing => self.line = Line::Neutral,
            _ => {
                self.output.fault(FaultKind::FrameUnanswered, self.intake.end(), reply);
                self.fail(now, SendFailure::Unanswered);
            }
        }
    }
}
