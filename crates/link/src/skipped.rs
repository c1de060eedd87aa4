//! Bytes outside of any unit: counted, recognised if they are another protocol, and bounded.

use core::time::Duration;

use crate::control::{ENQ, VT};
use crate::{Fault, FaultKind, OtherProtocol, Reply};

/// A run of skipped bytes.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    start: u64,
    count: u64,
    /// Bytes since the last pause: a heartbeat byte every few seconds must never fill the budget.
    burst: u64,
    last: Duration,
    /// The first bytes of the stream, as long as all of them were skipped.
    head: [u8; 4],
}

const BURST_PAUSE: Duration = Duration::from_secs(1);

impl Skipped {
    /// Counts one byte and says which other protocol the stream begins with, if it just showed.
    pub(crate) fn note(&mut self, now: Duration, at: u64, byte: u8) -> Option<OtherProtocol> {
        if self.count == 0 {
            self.start = at;
        }
        if now.saturating_sub(self.last) >= BURST_PAUSE {
            self.burst = 0;
        }
        self.last = now;
        self.count += 1;
        self.burst += 1;
        let place = usize::try_from(at).ok().filter(|place| *place < self.head.len())?;
        self.head[place] = byte;
        match (place, &self.head) {
            (0, [ENQ, ..]) => Some(OtherProtocol::Lis01),
            (0, [VT, ..]) => Some(OtherProtocol::Mllp),
            (1, [0x16, 0x03, ..]) => Some(OtherProtocol::Tls),
            (3, b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI") => Some(OtherProtocol::Http),
            _ => None,
        }
    }

    /// Whether more than `limit` bytes came without a pause.
    pub(crate) fn exceeds(&self, limit: u64) -> bool {
        self.burst > limit
    }

    /// Ends the run.
    pub(crate) fn take(&mut self) -> Option<Fault> {
        self.burst = 0;
        let count = core::mem::take(&mut self.count);
        (count > 0).then_some(Fault {
            kind: FaultKind::BytesSkipped { count },
            at: self.start,
            reply: Reply::None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_protocol(bytes: &[u8]) -> Option<OtherProtocol> {
        let mut skipped = Skipped::default();
        bytes.iter().zip(0..).find_map(|(byte, at)| skipped.note(Duration::ZERO, at, *byte))
    }

    #[test]
    fn a_stream_that_begins_as_another_protocol_is_recognised() {
        assert_eq!(first_protocol(b"GET / HTTP/1.1\r\n"), Some(OtherProtocol::Http));
        assert_eq!(first_protocol(b"\x16\x03\x01\x02\x00"), Some(OtherProtocol::Tls));
        assert_eq!(first_protocol(b"garbage"), None);
        assert_eq!(first_protocol(b"xGET / "), None);
    }

    #[test]
    fn a_heartbeat_never_fills_the_budget() {
        let mut skipped = Skipped::default();
        for second in 0..100_u64 {
            skipped.note(Duration::from_secs(3 * second), second, 0x02);
            assert!(!skipped.exceeds(1));
        }
        assert_eq!(skipped.take().map(|fault| fault.kind), Some(FaultKind::BytesSkipped { count: 100 }));
    }
}
