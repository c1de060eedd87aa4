//! The commands as a person or a script meets them: help, exit codes, output, with and without a
//! daemon.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use labwire_transport::PseudoTerminal;
use rustix::process::{Pid, Signal, kill_process};
use sender::{Sender, site_with};
use serde_json::Value;
use support::{Site, free_address, labwire};

const BINARY: &str = env!("CARGO_BIN_EXE_labwire");

type Rows = BTreeMap<(String, String, String), u64>;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

fn assert_exit(output: &Output, code: i32, what: &str) {
    assert_eq!(output.status.code(), Some(code), "{what}\n{}{}", stdout(output), stderr(output));
}

fn good(arguments: &[&str]) -> String {
    let output = labwire(arguments);
    assert_exit(&output, 0, &arguments.join(" "));
    stdout(&output)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Files below `fixtures/` that can be decoded.
fn fixtures() -> Vec<String> {
    let (mut found, mut directories) = (Vec::new(), vec![PathBuf::from("fixtures")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ["cap", "astm", "hl7", "txt"].iter().any(|one| ending == *one))
            {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The driver profiles that are no generic ones, with the first capture that proves each.
fn proven_drivers(dialect: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in lines(&good(&["driver", "list", "--json"])) {
        let id = line["driver"].as_str().unwrap().to_owned();
        if line["dialect"] == dialect && line["holds_everything"] == false {
            let shown = lines(&good(&["driver", "show", &id, "--json"])).remove(0);
            let capture = shown["checks"][0].as_str().expect("a profile has a check").to_owned();
            found.push((id, capture));
        }
    }
    assert!(!found.is_empty(), "no profile speaks {dialect}");
    found
}

/// Every command and subcommand, by its words.
fn commands() -> Vec<Vec<String>> {
    let (mut found, mut to_visit) = (Vec::new(), vec![Vec::<String>::new()]);
    while let Some(words) = to_visit.pop() {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = good(&arguments);
        let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).map_while(|line| {
            // Lines that go on with a description are indented further.
            line.strip_prefix("  ").map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        });
        let below: Vec<Vec<String>> = below
            .filter(|word| word != "help" && !word.is_empty())
            .map(|word| [words.clone(), vec![word]].concat())
            .collect();
        if below.is_empty() {
            found.push(words);
        }
        to_visit.extend(below);
    }
    found.sort();
    found
}

#[test]
fn the_help_of_every_command_explains_it_and_shows_an_example_that_parses() {
    let commands = commands();
    assert!(commands.len() >= 16, "{commands:?}");
    for words in commands {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = good(&arguments);
        let about = help.lines().next().unwrap_or_default();
        assert!(about.split_whitespace().count() >= 3, "{words:?} says no sentence about itself:\n{help}");
        // The last command of an example line is the one that it is about.
        let start = format!("labwire {} ", words.join(" "));
        let examples: Vec<&str> = help
            .lines()
            .filter(|line| line.starts_with("  labwire "))
            .filter_map(|line| line.rfind(&start).map(|at| &line[at..]))
            .collect();
        assert!(!examples.is_empty(), "{words:?} shows no example:\n{help}");
        for option in examples.iter().flat_map(|line| line.split(' ')).filter(|word| word.starts_with("--")) {
            let known = help.lines().any(|line| line.trim_start().starts_with(option));
            assert!(known, "{words:?} has no {option}:\n{help}");
        }
    }
}

#[test]
fn help_and_version_go_to_standard_output_and_mistakes_to_standard_error() {
    let version = good(&["--version"]);
    assert_eq!(version, format!("labwire {}\n", env!("CARGO_PKG_VERSION")));
    let mistaken = labwire(&["decod", "x"]);
    assert_exit(&mistaken, 64, "a command that does not exist");
    assert!(stdout(&mistaken).is_empty() && stderr(&mistaken).contains("decode"), "{}", stderr(&mistaken));
}

#[test]
fn exit_codes_are_those_of_sysexits() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("noise.bin"), [0xde, 0xad, 0xbe, 0xef].repeat(64)).unwrap();
    let nobody = free_address().to_string();
    let capture = fixtures().into_iter().find(|name| name.ends_with(".cap")).unwrap();
    let no_spool = {
        let mut site = Site::new();
        site.listen("bench", "generic/lis02");
        site
    };
    let config = no_spool.config().to_str().unwrap().to_owned();
    let cases: Vec<(i32, Vec<&str>, &str)> = vec![
        (64, vec![], "Usage"),
        (64, vec!["decode"], "FILE"),
        (64, vec!["status", "--jsno"], "--json"),
        (64, vec!["replay", &capture, "--to", &nobody, "--speed", "fast"], "--speed"),
        (64, vec!["decode", "--time-zone", "Cairo/Africa", &capture], "time zone"),
        (64, vec!["driver", "show", "generic/lis2"], "did you mean `generic/lis02`?"),
        (64, vec!["simulate", "generic/lis2", "--to", &nobody], "did you mean `generic/lis02`?"),
        (65, vec!["decode", "NOISE"], "noise.bin"),
        (69, vec!["replay", &capture, "--to", &nobody], &nobody),
        (69, vec!["status", "--config", &config], "there is no spool"),
        (69, vec!["results", "list", "--config", &config], "there is no spool"),
        (74, vec!["decode", "MISSING"], "missing.cap"),
        (74, vec!["check", "--config", "MISSING"], "missing.cap"),
        (78, vec!["check", "config/bad/site/unknown-key.toml"], "did you mean `tenant`?"),
        (78, vec!["run", "--config", "config/bad/site/unknown-key.toml"], "did you mean `tenant`?"),
        (78, vec!["status", "--config", "config/bad/site/unknown-key.toml"], "did you mean `tenant`?"),
    ];
    let (noise, missing) = (at("noise.bin"), at("missing.cap"));
    for (code, arguments, words) in cases {
        let arguments: Vec<&str> = arguments
            .into_iter()
            .map(|word| match word {
                "NOISE" => noise.as_str(),
                "MISSING" => missing.as_str(),
                word => word,
            })
            .collect();
        let output = labwire(&arguments);
        assert_exit(&output, code, &arguments.join(" "));
        assert!(
            stderr(&output).contains(words),
            "{arguments:?} does not say `{words}`:\n{}",
            stderr(&output)
        );
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
}

#[test]
fn what_file_modes_forbid_is_not_permitted() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret.cap");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-dac_override,-dac_read_search", BINARY]);
        command
    } else {
        Command::new(BINARY)
    };
    let output = command.arg("decode").arg(&path).output().unwrap();
    assert_exit(&output, 77, "decode of a file that may not be read");
    assert!(stderr(&output).contains("secret.cap"), "{}", stderr(&output));
}

#[test]
fn decode_prints_every_observation_of_every_fixture_once_and_sums_up_at_the_end() {
    for name in fixtures() {
        let output = labwire(&["decode", "--json", &name]);
        let lines = lines(&stdout(&output));
        let readable = lines.last().unwrap()["messages"] != 0;
        assert_exit(&output, if readable { 0 } else { 65 }, &name);
        let (mut seen, mut counts) = (BTreeSet::new(), BTreeMap::new());
        for (place, line) in lines.iter().enumerate() {
            let what = line["type"].as_str().unwrap();
            *counts.entry(what).or_insert(0_u64) += 1;
            if ["result", "held", "ignored"].contains(&what) {
                let key = (line["message_id"].to_string(), line["record"].to_string());
                assert!(seen.insert(key), "{name} has this observation twice: {line}");
            }
            assert_eq!(what == "summary", place + 1 == lines.len(), "{name}: the summary is the last line");
        }
        let summary = lines.last().unwrap();
        for (what, sum) in
            [("result", "results"), ("held", "held"), ("ignored", "ignored"), ("diagnostic", "diagnostics")]
        {
            assert_eq!(summary[sum], counts.get(what).copied().unwrap_or(0), "{name}: {sum}");
        }
    }
}

#[test]
fn decode_as_text_has_a_row_for_each_observation_and_ends_with_the_sums() {
    for name in fixtures() {
        let text = stdout(&labwire(&["decode", &name]));
        let summary = lines(&stdout(&labwire(&["decode", "--json", &name]))).pop().unwrap();
        let rows =
            |word: &str| text.lines().filter(|line| line.starts_with(&format!("{word} "))).count() as u64;
        for (word, sum) in [("result", "results"), ("held", "held"), ("ignored", "ignored")] {
            assert_eq!(summary[sum], rows(word), "{name}: {sum}\n{text}");
        }
        assert!(text.starts_with(&format!("{name}: ")), "{text}");
        let last = text.trim_end().lines().last().unwrap();
        let plural = if summary["results"] == 1 { "" } else { "s" };
        let wanted = format!(
            "{} result{plural}, {} held, {} ignored",
            summary["results"], summary["held"], summary["ignored"]
        );
        assert!(last.contains(&wanted), "{name}: {last}");
    }
}

#[test]
fn decode_takes_several_files_and_standard_input_and_says_how_it_recognised_them() {
    let (_, first) = proven_drivers("lis01").remove(0);
    let (_, second) = proven_drivers("mllp").remove(0);
    let (first, second) = (format!("fixtures/{first}"), format!("fixtures/{second}"));
    let both = good(&["decode", &first, &second]);
    assert_eq!(both, good(&["decode", &first]) + &good(&["decode", &second]));
    assert!(both.contains("recognised: "), "{both}");
    let json = good(&["decode", "--json", &first, &second]);
    assert_eq!(json.lines().filter(|line| line.contains("\"type\":\"summary\"")).count(), 2);
    let read = with_input(&["decode", "--json", "-"], &fs::read(&first).unwrap());
    assert_exit(&read, 0, "decode -");
    let without_name = |text: &str| {
        let mut lines = lines(text);
        for line in &mut lines {
            line.as_object_mut().unwrap().remove("file");
        }
        lines
    };
    assert_eq!(without_name(&stdout(&read)), without_name(&good(&["decode", "--json", &first])));
}

#[test]
fn decode_goes_on_after_a_file_that_it_cannot_read_and_says_so_at_the_end() {
    let (_, capture) = proven_drivers("lis01").remove(0);
    let capture = format!("fixtures/{capture}");
    let directory = tempfile::tempdir().unwrap();
    let noise = directory.path().join("noise.bin");
    fs::write(&noise, b"nothing of an analyzer\n").unwrap();
    let output = labwire(&["decode", noise.to_str().unwrap(), &capture]);
    assert_exit(&output, 65, "one of two files unreadable");
    assert!(stderr(&output).contains("noise.bin"), "{}", stderr(&output));
    assert_eq!(stdout(&output), good(&["decode", &capture]), "the other one is read");
    let unknown = labwire(&["decode", "--driver", "generic/hl8", &capture]);
    assert_exit(&unknown, 64, "an unknown driver");
    assert!(stderr(&unknown).contains("did you mean `generic/hl7`?"), "{}", stderr(&unknown));
}

#[test]
fn decode_with_a_generic_driver_holds_everything_for_want_of_a_profile() {
    let (id, capture) = proven_drivers("lis01").remove(0);
    let capture = format!("fixtures/{capture}");
    let recognised = lines(&good(&["decode", "--json", &capture]));
    assert!(recognised.iter().any(|line| line["type"] == "result" && line["driver"] == id.as_str()));
    let held = lines(&good(&["decode", "--json", "--driver", "generic/lis02", &capture]));
    assert!(held.iter().all(|line| line["type"] != "result"), "{held:?}");
    assert!(
        held.iter().any(|line| line["type"] == "held" && line["reason_code"] == "no-profile"),
        "{held:?}"
    );
}

#[test]
fn driver_list_show_and_check_know_every_profile_file() {
    let listed = lines(&good(&["driver", "list", "--json"]));
    let text = good(&["driver", "list"]);
    let mut files = 0;
    for vendor in
        fs::read_dir("drivers").unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for profile in fs::read_dir(vendor).unwrap().map(|entry| entry.unwrap().path()) {
            let id = profile.with_extension("").strip_prefix("drivers").unwrap().to_str().unwrap().to_owned();
            assert!(listed.iter().any(|line| line["driver"] == id.as_str()), "{id} is not listed");
            assert!(text.lines().any(|line| line.starts_with(&format!("{id} "))), "{id} is not in:\n{text}");
            let shown = lines(&good(&["driver", "show", &id, "--json"]));
            assert_eq!(shown.len(), 1);
            assert_eq!(shown[0]["driver"], id.as_str());
            let page = good(&["driver", "show", &id]);
            assert!(page.starts_with(&id) && page.contains("evidence"), "{page}");
            for model in shown[0]["models"].as_array().unwrap() {
                let model = model.as_str().unwrap();
                assert!(
                    text.contains(model) && page.contains(model),
                    "{id} does not say that it is for {model}"
                );
            }
            assert_exit(&labwire(&["driver", "check", profile.to_str().unwrap()]), 0, &id);
            files += 1;
        }
    }
    assert_eq!(files, listed.len());
    assert!(good(&["driver", "check"]).starts_with(&files.to_string()));
    let broken = labwire(&["driver", "check", &first_of("config/bad/driver")]);
    assert_exit(&broken, 78, "a broken profile");
    assert!(stderr(&broken).contains("= help: "), "{}", stderr(&broken));
}

fn first_of(directory: &str) -> String {
    let mut names: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    names.sort();
    names[0].to_str().unwrap().to_owned()
}

#[test]
fn driver_test_proves_every_profile_and_a_difference_is_bad_data() {
    let all = lines(&good(&["driver", "test", "--all", "--json"]));
    assert!(
        all.iter().all(|line| line["ran"] == true && line["differences"] == Value::Array(vec![])),
        "{all:?}"
    );
    let text = good(&["driver", "test", "--all"]);
    assert!(!text.contains("FAILED") && !text.contains("not run"), "{text}");

    let (id, capture) = proven_drivers("lis01").remove(0);
    let directory = tempfile::tempdir().unwrap();
    let copied = directory.path().join(&capture);
    fs::create_dir_all(copied.parent().unwrap()).unwrap();
    fs::copy(Path::new("fixtures").join(&capture), &copied).unwrap();
    let expected =
        fs::read_to_string(Path::new("fixtures").join(&capture).with_extension("expected.json")).unwrap();
    let value = lines(&expected).iter().find(|line| line["type"] == "result").unwrap()["value"].to_string();
    let wrong = expected.replacen(&format!("\"value\":{value}"), "\"value\":\"0.001\"", 1);
    assert_ne!(wrong, expected);
    fs::write(copied.with_extension("expected.json"), wrong).unwrap();
    let at = directory.path().to_str().unwrap();
    let differs = labwire(&["driver", "test", &id, "--fixtures", at]);
    assert_exit(&differs, 65, "a difference");
    assert!(stdout(&differs).contains("1 FAILED"), "{}", stdout(&differs));
    assert!(
        stderr(&differs).contains("0.001") && stderr(&differs).contains(&capture),
        "{}",
        stderr(&differs)
    );
    let differs = labwire(&["driver", "test", &id, "--fixtures", at, "--json"]);
    assert_exit(&differs, 65, "a difference as JSON");
    let told = lines(&stdout(&differs));
    let line = told.iter().find(|line| line["capture"] == capture.as_str()).unwrap();
    assert!(line["ran"] == true && !line["differences"].as_array().unwrap().is_empty(), "{line}");
}

/// A directory of profiles with one of the site's own, its capture and what it must give beside it.
fn own_profile() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("own");
    fs::create_dir_all(&own).unwrap();
    let profile = "schema = 1\n\n[analyzer]\nvendor = \"Own\"\nmodel = \"One\"\nkind = \"other\"\n\
                   protocol = \"lis02\"\n\n[specimen]\nid = \"O.3\"\n\n[result]\ntest = \"R.3.4\"\nvalue = \"R.4\"\n\n\
                   [[check]]\ncapture = \"case.cap\"\n";
    fs::write(own.join("one.toml"), profile).unwrap();
    fs::copy("fixtures/astm/results-without-a-profile.cap", own.join("case.cap")).unwrap();
    directory
}

#[test]
fn checks_beside_a_profile_of_ones_own_are_run_and_a_lost_place_is_an_error() {
    let directory = own_profile();
    let at = directory.path().to_str().unwrap();
    let case = directory.path().join("own/case.cap");
    let test = ["driver", "test", "--drivers", at, "own/one"];
    let missing = labwire(&test);
    assert_exit(&missing, 74, "no expected lines");
    assert!(stderr(&missing).contains("labwire decode --json --driver own/one"), "{}", stderr(&missing));

    let path = case.to_str().unwrap();
    let made = good(&["decode", "--json", "--drivers", at, "--driver", "own/one", path]);
    fs::write(case.with_extension("expected.json"), made).unwrap();
    assert!(good(&test).contains("1 check passed"), "{}", good(&test));

    let site = format!(
        "[site]\ntenant = \"here\"\ntime_zone = \"UTC\"\n[spool]\npath = \"{at}/spool.db\"\n[lis]\nurl = \"sqlite://{at}/lis.db\"\n\
         [drivers]\ndirectory = \"{at}\"\n[[connection]]\nname = \"one\"\ndriver = \"own/one\"\ntcp.listen = \"127.0.0.1:5600\"\n"
    );
    let file = directory.path().join("site.conf");
    fs::write(&file, site).unwrap();
    let checked = good(&["check", "--config", file.to_str().unwrap()]);
    assert!(checked.contains("1 check passed"), "{checked}");

    let lost = labwire(&["driver", "test", "--all", "--fixtures", "/nowhere/fixtures"]);
    assert_exit(&lost, 74, "no directory of captures");
    assert!(stderr(&lost).contains("/nowhere/fixtures"), "{}", stderr(&lost));
}

#[test]
fn a_place_that_is_no_address_is_a_mistake_of_usage() {
    for command in [
        ["simulate", "generic/lis02", "--to", "analyzer"],
        ["replay", "fixtures/astm/results-without-a-profile.cap", "--to", "analyzer"],
    ] {
        let refused = labwire(&command);
        assert_exit(&refused, 64, "no port");
        assert!(stderr(&refused).contains("ADDRESS:PORT"), "{}", stderr(&refused));
    }
}

#[test]
fn check_accepts_the_examples_and_refuses_a_bad_one_with_everything_that_is_wrong() {
    let mut examples = 0;
    for entry in fs::read_dir("config").unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let said = good(&["check", path.to_str().unwrap()]);
            assert!(said.contains("is good"), "{said}");
            examples += 1;
        }
    }
    assert!(examples >= 3);
    let bad = labwire(&["check", &first_of("config/bad/site")]);
    assert_exit(&bad, 78, "a broken site file");
    assert!(stdout(&bad).is_empty() && stderr(&bad).contains("error: "), "{}", stderr(&bad));
}

#[test]
fn a_dump_a_terminal_log_and_the_capture_made_of_either_decode_to_the_same() {
    // One message, as the line carried it.
    let mut dump = vec![0x05];
    for (number, record) in (1_u8..).zip(sender::records("IMPORTED", "5.10")) {
        let text = format!("{}{record}\r\u{3}", number % 8);
        let sum = text.bytes().fold(0_u8, u8::wrapping_add);
        dump.extend(format!("\u{2}{text}{sum:02X}\r\n").bytes());
    }
    dump.push(0x04);
    let names = [
        (0x05, "<ENQ>"),
        (0x02, "<STX>"),
        (0x03, "<ETX>"),
        (0x04, "<EOT>"),
        (b'\r', "<CR>"),
        (b'\n', "<LF>"),
    ];
    let log: String = dump
        .iter()
        .map(|byte| {
            names
                .iter()
                .find(|(code, _)| code == byte)
                .map_or((*byte as char).to_string(), |(_, name)| (*name).to_owned())
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let observations = |path: &Path| -> Vec<Value> {
        let read = lines(&good(&["decode", "--json", "--driver", "generic/lis02", path.to_str().unwrap()]));
        read.into_iter().filter(|line| line["type"] == "held").collect()
    };
    let mut read = Vec::new();
    for (name, content) in [("dump.bin", dump.as_slice()), ("terminal.log", log.as_bytes())] {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        read.push(observations(&path));
        let made = labwire(&["capture", "import", "--driver", "generic/lis02", path.to_str().unwrap()]);
        assert_exit(&made, 0, name);
        let capture = path.with_extension("cap");
        fs::write(&capture, &made.stdout).unwrap();
        read.push(observations(&capture));
        let shown = good(&["capture", "show", capture.to_str().unwrap()]);
        assert!(shown.starts_with("driver generic/lis02"), "{shown}");
        let as_json = lines(&good(&["capture", "show", "--json", capture.to_str().unwrap()]));
        let text: String = as_json
            .iter()
            .filter(|line| line["direction"] == "to-host")
            .map(|line| line["text"].as_str().unwrap())
            .collect();
        assert_eq!(text, log, "{name}: every byte of the line by its name");
        // Importing what was imported changes nothing.
        let again = labwire(&["capture", "import", capture.to_str().unwrap()]);
        assert_eq!(stdout(&again), stdout(&made), "{name}");
    }
    assert_eq!(read[0].len(), 1, "{read:?}");
    assert!(read.iter().all(|one| *one == read[0]), "{read:?}");
}

/// What the expected file beside a capture says of the LIS database.
fn expected_rows(capture: &str) -> Rows {
    let expected = Path::new("fixtures").join(capture).with_extension("expected.json");
    let mut rows = Rows::new();
    for line in lines(&fs::read_to_string(expected).unwrap()).iter().filter(|line| line["type"] == "result") {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        *rows.entry((text("specimen_id"), text("analyzer_test"), text("value"))).or_default() += 1;
    }
    rows
}

#[test]
fn replay_of_a_capture_brings_what_stands_beside_it_into_the_lis_database() {
    for dialect in ["lis01", "mllp"] {
        for (id, capture) in proven_drivers(dialect) {
            let mut site = Site::new();
            let address = site.listen("bench", &id).to_string();
            let daemon = site.start();
            let path = format!("fixtures/{capture}");
            let replayed = labwire(&["replay", &path, "--to", &address, "--speed", "max"]);
            assert_exit(&replayed, 0, &path);
            assert!(stdout(&replayed).contains(" 0 replies unlike"), "{path}: {}", stdout(&replayed));
            let expected = expected_rows(&capture);
            assert!(!expected.is_empty(), "{path} has results");
            site.await_lis_rows(expected.values().sum());
            assert_eq!(daemon.stop(), Some(0), "{}", site.log());
            assert_eq!(site.lis_rows(), expected, "{path}");
            site.assert_ledger_balances();
        }
    }
}

/// What the simulator's own books say was acknowledged.
fn acknowledged(output: &Output) -> Rows {
    let mut rows = Rows::new();
    for line in lines(&stdout(output)).iter().filter(|line| line["type"] == "acknowledged") {
        for value in line["values"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            *rows
                .entry((text(&line["specimen_id"]), text(&value["test"]), text(&value["value"])))
                .or_default() += 1;
        }
    }
    rows
}

fn simulate(driver: &str, to: &str) -> Output {
    let output = labwire(&[
        "simulate",
        driver,
        "--to",
        to,
        "--messages",
        "5",
        "--pause-ms",
        "0",
        "--qc-every",
        "0",
        "--json",
    ]);
    assert_exit(&output, 0, driver);
    output
}

#[test]
fn simulate_over_tcp_and_a_serial_line_leaves_exactly_what_was_acknowledged_in_the_lis_database() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut far, mut near) = {
        let _guard = runtime.enter();
        (PseudoTerminal::open().unwrap(), PseudoTerminal::open().unwrap())
    };
    let device = |terminal: &PseudoTerminal| terminal.path().to_str().unwrap().to_owned();
    let (analyzer_port, host_port) = (device(&far), device(&near));
    // The cable between the two ports.
    let cable = runtime.spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut near).await });
    let (lis01, mllp) = (proven_drivers("lis01").remove(0).0, proven_drivers("mllp").remove(0).0);
    let mut site = Site::new();
    let tcp = site.listen("tcp", &lis01).to_string();
    let blocks = site.listen("blocks", &mllp).to_string();
    site.connection("serial", &lis01, &format!("serial = {{ device = \"{host_port}\" }}"));
    let daemon = site.start();
    let mut expected = Rows::new();
    // Each simulation makes the same specimens, so that a site has one analyzer at a time.
    for (driver, to) in [(&lis01, &tcp), (&mllp, &blocks), (&lis01, &analyzer_port)] {
        let rows = acknowledged(&simulate(driver, to));
        assert!(!rows.is_empty(), "{to}");
        for (row, count) in rows {
            *expected.entry(row).or_default() += count;
        }
    }
    site.await_lis_rows(expected.values().sum());
    assert_eq!(daemon.stop(), Some(0), "{}", site.log());
    assert_eq!(site.lis_rows(), expected);
    site.assert_ledger_balances();
    cable.abort();
}

/// A site that has results, held observations and more than one connection in its spool.
fn site_with_a_past() -> Site {
    let (mut site, addresses) = site_with(&["one", "two"]);
    let unprofiled = site.listen("unprofiled", "generic/lis02");
    let daemon = site.start();
    for number in 0..3 {
        Sender::connect(addresses[0]).send(&format!("A-{number}"), "5.10");
        Sender::connect(addresses[1]).send(&format!("B-{number}"), "6.20");
    }
    Sender::connect(unprofiled).send("HELD", "7.30");
    site.await_lis_rows(6);
    assert_eq!(daemon.stop(), Some(0));
    site
}

/// What a spool without a daemon knows of a connection.
const OF_THE_SPOOL: [&str; 8] = [
    "type",
    "connection",
    "messages",
    "observations",
    "held_observations",
    "incomplete",
    "duplicates",
    "last_message_at",
];

fn without_daemon_line(lines: Vec<Value>) -> Vec<Value> {
    lines
        .into_iter()
        .filter(|line| line["type"] != "daemon")
        .map(|mut line| {
            // What only a running daemon knows.
            if line["type"] == "connection" {
                line.as_object_mut().unwrap().retain(|key, _| OF_THE_SPOOL.contains(&key.as_str()));
            }
            line
        })
        .collect()
}

#[test]
fn the_commands_that_reach_state_answer_alike_with_a_daemon_and_without() {
    let site = site_with_a_past();
    let item = site.json(&["quarantine", "list"])[0]["id"].to_string();
    let questions: Vec<Vec<&str>> = vec![
        vec!["results", "list"],
        vec!["results", "list", "--specimen", "B-1"],
        vec!["results", "list", "--connection", "one", "--limit", "2"],
        vec!["quarantine", "list"],
        vec!["quarantine", "list", "--connection", "one"],
        vec!["quarantine", "show", &item],
        vec!["ledger"],
        vec!["ledger", "--check"],
        vec!["status"],
    ];
    let ask = || -> Vec<Vec<Value>> {
        questions.iter().map(|question| without_daemon_line(site.json(question))).collect()
    };
    let without = ask();
    let alone = stdout(&site.labwire(&["status"]));
    assert_eq!(alone.lines().next(), Some("NOT READY: no daemon runs"), "{alone}");
    let daemon = site.start();
    let with = ask();
    for (question, (with, without)) in questions.iter().zip(with.iter().zip(&without)) {
        assert_eq!(with, without, "{question:?}");
        let output = site.labwire(question);
        assert_exit(&output, 0, &question.join(" "));
        assert!(!stdout(&output).trim().is_empty(), "{question:?} as text");
    }
    assert!(stdout(&site.labwire(&["status"])).starts_with("ready"));
    let missing = site.labwire(&["quarantine", "show", "4711"]);
    assert_exit(&missing, 64, "a number that nothing has");
    drop(daemon);

    assert_eq!(without[0].len(), 7, "six filed and one held");
    assert_eq!(without[1].len(), 1);
    assert_eq!((&without[1][0]["value"], &without[1][0]["state"]), (&"6.20".into(), &"delivered".into()));
    let newest: Vec<&Value> = without[2].iter().map(|line| &line["specimen_id"]).collect();
    assert_eq!(newest, ["A-1", "A-2"], "the newest two, newest last");
    assert_eq!(without[3].len(), 1);
    assert_eq!(without[3][0]["reason_code"], "no-profile");
    assert!(without[3][0]["remedy"].as_str().is_some_and(|remedy| remedy.contains("profile")));
    assert!(without[4].is_empty());
    assert!(without[5][0]["message"]["raw"].as_str().is_some_and(|raw| raw.contains("HELD")));
}

#[test]
fn the_quarantine_shows_the_message_with_the_held_record_marked() {
    let site = site_with_a_past();
    let item = site.json(&["quarantine", "list"])[0]["id"].to_string();
    let page = stdout(&site.labwire(&["quarantine", "show", &item]));
    let marked: Vec<&str> = page.lines().filter(|line| line.starts_with("> ")).collect();
    assert_eq!(marked.len(), 1, "{page}");
    assert!(marked[0].contains("R|1|^^^WBC|7.30"), "{page}");
    assert!(page.contains("remedy"), "{page}");
}

#[test]
fn without_a_daemon_a_spool_that_somebody_else_holds_is_busy_and_the_holder_named() {
    let site = site_with_a_past();
    let mut lock = fs::OpenOptions::new().read(true).write(true).open(site.path("spool.db.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    lock.set_len(0).unwrap();
    writeln!(lock, "{}", std::process::id()).unwrap();
    for question in
        [["results", "list"].as_slice(), &["quarantine", "list"], &["ledger", "--check"], &["status"]]
    {
        let refused = site.labwire(question);
        assert_exit(&refused, 75, &question.join(" "));
        assert!(stderr(&refused).contains(&std::process::id().to_string()), "{}", stderr(&refused));
    }
    drop(lock);
    assert_exit(&site.labwire(&["status"]), 0, "the lock is free again");
}

#[test]
fn a_ledger_that_does_not_balance_is_bad_data_with_the_place_named() {
    let site = site_with_a_past();
    assert_exit(&site.labwire(&["ledger", "--check"]), 0, "as it was written");
    for (tamper, place) in [
        ("update ledger set delivered = delivered - 1 where connection = 'one' and side like 'obs%'", "one"),
        (
            "delete from message where connection = 'two' and id = (select max(id) from message where connection = 'two')",
            "two",
        ),
    ] {
        let copy = Site::new();
        fs::copy(site.spool(), copy.spool()).unwrap();
        let mut copy = copy;
        copy.listen("one", "generic/lis02");
        let spool = rusqlite::Connection::open(copy.spool()).unwrap();
        assert!(spool.execute(tamper, []).unwrap() > 0, "{tamper}");
        drop(spool);
        for json in [false, true] {
            let arguments: &[&str] =
                if json { &["ledger", "--check", "--json"] } else { &["ledger", "--check"] };
            let output = copy.labwire(arguments);
            assert_exit(&output, 65, tamper);
            assert!(stderr(&output).contains("does not balance"), "{}", stderr(&output));
            if json {
                let told = lines(&stdout(&output));
                let differs =
                    told.iter().any(|line| line["type"] == "difference" && line["connection"] == place);
                assert!(differs, "{told:?}");
                assert_eq!(told.last().unwrap()["balances"], false);
            } else {
                assert!(stdout(&output).contains(&format!("DIFFERENCE {place} ")), "{}", stdout(&output));
            }
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let site = site_with_a_past();
    let config = site.config().to_str().unwrap().to_owned();
    let (_, capture) = proven_drivers("lis01").remove(0);
    let capture = format!("fixtures/{capture}");
    let commands: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["decode", &capture],
        vec!["decode", "--json", &capture],
        vec!["driver", "list"],
        vec!["driver", "show", "generic/lis02"],
        vec!["driver", "check"],
        vec!["driver", "check", "--json"],
        vec!["check", "--json", "config/minimal.toml"],
        vec!["driver", "test", "--all"],
        vec!["driver", "test", "--all", "--json"],
        vec!["check", "config/minimal.toml"],
        vec!["capture", "show", &capture],
        vec!["capture", "import", &capture],
        vec!["results", "list", "--config", &config],
        vec!["quarantine", "list", "--config", &config],
        vec!["quarantine", "show", "1", "--config", &config],
        vec!["ledger", "--check", "--config", &config],
        vec!["status", "--config", &config],
        vec!["status", "--json", "--config", &config],
    ];
    for command in commands {
        // The reader is gone before the first byte: every write fails, whatever its size.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            Command::new(BINARY).args(&command).stdin(Stdio::null()).stdout(writer).output().unwrap();
        assert_eq!(stderr(&output), "", "{command:?}");
        assert_eq!(output.status.code(), Some(0), "{command:?}");
    }
}

#[test]
fn the_demo_shows_every_kind_of_line_and_balances() {
    let text = good(&["demo", "--seconds", "2"]);
    assert!(text.starts_with("metrics: http://127.0.0.1:"), "{text}");
    let lines: Vec<&str> = text.lines().skip(1).take_while(|line| !line.is_empty()).collect();
    let on = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert!(on(" on 127.0.0.1:") >= 2 && on(" on /dev/") >= 1, "{text}");
    assert!(on("lis01") >= 2 && on("mllp") >= 1, "ASTM on TCP and on a serial line, HL7 on MLLP:\n{text}");
    assert!(text.contains("the ledger balances (recomputed from every row)"), "{text}");
    let serial = lines.iter().find(|line| line.contains("/dev/")).unwrap().split_whitespace().next().unwrap();
    let shown = text.lines().filter(|line| line.starts_with(&format!("{serial} "))).count();
    assert!(shown > 3, "results of the serial line are among those shown:\n{text}");
}

#[test]
fn the_demo_clears_its_place_when_it_is_told_to_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = tempfile::tempdir().unwrap();
        let mut demo = Command::new(BINARY)
            .arg("demo")
            .env("TMPDIR", place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut shown = BufReader::new(demo.stdout.take().unwrap());
        let mut line = String::new();
        shown.read_line(&mut line).unwrap();
        assert!(line.starts_with("metrics: "), "{line}");
        kill_process(Pid::from_child(&demo), signal).unwrap();
        let mut rest = String::new();
        shown.read_to_string(&mut rest).unwrap();
        assert!(demo.wait().unwrap().success(), "{signal:?}: {rest}");
        assert!(rest.contains("the ledger balances"), "{rest}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{signal:?} leaves nothing behind");
    }
}

#[test]
fn the_demo_as_json_prints_nothing_but_json() {
    let output = labwire(&["demo", "--seconds", "2", "--json"]);
    assert_exit(&output, 0, "demo --json");
    let results = lines(&stdout(&output));
    assert!(!results.is_empty());
    assert!(
        results.iter().all(|line| line["specimen_id"].is_string() && line["value"].is_string()),
        "{results:?}"
    );
    assert!(stderr(&output).contains("metrics: http://"), "{}", stderr(&output));
}
