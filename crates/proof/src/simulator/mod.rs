//! Two real peers, a wire that can be hurt, a store that can fail, a clock that jumps. One seed is one
//! history.
//!
//! The analyzer is the link machine in the instrument's role (of HL7, a client that matches MSA-2); the
//! host is [`labwire_session::Session`] under the engine's shell; the store is a plain list with the rules
//! in its own words, beside it for one seed in 25 the real spool on a memory file system. After every step:
//!
//! - what the analyzer believes acknowledged is stored, once;
//! - nothing is stored that was not sent, and nothing torn counts as whole;
//! - what is filed is in the order in which it was sent;
//! - a commit that came too late is not replied to;
//! - no thing that happens causes an unbounded number of others.
//!
//! After a while the line is whole and the store well: the analyzer must then be done in bounded time, and
//! nothing that broke off may be left waiting.

mod analyzer;
mod books;
mod history;
mod host;
mod law;
mod profile;
mod scenario;
mod store;
mod wire;
mod world;

use core::fmt;
use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};

pub use scenario::{Hurt, Medium, Scenario, Speech};
use world::World;

/// What a history came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Things that happened.
    pub steps: u64,
    /// Messages that got across.
    pub messages: u64,
    /// Times that a message was begun.
    pub attempts: u64,
    /// Commits.
    pub commits: u64,
    /// Crashes of the daemon.
    pub crashes: u64,
    /// Histories.
    pub seeds: u64,
    /// Simulated time.
    pub time: Duration,
    /// Histories that had the real spool beside the list.
    pub with_spool: u64,
}

impl Report {
    /// Adds another history's.
    pub fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.messages += other.messages;
        self.attempts += other.attempts;
        self.commits += other.commits;
        self.crashes += other.crashes;
        self.time += other.time;
        self.with_spool += other.with_spool;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories ({} with the real spool), {} messages acknowledged in {} attempts, {} commits, {} crashes, \
             {} steps, {:.0} simulated hours",
            self.seeds,
            self.with_spool,
            self.messages,
            self.attempts,
            self.commits,
            self.crashes,
            self.steps,
            self.time.as_secs_f64() / 3600.0
        )
    }
}

/// A history in which the law was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The scenario, as simple as it could be made.
    pub scenario: Scenario,
    /// What was broken.
    pub law: String,
    /// What happened before.
    pub history: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.history {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{:?}", self.scenario)?;
        writeln!(f, "seed {}: {}", self.scenario.seed, self.law)
    }
}

/// Lives through one seed.
///
/// # Errors
/// The law was broken. The failure is the simplest one found that begins from the same seed.
pub fn run(seed: u64) -> Result<Report, Box<Failure>> {
    let scenario = Scenario::of(seed);
    match World::new(scenario.clone(), false).and_then(World::live) {
        Ok(report) => Ok(report),
        Err(_) => Err(Box::new(simplest(scenario))),
    }
}

/// Takes away whatever the failure does not need.
fn simplest(mut scenario: Scenario) -> Failure {
    while let Some(simpler) = scenario.simpler().into_iter().find(fails) {
        scenario = simpler;
    }
    match World::new(scenario.clone(), true).and_then(World::live) {
        Ok(_) => Failure { scenario, law: "the history did not repeat".to_owned(), history: Vec::new() },
        Err(broken) => Failure { scenario, law: broken.law, history: broken.history },
    }
}

fn fails(scenario: &Scenario) -> bool {
    World::new(scenario.clone(), false).and_then(World::live).is_err()
}

/// Lives through so many seeds, on as many threads as there are processors.
///
/// # Errors
/// The failure of the lowest seed that was seen to fail.
pub fn run_many(first: u64, seeds: u64) -> Result<Report, Box<Failure>> {
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(u64::MAX);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut total = Report::default();
    let mut failure: Option<Box<Failure>> = None;
    std::thread::scope(|scope| {
        let work = || {
            let mut own = Report::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= seeds || failed.load(Ordering::Relaxed) != u64::MAX {
                    return Ok(own);
                }
                match run(first + number) {
                    Ok(report) => own.add(report),
                    Err(broken) => {
                        failed.fetch_min(first + number, Ordering::Relaxed);
                        return Err(broken);
                    }
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(Ok(report)) => total.add(report),
                Ok(Err(broken)) => {
                    if failure.as_ref().is_none_or(|other| broken.scenario.seed < other.scenario.seed) {
                        failure = Some(broken);
                    }
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(total),
    }
}
