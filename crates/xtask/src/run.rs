//! Running a command where a person watches: its output goes through, and its test results are counted.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, bail};

/// What test runners and suites said in their output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Suites that could not run, as they said it: `NAME (reason)`.
    pub(crate) skipped: Vec<String>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        for skipped in other.skipped {
            if !self.skipped.contains(&skipped) {
                self.skipped.push(skipped);
            }
        }
    }

    /// Takes in a line of output: a closing line of `cargo test` or `cargo nextest`, or a suite's report
    /// that it could not run.
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(skipped) = line.strip_prefix("skipped: ") {
            self.add(Self { skipped: vec![skipped.to_owned()], ..Self::default() });
            return;
        }
        let libtest =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")).map(|(_, rest)| rest);
        let nextest = line
            .strip_prefix("Summary [")
            .and_then(|rest| rest.split_once("tests run: "))
            .map(|(_, rest)| rest);
        for part in libtest.or(nextest).unwrap_or_default().split([';', ',']) {
            // A remark may follow: `22 passed (1 slow)`.
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                _ => {}
            }
        }
    }
}

/// A suite may be skipped in CI only for rights that no installation can give.
pub(crate) fn is_forced(skipped: &str) -> bool {
    skipped.contains("(not permitted")
}

pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command and lets its output through. A failure is an error.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let told = told(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("failed to start {told}"))?;
    check(status, &told)
}

/// Runs a command, lets its output through and counts what its tests came to. Failed tests are an error.
pub(crate) fn counted(command: &mut Command, counts: &mut Counts) -> anyhow::Result<()> {
    let told = told(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {told}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = thread::scope(|scope| {
        let out = scope.spawn(|| pass_on(stdout, &mut io::stdout()));
        let err = scope.spawn(|| pass_on(stderr, &mut io::stderr()));
        [out.join(), err.join()]
    });
    for stream in read {
        match stream {
            Ok(read) => counts.add(read?),
            Err(_) => bail!("reading the output of {told} failed"),
        }
    }
    check(child.wait()?, &told)
}

fn pass_on(from: Option<impl Read>, to: &mut impl Write) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let Some(from) = from else { return Ok(counts) };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        counts.read(&String::from_utf8_lossy(&line));
        to.write_all(&line)?;
        to.flush()?;
        line.clear();
    }
    Ok(counts)
}

fn check(status: ExitStatus, told: &str) -> anyhow::Result<()> {
    if !status.success() {
        bail!("{told}: {status}");
    }
    Ok(())
}

/// The command as a person would type it.
pub(crate) fn told(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or_else(|| OsStr::new("?"));
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Counts {
        let mut counts = Counts::default();
        output.lines().for_each(|line| counts.read(line));
        counts
    }

    #[test]
    fn results_of_cargo_test_are_added_up() {
        let counts = read(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s\n\
             test a_test_result ... ok\n\
             test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s\n",
        );
        assert_eq!((counts.passed, counts.failed), (15, 2));
    }

    #[test]
    fn results_of_nextest_are_read() {
        let counts = read("     Summary [   0.081s] 23 tests run: 22 passed (1 slow), 1 failed, 4 skipped\n");
        assert_eq!((counts.passed, counts.failed), (22, 1));
        let counts = read("     Summary [   0.081s] 23 tests run: 23 passed, 0 skipped\n");
        assert_eq!((counts.passed, counts.failed), (23, 0));
    }

    #[test]
    fn a_suite_that_reports_itself_skipped_is_kept_once() {
        let counts = read("skipped: metrics (promtool is missing)\nskipped: metrics (promtool is missing)\n");
        assert_eq!(counts.skipped, ["metrics (promtool is missing)"]);
        assert!(!is_forced(&counts.skipped[0]));
        assert!(is_forced("serial (not permitted: no pseudo-terminal)"));
    }

    #[test]
    fn output_goes_through_unchanged_while_it_is_counted() {
        let output = b"running\r\n\xff\ntest result: ok. 1 passed; 0 failed; 0 ignored\nno line end";
        let mut passed_on = Vec::new();
        let counts = pass_on(Some(&output[..]), &mut passed_on).unwrap();
        assert_eq!(passed_on, output);
        assert_eq!((counts.passed, counts.failed), (1, 0));
    }

    #[test]
    fn a_command_that_fails_is_an_error_that_names_it() {
        let error =
            counted(Command::new("/bin/sh").args(["-c", "exit 3"]), &mut Counts::default()).unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 3: exit status: 3");
        let error = succeed(&mut Command::new("/no/such/program")).unwrap_err();
        assert_eq!(error.to_string(), "failed to start program");
    }
}
