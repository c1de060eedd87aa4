//! Lists the profiles under `drivers/` for `include_str!`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let drivers = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../drivers").canonicalize()?;
    println!("cargo::rerun-if-changed={}", drivers.display());
    let mut list = String::from("pub(crate) static EMBEDDED: &[(&str, &str)] = &[\n");
    for vendor in sorted(&drivers)?.into_iter().filter(|path| path.is_dir()) {
        println!("cargo::rerun-if-changed={}", vendor.display());
        for profile in sorted(&vendor)? {
            if profile.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let (vendor, model) = (name(&vendor).unwrap_or_default(), name(&profile).unwrap_or_default());
            writeln!(
                list,
                "    ({:?}, include_str!({:?})),",
                format!("{vendor}/{model}"),
                profile.display().to_string()
            )?;
        }
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), list)?;
    Ok(())
}

fn sorted(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    Ok(paths)
}
