//! How reads cut what the analyzer says.

use crate::bench::{Analyzer, Books, acks, record_frames};
use crate::{GLUCOSE_ROW, NEXT_MESSAGE, NEXT_ROW, ends_well, frames, sends, whole_session};

over_tcp_and_serial![
    a_session_is_acknowledged_frame_by_frame_and_filed,
    a_frame_in_two_segments_is_acknowledged_once,
    a_session_sent_byte_by_byte_is_filed_like_any_other,
    bid_and_first_frame_in_one_segment_get_a_reply_each,
    a_whole_session_in_one_write_is_acknowledged_frame_by_frame,
    two_sessions_in_one_write_are_two_messages,
    the_end_of_a_session_and_the_next_bid_in_one_segment_are_both_heard,
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
