//! However the bytes of an analyzer are cut into reads, the host hears the same and replies the
//! same: a serial-to-network box sends single bytes, a fast analyzer a whole session in one write.
//!
//! Time stands still while the pieces go in, so that only the cuts differ; at the end every timer
//! that runs is let run out.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_capture::{Content, Reader};
use labwire_driver::{Library, Plan};
use labwire_link::ErrorMode;
use labwire_schema::Source;
use labwire_session::{Effect, Input, Now, Session, Settings, Token};
use labwire_workbench::{Heard, Host, Step};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Random ways to cut each capture.
const CUTTINGS: u32 = 24;
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The analyzer's side of a capture, without its times.
struct Case {
    name: String,
    plan: Arc<Plan>,
    started: Timestamp,
    parts: Vec<Part>,
}

enum Part {
    Bytes(Vec<u8>),
    CharacterError,
    Closed,
}

/// What came of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    heard: Vec<Heard>,
    replies: Vec<u8>,
}

fn captures() -> Vec<PathBuf> {
    let (mut found, mut directories) =
        (Vec::new(), vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "cap") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn cases() -> Vec<Case> {
    let library = Library::embedded();
    captures().iter().map(|path| case(&library, path)).chain(dialects()).collect()
}

/// The dialects of which there is no capture: good messages, broken ones, and good ones again.
fn dialects() -> Vec<Case> {
    const MESSAGE: &str = "H|\\^&\rP|1\rO|1|S7\rR|1|^^^GLU|5.4\rL|1|N\r";
    const HALF: &str = "H|\\^&\rP|1\rO|1|S8\rR|1|^^^GL";
    let lines = [
        (
            "dialect = \"control-ack-envelope\"",
            format!(
                "\u{5}\u{2}{MESSAGE}\u{3}\u{4}\r\n\u{2}{HALF}\u{2}{MESSAGE}\u{3}\u{4}\u{5}\u{2}{HALF}\u{5}\u{2}{MESSAGE}\u{3}\u{4}"
            ),
        ),
        ("dialect = \"soh-block\"", format!("\u{1}{MESSAGE}\u{4}\n\u{1}{HALF}\u{1}{MESSAGE}\u{4}")),
        ("dialect = \"records\"", format!("{MESSAGE}\n{HALF}\r{MESSAGE}{HALF}")),
        ("dialect = \"records\"\nreply = \"ack-message\"", format!("{MESSAGE}{MESSAGE}{HALF}")),
        (
            "dialect = \"delimited\"\ncheck = \"bcc\"",
            format!("\u{2}{HALF}\u{3}x\u{2}{MESSAGE}\u{3}x\u{2}L|1\u{3}\u{2}"),
        ),
        (
            "checksum = \"off\"\ntolerate = [\"frame-number-absent\", \"eot-reply\"]",
            format!("\u{5}\u{2}{MESSAGE}\u{3}\u{2}{MESSAGE}\u{3}  \r\n\u{2}{HALF}\u{17}00\r\n\u{4}"),
        ),
    ];
    let case = |(link, stream): (&str, String)| {
        let profile = format!("schema = 1\n[link]\n{link}\n");
        let file = ("generic/lis02".to_owned(), Source::new("site.toml", profile));
        let compiled = Library::embedded().with_directory(vec![file]).compile("generic/lis02");
        let plan = compiled.and_then(|compiled| compiled.plan);
        Case {
            name: link.to_owned(),
            plan: Arc::new(plan.unwrap_or_else(|| panic!("{link} does not compile"))),
            started: Timestamp::UNIX_EPOCH,
            parts: vec![Part::Bytes(stream.into_bytes())],
        }
    };
    lines.into_iter().map(case).collect()
}

fn case(library: &Library, path: &Path) -> Case {
    let name = path.display().to_string();
    let text = fs::read(path).unwrap();
    let reader = Reader::new(text.as_slice()).unwrap_or_else(|error| panic!("{name}: {}", error.message));
    let header = reader.header().clone();
    let plan = header.driver.as_deref().and_then(|id| library.compile(id)).and_then(|compiled| compiled.plan);
    let mut parts = Vec::new();
    for entry in reader {
        match entry.unwrap_or_else(|error| panic!("{name}: {}", error.message)).content {
            Content::ToHost(bytes) => match parts.last_mut() {
                Some(Part::Bytes(run)) => run.extend(bytes),
                _ => parts.push(Part::Bytes(bytes)),
            },
            Content::ToAnalyzer(_) => {}
            Content::Event(event) => match event.split_whitespace().next() {
                Some("close") => parts.push(Part::Closed),
                Some("parity" | "framing" | "break" | "overrun") => parts.push(Part::CharacterError),
                _ => {}
            },
        }
    }
    let plan = Arc::new(plan.unwrap_or_else(|| panic!("{name} names no driver that compiles")));
    Case { name, plan, started: header.started, parts }
}

impl Case {
    /// Plays it with each run of bytes cut in pieces by `cut`.
    fn play(&self, strict: Option<bool>, mut cut: impl FnMut(&[u8]) -> Vec<usize>) -> Outcome {
        let mut host = Host::new(Arc::clone(&self.plan), TimeZone::UTC, self.started, strict);
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => {
                    for piece in pieces(bytes, &cut(bytes)) {
                        host.take(Step::Bytes(piece));
                    }
                }
                Part::CharacterError => host.take(Step::CharacterError),
                Part::Closed => host.take(Step::Closed),
            }
        }
        host.settle();
        host.take(Step::Closed);
        Outcome { heard: host.heard, replies: host.replies }
    }

    fn runs(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().filter_map(|part| match part {
            Part::Bytes(bytes) => Some(bytes.as_slice()),
            Part::CharacterError | Part::Closed => None,
        })
    }

    /// Places to cut, for each run of bytes: few and far, or many and close.
    fn cuttings(&self) -> impl Strategy<Value = Vec<BTreeSet<usize>>> + use<> {
        let lengths: Vec<usize> = self.runs().map(<[u8]>::len).collect();
        lengths
            .into_iter()
            .map(|length| {
                prop_oneof![
                    proptest::collection::btree_set(0..=length, 0..=8.min(length)),
                    proptest::collection::btree_set(0..=length, 0..=length.min(400)),
                ]
            })
            .collect::<Vec<_>>()
    }
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut from = 0;
    let mut pieces = Vec::new();
    for &cut in cuts.iter().chain([&bytes.len()]) {
        if cut > from {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
    }
    assert_eq!(pieces.concat(), bytes);
    pieces
}

fn in_one_piece(_: &[u8]) -> Vec<usize> {
    Vec::new()
}

fn byte_by_byte(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).collect()
}

/// In front of each control byte that opens or closes a session, a frame, a block or a text.
fn frame_by_frame(bytes: &[u8]) -> Vec<usize> {
    let opens = |byte: &u8| matches!(byte, 0x02 | 0x04 | 0x05 | 0x0B);
    bytes.iter().enumerate().filter(|(_, byte)| opens(byte)).map(|(at, _)| at).collect()
}

/// Behind each byte that decides something: the opposite of frame by frame.
fn in_the_middle_of_every_ending(bytes: &[u8]) -> Vec<usize> {
    let decides = |byte: &u8| matches!(byte, 0x03 | 0x05 | 0x0D | 0x17 | 0x1C);
    bytes.iter().enumerate().filter(|(_, byte)| decides(byte)).map(|(at, _)| at + 1).collect()
}

fn explain(case: &Case, how: &str, whole: &Outcome, cut: &Outcome) -> String {
    let first = whole.heard.iter().zip(&cut.heard).position(|(one, other)| one != other);
    let at = first.unwrap_or(whole.heard.len().min(cut.heard.len()));
    format!(
        "{} {how}: replies {:?} and {:?}; first heard differently, number {at}:\n{:?}\n{:?}",
        case.name,
        String::from_utf8_lossy(&whole.replies),
        String::from_utf8_lossy(&cut.replies),
        whole.heard.get(at),
        cut.heard.get(at),
    )
}

fn assert_cuts_change_nothing(strict: Option<bool>) {
    let mut messages = 0;
    for case in cases() {
        let whole = case.play(strict, in_one_piece);
        for (how, cut) in [
            ("byte by byte", byte_by_byte as fn(&[u8]) -> Vec<usize>),
            ("frame by frame", frame_by_frame),
            ("cut in every ending", in_the_middle_of_every_ending),
        ] {
            let cut = case.play(strict, cut);
            assert!(whole == cut, "{}", explain(&case, how, &whole, &cut));
        }
        messages += whole.heard.iter().filter(|heard| matches!(heard, Heard::Message { .. })).count();
    }
    assert!(messages > 80, "only {messages} messages in all captures: nothing was compared");
}

#[test]
fn in_the_stream_of_every_dialect_there_is_a_message_to_hear() {
    for case in dialects() {
        let heard = case.play(None, in_one_piece).heard;
        let complete = heard.iter().filter(|heard| matches!(heard, Heard::Message { .. })).count();
        assert!(complete > 0, "{}: {heard:?}", case.name);
    }
}

#[test]
fn bytes_frames_and_whole_sessions_are_heard_alike() {
    assert_cuts_change_nothing(None);
}

#[test]
fn a_strict_line_hears_bytes_frames_and_whole_sessions_alike() {
    assert_cuts_change_nothing(Some(true));
}

fn runner(seed: u64) -> TestRunner {
    let config = ProptestConfig { cases: CUTTINGS, failure_persistence: None, ..ProptestConfig::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[test]
fn captures_cut_anywhere_are_heard_as_in_one_piece() {
    for (seed, case) in (0..).zip(cases()) {
        let whole = case.play(None, in_one_piece);
        let outcome = runner(seed).run(&case.cuttings(), |cuttings| {
            let mut cuttings = cuttings.into_iter();
            let cut = case.play(None, |_| cuttings.next().unwrap().into_iter().collect());
            prop_assert!(whole == cut, "{}", explain(&case, "cut at random", &whole, &cut));
            Ok::<(), TestCaseError>(())
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
    }
}

/// A host whose disk takes its time: more bytes arrive while a commit is waited for, as long as the
/// session takes them.
struct SlowHost {
    session: Session,
    now: Now,
    waiting: VecDeque<Token>,
    outcome: Outcome,
}

impl SlowHost {
    fn new(case: &Case) -> Self {
        let settings = Settings {
            identity: labwire_session::Identity::Hold,
            plan: Arc::clone(&case.plan),
            strict: None,
            transport: ErrorMode::Close,
            zone: TimeZone::UTC,
            first_transmission: 1,
            control_id_prefix: "R".to_owned(),
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        let mut host = Self {
            session: Session::new(settings),
            now: Now { monotonic: Duration::ZERO, wall: case.started },
            waiting: VecDeque::new(),
            outcome: Outcome { heard: Vec::new(), replies: Vec::new() },
        };
        host.input(Input::StoreReady(true));
        host
    }

    fn input(&mut self, input: Input<'_>) {
        self.session.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while self.session.poll_transmit(&mut self.outcome.replies) {}
        while let Some(effect) = self.session.poll_effect() {
            let heard = &mut self.outcome.heard;
            match effect {
                Effect::Persist(persist) => {
                    heard.extend(persist.completes.into_iter().map(|message| Heard::Message {
                        raw: message.raw,
                        decoded: message.decoded,
                        resolves: message.resolves,
                    }));
                    self.waiting.push_back(persist.token);
                }
                Effect::Incomplete(incomplete) => heard.push(Heard::Incomplete {
                    transmission: incomplete.transmission,
                    raw: incomplete.raw,
                    decoded: incomplete.decoded,
                }),
                Effect::Note(note) => heard.push(Heard::Note(note)),
                Effect::Close(reason) => heard.push(Heard::Close(reason)),
            }
        }
    }

    fn commit_all(&mut self) {
        while let Some(token) = self.waiting.pop_front() {
            self.session.persisted(self.now, token);
            self.drain();
        }
    }

    /// Bytes and an end that arrive before the commit; the owner stops reading when it is told to.
    fn take(&mut self, part: Input<'_>) {
        if !self.session.accepts_input() {
            self.commit_all();
        }
        self.input(part);
    }

    fn finish(mut self) -> Outcome {
        self.commit_all();
        self.input(Input::Closed);
        self.commit_all();
        self.outcome
    }
}

#[test]
fn a_disk_that_takes_its_time_changes_neither_what_is_heard_nor_the_replies() {
    for case in cases() {
        for (how, cut) in
            [("byte by byte", byte_by_byte as fn(&[u8]) -> Vec<usize>), ("in one piece", in_one_piece)]
        {
            let mut prompt = SlowHost::new(&case);
            let mut slow = SlowHost::new(&case);
            for part in &case.parts {
                match part {
                    Part::Bytes(bytes) => {
                        for piece in pieces(bytes, &cut(bytes)) {
                            slow.take(Input::Bytes(piece));
                            prompt.take(Input::Bytes(piece));
                            prompt.commit_all();
                        }
                    }
                    Part::CharacterError => {
                        slow.take(Input::CharacterError);
                        prompt.take(Input::CharacterError);
                        prompt.commit_all();
                    }
                    Part::Closed => {
                        slow.take(Input::Closed);
                        prompt.take(Input::Closed);
                        prompt.commit_all();
                        slow.commit_all();
                    }
                }
            }
            let (prompt, slow) = (prompt.finish(), slow.finish());
            assert!(prompt == slow, "{}", explain(&case, how, &prompt, &slow));
        }
    }
}
