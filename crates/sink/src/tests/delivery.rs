//! Once, unchanged, and each kind in its place.

use labwire_model::Kind;
use labwire_store::{Decision, QuarantineFilter, Stamp};

use super::builder::*;
use crate::{Delivered, Outcome, SinkError};

#[test]
fn a_delivery_that_comes_a_second_time_has_no_effect() {
    let mut bench = Bench::new();
    bench.receive(vec![deliver(1, Kind::Patient), deliver(2, Kind::Patient)]);
    let waiting = bench.waiting();
    let mut lis = bench.lis();
    let first = lis.deliver(&waiting).unwrap();
    assert_eq!(first, [Delivered { id: waiting[0].id, outcome: Outcome::Filed { added: 2 } }]);
    // The reply was lost with the process: the spool still has it waiting.
    drop(lis);
    let second = bench.deliver(&mut bench.lis()).unwrap();
    assert_eq!(second[0].outcome, Outcome::Filed { added: 0 });
    assert_eq!(bench.number("SELECT count(*) FROM result"), 2);
    assert_eq!(bench.number("SELECT count(*) FROM result_queue"), 2);
    assert_eq!(bench.waiting(), []);
}

#[test]
fn a_repeat_does_not_queue_again_what_the_lis_has_taken() {
    let mut bench = Bench::new();
    bench.receive(vec![deliver(1, Kind::Patient)]);
    let mut lis = bench.lis();
    lis.deliver(&bench.waiting()).unwrap();
    bench.sql().execute_batch("DELETE FROM result_queue").unwrap();
    bench.deliver(&mut lis).unwrap();
    assert_eq!(bench.number("SELECT count(*) FROM result_queue"), 0);
}

#[test]
fn every_column_says_what_the_analyzer_sent() {
    let mut bench = Bench::new();
    let id = bench.receive(vec![deliver(5, Kind::Patient)]).messages[0].message;
    bench.deliver(&mut bench.lis()).unwrap();
    let row: String = bench
        .sql()
        .query_row(
            "SELECT json_array(tenant, message_id, record, connection, driver, driver_version, kind, specimen_id,
               patient_id, analyzer_test, lis_test, test_name, loinc, value, text, comparator, number, unit, ucum,
               json(flags), status, status_sent, reference_range, observed_at, observed_at_verbatim, operator,
               json(comments), possible_repeat, received_at) FROM patient_result",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let expected = format!(
        r#"["lab","{id}",5,"chem-1","house/analyzer","3","patient","26-0042","P7","687","GLU","Glucose","2345-7","<4.10^mmol","<4.10","<","4.10","mmol/l","mmol/L",[{{"sent":"L","meaning":"low"}}],"cannot_be_done","F",null,"2026-03-02T08:14:07+02:00","20260302081407",null,["hemolytic"],0,"2026-03-02T08:14:07.120Z"]"#
    );
    assert_eq!(row, expected);
    let raw: Vec<u8> = bench.sql().query_row("SELECT raw FROM message", [], |row| row.get(0)).unwrap();
    assert_eq!(raw, b"message 1");
}

#[test]
fn quality_control_is_never_among_patients() {
    let mut bench = Bench::new();
    bench.receive(vec![deliver(1, Kind::Patient), deliver(2, Kind::Qc), deliver(3, Kind::Calibration)]);
    bench.deliver(&mut bench.lis()).unwrap();
    for (view, record) in [("patient_result", 1), ("qc_result", 2), ("calibration_result", 3)] {
        let found: String = bench
            .sql()
            .query_row(&format!("SELECT json_group_array(record) FROM {view}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(found, format!("[{record}]"), "{view}");
    }
}

#[test]
fn held_observations_are_copied_and_follow_what_a_person_decides() {
    let mut bench = Bench::new();
    bench.receive(vec![deliver(1, Kind::Patient), hold(2, "unknown-test"), hold(3, "unknown-test")]);
    let mut lis = bench.lis();
    bench.deliver(&mut lis).unwrap();
    assert_eq!(bench.number("SELECT count(*) FROM result"), 1);
    assert_eq!(bench.number("SELECT count(*) FROM quarantine WHERE state = 'open'"), 2);
    assert_eq!(bench.number("SELECT state = 'held' AND held = 2 FROM message"), 1);

    let items: Vec<i64> = bench
        .spool()
        .reader()
        .unwrap()
        .quarantine(&QuarantineFilter::default())
        .unwrap()
        .iter()
        .map(|item| item.id)
        .collect();
    let decision = Decision {
        actor: "k.ito".to_owned(),
        reason: "mapped".to_owned(),
        at: Stamp { monotonic_ns: 0, wall_ms: 1_000 },
    };
    let (released, discarded, other) = (vec![items[0]], vec![items[1]], decision.clone());
    bench.spool().wait(|handle, reply| handle.release(released, decision, reply)).unwrap();
    bench.spool().wait(|handle, reply| handle.discard(discarded, other, reply)).unwrap();
    bench.deliver(&mut lis).unwrap();
    assert_eq!(bench.number("SELECT count(*) FROM result"), 2);
    let states: String = bench
        .sql()
        .query_row("SELECT json_group_array(state || ' ' || decided_at) FROM quarantine", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(states, r#"["released 1970-01-01T00:00:01.000Z","discarded 1970-01-01T00:00:01.000Z"]"#);
    assert_eq!(bench.number("SELECT state = 'delivered' AND held = 0 FROM message"), 1);
}

#[test]
fn one_message_that_the_database_refuses_costs_its_neighbours_nothing() {
    let mut bench = Bench::new();
    let mut lis = bench.lis();
    bench
        .sql()
        .execute_batch(
            "CREATE TRIGGER no_second BEFORE INSERT ON result WHEN NEW.record = 2
             BEGIN SELECT raise(ABORT, 'not this value: 4.10'); END",
        )
        .unwrap();
    bench.receive(vec![deliver(1, Kind::Patient)]);
    bench.receive(vec![deliver(1, Kind::Patient), deliver(2, Kind::Patient)]);
    bench.receive(vec![deliver(1, Kind::Patient)]);
    let outcomes: Vec<_> =
        bench.deliver(&mut lis).unwrap().into_iter().map(|delivered| delivered.outcome).collect();
    assert_eq!(outcomes[0], Outcome::Filed { added: 1 });
    assert_eq!(outcomes[2], Outcome::Filed { added: 1 });
    let Outcome::Refused { code, reason } = &outcomes[1] else { panic!("{outcomes:?}") };
    assert_eq!(*code, "refused-by-sink");
    assert!(!reason.contains("4.10"), "the reason goes to the log and holds no value");
    assert_eq!(bench.number("SELECT count(*) FROM result"), 2, "nothing of the refused one stays behind");

    bench.deliver(&mut lis).unwrap();
    assert_eq!(bench.waiting(), []);
    assert_eq!(bench.number("SELECT count(*) FROM quarantine WHERE code = 'refused-by-sink'"), 2);
    let ledger = bench.spool().reader().unwrap().ledger().unwrap();
    assert!(ledger.balances());
    assert_eq!(ledger.lines[0].observations.standing.held, 2);
}

#[test]
fn a_table_that_somebody_renamed_stops_delivery_and_refuses_no_message() {
    let mut bench = Bench::new();
    let mut lis = bench.lis();
    bench.receive(vec![deliver(1, Kind::Patient)]);
    bench.sql().execute_batch("ALTER TABLE result RENAME COLUMN loinc TO code").unwrap();
    let error = bench.deliver(&mut lis).unwrap_err();
    assert!(matches!(error, SinkError::Foreign { .. }), "{error}");
    assert!(error.is_retryable());
    bench.sql().execute_batch("ALTER TABLE result RENAME COLUMN code TO loinc").unwrap();
    assert_eq!(bench.deliver(&mut lis).unwrap()[0].outcome, Outcome::Filed { added: 1 });
}
