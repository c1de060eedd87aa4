//! Messages that never completed.

use labwire_model::Disposition::{self, Deliver};

use super::builder::*;
use crate::*;

fn settles(transmission: u64, how: Resolution, body: &str, dispositions: &[Disposition]) -> MessageRecord {
    MessageRecord { resolves: vec![Resolves { transmission, how }], ..message(results(body, dispositions)) }
}

/// Reception 1 breaks off with two observations read.
fn broken(bench: &Bench) -> MessageId {
    bench.persist(part(1, frame(Some(1), "H"))).unwrap();
    match bench.close(broken_off(1, results("x", &[hold("incomplete"), hold("incomplete")]), 0)) {
        Closed::Incomplete(id) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_kept_and_shown_and_not_filed() {
    let bench = Bench::new();
    let id = broken(&bench);
    assert_eq!(bench.states(), [MessageState::Incomplete]);
    assert_eq!(bench.open_items(), [], "quarantine waits for the end of the hold");
    assert_eq!(bench.open_transmissions(), [], "its frames are in the message");
    let incompletes = bench.reader().incompletes("a").unwrap();
    assert_eq!((incompletes[0].id, incompletes[0].transmission, incompletes[0].followed), (id, 1, false));
    assert_eq!(incompletes[0].raw, b"x");
    let (messages, observations) = bench.balance();
    assert_eq!((messages.received, messages.standing.incomplete), (1, 1));
    assert_eq!((observations.received, observations.standing.held), (2, 2));
}

#[test]
fn closing_it_twice_keeps_one() {
    let bench = Bench::new();
    let id = broken(&bench);
    let again = bench.close(broken_off(1, results("x", &[hold("incomplete")]), 0));
    assert_eq!(again, Closed::Settled(id));
    assert_eq!(bench.balance().0.received, 1);
}

#[test]
fn a_reception_of_which_nothing_was_stored_leaves_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.close(broken_off(9, results("", &[]), 0)), Closed::Nothing);
    assert_eq!(bench.states(), []);
}

#[test]
fn one_that_a_late_commit_completed_is_not_incomplete() {
    let bench = Bench::new();
    let filed = bench.file(whole(1, message(results("x", &[Deliver]))));
    let closed = bench.close(broken_off(1, results("x", &[hold("incomplete")]), 0));
    assert_eq!(closed, Closed::Settled(filed.message));
    // The sender repeats it whole in a reception of its own and the session takes it for the rest
    // of the one that it believes broken.
    let again = bench.file(whole(2, settles(1, Resolution::Superseded, "x", &[Deliver])));
    assert_eq!(again.fresh, Fresh::Repeat(filed.message));
    bench.balance();
}

#[test]
fn frames_that_follow_a_late_commit_in_its_reception_are_not_lost() {
    let bench = Bench::new();
    // Durable, but refused as late; the analyzer gives the message up and begins another one.
    bench.file(whole(1, message(results("x", &[Deliver]))));
    bench.persist(part(1, frame(Some(1), "y"))).unwrap();
    let closed = bench.close(broken_off(1, results("y", &[hold("incomplete")]), 0));
    assert!(matches!(closed, Closed::Incomplete(_)), "{closed:?}");
    assert_eq!(bench.states(), [MessageState::Pending, MessageState::Incomplete]);
    assert_eq!(bench.balance().0.received, 2);
}

#[test]
fn one_that_could_not_be_closed_is_settled_with_its_frames() {
    let bench = Bench::new();
    bench.persist(part(1, frame(Some(1), "x"))).unwrap();
    // Closing it failed; then the sender repeats it whole.
    bench.file(whole(2, settles(1, Resolution::Superseded, "xy", &[Deliver])));
    assert_eq!(bench.open_transmissions(), [], "a restart finds nothing to close");
    assert_eq!(bench.balance().0.received, 1);
}

#[test]
fn of_very_many_the_newest_are_read() {
    let bench = Bench::new();
    for transmission in 1..=70 {
        bench.close(broken_off(transmission, results("x", &[hold("incomplete")]), 0));
    }
    let read = bench.reader().incompletes("a").unwrap();
    let numbers: Vec<u64> = read.iter().map(|one| one.transmission).collect();
    assert_eq!(numbers, (7..=70).collect::<Vec<_>>());
}

#[test]
fn a_whole_repeat_supersedes_it() {
    let bench = Bench::new();
    broken(&bench);
    bench.file(whole(2, settles(1, Resolution::Superseded, "xy", &[Deliver, Deliver, Deliver])));
    assert_eq!(bench.states(), [MessageState::Duplicate, MessageState::Pending]);
    assert_eq!(bench.reader().incompletes("a").unwrap(), []);
    let (messages, observations) = bench.balance();
    assert_eq!((messages.received, messages.standing.duplicate, messages.standing.pending), (2, 1, 1));
    assert_eq!((observations.received, observations.standing.duplicate), (5, 2));
}

#[test]
fn a_continuation_and_it_count_as_one() {
    let bench = Bench::new();
    broken(&bench);
    bench.file(whole(2, settles(1, Resolution::Resumed, "xy", &[Deliver, Deliver, Deliver])));
    assert_eq!(bench.states(), [MessageState::Resumed, MessageState::Pending]);
    let (messages, observations) = bench.balance();
    assert_eq!((messages.received, observations.received), (1, 3));
    let listed = bench.reader().results(&ResultFilter::default()).unwrap();
    assert_eq!(listed.len(), 3, "each observation is listed once");
}

#[test]
fn after_its_hold_a_person_decides() {
    let bench = Bench::new();
    let id = broken(&bench);
    assert_eq!(bench.expire(0), [], "its reception ended at 0, which is not before 0");
    assert_eq!(bench.expire(1), [id]);
    assert_eq!(bench.expire(1), [], "once");
    let items = bench.open_items();
    assert_eq!(items.iter().map(|item| item.code.as_str()).collect::<Vec<_>>(), ["incomplete"; 2]);
    assert_eq!(bench.states(), [MessageState::Held]);
    bench.balance();

    bench.release(vec![items[0].id]).unwrap();
    bench.discard(vec![items[1].id]).unwrap();
    let delivered: Vec<usize> = bench
        .deliver_all("lis")
        .iter()
        .flat_map(|delivery| delivery.observations.iter().map(|observation| observation.record))
        .collect();
    assert_eq!(delivered, [1]);
    assert_eq!(bench.states(), [MessageState::Delivered]);
    let (_, observations) = bench.balance();
    assert_eq!((observations.standing.delivered, observations.standing.discarded), (1, 1));
}

#[test]
fn a_whole_repeat_after_its_hold_still_supersedes_what_was_not_released() {
    let bench = Bench::new();
    broken(&bench);
    bench.expire(1);
    bench.release(vec![bench.open_items()[0].id]).unwrap();
    bench.deliver_all("lis");

    bench.file(whole(2, settles(1, Resolution::Superseded, "xy", &[Deliver, Deliver, hold("unknown-test")])));
    let delivered: Vec<usize> = bench
        .deliver_all("lis")
        .iter()
        .flat_map(|delivery| delivery.observations.iter().map(|observation| observation.record))
        .collect();
    assert_eq!(delivered, [2], "record 1 was released before and is not filed again");
    assert_eq!(bench.states(), [MessageState::Duplicate, MessageState::Held]);
    let (messages, observations) = bench.balance();
    assert_eq!((messages.received, messages.standing.duplicate, messages.standing.held), (2, 1, 1));
    assert_eq!(
        observations.standing,
        Standing { delivered: 2, held: 1, duplicate: 2, ..Standing::default() },
        "released and repeated; superseded and filed; held"
    );
}

#[test]
fn a_released_observation_that_the_repeat_changes_is_filed_again() {
    let bench = Bench::new();
    broken(&bench);
    bench.expire(1);
    bench.release(bench.open_items().iter().map(|item| item.id).collect()).unwrap();
    let mut record = settles(1, Resolution::Superseded, "x", &[Deliver, Deliver]);
    record.decoded.outcomes[0].observation.value = Some("9.9".to_owned());
    bench.file(whole(2, record));
    let last = bench.deliver_all("lis").pop().unwrap();
    assert_eq!(last.observations.len(), 0, "the last row brings the copies of the settled one up to date");
    let listed =
        bench.reader().results(&ResultFilter { connection: Some("a".to_owned()), ..ResultFilter::default() });
    let states: Vec<_> = listed.unwrap().iter().map(|result| result.state.as_str()).collect();
    assert_eq!(states, ["delivered", "delivered", "delivered", "duplicate"]);
    bench.balance();
}

#[test]
fn a_message_in_between_leaves_it_only_to_a_whole_repeat() {
    let bench = Bench::new();
    broken(&bench);
    bench.file(whole(2, message(results("other", &[Deliver]))));
    assert!(bench.reader().incompletes("a").unwrap()[0].followed);
}

#[test]
fn frames_of_an_open_reception_survive_a_restart_in_order() {
    let mut bench = Bench::new();
    for (number, text) in [(1, "H"), (2, "P"), (3, "O")] {
        bench.persist(part(4, frame(Some(number), text))).unwrap();
    }
    bench.reopen();
    let open = bench.open_transmissions();
    assert_eq!((open.len(), open[0].connection.as_str(), open[0].transmission), (1, "a", 4));
    let texts: Vec<_> = open[0].frames.iter().map(|frame| frame.bytes.clone()).collect();
    assert_eq!(texts, [b"H", b"P", b"O"]);
    assert_eq!(bench.reader().next_transmission("a").unwrap(), 5);
    assert_eq!(bench.reader().next_transmission("b").unwrap(), 0);
}

#[test]
fn text_behind_a_completed_message_opens_the_next_reception() {
    let bench = Bench::new();
    let mut packed = whole(1, message(results("one", &[Deliver])));
    packed.carry = Some((2, b"H|next".to_vec()));
    bench.file(packed);
    let open = bench.open_transmissions();
    assert_eq!((open[0].transmission, open[0].frames[0].bytes.as_slice()), (2, &b"H|next"[..]));
}

#[test]
fn a_damaged_one_does_not_keep_the_others_from_a_person() {
    let bench = Bench::new();
    broken(&bench);
    let Closed::Incomplete(whole) = bench.close(broken_off(2, results("y", &[hold("incomplete")]), 0)) else {
        panic!("not kept")
    };
    let disk = rusqlite::Connection::open(bench.path()).unwrap();
    disk.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    disk.execute("UPDATE message SET decoded = x'00' WHERE transmission = 1", []).unwrap();
    assert_eq!(bench.expire(MINUTE_MS), [whole]);
}
