//! The never-arrows of ARCHITECTURE.md, read from `cargo metadata` and the sources.
//!
//! Each rule is a function from facts to violations; the first tests ask them about this repository, the
//! ones in the modules about planted violations, so that a rule which has gone blind is seen.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "architecture/graph.rs"]
mod graph;
#[path = "architecture/map.rs"]
mod map;
#[path = "architecture/sources.rs"]
mod sources;
#[path = "architecture/tokens.rs"]
mod tokens;

use std::fs;
use std::path::Path;

use graph::Graph;
use map::Map;
use sources::{Repository, Source};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn graph() -> Graph {
    Graph::of_workspace(root())
}

fn map() -> Map {
    Map::read(&fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap())
}

#[track_caller]
fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn the_map_lists_every_crate_and_no_other() {
    assert_none(map().differences(&graph()));
}

#[test]
fn crates_depend_on_what_the_map_allows_them() {
    assert_none(map().undrawn_arrows(&graph()));
}

#[test]
fn no_never_arrow_is_drawn() {
    assert_none(graph().never_arrows());
}

#[test]
fn pure_crates_reach_no_runtime_no_database_and_no_c() {
    assert_none(graph().impurities(&map().pure_crates()));
}

#[test]
fn testkit_is_a_dev_dependency_everywhere() {
    assert_none(graph().shipped_test_helpers());
}

#[test]
fn planted_bugs_are_no_cargo_feature() {
    assert_none(graph().sabotage_features());
}

#[test]
fn pure_sources_touch_neither_the_world_nor_chance() {
    let repository = Repository::read(root());
    let mut violations = Vec::new();
    for name in map().pure_crates() {
        let within = format!("crates/{name}/src/");
        let sources: Vec<&Source> =
            repository.rust().filter(|source| source.path.starts_with(&within)).collect();
        assert!(!sources.is_empty(), "no source of the pure crate {name} was found");
        violations.extend(sources.into_iter().flat_map(sources::worldly_paths));
    }
    assert_none(violations);
}

#[test]
fn pure_crates_forbid_unsafe_code() {
    let repository = Repository::read(root());
    let lib =
        |name: &str| repository.rust().find(|source| source.path == format!("crates/{name}/src/lib.rs"));
    let allows = |name: &&String| !lib(name).is_some_and(sources::forbids_unsafe);
    let pure = map().pure_crates();
    assert_none(
        pure.iter().filter(allows).map(|name| format!("{name}: no #![forbid(unsafe_code)]")).collect(),
    );
}

#[test]
fn pure_crates_are_linted_as_such() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap_or_default();
    let (all, pure) = (read("clippy.toml"), read(".cargo/clippy-pure.toml"));
    for key in all.lines().filter(|line| line.contains('=')) {
        assert!(pure.lines().any(|line| line == key), ".cargo/clippy-pure.toml does not repeat `{key}`");
    }
    let lacks = |name: &&String| read(&format!("crates/{name}/clippy.toml")) != pure;
    assert_none(
        map()
            .pure_crates()
            .iter()
            .filter(lacks)
            .map(|name| format!("{name}: clippy.toml is no link to .cargo/clippy-pure.toml"))
            .collect(),
    );
}

#[test]
fn no_vendor_is_named_in_code() {
    let vendors = sources::vendors(&root().join("drivers"));
    assert!(!vendors.is_empty(), "no vendor directory was found under drivers/");
    let repository = Repository::read(root());
    assert_none(repository.rust().flat_map(|source| sources::vendor_names(source, &vendors)).collect());
}

#[test]
fn the_project_stands_without_its_neighbours() {
    let repository = Repository::read(root());
    assert_none(repository.files().flat_map(sources::outside_mentions).collect());
}
