//! Finding texts: markers, check, replies, the handshake around them.

use core::mem;
use core::time::Duration;

use super::{Check, Delimited, Line, TextReply, Timer};
use crate::control::{ACK, CR, ENQ, EOT, LF, NAK};
use crate::{EndReason, Event, FaultKind, Reply, Token, Tolerance, UnitEnd};

/// The text being read.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    place: Place,
    text: Vec<u8>,
    /// Stream offset of its first byte.
    start: u64,
    damaged: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Looking for the start marker, of which this many bytes were read.
    Hunt(usize),
    Text,
}

impl Default for Place {
    fn default() -> Self {
        Self::Hunt(0)
    }
}

impl Incoming {
    pub(super) fn is_idle(&self) -> bool {
        self.place == Place::Hunt(0)
    }

    pub(super) fn mark_damaged(&mut self) {
        if self.place == Place::Text {
            self.damaged = true;
        }
    }
}

impl Delimited {
    pub(super) fn read_text(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        match self.incoming.place {
            Place::Hunt(matched) => self.hunt(now, at, bytes[0], matched),
            Place::Text => self.collect(now, at, bytes),
        }
    }

    fn hunt(&mut self, now: Duration, at: u64, byte: u8, matched: usize) -> usize {
        if self.settings.handshake && matched == 0 {
            match byte {
                ENQ => {
                    self.answer_bid(now, at);
                    return 1;
                }
                EOT if self.line == Line::Receiving => {
                    self.end_session(now, EndReason::Eot);
                    return 1;
                }
                _ => {}
            }
        }
        if self.settings.start.is_empty() {
            self.begin(now, at);
            return 0;
        }
        if self.settings.start[matched] == byte {
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
        if matched == self.settings.start.len() {
            self.begin(now, at + 1 - matched as u64);
        } else {
            self.incoming.place = Place::Hunt(matched);
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
        self.matched(now, at, held.len());
    }

    fn begin(&mut self, now: Duration, at: u64) {
        self.output.report(&mut self.skipped);
        self.timers.clear(Timer::Receive);
        self.incoming.place = Place::Text;
        self.incoming.start = at;
        self.incoming.text.clear();
        self.incoming.damaged = false;
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
            return self.keep(now, &bytes[..plain]);
        }
        let byte = bytes[0];
        if self.restarts_text(byte) {
            self.break_off(FaultKind::UnitRestarted);
            self.begin(now, at);
            return 1;
        }
        if self.settings.handshake && matches!(byte, ENQ | EOT) {
            self.break_off(FaultKind::ControlInFrame { byte });
            return 0;
        }
        let kept = self.keep(now, &[byte]);
        let ends = !self.settings.end.is_empty() && self.incoming.text.ends_with(&self.settings.end);
        if kept > 0 && ends {
            let content = self.incoming.text.len() - self.settings.end.len();
            self.incoming.text.truncate(content);
            self.complete(now);
        }
        kept
    }

    fn may_end_text(&self, byte: u8) -> bool {
        self.settings.end.last() == Some(&byte)
            || self.restarts_text(byte)
            || self.settings.handshake && matches!(byte, ENQ | EOT)
    }

    /// A start marker that is one control byte cannot stand in text; a longer or printable one may.
    fn restarts_text(&self, byte: u8) -> bool {
        self.settings.start == [byte] && byte < b' ' && self.settings.end != [byte]
    }

    /// Keeps content up to the limit; one byte more breaks the text off.
    fn keep(&mut self, now: Duration, bytes: &[u8]) -> usize {
        let limit = self.settings.bytes_max;
        let room = (limit + self.settings.end.len()).saturating_sub(self.incoming.text.len());
        let kept = bytes.len().min(room);
        self.incoming.text.extend_from_slice(&bytes[..kept]);
        if kept == 0 {
            self.incoming.text = Vec::new();
            let reply = self.refuse_damaged(now);
            self.leave_text();
            self.output.fault(FaultKind::UnitTooLong { limit }, self.incoming.start, reply);
            self.give_up("bytes-max");
        }
        kept
    }

    fn complete(&mut self, now: Duration) {
        self.leave_text();
        let content = if self.incoming.damaged {
            Err(FaultKind::CharacterError)
        } else {
            checked(self.settings.check, &self.incoming.text).ok_or(FaultKind::CheckMismatch)
        };
        match content {
            Ok(0) => {
                self.output.tolerated(Tolerance::EmptyBlock);
                let reply = if self.ready { ACK } else { NAK };
                self.reply(now, reply);
            }
            Ok(length) => {
                self.tokens += 1;
                let token = Token(self.tokens);
                let mut bytes = mem::take(&mut self.incoming.text);
                bytes.truncate(length);
                self.output.event(Event::Unit { token, number: None, bytes, end: UnitEnd::End });
                self.verdict = Some(token);
                self.timers.set(Timer::Verdict, now + self.settings.verdict_timeout);
            }
            Err(kind) => {
                let reply = self.refuse_damaged(now);
                self.output.fault(kind, self.incoming.start, reply);
                if reply == Reply::None {
                    self.give_fragment();
                }
            }
        }
    }

    /// A sender that waits for a reply repeats a damaged text; any other one does not.
    fn refuse_damaged(&mut self, now: Duration) -> Reply {
        self.reply(now, NAK);
        match self.settings.reply {
            TextReply::AckOrNak => Reply::Nak,
            TextReply::None => Reply::None,
        }
    }

    fn leave_text(&mut self) {
        self.incoming.place = Place::Hunt(0);
        self.timers.clear(Timer::Text);
    }

    /// Gives the owner what there is of a text that will not be completed.
    fn break_off(&mut self, kind: FaultKind) {
        self.leave_text();
        self.output.fault(kind, self.incoming.start, Reply::None);
        self.give_fragment();
    }

    fn give_fragment(&mut self) {
        if !self.incoming.text.is_empty() {
            let bytes = mem::take(&mut self.incoming.text);
            self.output.event(Event::Fragment { bytes });
        }
    }

    /// Nothing came for a while inside a text.
    pub(super) fn text_silent(&mut self, now: Duration) {
        if self.settings.idle_end.is_some() {
            self.complete(now);
        } else {
            self.break_off(FaultKind::UnitStalled);
            self.await_text(now);
        }
    }

    /// The connection closed. A text whose check holds is whole even without its end marker.
    pub(super) fn cut_off(&mut self, now: Duration, at: u64) {
        match mem::take(&mut self.incoming.place) {
            Place::Hunt(matched) => {
                for (byte, back) in self.settings.start.clone()[..matched].iter().zip((1..=matched).rev()) {
                    self.skip(now, at - back as u64, *byte);
                }
            }
            Place::Text => {
                let proven = self.settings.check != Check::None
                    && checked(self.settings.check, &self.incoming.text).is_some();
                if self.settings.idle_end.is_some() || proven {
                    self.complete(now);
                } else {
                    self.break_off(FaultKind::UnitCutOff);
                }
            }
        }
    }

    fn answer_bid(&mut self, now: Duration, at: u64) {
        self.output.report(&mut self.skipped);
        if self.line == Line::Receiving {
            self.end_session(now, EndReason::Restarted);
        }
        if self.ready {
            self.output.transmit.push(ACK);
            self.line = Line::Receiving;
            self.await_text(now);
            self.output.event(Event::Opened);
        } else {
            self.output.transmit.push(NAK);
            self.output.fault(FaultKind::NotReady, at, Reply::Nak);
        }
    }

    pub(super) fn end_session(&mut self, now: Duration, reason: EndReason) {
        self.output.report(&mut self.skipped);
        self.line = Line::Neutral;
        self.timers.clear(Timer::Receive);
        self.timers.set(Timer::LineHold, now + self.settings.session_gap);
        self.output.event(Event::Ended(reason));
    }

    fn await_text(&mut self, now: Duration) {
        if self.line == Line::Receiving {
            self.timers.set(Timer::Receive, now + self.settings.receive_timeout);
        }
    }

    pub(super) fn accept(&mut self, now: Duration, token: Token) {
        if self.take_verdict(token) {
            self.reply(now, ACK);
        }
    }

    pub(super) fn refuse(&mut self, now: Duration, token: Token) {
        if self.take_verdict(token) {
            self.reply(now, NAK);
        }
    }

    fn take_verdict(&mut self, token: Token) -> bool {
        let open = self.verdict.take_if(|open| *open == token).is_some();
        if open {
            self.timers.clear(Timer::Verdict);
        }
        open
    }

    pub(super) fn verdict_late(&mut self, now: Duration) {
        if self.verdict.take().is_some() {
            let reply = self.refuse_damaged(now);
            self.output.fault(FaultKind::VerdictLate, self.incoming.start, reply);
        }
    }

    fn reply(&mut self, now: Duration, byte: u8) {
        if self.settings.reply == TextReply::AckOrNak {
            self.output.transmit.push(byte);
        }
        self.await_text(now);
    }
}

/// Length of the content in front of mark and digits, if the check holds.
fn checked(check: Check, text: &[u8]) -> Option<usize> {
    let Check::SumThroughMark { mark } = check else { return Some(text.len()) };
    let trimmed = text.iter().rposition(|byte| !matches!(*byte, CR | LF)).map_or(0, |last| last + 1);
    let (summed, digits) = text[..trimmed].split_last_chunk::<2>()?;
    let content = summed.strip_suffix(&[mark])?;
    (hex(digits) == Some(super::send::sum(summed))).then_some(content.len())
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let digits = core::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::GS;

    const CHECK: Check = Check::SumThroughMark { mark: GS };

    #[test]
    fn the_sum_covers_everything_from_behind_the_start_through_the_mark() {
        // 1E + 63 + 69 + 37 + 7C + 1D = 1BA
        assert_eq!(checked(CHECK, b"\x1Eci7|\x1Dba"), Some(5));
        assert_eq!(checked(CHECK, b"\x1Eci7|\x1DBA\r\n"), Some(5));
        assert_eq!(checked(CHECK, b"\x1Eci7|\x1Dbb"), None);
    }

    #[test]
    fn a_text_without_mark_or_digits_fails_its_check() {
        // 1E + 63 + 69 + 37 + 7C = 19D: the sum alone is not enough.
        for text in [&b""[..], b"ba", b"\x1Eci7|9d", b"\x1Eci7|\x1D+a", b"\x1D"] {
            assert_eq!(checked(CHECK, text), None);
        }
    }
}
