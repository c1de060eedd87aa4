//! MLLP: blocks between VT and FS CR, without length, check or number.
//!
//! The machine finds blocks and writes blocks. Replies are messages, so the owner makes them:
//! accepting a block only lets the machine read on. In release 2 a block is also answered by one
//! that holds ACK or NAK alone, which follows the owner's verdict.

mod send;
mod settings;

use core::fmt;
use core::mem;
use core::time::Duration;

pub use settings::{MllpSettings, Release};

use self::send::Sender;
use crate::control::{ACK, CR, FS, LF, NAK, VT};
use crate::intake::{self, Intake, Reader};
use crate::output::Output;
use crate::skipped::Skipped;
use crate::{ErrorMode, Event, FaultKind, Input, Machine, Reply, Token, Tolerance, UnitEnd};

/// How a message without framing begins.
const HEADER: &[u8] = b"MSH";

/// What the next byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Nothing yet: looking for VT.
    Hunt,
    /// The content of a block.
    Body,
    /// Behind an end byte: end of the block, or content after all.
    End,
    /// The content of a message without framing.
    Unframed,
    /// The stream was given up; only a close leads out.
    Halted,
}

/// Decoder and encoder of one MLLP line.
pub struct Mllp {
    settings: MllpSettings,
    place: Place,
    text: Vec<u8>,
    /// Stream offset of the block's first byte.
    start: u64,
    /// An end byte was taken for content in this block.
    end_byte_in_text: bool,
    /// The block before was closed by silence; its CR may still come.
    late_cr: bool,
    /// The run of bytes between blocks held a message without framing, which has been reported.
    unframed: bool,
    /// How much of `HEADER` was read at the beginning of a line between blocks; `None` inside a
    /// line.
    header: Option<usize>,
    verdict: Option<Token>,
    tokens: u64,
    sender: Sender,
    intake: Intake,
    skipped: Skipped,
    output: Output,
    deadline: Option<Duration>,
    clock: Duration,
}

impl Mllp {
    /// A machine that waits for the first block.
    pub fn new(settings: MllpSettings) -> Self {
        Self {
            settings,
            place: Place::Hunt,
            text: Vec::new(),
            start: 0,
            end_byte_in_text: false,
            late_cr: false,
            unframed: false,
            header: Some(0),
            verdict: None,
            tokens: 0,
            sender: Sender::default(),
            intake: Intake::default(),
            skipped: Skipped::default(),
            output: Output::default(),
            deadline: None,
            clock: Duration::ZERO,
        }
    }

    fn give_up(&mut self, reason: &'static str) {
        if self.settings.error_mode == ErrorMode::Close {
            self.place = Place::Halted;
            self.deadline = None;
            self.output.event(Event::Desynchronised(reason));
        }
    }

    fn hunt(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        if byte == VT {
            self.skip_header(now, at);
            if self.place == Place::Hunt {
                self.begin(at, Place::Body);
            }
        } else if mem::take(&mut self.late_cr) && byte == CR {
            self.header = Some(0);
        } else {
            self.hunt_header(now, at, byte);
        }
        1
    }

    fn hunt_header(&mut self, now: Duration, at: u64, byte: u8) {
        match self.header {
            Some(read) if byte == HEADER[read] => {
                self.header = Some(read + 1);
                if read + 1 == HEADER.len() && !self.settings.tolerates(Tolerance::UnframedMessage) {
                    if !mem::replace(&mut self.unframed, true) {
                        let start = at + 1 - HEADER.len() as u64;
                        self.output.fault(FaultKind::MessageUnframed, start, Reply::None);
                    }
                    self.skip_header(now, at + 1);
                } else if read + 1 == HEADER.len() {
                    self.begin(at + 1 - HEADER.len() as u64, Place::Unframed);
                    self.text.extend_from_slice(HEADER);
                    self.deadline = Some(now + self.settings.unframed_idle);
                }
            }
            _ => {
                self.skip_header(now, at);
                self.skip(now, at, byte);
                self.header = matches!(byte, CR | LF).then_some(0);
            }
        }
    }

    /// What looked like the beginning of a header was none.
    fn skip_header(&mut self, now: Duration, at: u64) {
        let read = self.header.take().unwrap_or(0);
        for (byte, back) in HEADER[..read].iter().zip((1..=read as u64).rev()) {
            self.skip(now, at - back, *byte);
        }
    }

    fn skip(&mut self, now: Duration, at: u64, byte: u8) {
        let limit = self.settings.skipped_bytes_max;
        if let Some(reason) = self.output.skip(&mut self.skipped, (now, at, byte), limit) {
            self.give_up(reason);
        }
    }

    fn begin(&mut self, at: u64, place: Place) {
        self.output.report(&mut self.skipped);
        self.place = place;
        self.start = at;
        self.text.clear();
        self.end_byte_in_text = false;
        self.late_cr = false;
        self.unframed = false;
        self.header = Some(0);
    }

    fn read_body(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        self.deadline = Some(now + self.settings.progress_timeout);
        match bytes[0] {
            VT => {
                self.break_off(FaultKind::UnitRestarted);
                self.begin(at, Place::Body);
                1
            }
            FS => {
                self.place = Place::End;
                if self.settings.tolerates(Tolerance::BlockEndWithoutCr) {
                    self.deadline = Some(now + self.settings.block_end_idle);
                }
                1
            }
            _ => {
                let content = bytes.iter().position(|byte| matches!(*byte, VT | FS)).unwrap_or(bytes.len());
                self.collect(&bytes[..content])
            }
        }
    }

    /// Keeps content up to the limit; one byte more breaks the block off.
    fn collect(&mut self, bytes: &[u8]) -> usize {
        let room = self.settings.block_bytes_max.saturating_sub(self.text.len());
        let kept = bytes.len().min(room);
        self.text.extend_from_slice(&bytes[..kept]);
        if kept == 0 {
            self.text = Vec::new();
            self.break_off(FaultKind::UnitTooLong { limit: self.settings.block_bytes_max });
            self.give_up("block-bytes-max");
        }
        kept
    }

    fn read_end(&mut self, now: Duration, byte: u8) -> usize {
        let tolerant = self.settings.tolerates(Tolerance::BlockEndWithoutCr);
        match byte {
            CR => {
                self.complete(now);
                1
            }
            LF | VT if tolerant => {
                self.complete_without_cr(now);
                usize::from(byte == LF)
            }
            _ if self.settings.tolerates(Tolerance::BlockEndByteInText) && !matches!(byte, LF | VT) => {
                if !mem::replace(&mut self.end_byte_in_text, true) {
                    self.output.tolerated(Tolerance::BlockEndByteInText);
                }
                self.place = Place::Body;
                self.deadline = Some(now + self.settings.progress_timeout);
                self.collect(&[FS]);
                0
            }
            _ => {
                self.break_off(FaultKind::BlockEndMalformed);
                0
            }
        }
    }

    fn read_unframed(&mut self, now: Duration, at: u64, byte: u8) -> usize {
        self.deadline = Some(now + self.settings.unframed_idle);
        match byte {
            VT => {
                self.break_off(FaultKind::UnitRestarted);
                self.begin(at, Place::Body);
            }
            FS => {
                self.late_cr = true;
                self.complete_unframed(now);
            }
            CR if self.text.last() == Some(&CR) => self.complete_unframed(now),
            _ => return self.collect(&[byte]),
        }
        1
    }

    fn complete_unframed(&mut self, now: Duration) {
        self.output.tolerated(Tolerance::UnframedMessage);
        self.complete(now);
    }

    fn complete_without_cr(&mut self, now: Duration) {
        self.output.tolerated(Tolerance::BlockEndWithoutCr);
        self.complete(now);
    }

    fn complete(&mut self, now: Duration) {
        self.place = Place::Hunt;
        self.deadline = None;
        match *self.text {
            [] => self.output.tolerated(Tolerance::EmptyBlock),
            [byte @ (ACK | NAK)] => {
                let reply = (self.start, byte == ACK);
                if !self.sender.replied(&self.settings, now, reply, &mut self.output) {
                    self.output.fault(FaultKind::CommitReply, self.start, Reply::None);
                }
            }
            _ => {
                self.tokens += 1;
                let token = Token(self.tokens);
                let bytes = mem::take(&mut self.text);
                self.output.event(Event::Unit { token, number: None, bytes, end: UnitEnd::End });
                self.verdict = Some(token);
            }
        }
    }

    /// Gives the owner what there is of a block that will not be completed.
    fn break_off(&mut self, kind: FaultKind) {
        self.place = Place::Hunt;
        self.deadline = None;
        self.output.fault(kind, self.start, Reply::None);
        if !self.text.is_empty() {
            let bytes = mem::take(&mut self.text);
            self.output.event(Event::Fragment { bytes });
        }
    }

    fn expire(&mut self, now: Duration) {
        self.sender.expire(&self.settings, now, self.intake.end(), &mut self.output);
        if self.deadline.take_if(|deadline| *deadline <= now).is_none() {
            return;
        }
        match self.place {
            Place::End if self.settings.tolerates(Tolerance::BlockEndWithoutCr) => {
                self.late_cr = true;
                self.complete_without_cr(now);
            }
            Place::Unframed => self.complete_unframed(now),
            Place::Body | Place::End => self.break_off(FaultKind::UnitStalled),
            Place::Hunt | Place::Halted => {}
        }
    }

    /// Ends the wait for the owner's verdict. In release 2 it is told to the other side.
    fn judged(&mut self, token: Token, stored: bool) {
        if self.verdict.take_if(|open| *open == token).is_some() && self.settings.release == Release::Two {
            send::reply(&mut self.output, stored);
        }
    }
}

impl Machine for Mllp {
    fn handle(&mut self, now: Duration, input: Input<'_>) {
        let now = now.max(self.clock);
        self.clock = now;
        self.expire(now);
        match input {
            Input::Bytes(bytes) => self.intake.push(bytes),
            Input::CharacterError => self.intake.push_damaged(),
            Input::Accept(token) => self.judged(token, true),
            Input::Refuse(token) => self.judged(token, false),
            Input::Send { id, message } => {
                self.sender.send(&self.settings, now, (id, message), &mut self.output);
            }
            Input::Withdraw { id } => self.sender.withdraw(id, &mut self.output),
            Input::Closed => self.intake.close(),
            Input::Deadline | Input::Ready(_) | Input::RequestLine => {}
        }
        intake::run(self, now);
        if self.intake.truncate(self.settings.backlog_bytes_max) {
            let limit = self.settings.backlog_bytes_max;
            self.output.fault(FaultKind::BacklogFull { limit }, self.intake.end(), Reply::None);
            self.intake.push_damaged();
        }
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.output.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.output.poll_event()
    }

    fn poll_deadline(&self) -> Option<Duration> {
        [self.deadline, self.sender.deadline()].into_iter().flatten().min()
    }

    fn accepts_input(&self) -> bool {
        self.place != Place::Halted && self.intake.waiting() == 0
    }
}

impl Reader for Mllp {
    fn intake(&mut self) -> &mut Intake {
        &mut self.intake
    }

    fn reads(&self) -> bool {
        self.verdict.is_none()
    }

    fn read(&mut self, now: Duration, at: u64, bytes: &[u8]) -> usize {
        match self.place {
            Place::Hunt => self.hunt(now, at, bytes[0]),
            Place::Body => self.read_body(now, at, bytes),
            Place::End => self.read_end(now, bytes[0]),
            Place::Unframed => self.read_unframed(now, at, bytes[0]),
            Place::Halted => bytes.len(),
        }
    }

    /// No check tells which bytes a damaged character costs, so the block cannot be trusted.
    fn damaged(&mut self, _now: Duration, _at: u64) {
        if matches!(self.place, Place::Body | Place::End | Place::Unframed) {
            self.break_off(FaultKind::CharacterError);
        }
    }

    fn closed(&mut self, now: Duration, at: u64) {
        self.skip_header(now, at);
        self.output.report(&mut self.skipped);
        match self.place {
            Place::End if self.settings.tolerates(Tolerance::BlockEndWithoutCr) => {
                self.complete_without_cr(now);
            }
            Place::Unframed => self.complete_unframed(now),
            Place::Body | Place::End => self.break_off(FaultKind::UnitCutOff),
            Place::Hunt | Place::Halted => {}
        }
        self.sender.abandon(&mut self.output);
        self.place = Place::Hunt;
        self.deadline = None;
        self.late_cr = false;
        self.unframed = false;
        self.header = Some(0);
        self.skipped = Skipped::default();
    }
}

impl fmt::Debug for Mllp {
    // Buffers hold patient data and stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mllp")
            .field("place", &self.place)
            .field("verdict", &self.verdict)
            .field("waiting", &self.intake.waiting())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
