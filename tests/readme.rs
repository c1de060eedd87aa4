//! README.md followed as a newcomer follows it, and every page whose commands say that they run.
//!
//! Only the place is changed: `/tmp/labwire` becomes a temporary directory and the ports become free
//! ones. In other pages a block that begins with ```` ```sh runnable ```` is run the same way, in the
//! root of the repository, and a block ```` ```text printed ```` shows lines of what it prints.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use support::{eventually, free_address, http_get};

const PLACE: &str = "/tmp/labwire";
const ADMIN: &str = "127.0.0.1:8080";
const ANALYZER: &str = "127.0.0.1:5600";
/// Programs of others that the page uses to look.
const TOOLS: [&str; 2] = ["curl", "sqlite3"];

/// A fenced block of a page.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(language), false) => {
                found.push(Block { language: language.to_owned(), text: String::new(), line: number + 1 });
                inside = true;
            }
            (Some(_), true) => inside = false,
            (None, true) => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!inside, "a block is not closed");
    found
}

fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let from = page.split_once(&format!("\n## {heading}\n")).expect("the section is there").1;
    from.split_once("\n## ").map_or(from, |(section, _)| section)
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where a newcomer sits: a directory with the repository's files beside what they write, and
/// `labwire` on the path.
struct Desk {
    directory: tempfile::TempDir,
    admin: SocketAddr,
    analyzer: SocketAddr,
}

impl Desk {
    fn new() -> Self {
        let desk =
            Self { directory: tempfile::tempdir().unwrap(), admin: free_address(), analyzer: free_address() };
        fs::create_dir_all(desk.path("bin")).unwrap();
        fs::create_dir_all(desk.path("clone")).unwrap();
        symlink(env!("CARGO_BIN_EXE_labwire"), desk.path("bin/labwire")).unwrap();
        for entry in fs::read_dir(repository()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "target" {
                symlink(entry.path(), desk.path("clone").join(entry.file_name())).unwrap();
            }
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The text with this desk's directory and ports in it.
    fn here(&self, text: &str) -> String {
        text.replace(PLACE, self.path("labwire").to_str().unwrap())
            .replace(ADMIN, &self.admin.to_string())
            .replace(ANALYZER, &self.analyzer.to_string())
    }

    fn shell(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-eu", "-c", script])
            .current_dir(self.path("clone"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .stdin(Stdio::null());
        command
    }

    /// How many results the LIS has.
    fn filed(&self) -> i64 {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(self.path("labwire/lis.db"), flags)
            .and_then(|lis| lis.query_row("select count(*) from result", [], |row| row.get(0)))
            .unwrap_or(0)
    }

    /// Runs one command line, which must do what it says.
    fn run(&self, line: &str) -> String {
        let output = self.shell(&self.here(line)).output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "`{line}` ended with {}:\n{said}", output.status);
        said
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Stops the daemon also when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a tool of the page is on this machine; it is named where it is not.
fn is_here(program: &str) -> bool {
    if !TOOLS.contains(&program) {
        return true;
    }
    let found =
        Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        // Past libtest's capture, so that whoever sums up the run sees it.
        let mut out = std::io::stderr();
        writeln!(out, "skipped: readme line ({program} is missing: apt-get install {program})").unwrap();
    }
    found
}

#[test]
fn connect_your_first_analyzer_works_as_it_is_written() {
    let page = fs::read_to_string(repository().join("README.md")).unwrap();
    let steps = blocks(section(&page, "Connect your first analyzer"));
    let desk = Desk::new();
    let mut daemon: Option<Running> = None;
    let mut ran = 0;
    for block in &steps {
        match block.language.as_str() {
            "toml" => {
                let text = desk.here(&block.text);
                fs::write(desk.path("clone/labwire.toml"), text).unwrap();
            }
            "sh" => {
                for line in block.text.lines().filter(|line| !line.trim().is_empty()) {
                    if line.starts_with("labwire run ") {
                        let mut command = desk.shell(&format!("exec {}", desk.here(line)));
                        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                        daemon = Some(Running(child));
                        eventually("the daemon to be ready", || {
                            http_get(desk.admin, "/ready").filter(|answer| answer.starts_with("HTTP/1.1 200"))
                        });
                    } else if line.split_whitespace().next().is_some_and(is_here) {
                        let said = desk.run(line);
                        assert!(
                            !said.trim().is_empty() || line.starts_with("mkdir"),
                            "`{line}` says nothing"
                        );
                        if line.starts_with("labwire simulate ") {
                            eventually("results in the LIS database", || (desk.filed() > 10).then_some(()));
                        }
                    }
                    ran += 1;
                }
            }
            other => panic!("a block of language `{other}`"),
        }
    }
    assert!(ran >= 10, "the section has commands: {steps:?}");
    // What the newcomer is promised to see.
    let results = desk.run("labwire results list --config labwire.toml");
    assert!(results.lines().count() > 10 && results.contains("delivered"), "{results}");
    let mut daemon = daemon.expect("the section runs the daemon");
    assert!(Command::new("kill").arg(daemon.0.id().to_string()).status().unwrap().success());
    let ended = eventually("the daemon to end", || daemon.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn the_two_commands_at_the_top_are_commands_that_there_are() {
    let page = fs::read_to_string(repository().join("README.md")).unwrap();
    let block = blocks(section(&page, "Two commands")).remove(0);
    let lines: Vec<&str> = block.text.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(lines, ["cargo run --release -- demo", "cargo xtask test"]);
    let desk = Desk::new();
    assert!(desk.run("labwire demo --seconds 1").contains("the ledger balances"));
    let aliases = fs::read_to_string(repository().join(".cargo/config.toml")).unwrap();
    assert!(aliases.lines().any(|line| line.starts_with("xtask = ")), "{aliases}");
}

#[test]
fn every_link_of_the_readme_leads_to_something() {
    let page = fs::read_to_string(repository().join("README.md")).unwrap();
    let mut links = 0;
    for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !target.starts_with("http") {
            assert!(repository().join(target).exists(), "{target}");
            links += 1;
        }
    }
    assert!(links > 5);
}

/// Pages of the project.
fn pages() -> Vec<PathBuf> {
    let mut found = vec![repository().join("drivers/README.md"), repository().join("ARCHITECTURE.md")];
    for entry in fs::read_dir(repository().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Runs the blocks of a page that say they run. Each line of a block `text printed` behind one must be
/// among what it says; `…` stands for anything.
fn run_page(page: &Path) -> usize {
    let text = fs::read_to_string(page).unwrap();
    let desk = Desk::new();
    let mut ran = 0;
    // Nothing where the tool of the block is not on this machine.
    let mut said: Option<String> = None;
    for block in blocks(&text) {
        let place = format!("{}:{}", page.display(), block.line);
        match block.language.as_str() {
            "sh runnable" => {
                said = block.text.split_whitespace().next().is_some_and(is_here).then(|| {
                    let output = desk.shell(&desk.here(&block.text)).output().unwrap();
                    let said = self::text(&output);
                    assert!(output.status.success(), "{place} ended with {}:\n{said}", output.status);
                    said
                });
                ran += 1;
            }
            "text printed" => {
                for line in desk.here(&block.text).lines() {
                    let is_there = |said: &String| said.lines().any(|printed| is_like(printed, line));
                    assert!(said.as_ref().is_none_or(is_there), "{place}: `{line}` is not in\n{said:?}");
                }
            }
            _ => {}
        }
    }
    ran
}

fn is_like(line: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else { return line == pattern };
    let Some(line) = line.strip_prefix(first) else { return false };
    line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| is_like(&line[at..], rest))
}

#[test]
fn the_blocks_of_the_pages_that_say_they_run_do() {
    let ran: usize = pages().iter().map(|page| run_page(page)).sum();
    assert!(ran > 0, "no page has a block that runs");
}

#[test]
fn no_page_shows_shell_commands_that_nothing_runs() {
    for page in pages() {
        for block in blocks(&fs::read_to_string(&page).unwrap()) {
            let is_shell = block.language.starts_with("sh") || block.language == "console";
            assert!(
                !is_shell || block.language == "sh runnable",
                "{}:{}: mark the block `sh runnable`, so that it is run",
                page.display(),
                block.line
            );
        }
    }
}
