//! What is made from the key table and from the profiles is in the tree as it would be made today.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs};

use labwire_driver::{Dialect, Library, json_schema, overview_markdown, reference_markdown};
use labwire_link::Tolerance;
use labwire_schema::{Source, render};

const MARK: &str =
    "<!-- Everything below is made from the key table: UPDATE_GOLDEN=1 cargo test --test drivers_docs -->\n";

/// The table of profiles stands between these two.
const PROFILES: &str =
    "<!-- This table is made from the profiles: UPDATE_GOLDEN=1 cargo test --test drivers_docs -->\n";
const PROFILES_END: &str = "<!-- end of the table -->\n";

/// Tests that rewrite a part of the same page do so one after the other.
static PAGE: Mutex<()> = Mutex::new(());

fn drivers(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers").join(name)
}

fn updates() -> bool {
    env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1")
}

#[test]
fn the_json_schema_is_the_one_of_the_key_table() {
    let made = json_schema();
    if updates() {
        fs::write(drivers("schema.json"), &made).unwrap();
    }
    let written = fs::read_to_string(drivers("schema.json")).unwrap_or_default();
    assert!(written == made, "drivers/schema.json is stale: UPDATE_GOLDEN=1 cargo test --test drivers_docs");
}

#[test]
fn the_reference_below_the_introduction_is_the_one_of_the_key_table() {
    let _alone = PAGE.lock().unwrap();
    let page = fs::read_to_string(drivers("README.md")).unwrap();
    let (introduction, reference) = page.split_once(MARK).expect("the page has the mark");
    let made = reference_markdown();
    if updates() {
        fs::write(drivers("README.md"), format!("{introduction}{MARK}{made}")).unwrap();
        return;
    }
    assert!(reference == made, "drivers/README.md is stale: UPDATE_GOLDEN=1 cargo test --test drivers_docs");
}

#[test]
fn the_table_of_profiles_is_the_one_of_the_profiles() {
    let _alone = PAGE.lock().unwrap();
    let page = fs::read_to_string(drivers("README.md")).unwrap();
    let (before, rest) = page.split_once(PROFILES).expect("the page has the mark of the table");
    let (table, after) = rest.split_once(PROFILES_END).expect("the table has an end");
    let made = format!("\n{}\n", overview_markdown(&Library::embedded()));
    if updates() {
        fs::write(drivers("README.md"), format!("{before}{PROFILES}{made}{PROFILES_END}{after}")).unwrap();
        return;
    }
    assert!(table == made, "the table of profiles is stale: UPDATE_GOLDEN=1 cargo test --test drivers_docs");
}

#[test]
fn the_example_in_the_introduction_names_only_keys_that_exist() {
    let page = fs::read_to_string(drivers("README.md")).unwrap();
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    // Shown together, though a profile reads records or text, not both, and extends one that exists.
    let lis02: String = example
        .lines()
        .filter(|line| !line.starts_with("extends"))
        .scan(false, |text, line| {
            *text = if line.starts_with('[') { line.starts_with("[text]") } else { *text };
            Some(if *text { "\n".to_owned() } else { format!("{line}\n") })
        })
        .collect();
    let compiled = Library::embedded().compile_source("example/example", &Source::new("README.md", lis02));
    let said: String =
        compiled.reports.iter().map(|report| render(&report.source, &report.problems)).collect();
    assert_eq!(said, "");
}

#[test]
fn the_introduction_names_every_dialect_and_every_tolerance() {
    let page = fs::read_to_string(drivers("README.md")).unwrap();
    let rows: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for dialect in Dialect::ALL {
        assert!(rows.contains(&dialect.as_str()), "{}", dialect.as_str());
    }
    for tolerance in Tolerance::ALL {
        assert!(rows.contains(&tolerance.name()), "{tolerance}");
    }
}
