//! Plays an analyzer to a session: bytes in, replies, what is kept and what is read out of it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_link::{ErrorMode, UnitEnd, write_frame};
use labwire_model::{Diagnostic, Outcome};
use labwire_session::{Effect, Input, Note, Now, Persist, Session, Settings};
use labwire_testkit::from_control_names;

use crate::table::{Part, Step};
use crate::{expect, profiles};

/// What the store does with a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    Commits,
    Refuses,
    Waits,
}

struct Bench {
    session: Session,
    at: Duration,
    store: Store,
    waiting: Vec<Persist>,
    written: Vec<u8>,
    kept: Vec<u8>,
    broken: Vec<u8>,
    outcomes: Vec<Outcome>,
    diagnostics: Vec<Diagnostic>,
    faults: Vec<&'static str>,
    tolerances: Vec<&'static str>,
    /// What operators are told beside faults and tolerances.
    notes: Vec<String>,
    closed: Vec<&'static str>,
}

/// Runs one part and says what went otherwise.
pub(crate) fn run(
    profiles: &BTreeMap<String, String>,
    part: &Part,
    name: &str,
    strict: bool,
) -> Result<(), String> {
    let plan = profiles::plan(profiles, name, &part.steps);
    let serial = part.steps.iter().any(|step| step.verb == "serial");
    let mut bench = Bench {
        session: Session::new(Settings {
            identity: labwire_session::Identity::Hold,
            plan: Arc::new(plan),
            strict: strict.then_some(true),
            transport: if serial { ErrorMode::Resync } else { ErrorMode::Close },
            zone: TimeZone::UTC,
            first_transmission: 1,
            control_id_prefix: "T".to_owned(),
            message_bytes_max: 16 << 20,
        }),
        at: Duration::ZERO,
        store: Store::Commits,
        waiting: Vec::new(),
        written: Vec::new(),
        kept: Vec::new(),
        broken: Vec::new(),
        outcomes: Vec::new(),
        diagnostics: Vec::new(),
        faults: Vec::new(),
        tolerances: Vec::new(),
        notes: Vec::new(),
        closed: Vec::new(),
    };
    bench.tell(Input::StoreReady(true));
    for step in &part.steps {
        bench.step(step)?;
    }
    expect::results(&part.steps, &bench.outcomes)
}

/// `NUMBER TEXT` as a frame with the checksum that it has to have.
fn frame(step: &Step, end: UnitEnd) -> Vec<u8> {
    let (number, text) = step.rest.split_once(' ').unwrap_or((&step.rest, ""));
    let number = number.parse().unwrap_or_else(|error| panic!("{}: {error}", step.at));
    let mut bytes = Vec::new();
    write_frame(&mut bytes, number, &from_control_names(text), end);
    bytes
}

impl Bench {
    fn now(&self) -> Now {
        Now { monotonic: self.at, wall: Timestamp::UNIX_EPOCH }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step.verb.as_str() {
            ">" => self.tell(Input::Bytes(&from_control_names(&step.rest))),
            ">1" => from_control_names(&step.rest).iter().for_each(|byte| self.tell(Input::Bytes(&[*byte]))),
            "frame" => self.tell(Input::Bytes(&frame(step, UnitEnd::End))),
            "part" => self.tell(Input::Bytes(&frame(step, UnitEnd::Intermediate))),
            "block" => {
                let content = from_control_names(&step.rest);
                self.tell(Input::Bytes(&[b"\x0b", content.as_slice(), b"\x1c\r"].concat()));
            }
            "damage" => self.tell(Input::CharacterError),
            "hangs-up" => self.tell(Input::Closed),
            "wait" => self.wait(step.rest.parse().unwrap_or_else(|error| panic!("{}: {error}", step.at))),
            "store" => self.set_store(step),
            "<" => {
                let written = core::mem::take(&mut self.written);
                expect::bytes(step, &written)?;
            }
            "kept" => expect::bytes(step, &core::mem::take(&mut self.kept))?,
            "broken" => expect::bytes(step, &core::mem::take(&mut self.broken))?,
            "diagnostics" => expect::diagnostics(step, &self.diagnostics)?,
            "faults" => expect::words(step, self.faults.iter().copied())?,
            "tolerances" => expect::words(step, self.tolerances.iter().copied())?,
            "notes" => expect::words(step, self.notes.iter().map(String::as_str))?,
            "replies" => expect::words(step, reply_codes(&self.written).iter().map(String::as_str))?,
            "open" if self.closed.is_empty() => {}
            "open" => return Err(format!("{}: closed: {}", step.at, self.closed.join("; "))),
            "closed" if self.closed.iter().any(|reason| reason.contains(step.rest.as_str())) => {}
            "closed" => return Err(format!("{}: closed: {}", step.at, self.closed.join("; "))),
            "serial" | "toml" | "result" | "results" => {}
            other => panic!("{}: no step of `session` is called {other}", step.at),
        }
        Ok(())
    }

    fn set_store(&mut self, step: &Step) {
        self.store = match step.rest.as_str() {
            "commits" => Store::Commits,
            "refuses" => Store::Refuses,
            "waits" => Store::Waits,
            other => panic!("{}: a store does not do `{other}`", step.at),
        };
        for persist in core::mem::take(&mut self.waiting) {
            self.answer(persist);
        }
    }

    fn answer(&mut self, persist: Persist) {
        let now = self.now();
        match self.store {
            Store::Commits => {
                self.session.persisted(now, persist.token);
                for message in persist.completes {
                    self.kept.extend_from_slice(&message.raw);
                    self.outcomes.extend(message.decoded.outcomes);
                    self.diagnostics.extend(message.decoded.diagnostics);
                }
            }
            Store::Refuses => self.session.not_persisted(now, persist.token),
            Store::Waits => self.waiting.push(persist),
        }
        self.drain();
    }

    fn tell(&mut self, input: Input<'_>) {
        let now = self.now();
        self.session.handle(now, input);
        self.drain();
    }

    fn wait(&mut self, seconds: f64) {
        let end = self.at + Duration::from_secs_f64(seconds);
        while let Some(due) = self.session.poll_deadline().filter(|due| *due <= end) {
            self.at = self.at.max(due);
            self.tell(Input::Deadline);
        }
        self.at = end;
    }

    fn drain(&mut self) {
        while self.session.poll_transmit(&mut self.written) {}
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Persist(persist) => self.answer(*persist),
                Effect::Incomplete(incomplete) => {
                    self.broken.extend_from_slice(&incomplete.raw);
                    self.diagnostics.extend(incomplete.decoded.diagnostics);
                }
                Effect::Note(Note::Fault(fault)) => {
                    self.faults.push(fault.kind.code());
                    self.faults.dedup();
                }
                Effect::Note(Note::Tolerated(tolerance)) => {
                    self.tolerances.push(tolerance.name());
                    self.tolerances.dedup();
                }
                Effect::Note(note) => self.notes.extend(told(&note)),
                Effect::Close(reason) => {
                    self.closed.push(reason);
                    self.tell(Input::Closed);
                }
            }
            while self.session.poll_transmit(&mut self.written) {}
        }
    }
}

/// What is told of a note that is neither a fault nor a tolerance nor the course of a session.
fn told(note: &Note) -> Option<String> {
    Some(match note {
        Note::UnansweredQuery => "unanswered-query".to_owned(),
        Note::Refused(code) => format!("refused:{code}"),
        Note::BatchMiscounted { .. } => "batch-miscounted".to_owned(),
        Note::SequenceGap { .. } => "sequence-gap".to_owned(),
        Note::ControlIdReused => "control-id-reused".to_owned(),
        _ => return None,
    })
}

/// MSA-1 of the HL7 messages in what was written.
fn reply_codes(written: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(written);
    text.split('\r')
        .filter_map(|segment| segment.strip_prefix("MSA|")?.split('|').next().map(str::to_owned))
        .collect()
}
