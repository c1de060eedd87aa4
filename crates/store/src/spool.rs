//! The spool as the daemon holds it: [`Spool`] owns file, lock and writer thread; [`SpoolHandle`]
//! is what everybody else has.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::fault::Faults;
use crate::lock::Lock;
use crate::read::Reader;
use crate::record::{CloseIncomplete, Closed, Decision, MessageId, Persist, Persisted, Stamp, Tally};
use crate::transaction::{Refusal, Transaction};
use crate::writer::{self, Job};
use crate::{StoreError, database, delivery, incomplete, persist, quarantine, sabotage};

/// Jobs that may wait for the writer. Reaching it refuses with [`StoreError::Busy`].
pub const QUEUE_JOBS_MAX: usize = 4_096;
/// Bytes of frames and messages that may wait for the writer.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// What a spool is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tenant whose spool this is; a file of another tenant is refused.
    pub tenant: String,
    /// Every sink of the site: the ledger keeps an account for each.
    pub sinks: Vec<String>,
    /// How long an identical message counts as a duplicate, by a clock that nobody sets; over a restart
    /// by the wall clock, but for the last messages of the connection.
    pub duplicate_window: Duration,
    /// How often an idle writer proves with a small commit that it can commit; a spool that is
    /// latched or full is tried again after a tenth of it.
    pub self_check_interval: Duration,
    /// Pages (4 KiB) that the database may grow to; 0 for no limit of its own.
    pub pages_max: u32,
}

impl Options {
    /// The defaults for one laboratory and its LIS.
    #[must_use]
    pub fn new(tenant: impl Into<String>, sinks: Vec<String>) -> Self {
        Self {
            tenant: tenant.into(),
            sinks,
            duplicate_window: Duration::from_secs(7 * 24 * 3600),
            self_check_interval: Duration::from_secs(10),
            pages_max: 0,
        }
    }
}

/// Whether the spool can make things durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It can.
    Ready,
    /// There is no space; it tries again by itself.
    Full,
    /// A write, a commit or the file failed; it is being reopened and verified.
    Latched(String),
    /// The writer has ended.
    Stopped,
}

impl StoreState {
    /// Whether ENQ may be answered with ACK.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// The word in JSON, logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Full => "full",
            Self::Latched(_) => "latched",
            Self::Stopped => "stopped",
        }
    }
}

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Transactions committed that carried requests.
    pub commits: u64,
    /// Requests in them.
    pub requests: u64,
    /// Time spent in COMMIT, in microseconds.
    pub commit_micros: u64,
    /// The longest COMMIT, in microseconds.
    pub commit_micros_max: u64,
    /// Requests refused because the queue was full.
    pub busy: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Requests that wait.
    pub queued: u64,
}

type Observer = Box<dyn Fn(&StoreState) + Send>;

/// What the writer and the handles share.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
    /// The last row that an earlier run of the daemon gave a message.
    pub(crate) rows_before: i64,
    /// The file that was opened, as the kernel knows it.
    pub(crate) file: Option<(u64, u64)>,
    pub(crate) lock: Arc<Lock>,
    state: Mutex<StoreState>,
    observers: Mutex<Vec<Observer>>,
    origin: Instant,
    heartbeat_millis: AtomicU64,
    pub(crate) queued_jobs: AtomicUsize,
    pub(crate) queued_bytes: AtomicUsize,
    pub(crate) commits: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) commit_micros: AtomicU64,
    pub(crate) commit_micros_max: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) faults: Faults,
}

impl Shared {
    pub(crate) fn set_state(&self, state: StoreState) {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == state {
            return;
        }
        held.clone_from(&state);
        drop(held);
        for observer in self.observers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            observer(&state);
        }
    }

    pub(crate) fn state(&self) -> StoreState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn beat(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heartbeat_millis.store(millis, Ordering::Relaxed);
    }
}

/// A spool opened for writing, and its writer thread. Dropping it ends the writer after what is
/// queued; handles that outlive it are answered with [`StoreError::Stopped`].
pub struct Spool {
    handle: SpoolHandle,
    writer: Option<JoinHandle<()>>,
}

impl Spool {
    /// Opens the spool at `path`, creating it if there is none, and starts its writer.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerFormat`], [`StoreError::NotASpool`],
    /// [`StoreError::OtherTenant`], [`StoreError::SqliteTooOld`], [`StoreError::Latched`] when the
    /// file fails its verification, [`StoreError::Failed`].
    pub fn open(path: impl AsRef<Path>, mut options: Options) -> Result<Self, StoreError> {
        sabotage::refuse_in_release()?;
        let path = path.as_ref().to_owned();
        let lock = Arc::new(Lock::take(&path)?);
        let database = database::open_for_writing(&path, &options)?;
        options.sinks = database::adopt_sinks(&database, &options.sinks)?;
        let rows_before = database::last_message(&database)?;
        let shared = Arc::new(Shared {
            rows_before,
            file: writer::identity_of(&path),
            path,
            options,
            lock,
            state: Mutex::new(StoreState::Ready),
            observers: Mutex::new(Vec::new()),
            origin: Instant::now(),
            heartbeat_millis: AtomicU64::new(0),
            queued_jobs: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            commits: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            commit_micros: AtomicU64::new(0),
            commit_micros_max: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            faults: Faults::default(),
        });
        let (sender, receiver): (SyncSender<Job>, Receiver<Job>) = sync_channel(QUEUE_JOBS_MAX);
        let for_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("spool-writer".to_owned())
            .spawn(move || writer::run(database, &for_writer, &receiver))
            .map_err(|error| StoreError::failed("start the spool's writer thread", &error))?;
        Ok(Self { handle: SpoolHandle { shared, sender }, writer: Some(writer) })
    }

    /// Opens the spool for reading alone, without a daemon beside it: takes the same lock.
    ///
    /// # Errors
    /// As [`Spool::open`]; [`StoreError::Missing`] when there is no file.
    pub fn open_read(path: impl AsRef<Path>) -> Result<Reader, StoreError> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let lock = Arc::new(Lock::take(path)?);
        Reader::open(path, lock)
    }

    /// A handle for whoever writes or reads.
    #[must_use]
    pub fn handle(&self) -> SpoolHandle {
        self.handle.clone()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Blocks while the queue is full, which the writer is about to change.
        let _ = self.handle.sender.send(Job::stop());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so and left the state at Stopped.
            let _ = writer.join();
        }
    }
}

/// The way to the writer thread. Cheap to clone; every request is answered exactly once through
/// its `reply`, on the writer's thread after the commit that holds it, or on the caller's thread
/// at once when the queue is full. A reply must be quick and must not block: a channel's send.
#[derive(Clone)]
pub struct SpoolHandle {
    pub(crate) shared: Arc<Shared>,
    sender: SyncSender<Job>,
}

impl SpoolHandle {
    /// Makes a frame and the messages that it completes durable.
    pub fn persist(
        &self,
        persist: Persist,
        reply: impl FnOnce(Result<Persisted, StoreError>) + Send + 'static,
    ) {
        let bytes = persist.frame.bytes.len()
            + persist.completes.iter().map(|message| 3 * message.raw.len()).sum::<usize>();
        let connection = Some(persist.connection.clone());
        self.submit(connection, bytes, move |transaction| persist::apply(transaction, &persist), reply);
    }

    /// Keeps what was received of a message that never completed.
    pub fn close_incomplete(
        &self,
        close: CloseIncomplete,
        reply: impl FnOnce(Result<Closed, StoreError>) + Send + 'static,
    ) {
        let bytes = 3 * close.raw.len();
        self.submit(None, bytes, move |transaction| incomplete::close(transaction, &close), reply);
    }

    /// Moves incomplete messages to quarantine whose reception ended before the time that `before_ms`
    /// says for their connection.
    pub fn expire_incompletes(
        &self,
        before_ms: impl Fn(&str) -> i64 + Send + 'static,
        at: Stamp,
        reply: impl FnOnce(Result<Vec<MessageId>, StoreError>) + Send + 'static,
    ) {
        self.submit(None, 0, move |transaction| incomplete::expire(transaction, before_ms, at), reply);
    }

    /// Records that the sinks have these deliveries. Answers how many had been waiting.
    pub fn mark_delivered(
        &self,
        ids: Vec<i64>,
        at: Stamp,
        reply: impl FnOnce(Result<u64, StoreError>) + Send + 'static,
    ) {
        self.submit(None, 0, move |transaction| delivery::mark_delivered(transaction, &ids, at), reply);
    }

    /// Counts an attempt that failed; the deliveries keep waiting in their order. `error` must not
    /// hold patient data.
    pub fn mark_failed(
        &self,
        ids: Vec<i64>,
        error: String,
        reply: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.submit(None, 0, move |transaction| delivery::mark_failed(transaction, &ids, &error), reply);
    }

    /// Takes a delivery that its sink will never accept out of the way: its observations are held
    /// for a person, with this code and reason, for that sink alone.
    pub fn refuse_delivery(
        &self,
        id: i64,
        code: String,
        reason: String,
        at: Stamp,
        reply: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.submit(None, 0, move |transaction| delivery::refuse(transaction, id, &code, &reason, at), reply);
    }

    /// Releases held observations to the sinks, as they were read. All or none.
    pub fn release(
        &self,
        items: Vec<i64>,
        decision: Decision,
        reply: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.submit(None, 0, move |transaction| quarantine::release(transaction, &items, &decision), reply);
    }

    /// Discards held observations. All or none.
    pub fn discard(
        &self,
        items: Vec<i64>,
        decision: Decision,
        reply: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.submit(None, 0, move |transaction| quarantine::discard(transaction, &items, &decision), reply);
    }

    /// Counts so many more of something that is counted apart.
    pub fn count(
        &self,
        connection: &str,
        tally: Tally,
        more: u32,
        reply: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let connection = connection.to_owned();
        self.submit(None, 0, move |transaction| transaction.tally(&connection, tally, more), reply);
    }

    /// Commits something small and answers whether that worked.
    pub fn probe(&self, reply: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.submit(None, 0, |transaction| transaction.probe(), reply);
    }

    /// Whether the spool can make things durable.
    #[must_use]
    pub fn state(&self) -> StoreState {
        self.shared.state()
    }

    /// Calls `observer` on the writer's thread whenever [`SpoolHandle::state`] changes.
    pub fn observe(&self, observer: impl Fn(&StoreState) + Send + 'static) {
        self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(observer));
    }

    /// When the last commit succeeded, self-checks included: what the watchdog is fed from.
    #[must_use]
    pub fn heartbeat(&self) -> Instant {
        self.shared.origin + Duration::from_millis(self.shared.heartbeat_millis.load(Ordering::Relaxed))
    }

    /// Counts for metrics.
    #[must_use]
    pub fn commit_stats(&self) -> CommitStats {
        let shared = &self.shared;
        CommitStats {
            commits: shared.commits.load(Ordering::Relaxed),
            requests: shared.requests.load(Ordering::Relaxed),
            commit_micros: shared.commit_micros.load(Ordering::Relaxed),
            commit_micros_max: shared.commit_micros_max.load(Ordering::Relaxed),
            busy: shared.busy.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            queued: shared.queued_jobs.load(Ordering::Relaxed) as u64,
        }
    }

    /// Opens a connection for reading beside the writer. Reads block; keep them off the tasks that
    /// serve analyzers.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when SQLite cannot open it.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.shared.path, Arc::clone(&self.shared.lock))
    }

    /// Sends a request with a reply that is waited for: for commands and tests, never for a task
    /// of an asynchronous runtime.
    ///
    /// # Errors
    /// What the request is answered with.
    pub fn wait<T: Send + 'static>(
        &self,
        request: impl FnOnce(&Self, Box<dyn FnOnce(Result<T, StoreError>) + Send>),
    ) -> Result<T, StoreError> {
        let (sender, receiver) = sync_channel(1);
        request(
            self,
            Box::new(move |result| {
                let _ = sender.send(result);
            }),
        );
        receiver.recv().unwrap_or(Err(StoreError::Stopped))
    }

    pub(crate) fn submit<T: Send + 'static>(
        &self,
        connection: Option<String>,
        bytes: usize,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal> + Send + 'static,
        reply: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let job = Job::new(connection, bytes, work, reply);
        let queued = self.shared.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        if queued > 0 && queued + bytes > QUEUE_BYTES_MAX {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.shared.busy.fetch_add(1, Ordering::Relaxed);
            job.refuse(&StoreError::Busy { limit: "QUEUE_BYTES_MAX" });
            return;
        }
        self.shared.queued_jobs.fetch_add(1, Ordering::AcqRel);
        let (job, error) = match self.sender.try_send(job) {
            Ok(()) => return,
            Err(TrySendError::Full(job)) => {
                self.shared.busy.fetch_add(1, Ordering::Relaxed);
                (job, StoreError::Busy { limit: "QUEUE_JOBS_MAX" })
            }
            Err(TrySendError::Disconnected(job)) => (job, StoreError::Stopped),
        };
        self.shared.queued_jobs.fetch_sub(1, Ordering::AcqRel);
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
        job.refuse(&error);
    }
}
