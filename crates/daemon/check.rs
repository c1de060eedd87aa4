//! `labwire check`: site configurations and driver profiles, every problem at once.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use labwire_config::SiteConfig;
use labwire_driver::Library;
use labwire_engine::Settings;
use labwire_schema::{Source, has_errors, render};

use crate::arguments::{CONFIG_DEFAULT, Check};
use crate::driver;
use crate::exit::{Exit, Failure, Outcome};
use crate::library::{library, read_source, with_codes};

pub(crate) fn check(arguments: &Check) -> Outcome {
    let path = arguments.file.clone().or_else(|| arguments.config.clone());
    let path = path.unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    let source = read_source(&path)?;
    if arguments.config.is_some() || arguments.file.is_none() || labwire_config::is_site_file(&source.text) {
        check_site(&source)
    } else {
        driver::check_file(&path, &source)
    }
}

fn check_site(source: &Source) -> Outcome {
    let (site, library) = load(source)?;
    let settings = compile(&site, &library)?;
    let own = labwire_config::drivers_directory(source);
    let mut out = io::stdout().lock();
    let mut failed = false;
    let mut seen = BTreeSet::new();
    for connection in &settings.connections {
        let plan = &connection.plan;
        writeln!(out, "connection `{}`: {} {}", connection.name, plan.id, plan.version)?;
        if seen.insert(plan.id.clone()) {
            for report in library.compile(&plan.id).into_iter().flat_map(|compiled| compiled.reports) {
                eprint!("{}", render(&report.source, &report.problems));
            }
            let ran = driver::run_checks(plan, Path::new("fixtures"), own.as_deref())?;
            failed |= ran.failed > 0;
            writeln!(out, "  {ran}")?;
        }
    }
    if failed {
        return Err(Failure::new(
            Exit::Config,
            format!("{}: a [[check]] of its driver profiles fails", source.name),
        ));
    }
    writeln!(out, "{} is good: {} connections", source.name, site.connections.len())?;
    Ok(())
}

/// Reads and checks a site file with the profiles that it can name. Problems are printed.
fn load(source: &Source) -> Result<(SiteConfig, Library), Failure> {
    let directory = labwire_config::drivers_directory(source);
    let library = library(directory.as_deref().filter(|directory| directory.is_dir()))?;
    let library = match labwire_config::codes_directory(source) {
        Some(directory) => with_codes(library, &directory)?,
        None => library,
    };
    let names: BTreeSet<String> = library.ids().into_iter().map(str::to_owned).collect();
    let (site, problems) = labwire_config::load(source, &names);
    eprint!("{}", render(source, &problems));
    match site {
        Some(site) if !has_errors(&problems) => Ok((site, library)),
        _ => Err(Failure::told(Exit::Config)),
    }
}

fn compile(site: &SiteConfig, library: &Library) -> Result<Settings, Failure> {
    Settings::from_site(site, library).map_err(|bad| {
        for profile in &bad {
            eprintln!("labwire: the driver profile of connection `{}` does not compile", profile.connection);
            for (source, problems) in &profile.problems {
                eprint!("{}", render(source, problems));
            }
        }
        Failure::told(Exit::Config)
    })
}

/// The site file with its driver profiles compiled.
pub(crate) fn load_site(path: &Path) -> Result<(SiteConfig, Settings), Failure> {
    let source = read_source(path)?;
    let (site, library) = load(&source)?;
    let settings = compile(&site, &library)?;
    Ok((site, settings))
}

/// The site file alone, for commands that only want to know where things are.
pub(crate) fn load_site_alone(path: &Path) -> Result<SiteConfig, Failure> {
    let source = read_source(path)?;
    load(&source).map(|(site, _)| site)
}
