//! `labwire run`: the daemon.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use labwire_admin::Limit;
use labwire_admin::control::{ControlLimits, Server};
use labwire_admin::http::{AdminSource, HttpLimits};
use labwire_config::SiteConfig;
use labwire_engine::{Engine, Handle, Settings, StartError};
use labwire_store::StoreError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::arguments::Run;
use crate::check;
use crate::control::Commands;
use crate::exit::{Exit, Failure, Outcome};
use crate::inherited;
use crate::log_budget::LogBudget;
use crate::reload::Reloader;

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Two threads carry a laboratory: the work is waiting, and the disk has its own threads.
const WORKER_THREADS: usize = 2;

pub(crate) fn run(arguments: &Run) -> Outcome {
    labwire_store::sabotage::refuse_in_release()
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    start_log(&arguments.log);
    std::panic::set_hook(Box::new(|panic| tell_panic(panic.location())));
    let (site, settings) = check::load_site(&arguments.config)?;
    let inherited = inherited::listeners(&site)?;
    runtime()?.block_on(serve(&arguments.config, &site, settings, inherited))
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Software, format!("failed to start the runtime: {error}")))
}

fn start_log(format: &str) {
    let filter = EnvFilter::try_from_env("LABWIRE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    let budget = LogBudget::default();
    // A second subscriber in the process means that somebody else keeps the log.
    let _ = if format == "json" {
        builder.json().flatten_event(true).finish().with(budget).try_init()
    } else {
        builder.finish().with(budget).try_init()
    };
}

/// A panic in the daemon is told by its place alone: its words may quote what was being read.
fn tell_panic(at: Option<&std::panic::Location<'_>>) {
    let at = at.map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    tracing::error!(event = "defect", at, thread, "a defect of this program: please report it");
}

pub(crate) fn start_failure(error: &StartError) -> Failure {
    Failure::new(start_exit(error), error.to_string())
}

fn start_exit(error: &StartError) -> Exit {
    match error {
        StartError::Spool(StoreError::InUse { .. }) => Exit::Busy,
        StartError::Spool(StoreError::NewerFormat { .. } | StoreError::OtherTenant { .. }) => Exit::Config,
        StartError::Spool(_) => Exit::Io,
        StartError::Bind { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::NoPermission
        }
        // Certificates and keys that do not fit.
        StartError::Bind { error, .. } if error.kind() == std::io::ErrorKind::InvalidInput => Exit::Config,
        StartError::Bind { .. } => Exit::Unavailable,
        StartError::Connections(errors) => errors.first().map_or(Exit::Software, start_exit),
        StartError::Thread(_) | StartError::Metrics => Exit::Software,
    }
}

pub(crate) struct Pages(pub(crate) Handle);

impl AdminSource for Pages {
    fn metrics(&self) -> String {
        self.0.metrics()
    }

    fn live(&self) -> bool {
        self.0.live()
    }

    fn ready(&self) -> Result<(), String> {
        self.0.ready()
    }

    fn limit_reached(&self, limit: Limit) {
        self.0.limit_reached(limit.name());
    }
}

async fn serve(
    config: &Path,
    site: &SiteConfig,
    settings: Settings,
    inherited: HashMap<String, TcpListener>,
) -> Outcome {
    let signals = Signals::listen()?;
    // The control socket tells best that a daemon of this configuration runs already.
    let control = bind_control(site)?;
    let admin = bind_admin(site).await?;
    let engine = Engine::start(settings, inherited, VERSION).map_err(|error| start_failure(&error))?;
    let (stop, stopped) = watch::channel(false);
    let until_stopped = |mut stopped: watch::Receiver<bool>| async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let pages = Arc::new(Pages(engine.handle()));
    let http = tokio::spawn(labwire_admin::http::serve(
        admin,
        pages,
        HttpLimits::default(),
        until_stopped(stopped.clone()),
    ));
    let reloader = Arc::new(Reloader::new(config.to_owned(), site, engine.handle()));
    let commands = Arc::new(Commands::new(engine.handle(), Some(Arc::clone(&reloader))));
    let control = tokio::spawn(control.serve(commands, until_stopped(stopped.clone())));
    let watchdog = tokio::spawn(feed_watchdog(engine.handle()));
    tracing::info!(event = "ready", version = VERSION, admin = %site.admin.listen, connections = site.connections.len());
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    let handle = engine.handle();
    let is_broken = tokio::select! {
        () = signals.end(|| drop(tokio::spawn(Arc::clone(&reloader).on_hangup()))) => false,
        () = handle.broken() => true,
    };
    tracing::info!(event = "stopping");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    watchdog.abort();
    engine.stop().await;
    let _ = stop.send(true);
    let _ = http.await;
    let _ = control.await;
    tracing::info!(event = "stopped");
    if is_broken {
        return Err(Failure::new(Exit::Software, "the spool's writer has ended: nothing can be stored"));
    }
    Ok(())
}

async fn bind_admin(site: &SiteConfig) -> Result<tokio::net::TcpListener, Failure> {
    tokio::net::TcpListener::bind(site.admin.listen).await.map_err(|error| {
        Failure::new(Exit::Unavailable, format!("[admin] cannot listen on {}: {error}", site.admin.listen))
    })
}

fn bind_control(site: &SiteConfig) -> Result<Server, Failure> {
    let path = &site.control.socket;
    Server::bind(path, ControlLimits::default()).map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::AddrInUse => Exit::Busy,
            std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::Io,
        };
        Failure::new(exit, format!("[control] cannot listen on {}: {error}", path.display()))
    })
}

/// The signals that a daemon is sent; heard from [`Signals::listen`] on.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Software, format!("failed to listen for signals: {error}"))
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Until SIGTERM or SIGINT; `hang_up` is called for each SIGHUP before it.
    pub(crate) async fn end(mut self, hang_up: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                Some(()) = self.hangup.recv() => hang_up(),
            }
        }
    }
}

/// Tells systemd that the commit path is alive, twice in each watchdog period, and only then.
async fn feed_watchdog(handle: Handle) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut tick = tokio::time::interval((period / 2).max(Duration::from_millis(100)));
    loop {
        tick.tick().await;
        if handle.live() {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}
