//! Wire faults that receivers in the field get wrong, each against the default LIS01 machine.

use core::time::Duration;

use labwire_link::{EndReason, Event, Input, LinkSettings, Lis01Settings, Tolerance, UnitEnd, write_frame};
use labwire_testkit::{Bench, control_names, from_control_names};

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
fn a_normal_session_is_acknowledged_frame_by_frame() {
    let mut bench = bench();
    assert_eq!(bench.feed("<ENQ>").written(), "<ACK>");
    for frame in session() {
        assert_eq!(bench.feed(&frame).written(), "<ACK>");
    }
    assert_eq!(bench.feed("<EOT>").written(), "");
    assert_eq!(bench.units(), RECORDS);
    assert_eq!(ended(&bench), [EndReason::Eot]);
    assert!(bench.faults().is_empty());
}

#[test]
fn a_frame_in_two_segments_is_acknowledged_once_whole() {
    let mut bench = bench();
    bench.feed("<ENQ>").written();
    let whole = frame(1, "O|1|S7");
    let (first, second) = whole.split_at(9);
    assert_eq!(bench.feed(first).written(), "");
    assert_eq!(bench.feed(second).written(), "<ACK>");
    assert_eq!(bench.units(), ["O|1|S7<CR>"]);
}

#[test]
fn a_session_byte_by_byte_is_acknowledged_like_any_other() {
    let mut bench = bench();
    let wire = from_control_names(&format!("<ENQ>{}<EOT>", session().concat()));
    for byte in wire {
        bench.handle(Input::Bytes(&[byte]));
    }
    assert_eq!(bench.written(), "<ACK>".repeat(6));
    assert_eq!(bench.units(), RECORDS);
}

#[test]
fn bid_and_first_frame_in_one_segment_get_a_reply_each() {
    let mut bench = bench();
    assert_eq!(bench.feed(&format!("<ENQ>{}", session()[0])).written(), "<ACK><ACK>");
    assert_eq!(bench.units(), RECORDS[..1]);
}

#[test]
fn a_repeat_after_a_lost_reply_is_acknowledged_and_kept_once() {
    let mut bench = bench();
    let frames = session();
    bench.feed("<ENQ>").feed(&frames[0]).feed(&frames[1]).feed(&frames[1]).feed(&frames[2]);
    assert_eq!(bench.written(), "<ACK>".repeat(5));
    assert_eq!(bench.units(), RECORDS[..3]);
    let repeats = bench.events.iter().filter(|event| matches!(event, Event::Repeat { number: 2, .. }));
    assert_eq!(repeats.count(), 1);
}

#[test]
fn the_number_of_the_last_frame_over_other_content_is_refused() {
    let mut bench = bench();
    bench.feed("<ENQ>").feed(&frame(1, "R|1|^^^GLU|5.4")).written();
    assert_eq!(bench.feed(&frame(1, "R|2|^^^UREA|4.1")).written(), "<NAK>");
    assert_eq!(bench.faults(), ["frame-number-reused"]);
}

#[test]
fn a_line_that_drops_behind_the_last_frame_leaves_all_units_and_says_how_it_ended() {
    let mut bench = bench();
    bench.feed("<ENQ>").feed(&session().concat());
    bench.handle(Input::Closed);
    assert_eq!(bench.units(), RECORDS);
    assert_eq!(ended(&bench), [EndReason::ConnectionLost]);
}

#[test]
fn a_wrong_checksum_on_an_intermediate_frame_is_refused() {
    let mut bench = bench();
    bench.feed("<ENQ>").written();
    assert_eq!(bench.feed("<STX>1R|1|^^^GL<ETB>71<CR><LF>").written(), "<NAK>");
    assert_eq!(bench.faults(), ["checksum-mismatch"]);
    assert!(bench.units().is_empty());
}

#[test]
fn a_wrong_checksum_on_an_end_frame_is_refused_and_the_retry_accepted() {
    let mut bench = bench();
    bench.feed("<ENQ>").written();
    assert_eq!(bench.feed("<STX>1L|1|N<CR><ETX>05<CR><LF>").written(), "<NAK>");
    assert_eq!(bench.feed("<STX>1L|1|N<CR><ETX>04<CR><LF>").written(), "<ACK>");
    assert_eq!(bench.units(), ["L|1|N<CR>"]);
}

#[test]
fn a_checksum_that_forgets_the_terminator_is_refused_and_named() {
    let mut bench = bench();
    bench.feed("<ENQ>").written();
    assert_eq!(bench.feed("<STX>1L|1|N<CR><ETX>01<CR><LF>").written(), "<NAK>");
    assert_eq!(bench.faults(), ["checksum-without-terminator"]);
}

#[test]
fn the_end_of_a_session_and_the_next_bid_in_one_segment_are_both_heard() {
    let mut bench = bench();
    bench.feed("<ENQ>").feed(&session().concat()).written();
    assert_eq!(bench.feed("<EOT><ENQ>").written(), "<ACK>");
    assert_eq!(bench.feed(&session()[0]).written(), "<ACK>");
    assert_eq!(bench.units().len(), 6);
}

#[test]
fn skipped_frame_numbers_are_refused() {
    let mut bench = bench();
    bench.feed("<ENQ>").feed(&frame(1, "H|")).feed(&frame(2, "P|1")).written();
    assert_eq!(bench.feed(&frame(5, "R|1")).written(), "<NAK>");
    assert_eq!(bench.feed(&frame(6, "R|2")).written(), "<NAK>");
    assert_eq!(bench.feed(&frame(3, "O|1")).written(), "<ACK>");
    assert_eq!(bench.faults(), ["frame-number-gap", "frame-number-gap"]);
}

#[test]
fn a_first_frame_numbered_zero_is_refused_unless_it_is_tolerated() {
    let mut bench = bench();
    assert_eq!(bench.feed("<ENQ>").feed(&frame(0, "H|")).written(), "<ACK><NAK>");

    let settings = Lis01Settings::default();
    let tolerate = settings.tolerate.with(Tolerance::FrameNumberRestart);
    let mut bench = Bench::new(LinkSettings::Lis01(Lis01Settings { tolerate, ..settings }));
    assert_eq!(bench.feed("<ENQ>").feed(&frame(0, "H|")).feed(&frame(1, "L|1")).written(), "<ACK>".repeat(3));
    assert_eq!(bench.tolerated(), [Tolerance::FrameNumberRestart]);
}

#[test]
fn numbers_that_restart_with_each_message_are_followed_where_tolerated() {
    let settings = Lis01Settings::default();
    let tolerate = settings.tolerate.with(Tolerance::FrameNumberRestart);
    let mut bench = Bench::new(LinkSettings::Lis01(Lis01Settings { tolerate, ..settings }));
    bench.feed("<ENQ>");
    for (number, record) in [(1, "H|a"), (2, "L|1"), (1, "H|b"), (2, "L|1")] {
        bench.feed(&frame(number, record));
    }
    assert_eq!(bench.written(), "<ACK>".repeat(5));
    assert_eq!(bench.units(), ["H|a<CR>", "L|1<CR>", "H|b<CR>", "L|1<CR>"]);
}

#[test]
fn a_bid_in_the_middle_of_a_frame_resynchronises() {
    let mut bench = bench();
    bench.feed("<ENQ>").feed(&session()[0]).written();
    bench.feed("<STX>2P|1|half a rec<ENQ>");
    assert_eq!(bench.written(), "", "it may still be a damaged byte of a frame that goes on");
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.written(), "<ACK>");
    assert_eq!(ended(&bench), [EndReason::Restarted]);
    assert_eq!(bench.feed(&session().concat()).feed("<EOT>").written(), "<ACK>".repeat(5));
    assert_eq!(bench.units().len(), 6);
}

#[test]
fn a_bid_in_the_middle_of_a_frame_followed_by_a_frame_resynchronises_at_once() {
    let mut bench = bench();
    bench.feed("<ENQ><STX>1H|half a rec<ENQ>").feed(&session().concat()).feed("<EOT>");
    assert_eq!(bench.written(), "<ACK>".repeat(7));
    assert_eq!(bench.units(), RECORDS);
}

#[test]
fn a_bid_byte_inside_a_frame_that_goes_on_is_damage() {
    let mut bench = bench();
    bench.feed("<ENQ>").written();
    assert_eq!(bench.feed("<STX>1L|<ENQ>1|N<CR><ETX>09<CR><LF>").written(), "<NAK>");
    assert_eq!(bench.faults(), ["control-in-frame"]);
    assert_eq!(bench.feed(&frame(1, "L|1|N")).written(), "<ACK>");
}

#[test]
fn a_connection_that_dies_in_a_frame_leaves_nothing_behind_for_the_next_one() {
    let mut bench = bench();
    bench.feed("<ENQ><STX>1H|half a rec<ENQ>");
    bench.handle(Input::Closed);
    bench.written();
    assert_eq!(bench.feed("<ENQ>").feed(&session().concat()).feed("<EOT>").written(), "<ACK>".repeat(6));
    assert_eq!(bench.units(), RECORDS);
}

#[test]
fn a_bid_between_frames_begins_a_new_session() {
    let mut bench = bench();
    bench.feed("<ENQ>").feed(&session()[0]).written();
    assert_eq!(bench.feed("<ENQ>").feed(&session()[0]).written(), "<ACK><ACK>");
    assert_eq!(ended(&bench), [EndReason::Restarted]);
    assert_eq!(bench.tolerated(), [Tolerance::EnqRestart]);
}

#[test]
fn frames_without_cr_lf_are_acknowledged_after_a_short_silence() {
    let mut bench = bench();
    bench.feed("<ENQ>").written();
    for frame in session() {
        assert_eq!(bench.feed(frame.trim_end_matches("<CR><LF>")).written(), "");
        assert_eq!(bench.wait(Duration::from_millis(300)).written(), "<ACK>");
    }
    assert_eq!(bench.units(), RECORDS);
    assert_eq!(bench.tolerated(), [Tolerance::MissingCrlf; 5]);
    assert!(bench.faults().is_empty());
}

#[test]
fn frames_without_cr_lf_are_acknowledged_when_the_next_byte_comes() {
    let mut bench = bench();
    let stream: String = session().iter().map(|frame| frame.trim_end_matches("<CR><LF>")).collect();
    assert_eq!(bench.feed("<ENQ>").feed(&stream).feed("<EOT>").written(), "<ACK>".repeat(6));
    assert_eq!(bench.units(), RECORDS);
}

#[test]
fn cr_lf_that_comes_after_the_silence_is_no_fault() {
    let mut bench = bench();
    let whole = frame(1, "L|1|N");
    bench.feed("<ENQ>").feed(whole.trim_end_matches("<CR><LF>")).wait(Duration::from_secs(1));
    bench.feed("<CR><LF>").feed(&frame(2, "L|1|N"));
    assert_eq!(bench.written(), "<ACK>".repeat(3));
    assert!(bench.faults().is_empty());
}

#[test]
fn a_whole_message_in_one_frame_is_one_unit() {
    let mut bench = bench();
    let message = frame(1, "H|\\^&|||A\rP|1\rO|1|S7||^^^GLU\rL|1|N");
    assert_eq!(bench.feed("<ENQ>").feed(&message).feed("<EOT>").written(), "<ACK><ACK>");
    assert_eq!(bench.units(), ["H|\\^&|||A<CR>P|1<CR>O|1|S7||^^^GLU<CR>L|1|N<CR>"]);
}

#[test]
fn a_frame_without_a_bid_meets_silence_and_the_next_bid_is_heard() {
    let mut bench = bench();
    assert_eq!(bench.feed(&session()[0]).written(), "");
    assert_eq!(bench.feed("<ENQ>").feed(&session()[0]).written(), "<ACK><ACK>");
    assert_eq!(bench.faults(), ["bytes-skipped"]);
    assert_eq!(bench.units(), RECORDS[..1]);
}

#[test]
fn a_seventy_kilobyte_frame_is_refused_by_the_limit_and_the_session_goes_on() {
    let mut bench = bench();
    bench.feed("<ENQ>").written();
    assert_eq!(bench.feed(&frame(1, &"x".repeat(70_000))).written(), "<NAK>");
    assert_eq!(bench.faults(), ["frame-too-long"]);
    assert_eq!(bench.feed(&frame(1, "L|1|N")).written(), "<ACK>");
}

#[test]
fn a_seventy_kilobyte_frame_is_accepted_under_a_higher_limit() {
    let settings = Lis01Settings { receive_frame_bytes_max: 100_000, ..Lis01Settings::default() };
    let mut bench = Bench::new(LinkSettings::Lis01(settings));
    bench.feed("<ENQ>").feed(&frame(1, &"x".repeat(70_000)));
    assert_eq!(bench.written(), "<ACK><ACK>");
}

#[test]
fn a_frame_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() {
    for (length, reply) in [(63_992, "<ACK>"), (63_993, "<NAK>")] {
        let mut bench = bench();
        bench.feed("<ENQ>").written();
        assert_eq!(bench.feed(&frame(1, &"x".repeat(length))).written(), reply);
    }
}

#[test]
fn intermediate_frames_that_each_end_a_record_are_units_of_their_own() {
    let mut bench = bench();
    bench.feed("<ENQ>");
    for (number, record) in [(1, "H|\r"), (2, "P|1\r")] {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, number, record.as_bytes(), UnitEnd::Intermediate);
        bench.feed(&control_names(&bytes));
    }
    bench.feed(&frame(3, "L|1|N")).feed("<EOT>");
    assert_eq!(bench.written(), "<ACK>".repeat(4));
    let ends: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| if let Event::Unit { end, .. } = event { Some(*end) } else { None })
        .collect();
    assert_eq!(ends, [UnitEnd::Intermediate, UnitEnd::Intermediate, UnitEnd::End]);
}
