//! Conversations over a line that is hurt, with a store that fails: what an analyzer believes acknowledged
//! is stored once. One seed is one history; `cargo xtask campaign simulate` lives through more of them.

use labwire_proof::simulator;

/// Histories of the ordinary run.
const SEEDS: u64 = 1_000;

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
