//! Conversations over a line that is hurt, with a store that fails: what an analyzer believes acknowledged
//! is stored once. One seed is one history; `cargo xtask campaign simulate` lives through more of them.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use labwire_link::sabotage::{Bug, PREFIX};
use labwire_proof::simulator;

/// Histories of the ordinary run.
const SEEDS: u64 = 1_000;
/// In so many of them a planted bug must show.
const SEEDS_TO_FIND_A_BUG: u64 = 300;

#[test]
fn whatever_happens_to_line_and_store_what_was_acknowledged_is_stored_once() {
    let report = match simulator::run_many(0, SEEDS) {
        Ok(report) => report,
        Err(failure) => {
            panic!("\n{failure}\ncargo xtask campaign simulate --seeds 1 --seed {}", failure.scenario.seed)
        }
    };
    assert_eq!(report.seeds, SEEDS);
    assert!(report.with_spool >= SEEDS / 50, "the real spool was there too seldom: {report}");
    assert!(report.attempts > 2 * report.messages, "too little went wrong to prove anything: {report}");
    assert!(report.crashes > SEEDS / 2, "the daemon died too seldom: {report}");
}

#[test]
fn a_seed_is_the_same_history_every_time() {
    for seed in [3, 11, 25] {
        let (Ok(first), Ok(second)) = (simulator::run(seed), simulator::run(seed)) else {
            panic!("seed {seed} breaks the law")
        };
        assert_eq!(first, second);
    }
}

/// The simulator with planted bugs, as `cargo xtask test` builds it beside the binary.
fn sabotaged() -> Option<PathBuf> {
    let binary = std::env::var_os("LABWIRE_SABOTAGE_BIN").map(PathBuf::from);
    if binary.is_none() {
        // Past libtest's capture: whoever sums up a run counts what was skipped.
        let _ = std::io::stderr().write_all(
            b"skipped: planted link bugs (no sabotage build; run it with `cargo xtask test sabotage`)\n",
        );
    }
    binary.map(|binary| binary.with_file_name("labwire-simulate"))
}

#[test]
fn every_planted_bug_of_link_and_session_is_found_and_nothing_without_one() {
    let Some(simulator) = sabotaged() else { return };
    let live = |planted: &str| {
        Command::new(&simulator)
            .args(["--seeds", &SEEDS_TO_FIND_A_BUG.to_string()])
            .env(labwire_store::sabotage::VARIABLE, planted)
            .output()
            .unwrap()
    };
    let without = live("");
    assert!(without.status.success(), "{}", String::from_utf8_lossy(&without.stdout));
    for bug in Bug::ALL {
        let found = live(&format!("{PREFIX}{}", bug.name()));
        let told = String::from_utf8_lossy(&found.stdout);
        assert_eq!(found.status.code(), Some(1), "{} was not found: {told}", bug.name());
        let law = told.lines().find(|line| line.starts_with("seed ")).unwrap_or_else(|| panic!("{told}"));
        println!("{}: {law}", bug.name());
    }
}
