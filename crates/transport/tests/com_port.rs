//! Serial ports behind terminal servers, set over real TCP (RFC 2217).

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise")]

use std::thread;
use std::time::Duration;

use labwire_testkit::{Manners, SerialSide, TerminalServer};
use labwire_transport::{
    Backoff, BackoffSettings, CharacterError, ComPortError, Connection, DataBits, Flow, LineSettings, Opener,
    Parity, Received, StopBits, TcpConnectSettings, connect,
};

fn settings(server: &TerminalServer, line: LineSettings) -> TcpConnectSettings {
    TcpConnectSettings {
        com_port: Some(line),
        ..TcpConnectSettings::new(server.address().unwrap().to_string())
    }
}

/// A client at the port of a terminal server, and what stands at its serial side.
async fn connected(line: LineSettings) -> (Connection, SerialSide) {
    let server = TerminalServer::bind().unwrap();
    let dial = settings(&server, line);
    let serial = thread::spawn(move || server.accept(Manners::Obliging).unwrap());
    let host = connect(&dial).await.unwrap();
    (host, serial.join().unwrap())
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
async fn the_port_is_set_as_configured_and_every_byte_passes_unchanged_both_ways() {
    let line = LineSettings {
        baud: 4800,
        data_bits: DataBits::Seven,
        parity: Parity::Even,
        stop_bits: StopBits::Two,
        flow: Flow::Hardware,
    };
    let (mut host, mut serial) = connected(line).await;
    let asked: Vec<(u8, u32)> = serial.asked().iter().map(|(command, value)| (*command, *value)).collect();
    assert_eq!(asked, [(1, 4800), (2, 7), (3, 3), (4, 2), (5, 3), (10, 0x1e), (11, 0)]);

    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    serial.send(&all).unwrap();
    assert_eq!(receive(&mut host, all.len()).await, all);
    host.send(&all, Duration::from_secs(10)).await.unwrap();
    assert_eq!(serial.receive(all.len()).unwrap(), all);
}

#[tokio::test]
async fn a_parity_error_at_the_port_is_reported_at_its_place_and_the_line_goes_on() {
    let (mut host, mut serial) = connected(LineSettings::default()).await;
    serial.send(b"\x021H").unwrap();
    serial.command(106, &[0x04]).unwrap();
    serial.send(b"|\xff").unwrap();
    serial.command(106, &[0x10]).unwrap();
    serial.send(b"&").unwrap();
    assert_eq!(receive(&mut host, 3).await, b"\x021H");
    let mut buffer = [0; 8];
    let unlocated = Received::CharacterError(CharacterError::Unlocated);
    assert_eq!(host.receive(&mut buffer).await.unwrap(), unlocated);
    assert_eq!(receive(&mut host, 2).await, b"|\xff");
    let broken = Received::CharacterError(CharacterError::Break);
    assert_eq!(host.receive(&mut buffer).await.unwrap(), broken);
    assert_eq!(receive(&mut host, 1).await, b"&");
}

#[tokio::test]
async fn a_server_that_suspends_our_data_gets_it_when_it_resumes() {
    let (mut host, mut serial) = connected(LineSettings::default()).await;
    serial.command(108, &[]).unwrap();
    serial.send(b"\x05").unwrap();
    // The byte behind the command says that the command has been read.
    assert_eq!(receive(&mut host, 1).await, b"\x05");
    let stuck = host.send(b"\x06", Duration::from_millis(50)).await;
    assert_eq!(stuck.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(serial.is_silent_for(Duration::from_millis(1)).unwrap());

    let resumed = thread::spawn(move || {
        serial.send(b"abc").unwrap();
        serial.command(109, &[]).unwrap();
        serial.receive(1).unwrap()
    });
    host.send(b"\x06", Duration::from_secs(10)).await.unwrap();
    assert_eq!(resumed.join().unwrap(), b"\x06");
    assert_eq!(receive(&mut host, 3).await, b"abc", "what came meanwhile is not lost");
}

#[tokio::test]
async fn a_server_that_refuses_is_named_retried_slowly_and_left_without_a_byte_of_data() {
    for (manners, said) in [
        (Manners::WithoutComPortControl, "refuses COM port control"),
        (Manners::AtBaud(1200), "1200 baud where 9600 baud is configured"),
    ] {
        let server = TerminalServer::bind().unwrap();
        let dial = settings(&server, LineSettings::default());
        let served = thread::spawn(move || match server.accept(manners) {
            Ok(mut serial) => {
                serial.await_close().unwrap();
                serial.early().to_vec()
            }
            Err(_) => Vec::new(),
        });
        let mut opener = Opener::tcp(dial, Backoff::new(BackoffSettings::default(), 1));
        let (told, mut failures) = tokio::sync::mpsc::unbounded_channel();
        let opening = tokio::spawn(async move {
            opener
                .open(|failure| {
                    told.send((failure.error.to_string(), failure.is_configuration, failure.pause)).unwrap();
                })
                .await
        });
        let (error, is_configuration, pause) = failures.recv().await.unwrap();
        opening.abort();
        assert!(error.contains(said), "{error}");
        assert!(is_configuration && pause >= Duration::from_secs(300), "{error}: {pause:?}");
        assert_eq!(served.join().unwrap(), b"");
    }
}

#[tokio::test]
async fn a_raw_port_is_told_from_a_refusal() {
    let server = TerminalServer::bind().unwrap();
    let dial = TcpConnectSettings {
        connect_timeout: Duration::from_millis(200),
        ..settings(&server, LineSettings::default())
    };
    let served = thread::spawn(move || {
        let mut serial = server.accept(Manners::Raw).unwrap();
        serial.send(b"\x05").unwrap();
        serial.await_close().unwrap();
    });
    let error = connect(&dial).await.unwrap_err();
    served.join().unwrap();
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<ComPortError>());
    assert_eq!(told, Some(&ComPortError::Unanswered(None)), "{error}");
}
