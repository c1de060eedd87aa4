//! What goes wrong on real lines, and what the running daemon replies and files: the exact reply
//! bytes, the rows in the LIS database, the ledger, the faults counted. Most of it over TCP and over a
//! serial line alike.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/bench.rs"]
mod bench;
mod support;

use bench::{Analyzer, Books, Kind, acks, analyzer, block, frame, record_frame, record_frames};
use labwire_link::UnitEnd::{End, Intermediate};

const HEADER: &str = "H|\\^&|||A";
const PATIENT: &str = "P|1";
const ORDER: &str = "O|1|S7";
const GLUCOSE: &str = "R|1|^^^GLU|5.4|mmol/L||N||F||||20260302081407";
const UREA: &str = "R|2|^^^UREA|4.1|mmol/L||N||F||||20260302081409";
const TERMINATOR: &str = "L|1|N";
const MESSAGE: [&str; 5] = [HEADER, PATIENT, ORDER, GLUCOSE, TERMINATOR];

const GLUCOSE_ROW: &str = "S7 GLU 5.4 mmol/L";
const UREA_ROW: &str = "S7 UREA 4.1 mmol/L";

/// Another message of the same analyzer.
const NEXT_MESSAGE: [&str; 5] =
    [HEADER, PATIENT, "O|1|S8", "R|1|^^^GLU|6.1|mmol/L||N||F||||20260302081507", TERMINATOR];
const NEXT_ROW: &str = "S8 GLU 6.1 mmol/L";

fn frames() -> Vec<String> {
    record_frames(&MESSAGE)
}

/// The same frame with a checksum that does not fit.
fn damaged(frame: &str) -> String {
    let (text, check) = frame.strip_suffix("<CR><LF>").unwrap().split_at(frame.len() - 10);
    let digit = if check.ends_with('0') { '1' } else { '0' };
    format!("{text}{}{digit}<CR><LF>", &check[..1])
}

fn without_crlf(frame: &str) -> &str {
    frame.strip_suffix("<CR><LF>").unwrap()
}

fn whole_session(frames: &[String]) -> String {
    format!("<ENQ>{}<EOT>", frames.concat())
}

/// Bids and sends frames, each acknowledged.
#[track_caller]
fn sends(line: &mut Analyzer, frames: &[String]) {
    line.exchange("<ENQ>", "<ACK>");
    for frame in frames {
        line.exchange(frame, "<ACK>");
    }
}

/// Nothing was wrong, and the one message is filed.
#[track_caller]
fn ends_well(line: &mut Analyzer) {
    line.ends();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

macro_rules! over_tcp_and_serial {
    ($($scenario:ident),* $(,)?) => {
        mod over_tcp {
            $(#[test] fn $scenario() { super::$scenario(&mut super::analyzer(super::Kind::Tcp)); })*
        }
        mod over_a_serial_line {
            $(#[test] fn $scenario() { super::$scenario(&mut super::analyzer(super::Kind::Serial)); })*
        }
    };
}

over_tcp_and_serial![
    a_session_is_acknowledged_frame_by_frame_and_filed,
    a_frame_in_two_segments_is_acknowledged_once,
    a_session_sent_byte_by_byte_is_filed_like_any_other,
    bid_and_first_frame_in_one_segment_get_a_reply_each,
    a_whole_session_in_one_write_is_acknowledged_frame_by_frame,
    two_sessions_in_one_write_are_two_messages,
    a_frame_sent_again_because_our_reply_was_lost_is_acknowledged_and_kept_once,
    a_last_frame_sent_again_because_our_reply_was_lost_is_filed_once,
    a_line_that_drops_behind_the_terminator_has_delivered_its_message,
    a_line_that_drops_before_the_terminator_leaves_an_incomplete_message,
    a_message_that_goes_on_after_the_line_dropped_is_filed_as_one,
    a_message_sent_again_whole_after_the_line_dropped_is_filed_once,
    another_message_after_the_line_dropped_leaves_the_incomplete_one_to_a_person,
    a_frame_cut_by_a_dropped_line_is_not_inherited_by_the_next_connection,
    a_session_ended_before_the_terminator_leaves_an_incomplete_message,
    an_intermediate_frame_with_a_wrong_checksum_is_refused_until_it_is_right,
    an_end_frame_with_a_wrong_checksum_is_refused_until_it_is_right,
    a_checksum_that_leaves_out_the_terminator_is_refused,
    a_sender_that_gives_up_after_six_refusals_has_filed_nothing,
    the_end_of_a_session_and_the_next_bid_in_one_segment_are_both_heard,
    skipped_frame_numbers_are_refused_until_the_right_one_comes,
    a_first_frame_with_number_zero_is_refused,
    a_number_used_again_for_another_content_is_refused,
    a_frame_number_that_is_no_digit_is_refused,
    frame_numbers_go_round_behind_seven,
    a_bid_in_the_middle_of_a_frame_begins_anew,
    a_bid_between_two_frames_begins_anew,
    a_control_byte_that_noise_put_into_a_frame_spoils_that_frame_alone,
    frames_without_cr_lf_are_acknowledged,
    frames_without_cr_lf_in_one_write_are_acknowledged,
    a_cr_lf_that_comes_late_belongs_to_the_frame_before,
    frames_that_end_with_cr_or_lf_alone_are_acknowledged,
    checksums_in_lower_case_are_acknowledged,
    line_feeds_behind_records_are_no_part_of_values,
    a_frame_without_a_bid_is_ignored,
    noise_between_frames_is_skipped,
    a_session_without_a_frame_files_nothing,
    a_frame_of_seventy_kilobytes_is_refused_and_the_session_goes_on,
    a_frame_of_sixty_kilobytes_is_taken,
    a_whole_message_in_one_frame_is_filed,
    two_messages_in_one_frame_are_two_messages,
    a_record_cut_into_two_frames_is_read_as_one,
    a_terminator_record_cut_into_two_frames_ends_the_message,
    a_record_cut_before_its_cr_is_read_as_one,
    intermediate_frames_on_whole_records_and_one_end_frame_are_one_message,
    an_empty_end_frame_ends_the_chain,
    end_frames_without_a_cr_before_the_end_are_whole_records,
    several_records_a_frame_are_records_of_one_message,
    a_chain_that_never_ends_is_kept_and_not_filed,
];

fn a_session_is_acknowledged_frame_by_frame_and_filed(line: &mut Analyzer) {
    sends(line, &frames());
    ends_well(line);
    line.is_forgiven(&[]);
}

fn a_frame_in_two_segments_is_acknowledged_once(line: &mut Analyzer) {
    let frames = frames();
    sends(line, &frames[..2]);
    // Inside the text, and between the two digits of the checksum.
    let (text, rest) = frames[2].split_at(8);
    line.say_part(text);
    line.exchange(rest, "<ACK>");
    let (digit, rest) = frames[3].split_at(frames[3].len() - 9);
    line.say_part(digit);
    line.exchange(rest, "<ACK>");
    line.exchange(&frames[4], "<ACK>");
    ends_well(line);
}

fn a_session_sent_byte_by_byte_is_filed_like_any_other(line: &mut Analyzer) {
    for byte in labwire_testkit::from_control_names(&format!("<ENQ>{}", frames().concat())) {
        line.say_bytes(&[byte]);
    }
    line.hears(&acks(6));
    ends_well(line);
}

fn bid_and_first_frame_in_one_segment_get_a_reply_each(line: &mut Analyzer) {
    let frames = frames();
    line.exchange(&format!("<ENQ>{}", frames[0]), &acks(2));
    for frame in &frames[1..] {
        line.exchange(frame, "<ACK>");
    }
    ends_well(line);
}

fn a_whole_session_in_one_write_is_acknowledged_frame_by_frame(line: &mut Analyzer) {
    line.exchange(&whole_session(&frames()), &acks(6));
    line.has_heard_all();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn two_sessions_in_one_write_are_two_messages(line: &mut Analyzer) {
    let both = whole_session(&frames()) + &whole_session(&record_frames(&NEXT_MESSAGE));
    line.exchange(&both, &acks(12));
    line.has_heard_all();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

fn a_frame_sent_again_because_our_reply_was_lost_is_acknowledged_and_kept_once(line: &mut Analyzer) {
    let frames = frames();
    line.exchange("<ENQ>", "<ACK>");
    for frame in &frames {
        line.exchange(frame, "<ACK>");
        line.exchange(frame, "<ACK>");
    }
    ends_well(line);
}

fn a_last_frame_sent_again_because_our_reply_was_lost_is_filed_once(line: &mut Analyzer) {
    let frames = frames();
    sends(line, &frames);
    for _ in 0..5 {
        line.exchange(&frames[4], "<ACK>");
    }
    ends_well(line);
}

fn a_line_that_drops_behind_the_terminator_has_delivered_its_message(line: &mut Analyzer) {
    sends(line, &frames());
    line.hangs_up();
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_line_that_drops_before_the_terminator_leaves_an_incomplete_message(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.hangs_up();
    line.has_filed(&[], Books { incomplete: 1, ..Books::default() });
}

fn a_message_that_goes_on_after_the_line_dropped_is_filed_as_one(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.hangs_up();
    line.plug_in();
    // The ancestors of the first record that was not acknowledged, then that record.
    sends(line, &record_frames(&[HEADER, PATIENT, ORDER, UREA, TERMINATOR]));
    line.ends();
    line.has_filed(&[GLUCOSE_ROW, UREA_ROW], Books { delivered: 1, resumed: 1, ..Books::default() });
}

fn a_message_sent_again_whole_after_the_line_dropped_is_filed_once(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.hangs_up();
    line.plug_in();
    sends(line, &record_frames(&[HEADER, PATIENT, ORDER, GLUCOSE, UREA, TERMINATOR]));
    line.ends();
    line.has_filed(&[GLUCOSE_ROW, UREA_ROW], Books { delivered: 1, superseded: 1, ..Books::default() });
}

fn another_message_after_the_line_dropped_leaves_the_incomplete_one_to_a_person(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.hangs_up();
    line.plug_in();
    sends(line, &record_frames(&NEXT_MESSAGE));
    line.ends();
    line.has_filed(&[NEXT_ROW], Books { delivered: 1, incomplete: 1, ..Books::default() });
}

fn a_frame_cut_by_a_dropped_line_is_not_inherited_by_the_next_connection(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    line.say_part("<STX>1H|\\^&|||A<CR>");
    line.hangs_up();
    line.plug_in();
    sends(line, &frames());
    line.ends();
    line.is_told(&["unit-cut-off"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_session_ended_before_the_terminator_leaves_an_incomplete_message(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.ends();
    line.has_filed(&[], Books { incomplete: 1, ..Books::default() });
}

fn an_intermediate_frame_with_a_wrong_checksum_is_refused_until_it_is_right(line: &mut Analyzer) {
    let (first, second) = GLUCOSE.split_at(11);
    let cut = [frame(4, first, Intermediate), record_frame(5, second), record_frame(6, TERMINATOR)];
    sends(line, &frames()[..3]);
    line.exchange(&damaged(&cut[0]), "<NAK>");
    line.exchange(&damaged(&cut[0]), "<NAK>");
    for frame in &cut {
        line.exchange(frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["checksum-mismatch*2"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn an_end_frame_with_a_wrong_checksum_is_refused_until_it_is_right(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    for frame in frames() {
        line.exchange(&damaged(&frame), "<NAK>");
        line.exchange(&frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["checksum-mismatch*5"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_checksum_that_leaves_out_the_terminator_is_refused(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.exchange("<STX>5L|1|N<CR><ETX>05<CR><LF>", "<NAK>");
    line.exchange("<STX>5L|1|N<CR><ETX>08<CR><LF>", "<ACK>");
    line.ends();
    line.is_told(&["checksum-without-terminator"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_sender_that_gives_up_after_six_refusals_has_filed_nothing(line: &mut Analyzer) {
    let frames = frames();
    sends(line, &frames[..4]);
    for _ in 0..6 {
        line.exchange(&damaged(&record_frame(5, UREA)), "<NAK>");
    }
    line.ends();
    line.is_told(&["checksum-mismatch*6"]);
    line.has_filed(&[], Books { incomplete: 1, ..Books::default() });
}

fn the_end_of_a_session_and_the_next_bid_in_one_segment_are_both_heard(line: &mut Analyzer) {
    sends(line, &frames());
    line.exchange("<EOT><ENQ>", "<ACK>");
    for frame in record_frames(&NEXT_MESSAGE) {
        line.exchange(&frame, "<ACK>");
    }
    line.ends();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

fn skipped_frame_numbers_are_refused_until_the_right_one_comes(line: &mut Analyzer) {
    let frames = frames();
    sends(line, &frames[..2]);
    line.exchange(&record_frame(5, ORDER), "<NAK>");
    line.exchange(&record_frame(6, GLUCOSE), "<NAK>");
    line.exchange(&record_frame(7, TERMINATOR), "<NAK>");
    for frame in &frames[2..] {
        line.exchange(frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["frame-number-gap*3"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_first_frame_with_number_zero_is_refused(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    line.exchange(&record_frame(0, HEADER), "<NAK>");
    for frame in frames() {
        line.exchange(&frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["frame-number-gap"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_number_used_again_for_another_content_is_refused(line: &mut Analyzer) {
    let frames = frames();
    sends(line, &frames[..4]);
    line.exchange(&record_frame(4, UREA), "<NAK>");
    line.exchange(&frames[4], "<ACK>");
    line.ends();
    line.is_told(&["frame-number-reused"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_frame_number_that_is_no_digit_is_refused(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    line.exchange("<STX>H|\\^&|||A<CR><ETX>0B<CR><LF>", "<NAK>");
    line.exchange("<STX>9H|\\^&|||A<CR><ETX>44<CR><LF>", "<NAK>");
    for frame in frames() {
        line.exchange(&frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["frame-number-invalid*2"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn frame_numbers_go_round_behind_seven(line: &mut Analyzer) {
    let comments = ["C|1|I|a", "C|2|I|b", "C|3|I|c", "C|4|I|d", "C|5|I|e"];
    let records = [&MESSAGE[..4], &comments, &MESSAGE[4..]].concat();
    let frames = record_frames(&records);
    assert!(frames[7].starts_with("<STX>0") && frames[8].starts_with("<STX>1"));
    sends(line, &frames);
    ends_well(line);
}

fn a_bid_in_the_middle_of_a_frame_begins_anew(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.say("<STX>5R|2|^^^UREA<ENQ>");
    // Nothing follows for half a second: the sender has broken off and waits.
    line.hears("<ACK>");
    for frame in frames() {
        line.exchange(&frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["control-in-frame"]);
    line.is_forgiven(&["enq-restart"]);
    line.has_filed(&[GLUCOSE_ROW], Books { delivered: 1, superseded: 1, ..Books::default() });
}

fn a_bid_between_two_frames_begins_anew(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    sends(line, &frames());
    line.ends();
    line.is_told(&[]);
    line.is_forgiven(&["enq-restart"]);
    line.has_filed(&[GLUCOSE_ROW], Books { delivered: 1, superseded: 1, ..Books::default() });
}

fn a_control_byte_that_noise_put_into_a_frame_spoils_that_frame_alone(line: &mut Analyzer) {
    let frames = frames();
    sends(line, &frames[..3]);
    for noise in ["<ENQ>", "<EOT>"] {
        line.exchange(&frames[3].replace("5.4", &format!("5{noise}4")), "<NAK>");
    }
    for frame in &frames[3..] {
        line.exchange(frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["control-in-frame*2"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn frames_without_cr_lf_are_acknowledged(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    for frame in frames() {
        line.exchange(without_crlf(&frame), "<ACK>");
    }
    ends_well(line);
    line.is_forgiven(&["missing-crlf*5"]);
}

fn frames_without_cr_lf_in_one_write_are_acknowledged(line: &mut Analyzer) {
    let frames: String = frames().iter().map(|frame| without_crlf(frame)).collect();
    line.exchange(&format!("<ENQ>{frames}<EOT>"), &acks(6));
    line.has_heard_all();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
    line.is_forgiven(&["missing-crlf*5"]);
}

fn a_cr_lf_that_comes_late_belongs_to_the_frame_before(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    for frame in frames() {
        line.exchange(without_crlf(&frame), "<ACK>");
        line.say("<CR><LF>");
    }
    ends_well(line);
}

fn frames_that_end_with_cr_or_lf_alone_are_acknowledged(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    for (frame, end) in frames().iter().zip(["<CR>", "<LF>", "<CR>", "<LF>", "<CR>"]) {
        line.exchange(&format!("{}{end}", without_crlf(frame)), "<ACK>");
    }
    ends_well(line);
    line.is_forgiven(&["missing-crlf*5"]);
}

fn checksums_in_lower_case_are_acknowledged(line: &mut Analyzer) {
    let mut lowered = 0;
    line.exchange("<ENQ>", "<ACK>");
    for frame in frames() {
        let (text, tail) = frame.split_at(frame.len() - 10);
        let lower = format!("{text}{}<CR><LF>", tail[..2].to_lowercase());
        lowered += u32::from(lower != frame);
        line.exchange(&lower, "<ACK>");
    }
    assert!(lowered > 0, "no checksum has a letter in it");
    ends_well(line);
}

fn line_feeds_behind_records_are_no_part_of_values(line: &mut Analyzer) {
    let frames: Vec<String> =
        (1..).zip(MESSAGE).map(|(number, record)| frame(number, &format!("{record}<CR><LF>"), End)).collect();
    sends(line, &frames);
    ends_well(line);
    line.is_forgiven(&["line-feed-in-text*5"]);
}

fn a_frame_without_a_bid_is_ignored(line: &mut Analyzer) {
    for frame in record_frames(&NEXT_MESSAGE) {
        line.say(&frame);
    }
    sends(line, &frames());
    line.ends();
    line.is_told(&["bytes-skipped"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn noise_between_frames_is_skipped(line: &mut Analyzer) {
    line.say("<80><NUL>~x<CR><LF>");
    line.exchange("<ENQ>", "<ACK>");
    for frame in frames() {
        line.exchange(&format!("<NUL>?{frame}"), "<ACK>");
    }
    line.ends();
    line.is_told(&["bytes-skipped*6"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_session_without_a_frame_files_nothing(line: &mut Analyzer) {
    line.exchange("<ENQ>", "<ACK>");
    line.ends();
    line.is_told(&[]);
    line.has_filed(&[], Books::default());
}

fn a_frame_of_seventy_kilobytes_is_refused_and_the_session_goes_on(line: &mut Analyzer) {
    let frames = frames();
    sends(line, &frames[..4]);
    let long = record_frame(5, "C|1|I|<x*70000>");
    line.exchange(&long, "<NAK>");
    line.exchange(&long, "<NAK>");
    // The sender leaves the comment out.
    line.exchange(&frames[4], "<ACK>");
    line.ends();
    line.is_told(&["frame-too-long*2"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_frame_of_sixty_kilobytes_is_taken(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.exchange(&record_frame(5, "C|1|I|<x*60000>"), "<ACK>");
    line.exchange(&record_frame(6, TERMINATOR), "<ACK>");
    ends_well(line);
}

fn a_whole_message_in_one_frame_is_filed(line: &mut Analyzer) {
    sends(line, &[record_frame(1, &MESSAGE.join("<CR>"))]);
    ends_well(line);
}

fn two_messages_in_one_frame_are_two_messages(line: &mut Analyzer) {
    let text = format!("{}<CR>{}", MESSAGE.join("<CR>"), NEXT_MESSAGE.join("<CR>"));
    sends(line, &[record_frame(1, &text)]);
    line.ends();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

fn a_record_cut_into_two_frames_is_read_as_one(line: &mut Analyzer) {
    let (first, second) = GLUCOSE.split_at(12);
    assert!(first.ends_with("|5"), "{first}");
    sends(line, &frames()[..3]);
    line.exchange(&frame(4, first, Intermediate), "<ACK>");
    line.exchange(&record_frame(5, second), "<ACK>");
    line.exchange(&record_frame(6, TERMINATOR), "<ACK>");
    ends_well(line);
}

fn a_terminator_record_cut_into_two_frames_ends_the_message(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.exchange(&frame(5, "L|", Intermediate), "<ACK>");
    line.exchange(&record_frame(6, "1|N"), "<ACK>");
    ends_well(line);
}

fn a_record_cut_before_its_cr_is_read_as_one(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.exchange(&frame(5, TERMINATOR, Intermediate), "<ACK>");
    line.exchange(&frame(6, "<CR>", End), "<ACK>");
    ends_well(line);
}

fn intermediate_frames_on_whole_records_and_one_end_frame_are_one_message(line: &mut Analyzer) {
    let frames: Vec<String> = (1..)
        .zip(MESSAGE)
        .map(|(number, record)| {
            let end = if record == TERMINATOR { End } else { Intermediate };
            frame(number, &format!("{record}<CR>"), end)
        })
        .collect();
    sends(line, &frames);
    ends_well(line);
}

fn an_empty_end_frame_ends_the_chain(line: &mut Analyzer) {
    let chain =
        (1..).zip(MESSAGE).map(|(number, record)| frame(number, &format!("{record}<CR>"), Intermediate));
    let frames: Vec<String> = chain.chain([frame(6, "", End)]).collect();
    sends(line, &frames);
    ends_well(line);
}

fn end_frames_without_a_cr_before_the_end_are_whole_records(line: &mut Analyzer) {
    let frames: Vec<String> = (1..).zip(MESSAGE).map(|(number, record)| frame(number, record, End)).collect();
    sends(line, &frames);
    ends_well(line);
}

fn several_records_a_frame_are_records_of_one_message(line: &mut Analyzer) {
    sends(
        line,
        &[
            record_frame(1, &MESSAGE[..2].join("<CR>")),
            frame(2, &format!("{ORDER}<CR>R|1|^^^GLU|5"), Intermediate),
            record_frame(3, &format!(".4|mmol/L||N||F||||20260302081407<CR>{TERMINATOR}")),
        ],
    );
    ends_well(line);
}

fn a_chain_that_never_ends_is_kept_and_not_filed(line: &mut Analyzer) {
    let frames: Vec<String> = (1..)
        .zip(MESSAGE)
        .map(|(number, record)| frame(number, &format!("{record}<CR>"), Intermediate))
        .collect();
    sends(line, &frames);
    line.ends();
    line.is_told(&[]);
    line.has_filed(&[], Books { incomplete: 1, ..Books::default() });
}

#[test]
fn a_profile_may_allow_frame_numbers_to_begin_anywhere() {
    let mut line = analyzer(Kind::Restarting);
    line.exchange("<ENQ>", "<ACK>");
    for (number, record) in (0..).zip(MESSAGE) {
        line.exchange(&record_frame(number, record), "<ACK>");
    }
    // The next message of the same session begins anew as well.
    for (number, record) in (0..).zip(NEXT_MESSAGE) {
        line.exchange(&record_frame(number, record), "<ACK>");
    }
    line.ends();
    line.is_told(&[]);
    line.is_forgiven(&["frame-number-restart*2"]);
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

#[test]
fn a_strict_line_does_not_answer_a_frame_before_its_cr_lf() {
    let mut line = analyzer(Kind::Strict);
    let frames = frames();
    sends(&mut line, &frames[..4]);
    line.say_part(without_crlf(&frames[4]));
    line.exchange("<CR><LF>", "<ACK>");
    ends_well(&mut line);
    line.is_forgiven(&[]);
}

#[test]
fn a_strict_line_ignores_a_bid_inside_a_session() {
    let mut line = analyzer(Kind::Strict);
    let frames = frames();
    sends(&mut line, &frames[..2]);
    line.say("<ENQ>");
    for frame in &frames[2..] {
        line.exchange(frame, "<ACK>");
    }
    line.ends();
    line.is_told(&["enq-in-session"]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn oru(control_id: &str, specimen: &str, value: &str) -> [String; 4] {
    [
        format!("MSH|^~\\&|BENCH|LAB|LIS|LAB|20260302081407||ORU^R01|{control_id}|P|2.3.1"),
        "PID|1||P9".to_owned(),
        format!("OBR|1||{specimen}|GLU"),
        format!("OBX|1|NM|GLU||{value}|mmol/L|||||F|||20260302081407"),
    ]
}

fn oru_block(control_id: &str, specimen: &str, value: &str) -> String {
    let segments = oru(control_id, specimen, value);
    block(&segments.each_ref().map(String::as_str))
}

#[test]
fn a_block_in_two_segments_is_acknowledged_once() {
    let mut line = analyzer(Kind::Blocks);
    let block = oru_block("M1", "S7", "5.4");
    let (begin, rest) = block.split_at(60);
    line.say_part(begin);
    // Between the two bytes that end a block.
    let (middle, end) = rest.split_at(rest.len() - "<CR>".len());
    line.say_part(middle);
    line.say(end);
    line.hears_acknowledgement("AA", "M1");
    line.hangs_up();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

#[test]
fn a_block_byte_by_byte_is_acknowledged_once() {
    let mut line = analyzer(Kind::Blocks);
    for byte in labwire_testkit::from_control_names(&oru_block("M1", "S7", "5.4")) {
        line.say_bytes(&[byte]);
    }
    line.hears_acknowledgement("AA", "M1");
    line.hangs_up();
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

#[test]
fn blocks_in_one_write_are_acknowledged_in_their_order() {
    let mut line = analyzer(Kind::Blocks);
    line.say(&(oru_block("M1", "S7", "5.4") + &oru_block("M2", "S8", "6.1")));
    line.hears_acknowledgement("AA", "M1");
    line.hears_acknowledgement("AA", "M2");
    line.hangs_up();
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

#[test]
fn two_messages_in_one_block_are_acknowledged_each() {
    let mut line = analyzer(Kind::Blocks);
    let both = [oru("M1", "S7", "5.4"), oru("M2", "S8", "6.1")].concat();
    line.say(&block(&both.iter().map(String::as_str).collect::<Vec<_>>()));
    line.hears_acknowledgement("AA", "M1");
    line.hears_acknowledgement("AA", "M2");
    line.hangs_up();
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

#[test]
fn a_block_that_a_dropped_line_cut_is_kept_and_not_acknowledged() {
    let mut line = analyzer(Kind::Blocks);
    let whole = oru_block("M1", "S7", "5.4");
    line.say_part(whole.strip_suffix("<FS><CR>").unwrap());
    line.hangs_up();
    line.is_told(&["unit-cut-off"]);
    line.has_filed(&[], Books { incomplete: 1, ..Books::default() });
}

#[test]
fn a_block_that_begins_inside_another_one_is_read_and_the_torn_one_kept() {
    let mut line = analyzer(Kind::Blocks);
    let torn = oru_block("M1", "S7", "5.4");
    line.say(torn.strip_suffix("<FS><CR>").unwrap());
    line.say(&oru_block("M2", "S8", "6.1"));
    line.hears_acknowledgement("AA", "M2");
    line.hangs_up();
    line.is_told(&["unit-restarted"]);
    line.has_filed(&[NEXT_ROW], Books { delivered: 1, incomplete: 1, ..Books::default() });
}

#[test]
fn a_block_without_its_last_cr_is_acknowledged() {
    let mut line = analyzer(Kind::Blocks);
    let whole = oru_block("M1", "S7", "5.4");
    line.say(whole.strip_suffix("<CR>").unwrap());
    line.say(&oru_block("M2", "S8", "6.1"));
    line.hears_acknowledgement("AA", "M1");
    line.hears_acknowledgement("AA", "M2");
    line.hangs_up();
    line.is_told(&[]);
    line.is_forgiven(&["block-end-without-cr"]);
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

#[test]
fn noise_between_blocks_is_skipped() {
    let mut line = analyzer(Kind::Blocks);
    line.say(&format!("<CR><LF>{}<LF>", oru_block("M1", "S7", "5.4")));
    line.hears_acknowledgement("AA", "M1");
    line.say(&oru_block("M2", "S8", "6.1"));
    line.hears_acknowledgement("AA", "M2");
    line.hangs_up();
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
}

#[test]
fn a_message_without_a_control_id_is_refused_and_held() {
    let mut line = analyzer(Kind::Blocks);
    line.say(&oru_block("", "S7", "5.4"));
    line.hears_refusal("AE");
    line.hangs_up();
    line.has_filed(&[], Books { held: 1, ..Books::default() });
}

#[test]
fn a_block_without_a_header_segment_makes_the_host_leave() {
    let mut line = analyzer(Kind::Blocks);
    line.say("<VT>OBX|1|NM|GLU||5.4|mmol/L|||||F<CR><FS><CR>");
    line.is_left_by_the_host();
    line.has_filed(&[], Books { held: 1, ..Books::default() });
}
