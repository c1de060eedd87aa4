//! The files of the repository and the rules about what may stand in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::tokens::{paths, tokens};

/// A text file, by its path from the root.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file of the repository, without what cargo and git keep there.
#[derive(Debug)]
pub(crate) struct Repository(Vec<Source>);

impl Repository {
    pub(crate) fn read(root: &Path) -> Self {
        let mut sources = Vec::new();
        collect(root, root, &mut sources);
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Self(sources)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files().filter(|source| source.path.ends_with(".rs"))
    }
}

fn collect(root: &Path, directory: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let skipped = matches!(entry.file_name().to_str(), Some(".git" | "target" | "proptest-regressions"));
        if skipped {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, sources);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            sources.push(Source { path, text });
        }
    }
}

/// Words anywhere in a path of code that a pure crate does not use, and what to do instead.
const WORLDLY: [(&[&str], &str); 15] = [
    (&["std", "fs"], "the caller opens files"),
    (&["std", "net"], "the caller moves bytes"),
    (&["std", "process"], "the caller runs processes"),
    (&["std", "thread"], "a machine has no thread of its own"),
    (&["std", "env"], "configuration is an argument"),
    (&["std", "as"], "under another name its parts cannot be seen"),
    (&["std", "*"], "its parts cannot be seen"),
    (&["Instant", "now"], "time is an argument"),
    (&["SystemTime", "now"], "time is an argument"),
    (&["Timestamp", "now"], "time is an argument"),
    (&["Zoned", "now"], "time is an argument"),
    (&["TimeZone", "system"], "the time zone is configuration"),
    (&["HashMap"], "its order is chance: use BTreeMap or a sorted Vec"),
    (&["HashSet"], "its order is chance: use BTreeSet or a sorted Vec"),
    (&["RandomState"], "chance is a seed given at construction"),
];

/// Crates of random numbers, in paths that begin with them.
const CHANCE: [&str; 3] = ["rand", "getrandom", "fastrand"];

pub(crate) fn worldly_paths(source: &Source) -> Vec<String> {
    let mut violations = Vec::new();
    for (line, path) in paths(&tokens(&source.text)) {
        let mut tell = |reason: &str| {
            violations.push(format!("{}:{line}: `{}`: {reason}", source.path, path.join("::")));
        };
        for (banned, reason) in WORLDLY {
            if path.windows(banned.len()).any(|words| words == banned) {
                tell(reason);
            }
        }
        if path.len() > 1 && CHANCE.contains(&path[0]) {
            tell("chance is a seed given at construction");
        }
    }
    violations
}

pub(crate) fn forbids_unsafe(source: &Source) -> bool {
    let words: Vec<&str> = tokens(&source.text).into_iter().map(|token| token.text).collect();
    words.windows(8).any(|words| words == ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"])
}

/// The directories under `drivers/`, each as its words, except the generic profiles.
pub(crate) fn vendors(drivers: &Path) -> Vec<Vec<String>> {
    let names: BTreeSet<String> = fs::read_dir(drivers)
        .into_iter()
        .flatten()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "generic")
        .collect();
    names.iter().map(|name| words(name)).collect()
}

pub(crate) fn vendor_names(source: &Source, vendors: &[Vec<String>]) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let words = words(line);
        for vendor in vendors {
            if words.windows(vendor.len()).any(|window| window == vendor) {
                violations.push(format!(
                    "{}:{}: names the vendor {}",
                    source.path,
                    number + 1,
                    vendor.join("-")
                ));
            }
        }
    }
    violations
}

/// The words of a text in lower case: split at everything that is no letter or digit, and where `camelCase` turns.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_lower = false;
    for character in text.chars() {
        let turns = previous_lower && character.is_uppercase();
        if turns || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        previous_lower = character.is_lowercase() || character.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

pub(crate) fn outside_mentions(source: &Source) -> Vec<String> {
    // Put together here, or this file would be the first to be found.
    let neighbours = [concat!("..", "/shared"), concat!("/work", "/")];
    let mentions = |line: &str| neighbours.iter().any(|neighbour| line.contains(neighbour));
    let lines = source.text.lines().enumerate().filter(|(_, line)| mentions(line));
    lines
        .map(|(number, _)| format!("{}:{}: names a place outside the project", source.path, number + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "planted.rs".into(), text: text.into() }
    }

    #[test]
    fn every_way_to_the_world_is_seen() {
        for planted in [
            "use std::fs;",
            "use std::{io, fs::File};",
            "let text = std::fs::read_to_string(path);",
            "use ::std::net::TcpStream;",
            "std::process::Command::new(x)",
            "std::thread::sleep(d)",
            "use std as s;",
            "use std::*;",
            "let now = Instant::now();",
            "std::time::Instant::now()",
            "SystemTime::now()",
            "jiff::Timestamp::now()",
            "jiff::Zoned::now()",
            "TimeZone::system()",
            "use std::collections::{BTreeMap, HashMap as Map};",
            "let seen: HashSet<u8> = x;",
            "std::collections::hash_map::RandomState::new()",
            "rand::random()",
            "use rand::Rng;",
            "getrandom::fill(&mut b)",
        ] {
            assert!(!worldly_paths(&source(planted)).is_empty(), "not seen: {planted}");
        }
    }

    #[test]
    fn pure_code_and_words_about_the_world_are_let_through() {
        for innocent in [
            "use std::{fmt, io::Read, collections::BTreeMap};",
            "// std::fs is the caller's\nuse core::time::Duration;",
            "let text = \"HashMap SystemTime::now()\";",
            "fn fs(net: u8) -> Instant { self.now }",
            "let rand = 4; operand::new(rand)",
        ] {
            assert_eq!(worldly_paths(&source(innocent)), Vec::<String>::new(), "{innocent}");
        }
    }

    #[test]
    fn a_violation_says_where_it_is_and_what_to_do() {
        assert_eq!(
            worldly_paths(&source("\n\nlet now = Instant::now();")),
            ["planted.rs:3: `Instant::now`: time is an argument"]
        );
    }

    #[test]
    fn forbidding_unsafe_counts_in_code_only() {
        assert!(forbids_unsafe(&source("//! Words.\n#![forbid(unsafe_code)]\nmod a;")));
        assert!(!forbids_unsafe(&source("// #![forbid(unsafe_code)]")));
        assert!(!forbids_unsafe(&source("#![deny(unsafe_code)]")));
    }

    #[test]
    fn a_vendor_is_seen_as_a_word_in_any_dress_and_not_inside_another() {
        let vendors = vec![words("acme"), words("two-words")];
        for planted in [
            "// as ACME does",
            "fn acme_frame()",
            "struct AcmeFrame;",
            "\"acme/x-1\"",
            "two_words",
            "TwoWords",
        ] {
            assert_eq!(vendor_names(&source(planted), &vendors).len(), 1, "{planted}");
        }
        for innocent in ["acmeist", "placme", "two", "words two"] {
            assert_eq!(vendor_names(&source(innocent), &vendors).len(), 0, "{innocent}");
        }
    }

    #[test]
    fn a_mention_of_a_neighbour_is_seen() {
        let planted = source(concat!("see ..", "/shared/x\n\nin /work", "/y"));
        assert_eq!(outside_mentions(&planted).len(), 2);
    }
}
