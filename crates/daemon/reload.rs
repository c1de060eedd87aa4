//! A configuration that takes the place of the one in force while the daemon runs: `labwire reload`,
//! and what the daemon does about it and about SIGHUP.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};

use labwire_admin::control::Request;
use labwire_config::SiteConfig;
use labwire_engine::{Change, Handle, ReloadError, Reloaded};
use sd_notify::NotifyState;
use serde_json::{Value, json};

use crate::arguments::State;
use crate::check;
use crate::exit::{Exit, Failure, Outcome};
use crate::findings::Findings;
use crate::library::read_source;
use crate::show::{Row, cell, count, json_lines, table};
use crate::state::ask_daemon;

/// Problems that one SIGHUP puts into the log; the command shows all.
const LOGGED_MAX: usize = 20;

/// Reads the site file again and has the engine apply it.
pub(crate) struct Reloader {
    config: PathBuf,
    admin: SocketAddr,
    control: PathBuf,
    engine: Handle,
    /// Held while one is under way.
    turn: Mutex<()>,
}

/// What became of a reload.
pub(crate) enum Reload {
    /// Another one is under way.
    Busy,
    /// Everything is as it was.
    Refused(Findings),
    /// The new configuration is in force; with warnings about it.
    Applied(Vec<(String, Change)>, Findings),
}

impl Reloader {
    pub(crate) fn new(config: PathBuf, site: &SiteConfig, engine: Handle) -> Self {
        let control = site.control.socket.clone();
        Self { config, admin: site.admin.listen, control, engine, turn: Mutex::new(()) }
    }

    /// Checks the configuration and what it names, then applies it. Blocks; call within a tokio runtime.
    pub(crate) fn reload(&self) -> Reload {
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::WouldBlock) => return Reload::Busy,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        tell_manager(true);
        let mut findings = Findings::default();
        let applied = self.apply(&mut findings);
        tell_manager(false);
        match applied {
            Some(changes) => {
                self.engine.reloaded(Reloaded::Applied);
                Reload::Applied(changes, findings)
            }
            None => {
                self.engine.reloaded(Reloaded::Refused);
                Reload::Refused(findings)
            }
        }
    }

    fn apply(&self, findings: &mut Findings) -> Option<Vec<(String, Change)>> {
        let read = read_source(&self.config).and_then(|source| check::read(&source, findings));
        let site = match read {
            Ok(site) => site?,
            Err(failure) => {
                findings.sentence(failure.message.unwrap_or_default());
                return None;
            }
        };
        for (key, differs) in [
            ("admin.listen", site.config.admin.listen != self.admin),
            ("control.socket", site.config.control.socket != self.control),
        ] {
            if differs {
                findings.sentence(restart_needed(key));
            }
        }
        for key in self.engine.restart_needed(&site.settings) {
            findings.sentence(restart_needed(key));
        }
        if findings.are_errors() {
            return None;
        }
        match self.engine.reload(site.settings) {
            Ok(changes) => Some(changes),
            Err(ReloadError::RestartNeeded(keys)) => {
                keys.into_iter().for_each(|key| findings.sentence(restart_needed(key)));
                None
            }
            Err(ReloadError::Connections(errors)) => {
                errors.into_iter().for_each(|error| findings.sentence(error.to_string()));
                None
            }
        }
    }

    /// Reloads because of a signal: nobody waits for an answer, so the log has it.
    pub(crate) async fn on_hangup(self: Arc<Self>) {
        let reload = tokio::task::spawn_blocking(move || self.reload()).await;
        match reload {
            Ok(Reload::Applied(changes, _)) => {
                let changed = changes.iter().filter(|(_, change)| *change != Change::Kept).count();
                tracing::info!(event = "reloaded", connections = changes.len(), changed);
            }
            Ok(Reload::Refused(findings)) => {
                let lines = findings.lines();
                for line in lines.iter().take(LOGGED_MAX) {
                    let (file, message) = (cell(line, "file"), cell(line, "message"));
                    let (at, column) = (&line["line"], &line["column"]);
                    tracing::error!(event = "reload_problem", file, line = %at, column = %column, message);
                }
                tracing::error!(
                    event = "reload_refused",
                    problems = lines.len(),
                    "the configuration before it stays in force; `labwire check` shows what is wrong"
                );
            }
            Ok(Reload::Busy) => tracing::warn!(event = "reload_busy", "another reload is under way"),
            Err(_) => tracing::error!(event = "reload_failed", "a defect of this program: please report it"),
        }
    }
}

fn restart_needed(key: &str) -> String {
    format!("`{key}` cannot change while the daemon runs: restart needed")
}

/// Tells the service manager that a reload begins or is over; nothing where there is none.
fn tell_manager(begins: bool) {
    let _ = match (begins, NotifyState::monotonic_usec_now()) {
        (true, Ok(now)) => sd_notify::notify(&[NotifyState::Reloading, now]),
        (true, Err(_)) => sd_notify::notify(&[NotifyState::Reloading]),
        (false, _) => sd_notify::notify(&[NotifyState::Ready]),
    };
}

/// The answer to the command: problems and changes, a line each, and how it ended.
pub(crate) fn answer(reload: Reload) -> Option<Vec<Value>> {
    let (outcome, changes, findings) = match reload {
        Reload::Busy => return None,
        Reload::Refused(findings) => ("refused", Vec::new(), findings),
        Reload::Applied(changes, findings) => ("applied", changes, findings),
    };
    let mut lines = findings.lines();
    lines.extend(changes.iter().map(|(connection, change)| {
        json!({ "type": "connection", "connection": connection, "change": change.as_str() })
    }));
    lines.push(json!({ "type": "reload", "outcome": outcome, "connections": changes.len() }));
    Some(lines)
}

pub(crate) fn reload(state: &State) -> Outcome {
    let lines = ask_daemon(state, &Request::new("reload"))?;
    let applied = lines.iter().any(|line| line["type"] == "reload" && line["outcome"] == "applied");
    let mut out = io::stdout().lock();
    if state.json {
        json_lines(&mut out, &lines)?;
    } else {
        show(&mut out, &lines)?;
    }
    if applied {
        return Ok(());
    }
    Err(Failure::new(Exit::Config, "nothing was changed: the configuration before it stays in force"))
}

fn show(out: &mut impl Write, lines: &[Value]) -> io::Result<()> {
    for line in lines.iter().filter(|line| line["type"] == "problem") {
        eprint!("{}", line["rendered"].as_str().unwrap_or_default());
    }
    let rows: Vec<Row> = lines
        .iter()
        .filter(|line| line["type"] == "connection")
        .map(|line| vec![cell(line, "connection"), cell(line, "change")])
        .collect();
    if !rows.is_empty() {
        table(out, &["CONNECTION", "CHANGE"], &rows)?;
    }
    for line in lines.iter().filter(|line| line["outcome"] == "applied") {
        let connections = count(line["connections"].as_u64().unwrap_or_default(), "connection");
        writeln!(out, "the configuration is in force: {connections}")?;
    }
    Ok(())
}
