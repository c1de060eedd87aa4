//! The vectors of `lis01_vectors.txt`, each a conversation with the machine.
//!
//! Rules of the standard are run against a strict machine, recommendations against the default
//! one. Then every vector is run against the default machine too: what the default profile does
//! otherwise must be named here with its reason.

#![expect(clippy::expect_used, clippy::panic, reason = "a vector that cannot be read fails the test")]

use std::collections::BTreeSet;

use core::time::Duration;

use labwire_link::{
    Capability, Event, Input, InterruptPolicy, LineState, Lis01, Lis01Settings, Machine, Role, UnitEnd,
};
use labwire_testkit::{control_names, from_control_names};

const VECTORS: &str = include_str!("lis01_vectors.txt");

/// Where the default profile deviates from the letter, and why.
const DEFAULT_DEVIATES: [(&str, &str); 5] = [
    ("CON-05", "a pause before our bid lets a waiting analyzer take the line"),
    ("FN-02", "a pause before our next bid lets a waiting analyzer take the line"),
    ("INT-03", "a pause before our bid lets a waiting analyzer take the line"),
    ("CHK-09", "a checksum that holds proves a device control to be content"),
    ("CHK-10", "a checksum that holds proves a line feed to be content"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Profile {
    Strict,
    Default,
}

struct Vector<'a> {
    id: &'a str,
    is_rule: bool,
    steps: Vec<&'a str>,
}

fn vectors() -> Vec<Vector<'static>> {
    let mut vectors: Vec<Vector<'static>> = Vec::new();
    for line in VECTORS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        if let Some(step) = line.strip_prefix("  ") {
            vectors.last_mut().expect("a step belongs to a vector").steps.push(step);
        } else {
            let mut words = line.split(' ');
            let (id, mode) = (words.next().expect("an id"), words.next().expect("a mode"));
            assert!(matches!(mode, "n" | "r"), "{line}");
            vectors.push(Vector { id, is_rule: mode == "n", steps: Vec::new() });
        }
    }
    vectors
}

/// A machine, its clock, and an owner that keeps records and never gives up on a message.
struct Bench {
    machine: Lis01,
    now: Duration,
    written: Vec<u8>,
    open: Vec<u8>,
    records: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
    interrupts: bool,
}

impl Bench {
    fn new(vector: &Vector<'_>, profile: Profile) -> Self {
        let mut settings = Lis01Settings {
            strict: profile == Profile::Strict,
            interrupt: InterruptPolicy::AtOnce,
            ..Lis01Settings::default()
        };
        let mut interrupts = false;
        let mut busy = false;
        for setting in vector.steps.iter().filter_map(|step| step.strip_prefix("set ")) {
            match setting {
                "busy" => busy = true,
                "capability send-only" => settings.capability = Capability::SendOnly,
                "capability receive-only" => settings.capability = Capability::ReceiveOnly,
                "role instrument" => settings.role = Role::Instrument,
                "text 63993" => settings.send_text_bytes_max = 63_993,
                "attempts 7" => settings.attempts = 7,
                "interrupt wanted" => interrupts = true,
                "interrupt ignored" => settings.interrupt = InterruptPolicy::Ignore,
                other => panic!("{}: no setting is called {other}", vector.id),
            }
        }
        let mut bench = Self {
            machine: Lis01::new(settings),
            now: Duration::ZERO,
            written: Vec::new(),
            open: Vec::new(),
            records: Vec::new(),
            messages: Vec::new(),
            interrupts,
        };
        bench.handle(Input::Ready(!busy));
        bench
    }

    fn handle(&mut self, input: Input<'_>) {
        self.machine.handle(self.now, input);
        loop {
            let _ = self.machine.poll_transmit(&mut self.written);
            let Some(event) = self.machine.poll_event() else { return };
            match event {
                Event::Opened => {
                    self.open.clear();
                    if self.interrupts {
                        self.machine.handle(self.now, Input::RequestLine);
                    }
                }
                Event::Unit { token, bytes, end, .. } => {
                    self.open.extend(bytes);
                    if end == UnitEnd::End {
                        self.records.push(core::mem::take(&mut self.open));
                    }
                    self.machine.handle(self.now, Input::Accept(token));
                }
                Event::Repeat { token, .. } => self.machine.handle(self.now, Input::Accept(token)),
                Event::SendFailed { id, reason: labwire_link::SendFailure::Refused } => {
                    let message = self.messages[usize::try_from(id).expect("a small id")].clone();
                    self.machine.handle(self.now, Input::Send { id, message: &message });
                }
                _ => {}
            }
        }
    }

    fn wait(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(due) = self.machine.poll_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.handle(Input::Deadline);
        }
        self.now = end;
    }

    fn send(&mut self, records: &[&str]) {
        let message = from_control_names(&records.join("<CR>"));
        self.messages.push(message.clone());
        self.handle(Input::Send { id: self.messages.len() as u64 - 1, message: &message });
    }
}

fn state_called(name: &str) -> LineState {
    match name {
        "neutral" => LineState::Neutral,
        "bidding" => LineState::Bidding,
        "sending" => LineState::Sending,
        "receiving" => LineState::Receiving,
        other => panic!("no state is called {other}"),
    }
}

/// Runs one vector and says what went otherwise.
fn run(vector: &Vector<'_>, profile: Profile) -> Result<(), String> {
    let mut bench = Bench::new(vector, profile);
    let mut steps = vector.steps.iter().peekable();
    while let Some(step) = steps.next() {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        match verb {
            "set" => {}
            ">" => bench.handle(Input::Bytes(&from_control_names(rest))),
            ">1" => {
                for byte in from_control_names(rest) {
                    bench.handle(Input::Bytes(&[byte]));
                }
            }
            "wait" => bench.wait(rest.parse().expect("seconds")),
            "busy" => bench.handle(Input::Ready(false)),
            "damage" => bench.handle(Input::CharacterError),
            "+" => {
                let mut records = vec![rest];
                while let Some(record) = steps.next_if(|next| next.starts_with("+ ")) {
                    records.push(&record[2..]);
                }
                bench.send(&records);
            }
            "<" => {
                let written = core::mem::take(&mut bench.written);
                if written != from_control_names(rest) {
                    return Err(format!(
                        "{}: wrote {} instead of {rest}",
                        vector.id,
                        control_names(&written)
                    ));
                }
            }
            "=" => {
                let state = bench.machine.line_state();
                if state != state_called(rest) {
                    return Err(format!("{}: the line is {state:?} instead of {rest}", vector.id));
                }
            }
            "." => {
                let mut expected = Vec::new();
                let mut record = Some(rest);
                while let Some(text) = record {
                    expected.push(text);
                    record = steps.next_if(|next| next.starts_with(". ")).map(|next| &next[2..]);
                }
                expected.retain(|record| !record.is_empty());
                let kept: Vec<_> = bench.records.iter().map(|record| control_names(record)).collect();
                let expected: Vec<_> = expected.iter().map(|record| format!("{record}<CR>")).collect();
                if kept != expected {
                    return Err(format!("{}: kept {kept:?} instead of {expected:?}", vector.id));
                }
            }
            other => panic!("{}: no step is called {other}", vector.id),
        }
    }
    Ok(())
}

#[test]
fn there_are_seventy_vectors_and_each_expects_something() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 70);
    for vector in &vectors {
        assert!(vector.steps.iter().any(|step| step.starts_with('<')), "{}", vector.id);
        assert!(vector.steps.iter().any(|step| step.starts_with('=')), "{}", vector.id);
    }
}

#[test]
fn a_strict_machine_keeps_every_rule_of_the_standard() {
    let failures: Vec<_> = vectors()
        .iter()
        .filter(|vector| vector.is_rule)
        .filter_map(|vector| run(vector, Profile::Strict).err())
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn the_default_machine_deviates_exactly_where_it_says_why() {
    let deviating: BTreeSet<_> = vectors()
        .iter()
        .filter(|vector| run(vector, Profile::Default).is_err())
        .map(|vector| vector.id)
        .collect();
    let named: BTreeSet<_> = DEFAULT_DEVIATES.iter().map(|(id, _)| *id).collect();
    assert_eq!(deviating, named);
}
