//! Bytes in the order of the line, kept while a verdict is open, and the loop that reads them.
//!
//! This is where chunks lose their meaning: a machine sees one stream of bytes, damaged characters
//! and finally the close, and takes from it only while it may.

use std::collections::VecDeque;

use core::mem;
use core::time::Duration;

use crate::sabotage::{Bug, planted};

/// What has arrived and was not read yet.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    bytes: Vec<u8>,
    /// How many of `bytes` have been read; never more than there are.
    head: usize,
    /// Offset in the stream of the next byte to be read.
    offset: u64,
    /// Offsets in front of which a character was damaged, ascending and without repeats.
    damaged: VecDeque<u64>,
    closed: bool,
}

/// Beyond this the queue gives memory back once it is empty.
const IDLE_BYTES_MAX: usize = 64 << 10;

impl Intake {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.closed {
            let lost = usize::from(planted(Bug::SwallowByte) && bytes.len() == 7);
            self.bytes.extend_from_slice(&bytes[..bytes.len() - lost]);
        }
    }

    pub(crate) fn push_damaged(&mut self) {
        let at = self.end();
        if self.damaged.back() != Some(&at) {
            self.damaged.push_back(at);
        }
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Bytes that wait to be read.
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Drops what waits beyond `limit`; says whether there was any.
    pub(crate) fn truncate(&mut self, limit: usize) -> bool {
        let over = self.waiting() > limit;
        if over {
            self.bytes.truncate(self.head + limit);
            let end = self.end();
            self.damaged.retain(|at| *at <= end);
        }
        over
    }

    /// Offset in the stream behind the last byte that has arrived.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.waiting() as u64
    }

    fn consume(&mut self, count: usize) {
        self.head += count;
        self.offset += count as u64;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(IDLE_BYTES_MAX);
            self.head = 0;
        } else if self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

/// A machine as the reading loop sees it.
pub(crate) trait Reader {
    fn intake(&mut self) -> &mut Intake;

    /// Whether the machine may read on: no verdict is open.
    fn reads(&self) -> bool;

    /// Reads from a non-empty piece that begins at stream offset `at` and says how much of it was
    /// read. It may read nothing if it changed state instead.
    fn read(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize;

    /// A character in front of stream offset `at` was damaged.
    fn damaged(&mut self, now: Duration, at: u64);

    /// Everything before the close has been read.
    fn closed(&mut self, now: Duration, at: u64);
}

/// Lets the machine read as far as it may.
pub(crate) fn run(machine: &mut impl Reader, now: Duration) {
    let mut intake = mem::take(machine.intake());
    while machine.reads() {
        let at = intake.offset;
        if intake.damaged.front() == Some(&at) {
            intake.damaged.pop_front();
            machine.damaged(now, at);
        } else if intake.waiting() > 0 {
            let until = intake.damaged.front().map_or(intake.waiting(), |mark| {
                usize::try_from(mark - at).map_or(intake.waiting(), |room| room.min(intake.waiting()))
            });
            let read = machine.read(now, at, &intake.bytes[intake.head..intake.head + until]);
            intake.consume(read);
        } else if intake.closed {
            machine.closed(now, at);
            intake = Intake::default();
        } else {
            break;
        }
    }
    *machine.intake() = intake;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it reads, one unit per byte `!`.
    #[derive(Default)]
    struct Scribe {
        intake: Intake,
        pending: bool,
        notes: String,
    }

    impl Reader for Scribe {
        fn intake(&mut self) -> &mut Intake {
            &mut self.intake
        }
        fn reads(&self) -> bool {
            !self.pending
        }
        fn read(&mut self, _now: Duration, at: u64, bytes: &[u8]) -> usize {
            self.pending = bytes[0] == b'!';
            self.notes.push_str(&format!("{at}{} ", char::from(bytes[0])));
            1
        }
        fn damaged(&mut self, _now: Duration, at: u64) {
            self.notes.push_str(&format!("{at}? "));
        }
        fn closed(&mut self, _now: Duration, at: u64) {
            self.notes.push_str(&format!("{at}# "));
        }
    }

    #[test]
    fn damage_and_close_keep_their_place_behind_an_open_verdict() {
        let mut scribe = Scribe::default();
        scribe.intake.push(b"a!b");
        scribe.intake.push_damaged();
        scribe.intake.push(b"c");
        scribe.intake.close();
        run(&mut scribe, Duration::ZERO);
        assert_eq!(scribe.notes, "0a 1! ");
        scribe.pending = false;
        run(&mut scribe, Duration::ZERO);
        assert_eq!(scribe.notes, "0a 1! 2b 3? 3c 4# ");
    }

    #[test]
    fn what_is_beyond_the_limit_is_dropped_and_said() {
        let mut intake = Intake::default();
        intake.push(b"abcdef");
        assert!(!intake.truncate(6));
        assert!(intake.truncate(4));
        assert_eq!((intake.waiting(), intake.end()), (4, 4));
    }
}
