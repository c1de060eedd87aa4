//! `labwire driver identify | new | diff | docs`: making the next profile.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use labwire_driver::{Library, Plan, Source};
use labwire_schema::{has_errors, render};
use labwire_workbench::{Difference, File, Sample, candidates, decode_with, infer, page};
use serde_json::Value;

use crate::arguments::{DriverDiff, DriverIdentify, DriverNew, DriverShow};
use crate::decode::{read, zone};
use crate::driver::id_of;
use crate::exit::{Exit, Failure, Outcome};
use crate::library::{library, plan, read_source};
use crate::show::{Row, cell, harmless, json_lines, table};

pub(crate) fn identify(arguments: &DriverIdentify) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let mut out = io::stdout().lock();
    let mut unknown = false;
    for path in &arguments.files {
        let bytes = read(path)?;
        let name = path.display().to_string();
        let file = File { name: &name, bytes: &bytes, driver: None, zone: &TimeZone::UTC };
        let found = candidates(&library, &file);
        unknown |= found.is_empty();
        if arguments.json {
            for candidate in &found {
                let mut line = candidate.line();
                line["file"] = name.clone().into();
                writeln!(out, "{line}")?;
            }
            continue;
        }
        match found.is_empty() {
            true => writeln!(out, "{name}: no profile fits; `labwire driver new` drafts one")?,
            false => writeln!(out, "{name}:")?,
        }
        for candidate in &found {
            writeln!(out, "  {}", candidate.id)?;
            for why in candidate.why() {
                writeln!(out, "    {}", harmless(&why))?;
            }
        }
    }
    if unknown { Err(Failure::told(Exit::Data)) } else { Ok(()) }
}

pub(crate) fn new(arguments: &DriverNew) -> Outcome {
    let id = &arguments.driver;
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !id.split_once('/').is_some_and(|(vendor, model)| is_word(vendor) && is_word(model)) {
        let told = format!(
            "`{id}` is no id of a profile; write `vendor/model` in small letters, digits and hyphens"
        );
        return Err(Failure::new(Exit::Usage, told));
    }
    let library = Library::embedded();
    let mut captures = Vec::new();
    for path in &arguments.from {
        // A check names its capture as seen from the profile's own directory.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        captures.push((name, read(path)?));
    }
    let samples: Vec<Sample<'_>> = captures.iter().map(|(name, bytes)| Sample { name, bytes }).collect();
    let draft = infer(&library, id, &samples).map_err(|error| Failure::new(Exit::Data, error.to_string()))?;
    let source = Source::new(format!("{id}.toml"), draft.text.as_str());
    let compiled = library.compile_source(id, &source);
    for report in compiled.reports.iter().filter(|report| has_errors(&report.problems)) {
        eprint!("{}", render(&report.source, &report.problems));
    }
    match &arguments.out {
        None => io::stdout().lock().write_all(draft.text.as_bytes())?,
        Some(path) => write_new(path, &draft.text)?,
    }
    for finding in &draft.findings {
        eprintln!("labwire: {}", harmless(finding));
    }
    let Some(plan) = compiled.plan.map(Arc::new) else {
        return Err(Failure::new(Exit::Software, "the draft does not compile; mend what is shown above"));
    };
    for (name, bytes) in &captures {
        let file = File { name, bytes, driver: None, zone: &TimeZone::UTC };
        let (results, held, ignored) = decode_with(&plan, Vec::new(), &file).counts();
        eprintln!("labwire: {name}: {results} results, {held} held, {ignored} ignored");
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Outcome {
    let failed = |error: io::Error| Failure::io("write", path.display(), &error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// A profile of the library, or a file that stands for itself.
fn named(library: &Library, name: &str) -> Result<Plan, Failure> {
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "toml") {
        return plan(library, name);
    }
    let compiled = library.compile_source(&id_of(path), &read_source(path)?);
    for report in &compiled.reports {
        eprint!("{}", render(&report.source, &report.problems));
    }
    compiled.plan.ok_or_else(|| Failure::told(Exit::Config))
}

pub(crate) fn diff(arguments: &DriverDiff) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let zone = zone(&arguments.time_zone)?;
    let old = Arc::new(named(&library, &arguments.old)?);
    let new = Arc::new(named(&library, &arguments.new)?);
    let mut difference = Difference::new();
    for path in &arguments.captures {
        let bytes = read(path)?;
        let name = path.display().to_string();
        let file = File { name: &name, bytes: &bytes, driver: None, zone: &zone };
        let (one, other) = (decode_with(&old, Vec::new(), &file), decode_with(&new, Vec::new(), &file));
        if one.messages.len() != other.messages.len() {
            let told = format!(
                "{name}: {} finds {} messages and {} finds {}: their [link] differs, so they cannot be compared message by message",
                old.id,
                one.messages.len(),
                new.id,
                other.messages.len()
            );
            return Err(Failure::new(Exit::Data, told));
        }
        for (place, (one, other)) in one.messages.iter().zip(&other.messages).enumerate() {
            difference.decoded(&format!("{name}:{}", place + 1), &one.decoded, &other.decoded);
        }
    }
    Ok(show(&difference.into_lines(), arguments.json)?)
}

/// Prints differences: every change, then how many of each kind.
fn show(lines: &[Value], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return json_lines(&mut out, lines);
    }
    let of = |kind: &'static str| lines.iter().filter(move |line| line["type"] == kind);
    let keys = ["message", "record", "analyzer_test", "key", "old", "new"];
    let rows: Vec<Row> = of("change").map(|line| keys.iter().map(|key| cell(line, key)).collect()).collect();
    if !rows.is_empty() {
        table(&mut out, &["MESSAGE", "RECORD", "TEST", "WHAT", "OLD", "NEW"], &rows)?;
        writeln!(out)?;
        let keys = ["count", "analyzer_test", "key"];
        let rows: Vec<Row> =
            of("kind").map(|line| keys.iter().map(|key| cell(line, key)).collect()).collect();
        table(&mut out, &["CHANGES", "TEST", "WHAT"], &rows)?;
        writeln!(out)?;
    }
    for line in of("summary") {
        writeln!(
            out,
            "messages: {}, changed: {}; observations: {}; changes: {}, of which not shown: {}",
            line["messages"],
            line["changed_messages"],
            line["observations"],
            line["changes"],
            line["not_shown"]
        )?;
    }
    Ok(())
}

pub(crate) fn docs(arguments: &DriverShow) -> Outcome {
    let library = library(arguments.from.drivers.as_deref())?;
    let plan = plan(&library, &arguments.driver)?;
    Ok(io::stdout().lock().write_all(page(&plan).as_bytes())?)
}
