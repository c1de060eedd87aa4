//! What a machine wants done: bytes for the line and events for the owner.

use std::collections::VecDeque;

use core::time::Duration;

use crate::skipped::Skipped;
use crate::{Event, Fault, FaultKind, OtherProtocol, Reply, Tolerance};

/// Bytes and events that nobody has taken yet.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) transmit: Vec<u8>,
    events: VecDeque<Event>,
}

impl Output {
    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn fault(&mut self, kind: FaultKind, at: u64, reply: Reply) {
        self.event(Event::Fault(Fault { kind, at, reply }));
    }

    pub(crate) fn tolerated(&mut self, tolerance: Tolerance) {
        self.event(Event::Tolerated(tolerance));
    }

    /// Counts a byte outside of any unit; says why the stream should be given up, if it should.
    pub(crate) fn skip(
        &mut self,
        skipped: &mut Skipped,
        (now, at, byte): (Duration, u64, u8),
        limit: u64,
    ) -> Option<&'static str> {
        if let Some(protocol) = skipped.note(now, at, byte) {
            self.fault(FaultKind::OtherProtocol(protocol), at, Reply::None);
            if matches!(protocol, OtherProtocol::Tls | OtherProtocol::Http) {
                return Some(protocol.code());
            }
        }
        let exceeded = skipped.exceeds(limit);
        if exceeded {
            self.report(skipped);
        }
        exceeded.then_some("skipped-bytes-max")
    }

    /// Ends a run of skipped bytes and reports it, if there was one.
    pub(crate) fn report(&mut self, skipped: &mut Skipped) {
        self.events.extend(skipped.take().map(Event::Fault));
    }

    pub(crate) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let any = !self.transmit.is_empty();
        out.append(&mut self.transmit);
        any
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
