//! Writing texts, and with a handshake asking for the line first.

use std::collections::VecDeque;

use core::time::Duration;

use super::{Check, Delimited, Line, TextReply, Timer};
use crate::control::{ACK, ENQ, EOT, NAK};
use crate::{Event, FaultKind, Reply, SendFailure};

/// Messages that wait; the first one is on the line while the line is ours.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    queue: VecDeque<(u64, Vec<u8>)>,
    attempt: u8,
}

impl Delimited {
    pub(super) fn enqueue(&mut self, id: u64, message: &[u8]) {
        match self.admit(message) {
            Ok(text) => self.outgoing.queue.push_back((id, text)),
            Err(reason) => self.output.event(Event::SendFailed { id, reason }),
        }
    }

    fn admit(&self, message: &[u8]) -> Result<Vec<u8>, SendFailure> {
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
        for marker in [&settings.start[..], &settings.end] {
            let place = (!marker.is_empty())
                .then(|| message.windows(marker.len()).position(|window| window == marker))
                .flatten();
            if let Some(at) = place {
                return Err(SendFailure::RestrictedByte { byte: message[at], at });
            }
        }
        if let Some(at) = message.iter().position(|byte| settings.handshake && matches!(*byte, ENQ | EOT)) {
            return Err(SendFailure::RestrictedByte { byte: message[at], at });
        }
        let mut text = settings.start.clone();
        text.extend_from_slice(message);
        if let Check::SumThroughMark { mark } = settings.check {
            text.push(mark);
            let sum = sum(&text[settings.start.len()..]);
            text.extend_from_slice(format!("{sum:02x}").as_bytes());
        }
        text.extend_from_slice(&settings.end);
        Ok(text)
    }

    pub(super) fn withdraw(&mut self, id: u64) {
        let on_line = usize::from(self.line == Line::Sending);
        let place = self.outgoing.queue.iter().skip(on_line).position(|(waiting, _)| *waiting == id);
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
            if self.settings.handshake {
                self.line = Line::Bidding;
                self.output.transmit.push(ENQ);
                self.timers.set(Timer::Reply, now + self.settings.reply_timeout);
            } else {
                self.send_text(now);
            }
        }
    }

    fn send_text(&mut self, now: Duration) {
        let Some((_, text)) = self.outgoing.queue.front() else {
            return self.leave_line(now, self.settings.session_gap);
        };
        self.output.transmit.extend_from_slice(text);
        self.outgoing.attempt = self.outgoing.attempt.saturating_add(1);
        match self.settings.reply {
            TextReply::None => self.sent(now),
            TextReply::AckOrNak => {
                self.line = Line::Sending;
                self.timers.set(Timer::Reply, now + self.settings.reply_timeout);
            }
        }
    }

    fn sent(&mut self, now: Duration) {
        if let Some((id, _)) = self.outgoing.queue.pop_front() {
            self.output.event(Event::Sent { id });
        }
        self.leave_line(now, self.settings.session_gap);
    }

    fn fail(&mut self, now: Duration, reason: SendFailure) {
        if let Some((id, _)) = self.outgoing.queue.pop_front() {
            self.output.event(Event::SendFailed { id, reason });
        }
        self.leave_line(now, self.settings.hold_off);
    }

    pub(super) fn fail_all(&mut self, reason: SendFailure) {
        for (id, _) in self.outgoing.queue.drain(..) {
            self.output.event(Event::SendFailed { id, reason });
        }
    }

    fn leave_line(&mut self, now: Duration, pause: Duration) {
        self.line = Line::Neutral;
        self.timers.clear(Timer::Reply);
        if self.settings.handshake {
            self.output.transmit.push(EOT);
            self.timers.set(Timer::LineHold, now + pause);
        }
    }

    fn yield_line(&mut self, now: Duration) {
        self.line = Line::Neutral;
        self.timers.clear(Timer::Reply);
        self.timers.set(Timer::LineHold, now + self.settings.hold_off);
    }

    pub(super) fn read_bid_reply(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match byte {
            ACK => {
                self.output.report(&mut self.skipped);
                self.send_text(now);
            }
            NAK => {
                self.output.fault(FaultKind::BidRefused, at, Reply::None);
                self.yield_line(now);
            }
            ENQ => {
                self.output.fault(FaultKind::Contention, at, Reply::None);
                self.yield_line(now);
            }
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
        if byte == ACK {
            self.sent(now);
        } else {
            let attempt = self.outgoing.attempt;
            self.output.fault(FaultKind::FrameRefused { attempt }, at, Reply::None);
            if attempt < self.settings.attempts {
                self.send_text(now);
            } else {
                self.fail(now, SendFailure::Refused);
            }
        }
        1
    }

    pub(super) fn reply_missing(&mut self, now: Duration) {
        let reply = if self.settings.handshake { Reply::Eot } else { Reply::None };
        if self.line == Line::Bidding {
            self.output.fault(FaultKind::BidUnanswered, self.intake.end(), reply);
            self.leave_line(now, self.settings.hold_off);
        } else {
            self.output.fault(FaultKind::FrameUnanswered, self.intake.end(), reply);
            self.fail(now, SendFailure::Unanswered);
        }
    }
}

/// Sum of bytes, modulo 256.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}
