//! What an MLLP decoder owes to damaged input, row by row, and what the encoder refuses.

use core::time::Duration;

use labwire_link::{
    ErrorMode, Event, Input, LinkSettings, Machine, MllpSettings, Release, SendFailure, Tolerance, Tolerances,
};
use labwire_testkit::{Bench, Judge, from_control_names};

const A: &str = "MSH|^~\\&|A<CR>OBX|1<CR>";
const B: &str = "MSH|^~\\&|B<CR>OBX|1<CR>";

fn bench() -> Bench {
    Bench::new(LinkSettings::Mllp(MllpSettings::default()))
}

fn strict() -> Bench {
    Bench::new(LinkSettings::Mllp(MllpSettings { strict: true, ..MllpSettings::default() }))
}

fn block(content: &str) -> String {
    format!("<VT>{content}<FS><CR>")
}

#[test]
fn a_block_is_one_unit_byte_for_byte_and_nothing_is_written() {
    let mut bench = bench();
    bench.feed(&block(A));
    assert_eq!(bench.units(), [A]);
    assert_eq!(bench.written(), "", "the reply is a message of the owner");
    assert!(bench.faults().is_empty() && bench.tolerated().is_empty());
}

#[test]
fn junk_in_front_of_a_block_is_skipped_and_counted() {
    for junk in [" <HT><LF>", "<CR><LF><NUL>", "[2025-06-11 08:00 sending]<CR><LF>", "<EF><BB><BF>"] {
        let mut bench = bench();
        bench.feed(junk).feed(&block(A));
        assert_eq!(bench.units(), [A]);
        let faults = bench.fault_details();
        let count = from_control_names(junk).len() as u64;
        assert_eq!(faults.len(), 1, "{junk}");
        assert_eq!(faults[0].kind, labwire_link::FaultKind::BytesSkipped { count }, "{junk}");
    }
}

#[test]
fn junk_behind_a_block_is_skipped_and_the_next_block_found() {
    let mut bench = bench();
    bench.feed(&block(A)).feed("<LF><NUL><NUL>").feed(&block(B));
    assert_eq!(bench.units(), [A, B]);
    assert_eq!(bench.faults(), ["bytes-skipped"]);
}

#[test]
fn an_end_byte_followed_by_a_start_byte_ends_the_block() {
    let mut bench = bench();
    bench.feed(&format!("<VT>{A}<FS>")).feed(&block(B));
    assert_eq!(bench.units(), [A, B]);
    assert_eq!(bench.tolerated(), [Tolerance::BlockEndWithoutCr]);
}

#[test]
fn an_end_byte_followed_by_a_line_feed_ends_the_block() {
    let mut bench = bench();
    bench.feed(&format!("<VT>{A}<FS><LF>")).feed(&block(B));
    assert_eq!(bench.units(), [A, B]);
    assert_eq!(bench.tolerated(), [Tolerance::BlockEndWithoutCr]);
    assert!(bench.faults().is_empty());
}

#[test]
fn an_end_byte_followed_by_silence_ends_the_block_and_its_late_cr_is_no_fault() {
    let mut bench = bench();
    bench.feed(&format!("<VT>{A}<FS>"));
    assert!(bench.units().is_empty());
    bench.wait(Duration::from_millis(300));
    assert_eq!(bench.units(), [A]);
    bench.feed("<CR>").feed(&block(B));
    assert_eq!(bench.units(), [A, B]);
    assert!(bench.faults().is_empty());
}

#[test]
fn an_end_byte_followed_by_anything_else_is_content() {
    let mut bench = bench();
    bench.feed("<VT>MSH|ab<FS>cd<FS>ef<CR><FS><CR>");
    assert_eq!(bench.units(), ["MSH|ab<FS>cd<FS>ef<CR>"]);
    assert_eq!(bench.tolerated(), [Tolerance::BlockEndByteInText]);
}

#[test]
fn a_strict_decoder_keeps_to_the_block_end_and_never_guesses() {
    let mut bench = strict();
    bench.feed(&format!("<VT>{A}<FS><LF>")).feed("<VT>MSH|ab<FS>cd").feed(&block(B));
    assert_eq!(bench.units(), [B]);
    assert_eq!(bench.fragments(), [A, "MSH|ab"]);
    assert_eq!(bench.faults()[0], "block-end-malformed");
}

#[test]
fn a_start_byte_inside_a_block_makes_a_fragment_of_it_and_never_joins_two_messages() {
    for partial in ["MSH|^~\\&|A<CR>OB", A] {
        let mut bench = bench();
        bench.feed(&format!("<VT>{partial}")).feed(&block(B));
        assert_eq!(bench.units(), [B]);
        assert_eq!(bench.fragments(), [partial]);
        assert_eq!(bench.faults(), ["unit-restarted"]);
    }
}

#[test]
fn a_block_that_stalls_becomes_a_fragment_thirty_seconds_after_its_last_byte() {
    let mut bench = bench();
    bench.feed("<VT>MSH|");
    bench.wait(Duration::from_secs(29));
    bench.feed("half");
    bench.wait(Duration::from_secs(29));
    assert!(bench.fragments().is_empty());
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.fragments(), ["MSH|half"]);
    assert_eq!(bench.faults(), ["unit-stalled"]);
    bench.feed(&block(B));
    assert_eq!(bench.units(), [B]);
}

#[test]
fn silence_between_blocks_is_no_event() {
    let mut bench = bench();
    bench.wait(Duration::from_secs(600));
    bench.feed(&block(A)).wait(Duration::from_secs(86_400));
    bench.feed(&block(B));
    assert_eq!(bench.units(), [A, B]);
    assert!(bench.faults().is_empty());
}

#[test]
fn a_close_inside_a_block_leaves_a_fragment_and_a_fault() {
    let mut bench = bench();
    bench.feed("<VT>MSH|half");
    bench.handle(Input::Closed);
    assert_eq!(bench.fragments(), ["MSH|half"]);
    assert_eq!(bench.faults(), ["unit-cut-off"]);
}

#[test]
fn a_close_behind_an_end_byte_ends_the_block() {
    let mut bench = bench();
    bench.feed(&format!("<VT>{A}<FS>"));
    bench.handle(Input::Closed);
    assert_eq!(bench.units(), [A]);
    bench.feed(&block(B));
    assert_eq!(bench.units(), [A, B]);
}

#[test]
fn a_close_between_blocks_is_no_event() {
    let mut bench = bench();
    bench.feed(&block(A));
    let before = bench.events.len();
    bench.handle(Input::Closed);
    assert_eq!(bench.events.len(), before);
}

#[test]
fn a_message_without_framing_is_junk_unless_it_is_tolerated() {
    let mut bench = bench();
    bench.feed(&format!("{A}<FS><CR>{A}<FS><CR>")).feed(&block(B));
    assert_eq!(bench.units(), [B]);
    assert_eq!(bench.faults(), ["message-unframed", "bytes-skipped"], "the cause is named once");

    let tolerate = Tolerances::MLLP.with(Tolerance::UnframedMessage);
    for end in ["<FS><CR>", "<CR>"] {
        let mut bench = Bench::new(LinkSettings::Mllp(MllpSettings { tolerate, ..MllpSettings::default() }));
        bench.feed("x<LF>").feed(&format!("{A}{end}")).feed(&block(B));
        assert_eq!(bench.units(), [A, B]);
        assert_eq!(bench.tolerated(), [Tolerance::UnframedMessage]);
    }
    let mut bench = Bench::new(LinkSettings::Mllp(MllpSettings { tolerate, ..MllpSettings::default() }));
    bench.feed(A).wait(Duration::from_secs(2));
    assert_eq!(bench.units(), [A]);
}

#[test]
fn blocks_in_one_segment_are_units_in_order_one_verdict_at_a_time() {
    let mut bench = bench();
    bench.judge = Judge::Waits;
    bench.feed(&(block(A) + &block(B)));
    assert_eq!(bench.units(), [A]);
    bench.accept();
    assert_eq!(bench.units(), [A, B]);
}

#[test]
fn a_refused_block_is_not_answered_and_the_next_one_read() {
    let mut bench = bench();
    bench.judge = Judge::Refuses;
    bench.feed(&(block(A) + &block(B)));
    assert_eq!(bench.units(), [A, B]);
    assert_eq!(bench.written(), "");
}

#[test]
fn a_block_byte_by_byte_is_one_unit() {
    let mut bench = bench();
    for byte in from_control_names(&block(A)) {
        bench.handle(Input::Bytes(&[byte]));
    }
    assert_eq!(bench.units(), [A]);
}

#[test]
fn an_empty_block_is_a_sign_of_life() {
    let mut bench = bench();
    bench.feed("<VT><FS><CR>").feed(&block(A));
    assert_eq!(bench.units(), [A]);
    assert_eq!(bench.tolerated(), [Tolerance::EmptyBlock]);
    assert!(bench.faults().is_empty());
}

#[test]
fn a_reply_of_release_two_is_no_message() {
    let mut bench = bench();
    bench.feed("<VT><ACK><FS><CR><VT><NAK><FS><CR>").feed(&block(A));
    assert_eq!(bench.units(), [A]);
    assert_eq!(bench.faults(), ["commit-reply", "commit-reply"]);
}

#[test]
fn control_bytes_in_a_block_are_kept() {
    let mut bench = bench();
    bench.feed(&block("MSH|<HT><LF><ESC><NUL><SOH><CR>"));
    assert_eq!(bench.units(), ["MSH|<HT><LF><ESC><NUL><SOH><CR>"]);
}

#[test]
fn a_block_over_the_limit_gives_the_stream_up() {
    let settings = MllpSettings { block_bytes_max: 8, ..MllpSettings::default() };
    let mut bench = Bench::new(LinkSettings::Mllp(settings));
    bench.feed(&block("12345678"));
    assert_eq!(bench.units(), ["12345678"]);
    bench.feed(&block("123456789")).feed(&block(A));
    assert_eq!(bench.units(), ["12345678"]);
    assert_eq!(bench.faults(), ["unit-too-long"]);
    assert!(bench.events.contains(&Event::Desynchronised("block-bytes-max")));
    assert!(!bench.machine.accepts_input());
}

#[test]
fn a_block_over_the_limit_costs_only_itself_on_a_line_that_cannot_close() {
    let settings =
        MllpSettings { block_bytes_max: 8, error_mode: ErrorMode::Resync, ..MllpSettings::default() };
    let mut bench = Bench::new(LinkSettings::Mllp(settings));
    bench.feed(&block("123456789")).feed(&block("1234"));
    assert_eq!(bench.units(), ["1234"]);
}

#[test]
fn other_protocols_are_named() {
    for (bytes, reason) in [
        ("<SYN><ETX><SOH><STX>", Some("tls-on-plaintext-port")),
        ("GET / HTTP/1.1<CR><LF>", Some("http-request")),
        ("<ENQ>", None),
    ] {
        let mut bench = bench();
        bench.feed(bytes);
        assert_eq!(bench.faults()[0], "other-protocol", "{bytes}");
        let given_up = bench.events.iter().find_map(|event| match event {
            Event::Desynchronised(reason) => Some(*reason),
            _ => None,
        });
        assert_eq!(given_up, reason);
        assert_eq!(bench.written(), "");
    }
}

#[test]
fn a_heartbeat_byte_never_ends_the_connection() {
    let settings = MllpSettings { skipped_bytes_max: 10, ..MllpSettings::default() };
    let mut bench = Bench::new(LinkSettings::Mllp(settings));
    for _ in 0..100 {
        bench.feed("<STX>").wait(Duration::from_secs(3));
    }
    bench.feed(&block(A));
    assert_eq!(bench.units(), [A]);
    assert_eq!(bench.faults(), ["bytes-skipped"]);
}

#[test]
fn a_damaged_character_costs_its_block() {
    let mut bench = bench();
    bench.feed("<VT>MSH|ha");
    bench.handle(Input::CharacterError);
    bench.feed("lf<CR><FS><CR>").feed(&block(B));
    assert_eq!(bench.units(), [B]);
    assert_eq!(bench.fragments(), ["MSH|ha"]);
}

#[test]
fn what_the_encoder_writes_the_decoder_reads() {
    let mut sender = bench();
    for (id, message) in [(1, A), (2, "MSH|^~\\&|no last CR")] {
        sender.handle(Input::Send { id, message: &from_control_names(message) });
    }
    let written = sender.written();
    assert_eq!(written, format!("{}{}", block(A), block("MSH|^~\\&|no last CR<CR>")));
    assert_eq!(sender.events, [Event::Sent { id: 1 }, Event::Sent { id: 2 }]);
    let mut receiver = bench();
    receiver.feed(&written);
    assert_eq!(receiver.units(), [A, "MSH|^~\\&|no last CR<CR>"]);
}

#[test]
fn the_encoder_refuses_what_would_break_the_framing() {
    let mut bench = bench();
    for (id, message) in [(1, &b"MSH|a\x0bb"[..]), (2, b"MSH|\x1c"), (3, b"")] {
        bench.handle(Input::Send { id, message });
    }
    assert_eq!(bench.written(), "");
    let failed = |id, reason| Event::SendFailed { id, reason };
    assert_eq!(
        bench.events,
        [
            failed(1, SendFailure::RestrictedByte { byte: 0x0B, at: 5 }),
            failed(2, SendFailure::RestrictedByte { byte: 0x1C, at: 4 }),
            failed(3, SendFailure::Empty),
        ]
    );
}

fn release_two() -> Bench {
    Bench::new(LinkSettings::Mllp(MllpSettings { release: Release::Two, ..MllpSettings::default() }))
}

#[test]
fn release_two_answers_a_block_once_its_content_is_stored() {
    let mut bench = release_two();
    bench.judge = Judge::Waits;
    bench.feed(&(block(A) + &block(B)));
    assert_eq!(bench.written(), "", "nothing is promised before the commit");
    bench.accept();
    assert_eq!(bench.written(), "<VT><ACK><FS><CR>");
    bench.refuse();
    assert_eq!(bench.written(), "<VT><NAK><FS><CR>");
}

#[test]
fn release_two_answers_no_block_without_content_and_no_reply() {
    let mut bench = release_two();
    bench.feed("<VT><FS><CR><VT><ACK><FS><CR>");
    assert_eq!(bench.written(), "");
    assert_eq!(bench.faults(), ["commit-reply"]);
}

#[test]
fn release_two_sends_the_next_block_when_the_one_before_is_stored() {
    let mut bench = release_two();
    for (id, message) in [(1, A), (2, B)] {
        bench.handle(Input::Send { id, message: &from_control_names(message) });
    }
    assert_eq!(bench.written(), block(A));
    bench.feed("<VT><ACK><FS><CR>");
    assert_eq!(bench.written(), block(B));
    assert_eq!(bench.events, [Event::Sent { id: 1 }]);
    // A block of the other side is answered while ours waits.
    bench.feed(&block(A));
    assert_eq!(bench.written(), "<VT><ACK><FS><CR>");
    bench.feed("<VT><ACK><FS><CR>");
    assert_eq!(bench.events.last(), Some(&Event::Sent { id: 2 }));
}

#[test]
fn release_two_sends_a_refused_block_twice_more_and_gives_it_back() {
    let mut bench = release_two();
    bench.handle(Input::Send { id: 1, message: &from_control_names(A) });
    bench.handle(Input::Send { id: 2, message: &from_control_names(B) });
    for _ in 0..2 {
        bench.feed("<VT><NAK><FS><CR>");
    }
    assert_eq!(bench.written(), block(A).repeat(3));
    bench.feed("<VT><NAK><FS><CR>");
    assert_eq!(bench.written(), block(B), "what follows gets its own attempts");
    let failed = Event::SendFailed { id: 1, reason: SendFailure::Refused };
    assert!(bench.events.contains(&failed), "{:?}", bench.events);
    assert_eq!(bench.faults(), ["frame-refused"; 3]);
}

#[test]
fn release_two_sends_an_unanswered_block_again_after_its_time() {
    let mut bench = release_two();
    bench.handle(Input::Send { id: 1, message: &from_control_names(A) });
    bench.wait(Duration::from_secs(29));
    assert_eq!(bench.written(), block(A));
    bench.wait(Duration::from_secs(61));
    assert_eq!(bench.written(), block(A).repeat(2));
    assert_eq!(bench.events.last(), Some(&Event::SendFailed { id: 1, reason: SendFailure::Unanswered }));
    assert_eq!(bench.machine.poll_deadline(), None);
}

#[test]
fn release_two_holds_a_bounded_queue_and_gives_it_back_with_the_line() {
    let settings = MllpSettings { release: Release::Two, send_queue_max: 1, ..MllpSettings::default() };
    let mut bench = Bench::new(LinkSettings::Mllp(settings));
    for id in 1..=3 {
        bench.handle(Input::Send { id, message: &from_control_names(A) });
    }
    assert_eq!(bench.events, [Event::SendFailed { id: 3, reason: SendFailure::QueueFull }]);
    bench.handle(Input::Withdraw { id: 2 });
    bench.handle(Input::Withdraw { id: 1 });
    bench.handle(Input::Closed);
    assert_eq!(
        bench.events[1..],
        [
            Event::SendFailed { id: 2, reason: SendFailure::Withdrawn },
            Event::SendFailed { id: 1, reason: SendFailure::ConnectionLost },
        ]
    );
    bench.feed(&block(B));
    assert_eq!(bench.units(), [B], "the next transport begins anew");
}
