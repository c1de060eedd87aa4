//! Set-up, checks, tests and campaigns of the project: `cargo xtask`.

mod campaign;
mod run;
mod sabotage;
mod steps;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::campaign::Campaign;
use crate::steps::{Options, Step};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up, checks, tests and campaigns of Labwire", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the checks and tests that CI runs, or some of them
    ///
    /// Installs what is missing first: Debian packages with apt-get where this user may, tools of cargo with
    /// `cargo install`. Where it may not, it prints the command that a person has to run, and stops.
    Test {
        /// Steps to run, in this order; see `cargo xtask list`. Without any: everything that CI runs
        steps: Vec<Step>,
        /// Install nothing; suites whose tools are missing report themselves as skipped
        #[arg(long)]
        no_install: bool,
        /// Run the workspace's tests with cargo-nextest instead of `cargo test`
        #[arg(long)]
        nextest: bool,
    },
    /// Run every case of the conformance lists and print a table: clause, case, result
    ///
    /// Fails where a case fails or nobody has written it.
    Conformance,
    /// List the steps of `test` and the campaigns
    List,
    /// Build the binary with planted bugs and crash points, and print where it is
    Sabotage,
    /// Run a test of `cargo xtask test` larger or longer
    Campaign {
        #[command(subcommand)]
        campaign: Campaign,
    },
}

fn main() -> ExitCode {
    if let Some(code) = sabotage::run_as_compiler_wrapper() {
        return code;
    }
    match command(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Test { steps, no_install, nextest } => {
            let options = Options { install: !no_install, nextest, ci: run::in_ci() };
            let steps = if steps.is_empty() { Step::everything() } else { steps };
            steps::run(&steps, &options)
        }
        Command::Conformance => conformance(),
        Command::List => {
            steps::list();
            campaign::list();
            Ok(ExitCode::SUCCESS)
        }
        Command::Sabotage => {
            println!("{}", sabotage::build()?.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Campaign { campaign } => campaign.run(),
    }
}

/// The suite of the ordinary run, with its table shown.
fn conformance() -> anyhow::Result<ExitCode> {
    let mut command = run::cargo();
    command
        .current_dir(root()?)
        .args(["test", "--quiet", "--package", "labwire", "--test", "conformance", "--", "--nocapture"])
        .env("RUST_BACKTRACE", "0");
    let mut counts = run::Counts::default();
    run::counted(&mut command, &mut counts)?;
    anyhow::ensure!(counts.passed > 0, "the conformance suite has no test");
    Ok(ExitCode::SUCCESS)
}

/// The root of the repository.
fn root() -> anyhow::Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).context("xtask lies two directories below the root")?;
    Ok(root.to_owned())
}
