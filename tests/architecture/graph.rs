//! The dependency graph: our own crates by their direct dependencies, others' by the resolved ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// From, to: an arrow that is never drawn between two of our crates, and why.
const NEVER: [(&str, &str, &str); 11] = [
    ("link", "message", "framing knows nothing of what is framed"),
    ("message", "link", "a message reads the same from a file"),
    ("transport", "link", "transport moves bytes and does not read them"),
    ("transport", "message", "transport moves bytes and does not read them"),
    ("transport", "driver", "transport moves bytes and does not read them"),
    ("transport", "store", "nothing on the wire may reach the spool beside the session"),
    ("store", "link", "the spool keeps what it is given"),
    ("store", "message", "the spool keeps what it is given"),
    ("store", "driver", "the spool keeps what it is given"),
    ("store", "transport", "the spool keeps what it is given"),
    ("admin", "store", "admin asks the engine; nothing opens the spool beside it"),
];

/// Others' crates that a pure crate must not reach, however far away.
const IMPURE: [&str; 12] = [
    "tokio",
    "mio",
    "async-std",
    "smol",
    "sqlx",
    "sqlx-core",
    "rusqlite",
    "libsqlite3-sys",
    "ring",
    "rand",
    "getrandom",
    "fastrand",
];

/// Build-time helpers that compile or find C code.
const C_BUILDERS: [&str; 5] = ["cc", "cmake", "bindgen", "pkg-config", "vcpkg"];

/// What `cargo metadata` says, as far as the rules ask.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    packages: BTreeMap<String, Package>,
}

#[derive(Debug, Default)]
struct Package {
    name: String,
    ours: bool,
    links: bool,
    features: Vec<String>,
    /// Direct dependencies by name, as the manifest has them.
    normal: BTreeSet<String>,
    build: BTreeSet<String>,
    /// Ids of the packages that the normal dependencies came to.
    resolved: Vec<String>,
}

impl Graph {
    pub(crate) fn of_workspace(root: &Path) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let host = Command::new("rustc").arg("-vV").output().unwrap();
        let host = String::from_utf8(host.stdout).unwrap();
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host])
            .current_dir(root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::read(&serde_json::from_slice(&output.stdout).unwrap())
    }

    fn read(metadata: &Value) -> Self {
        let members: BTreeSet<&str> =
            list(&metadata["workspace_members"]).filter_map(Value::as_str).collect();
        let mut packages: BTreeMap<String, Package> = list(&metadata["packages"])
            .map(|package| {
                let id = text(&package["id"]);
                let direct = |kind: Option<&str>| {
                    list(&package["dependencies"])
                        .filter(|dependency| dependency["kind"].as_str() == kind)
                        .map(|dependency| text(&dependency["name"]))
                        .collect()
                };
                let read = Package {
                    name: text(&package["name"]),
                    ours: members.contains(id.as_str()),
                    links: package["links"].is_string(),
                    features: package["features"]
                        .as_object()
                        .into_iter()
                        .flat_map(|f| f.keys().cloned())
                        .collect(),
                    normal: direct(None),
                    build: direct(Some("build")),
                    resolved: Vec::new(),
                };
                (id, read)
            })
            .collect();
        for node in list(&metadata["resolve"]["nodes"]) {
            let is_normal =
                |dependency: &&Value| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            let resolved =
                list(&node["deps"]).filter(is_normal).map(|dependency| text(&dependency["pkg"])).collect();
            if let Some(package) = packages.get_mut(&text(&node["id"])) {
                package.resolved = resolved;
            }
        }
        Self { packages }
    }

    /// Our crates under `crates/` by their short names, without the binary's package.
    pub(crate) fn our_crates(&self) -> impl Iterator<Item = &str> {
        self.packages
            .values()
            .filter(|package| package.ours && package.name != "labwire")
            .map(|package| short(&package.name))
    }

    /// The short names of our crates that `name` uses in what is shipped.
    pub(crate) fn our_dependencies(&self, name: &str) -> impl Iterator<Item = &str> {
        self.ours(name)
            .into_iter()
            .flat_map(|package| package.normal.iter().chain(&package.build))
            .filter(|dependency| {
                self.packages.values().any(|package| package.ours && package.name == **dependency)
            })
            .map(|dependency| short(dependency))
    }

    pub(crate) fn never_arrows(&self) -> Vec<String> {
        NEVER
            .iter()
            .filter(|(from, to, _)| self.our_dependencies(from).any(|dependency| dependency == *to))
            .map(|(from, to, reason)| format!("{from} depends on {to}: {reason}"))
            .collect()
    }

    pub(crate) fn shipped_test_helpers(&self) -> Vec<String> {
        let uses = |package: &Package, helper: &str| {
            package.normal.contains(helper) || package.build.contains(helper)
        };
        // One helper may stand on the other.
        let shipped = |package: &&Package| package.name != "labwire-proof";
        self.packages
            .values()
            .filter(shipped)
            .flat_map(|package| {
                ["labwire-testkit", "labwire-proof"]
                    .into_iter()
                    .filter(|helper| uses(package, helper))
                    .map(|helper| format!("{}: {helper} is more than a dev-dependency", package.name))
            })
            .collect()
    }

    pub(crate) fn sabotage_features(&self) -> Vec<String> {
        let planted = |feature: &&String| feature.contains("sabotage");
        self.packages
            .values()
            .filter(|package| package.ours)
            .flat_map(|package| {
                package.features.iter().filter(planted).map(|f| format!("{}: feature {f}", package.name))
            })
            .collect()
    }

    /// What the pure crates reach that touches the world, each with the way that leads to it.
    pub(crate) fn impurities(&self, pure: &[String]) -> Vec<String> {
        pure.iter().flat_map(|name| self.impurities_of(name)).collect()
    }

    fn impurities_of(&self, name: &str) -> Vec<String> {
        let Some(start) =
            self.packages.iter().find(|(_, package)| package.ours && short(&package.name) == name)
        else {
            return vec![format!("{name}: no such crate")];
        };
        let mut ways: BTreeMap<&String, String> = BTreeMap::from([(start.0, name.to_owned())]);
        let mut open = vec![start];
        let mut found = Vec::new();
        while let Some((id, package)) = open.pop() {
            let way = ways[id].clone();
            if IMPURE.contains(&package.name.as_str()) {
                found.push(format!("{way}: not in a pure crate"));
            }
            if package.links || package.build.iter().any(|helper| C_BUILDERS.contains(&helper.as_str())) {
                found.push(format!("{way}: has C code"));
            }
            for next in &package.resolved {
                let Some(entry) = self.packages.get_key_value(next) else { continue };
                if !ways.contains_key(next) {
                    ways.insert(entry.0, format!("{way} > {}", entry.1.name));
                    open.push(entry);
                }
            }
        }
        found.sort();
        found
    }

    fn ours(&self, name: &str) -> Option<&Package> {
        self.packages.values().find(|package| package.ours && short(&package.name) == name)
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("labwire-").unwrap_or(name)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(crate) mod planted {
    use serde_json::json;

    use super::*;

    /// A direct dependency: its name, and its kind as cargo says it.
    type Dependency<'a> = (&'a str, Option<&'a str>);

    pub(crate) fn graph(packages: &[(&str, &[Dependency<'_>])]) -> Graph {
        let ours = |name: &str| name == "labwire" || name.starts_with("labwire-");
        let metadata = json!({
            "workspace_members": packages.iter().map(|(name, _)| name).filter(|name| ours(name)).collect::<Vec<_>>(),
            "packages": packages.iter().map(|(name, dependencies)| json!({
                "id": name,
                "name": name,
                "links": null,
                "features": {},
                "dependencies": dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "resolve": { "nodes": packages.iter().map(|(name, dependencies)| json!({
                "id": name,
                "deps": dependencies.iter().map(|(name, kind)| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>() },
        });
        Graph::read(&metadata)
    }

    #[test]
    fn every_never_arrow_is_seen_and_a_dev_dependency_is_none() {
        for (from, to, _) in NEVER {
            let (from, to) = (format!("labwire-{from}"), format!("labwire-{to}"));
            let with = |kind| graph(&[(&from, &[(&to, kind)]), (&to, &[])]).never_arrows().len();
            assert_eq!(with(None), 1, "{from} on {to}");
            assert_eq!(with(Some("build")), 1, "{from} on {to}");
            assert_eq!(with(Some("dev")), 0, "{from} on {to}");
        }
    }

    #[test]
    fn a_distant_runtime_is_seen_with_the_way_to_it() {
        let graph = graph(&[
            ("labwire-link", &[("helper", None)]),
            ("helper", &[("tokio", None), ("rand", Some("dev"))]),
            ("tokio", &[]),
            ("rand", &[]),
        ]);
        assert_eq!(graph.impurities(&["link".into()]), ["link > helper > tokio: not in a pure crate"]);
    }

    #[test]
    fn c_code_is_seen_by_its_builder_and_by_its_library() {
        let mut graph = graph(&[
            ("labwire-link", &[("a", None), ("b", None)]),
            ("a", &[("cc", Some("build"))]),
            ("b", &[]),
            ("cc", &[]),
        ]);
        graph.packages.get_mut("b").unwrap().links = true;
        assert_eq!(graph.impurities(&["link".into()]), ["link > a: has C code", "link > b: has C code"]);
    }

    #[test]
    fn a_pure_crate_that_does_not_exist_is_an_error() {
        assert_eq!(graph(&[]).impurities(&["link".into()]), ["link: no such crate"]);
    }

    #[test]
    fn test_helpers_in_what_is_shipped_are_seen() {
        let with = |kind| {
            let graph = graph(&[("labwire", &[("labwire-testkit", kind)]), ("labwire-testkit", &[])]);
            graph.shipped_test_helpers().len()
        };
        assert_eq!((with(None), with(Some("build")), with(Some("dev"))), (1, 1, 0));
    }

    #[test]
    fn a_sabotage_feature_is_seen() {
        let mut graph = graph(&[("labwire-store", &[])]);
        graph.packages.get_mut("labwire-store").unwrap().features.push("sabotage".into());
        assert_eq!(graph.sabotage_features(), ["labwire-store: feature sabotage"]);
    }
}
