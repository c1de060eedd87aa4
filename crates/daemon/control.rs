//! The commands that reach state: answered by the daemon over its control socket, or from the spool
//! itself when no daemon runs.

use labwire_admin::Limit;
use labwire_admin::control::{Handler, Lines, Peer, Refusal, Request};
use labwire_engine::{Handle, reports};
use labwire_store::{Reader, StoreError};
use serde_json::{Value, json};

/// Most lines of one answer; a list beyond it is asked for in parts.
const LIMIT_MAX: u64 = 100_000;

/// Answers commands of the control socket.
pub(crate) struct Commands(pub(crate) Handle);

impl Handler for Commands {
    async fn handle(&self, request: Request, _: Peer, lines: Lines) -> Result<(), Refusal> {
        let handle = self.0.clone();
        let answered = tokio::task::spawn_blocking(move || {
            if request.command == "status" {
                return handle.status().map_err(|error| refusal(&error));
            }
            let reader = handle.reader().map_err(|error| refusal(&error))?;
            answer(&reader, &request)
        });
        let found = answered.await.map_err(|_| Refusal::new("internal", "the command failed"))??;
        for line in found {
            lines.send(line).await?;
        }
        Ok(())
    }

    fn limit_reached(&self, limit: Limit) {
        self.0.limit_reached(limit.name());
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

/// The answer to a command, from the spool.
pub(crate) fn answer(reader: &Reader, request: &Request) -> Result<Vec<Value>, Refusal> {
    let found = match request.command.as_str() {
        "results list" => reports::results(
            reader,
            text(request, "specimen")?,
            text(request, "connection")?,
            limit(request)?,
        ),
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
