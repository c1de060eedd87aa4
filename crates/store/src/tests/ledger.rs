//! The ledger notices what does not add up.

use labwire_model::Disposition::Deliver;

use super::builder::*;
use crate::*;

/// Changes the closed file behind the spool's back, and answers what the check then says.
fn differences_after(change: &str) -> Vec<LedgerDifference> {
    let mut bench = Bench::new();
    bench.file(whole(1, message(results("one", &[Deliver, hold("unknown-test"), ignore()]))));
    bench.spool = None;
    rusqlite::Connection::open(bench.path()).unwrap().execute_batch(change).unwrap();
    Spool::open_read(bench.path()).unwrap().ledger().unwrap().differences
}

#[test]
fn an_untouched_spool_balances() {
    assert_eq!(differences_after("SELECT 1"), []);
}

#[test]
fn a_row_that_vanished_is_missed() {
    let found = differences_after("DELETE FROM message");
    assert!(found.iter().any(|difference| difference.what == "messages.received"), "{found:?}");
    let found = differences_after("DELETE FROM outbox");
    assert!(found.iter().any(|difference| difference.what == "observations.pending"), "{found:?}");
    let found = differences_after("DELETE FROM quarantine");
    assert!(found.iter().any(|difference| difference.what == "observations.held"), "{found:?}");
}

#[test]
fn a_counter_that_was_moved_is_noticed_by_the_rows_and_by_the_sum() {
    let found = differences_after("UPDATE ledger SET pending = pending + 1 WHERE side = 'observations'");
    let whats: Vec<_> = found.iter().map(|difference| difference.what.as_str()).collect();
    assert_eq!(whats, ["observations.pending", "observations.sum"]);
    assert_eq!((found[0].counted, found[0].found), (2, 1));
}

#[test]
fn a_delivery_that_was_marked_without_its_counter_is_noticed() {
    let found = differences_after("UPDATE outbox SET state = 'delivered'");
    assert!(!found.is_empty());
}

#[test]
fn what_is_not_a_result_is_counted_apart() {
    let bench = Bench::new();
    for tally in Tally::ALL {
        bench.handle().wait(|handle, reply| handle.count("a", tally, 1, reply)).unwrap();
    }
    let ledger = bench.reader().ledger().unwrap();
    assert!(ledger.balances());
    assert_eq!(ledger.tallies["a"].len(), Tally::ALL.len());
    assert_eq!(bench.reader().status().unwrap().connections["a"].tallies[&Tally::EmptySessions], 1);
}
