//! `labwire demo`: the main job from analyzers to the LIS, on stores that are thrown away.
//!
//! Nothing here is a mock: the engine is the daemon's, the analyzers speak over real sockets and a
//! real pseudo-terminal, and results are shown as the LIS claims them from its queue.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use labwire_driver::{Dialect, Library, Plan};
use labwire_engine::{Engine, Handle, Settings, reports};
use labwire_model::Kind;
use labwire_schema::Source;
use labwire_simulate::{Event, Simulator};
use labwire_sink::{Claim, LisDatabase};
use labwire_transport::{Connection, Peer, PseudoTerminal, Wire};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::analyzer::{connect, live};
use crate::arguments::Demo;
use crate::exit::{Exit, Failure, Outcome};
use crate::run::{Pages, Signals, VERSION, runtime, start_failure};
use crate::show::{cell, flags};
use crate::simulate::now;
use crate::state::show_ledger;

/// How long the LIS may take to have everything, after the analyzers have fallen silent.
const CATCH_UP: Duration = Duration::from_secs(15);
/// How often the LIS looks into its queue.
const CLAIM_EVERY: Duration = Duration::from_millis(100);
/// How long a result is the LIS's alone after it was claimed.
const LEASE: Duration = Duration::from_secs(30);
/// Pause before an analyzer opens its line again.
const RECONNECT: Duration = Duration::from_millis(500);

/// A directory that goes when the demo does.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("labwire-demo-{}", std::process::id()));
        let created = std::fs::create_dir(&path).and_then(|()| {
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        });
        created.map_err(|error| Failure::io("create", path.display(), &error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How an analyzer of the demo is wired.
enum Line {
    Tcp(SocketAddr),
    Serial(PseudoTerminal),
}

struct Bench {
    name: String,
    plan: Arc<Plan>,
    line: Line,
}

pub(crate) fn demo(arguments: &Demo) -> Outcome {
    runtime()?.block_on(play(arguments))
}

fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no loopback address is free: {error}")))
}

/// Analyzers of the library that can be simulated: three dialects' first ones, and a second LIS01
/// one for the serial line.
fn benches(library: &Library) -> Result<Vec<Bench>, Failure> {
    let mut plans: HashMap<&'static str, Vec<Arc<Plan>>> = HashMap::new();
    for id in library.ids() {
        let Some(plan) = library.compile(id).and_then(|compiled| compiled.plan) else { continue };
        let plan = Arc::new(plan);
        let settings = labwire_simulate::Settings::new(now(), "T");
        let can_be_simulated = Simulator::new(Arc::clone(&plan), 1, settings).is_ok();
        if !plan.no_profile && can_be_simulated {
            plans.entry(plan.link.dialect.as_str()).or_default().push(plan);
        }
    }
    let take = |dialect: Dialect, place: usize| {
        plans.get(dialect.as_str()).and_then(|plans| plans.get(place % plans.len().max(1))).cloned()
    };
    let mut benches = Vec::new();
    for (name, plan) in [
        ("astm-tcp", take(Dialect::Lis01, 0)),
        ("astm-tcp-2", take(Dialect::Lis01, 1)),
        ("hl7-mllp", take(Dialect::Mllp, 0)),
        ("text-tcp", take(Dialect::Delimited, 0)),
    ] {
        if let Some(plan) = plan {
            benches.push(Bench { name: name.to_owned(), plan, line: Line::Tcp(free_address()?) });
        }
    }
    if let Some(plan) = take(Dialect::Lis01, 2) {
        let terminal = PseudoTerminal::open()
            .map_err(|error| Failure::new(Exit::Unavailable, format!("no pseudo-terminal: {error}")))?;
        benches.push(Bench { name: "astm-serial".to_owned(), plan, line: Line::Serial(terminal) });
    }
    Ok(benches)
}

fn site_text(scratch: &Path, admin: SocketAddr, benches: &[Bench]) -> String {
    let at = |name: &str| scratch.join(name).display().to_string();
    let mut text = format!(
        "[site]\ntenant = \"demo\"\ntime_zone = \"UTC\"\n\n[spool]\npath = \"{}\"\n\n[lis]\nurl = \"sqlite://{}\"\n\n\
         [admin]\nlisten = \"{admin}\"\n\n[control]\nsocket = \"{}\"\n",
        at("spool.db"),
        at("lis.db"),
        at("control.sock"),
    );
    for bench in benches {
        let endpoint = match &bench.line {
            Line::Tcp(address) => format!("tcp.listen = \"{address}\""),
            Line::Serial(terminal) => format!("serial = {{ device = \"{}\" }}", terminal.path().display()),
        };
        text.push_str(&format!(
            "\n[[connection]]\nname = \"{}\"\ndriver = \"{}\"\n{endpoint}\n",
            bench.name, bench.plan.id
        ));
    }
    text
}

async fn play(arguments: &Demo) -> Outcome {
    let library = Library::embedded();
    let signals = Signals::listen()?;
    let scratch = Scratch::new()?;
    let admin = tokio::net::TcpListener::bind(free_address()?)
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, format!("no loopback address is free: {error}")))?;
    let address = admin.local_addr()?;
    let benches = benches(&library)?;
    if benches.len() < 3 {
        return Err(Failure::new(Exit::Software, "fewer than three driver profiles can be simulated"));
    }
    let source = Source::new("demo", site_text(&scratch.0, address, &benches));
    let names = library.ids().into_iter().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (site, problems) = labwire_config::load(&source, &names);
    let site = site.ok_or_else(|| {
        Failure::new(
            Exit::Software,
            format!("the demo's configuration: {}", labwire_schema::render(&source, &problems)),
        )
    })?;
    let settings = Settings::from_site(&site, &library)
        .map_err(|_| Failure::new(Exit::Software, "a driver profile of the demo does not compile"))?;
    let lis = settings.lis.clone();
    let engine = Engine::start(settings, HashMap::new(), VERSION).map_err(|error| start_failure(&error))?;
    let handle = engine.handle();

    let (stop, stopped) = watch::channel(false);
    let mut until_stopped = stopped.clone();
    let http = tokio::spawn(labwire_admin::http::serve(
        admin,
        Arc::new(Pages(handle.clone())),
        labwire_admin::http::HttpLimits::default(),
        async move {
            let _ = until_stopped.wait_for(|stop| *stop).await;
        },
    ));
    announce(arguments, &benches, address)?;
    let mut analyzers = tokio::task::JoinSet::new();
    for (number, bench) in benches.into_iter().enumerate() {
        analyzers.spawn(run_bench(bench, number as u64 + 1, stopped.clone()));
    }
    let consumer = tokio::task::spawn_blocking({
        let (stopped, json, handle) = (stopped.clone(), arguments.json, handle.clone());
        move || consume(&lis, json, &stopped, &handle)
    });
    let time_is_up = async {
        match arguments.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = time_is_up => {}
        () = signals.end(|| {}) => {}
    }

    let _ = stop.send(true);
    let mut acknowledged = 0;
    while let Some(seen) = analyzers.join_next().await {
        acknowledged += seen.unwrap_or(0);
    }
    let shown = consumer.await.map_err(|_| Failure::new(Exit::Software, "the LIS of the demo failed"))??;
    let (lines, balances) = tokio::task::spawn_blocking({
        let handle = handle.clone();
        move || handle.reader().and_then(|reader| reports::ledger(&reader, true))
    })
    .await
    .map_err(|_| Failure::new(Exit::Software, "the ledger could not be read"))?
    .map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
    engine.stop().await;
    let _ = http.await;
    conclude(arguments, &lines, acknowledged, shown)?;
    if balances { Ok(()) } else { Err(Failure::new(Exit::Data, "the ledger does not balance")) }
}

fn announce(arguments: &Demo, benches: &[Bench], admin: SocketAddr) -> io::Result<()> {
    // JSON readers get nothing but JSON on standard output.
    let mut out: Box<dyn Write> =
        if arguments.json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    writeln!(out, "metrics: http://{admin}/metrics")?;
    for bench in benches {
        let place = match &bench.line {
            Line::Tcp(address) => address.to_string(),
            Line::Serial(terminal) => terminal.path().display().to_string(),
        };
        writeln!(
            out,
            "{:<12} {:<24} {:<10} on {place}",
            bench.name,
            bench.plan.id,
            bench.plan.link.dialect.as_str()
        )?;
    }
    match arguments.seconds {
        Some(seconds) => writeln!(out, "for {seconds} seconds, or until Ctrl-C\n"),
        None => writeln!(out, "until Ctrl-C\n"),
    }
}

/// One analyzer's life; gives the number of messages that it saw acknowledged.
async fn run_bench(bench: Bench, seed: u64, mut stop: watch::Receiver<bool>) -> u64 {
    let mut settings = labwire_simulate::Settings::new(
        now(),
        format!("{}{seed}-", if seed.is_multiple_of(2) { 'D' } else { 'C' }),
    );
    settings.interval = Duration::from_millis(600 + 150 * seed);
    settings.control_every = 7;
    settings.observations_max = 6;
    let Ok(mut simulator) = Simulator::new(Arc::clone(&bench.plan), seed, settings) else { return 0 };
    let origin = Instant::now();
    let mut acknowledged = 0;
    let target = match &bench.line {
        Line::Tcp(address) => Some(address.to_string()),
        Line::Serial(_) => None,
    };
    let mut serial = match bench.line {
        Line::Serial(terminal) => Some(Connection::new(Wire::PseudoTerminal(terminal), Peer::Memory)),
        Line::Tcp(_) => None,
    };
    while !*stop.borrow() {
        let mut dialled = match &target {
            Some(target) => connect(target).await.ok(),
            None => None,
        };
        let Some(wire) = dialled.as_mut().or(serial.as_mut()) else {
            tokio::time::sleep(RECONNECT).await;
            continue;
        };
        let living = live(&mut simulator, wire, origin, |event| {
            acknowledged += u64::from(matches!(event, Event::Acknowledged(_) | Event::Written(_)));
        });
        tokio::select! {
            _ = living => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        tokio::time::sleep(RECONNECT).await;
    }
    acknowledged
}

/// The LIS: claims results from the queue, shows them, acknowledges them; at the end until the
/// spool has nothing more for it. Gives the number of results that it got.
fn consume(lis: &Path, json: bool, stop: &watch::Receiver<bool>, handle: &Handle) -> Result<u64, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(Exit::Io, format!("the LIS of the demo: {error}"));
    let mut database = LisDatabase::open(lis).map_err(|error| failed(&error))?;
    let mut shown = 0;
    let mut since_stop: Option<std::time::Instant> = None;
    loop {
        let stamp = jiff::Timestamp::now().as_millisecond();
        let mut claimed = Vec::new();
        for kind in [Kind::Patient, Kind::Qc] {
            let claim = Claim { consumer: "demo", kind, results_max: 500, lease: LEASE, now_ms: stamp };
            claimed.extend(database.claim(&claim).map_err(|error| failed(&error))?);
        }
        let ids: Vec<i64> = claimed.iter().map(|result| result.id).collect();
        for result in claimed {
            shown += 1;
            show(&Value::Object(result.row), json)?;
        }
        if !ids.is_empty() {
            database.acknowledge("demo", &ids, stamp).map_err(|error| failed(&error))?;
            continue;
        }
        if *stop.borrow() {
            let began = *since_stop.get_or_insert_with(std::time::Instant::now);
            let backlog = handle
                .reader()
                .and_then(|reader| reader.status())
                .map_or(0, |status| status.sinks.values().map(|sink| sink.backlog).sum::<u64>());
            if backlog == 0 || began.elapsed() > CATCH_UP {
                return Ok(shown);
            }
        }
        std::thread::sleep(CLAIM_EVERY);
    }
}

fn show(row: &Value, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{row}");
    }
    let test = if row["lis_test"].is_null() { "analyzer_test" } else { "lis_test" };
    writeln!(
        out,
        "{:<12} {:<8} {:<14} {:<12} {:>10} {:<10} {}",
        cell(row, "connection"),
        cell(row, "kind"),
        cell(row, "specimen_id"),
        cell(row, test),
        cell(row, "value"),
        cell(row, "unit"),
        flags(row),
    )
}

fn conclude(arguments: &Demo, lines: &[Value], acknowledged: u64, shown: u64) -> io::Result<()> {
    let mut out: Box<dyn Write> =
        if arguments.json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    writeln!(out)?;
    show_ledger(&mut out, lines)?;
    writeln!(out, "the analyzers saw {acknowledged} messages acknowledged; the LIS took {shown} results")
}
