//! The clock and everything that hangs on it: whatever is due next happens, and the law is asked.

use std::collections::VecDeque;
use std::sync::Arc;

use core::time::Duration;

use labwire_driver::Plan;
use labwire_session::Token;
use labwire_testkit::{Chunks, Seed, control_names};

use super::Report;
use super::analyzer::Analyzer;
use super::books::Books;
use super::history::{Broken, History};
use super::host::{Host, PERSIST_DEADLINE, Request};
use super::law::{self, Law};
use super::profile::plan;
use super::scenario::{Medium, Scenario};
use super::store::Store;
use super::wire::{Parcel, Wire, Writer};

/// Things that may happen in one history. More is a livelock.
const STEPS_MAX: u64 = 400_000;
/// How long the analyzer may need for one message once all is well: six frames refused in a row, their
/// session given up, and the pauses between.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long a dead daemon stays dead.
const RESTART: Duration = Duration::from_secs(3);
/// How long the store refuses.
const REFUSAL: Duration = Duration::from_secs(5);
/// When the host hears of a break that it did not see.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// Both directions of one transport.
#[derive(Debug)]
struct Line {
    number: usize,
    to_host: Wire,
    to_analyzer: Wire,
    /// The analyzer is still at its end.
    held: bool,
    /// The analyzer will write no more.
    half_closed: bool,
    /// When the host hears that nobody is.
    unseen_until: Option<Duration>,
}

/// A request on its way to the disk.
#[derive(Debug)]
struct Job {
    due: Duration,
    request: Request,
    fails: bool,
    /// How many rows were there when it was asked for.
    rows: usize,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    ToHost(usize),
    ToAnalyzer(usize),
    HostTimer(usize),
    AnalyzerTimer,
    Commit,
    Restart,
    StoreReady,
    Unseen(usize),
    Healed,
}

/// One history.
#[derive(Debug)]
pub(super) struct World {
    scenario: Scenario,
    plan: Arc<Plan>,
    chance: Seed,
    now: Duration,
    analyzer: Analyzer,
    host: Option<Host>,
    store: Store,
    lines: Vec<Line>,
    jobs: VecDeque<Job>,
    next_line: usize,
    next_transmission: u64,
    /// When the daemon comes back.
    restart: Option<Duration>,
    /// When the store can commit again.
    refused_until: Option<Duration>,
    healed: bool,
    law: Law,
    history: History,
    report: Report,
}

impl World {
    /// A world at its beginning. `told`: what happens is written down.
    pub(super) fn new(scenario: Scenario, told: bool) -> Result<Self, Broken> {
        let mut history = History::new(told);
        let plan = plan(scenario.speech).map_err(|error| history.broken(error))?;
        let store = if scenario.spool { Store::with_spool(&plan) } else { Ok(Store::default()) };
        let store = store.map_err(|error| history.broken(error))?;
        let mut chance = Seed::new(!scenario.seed);
        let books = Books::of(&scenario, &mut chance);
        let analyzer = Analyzer::new(&scenario, &plan, books);
        let host = Host::new(&scenario, Arc::clone(&plan), 1);
        Ok(Self {
            plan,
            chance,
            now: Duration::ZERO,
            analyzer,
            host: Some(host),
            store,
            lines: Vec::new(),
            jobs: VecDeque::new(),
            next_line: 0,
            next_transmission: 1,
            restart: None,
            refused_until: None,
            healed: false,
            law: Law::default(),
            history,
            report: Report { seeds: 1, with_spool: u64::from(scenario.spool), ..Report::default() },
            scenario,
        })
    }

    /// Lives until nothing is left to do.
    pub(super) fn live(mut self) -> Result<Report, Broken> {
        match self.pass() {
            Ok(()) => {
                self.report.time = self.now;
                self.report.commits = self.store.commits;
                self.report.messages = self.analyzer.books.receipts as u64;
                self.report.attempts = self.analyzer.books.begun.iter().map(|begun| u64::from(*begun)).sum();
                Ok(self.report)
            }
            Err(law) => Err(self.history.broken(law)),
        }
    }

    fn pass(&mut self) -> Result<(), String> {
        let end = self.scenario.healed_at + PATIENCE * u32::try_from(self.scenario.messages).unwrap_or(1);
        self.dial();
        loop {
            self.flush();
            self.submit();
            if let Some(offence) = self.host.as_mut().and_then(|host| host.offence.take()) {
                return Err(offence);
            }
            self.law.ask(&self.analyzer.books, &self.store)?;
            let Some((due, happening)) = self.next() else { break };
            if due > end {
                break;
            }
            self.now = self.now.max(due);
            self.report.steps += 1;
            if self.report.steps > STEPS_MAX {
                return Err(format!("no rest after {STEPS_MAX} steps"));
            }
            self.happen(happening)?;
        }
        law::ask_at_the_end(&self.analyzer.books, &self.store)
    }

    /// Everybody's words go onto the lines.
    fn flush(&mut self) {
        let mut bytes = Vec::new();
        if self.analyzer.transmit(&mut bytes)
            && let Some(line) = self.lines.iter_mut().find(|line| line.held && !line.half_closed)
        {
            self.history.note(self.now, || format!("analyzer: {}", control_names(&bytes)));
            line.to_host.write(self.now, &bytes, &mut self.chance);
            if self.chance.chance(self.scenario.half_closes) && !self.healed {
                self.history.note(self.now, || "analyzer closes its direction".to_owned());
                line.to_host.end(self.now);
                line.half_closed = true;
            }
        }
        let Some(host) = &mut self.host else { return };
        for line in &mut self.lines {
            let Some(place) = host.place_of(line.number) else { continue };
            bytes.clear();
            host.transmit(place, &mut bytes);
            if !bytes.is_empty() {
                self.history.note(self.now, || format!("host {}: {}", line.number, control_names(&bytes)));
                line.to_analyzer.write(self.now, &bytes, &mut self.chance);
            }
            let closed = host.conversations[place].gone;
            if closed && !core::mem::replace(&mut host.conversations[place].said_end, true) {
                line.to_analyzer.end(self.now);
            }
        }
    }

    /// What the host wants of the store gets in line, with what will become of it.
    fn submit(&mut self) {
        let Some(host) = &mut self.host else { return };
        while let Some(request) = host.requests.pop_front() {
            let whole = self.healed || self.now >= self.scenario.healed_at;
            let ordinary = u64::try_from(self.scenario.commit.as_millis()).unwrap_or(0);
            let mut takes = Duration::from_millis(self.chance.below(ordinary + 1));
            if !whole && self.chance.chance(self.scenario.late_commits) {
                takes = PERSIST_DEADLINE + Duration::from_millis(1 + self.chance.below(3_000));
            }
            let fails = match request {
                Request::Persist { .. } => {
                    (!whole && self.chance.chance(self.scenario.failed_commits))
                        || self.refused_until.is_some()
                }
                Request::Close(_) => false,
            };
            let due = self.jobs.back().map_or(self.now, |last| last.due.max(self.now)) + takes;
            self.jobs.push_back(Job { due, request, fails, rows: self.store.rows.len() });
        }
    }

    fn next(&mut self) -> Option<(Duration, Happening)> {
        let mut found = Vec::new();
        if let Some(host) = &self.host {
            for (place, line) in self.lines.iter().enumerate() {
                let Some(conversation) = host.place_of(line.number) else { continue };
                if let Some(due) = line.to_host.due().filter(|_| host.accepts_input(conversation)) {
                    found.push((due, Happening::ToHost(place)));
                }
                found
                    .extend(host.deadline(conversation).map(|due| (due, Happening::HostTimer(conversation))));
                found.extend(line.unseen_until.map(|due| (due, Happening::Unseen(place))));
            }
        }
        for (place, line) in self.lines.iter().enumerate().filter(|(_, line)| line.held) {
            if let Some(due) = line.to_analyzer.due().filter(|_| self.analyzer.accepts_input()) {
                found.push((due, Happening::ToAnalyzer(place)));
            }
        }
        found.extend(self.analyzer.deadline().map(|due| (due, Happening::AnalyzerTimer)));
        found.extend(self.jobs.front().map(|job| (job.due, Happening::Commit)));
        found.extend(self.restart.map(|due| (due, Happening::Restart)));
        found.extend(self.refused_until.map(|due| (due, Happening::StoreReady)));
        found.extend((!self.healed).then_some((self.scenario.healed_at, Happening::Healed)));
        let now = self.now;
        let first = found.iter().map(|(due, _)| (*due).max(now)).min()?;
        found.retain(|(due, _)| (*due).max(now) == first);
        // Of things that happen at one instant, any may be the first; but what is said in time is heard.
        let heard =
            |happening: &Happening| !matches!(happening, Happening::HostTimer(_) | Happening::AnalyzerTimer);
        if found.iter().any(|(_, happening)| heard(happening)) {
            found.retain(|(_, happening)| heard(happening));
        }
        let chosen = self.chance.below(found.len() as u64);
        found.into_iter().nth(usize::try_from(chosen).unwrap_or(0)).map(|(_, happening)| (first, happening))
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::ToHost(place) => self.host_reads(place),
            Happening::ToAnalyzer(place) => self.analyzer_reads(place),
            Happening::HostTimer(conversation) => {
                if let Some(host) = &mut self.host {
                    host.wake(self.now, conversation);
                }
            }
            Happening::AnalyzerTimer => {
                self.analyzer.wake(self.now);
                self.dial();
            }
            Happening::Commit => return self.commit(),
            Happening::Restart => return self.start(),
            Happening::StoreReady => {
                self.refused_until = None;
                if let Some(host) = &mut self.host {
                    host.set_ready(self.now, true);
                }
            }
            Happening::Unseen(place) => {
                self.lines[place].unseen_until = None;
                self.lines[place].to_host.clear();
                self.lines[place].to_host.end(self.now);
            }
            Happening::Healed => self.heal(),
        }
        self.forget();
        self.interfere();
        Ok(())
    }

    fn host_reads(&mut self, place: usize) {
        let line = &mut self.lines[place];
        let (Some(host), Some(parcel)) = (&mut self.host, line.to_host.read()) else { return };
        let Some(conversation) = host.place_of(line.number) else { return };
        match parcel {
            Parcel::Bytes(bytes) => host.receive(self.now, conversation, &bytes),
            Parcel::Damaged => {
                self.history.note(self.now, || "a damaged character reaches the host".to_owned());
                host.receive_damaged(self.now, conversation);
            }
            Parcel::End => host.read_to_end(self.now, conversation),
        }
    }

    fn analyzer_reads(&mut self, place: usize) {
        let Some(parcel) = self.lines[place].to_analyzer.read() else { return };
        match parcel {
            Parcel::Bytes(bytes) => self.analyzer.receive(self.now, &bytes),
            Parcel::Damaged => self.analyzer.receive_damaged(self.now),
            Parcel::End => {
                self.history.note(self.now, || "the host has closed".to_owned());
                self.break_line(place, false);
            }
        }
    }

    /// The oldest request reaches the disk, or does not.
    fn commit(&mut self) -> Result<(), String> {
        let Some(job) = self.jobs.pop_front() else { return Ok(()) };
        match job.request {
            Request::Persist { conversation, persist } => {
                let token: Token = persist.token;
                if !job.fails {
                    self.store.persist(&persist, job.rows)?;
                }
                let durable = if job.fails { "refused" } else { "durable" };
                self.history.note(self.now, || {
                    format!("store: unit {} of reception {} {durable}", token.0, persist.transmission)
                });
                // The daemon may die between the commit and its answer.
                if !self.healed && self.chance.chance(self.scenario.crashes * 4) {
                    self.crash();
                } else if let Some(host) = &mut self.host {
                    host.committed(self.now, conversation, token, !job.fails);
                }
            }
            Request::Close(incomplete) => {
                self.history
                    .note(self.now, || format!("store: reception {} broke off", incomplete.transmission));
                self.store.close(&incomplete)?;
            }
        }
        self.forget();
        Ok(())
    }

    /// Whatever else goes wrong now.
    fn interfere(&mut self) {
        // Single bytes are many things that happen.
        let chunks = self.scenario.chunks;
        if self.healed || (chunks == Chunks::Bytes && !self.chance.chance(50)) {
            return;
        }
        if self.analyzer.hangs_up || self.chance.chance(self.scenario.breaks) {
            self.break_held(false);
        } else if self.chance.chance(self.scenario.unseen_breaks) {
            self.break_held(true);
        }
        if self.chance.chance(self.scenario.crashes) {
            self.crash();
        }
        if self.refused_until.is_none() && self.chance.chance(self.scenario.refusals) {
            self.history.note(self.now, || "the store refuses".to_owned());
            self.refused_until = Some(self.now + REFUSAL);
            if let Some(host) = &mut self.host {
                host.set_ready(self.now, false);
            }
        }
    }

    fn break_held(&mut self, unseen: bool) {
        if let Some(place) = self.lines.iter().position(|line| line.held) {
            self.break_line(place, unseen);
        }
    }

    /// The analyzer's end is gone. What is on the way to the host arrives before it hears of it, or is lost
    /// if it does not hear of it for long.
    fn break_line(&mut self, place: usize, unseen: bool) {
        self.history
            .note(self.now, || if unseen { "the line breaks unseen" } else { "the line breaks" }.to_owned());
        let line = &mut self.lines[place];
        line.held = false;
        line.to_analyzer.clear();
        if unseen {
            line.to_host.clear();
            line.unseen_until = Some(self.now + KEEP_ALIVE);
        } else {
            line.to_host.end(self.now);
        }
        self.analyzer.disconnect(self.now);
    }

    /// The analyzer has a line again, if there is somebody at its other end.
    fn dial(&mut self) {
        if self.analyzer.hangs_up {
            self.break_held(false);
        }
        if self.analyzer.connected || self.analyzer.waits(self.now) {
            return;
        }
        let Some(host) = &mut self.host else { return self.analyzer.wait(self.now) };
        let one = &self.scenario;
        let healed = self.healed;
        let wire = |writer, hurt| {
            let mut wire = Wire::new(writer, hurt, one.chunks, one.latency, one.jitter);
            if healed {
                wire.heal();
            }
            wire
        };
        let line = Line {
            number: self.next_line,
            to_host: wire(Writer::Analyzer, one.hurt),
            to_analyzer: wire(Writer::Host, one.reply_hurt),
            held: true,
            half_closed: false,
            unseen_until: None,
        };
        self.next_line += 1;
        self.history.note(self.now, || format!("line {} is open", line.number));
        host.open(self.now, line.number);
        self.lines.push(line);
        self.analyzer.connect(self.now);
    }

    /// The daemon dies; what is not on the disk is gone.
    fn crash(&mut self) {
        let Some(host) = self.host.take() else { return };
        self.history.note(self.now, || "the daemon dies".to_owned());
        self.report.crashes += 1;
        self.next_transmission = host.next_transmission();
        self.jobs.clear();
        self.restart = Some(self.now + RESTART);
        if self.scenario.medium == Medium::Tcp {
            self.break_held(false);
            self.lines.clear();
        }
    }

    fn start(&mut self) -> Result<(), String> {
        self.restart = None;
        self.store.reopen()?;
        self.history.note(self.now, || "the daemon starts".to_owned());
        let mut host = Host::new(&self.scenario, Arc::clone(&self.plan), self.next_transmission);
        host.take_up(self.store.open(), self.store.incompletes());
        if self.refused_until.is_some() {
            host.set_ready(self.now, false);
        }
        for line in self.lines.iter_mut().filter(|line| line.held) {
            // What arrived at a closed serial port is gone.
            line.to_host.clear();
            line.number = self.next_line;
            self.next_line += 1;
            host.open(self.now, line.number);
        }
        self.host = Some(host);
        self.dial();
        Ok(())
    }

    fn heal(&mut self) {
        self.history.note(self.now, || "all is well from here on".to_owned());
        self.healed = true;
        for line in &mut self.lines {
            line.to_host.heal();
            line.to_analyzer.heal();
        }
    }

    /// Conversations that are over, and their lines.
    fn forget(&mut self) {
        let Some(host) = &mut self.host else { return };
        let over: Vec<usize> = (0..host.conversations.len())
            .filter(|place| host.is_over(*place))
            .map(|place| host.conversations[place].number)
            .collect();
        host.conversations.retain(|one| !over.contains(&one.number));
        self.lines.retain(|line| line.held || !over.contains(&line.number));
    }
}
