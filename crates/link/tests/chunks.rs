//! How bytes were chunked never matters, and neither does how long a verdict takes.
//!
//! Streams are made of pieces that mean something to a machine, good and bad ones, so that most of
//! them get deep into its states. Every stream is run whole, with each verdict given at once, and
//! then cut anywhere, with verdicts that come whole chunks later.

use core::time::Duration;

use labwire_link::{
    Answer, Check, DelimitedSettings, ErrorMode, Event, Input, Link, LinkSettings, Lis01Settings, Machine,
    MllpSettings, TextReply, Token, Tolerance, Tolerances, UnitEnd, write_frame,
};
use labwire_testkit::Seed;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Everything the outside can see of a machine.
#[derive(Debug, Default, PartialEq)]
struct Trace {
    events: Vec<Event>,
    written: Vec<u8>,
}

/// How the outside treats the machine.
struct Treatment {
    seed: Seed,
    chunk_bytes_max: u64,
    verdict_chunks_max: u64,
}

fn whole() -> Treatment {
    Treatment { seed: Seed::new(0), chunk_bytes_max: u64::MAX, verdict_chunks_max: 1 }
}

/// Every fifth unit is refused, by its token, so that refusals meet the same units in each run.
fn verdict(token: Token) -> Input<'static> {
    if token.0.is_multiple_of(5) { Input::Refuse(token) } else { Input::Accept(token) }
}

fn trace(settings: LinkSettings, stream: &[u8], mut treatment: Treatment) -> Trace {
    let mut machine = Link::new(settings);
    let mut trace = Trace::default();
    let mut open: Option<(u64, Token)> = None;
    let now = Duration::from_secs(1);
    machine.handle(now, Input::Ready(true));
    let mut rest = stream;
    while !rest.is_empty() {
        let length = 1 + treatment.seed.below(treatment.chunk_bytes_max);
        let (chunk, behind) = rest.split_at(usize::try_from(length).unwrap_or(usize::MAX).min(rest.len()));
        rest = behind;
        machine.handle(now, Input::Bytes(chunk));
        drain(&mut machine, now, &mut trace, &mut open, &mut treatment);
    }
    treatment.verdict_chunks_max = 1;
    while let Some((_, token)) = open.take() {
        machine.handle(now, verdict(token));
        drain(&mut machine, now, &mut trace, &mut open, &mut treatment);
    }
    // Whatever is still open ends by silence.
    while let Some(due) = machine.poll_deadline() {
        machine.handle(due, Input::Deadline);
        drain(&mut machine, due, &mut trace, &mut open, &mut treatment);
    }
    machine.handle(Duration::from_secs(3600), Input::Closed);
    drain(&mut machine, Duration::from_secs(3600), &mut trace, &mut open, &mut treatment);
    trace
}

/// Takes what the machine has to say; a verdict may be put off by some chunks.
fn drain(
    machine: &mut Link,
    now: Duration,
    trace: &mut Trace,
    open: &mut Option<(u64, Token)>,
    treatment: &mut Treatment,
) {
    loop {
        if let Some((chunks, token)) = open {
            *chunks = chunks.saturating_sub(1);
            if *chunks > 0 {
                return;
            }
            machine.handle(now, verdict(*token));
            *open = None;
        }
        let _ = machine.poll_transmit(&mut trace.written);
        while let Some(event) = machine.poll_event() {
            if let Event::Unit { token, .. } | Event::Repeat { token, .. } = &event {
                assert!(open.is_none(), "a machine has one open verdict at most");
                *open = Some((1 + treatment.seed.below(treatment.verdict_chunks_max), *token));
            }
            trace.events.push(event);
        }
        if open.is_none() {
            return;
        }
    }
}

fn assert_chunks_do_not_matter(
    settings: &LinkSettings,
    pieces: &[Vec<u8>],
    seed: u64,
    chunk: u64,
    delay: u64,
) {
    let stream = pieces.concat();
    let expected = trace(settings.clone(), &stream, whole());
    let treatment = Treatment { seed: Seed::new(seed), chunk_bytes_max: chunk, verdict_chunks_max: delay };
    assert_eq!(trace(settings.clone(), &stream, treatment), expected);
}

fn frame_piece() -> impl Strategy<Value = Vec<u8>> {
    let texts =
        select(vec!["H|\\^&|||A\r", "P|1\r", "R|1|^^^GLU|5.4\r", "R|1|^^^G", "L|1|N\r", "a\nb\x11c", ""]);
    let end = select(vec![UnitEnd::Intermediate, UnitEnd::End]);
    let tail = select(vec!["\r\n", "\r\n", "\r\n", "", "\r", "\n"]);
    (0_u8..9, texts, end, tail, 0_u8..12).prop_map(|(number, text, end, tail, damage)| {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, number, text.as_bytes(), end);
        bytes.truncate(bytes.len() - 2);
        if damage == 0 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x01;
        }
        if damage == 1 {
            bytes.truncate(bytes.len() / 2);
        }
        if damage == 2 {
            bytes.make_ascii_lowercase();
        }
        bytes.extend_from_slice(tail.as_bytes());
        bytes
    })
}

/// Frames in the order in which a good sender sends them, so that long sessions occur.
fn session_piece() -> impl Strategy<Value = Vec<u8>> {
    (1_u8..12).prop_map(|frames| {
        let mut bytes = vec![0x05];
        for number in 1..=frames {
            write_frame(&mut bytes, number % 8, format!("R|{number}\r").as_bytes(), UnitEnd::End);
        }
        bytes.push(0x04);
        bytes
    })
}

fn control_piece() -> impl Strategy<Value = Vec<u8>> {
    select(vec![&b"\x05"[..], b"\x05", b"\x04", b"\x02", b"\x06", b"\x15", b"\x03", b"\r\n", b"junk"])
        .prop_map(<[u8]>::to_vec)
}

fn lis01_pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(prop_oneof![3 => frame_piece(), 1 => session_piece(), 2 => control_piece()], 1..24)
}

fn block_pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let pieces = vec![
        &b"\x0bMSH|^~\\&|A\rOBX|1\r\x1c\r"[..],
        b"\x0bMSH|^~\\&|B\r\x1c\n",
        b"\x0bMSH|^~\\&|C\r\x1c",
        b"\x0bMSH|half",
        b"MSH|bare\rOBX|1\r\r",
        b"MS",
        b"M",
        b"\x0b\x1c\r",
        b"\x0b\x06\x1c\r",
        b"\x1c",
        b"\r",
        b"\n",
        b"\0",
        b"log line\r\n",
        b"text",
    ];
    vec(select(pieces).prop_map(<[u8]>::to_vec), 1..24)
}

fn text_pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let pieces = vec![
        &b"\x05"[..],
        b"\x04",
        b"\x02\x1eci7|\x1dba\x03",
        b"\x02\x1eci7|\x1dbb\x03",
        b"\x02\x1eci7|",
        b"\x02\x03",
        b"\x03",
        b"\x06",
        b"##",
        b"#",
        b"#a",
        b"end",
        b"en",
        b"plain text\r\n",
        b"\x01block\x04",
        b"\x02P\x1c7\x1cBF\x03",
        b"\x02AB\x03\x00",
        b"\x02A\x17V",
        b"H|\\^&\r",
        b"R|1|^^^GLU|5.4\r",
        b"L|1|N\r",
        b"l",
    ];
    vec(select(pieces).prop_map(<[u8]>::to_vec), 1..24)
}

fn lis01(strict: bool, tolerate: Tolerances) -> LinkSettings {
    LinkSettings::Lis01(Lis01Settings { strict, tolerate, ..Lis01Settings::default() })
}

fn all_tolerances() -> Tolerances {
    Tolerance::ALL.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn lis01_events_and_replies_depend_on_the_bytes_alone(
        pieces in lis01_pieces(), seed: u64, chunk in 1_u64..40, delay in 1_u64..20,
    ) {
        for settings in [
            lis01(false, Tolerances::LIS01),
            lis01(true, Tolerances::NONE),
            lis01(false, all_tolerances()),
            lis01(false, Tolerances::NONE),
        ] {
            assert_chunks_do_not_matter(&settings, &pieces, seed, chunk, delay);
        }
    }

    #[test]
    fn lis01_limits_do_not_depend_on_chunks(
        pieces in lis01_pieces(), seed: u64, chunk in 1_u64..40, delay in 1_u64..20,
    ) {
        let settings = LinkSettings::Lis01(Lis01Settings {
            receive_frame_bytes_max: 20,
            endless_frame_bytes_max: 25,
            skipped_bytes_max: 30,
            ..Lis01Settings::default()
        });
        assert_chunks_do_not_matter(&settings, &pieces, seed, chunk, delay);
    }

    #[test]
    fn mllp_events_depend_on_the_bytes_alone(
        pieces in block_pieces(), seed: u64, chunk in 1_u64..40, delay in 1_u64..20,
    ) {
        for (strict, tolerate, block_bytes_max) in [
            (false, Tolerances::MLLP, 1 << 20),
            (true, Tolerances::NONE, 1 << 20),
            (false, all_tolerances(), 1 << 20),
            (false, all_tolerances(), 12),
        ] {
            let settings =
                LinkSettings::Mllp(MllpSettings { strict, tolerate, block_bytes_max, ..MllpSettings::default() });
            assert_chunks_do_not_matter(&settings, &pieces, seed, chunk, delay);
        }
    }

    #[test]
    fn delimited_events_and_replies_depend_on_the_bytes_alone(
        pieces in text_pieces(), seed: u64, chunk in 1_u64..40, delay in 1_u64..20,
    ) {
        let words = DelimitedSettings {
            start: b"##a".to_vec(),
            end: b"end".to_vec(),
            reply: TextReply::AckOrNak,
            bytes_max: 40,
            ..DelimitedSettings::default()
        };
        let silence = DelimitedSettings {
            start: Vec::new(),
            end: Vec::new(),
            idle_end: Some(Duration::from_secs(2)),
            ..DelimitedSettings::default()
        };
        let checked =
            DelimitedSettings { check: Check::SumThroughMark { mark: 0x1D }, ..DelimitedSettings::default() };
        let blocks = DelimitedSettings {
            check: Check::XorBehindEnd,
            continued: vec![0x17],
            reply: TextReply::AckOrNak,
            ..DelimitedSettings::default()
        };
        let polled = DelimitedSettings {
            check: Check::SumBeforeEnd,
            reply: TextReply::AckOrNak,
            answers: vec![Answer { to: b"P".to_vec(), with: b"N\x1c".to_vec(), is_data: false }],
            ..DelimitedSettings::default()
        };
        let answered_records =
            DelimitedSettings { reply: TextReply::AckOrNakAtTerminator, ..DelimitedSettings::records() };
        let lenient_envelope = DelimitedSettings {
            tolerate: all_tolerances(),
            block_idle: Some(Duration::from_millis(300)),
            ..DelimitedSettings::control_ack_envelope()
        };
        for settings in [
            DelimitedSettings::default(),
            DelimitedSettings::bci(),
            words,
            silence,
            checked,
            blocks,
            polled,
            DelimitedSettings::control_ack_envelope(),
            lenient_envelope,
            DelimitedSettings::soh_block(),
            DelimitedSettings::fixed_length(7),
            DelimitedSettings::records(),
            DelimitedSettings { error_mode: ErrorMode::Resync, ..DelimitedSettings::records() },
            answered_records,
        ] {
            assert_chunks_do_not_matter(&LinkSettings::Delimited(settings), &pieces, seed, chunk, delay);
        }
    }
}

#[test]
fn the_streams_of_this_property_do_reach_acknowledged_frames() {
    let mut stream = vec![0x05];
    write_frame(&mut stream, 1, b"L|1|N\r", UnitEnd::End);
    let trace = trace(lis01(false, Tolerances::LIS01), &stream, whole());
    assert_eq!(trace.written, b"\x06\x06");
}
