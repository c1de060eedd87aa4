//! Every legal and observed way to lay records out in ETB and ETX frames.

use crate::bench::{Analyzer, Books, frame, record_frame};
use crate::{
    GLUCOSE, GLUCOSE_ROW, MESSAGE, NEXT_MESSAGE, NEXT_ROW, ORDER, TERMINATOR, ends_well, frames, sends,
};
use labwire_link::UnitEnd::{End, Intermediate};

over_tcp_and_serial![
    a_whole_message_in_one_frame_is_filed,
    two_messages_in_one_frame_are_two_messages,
    a_record_cut_into_two_frames_is_read_as_one,
    a_terminator_record_cut_into_two_frames_ends_the_message,
    a_record_cut_before_its_cr_is_read_as_one,
    intermediate_frames_on_whole_records_and_one_end_frame_are_one_message,
    an_empty_end_frame_ends_the_chain,
    end_frames_without_a_cr_before_the_end_are_whole_records,
    several_records_a_frame_are_records_of_one_message,
];

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
