//! The steps of `cargo xtask test`: what each runs, what it needs, how they are told and summed up.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;

use crate::run::{self, Counts};
use crate::tools::{self, Tool};
use crate::{root, sabotage};

/// One step. CI runs those of [`Step::everything`]; the others are parts of them, to be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// The formatting is rustfmt's
    Fmt,
    /// Clippy has nothing to say about any target
    Clippy,
    /// The documentation builds without a warning
    Doc,
    /// Licences, duplicates and sources of all dependencies are allowed
    Deny,
    /// Each pure crate compiles by itself, with no C compiler
    Pure,
    /// The binary with planted bugs and crash points builds; alone, the suites that use it run too
    Sabotage,
    /// All tests of the workspace
    Tests,
    /// Part of `tests`: the never-arrows
    Architecture,
    /// Part of `tests`: systemd-analyze accepts units and sandbox
    Systemd,
    /// Part of `tests`: promtool accepts the metrics, Prometheus scrapes them
    Metrics,
    /// Part of `tests`: kill -9 loses and doubles nothing
    Crash,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) install: bool,
    pub(crate) nextest: bool,
    pub(crate) ci: bool,
}

/// What the steps hand to each other.
#[derive(Debug, Default)]
struct State {
    counts: Counts,
    sabotaged: Option<PathBuf>,
}

struct Outcome {
    step: Step,
    took: Duration,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Failed,
    Skipped,
}

impl Step {
    pub(crate) fn everything() -> Vec<Self> {
        vec![Self::Fmt, Self::Deny, Self::Clippy, Self::Doc, Self::Pure, Self::Sabotage, Self::Tests]
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn purpose(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    fn tools(self) -> &'static [Tool] {
        match self {
            Self::Fmt => &[tools::RUSTFMT],
            Self::Clippy => &[tools::CLIPPY, tools::C_COMPILER, tools::C_LIBRARY],
            Self::Deny => &[tools::CARGO_DENY],
            Self::Pure => &[],
            Self::Doc | Self::Sabotage | Self::Architecture | Self::Crash => {
                &[tools::C_COMPILER, tools::C_LIBRARY]
            }
            Self::Systemd => &[tools::SYSTEMD_ANALYZE],
            Self::Metrics => &[tools::PROMTOOL, tools::PROMETHEUS],
            Self::Tests => &[
                tools::C_COMPILER,
                tools::C_LIBRARY,
                tools::SYSTEMD_ANALYZE,
                tools::PROMTOOL,
                tools::PROMETHEUS,
            ],
        }
    }

    fn run(self, options: &Options, state: &mut State, alone: bool) -> anyhow::Result<()> {
        let cargo = || -> anyhow::Result<Command> {
            let mut cargo = run::cargo();
            cargo.current_dir(root()?);
            Ok(cargo)
        };
        match self {
            Self::Fmt => run::succeed(cargo()?.args(["fmt", "--all", "--check"])),
            Self::Clippy => run::succeed(cargo()?.args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "--deny",
                "warnings",
            ])),
            Self::Doc => run::succeed(
                cargo()?
                    .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
                    .env("RUSTDOCFLAGS", "--deny warnings"),
            ),
            Self::Deny => run::succeed(cargo()?.args(["deny", "check", "bans", "licenses", "sources"])),
            Self::Pure => pure_crates()?.iter().try_for_each(|package| {
                let no_c = [("CC", "/bin/false"), ("CXX", "/bin/false")];
                run::succeed(cargo()?.args(["check", "--quiet", "--package", package]).envs(no_c))
            }),
            Self::Sabotage => {
                let binary = sabotage::build()?;
                state.sabotaged = Some(binary);
                if alone { suites(&sabotage_suites()?, state) } else { Ok(()) }
            }
            Self::Tests => {
                let mut command = cargo()?;
                if options.nextest {
                    command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
                } else {
                    command.args(["test", "--workspace", "--no-fail-fast"]);
                }
                hand_over(&mut command, state);
                run::counted(&mut command, &mut state.counts)?;
                anyhow::ensure!(state.counts.passed > 0, "no test ran");
                Ok(())
            }
            Self::Architecture => suites(&["architecture".into()], state),
            Self::Systemd => suites(&["systemd".into()], state),
            Self::Metrics => suites(&["metrics".into()], state),
            Self::Crash => suites(&["crash".into()], state),
        }
    }
}

/// Runs test files of the root package.
fn suites(names: &[String], state: &mut State) -> anyhow::Result<()> {
    anyhow::ensure!(!names.is_empty(), "no suite under tests/ asks for {}", sabotage::BINARY_VARIABLE);
    let mut command = run::cargo();
    command.current_dir(root()?).args(["test", "--package", "labwire", "--no-fail-fast"]);
    for name in names {
        command.args(["--test", name]);
    }
    hand_over(&mut command, state);
    run::counted(&mut command, &mut state.counts)
}

fn hand_over(command: &mut Command, state: &State) {
    if let Some(binary) = &state.sabotaged {
        command.env(sabotage::BINARY_VARIABLE, binary);
    }
}

/// The test files that use the sabotaged binary: they name the variable that leads to it.
fn sabotage_suites() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root()?.join("tests"))? {
        let path = entry?.path();
        let uses = path.extension().is_some_and(|extension| extension == "rs")
            && std::fs::read_to_string(&path)?.contains(sabotage::BINARY_VARIABLE);
        if let (true, Some(name)) = (uses, path.file_stem()) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The packages that ARCHITECTURE.md marks as pure.
fn pure_crates() -> anyhow::Result<Vec<String>> {
    let map =
        std::fs::read_to_string(root()?.join("ARCHITECTURE.md")).context("failed to read ARCHITECTURE.md")?;
    let pure = pure_rows(&map);
    anyhow::ensure!(!pure.is_empty(), "ARCHITECTURE.md marks no crate as pure");
    Ok(pure)
}

fn pure_rows(map: &str) -> Vec<String> {
    let name = |line: &str| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` |")?;
        rest.trim_start().starts_with("yes |").then(|| format!("labwire-{name}"))
    };
    map.lines().filter_map(name).collect()
}

pub(crate) fn list() {
    println!("steps of `cargo xtask test`; * is run when none is named:");
    for step in Step::value_variants() {
        let mark = if Step::everything().contains(step) { '*' } else { ' ' };
        println!("{mark} {:<13} {}", step.name(), step.purpose());
    }
}

/// Runs the steps in order. A failed one does not keep the others from being run; all is told at the end.
pub(crate) fn run(steps: &[Step], options: &Options) -> anyhow::Result<ExitCode> {
    let mut wanted: Vec<Tool> = steps.iter().flat_map(|step| step.tools()).copied().collect();
    if options.nextest {
        wanted.push(tools::CARGO_NEXTEST);
    }
    if options.install {
        tools::install(&wanted)?;
    }

    let mut state = State::default();
    let mut outcomes = Vec::new();
    for &step in steps {
        println!("\n── {}: {}", step.name(), step.purpose());
        let begun = Instant::now();
        let verdict = match tools::missing(step.tools()).first() {
            // The tests report their own suites; a check without its tool is nothing at all.
            Some(tool) if matches!(step, Step::Fmt | Step::Clippy | Step::Deny) => {
                state.counts.skipped.push(format!("{} ({} is missing)", step.name(), tool.program));
                Verdict::Skipped
            }
            _ => match step.run(options, &mut state, !steps.contains(&Step::Tests)) {
                Ok(()) => Verdict::Ok,
                Err(error) => {
                    eprintln!("failed: {}: {error:#}", step.name());
                    Verdict::Failed
                }
            },
        };
        outcomes.push(Outcome { step, took: begun.elapsed(), verdict });
    }
    Ok(sum_up(&outcomes, &state.counts, options))
}

fn sum_up(outcomes: &[Outcome], counts: &Counts, options: &Options) -> ExitCode {
    println!("\n── summary");
    for Outcome { step, took, verdict } in outcomes {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        };
        println!("{:<13} {word:<7} {:>7.1} s", step.name(), took.as_secs_f64());
    }
    for skipped in &counts.skipped {
        println!("skipped: {skipped}");
    }
    if *counts != Counts::default() {
        // The line that CI's reader looks for.
        println!(
            "tests: {} passed, {} failed, {} skipped",
            counts.passed,
            counts.failed,
            counts.skipped.len()
        );
    }
    let unforced = counts.skipped.iter().filter(|skipped| !run::is_forced(skipped)).count();
    if options.ci && unforced > 0 {
        println!("FAILED: in CI a suite is skipped only for rights that this machine cannot give");
        return ExitCode::FAILURE;
    }
    let failed = outcomes.iter().any(|outcome| outcome.verdict == Verdict::Failed);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_says_what_it_is_for() {
        for step in Step::value_variants() {
            assert!(!step.purpose().is_empty(), "{step:?}");
        }
    }

    #[test]
    fn pure_crates_are_read_from_the_map() {
        let map =
            "| crate | pure | purpose |\n| `link` | yes | machines | – |\n| `store` | | spool | model |\n";
        assert_eq!(pure_rows(map), ["labwire-link"]);
        assert!(pure_crates().unwrap().contains(&"labwire-link".to_owned()));
    }

    fn summed_up(verdict: Verdict, skipped: &[&str], ci: bool) -> ExitCode {
        let outcomes = [Outcome { step: Step::Tests, took: Duration::ZERO, verdict }];
        let skipped = skipped.iter().map(|&text| text.to_owned()).collect();
        let counts = Counts { passed: 1, failed: 0, skipped };
        sum_up(&outcomes, &counts, &Options { install: false, nextest: false, ci })
    }

    #[test]
    fn a_skip_fails_ci_unless_missing_rights_force_it() {
        assert_eq!(summed_up(Verdict::Ok, &["metrics (promtool is missing)"], false), ExitCode::SUCCESS);
        assert_eq!(summed_up(Verdict::Ok, &["metrics (promtool is missing)"], true), ExitCode::FAILURE);
        assert_eq!(summed_up(Verdict::Ok, &["serial (not permitted: no terminal)"], true), ExitCode::SUCCESS);
        assert_eq!(summed_up(Verdict::Failed, &[], false), ExitCode::FAILURE);
    }
}
