//! Frames that come again, out of turn, or under a number that is not theirs.

use crate::bench::{Analyzer, Books, Kind, analyzer, record_frame, record_frames};
use crate::{
    GLUCOSE, GLUCOSE_ROW, HEADER, MESSAGE, NEXT_MESSAGE, NEXT_ROW, ORDER, TERMINATOR, UREA, ends_well,
    frames, sends,
};

over_tcp_and_serial![
    a_frame_sent_again_because_our_reply_was_lost_is_acknowledged_and_kept_once,
    a_last_frame_sent_again_because_our_reply_was_lost_is_filed_once,
    skipped_frame_numbers_are_refused_until_the_right_one_comes,
    a_first_frame_with_number_zero_is_refused,
    a_number_used_again_for_another_content_is_refused,
    a_frame_number_that_is_no_digit_is_refused,
    frame_numbers_go_round_behind_seven,
];

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
