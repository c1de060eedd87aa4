//! Nothing that arrives makes a machine panic, and nothing makes it keep more than its limits.

use core::time::Duration;

use labwire_link::{
    Answer, Check, DelimitedSettings, ErrorMode, Event, Input, Link, LinkSettings, Lis01Settings, Machine,
    MllpSettings, Role, TextReply, Token, Tolerance, Tolerances,
};
use labwire_testkit::{Bench, Judge};
use proptest::collection::vec;
use proptest::prelude::*;

/// An input that owns its bytes.
#[derive(Clone, Debug)]
enum Act {
    Bytes(Vec<u8>),
    CharacterError,
    Wait(u64),
    Ready(bool),
    Accept(u64),
    Refuse(u64),
    Send(Vec<u8>),
    Withdraw(u64),
    RequestLine,
    Closed,
}

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(b"\x02\x03\x04\x05\x06\x15\x17\x0b\x1c\x1d\x0d\x0a0123467AFaf".to_vec()),
        1 => any::<u8>(),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => vec(byte(), 0..24).prop_map(Act::Bytes),
        1 => Just(Act::CharacterError),
        2 => (0_u64..40_000).prop_map(Act::Wait),
        1 => any::<bool>().prop_map(Act::Ready),
        3 => (1_u64..12).prop_map(Act::Accept),
        1 => (1_u64..12).prop_map(Act::Refuse),
        2 => vec(b' '..=b'~', 0..40).prop_map(Act::Send),
        1 => (0_u64..4).prop_map(Act::Withdraw),
        1 => Just(Act::RequestLine),
        1 => Just(Act::Closed),
    ]
}

fn every_kind_of_text() -> Vec<DelimitedSettings> {
    let mut all = vec![
        DelimitedSettings::default(),
        DelimitedSettings::bci(),
        DelimitedSettings::control_ack_envelope(),
        DelimitedSettings::soh_block(),
        DelimitedSettings::fixed_length(7),
        DelimitedSettings::records(),
    ];
    let block_idle = Some(Duration::from_millis(300));
    all.push(DelimitedSettings { block_idle, ..DelimitedSettings::control_ack_envelope() });
    for check in [Check::SumBeforeEnd, Check::SumBehindEnd, Check::XorBehindEnd] {
        let answers = vec![
            Answer { to: b"0".to_vec(), with: b"1".to_vec(), is_data: false },
            Answer { to: b"1".to_vec(), with: b"2".to_vec(), is_data: true },
        ];
        let reply = TextReply::AckOrNak;
        all.push(DelimitedSettings { check, answers, reply, ..DelimitedSettings::default() });
    }
    for reply in [TextReply::AckOrNak, TextReply::AckOrNakAtTerminator] {
        all.push(DelimitedSettings { reply, ..DelimitedSettings::records() });
    }
    all
}

fn settings() -> Vec<LinkSettings> {
    let tolerate: Tolerances = Tolerance::ALL.into_iter().collect();
    let mut all = Vec::new();
    for error_mode in [ErrorMode::Close, ErrorMode::Resync] {
        for strict in [false, true] {
            let role = if strict { Role::Host } else { Role::Instrument };
            let lis01 = Lis01Settings::default();
            all.push(LinkSettings::Lis01(Lis01Settings {
                role,
                strict,
                error_mode,
                tolerate,
                receive_frame_bytes_max: 30,
                endless_frame_bytes_max: 40,
                skipped_bytes_max: 20,
                backlog_bytes_max: 50,
                ..lis01
            }));
            let mllp = MllpSettings::default();
            all.push(LinkSettings::Mllp(MllpSettings {
                strict,
                error_mode,
                tolerate,
                block_bytes_max: 30,
                skipped_bytes_max: 20,
                backlog_bytes_max: 50,
                ..mllp
            }));
        }
        for text in every_kind_of_text() {
            all.push(LinkSettings::Delimited(DelimitedSettings { error_mode, bytes_max: 30, ..text }));
        }
    }
    all
}

/// Runs the acts; checks what must hold whatever happens.
fn act_out(settings: LinkSettings, acts: &[Act]) {
    let mut machine = Link::new(settings);
    let mut now = Duration::ZERO;
    let mut units = Vec::new();
    let (mut asked, mut reported) = (0_u64, 0_u64);
    for act in acts {
        match act {
            Act::Bytes(bytes) => machine.handle(now, Input::Bytes(bytes)),
            Act::CharacterError => machine.handle(now, Input::CharacterError),
            Act::Wait(milliseconds) => {
                now += Duration::from_millis(*milliseconds);
                machine.handle(now, Input::Deadline);
            }
            Act::Ready(ready) => machine.handle(now, Input::Ready(*ready)),
            Act::Accept(token) => machine.handle(now, Input::Accept(Token(*token))),
            Act::Refuse(token) => machine.handle(now, Input::Refuse(Token(*token))),
            Act::Send(message) => {
                machine.handle(now, Input::Send { id: asked, message });
                asked += 1;
            }
            Act::Withdraw(id) => machine.handle(now, Input::Withdraw { id: *id }),
            Act::RequestLine => machine.handle(now, Input::RequestLine),
            Act::Closed => machine.handle(now, Input::Closed),
        }
        while let Some(event) = machine.poll_event() {
            match event {
                Event::Unit { token, bytes, .. } => {
                    assert!(bytes.len() <= 30, "{} bytes", bytes.len());
                    units.push(token);
                }
                Event::Repeat { token, .. } => units.push(token),
                Event::Sent { .. } | Event::SendFailed { .. } => reported += 1,
                _ => {}
            }
        }
        if let Some(due) = machine.poll_deadline() {
            assert!(due + Duration::from_secs(60) > now, "a deadline far in the past would spin");
        }
    }
    assert!(units.is_sorted(), "tokens are given in order");
    units.dedup();
    assert!(reported <= asked, "no message is reported twice");
    // A close that nothing holds up reports every message.
    if let Some(last) = units.last() {
        machine.handle(now, Input::Refuse(*last));
    }
    machine.handle(now, Input::Closed);
    for token in 0..1000 {
        while let Some(event) = machine.poll_event() {
            if matches!(event, Event::Sent { .. } | Event::SendFailed { .. }) {
                reported += 1;
            }
        }
        machine.handle(now, Input::Accept(Token(token)));
    }
    assert_eq!(reported, asked, "every message is reported once");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_input_makes_a_machine_panic_or_forget_a_message(acts in vec(act(), 0..60)) {
        for settings in settings() {
            act_out(settings, &acts);
        }
    }

    #[test]
    fn no_bytes_make_a_default_machine_panic(bytes in vec(any::<u8>(), 0..4000)) {
        for settings in [
            LinkSettings::Lis01(Lis01Settings::default()),
            LinkSettings::Mllp(MllpSettings::default()),
            LinkSettings::Delimited(DelimitedSettings::bci()),
            LinkSettings::Delimited(DelimitedSettings::control_ack_envelope()),
            LinkSettings::Delimited(DelimitedSettings::records()),
        ] {
            let mut bench = Bench::new(settings);
            bench.handle(Input::Bytes(&bytes));
            bench.wait(Duration::from_secs(120));
        }
    }
}

/// Feeds `total` bytes in pieces to a machine whose owner reads events but judges nothing.
fn flood(settings: LinkSettings, opening: &[u8], total: usize) -> Vec<Event> {
    let mut machine = Link::new(settings);
    machine.handle(Duration::ZERO, Input::Ready(true));
    machine.handle(Duration::ZERO, Input::Bytes(opening));
    let piece = [b'x'; 4096];
    let mut events = Vec::new();
    for _ in 0..total / piece.len() {
        machine.handle(Duration::ZERO, Input::Bytes(&piece));
        events.extend(core::iter::from_fn(|| machine.poll_event()));
    }
    events
}

#[test]
fn ten_megabytes_without_an_end_close_a_frame_at_its_limit() {
    let events = flood(LinkSettings::Lis01(Lis01Settings::default()), b"\x05\x021", 10 << 20);
    assert!(events.contains(&Event::Desynchronised("frame-without-end")), "{events:?}");
}

#[test]
fn ten_megabytes_without_an_end_leave_a_line_that_cannot_close_ready_for_the_next_bid() {
    let settings = Lis01Settings { error_mode: ErrorMode::Resync, ..Lis01Settings::default() };
    let mut bench = Bench::new(LinkSettings::Lis01(settings));
    bench.feed("<ENQ><STX>1<x*10000000>");
    bench.written();
    assert_eq!(bench.feed("<ENQ><STX>1L|1|N<CR><ETX>04<CR><LF>").written(), "<ACK><ACK>");
    assert!(bench.faults().contains(&"frame-endless"));
}

#[test]
fn a_port_scanner_is_given_up_after_its_budget() {
    let events = flood(LinkSettings::Lis01(Lis01Settings::default()), b"", 1 << 20);
    assert!(events.contains(&Event::Desynchronised("skipped-bytes-max")), "{events:?}");
}

#[test]
fn a_block_over_the_limit_is_given_up_without_a_fragment() {
    let settings = MllpSettings { block_bytes_max: 1 << 20, ..MllpSettings::default() };
    let events = flood(LinkSettings::Mllp(settings), b"\x0b", 2 << 20);
    assert!(events.contains(&Event::Desynchronised("block-bytes-max")), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Fragment { .. } | Event::Unit { .. })));
}

#[test]
fn bytes_behind_an_open_verdict_are_bounded_and_the_excess_is_said() {
    let settings = Lis01Settings { backlog_bytes_max: 10_000, ..Lis01Settings::default() };
    let opening = b"\x05\x021L|1|N\r\x0304\r\n";
    let events = flood(LinkSettings::Lis01(settings), opening, 1 << 20);
    let full = |event: &Event| matches!(event, Event::Fault(fault) if fault.kind.code() == "backlog-full");
    assert!(events.iter().any(full), "{events:?}");
}

#[test]
fn a_block_that_lost_bytes_to_the_limit_is_never_delivered() {
    let settings =
        MllpSettings { backlog_bytes_max: 10, error_mode: ErrorMode::Resync, ..MllpSettings::default() };
    let mut bench = Bench::new(LinkSettings::Mllp(settings));
    bench.judge = Judge::Waits;
    bench.feed("<VT>1<FS><CR>").feed("<VT>abcdefghijklmnop");
    bench.accept().feed("q<FS><CR><VT>2<FS><CR>");
    assert_eq!(bench.units(), ["1", "2"]);
    assert_eq!(bench.fragments(), ["abcdefghi"]);
}

#[test]
fn a_machine_with_bytes_behind_an_open_verdict_asks_for_no_more() {
    let mut bench = Bench::new(LinkSettings::Lis01(Lis01Settings::default()));
    bench.judge = Judge::Waits;
    bench.feed("<ENQ><STX>1L|1|N<CR><ETX>04<CR><LF>");
    assert!(bench.machine.accepts_input(), "nothing waits yet");
    bench.feed("<EOT>");
    assert!(!bench.machine.accepts_input());
    bench.accept();
    assert!(bench.machine.accepts_input());
}

#[test]
fn what_a_machine_says_of_itself_holds_no_content() {
    let mut bench = Bench::new(LinkSettings::Lis01(Lis01Settings::default()));
    bench.judge = Judge::Waits;
    bench.feed("<ENQ><STX>1P|1|SECRET<CR><ETX>80<CR><LF>");
    assert_eq!(bench.units().len(), 1);
    let said = format!("{:?} {:?}", bench.machine, bench.events);
    assert!(!said.contains("SECRET") && !said.contains("83, 69"), "{said}");
}
