//! Driver profiles from the binary and from a directory.

use std::path::Path;

use labwire_driver::{Library, Plan};
use labwire_schema::Source;

use crate::exit::{Exit, Failure};
use crate::findings::Findings;

/// Largest driver profile that is read, in bytes.
const PROFILE_BYTES_MAX: u64 = 1024 * 1024;

/// The built-in profiles, and those of a directory over them.
pub(crate) fn library(directory: Option<&Path>) -> Result<Library, Failure> {
    let library = Library::embedded();
    match directory {
        None => Ok(library),
        Some(directory) => {
            let mut files = Vec::new();
            collect(directory, directory, &mut files)?;
            files.sort_by(|one, other| one.0.cmp(&other.0));
            Ok(library.with_directory(files))
        }
    }
}

/// A site's code tables laid over a library; nothing where a finding keeps them from being used.
pub(crate) fn with_codes(
    library: Library,
    directory: &Path,
    findings: &mut Findings,
) -> Result<Option<Library>, Failure> {
    let entries =
        std::fs::read_dir(directory).map_err(|error| Failure::io("read", directory.display(), &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Failure::io("read", directory.display(), &error))?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            paths.push(path);
        }
    }
    paths.sort();
    let files = paths.iter().map(|path| read_source(path)).collect::<Result<Vec<Source>, Failure>>()?;
    let library = library.with_codes(files);
    let reports = library.code_reports();
    let good = reports.is_empty();
    reports.into_iter().for_each(|report| findings.file(report.source, report.problems));
    Ok(good.then_some(library))
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<(String, Source)>) -> Result<(), Failure> {
    let entries =
        std::fs::read_dir(directory).map_err(|error| Failure::io("read", directory.display(), &error))?;
    for entry in entries {
        let path = entry.map_err(|error| Failure::io("read", directory.display(), &error))?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push((id_of(root, &path), read_source(&path)?));
        }
    }
    Ok(())
}

/// `vendor/model` of a profile below its directory.
fn id_of(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path).with_extension("");
    below.to_string_lossy().replace('\\', "/")
}

/// Reads a text file under the name that the person gave it.
pub(crate) fn read_source(path: &Path) -> Result<Source, Failure> {
    let size = std::fs::metadata(path).map_err(|error| Failure::io("read", path.display(), &error))?.len();
    if size > PROFILE_BYTES_MAX {
        return Err(Failure::new(Exit::Data, format!("{} is too large for a file of ours", path.display())));
    }
    let bytes = std::fs::read(path).map_err(|error| Failure::io("read", path.display(), &error))?;
    Ok(Source::decode(path.display().to_string(), &bytes))
}

/// Compiles one profile of the library; its problems are printed.
pub(crate) fn plan(library: &Library, id: &str) -> Result<Plan, Failure> {
    let Some(compiled) = library.compile(id) else {
        let ids = library.ids();
        let near = labwire_schema::suggest(id, ids.iter().copied()).map_or_else(
            || "`labwire driver list` shows them all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Failure::new(Exit::Usage, format!("there is no driver profile `{id}`; {near}")));
    };
    for report in &compiled.reports {
        eprint!("{}", labwire_schema::render(&report.source, &report.problems));
    }
    compiled.plan.ok_or_else(|| Failure::told(Exit::Config))
}
