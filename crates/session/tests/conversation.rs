//! The session's own promises: when it replies, and what a refusal leaves behind.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use core::time::Duration;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::Library;
use labwire_link::ErrorMode;
use labwire_session::{Effect, Input, Note, Now, Persist, Resolution, Session, Settings};

const ENQ: &str = "\u{5}";
const ACK: &[u8] = b"\x06";
const NAK: &[u8] = b"\x15";

struct Bench {
    session: Session,
    at: Duration,
}

impl Bench {
    fn new(driver: &str) -> Self {
        let plan = Library::embedded().compile(driver).unwrap().plan.unwrap();
        let session = Session::new(Settings {
            plan: Arc::new(plan),
            identity: labwire_session::Identity::Hold,
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

    fn wait(&mut self, time: Duration) {
        self.at += time;
        self.tell(Input::Deadline);
    }

    fn replies(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.session.poll_transmit(&mut out) {}
        out
    }

    fn effects(&mut self) -> Vec<Effect> {
        core::iter::from_fn(|| self.session.poll_effect()).collect()
    }

    /// The commit that is asked for.
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
}

fn frame(number: u8, text: &str) -> String {
    let sum = format!("{number}{text}\u{3}").bytes().fold(0_u8, u8::wrapping_add);
    format!("\u{2}{number}{text}\u{3}{sum:02X}\r\n")
}

#[test]
fn a_frame_is_acknowledged_after_its_commit_and_not_before() {
    let mut bench = Bench::new("generic/lis02");
    bench.send(&format!("{ENQ}{}", frame(1, "H|\\^&\r")));
    assert_eq!(bench.replies(), ACK, "ENQ carries no data");
    let persist = bench.persist();
    assert_eq!(bench.replies(), b"", "the frame waits for its commit");
    let now = bench.now();
    bench.session.persisted(now, persist.token);
    assert_eq!(bench.replies(), ACK);
}

#[test]
fn a_frame_that_is_not_persisted_is_refused_and_its_repetition_counts_once() {
    let mut bench = Bench::new("generic/lis02");
    bench.send(ENQ);
    let header = frame(1, "H|\\^&\r");
    bench.send(&header);
    let refused = bench.persist();
    let now = bench.now();
    bench.session.not_persisted(now, refused.token);
    assert_eq!(bench.replies(), [ACK, NAK].concat());
    bench.send(&header);
    bench.accept();
    bench.send(&frame(2, "L|1|N\r"));
    let complete = bench.accept();
    assert_eq!(complete.completes[0].raw, b"H|\\^&\rL|1|N\r");
}

#[test]
fn a_commit_after_the_late_refusal_changes_nothing() {
    let mut bench = Bench::new("generic/lis02");
    bench.send(ENQ);
    let header = frame(1, "H|\\^&\r");
    bench.send(&header);
    let late = bench.persist();
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.replies(), [ACK, NAK].concat(), "never a late ACK");
    let now = bench.now();
    bench.session.persisted(now, late.token);
    assert_eq!(bench.replies(), b"");
    bench.send(&header);
    bench.accept();
    bench.send(&frame(2, "L|1|N\r"));
    assert_eq!(bench.accept().completes[0].raw, b"H|\\^&\rL|1|N\r");
}

#[test]
fn two_messages_in_one_session_are_two_and_the_second_knows_that_the_first_was_answered() {
    let mut bench = Bench::new("generic/lis02");
    bench.send(ENQ);
    let mut previous_reply_received = Vec::new();
    for (number, text) in ["H|\\^&\r", "L|1|N\r", "H|\\^&\r", "L|1|N\r"].iter().enumerate() {
        bench.send(&frame(u8::try_from(number + 1).unwrap(), text));
        let persist = bench.accept();
        previous_reply_received
            .extend(persist.completes.iter().map(|message| message.previous_reply_received));
    }
    assert_eq!(previous_reply_received, [false, true]);
}

#[test]
fn what_follows_a_terminator_in_one_frame_opens_the_next_reception() {
    let mut bench = Bench::new("generic/lis02");
    bench.send(ENQ);
    bench.send(&frame(1, "H|\\^&\rL|1|N\rH|\\^&|||B\r"));
    let persist = bench.accept();
    assert_eq!(persist.completes.len(), 1);
    assert_eq!(persist.carry, Some((2, b"H|\\^&|||B\r".to_vec())));
    bench.send(&frame(2, "L|1|N\r"));
    let second = bench.accept();
    assert_eq!((second.transmission, second.completes[0].raw.as_slice()), (2, &b"H|\\^&|||B\rL|1|N\r"[..]));
}

#[test]
fn a_line_that_drops_before_the_terminator_leaves_an_incomplete_message_that_the_next_one_supersedes() {
    let mut bench = Bench::new("generic/lis02");
    let records = ["H|\\^&\r", "P|1\r", "O|1|S1\r", "R|1|^^^K|6.9|mmol/L\r", "L|1|N\r"];
    bench.send(ENQ);
    for (number, record) in records[..4].iter().enumerate() {
        bench.send(&frame(u8::try_from(number + 1).unwrap(), record));
        bench.accept();
    }
    bench.tell(Input::Closed);
    let effects = bench.effects();
    let incomplete = effects.iter().find_map(|effect| match effect {
        Effect::Incomplete(incomplete) => Some(incomplete),
        _ => None,
    });
    let incomplete = incomplete.unwrap_or_else(|| panic!("{effects:?}"));
    assert_eq!(incomplete.raw, records[..4].concat().as_bytes());
    assert_eq!(incomplete.decoded.held().count(), 1);

    let mut next = Bench::new("generic/lis02");
    next.session.remember_incomplete(1, incomplete.raw.clone(), true);
    next.send(ENQ);
    let mut last = None;
    for (number, record) in records.iter().enumerate() {
        next.send(&frame(u8::try_from(number + 1).unwrap(), record));
        last = Some(next.accept());
    }
    let completes = last.unwrap().completes;
    assert_eq!(completes[0].resolves[0].transmission, 1);
}

#[test]
fn every_torn_beginning_of_a_message_is_superseded_by_its_whole_repeat() {
    let mut bench = Bench::new("generic/lis02");
    bench.session.remember_incomplete(1, b"H|\\^&\rP|1\rO|1|S1\r".to_vec(), true);
    let torn_inside_a_record = b"H|\\^&\rP|1\rO|1|S1\rR|1|^^^K|6.";
    bench.session.remember_incomplete(2, torn_inside_a_record.to_vec(), true);
    bench.send(ENQ);
    bench.send(&frame(1, "H|\\^&\rP|1\rO|1|S1\rR|1|^^^K|6.9|mmol/L\rL|1|N\r"));
    let completes = bench.accept().completes;
    let resolves = completes[0].resolves.iter().map(|one| (one.transmission, one.how));
    assert_eq!(resolves.collect::<Vec<_>>(), [(2, Resolution::Superseded), (1, Resolution::Superseded)]);
}

#[test]
fn an_hl7_message_is_answered_after_its_commit_with_its_own_control_id() {
    let mut bench = Bench::new("generic/hl7");
    bench.send(
        "\u{b}MSH|^~\\&|A|B|C|D|20260302||ORU^R01|id 7|P|2.3.1\rOBR|1||S1\rOBX|1|NM|K||6.9|mmol/L\r\u{1c}\r",
    );
    let persist = bench.persist();
    assert_eq!(bench.replies(), b"");
    let now = bench.now();
    bench.session.persisted(now, persist.token);
    let reply = String::from_utf8(bench.replies()).unwrap();
    assert!(reply.starts_with("\u{b}MSH|^~\\&|C|D|A|B|"), "{reply:?}");
    assert!(reply.contains("\rMSA|AA|id 7\r") && reply.ends_with("\r\u{1c}\r"), "{reply:?}");
}

#[test]
fn an_hl7_message_that_cannot_be_stored_gets_silence_and_a_closed_line() {
    let mut bench = Bench::new("generic/hl7");
    bench.send("\u{b}MSH|^~\\&|A|B|C|D|20260302||ORU^R01|7|P|2.3.1\r\u{1c}\r");
    let persist = bench.persist();
    let now = bench.now();
    bench.session.not_persisted(now, persist.token);
    assert_eq!(bench.replies(), b"");
    assert!(bench.effects().iter().any(|effect| matches!(effect, Effect::Close(_))));
}

#[test]
fn an_hl7_query_is_kept_and_rejected_as_unanswered() {
    let mut bench = Bench::new("generic/hl7");
    bench.send(
        "\u{b}MSH|^~\\&|A|B|C|D|20260302||QRY^Q02|8|P|2.3.1\rQRD|20260302|R|D|1|||RD|S1|OTH|||T|\r\u{1c}\r",
    );
    let effects = bench.effects();
    assert!(effects.contains(&Effect::Note(Note::UnansweredQuery)), "{effects:?}");
    let Some(Effect::Persist(persist)) =
        effects.into_iter().find(|effect| matches!(effect, Effect::Persist(_)))
    else {
        panic!("the query is kept");
    };
    let now = bench.now();
    bench.session.persisted(now, persist.token);
    let reply = String::from_utf8(bench.replies()).unwrap();
    assert!(reply.contains("\rMSA|AR|8") && reply.contains("200"), "{reply:?}");
}

#[test]
fn a_message_without_control_id_is_held_and_not_acknowledged() {
    let mut bench = Bench::new("generic/hl7");
    bench.send(
        "\u{b}MSH|^~\\&|A|B|C|D|20260302||ORU^R01||P|2.3.1\rOBR|1||S1\rOBX|1|NM|K||6.9|mmol/L\r\u{1c}\r",
    );
    let persist = bench.accept();
    assert_eq!(persist.completes[0].decoded.held().count(), 1);
    let reply = String::from_utf8(bench.replies()).unwrap();
    assert!(reply.contains("\rMSA|AE|"), "{reply:?}");
}

#[test]
fn a_block_without_a_header_is_kept_and_the_line_closed() {
    let mut bench = Bench::new("generic/hl7");
    bench.send("\u{b}hello\r\u{1c}\r");
    let persist = bench.accept();
    assert_eq!(persist.completes[0].raw, b"hello\r");
    assert!(bench.effects().iter().any(|effect| matches!(effect, Effect::Close(_))));
}

#[test]
fn a_bid_is_refused_while_the_store_cannot_commit() {
    let mut bench = Bench::new("generic/lis02");
    bench.tell(Input::StoreReady(false));
    bench.send(ENQ);
    assert_eq!(bench.replies(), NAK);
    bench.tell(Input::StoreReady(true));
    bench.send(ENQ);
    assert_eq!(bench.replies(), ACK);
}

#[test]
fn a_header_without_a_terminator_before_it_leaves_the_first_message_incomplete() {
    let mut bench = Bench::new("generic/lis02");
    bench.send(ENQ);
    let records = ["H|\\^&\r", "P|1\r", "O|1|S1\r", "R|1|^^^K|6.9|mmol/L\r"];
    for (number, record) in records.iter().enumerate() {
        bench.send(&frame(u8::try_from(number + 1).unwrap(), record));
        bench.accept();
    }
    bench.send(&frame(5, "H|\\^&|||B\r"));
    let effects = bench.effects();
    assert!(
        matches!(effects.as_slice(), [Effect::Incomplete(incomplete), Effect::Persist(persist)]
            if incomplete.transmission == 1 && incomplete.decoded.held().count() == 1 && persist.transmission == 2),
        "{effects:?}"
    );
}
