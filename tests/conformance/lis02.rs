//! Cases of LIS02-A2 and of both layers together that need more than a script.

use core::time::Duration;
use std::sync::Arc;

use jiff::tz::TimeZone;
use labwire_driver::Context;
use labwire_link::{Event, Input, Lis01, Lis01Settings, Machine, UnitEnd, write_frame};
use labwire_message::lis02::{self, Hierarchy, MessageBuilder, Saved};
use labwire_message::{Charset, Delimiters, Index, Path, Syntax, View, escape};
use labwire_model::Disposition;

use crate::bench::{Analyzer, Bench, Books, Kind, record_frames};
use crate::{Function, profiles, table};

pub(crate) const FUNCTIONS: &[Function] = &[
    ("an_empty_field_is_neither_a_value_nor_a_deletion", an_empty_field_is_neither_a_value_nor_a_deletion),
    ("two_quotes_alone_ask_for_deletion", two_quotes_alone_ask_for_deletion),
    (
        "a_record_of_a_hundred_thousand_bytes_in_many_frames_is_whole",
        a_record_of_a_hundred_thousand_bytes_in_many_frames_is_whole,
    ),
    ("a_value_with_delimiters_travels_and_comes_back", a_value_with_delimiters_travels_and_comes_back),
    ("bytes_that_may_not_be_sent_are_escaped", bytes_that_may_not_be_sent_are_escaped),
    (
        "bytes_above_ascii_are_kept_and_read_by_the_set_of_the_profile",
        bytes_above_ascii_are_kept_and_read_by_the_set_of_the_profile,
    ),
    ("comments_hang_below_what_they_describe", comments_hang_below_what_they_describe),
    (
        "manufacturer_information_behind_the_header_is_its_child",
        manufacturer_information_behind_the_header_is_its_child,
    ),
    ("records_behind_a_terminator_belong_to_no_message", records_behind_a_terminator_belong_to_no_message),
    ("sequence_numbers_restart_where_the_level_falls", sequence_numbers_restart_where_the_level_falls),
    ("numbers_of_comments_restart_with_their_parent", numbers_of_comments_restart_with_their_parent),
    ("the_terminator_is_always_number_one", the_terminator_is_always_number_one),
    ("records_are_saved_when_the_level_falls", records_are_saved_when_the_level_falls),
    (
        "a_sender_repeats_the_ancestors_and_what_is_unsaved",
        a_sender_repeats_the_ancestors_and_what_is_unsaved,
    ),
    ("a_message_that_is_repeated_whole_is_filed_once", a_message_that_is_repeated_whole_is_filed_once),
    ("an_acknowledged_frame_survives_a_crash", an_acknowledged_frame_survives_a_crash),
    ("every_flag_and_status_letter_survives", every_flag_and_status_letter_survives),
    ("an_analyzer_that_connects_is_heard", an_analyzer_that_connects_is_heard),
    ("timers_do_not_depend_on_the_transport", timers_do_not_depend_on_the_transport),
    (
        "a_second_connection_of_the_same_analyzer_is_served",
        a_second_connection_of_the_same_analyzer_is_served,
    ),
];

/// Scans records written with `⏎` for CR and hands the view to the case.
fn with<R>(text: &str, look: impl FnOnce(View<'_>) -> R) -> R {
    let bytes = text.replace('⏎', "\r").into_bytes();
    look(Index::new().scan(Syntax::Lis02, &bytes))
}

/// A part of the first record of its name, as sent.
fn part(message: &[u8], path: &str) -> Option<Vec<u8>> {
    let path: Path = path.parse().unwrap();
    let mut index = Index::new();
    let view = index.scan(Syntax::Lis02, message);
    let record = view.records().find(|record| record.name() == path.record)?;
    record.get(&path).map(<[u8]>::to_vec)
}

fn an_empty_field_is_neither_a_value_nor_a_deletion() {
    with("H|\\^&⏎P|1||||||⏎P|2⏎", |view| {
        let empty = view.record(1).unwrap().field(8).unwrap();
        assert!(empty.is_empty() && !empty.is_delete());
        assert!(view.record(2).unwrap().field(8).is_none(), "beyond the last field there is nothing at all");
    });
}

fn two_quotes_alone_ask_for_deletion() {
    with("H|\\^&⏎P|1||||||\"\"⏎P|2||||||\"x\"⏎", |view| {
        let field = |place: usize| view.record(place).unwrap().field(8).unwrap();
        assert!(field(1).is_delete() && !field(1).is_empty());
        assert!(!field(2).is_delete());
    });
}

/// Gives a strict machine what an analyzer says after its bid; keeps every unit, and the text of them.
fn heard(chunks: impl IntoIterator<Item = Vec<u8>>) -> (Vec<u8>, Vec<u8>) {
    let mut machine = Lis01::new(Lis01Settings { strict: true, ..Lis01Settings::default() });
    let (mut kept, mut written) = (Vec::new(), Vec::new());
    machine.handle(Duration::ZERO, Input::Ready(true));
    for chunk in core::iter::once(b"\x05".to_vec()).chain(chunks) {
        machine.handle(Duration::ZERO, Input::Bytes(&chunk));
        while let Some(event) = machine.poll_event() {
            if let Event::Unit { token, bytes, .. } = event {
                kept.extend(bytes);
                machine.handle(Duration::ZERO, Input::Accept(token));
            }
        }
        while machine.poll_transmit(&mut written) {}
    }
    (kept, written)
}

fn a_record_of_a_hundred_thousand_bytes_in_many_frames_is_whole() {
    let record = [b"C|1|I|".as_slice(), &vec![b'x'; 100_000], b"|G\r"].concat();
    let pieces: Vec<&[u8]> = record.chunks(240).collect();
    let frames = pieces.iter().enumerate().map(|(place, piece)| {
        let number = u8::try_from((place + 1) % 8).unwrap();
        let end = if place + 1 == pieces.len() { UnitEnd::End } else { UnitEnd::Intermediate };
        let mut frame = Vec::new();
        write_frame(&mut frame, number, piece, end);
        frame
    });
    let (kept, written) = heard(frames);
    assert_eq!(written, vec![0x06; pieces.len() + 1], "the bid and every frame are acknowledged");
    assert_eq!(kept, record);
    let message = [b"H|\\^&\r".as_slice(), &record].concat();
    assert_eq!(part(&message, "C.4").map(|text| text.len()), Some(100_000));
}

fn a_value_with_delimiters_travels_and_comes_back() {
    let mut message = MessageBuilder::new(Delimiters::LIS02);
    message.header(|_| {}).record(b'R', |result| {
        result.text(4, b"1|2^3\\4&5");
    });
    let message = message.finish();
    assert_eq!(part(&message, "R.4").unwrap(), b"1&F&2&S&3&R&4&E&5");
    let mut index = Index::new();
    let view = index.scan(Syntax::Lis02, &message);
    let text = view.record(1).unwrap().text(&"R.4".parse().unwrap(), Charset::Utf8);
    assert_eq!(text.as_deref(), Some("1|2^3\\4&5"));
}

fn bytes_that_may_not_be_sent_are_escaped() {
    for byte in (0_u8..=255).filter(|byte| byte.is_ascii_control() || *byte == 255) {
        let encoded = escape::encode_lis02(&[b'a', byte, b'b'], &Delimiters::LIS02).into_owned();
        assert_eq!(encoded, format!("a&X{byte:02X}&b").into_bytes());
    }
    let without_escape = Delimiters { escape: None, ..Delimiters::LIS02 };
    assert_eq!(escape::encode_lis02(b"a|b", &without_escape).as_ref(), b"a b");
    let mut machine = Lis01::new(Lis01Settings { strict: true, ..Lis01Settings::default() });
    machine.handle(Duration::ZERO, Input::Ready(true));
    machine.handle(Duration::ZERO, Input::Send { id: 7, message: b"C|1|I|a\nb|G\r" });
    let refused = core::iter::from_fn(|| machine.poll_event())
        .any(|event| matches!(event, Event::SendFailed { id: 7, .. }));
    assert!(refused, "a line feed that was not escaped is refused by the link");
    assert!(!machine.poll_transmit(&mut Vec::new()), "and there is no bid for it");
}

fn plan(name: &str, own: &[&str]) -> labwire_driver::Plan {
    let steps: Vec<table::Step> = own
        .iter()
        .map(|line| table::Step { verb: "toml".to_owned(), rest: (*line).to_owned(), at: String::new() })
        .collect();
    profiles::plan(&crate::table().profiles, name, &steps)
}

fn bytes_above_ascii_are_kept_and_read_by_the_set_of_the_profile() {
    let all: Vec<u8> = (128..=254).collect();
    assert_eq!(escape::encode_lis02(&all, &Delimiters::LIS02).as_ref(), all);
    let message = [b"H|\\^&\rP|1\rO|1|S\rR|1|^^^A|".as_slice(), &all, b"\rL|1|N\r"].concat();
    assert_eq!(part(&message, "R.4").unwrap(), all, "byte for byte");
    let plan = plan("lis02", &["[message]", "charset = \"latin-1\""]);
    let decoded = plan.decode_strictly(&message, &Context { zone: &TimeZone::UTC });
    let text: String = all.iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(decoded.outcomes[0].observation.value, Some(text));
    assert_eq!(decoded.outcomes[0].disposition, Disposition::Deliver);
}

fn parents(message: &str) -> Vec<Option<usize>> {
    with(message, |view| Hierarchy::of(&view).places.iter().map(|place| place.parent).collect())
}

fn comments_hang_below_what_they_describe() {
    assert_eq!(
        parents(r"H|\^&⏎P|1⏎C|1⏎O|1⏎C|1⏎R|1⏎C|1⏎C|2⏎L|1⏎"),
        [None, Some(0), Some(1), Some(1), Some(3), Some(3), Some(5), Some(5), None]
    );
}

fn manufacturer_information_behind_the_header_is_its_child() {
    with(r"H|\^&⏎M|1⏎P|1⏎O|1⏎M|1⏎L|1⏎", |view| {
        let hierarchy = Hierarchy::of(&view);
        assert_eq!((hierarchy.parent(1), hierarchy.level(1)), (Some(0), Some(1)));
        assert_eq!((hierarchy.parent(4), hierarchy.level(4)), (Some(3), Some(3)));
        assert!(hierarchy.findings.is_empty());
    });
}

fn records_behind_a_terminator_belong_to_no_message() {
    with(r"H|\^&⏎L|1⏎C|1⏎M|1⏎H|\^&⏎L|1⏎", |view| {
        let split = lis02::messages(&view);
        let records: Vec<_> = split.messages.iter().map(|message| message.records.clone()).collect();
        assert_eq!(records, [0..2, 4..6]);
        let found: Vec<_> = split.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, ["record-after-terminator"; 2]);
    });
}

/// Writes one record of each letter and reads back what was numbered.
fn numbered(letters: &str) -> String {
    let mut message = MessageBuilder::new(Delimiters::LIS02);
    for letter in letters.bytes() {
        match letter {
            b'H' => message.header(|_| {}),
            letter => message.record(letter, |_| {}),
        };
    }
    let bytes = message.finish();
    let mut index = Index::new();
    let view = index.scan(Syntax::Lis02, &bytes);
    let number = |record: labwire_message::Record<'_>| {
        let number = record.field(2).filter(|_| !record.is_header()).map_or(&b""[..], |field| field.bytes());
        format!("{}{}", record.name(), String::from_utf8_lossy(number))
    };
    view.records().map(number).collect::<Vec<_>>().join(" ")
}

fn sequence_numbers_restart_where_the_level_falls() {
    assert_eq!(numbered("HPORRORPOL"), "H P1 O1 R1 R2 O2 R1 P2 O1 L1");
}

fn numbers_of_comments_restart_with_their_parent() {
    assert_eq!(numbered("HPCOCRCCRCOCL"), "H P1 C1 O1 C1 R1 C1 C2 R2 C1 O2 C1 L1");
}

fn the_terminator_is_always_number_one() {
    assert_eq!(numbered("HPLHPPL"), "H P1 L1 H P1 P2 L1");
}

/// The worked example of LIS02-A2 §4.2: seventeen records by letter, each with its level.
const WORKED: [u8; 17] = [0, 1, 2, 3, 2, 2, 1, 2, 3, 3, 4, 3, 2, 1, 2, 3, 0];

fn letters(places: impl IntoIterator<Item = usize>) -> String {
    places.into_iter().map(|place| char::from(b'A' + u8::try_from(place).unwrap())).collect()
}

fn records_are_saved_when_the_level_falls() {
    let mut saved = Saved::new();
    let events: Vec<_> = WORKED
        .iter()
        .enumerate()
        .map(|(place, level)| (letters([place]), letters(saved.push(*level))))
        .filter(|(_, saved)| !saved.is_empty())
        .collect();
    let expected = [("E", "ABCD"), ("G", "EF"), ("L", "GHIJK"), ("M", "L"), ("N", "M"), ("Q", "NOP")];
    assert_eq!(events, expected.map(|(letter, saved)| (letter.to_owned(), saved.to_owned())));
    assert_eq!(letters(saved.push_terminator().filter(|place| *place < WORKED.len())), "Q");
}

fn a_sender_repeats_the_ancestors_and_what_is_unsaved() {
    let expected = "A AB ABC ABCD ABCDE ABEF ABEFG AGH AGHI AGHIJ AGHIJK AGHIJKL AGHLM AGMN ANO ANOP ANOPQ";
    let mut saved = Saved::new();
    let mut repeated = Vec::new();
    for (place, level) in WORKED.iter().enumerate() {
        let before = letters(saved.repeated(*level));
        saved.push(*level);
        repeated.push(before + &letters([place]));
    }
    assert_eq!(repeated.join(" "), expected);
}

fn every_flag_and_status_letter_survives() {
    let flags = ["L", "H", "LL", "HH", "<", ">", "N", "A", "U", "D", "B", "W", "Q7"];
    let statuses = ["C", "P", "F", "X", "I", "S", "M", "R", "N", "Q", "V", "W", "?"];
    let plan = plan("lis02", &[]);
    for (flag, status) in flags.into_iter().zip(statuses) {
        let mut message = MessageBuilder::new(Delimiters::LIS02);
        message.header(|_| {}).record(b'P', |_| {}).record(b'O', |order| {
            order.text(3, b"S");
        });
        message.record(b'R', |result| {
            result.component(3, 4, b"A").text(4, b"1").text(7, flag.as_bytes()).text(9, status.as_bytes());
        });
        let decoded = plan.decode_strictly(&message.finish(), &Context { zone: &TimeZone::UTC });
        let outcome = &decoded.outcomes[0];
        assert_eq!(outcome.disposition, Disposition::Deliver, "{flag} {status}");
        assert_eq!(outcome.observation.flags[0].sent, flag);
        assert_eq!(outcome.observation.status_sent.as_deref(), Some(status));
        let found: Vec<&str> = decoded.diagnostics.iter().map(|found| found.code.as_str()).collect();
        let unknown: &[&str] = if flag == "Q7" { &["unknown-flag", "unknown-status"] } else { &[] };
        assert_eq!(found, unknown, "{flag} {status}");
        assert_eq!(outcome.observation.flags[0].meaning.is_some(), flag != "Q7");
    }
}

const MESSAGE: [&str; 5] = [
    "H|\\^&|||A|||||||P|1|20260302081407",
    "P|1",
    "O|1|S7",
    "R|1|^^^GLU|5.4|mmol/L||N||F||||20260302081407",
    "L|1|N",
];
const ROW: &str = "S7 GLU 5.4 mmol/L";

/// A daemon of its own with one line to the letter.
fn strict_line() -> (Arc<Bench>, Analyzer) {
    let bench = Arc::new(Bench::start(|kind| usize::from(kind == Kind::Strict)));
    let line = bench.analyzer(Kind::Strict);
    (bench, line)
}

/// Bids and sends the first records of the message, each acknowledged.
fn sends(line: &mut Analyzer, records: usize) {
    line.exchange("<ENQ>", "<ACK>");
    for frame in &record_frames(&MESSAGE)[..records] {
        line.exchange(frame, "<ACK>");
    }
}

fn an_acknowledged_frame_survives_a_crash() {
    let (bench, mut line) = strict_line();
    sends(&mut line, 4);
    bench.kill_and_restart();
    line.has_filed_after_a_crash(&[], Books { incomplete: 1, ..Books::default() });
}

fn a_message_that_is_repeated_whole_is_filed_once() {
    let (_bench, mut line) = strict_line();
    sends(&mut line, 4);
    line.hangs_up();
    line.plug_in();
    sends(&mut line, 5);
    line.ends();
    line.has_filed(&[ROW], Books { delivered: 1, superseded: 1, ..Books::default() });
}

fn an_analyzer_that_connects_is_heard() {
    let (_bench, mut line) = strict_line();
    sends(&mut line, 5);
    line.ends();
    line.has_filed(&[ROW], Books::delivered(1));
}

fn a_second_connection_of_the_same_analyzer_is_served() {
    let (_bench, mut line) = strict_line();
    line.exchange("<ENQ>", "<ACK>");
    line.leaves_its_line_open();
    line.plug_in();
    sends(&mut line, 5);
    line.say("<EOT>");
    line.has_filed(&[ROW], Books::delivered(1));
}

/// Every deadline of a strict session up to the end of a conversation that nobody answers.
fn deadlines(transport: labwire_link::ErrorMode) -> Vec<Duration> {
    use labwire_session::{Effect, Input, Now, Session, Settings};
    let mut session = Session::new(Settings {
        identity: labwire_session::Identity::Hold,
        plan: Arc::new(plan("lis02", &[])),
        strict: Some(true),
        transport,
        zone: TimeZone::UTC,
        first_transmission: 1,
        control_id_prefix: String::new(),
        message_bytes_max: 1 << 20,
    });
    let mut seen = Vec::new();
    let mut now = Now { monotonic: Duration::ZERO, wall: jiff::Timestamp::UNIX_EPOCH };
    session.handle(now, Input::StoreReady(true));
    let mut frame = Vec::new();
    write_frame(&mut frame, 1, b"H|\\^&\r", UnitEnd::End);
    let mut said = vec![vec![0x05], frame, b"\x021P|".to_vec()].into_iter();
    loop {
        if let Some(bytes) = said.next() {
            session.handle(now, Input::Bytes(&bytes));
        } else if session.poll_deadline().is_some() {
            session.handle(now, Input::Deadline);
        } else {
            return seen;
        }
        while let Some(effect) = session.poll_effect() {
            if let Effect::Persist(persist) = effect {
                session.persisted(now, persist.token);
            }
        }
        if let Some(due) = session.poll_deadline() {
            seen.push(due - now.monotonic);
            now.monotonic = due;
        }
        assert!(seen.len() < 20, "a conversation that nobody goes on with ends");
    }
}

fn timers_do_not_depend_on_the_transport() {
    let over_tcp = deadlines(labwire_link::ErrorMode::Close);
    assert!(over_tcp.contains(&Duration::from_secs(30)), "{over_tcp:?}");
    assert_eq!(over_tcp, deadlines(labwire_link::ErrorMode::Resync));
}
