//! Two real machines on a line that can be slow, cut bytes anywhere, lose and damage them, and
//! break: what one saw acknowledged the other has, once.

use core::time::Duration;

use labwire_link::{
    DelimitedSettings, InterruptPolicy, LinkSettings, Lis01Settings, MllpSettings, Packing, Role,
    SendFailure, UnitEnd,
};
use labwire_testkit::{Chunks, Hurt, LinkPeer, Pair, Peer, Quiet, Seed, Side};

const HOUR: Duration = Duration::from_secs(3600);

fn lis01(role: Role) -> LinkSettings {
    LinkSettings::Lis01(Lis01Settings { role, ..Lis01Settings::default() })
}

fn pair(seed: u64) -> Pair<LinkPeer, LinkPeer> {
    Pair::of_links(lis01(Role::Host), lis01(Role::Instrument), seed)
}

/// A message of its own for every number, long enough for several frames a record.
fn message(number: u64) -> Vec<u8> {
    let text = format!(
        "H|\\^&|||A{number}\rP|1\rO|1|S{number}||^^^GLU\rR|1|^^^GLU|{}|mmol/L\rC|1|I|{}\rL|1|N\r",
        number * 7,
        "comment ".repeat(70)
    );
    text.into_bytes()
}

#[test]
fn messages_arrive_whole_in_order_a_session_each() {
    let mut pair = pair(1);
    for number in 1..=3 {
        pair.send(Side::Analyzer, number, &message(number));
    }
    assert_eq!(pair.run(HOUR), Quiet::ForGood);
    assert_eq!(pair.analyzer.sent, [1, 2, 3]);
    assert_eq!(pair.host.session_texts(), [message(1), message(2), message(3)]);
}

#[test]
fn a_long_record_is_cut_into_a_chain_and_numbers_run_through_the_session() {
    let mut pair = pair(1);
    pair.send(Side::Analyzer, 1, &message(1));
    pair.run(HOUR);
    let units = &pair.host.sessions[0];
    let numbers: Vec<_> = units.iter().filter_map(|unit| unit.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 0]);
    let chained = units.iter().filter(|unit| unit.end == UnitEnd::Intermediate).count();
    assert_eq!(chained, 2, "570 bytes of comment need three frames of 240");
    assert!(units.iter().all(|unit| unit.bytes.len() <= 240));
}

#[test]
fn a_packed_message_is_one_chain() {
    let settings =
        Lis01Settings { role: Role::Instrument, packing: Packing::WholeMessage, ..Lis01Settings::default() };
    let mut pair = Pair::of_links(lis01(Role::Host), LinkSettings::Lis01(settings), 1);
    pair.send(Side::Analyzer, 1, &message(1));
    pair.run(HOUR);
    let ends: Vec<_> = pair.host.sessions[0].iter().map(|unit| unit.end).collect();
    assert_eq!(ends, [UnitEnd::Intermediate, UnitEnd::Intermediate, UnitEnd::End]);
    assert_eq!(pair.host.session_texts(), [message(1)]);
}

#[test]
fn both_sides_bid_at_once_and_the_analyzer_is_first() {
    let mut pair = pair(1);
    pair.to_host.latency = Duration::from_millis(200);
    pair.to_analyzer.latency = Duration::from_millis(200);
    pair.send(Side::Host, 1, &message(1));
    pair.send(Side::Analyzer, 2, &message(2));
    assert_eq!(pair.run(HOUR), Quiet::ForGood);
    assert_eq!(pair.host.session_texts(), [message(2)]);
    assert_eq!(pair.analyzer.session_texts(), [message(1)]);
    assert!(pair.now < Duration::from_secs(20), "the host need not wait out its pause: {:?}", pair.now);
}

#[test]
fn two_sides_that_both_believe_to_be_the_analyzer_fall_out_of_step() {
    let seeded = |jitter_seed| {
        LinkSettings::Lis01(Lis01Settings { role: Role::Instrument, jitter_seed, ..Lis01Settings::default() })
    };
    let mut pair = Pair::of_links(seeded(1), seeded(2), 1);
    pair.to_host.latency = Duration::from_millis(20);
    pair.to_analyzer.latency = Duration::from_millis(20);
    pair.send(Side::Host, 1, &message(1));
    pair.send(Side::Analyzer, 2, &message(2));
    assert_eq!(pair.run(HOUR), Quiet::ForGood);
    assert_eq!((pair.host.sent.len(), pair.analyzer.sent.len()), (1, 1));
}

#[test]
fn a_slow_store_slows_the_line_and_loses_nothing() {
    let mut pair = pair(1);
    pair.host.verdicts.delay = Duration::from_secs(9);
    pair.to_host.chunks = Chunks::Bytes;
    pair.send(Side::Analyzer, 1, &message(1));
    assert_eq!(pair.run(HOUR), Quiet::ForGood);
    assert_eq!(pair.analyzer.sent, [1]);
    assert_eq!(pair.host.session_texts(), [message(1)]);
}

#[test]
fn a_store_that_refuses_now_and_then_gets_the_frame_again() {
    let mut pair = pair(1);
    pair.host.verdicts.refuse_every = Some(3);
    pair.send(Side::Analyzer, 1, &message(1));
    pair.run(HOUR);
    assert_eq!(pair.analyzer.sent, [1]);
    assert_eq!(pair.host.session_texts(), [message(1)]);
}

#[test]
fn a_store_that_always_refuses_ends_the_message_after_six_attempts() {
    let mut pair = pair(1);
    pair.host.verdicts.refuse_every = Some(1);
    pair.send(Side::Analyzer, 1, b"L|1|N");
    pair.run(HOUR);
    assert_eq!(pair.analyzer.failed, [(1, SendFailure::Refused)]);
    assert!(pair.host.session_texts().iter().all(Vec::is_empty));
    let frames = pair.to_host.written.iter().filter(|byte| **byte == 0x02).count();
    assert_eq!(frames, 6);
}

#[test]
fn a_host_that_asks_for_the_line_gets_it_after_the_message() {
    let mut pair = pair(1);
    pair.send(Side::Analyzer, 1, &message(1));
    pair.send(Side::Analyzer, 2, &message(2));
    pair.send(Side::Host, 3, b"H|\\^&\rL|1|F\r");
    pair.host.handle(pair.now, labwire_link::Input::RequestLine);
    assert_eq!(pair.run(HOUR), Quiet::ForGood);
    assert_eq!((pair.host.sent.len(), pair.analyzer.sent.len()), (1, 2));
    assert_eq!(pair.analyzer.session_texts(), [b"H|\\^&\rL|1|F\r".to_vec()]);
}

#[test]
fn an_interrupt_in_mid_message_fails_it_where_the_policy_says_at_once() {
    let settings = Lis01Settings {
        role: Role::Instrument,
        interrupt: InterruptPolicy::AtOnce,
        ..Lis01Settings::default()
    };
    let mut pair = Pair::of_links(lis01(Role::Host), LinkSettings::Lis01(settings), 1);
    pair.host.handle(Duration::ZERO, labwire_link::Input::RequestLine);
    pair.send(Side::Analyzer, 1, &message(1));
    pair.run(HOUR);
    assert_eq!(pair.analyzer.failed, [(1, SendFailure::Interrupted)]);
    assert_eq!(pair.host.sessions[0].len(), 1, "the frame it answered is accepted");
}

/// Sends messages until each got across, as an owner does that repeats what failed.
fn send_until_sent(pair: &mut Pair<LinkPeer, LinkPeer>, messages: u64) {
    for number in 1..=messages {
        for _ in 0..100 {
            pair.send(Side::Analyzer, number, &message(number));
            pair.run(HOUR);
            if pair.analyzer.sent.contains(&number) {
                break;
            }
        }
    }
}

#[test]
fn what_the_analyzer_saw_acknowledged_the_host_has_whatever_the_line_does() {
    for seed in 0..60 {
        let mut chance = Seed::new(seed);
        let mut pair = pair(seed);
        // What LIS01 itself cannot see is left out: a doubled ACK acknowledges a frame that nobody
        // has, and two flipped bits may leave the sum of a frame as it was.
        let hurt = Hurt { lost: chance.below(4), damaged: chance.below(4), ..Hurt::default() };
        for wire in [&mut pair.to_host, &mut pair.to_analyzer] {
            wire.chunks = Chunks::Random(1 + chance.below(30));
            wire.latency = Duration::from_millis(chance.below(400));
            wire.hurt = hurt;
        }
        pair.host.verdicts.delay = Duration::from_millis(chance.below(3000));
        send_until_sent(&mut pair, 5);
        assert_eq!(pair.analyzer.sent, [1, 2, 3, 4, 5], "seed {seed}");
        let texts = pair.host.session_texts();
        for number in 1..=5 {
            let text = message(number);
            assert!(texts.contains(&text), "message {number} is not whole, seed {seed}, {hurt:?}");
        }
        for text in &texts {
            let whole = (1..=5).any(|number| message(number).starts_with(text));
            assert!(whole, "a session holds what nobody sent, seed {seed}, {hurt:?}");
        }
    }
}

#[test]
fn no_single_flipped_bit_in_a_session_changes_what_is_kept() {
    let records = b"H|\\^&|||A\rR|1|^^^GLU|5.4\rL|1|N\r";
    let session = {
        let mut pair = pair(1);
        pair.send(Side::Analyzer, 1, records);
        pair.run(HOUR);
        pair.to_host.written
    };
    let frames = session.iter().filter(|byte| **byte == 0x02).count();
    for bit in 0..session.len() * 8 {
        let mut hurt = session.clone();
        hurt[bit / 8] ^= 1 << (bit % 8);
        let mut host = LinkPeer::new(lis01(Role::Host));
        host.receive(Duration::ZERO, &hurt);
        host.disconnect(HOUR);
        let kept: Vec<_> = host.sessions.iter().flatten().collect();
        assert!(kept.len() <= frames);
        for unit in kept {
            let known = records.split_inclusive(|byte| *byte == b'\r').any(|record| record == unit.bytes);
            assert!(known, "bit {bit} of {session:?}");
        }
    }
}

#[test]
fn a_line_that_breaks_anywhere_leaves_no_acknowledged_frame_behind() {
    let whole = {
        let mut pair = pair(1);
        pair.send(Side::Analyzer, 1, b"H|\\^&\rR|1|^^^GLU|5.4\rL|1|N");
        pair.run(HOUR);
        pair.to_host.written.len()
    };
    for cut in 0..whole {
        let mut pair = pair(1);
        pair.cut_after = Some(cut);
        pair.send(Side::Analyzer, 1, b"H|\\^&\rR|1|^^^GLU|5.4\rL|1|N");
        pair.run(HOUR);
        let kept: usize = pair.host.sessions.iter().map(Vec::len).sum();
        let acknowledged = pair.to_analyzer.written.iter().filter(|byte| **byte == 0x06).count();
        assert!(kept + 1 >= acknowledged, "cut after {cut}: {acknowledged} ACKs, {kept} frames kept");
        let got_across = pair.analyzer.sent == [1];
        assert!(got_across || pair.analyzer.failed == [(1, SendFailure::ConnectionLost)], "cut after {cut}");

        pair.mend();
        pair.send(Side::Analyzer, 2, b"L|1|N");
        pair.run(HOUR);
        assert_eq!(pair.analyzer.sent.last(), Some(&2), "cut after {cut}: the next connection works");
        assert_eq!(pair.host.session_texts().last(), Some(&b"L|1|N\r".to_vec()));
    }
}

#[test]
fn hours_of_silence_cost_no_wake_ups() {
    let mut pair = pair(1);
    pair.send(Side::Analyzer, 1, &message(1));
    assert_eq!(pair.run(HOUR), Quiet::ForGood);
    assert_eq!((pair.host.deadline(), pair.analyzer.deadline()), (None, None));
}

#[test]
fn texts_with_a_handshake_cross_a_hurt_line() {
    for seed in 0..20 {
        let bci = || LinkSettings::Delimited(DelimitedSettings::bci());
        let mut pair = Pair::of_links(bci(), bci(), seed);
        pair.to_host.chunks = Chunks::Random(7);
        pair.to_host.hurt = Hurt { damaged: 3, ..Hurt::default() };
        pair.to_analyzer.hurt = Hurt { lost: 20, ..Hurt::default() };
        let text = |number: u64| format!("\x1Emtrsl|\x1Eci{number}|\x1ErtHBCT|").into_bytes();
        for number in 1..=5 {
            while !pair.analyzer.sent.contains(&number) {
                pair.send(Side::Analyzer, number, &text(number));
                pair.run(HOUR);
            }
        }
        let texts: Vec<_> = pair.host.sessions.iter().flatten().map(|unit| unit.bytes.clone()).collect();
        for number in 1..=5 {
            assert!(texts.contains(&text(number)), "seed {seed}");
        }
    }
}

#[test]
fn blocks_cross_both_ways_at_once() {
    let mllp = || LinkSettings::Mllp(MllpSettings::default());
    let mut pair = Pair::of_links(mllp(), mllp(), 1);
    pair.to_host.chunks = Chunks::Bytes;
    pair.to_analyzer.chunks = Chunks::Random(5);
    for number in 1..=3 {
        pair.send(Side::Analyzer, number, &message(number));
        pair.send(Side::Host, number, &message(number + 10));
    }
    pair.run(HOUR);
    let texts = |peer: &LinkPeer| peer.units.iter().map(|unit| unit.bytes.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&pair.host), [message(1), message(2), message(3)]);
    assert_eq!(texts(&pair.analyzer), [message(11), message(12), message(13)]);
}
