//! Finding texts: markers, lengths, silence, and the bids around them.

use core::mem;
use core::time::Duration;

use super::verdict::ends_message;
use super::{Delimited, Line, TextSession, Timer};
use crate::control::{ACK, CR, ENQ, EOT, NAK};
use crate::{FaultKind, Reply, Tolerance, UnitEnd};

/// The text being read.
#[derive(Debug)]
pub(super) struct Incoming {
    place: Place,
    pub(super) text: Vec<u8>,
    /// Stream offset of its first byte.
    pub(super) start: u64,
    pub(super) damaged: bool,
    pub(super) end: UnitEnd,
    /// What of the check stands behind the end marker, as far as it was read.
    pub(super) trailer: Vec<u8>,
    /// Records in front of the text were replied to before the end marker came.
    pub(super) replied: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Looking for the start marker, of which this many bytes were read.
    Hunt(usize),
    Text,
    /// Behind the end marker, in the check.
    Trailer,
}

impl Default for Place {
    fn default() -> Self {
        Self::Hunt(0)
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            place: Place::default(),
            text: Vec::new(),
            start: 0,
            damaged: false,
            end: UnitEnd::End,
            trailer: Vec::new(),
            replied: false,
        }
    }
}

impl Incoming {
    pub(super) fn is_idle(&self) -> bool {
        self.place == Place::Hunt(0)
    }

    pub(super) fn mark_damaged(&mut self) {
        if matches!(self.place, Place::Text | Place::Trailer) {
            self.damaged = true;
        }
    }
}

impl Delimited {
    pub(super) fn read_text(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        match self.incoming.place {
            Place::Hunt(matched) => self.hunt(now, at, bytes[0], matched),
            Place::Text => self.collect(now, at, bytes),
            Place::Trailer => self.collect_trailer(now, bytes[0]),
        }
    }

    fn hunt(&mut self, now: Duration, at: u64, byte: u8, matched: usize) -> usize {
        if self.settings.session.has_bids() && matched == 0 {
            match byte {
                ENQ => {
                    self.answer_bid(now, at);
                    return 1;
                }
                EOT if self.line == Line::Receiving => {
                    self.line_returned(now, at);
                    return 1;
                }
                _ => {}
            }
        }
        let starts = self.settings.start.get(matched) == Some(&byte);
        if matched == 0 && !starts && self.settings.between.contains(&byte) {
            return 1;
        }
        if self.settings.start.is_empty() {
            self.begin(now, at);
            return 0;
        }
        if starts {
            self.matched(now, at, matched + 1);
        } else if matched == 0 {
            self.skip(now, at, byte);
        } else {
            self.fall_back(now, at, byte, matched);
        }
        1
    }

    /// This many bytes of the start marker have been read, the last one at `at`.
    fn matched(&mut self, now: Duration, at: u64, matched: usize) {
        if matched < self.settings.start.len() {
            self.incoming.place = Place::Hunt(matched);
        } else if self.grant_start(now, at) {
            self.begin(now, at + 1 - matched as u64);
        } else {
            self.incoming.place = Place::default();
        }
    }

    /// The marker did not go on: what was held back is skipped until the rest may be one again.
    fn fall_back(&mut self, now: Duration, at: u64, byte: u8, matched: usize) {
        let mut held = self.settings.start[..matched].to_vec();
        held.push(byte);
        while !self.settings.start.starts_with(&held) {
            let first = held.remove(0);
            self.skip(now, at - held.len() as u64, first);
        }
        if held.is_empty() {
            self.incoming.place = Place::default();
        } else {
            self.matched(now, at, held.len());
        }
    }

    fn begin(&mut self, now: Duration, at: u64) {
        self.output.report(&mut self.skipped);
        self.timers.clear(Timer::Receive);
        self.incoming = Incoming {
            place: Place::Text,
            start: at,
            text: mem::take(&mut self.incoming.text),
            ..Incoming::default()
        };
        self.incoming.text.clear();
        self.note_progress(now);
    }

    fn note_progress(&mut self, now: Duration) {
        let silence = self.settings.idle_end.unwrap_or(self.settings.progress_timeout);
        self.timers.set(Timer::Text, now + silence);
    }

    fn collect(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        self.note_progress(now);
        let plain = bytes.iter().position(|byte| self.may_end_text(*byte)).unwrap_or(bytes.len());
        if plain > 0 {
            let kept = self.keep(now, &bytes[..plain]);
            self.await_block_reply(now);
            return kept;
        }
        let byte = bytes[0];
        if self.restarts_text(byte) {
            self.break_off(now, FaultKind::UnitRestarted);
            if self.grant_start(now, at) {
                self.begin(now, at);
            }
            return 1;
        }
        if self.settings.session.has_bids() && matches!(byte, ENQ | EOT) {
            self.break_off(now, FaultKind::ControlInFrame { byte });
            return 0;
        }
        if self.drops(byte) {
            self.output.tolerated(Tolerance::ReplyByteInText);
            return 1;
        }
        let kept = self.keep(now, &[byte]);
        if kept > 0
            && let Some((marker, end)) = self.closing_marker()
        {
            let content = self.incoming.text.len() - marker;
            self.incoming.text.truncate(content);
            self.end_reached(now, end);
        } else {
            self.await_block_reply(now);
        }
        kept
    }

    fn may_end_text(&self, byte: u8) -> bool {
        self.settings.end.last() == Some(&byte)
            || self.settings.continued.last() == Some(&byte)
            || self.restarts_text(byte)
            || self.settings.session.has_bids() && matches!(byte, ENQ | EOT)
            || self.drops(byte)
    }

    /// A start marker that is one control byte cannot stand in text; a longer or printable one may.
    fn restarts_text(&self, byte: u8) -> bool {
        self.settings.start == [byte] && byte < b' ' && self.settings.end != [byte]
    }

    fn drops(&self, byte: u8) -> bool {
        matches!(byte, ACK | NAK) && self.settings.tolerate.contains(Tolerance::ReplyByteInText)
    }

    /// Length and meaning of the marker that the text so far ends with.
    fn closing_marker(&self) -> Option<(usize, UnitEnd)> {
        let ends_with = |marker: &[u8]| !marker.is_empty() && self.incoming.text.ends_with(marker);
        if ends_with(&self.settings.end) {
            Some((self.settings.end.len(), UnitEnd::End))
        } else if ends_with(&self.settings.continued) {
            Some((self.settings.continued.len(), UnitEnd::Intermediate))
        } else {
            None
        }
    }

    /// Keeps content up to the limit; one byte more breaks the text off. Without an end marker, the
    /// length ends the text.
    fn keep(&mut self, now: Duration, bytes: &[u8]) -> usize {
        let limit = self.settings.bytes_max;
        let counted = self.settings.length.filter(|_| self.settings.end.is_empty());
        let most = counted.map_or(limit + self.settings.end.len(), |length| length.min(limit));
        let room = most.saturating_sub(self.incoming.text.len());
        let kept = bytes.len().min(room);
        self.incoming.text.extend_from_slice(&bytes[..kept]);
        if counted == Some(self.incoming.text.len()) {
            self.end_reached(now, UnitEnd::End);
        } else if kept == 0 {
            self.incoming.text = Vec::new();
            let reply = self.refuse_damaged(now);
            self.leave_text();
            self.output.fault(FaultKind::UnitTooLong { limit }, self.incoming.start, reply);
            self.give_up("bytes-max");
            self.spoil(now);
        }
        kept
    }

    fn end_reached(&mut self, now: Duration, end: UnitEnd) {
        self.incoming.end = end;
        if self.settings.check.trailer_bytes() > 0 {
            self.incoming.place = Place::Trailer;
        } else {
            self.complete(now);
        }
    }

    /// A block check character may be any byte, so nothing in it is a marker.
    fn collect_trailer(&mut self, now: Duration, byte: u8) -> usize {
        self.note_progress(now);
        self.incoming.trailer.push(byte);
        if self.incoming.trailer.len() == self.settings.check.trailer_bytes() {
            self.complete(now);
        }
        1
    }

    /// Starts the wait after which whole records without an end marker are replied to.
    fn await_block_reply(&mut self, now: Duration) {
        match self.settings.block_idle {
            Some(idle) if self.incoming.place == Place::Text && self.incoming.text.last() == Some(&CR) => {
                self.timers.set(Timer::Block, now + idle);
            }
            _ => self.timers.clear(Timer::Block),
        }
    }

    /// The other side waits for a reply to its records before it sends the end marker.
    pub(super) fn block_silent(&mut self, now: Duration) {
        self.complete(now);
        self.incoming.place = Place::Text;
        self.incoming.text.clear();
        self.incoming.damaged = false;
        self.incoming.replied = true;
        self.note_progress(now);
    }

    pub(super) fn leave_text(&mut self) {
        self.incoming.place = Place::default();
        self.timers.clear(Timer::Text);
        self.timers.clear(Timer::Block);
    }

    /// Gives the owner what there is of a text that will not be completed.
    pub(super) fn break_off(&mut self, now: Duration, kind: FaultKind) {
        self.leave_text();
        self.output.fault(kind, self.incoming.start, Reply::None);
        self.give_fragment();
        self.spoil(now);
    }

    /// Nothing came for a while inside a text.
    pub(super) fn text_silent(&mut self, now: Duration) {
        if self.silence_completes() {
            self.complete(now);
        } else if self.incoming.replied && self.incoming.text.is_empty() {
            self.leave_text();
            self.await_text(now);
        } else {
            self.break_off(now, FaultKind::UnitStalled);
            self.await_text(now);
        }
    }

    /// Half a record must never pass for a whole one. Of a stream of records only the terminator,
    /// which carries no value, may lack its end.
    fn silence_completes(&self) -> bool {
        self.settings.idle_end.is_some()
            || self.settings.session == TextSession::Silence && ends_message(&self.incoming.text)
    }

    /// The connection closed. A text whose check holds is whole even without its end marker.
    pub(super) fn cut_off(&mut self, now: Duration, at: u64) {
        match self.incoming.place {
            Place::Hunt(matched) => {
                self.incoming.place = Place::default();
                for (byte, back) in self.settings.start.clone()[..matched].iter().zip((1..=matched).rev()) {
                    self.skip(now, at - back as u64, *byte);
                }
            }
            Place::Text if self.silence_completes() || self.is_proven() => self.complete(now),
            Place::Text if self.incoming.replied && self.incoming.text.is_empty() => self.leave_text(),
            Place::Text | Place::Trailer => self.break_off(now, FaultKind::UnitCutOff),
        }
    }
}
