//! HL7 in MLLP blocks.

use crate::bench::{Books, Kind, analyzer, block};
use crate::{GLUCOSE_ROW, NEXT_ROW};

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
fn a_sender_that_closes_its_direction_behind_the_block_gets_its_acknowledgement() {
    let mut line = analyzer(Kind::Blocks);
    line.say(&(oru_block("M1", "S7", "5.4") + &oru_block("M2", "S8", "6.1")));
    line.says_no_more();
    line.hears_acknowledgement("AA", "M1");
    line.hears_acknowledgement("AA", "M2");
    line.is_left_by_the_host();
    line.has_filed(&[GLUCOSE_ROW, NEXT_ROW], Books::delivered(2));
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
    line.has_held(&["S7 no-control-id"]);
}

#[test]
fn a_block_without_a_header_segment_makes_the_host_leave() {
    let mut line = analyzer(Kind::Blocks);
    line.say("<VT>OBX|1|NM|GLU||5.4|mmol/L|||||F<CR><FS><CR>");
    line.is_left_by_the_host();
    line.has_filed(&[], Books { held: 1, ..Books::default() });
    line.has_held(&["- no-specimen"]);
}
