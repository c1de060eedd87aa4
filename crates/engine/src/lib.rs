//! Tasks, supervision, drain, health, events and metrics: what makes the rooms one daemon.
//!
//! - One task a transport; what one analyzer does costs no other one anything but its share of the
//!   disk.
//! - The spool's writer and the delivery are threads of their own. Nothing waits for the LIS.
//! - Ready means: the spool can commit, and every listening address is bound.

#![forbid(unsafe_code)]

mod connection;
mod delivery;
pub mod metric;
mod process;
pub mod reports;
mod site;
mod telemetry;

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use core::time::Duration;

use labwire_route::LIS;
use labwire_session::sequence_number;
use labwire_store::{
    MessageFilter, Options, Reader, Spool, SpoolHandle, Stamp, Status, StoreError, StoreState,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use connection::{ConnectionSettings, Limits, PeerLimits};
pub use site::{BadProfile, Settings};

use crate::connection::Shared;
use crate::delivery::Worker;

/// Upper bounds of the acknowledgement histogram, in seconds: from a fast disk to the commit
/// deadline.
const ACKNOWLEDGE_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
/// How often levels are read and housekeeping is done.
const TICK: Duration = Duration::from_secs(5);
/// A commit path that has shown no sign of life for so long has stalled.
const HEARTBEAT_MAX: Duration = Duration::from_secs(20);

/// Why the engine does not start.
#[derive(Debug)]
pub enum StartError {
    /// The spool cannot be opened.
    Spool(StoreError),
    /// A connection's address cannot be bound.
    Bind {
        /// The connection.
        connection: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// The system gives no thread.
    Thread(std::io::Error),
    /// A second engine in one process would mix its numbers with the first one's.
    Metrics,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Spool(error) => error.fmt(f),
            Self::Bind { connection, error } => write!(f, "connection `{connection}` cannot listen: {error}"),
            Self::Thread(error) => write!(f, "failed to start a thread: {error}"),
            Self::Metrics => f.write_str("the metrics recorder is installed already"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Spool(error)
    }
}

/// The running engine.
pub struct Engine {
    handle: Handle,
    stop: watch::Sender<bool>,
    connections: JoinSet<()>,
    housekeeping: tokio::task::JoinHandle<()>,
    delivery: Worker,
    spool: Spool,
}

/// What others may ask the engine.
#[derive(Clone)]
pub struct Handle {
    spool: SpoolHandle,
    metrics: PrometheusHandle,
    connections: Arc<Vec<Arc<Shared>>>,
    stopping: Arc<AtomicBool>,
    started: Instant,
}

/// Counts a log line that a connection had no room for.
pub fn log_line_suppressed() {
    telemetry::limit_reached(telemetry::Limit::LogLines.name());
}

impl Engine {
    /// Opens the spool, binds the addresses, takes up what an earlier run left, and serves.
    /// `inherited` are listening sockets by connection name, as a service manager hands them over.
    ///
    /// Call within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(
        settings: Settings,
        mut inherited: HashMap<String, TcpListener>,
        version: &'static str,
    ) -> Result<Self, StartError> {
        let sinks = vec![LIS.to_owned()];
        let mut options = Options::new(settings.tenant.clone(), sinks.clone());
        options.duplicate_window = settings.duplicate_window;
        let spool = Spool::open(&settings.spool, options)?;
        let mut bound = Vec::with_capacity(settings.connections.len());
        for connection in &settings.connections {
            let listener = connection::bind(connection, &mut inherited)
                .map_err(|error| StartError::Bind { connection: connection.name.clone(), error })?;
            bound.push(listener);
        }
        let metrics = install_metrics()?;
        metric::describe();
        telemetry::started(version);

        let delivery = Worker::start(spool.handle(), settings.lis.clone()).map_err(StartError::Thread)?;
        let reader = spool.handle().reader()?;
        let shared = share(&settings, &spool.handle(), &sinks, &delivery, &reader)?;
        take_up(&shared, &reader)?;
        drop(reader);
        delivery.nudge().look();

        let (stop, stopped) = watch::channel(false);
        let stopping = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = watch::channel(spool.handle().state().is_ready());
        let asked_to_stop = Arc::clone(&stopping);
        spool.handle().observe(move |state| {
            let now_ready = state.is_ready();
            // That a spool is closed at the end is nothing that someone must act on.
            if ready.send_replace(now_ready) != now_ready && !asked_to_stop.load(Ordering::Relaxed) {
                telemetry::spool_state(now_ready, state.as_str());
            }
        });
        let mut connections = JoinSet::new();
        for (shared, listener) in shared.iter().zip(bound) {
            connections.spawn(connection::run(
                Arc::clone(shared),
                is_ready.clone(),
                stopped.clone(),
                listener,
            ));
        }
        let handle = Handle {
            spool: spool.handle(),
            metrics,
            connections: Arc::new(shared),
            stopping,
            started: Instant::now(),
        };
        let holds = Arc::new(Holds { of: settings.incomplete_holds, elsewhere: settings.incomplete_hold });
        let housekeeping = tokio::spawn(keep_house(handle.clone(), holds, stopped));
        Ok(Self { handle, stop, connections, housekeeping, delivery, spool })
    }

    /// For whoever asks.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Drains: no new session begins, messages under way may end, what is committed is delivered as
    /// far as the LIS takes it now, the spool is closed.
    pub async fn stop(mut self) {
        self.handle.stopping.store(true, Ordering::Relaxed);
        let _ = self.stop.send(true);
        while self.connections.join_next().await.is_some() {}
        self.housekeeping.abort();
        let _ = self.housekeeping.await;
        let Self { delivery, spool, .. } = self;
        let closing = tokio::task::spawn_blocking(move || {
            delivery.stop();
            drop(spool);
        });
        let _ = closing.await;
    }
}

fn install_metrics() -> Result<PrometheusHandle, StartError> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("labwire_acknowledge_seconds".to_owned()), &ACKNOWLEDGE_BUCKETS)
        .map_err(|_| StartError::Metrics)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| StartError::Metrics)?;
    Ok(handle)
}

fn share(
    settings: &Settings,
    spool: &SpoolHandle,
    sinks: &[String],
    delivery: &Worker,
    reader: &Reader,
) -> Result<Vec<Arc<Shared>>, StartError> {
    let mut shared = Vec::with_capacity(settings.connections.len());
    for connection in &settings.connections {
        telemetry::connection_configured(&connection.name, connection.plaintext);
        let next_transmission = reader.next_transmission(&connection.name)?;
        let one = Shared::new(
            connection.clone(),
            settings.limits,
            spool.clone(),
            sinks.to_vec(),
            delivery.nudge(),
            next_transmission,
        );
        for incomplete in reader.incompletes(&connection.name)? {
            let last = !incomplete.followed && !incomplete.expired;
            one.remember(incomplete.transmission, incomplete.raw, last);
        }
        if connection.plan.acknowledge.sequence_numbers {
            one.note_sequence(last_sequence(&connection.name, reader)?);
        }
        shared.push(Arc::new(one));
    }
    Ok(shared)
}

/// Messages looked through for the sequence number accepted last; those that start the link have none.
const NUMBERED_MESSAGES_MAX: usize = 32;

/// The sequence number accepted last on a connection: that of the last message that carries one.
fn last_sequence(connection: &str, reader: &Reader) -> Result<Option<u64>, StartError> {
    let filter = MessageFilter {
        connection: Some(connection.to_owned()),
        messages_max: NUMBERED_MESSAGES_MAX,
        ..MessageFilter::default()
    };
    for summary in reader.messages(&filter)?.into_iter().rev() {
        let number = reader.message(summary.id)?.and_then(|message| sequence_number(&message.raw));
        if number.is_some() {
            return Ok(number);
        }
    }
    Ok(None)
}

/// Receptions that were under way when the daemon last ended are incomplete messages.
fn take_up(shared: &[Arc<Shared>], reader: &Reader) -> Result<(), StartError> {
    reader.each_open_transmission(|open| {
        match shared.iter().find(|one| one.settings.name == open.connection) {
            Some(one) => one.take_up(open),
            // Its connection is not configured any more: the frames stay where they are.
            None => telemetry::reception_orphaned(open.frames.len()),
        }
    })?;
    Ok(())
}

/// How long incomplete messages wait for their sender.
struct Holds {
    of: BTreeMap<String, Duration>,
    /// Connections that are not configured any more.
    elsewhere: Duration,
}

impl Holds {
    /// The latest end of a reception on this connection whose hold is over.
    fn over_before(&self, connection: &str, now_ms: i64) -> i64 {
        let hold = self.of.get(connection).unwrap_or(&self.elsewhere);
        now_ms.saturating_sub(i64::try_from(hold.as_millis()).unwrap_or(i64::MAX))
    }
}

async fn keep_house(handle: Handle, holds: Arc<Holds>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        handle.metrics.run_upkeep();
        let asked = handle.clone();
        let reading = tokio::task::spawn_blocking(move || {
            asked.read_levels();
            asked.connections.iter().for_each(|one| one.take_up_left());
        });
        let _ = reading.await;
        let at = Stamp::now();
        let holds = Arc::clone(&holds);
        let before_ms = move |connection: &str| holds.over_before(connection, at.wall_ms);
        handle.spool.expire_incompletes(before_ms, at, |reply| {
            if let Ok(expired) = reply
                && !expired.is_empty()
            {
                telemetry::incompletes_expired(expired.len() as u64);
            }
        });
    }
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
        let status = self.reader()?.status()?;
        let mut lines = vec![json!({
            "type": "daemon",
            "ready": self.ready().is_ok(),
            "why": self.ready().err(),
            "spool": self.spool.state().as_str(),
            "uptime_seconds": self.started.elapsed().as_secs(),
        })];
        for mut line in reports::status(&self.with_configured(status)) {
            if line["type"] == "connection" {
                let name = &line["connection"];
                if let Some(one) = self.connections.iter().find(|one| *name == one.settings.name) {
                    line["open"] = one.open.load(Ordering::Relaxed).into();
                    line["driver"] = one.settings.plan.id.clone().into();
                    line["plaintext"] = one.settings.plaintext.into();
                    one.certificate.describe(&mut line);
                }
            }
            lines.push(line);
        }
        Ok(lines)
    }

    /// A connection that has received nothing is shown all the same.
    fn with_configured(&self, mut status: Status) -> Status {
        for one in self.connections.iter() {
            status.connections.entry(one.settings.name.clone()).or_default();
        }
        status
    }

    fn read_levels(&self) {
        let Ok(status) = self.reader().and_then(|reader| reader.status()) else { return };
        let now = Stamp::now().wall_ms;
        let held: u64 = status.connections.values().map(|connection| connection.held_observations).sum();
        for (name, sink) in &status.sinks {
            let age = sink.oldest_ms.map_or(0, |oldest| now.saturating_sub(oldest).max(0));
            let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
            telemetry::levels(name, sink.backlog, age, held, self.spool.state().is_ready());
        }
        for one in self.connections.iter() {
            if let Some(recorder) = &one.recorder {
                telemetry::capture_dropped(&one.settings.name, recorder.ring().dropped().entries);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_has_ended_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new("lab", vec![LIS.to_owned()]);
        let spool = Spool::open(directory.path().join("spool.db"), options).unwrap();
        let handle = Handle {
            spool: spool.handle(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            connections: Arc::default(),
            stopping: Arc::default(),
            started: Instant::now(),
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
