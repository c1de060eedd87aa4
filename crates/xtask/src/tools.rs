//! Programs that the checks and tests use, and how they come onto the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use crate::run;

/// A program and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A package of the distribution.
    Debian(&'static str),
    /// A package of crates.io at exactly this version.
    Cargo { package: &'static str, version: &'static str },
    /// A component of the Rust toolchain.
    Rustup(&'static str),
}

pub(crate) const PROMTOOL: Tool = Tool { program: "promtool", origin: Origin::Debian("prometheus") };
pub(crate) const PROMETHEUS: Tool = Tool { program: "prometheus", origin: Origin::Debian("prometheus") };
pub(crate) const SYSTEMD_ANALYZE: Tool =
    Tool { program: "systemd-analyze", origin: Origin::Debian("systemd") };
/// SQLite and the cryptography have C and assembler in them.
pub(crate) const C_COMPILER: Tool = Tool { program: "cc", origin: Origin::Debian("gcc") };
pub(crate) const C_LIBRARY: Tool =
    Tool { program: "/usr/include/stdio.h", origin: Origin::Debian("libc6-dev") };
pub(crate) const RUSTFMT: Tool = Tool { program: "cargo-fmt", origin: Origin::Rustup("rustfmt") };
pub(crate) const CLIPPY: Tool = Tool { program: "cargo-clippy", origin: Origin::Rustup("clippy") };
pub(crate) const CARGO_DENY: Tool =
    Tool { program: "cargo-deny", origin: Origin::Cargo { package: "cargo-deny", version: "0.20.2" } };
pub(crate) const CARGO_NEXTEST: Tool =
    Tool { program: "cargo-nextest", origin: Origin::Cargo { package: "cargo-nextest", version: "0.9.143" } };

impl Tool {
    fn is_here(&self) -> bool {
        let Some(path) = find(self.program) else { return false };
        match self.origin {
            // Another version may judge otherwise.
            Origin::Cargo { version, .. } if *self == CARGO_DENY => says_version(&path, version),
            // Rustup puts a stand-in there whether or not the component is installed.
            Origin::Rustup(_) => says(&path).is_some(),
            _ => true,
        }
    }
}

/// Whether a person or an installation has to act before the steps can run, and if so how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    debian: Vec<&'static str>,
    rustup: Vec<&'static str>,
    cargo: Vec<(&'static str, &'static str)>,
}

impl Plan {
    fn of(missing: impl Iterator<Item = Tool>) -> Self {
        let mut plan = Self::default();
        for tool in missing {
            match tool.origin {
                Origin::Debian(package) => push_once(&mut plan.debian, package),
                Origin::Rustup(component) => push_once(&mut plan.rustup, component),
                Origin::Cargo { package, version } => push_once(&mut plan.cargo, (package, version)),
            }
        }
        plan
    }

    /// What a person who may install packages has to run first.
    fn as_root(&self) -> String {
        format!(
            "sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}",
            self.debian.join(" ")
        )
    }
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Installs what is missing, or says how and stops.
pub(crate) fn install(wanted: &[Tool]) -> anyhow::Result<()> {
    let plan = Plan::of(wanted.iter().copied().filter(|tool| !tool.is_here()));
    if !plan.debian.is_empty() {
        if !may_install_packages() {
            bail!(
                "packages are missing and this user may not install them; run\n\n    {}\n\n\
                 or go on without them: cargo xtask test --no-install",
                plan.as_root()
            );
        }
        println!("installing {}", plan.debian.join(" "));
        run::succeed(apt_get().arg("update"))?;
        run::succeed(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(&plan.debian))?;
    }
    for component in plan.rustup {
        run::succeed(Command::new("rustup").args(["component", "add", component]))?;
    }
    for (package, version) in plan.cargo {
        println!("installing {package} {version}: some minutes, once");
        let package = format!("{package}@{version}");
        run::succeed(run::cargo().args(["install", "--locked", "--force", "--quiet", &package]))?;
    }
    Ok(())
}

/// Programs among the wanted ones that are not there.
pub(crate) fn missing(wanted: &[Tool]) -> Vec<Tool> {
    wanted.iter().copied().filter(|tool| !tool.is_here()).collect()
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn may_install_packages() -> bool {
    let user = Command::new("id").arg("-u").output();
    let is_root = user.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    is_root && find("apt-get").is_some()
}

fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(cargo_programs())
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Where cargo looks for its subcommands beside the path.
fn cargo_programs() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join("bin"))
}

fn says_version(program: &Path, version: &str) -> bool {
    says(program).is_some_and(|said| said.split_whitespace().any(|word| word == version))
}

/// What a program says of its version; nothing if it cannot even do that.
fn says(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_each_package_once() {
        let plan = Plan::of([PROMTOOL, PROMETHEUS, SYSTEMD_ANALYZE, CARGO_DENY, CLIPPY].into_iter());
        assert_eq!(plan.debian, ["prometheus", "systemd"]);
        assert_eq!(plan.cargo, [("cargo-deny", "0.20.2")]);
        assert_eq!(plan.rustup, ["clippy"]);
        assert!(plan.as_root().ends_with(" prometheus systemd"), "{}", plan.as_root());
    }

    #[test]
    fn a_program_is_found_by_name_or_by_path_or_not_at_all() {
        assert!(find("sh").is_some());
        assert!(find("/bin/sh").is_some());
        assert!(find("no-program-has-this-name").is_none());
        assert!(find("/no/file/has/this/name").is_none());
    }

    #[test]
    fn another_version_is_not_the_pinned_one() {
        let cargo = find("cargo").unwrap();
        assert!(!says_version(&cargo, "0.0.1"));
    }
}
