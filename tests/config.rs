//! What `labwire check` says about the files under `config/`, and what is made from the key tables.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use labwire_driver::Library;
use labwire_schema::{Source, render};
use labwire_testkit::golden;

const SITE: &str = "config/bad/site";
const DRIVER: &str = "config/bad/driver";
/// Of each kind at least as many broken files, each broken in its own way.
const FILES_MIN: usize = 25;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn said_about_a_site(name: &str, bytes: &[u8]) -> String {
    let source = Source::decode(name, bytes);
    let (_, problems) = labwire_config::load(&source, &Library::embedded());
    render(&source, &problems)
}

fn said_about_a_driver(name: &str, bytes: &[u8]) -> String {
    let source = Source::decode(name, bytes);
    let id = name.trim_start_matches("config/bad/").trim_end_matches(".toml");
    let compiled = Library::embedded().compile_source(id, &source);
    compiled.reports.iter().map(|report| render(&report.source, &report.problems)).collect()
}

fn labwire(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labwire")).args(arguments).current_dir(root()).output().unwrap()
}

fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join(folder))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(ending))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    names
}

#[test]
fn every_broken_site_file_is_reported_as_is_written_beside_it() {
    golden::folder(&root(), SITE, FILES_MIN, said_about_a_site).unwrap();
}

#[test]
fn every_broken_driver_profile_is_reported_as_is_written_beside_it() {
    golden::folder(&root(), DRIVER, FILES_MIN, said_about_a_driver).unwrap();
}

#[test]
fn every_problem_comes_with_file_line_column_caret_and_a_suggestion() {
    for (folder, said) in [
        (SITE, said_about_a_site as fn(&str, &[u8]) -> String),
        (DRIVER, said_about_a_driver as fn(&str, &[u8]) -> String),
    ] {
        for name in files(folder, ".toml") {
            let text = said(&name, &fs::read(root().join(&name)).unwrap());
            let blocks: Vec<&str> = text
                .split("\n\n")
                .filter(|block| block.starts_with("error: ") || block.starts_with("warning: "))
                .collect();
            assert!(!blocks.is_empty(), "nothing is said about {name}");
            for block in blocks {
                let place = block.lines().nth(1).unwrap_or_default().trim_start();
                let place = place.strip_prefix("--> ").unwrap_or_else(|| panic!("no place in:\n{block}"));
                let parts: Vec<&str> = place.rsplitn(3, ':').collect();
                assert!(
                    parts.len() == 3
                        && parts[..2].iter().all(|part| part.parse::<usize>().is_ok_and(|n| n > 0)),
                    "no line and column in:\n{block}"
                );
                assert!(
                    block.lines().any(|line| line.contains("| ") && line.contains('^')),
                    "no caret in:\n{block}"
                );
                assert!(block.contains("= help: "), "no suggestion in:\n{block}");
            }
        }
    }
}

#[test]
fn no_two_broken_files_are_broken_in_the_same_way() {
    for folder in [SITE, DRIVER] {
        let mut seen: BTreeMap<Vec<String>, String> = BTreeMap::new();
        for name in files(folder, ".expected.txt") {
            let text = fs::read_to_string(root().join(&name)).unwrap();
            // What is said, without where and about which word.
            let messages: Vec<String> = text
                .lines()
                .filter(|line| line.starts_with("error: ") || line.contains("= help: "))
                .map(|line| line.split(['`', '"']).step_by(2).collect())
                .collect();
            if let Some(other) = seen.insert(messages, name.clone()) {
                panic!("{name} and {other} are broken in the same way");
            }
        }
    }
}

#[test]
fn the_example_site_files_are_accepted() {
    for name in files("config", ".toml") {
        let bytes = fs::read(root().join(&name)).unwrap();
        assert_eq!(said_about_a_site(&name, &bytes), "", "{name}");
    }
}

#[test]
fn the_reference_page_says_what_the_key_table_says() {
    for (page, made) in [
        ("docs/configuration.md", labwire_config::reference_markdown()),
        ("docs/labwire.schema.json", labwire_config::json_schema()),
    ] {
        let path = root().join(page);
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            fs::write(&path, &made).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(written == made, "{page} is stale: UPDATE_GOLDEN=1 cargo test --test config");
    }
}

#[test]
fn check_prints_the_problems_and_refuses_with_exit_78() {
    let some = |folder: &str| -> Vec<String> { files(folder, ".toml").into_iter().step_by(7).collect() };
    for name in some(SITE).into_iter().chain(some(DRIVER)) {
        let output = labwire(&["check", &name]);
        let expected = fs::read_to_string(root().join(name.replace(".toml", ".expected.txt"))).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{name}");
        assert_eq!(output.status.code(), Some(78), "{name}");
    }
}

#[test]
fn check_accepts_the_example_site_files() {
    for name in files("config", ".toml") {
        let output = labwire(&["check", "--config", &name]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn check_warns_of_a_profile_that_does_not_look_at_checksums_alone_and_in_its_site() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let profile = file(
        "drivers/site/one.toml",
        "schema = 1\n[analyzer]\nvendor = \"Example\"\nmodel = \"One\"\nkind = \"chemistry\"\nprotocol = \"lis02\"\n[link]\nchecksum = \"off\"\n[specimen]\nid = \"O.3\"\n[result]\ntest = \"R.3.4\"\nvalue = \"R.4\"\n",
    );
    let path = directory.path().display();
    let site = file(
        "labwire.toml",
        &format!(
            "[site]\ntenant = \"t\"\ntime_zone = \"UTC\"\n[spool]\npath = \"{path}/spool.db\"\n[lis]\nurl = \"sqlite://{path}/lis.db\"\n[drivers]\ndirectory = \"{path}/drivers\"\n[[connection]]\nname = \"one\"\ndriver = \"site/one\"\ntcp.listen = \"127.0.0.1:15600\"\n"
        ),
    );
    for checked in [profile, site] {
        let output = labwire(&["check", &checked]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("warning: frames are taken without looking at their checksum"), "{said}");
        assert!(said.contains("checksum-off"), "{said}");
    }
}

#[test]
fn run_refuses_what_check_refuses() {
    let output = labwire(&["run", "--config", "config/bad/site/unknown-key.toml"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("config/bad/site/unknown-key.toml:3:1"), "{said}");
    assert!(said.contains("did you mean `tenant`?"), "{said}");
}

#[test]
fn a_password_in_the_file_is_not_repeated() {
    let output = labwire(&["check", "config/bad/site/password-in-url.toml"]);
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("s3cr3t"), "{}", String::from_utf8_lossy(&said));
}
