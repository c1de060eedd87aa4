//! Commands to the running daemon over a Unix socket: one JSON object a line, both ways.
//!
//! A client sends one [`Request`] at a time and reads lines until the answer ends:
//!
//! ```text
//! > {"command":"results list","arguments":{"limit":2}}
//! < {"type":"result", …}
//! < {"type":"result", …}
//! < {"end":true}
//! > {"command":"frobnicate"}
//! < {"error":{"code":"unknown-command","message":"no command `frobnicate`"}}
//! ```
//!
//! After an answer has ended, with `end` or with `error`, the next request may follow on the same
//! connection. Data lines are objects with more in them than a single `end` or `error` key, so an end
//! cannot be mistaken for data.

mod client;
mod server;

pub use client::{Answer, Client, ClientError};
pub use server::{ControlLimits, Handler, Lines, Peer, Server};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The longest line either side reads. A data line is one result or one diagnostic; a request is less.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The command's words as typed, without `labwire`: `ledger`, `quarantine list`.
    pub command: String,
    /// The command's arguments by name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

impl Request {
    /// A command without arguments.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), arguments: Map::new() }
    }

    /// The same command with one argument more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }
}

/// Why a command was not carried out, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// A word for programs, in kebab-case: `unknown-command`, `bad-request`, `busy`, `unavailable`.
    pub code: String,
    /// A sentence for people, without patient data.
    pub message: String,
}

impl Refusal {
    /// A refusal with any code.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The handler has no such command.
    pub fn unknown_command(command: &str) -> Self {
        Self::new("unknown-command", format!("no command `{}`", command.escape_debug()))
    }

    /// The command exists, but not with these arguments.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new("bad-request", message)
    }
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    Data(Value),
    End,
    Error(Refusal),
}

impl Line {
    fn read(value: Value) -> Self {
        if let Some((key, inner)) = only_entry(&value) {
            if key == "end" {
                return Self::End;
            }
            if key == "error"
                && let Ok(refusal) = Refusal::deserialize(inner)
            {
                return Self::Error(refusal);
            }
        }
        Self::Data(value)
    }

    fn write(self) -> Vec<u8> {
        let value = match self {
            Self::Data(value) => value,
            Self::End => json!({ "end": true }),
            Self::Error(refusal) => json!({ "error": refusal }),
        };
        let mut bytes = value.to_string().into_bytes();
        bytes.push(b'\n');
        bytes
    }
}

/// Whether a value may be a data line: an object that cannot be read as an answer's end.
fn is_data(value: &Value) -> bool {
    value.is_object() && !matches!(only_entry(value), Some(("end" | "error", _)))
}

fn only_entry(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(key, inner)| (key.as_str(), inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_back_as_what_was_written() {
        for line in [
            Line::Data(json!({ "type": "result", "end": true })),
            Line::End,
            Line::Error(Refusal::new("busy", "a drain is under way")),
        ] {
            let bytes = line.clone().write();
            assert_eq!(bytes.last(), Some(&b'\n'));
            assert_eq!(Line::read(serde_json::from_slice(&bytes).unwrap()), line);
        }
    }

    #[test]
    fn what_could_be_taken_for_an_end_is_no_data() {
        assert!(!is_data(&json!({ "end": true })));
        assert!(!is_data(&json!({ "error": "x" })));
        assert!(!is_data(&json!([1])));
        assert!(is_data(&json!({ "error": "x", "line": 3 })));
        assert!(is_data(&json!({})));
    }

    #[test]
    fn a_request_with_an_unknown_key_is_not_taken() {
        assert!(serde_json::from_str::<Request>(r#"{"command":"status","argument":{}}"#).is_err());
    }
}
