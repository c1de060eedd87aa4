//! A first driver profile from what an analyzer sent.
//!
//! Inference proposes, it never decides: each guess is marked `TODO`, and says on what it rests. What the
//! draft does not know stays as the format's rules have it: held and shown. No value, name or id of the
//! capture gets into the draft; test codes, units, flags and the analyzer's own name do.

mod delimited;
mod records;
mod survey;
mod tolerances;

use core::fmt::Write as _;

use labwire_capture::{Body, Import, import};
use labwire_driver::{Library, Source};
use labwire_message::Syntax;

use crate::texts::{sent, syntax, texts};

/// A capture to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Its path as the profile shall name it in `[[check]]`.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// What inference came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The profile. It compiles, and reads its captures.
    pub text: String,
    /// What was found and on what it rests, one sentence each.
    pub findings: Vec<String>,
}

/// Why there is no draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InferError {
    /// Nothing of an analyzer in any of the files.
    Nothing,
    /// The files do not speak the same protocol.
    Mixed,
}

impl core::fmt::Display for InferError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing in the files looks like results of an analyzer",
            Self::Mixed => "the files do not speak one protocol; begin with those of one analyzer",
        })
    }
}

impl core::error::Error for InferError {}

/// How the messages of a capture are built and carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    Lis02,
    /// LIS02 records without frames.
    BareLis02,
    Hl7,
    Text,
}

fn carried(body: &Body) -> Option<Carried> {
    let stream = sent(body);
    if stream.trim_ascii().is_empty() {
        return None;
    }
    let is_framed = matches!(body, Body::Records(_)) || stream.contains(&labwire_link::control::STX);
    Some(match syntax(body) {
        Some(Syntax::Hl7) => Carried::Hl7,
        Some(Syntax::Lis02) if is_framed => Carried::Lis02,
        Some(Syntax::Lis02) => Carried::BareLis02,
        None => Carried::Text,
    })
}

/// Writes the parts of a profile in the order in which people write them.
#[derive(Debug, Default)]
struct Writer {
    text: String,
    findings: Vec<String>,
}

impl Writer {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn table(&mut self, name: &str) {
        let _ = write!(self.text, "\n[{name}]\n");
    }

    fn found(&mut self, finding: impl Into<String>) {
        self.findings.push(finding.into());
    }
}

/// A TOML string: literal where it can be one, because patterns and delimiters read best so.
fn quoted(text: &str) -> String {
    if text.contains(['\'', '\n', '\r']) || text.chars().any(char::is_control) {
        format!("{:?}", text)
    } else if text.contains(['\\', '"']) {
        format!("'{text}'")
    } else {
        format!("\"{text}\"")
    }
}

/// A TOML key, bare where it can be.
fn key(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !text.is_empty() && text.bytes().all(bare) { text.to_owned() } else { format!("{text:?}") }
}

/// A pattern that matches this text alone at the beginning of a field.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("^");
    for character in text.chars() {
        if character.is_ascii_punctuation() && !matches!(character, '-' | '_' | ' ' | '/' | ':' | ',') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Drafts a profile under the id `vendor/model` that reads these captures.
///
/// # Errors
/// [`InferError`]
pub fn infer(library: &Library, id: &str, samples: &[Sample<'_>]) -> Result<Draft, InferError> {
    let imported: Vec<Import> = samples.iter().map(|sample| import(sample.bytes)).collect();
    let mut protocols: Vec<Carried> = imported.iter().filter_map(|import| carried(&import.body)).collect();
    protocols.dedup();
    let carried = match protocols[..] {
        [] => return Err(InferError::Nothing),
        [one] => one,
        _ => return Err(InferError::Mixed),
    };
    let all: Vec<Vec<u8>> = imported.iter().flat_map(|import| texts(&import.body)).collect();
    let mut writer = Writer::default();
    let (vendor, model) = id.split_once('/').unwrap_or(("TODO", id));
    writer.line("# Drafted by `labwire driver new`; every TODO is a guess that a person has to settle.");
    writer.line("schema = 1");
    writer.table("analyzer");
    writer.line(format!("vendor = {}  # TODO as the vendor names itself", quoted(vendor)));
    writer.line(format!("model = {}  # TODO as the vendor names it", quoted(model)));
    writer.line("kind = \"other\"  # TODO hematology, chemistry, immunoassay, ...: `labwire driver list` shows the words");
    let protocol = match carried {
        Carried::Lis02 | Carried::BareLis02 => "lis02",
        Carried::Hl7 => "hl7",
        Carried::Text => "text",
    };
    writer.line(format!("protocol = \"{protocol}\""));
    writer.line("evidence = \"captured\"");
    writer.line("sources = [\"TODO where the captures come from, and the manual's section\"]");
    match carried {
        Carried::Lis02 | Carried::BareLis02 => records::write(&mut writer, Syntax::Lis02, &all),
        Carried::Hl7 => records::write(&mut writer, Syntax::Hl7, &all),
        Carried::Text => {
            let streams: Vec<Vec<u8>> = imported.iter().map(|import| sent(&import.body)).collect();
            delimited::write(&mut writer, &streams);
        }
    }
    for sample in samples {
        if sample.name.ends_with(".cap") {
            writer.line(format!("\n[[check]]\ncapture = {}", quoted(sample.name)));
        } else {
            writer.line("\n# TODO [[check]]: `labwire capture import` makes a capture of a dump or a log");
        }
    }
    let Writer { text, mut findings } = writer;
    let text = match carried {
        Carried::BareLis02 => {
            with_link(&text, "dialect = \"records\"  # TODO how a message ends on the line")
        }
        Carried::Lis02 | Carried::Hl7 => {
            let with = |names: &[&str]| {
                let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                let dialect = if carried == Carried::Hl7 { "mllp" } else { "lis01" };
                with_link(&text, &format!("dialect = \"{dialect}\"\ntolerate = [{}]", names.join(", ")))
            };
            let needed = tolerances::needed(library, id, with, &imported);
            if needed.is_empty() {
                text
            } else {
                findings.push(format!("the line needs the tolerances {}", needed.join(", ")));
                with(&needed)
            }
        }
        Carried::Text => text,
    };
    Ok(Draft { text, findings })
}

/// The draft with a `[link]` behind `[analyzer]`.
fn with_link(text: &str, link: &str) -> String {
    let place = text.match_indices("\n[").nth(1).map_or(text.len(), |(place, _)| place);
    format!("{}\n[link]\n{link}\n{}", &text[..place], &text[place..])
}

/// The draft as a source that the library can compile.
fn source(id: &str, text: &str) -> Source {
    Source::new(format!("{id}.toml"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_toml_that_reads_back_as_they_were() {
        for text in ["plain", "a\\b", "with \"quotes\"", "it's", "line\nend"] {
            let parsed: String = quoted(text)
                .strip_prefix('\'')
                .and_then(|rest| rest.strip_suffix('\''))
                .map_or_else(|| serde_json::from_str(&quoted(text)).unwrap(), str::to_owned);
            assert_eq!(parsed, text);
        }
        assert_eq!(key("NEUT%"), "\"NEUT%\"");
        assert_eq!(pattern("XN-550^00 (a.b)"), "^XN-550\\^00 \\(a\\.b\\)");
    }

    #[test]
    fn a_link_table_stands_between_analyzer_and_the_rest() {
        let text = "schema = 1\n\n[analyzer]\nkind = \"other\"\n\n[specimen]\nid = \"O.3\"\n";
        let linked = with_link(text, "dialect = \"lis01\"");
        assert!(linked.contains("kind = \"other\"\n\n[link]\ndialect = \"lis01\"\n\n[specimen]"), "{linked}");
    }
}
