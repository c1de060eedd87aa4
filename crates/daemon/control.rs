//! The commands that reach state: answered by the daemon over its control socket, or from the spool
//! itself when no daemon runs.

use std::sync::Arc;

use labwire_admin::Limit;
use labwire_admin::control::{Handler, Lines, Peer, Refusal, Request};
use labwire_engine::{Handle, reports};
use labwire_store::{MessageFilter, Reader, StoreError};
use serde_json::{Value, json};

use crate::reload::{self, Reloader};

/// Most lines of one answer; a list beyond it is asked for in parts.
const LIMIT_MAX: u64 = 100_000;

/// Answers commands of the control socket.
pub(crate) struct Commands {
    engine: Handle,
    /// None where there is no file that could be read again.
    reloader: Option<Arc<Reloader>>,
}

impl Commands {
    pub(crate) fn new(engine: Handle, reloader: Option<Arc<Reloader>>) -> Self {
        Self { engine, reloader }
    }

    /// Blocks.
    fn answer(&self, request: &Request) -> Result<Vec<Value>, Refusal> {
        match request.command.as_str() {
            "status" => self.engine.status().map_err(|error| refusal(&error)),
            "reload" => {
                let Some(reloader) = &self.reloader else { return Err(Refusal::unknown_command("reload")) };
                reload::answer(reloader.reload())
                    .ok_or_else(|| Refusal::new("busy", "another reload is under way"))
            }
            "connection list" => {
                let name = text(request, "connection")?;
                let lines = self.engine.status().map_err(|error| refusal(&error))?;
                let of = |line: &Value| {
                    line["type"] == "connection"
                        && name.as_ref().is_none_or(|name| line["connection"] == **name)
                };
                Ok(lines.into_iter().filter(of).collect())
            }
            "connection pause" => self.order(request, |name| self.engine.pause(name, true)),
            "connection resume" => self.order(request, |name| self.engine.pause(name, false)),
            "connection restart" => self.order(request, |name| self.engine.restart(name)),
            _ => {
                let reader = self.engine.reader().map_err(|error| refusal(&error))?;
                answer(&reader, request)
            }
        }
    }

    fn order(&self, request: &Request, carry_out: impl FnOnce(&str) -> bool) -> Result<Vec<Value>, Refusal> {
        let name =
            text(request, "connection")?.ok_or_else(|| Refusal::bad_request("`connection` must name one"))?;
        if carry_out(&name) {
            return Ok(Vec::new());
        }
        let names = self.engine.connections();
        let meant = labwire_schema::suggest(&name, names.iter().map(String::as_str));
        let help = meant.map_or_else(
            || "`labwire connection list` shows them all".to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        );
        Err(Refusal::new("not-found", format!("there is no connection of this name; {help}")))
    }
}

impl Handler for Commands {
    async fn handle(&self, request: Request, _: Peer, lines: Lines) -> Result<(), Refusal> {
        let commands = Self { engine: self.engine.clone(), reloader: self.reloader.clone() };
        let answered = tokio::task::spawn_blocking(move || commands.answer(&request));
        let found = answered.await.map_err(|_| Refusal::new("internal", "the command failed"))??;
        for line in found {
            lines.send(line).await?;
        }
        Ok(())
    }

    fn limit_reached(&self, limit: Limit) {
        self.engine.limit_reached(limit.name());
    }
}

fn refusal(error: &StoreError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}

fn text(request: &Request, name: &str) -> Result<Option<String>, Refusal> {
    match request.arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::bad_request(format!("`{name}` must be text"))),
    }
}

fn limit(request: &Request) -> Result<usize, Refusal> {
    match request.arguments.get("limit") {
        None => Ok(100),
        Some(value) => value
            .as_u64()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or_else(|| Refusal::bad_request(format!("`limit` must be a number from 1 to {LIMIT_MAX}"))),
    }
}

fn message(reader: &Reader, request: &Request) -> Result<Vec<Value>, Refusal> {
    let id = text(request, "id")?.ok_or_else(|| Refusal::bad_request("`id` must name a message"))?;
    let id = id.parse().map_err(|error: String| Refusal::bad_request(error))?;
    let level = text(request, "level")?.unwrap_or_else(|| "results".to_owned());
    let level = reports::Level::from_word(&level)
        .ok_or_else(|| Refusal::bad_request("`level` must be raw, records or results"))?;
    match reports::message(reader, id, level) {
        Ok(Some(lines)) => Ok(lines),
        Ok(None) => Err(Refusal::new("not-found", "there is no message of this id")),
        Err(error) => Err(refusal(&error)),
    }
}

/// The answer to a command, from the spool.
pub(crate) fn answer(reader: &Reader, request: &Request) -> Result<Vec<Value>, Refusal> {
    let found = match request.command.as_str() {
        "results list" => reports::results(
            reader,
            text(request, "specimen")?,
            text(request, "connection")?,
            limit(request)?,
        ),
        "messages list" => {
            let filter = MessageFilter {
                connection: text(request, "connection")?,
                specimen_id: text(request, "specimen")?,
                after_row: request.arguments.get("after").and_then(Value::as_i64),
                messages_max: limit(request)?,
            };
            reports::messages(reader, &filter)
        }
        "messages show" => return message(reader, request),
        "quarantine list" => reports::quarantine(reader, text(request, "connection")?, limit(request)?),
        "quarantine show" => {
            let id = request.arguments.get("id").and_then(Value::as_i64);
            let id = id.ok_or_else(|| Refusal::bad_request("`id` must be a number"))?;
            match reports::quarantine_item(reader, id) {
                Ok(Some(line)) => Ok(vec![line]),
                Ok(None) => {
                    return Err(Refusal::new("not-found", format!("nothing is held under the number {id}")));
                }
                Err(error) => Err(error),
            }
        }
        "ledger" => {
            let check = request.arguments.get("check").and_then(Value::as_bool).unwrap_or(false);
            reports::ledger(reader, check).map(|(lines, _)| lines)
        }
        "status" => reader.status().map(|status| {
            let mut lines = vec![json!({ "type": "daemon", "ready": false, "why": "no daemon runs" })];
            lines.extend(reports::status(&status));
            lines
        }),
        unknown => return Err(Refusal::unknown_command(unknown)),
    };
    found.map_err(|error| refusal(&error))
}
