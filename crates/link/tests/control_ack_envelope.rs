//! The envelope in which every control character is answered, in both of its shapes and both directions.

use core::time::Duration;

use labwire_link::{
    DelimitedSettings, EndReason, Event, Input, LinkSettings, Role, SendFailure, Tolerance, Tolerances,
};
use labwire_testkit::{Bench, Chunks, Judge, Pair, Quiet, Side};

const RECORDS: &str = "H|\\^&|||A<CR>P|1<CR>L|1|N<CR>";

fn bench(settings: DelimitedSettings) -> Bench {
    Bench::new(LinkSettings::Delimited(settings))
}

fn envelope() -> DelimitedSettings {
    DelimitedSettings::control_ack_envelope()
}

/// An envelope whose records are answered before the end marker comes.
fn with_block_reply() -> DelimitedSettings {
    DelimitedSettings { block_idle: Some(Duration::from_millis(300)), ..envelope() }
}

fn ended(bench: &Bench) -> Vec<EndReason> {
    let reason = |event: &Event| match event {
        Event::Ended(reason) => Some(*reason),
        _ => None,
    };
    bench.events.iter().filter_map(reason).collect()
}

#[test]
fn each_control_character_gets_a_reply_of_its_own() {
    let mut bench = bench(envelope());
    assert_eq!(bench.feed("<ENQ>").written(), "<ACK>");
    assert_eq!(bench.feed("<STX>").written(), "<ACK>");
    assert_eq!(bench.feed(RECORDS).written(), "");
    assert_eq!(bench.feed("<ETX>").written(), "<ACK>");
    assert_eq!(bench.feed("<EOT>").written(), "<ACK>");
    assert_eq!(bench.units(), [RECORDS]);
    assert_eq!((ended(&bench), bench.faults()), (vec![EndReason::Eot], vec![]));
}

#[test]
fn the_reply_to_etx_waits_for_the_verdict_and_the_one_to_eot_behind_it() {
    let mut bench = bench(envelope());
    bench.judge = Judge::Waits;
    bench.feed(&format!("<ENQ><STX>{RECORDS}<ETX><EOT>"));
    assert_eq!(bench.written(), "<ACK><ACK>");
    bench.wait(Duration::from_secs(9));
    assert_eq!(bench.written(), "", "nothing is acknowledged before it is durable");
    assert_eq!(bench.accept().written(), "<ACK><ACK>");
}

#[test]
fn a_store_that_cannot_commit_grants_neither_bid_nor_start_nor_end() {
    let mut bench = bench(envelope());
    bench.handle(Input::Ready(false));
    assert_eq!(bench.feed("<ENQ>").written(), "<NAK>");
    assert_eq!(bench.feed("<STX>").written(), "<NAK>");
    assert_eq!(bench.feed("P|1<CR><ETX>").written(), "", "what nobody granted is skipped");
    bench.handle(Input::Ready(true));
    bench.feed("<ENQ>").written();
    bench.handle(Input::Ready(false));
    assert_eq!(bench.feed("<EOT>").written(), "<NAK>");
    assert_eq!(bench.units(), Vec::<String>::new());
    assert_eq!(bench.faults(), ["not-ready", "not-ready", "bytes-skipped", "not-ready"]);
}

#[test]
fn a_refused_block_is_repeated_from_its_start_marker() {
    let mut bench = bench(envelope());
    bench.judge = Judge::Waits;
    bench.feed(&format!("<ENQ><STX>{RECORDS}<ETX>")).written();
    assert_eq!(bench.refuse().written(), "<NAK>");
    bench.feed(&format!("<STX>{RECORDS}<ETX>"));
    assert_eq!(bench.written(), "<ACK>");
    assert_eq!(bench.accept().written(), "<ACK>");
    assert_eq!(ended(&bench), []);
}

#[test]
fn a_session_may_begin_with_the_start_marker() {
    let mut bench = bench(envelope());
    bench.feed(&format!("<STX>{RECORDS}<ETX><EOT>"));
    assert_eq!(bench.written(), "<ACK><ACK><ACK>");
    assert_eq!((bench.events.first(), ended(&bench)), (Some(&Event::Opened), vec![EndReason::Eot]));
}

#[test]
fn records_are_answered_by_themselves_where_the_analyzer_waits_for_it() {
    let mut bench = bench(with_block_reply());
    bench.feed("<STX>").written();
    bench.feed(RECORDS);
    assert_eq!(bench.written(), "", "more could follow");
    assert_eq!(bench.wait(Duration::from_millis(300)).written(), "<ACK>");
    assert_eq!(bench.feed("<ETX>").written(), "<ACK>");
    assert_eq!(bench.feed("<EOT>").written(), "<ACK>");
    assert_eq!(
        (bench.units(), bench.faults(), bench.tolerated()),
        (vec![RECORDS.to_owned()], vec![], vec![])
    );
}

#[test]
fn half_a_record_is_never_answered() {
    let mut bench = bench(with_block_reply());
    bench.feed("<STX>H|\\^&<CR>R|1|^^^GLU|12").written();
    assert_eq!(bench.wait(Duration::from_secs(29)).written(), "");
    bench.feed(".5<CR>");
    assert_eq!(bench.wait(Duration::from_secs(1)).written(), "<ACK>");
    assert_eq!(bench.units(), ["H|\\^&<CR>R|1|^^^GLU|12.5<CR>"]);
}

#[test]
fn a_new_bid_inside_an_envelope_begins_a_new_session() {
    let mut bench = bench(envelope());
    bench.feed("<ENQ><STX>H|half<ENQ>");
    assert_eq!(bench.written(), "<ACK><ACK><ACK>");
    assert_eq!(bench.fragments(), ["H|half"]);
    assert_eq!(ended(&bench), [EndReason::Restarted]);
}

#[test]
fn stray_replies_inside_a_text_are_dropped_only_by_name() {
    let text = "<ENQ><STX>H|<ACK>\\^&<CR><ETX>";
    let mut default = bench(envelope());
    assert_eq!(default.feed(text).units(), ["H|<ACK>\\^&<CR>"], "without the name they are content");
    let mut tolerant = bench(DelimitedSettings { tolerate: Tolerances::OF_TEXTS, ..envelope() });
    assert_eq!(tolerant.feed(text).units(), ["H|\\^&<CR>"]);
    assert_eq!(tolerant.tolerated(), [Tolerance::ReplyByteInText]);
}

#[test]
fn we_wait_for_the_reply_to_every_control_character() {
    let mut bench = bench(envelope());
    bench.handle(Input::Send { id: 1, message: b"H|\\^&\rL|1|N\r" });
    assert_eq!(bench.written(), "<ENQ>");
    assert_eq!(bench.feed("<ACK>").written(), "<STX>");
    assert_eq!(bench.feed("<ACK>").written(), "H|\\^&<CR>L|1|N<CR><ETX>");
    assert_eq!(bench.feed("<ACK>").written(), "<EOT>");
    assert_eq!(bench.events.last(), Some(&Event::Sent { id: 1 }));
    assert_eq!(bench.feed("<ACK><ENQ>").written(), "<ACK>", "the line is theirs again");
    assert_eq!(bench.faults(), Vec::<&str>::new());
}

#[test]
fn we_wait_for_the_reply_to_the_records_too_where_that_is_the_custom() {
    let mut bench = bench(with_block_reply());
    bench.handle(Input::Send { id: 1, message: b"L|1|N\r" });
    bench.feed("<ACK><ACK>");
    assert_eq!(bench.written(), "<ENQ><STX>L|1|N<CR>");
    assert_eq!(bench.feed("<ACK>").written(), "<ETX>");
    assert_eq!(bench.events.last(), None, "not sent yet");
    assert_eq!(bench.feed("<ACK>").written(), "<EOT>");
    assert_eq!(bench.events.last(), Some(&Event::Sent { id: 1 }));
}

#[test]
fn a_text_of_ours_that_is_refused_goes_out_again_from_its_start_marker_and_fails_in_the_end() {
    let mut bench = bench(DelimitedSettings { attempts: 2, ..envelope() });
    bench.handle(Input::Send { id: 1, message: b"L|1|N\r" });
    bench.feed("<ACK><ACK>").written();
    assert_eq!(bench.feed("<NAK>").written(), "<STX>");
    assert_eq!(bench.feed("<ACK><NAK>").written(), "L|1|N<CR><ETX><EOT>");
    assert_eq!(bench.events.last(), Some(&Event::SendFailed { id: 1, reason: SendFailure::Refused }));
}

#[test]
fn an_unanswered_start_marker_fails_the_message_and_a_missing_reply_to_eot_does_not() {
    let mut silent = bench(envelope());
    silent.handle(Input::Send { id: 1, message: b"L|1|N\r" });
    silent.feed("<ACK>").wait(Duration::from_secs(15));
    assert_eq!(silent.events.last(), Some(&Event::SendFailed { id: 1, reason: SendFailure::Unanswered }));
    let mut curt = bench(envelope());
    curt.handle(Input::Send { id: 1, message: b"L|1|N\r" });
    curt.feed("<ACK><ACK><ACK>").wait(Duration::from_secs(60));
    assert_eq!(curt.events, [Event::Sent { id: 1 }]);
}

#[test]
fn both_sides_of_an_envelope_get_everything_across_also_when_they_bid_at_once() {
    for settings in [envelope(), with_block_reply()] {
        let host = LinkSettings::Delimited(settings.clone());
        let analyzer = LinkSettings::Delimited(DelimitedSettings { role: Role::Instrument, ..settings });
        let mut pair = Pair::of_links(host, analyzer, 7);
        pair.to_host.chunks = Chunks::Bytes;
        pair.to_host.latency = Duration::from_millis(50);
        pair.to_analyzer.latency = Duration::from_millis(50);
        let message = |number: u64| format!("H|\\^&|||{number}\rP|1\rL|1|N\r").into_bytes();
        for number in 1..=3 {
            pair.send(Side::Host, number, &message(number));
            pair.send(Side::Analyzer, 10 + number, &message(10 + number));
        }
        assert_eq!(pair.run(Duration::from_secs(3600)), Quiet::ForGood);
        assert_eq!((&pair.host.sent[..], &pair.analyzer.sent[..]), (&[1, 2, 3][..], &[11, 12, 13][..]));
        assert_eq!(pair.host.session_texts(), [message(11), message(12), message(13)]);
        assert_eq!(pair.analyzer.session_texts(), [message(1), message(2), message(3)]);
    }
}
