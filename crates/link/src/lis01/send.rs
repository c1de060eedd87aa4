//! The sending half: bids, frames, repetitions, and when to keep quiet.
//!
//! A message is sent in a session of its own. What fails goes back to the owner, who alone knows
//! whether to send it again; only a bid that was not granted is repeated here.

use std::collections::VecDeque;

use core::time::Duration;

use super::frame::is_restricted;
use super::timers::Timer;
use super::{Capability, InterruptPolicy, LineState, Lis01, Packing, Role, following};
use crate::control::{ACK, CR, ENQ, EOT, NAK};
use crate::sabotage::{Bug, planted};
use crate::{Event, FaultKind, Reply, SendFailure, Tolerance, UnitEnd};

/// Failures in a row after which the pauses grow.
const PATIENCE: u32 = 6;
const JITTER_MS_MAX: u64 = 500;

/// Messages that wait for the line; the first one is on it while the line is ours.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    id: u64,
    records: Vec<u8>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How far the first message of the queue has come.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Bytes of the message that are acknowledged.
    acknowledged: usize,
    /// Bytes of the message in the frame on the line.
    carried: usize,
    frame: Vec<u8>,
    number: u8,
    attempt: u8,
    /// The receiver asked for the line and gets it after the message.
    line_granted: bool,
    /// Sessions and bids that failed in a row.
    failures: u32,
    /// Bids in a row that did not lead to a session.
    bids: u32,
    /// We bid again after contention although the other side bid too.
    claims_line: bool,
    jitter: u64,
}

impl Outgoing {
    pub(super) fn new(jitter_seed: u64) -> Self {
        Self {
            acknowledged: 0,
            carried: 0,
            frame: Vec::new(),
            number: 0,
            attempt: 0,
            line_granted: false,
            failures: 0,
            bids: 0,
            claims_line: false,
            jitter: jitter_seed,
        }
    }

    /// The next pause of a SplitMix64 sequence: two sides with different seeds fall out of step.
    fn jitter(&mut self) -> Duration {
        self.jitter = self.jitter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.jitter;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Duration::from_millis((mixed ^ mixed >> 31) % JITTER_MS_MAX)
    }
}

impl Lis01 {
    pub(super) fn enqueue(&mut self, id: u64, message: &[u8]) {
        match self.admit(message) {
            Ok(records) => self.queue.0.push_back(Waiting { id, records }),
            Err(reason) => self.output.event(Event::SendFailed { id, reason }),
        }
    }

    fn admit(&self, message: &[u8]) -> Result<Vec<u8>, SendFailure> {
        if self.settings.capability == Capability::ReceiveOnly {
            return Err(SendFailure::ReceiveOnly);
        }
        if self.queue.0.len() >= self.settings.send_queue_messages_max {
            return Err(SendFailure::QueueFull);
        }
        if message.len() > self.settings.send_message_bytes_max {
            return Err(SendFailure::TooLong);
        }
        if let Some(at) = message.iter().position(|byte| is_restricted(*byte)) {
            return Err(SendFailure::RestrictedByte { byte: message[at], at });
        }
        let mut records = Vec::with_capacity(message.len() + 1);
        for record in message.split(|byte| *byte == CR).filter(|record| !record.is_empty()) {
            records.extend_from_slice(record);
            records.push(CR);
        }
        if records.is_empty() { Err(SendFailure::Empty) } else { Ok(records) }
    }

    pub(super) fn withdraw(&mut self, id: u64) {
        let on_line = usize::from(self.line == LineState::Sending);
        let place = self.queue.0.iter().skip(on_line).position(|waiting| waiting.id == id);
        if let Some(place) = place {
            self.queue.0.remove(place + on_line);
            self.output.event(Event::SendFailed { id, reason: SendFailure::Withdrawn });
        }
    }

    pub(super) fn bid_if_due(&mut self, now: Duration) {
        if self.line == LineState::Neutral
            && !self.queue.is_empty()
            && !self.timers.runs(Timer::LineHold)
            && self.intake.waiting() == 0
        {
            self.line = LineState::Bidding;
            self.output.transmit.push(ENQ);
            self.timers.set(Timer::BidReply, now + self.settings.bid_reply_timeout);
        }
    }

    pub(super) fn read_bid_reply(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match byte {
            ACK => {
                self.output.report(&mut self.skipped);
                self.timers.clear(Timer::BidReply);
                self.begin_message(now);
            }
            NAK => {
                self.output.fault(FaultKind::BidRefused, at, Reply::None);
                self.yield_line(now, self.settings.busy_hold_off);
                self.bid_failed(SendFailure::Refused);
            }
            ENQ if self.settings.tolerates(Tolerance::EnqReplyIsAck) => {
                self.output.tolerated(Tolerance::EnqReplyIsAck);
                return self.read_bid_reply(now, at, ACK);
            }
            ENQ => self.contention(now, at),
            _ => self.skip(now, at, byte),
        }
        1
    }

    /// Both sides bid, and neither answers the other's bid.
    fn contention(&mut self, now: Duration, at: u64) {
        self.output.fault(FaultKind::Contention, at, Reply::None);
        let pause = self.contention_pause();
        self.yield_line(now, pause);
        self.outgoing.claims_line = self.settings.role == Role::Host && self.goes_first();
        self.bid_failed(SendFailure::Unanswered);
    }

    /// Whether the line is ours after contention. By the standard it is the analyzer's.
    fn goes_first(&self) -> bool {
        let host_first = self.settings.tolerates(Tolerance::HostPriority);
        (self.settings.role == Role::Host) == host_first
    }

    /// A tie of two sides that both believe to go first is broken by jitter.
    fn contention_pause(&mut self) -> Duration {
        if !self.goes_first() {
            self.settings.contention_hold_off_host
        } else if self.settings.strict {
            self.settings.contention_hold_off_instrument
        } else {
            self.settings.contention_hold_off_instrument + self.outgoing.jitter()
        }
    }

    /// Whether a bid of the other side goes unheard because the line is ours after contention.
    pub(super) fn claims_line(&self) -> bool {
        self.outgoing.claims_line && self.timers.runs(Timer::LineHold) && !self.queue.is_empty()
    }

    fn bid_failed(&mut self, reason: SendFailure) {
        self.outgoing.bids = self.outgoing.bids.saturating_add(1);
        if self.settings.bids_max.is_some_and(|most| self.outgoing.bids >= most) {
            self.outgoing.bids = 0;
            self.fail_first(reason);
        }
    }

    fn yield_line(&mut self, now: Duration, pause: Duration) {
        self.output.report(&mut self.skipped);
        self.line = LineState::Neutral;
        self.timers.clear(Timer::BidReply);
        self.timers.clear(Timer::FrameReply);
        self.timers.clear(Timer::Turnaround);
        self.outgoing.claims_line = false;
        self.timers.set(Timer::LineHold, now + pause);
    }

    pub(super) fn bid_unanswered(&mut self, now: Duration) {
        self.output.fault(FaultKind::BidUnanswered, self.intake.end(), Reply::Eot);
        self.output.transmit.push(EOT);
        let pause = self.failure_pause();
        self.yield_line(now, pause);
        self.bid_failed(SendFailure::Unanswered);
    }

    /// A second at first; an other side that stays away is asked less often.
    fn failure_pause(&mut self) -> Duration {
        self.outgoing.failures = self.outgoing.failures.saturating_add(1);
        if self.settings.strict || self.outgoing.failures < PATIENCE {
            self.settings.abort_hold_off
        } else {
            self.settings.busy_hold_off
        }
    }

    fn begin_message(&mut self, now: Duration) {
        self.line = LineState::Sending;
        self.outgoing.bids = 0;
        self.outgoing.acknowledged = 0;
        self.outgoing.number = 0;
        self.outgoing.line_granted = false;
        if self.queue.is_empty() {
            self.return_line(now, self.settings.session_gap);
        } else {
            self.send_next_frame(now);
        }
    }

    fn send_next_frame(&mut self, now: Duration) {
        let Some(message) = self.queue.0.front() else { return };
        let rest = &message.records[self.outgoing.acknowledged..];
        let chain = match self.settings.packing {
            Packing::RecordPerFrame | Packing::RecordChain => {
                rest.iter().position(|byte| *byte == CR).map_or(rest.len(), |last| last + 1)
            }
            Packing::WholeMessage => rest.len(),
        };
        let carried = chain.min(self.settings.send_text_bytes_max);
        let ends = match self.settings.packing {
            Packing::RecordPerFrame | Packing::WholeMessage => carried == chain,
            Packing::RecordChain => carried == rest.len(),
        };
        let end = if ends { UnitEnd::End } else { UnitEnd::Intermediate };
        self.outgoing.number = following(self.outgoing.number);
        self.outgoing.carried = carried;
        self.outgoing.attempt = 0;
        self.outgoing.frame.clear();
        let layout = self.settings.layout();
        layout.write(&mut self.outgoing.frame, self.outgoing.number, &rest[..carried], end);
        self.turn_round(now);
    }

    /// Puts the frame on the line, once it has turned round.
    fn turn_round(&mut self, now: Duration) {
        self.timers.clear(Timer::FrameReply);
        if self.settings.turnaround.is_zero() {
            self.transmit_frame(now);
        } else {
            self.timers.set(Timer::Turnaround, now + self.settings.turnaround);
        }
    }

    pub(super) fn transmit_frame(&mut self, now: Duration) {
        self.outgoing.attempt = self.outgoing.attempt.saturating_add(1);
        self.output.transmit.extend_from_slice(&self.outgoing.frame);
        self.timers.set(Timer::FrameReply, now + self.settings.frame_reply_timeout);
    }

    pub(super) fn read_frame_reply(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match byte {
            _ if self.timers.runs(Timer::Turnaround) => self.skip(now, at, byte),
            ACK => self.frame_acknowledged(now),
            EOT => match self.settings.interrupt {
                InterruptPolicy::Ignore => self.frame_acknowledged(now),
                InterruptPolicy::AfterMessage => {
                    self.outgoing.line_granted = true;
                    self.frame_acknowledged(now);
                }
                InterruptPolicy::AtOnce => self.interrupted(now),
            },
            NAK if planted(Bug::RefusalAsAcknowledgement) => self.frame_acknowledged(now),
            NAK => {
                let attempt = self.outgoing.attempt;
                self.frame_refused(now, FaultKind::FrameRefused { attempt }, at);
            }
            _ => self.frame_refused(now, FaultKind::UnexpectedReply { byte }, at),
        }
        1
    }

    fn frame_acknowledged(&mut self, now: Duration) {
        self.outgoing.acknowledged += self.outgoing.carried;
        if self.message_is_complete() {
            let pause = if self.outgoing.line_granted {
                self.settings.interrupt_hold_off
            } else {
                self.settings.session_gap
            };
            self.complete(now, pause);
        } else {
            self.send_next_frame(now);
        }
    }

    /// An interrupt accepts the frame it answers.
    fn interrupted(&mut self, now: Duration) {
        self.outgoing.acknowledged += self.outgoing.carried;
        if self.message_is_complete() {
            self.complete(now, self.settings.interrupt_hold_off);
        } else {
            self.fail_first(SendFailure::Interrupted);
            self.return_line(now, self.settings.interrupt_hold_off);
        }
    }

    fn message_is_complete(&self) -> bool {
        self.queue.0.front().is_none_or(|message| self.outgoing.acknowledged >= message.records.len())
    }

    fn complete(&mut self, now: Duration, pause: Duration) {
        if let Some(message) = self.queue.0.pop_front() {
            self.output.event(Event::Sent { id: message.id });
        }
        self.outgoing.failures = 0;
        self.return_line(now, pause);
    }

    /// Any reply but ACK and EOT asks for the same frame again.
    pub(super) fn frame_refused(&mut self, now: Duration, kind: FaultKind, at: u64) {
        self.output.fault(kind, at, Reply::None);
        if self.outgoing.attempt < self.settings.attempts {
            self.turn_round(now);
        } else {
            self.abort(now, SendFailure::Refused);
        }
    }

    pub(super) fn frame_unanswered(&mut self, now: Duration) {
        self.output.fault(FaultKind::FrameUnanswered, self.intake.end(), Reply::Eot);
        self.abort(now, SendFailure::Unanswered);
    }

    fn abort(&mut self, now: Duration, reason: SendFailure) {
        self.fail_first(reason);
        let pause = self.failure_pause();
        self.return_line(now, pause);
    }

    fn fail_first(&mut self, reason: SendFailure) {
        if let Some(message) = self.queue.0.pop_front() {
            self.output.event(Event::SendFailed { id: message.id, reason });
        }
    }

    pub(super) fn fail_all(&mut self, reason: SendFailure) {
        while !self.queue.is_empty() {
            self.fail_first(reason);
        }
        self.outgoing.failures = 0;
    }

    fn return_line(&mut self, now: Duration, pause: Duration) {
        self.output.transmit.push(EOT);
        self.yield_line(now, pause);
    }
}
