//! Frames that are damaged, too long, oddly ended, or not where they belong.

use crate::bench::{Analyzer, Books, Kind, acks, analyzer, frame, record_frame, record_frames};
use crate::{
    GLUCOSE, GLUCOSE_ROW, MESSAGE, NEXT_MESSAGE, TERMINATOR, damaged, ends_well, frames, sends, without_crlf,
};
use labwire_link::UnitEnd::{End, Intermediate};

over_tcp_and_serial![
    an_intermediate_frame_with_a_wrong_checksum_is_refused_until_it_is_right,
    an_end_frame_with_a_wrong_checksum_is_refused_until_it_is_right,
    a_checksum_that_leaves_out_the_terminator_is_refused,
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
];

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
