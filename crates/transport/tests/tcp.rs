//! TCP lines over real sockets of the loopback interface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use labwire_capture::Direction;
use labwire_transport::{
    Arrival, Backoff, BackoffSettings, Connection, Listener, Opener, Received, Recorder, Refusal, Side,
    TcpConnectSettings, TcpListenSettings, connect,
};
use tokio::io::AsyncWriteExt;

fn any_port() -> TcpListenSettings {
    TcpListenSettings::new("127.0.0.1:0".parse().unwrap())
}

fn dial(address: SocketAddr) -> TcpConnectSettings {
    TcpConnectSettings::new(address.to_string())
}

fn quick() -> Backoff {
    let settings = BackoffSettings {
        first: Duration::from_millis(20),
        factor: 2,
        max: Duration::from_millis(80),
        jitter_percent: 0,
        after_misconfiguration: Duration::from_secs(300),
    };
    Backoff::new(settings, 1)
}

async fn admitted(listener: &Listener) -> Connection {
    match listener.accept().await.unwrap() {
        Arrival::Connection(connection) => connection,
        other => panic!("{other:?}"),
    }
}

async fn refused(listener: &Listener) -> Refusal {
    match listener.accept().await.unwrap() {
        Arrival::Refused { refusal, .. } => refusal,
        other => panic!("{other:?}"),
    }
}

async fn receive(connection: &mut Connection, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 512];
    while all.len() < count {
        match connection.receive(&mut buffer).await.unwrap() {
            Received::Bytes(count) => all.extend_from_slice(&buffer[..count]),
            other => panic!("{other:?} after {all:?}"),
        }
    }
    all
}

#[tokio::test]
async fn a_caller_from_another_network_is_turned_away_and_sees_the_line_close() {
    let settings = TcpListenSettings { allow: vec!["10.20.0.0/16".parse().unwrap()], ..any_port() };
    let listener = Listener::bind(settings).unwrap();
    let settings = dial(listener.local_addr().unwrap());
    let (caller, refusal) = tokio::join!(connect(&settings), refused(&listener));
    assert_eq!(refusal, Refusal::NotAllowed);
    let end = caller.unwrap().receive(&mut [0; 8]).await;
    assert!(matches!(end, Ok(Received::Closed) | Err(_)), "{end:?}");
    assert_eq!(listener.connections(), 0);
}

#[tokio::test]
async fn a_caller_beyond_the_limit_is_turned_away_until_a_place_is_free() {
    let listener = Listener::bind(TcpListenSettings { connections_max: 1, ..any_port() }).unwrap();
    let settings = dial(listener.local_addr().unwrap());
    let (_first_caller, first) = tokio::join!(connect(&settings), admitted(&listener));
    assert_eq!(listener.connections(), 1);
    let (_second_caller, refusal) = tokio::join!(connect(&settings), refused(&listener));
    assert_eq!(refusal, Refusal::Full { connections_max: 1 });
    drop(first);
    let (_third_caller, _third) = tokio::join!(connect(&settings), admitted(&listener));
    assert_eq!(listener.connections(), 1);
}

#[tokio::test]
async fn a_port_can_be_bound_again_at_once_after_we_closed_its_connections() {
    let listener = Listener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    let settings = dial(address);
    let (caller, accepted) = tokio::join!(connect(&settings), admitted(&listener));
    // The side that closes first keeps the address in TIME_WAIT.
    drop(accepted);
    assert_eq!(caller.unwrap().receive(&mut [0; 8]).await.unwrap(), Received::Closed);
    drop(listener);
    let listener = Listener::bind(TcpListenSettings::new(address)).unwrap();
    let (_caller, _accepted) = tokio::join!(connect(&settings), admitted(&listener));
}

#[tokio::test]
async fn an_orderly_close_and_a_reset_are_told_apart() {
    let listener = Listener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    for (linger, orderly) in [(None, true), (Some(Duration::ZERO), false)] {
        let (caller, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), admitted(&listener));
        let caller = caller.unwrap();
        socket2::SockRef::from(&caller).set_linger(linger).unwrap();
        drop(caller);
        let mut accepted = accepted;
        let end = accepted.receive(&mut [0; 8]).await;
        match orderly {
            true => assert_eq!(end.unwrap(), Received::Closed),
            false => assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

#[tokio::test]
async fn an_opener_keeps_dialling_until_somebody_listens_and_tells_of_each_failure() {
    let reserved = Listener::bind(any_port()).unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let mut opener = Opener::tcp(dial(address), quick());
    let mut failures = Vec::new();
    let mut listener = None;
    let connection = opener
        .open(|failure| {
            failures.push((failure.attempt, failure.pause, failure.error.kind()));
            if failure.attempt == 3 {
                listener = Some(Listener::bind(TcpListenSettings::new(address)).unwrap());
            }
        })
        .await;
    assert_eq!(connection.peer().to_string(), address.to_string());
    let kind = std::io::ErrorKind::ConnectionRefused;
    let expected = [20, 40, 80].map(Duration::from_millis);
    assert_eq!(failures, [(1, expected[0], kind), (2, expected[1], kind), (3, expected[2], kind)]);
}

#[tokio::test]
async fn a_peer_that_hangs_up_at_once_is_dialled_with_growing_pauses() {
    let listener = Listener::bind(any_port()).unwrap();
    let mut opener = Opener::tcp(dial(listener.local_addr().unwrap()), quick());
    let started = Instant::now();
    for _ in 0..4 {
        let mut connection = opener.open(|failure| panic!("{failure:?}")).await;
        drop(admitted(&listener).await);
        assert_eq!(connection.receive(&mut [0; 8]).await.unwrap(), Received::Closed);
    }
    let least = Duration::from_millis(20 + 40 + 80);
    assert!(started.elapsed() >= least, "four connections within {:?}", started.elapsed());
}

#[tokio::test]
async fn every_byte_of_both_directions_is_recorded_in_order() {
    let listener = Listener::bind(any_port()).unwrap();
    let settings = dial(listener.local_addr().unwrap());
    let (caller, host) = tokio::join!(connect(&settings), admitted(&listener));
    let (mut caller, mut host) = (caller.unwrap(), host);
    let recorders = [Recorder::new(Side::Analyzer, 1 << 20), Recorder::new(Side::Host, 1 << 20)];
    caller.record(recorders[0].clone());
    host.record(recorders[1].clone());
    recorders[1].event("open");
    for (question, answer) in [(&b"\x05"[..], b"\x06"), (b"\x021H|\\^&\r\x03E5\r\n", b"\x15")] {
        caller.write_all(question).await.unwrap();
        assert_eq!(receive(&mut host, question.len()).await, question);
        host.write_all(answer).await.unwrap();
        assert_eq!(receive(&mut caller, 1).await, answer);
    }
    for recorder in &recorders {
        let ring = recorder.ring();
        let entries = ring.entries().filter(|entry| entry.direction() != Direction::Event);
        let seen: Vec<_> = entries.map(|entry| (entry.direction(), entry.bytes())).collect();
        let expected: [(Direction, &[u8]); 4] = [
            (Direction::ToHost, b"\x05"),
            (Direction::ToAnalyzer, b"\x06"),
            (Direction::ToHost, b"\x021H|\\^&\r\x03E5\r\n"),
            (Direction::ToAnalyzer, b"\x15"),
        ];
        assert_eq!(seen, expected);
        let offsets: Vec<_> = ring.entries().map(|entry| entry.offset).collect();
        assert!(offsets.is_sorted(), "{offsets:?}");
    }
    assert_eq!(recorders[1].ring().entries().next().unwrap().bytes(), b"open");
}

#[tokio::test]
async fn a_connection_in_memory_carries_bytes_both_ways() {
    let (mut left, mut right) = Connection::pair(64);
    left.write_all(b"\x05").await.unwrap();
    assert_eq!(receive(&mut right, 1).await, b"\x05");
    drop(left);
    assert_eq!(right.receive(&mut [0; 8]).await.unwrap(), Received::Closed);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_does_not_hold_the_sender() {
    let (mut left, mut right) = Connection::pair(16);
    left.send(&[b'x'; 16], Duration::from_secs(5)).await.unwrap();
    let stuck = left.send(&[b'y'; 64], Duration::from_millis(20)).await;
    assert_eq!(stuck.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(receive(&mut right, 16).await, [b'x'; 16]);
}
