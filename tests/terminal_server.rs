//! Analyzers behind a terminal server whose serial port is set over the network (RFC 2217).

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test says what it waited for")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use labwire_link::{UnitEnd, write_frame};
use labwire_testkit::{Manners, SerialSide, TerminalServer};
use sender::{ACK, ENQ, EOT, NAK, PROFILE, add_profile, records};
use support::{Site, eventually};

const PARITY_ERROR: u8 = 0x04;
const NOTIFY_LINESTATE: u8 = 106;

/// A terminal server, and a site that dials it.
fn site() -> (Site, TerminalServer) {
    let server = TerminalServer::bind().unwrap();
    let mut site = Site::new();
    add_profile(&mut site);
    let address = server.address().unwrap();
    let endpoint = format!("tcp.connect = \"{address}\"\nrfc2217 = {{ baud = 4800, parity = \"even\" }}");
    site.connection("counter", PROFILE, &endpoint);
    (site, server)
}

fn frames(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let framed = |(number, record): (u8, &Vec<u8>)| {
        let mut frame = Vec::new();
        write_frame(&mut frame, number % 8, &[record.as_slice(), b"\r"].concat(), UnitEnd::End);
        frame
    };
    (1..).zip(records).map(framed).collect()
}

fn bytes(records: Vec<String>) -> Vec<Vec<u8>> {
    records.into_iter().map(String::into_bytes).collect()
}

fn answered(analyzer: &mut SerialSide, bytes: &[u8]) -> u8 {
    analyzer.send(bytes).unwrap();
    analyzer.receive(1).unwrap()[0]
}

#[test]
fn results_come_through_a_terminal_server_byte_for_byte() {
    let (site, server) = site();
    let daemon = site.start();
    let mut analyzer = server.accept(Manners::Obliging).unwrap();
    let asked: Vec<(u8, u32)> = analyzer.asked().iter().map(|(what, value)| (*what, *value)).collect();
    assert_eq!(asked, [(1, 4800), (2, 8), (3, 3), (4, 1), (5, 1), (10, 0x1e), (11, 0)]);

    let mut message = bytes(records("S-1", "5.10"));
    // FF is telnet's own sign; the frame's checksum tells whether it came through as one character.
    message.insert(4, b"C|1|I|y with diaeresis: \xff".to_vec());
    assert_eq!(answered(&mut analyzer, &[ENQ]), ACK);
    for frame in frames(&message) {
        assert_eq!(answered(&mut analyzer, &frame), ACK, "{}", frame.escape_ascii());
    }
    analyzer.send(&[EOT]).unwrap();
    site.await_lis_rows(1);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_parity_error_at_the_terminal_server_refuses_the_frame_that_it_hit() {
    let (site, server) = site();
    let daemon = site.start();
    let mut analyzer = server.accept(Manners::Obliging).unwrap();
    assert_eq!(answered(&mut analyzer, &[ENQ]), ACK);
    for (position, frame) in frames(&bytes(records("S-1", "5.10"))).iter().enumerate() {
        if position == 3 {
            // The characters are right, and so is their sum; that one was damaged is told beside them.
            let (first, rest) = frame.split_at(9);
            analyzer.send(first).unwrap();
            analyzer.command(NOTIFY_LINESTATE, &[PARITY_ERROR]).unwrap();
            assert_eq!(answered(&mut analyzer, rest), NAK);
        }
        assert_eq!(answered(&mut analyzer, frame), ACK, "{}", frame.escape_ascii());
    }
    analyzer.send(&[EOT]).unwrap();
    site.await_lis_rows(1);
    assert_eq!(site.lis_rows().values().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_terminal_server_that_runs_at_another_speed_is_named_in_the_log_and_gets_no_data() {
    let (site, server) = site();
    let daemon = site.start();
    // The daemon leaves as soon as it hears of the other speed.
    if let Ok(mut analyzer) = server.accept(Manners::AtBaud(1200)) {
        analyzer.await_close().unwrap();
        assert_eq!(analyzer.early(), b"");
    }
    let said = eventually("the log to tell of the refusal", || {
        site.log().lines().find(|line| line.contains("connection_failed")).map(str::to_owned)
    });
    assert!(said.contains("1200 baud where 4800 baud is configured"), "{said}");
    assert!(said.contains("ERROR") && said.contains("retry_seconds=300"), "{said}");
    assert_eq!(daemon.stop(), Some(0));
}
