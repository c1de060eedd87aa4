//! Verdicts, timers, limits and named tolerances of the LIS01 receiver.

use core::time::Duration;

use labwire_link::{EndReason, Event, Input, LinkSettings, Lis01Settings, Tolerance, UnitEnd, write_frame};
use labwire_testkit::{Bench, Judge, control_names, from_control_names};

fn bench() -> Bench {
    Bench::new(LinkSettings::Lis01(Lis01Settings::default()))
}

/// A frame as it goes over the wire, with control characters by name.
fn frame(number: u8, text: &str) -> String {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, number, format!("{text}\r").as_bytes(), UnitEnd::End);
    control_names(&bytes)
}

/// Header, patient, order, result and terminator, a frame each.
fn session() -> Vec<String> {
    ["H|\\^&|||A", "P|1", "O|1|S7||^^^GLU", "R|1|^^^GLU|5.4|mmol/L||N||F", "L|1|N"]
        .iter()
        .zip(1..)
        .map(|(record, number)| frame(number, record))
        .collect()
}

const RECORDS: [&str; 5] =
    ["H|\\^&|||A<CR>", "P|1<CR>", "O|1|S7||^^^GLU<CR>", "R|1|^^^GLU|5.4|mmol/L||N||F<CR>", "L|1|N<CR>"];

fn ended(bench: &Bench) -> Vec<EndReason> {
    let reason = |event: &Event| match event {
        Event::Ended(reason) => Some(*reason),
        _ => None,
    };
    bench.events.iter().filter_map(reason).collect()
}

#[test]
fn nothing_is_acknowledged_before_the_verdict() {
    let mut bench = bench();
    bench.judge = Judge::Waits;
    bench.feed("<ENQ>").written();
    bench.feed(&session()[0]);
    assert_eq!(bench.written(), "");
    bench.wait(Duration::from_secs(9));
    assert_eq!(bench.written(), "");
    assert_eq!(bench.accept().written(), "<ACK>");
}

#[test]
fn a_late_verdict_is_a_refusal_and_never_an_acknowledgement() {
    let mut bench = bench();
    bench.judge = Judge::Waits;
    bench.feed("<ENQ>").feed(&session()[0]).written();
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.written(), "<NAK>");
    assert_eq!(bench.accept().written(), "", "the sender has its answer");
    bench.feed(&session()[0]);
    assert_eq!(bench.accept().written(), "<ACK>");
    assert_eq!(bench.faults(), ["verdict-late"]);
}

#[test]
fn a_refused_frame_is_expected_again() {
    let mut bench = bench();
    bench.judge = Judge::Waits;
    bench.feed("<ENQ>").feed(&session()[0]).written();
    assert_eq!(bench.refuse().written(), "<NAK>");
    bench.feed(&session()[0]);
    assert_eq!(bench.accept().written(), "<ACK>");
}

#[test]
fn the_end_of_the_session_waits_behind_the_verdict() {
    let mut bench = bench();
    bench.judge = Judge::Waits;
    bench.feed("<ENQ>").written();
    bench.feed(&session()[0]).feed("<EOT>");
    assert!(ended(&bench).is_empty());
    assert_eq!(bench.accept().written(), "<ACK>");
    assert_eq!(ended(&bench), [EndReason::Eot]);
}

#[test]
fn a_close_waits_behind_the_verdict() {
    let mut bench = bench();
    bench.judge = Judge::Waits;
    bench.feed("<ENQ>").feed(&session()[..2].concat());
    bench.handle(Input::Closed);
    bench.accept().accept();
    assert_eq!(bench.units(), RECORDS[..2]);
    assert_eq!(ended(&bench), [EndReason::ConnectionLost]);
}

#[test]
fn a_frame_that_stalls_is_dropped_and_the_session_ends_thirty_seconds_after_its_last_byte() {
    let mut bench = bench();
    bench.feed("<ENQ><STX>1H|").written();
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.faults(), ["frame-stalled"]);
    bench.wait(Duration::from_secs(19));
    assert!(ended(&bench).is_empty());
    bench.wait(Duration::from_secs(1));
    assert_eq!(ended(&bench), [EndReason::Timeout]);
    assert_eq!(bench.written(), "");
}

#[test]
fn a_slow_long_frame_outlives_the_receive_timeout_while_it_makes_progress() {
    let mut bench = bench();
    let whole = frame(1, "R|1|^^^GLU|5.4");
    bench.feed("<ENQ>");
    let bytes = from_control_names(&whole);
    for byte in bytes {
        bench.wait(Duration::from_secs(9));
        if byte == b'\n' {
            break;
        }
        bench.handle(Input::Bytes(&[byte]));
    }
    assert_eq!(bench.written(), "<ACK><ACK>");
    assert_eq!(bench.units(), ["R|1|^^^GLU|5.4<CR>"]);
}

#[test]
fn a_frame_cut_by_another_frame_costs_only_itself() {
    let mut bench = bench();
    bench.feed("<ENQ><STX>1H|cut of").feed(&session()[0]);
    assert_eq!(bench.written(), "<ACK><ACK>");
    assert_eq!(bench.faults(), ["frame-restarted"]);
    assert_eq!(bench.units(), RECORDS[..1]);
}

#[test]
fn a_fault_names_the_place_of_its_frame_in_the_stream() {
    let mut bench = bench();
    bench.feed("<ENQ>").feed(&frame(1, "H|")).feed("<STX>2P<CR><ETX>00<CR><LF>");
    let faults = bench.fault_details();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].at, 11, "ENQ, ten bytes of frame, then its STX");
    assert!(faults[0].to_string().ends_with("at byte 11 (LIS01-A2 6.3.3.1); answered NAK"), "{}", faults[0]);
}

#[test]
fn a_store_that_cannot_commit_refuses_bids_and_says_so() {
    let mut bench = bench();
    bench.handle(Input::Ready(false));
    assert_eq!(bench.feed("<ENQ>").written(), "<NAK>");
    assert_eq!(bench.faults(), ["not-ready"]);
    bench.handle(Input::Ready(true));
    assert_eq!(bench.feed("<ENQ>").written(), "<ACK>");
}

#[test]
fn a_session_without_a_bid_is_followed_where_tolerated() {
    let settings = Lis01Settings::default();
    let tolerate = settings.tolerate.with(Tolerance::SessionWithoutEnq);
    let mut bench = Bench::new(LinkSettings::Lis01(Lis01Settings { tolerate, ..settings }));
    assert_eq!(bench.feed(&session().concat()).feed("<EOT>").written(), "<ACK>".repeat(5));
    assert_eq!(bench.units(), RECORDS);
    assert_eq!(bench.tolerated(), [Tolerance::SessionWithoutEnq]);
}

#[test]
fn constant_frame_numbers_are_followed_where_tolerated_and_repeats_known_by_content() {
    let settings = Lis01Settings::default();
    let tolerate = settings.tolerate.with(Tolerance::FrameNumberAny);
    let mut bench = Bench::new(LinkSettings::Lis01(Lis01Settings { tolerate, ..settings }));
    bench.feed("<ENQ>");
    for record in ["H|", "P|1", "P|1", "L|1"] {
        bench.feed(&frame(1, record));
    }
    assert_eq!(bench.written(), "<ACK>".repeat(5));
    assert_eq!(bench.units(), ["H|<CR>", "P|1<CR>", "L|1<CR>"]);
}

#[test]
fn another_protocol_on_the_port_is_named_and_the_stream_given_up() {
    for (bytes, reason) in
        [("GET / HTTP/1.1<CR><LF>", "http-request"), ("<SYN><ETX><SOH>", "tls-on-plaintext-port")]
    {
        let mut bench = bench();
        assert_eq!(bench.feed(bytes).feed("<ENQ>").written(), "");
        assert!(bench.events.contains(&Event::Desynchronised(reason)), "{:?}", bench.events);
    }
}
