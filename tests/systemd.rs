//! The files under `systemd/`, judged by systemd's own tools.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The installed path of the binary in the unit.
const INSTALLED: &str = "/usr/bin/labwire";
const BUILT: &str = env!("CARGO_BIN_EXE_labwire");

/// `systemd-analyze security` rates from 0 (closed) to 10; what is left is the network, the serial lines
/// and their group: 1.5 as systemd 252 rates it.
const EXPOSURE_MAX: f32 = 1.6;

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)).unwrap()
}

/// The units as they would be installed, with the binary under test in the installed one's place.
fn installed_units() -> (TempDir, Vec<PathBuf>) {
    let directory = TempDir::new().unwrap();
    let units = ["labwire.service", "labwire.socket"].map(|name| {
        let path = directory.path().join(name);
        fs::write(&path, shipped(name).replace(INSTALLED, BUILT)).unwrap();
        path
    });
    (directory, units.to_vec())
}

/// Runs a tool of systemd; `None`, and a line that says so, where the machine has none.
fn tool(suite: &str, command: &mut Command) -> Option<Output> {
    tool_with_input(suite, command, "")
}

fn tool_with_input(suite: &str, command: &mut Command, input: &str) -> Option<Output> {
    let spawned = command
        .env("SYSTEMD_LOG_COLOR", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match spawned {
        Ok(mut child) => {
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            Some(child.wait_with_output().unwrap())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let program = command.get_program().display().to_string();
            skip(suite, &format!("{program} is missing: apt-get install systemd"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Past libtest's capture, so that whoever sums up the run sees it.
fn skip(suite: &str, reason: &str) {
    let mut out = io::stderr();
    writeln!(out, "skipped: {suite} ({reason})").unwrap();
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn systemd_accepts_the_units_without_a_word() {
    let (_directory, units) = installed_units();
    let Some(output) =
        tool("systemd units", Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units))
    else {
        return;
    };
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
}

#[test]
fn systemd_accepts_one_socket_unit_for_each_connection() {
    let (directory, mut units) = installed_units();
    let second = shipped("labwire.socket").replace("chemistry-1", "hematology-2").replace(":5600", ":5601");
    assert!(second.contains("FileDescriptorName=hematology-2") && second.contains(":5601"), "{second}");
    let path = directory.path().join("labwire-hematology-2.socket");
    fs::write(&path, second).unwrap();
    units.push(path);
    let Some(output) =
        tool("systemd units", Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units))
    else {
        return;
    };
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
}

#[test]
fn systemd_would_have_noticed_a_mistake() {
    let (directory, _) = installed_units();
    let broken = directory.path().join("broken.service");
    fs::write(
        &broken,
        shipped("labwire.service").replace(INSTALLED, BUILT).replace("NoNewPrivileges=", "NoNewPriviledges="),
    )
    .unwrap();
    let Some(output) =
        tool("systemd units", Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(broken))
    else {
        return;
    };
    assert!(text(&output).contains("NoNewPriviledges"), "{}", text(&output));
}

#[test]
fn the_sandbox_leaves_little_exposed() {
    let (_directory, units) = installed_units();
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]).arg(&units[0]);
    let Some(output) = tool("systemd sandbox", &mut command) else { return };
    let said = text(&output);
    let overall =
        said.lines().find_map(|line| line.split_once("Overall exposure level for ")).map(|(_, rest)| rest);
    let score =
        overall.and_then(|rest| rest.split_whitespace().nth(1)).and_then(|word| word.parse::<f32>().ok());
    let score = score.unwrap_or_else(|| panic!("no exposure level in:\n{said}"));
    println!("exposure {score}");
    assert!(score <= EXPOSURE_MAX, "exposure {score} is above {EXPOSURE_MAX}:\n{said}");
}

#[test]
fn the_binary_knows_every_command_of_the_unit() {
    let unit = shipped("labwire.service");
    let commands: Vec<&str> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Exec"))
        .filter_map(|line| line.split_once('=').map(|(_, command)| command))
        .filter_map(|command| command.strip_prefix(INSTALLED))
        .collect();
    assert!(commands.len() >= 2, "the unit runs nothing of ours:\n{unit}");
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let output = Command::new(BUILT).arg(words[0]).arg("--help").output().unwrap();
        assert!(output.status.success(), "labwire {}: {}", words[0], text(&output));
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(
                text(&output).contains(option),
                "labwire {} has no {option}:\n{}",
                words[0],
                text(&output)
            );
        }
    }
}

#[test]
fn the_socket_example_is_for_a_named_connection_of_the_service() {
    let socket = shipped("labwire.socket");
    let value = |key: &str| socket.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    assert_eq!(value("Service"), Some("labwire.service"));
    assert!(value("FileDescriptorName").is_some_and(|name| !name.is_empty()), "{socket}");
    assert!(value("ListenStream").is_some_and(|address| address.contains(':')), "{socket}");
    // With it the queue would be lost at the very restart that it is there for.
    assert_eq!(value("PartOf"), None);
}

#[test]
fn the_user_of_the_unit_is_made_and_owns_its_directories() {
    if !rustix::process::geteuid().is_root() {
        skip("systemd sysusers", "not permitted: only root may make users, even in a directory of its own");
        return;
    }
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let at_root = format!("--root={}", root.path().display());
    let users = shipped("labwire.sysusers");
    let Some(made) =
        tool_with_input("systemd sysusers", Command::new("systemd-sysusers").args([&at_root, "-"]), &users)
    else {
        return;
    };
    assert!(made.status.success(), "{}", text(&made));
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user = passwd.lines().find(|line| line.starts_with("labwire:")).unwrap_or_else(|| panic!("{passwd}"));
    assert!(user.ends_with("/nologin"), "{user}");
    assert!(shipped("labwire.service").contains("\nUser=labwire\nGroup=labwire\n"));

    let files = shipped("labwire.tmpfiles");
    let mut command = Command::new("systemd-tmpfiles");
    command.args(["--create", &at_root, "-"]);
    let made = tool_with_input("systemd tmpfiles", &mut command, &files).unwrap();
    assert!(made.status.success(), "{}", text(&made));
    for directory in ["etc/labwire", "var/lib/labwire", "run/labwire"] {
        let mode = fs::metadata(root.path().join(directory)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o750, "{directory} {mode:o}");
    }
}
