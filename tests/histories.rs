//! Random histories of an analyzer that loses its line, repeats, goes on or gives up, and of a host that
//! dies in between: what was acknowledged is filed once, a second measurement is filed as well, and
//! nothing is filed twice.
//!
//! A real session and a real spool; between them stands what the daemon does with their effects.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::{Library, Plan};
use labwire_link::{ErrorMode, UnitEnd, write_frame};
use labwire_message::lis02::Saved;
use labwire_schema::Source;
use labwire_session::{Effect, Incomplete, Input, Now, RecoveredFrame, Resolution, Session, Settings};
use labwire_store::{CloseIncomplete, FrameRecord, MessageRecord, Options, Persist, Reader, Spool, Stamp};
use proptest::prelude::*;

const CONNECTION: &str = "a";
const DAY: i64 = 24 * 3600;

const FRAMES: &str = r#"
schema = 1
[analyzer]
vendor = "Bench"
model = "Frames"
kind = "chemistry"
protocol = "lis02"
evidence = "unverified"
[message]
volatile = ["H.14"]
[specimen]
id = "O.3"
[result]
test = "R.3.4"
value = "R.4"
at = "R.13"
open_tests = true
"#;

const BLOCKS: &str = r#"
schema = 1
[analyzer]
vendor = "Bench"
model = "Blocks"
kind = "chemistry"
protocol = "hl7"
evidence = "unverified"
[specimen]
id = "OBR-3"
[result]
test = "OBX-3.1"
value = "OBX-5"
at = "OBX-14"
open_tests = true
"#;

fn plan(text: &str) -> Arc<Plan> {
    let compiled = Library::embedded().compile_source("bench/bench", &Source::new("bench.toml", text));
    assert!(!compiled.has_errors(), "{:?}", compiled.reports);
    Arc::new(compiled.plan.unwrap())
}

/// The host: spool and session, and the clocks that both see.
struct Host {
    directory: tempfile::TempDir,
    spool: Option<Spool>,
    session: Option<Session>,
    plan: Arc<Plan>,
    /// Incomplete messages that a later one may settle; `true` while nothing followed.
    unsettled: Vec<(u64, Vec<u8>, bool)>,
    monotonic: Duration,
    wall_s: i64,
    sessions: u64,
}

impl Host {
    fn new(plan: Arc<Plan>) -> Self {
        let mut host = Self {
            directory: tempfile::tempdir().unwrap(),
            spool: None,
            session: None,
            plan,
            unsettled: Vec::new(),
            monotonic: Duration::ZERO,
            wall_s: 0,
            sessions: 0,
        };
        host.open_spool();
        host
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("spool.db")
    }

    fn open_spool(&mut self) {
        self.spool = Some(Spool::open(self.path(), Options::new("lab", vec!["lis".to_owned()])).unwrap());
    }

    fn reader(&self) -> Reader {
        self.spool.as_ref().unwrap().handle().reader().unwrap()
    }

    fn now(&self) -> Now {
        Now { monotonic: self.monotonic, wall: Timestamp::from_second(self.wall_s).unwrap() }
    }

    fn stamp(&self) -> Stamp {
        Stamp { monotonic_ns: u64::try_from(self.monotonic.as_nanos()).unwrap(), wall_ms: self.wall_s * 1000 }
    }

    /// Somebody sets the wall clock.
    fn set_clock(&mut self, days: i64) {
        self.wall_s += days * DAY;
    }

    /// The analyzer dials in.
    fn answer_the_line(&mut self) {
        let first_transmission = self.reader().next_transmission(CONNECTION).unwrap();
        self.sessions += 1;
        let mut session = Session::new(Settings {
            plan: Arc::clone(&self.plan),
            identity: labwire_session::Identity::Hold,
            strict: None,
            transport: ErrorMode::Close,
            zone: TimeZone::UTC,
            first_transmission,
            control_id_prefix: format!("{}-", self.sessions),
            message_bytes_max: 1 << 20,
        });
        for (transmission, raw, last) in &self.unsettled {
            session.remember_incomplete(*transmission, raw.clone(), *last);
        }
        session.handle(self.now(), Input::StoreReady(true));
        self.session = Some(session);
    }

    /// The line is gone.
    fn lose_the_line(&mut self) {
        self.tell(Input::Closed);
        self.session = None;
    }

    /// The daemon is killed and started again.
    fn die(&mut self) {
        self.session = None;
        self.spool = None;
        self.monotonic = Duration::ZERO;
        self.open_spool();
        self.unsettled.clear();
        for incomplete in self.reader().incompletes(CONNECTION).unwrap() {
            let last = !incomplete.followed && !incomplete.expired;
            self.unsettled.push((incomplete.transmission, incomplete.raw, last));
        }
        let mut open = Vec::new();
        self.reader().each_open_transmission(|one| open.push(one)).unwrap();
        for one in open {
            let frames: Vec<_> = one
                .frames
                .into_iter()
                .map(|frame| RecoveredFrame {
                    number: frame.number,
                    ends_chain: frame.ends_chain,
                    bytes: frame.bytes,
                })
                .collect();
            self.answer_the_line();
            let incomplete = self.session.take().unwrap().recover(one.transmission, &frames);
            self.close_incomplete(incomplete);
        }
    }

    fn close_incomplete(&mut self, incomplete: Incomplete) {
        self.unsettled.push((incomplete.transmission, incomplete.raw.clone(), true));
        let close = CloseIncomplete {
            connection: CONNECTION.to_owned(),
            transmission: incomplete.transmission,
            raw: incomplete.raw,
            decoded: incomplete.decoded,
            driver: "bench/bench".to_owned(),
            driver_version: "1".to_owned(),
            sinks: vec!["lis".to_owned()],
            at: self.stamp(),
        };
        let handle = self.spool.as_ref().unwrap().handle();
        handle.wait(|spool, reply| spool.close_incomplete(close, reply)).unwrap();
    }

    /// Gives the session what it hears and does what it asks; answers what it says.
    fn tell(&mut self, input: Input<'_>) -> Vec<u8> {
        let now = self.now();
        let mut session = self.session.take().unwrap();
        session.handle(now, input);
        let mut said = Vec::new();
        while let Some(effect) = session.poll_effect() {
            match effect {
                Effect::Persist(persist) => {
                    let token = persist.token;
                    self.persist(*persist);
                    session.persisted(now, token);
                }
                Effect::Incomplete(incomplete) => self.close_incomplete(*incomplete),
                Effect::Note(_) | Effect::Close(_) => {}
            }
        }
        while session.poll_transmit(&mut said) {}
        self.session = Some(session);
        said
    }

    fn persist(&mut self, persist: labwire_session::Persist) {
        let mut completes = Vec::new();
        for message in persist.completes {
            for resolves in &message.resolves {
                self.unsettled.retain(|(transmission, ..)| *transmission != resolves.transmission);
            }
            self.unsettled.iter_mut().for_each(|(.., last)| *last = false);
            completes.push(MessageRecord {
                raw: message.raw,
                decoded: message.decoded,
                driver: "bench/bench".to_owned(),
                driver_version: "1".to_owned(),
                resolves: message
                    .resolves
                    .iter()
                    .map(|resolves| labwire_store::Resolves {
                        transmission: resolves.transmission,
                        how: match resolves.how {
                            Resolution::Superseded => labwire_store::Resolution::Superseded,
                            Resolution::Resumed => labwire_store::Resolution::Resumed,
                        },
                    })
                    .collect(),
                previous_reply_received: message.previous_reply_received,
                sinks: vec!["lis".to_owned()],
            });
        }
        let request = Persist {
            connection: CONNECTION.to_owned(),
            transmission: persist.transmission,
            frame: FrameRecord {
                number: persist.frame.number,
                ends_chain: persist.frame.ends_chain,
                bytes: persist.frame.bytes,
                at: self.stamp(),
            },
            completes,
            carry: persist.carry,
        };
        let handle = self.spool.as_ref().unwrap().handle();
        handle.wait(|spool, reply| spool.persist(request, reply)).unwrap();
    }

    /// How often each (specimen, test, value, time) goes to the LIS.
    fn filed(&self) -> BTreeMap<[String; 4], usize> {
        let mut filed = BTreeMap::new();
        for delivery in self.reader().next_batch("lis", usize::MAX).unwrap().deliveries {
            for observation in delivery.observations {
                let part = |part: Option<String>| part.unwrap_or_default();
                let key = [
                    part(observation.specimen_id),
                    part(observation.analyzer_test),
                    part(observation.value),
                    part(observation.observed_at_verbatim),
                ];
                *filed.entry(key).or_insert(0) += 1;
            }
        }
        filed
    }
}

/// What happens to one attempt to send a message.
#[derive(Clone, Copy, Debug)]
struct Break {
    /// Records that are sent before the line is lost; at most all but the last.
    after: usize,
    /// The reply to the last of them is lost with the line.
    reply_is_lost: bool,
    host: Meanwhile,
}

/// What the host does before the analyzer is back.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    LosesTheLine,
    Dies,
    DiesAndSetsItsClock(i64),
    SetsItsClock(i64),
}

/// What the analyzer does after its line broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    RepeatsAll,
    /// LIS02-A2 §4.2.2.
    GoesOn,
    GivesUp,
}

/// One measurement run and how it gets to the host.
#[derive(Clone, Debug)]
struct Run {
    /// Results of each order.
    orders: Vec<usize>,
    /// It measures the values of the run before again, at another time.
    same_values: bool,
    breaks: Vec<Break>,
    sender: Sender,
    /// The reply to the terminator is lost so many times, and all is sent again.
    again: Vec<Meanwhile>,
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        3 => Just(Meanwhile::LosesTheLine),
        2 => Just(Meanwhile::Dies),
        1 => (-30..30i64).prop_map(Meanwhile::DiesAndSetsItsClock),
        1 => (-30..30i64).prop_map(Meanwhile::SetsItsClock),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let broken = (0..12usize, any::<bool>(), meanwhile()).prop_map(|(after, reply_is_lost, host)| Break {
        after,
        reply_is_lost,
        host,
    });
    let sender =
        prop_oneof![2 => Just(Sender::RepeatsAll), 2 => Just(Sender::GoesOn), 1 => Just(Sender::GivesUp)];
    (
        proptest::collection::vec(1..4usize, 1..4),
        any::<bool>(),
        proptest::collection::vec(broken, 0..3),
        sender,
        proptest::collection::vec(meanwhile(), 0..3),
    )
        .prop_map(|(orders, same_values, breaks, sender, again)| Run {
            orders,
            same_values,
            breaks,
            sender,
            again,
        })
}

/// The records of a run with their levels; the header's time is put in when it is sent.
fn records(run: &Run, number: usize, values: usize) -> Vec<(String, u8)> {
    let mut records = vec![("H|\\^&|||A|||||||P|1|".to_owned(), 0), ("P|1".to_owned(), 1)];
    for (order, results) in run.orders.iter().enumerate() {
        records.push((format!("O|{}|S{order}", order + 1), 2));
        for result in 0..*results {
            let time = format!("202603{:02}08{order:02}{result:02}", number + 1);
            let value = format!("{values}.{order}{result}");
            records.push((format!("R|{}|^^^T{result}|{value}|||||F||||{time}", result + 1), 3));
        }
    }
    records.push(("L|1|N".to_owned(), 0));
    records
}

/// What must be filed of a run.
fn observations(run: &Run, number: usize, values: usize) -> impl Iterator<Item = [String; 4]> + use<> {
    let orders = run.orders.clone();
    orders.into_iter().enumerate().flat_map(move |(order, results)| {
        (0..results).map(move |result| {
            [
                format!("S{order}"),
                format!("T{result}"),
                format!("{values}.{order}{result}"),
                format!("202603{:02}08{order:02}{result:02}", number + 1),
            ]
        })
    })
}

fn meantime(host: &mut Host, meanwhile: Meanwhile) {
    match meanwhile {
        Meanwhile::LosesTheLine => host.lose_the_line(),
        Meanwhile::Dies => host.die(),
        Meanwhile::DiesAndSetsItsClock(days) => {
            host.die();
            host.set_clock(days);
        }
        Meanwhile::SetsItsClock(days) => {
            host.lose_the_line();
            host.set_clock(days);
        }
    }
    host.monotonic += Duration::from_secs(60);
    host.wall_s += 60;
}

/// Sends records of a message over a line of its own, each in its frame. Every reply is positive.
fn sends(host: &mut Host, records: &[(String, u8)], places: &[usize], attempt: usize) {
    host.answer_the_line();
    assert_eq!(host.tell(Input::Bytes(b"\x05")), b"\x06", "the bid");
    for (number, place) in (1..).zip(places) {
        let (record, _) = &records[*place];
        let time = if *place == 0 { format!("2026030209{attempt:04}") } else { String::new() };
        let mut frame = Vec::new();
        write_frame(&mut frame, number % 8, format!("{record}{time}\r").as_bytes(), UnitEnd::End);
        assert_eq!(host.tell(Input::Bytes(&frame)), b"\x06", "{record}");
    }
}

/// Plays a run; answers whether the analyzer was told that everything arrived.
fn play(host: &mut Host, run: &Run, records: &[(String, u8)]) -> bool {
    let mut attempt = 0;
    // What the analyzer knows to be acknowledged, and how much of the message it has sent.
    let mut known = 0;
    let mut breaks = run.breaks.iter();
    // A sender that goes on does so once: after a second break it repeats everything.
    let mut goes_on = run.sender == Sender::GoesOn;
    loop {
        let places: Vec<usize> = if attempt > 0 && goes_on {
            let mut saved = Saved::new();
            records[..known].iter().for_each(|(_, level)| {
                saved.push(*level);
            });
            goes_on = false;
            saved.repeated(records[known].1).into_iter().chain(known..records.len()).collect()
        } else {
            (0..records.len()).collect()
        };
        attempt += 1;
        let Some(broken) = breaks.next() else {
            sends(host, records, &places, attempt);
            break;
        };
        let sent = broken.after.min(places.len() - 1);
        sends(host, records, &places[..sent], attempt);
        let heard = sent.saturating_sub(usize::from(broken.reply_is_lost));
        known = places[..heard].last().map_or(0, |place| place + 1);
        meantime(host, broken.host);
        if run.sender == Sender::GivesUp {
            return false;
        }
    }
    for meanwhile in &run.again {
        meantime(host, *meanwhile);
        attempt += 1;
        sends(host, records, &(0..records.len()).collect::<Vec<_>>(), attempt);
    }
    host.tell(Input::Bytes(b"\x04"));
    host.lose_the_line();
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_acknowledged_is_filed_once(runs in proptest::collection::vec(run(), 1..5)) {
        let mut host = Host::new(plan(FRAMES));
        let mut owed = BTreeMap::new();
        let mut values = 0;
        for (number, run) in runs.iter().enumerate() {
            if !run.same_values {
                values = number;
            }
            if play(&mut host, run, &records(run, number, values)) {
                owed.extend(observations(run, number, values).map(|one| (one, 1)));
            }
        }
        prop_assert_eq!(host.filed(), owed);
        prop_assert_eq!(&host.reader().ledger().unwrap().differences, &[]);
    }

    #[test]
    fn a_block_is_filed_once_under_each_body(
        blocks in proptest::collection::vec((0..3u8, 0..3u8, proptest::collection::vec(meanwhile(), 0..3)), 1..4),
    ) {
        let mut host = Host::new(plan(BLOCKS));
        let mut owed = BTreeMap::new();
        for (id, value, again) in blocks {
            let body = format!(
                "MSH|^~\\&|A|L|H|L|20260302081407||ORU^R01|M{id}|P|2.3.1\rPID|1\rOBR|1||S{id}\r\
                 OBX|1|NM|T||{value}||||||F|||20260302080000\r"
            );
            let block = [b"\x0b", body.as_bytes(), b"\x1c\r"].concat();
            for meanwhile in core::iter::once(None).chain(again.into_iter().map(Some)) {
                if let Some(meanwhile) = meanwhile {
                    meantime(&mut host, meanwhile);
                }
                host.answer_the_line();
                let reply = host.tell(Input::Bytes(&block));
                let reply = String::from_utf8_lossy(&reply).into_owned();
                let acknowledged = format!("MSA|AA|M{id}");
                prop_assert!(reply.contains(&acknowledged), "{}", reply);
            }
            host.lose_the_line();
            let key = [format!("S{id}"), "T".to_owned(), value.to_string(), "20260302080000".to_owned()];
            owed.insert(key, 1);
        }
        prop_assert_eq!(host.filed(), owed);
        prop_assert_eq!(&host.reader().ledger().unwrap().differences, &[]);
    }
}
