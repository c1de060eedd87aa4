//! Simulated analyzers of every shipped profile talk to a host made of the same profile's link machine and
//! decoder, over a wire that exists only as bytes and time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use labwire_driver::{Context, Dialect, Library, Plan, Protocol, Source};
use labwire_link::{ErrorMode, Event as LinkEvent, Input as LinkInput, Link, Machine, Role, UnitEnd};
use labwire_message::hl7::{AckCode, AckFields, acknowledge};
use labwire_message::{Index, Syntax};
use labwire_model::{Disposition, Kind};
use labwire_simulate::{Event, Fault, Faults, Input, Message, Settings, Simulator};

const STARTED: DateTime = DateTime::constant(2026, 3, 2, 8, 14, 7, 0);

fn plans() -> Vec<Arc<Plan>> {
    let library = Library::embedded();
    let mut plans: Vec<_> = library.ids().iter().map(|id| plan(&library, id)).collect();
    assert!(plans.len() >= 13, "{} profiles", plans.len());
    // The dialects and layouts that need not have a shipped profile.
    for link in [
        "dialect = \"control-ack-envelope\"",
        "dialect = \"control-ack-envelope\"\ntimers.block_reply = \"300ms\"",
        "dialect = \"soh-block\"",
        "dialect = \"records\"",
        "dialect = \"delimited\"\ncheck = \"bcc\"",
        "dialect = \"delimited\"\ncheck = \"sum-behind-end\"\nhandshake = true",
        "packing = \"record-chain\"\ntolerate = [\"checksum-from-start\", \"eot-reply\"]",
        "packing = \"message\"\ntolerate = [\"frame-number-absent\"]\ntimers.turnaround = \"50ms\"",
    ] {
        let text = format!("schema = 1\n[link]\n{link}\n");
        let file = ("generic/lis02".to_owned(), Source::new(format!("{link}.toml"), text));
        plans.push(plan(&library.clone().with_directory(vec![file]), "generic/lis02"));
    }
    plans
}

fn plan(library: &Library, id: &str) -> Arc<Plan> {
    let compiled = library.compile(id).unwrap();
    Arc::new(compiled.plan.unwrap_or_else(|| panic!("{id} does not compile: {:?}", compiled.reports)))
}

fn settings() -> Settings {
    Settings {
        messages_max: Some(30),
        control_every: 5,
        pauses: Some(Duration::from_millis(10)),
        ..Settings::new(STARTED, "T")
    }
}

/// The other side: receives, decodes, acknowledges.
struct Host {
    plan: Arc<Plan>,
    link: Link,
    /// Text of the session's accepted frames since the last complete message.
    partial: Vec<u8>,
    messages: Vec<Vec<u8>>,
    /// Refuse so many units before accepting again.
    refusals: u32,
    replies: u64,
}

impl Host {
    fn new(plan: &Arc<Plan>) -> Self {
        let mut host = Self {
            plan: Arc::clone(plan),
            link: plan.link(Role::Host, None),
            partial: Vec::new(),
            messages: Vec::new(),
            refusals: 0,
            replies: 0,
        };
        host.open();
        host
    }

    fn open(&mut self) {
        self.link = Link::new(self.plan.link_settings(Role::Host, None, ErrorMode::Close));
        self.link.handle(Duration::ZERO, LinkInput::Ready(true));
        self.partial.clear();
    }

    fn handle(&mut self, now: Duration, input: LinkInput<'_>) -> Vec<u8> {
        self.link.handle(now, input);
        let mut out = Vec::new();
        loop {
            while self.link.poll_transmit(&mut out) {}
            let Some(event) = self.link.poll_event() else { return out };
            match event {
                LinkEvent::Unit { token, bytes, end, .. } => {
                    if self.refusals > 0 {
                        self.refusals -= 1;
                        self.link.handle(now, LinkInput::Refuse(token));
                        continue;
                    }
                    self.take(now, &bytes, end);
                    self.link.handle(now, LinkInput::Accept(token));
                }
                LinkEvent::Repeat { token, .. } => self.link.handle(now, LinkInput::Accept(token)),
                LinkEvent::Ended(_) => self.partial.clear(),
                LinkEvent::Desynchronised(reason) => panic!("desynchronised: {reason}"),
                _ => {}
            }
        }
    }

    fn take(&mut self, now: Duration, bytes: &[u8], end: UnitEnd) {
        match self.plan.link.dialect {
            _ if self.plan.protocol == Protocol::Lis02 => {
                self.partial.extend_from_slice(bytes);
                if end == UnitEnd::End && self.partial.last() != Some(&b'\r') {
                    self.partial.push(b'\r');
                }
                let complete =
                    self.partial.split(|byte| *byte == b'\r').any(|record| record.starts_with(b"L|"));
                if complete && end == UnitEnd::End {
                    self.messages.push(std::mem::take(&mut self.partial));
                }
            }
            Dialect::Mllp => {
                self.messages.push(bytes.to_vec());
                self.replies += 1;
                let mut index = Index::new();
                let view = index.scan(Syntax::Hl7, bytes);
                let header = view.records().next().unwrap();
                let control_id = format!("H{}", self.replies);
                let fields = AckFields {
                    control_id: &control_id,
                    time: "20260302081407+0000",
                    ..AckFields::default()
                };
                let reply = acknowledge(&header, AckCode::Aa, &fields);
                self.link.handle(now, LinkInput::Send { id: self.replies, message: &reply });
            }
            _ => self.messages.push(bytes.to_vec()),
        }
    }

    /// Results by specimen id: kind, and test with value in the order sent.
    fn results(&self) -> BTreeMap<String, (Kind, Vec<(String, String)>)> {
        let mut results = BTreeMap::new();
        for message in &self.messages {
            let decoded = self.plan.decode(message, &Context { zone: &TimeZone::UTC });
            let mut values = Vec::new();
            let mut specimen = None;
            for outcome in decoded.outcomes {
                let generic = self.plan.no_profile;
                let delivered = matches!(outcome.disposition, Disposition::Deliver);
                assert!(delivered || generic, "{}: {:?}", self.plan.id, outcome);
                let read = outcome.observation;
                specimen = Some((read.specimen_id.unwrap(), read.kind));
                values.push((read.analyzer_test.unwrap(), read.text.unwrap()));
            }
            let (specimen, kind) = specimen.unwrap();
            results.insert(specimen, (kind, values));
        }
        results
    }
}

/// What came of a conversation.
struct Outcome {
    host: Host,
    acknowledged: Vec<Message>,
    planted: Vec<Fault>,
    disconnects: u32,
    not_taken: Vec<String>,
    writes: Vec<Vec<u8>>,
}

/// Lets both sides talk until the analyzer has finished.
fn converse(plan: &Arc<Plan>, seed: u64, settings: Settings, prepare: impl FnOnce(&mut Host)) -> Outcome {
    let mut analyzer =
        Simulator::new(Arc::clone(plan), seed, settings).unwrap_or_else(|why| panic!("{}: {why}", plan.id));
    let mut outcome = Outcome {
        host: Host::new(plan),
        acknowledged: Vec::new(),
        planted: Vec::new(),
        disconnects: 0,
        not_taken: Vec::new(),
        writes: Vec::new(),
    };
    prepare(&mut outcome.host);
    let mut now = Duration::ZERO;
    let mut pending = analyzer.step(now, Input::Opened);
    for _ in 0..200_000 {
        let mut answer = Vec::new();
        for write in pending.writes {
            answer.extend(outcome.host.handle(now, LinkInput::Bytes(&write)));
            outcome.writes.push(write);
        }
        let (mut disconnected, mut finished) = (false, false);
        for event in pending.events {
            match event {
                Event::Acknowledged(message) | Event::Written(message) => outcome.acknowledged.push(message),
                Event::Planted(fault) => outcome.planted.push(fault),
                Event::NotTaken { reason, .. } => outcome.not_taken.push(reason),
                Event::Disconnect => disconnected = true,
                Event::Finished => finished = true,
                Event::Sending { .. } => {}
                Event::Received(_) => panic!("the host sends nothing of its own"),
            }
        }
        if disconnected {
            outcome.disconnects += 1;
        }
        if finished {
            return outcome;
        }
        if disconnected {
            outcome.host.handle(now, LinkInput::Closed);
            outcome.host.open();
            now += Duration::from_millis(5);
            pending = analyzer.step(now, Input::Opened);
            continue;
        }
        if !answer.is_empty() {
            pending = analyzer.step(now, Input::Bytes(&answer));
            continue;
        }
        let deadlines = [pending.deadline, outcome.host.link.poll_deadline()];
        now = deadlines.into_iter().flatten().min().expect("somebody waits for something").max(now);
        let answer = outcome.host.handle(now, LinkInput::Deadline);
        pending = match answer.is_empty() {
            true => analyzer.step(now, Input::Deadline),
            false => analyzer.step(now, Input::Bytes(&answer)),
        };
    }
    panic!("{}: no end after {} messages at {now:?}", plan.id, outcome.acknowledged.len());
}

/// Every message that the analyzer believes to be with the host is there, as it was sent.
fn assert_books_agree(plan: &Plan, outcome: &Outcome) {
    assert_eq!(outcome.acknowledged.len(), 30, "{}", plan.id);
    let results = outcome.host.results();
    for message in &outcome.acknowledged {
        let (kind, values) =
            results.get(&message.specimen_id).unwrap_or_else(|| panic!("{}: {message:?}", plan.id));
        assert_eq!(*kind, message.kind, "{}", plan.id);
        assert_eq!(*values, message.values, "{}", plan.id);
    }
    assert_eq!(results.len(), 30, "{}: results that nobody sent", plan.id);
}

#[test]
fn every_profile_s_analyzer_gets_its_messages_across() {
    for plan in plans() {
        let outcome = converse(&plan, 1, settings(), |_| {});
        assert_books_agree(&plan, &outcome);
        assert_eq!(outcome.disconnects, 0, "{}", plan.id);
        assert_eq!(outcome.not_taken, Vec::<String>::new(), "{}", plan.id);
        assert!(outcome.acknowledged.iter().all(|message| message.attempts == 1), "{}", plan.id);
    }
}

#[test]
fn controls_are_sent_where_the_profile_tells_them_apart() {
    let mut with_controls = 0;
    for plan in plans() {
        let outcome = converse(&plan, 2, settings(), |_| {});
        let controls = outcome.acknowledged.iter().filter(|message| message.kind == Kind::Qc).count();
        let expected = if plan.qc_signs().is_empty() { 0 } else { 6 };
        assert_eq!(controls, expected, "{}", plan.id);
        with_controls += usize::from(controls > 0);
    }
    assert!(with_controls >= 8, "{with_controls} profiles");
}

#[test]
fn what_was_acknowledged_is_with_the_host_whatever_fault_strikes() {
    let mut planted = BTreeMap::new();
    for plan in plans() {
        for seed in 0..3 {
            let faults = Settings { faults: Faults::each(150), ..settings() };
            let outcome = converse(&plan, seed, faults, |_| {});
            assert_books_agree(&plan, &outcome);
            for fault in &outcome.planted {
                *planted.entry(*fault).or_insert(0) += 1;
            }
        }
    }
    let every = [
        Fault::BadChecksum,
        Fault::GarbledReply,
        Fault::DropBeforeEot,
        Fault::DropBeforeEnd,
        Fault::DropBeforeReply,
        Fault::ByteByByte,
    ];
    for fault in every {
        assert!(planted.get(&fault).is_some_and(|times| *times >= 10), "{fault:?} in {planted:?}");
    }
}

fn generic() -> Arc<Plan> {
    plan(&Library::embedded(), "generic/lis02")
}

#[test]
fn the_same_seed_sends_the_same_bytes_and_another_seed_others() {
    let sent = |seed| converse(&generic(), seed, settings(), |_| {}).writes;
    assert_eq!(sent(7), sent(7));
    assert_ne!(sent(7), sent(8));
}

#[test]
fn a_message_that_was_dropped_is_repeated_whole_and_unchanged() {
    for fault in [
        Faults { drop_before_end_per_mille: 1000, ..Faults::NONE },
        Faults { drop_before_reply_per_mille: 1000, ..Faults::NONE },
    ] {
        let outcome = converse(&generic(), 3, Settings { faults: fault, ..settings() }, |_| {});
        assert_eq!(outcome.disconnects, 30);
        assert!(outcome.acknowledged.iter().all(|message| message.attempts == 2));
        let mut identical = outcome.host.messages.clone();
        identical.dedup();
        assert_eq!(identical.len(), 30, "a repeat differs from its first");
    }
}

#[test]
fn a_line_that_drops_before_eot_leaves_the_message_acknowledged_and_unrepeated() {
    let faults = Faults { drop_before_eot_per_mille: 1000, ..Faults::NONE };
    let outcome = converse(&generic(), 4, Settings { faults, ..settings() }, |_| {});
    assert_eq!(outcome.disconnects, 30);
    assert!(outcome.acknowledged.iter().all(|message| message.attempts == 1));
    assert_eq!(outcome.host.messages.len(), 30);
}

#[test]
fn a_host_that_refuses_six_times_gets_the_message_again() {
    let outcome = converse(&generic(), 5, settings(), |host| host.refusals = 6);
    assert_eq!(outcome.not_taken, ["refused"]);
    assert_eq!(outcome.acknowledged[0].attempts, 2);
    assert_books_agree(&generic(), &outcome);
}

#[test]
fn byte_by_byte_means_one_byte_a_write() {
    let faults = Faults { byte_by_byte_per_mille: 1000, ..Faults::NONE };
    let outcome = converse(&generic(), 6, Settings { faults, ..settings() }, |_| {});
    assert!(outcome.writes.iter().all(|write| write.len() == 1));
    assert_books_agree(&generic(), &outcome);
}

#[test]
fn a_block_that_is_not_answered_is_sent_again_on_a_line_of_its_own() {
    let plan = plan(&Library::embedded(), "generic/hl7");
    let mut analyzer = Simulator::new(Arc::clone(&plan), 1, settings()).unwrap();
    let first = analyzer.step(Duration::ZERO, Input::Opened);
    assert_eq!(first.writes.len(), 1);
    let step = analyzer.step(first.deadline.unwrap(), Input::Deadline);
    assert!(step.events.contains(&Event::Disconnect), "{:?}", step.events);
    let again = analyzer.step(first.deadline.unwrap() + Duration::from_secs(2), Input::Opened);
    assert_eq!(again.writes, first.writes);
    assert_eq!(analyzer.outstanding().unwrap().attempts, 2);
}

#[test]
fn a_line_that_is_opened_anew_without_a_close_carries_the_message_again() {
    let mut analyzer = Simulator::new(generic(), 1, settings()).unwrap();
    let first = analyzer.step(Duration::ZERO, Input::Opened);
    assert_eq!(first.writes, [b"\x05"]);
    let again = analyzer.step(Duration::from_millis(1), Input::Opened);
    assert_eq!(again.writes, first.writes);
    assert_eq!(analyzer.outstanding().unwrap().attempts, 2);
}

fn compiled(text: &str) -> Arc<Plan> {
    let source = Source { name: "any/one.toml".into(), text: text.into() };
    let compiled = Library::embedded().compile_source("any/one", &source);
    Arc::new(compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.reports)))
}

#[test]
fn an_analyzer_of_the_workflow_profile_sends_its_structure() {
    let text = r#"
        schema = 1
        analyzer = { vendor = "Any", model = "One", kind = "chemistry", protocol = "law" }
        specimen = { id = "SPM-2.1.1" }
        result = { test = "OBX-3.1", value = "OBX-5", unit = "OBX-6.1", flags = "OBX-8", status = "OBX-11", at = "OBX-19" }
        tests = { GLU = { name = "Glucose", unit = "mmol/L" } }
    "#;
    let plan = compiled(text);
    let outcome = converse(&plan, 1, settings(), |_| {});
    assert_books_agree(&plan, &outcome);
    let first = String::from_utf8(outcome.host.messages[0].clone()).unwrap();
    assert!(first.contains("|OUL^R22^OUL_R22|"), "{first}");
    let segments: Vec<&str> = first.split('\r').filter_map(|segment| segment.get(..3)).collect();
    assert_eq!(segments, ["MSH", "SPM", "OBR", "OBX"]);
}

#[test]
fn a_profile_that_cannot_be_turned_round_says_why() {
    let text = r#"
        schema = 1
        analyzer = { vendor = "Any", model = "Two", kind = "chemistry", protocol = "lis02" }
        specimen = { id = "O.3" }
        result = { test = "R.3.4", value = "R.4", hold = [{ when = { "R.4" = '.' }, reason = "seen by a person" }] }
        tests = { GLU = { name = "Glucose" } }
    "#;
    let plan = compiled(text);
    let why = Simulator::new(plan, 1, settings()).unwrap_err().to_string();
    assert!(why.contains("held (profile-hold)"), "{why}");
}
