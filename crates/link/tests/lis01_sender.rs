//! When the LIS01 machine bids, what it refuses to send, and how it asks for the line.

use core::time::Duration;

use labwire_link::{Event, Input, LinkSettings, Lis01Settings, Machine, SendFailure};
use labwire_testkit::Bench;

fn bench(settings: Lis01Settings) -> Bench {
    Bench::new(LinkSettings::Lis01(settings))
}

fn default_bench() -> Bench {
    bench(Lis01Settings::default())
}

fn send(bench: &mut Bench, id: u64) {
    bench.handle(Input::Send { id, message: b"L|1|N" });
}

#[test]
fn bytes_of_the_same_moment_come_before_our_bid() {
    let mut bench = bench(Lis01Settings { strict: true, ..Lis01Settings::default() });
    bench.feed("<ENQ>");
    send(&mut bench, 1);
    assert_eq!(bench.feed("<EOT>").feed("<CR>").feed("<ENQ>").written(), "<ACK><ACK>");
    assert_eq!(bench.feed("<EOT>").wait(Duration::ZERO).written(), "<ENQ>");
}

#[test]
fn a_waiting_message_bids_a_tenth_of_a_second_after_their_session() {
    let mut bench = default_bench();
    bench.feed("<ENQ>");
    send(&mut bench, 1);
    assert_eq!(bench.feed("<EOT>").wait(Duration::from_millis(99)).written(), "<ACK>");
    assert_eq!(bench.wait(Duration::from_millis(1)).written(), "<ENQ>");
}

#[test]
fn an_other_side_that_stays_away_is_asked_less_often() {
    let mut bench = default_bench();
    send(&mut bench, 1);
    bench.wait(Duration::from_secs(5 * 16));
    assert_eq!(bench.written(), "<ENQ>".to_owned() + &"<EOT><ENQ>".repeat(5));
    bench.wait(Duration::from_secs(24));
    assert_eq!(bench.written(), "<EOT>");
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.written(), "<ENQ>", "fifteen seconds of silence and ten of pause");
}

#[test]
fn a_message_waits_through_refused_bids_until_it_is_withdrawn() {
    let mut bench = default_bench();
    send(&mut bench, 1);
    for _ in 0..20 {
        bench.feed("<NAK>").wait(Duration::from_secs(10));
    }
    assert_eq!(bench.written(), "<ENQ>".repeat(21));
    bench.handle(Input::Withdraw { id: 1 });
    assert_eq!(bench.events.last(), Some(&Event::SendFailed { id: 1, reason: SendFailure::Withdrawn }));
    assert_eq!(bench.feed("<ACK>").written(), "<EOT>", "the line was granted for nothing");
    assert_eq!(bench.wait(Duration::from_secs(60)).written(), "");
}

#[test]
fn a_message_on_the_line_cannot_be_withdrawn() {
    let mut bench = default_bench();
    send(&mut bench, 1);
    bench.feed("<ACK>");
    bench.handle(Input::Withdraw { id: 1 });
    bench.feed("<ACK>");
    assert_eq!(bench.events.last(), Some(&Event::Sent { id: 1 }));
}

#[test]
fn what_a_frame_cannot_carry_is_not_sent() {
    let settings =
        Lis01Settings { send_message_bytes_max: 20, send_queue_messages_max: 1, ..Lis01Settings::default() };
    let mut bench = bench(settings);
    let too_long = [b'x'; 21];
    for (id, message, reason) in [
        (1, &b"R|1|\x02"[..], SendFailure::RestrictedByte { byte: 2, at: 4 }),
        (2, b"H|\r\nL|1", SendFailure::RestrictedByte { byte: 10, at: 3 }),
        (3, b"\r\r", SendFailure::Empty),
        (4, &too_long, SendFailure::TooLong),
    ] {
        bench.handle(Input::Send { id, message });
        assert_eq!(bench.events.last(), Some(&Event::SendFailed { id, reason }));
    }
    send(&mut bench, 5);
    send(&mut bench, 6);
    assert_eq!(bench.events.last(), Some(&Event::SendFailed { id: 6, reason: SendFailure::QueueFull }));
    assert_eq!(bench.written(), "<ENQ>");
}

#[test]
fn empty_records_are_left_out_and_the_last_cr_is_added() {
    let mut bench = default_bench();
    bench.handle(Input::Send { id: 1, message: b"H|\r\rL|1|N" });
    bench.feed("<ACK><ACK><ACK>");
    assert_eq!(bench.written(), "<ENQ><STX>1H|<CR><ETX>05<CR><LF><STX>2L|1|N<CR><ETX>05<CR><LF><EOT>");
}

#[test]
fn a_close_gives_every_message_back() {
    let mut bench = default_bench();
    send(&mut bench, 1);
    send(&mut bench, 2);
    bench.feed("<ACK>");
    bench.handle(Input::Closed);
    let failed = |id| Event::SendFailed { id, reason: SendFailure::ConnectionLost };
    assert_eq!(bench.events, [failed(1), failed(2)]);
    assert_eq!(bench.machine.poll_deadline(), None);
}

#[test]
fn the_line_is_asked_for_behind_end_frames_only_and_until_the_session_ends() {
    let mut bench = default_bench();
    bench.handle(Input::RequestLine);
    bench.feed("<ENQ><STX>1R|1|^^^GL<ETB>70<CR><LF>");
    assert_eq!(bench.written(), "<ACK><ACK>", "half a record would be lost");
    assert_eq!(bench.feed("<STX>2U|5.4<CR><ETX>AA<CR><LF>").written(), "<EOT>");
    assert_eq!(bench.feed("<EOT><ENQ><STX>1L|1|N<CR><ETX>04<CR><LF>").written(), "<ACK><ACK>");
}

#[test]
fn faults_of_the_other_side_as_receiver_are_reported() {
    let mut bench = default_bench();
    send(&mut bench, 1);
    bench.feed("<ENQ>").wait(Duration::from_secs(20));
    bench.feed("<ACK><NAK>?").wait(Duration::from_secs(15));
    assert_eq!(bench.faults(), ["contention", "frame-refused", "unexpected-reply", "frame-unanswered"]);
    assert_eq!(bench.events.last(), Some(&Event::SendFailed { id: 1, reason: SendFailure::Unanswered }));
}
