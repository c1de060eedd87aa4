//! Bare streams of records: no frames, no handshake, sometimes a reply.

use core::time::Duration;

use labwire_link::{DelimitedSettings, EndReason, ErrorMode, Event, Input, LinkSettings, TextReply};
use labwire_testkit::{Bench, Judge};

fn bench(settings: DelimitedSettings) -> Bench {
    Bench::new(LinkSettings::Delimited(settings))
}

fn records() -> DelimitedSettings {
    DelimitedSettings::records()
}

fn replying(reply: TextReply) -> DelimitedSettings {
    DelimitedSettings { reply, ..records() }
}

fn ended(bench: &Bench) -> Vec<EndReason> {
    let reason = |event: &Event| match event {
        Event::Ended(reason) => Some(*reason),
        _ => None,
    };
    bench.events.iter().filter_map(reason).collect()
}

#[test]
fn every_record_is_a_unit_as_soon_as_it_has_ended() {
    let mut bench = bench(records());
    bench.feed("H|\\^&<CR>P|1<CR><LF>R|1|^^^GLU|5");
    assert_eq!(bench.units(), ["H|\\^&", "P|1"], "what has come is kept as it comes");
    bench.feed(".4<CR>L|1|N<CR>");
    assert_eq!(bench.units()[2..], ["R|1|^^^GLU|5.4", "L|1|N"]);
    assert_eq!((bench.written().as_str(), bench.faults()), ("", vec![]));
}

#[test]
fn records_that_end_with_line_feeds_are_records_too() {
    let mut bench = bench(DelimitedSettings { end: b"\n".to_vec(), ..records() });
    bench.feed("H|\\^&<LF>L|1|N<LF>");
    assert_eq!(bench.units(), ["H|\\^&", "L|1|N"]);
}

#[test]
fn a_minute_of_silence_ends_what_belongs_together() {
    let mut bench = bench(records());
    bench.feed("H|\\^&<CR>").wait(Duration::from_secs(59));
    assert_eq!(ended(&bench), []);
    bench.feed("P|1<CR>").wait(Duration::from_secs(60));
    assert_eq!(ended(&bench), [EndReason::Timeout]);
    bench.feed("H|\\^&<CR>");
    assert_eq!(bench.events.iter().filter(|event| **event == Event::Opened).count(), 2);
}

#[test]
fn half_a_record_never_passes_for_a_whole_one() {
    let mut bench = bench(records());
    bench.feed("H|\\^&<CR>R|1|^^^GLU|12").wait(Duration::from_secs(600));
    assert_eq!(bench.units(), ["H|\\^&"]);
    assert_eq!(
        (bench.fragments(), ended(&bench)),
        (vec!["R|1|^^^GLU|12".to_owned()], vec![EndReason::Broken])
    );
    bench.feed(".5<CR>L|1|N<CR>");
    assert_eq!(bench.units(), ["H|\\^&"], "the rest of a broken message is not taken for a message");
    bench.feed("H|\\^&<CR>");
    assert_eq!(bench.units().len(), 2, "the next header begins anew");
}

#[test]
fn the_terminator_may_lack_its_end() {
    let mut silent = bench(records());
    silent.feed("H|\\^&<CR>L|1|N").wait(Duration::from_secs(30));
    assert_eq!(silent.units(), ["H|\\^&", "L|1|N"]);
    let mut cut = bench(records());
    cut.judge = Judge::Waits;
    cut.feed("H|\\^&<CR>").accept().feed("L|1|N");
    cut.handle(Input::Closed);
    assert_eq!(cut.units(), ["H|\\^&", "L|1|N"]);
    assert_eq!(ended(&cut), [], "its verdict is open");
    cut.accept();
    assert_eq!(ended(&cut), [EndReason::ConnectionLost]);
}

#[test]
fn a_reply_follows_every_record_or_the_terminator_or_nothing() {
    let message = "H|\\^&<CR>P|1<CR>L|1|N<CR>";
    for (reply, written) in [
        (TextReply::None, ""),
        (TextReply::AckOrNak, "<ACK><ACK><ACK>"),
        (TextReply::AckOrNakAtTerminator, "<ACK>"),
    ] {
        assert_eq!(bench(replying(reply)).feed(message).written(), written, "{reply:?}");
    }
}

#[test]
fn a_message_with_a_lost_record_is_refused_at_its_end() {
    let mut bench = bench(replying(TextReply::AckOrNakAtTerminator));
    bench.judge = Judge::Waits;
    bench.feed("H|\\^&<CR>P|1<CR>L|1|N<CR>").accept().refuse();
    assert_eq!(bench.written(), "<NAK>");
    assert_eq!(bench.units(), ["H|\\^&", "P|1"], "its end is no unit, or the message would pass for whole");
    assert_eq!(ended(&bench), [EndReason::Broken]);
    bench.feed("H|\\^&<CR>").accept().feed("P|1<CR>").accept().feed("L|1|N<CR>").accept();
    assert_eq!(bench.written(), "<ACK>");
}

#[test]
fn a_record_that_cannot_be_stored_and_gets_no_reply_closes_the_stream() {
    let mut closing = bench(records());
    closing.judge = Judge::Refuses;
    closing.feed("H|\\^&<CR>L|1|N<CR>");
    assert!(closing.events.contains(&Event::Desynchronised("refused-without-reply")), "{:?}", closing.events);
    let mut staying = bench(DelimitedSettings { error_mode: ErrorMode::Resync, ..records() });
    staying.judge = Judge::Waits;
    staying.feed("H|\\^&<CR>P|1<CR>L|1|N<CR>H|\\^&<CR>").accept().refuse();
    assert_eq!(staying.units(), ["H|\\^&", "P|1", "H|\\^&"]);
    assert_eq!(ended(&staying), [EndReason::Broken]);
}

#[test]
fn a_damaged_character_costs_its_message_and_no_other() {
    let mut bench = bench(DelimitedSettings { error_mode: ErrorMode::Resync, ..records() });
    bench.feed("H|\\^&<CR>R|1|^^^GLU|1");
    bench.handle(Input::CharacterError);
    bench.feed("2<CR>L|1|N<CR>H|\\^&<CR>L|1|N<CR>");
    assert_eq!(bench.units(), ["H|\\^&", "H|\\^&", "L|1|N"]);
    assert_eq!(bench.fragments(), ["R|1|^^^GLU|12"]);
    assert_eq!(bench.faults(), ["character-error"]);
}

#[test]
fn we_write_records_as_they_are() {
    let mut bench = bench(records());
    bench.handle(Input::Send { id: 1, message: b"H|\\^&\rL|1|N\r" });
    bench.handle(Input::Send { id: 2, message: b"H|\\^&\rL|1|N" });
    assert_eq!(bench.written(), "H|\\^&<CR>L|1|N<CR>H|\\^&<CR>L|1|N<CR>");
    assert_eq!(bench.events, [Event::Sent { id: 1 }, Event::Sent { id: 2 }]);
}

#[test]
fn an_answer_goes_out_while_their_stream_is_open() {
    let mut bench = bench(records());
    bench.feed("H|\\^&<CR>Q|1|^7<CR>L|1|N<CR>");
    bench.handle(Input::Send { id: 1, message: b"H|\\^&\rL|1|I\r" });
    assert_eq!(bench.written(), "H|\\^&<CR>L|1|I<CR>");
}
