//! The table of crates in ARCHITECTURE.md: what there is, what is pure, which arrows may be drawn.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;

/// The rows of the table by crate.
#[derive(Debug, Default)]
pub(crate) struct Map {
    rows: BTreeMap<String, Row>,
}

#[derive(Debug)]
struct Row {
    pure: bool,
    may_use: BTreeSet<String>,
}

impl Map {
    /// Reads the rows ``| `crate` | yes or nothing | purpose | crates or – |``.
    pub(crate) fn read(document: &str) -> Self {
        let rows = document.lines().filter_map(|line| {
            let cells: Vec<&str> =
                line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
            let [name, pure, _purpose, may_use] = cells.as_slice() else { return None };
            let name = name.strip_prefix('`')?.strip_suffix('`')?;
            let may_use = may_use.split_whitespace().filter(|word| *word != "–").map(str::to_owned).collect();
            Some((name.to_owned(), Row { pure: *pure == "yes", may_use }))
        });
        Self { rows: rows.collect() }
    }

    pub(crate) fn pure_crates(&self) -> Vec<String> {
        let pure: Vec<String> =
            self.rows.iter().filter(|(_, row)| row.pure).map(|(name, _)| name.clone()).collect();
        assert!(!pure.is_empty(), "ARCHITECTURE.md marks no crate as pure");
        pure
    }

    /// Crates without a row, and rows without a crate. `daemon` is the root package.
    pub(crate) fn differences(&self, graph: &Graph) -> Vec<String> {
        let crates: BTreeSet<&str> = graph.our_crates().chain(["daemon"]).collect();
        let rows: BTreeSet<&str> = self.rows.keys().map(String::as_str).collect();
        let missing = crates.difference(&rows).map(|name| format!("ARCHITECTURE.md has no row for {name}"));
        let invented = rows
            .difference(&crates)
            .map(|name| format!("ARCHITECTURE.md has a row for {name}, which is no crate"));
        missing.chain(invented).collect()
    }

    /// Direct dependencies between our crates that the table does not allow.
    pub(crate) fn undrawn_arrows(&self, graph: &Graph) -> Vec<String> {
        self.rows
            .iter()
            .flat_map(|(name, row)| {
                let package = if name == "daemon" { "labwire" } else { name };
                graph
                    .our_dependencies(package)
                    .filter(|dependency| !row.may_use.contains(*dependency))
                    .map(|dependency| {
                        format!(
                            "{name} depends on {dependency}; its row in ARCHITECTURE.md does not allow it"
                        )
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::planted;

    const TABLE: &str = "text | with | bars\n\
                         | crate | pure | purpose | may depend on |\n\
                         |---|---|---|---|\n\
                         | `link` | yes | machines | – |\n\
                         | `session` | yes | conversation | link message |\n\
                         | `daemon` | | the root package | session |\n";

    #[test]
    fn the_table_is_read_row_by_row() {
        let map = Map::read(TABLE);
        assert_eq!(map.rows.keys().collect::<Vec<_>>(), ["daemon", "link", "session"]);
        assert_eq!(map.pure_crates(), ["link", "session"]);
        assert_eq!(map.rows["session"].may_use.iter().collect::<Vec<_>>(), ["link", "message"]);
        assert!(map.rows["link"].may_use.is_empty());
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_seen() {
        let graph = planted::graph(&[("labwire", &[]), ("labwire-link", &[]), ("labwire-store", &[])]);
        assert_eq!(
            Map::read(TABLE).differences(&graph),
            [
                "ARCHITECTURE.md has no row for store",
                "ARCHITECTURE.md has a row for session, which is no crate"
            ]
        );
    }

    #[test]
    fn an_arrow_that_the_table_does_not_draw_is_seen() {
        let graph = planted::graph(&[
            ("labwire", &[("labwire-link", None)]),
            ("labwire-link", &[("memchr", None), ("labwire-testkit", Some("dev"))]),
            ("labwire-session", &[("labwire-link", None), ("labwire-store", None)]),
            ("labwire-store", &[]),
            ("labwire-testkit", &[]),
            ("memchr", &[]),
        ]);
        assert_eq!(
            Map::read(TABLE).undrawn_arrows(&graph),
            [
                "daemon depends on link; its row in ARCHITECTURE.md does not allow it",
                "session depends on store; its row in ARCHITECTURE.md does not allow it",
            ]
        );
    }
}
