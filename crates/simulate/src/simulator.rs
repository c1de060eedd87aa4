//! The machine: one analyzer, one line, one message at a time.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use jiff::SignedDuration;
use labwire_driver::{Dialect, Plan};
use labwire_link::SendFailure;
use labwire_link::control::{ACK, EOT, ETB, ETX, GS, NAK};
use labwire_link::{ErrorMode, Event as LinkEvent, Input as LinkInput, Link, LinkSettings, Machine, Role};
use labwire_message::{Index, Name, Path, Syntax};
use labwire_model::Kind;

use crate::compose::{Composer, Draft, Row, Unsuitable};
use crate::face::{Event, Input, Settings, Step};
use crate::faults::Fault;
use crate::message::Message;
use crate::seed::Chance;
use crate::tests_pool::Known;
use crate::values::reading;

/// A message and how far it has come.
#[derive(Debug)]
struct Current {
    message: Message,
    bytes: Vec<u8>,
    /// Not yet planted.
    fault: Option<Fault>,
    on_the_line: bool,
}

/// An analyzer. Mutate it once with [`handle`](Self::handle), then drain it with
/// [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event) and
/// [`poll_deadline`](Self::poll_deadline), in this order; or let [`step`](Self::step) do all four.
#[derive(Debug)]
pub struct Simulator {
    plan: Arc<Plan>,
    composer: Composer,
    settings: Settings,
    seed: u64,
    chance: Chance,
    /// While the line is open.
    link: Option<Link>,
    current: Option<Current>,
    made: u64,
    finished: bool,
    /// [`Event::Finished`] is due, behind everything else that the last message leads to.
    announce_end: bool,
    /// When the next message, or the next attempt, may begin.
    next_at: Duration,
    reply_due: Option<Duration>,
    /// Whether the host has been sent a frame whose reply can be garbled.
    frame_out: bool,
    writes: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Simulator {
    /// An analyzer whose line is not open yet.
    ///
    /// # Errors
    /// The profile cannot be turned round: none of its tests could be composed so that it reads them.
    pub fn new(plan: Arc<Plan>, seed: u64, settings: Settings) -> Result<Self, Unsuitable> {
        let composer = Composer::new(Arc::clone(&plan))?;
        Ok(Self {
            plan,
            composer,
            settings,
            seed,
            chance: Chance::new(seed),
            link: None,
            current: None,
            made: 0,
            finished: false,
            announce_end: false,
            next_at: Duration::ZERO,
            reply_due: None,
            frame_out: false,
            writes: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// Codes of the tests that this analyzer reports.
    pub fn tests(&self) -> impl Iterator<Item = &str> {
        self.composer.tests().iter().map(|known| known.code.as_str())
    }

    /// The message that has been made and not been acknowledged.
    pub fn outstanding(&self) -> Option<&Message> {
        self.current.as_ref().map(|current| &current.message)
    }

    /// Takes one input. `now` counts from any fixed origin and must not go back.
    pub fn handle(&mut self, now: Duration, input: Input<'_>) {
        match input {
            Input::Opened => {
                self.close(now);
                let mut link = Link::new(self.link_settings());
                link.handle(now, LinkInput::Ready(true));
                self.link = Some(link);
            }
            Input::Bytes(bytes) => self.take_bytes(now, bytes),
            Input::Deadline => {
                if self.reply_due.is_some_and(|due| due <= now) {
                    self.not_taken(now, "no-reply");
                    self.disconnect(now);
                } else if let Some(link) = &mut self.link {
                    link.handle(now, LinkInput::Deadline);
                }
            }
            Input::Closed => self.close(now),
        }
        self.run(now);
    }

    /// The next bytes to write, in a write of their own.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.writes.pop_front()
    }

    /// The oldest event not yet taken.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Input::Deadline`] is wanted at the latest.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Duration> {
        let link = self.link.as_ref()?;
        let idle = self.current.as_ref().is_none_or(|current| !current.on_the_line);
        let next = (idle && !self.finished).then_some(self.next_at);
        [link.poll_deadline(), self.reply_due, next].into_iter().flatten().min()
    }

    /// Handles one input and drains what it led to.
    pub fn step(&mut self, now: Duration, input: Input<'_>) -> Step {
        self.handle(now, input);
        Step {
            writes: self.writes.drain(..).collect(),
            events: self.events.drain(..).collect(),
            deadline: self.poll_deadline(),
        }
    }

    fn link_settings(&self) -> LinkSettings {
        let mut settings = self.plan.link_settings(Role::Instrument, None, ErrorMode::Resync);
        match (&mut settings, self.settings.pauses) {
            (LinkSettings::Lis01(link), pauses) => {
                link.jitter_seed = self.seed;
                if let Some(pause) = pauses {
                    link.session_gap = pause;
                    link.busy_hold_off = pause;
                    link.abort_hold_off = pause;
                    link.contention_hold_off_instrument = pause;
                    link.interrupt_hold_off = pause;
                }
            }
            (LinkSettings::Delimited(link), Some(pause)) => link.hold_off = pause,
            _ => {}
        }
        settings
    }

    fn take_bytes(&mut self, now: Duration, bytes: &[u8]) {
        let Some(link) = &mut self.link else { return };
        let garbles = self.frame_out && bytes == [ACK] && planned(&self.current) == Some(Fault::GarbledReply);
        if garbles {
            self.planted();
            if let Some(link) = &mut self.link {
                link.handle(now, LinkInput::Bytes(&[NAK]));
            }
        } else {
            link.handle(now, LinkInput::Bytes(bytes));
        }
    }

    /// Everything that follows from what has been handled.
    fn run(&mut self, now: Duration) {
        loop {
            self.begin(now);
            let mut out = Vec::new();
            let mut events = Vec::new();
            if let Some(link) = &mut self.link {
                while link.poll_transmit(&mut out) {}
                events.extend(core::iter::from_fn(|| link.poll_event()));
            }
            if out.is_empty() && events.is_empty() {
                break;
            }
            let sent = events.iter().any(|event| matches!(event, LinkEvent::Sent { .. }));
            let disconnects = self.transmit(out, sent);
            for event in events {
                self.link_event(now, event);
            }
            if disconnects {
                self.disconnect(now);
            }
        }
        if core::mem::take(&mut self.announce_end) {
            self.events.push_back(Event::Finished);
        }
    }

    /// Puts the next message, or the unacknowledged one again, on an idle line.
    fn begin(&mut self, now: Duration) {
        if self.link.is_none() || self.finished || now < self.next_at {
            return;
        }
        if self.current.is_none() {
            self.current = self.compose(now);
        }
        let (Some(link), Some(current)) = (&mut self.link, &mut self.current) else { return };
        if current.on_the_line {
            return;
        }
        current.on_the_line = true;
        current.message.attempts = current.message.attempts.saturating_add(1);
        self.frame_out = false;
        let (id, attempt) = (current.message.id, current.message.attempts);
        self.events.push_back(Event::Sending { id, attempt });
        link.handle(now, LinkInput::Send { id, message: &current.bytes });
    }

    fn compose(&mut self, now: Duration) -> Option<Current> {
        let id = self.made + 1;
        let every = self.settings.control_every;
        let control = every > 0 && self.composer.can_control() && id.is_multiple_of(every);
        let prefix = &self.settings.prefix;
        let (kind, specimen_id) = match control {
            true => (Kind::Qc, format!("{prefix}QC{id:06}")),
            false => (Kind::Patient, format!("{prefix}{id:06}")),
        };
        let at =
            SignedDuration::try_from(now).ok().and_then(|now| self.settings.started.checked_add(now).ok());
        let draft = Draft {
            kind,
            control_id: format!("{prefix}M{id}"),
            specimen_id,
            patient_id: format!("P{:06}", self.chance.between(1, 999_999)),
            at: at.unwrap_or(self.settings.started),
            rows: self.rows(),
        };
        let bytes = self.composer.compose(&draft)?;
        let values = draft.rows.iter().map(|row| (row.code.clone(), self.composer.written(row))).collect();
        let fault = self.settings.faults.draw(&self.plan.link, &mut self.chance);
        self.made = id;
        let Draft { kind, control_id, specimen_id, .. } = draft;
        let message = Message { id, kind, specimen_id, control_id, values, attempts: 0 };
        Some(Current { message, bytes, fault, on_the_line: false })
    }

    /// One of the panels that the analyzer's tests make.
    fn rows(&mut self) -> Vec<Row> {
        let most = self.settings.observations_max.min(self.composer.rows_max()).max(1);
        let panels: Vec<_> = self.composer.tests().chunks(most).collect();
        let chance = &mut self.chance;
        let panel = chance.one_of(&panels).copied().unwrap_or_default();
        let row = |known: &Known| {
            let reading = reading(&known.test, chance);
            Row { code: known.code.clone(), text: reading.text, unit: known.unit.clone(), flag: reading.flag }
        };
        panel.iter().map(row).collect()
    }

    /// Writes what the link wants written, with the fault that is due; true when the line drops behind it.
    fn transmit(&mut self, mut out: Vec<u8>, sent: bool) -> bool {
        if out.is_empty() {
            return false;
        }
        // Bids, replies and EOT are single bytes.
        let begins_text = out.len() > 1;
        let last = begins_text && self.completes_message(&out);
        let mut disconnects = false;
        let mut singly = false;
        match planned(&self.current) {
            Some(Fault::BadChecksum) if begins_text && spoil_checksum(&mut out) => self.planted(),
            Some(Fault::DropBeforeEot) if sent && out.last() == Some(&EOT) => {
                out.pop();
                disconnects = true;
                self.planted();
            }
            Some(Fault::DropBeforeEnd) if last => {
                let keep = if self.one_record_a_frame() { 0 } else { out.len() / 2 };
                out.truncate(keep);
                disconnects = true;
                self.planted();
            }
            Some(Fault::DropBeforeReply) if last => {
                disconnects = true;
                self.planted();
            }
            Some(Fault::ByteByByte) => {
                singly = true;
                if last {
                    self.planted();
                }
            }
            _ => {}
        }
        self.frame_out |= begins_text;
        match singly {
            true => self.writes.extend(out.iter().map(|byte| vec![*byte])),
            false if out.is_empty() => {}
            false => self.writes.push_back(out),
        }
        disconnects
    }

    fn one_record_a_frame(&self) -> bool {
        self.plan.link.has_a_frame_for_each_record()
    }

    /// Whether this is the frame, block or text that the message ends with.
    fn completes_message(&self, out: &[u8]) -> bool {
        match self.plan.link.dialect {
            Dialect::Lis01 if self.one_record_a_frame() => out.get(2) == Some(&b'L'),
            Dialect::Lis01 => out.contains(&ETX),
            _ => true,
        }
    }

    fn link_event(&mut self, now: Duration, event: LinkEvent) {
        match event {
            LinkEvent::Sent { .. } => match self.plan.link.dialect {
                Dialect::Mllp => self.reply_due = Some(now + self.settings.reply_timeout),
                _ if !self.plan.link.is_acknowledged() => self.done(now, Event::Written),
                _ => self.done(now, Event::Acknowledged),
            },
            LinkEvent::SendFailed { reason: SendFailure::ConnectionLost, .. } => self.take_off(),
            LinkEvent::SendFailed { reason, .. } => self.not_taken(now, reason.code()),
            LinkEvent::Unit { token, bytes, .. } => {
                if let Some(link) = &mut self.link {
                    link.handle(now, LinkInput::Accept(token));
                }
                match self.plan.link.dialect {
                    Dialect::Mllp => self.read_block(now, bytes),
                    _ => self.events.push_back(Event::Received(bytes)),
                }
            }
            LinkEvent::Repeat { token, .. } => {
                if let Some(link) = &mut self.link {
                    link.handle(now, LinkInput::Accept(token));
                }
            }
            LinkEvent::Desynchronised(reason) => {
                self.not_taken(now, reason);
                self.disconnect(now);
            }
            LinkEvent::Opened
            | LinkEvent::Ended(_)
            | LinkEvent::Fragment { .. }
            | LinkEvent::Fault(_)
            | LinkEvent::Tolerated(_) => {}
        }
    }

    /// A block from the host: the reply that is waited for, or something of its own.
    fn read_block(&mut self, now: Duration, block: Vec<u8>) {
        let awaited =
            self.reply_due.and(self.current.as_ref()).map(|current| current.message.control_id.as_bytes());
        match acknowledgement(&block) {
            Some((code, control_id)) if awaited == Some(&control_id[..]) => match code.as_str() {
                "AA" | "CA" => self.done(now, Event::Acknowledged),
                _ => self.not_taken(now, &code),
            },
            // The reply to an earlier attempt, or to somebody else.
            Some(_) => {}
            None => self.events.push_back(Event::Received(block)),
        }
    }

    /// The current message is with the host.
    fn done(&mut self, now: Duration, event: fn(Message) -> Event) {
        self.reply_due = None;
        self.next_at = now + self.settings.interval;
        let Some(current) = self.current.take() else { return };
        self.events.push_back(event(current.message));
        if self.settings.messages_max.is_some_and(|most| self.made >= most) {
            self.finished = true;
            self.announce_end = true;
        }
    }

    fn not_taken(&mut self, now: Duration, reason: &str) {
        self.next_at = now + self.settings.retry_pause;
        if let Some(current) = self.current.as_ref().filter(|current| current.on_the_line) {
            self.events.push_back(Event::NotTaken { id: current.message.id, reason: reason.to_owned() });
        }
        self.take_off();
    }

    /// The current message is not on the line any more and waits for its next attempt.
    fn take_off(&mut self) {
        self.reply_due = None;
        if let Some(current) = &mut self.current {
            current.on_the_line = false;
        }
    }

    fn disconnect(&mut self, now: Duration) {
        if self.link.is_some() {
            self.close(now);
            self.events.push_back(Event::Disconnect);
        }
    }

    fn close(&mut self, now: Duration) {
        if let Some(mut link) = self.link.take() {
            link.handle(now, LinkInput::Closed);
            while let Some(event) = link.poll_event() {
                // An acknowledgement that had been read before the line went counts.
                if let LinkEvent::Sent { .. } = event {
                    self.link_event(now, event);
                }
            }
        }
        self.take_off();
    }

    /// The fault has been planted: the repeat goes without.
    fn planted(&mut self) {
        if let Some(fault) = self.current.as_mut().and_then(|current| current.fault.take()) {
            self.events.push_back(Event::Planted(fault));
        }
    }
}

fn planned(current: &Option<Current>) -> Option<Fault> {
    current.as_ref()?.fault
}

/// Makes the last checksum digit of the first frame another one.
fn spoil_checksum(out: &mut [u8]) -> bool {
    let Some(end) = out.iter().position(|byte| matches!(*byte, ETX | ETB | GS)) else { return false };
    match out.get_mut(end + 2) {
        Some(digit) if digit.is_ascii_hexdigit() => {
            *digit = if *digit == b'0' { b'1' } else { b'0' };
            true
        }
        _ => false,
    }
}

/// MSA-1 and MSA-2 of a reply; `None` of anything else.
fn acknowledgement(block: &[u8]) -> Option<(String, Vec<u8>)> {
    let msa = Name::new(b"MSA")?;
    let mut index = Index::new();
    let view = index.scan(Syntax::Hl7, block);
    let record = view.records().find(|record| record.name() == "MSA")?;
    let field = |number| record.get(&Path::field(msa, number)).unwrap_or_default();
    Some((String::from_utf8_lossy(field(1)).into_owned(), field(2).to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoiled_checksum_is_another_valid_one() {
        let mut frame = b"\x021L|1|N\r\x0306\r\n".to_vec();
        assert!(spoil_checksum(&mut frame));
        assert_eq!(frame, b"\x021L|1|N\r\x0300\r\n");
        assert!(!spoil_checksum(&mut [ACK]));
    }

    #[test]
    fn a_reply_is_told_from_other_blocks() {
        let reply = b"MSH|^~\\&|H|L|A|B|20260102||ACK^R01|9|P|2.3.1\rMSA|AE|M7\r";
        assert_eq!(acknowledgement(reply), Some(("AE".to_owned(), b"M7".to_vec())));
        assert_eq!(acknowledgement(b"MSH|^~\\&|H\rPID|1\r"), None);
    }
}
