//! The reading side: each result to one consumer at a time, none forgotten.

use std::time::Duration;

use labwire_model::Kind;

use super::builder::*;
use crate::{Claim, LisDatabase};

fn ids(lis: &mut LisDatabase, consumer: &str, results_max: usize, now_ms: i64) -> Vec<i64> {
    let claim =
        Claim { consumer, kind: Kind::Patient, results_max, lease: Duration::from_millis(100), now_ms };
    lis.claim(&claim).unwrap().iter().map(|result| result.id).collect()
}

fn three() -> (Bench, LisDatabase) {
    let mut bench = Bench::new();
    bench.receive((1..=3).map(|record| deliver(record, Kind::Patient)).collect());
    bench.receive(vec![deliver(1, Kind::Qc)]);
    let mut lis = bench.lis();
    bench.deliver(&mut lis).unwrap();
    (bench, lis)
}

#[test]
fn two_consumers_share_the_queue_in_order_and_without_overlap() {
    let (_bench, mut lis) = three();
    assert_eq!(ids(&mut lis, "one", 2, 0), [1, 2]);
    assert_eq!(ids(&mut lis, "two", 2, 0), [3]);
    assert_eq!(ids(&mut lis, "one", 2, 99), Vec::<i64>::new(), "everything is claimed");
}

#[test]
fn what_was_acknowledged_never_comes_again() {
    let (bench, mut lis) = three();
    let claimed = ids(&mut lis, "one", 9, 0);
    assert_eq!(lis.acknowledge("one", &claimed, 1_500).unwrap(), 3);
    assert_eq!(lis.acknowledge("one", &claimed, 1_500).unwrap(), 0);
    assert_eq!(ids(&mut lis, "two", 9, 1_000_000), Vec::<i64>::new());
    let stamp: String = bench
        .sql()
        .query_row("SELECT acknowledged_by || ' ' || acknowledged_at FROM result WHERE id = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(stamp, "one 1970-01-01T00:00:01.500Z");
}

#[test]
fn a_lease_that_ran_out_gives_the_result_to_the_next_and_takes_it_from_the_first() {
    let (_bench, mut lis) = three();
    assert_eq!(ids(&mut lis, "one", 1, 0), [1]);
    assert_eq!(ids(&mut lis, "two", 1, 100), [1]);
    assert_eq!(lis.acknowledge("one", &[1], 101).unwrap(), 0, "it is the other one's");
    assert_eq!(lis.acknowledge("two", &[1], 101).unwrap(), 1);
}

#[test]
fn a_rejected_result_is_set_aside_and_its_neighbours_flow() {
    let (bench, mut lis) = three();
    ids(&mut lis, "one", 1, 0);
    assert_eq!(lis.reject("two", &[1], "not mine").unwrap(), 0);
    assert_eq!(lis.reject("one", &[1], "no such specimen").unwrap(), 1);
    assert_eq!(ids(&mut lis, "one", 9, 1_000_000), [2, 3]);
    bench.sql().execute_batch("UPDATE result_queue SET state = 'waiting' WHERE result = 1").unwrap();
    assert_eq!(ids(&mut lis, "one", 9, 1_000_000), [1]);
}

#[test]
fn quality_control_has_a_queue_of_its_own_and_a_row_is_whole() {
    let (_bench, mut lis) = three();
    let claim =
        Claim { consumer: "qc", kind: Kind::Qc, results_max: 9, lease: Duration::from_secs(1), now_ms: 0 };
    let claimed = lis.claim(&claim).unwrap();
    assert_eq!(claimed.len(), 1);
    let row = &claimed[0].row;
    assert_eq!(row["kind"], "qc");
    assert_eq!(row["number"], "4.10");
    assert_eq!(row["flags"][0]["meaning"], "low");
    assert_eq!(row["reference_range"], serde_json::Value::Null);
}
