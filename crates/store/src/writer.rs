//! The writer thread: group commit, the I/O latch, checkpoints, heartbeat.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::StoreError;
use crate::database::{self, Checkpoint};
use crate::error::{Severity, severity};
use crate::fault::Place;
use crate::sabotage::{Point, Sabotage};
use crate::spool::{Shared, StoreState};
use crate::transaction::{Refusal, Transaction};

/// Requests in one commit.
pub const BATCH_JOBS_MAX: usize = 512;
/// Bytes of frames and messages in one commit.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// How long a commit waits for other active connections to join it.
pub const LINGER_MAX: Duration = Duration::from_millis(2);
/// A connection is active this long after its last request.
const ACTIVE_FOR: Duration = Duration::from_millis(20);
/// Log that may pile up before it is moved into the database.
const CHECKPOINT_BYTES: usize = 4 << 20;
/// A quiet moment this long is used to move the log.
const CHECKPOINT_IDLE: Duration = Duration::from_secs(1);

/// Gives a request its result once the transaction's own is known.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Run = Box<dyn FnOnce(Attempt<'_, '_>) -> Applied + Send>;

/// What a request is given to work with.
enum Attempt<'a, 'c> {
    /// The open transaction.
    In(&'a Transaction<'c>),
    /// Nothing: it is refused without having been tried.
    Refused(StoreError),
}

/// What became of a request inside the transaction; the answer waits for COMMIT.
struct Applied {
    answer: Answer,
    refusal: Option<(Severity, StoreError)>,
}

/// A request on its way to the writer. One that is dropped on the way is answered all the same.
pub(crate) struct Job {
    connection: Option<String>,
    bytes: usize,
    /// `None` asks the writer to end.
    run: Option<Run>,
}

impl Job {
    pub(crate) fn new<T: Send + 'static>(
        connection: Option<String>,
        bytes: usize,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
        reply: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) -> Self {
        let run: Run = Box::new(move |attempt| {
            let result = match attempt {
                // A request that panics is refused and taken back; its neighbours and the writer go on.
                Attempt::In(transaction) => catch_unwind(AssertUnwindSafe(|| work(transaction)))
                    .unwrap_or_else(|_| {
                        Err(StoreError::failed("store the request", &"a defect of this program").into())
                    }),
                Attempt::Refused(error) => Err(Refusal::Store(error)),
            };
            match result {
                Ok(value) => Applied {
                    answer: Box::new(move |committed| reply(committed.map(|()| value))),
                    refusal: None,
                },
                Err(refusal) => {
                    let severity = refusal.severity();
                    let error = refusal.into_error();
                    let told = error.clone();
                    Applied { answer: Box::new(move |_| reply(Err(told))), refusal: Some((severity, error)) }
                }
            }
        });
        Self { connection, bytes, run: Some(run) }
    }

    pub(crate) fn stop() -> Self {
        Self { connection: None, bytes: 0, run: None }
    }

    /// Answers without trying.
    pub(crate) fn refuse(mut self, error: &StoreError) {
        self.answer_with(error);
    }

    fn answer_with(&mut self, error: &StoreError) {
        if let Some(run) = self.run.take() {
            (run(Attempt::Refused(error.clone())).answer)(Ok(()));
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.answer_with(&StoreError::Stopped);
    }
}

/// The file as the kernel knows it: a spool that was moved or unmounted under us is no spool.
pub(crate) fn identity_of(path: &std::path::Path) -> Option<(u64, u64)> {
    rustix::fs::stat(path).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

struct Writer<'s> {
    shared: &'s Shared,
    sabotage: Sabotage,
    /// `None` while latched.
    database: Option<Connection>,
    /// When each connection last asked for something.
    recent: BTreeMap<String, Instant>,
    /// Bytes written to the log since the last checkpoint.
    in_log: usize,
    /// Commits that carried analyzer data.
    data_commits: u64,
    next_check: Instant,
    retry_delay: Duration,
    stop: bool,
}

/// Says that nothing is durable any more, however the thread ends.
struct Ending<'s>(&'s Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.set_state(StoreState::Stopped);
    }
}

/// Serves requests until it is told to stop or every handle is gone.
pub(crate) fn run(database: Connection, shared: &Shared, receiver: &Receiver<Job>) {
    let ending = Ending(shared);
    shared.beat();
    let mut writer = Writer {
        shared,
        sabotage: Sabotage::from_environment(),
        database: Some(database),
        recent: BTreeMap::new(),
        in_log: 0,
        data_commits: 0,
        next_check: Instant::now() + shared.options.self_check_interval,
        retry_delay: Duration::ZERO,
        stop: false,
    };
    while !writer.stop {
        match receiver.recv_timeout(writer.patience()) {
            Ok(job) => {
                let batch = writer.collect(job, receiver);
                writer.check_if_due();
                writer.commit(batch);
            }
            Err(RecvTimeoutError::Timeout) => writer.idle(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(ending);
    if let Some(database) = writer.database.take()
        && let Err(error) = database::close(&database)
    {
        tracing::warn!(event = "spool_close_failed", %error, "the next start verifies the spool");
    }
    while let Ok(job) = receiver.try_recv() {
        job.refuse(&StoreError::Stopped);
    }
}

impl Writer<'_> {
    /// How long to wait for a request before something of our own is due.
    fn patience(&self) -> Duration {
        let until_check = self.next_check.saturating_duration_since(Instant::now());
        if self.in_log > 0 && self.database.is_some() {
            until_check.min(CHECKPOINT_IDLE)
        } else {
            until_check
        }
    }

    /// Takes what waits, and waits a little for active connections that are missing.
    fn collect(&mut self, first: Job, receiver: &Receiver<Job>) -> Vec<Job> {
        let started = Instant::now();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next.take() {
            if job.run.is_none() {
                self.stop = true;
                break;
            }
            self.shared.queued_jobs.fetch_sub(1, Ordering::AcqRel);
            self.shared.queued_bytes.fetch_sub(job.bytes, Ordering::AcqRel);
            bytes += job.bytes;
            if let Some(connection) = &job.connection {
                match self.recent.get_mut(connection) {
                    Some(last) => *last = started,
                    None => {
                        self.recent.insert(connection.clone(), started);
                    }
                }
            }
            batch.push(job);
            if batch.len() >= BATCH_JOBS_MAX || bytes >= BATCH_BYTES_MAX {
                break;
            }
            next = receiver.try_recv().ok();
            if next.is_none() && self.someone_is_missing(started) {
                let left = LINGER_MAX.saturating_sub(started.elapsed());
                next = if left.is_zero() { None } else { receiver.recv_timeout(left).ok() };
            }
        }
        batch
    }

    /// Whether a connection that asked a moment ago has nothing in the batch that began at
    /// `started`. An analyzer has one frame on its way at a time, so once each of them is in the
    /// batch nobody is worth waiting for.
    fn someone_is_missing(&mut self, started: Instant) -> bool {
        self.recent.retain(|_, last| started.saturating_duration_since(*last) < ACTIVE_FOR);
        self.recent.values().any(|last| *last < started)
    }

    /// One transaction for all of `batch`; replies after COMMIT returned.
    fn commit(&mut self, batch: Vec<Job>) {
        if batch.is_empty() {
            return;
        }
        let Some(database) = self.database.take() else {
            let error = self.latched_error();
            for job in batch {
                job.refuse(&error);
            }
            return;
        };
        let carries_data = batch.iter().any(|job| job.connection.is_some());
        let bytes: usize = batch.iter().map(|job| job.bytes + 512).sum();
        let requests = batch.len() as u64;
        self.data_commits += u64::from(carries_data);
        let mut answers = Vec::with_capacity(batch.len());
        let result = self.transact(&database, batch, carries_data, &mut answers);
        match result {
            Ok(()) => {
                self.database = Some(database);
                self.in_log += bytes;
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                self.shared.requests.fetch_add(requests, Ordering::Relaxed);
                self.shared.beat();
                for answer in answers {
                    answer(Ok(()));
                }
                if self.in_log >= CHECKPOINT_BYTES {
                    self.checkpoint();
                }
            }
            Err((severity, error)) => {
                self.fail(database, severity, &error);
                for answer in answers {
                    answer(Err(error.clone()));
                }
            }
        }
    }

    fn transaction<'c>(&'c self, sql: &'c Connection) -> Transaction<'c> {
        Transaction { sql, options: &self.shared.options, rows_before: self.shared.rows_before }
    }

    /// Applies the batch and commits it. Every job ends up in `answers`, whatever the result.
    fn transact(
        &self,
        database: &Connection,
        batch: Vec<Job>,
        carries_data: bool,
        answers: &mut Vec<Answer>,
    ) -> Result<(), (Severity, StoreError)> {
        let transaction = self.transaction(database);
        let mut failure = execute(database, "BEGIN IMMEDIATE").err();
        for mut job in batch {
            let Some(run) = job.run.take() else { continue };
            if let Some((_, error)) = &failure {
                answers.push(run(Attempt::Refused(error.clone())).answer);
                continue;
            }
            if let Err(error) = execute(database, "SAVEPOINT request") {
                answers.push(run(Attempt::Refused(error.1.clone())).answer);
                failure = Some(error);
                continue;
            }
            let applied = run(Attempt::In(&transaction));
            answers.push(applied.answer);
            let ending = match applied.refusal {
                None => execute(database, "RELEASE request"),
                // What the request had written before it was refused goes; its neighbours stay.
                Some((Severity::Request, _)) => execute(database, "ROLLBACK TO request")
                    .and_then(|()| execute(database, "RELEASE request")),
                Some(failure) => Err(failure),
            };
            failure = ending.err();
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        if self.sabotage.replies_before_commit() && carries_data {
            for answer in answers.drain(..) {
                answer(Ok(()));
            }
            self.sabotage.let_replies_travel();
        }
        if carries_data {
            self.sabotage.reach(Point::BeforeCommit, self.data_commits);
        }
        let started = Instant::now();
        self.shared.faults.check(Place::BeforeCommit)?;
        execute(database, "COMMIT")?;
        self.shared.faults.check(Place::AfterCommit)?;
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.commit_micros.fetch_add(micros, Ordering::Relaxed);
        self.shared.commit_micros_max.fetch_max(micros, Ordering::Relaxed);
        if carries_data {
            self.sabotage.reach(Point::AfterCommit, self.data_commits);
        }
        Ok(())
    }

    /// Rolls back. A full disk keeps the file open; anything else closes it and latches.
    fn fail(&mut self, database: Connection, severity: Severity, error: &StoreError) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        if !database.is_autocommit() && database.execute_batch("ROLLBACK").is_err() {
            self.latch(error);
            return;
        }
        if severity == Severity::File {
            drop(database);
            self.latch(error);
            return;
        }
        self.database = Some(database);
        if self.shared.state() != StoreState::Full {
            tracing::error!(
                event = "spool_full",
                "no space for the spool: analyzers are refused until there is"
            );
            self.shared.set_state(StoreState::Full);
        }
        self.retry_after(self.shared.options.self_check_interval / 10);
    }

    fn latch(&mut self, error: &StoreError) {
        let reason = match error {
            StoreError::Latched { reason } => reason.clone(),
            other => other.to_string(),
        };
        if self.database.take().is_some() || !matches!(self.shared.state(), StoreState::Latched(_)) {
            tracing::error!(
                event = "spool_latched",
                reason,
                "nothing is acknowledged until the spool is verified"
            );
            self.retry_delay = self.shared.options.self_check_interval / 10;
        } else {
            // Verifying reads the whole file: a disk that stays broken is not asked every second.
            self.retry_delay = (self.retry_delay * 2).min(self.shared.options.self_check_interval * 3);
        }
        self.shared.set_state(StoreState::Latched(reason));
        self.retry_after(self.retry_delay);
    }

    fn latched_error(&self) -> StoreError {
        match self.shared.state() {
            StoreState::Latched(reason) => StoreError::Latched { reason },
            _ => StoreError::Stopped,
        }
    }

    fn retry_after(&mut self, delay: Duration) {
        self.next_check = Instant::now() + delay;
    }

    fn idle(&mut self) {
        if self.in_log > 0 && self.database.is_some() {
            self.checkpoint();
        }
        self.check_if_due();
    }

    fn check_if_due(&mut self) {
        if Instant::now() < self.next_check {
            return;
        }
        self.retry_after(self.shared.options.self_check_interval);
        match self.database.take() {
            Some(database) => self.self_check(database),
            None => self.reopen(),
        }
        // A check that came to an end, whatever its result: a writer that hangs in the disk has none.
        self.shared.beat();
    }

    /// Proves that the file is where it was and takes a commit; a full one also that there is space.
    fn self_check(&mut self, database: Connection) {
        if identity_of(&self.shared.path) != self.shared.file {
            drop(database);
            let path = self.shared.path.display();
            self.latch(&StoreError::Latched { reason: format!("{path} was moved or replaced") });
            return;
        }
        let full = self.shared.state() == StoreState::Full;
        let work = || -> Result<(), (Severity, StoreError)> {
            execute(&database, "BEGIN IMMEDIATE")?;
            let transaction = self.transaction(&database);
            let written = if full { transaction.probe() } else { transaction.mark_self_check() };
            written.map_err(|refusal| (refusal.severity(), refusal.into_error()))?;
            self.shared.faults.check(Place::BeforeCommit)?;
            execute(&database, "COMMIT")
        };
        match work() {
            Ok(()) => {
                self.database = Some(database);
                self.in_log += 4096;
                if full {
                    tracing::info!(event = "spool_recovered", "there is space for the spool again");
                    self.shared.set_state(StoreState::Ready);
                }
            }
            Err((severity, error)) => self.fail(database, severity, &error),
        }
    }

    fn reopen(&mut self) {
        let reopened = if identity_of(&self.shared.path) == self.shared.file {
            database::reopen(&self.shared.path, &self.shared.options)
        } else {
            let path = self.shared.path.display();
            Err(StoreError::Latched { reason: format!("{path} was moved or replaced") })
        };
        let reopened = reopened.and_then(|database| {
            self.shared.faults.check(Place::Reopen).map_err(|(_, error)| error)?;
            Ok(database)
        });
        match reopened {
            Ok(database) => {
                tracing::info!(event = "spool_verified", "the spool was verified and takes commits again");
                self.database = Some(database);
                self.in_log = 0;
                self.shared.set_state(StoreState::Ready);
            }
            Err(error) => self.latch(&error),
        }
    }

    fn checkpoint(&mut self) {
        let Some(database) = &self.database else { return };
        self.in_log = 0;
        if let Err(error) = database::checkpoint(database, Checkpoint::Passive) {
            match severity(&error) {
                // The log keeps what the database has no room for.
                Severity::Full => {}
                Severity::Request | Severity::File => {
                    self.latch(&StoreError::Latched { reason: format!("checkpoint: {error}") });
                }
            }
        }
    }
}

fn execute(database: &Connection, statement: &str) -> Result<(), (Severity, StoreError)> {
    database.prepare_cached(statement).and_then(|mut statement| statement.execute([])).map(|_| ()).map_err(
        |error| {
            // Outside a request there is nobody else to blame: what is not a full disk is the file.
            match severity(&error) {
                Severity::Full => (Severity::Full, StoreError::Full),
                _ => (Severity::File, StoreError::Latched { reason: error.to_string() }),
            }
        },
    )
}
