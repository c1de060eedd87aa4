//! A message that comes again is acknowledged again and filed once: over a new connection, after a
//! restart and after a crash of the daemon. What only looks like it is filed.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/bench.rs"]
mod bench;
mod support;

use std::sync::Arc;

use bench::{Analyzer, Bench, Books, Kind, analyzer, block, frame, record_frame, record_frames};
use labwire_link::UnitEnd::{End, Intermediate};

const HEADER: &str = "H|\\^&|||A|||||||P|1|20260302081407";
const RESULT: &str = "R|1|^^^GLU|5.4|mmol/L||N||F||||20260302081407";
const MESSAGE: [&str; 5] = [HEADER, "P|1", "O|1|S7", RESULT, "L|1|N"];
const ROW: &str = "S7 GLU 5.4 mmol/L";

/// A message that says neither when nor under which id it was made.
const TIMELESS: [&str; 5] = ["H|\\^&|||A", "P|1", "O|1|S7", "R|1|^^^GLU|5.4|mmol/L||N||F", "L|1|N"];
const POSSIBLE_REPEAT: &str = "S7 GLU 5.4 mmol/L possible repeat";

#[track_caller]
fn sends(line: &mut Analyzer, records: &[&str]) {
    line.exchange("<ENQ>", "<ACK>");
    for frame in record_frames(records) {
        line.exchange(&frame, "<ACK>");
    }
}

#[track_caller]
fn sends_block(line: &mut Analyzer, control_id: &str, value: &str) {
    line.say(&block(&[
        &format!("MSH|^~\\&|BENCH|LAB|LIS|LAB|20260302081407||ORU^R01|{control_id}|P|2.3.1"),
        "PID|1||P9",
        "OBR|1||S7|GLU",
        &format!("OBX|1|NM|GLU||{value}|mmol/L|||||F|||20260302081407"),
    ]));
    line.hears_acknowledgement("AA", control_id);
}

fn reconnects(line: &mut Analyzer) {
    line.hangs_up();
    line.plug_in();
}

fn repeated(delivered: i64, repeated: i64) -> Books {
    Books { delivered, repeated, ..Books::default() }
}

fn comes_again_over_a_new_connection(line: &mut Analyzer) {
    for _ in 0..3 {
        sends(line, &MESSAGE);
        reconnects(line);
    }
    line.has_heard_all();
    line.has_filed(&[ROW], repeated(1, 2));
}

#[test]
fn a_message_that_comes_again_over_a_new_connection_is_acknowledged_and_filed_once() {
    comes_again_over_a_new_connection(&mut analyzer(Kind::Tcp));
}

#[test]
fn a_message_that_comes_again_over_a_serial_line_opened_anew_is_acknowledged_and_filed_once() {
    comes_again_over_a_new_connection(&mut analyzer(Kind::Serial));
}

#[test]
fn a_block_that_comes_again_over_a_new_connection_is_acknowledged_and_filed_once() {
    let mut line = analyzer(Kind::Blocks);
    for _ in 0..3 {
        sends_block(&mut line, "M1", "5.4");
        reconnects(&mut line);
    }
    line.has_heard_all();
    line.has_filed(&[ROW], repeated(1, 2));
}

#[test]
fn a_message_that_comes_again_in_the_same_session_is_filed_once() {
    let mut line = analyzer(Kind::Tcp);
    sends(&mut line, &MESSAGE);
    for (number, record) in (6..).zip(MESSAGE) {
        line.exchange(&record_frame(number % 8, record), "<ACK>");
    }
    line.ends();
    line.has_filed(&[ROW], repeated(1, 1));
}

#[test]
fn how_a_message_is_cut_into_frames_makes_no_other_message_of_it() {
    let mut line = analyzer(Kind::Tcp);
    sends(&mut line, &MESSAGE);
    line.say("<EOT>");
    line.exchange("<ENQ>", "<ACK>");
    line.exchange(&record_frame(1, &MESSAGE.join("<CR>")), "<ACK>");
    line.say("<EOT>");
    line.exchange("<ENQ>", "<ACK>");
    let (first, second) = (MESSAGE[..3].join("<CR>"), MESSAGE[3..].join("<CR>"));
    line.exchange(&frame(1, &format!("{first}<CR>R|1"), Intermediate), "<ACK>");
    line.exchange(&frame(2, &second["R|1".len()..], End), "<ACK>");
    line.ends();
    line.has_filed(&[ROW], repeated(1, 2));
}

#[test]
fn the_time_of_sending_that_a_profile_calls_volatile_makes_no_other_message() {
    let mut line = analyzer(Kind::Tcp);
    sends(&mut line, &MESSAGE);
    line.say("<EOT>");
    let later = HEADER.replace("081407", "093000");
    sends(&mut line, &[&[later.as_str()], &MESSAGE[1..]].concat());
    line.ends();
    line.has_filed(&[ROW], repeated(1, 1));
}

#[test]
fn a_corrected_value_is_filed_beside_the_first() {
    let mut line = analyzer(Kind::Tcp);
    sends(&mut line, &MESSAGE);
    line.say("<EOT>");
    let corrected = RESULT.replace("5.4", "5.5").replace("||F|", "||C|");
    sends(&mut line, &[&MESSAGE[..3], &[corrected.as_str()], &MESSAGE[4..]].concat());
    line.ends();
    line.has_filed(&[ROW, "S7 GLU 5.5 mmol/L"], repeated(2, 0));
}

#[test]
fn the_same_control_id_over_another_body_is_another_message() {
    let mut line = analyzer(Kind::Blocks);
    sends_block(&mut line, "M1", "5.4");
    sends_block(&mut line, "M1", "5.5");
    sends_block(&mut line, "M1", "5.4");
    line.hangs_up();
    line.has_filed(&[ROW, "S7 GLU 5.5 mmol/L"], repeated(2, 1));
}

#[test]
fn the_same_body_under_another_control_id_is_another_message() {
    let mut line = analyzer(Kind::Blocks);
    sends_block(&mut line, "M1", "5.4");
    sends_block(&mut line, "M2", "5.4");
    line.hangs_up();
    line.has_filed(&[ROW, ROW], repeated(2, 0));
}

#[test]
fn the_same_message_of_another_analyzer_is_another_message() {
    let (mut one, mut other) = (analyzer(Kind::Tcp), analyzer(Kind::Tcp));
    for line in [&mut one, &mut other] {
        sends(line, &MESSAGE);
        line.ends();
        line.has_filed(&[ROW], repeated(1, 0));
    }
}

#[test]
fn a_message_without_a_time_that_comes_again_after_the_line_dropped_is_filed_once() {
    let mut line = analyzer(Kind::Tcp);
    sends(&mut line, &TIMELESS);
    // Nothing shows that the last acknowledgement arrived.
    reconnects(&mut line);
    sends(&mut line, &TIMELESS);
    line.ends();
    line.has_filed(&[ROW], repeated(1, 1));
}

#[test]
fn a_message_without_a_time_that_equals_one_acknowledged_for_certain_is_filed_and_marked() {
    let mut line = analyzer(Kind::Tcp);
    sends(&mut line, &TIMELESS);
    // The next frame number says that the last acknowledgement arrived.
    for (number, record) in (6..).zip(TIMELESS) {
        line.exchange(&record_frame(number % 8, record), "<ACK>");
    }
    line.ends();
    line.has_filed(&[ROW, POSSIBLE_REPEAT], repeated(2, 0));
}

/// A bench of its own: its daemon ends before the others do.
fn own_bench() -> Arc<Bench> {
    Arc::new(Bench::start(|kind| match kind {
        Kind::Tcp | Kind::Blocks => 1,
        Kind::Serial | Kind::Restarting | Kind::Strict => 0,
    }))
}

fn comes_again_after(restart: fn(&Bench)) {
    let bench = own_bench();
    let (mut frames, mut blocks) = (bench.analyzer(Kind::Tcp), bench.analyzer(Kind::Blocks));
    for round in 0..3 {
        if round > 0 {
            restart(&bench);
            frames.plug_in();
            blocks.plug_in();
        }
        sends(&mut frames, &MESSAGE);
        // A daemon that stops lets a session under way end.
        frames.say_part("<EOT>");
        sends_block(&mut blocks, "M1", "5.4");
        frames.has_filed(&[ROW], repeated(1, round));
        blocks.has_filed(&[ROW], repeated(1, round));
    }
}

#[test]
fn a_message_that_comes_again_after_a_restart_is_acknowledged_and_filed_once() {
    comes_again_after(Bench::restart);
}

#[test]
fn a_message_that_comes_again_after_a_crash_is_acknowledged_and_filed_once() {
    comes_again_after(Bench::kill_and_restart);
}

#[test]
fn a_message_that_a_crash_cut_is_filed_once_when_it_comes_again_whole() {
    let bench = own_bench();
    let mut line = bench.analyzer(Kind::Tcp);
    line.exchange("<ENQ>", "<ACK>");
    for frame in &record_frames(&MESSAGE)[..4] {
        line.exchange(frame, "<ACK>");
    }
    bench.kill_and_restart();
    line.plug_in();
    sends(&mut line, &MESSAGE);
    line.ends();
    line.has_filed_after_a_crash(&[ROW], Books { delivered: 1, superseded: 1, ..Books::default() });
}
