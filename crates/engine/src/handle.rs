//! What others may ask the running engine.

use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use labwire_store::{Reader, SpoolHandle, Stamp, StoreError, StoreState};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

use crate::roster::{Change, Roster};
use crate::{HEARTBEAT_MAX, Settings, StartError, TICK, process, reports, telemetry};

/// What others may ask the engine.
#[derive(Clone)]
pub struct Handle {
    pub(crate) spool: SpoolHandle,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) roster: Arc<Roster>,
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) started: Instant,
    pub(crate) fixed: Arc<Fixed>,
}

/// What cannot change while the daemon runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    tenant: String,
    spool: PathBuf,
    lis: PathBuf,
    duplicate_window: Duration,
    capture_bytes_max: Option<usize>,
}

impl Fixed {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            tenant: settings.tenant.clone(),
            spool: settings.spool.clone(),
            lis: settings.lis.clone(),
            duplicate_window: settings.duplicate_window,
            capture_bytes_max: settings.capture_bytes_max,
        }
    }

    /// The keys that are not as they were.
    fn differences(&self, wanted: &Self) -> Vec<&'static str> {
        [
            ("site.tenant", self.tenant != wanted.tenant),
            ("spool.path", self.spool != wanted.spool),
            ("lis.url", self.lis != wanted.lis),
            ("limits.duplicate_window", self.duplicate_window != wanted.duplicate_window),
            ("[capture]", self.capture_bytes_max != wanted.capture_bytes_max),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

/// What became of a configuration that was to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// It is in force.
    Applied,
    /// The one before it is.
    Refused,
}

impl Reloaded {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

/// Why a configuration is not applied. Everything is as it was.
#[derive(Debug)]
pub enum ReloadError {
    /// What cannot change while the daemon runs, by the name of its key.
    RestartNeeded(Vec<&'static str>),
    /// Connections that cannot be served.
    Connections(Vec<StartError>),
}

impl Handle {
    /// Whether the daemon can do its work: the spool commits, and nobody asked it to stop.
    ///
    /// # Errors
    /// One sentence that says what is missing.
    pub fn ready(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("the daemon stops".to_owned());
        }
        match self.spool.state() {
            StoreState::Ready => Ok(()),
            state => Err(format!("the spool is {}", state.as_str())),
        }
    }

    /// Comes back when the spool's writer has ended: nothing is stored any more, and only another start
    /// mends that. Otherwise waits for ever.
    pub async fn broken(&self) {
        let mut tick = tokio::time::interval(TICK);
        while self.spool.state() != StoreState::Stopped {
            tick.tick().await;
        }
    }

    /// Whether the commit path shows signs of life; feeds the watchdog.
    #[must_use]
    pub fn live(&self) -> bool {
        self.spool.heartbeat().elapsed() < HEARTBEAT_MAX
    }

    /// The metrics in the Prometheus text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.render() + &process::render()
    }

    /// Serves the connections of another configuration; each change is told. What is unchanged stays
    /// connected, and what is under way may end as it began. Blocks; call within a tokio runtime.
    ///
    /// # Errors
    /// [`ReloadError`]; everything is as it was.
    pub fn reload(&self, settings: Settings) -> Result<Vec<(String, Change)>, ReloadError> {
        let fixed = self.restart_needed(&settings);
        if !fixed.is_empty() {
            return Err(ReloadError::RestartNeeded(fixed));
        }
        let Settings { connections, limits, incomplete_hold, .. } = settings;
        let changes = self
            .roster
            .apply(connections, limits, incomplete_hold, &mut HashMap::new())
            .map_err(ReloadError::Connections)?;
        for (name, change) in changes.iter().filter(|(_, change)| *change != Change::Kept) {
            telemetry::connection_changed(name, change.as_str());
        }
        Ok(changes)
    }

    /// The keys of a configuration that cannot change while the daemon runs, and would.
    #[must_use]
    pub fn restart_needed(&self, settings: &Settings) -> Vec<&'static str> {
        self.fixed.differences(&Fixed::of(settings))
    }

    /// Counts a configuration that was applied, or refused.
    pub fn reloaded(&self, outcome: Reloaded) {
        telemetry::reloaded(outcome.as_str());
    }

    /// The names of the configured connections.
    #[must_use]
    pub fn connections(&self) -> Vec<String> {
        self.roster.configured().iter().map(|one| one.name.clone()).collect()
    }

    /// Lets no session of a connection begin, or lets them begin again. What is under way may end. It
    /// lasts until the daemon ends. `false` when there is no such connection.
    pub fn pause(&self, connection: &str, paused: bool) -> bool {
        let Some(one) = self.roster.find(connection) else { return false };
        one.orders.send_if_modified(|orders| core::mem::replace(&mut orders.paused, paused) != paused);
        telemetry::connection_paused(connection, paused);
        true
    }

    /// Closes the transports of a connection as soon as nothing is under way on them, and opens them
    /// anew; a listening address stays bound. `false` when there is no such connection.
    pub fn restart(&self, connection: &str) -> bool {
        let Some(one) = self.roster.find(connection) else { return false };
        one.orders.send_modify(|orders| orders.restarts += 1);
        true
    }

    /// Counts a limit that a client of the admin servers ran into. A name from a closed list, so
    /// that the series stay few.
    pub fn limit_reached(&self, limit: &'static str) {
        telemetry::limit_reached(limit);
    }

    /// A reader of the spool; its reads block.
    ///
    /// # Errors
    /// When SQLite cannot open it.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        self.spool.reader()
    }

    /// What the daemon is doing, as JSON objects: the daemon, each connection, each sink. Blocks.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn status(&self) -> Result<Vec<Value>, StoreError> {
        let mut status = self.reader()?.status()?;
        let mut lines = vec![json!({
            "type": "daemon",
            "ready": self.ready().is_ok(),
            "why": self.ready().err(),
            "spool": self.spool.state().as_str(),
            "uptime_seconds": self.started.elapsed().as_secs(),
        })];
        let configured = self.roster.configured();
        for one in &configured {
            // A connection that has received nothing is shown all the same.
            status.connections.entry(one.name.clone()).or_default();
        }
        for mut line in reports::status(&status) {
            if let Some(one) = configured.iter().find(|one| line["connection"] == one.name) {
                one.describe(&mut line);
            }
            lines.push(line);
        }
        Ok(lines)
    }

    pub(crate) fn read_levels(&self) {
        let Ok(status) = self.reader().and_then(|reader| reader.status()) else { return };
        let now = Stamp::now().wall_ms;
        let held: u64 = status.connections.values().map(|connection| connection.held_observations).sum();
        for (name, sink) in &status.sinks {
            let age = sink.oldest_ms.map_or(0, |oldest| now.saturating_sub(oldest).max(0));
            let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
            telemetry::levels(name, sink.backlog, age, held, self.spool.state().is_ready());
        }
        for one in self.roster.configured() {
            if let Some(recorder) = &one.recorder {
                telemetry::capture_dropped(&one.name, recorder.ring().dropped().entries);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use labwire_route::LIS;
    use labwire_store::{Options, Spool};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::sync::watch;

    use super::*;
    use crate::delivery::Worker;
    use crate::roster::Surroundings;

    fn fixed() -> Fixed {
        Fixed {
            tenant: "lab".to_owned(),
            spool: "/spool.db".into(),
            lis: "/lis.db".into(),
            duplicate_window: Duration::from_secs(60),
            capture_bytes_max: None,
        }
    }

    #[test]
    fn what_cannot_change_is_named_by_its_keys() {
        assert_eq!(fixed().differences(&fixed()), [] as [&str; 0]);
        let other = Fixed { spool: "/other.db".into(), capture_bytes_max: Some(1), ..fixed() };
        assert_eq!(fixed().differences(&other), ["spool.path", "[capture]"]);
    }

    #[test]
    fn a_writer_that_has_ended_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new("lab", vec![LIS.to_owned()]);
        let spool = Spool::open(directory.path().join("spool.db"), options).unwrap();
        let delivery = Worker::start(spool.handle(), directory.path().join("lis.db")).unwrap();
        let surroundings = Surroundings {
            spool: spool.handle(),
            sinks: vec![LIS.to_owned()],
            nudge: delivery.nudge(),
            ready: watch::channel(true).1,
        };
        let handle = Handle {
            spool: spool.handle(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            roster: Arc::new(Roster::new(surroundings, Duration::ZERO)),
            stopping: Arc::default(),
            started: Instant::now(),
            fixed: Arc::new(fixed()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let broken = |handle: Handle| {
            let wait = async move { tokio::time::timeout(Duration::from_millis(50), handle.broken()).await };
            runtime.block_on(wait).is_ok()
        };
        assert!(!broken(handle.clone()));
        drop(spool);
        assert!(broken(handle.clone()) && handle.ready().is_err());
    }
}
