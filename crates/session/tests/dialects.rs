//! The laws of a session on lines that are neither LIS01 nor MLLP: nothing positive before the commit, no
//! half message for a whole one.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use core::time::Duration;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::Library;
use labwire_link::ErrorMode;
use labwire_schema::Source;
use labwire_session::{Effect, Input, Now, Persist, Session, Settings};

struct Bench {
    session: Session,
    at: Duration,
}

impl Bench {
    /// A host for records under this `[link]`.
    fn new(link: &str) -> Self {
        let profile = format!("schema = 1\n[link]\n{link}\n");
        let file = ("generic/lis02".to_owned(), Source::new("site.toml", profile));
        let library = Library::embedded().with_directory(vec![file]);
        let plan = library.compile("generic/lis02").unwrap().plan.unwrap();
        let session = Session::new(Settings {
            identity: labwire_session::Identity::Hold,
            plan: Arc::new(plan),
            strict: None,
            transport: ErrorMode::Close,
            zone: TimeZone::UTC,
            first_transmission: 1,
            control_id_prefix: "T".to_owned(),
            message_bytes_max: 1_000_000,
        });
        let mut bench = Self { session, at: Duration::ZERO };
        bench.tell(Input::StoreReady(true));
        bench
    }

    fn now(&self) -> Now {
        Now { monotonic: self.at, wall: Timestamp::UNIX_EPOCH }
    }

    fn tell(&mut self, input: Input<'_>) {
        let now = self.now();
        self.session.handle(now, input);
    }

    fn send(&mut self, text: &str) {
        self.tell(Input::Bytes(text.as_bytes()));
    }

    fn replies(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.session.poll_transmit(&mut out) {}
        out
    }

    fn effects(&mut self) -> Vec<Effect> {
        core::iter::from_fn(|| self.session.poll_effect()).collect()
    }

    fn persist(&mut self) -> Persist {
        let asked = self.effects().into_iter().find_map(|effect| match effect {
            Effect::Persist(persist) => Some(*persist),
            _ => None,
        });
        asked.unwrap_or_else(|| panic!("no commit was asked for"))
    }

    fn accept(&mut self) -> Persist {
        let persist = self.persist();
        let now = self.now();
        self.session.persisted(now, persist.token);
        persist
    }

    fn refuse(&mut self) {
        let persist = self.persist();
        let now = self.now();
        self.session.not_persisted(now, persist.token);
    }
}

const MESSAGE: &str = "H|\\^&\rP|1\rO|1|S7\rR|1|^^^GLU|5.4\rL|1|N\r";

#[test]
fn an_envelope_is_one_commit_and_its_end_is_acknowledged_behind_it() {
    let mut bench = Bench::new("dialect = \"control-ack-envelope\"");
    bench.send(&format!("\u{5}\u{2}{MESSAGE}\u{3}"));
    assert_eq!(bench.replies(), b"\x06\x06", "for ENQ and STX, which carry no data");
    let persist = bench.persist();
    assert_eq!(bench.replies(), b"");
    assert_eq!(persist.completes.len(), 1);
    assert_eq!(persist.completes[0].raw, MESSAGE.as_bytes());
    let now = bench.now();
    bench.session.persisted(now, persist.token);
    assert_eq!(bench.replies(), b"\x06");
    bench.send("\u{4}");
    assert_eq!(bench.replies(), b"\x06");
}

#[test]
fn an_envelope_that_could_not_be_stored_is_refused_and_its_repetition_counts_once() {
    let mut bench = Bench::new("dialect = \"control-ack-envelope\"");
    bench.send(&format!("\u{5}\u{2}{MESSAGE}\u{3}"));
    bench.refuse();
    assert_eq!(bench.replies(), b"\x06\x06\x15");
    bench.send(&format!("\u{2}{MESSAGE}\u{3}"));
    assert_eq!(bench.accept().completes[0].raw, MESSAGE.as_bytes());
    assert_eq!(bench.replies(), b"\x06\x06");
}

#[test]
fn bare_records_are_kept_one_by_one_and_make_a_message_at_their_terminator() {
    let mut bench = Bench::new("dialect = \"records\"");
    bench.send(MESSAGE);
    let commits: Vec<Persist> = (0..5).map(|_| bench.accept()).collect();
    let complete: Vec<usize> = commits.iter().map(|commit| commit.completes.len()).collect();
    assert_eq!(complete, [0, 0, 0, 0, 1]);
    assert_eq!(commits[4].completes[0].raw, MESSAGE.as_bytes());
    assert_eq!(bench.replies(), b"");
}

#[test]
fn bare_records_that_fall_silent_are_an_incomplete_message() {
    let mut bench = Bench::new("dialect = \"records\"");
    bench.send("H|\\^&\rP|1\r");
    bench.accept();
    bench.accept();
    bench.at = Duration::from_secs(60);
    bench.tell(Input::Deadline);
    let incomplete = bench.effects().into_iter().find_map(|effect| match effect {
        Effect::Incomplete(incomplete) => Some(incomplete.raw),
        _ => None,
    });
    assert_eq!(incomplete.as_deref(), Some(&b"H|\\^&\rP|1\r"[..]));
}

#[test]
fn a_bare_record_that_could_not_be_stored_closes_the_line_and_leaves_an_incomplete_message() {
    let mut bench = Bench::new("dialect = \"records\"");
    bench.send(MESSAGE);
    bench.accept();
    bench.refuse();
    let effects = bench.effects();
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Close("refused-without-reply"))),
        "{effects:?}"
    );
    let kept: Vec<&[u8]> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Incomplete(incomplete) => Some(&incomplete.raw[..]),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [b"H|\\^&\r"]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Persist(_))), "{effects:?}");
}

#[test]
fn a_message_with_a_lost_record_is_refused_at_its_end_and_its_repetition_is_whole() {
    let mut bench = Bench::new("dialect = \"records\"\nreply = \"ack-message\"");
    bench.send(MESSAGE);
    bench.accept();
    bench.refuse();
    assert_eq!(bench.replies(), b"\x15");
    bench.send(MESSAGE);
    let last = (0..5).map(|_| bench.accept()).last().unwrap();
    assert_eq!(last.completes[0].raw, MESSAGE.as_bytes());
    assert_eq!(bench.replies(), b"\x06");
}

#[test]
fn a_block_with_a_whole_message_is_one_commit() {
    let mut bench = Bench::new("dialect = \"soh-block\"");
    bench.send(&format!("\u{1}{MESSAGE}\u{4}"));
    assert_eq!(bench.replies(), b"");
    assert_eq!(bench.accept().completes[0].raw, MESSAGE.as_bytes());
    assert_eq!(bench.replies(), b"\x06");
}
