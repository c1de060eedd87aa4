//! Every composed capture decodes to the lines that stand beside it, and every driver profile is
//! proven by the captures that it names.
//!
//! `UPDATE_GOLDEN=1 cargo test --test fixtures` rewrites the expected lines. Read the difference
//! before it is committed: an expected file that holds a wrong value is worse than none.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use labwire_driver::Library;
use labwire_workbench::{Decoded, File, decode, differences};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Paths below `fixtures/`, sorted, of files that end in one of `endings`.
fn files(endings: &[&str]) -> Vec<String> {
    let (mut found, mut directories) = (Vec::new(), vec![fixtures()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(fixtures()).unwrap().to_str().unwrap().to_owned();
            if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

fn expected_beside(name: &str) -> PathBuf {
    fixtures().join(name).with_extension("expected.json")
}

fn decoded(library: &Library, name: &str, bytes: &[u8]) -> Decoded {
    let zone = TimeZone::UTC;
    decode(library, &File { name, bytes, driver: None, zone: &zone })
        .unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

#[test]
fn every_fixture_decodes_to_the_lines_beside_it() {
    let library = Library::embedded();
    let mut told = String::new();
    for name in files(&[".cap", ".astm", ".hl7", ".txt"]) {
        let lines = decoded(&library, &name, &fs::read(fixtures().join(&name)).unwrap()).lines();
        let expected = expected_beside(&name);
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            fs::write(&expected, text).unwrap();
        }
        let wanted = fs::read_to_string(&expected)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", expected.display()));
        for difference in differences(&wanted, &lines) {
            told.push_str(&format!("{name}: {difference}\n"));
        }
    }
    assert!(told.is_empty(), "\n{told}");
}

#[test]
fn no_expected_file_is_left_without_its_capture() {
    let described: BTreeSet<PathBuf> =
        files(&[".cap", ".astm", ".hl7", ".txt"]).iter().map(|name| expected_beside(name)).collect();
    for expected in files(&[".expected.json"]) {
        assert!(described.contains(&fixtures().join(&expected)), "{expected} belongs to no capture");
    }
}

#[test]
fn every_capture_proves_the_profile_that_it_names() {
    let library = Library::embedded();
    let mut named = BTreeSet::new();
    for id in library.ids() {
        let plan = library.compile(id).and_then(|compiled| compiled.plan).unwrap();
        assert!(!plan.checks.is_empty(), "{id} names no capture that proves it");
        for check in &plan.checks {
            let capture = fs::read(fixtures().join(&check.capture))
                .unwrap_or_else(|error| panic!("{id} names {}: {error}", check.capture));
            assert_eq!(decoded(&library, &check.capture, &capture).driver, id, "{}", check.capture);
            assert!(named.insert(check.capture.clone()), "{} is named twice", check.capture);
        }
    }
    let present: BTreeSet<String> = files(&[".cap"]).into_iter().collect();
    assert_eq!(named, present, "captures that a profile names, captures that are there");
}

#[test]
fn an_analyzer_is_recognised_in_every_capture_of_its_own() {
    // Noise, or a message whose header never came through, is nobody's.
    let nobody = ["hostile/first-frame-zero.cap", "hostile/hl7-damaged-header.cap"];
    let library = Library::embedded();
    for name in files(&[".cap"]) {
        if nobody.contains(&name.as_str()) {
            continue;
        }
        let capture = fs::read_to_string(fixtures().join(&name)).unwrap();
        let driver = capture.lines().find_map(|line| line.strip_prefix("driver ")).unwrap().to_owned();
        let nameless = capture.replacen(&format!("driver {driver}\n"), "", 1);
        assert_ne!(nameless, capture);
        let found = decoded(&library, &name, nameless.as_bytes());
        assert_eq!(found.driver, driver, "{name}: recognised by {:?}", found.why);
    }
}

#[test]
fn no_observation_of_a_generic_profile_is_delivered() {
    let library = Library::embedded();
    for name in files(&[".cap"]).into_iter().filter(|name| name.matches('/').count() == 1) {
        let found = decoded(&library, &name, &fs::read(fixtures().join(&name)).unwrap());
        let (delivered, _, ignored) = found.counts();
        assert_eq!((delivered, ignored), (0, 0), "{name}");
    }
}

#[test]
fn control_material_is_never_among_patients() {
    let library = Library::embedded();
    let mut seen = 0;
    for name in files(&[".cap"]).into_iter().filter(|name| name.ends_with("/qc.cap")) {
        let lines = decoded(&library, &name, &fs::read(fixtures().join(&name)).unwrap()).lines();
        for line in lines.iter().filter(|line| line["type"] == "result") {
            assert_eq!(line["kind"], "qc", "{name}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 0, "no fixture holds control material");
}
