//! Every named deviation of LIS01 lines: refused, or not done, without its name, and with it accepted and
//! counted.

use core::time::Duration;

use labwire_link::{
    Event, Input, LinkSettings, Lis01Settings, Packing, Role, SendFailure, SentChecksum, Tolerance,
    Tolerances,
};
use labwire_testkit::Bench;

fn tolerating(tolerances: &[Tolerance]) -> Lis01Settings {
    let tolerate = tolerances.iter().fold(Tolerances::LIS01, |set, tolerance| set.with(*tolerance));
    Lis01Settings { tolerate, ..Lis01Settings::default() }
}

fn bench(settings: Lis01Settings) -> Bench {
    Bench::new(LinkSettings::Lis01(settings))
}

fn allowing(tolerances: &[Tolerance]) -> Bench {
    bench(tolerating(tolerances))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a session with this frame is answered with and why: on a default line, and on one with the
/// tolerance.
fn frame_with_and_without(
    tolerance: Tolerance,
    frame: &str,
) -> [(String, Vec<&'static str>, Vec<Tolerance>); 2] {
    [Bench::new(LinkSettings::Lis01(Lis01Settings::default())), allowing(&[tolerance])].map(|mut bench| {
        bench.feed("<ENQ>").written();
        bench.feed(frame).wait(seconds(1));
        (bench.written(), bench.faults(), bench.tolerated())
    })
}

/// A frame that only its tolerance gets accepted.
fn assert_needs(tolerance: Tolerance, frame: &str, fault: &'static str) {
    let [default, tolerant] = frame_with_and_without(tolerance, frame);
    assert_eq!(default, ("<NAK>".to_owned(), vec![fault], vec![]), "{frame}");
    assert_eq!(tolerant, ("<ACK>".to_owned(), vec![], vec![tolerance]), "{frame}");
}

#[test]
fn a_sum_without_the_terminator_needs_its_name() {
    let tolerance = Tolerance::ChecksumWithoutTerminator;
    assert_needs(tolerance, "<STX>1L|1|N<CR><ETX>01<CR><LF>", "checksum-without-terminator");
    assert_needs(tolerance, "<STX>1L|1|N<ETB>F4<CR><LF>", "checksum-without-terminator");
}

#[test]
fn a_sum_from_stx_needs_its_name() {
    assert_needs(Tolerance::ChecksumFromStart, "<STX>1L|1|N<CR><ETX>06<CR><LF>", "checksum-mismatch");
}

#[test]
fn both_ways_of_summing_together_are_one_way() {
    let both = [Tolerance::ChecksumFromStart, Tolerance::ChecksumWithoutTerminator];
    let mut bench = allowing(&both);
    bench.feed("<ENQ><STX>1L|1|N<CR><ETX>03<CR><LF>");
    assert_eq!((bench.written().as_str(), bench.tolerated()), ("<ACK><ACK>", vec![both[0]]));
    bench.feed("<STX>2L|1|N<CR><ETX>07<CR><LF>");
    assert_eq!(bench.written(), "<NAK>", "from STX through the terminator is another way");
}

#[test]
fn the_standard_sum_is_right_whatever_else_is_allowed_and_is_not_counted() {
    let mut bench = allowing(&[Tolerance::ChecksumFromStart, Tolerance::ChecksumWithoutTerminator]);
    bench.feed("<ENQ><STX>1L|1|N<CR><ETX>04<CR><LF>");
    assert_eq!((bench.written().as_str(), bench.tolerated()), ("<ACK><ACK>", vec![]));
}

#[test]
fn a_checksum_of_one_digit_needs_its_name() {
    assert_needs(Tolerance::ChecksumOneDigit, "<STX>1L|1|N<CR><ETX>4<CR><LF>", "checksum-not-hex");
    let mut bench = allowing(&[Tolerance::ChecksumOneDigit]);
    bench.feed("<ENQ><STX>1L|1|N<CR><ETX>5<CR><LF>");
    assert_eq!(bench.written(), "<ACK><NAK>", "it is compared all the same");
}

#[test]
fn a_wrong_checksum_is_taken_only_where_checksums_are_ignored() {
    let tolerance = Tolerance::ChecksumIgnored;
    assert_needs(tolerance, "<STX>1L|1|N<CR><ETX>99<CR><LF>", "checksum-mismatch");
    assert_needs(tolerance, "<STX>1L|1|N<CR><ETX>ZZ<CR><LF>", "checksum-not-hex");
    let [_, right] = frame_with_and_without(tolerance, "<STX>1L|1|N<CR><ETX>04<CR><LF>");
    assert_eq!(right, ("<ACK>".to_owned(), vec![], vec![]), "a right one is no deviation");
}

#[test]
fn with_checksums_off_every_frame_counts_and_any_field_will_do() {
    let tolerance = Tolerance::ChecksumOff;
    assert_needs(tolerance, "<STX>1L|1|N<CR><ETX>99<CR><LF>", "checksum-mismatch");
    assert_needs(tolerance, "<STX>1L|1|N<CR><ETX>  <CR><LF>", "checksum-not-hex");
    assert_needs(tolerance, "<STX>1L|1|N<CR><ETX><CR><LF>", "checksum-not-hex");
    let [_, right] = frame_with_and_without(tolerance, "<STX>1L|1|N<CR><ETX>04<CR><LF>");
    assert_eq!(right.2, [tolerance], "a right one counts too: nobody looked");
}

#[test]
fn with_checksums_off_a_frame_may_end_with_its_terminator() {
    let mut bench = allowing(&[Tolerance::ChecksumOff]);
    bench.feed("<ENQ><STX>1P|1<CR><ETX><STX>2L|1|N<CR><ETX><EOT>");
    assert_eq!(bench.written(), "<ACK><ACK><ACK>");
    assert_eq!(bench.units(), ["P|1<CR>", "L|1|N<CR>"]);
    bench.feed("<ENQ><STX>1P|1<CR><ETX>").written();
    assert_eq!(bench.wait(seconds(1)).written(), "<ACK>", "silence ends the frame");
}

#[test]
fn blanks_stand_for_our_checksum_where_the_profile_says_so() {
    let mut bench = bench(Lis01Settings { send_checksum: SentChecksum::Blanks, ..Lis01Settings::default() });
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    bench.feed("<ACK>");
    assert_eq!(bench.written(), "<ENQ><STX>1L|1|N<CR><ETX>  <CR><LF>");
}

#[test]
fn what_they_leave_out_of_the_sum_we_leave_out_of_ours() {
    for (tolerance, frame) in [
        (Tolerance::ChecksumWithoutTerminator, "<STX>1L|1|N<CR><ETX>01<CR><LF>"),
        (Tolerance::ChecksumFromStart, "<STX>1L|1|N<CR><ETX>06<CR><LF>"),
        (Tolerance::FrameNumberAbsent, "<STX>L|1|N<CR><ETX>D3<CR><LF>"),
    ] {
        let mut bench = allowing(&[tolerance]);
        bench.handle(Input::Send { id: 1, message: b"L|1|N" });
        bench.feed("<ACK>");
        assert_eq!(bench.written(), format!("<ENQ>{frame}"));
    }
}

#[test]
fn frames_without_numbers_need_their_name() {
    assert_needs(Tolerance::FrameNumberAbsent, "<STX>L|1|N<CR><ETX>D3<CR><LF>", "frame-number-invalid");
}

#[test]
fn without_numbers_an_equal_neighbour_is_a_repeat_and_everything_else_is_new() {
    let mut bench = allowing(&[Tolerance::FrameNumberAbsent]);
    bench.feed("<ENQ>");
    bench.feed("<STX>P|1<CR><ETX>0D<CR><LF><STX>P|1<CR><ETX>0D<CR><LF><STX>L|1|N<CR><ETX>D3<CR><LF>");
    assert_eq!(bench.written(), "<ACK><ACK><ACK><ACK>");
    assert_eq!(bench.units(), ["P|1<CR>", "L|1|N<CR>"]);
    let numbers: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Unit { number, .. } => Some(*number),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [Some(1), Some(2)], "the machine counts for itself");
}

#[test]
fn eot_is_answered_only_where_the_analyzer_waits_for_it() {
    let session = "<ENQ><STX>1L|1|N<CR><ETX>04<CR><LF><EOT>";
    let mut default = allowing(&[]);
    assert_eq!(default.feed(session).written(), "<ACK><ACK>");
    let mut bench = allowing(&[Tolerance::EotReply]);
    assert_eq!(bench.feed(session).written(), "<ACK><ACK><ACK>");
    assert_eq!(bench.tolerated(), [Tolerance::EotReply]);
    bench.feed("<ENQ>").written();
    bench.handle(Input::Ready(false));
    assert_eq!(bench.feed("<EOT>").written(), "<NAK>", "no promise while the store cannot commit");
}

#[test]
fn eot_on_a_neutral_line_is_never_answered() {
    assert_eq!(allowing(&[Tolerance::EotReply]).feed("<EOT>").written(), "");
}

#[test]
fn enq_grants_our_bid_only_where_the_analyzer_answers_so() {
    let mut default = allowing(&[]);
    default.handle(Input::Send { id: 1, message: b"L|1|N" });
    assert_eq!(default.feed("<ENQ>").written(), "<ENQ>", "contention: the host yields");
    let mut bench = allowing(&[Tolerance::EnqReplyIsAck]);
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    assert_eq!(bench.feed("<ENQ>").written(), "<ENQ><STX>1L|1|N<CR><ETX>04<CR><LF>");
    assert_eq!(bench.tolerated(), [Tolerance::EnqReplyIsAck]);
}

#[test]
fn the_host_bids_again_and_hears_no_bid_where_it_goes_first() {
    let mut bench = allowing(&[Tolerance::HostPriority]);
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    assert_eq!(bench.feed("<ENQ>").written(), "<ENQ>");
    bench.wait(Duration::from_millis(500));
    assert_eq!(bench.feed("<ENQ>").written(), "", "the analyzer's bid goes unheard");
    assert_eq!(bench.tolerated(), [Tolerance::HostPriority]);
    assert_eq!(bench.wait(seconds(1)).written(), "<ENQ>", "a second and some jitter after the crossing");
    bench.feed("<ACK><ACK>");
    assert_eq!(bench.written(), "<STX>1L|1|N<CR><ETX>04<CR><LF><EOT>");
    assert_eq!(bench.feed("<ENQ>").written(), "<ACK>", "the line is free again");
}

#[test]
fn an_analyzer_yields_for_twenty_seconds_where_the_host_goes_first() {
    let mut bench = bench(Lis01Settings { role: Role::Instrument, ..tolerating(&[Tolerance::HostPriority]) });
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    bench.feed("<ENQ>").written();
    assert_eq!(bench.wait(seconds(19)).written(), "");
    assert_eq!(bench.wait(seconds(2)).written(), "<ENQ>");
}

#[test]
fn strict_knows_no_tolerance_and_no_house_style() {
    let everything: Tolerances = Tolerance::ALL.into_iter().collect();
    let mut bench = bench(Lis01Settings {
        strict: true,
        tolerate: everything,
        send_checksum: SentChecksum::Blanks,
        turnaround: seconds(5),
        ..Lis01Settings::default()
    });
    bench.feed("<ENQ><STX>1L|1|N<CR><ETX>99<CR><LF><STX>1L|1|N<CR><ETX>04<CR><LF><EOT>");
    assert_eq!(bench.written(), "<ACK><NAK><ACK>");
    assert_eq!(bench.tolerated(), []);
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    bench.feed("<ACK>");
    assert_eq!(bench.written(), "<ENQ><STX>1L|1|N<CR><ETX>04<CR><LF>");
}

#[test]
fn an_empty_last_frame_ends_the_chain() {
    let mut bench = allowing(&[]);
    bench.feed("<ENQ><STX>1L|1|N<CR><ETB>18<CR><LF><STX>2<ETX>35<CR><LF><EOT>");
    assert_eq!(bench.written(), "<ACK><ACK><ACK>");
    assert_eq!((bench.units(), bench.faults()), (vec!["L|1|N<CR>".to_owned(), String::new()], vec![]));
}

#[test]
fn a_bid_without_a_session_is_no_fault() {
    let mut bench = allowing(&[]);
    bench.feed("<ENQ><EOT><ENQ><EOT>");
    assert_eq!((bench.written().as_str(), bench.faults()), ("<ACK><ACK>", vec![]));
}

#[test]
fn a_record_chain_ends_only_its_last_record() {
    let mut bench = bench(Lis01Settings { packing: Packing::RecordChain, ..Lis01Settings::default() });
    bench.handle(Input::Send { id: 1, message: b"H|\\^&\rP|1\rL|1|N\r" });
    bench.feed("<ACK>").feed("<ACK>").feed("<ACK>").feed("<ACK>");
    let expected =
        "<ENQ><STX>1H|\\^&<CR><ETB>F9<CR><LF><STX>2P|1<CR><ETB>53<CR><LF><STX>3L|1|N<CR><ETX>06<CR><LF><EOT>";
    assert_eq!(bench.written(), expected);
}

#[test]
fn a_line_that_turns_round_slowly_gets_its_pause_before_every_frame() {
    let mut bench =
        bench(Lis01Settings { turnaround: Duration::from_millis(200), ..Lis01Settings::default() });
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    bench.feed("<ACK>");
    assert_eq!(bench.written(), "<ENQ>");
    bench.feed("<ACK>");
    let frame = "<STX>1L|1|N<CR><ETX>04<CR><LF>";
    assert_eq!(
        bench.wait(Duration::from_millis(200)).written(),
        frame,
        "a stale reply is not taken for its own"
    );
    bench.feed("<NAK>");
    assert_eq!(bench.written(), "");
    assert_eq!(bench.wait(Duration::from_millis(200)).written(), frame);
    assert_eq!(bench.feed("<ACK>").written(), "<EOT>");
    assert_eq!(bench.faults(), ["frame-refused", "bytes-skipped"]);
}

#[test]
fn bids_are_bounded_where_the_profile_says_so() {
    let mut bench = bench(Lis01Settings { bids_max: Some(3), ..Lis01Settings::default() });
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    bench.feed("<NAK>").wait(seconds(10));
    bench.feed("<NAK>").wait(seconds(10));
    assert_eq!(bench.events.len(), 2, "{:?}", bench.events);
    bench.feed("<NAK>").wait(seconds(3600));
    assert_eq!(bench.written(), "<ENQ><ENQ><ENQ>");
    assert_eq!(bench.events.last(), Some(&Event::SendFailed { id: 1, reason: SendFailure::Refused }));
}

#[test]
fn without_a_bound_bids_go_on_with_growing_pauses() {
    let mut bench = allowing(&[]);
    bench.handle(Input::Send { id: 1, message: b"L|1|N" });
    bench.wait(seconds(3600));
    let written = bench.written();
    let bids = written.matches("<ENQ>").count();
    assert!((120..200).contains(&bids), "15 s for the answer and then 10 s of pause: {bids}");
    assert!(!bench.events.iter().any(|event| matches!(event, Event::SendFailed { .. })));
}
