//! What is a duplicate, what is not, and what becomes of it.

use labwire_model::{DecodedMessage, Disposition::Deliver, MessageKind};

use super::builder::*;
use crate::*;

fn indistinct(body: &str) -> DecodedMessage {
    DecodedMessage { distinguishable: false, ..results(body, &[Deliver, Deliver]) }
}

#[test]
fn an_identical_message_in_the_window_is_recorded_and_not_filed() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(results("one", &[Deliver, Deliver]))));
    let second = bench.file(whole(2, message(results("one", &[Deliver, Deliver]))));
    assert_eq!(first.fresh, Fresh::Fresh);
    assert_eq!(second.fresh, Fresh::Repeat(first.message));
    assert_ne!(second.message, first.message, "the duplicate has a record of its own");

    let delivered: usize = bench.deliver_all("lis").iter().map(|delivery| delivery.observations.len()).sum();
    assert_eq!(delivered, 2);
    assert_eq!(bench.states(), [MessageState::Delivered, MessageState::Duplicate]);
    let (messages, observations) = bench.balance();
    assert_eq!((messages.received, messages.standing.duplicate, messages.standing.delivered), (2, 1, 1));
    assert_eq!((observations.received, observations.standing.duplicate), (4, 2));
}

#[test]
fn a_duplicate_of_a_duplicate_names_the_first() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(results("one", &[Deliver])))).message;
    for transmission in 2..5 {
        let filed = bench.file(whole(transmission, message(results("one", &[Deliver]))));
        assert_eq!(filed.fresh, Fresh::Repeat(first));
    }
}

#[test]
fn the_same_id_with_another_body_is_a_new_message() {
    let bench = Bench::new();
    let with_id = |body| DecodedMessage { control_id: Some("17".to_owned()), ..results(body, &[Deliver]) };
    bench.file(whole(1, message(with_id("one"))));
    assert_eq!(bench.file(whole(2, message(with_id("two")))).fresh, Fresh::Fresh);
    let other_id = DecodedMessage { control_id: Some("18".to_owned()), ..with_id("one") };
    assert_eq!(bench.file(whole(3, message(other_id))).fresh, Fresh::Fresh);
}

#[test]
fn another_connection_is_another_analyzer() {
    let bench = Bench::new();
    bench.file(whole(1, message(results("one", &[Deliver]))));
    let elsewhere = Persist { connection: "b".to_owned(), ..whole(1, message(results("one", &[Deliver]))) };
    assert_eq!(bench.file(elsewhere).fresh, Fresh::Fresh);
}

#[test]
fn the_window_ends() {
    let bench = Bench::new();
    let sent = |transmission, day: i64, minus_ms: i64| {
        let mut persist = whole(transmission, message(results("one", &[Deliver])));
        persist.frame.at = at(day * DAY_MS - minus_ms);
        persist
    };
    let first = bench.file(sent(1, 1, 0)).message;
    assert_eq!(bench.file(sent(2, 8, 0)).fresh, Fresh::Repeat(first), "the last moment of seven days");
    assert_eq!(bench.file(sent(3, 15, -1)).fresh, Fresh::Fresh, "a moment after seven days from the last");
}

/// Persists the message at a moment of both clocks, in days.
fn sent_at(bench: &Bench, transmission: u64, decoded: DecodedMessage, monotonic: i64, wall: i64) -> Fresh {
    let mut persist = whole(transmission, message(decoded));
    let monotonic_ns = at(monotonic * DAY_MS).monotonic_ns;
    persist.frame.at = Stamp { monotonic_ns, wall_ms: wall * DAY_MS };
    bench.file(persist).fresh
}

#[test]
fn a_wall_clock_that_is_set_forward_files_no_repeat() {
    let bench = Bench::new();
    let one = || results("one", &[Deliver]);
    assert_eq!(sent_at(&bench, 1, one(), 0, 0), Fresh::Fresh);
    assert!(matches!(sent_at(&bench, 2, one(), 0, 20_000), Fresh::Repeat(_)));
    bench.balance();
}

#[test]
fn a_wall_clock_that_is_set_back_makes_the_window_no_longer() {
    let bench = Bench::new();
    let one = || indistinct("one");
    assert_eq!(sent_at(&bench, 1, one(), 0, 100), Fresh::Fresh);
    assert_eq!(sent_at(&bench, 2, one(), 8, 50), Fresh::Fresh, "a week later is another measurement");
}

#[test]
fn a_wall_clock_that_is_set_over_a_restart_files_no_repeat_of_what_was_sent_last() {
    let mut bench = Bench::new();
    assert_eq!(sent_at(&bench, 1, results("one", &[Deliver]), 3, 0), Fresh::Fresh);
    assert_eq!(sent_at(&bench, 2, indistinct("two"), 3, 0), Fresh::Fresh);
    bench.reopen();
    assert!(matches!(sent_at(&bench, 3, results("one", &[Deliver]), 0, 20_000), Fresh::Repeat(_)));
    let flagged = sent_at(&bench, 4, indistinct("two"), 0, 20_000);
    assert!(matches!(flagged, Fresh::PossibleRepeat(_)), "it names neither time nor id: {flagged:?}");
    bench.balance();
}

#[test]
fn a_restart_does_not_keep_what_was_sent_long_before_it() {
    let mut bench = Bench::new();
    assert_eq!(sent_at(&bench, 1, results("one", &[Deliver]), 0, 0), Fresh::Fresh);
    for other in 2..18 {
        sent_at(&bench, other, results(&format!("other {other}"), &[Deliver]), 0, 0);
    }
    bench.reopen();
    assert_eq!(sent_at(&bench, 18, results("one", &[Deliver]), 0, 8), Fresh::Fresh);
}

#[test]
fn a_query_that_is_asked_again_is_answered_again() {
    let bench = Bench::new();
    let query = || DecodedMessage { identity: b"q".to_vec(), ..DecodedMessage::empty(MessageKind::Query) };
    for transmission in 1..4 {
        assert_eq!(bench.file(whole(transmission, message(query()))).fresh, Fresh::Fresh);
    }
    let ledger = bench.reader().ledger().unwrap();
    assert_eq!(ledger.tallies["a"][&Tally::Queries], 3);
    assert_eq!(bench.balance(), (Account::default(), Account::default()), "queries are counted apart");
}

#[test]
fn without_time_or_id_a_repeat_right_after_a_lost_reply_is_a_duplicate() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(indistinct("one")))).message;
    assert_eq!(bench.file(whole(2, message(indistinct("one")))).fresh, Fresh::Repeat(first));
    assert_eq!(bench.file(whole(3, message(indistinct("one")))).fresh, Fresh::Repeat(first), "lost twice");
}

#[test]
fn without_time_or_id_a_message_that_others_lie_between_is_filed_and_flagged() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(indistinct("one")))).message;
    bench.file(whole(2, message(indistinct("two"))));
    assert_eq!(bench.file(whole(3, message(indistinct("one")))).fresh, Fresh::PossibleRepeat(first));
    let flagged: Vec<bool> =
        bench.deliver_all("lis").iter().map(|delivery| delivery.message.possible_repeat).collect();
    assert_eq!(flagged, [false, false, true]);
    bench.balance();
}

#[test]
fn another_connection_in_between_proves_nothing() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(indistinct("one")))).message;
    bench.file(Persist { connection: "b".to_owned(), ..whole(1, message(indistinct("two"))) });
    assert_eq!(bench.file(whole(2, message(indistinct("one")))).fresh, Fresh::Repeat(first));
}

#[test]
fn an_analyzer_that_went_on_in_the_session_had_the_reply() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(indistinct("one")))).message;
    let next = MessageRecord { previous_reply_received: true, ..message(indistinct("one")) };
    assert_eq!(bench.file(whole(2, next)).fresh, Fresh::PossibleRepeat(first));
}

#[test]
fn two_alike_in_one_unit_are_two_measurements_unless_they_name_themselves() {
    let bench = Bench::new();
    let mut twice = whole(1, message(indistinct("one")));
    twice.completes.push(message(indistinct("one")));
    let filed = bench.persist(twice).unwrap().messages;
    assert_eq!(filed[1].fresh, Fresh::PossibleRepeat(filed[0].message));

    let mut twice = whole(2, message(results("named", &[Deliver])));
    twice.completes.push(message(results("named", &[Deliver])));
    let filed = bench.persist(twice).unwrap().messages;
    assert_eq!(filed[1].fresh, Fresh::Repeat(filed[0].message));
}

#[test]
fn the_torn_beginning_of_the_repetition_is_no_other_message() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(indistinct("one")))).message;
    bench.persist(part(2, frame(Some(1), "on"))).unwrap();
    bench.close(broken_off(2, indistinct("on"), 0));
    let settled = Resolves { transmission: 2, how: Resolution::Superseded };
    let again = MessageRecord { resolves: vec![settled], ..message(indistinct("one")) };
    assert_eq!(bench.file(whole(3, again)).fresh, Fresh::Repeat(first));
    bench.balance();
}

#[test]
fn a_duplicate_of_a_discarded_message_stays_out() {
    let bench = Bench::new();
    let first = bench.file(whole(1, message(results("one", &[hold("unknown-test")])))).message;
    let items = bench.open_items().iter().map(|item| item.id).collect();
    bench.discard(items).unwrap();
    assert_eq!(
        bench.file(whole(2, message(results("one", &[hold("unknown-test")])))).fresh,
        Fresh::Repeat(first)
    );
    assert_eq!(bench.open_items(), []);
    assert_eq!(bench.states(), [MessageState::Discarded, MessageState::Duplicate]);
    bench.balance();
}

#[test]
fn a_unit_whose_commit_was_refused_as_late_counts_once() {
    let bench = Bench::new();
    bench.persist(part(1, frame(Some(1), "H"))).unwrap();
    let late = bench.persist(part(1, frame(Some(2), "P"))).unwrap();
    let again = bench.persist(part(1, frame(Some(2), "P"))).unwrap();
    assert!(!late.frame_repeated);
    assert!(again.frame_repeated);
    let open = bench.open_transmissions();
    let numbers: Vec<_> = open[0].frames.iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);

    let last = || Persist { frame: frame(Some(3), "L"), ..whole(1, message(indistinct("HPL"))) };
    let filed = bench.file(last());
    let repeated = bench.persist(last()).unwrap();
    assert_eq!(repeated, Persisted { messages: vec![filed], frame_repeated: true });
    assert_eq!(bench.balance().0.received, 1);
    assert_eq!(bench.reader().ledger().unwrap().tallies["a"][&Tally::RepeatedFrames], 2);
}

#[test]
fn the_same_number_with_other_bytes_is_another_frame() {
    let bench = Bench::new();
    bench.persist(part(1, frame(Some(2), "P"))).unwrap();
    assert!(!bench.persist(part(1, frame(Some(2), "O"))).unwrap().frame_repeated);
    assert!(!bench.persist(part(1, frame(Some(2), "P"))).unwrap().frame_repeated);
    assert!(!bench.persist(part(1, frame(None, "P"))).unwrap().frame_repeated);
    assert!(!bench.persist(part(1, frame(None, "P"))).unwrap().frame_repeated, "nothing tells them apart");
    assert_eq!(bench.open_transmissions()[0].frames.len(), 5);
}
