//! One file of any kind to canonical results.

use core::time::Duration;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_capture::{Body, Entry, Format, Import, import};
use labwire_driver::{Context, Dialect, Library, Plan, Protocol};
use labwire_message::{Index, Syntax, hl7, lis02};
use labwire_model::{DecodedMessage, Diagnostic, Disposition, MessageKind, OutcomeLine, Provenance};
use labwire_session::Note;
use serde_json::{Value, json};

use crate::conversation::{Heard, hear};
use crate::dump::{ended, unframe};
use crate::identify::identify_body;
use crate::texts::sent;

/// What is to be decoded.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name, for reports.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
    /// The driver profile to read it with; `None` to identify the analyzer.
    pub driver: Option<&'a str>,
    /// Zone of the analyzer's clock.
    pub zone: &'a TimeZone,
}

/// Why a file could not be decoded at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// There is no driver profile of that id.
    UnknownDriver(String),
    /// The driver profile does not compile.
    BadDriver(String),
    /// Nothing in the file looks like any message that we know.
    Unrecognised,
}

/// One message of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMessage {
    /// Whether its end was there.
    pub complete: bool,
    /// What the plan reads.
    pub decoded: DecodedMessage,
}

/// A decoded file.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The file's name.
    pub name: String,
    /// What kind of file it was taken for.
    pub format: Format,
    /// The profile that read it.
    pub driver: String,
    /// Its version.
    pub driver_version: String,
    /// Why this profile; empty when it was named.
    pub why: Vec<String>,
    /// The messages in order.
    pub messages: Vec<FileMessage>,
    /// Findings that lie in no message.
    pub diagnostics: Vec<Diagnostic>,
}

/// Decodes a file.
///
/// # Errors
/// [`DecodeError`]; content that is merely wrong is no error but a diagnostic.
pub fn decode(library: &Library, file: &File<'_>) -> Result<Decoded, DecodeError> {
    let Import { header, body, .. } = import(file.bytes);
    let named =
        file.driver.map(str::to_owned).or_else(|| header.as_ref().and_then(|header| header.driver.clone()));
    let (id, why) = match (file.driver, named) {
        (Some(_), Some(id)) => (id, Vec::new()),
        (None, Some(id)) => (id, vec!["the capture names it".to_owned()]),
        _ => {
            let best = identify_body(library, &body).into_iter().next().ok_or(DecodeError::Unrecognised)?;
            (best.id, best.why)
        }
    };
    let compiled = library.compile(&id).ok_or_else(|| DecodeError::UnknownDriver(id.clone()))?;
    let plan = compiled.plan.ok_or(DecodeError::BadDriver(id))?;
    Ok(decode_with(&Arc::new(plan), why, file))
}

/// Decodes a file with a compiled profile; `why` says how it was chosen.
#[must_use]
pub fn decode_with(plan: &Arc<Plan>, why: Vec<String>, file: &File<'_>) -> Decoded {
    let Import { format, header, body, notes } = import(file.bytes);
    let mut decoded = Decoded {
        name: file.name.to_owned(),
        format,
        driver: plan.id.clone(),
        driver_version: plan.version.clone(),
        why,
        messages: Vec::new(),
        diagnostics: notes
            .into_iter()
            .map(|note| Diagnostic::new("import", 0, 0, "", note_text(note.line, &note.text)))
            .collect(),
    };
    let context = Context { zone: file.zone };
    match &body {
        Body::Records(bytes) => decoded.read_text(plan, &context, bytes, 0),
        Body::Wire(entries) => {
            let is_conversation = matches!(format, Format::Capture | Format::Packets);
            let stream = sent(&body);
            let mended =
                if is_conversation || plan.link.dialect != Dialect::Bci { None } else { ended(&stream) };
            if let Some(stream) = mended {
                let reason =
                    "the last text ends behind its check, without ETX; it was read as if ETX had come";
                decoded.diagnostics.push(Diagnostic::new("end-added", stream.len() - 1, 0, "", reason));
                let entry = Entry::to_host(Duration::ZERO, stream);
                let heard = hear(Arc::clone(plan), file.zone, Timestamp::UNIX_EPOCH, &[entry]);
                decoded.take_conversation(plan, &context, false, heard);
            } else if is_conversation || plan.link.dialect != Dialect::Lis01 {
                let started = header.as_ref().map_or(Timestamp::UNIX_EPOCH, |header| header.started);
                let heard = hear(Arc::clone(plan), file.zone, started, entries);
                decoded.take_conversation(plan, &context, is_conversation, heard);
            } else {
                let unframed = unframe(&stream);
                decoded.diagnostics.extend(unframed.diagnostics);
                for text in &unframed.texts {
                    decoded.read_text(plan, &context, text, 0);
                }
            }
        }
    }
    decoded.tell_once("line-end");
    decoded
}

fn note_text(line: Option<usize>, text: &str) -> String {
    line.map_or_else(|| text.to_owned(), |line| format!("line {line}: {text}"))
}

impl Decoded {
    /// Takes what a host heard. Of a dump the end may simply not have been written down, so what
    /// is there is read like any other message.
    fn take_conversation(&mut self, plan: &Plan, context: &Context<'_>, is_whole: bool, heard: Vec<Heard>) {
        let mut settled = Vec::new();
        let mut broken = Vec::new();
        for one in heard {
            match one {
                Heard::Message { decoded, resolves, .. } => {
                    settled.extend(resolves.iter().map(|resolves| resolves.transmission));
                    self.messages.push(FileMessage { complete: true, decoded });
                }
                Heard::Incomplete { raw, .. } if !is_whole => {
                    self.messages.push(FileMessage { complete: false, decoded: plan.decode(&raw, context) });
                }
                Heard::Incomplete { transmission, decoded, .. } => {
                    broken.push((transmission, self.messages.len()));
                    self.messages.push(FileMessage { complete: false, decoded });
                }
                Heard::Note(Note::Fault(fault)) => self.diagnostics.push(Diagnostic::new(
                    fault.kind.code(),
                    usize::try_from(fault.at).unwrap_or(usize::MAX),
                    0,
                    "",
                    fault.to_string(),
                )),
                Heard::Note(_) => {}
                Heard::Close(reason) => {
                    self.diagnostics.push(Diagnostic::new("stream-closed", 0, 0, "", reason));
                }
            }
        }
        // A broken reception that a later message repeats or continues is in that message.
        for (transmission, place) in broken.into_iter().rev() {
            if settled.contains(&transmission) {
                self.messages.remove(place);
                self.diagnostics.push(Diagnostic::new(
                    "incomplete-settled",
                    0,
                    0,
                    "",
                    "a message broke off and was repeated or continued by a later one",
                ));
            }
        }
    }

    /// What is true of the file is said where it is met first, not of every message in it.
    fn tell_once(&mut self, code: &str) {
        let mut told = false;
        let of_messages = self.messages.iter_mut().map(|message| &mut message.decoded.diagnostics);
        for diagnostics in of_messages.chain([&mut self.diagnostics]) {
            diagnostics.retain(|found| found.code != code || !core::mem::replace(&mut told, true));
        }
    }

    fn read_text(&mut self, plan: &Plan, context: &Context<'_>, bytes: &[u8], at: usize) {
        let syntax = match plan.protocol {
            Protocol::Lis02 => Syntax::Lis02,
            Protocol::Hl7 | Protocol::Law => Syntax::Hl7,
            Protocol::Text => {
                let decoded = plan.decode(bytes, context);
                self.messages.push(FileMessage { complete: true, decoded });
                return;
            }
        };
        let mut index = Index::new();
        let view = index.scan(syntax, bytes);
        let split = match syntax {
            Syntax::Lis02 => lis02::messages(&view),
            Syntax::Hl7 => hl7::messages(&view),
        };
        for finding in &split.findings {
            self.diagnostics.push(Diagnostic::new(
                finding.code,
                at + finding.offset,
                finding.record,
                &finding.field.map(|field| field.to_string()).unwrap_or_default(),
                finding.text.clone(),
            ));
        }
        let extents: Vec<_> =
            split.messages.iter().map(|message| view.part(message.records.clone()).extent()).collect();
        // Decoding a message tells what was found in it; comments and noise between messages are
        // in none.
        for finding in view.findings() {
            if !extents.iter().any(|extent| extent.contains(&finding.offset)) {
                self.diagnostics.push(Diagnostic::new(
                    finding.code,
                    at + finding.offset,
                    finding.record,
                    "",
                    finding.text.clone(),
                ));
            }
        }
        for (message, extent) in split.messages.into_iter().zip(extents) {
            let part = view.part(message.records);
            let begins = extent.start;
            let before = part.record(0).map_or(0, |record| record.ordinal() - 1);
            let mut decoded = match plan.link.strict {
                true => plan.decode_strictly(&bytes[extent], context),
                false => plan.decode(&bytes[extent], context),
            };
            for diagnostic in &mut decoded.diagnostics {
                // Positions of the file, not of the message in it.
                diagnostic.position.byte += at + begins;
                if diagnostic.position.record > 0 {
                    diagnostic.position.record += before;
                }
            }
            self.messages.push(FileMessage { complete: message.is_complete, decoded });
        }
    }

    /// Observations by what becomes of them: delivered, held, ignored.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for outcome in self.messages.iter().flat_map(|message| &message.decoded.outcomes) {
            match outcome.disposition {
                Disposition::Deliver => counts.0 += 1,
                Disposition::Hold { .. } => counts.1 += 1,
                Disposition::Ignore { .. } => counts.2 += 1,
            }
        }
        counts
    }

    /// The JSON objects of `decode --json`: observations, queries and diagnostics in the order of
    /// the file, and a summary. `message_id` is the place of the message in the file, 1-based.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for (place, message) in self.messages.iter().enumerate() {
            let message_id = (place + 1).to_string();
            let provenance = Provenance {
                driver: Some(&self.driver),
                message_id: Some(&message_id),
                ..Provenance::default()
            };
            for outcome in &message.decoded.outcomes {
                lines.push(object(OutcomeLine::new(provenance, outcome)));
            }
            for attachment in &message.decoded.attachments {
                lines.push(json!({
                    "type": "attachment",
                    "message_id": message_id,
                    "record": attachment.record,
                    "name": attachment.name,
                    "media": attachment.media,
                    "encoding": attachment.encoding,
                    "bytes": attachment.bytes,
                    "reason": attachment.reason,
                }));
            }
            for query in &message.decoded.queries {
                lines.push(json!({
                    "type": "query",
                    "message_id": message_id,
                    "record": query.record,
                    "specimen_ids": query.specimen_ids,
                }));
            }
            if message.decoded.kind == MessageKind::Order {
                lines.push(json!({ "type": "order", "message_id": message_id }));
            }
            lines
                .extend(message.decoded.diagnostics.iter().map(|found| diagnostic(found, Some(&message_id))));
            if !message.complete {
                let found = Diagnostic::new("incomplete", 0, 0, "", "the message has no header or no end");
                lines.push(diagnostic(&found, Some(&message_id)));
            }
        }
        lines.extend(self.diagnostics.iter().map(|found| diagnostic(found, None)));
        let (results, held, ignored) = self.counts();
        lines.push(json!({
            "type": "summary",
            "format": self.format.name(),
            "driver": self.driver,
            "identified_by": self.why,
            "messages": self.messages.len(),
            "incomplete": self.messages.iter().filter(|message| !message.complete).count(),
            "results": results,
            "held": held,
            "ignored": ignored,
            "queries": self.messages.iter().map(|message| message.decoded.queries.len()).sum::<usize>(),
            "attachments": self.messages.iter().map(|message| message.decoded.attachments.len()).sum::<usize>(),
            "diagnostics": lines.iter().filter(|line| line["type"] == "diagnostic").count(),
        }));
        lines
    }
}

fn object(value: impl serde::Serialize) -> Value {
    // Our own types have string keys and no failing serializer.
    serde_json::to_value(value).unwrap_or(Value::Null)
}

fn diagnostic(found: &Diagnostic, message_id: Option<&str>) -> Value {
    json!({
        "type": "diagnostic",
        "message_id": message_id,
        "code": found.code,
        "byte": found.position.byte,
        "record": found.position.record,
        "path": (!found.position.path.is_empty()).then_some(&found.position.path),
        "reason": found.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_line_ends_are_told_once_of_a_file() {
        let message = "H|\\^&|||One\nP|1\nO|1|S1\nR|1|^^^A|5\nL|1|N\n";
        let bytes = message.repeat(2);
        let file = File { name: "two", bytes: bytes.as_bytes(), driver: None, zone: &TimeZone::UTC };
        let decoded = decode(&Library::embedded(), &file).unwrap();
        assert_eq!((decoded.messages.len(), decoded.counts()), (2, (0, 2, 0)));
        let told: Vec<_> = decoded.lines().into_iter().filter(|line| line["code"] == "line-end").collect();
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["message_id"], &told[0]["byte"]), (&json!("1"), &json!(11)));
    }

    #[test]
    fn a_strict_profile_is_strict_about_bare_records_too() {
        let generic = Library::embedded().compile("generic/lis02").and_then(|compiled| compiled.plan);
        let mut plan = generic.unwrap();
        let bytes = b"H|\\^&|||One\rP|1\rO|1|S1\rR|2|^^^A|5\rL|1|N\r";
        let file = File { name: "one", bytes, driver: None, zone: &TimeZone::UTC };
        let told = |plan: &Plan| {
            let decoded = decode_with(&Arc::new(plan.clone()), Vec::new(), &file);
            decoded.lines().iter().any(|line| line["code"] == "sequence-number")
        };
        assert!(!told(&plan));
        plan.link.strict = true;
        assert!(told(&plan));
    }
}
