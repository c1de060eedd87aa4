//! What a conversation leaves to others: to the next one, to the one beside it, to the housekeeping.

use labwire_driver::Library;
use labwire_session::Input;
use labwire_store::{FrameRecord, Options, Spool, Tally};
use labwire_transport::{Connection, Peer, Received, TcpListenSettings};
use tokio::sync::mpsc;

use super::conversation::*;
use super::pace::Pace;
use super::*;
use crate::delivery::Worker;

struct Bench {
    shared: Arc<Shared>,
    spool: Spool,
    _delivery: Worker,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(persist_deadline: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new("lab", vec!["lis".to_owned()]);
        let spool = Spool::open(directory.path().join("spool.db"), options).unwrap();
        let delivery = Worker::start(spool.handle(), directory.path().join("lis.db")).unwrap();
        let settings = ConnectionSettings {
            name: "a".to_owned(),
            plan: Arc::new(Library::embedded().compile("generic/lis02").unwrap().plan.unwrap()),
            identity: Identity::Hold,
            signs: Vec::new(),
            strict: None,
            zone: TimeZone::UTC,
            plaintext: false,
            on_serial: false,
            endpoint: Endpoint::TcpListen(TcpListenSettings::new("127.0.0.1:0".parse().unwrap())),
            capture_bytes_max: None,
            peer_limits: PeerLimits::default(),
            incomplete_hold: Duration::from_secs(900),
        };
        let limits = Limits { persist_deadline, message_bytes_max: 16 << 20, drain_timeout: Duration::ZERO };
        let sinks = vec!["lis".to_owned()];
        let shared = Shared::new(settings, limits, spool.handle(), sinks, delivery.nudge(), 7);
        Self { shared: Arc::new(shared), spool, _delivery: delivery, _directory: directory }
    }

    /// Transmissions of the incomplete messages that the spool shows.
    fn incompletes(&self) -> Vec<u64> {
        let found = self.spool.handle().reader().unwrap().incompletes("a").unwrap();
        found.into_iter().map(|one| one.transmission).collect()
    }

    fn store_frame(&self, transmission: u64) {
        let frame =
            FrameRecord { number: Some(1), ends_chain: true, bytes: b"H|\\^&\r".to_vec(), at: Stamp::now() };
        let persist = labwire_store::Persist {
            connection: "a".to_owned(),
            transmission,
            frame,
            completes: Vec::new(),
            carry: None,
        };
        self.spool.handle().wait(|spool, reply| spool.persist(persist, reply)).unwrap();
    }

    /// A conversation without a wire.
    fn conversation(&self) -> (Conversation, mpsc::UnboundedReceiver<Committed>) {
        let (commits, replies) = mpsc::unbounded_channel();
        let transmissions = self.shared.draw();
        let conversation = Conversation {
            shared: Arc::clone(&self.shared),
            orders: self.shared.orders.borrow().clone(),
            session: self.shared.session(&self.shared.settings(), &transmissions),
            transmissions,
            seen: 0,
            outstanding: None,
            empty_sessions: 0,
            queries: 0,
            commits,
            pace: Pace::new(PeerLimits::default(), Instant::now()),
            closing: None,
            number: 0,
        };
        (conversation, replies)
    }

    /// A socket of the connection, and its conversation.
    fn dial(&self) -> (Connection, tokio::task::JoinHandle<()>) {
        let (ours, theirs) = Connection::pair(4096);
        assert_eq!(*theirs.peer(), Peer::Memory);
        let (_, ready) = watch::channel(true);
        (theirs, tokio::spawn(supervise(Arc::clone(&self.shared), ours, ready)))
    }
}

fn frame(number: u8, text: &str) -> Vec<u8> {
    let body = format!("{number}{text}\r\u{3}");
    let sum = body.bytes().fold(0_u8, u8::wrapping_add);
    format!("\u{2}{body}{sum:02X}\r\n").into_bytes()
}

async fn exchange(wire: &mut Connection, bytes: &[u8]) {
    wire.send(bytes, WRITE_TIMEOUT).await.unwrap();
    let mut reply = [0; 1];
    let received = tokio::time::timeout(WRITE_TIMEOUT, wire.receive(&mut reply)).await.unwrap().unwrap();
    assert_eq!((received, reply), (Received::Bytes(1), [6]));
}

#[test]
fn what_is_remembered_is_bounded_in_bytes() {
    let bench = Bench::new(WRITE_TIMEOUT);
    for transmission in 1..=6 {
        assert!(bench.shared.remember(transmission, vec![b'x'; 1 << 20], true));
    }
    bench.shared.remember(7, vec![b'x'; UNSETTLED_BYTES_MAX + 1], true);
    assert!(!bench.shared.remember(6, vec![b'x'; 1], true), "it is known");
    let remembered = bench.shared.unsettled.lock().unwrap();
    let kept: Vec<u64> = remembered.messages.iter().map(|one| one.transmission).collect();
    assert_eq!(kept, [3, 4, 5, 6]);
}

#[test]
fn a_panic_ends_its_own_work_alone() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(contained(async { 1 })), Some(1));
    let broken = contained(async {
        tokio::task::yield_now().await;
        panic!("a defect")
    });
    assert_eq!(runtime.block_on(broken), None::<()>);
}

#[test]
fn what_a_broken_conversation_leaves_is_taken_up_without_a_restart() {
    let bench = Bench::new(WRITE_TIMEOUT);
    let (broken, live) = (bench.shared.draw(), bench.shared.draw());
    bench.store_frame(broken.start + 3);
    bench.store_frame(live.start);
    bench.shared.left.add(broken.clone());
    bench.shared.take_up_left();
    bench.spool.handle().wait(|spool, reply| spool.probe(reply)).unwrap();
    assert_eq!(bench.incompletes(), [broken.start + 3]);
    let mut open = Vec::new();
    let reader = bench.spool.handle().reader().unwrap();
    reader.each_open_transmission(|one| open.push(one.transmission)).unwrap();
    assert_eq!(open, [live.start]);
}

#[test]
fn control_ids_are_not_given_again_after_a_restart() {
    let bench = Bench::new(WRITE_TIMEOUT);
    // 7 receptions are stored: the first session has been given numbers and ids already.
    assert_eq!(bench.shared.draw().start, TRANSMISSIONS_PER_SESSION);
}

#[test]
fn a_reply_that_waited_too_long_is_late_whatever_it_says() {
    let bench = Bench::new(Duration::ZERO);
    let (mut conversation, mut replies) = bench.conversation();
    conversation.tell(Input::StoreReady(true));
    conversation.tell(Input::Bytes(b"\x05"));
    conversation.tell(Input::Bytes(&frame(1, "H|\\^&")));
    let mut out = Vec::new();
    while conversation.session.poll_transmit(&mut out) {}
    conversation.carry_out();
    let (token, reply) = replies.blocking_recv().unwrap();
    assert!(reply.is_ok());
    conversation.committed(token, reply);
    while conversation.session.poll_transmit(&mut out) {}
    assert_eq!(out, b"\x06\x15");
}

#[test]
fn a_whole_repeat_beside_the_dead_line_settles_what_breaks_off_there_later() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let bench = Bench::new(WRITE_TIMEOUT);
    runtime.block_on(async {
        let (mut dead, dead_task) = bench.dial();
        exchange(&mut dead, b"\x05").await;
        exchange(&mut dead, &frame(1, "H|\\^&")).await;
        let (mut live, live_task) = bench.dial();
        exchange(&mut live, b"\x05").await;
        drop(dead);
        dead_task.await.unwrap();
        exchange(&mut live, &frame(1, "H|\\^&")).await;
        exchange(&mut live, &frame(2, "P|1")).await;
        exchange(&mut live, &frame(3, "L|1|N")).await;
        drop(live);
        live_task.await.unwrap();
    });
    assert_eq!(bench.incompletes(), [] as [u64; 0]);
}

#[test]
fn a_line_full_of_empty_sessions_takes_one_place_in_the_queue() {
    let bench = Bench::new(WRITE_TIMEOUT);
    let (mut conversation, _replies) = bench.conversation();
    conversation.tell(Input::StoreReady(true));
    conversation.tell(Input::Bytes(&b"\x05\x04".repeat(READ_BYTES / 2)));
    let before = bench.spool.handle().commit_stats().requests;
    conversation.carry_out();
    bench.spool.handle().wait(|spool, reply| spool.probe(reply)).unwrap();
    bench.spool.handle().wait(|spool, reply| spool.probe(reply)).unwrap();
    let stats = bench.spool.handle().commit_stats();
    assert!(stats.requests - before <= 3, "{stats:?}");
    let ledger = bench.spool.handle().reader().unwrap().ledger().unwrap();
    assert_eq!(ledger.tallies["a"][&Tally::EmptySessions], 2048);
}
