//! `labwire capture`: capture files shown and made.

use std::fs::OpenOptions;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use labwire_capture::{Body, Content, Entry, Header, Import, Writer, escape, import};
use labwire_workbench::Redactor;
use serde_json::json;

use crate::arguments::{Capture, CaptureImport, CaptureRedact, CaptureShow};
use crate::decode::read;
use crate::exit::{Exit, Failure, Outcome};
use crate::library::library;
use crate::show::harmless;

pub(crate) fn capture(command: &Capture) -> Outcome {
    match command {
        Capture::Show(arguments) => show(arguments),
        Capture::Import(arguments) => make(arguments),
        Capture::Redact(arguments) => redact(arguments),
    }
}

fn show(arguments: &CaptureShow) -> Outcome {
    let imported = import(&read(&arguments.file)?);
    let mut out = io::stdout().lock();
    for note in &imported.notes {
        eprintln!("labwire: {}: {}", arguments.file.display(), harmless(&note.text));
    }
    let entries = match imported.body {
        Body::Wire(entries) => entries,
        Body::Records(bytes) => vec![Entry::to_host(core::time::Duration::ZERO, bytes)],
    };
    if !arguments.json
        && let Some(header) = &imported.header
    {
        let driver = header.driver.as_deref().unwrap_or("-");
        let (driver, link) = (harmless(driver), harmless(&header.link));
        writeln!(out, "driver {driver}, link {link}, started {}", header.started)?;
    }
    for entry in &entries {
        let seconds = entry.offset.as_secs_f64();
        if arguments.json {
            let direction = match entry.content {
                Content::ToHost(_) => "to-host",
                Content::ToAnalyzer(_) => "to-analyzer",
                Content::Event(_) => "event",
            };
            let text = escape(entry.bytes());
            writeln!(
                out,
                "{}",
                json!({ "type": "entry", "seconds": seconds, "direction": direction, "text": text })
            )?;
        } else {
            writeln!(out, "{seconds:>9.3} {} {}", entry.direction().mark(), escape(entry.bytes()))?;
        }
    }
    Ok(())
}

fn make(arguments: &CaptureImport) -> Outcome {
    let imported = import(&read(&arguments.file)?);
    for note in &imported.notes {
        eprintln!("labwire: {}: {}", arguments.file.display(), harmless(&note.text));
    }
    let Body::Wire(entries) = imported.body else {
        let what = format!(
            "{} holds messages without framing; nothing of a line is in it",
            arguments.file.display()
        );
        return Err(Failure::new(Exit::Data, what));
    };
    if entries.is_empty() {
        let what = format!("{} holds nothing of a line", arguments.file.display());
        return Err(Failure::new(Exit::Data, what));
    }
    let mut header = imported.header.unwrap_or_else(|| Header::new("file", Timestamp::now()));
    if let Some(driver) = &arguments.driver {
        header = header.with_driver(driver.clone());
    }
    Ok(write(io::stdout().lock(), &header, &entries)?)
}

fn write(out: impl Write, header: &Header, entries: &[Entry]) -> io::Result<()> {
    let mut writer = Writer::new(out, header)?;
    for entry in entries {
        writer.entry(entry)?;
    }
    writer.flush()
}

fn redact(arguments: &CaptureRedact) -> Outcome {
    if arguments.files.len() > 1 && arguments.directory.is_none() {
        return Err(Failure::new(Exit::Usage, "several files need a --directory to go to"));
    }
    let library = library(arguments.from.drivers.as_deref())?;
    if let Some(driver) = &arguments.driver {
        crate::library::plan(&library, driver)?;
    }
    // The hasher's own chance comes from the system; nothing keeps it.
    let chance = || RandomState::new().build_hasher().finish();
    let mut redactor = Redactor::new(&library, [chance(), chance()], arguments.keep_comments);
    for path in &arguments.files {
        let redacted = redactor.file(&read(path)?, arguments.driver.as_deref());
        for warning in &redacted.warnings {
            eprintln!("labwire: {}: {warning}", path.display());
        }
        match &arguments.directory {
            None => put(io::stdout().lock(), &redacted.import)?,
            Some(directory) => put_file(directory, path, &redacted.import)?,
        }
        eprintln!(
            "labwire: {}: {} words have stand-ins; read it before you pass it on",
            path.display(),
            redacted.words
        );
    }
    Ok(())
}

fn put(mut out: impl Write, imported: &Import) -> io::Result<()> {
    match &imported.body {
        Body::Records(bytes) => {
            out.write_all(bytes)?;
            out.flush()
        }
        Body::Wire(entries) => {
            let header = imported.header.clone();
            let header = header.unwrap_or_else(|| Header::new("file", Timestamp::UNIX_EPOCH));
            write(out, &header, entries)
        }
    }
}

fn put_file(directory: &Path, original: &Path, imported: &Import) -> Outcome {
    let Some(name) = original.file_name() else {
        return Err(Failure::new(Exit::Usage, format!("{} has no name to go by", original.display())));
    };
    let path = directory.join(name);
    let failed = |error: io::Error| Failure::io("write", path.display(), &error);
    let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    put(BufWriter::new(file), imported).map_err(failed)
}
