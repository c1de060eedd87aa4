//! Serial lines over real pseudo-terminals.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise")]

use std::path::Path;
use std::time::Duration;

use labwire_transport::{
    Backoff, BackoffSettings, Connection, DataBits, Flow, LineSettings, Opener, Parity, Peer, PseudoTerminal,
    Received, SerialError, SerialSettings, SerialWire, Wire,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn port(path: &Path) -> SerialSettings {
    SerialSettings::new(path)
}

fn opener(path: &Path) -> Opener {
    let settings = BackoffSettings {
        first: Duration::from_millis(5),
        factor: 1,
        max: Duration::from_millis(5),
        jitter_percent: 0,
        after_misconfiguration: Duration::from_secs(300),
    };
    Opener::serial(port(path), Backoff::new(settings, 1))
}

async fn receive(connection: &mut Connection, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 100];
    while all.len() < count {
        match connection.receive(&mut buffer).await.unwrap() {
            Received::Bytes(count) => all.extend_from_slice(&buffer[..count]),
            other => panic!("{other:?} after {all:?}"),
        }
    }
    all
}

#[tokio::test]
async fn every_byte_passes_unchanged_in_both_directions() {
    let mut analyzer = PseudoTerminal::open().unwrap();
    let wire = SerialWire::open(&port(analyzer.path())).unwrap();
    let mut host = Connection::new(Wire::Serial(wire), Peer::Device(analyzer.path().to_owned()));
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    analyzer.write_all(&all).await.unwrap();
    assert_eq!(receive(&mut host, all.len()).await, all);
    host.write_all(&all).await.unwrap();
    let mut back = vec![0; all.len()];
    analyzer.read_exact(&mut back).await.unwrap();
    assert_eq!(back, all);
}

#[tokio::test]
async fn what_the_analyzer_sent_before_the_port_was_open_is_not_echoed_back() {
    let mut analyzer = PseudoTerminal::open().unwrap();
    analyzer.write_all(b"\x05").await.unwrap();
    let wire = SerialWire::open(&port(analyzer.path())).unwrap();
    let mut host = Connection::new(Wire::Serial(wire), Peer::Memory);
    assert_eq!(receive(&mut host, 1).await, b"\x05");
    host.write_all(b"\x06").await.unwrap();
    let mut reply = [0; 2];
    assert_eq!(analyzer.read(&mut reply).await.unwrap(), 1, "{reply:02x?}");
    assert_eq!(reply[0], 0x06);
}

#[tokio::test]
async fn a_port_that_does_not_run_as_configured_is_refused() {
    let analyzer = PseudoTerminal::open().unwrap();
    let with = |line| SerialSettings { line, ..port(analyzer.path()) };
    let parity = LineSettings { parity: Parity::Even, ..LineSettings::default() };
    let seven = LineSettings { data_bits: DataBits::Seven, ..LineSettings::default() };
    for line in [parity, seven] {
        let error = SerialWire::open(&with(line)).unwrap_err();
        assert!(matches!(error, SerialError::Refused(..)), "{error}");
    }
    let fast = LineSettings { flow: Flow::Software, baud: 115_200, ..LineSettings::default() };
    SerialWire::open(&with(fast)).unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_refused_and_free_again_when_its_holder_lets_go() {
    let analyzer = PseudoTerminal::open().unwrap();
    let holder = SerialWire::open(&port(analyzer.path())).unwrap();
    let error = SerialWire::open(&port(analyzer.path())).unwrap_err();
    assert!(matches!(error, SerialError::Busy(..)), "{error}");
    drop(holder);
    SerialWire::open(&port(analyzer.path())).unwrap();
}

#[tokio::test]
async fn what_is_no_serial_port_is_named_for_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let absent = SerialWire::open(&port(&directory.path().join("ttyUSB7"))).unwrap_err();
    assert!(matches!(absent, SerialError::Absent(_)), "{absent}");
    let file = directory.path().join("notes");
    std::fs::write(&file, "x").unwrap();
    let file = SerialWire::open(&port(&file)).unwrap_err();
    assert!(matches!(file, SerialError::Refused(..)), "{file}");
}

#[tokio::test]
async fn a_replugged_adapter_is_found_under_its_new_name_by_the_same_path() {
    let directory = tempfile::tempdir().unwrap();
    let by_id = directory.path().join("usb-adapter-if00-port0");
    let mut analyzer = PseudoTerminal::open().unwrap();
    std::os::unix::fs::symlink(analyzer.path(), &by_id).unwrap();
    let mut opener = opener(&by_id);

    let mut host = opener.open(|failure| panic!("{}", failure.error)).await;
    assert_eq!(host.peer().to_string(), by_id.display().to_string());
    analyzer.write_all(b"\x05").await.unwrap();
    assert_eq!(receive(&mut host, 1).await, b"\x05");

    drop(analyzer);
    assert_eq!(host.receive(&mut [0; 8]).await.unwrap(), Received::Closed);
    drop(host);
    std::fs::remove_file(&by_id).unwrap();

    let mut replugged = PseudoTerminal::open().unwrap();
    let mut absent = 0;
    let mut host = opener
        .open(|failure| {
            assert_eq!(failure.error.kind(), std::io::ErrorKind::NotFound, "{}", failure.error);
            absent += 1;
            if absent == 3 {
                std::os::unix::fs::symlink(replugged.path(), &by_id).unwrap();
            }
        })
        .await;
    assert_eq!(absent, 3);
    replugged.write_all(b"\x05\x04").await.unwrap();
    assert_eq!(receive(&mut host, 2).await, b"\x05\x04");
}

#[tokio::test]
async fn a_line_whose_plug_is_pulled_ends_and_does_not_spin() {
    let analyzer = PseudoTerminal::open().unwrap();
    let wire = SerialWire::open(&port(analyzer.path())).unwrap();
    let mut host = Connection::new(Wire::Serial(wire), Peer::Memory);
    let (end, ()) = tokio::join!(async { host.receive(&mut [0; 8]).await }, async {
        tokio::task::yield_now().await;
        drop(analyzer);
    });
    assert_eq!(end.unwrap(), Received::Closed);
    assert!(host.write_all(b"\x06").await.is_err(), "written into nowhere");
}

#[tokio::test]
async fn an_analyzer_that_stops_the_flow_for_ever_does_not_hold_the_host() {
    let mut analyzer = PseudoTerminal::open().unwrap();
    let line = LineSettings { flow: Flow::Software, ..LineSettings::default() };
    let wire = SerialWire::open(&SerialSettings { line, ..port(analyzer.path()) }).unwrap();
    let mut host = Connection::new(Wire::Serial(wire), Peer::Memory);
    let (xoff, large) = (0x13, [b'x'; 1 << 17]);
    analyzer.write_all(&[xoff]).await.unwrap();
    let stuck = host.send(&large, Duration::from_millis(50)).await;
    assert_eq!(stuck.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}
