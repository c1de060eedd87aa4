//! What one peer may take: slow senders, floods, messages without an end, silent and dead connections.
//! Each limit closes or holds up who reaches it, is counted, and costs its neighbour nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test says what it waited for")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sender::{ACK, ENQ, PROFILE, Sender, add_profile};
use support::{PATIENCE, Site, eventually, free_address, http_get};

/// A site with one connection `counter` that has these keys.
fn site(keys: &str) -> (Site, SocketAddr) {
    let mut site = Site::new();
    add_profile(&mut site);
    let address = free_address();
    site.connection("counter", PROFILE, &format!("tcp.listen = \"{address}\"\n{keys}"));
    (site, address)
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Writes a byte now and then until the host closes; how long that took.
fn dribble(stream: &mut TcpStream, byte: u8) -> Duration {
    let started = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while started.elapsed() < PATIENCE {
        if stream.write_all(&[byte]).is_err() {
            return started.elapsed();
        }
        match stream.read(&mut [0; 8]) {
            Ok(0) => return started.elapsed(),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return started.elapsed(),
        }
    }
    panic!("still open after {PATIENCE:?}");
}

fn counted(site: &Site, series: &str) -> f64 {
    let page = http_get(site.admin, "/metrics").unwrap();
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or(0.0)
}

fn reached(site: &Site, limit: &str) {
    let series = format!("labwire_limit_reached_total{{limit=\"{limit}\"}}");
    eventually(&series, || (counted(site, &series) >= 1.0).then_some(()));
}

#[test]
fn a_slow_sender_in_the_middle_of_a_frame_is_closed_and_counted() {
    let (site, address) = site("progress_timeout = \"1s\"");
    let _daemon = site.start();
    let mut slow = dial(address);
    slow.write_all(&[ENQ]).unwrap();
    slow.read_exact(&mut [0]).unwrap();
    slow.write_all(b"\x021H|\\^&|").unwrap();
    let lasted = dribble(&mut slow, b'x');
    assert!(lasted >= Duration::from_millis(900), "{lasted:?}");
    reached(&site, "progress");
}

#[test]
fn noise_that_never_becomes_a_message_is_closed_and_counted() {
    let (site, address) = site("progress_timeout = \"1s\"\nerror_mode = \"resync\"");
    let _daemon = site.start();
    let lasted = dribble(&mut dial(address), b'?');
    assert!(lasted >= Duration::from_millis(900), "{lasted:?}");
    reached(&site, "progress");
}

#[test]
fn a_message_that_goes_on_for_ever_in_good_frames_is_closed_and_counted() {
    let (site, address) = site("message_timeout = \"1s\"");
    let _daemon = site.start();
    let started = Instant::now();
    let mut sender = dial(address);
    sender.write_all(&[ENQ]).unwrap();
    let frames = (1..).map(|count: u64| {
        let mut frame = Vec::new();
        let text = if count == 1 { r"H|\^&".to_owned() } else { format!("C|{count}|I|x\r") };
        let number = u8::try_from(count % 8).unwrap();
        labwire_link::write_frame(&mut frame, number, text.as_bytes(), labwire_link::UnitEnd::End);
        frame
    });
    let mut reply = [0];
    sender.read_exact(&mut reply).unwrap();
    for frame in frames {
        assert!(started.elapsed() < PATIENCE, "still open");
        if sender.write_all(&frame).is_err() || sender.read_exact(&mut reply).is_err() {
            break;
        }
        assert_eq!(reply[0], ACK);
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
    reached(&site, "message-time");
    eventually("the message to be kept as incomplete", || {
        let series = "labwire_messages_incomplete_total{connection=\"counter\"}";
        (counted(&site, series) == 1.0).then_some(())
    });
}

#[test]
fn a_silent_peer_is_closed_only_where_the_site_says_so() {
    let (mut site, closing) = site("idle_timeout = \"1s\"");
    let patient = site.listen("patient", PROFILE);
    let _daemon = site.start();
    let (mut closed, mut kept) = (Sender::connect(closing), Sender::connect(patient));
    closed.send("S1", "5.1");
    closed.await_close();
    reached(&site, "idle");
    kept.send("S2", "5.2");
}

#[test]
fn an_analyzer_that_comes_back_takes_the_place_of_its_dead_connection() {
    let (mut site, address) = site("connections_max = 1");
    let refusing = free_address();
    let keys = format!("tcp.listen = \"{refusing}\"\nconnections_max = 1\nwhen_full = \"refuse\"");
    site.connection("refusing", PROFILE, &keys);
    let _daemon = site.start();
    let (mut dead, mut alive) = (Sender::connect(address), Sender::connect(refusing));
    dead.send("S1", "5.1");
    alive.send("S2", "5.2");
    // Turned away for as long as the other one may be alive, and let in when it is silent.
    let mut back = eventually("the analyzer to be let in again", || {
        let mut back = dial(address);
        back.write_all(&[ENQ]).ok()?;
        let mut reply = [0];
        (back.read(&mut reply).ok()? == 1 && reply[0] == ACK).then_some(back)
    });
    dead.await_close();
    back.write_all(&[0x04]).unwrap();
    let mut refused = dial(refusing);
    assert!(matches!(refused.read(&mut [0; 8]), Ok(0) | Err(_)), "a second one is let in");
    alive.send("S3", "5.3");
    let rejected = |name: &str| {
        counted(
            &site,
            &format!("labwire_connection_rejected_total{{connection=\"{name}\",reason=\"connections-max\"}}"),
        )
    };
    assert!(rejected("counter") >= 1.0 && rejected("refusing") == 1.0);
}

#[test]
fn who_connects_too_often_is_turned_away_and_a_line_that_is_open_is_not() {
    let (site, address) = site("connects_per_minute_max = 5\nconnections_max = 100");
    let _daemon = site.start();
    let mut sender = Sender::connect(address);
    let mut refused = 0;
    for _ in 0..20 {
        let mut caller = dial(address);
        caller.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        match caller.read(&mut [0; 8]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => refused += 1,
        }
    }
    assert!((15..=16).contains(&refused), "{refused} of 20");
    reached(&site, "connects-per-minute");
    sender.send("S1", "5.1");
}

#[test]
fn a_flood_is_read_at_its_rate_and_its_neighbour_is_served() {
    let (mut site, address) = site("bytes_per_second_max = 8192\nerror_mode = \"resync\"");
    let neighbour = site.listen("neighbour", PROFILE);
    let _daemon = site.start();
    let mut flood = dial(address);
    flood.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let started = Instant::now();
    let noise = [b'?'; 65_536];
    let mut sender = Sender::connect(neighbour);
    let mut round = 0;
    while started.elapsed() < Duration::from_secs(3) {
        let _ = flood.write(&noise);
        sender.send(&format!("S{round}"), "5.1");
        round += 1;
    }
    let received = counted(&site, "labwire_received_bytes_total{connection=\"counter\"}");
    let most = 8192.0 * (started.elapsed().as_secs_f64() + 1.0) + 4096.0;
    assert!(received > 8192.0 && received <= most, "{received} bytes, at most {most}");
    reached(&site, "bytes-per-second");
}

#[test]
fn a_flood_of_connects_and_noise_writes_under_ten_lines_a_minute() {
    let (site, address) = site("connects_per_minute_max = 50\nerror_mode = \"resync\"");
    let _daemon = site.start();
    for _ in 0..200 {
        // Turned away or reset while it writes: what counts is what is logged of it.
        let _ = dial(address).write_all(b"?\x05\x02noise\x03FF\r\n\x04");
    }
    reached(&site, "log-lines");
    let log = site.log();
    let lines = log.lines().filter(|line| line.contains("connection=\"counter\"")).count();
    assert!((1..10).contains(&lines), "{lines} lines:\n{log}");
}
