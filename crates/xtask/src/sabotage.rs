//! The build with planted bugs and crash points: `--cfg labwire_sabotage`, for our own crates only.
//!
//! A flag in `RUSTFLAGS` would build every dependency a second time. Cargo lets a wrapper stand before the
//! compiler for the workspace's members alone and keeps what they produce apart from the ordinary artifacts,
//! so xtask is that wrapper. Dependencies and intermediate artifacts are shared with the ordinary build
//! directory; only the finished binary goes elsewhere, so that it can never be taken for the real one.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::{root, run};

/// Where the tests find the binary.
pub(crate) const BINARY_VARIABLE: &str = "LABWIRE_SABOTAGE_BIN";

const WRAPPER_VARIABLE: &str = "LABWIRE_XTASK_SABOTAGE_WRAPPER";

/// Where cargo has put xtask before the compiler, becomes the compiler with one more `--cfg`.
pub(crate) fn run_as_compiler_wrapper() -> Option<ExitCode> {
    std::env::var_os(WRAPPER_VARIABLE)?;
    let mut words = std::env::args_os().skip(1);
    let compiler = words.next().unwrap_or_else(|| OsString::from("rustc"));
    let error = Command::new(&compiler).args(words).args(["--cfg", "labwire_sabotage"]).exec();
    eprintln!("error: failed to start {}: {error}", compiler.display());
    Some(ExitCode::FAILURE)
}

/// Builds the binary, and the simulator beside it, and gives its path. Build messages go to stderr.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let wrapper = std::env::current_exe().context("failed to find xtask itself")?;
    let shared = target_directory()?;
    let finished = shared.join("sabotage");
    run::succeed(
        run::cargo()
            .current_dir(root()?)
            .args(["build", "--package", "labwire", "--bin", "labwire"])
            .args(["--package", "labwire-proof", "--bin", "labwire-simulate"])
            .env("RUSTC_WORKSPACE_WRAPPER", &wrapper)
            .env(WRAPPER_VARIABLE, "1")
            .env("CARGO_BUILD_BUILD_DIR", &shared)
            .env("CARGO_TARGET_DIR", &finished),
    )?;
    let binary = finished.join("debug/labwire");
    ensure!(binary.is_file(), "cargo built no {}", binary.display());
    Ok(binary)
}

fn target_directory() -> anyhow::Result<PathBuf> {
    let output = run::cargo()
        .current_dir(root()?)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("failed to start cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let directory =
        metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(directory.into())
}
