//! `labwire check`: site configurations and driver profiles, every problem at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use labwire_config::SiteConfig;
use labwire_driver::Library;
use labwire_engine::Settings;
use labwire_schema::{Source, has_errors};
use serde_json::json;

use crate::arguments::{CONFIG_DEFAULT, Check};
use crate::driver::{self, Ran};
use crate::exit::{Exit, Failure, Outcome};
use crate::findings::Findings;
use crate::library::{library, read_source, with_codes};
use crate::show::{count, json_lines};

pub(crate) fn check(arguments: &Check) -> Outcome {
    let path = arguments.file.clone().or_else(|| arguments.config.clone());
    let path = path.unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    let source = read_source(&path)?;
    if arguments.config.is_some() || arguments.file.is_none() || labwire_config::is_site_file(&source.text) {
        check_site(&source, arguments.json)
    } else {
        driver::check_file(&path, &source, arguments.json)
    }
}

fn check_site(source: &Source, as_json: bool) -> Outcome {
    let mut findings = Findings::default();
    let checked = read(source, &mut findings)?;
    let (settings, ran) = match checked {
        Some(Site { settings, ran, .. }) => (Some(settings), ran),
        None => (None, BTreeMap::new()),
    };
    let good = settings.is_some() && !findings.are_errors();
    let connections = settings.map(|settings| settings.connections).unwrap_or_default();
    let mut out = io::stdout().lock();
    if as_json {
        let mut lines = findings.lines();
        for connection in &connections {
            let plan = &connection.plan;
            let Ran { passed, failed, absent, .. } = ran.get(&plan.id).cloned().unwrap_or_default();
            lines.push(json!({
                "type": "connection", "connection": connection.name, "driver": plan.id,
                "driver_version": plan.version,
                "checks": { "passed": passed, "failed": failed, "absent": absent },
            }));
        }
        lines.push(json!({
            "type": "summary", "file": source.name, "good": good, "connections": connections.len(),
        }));
        json_lines(&mut out, &lines)?;
    } else {
        eprint!("{}", findings.text());
        let mut seen = BTreeSet::new();
        for connection in &connections {
            let plan = &connection.plan;
            writeln!(out, "connection `{}`: {} {}", connection.name, plan.id, plan.version)?;
            if let Some(ran) = ran.get(&plan.id).filter(|_| seen.insert(plan.id.clone())) {
                writeln!(out, "  {ran}")?;
            }
        }
        if good {
            let connections = count(connections.len(), "connection");
            writeln!(out, "{} is good: {connections}", source.name)?;
        }
    }
    if good { Ok(()) } else { Err(Failure::told(Exit::Config)) }
}

/// A site file with everything that it names, without an error anywhere.
pub(crate) struct Site {
    pub(crate) config: SiteConfig,
    pub(crate) settings: Settings,
    /// What became of the checks of each driver profile, by its id.
    pub(crate) ran: BTreeMap<String, Ran>,
}

/// Reads a site file, compiles the profiles that it names and runs their checks. A failed check is a
/// finding beside the site, anything else that is wrong leaves none.
pub(crate) fn read(source: &Source, findings: &mut Findings) -> Result<Option<Site>, Failure> {
    let Some((config, library)) = load(source, findings)? else { return Ok(None) };
    let Some(settings) = compile(&config, &library, findings) else { return Ok(None) };
    let own = labwire_config::drivers_directory(source);
    let mut ran = BTreeMap::new();
    for connection in &settings.connections {
        let plan = &connection.plan;
        if ran.contains_key(&plan.id) {
            continue;
        }
        // A profile that compiles may still deserve a word.
        for report in library.compile(&plan.id).into_iter().flat_map(|compiled| compiled.reports) {
            findings.file(report.source, report.problems);
        }
        let found = driver::run_checks(plan, Path::new("fixtures"), own.as_deref())?;
        for difference in &found.differences {
            findings.sentence(difference.clone());
        }
        if found.failed > 0 {
            findings.sentence(format!("{}: a [[check]] of its driver profiles fails", source.name));
        }
        ran.insert(plan.id.clone(), found);
    }
    Ok(Some(Site { config, settings, ran }))
}

/// Reads and checks a site file with the profiles that it can name.
fn load(source: &Source, findings: &mut Findings) -> Result<Option<(SiteConfig, Library)>, Failure> {
    let directory = labwire_config::drivers_directory(source);
    let library = library(directory.as_deref().filter(|directory| directory.is_dir()))?;
    let library = match labwire_config::codes_directory(source) {
        Some(directory) => match with_codes(library, &directory, findings)? {
            Some(library) => library,
            None => return Ok(None),
        },
        None => library,
    };
    let names: BTreeSet<String> = library.ids().into_iter().map(str::to_owned).collect();
    let (site, problems) = labwire_config::load(source, &names);
    let site = site.filter(|_| !has_errors(&problems));
    findings.file(source.clone(), problems);
    Ok(site.map(|site| (site, library)))
}

fn compile(site: &SiteConfig, library: &Library, findings: &mut Findings) -> Option<Settings> {
    match Settings::from_site(site, library) {
        Ok(settings) => Some(settings),
        Err(bad) => {
            for profile in bad {
                findings.sentence(format!(
                    "the driver profile of connection `{}` cannot be used",
                    profile.connection
                ));
                profile.problems.into_iter().for_each(|(source, problems)| findings.file(source, problems));
                profile.sentences.into_iter().for_each(|sentence| findings.sentence(sentence));
            }
            None
        }
    }
}

/// The site file with its driver profiles compiled. Problems are printed.
pub(crate) fn load_site(path: &Path) -> Result<(SiteConfig, Settings), Failure> {
    let source = read_source(path)?;
    let mut findings = Findings::default();
    let loaded = load(&source, &mut findings)?
        .and_then(|(site, library)| compile(&site, &library, &mut findings).map(|settings| (site, settings)));
    eprint!("{}", findings.text());
    loaded.ok_or_else(|| Failure::told(Exit::Config))
}

/// The site file alone, for commands that only want to know where things are.
pub(crate) fn load_site_alone(path: &Path) -> Result<SiteConfig, Failure> {
    let source = read_source(path)?;
    let mut findings = Findings::default();
    let loaded = load(&source, &mut findings)?;
    eprint!("{}", findings.text());
    loaded.map(|(site, _)| site).ok_or_else(|| Failure::told(Exit::Config))
}
