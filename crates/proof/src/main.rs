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
    if let Err(error) = sabotage() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
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

/// Plants what the environment asks for.
#[cfg(labwire_sabotage)]
fn sabotage() -> Result<(), String> {
    let words = std::env::var(labwire_store::sabotage::VARIABLE).unwrap_or_default();
    labwire_link::sabotage::plant(&words).map_err(|word| format!("`{word}` is no planted bug"))
}

#[cfg(not(labwire_sabotage))]
fn sabotage() -> Result<(), String> {
    labwire_store::sabotage::refuse_in_release().map_err(|error| error.to_string())
}
