//! `docs/lis-contract.md` is the contract: its SQL runs as printed, and its columns are all there.

use labwire_model::Kind;
use rusqlite::Connection;

use super::builder::*;

const CONTRACT: &str = include_str!("../../../../docs/lis-contract.md");

/// The SQL blocks of the page, in order.
fn blocks() -> Vec<&'static str> {
    CONTRACT.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn run(sql: &Connection, block: &str) -> usize {
    let mut rows_seen = 0;
    for text in block.split_inclusive(";\n") {
        let mut statement = sql.prepare(text).unwrap();
        for (name, value) in [
            (":tenant", "lab"),
            (":specimen_id", "26-0042"),
            (":consumer", "lis-1"),
            (":reason", "no such specimen"),
            (":order_id", "O-77"),
            (":connection", "chem-1"),
        ] {
            if let Some(index) = statement.parameter_index(name).unwrap() {
                statement.raw_bind_parameter(index, value).unwrap();
            }
        }
        for (name, value) in [(":id", 1), (":now_ms", 1_000_000), (":lease_ms", 60_000)] {
            if let Some(index) = statement.parameter_index(name).unwrap() {
                statement.raw_bind_parameter(index, value).unwrap();
            }
        }
        let mut rows = statement.raw_query();
        while rows.next().unwrap().is_some() {
            rows_seen += 1;
        }
    }
    rows_seen
}

#[test]
fn the_sql_of_the_contract_runs_as_printed() {
    let mut bench = Bench::new();
    bench.receive(vec![deliver(1, Kind::Patient), hold(2, "unknown-test"), deliver(3, Kind::Qc)]);
    bench.deliver(&mut bench.lis()).unwrap();
    let sql = bench.sql();
    let blocks = blocks();
    assert!(blocks.len() >= 8, "the page has its worked examples: {}", blocks.len());
    for block in &blocks {
        let rows = run(&sql, block);
        if block.trim_start().starts_with("SELECT") || block.contains("RETURNING") {
            assert!(rows > 0, "finds what the sample holds:\n{block}");
        }
    }
    assert_eq!(bench.number("SELECT acknowledged_by = 'lis-1' FROM result WHERE id = 1"), 1);
    assert_eq!(bench.number("SELECT state = 'cancelled' AND version > 1 FROM work_order"), 1);
}

#[test]
fn the_page_names_every_column() {
    let bench = Bench::new();
    drop(bench.lis());
    for table in ["result", "result_queue", "message", "quarantine", "work_order", "work_order_test"] {
        let (_, section) = CONTRACT.split_once(&format!("### `{table}`")).expect("a section for each table");
        let section = section.split("\n### ").next().unwrap();
        let sql = bench.sql();
        let mut statement = sql.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
        let names: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for name in names {
            assert!(section.contains(&format!("`{name}`")), "{table}.{name} is not on the page");
        }
    }
}
