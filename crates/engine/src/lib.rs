//! Tasks, supervision, drain, health, events and metrics: what makes the rooms one daemon.
//!
//! - One task a transport; what one analyzer does costs no other one anything but its share of the
//!   disk.
//! - The spool's writer and the delivery are threads of their own. Nothing waits for the LIS.
//! - Ready means: the spool can commit, and every listening address is bound.

#![forbid(unsafe_code)]

mod connection;
mod delivery;
mod handle;
pub mod metric;
mod process;
pub mod reports;
mod roster;
mod site;
mod telemetry;

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use core::time::Duration;

use labwire_route::LIS;
use labwire_store::{Options, Spool, SpoolHandle, Stamp, StoreError};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;

pub use connection::{ConnectionSettings, Limits, PeerLimits};
pub use handle::{Handle, ReloadError, Reloaded};
pub use roster::Change;
pub use site::{BadProfile, Settings};

use crate::delivery::Worker;
use crate::handle::Fixed;
use crate::roster::{Roster, Surroundings};

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
    /// Connections that cannot be served, each for a reason of its own; at least one.
    Connections(Vec<Self>),
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
            Self::Connections(errors) => {
                let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&told.join("\n"))
            }
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
    housekeeping: tokio::task::JoinHandle<()>,
    delivery: Worker,
    spool: Spool,
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
        let metrics = install_metrics()?;
        metric::describe();
        telemetry::started(version);

        let delivery = Worker::start(spool.handle(), settings.lis.clone()).map_err(StartError::Thread)?;
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
        let surroundings =
            Surroundings { spool: spool.handle(), sinks, nudge: delivery.nudge(), ready: is_ready };
        let roster = Arc::new(Roster::new(surroundings, settings.incomplete_hold));
        let fixed = Arc::new(Fixed::of(&settings));
        let Settings { connections, limits, incomplete_hold, .. } = settings;
        let names: Vec<String> = connections.iter().map(|one| one.name.clone()).collect();
        if let Err(errors) = roster.apply(connections, limits, incomplete_hold, &mut inherited) {
            delivery.stop();
            return Err(StartError::Connections(errors));
        }
        tell_orphans(&spool.handle(), &names)?;
        delivery.nudge().look();
        let handle =
            Handle { spool: spool.handle(), metrics, roster, stopping, started: Instant::now(), fixed };
        let housekeeping = tokio::spawn(keep_house(handle.clone(), stopped));
        Ok(Self { handle, stop, housekeeping, delivery, spool })
    }

    /// For whoever asks.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Drains: no new session begins, messages under way may end, what is committed is delivered as
    /// far as the LIS takes it now, the spool is closed.
    pub async fn stop(self) {
        self.handle.stopping.store(true, Ordering::Relaxed);
        let _ = self.stop.send(true);
        self.handle.roster.stop().await;
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

/// Frames of connections that are not configured stay where they are.
fn tell_orphans(spool: &SpoolHandle, configured: &[String]) -> Result<(), StartError> {
    spool.reader()?.each_open_transmission(|open| {
        if !configured.contains(&open.connection) {
            telemetry::reception_orphaned(open.frames.len());
        }
    })?;
    Ok(())
}

async fn keep_house(handle: Handle, mut stop: watch::Receiver<bool>) {
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
            asked.roster.all().iter().for_each(|one| one.take_up_left());
            asked.roster.prune();
        });
        let _ = reading.await;
        let at = Stamp::now();
        let (holds, elsewhere) = handle.roster.incomplete_holds();
        // The latest end of a reception on this connection whose hold is over.
        let before_ms = move |connection: &str| {
            let hold = holds.get(connection).unwrap_or(&elsewhere).as_millis();
            at.wall_ms.saturating_sub(i64::try_from(hold).unwrap_or(i64::MAX))
        };
        handle.spool.expire_incompletes(before_ms, at, |reply| {
            if let Ok(expired) = reply
                && !expired.is_empty()
            {
                telemetry::incompletes_expired(expired.len() as u64);
            }
        });
    }
}
