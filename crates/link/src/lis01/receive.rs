//! The receiving half, below sessions: bytes become frames.
//!
//! What is read here is only collected and its first defect noted; `session` judges it.

use core::time::Duration;

use super::Lis01;
use super::frame::{FRAME_OVERHEAD, hex_value, is_restricted};
use super::timers::Timer;
use crate::control::{CR, ENQ, EOT, ETB, ETX, LF, STX};
use crate::{ErrorMode, FaultKind, Reply, Tolerance, Tolerances, UnitEnd};

/// How far the frame being read has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    /// Between frames.
    #[default]
    Seek,
    /// Behind STX.
    Number,
    Text,
    CheckHigh,
    CheckLow,
    /// Behind the checksum.
    Tail,
    /// Behind the checksum and its CR.
    TailLf,
}

/// The checksum field of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SentCheck {
    pub(super) value: u8,
    /// Something stood there that is no checksum digit.
    pub(super) unreadable: bool,
}

/// The frame being read. Its text stays until the verdict, to become the frame accepted last.
#[derive(Debug)]
pub(super) struct Incoming {
    place: Place,
    /// Stream offset of its STX.
    pub(super) start: u64,
    pub(super) number: u8,
    pub(super) text: Vec<u8>,
    /// Text bytes read, kept or not.
    length: usize,
    pub(super) sum: u8,
    pub(super) end: UnitEnd,
    /// The checksum as it was sent; `None` as long as its digits could not be read.
    pub(super) check: SentCheck,
    /// The first rule that the frame broke. From there on its text is not kept.
    pub(super) defect: Option<FaultKind>,
    pub(super) tolerated: Tolerances,
    /// ENQ or EOT, if it was the byte read last.
    trailing: Option<u8>,
    /// The frame before was closed by silence; its CR LF may still come.
    late_tail: bool,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            place: Place::Seek,
            start: 0,
            number: 0,
            text: Vec::new(),
            length: 0,
            sum: 0,
            end: UnitEnd::End,
            check: SentCheck::default(),
            defect: None,
            tolerated: Tolerances::NONE,
            trailing: None,
            late_tail: false,
        }
    }
}

impl Incoming {
    fn begin(&mut self, at: u64, place: Place) {
        self.text.clear();
        *self = Self { place, start: at, text: core::mem::take(&mut self.text), ..Self::default() };
    }

    /// Leaves the frame; says whether there was one.
    pub(super) fn abandon(&mut self) -> bool {
        let any = self.place != Place::Seek;
        self.place = Place::Seek;
        self.late_tail = false;
        any
    }

    pub(super) fn mark_damaged(&mut self) {
        if self.place != Place::Seek {
            self.defect(FaultKind::CharacterError);
            self.trailing = None;
        }
    }

    fn defect(&mut self, kind: FaultKind) {
        self.defect.get_or_insert(kind);
    }

    fn collect(&mut self, bytes: &[u8], limit: usize) {
        self.sum = bytes.iter().fold(self.sum, |sum, byte| sum.wrapping_add(*byte));
        self.length += bytes.len();
        self.trailing = None;
        if self.length + FRAME_OVERHEAD > limit {
            self.defect(FaultKind::FrameTooLong { limit });
        }
        if self.defect.is_none() {
            self.text.extend_from_slice(bytes);
        }
    }
}

impl Lis01 {
    pub(super) fn read_session(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        let byte = bytes[0];
        if self.incoming.place == Place::Seek {
            return self.seek(now, at, byte);
        }
        self.timers.clear(Timer::Silence);
        if !self.settings.strict {
            self.timers.set(Timer::FrameProgress, now + self.settings.progress_timeout);
        }
        match self.incoming.place {
            Place::Seek => 0,
            Place::Number => self.read_number(now, at, byte),
            Place::Text => self.read_text(now, at, bytes),
            Place::CheckHigh | Place::CheckLow => self.read_check(now, at, byte),
            Place::Tail | Place::TailLf => self.read_tail(now, at, byte),
        }
    }

    fn seek(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match byte {
            STX => self.begin_frame(now, at),
            EOT => self.line_returned(now, at),
            ENQ if self.settings.tolerates(Tolerance::EnqRestart) => self.restart_session(now, at),
            ENQ => {
                self.output.report(&mut self.skipped);
                self.output.fault(FaultKind::EnqInSession, at, Reply::None);
            }
            CR if self.incoming.late_tail => {}
            LF if self.incoming.late_tail => self.incoming.late_tail = false,
            _ => self.skip(now, at, byte),
        }
        1
    }

    fn begin_frame(&mut self, now: Duration, at: u64) {
        self.output.report(&mut self.skipped);
        if self.settings.tolerates(Tolerance::FrameNumberAbsent) {
            self.incoming.begin(at, Place::Text);
        } else {
            self.incoming.begin(at, Place::Number);
        }
        if !self.settings.strict {
            // At 9600 baud a long frame takes longer than T5; what must not happen is a stall.
            self.timers.clear(Timer::Receive);
            self.timers.set(Timer::FrameProgress, now + self.settings.progress_timeout);
        }
    }

    fn read_number(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        match byte {
            STX | ETX | ETB | ENQ | EOT => {
                self.incoming.defect(FaultKind::FrameNumberInvalid);
                self.incoming.place = Place::Text;
                self.read_text(now, at, &[byte])
            }
            _ => {
                if !matches!(byte, b'0'..=b'7') {
                    self.incoming.defect(FaultKind::FrameNumberInvalid);
                }
                self.incoming.number = byte & 7;
                self.incoming.sum = byte;
                self.incoming.place = Place::Text;
                1
            }
        }
    }

    fn read_text(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        let room = self.settings.endless_frame_bytes_max.saturating_sub(self.incoming.length);
        if room == 0 {
            self.frame_endless(now);
            return 0;
        }
        let limit = self.settings.receive_frame_bytes_max;
        let bytes = &bytes[..bytes.len().min(room)];
        let plain = bytes.iter().position(|byte| is_restricted(*byte)).unwrap_or(bytes.len());
        if plain > 0 {
            self.incoming.collect(&bytes[..plain], limit);
            return plain;
        }
        let byte = bytes[0];
        match byte {
            STX => return self.frame_restarted(now, at),
            ETX | ETB => {
                self.incoming.sum = self.incoming.sum.wrapping_add(byte);
                self.incoming.end = if byte == ETX { UnitEnd::End } else { UnitEnd::Intermediate };
                self.incoming.place = Place::CheckHigh;
                if self.settings.tolerates(Tolerance::ChecksumOff) {
                    self.await_tail(now);
                }
            }
            ENQ | EOT => return self.control_in_frame(now, byte),
            _ => {
                let tolerance =
                    if byte == LF { Tolerance::LineFeedInText } else { Tolerance::RestrictedByteInText };
                if self.settings.tolerates(tolerance) {
                    self.incoming.tolerated = self.incoming.tolerated.with(tolerance);
                } else {
                    self.incoming.defect(FaultKind::RestrictedByte { byte });
                }
                self.incoming.collect(&[byte], limit);
            }
        }
        1
    }

    /// STX is banned from text, so the frame before it was cut and this one counts.
    fn frame_restarted(&mut self, now: Duration, at: u64) -> usize {
        if self.incoming.trailing == Some(ENQ) {
            self.take_trailing_control(now);
            return 0;
        }
        let start = self.incoming.start;
        self.output.fault(FaultKind::FrameRestarted, start, Reply::None);
        self.begin_frame(now, at);
        1
    }

    /// ENQ and EOT in text are damage if the frame goes on, and mean what they say if the sender
    /// broke off: what follows decides, silence included.
    fn control_in_frame(&mut self, now: Duration, byte: u8) -> usize {
        if byte == ENQ && self.incoming.trailing == Some(EOT) {
            self.take_trailing_control(now);
            return 0;
        }
        self.incoming.collect(&[byte], self.settings.receive_frame_bytes_max);
        self.incoming.defect(FaultKind::ControlInFrame { byte });
        if self.settings.tolerates(Tolerance::EnqRestart) {
            self.incoming.trailing = Some(byte);
            self.timers.set(Timer::Silence, now + self.settings.control_idle);
        }
        1
    }

    fn take_trailing_control(&mut self, now: Duration) {
        let Some(byte) = self.incoming.trailing.take() else { return };
        let start = self.incoming.start;
        self.incoming.abandon();
        self.output.fault(FaultKind::ControlInFrame { byte }, start, Reply::None);
        if byte == ENQ {
            self.restart_session(now, start);
        } else {
            self.line_returned(now, start);
        }
    }

    fn read_check(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        let second = self.incoming.place == Place::CheckLow;
        match byte {
            // With nobody looking at checksums, a frame may have none.
            STX if self.settings.tolerates(Tolerance::ChecksumOff) => {
                self.tolerate_tail();
                self.finish_frame(now);
                return 0;
            }
            STX => return self.frame_restarted(now, at),
            CR | LF => {
                self.incoming.check.unreadable |= !(second && self.one_digit_is_enough());
                self.incoming.place = Place::Tail;
                return 0;
            }
            EOT => {
                self.incoming.check.unreadable = true;
                self.finish_frame(now);
                return 0;
            }
            _ => self.read_check_digit(byte),
        }
        if second {
            self.incoming.place = Place::Tail;
            self.await_tail(now);
        } else {
            self.incoming.place = Place::CheckLow;
            if self.settings.tolerates(Tolerance::ChecksumOff) {
                self.await_tail(now);
            }
        }
        1
    }

    fn read_check_digit(&mut self, byte: u8) {
        let lower_case = byte.is_ascii_lowercase();
        match hex_value(byte) {
            Some(value) if !lower_case || self.settings.tolerates(Tolerance::LowerCaseChecksum) => {
                if lower_case {
                    self.incoming.tolerated = self.incoming.tolerated.with(Tolerance::LowerCaseChecksum);
                }
                self.incoming.check.value = self.incoming.check.value << 4 | value;
            }
            _ => self.incoming.check.unreadable = true,
        }
    }

    fn one_digit_is_enough(&mut self) -> bool {
        let enough = self.settings.tolerates(Tolerance::ChecksumOneDigit);
        if enough {
            self.incoming.tolerated = self.incoming.tolerated.with(Tolerance::ChecksumOneDigit);
        }
        enough
    }

    fn await_tail(&mut self, now: Duration) {
        if self.settings.tolerates(Tolerance::MissingCrlf) {
            self.timers.set(Timer::Silence, now + self.settings.frame_end_idle);
        }
    }

    fn read_tail(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        let tolerant = self.settings.tolerates(Tolerance::MissingCrlf);
        match (self.incoming.place, byte) {
            (Place::TailLf, LF) => self.finish_frame(now),
            (Place::Tail, CR) => {
                self.incoming.place = Place::TailLf;
                self.await_tail(now);
            }
            (_, LF) => {
                self.tolerate_tail();
                self.finish_frame(now);
            }
            // Nobody bids before the reply to a frame: this is a damaged CR, one bit away, and a reply to
            // it would answer the next frame.
            (_, ENQ) if tolerant => {
                self.tolerate_tail();
                self.finish_frame(now);
                self.incoming.late_tail = true;
            }
            _ if tolerant => {
                self.tolerate_tail();
                self.finish_frame(now);
                return 0;
            }
            (_, STX | EOT) => {
                let start = self.incoming.start;
                self.incoming.abandon();
                self.output.fault(FaultKind::FrameEndMissing, start, Reply::None);
                self.timers.clear(Timer::FrameProgress);
                return self.seek(now, at, byte);
            }
            // What stands behind the checksum is no part of the frame.
            _ => {}
        }
        1
    }

    fn tolerate_tail(&mut self) {
        if self.settings.tolerates(Tolerance::MissingCrlf) {
            self.incoming.tolerated = self.incoming.tolerated.with(Tolerance::MissingCrlf);
        }
    }

    /// The last byte's meaning was open, and nothing followed it.
    pub(super) fn silence(&mut self, now: Duration) {
        match self.incoming.place {
            Place::CheckHigh | Place::CheckLow | Place::Tail | Place::TailLf => {
                self.tolerate_tail();
                self.finish_frame(now);
                self.incoming.late_tail = true;
            }
            Place::Seek | Place::Number | Place::Text => self.take_trailing_control(now),
        }
    }

    pub(super) fn frame_stalled(&mut self, now: Duration) {
        self.drop_frame(now, FaultKind::FrameStalled);
    }

    fn frame_endless(&mut self, now: Duration) {
        self.drop_frame(now, FaultKind::FrameEndless);
        if self.settings.error_mode == ErrorMode::Close {
            self.give_up("frame-without-end");
        }
    }

    /// Leaves a frame that cannot be answered; the session waits on for what T5 has left.
    fn drop_frame(&mut self, now: Duration, kind: FaultKind) {
        if self.incoming.abandon() {
            let start = self.incoming.start;
            self.output.fault(kind, start, Reply::None);
            self.timers.clear(Timer::Silence);
            self.timers.clear(Timer::FrameProgress);
            let rest = self.settings.receive_timeout.saturating_sub(self.settings.progress_timeout);
            self.timers.set(Timer::Receive, now + rest);
        }
    }
}
