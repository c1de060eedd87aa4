//! Plays the other side of a LIS01 line: bytes in, replies, state, records.

use core::time::Duration;

use labwire_link::{
    Capability, Event, Input, InterruptPolicy, LineState, Lis01, Lis01Settings, Machine, Role, SendFailure,
    UnitEnd,
};
use labwire_testkit::{control_names, from_control_names};

use crate::expect;
use crate::table::{Part, Step};

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
    fn new(steps: &[Step], strict: bool) -> Self {
        let mut settings =
            Lis01Settings { strict, interrupt: InterruptPolicy::AtOnce, ..Lis01Settings::default() };
        let mut interrupts = false;
        let mut busy = false;
        for step in steps.iter().filter(|step| step.verb == "set") {
            match step.rest.as_str() {
                "busy" => busy = true,
                "capability send-only" => settings.capability = Capability::SendOnly,
                "capability receive-only" => settings.capability = Capability::ReceiveOnly,
                "role instrument" => settings.role = Role::Instrument,
                "text 63993" => settings.send_text_bytes_max = 63_993,
                "attempts 7" => settings.attempts = 7,
                "interrupt wanted" => interrupts = true,
                "interrupt ignored" => settings.interrupt = InterruptPolicy::Ignore,
                other => panic!("{}: no setting is called {other}", step.at),
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
                Event::SendFailed { id, reason: SendFailure::Refused | SendFailure::Unanswered } => {
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

fn state_called(step: &Step) -> LineState {
    match step.rest.as_str() {
        "neutral" => LineState::Neutral,
        "bidding" => LineState::Bidding,
        "sending" => LineState::Sending,
        "receiving" => LineState::Receiving,
        other => panic!("{}: no state is called {other}", step.at),
    }
}

/// Runs one part and says what went otherwise.
pub(crate) fn run(part: &Part, strict: bool) -> Result<(), String> {
    let says = |verb: &str| part.steps.iter().any(|step| step.verb == verb);
    assert!(says("<") && says("="), "{}: a part expects bytes and a state", part.at);
    let mut bench = Bench::new(&part.steps, strict);
    let mut steps = part.steps.iter().peekable();
    while let Some(step) = steps.next() {
        let rest = step.rest.as_str();
        match step.verb.as_str() {
            "set" => {}
            ">" => bench.handle(Input::Bytes(&from_control_names(rest))),
            ">1" => {
                for byte in from_control_names(rest) {
                    bench.handle(Input::Bytes(&[byte]));
                }
            }
            "wait" => bench.wait(rest.parse().unwrap_or_else(|error| panic!("{}: {error}", step.at))),
            "busy" => bench.handle(Input::Ready(false)),
            "damage" => bench.handle(Input::CharacterError),
            "+" => {
                let mut records = vec![rest];
                while let Some(record) = steps.next_if(|next| next.verb == "+") {
                    records.push(&record.rest);
                }
                bench.send(&records);
            }
            "<" => expect::bytes(step, &core::mem::take(&mut bench.written))?,
            "=" => {
                let state = bench.machine.line_state();
                if state != state_called(step) {
                    return Err(format!("{}: the line is {state:?}", step.at));
                }
            }
            "." => {
                let mut expected = Vec::new();
                let mut record = Some(rest);
                while let Some(text) = record {
                    expected.push(text);
                    record = steps.next_if(|next| next.verb == ".").map(|next| next.rest.as_str());
                }
                let expected: Vec<_> = expected
                    .into_iter()
                    .filter(|record| !record.is_empty())
                    .map(|record| [&from_control_names(record), b"\r".as_slice()].concat())
                    .collect();
                if bench.records != expected {
                    let kept: Vec<_> = bench.records.iter().map(|record| control_names(record)).collect();
                    return Err(format!("{}: kept {kept:?}", step.at));
                }
            }
            other => panic!("{}: no step of `link` is called {other}", step.at),
        }
    }
    Ok(())
}
