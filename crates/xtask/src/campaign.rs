//! Tests of the ordinary run, larger or longer.

use std::process::ExitCode;

use clap::Subcommand;

use crate::run::{self, Counts};
use crate::{root, sabotage};

/// A suite and the size it is run in.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Campaign {
    /// Kill the daemon again and again while analyzers send; nothing acknowledged may be lost or doubled
    Crash {
        /// How often the daemon is killed
        #[arg(long, default_value_t = 5_000)]
        kills: u32,
    },
    /// Live through conversations over a line that is hurt, by seed; what was acknowledged must be stored once
    Simulate {
        /// How many histories
        #[arg(long, default_value_t = 100_000)]
        seeds: u64,
        /// The first seed
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

impl Campaign {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Crash { kills } => {
                let binary = sabotage::build()?;
                let mut counts = Counts::default();
                run::counted(
                    run::cargo()
                        .current_dir(root()?)
                        .args(["test", "--package", "labwire", "--test", "crash", "--", "--nocapture"])
                        .env("LABWIRE_CRASH_KILLS", kills.to_string())
                        .env(sabotage::BINARY_VARIABLE, binary),
                    &mut counts,
                )?;
                anyhow::ensure!(counts.passed > 0, "the crash suite has no test");
                Ok(ExitCode::SUCCESS)
            }
            Self::Simulate { seeds, seed } => {
                run::succeed(
                    run::cargo()
                        .current_dir(root()?)
                        .args(["run", "--quiet", "--release", "--package", "labwire-proof"])
                        .args(["--bin", "labwire-simulate", "--"])
                        .args(["--seeds", &seeds.to_string(), "--seed", &seed.to_string()]),
                )?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

pub(crate) fn list() {
    println!("\ncampaigns of `cargo xtask campaign`:");
    for campaign in Campaign::augment_subcommands(clap::Command::new("campaign")).get_subcommands() {
        let about = campaign.get_about().map(ToString::to_string).unwrap_or_default();
        println!("  {:<13} {about}", campaign.get_name());
    }
}
