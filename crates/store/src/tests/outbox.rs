//! Deliveries: order, attempts, refusal, release, more than one sink.

use labwire_model::Disposition::Deliver;

use super::builder::*;
use crate::*;

fn two_sinks() -> Bench {
    let mut options = Options::new("lab", vec!["lis".to_owned(), "archive".to_owned()]);
    options.self_check_interval = std::time::Duration::from_millis(20);
    Bench::with(options)
}

#[test]
fn deliveries_wait_in_the_order_of_receipt_until_they_are_marked() {
    let mut bench = Bench::new();
    for (transmission, body) in ["one", "two", "three"].into_iter().enumerate() {
        bench.file(whole(transmission as u64, message(results(body, &[Deliver]))));
    }
    let waiting = bench.reader().next_batch("lis", 2).unwrap().deliveries;
    let raws: Vec<_> = waiting.iter().map(|delivery| delivery.raw.clone()).collect();
    assert_eq!(raws, [b"one".to_vec(), b"two".to_vec()]);
    bench.reopen();
    assert_eq!(bench.reader().next_batch("lis", 2).unwrap().deliveries, waiting, "a restart changes nothing");
    assert_eq!(bench.mark_delivered(vec![waiting[0].id, waiting[1].id]), 2);
    assert_eq!(bench.mark_delivered(vec![waiting[0].id, waiting[1].id]), 0, "marking twice marks once");
    assert_eq!(bench.reader().next_batch("lis", 9).unwrap().deliveries[0].raw, b"three");
    let (messages, _) = bench.balance();
    assert_eq!((messages.standing.delivered, messages.standing.pending), (2, 1));
}

#[test]
fn a_failed_attempt_is_counted_and_keeps_its_place() {
    let bench = Bench::new();
    bench.file(whole(1, message(results("one", &[Deliver]))));
    let id = bench.reader().next_batch("lis", 1).unwrap().deliveries[0].id;
    bench.handle().wait(|handle, reply| handle.mark_failed(vec![id], "locked".to_owned(), reply)).unwrap();
    let waiting = &bench.reader().next_batch("lis", 1).unwrap().deliveries[0];
    assert_eq!((waiting.id, waiting.attempts), (id, 1));
    let status = bench.reader().status().unwrap();
    assert_eq!(status.sinks["lis"].last_error.as_deref(), Some("locked"));
    assert_eq!((status.sinks["lis"].backlog, status.sinks["lis"].oldest_ms), (1, Some(0)));
}

#[test]
fn held_observations_wait_while_their_neighbours_go() {
    let bench = Bench::new();
    bench.file(whole(1, message(results("one", &[Deliver, hold("unknown-unit"), ignore(), Deliver]))));
    let delivery = &bench.deliver_all("lis")[0];
    let records: Vec<_> = delivery.observations.iter().map(|observation| observation.record).collect();
    assert_eq!(records, [1, 4]);
    assert_eq!(delivery.quarantine.len(), 1);
    let (messages, observations) = bench.balance();
    assert_eq!(messages.standing, Standing { held: 1, ..Standing::default() });
    assert_eq!(observations.standing, Standing { delivered: 2, held: 1, ignored: 1, ..Standing::default() });

    let item = bench.open_items().remove(0);
    assert_eq!((item.record, item.code.as_str()), (2, "unknown-unit"));
    bench.release(vec![item.id]).unwrap();
    assert_eq!(bench.states(), [MessageState::Pending]);
    let released = &bench.deliver_all("lis")[0];
    assert_eq!(released.observations[0].record, 2);
    assert_eq!(released.quarantine[0].state, QuarantineState::Released);
    assert_eq!(released.quarantine[0].decided_by.as_deref(), Some("k.ito"));
    assert_eq!(bench.states(), [MessageState::Delivered]);
    bench.balance();
    assert_eq!(bench.release(vec![item.id]).unwrap_err().code(), "not-found", "once");
}

#[test]
fn a_release_is_all_or_nothing() {
    let bench = Bench::new();
    bench.file(whole(1, message(results("one", &[hold("unknown-test"), hold("unknown-test")]))));
    let first = bench.open_items()[0].id;
    assert_eq!(bench.release(vec![first, 9_999]).unwrap_err().code(), "not-found");
    assert_eq!(bench.open_items().len(), 2, "the first of the two stays open");
    bench.balance();
}

#[test]
fn what_a_sink_refuses_is_held_for_that_sink_alone() {
    let bench = two_sinks();
    let routed = MessageRecord {
        sinks: vec!["lis".to_owned(), "archive".to_owned()],
        ..message(results("one", &[Deliver, Deliver]))
    };
    bench.file(whole(1, routed));
    bench.deliver_all("archive");
    let id = bench.reader().next_batch("lis", 1).unwrap().deliveries[0].id;
    let refuse = |id| {
        bench.handle().wait(|handle, reply| {
            handle.refuse_delivery(
                id,
                "refused-by-sink".to_owned(),
                "a check failed".to_owned(),
                at(0),
                reply,
            );
        })
    };
    refuse(id).unwrap();
    assert_eq!(refuse(id).unwrap_err().code(), "not-found");
    let ledger = bench.reader().ledger().unwrap();
    assert_eq!(ledger.differences, []);
    let standing = |sink: &str| {
        ledger.lines.iter().find(|line| line.sink == sink).map(|line| line.observations.standing).unwrap()
    };
    assert_eq!(standing("lis"), Standing { held: 2, ..Standing::default() });
    assert_eq!(standing("archive"), Standing { delivered: 2, ..Standing::default() });

    let items: Vec<i64> = bench.open_items().iter().map(|item| item.id).collect();
    bench.release(items).unwrap();
    assert_eq!(bench.reader().next_batch("archive", 9).unwrap().deliveries, []);
    bench.deliver_all("lis");
    assert_eq!(bench.states(), [MessageState::Delivered]);
    bench.balance();
}

#[test]
fn what_is_routed_elsewhere_counts_as_delivered_also_for_a_sink_that_comes_later() {
    let mut bench = Bench::new();
    bench.file(whole(1, message(results("one", &[Deliver, hold("unknown-test")]))));
    bench.options.sinks.push("archive".to_owned());
    bench.reopen();
    bench.file(whole(2, message(results("two", &[Deliver]))));
    let ledger = bench.reader().ledger().unwrap();
    assert_eq!(ledger.differences, []);
    let archive = ledger.lines.iter().find(|line| line.sink == "archive").unwrap();
    assert_eq!(archive.messages.received, 2);
    assert_eq!(archive.observations.standing, Standing { delivered: 2, held: 1, ..Standing::default() });
    assert_eq!(bench.reader().next_batch("archive", 9).unwrap().deliveries, [], "nothing old is sent to it");

    bench.options.sinks.retain(|sink| sink == "archive");
    bench.reopen();
    assert_eq!(bench.reader().next_batch("lis", 9).unwrap().deliveries.len(), 2, "what waited still waits");
    bench.balance();
}

#[test]
fn a_sink_that_the_spool_does_not_know_is_refused_and_nothing_is_stored() {
    let bench = Bench::new();
    let astray = MessageRecord { sinks: vec!["nowhere".to_owned()], ..message(results("one", &[Deliver])) };
    assert_eq!(bench.persist(whole(1, astray)).unwrap_err().code(), "not-found");
    assert_eq!(bench.states(), []);
    bench.balance();
}

#[test]
fn the_latest_decision_about_an_observation_counts() {
    let bench = Bench::new();
    bench.file(whole(1, message(results("one", &[Deliver]))));
    let refuse = || {
        let waiting = bench.reader().next_batch("lis", 9).unwrap().deliveries;
        let id = waiting.iter().find(|delivery| !delivery.observations.is_empty()).unwrap().id;
        let refused = bench.handle().wait(|handle, reply| {
            handle.refuse_delivery(id, "refused".to_owned(), "a check failed".to_owned(), at(0), reply);
        });
        refused.unwrap();
    };
    refuse();
    bench.release(bench.open_items().iter().map(|item| item.id).collect()).unwrap();
    refuse();
    bench.discard(bench.open_items().iter().map(|item| item.id).collect()).unwrap();
    let results = bench.reader().results(&ResultFilter::default()).unwrap();
    assert_eq!(results[0].state, ObservationState::Discarded);
    assert_eq!(bench.states(), [MessageState::Discarded]);
    bench.balance();
}
