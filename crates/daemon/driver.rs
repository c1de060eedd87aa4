//! `labwire driver`: profiles listed, shown, checked and tested.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use labwire_driver::{Library, Plan};
use labwire_schema::Source;
use labwire_workbench::{File, decode_with, differences, expected_path};
use serde_json::{Value, json};

use crate::arguments::{Driver, DriverCheck, DriverList, DriverShow, DriverTest};
use crate::exit::{Exit, Failure, Outcome};
use crate::findings::Findings;
use crate::library::{library, plan, read_source};
use crate::show::{Row, count, harmless, json_lines, table};
use crate::workbench;

pub(crate) fn driver(command: &Driver) -> Outcome {
    match command {
        Driver::List(arguments) => list(arguments),
        Driver::Show(arguments) => show(arguments),
        Driver::Check(arguments) => check(arguments),
        Driver::Test(arguments) => test(arguments),
        Driver::Identify(arguments) => workbench::identify(arguments),
        Driver::New(arguments) => workbench::new(arguments),
        Driver::Diff(arguments) => workbench::diff(arguments),
        Driver::Docs(arguments) => workbench::docs(arguments),
    }
}

fn line(plan: &Plan) -> Value {
    json!({
        "driver": plan.id,
        "version": plan.version,
        "vendor": plan.vendor,
        "model": plan.model,
        "models": plan.models,
        "kind": plan.kind,
        "protocol": plan.protocol.as_str(),
        "dialect": plan.link.dialect.as_str(),
        "evidence": plan.evidence,
        "checks": plan.checks.len(),
        "holds_everything": plan.no_profile,
    })
}

fn list(arguments: &DriverList) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let mut lines = Vec::new();
    for id in library.ids() {
        lines.push(line(&plan(&library, id)?));
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        return Ok(json_lines(&mut out, &lines)?);
    }
    let keys = ["driver", "kind", "protocol", "dialect", "evidence", "vendor"];
    let rows: Vec<Row> = lines
        .iter()
        .map(|line| {
            let models: Vec<&str> =
                line["models"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let cells = keys.iter().map(|key| crate::show::cell(line, key));
            cells.chain([harmless(&models.join(", "))]).collect()
        })
        .collect();
    Ok(table(&mut out, &["DRIVER", "KIND", "PROTOCOL", "DIALECT", "EVIDENCE", "VENDOR", "MODELS"], &rows)?)
}

fn show(arguments: &DriverShow) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let plan = plan(&library, &arguments.driver)?;
    let mut object = line(&plan);
    object["sources"] = plan.sources.clone().into();
    object["notes"] = plan.notes.clone().into();
    object["checks"] = plan.checks.iter().map(|check| check.capture.clone()).collect::<Vec<_>>().into();
    let tests: Vec<Value> = plan
        .tests
        .iter()
        .map(|(code, test)| json!({ "code": code, "name": test.name, "loinc": test.loinc, "unit": test.unit, "lis": test.lis }))
        .collect();
    object["tests"] = tests.clone().into();
    let mut out = io::stdout().lock();
    if arguments.json {
        return Ok(json_lines(&mut out, &[object])?);
    }
    writeln!(out, "{}  {} {} ({})", plan.id, plan.vendor, plan.model, plan.kind)?;
    if plan.models.len() > 1 {
        writeln!(out, "models    {}", plan.models.join(", "))?;
    }
    writeln!(out, "version   {}", plan.version)?;
    writeln!(out, "protocol  {} over {}", plan.protocol.as_str(), plan.link.dialect.as_str())?;
    writeln!(out, "evidence  {}", plan.evidence)?;
    for source in &plan.sources {
        writeln!(out, "source    {source}")?;
    }
    if let Some(notes) = &plan.notes {
        writeln!(out, "\n{}", notes.trim())?;
    }
    if !tests.is_empty() {
        let keys = ["code", "name", "loinc", "unit", "lis"];
        let rows: Vec<Row> =
            tests.iter().map(|test| keys.iter().map(|key| crate::show::cell(test, key)).collect()).collect();
        writeln!(out)?;
        table(&mut out, &["CODE", "NAME", "LOINC", "UNIT", "LIS"], &rows)?;
    }
    for check in &plan.checks {
        writeln!(out, "check     {}", check.capture)?;
    }
    Ok(())
}

/// Checks a profile file and runs those of its `[[check]]`s whose captures are there.
pub(crate) fn check_file(path: &Path, source: &Source, as_json: bool) -> Outcome {
    let mut findings = Findings::default();
    let plan = compile_file(path, source, &mut findings);
    let beside = path.parent().unwrap_or_else(|| Path::new("."));
    let ran = match &plan {
        Some(plan) => run_checks_in(plan, &[Path::new("fixtures"), beside])?,
        None => Ran::default(),
    };
    for difference in &ran.differences {
        findings.sentence(difference.clone());
    }
    let good = plan.is_some() && ran.failed == 0;
    let mut out = io::stdout().lock();
    if as_json {
        let mut lines = findings.lines();
        lines.push(file_line(path, plan.as_deref(), good, &ran));
        json_lines(&mut out, &lines)?;
    } else {
        eprint!("{}", findings.text());
        if good {
            writeln!(out, "{} is good: {ran}", path.display())?;
        }
    }
    if good { Ok(()) } else { Err(Failure::told(Exit::Config)) }
}

/// A profile that stands for itself; nothing where it has errors.
fn compile_file(path: &Path, source: &Source, findings: &mut Findings) -> Option<Arc<Plan>> {
    let compiled = Library::embedded().compile_source(&id_of(path), source);
    let wrong = compiled.has_errors();
    compiled.reports.into_iter().for_each(|report| findings.file(report.source, report.problems));
    compiled.plan.filter(|_| !wrong).map(Arc::new)
}

fn file_line(path: &Path, plan: Option<&Plan>, good: bool, ran: &Ran) -> Value {
    json!({
        "type": "driver",
        "file": path.display().to_string(),
        "driver": id_of(path),
        "driver_version": plan.map(|plan| &plan.version),
        "good": good,
        "checks": { "passed": ran.passed, "failed": ran.failed, "absent": ran.absent },
    })
}

/// `vendor/model` of a profile's path.
pub(crate) fn id_of(path: &Path) -> String {
    let stem = path.with_extension("");
    let mut parts: Vec<_> =
        stem.iter().rev().take(2).map(|part| part.to_string_lossy().into_owned()).collect();
    parts.reverse();
    parts.join("/")
}

fn check(arguments: &DriverCheck) -> Outcome {
    let mut findings = Findings::default();
    let mut lines = Vec::new();
    let library = Library::embedded();
    if arguments.files.is_empty() {
        for id in library.ids() {
            let Some(compiled) = library.compile(id) else { continue };
            let plan = compiled.plan;
            compiled.reports.into_iter().for_each(|report| findings.file(report.source, report.problems));
            let file = PathBuf::from(format!("drivers/{id}.toml"));
            lines.push(file_line(&file, plan.as_ref(), plan.is_some(), &Ran::default()));
        }
    }
    for path in &arguments.files {
        let source = read_source(path)?;
        let plan = compile_file(path, &source, &mut findings);
        lines.push(file_line(path, plan.as_deref(), plan.is_some(), &Ran::default()));
    }
    let good = lines.iter().all(|line| line["good"] == true);
    let mut out = io::stdout().lock();
    if arguments.json {
        json_lines(&mut out, &findings.lines())?;
        for line in &mut lines {
            // `driver test` runs them.
            line["checks"] = Value::Null;
        }
        json_lines(&mut out, &lines)?;
    } else {
        eprint!("{}", findings.text());
        if arguments.files.is_empty() {
            writeln!(out, "{}", count(lines.len(), "built-in driver profile"))?;
        }
    }
    if good { Ok(()) } else { Err(Failure::told(Exit::Config)) }
}

/// What became of a profile's checks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ran {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Their captures are not there.
    pub(crate) absent: usize,
    /// A sentence each, of those that failed.
    pub(crate) differences: Vec<String>,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", count(self.passed, "check"))?;
        if self.failed > 0 {
            write!(f, ", {} FAILED", self.failed)?;
        }
        if self.absent > 0 {
            write!(f, ", {} not run (their captures are not here)", self.absent)?;
        }
        Ok(())
    }
}

/// Runs a profile's checks whose captures are below `fixtures`, or beside the profile in the
/// directory `own`.
pub(crate) fn run_checks(plan: &Arc<Plan>, fixtures: &Path, own: Option<&Path>) -> Result<Ran, Failure> {
    let beside = own.map(|own| beside(&plan.id, own));
    let places: Vec<&Path> = core::iter::once(fixtures).chain(beside.as_deref()).collect();
    run_checks_in(plan, &places)
}

/// Where the profile of this id lies in a directory of profiles.
fn beside(id: &str, own: &Path) -> PathBuf {
    own.join(id).parent().map_or_else(|| own.to_owned(), Path::to_owned)
}

fn run_checks_in(plan: &Arc<Plan>, places: &[&Path]) -> Result<Ran, Failure> {
    let mut ran = Ran::default();
    for check in &plan.checks {
        match run_one(plan, &check.capture, places)? {
            None => ran.absent += 1,
            Some(told) if told.is_empty() => ran.passed += 1,
            Some(told) => {
                ran.failed += 1;
                let of = |difference| format!("{} {}: {difference}", plan.id, check.capture);
                ran.differences.extend(told.into_iter().map(of));
            }
        }
    }
    Ok(ran)
}

/// The differences of one check; `None` when its capture is not there.
fn run_one(plan: &Arc<Plan>, capture: &str, places: &[&Path]) -> Result<Option<Vec<String>>, Failure> {
    let Some(path) = places.iter().map(|place| place.join(capture)).find(|path| path.is_file()) else {
        return Ok(None);
    };
    let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::io("read", path.display(), &error));
    let bytes = read(&path)?;
    let expected = PathBuf::from(expected_path(&path.display().to_string()));
    if !expected.is_file() {
        let told = format!(
            "{} is missing; make it with `labwire decode --json --driver {} {}` and read it as closely as if it were typed",
            expected.display(),
            plan.id,
            path.display()
        );
        return Err(Failure::new(Exit::Io, told));
    }
    let expected = read(&expected)?;
    let file = File { name: capture, bytes: &bytes, driver: Some(&plan.id), zone: &TimeZone::UTC };
    let decoded = decode_with(plan, Vec::new(), &file);
    Ok(Some(differences(&without_choice(&String::from_utf8_lossy(&expected)), &decoded.lines())))
}

/// Expected lines without how the profile was chosen: a check names it.
fn without_choice(expected: &str) -> String {
    let lines = expected.lines().map(|line| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(mut object)) if object.contains_key("identified_by") => {
            object.insert("identified_by".to_owned(), Value::Array(Vec::new()));
            format!("{}\n", Value::Object(object))
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn test(arguments: &DriverTest) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let ids: Vec<String> = if arguments.all {
        library.ids().into_iter().map(str::to_owned).collect()
    } else {
        arguments.profiles.clone()
    };
    let own = arguments.from.drivers.as_deref();
    if own.is_none() && !arguments.fixtures.is_dir() {
        let told = format!(
            "{} is no directory; --fixtures names the one with the captures",
            arguments.fixtures.display()
        );
        return Err(Failure::new(Exit::Io, told));
    }
    let (mut failed, mut absent) = (false, 0);
    let mut out = io::stdout().lock();
    for id in ids {
        let plan = Arc::new(plan(&library, &id)?);
        if arguments.json {
            for check in &plan.checks {
                let beside = own.map(|own| beside(&plan.id, own));
                let places: Vec<&Path> =
                    core::iter::once(arguments.fixtures.as_path()).chain(beside.as_deref()).collect();
                let told = run_one(&plan, &check.capture, &places)?;
                failed |= told.as_ref().is_some_and(|told| !told.is_empty());
                absent += usize::from(told.is_none());
                let line = json!({
                    "type": "check", "driver": plan.id, "capture": check.capture,
                    "ran": told.is_some(), "differences": told.unwrap_or_default(),
                });
                writeln!(out, "{line}")?;
            }
        } else {
            let ran = run_checks(&plan, &arguments.fixtures, own)?;
            failed |= ran.failed > 0;
            absent += ran.absent;
            for difference in &ran.differences {
                eprintln!("labwire: {difference}");
            }
            writeln!(out, "{}: {ran}", plan.id)?;
        }
    }
    if failed {
        return Err(Failure::told(Exit::Data));
    }
    if absent > 0 {
        let told = format!(
            "{} not found: what was not run is not proven; --fixtures names the directory",
            count(absent, "capture")
        );
        return Err(Failure::new(Exit::Unavailable, told));
    }
    Ok(())
}
