//! Texts between markers: found, checked, replied to, and written.

use core::time::Duration;

use labwire_link::{
    Answer, Check, DelimitedSettings, EndReason, ErrorMode, Event, Input, LinkSettings, Machine, SendFailure,
    TextReply, Tolerance, UnitEnd,
};
use labwire_testkit::{Bench, Judge, from_control_names};

/// A text of one record with its right check: 1E 63 69 37 7C 1D sum to BA.
const CHECKED: &str = "<STX><RS>ci7|<GS>ba<ETX>";

fn bench(settings: DelimitedSettings) -> Bench {
    Bench::new(LinkSettings::Delimited(settings))
}

fn plain() -> Bench {
    bench(DelimitedSettings::default())
}

fn bci() -> Bench {
    bench(DelimitedSettings::bci())
}

fn acknowledged() -> DelimitedSettings {
    DelimitedSettings { reply: TextReply::AckOrNak, ..DelimitedSettings::default() }
}

#[test]
fn a_text_between_its_markers_is_one_unit_and_not_answered() {
    let mut bench = plain();
    bench.feed("<STX>24/10/29 ID# 7 Na 131 mmol/L <ETX><LF><STX>second<ETX>");
    assert_eq!(bench.units(), ["24/10/29 ID# 7 Na 131 mmol/L ", "second"]);
    assert_eq!(bench.written(), "");
    assert_eq!(bench.faults(), ["bytes-skipped"], "the line feed between them");
}

#[test]
fn a_reply_follows_the_verdict() {
    let mut bench = bench(acknowledged());
    bench.judge = Judge::Waits;
    bench.feed("<STX>a<ETX><STX>b<ETX>");
    assert_eq!(bench.written(), "");
    assert_eq!(bench.accept().written(), "<ACK>");
    assert_eq!(bench.refuse().written(), "<NAK>");
}

#[test]
fn a_late_verdict_refuses_the_text() {
    let mut bench = bench(acknowledged());
    bench.judge = Judge::Waits;
    bench.feed("<STX>a<ETX>").wait(Duration::from_secs(10));
    assert_eq!(bench.written(), "<NAK>");
    assert_eq!(bench.accept().written(), "");
}

#[test]
fn markers_may_be_longer_than_a_byte_and_their_parts_are_content() {
    let settings =
        DelimitedSettings { start: b"D1U".to_vec(), end: b"\r\n".to_vec(), ..DelimitedSettings::default() };
    let mut bench = bench(settings);
    bench.feed("D1D1Ux<CR>y D1U<CR><LF>D1Usecond<CR><LF>");
    assert_eq!(bench.units(), ["x<CR>y D1U", "second"]);
}

#[test]
fn silence_ends_a_text_that_has_no_end_marker() {
    let settings = DelimitedSettings {
        start: Vec::new(),
        end: Vec::new(),
        idle_end: Some(Duration::from_secs(2)),
        ..DelimitedSettings::default()
    };
    let mut bench = bench(settings);
    bench.feed("H|1<CR>").wait(Duration::from_secs(1));
    bench.feed("L|1<CR>").wait(Duration::from_secs(2));
    bench.feed("H|2<CR>").wait(Duration::from_secs(2));
    assert_eq!(bench.units(), ["H|1<CR>L|1<CR>", "H|2<CR>"]);
}

#[test]
fn a_start_byte_inside_a_text_makes_a_fragment_of_it() {
    let mut bench = plain();
    bench.feed("<STX>half<STX>whole<ETX>");
    assert_eq!(bench.units(), ["whole"]);
    assert_eq!(bench.fragments(), ["half"]);
    assert_eq!(bench.faults(), ["unit-restarted"]);
}

#[test]
fn a_text_that_stalls_or_is_cut_off_becomes_a_fragment() {
    let mut bench = plain();
    bench.feed("<STX>stalled").wait(Duration::from_secs(30));
    bench.feed("<STX>cut");
    bench.handle(Input::Closed);
    assert_eq!(bench.fragments(), ["stalled", "cut"]);
    assert_eq!(bench.faults(), ["unit-stalled", "unit-cut-off"]);
}

#[test]
fn a_text_over_the_limit_is_refused_and_the_stream_given_up() {
    let settings = DelimitedSettings { bytes_max: 4, ..acknowledged() };
    let mut bench = bench(settings);
    assert_eq!(bench.feed("<STX>1234<ETX>").written(), "<ACK>");
    assert_eq!(bench.feed("<STX>12345<ETX>").written(), "<NAK>");
    assert!(bench.events.contains(&Event::Desynchronised("bytes-max")));
    assert!(!bench.machine.accepts_input());
}

#[test]
fn a_damaged_character_refuses_the_text() {
    let mut bench = bench(acknowledged());
    bench.feed("<STX>ab");
    bench.handle(Input::CharacterError);
    assert_eq!(bench.feed("cd<ETX>").written(), "<NAK>");
    assert_eq!(bench.feed("<STX>abcd<ETX>").written(), "<ACK>");
    assert_eq!(bench.units(), ["abcd"]);
}

#[test]
fn a_checked_session_is_acknowledged_bid_by_bid_and_text_by_text() {
    let mut bench = bci();
    assert_eq!(bench.feed("<ENQ>").written(), "<ACK>");
    assert_eq!(bench.feed(CHECKED).written(), "<ACK>");
    assert_eq!(bench.feed("<EOT>").written(), "");
    assert_eq!(bench.units(), ["<RS>ci7|"]);
    assert_eq!(bench.events.first(), Some(&Event::Opened));
    assert_eq!(bench.events.last(), Some(&Event::Ended(EndReason::Eot)));
}

#[test]
fn a_wrong_check_is_refused_and_the_repeat_accepted() {
    let mut bench = bci();
    bench.feed("<ENQ>").written();
    assert_eq!(bench.feed("<STX><RS>ci8|<GS>ba<ETX>").written(), "<NAK>");
    assert_eq!(bench.feed(CHECKED).written(), "<ACK>");
    assert_eq!(bench.faults(), ["check-mismatch"]);
    assert!(bench.fragments().is_empty(), "the sender repeats it");
}

#[test]
fn a_wrong_check_that_nobody_repeats_is_kept_as_a_fragment() {
    let settings =
        DelimitedSettings { check: Check::SumThroughMark { mark: 0x1D }, ..DelimitedSettings::default() };
    let mut bench = bench(settings);
    bench.feed("<STX><RS>ci8|<GS>ba<ETX>");
    assert_eq!(bench.fragments(), ["<RS>ci8|<GS>ba"]);
    assert!(bench.units().is_empty());
}

#[test]
fn a_text_whose_check_holds_is_whole_although_the_connection_closed_before_its_end() {
    let mut bench = bci();
    bench.feed("<STX><RS>ci7|<GS>ba<LF>");
    bench.handle(Input::Closed);
    assert_eq!(bench.units(), ["<RS>ci7|"]);
    assert!(bench.fragments().is_empty());
}

#[test]
fn a_unit_that_a_close_completed_is_refused_too_if_its_verdict_is_late() {
    let mut bench = bci();
    bench.judge = Judge::Waits;
    bench.feed("<STX><RS>ci7|<GS>ba");
    bench.handle(Input::Closed);
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.faults(), ["verdict-late"]);
    assert_eq!(bench.machine.poll_deadline(), None);
}

#[test]
fn a_store_that_cannot_commit_refuses_the_bid() {
    let mut bench = bci();
    bench.handle(Input::Ready(false));
    assert_eq!(bench.feed("<ENQ>").written(), "<NAK>");
    assert_eq!(bench.faults(), ["not-ready"]);
}

#[test]
fn a_bid_inside_a_session_or_a_text_begins_anew() {
    let mut bench = bci();
    bench.feed("<ENQ><ENQ><STX>half<ENQ>").feed(CHECKED).feed("<EOT>");
    assert_eq!(bench.written(), "<ACK><ACK><ACK><ACK>");
    assert_eq!(bench.units(), ["<RS>ci7|"]);
    assert_eq!(bench.fragments(), ["half"]);
    let restarted = bench.events.iter().filter(|event| **event == Event::Ended(EndReason::Restarted));
    assert_eq!(restarted.count(), 2);
}

#[test]
fn a_silent_session_ends() {
    let mut bench = bci();
    bench.feed("<ENQ>").wait(Duration::from_secs(30));
    assert_eq!(bench.events.last(), Some(&Event::Ended(EndReason::Timeout)));
}

#[test]
fn what_a_sender_writes_a_receiver_accepts() {
    let mut sender = bci();
    sender.handle(Input::Send { id: 1, message: &from_control_names("<RS>ci7|") });
    assert_eq!(sender.written(), "<ENQ>");
    assert_eq!(sender.feed("<ACK>").written(), CHECKED);
    assert_eq!(sender.feed("<NAK>").written(), CHECKED);
    assert_eq!(sender.feed("<ACK>").written(), "<EOT>");
    assert_eq!(sender.events.last(), Some(&Event::Sent { id: 1 }));
    assert_eq!(sender.faults(), ["frame-refused"]);
}

#[test]
fn a_text_that_is_always_refused_fails_after_its_attempts() {
    let mut sender = bench(acknowledged());
    sender.handle(Input::Send { id: 1, message: b"a" });
    sender.feed(&"<NAK>".repeat(6));
    assert_eq!(sender.written(), "<STX>a<ETX>".repeat(6));
    assert_eq!(sender.events.last(), Some(&Event::SendFailed { id: 1, reason: SendFailure::Refused }));
}

#[test]
fn a_text_that_is_not_answered_fails_and_the_next_one_is_sent() {
    let mut sender = bench(acknowledged());
    sender.handle(Input::Send { id: 1, message: b"a" });
    sender.handle(Input::Send { id: 2, message: b"b" });
    assert_eq!(sender.written(), "<STX>a<ETX>");
    sender.wait(Duration::from_secs(15));
    assert_eq!(sender.written(), "<STX>b<ETX>");
    sender.feed("<ACK>");
    assert_eq!(sender.events.last(), Some(&Event::Sent { id: 2 }));
}

#[test]
fn an_unanswered_or_refused_bid_is_made_again_after_a_pause() {
    let mut sender = bci();
    sender.handle(Input::Send { id: 1, message: b"a" });
    assert_eq!(sender.written(), "<ENQ>");
    sender.wait(Duration::from_secs(15));
    assert_eq!(sender.written(), "<EOT>");
    sender.wait(Duration::from_secs(10));
    assert_eq!(sender.written(), "<ENQ>");
    sender.feed("<NAK>").wait(Duration::from_secs(10));
    assert_eq!(sender.written(), "<ENQ>");
    assert_eq!(sender.faults(), ["bid-unanswered", "bid-refused"]);
}

#[test]
fn a_message_that_holds_a_marker_is_not_sent() {
    let mut sender = plain();
    sender.handle(Input::Send { id: 1, message: b"a\x03b" });
    assert_eq!(
        sender.events,
        [Event::SendFailed { id: 1, reason: SendFailure::RestrictedByte { byte: 3, at: 1 } }]
    );
}

fn checked(check: Check) -> DelimitedSettings {
    DelimitedSettings { check, ..acknowledged() }
}

#[test]
fn a_block_check_character_may_be_any_byte() {
    // 41 ^ 42 ^ 03 = 00, 41 ^ 03 = 42, 40 ^ 43 ^ 05 ^ 03 = 05 which is ENQ
    let mut bench = bench(checked(Check::XorBehindEnd));
    bench.feed("<STX>AB<ETX><NUL><STX>A<ETX>B<STX>B<ETX>B<STX>AA<ETX><ETX>");
    assert_eq!(bench.units(), ["AB", "A", "AA"]);
    assert_eq!(bench.written(), "<ACK><ACK><NAK><ACK>");
    assert_eq!(bench.faults(), ["check-mismatch"]);
}

#[test]
fn two_digits_behind_the_end_are_the_sum_through_it() {
    let mut bench = bench(checked(Check::SumBehindEnd));
    bench.feed("<STX>AB<ETX>86<CR><LF><STX>AB<ETX>83");
    assert_eq!((bench.units(), bench.written().as_str()), (vec!["AB".to_owned()], "<ACK><NAK>"));
}

#[test]
fn a_text_that_breaks_off_in_its_check_is_no_text() {
    let mut bench = bench(checked(Check::SumBehindEnd));
    bench.feed("<STX>AB<ETX>8").wait(Duration::from_secs(30));
    assert_eq!((bench.units(), bench.fragments()), (vec![], vec!["AB".to_owned()]));
    assert_eq!(bench.faults(), ["unit-stalled"]);
}

#[test]
fn every_check_of_ours_passes_on_the_other_side() {
    for check in [Check::SumBeforeEnd, Check::SumBehindEnd, Check::XorBehindEnd] {
        let mut sender = bench(checked(check));
        sender.handle(Input::Send { id: 1, message: b"R|1" });
        let mut receiver = bench(checked(check));
        let wire = from_control_names(&sender.written());
        receiver.handle(Input::Bytes(&wire));
        assert_eq!((receiver.units(), receiver.faults()), (vec!["R|1".to_owned()], vec![]), "{check:?}");
    }
}

#[test]
fn a_continued_text_says_so() {
    let mut bench = bench(DelimitedSettings { continued: vec![0x17], ..checked(Check::XorBehindEnd) });
    // 41 ^ 17 = 56, 42 ^ 03 = 41
    bench.feed("<STX>A<ETB>V<STX>B<ETX>A");
    let ends: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Unit { end, .. } => Some(*end),
            _ => None,
        })
        .collect();
    assert_eq!((ends, bench.written().as_str()), (vec![UnitEnd::Intermediate, UnitEnd::End], "<ACK><ACK>"));
}

#[test]
fn a_text_of_another_length_is_refused_where_all_have_one() {
    let mut bench = bench(DelimitedSettings { length: Some(3), ..acknowledged() });
    bench.feed("<STX>abc<ETX><STX>ab<ETX><STX>abcd<ETX>");
    assert_eq!((bench.units(), bench.written().as_str()), (vec!["abc".to_owned()], "<ACK><NAK><NAK>"));
    assert_eq!(bench.faults(), ["unit-length", "unit-length"]);
}

#[test]
fn the_length_ends_a_text_that_has_no_marker() {
    let mut bench = bench(DelimitedSettings::fixed_length(4));
    bench.feed("abcdefgh12");
    assert_eq!(bench.units(), ["abcd", "efgh"]);
    bench.wait(Duration::from_secs(30));
    assert_eq!((bench.fragments(), bench.faults()), (vec!["12".to_owned()], vec!["unit-stalled"]));
}

#[test]
fn blocks_from_soh_to_eot_are_answered_once() {
    let mut bench = bench(DelimitedSettings::soh_block());
    bench.feed("<SOH>H|\\^&<CR>L|1|N<CR><EOT><LF><SOH><LF>09<LF><STX><LF>53 7<LF><ETX><LF><EOT><LF>");
    assert_eq!(bench.units(), ["H|\\^&<CR>L|1|N<CR>", "<LF>09<LF><STX><LF>53 7<LF><ETX><LF>"]);
    assert_eq!((bench.written().as_str(), bench.faults()), ("<ACK><ACK>", vec![]));
}

/// Fields with a separator behind each, a sum in front of ETX, polls and results that want an answer.
fn polled() -> DelimitedSettings {
    let answer = |to: &[u8], with: &[u8], is_data| Answer { to: to.to_vec(), with: with.to_vec(), is_data };
    DelimitedSettings {
        answers: vec![answer(b"P\x1C", b"N\x1C", false), answer(b"R\x1C", b"M\x1CA\x1C\x1C", true)],
        ..checked(Check::SumBeforeEnd)
    }
}

#[test]
fn a_poll_gets_its_answer_and_is_no_message() {
    let mut bench = bench(polled());
    // 50 + 1C + 37 + 1C = BF
    assert_eq!(bench.feed("<STX>P<FS>7<FS>BF<ETX>").written(), "<ACK><STX>N<FS>6A<ETX>");
    assert_eq!(bench.feed("<ACK>").units(), Vec::<String>::new());
    assert_eq!(bench.faults(), Vec::<&str>::new());
    bench.handle(Input::Ready(false));
    assert_eq!(
        bench.feed("<STX>P<FS>7<FS>BF<ETX>").written(),
        "<NAK>",
        "no promise while nothing can be stored"
    );
}

#[test]
fn a_result_gets_its_answer_behind_its_verdict() {
    let mut bench = bench(polled());
    bench.judge = Judge::Waits;
    // 52 + 1C + 37 + 1C = C1
    bench.feed("<STX>R<FS>7<FS>C1<ETX>");
    assert_eq!(bench.written(), "");
    assert_eq!(bench.accept().written(), "<ACK><STX>M<FS>A<FS><FS>E2<ETX>");
    bench.feed("<ACK><STX>R<FS>7<FS>C1<ETX>");
    assert_eq!(bench.refuse().written(), "<NAK>", "no acceptance of what is not kept");
    assert_eq!(bench.units(), ["R<FS>7<FS>", "R<FS>7<FS>"]);
}

#[test]
fn an_answer_goes_before_what_waits_and_is_nobody_s_message() {
    let mut bench = bench(polled());
    bench.judge = Judge::Waits;
    bench.feed("<STX>R<FS>7<FS>C1<ETX>");
    bench.handle(Input::Send { id: 1, message: b"D" });
    assert_eq!(bench.accept().written(), "<ACK><STX>M<FS>A<FS><FS>E2<ETX>");
    assert_eq!(bench.feed("<ACK>").wait(Duration::from_secs(1)).written(), "<STX>D44<ETX>");
    bench.feed("<ACK>");
    assert_eq!(bench.events.iter().filter(|event| matches!(event, Event::Sent { .. })).count(), 1);
}

#[test]
fn a_text_whose_bytes_are_damaged_is_refused_whatever_its_check_says() {
    let mut bench = bench(DelimitedSettings { error_mode: ErrorMode::Resync, ..checked(Check::None) });
    bench.feed("<STX>A");
    bench.handle(Input::CharacterError);
    bench.feed("B<ETX>");
    assert_eq!((bench.written().as_str(), bench.faults()), ("<NAK>", vec!["character-error"]));
    assert_eq!(bench.tolerated(), Vec::<Tolerance>::new());
}
