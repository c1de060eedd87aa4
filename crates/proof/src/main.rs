//! Lives through seeds: `labwire-simulate --seeds N --seed S`. Exit code 1 and a history if one breaks the law.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use labwire_proof::simulator;

#[derive(Parser)]
#[command(name = "labwire-simulate", about = "Conversations over a line that is hurt, by seed")]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first one
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    let Arguments { seeds, seed } = Arguments::parse();
    let begun = Instant::now();
    match simulator::run_many(seed, seeds) {
        Ok(report) => {
            println!("{report}, in {:.1} s", begun.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
