//! Lines that drop and sessions that end too early: what was acknowledged is filed, or kept for a
//! person.

use crate::bench::{Analyzer, Books, frame, record_frame, record_frames};
use crate::{
    GLUCOSE, GLUCOSE_ROW, HEADER, MESSAGE, NEXT_MESSAGE, NEXT_ROW, ORDER, PATIENT, TERMINATOR, UREA,
    UREA_ROW, damaged, frames, sends,
};
use labwire_link::UnitEnd::Intermediate;

over_tcp_and_serial![
    a_line_that_drops_behind_the_terminator_has_delivered_its_message,
    a_line_that_drops_before_the_terminator_leaves_an_incomplete_message,
    a_message_that_goes_on_after_the_line_dropped_is_filed_as_one,
    a_message_sent_again_whole_after_the_line_dropped_is_filed_once,
    another_message_after_the_line_dropped_leaves_the_incomplete_one_to_a_person,
    a_frame_cut_by_a_dropped_line_is_not_inherited_by_the_next_connection,
    a_session_ended_before_the_terminator_leaves_an_incomplete_message,
    a_sender_that_gives_up_after_six_refusals_has_filed_nothing,
    a_chain_that_never_ends_is_kept_and_not_filed,
];

fn a_line_that_drops_behind_the_terminator_has_delivered_its_message(line: &mut Analyzer) {
    sends(line, &frames());
    line.hangs_up();
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

fn a_line_that_drops_before_the_terminator_leaves_an_incomplete_message(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.hangs_up();
    line.has_filed(&[], Books { incomplete: 1, ..Books::default() });
    line.has_held(&["S7 incomplete"]);
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
    line.has_held(&[]);
}

fn another_message_after_the_line_dropped_leaves_the_incomplete_one_to_a_person(line: &mut Analyzer) {
    sends(line, &frames()[..4]);
    line.hangs_up();
    line.plug_in();
    sends(line, &record_frames(&NEXT_MESSAGE));
    line.ends();
    line.has_filed(&[NEXT_ROW], Books { delivered: 1, incomplete: 1, ..Books::default() });
    line.has_held(&["S7 incomplete"]);
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
    line.has_held(&["S7 incomplete"]);
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
    line.has_held(&["S7 incomplete"]);
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
    line.has_held(&["S7 incomplete"]);
}
