//! `kill -9` of the real daemon while analyzers send, over TCP, MLLP and a serial line.
//!
//! Judged by the senders' own books alone: every message whose last acknowledgement an analyzer saw
//! is in the LIS database exactly once and unaltered, and nothing is there that nobody sent. The
//! analyzers add line faults of their own.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "../crates/daemon/analyzer.rs"]
mod analyzer;
#[path = "../crates/daemon/exit.rs"]
#[expect(dead_code, reason = "the binary's own module; the analyzer needs a part of it")]
mod exit;
mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use labwire_driver::{Dialect, Library, Plan, Protocol};
use labwire_simulate::{Event, Faults, Input, Message, Settings, Simulator};
use labwire_transport::{Connection, Peer, PseudoTerminal, Wire};
use support::{Site, eventually};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

/// Kills of the ordinary run; a campaign sets `LABWIRE_CRASH_KILLS`.
const KILLS: u64 = 200;
/// Acknowledged messages that a run of [`KILLS`] must have seen.
const ACKNOWLEDGED: u64 = 5_000;
/// Kills between commit and acknowledgement.
const CRASH_POINT_KILLS: u64 = 20;
/// Line faults in a thousand messages, of each kind.
const FAULTS_PER_MILLE: u16 = 4;
/// Pauses of the analyzers: they have no time to lose.
const PAUSE: Duration = Duration::from_millis(4);

/// Random numbers that a seed repeats (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What one analyzer wrote into its books.
#[derive(Default)]
struct Books {
    acknowledged: Vec<Message>,
    /// Made, perhaps received, never seen acknowledged.
    outstanding: Option<Message>,
    /// Kept until the last daemon has ended: the next pseudo-terminal of this machine would get the
    /// same name, and that daemon would answer on it.
    _serial: Option<Connection>,
}

enum Line {
    Tcp(String),
    /// A line for each daemon: what an old one had written must not be read as the new one's words.
    Serial(mpsc::UnboundedReceiver<PseudoTerminal>),
}

/// Profiles of a dialect that can be simulated, generic ones left out.
fn plans(library: &Library, dialect: Dialect) -> Vec<Arc<Plan>> {
    let mut found = Vec::new();
    for id in library.ids() {
        let plan = Arc::new(library.compile(id).unwrap().plan.unwrap());
        let fits = plan.link.dialect == dialect && plan.protocol != Protocol::Text && !plan.no_profile;
        if fits && Simulator::new(Arc::clone(&plan), 1, settings(1)).is_ok() {
            found.push(plan);
        }
    }
    found
}

fn settings(seed: u64) -> Settings {
    let mut settings = Settings::new(jiff::civil::datetime(2026, 3, 2, 8, 0, 0, 0), format!("K{seed}X"));
    settings.observations_max = 4;
    // Controls share their ids, so the books could not tell one of them from the next.
    settings.control_every = 0;
    settings.interval = Duration::ZERO;
    settings.retry_pause = PAUSE;
    settings.reply_timeout = Duration::from_secs(5);
    settings.pauses = Some(PAUSE);
    settings.faults = Faults::each(FAULTS_PER_MILLE);
    settings
}

async fn run_analyzer(
    mut simulator: Simulator,
    mut line: Line,
    mut stop: watch::Receiver<bool>,
    acknowledged: Arc<AtomicU64>,
) -> Books {
    let origin = Instant::now();
    let mut books = Books::default();
    let mut serial = None;
    while !*stop.borrow() {
        let mut dialled = None;
        let mut next_line = None;
        match &mut line {
            Line::Tcp(target) => dialled = analyzer::connect(target).await.ok(),
            Line::Serial(lines) => next_line = Some(lines),
        }
        let Some(wire) = dialled.as_mut().or(serial.as_mut()) else {
            match next_line {
                Some(lines) => tokio::select! {
                    terminal = lines.recv() => serial = terminal.map(plug),
                    _ = stop.wait_for(|stop| *stop) => {}
                },
                None => sleep(PAUSE).await,
            }
            continue;
        };
        let living = analyzer::live(&mut simulator, wire, origin, |event| {
            if let Event::Acknowledged(message) = event {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                books.acknowledged.push(message);
            }
        });
        let replugged = async {
            match next_line {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = living => {}
            terminal = replugged => serial = terminal.map(plug),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        simulator.step(origin.elapsed(), Input::Closed);
        sleep(PAUSE).await;
    }
    books.outstanding = simulator.outstanding().cloned();
    books._serial = serial;
    books
}

fn plug(terminal: PseudoTerminal) -> Connection {
    Connection::new(Wire::PseudoTerminal(terminal), Peer::Memory)
}

/// What ends a daemon's life.
enum Death<'a> {
    /// SIGKILL after a random time.
    Kill,
    /// The planted fault ends it.
    Planted(&'a dyn Fn(&mut Chance) -> String),
}

struct Verdict {
    kills: u64,
    acknowledged: u64,
    /// Values that were acknowledged and are not in the LIS database.
    lost: Vec<String>,
    /// Values that are there more than once.
    twice: Vec<String>,
    /// Rows that nobody sent.
    foreign: Vec<String>,
    /// What the spool knows of the first lost specimen.
    evidence: Vec<String>,
}

impl Verdict {
    fn assert_nothing_lost_or_doubled(&self) {
        assert!(
            self.lost.is_empty(),
            "acknowledged and lost: {:?}\nthe spool knows:\n{}",
            self.lost,
            self.evidence.join("\n")
        );
        assert!(self.twice.is_empty(), "filed twice: {} e.g. {:?}", self.twice.len(), self.twice.first());
        assert!(
            self.foreign.is_empty(),
            "sent by nobody: {} e.g. {:?}",
            self.foreign.len(),
            self.foreign.first()
        );
    }
}

/// Runs daemons to their deaths until there were `kills` of them and `acknowledged` messages.
fn campaign(binary: &Path, seed: u64, kills: u64, acknowledged: u64, death: &Death<'_>) -> Verdict {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let library = Library::embedded();
    let (lis01, mllp) = (plans(&library, Dialect::Lis01), plans(&library, Dialect::Mllp));
    let mut site = Site::new();
    let (stop, stopped) = watch::channel(false);
    let count = Arc::new(AtomicU64::new(0));
    let mut lines = Vec::new();
    for (number, plan) in lis01.iter().chain(&mllp).enumerate() {
        let address = site.listen(&format!("tcp-{number}"), &plan.id);
        lines.push((Arc::clone(plan), Line::Tcp(address.to_string())));
    }
    // A stable name for whatever line is plugged in, as /dev/serial/by-id has for a USB adapter.
    let device = site.path("serial-line");
    site.connection("serial", &lis01[0].id, &format!("serial = {{ device = \"{}\" }}", device.display()));
    let (plugs, terminals) = mpsc::unbounded_channel();
    lines.push((Arc::clone(&lis01[0]), Line::Serial(terminals)));
    let analyzers: Vec<_> = lines
        .into_iter()
        .enumerate()
        .map(|(number, (plan, line))| {
            let number = number as u64 + 1;
            let mut settings = settings(number);
            if let Line::Serial(_) = line {
                // A serial line does not drop: the reply that the analyzer did not wait for arrives
                // and would be taken for the reply to its next bid.
                settings.faults.drop_before_eot_per_mille = 0;
                settings.faults.drop_before_end_per_mille = 0;
                settings.faults.drop_before_reply_per_mille = 0;
            }
            let seed = seed.wrapping_mul(1_000).wrapping_add(number);
            let simulator = Simulator::new(plan, seed, settings).unwrap();
            runtime.spawn(run_analyzer(simulator, line, stopped.clone(), Arc::clone(&count)))
        })
        .collect();

    let mut chance = Chance(seed);
    let mut deaths = 0;
    while deaths < kills || (count.load(Ordering::Relaxed) < acknowledged && deaths < 4 * kills) {
        let environment = match death {
            Death::Kill => Vec::new(),
            Death::Planted(fault) => vec![(labwire_store::sabotage::VARIABLE, fault(&mut chance))],
        };
        let terminal = {
            let _guard = runtime.enter();
            PseudoTerminal::open().unwrap()
        };
        let _ = std::fs::remove_file(&device);
        std::os::unix::fs::symlink(terminal.path(), &device).unwrap();
        let mut daemon = site.spawn(binary, &environment);
        eventually("the daemon to be ready", || {
            let ended = daemon.has_ended();
            assert!(
                !ended || matches!(death, Death::Planted(_)),
                "the daemon ended by itself:\n{}",
                site.log()
            );
            (ended || daemon.is_ready()).then_some(())
        });
        plugs.send(terminal).unwrap();
        match death {
            Death::Kill => {
                // The time is the experiment, not a wait for something.
                std::thread::sleep(Duration::from_millis(20 + chance.below(160)));
                daemon.kill();
            }
            Death::Planted(_) => eventually("the planted crash", || daemon.has_ended().then_some(())),
        }
        deaths += 1;
    }

    let _ = stop.send(true);
    let books = runtime.block_on(books_of(analyzers));
    let daemon = site.start();
    eventually("everything to be delivered", || {
        let sinks = site.json(&["status"]);
        sinks.iter().any(|line| line["type"] == "sink" && line["backlog"] == 0).then_some(())
    });
    assert_eq!(daemon.stop(), Some(0), "the last daemon drains and ends well:\n{}", site.log());
    site.assert_ledger_balances();
    judge(deaths, &books, &site)
}

async fn books_of(tasks: Vec<tokio::task::JoinHandle<Books>>) -> Vec<Books> {
    let mut books = Vec::new();
    for task in tasks {
        books.push(task.await.unwrap());
    }
    books
}

/// The stored messages that speak of a specimen.
fn evidence(site: &Site, specimen_id: &str) -> Vec<String> {
    let spool = rusqlite::Connection::open(site.spool()).unwrap();
    let mut query = spool
        .prepare(
            "select sequence, connection, transmission, kind, state, coalesce(duplicate_of, 0), cast(raw as text),
               (select group_concat(code) from quarantine where quarantine.message = message.id)
             from message where instr(cast(raw as text), ?1) > 0 order by id",
        )
        .unwrap();
    let rows = query.query_map([specimen_id], |row| {
        Ok(format!(
            "{} {} transmission {} {} {} duplicate of {} held {:?}\n  {:?}",
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, String>(3)?,
            row.get::<_, String>(4)?,
            row.get::<_, i64>(5)?,
            row.get::<_, Option<String>>(7)?,
            row.get::<_, String>(6)?,
        ))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn judge(kills: u64, books: &[Books], site: &Site) -> Verdict {
    // The books hold what was measured; some profiles send it as a part of its field.
    let rows = &site.lis_texts();
    let key = |message: &Message, test: &str, value: &str| {
        (message.specimen_id.clone(), test.to_owned(), value.to_owned())
    };
    let mut verdict =
        Verdict { kills, acknowledged: 0, lost: vec![], twice: vec![], foreign: vec![], evidence: vec![] };
    let mut sent = BTreeSet::new();
    for book in books {
        verdict.acknowledged += book.acknowledged.len() as u64;
        for message in &book.acknowledged {
            for (test, value) in &message.values {
                let key = key(message, test, value);
                if !rows.contains_key(&key) {
                    if verdict.lost.is_empty() {
                        verdict.evidence = evidence(site, &message.specimen_id);
                    }
                    verdict.lost.push(format!("{key:?}"));
                }
                sent.insert(key);
            }
        }
        if let Some(message) = &book.outstanding {
            sent.extend(message.values.iter().map(|(test, value)| key(message, test, value)));
        }
    }
    for (row, times) in rows {
        if *times > 1 {
            verdict.twice.push(format!("{row:?} {times} times"));
        }
        if !sent.contains(row) {
            verdict.foreign.push(format!("{row:?}"));
        }
    }
    verdict
}

fn report(what: &str, seed: u64, verdict: &Verdict) {
    tell(format_args!(
        "crash: {what}: {} kills, {} messages acknowledged, {} values lost, {} filed twice, {} foreign (seed {seed})",
        verdict.kills,
        verdict.acknowledged,
        verdict.lost.len(),
        verdict.twice.len(),
        verdict.foreign.len()
    ));
}

/// Past libtest's capture: a campaign's numbers are its result, and whoever sums up a run counts
/// what was skipped.
fn tell(what: std::fmt::Arguments<'_>) {
    let mut out = std::io::stderr();
    out.write_fmt(format_args!("{what}\n")).unwrap();
}

fn seed() -> u64 {
    std::env::var("LABWIRE_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_302)
}

/// The binary with planted faults, as `cargo xtask test` builds it.
fn sabotaged(suite: &str) -> Option<PathBuf> {
    let path = std::env::var_os("LABWIRE_SABOTAGE_BIN").map(PathBuf::from);
    if path.is_none() {
        tell(format_args!("skipped: {suite} (no sabotage build; run it with `cargo xtask test sabotage`)"));
    }
    path
}

#[test]
fn every_message_that_an_analyzer_saw_acknowledged_survives_kill_nine_exactly_once() {
    let kills =
        std::env::var("LABWIRE_CRASH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let wanted = ACKNOWLEDGED * kills / KILLS;
    let verdict = campaign(Path::new(env!("CARGO_BIN_EXE_labwire")), seed(), kills, wanted, &Death::Kill);
    report("random kill -9", seed(), &verdict);
    verdict.assert_nothing_lost_or_doubled();
    assert!(verdict.acknowledged >= wanted, "only {} messages were acknowledged", verdict.acknowledged);
}

#[test]
fn a_crash_between_commit_and_acknowledgement_costs_nothing() {
    let Some(binary) = sabotaged("crash points") else { return };
    let fault = |chance: &mut Chance| format!("crash:after-commit:{}", 1 + chance.below(120));
    let verdict = campaign(&binary, seed(), CRASH_POINT_KILLS, 0, &Death::Planted(&fault));
    report("between commit and acknowledgement", seed(), &verdict);
    verdict.assert_nothing_lost_or_doubled();
    assert!(verdict.kills >= CRASH_POINT_KILLS && verdict.acknowledged > 0);
}

#[test]
fn the_suite_finds_acknowledgements_that_come_before_the_commit() {
    let Some(binary) = sabotaged("planted early acknowledgement") else { return };
    let fault =
        |chance: &mut Chance| format!("ack-before-commit,crash:before-commit:{}", 20 + chance.below(60));
    let verdict = campaign(&binary, seed(), 6, 0, &Death::Planted(&fault));
    report("planted: acknowledge before commit", seed(), &verdict);
    assert!(!verdict.lost.is_empty(), "the planted bug was not found");
}
