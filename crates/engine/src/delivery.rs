//! Brings what the spool holds for the LIS into its database, in order, for ever.
//!
//! A thread of its own: SQLite blocks, and a LIS database that hangs must not cost an analyzer its
//! acknowledgement.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use labwire_route::{LIS, RetrySchedule};
use labwire_sink::{LisDatabase, Outcome};
use labwire_store::{Batch, Delivery, Reader, SpoolHandle, Stamp, StoreError};

use crate::telemetry;

/// Messages delivered in one transaction of the LIS database.
const BATCH_MESSAGES_MAX: usize = 200;
/// Looked again after so long, also when nobody said that something waits.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Debug)]
enum Wake {
    Look,
    Stop,
}

/// Tells the delivery thread that something waits. Never blocks.
#[derive(Clone, Debug)]
pub(crate) struct Nudge(SyncSender<Wake>);

impl Nudge {
    pub(crate) fn look(&self) {
        // A full channel means that a look is due already.
        match self.0.try_send(Wake::Look) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The running delivery to one sink.
pub(crate) struct Worker {
    nudge: Nudge,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn start(spool: SpoolHandle, lis: PathBuf) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(1);
        let thread = std::thread::Builder::new().name("delivery-lis".to_owned()).spawn(move || {
            Delivering { spool, lis, database: None, reader: None, failures: 0, shown: None, damaged: 0 }
                .run(&receiver)
        })?;
        Ok(Self { nudge: Nudge(sender), thread })
    }

    pub(crate) fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// Lets the batch under way end, then ends.
    pub(crate) fn stop(self) {
        let _ = self.nudge.0.send(Wake::Stop);
        let _ = self.thread.join();
    }
}

struct Delivering {
    spool: SpoolHandle,
    lis: PathBuf,
    database: Option<LisDatabase>,
    reader: Option<Reader>,
    failures: u32,
    /// The failure that the spool shows; written again when the words change.
    shown: Option<String>,
    /// Damaged messages that the last look found; told when the number changes.
    damaged: usize,
}

/// Why a batch was not delivered, for the log: a code and words without patient data.
struct Failed(String);

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl Delivering {
    fn run(mut self, wakes: &Receiver<Wake>) {
        let schedule = RetrySchedule::default();
        let mut next = Instant::now();
        loop {
            match wakes.recv_timeout(next.saturating_duration_since(Instant::now())) {
                // New results do not shorten the pause of a sink that fails.
                Ok(Wake::Look) if self.failures > 0 => continue,
                Ok(Wake::Look) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let pause = match contained(|| self.deliver()) {
                Ok(delivered) => {
                    self.recovered();
                    if delivered == 0 { IDLE } else { Duration::ZERO }
                }
                Err(Failed(error)) => {
                    self.failures = self.failures.saturating_add(1);
                    let pause = schedule.pause(self.failures);
                    telemetry::delivery_failed(LIS, &error, self.failures, pause);
                    // Opened anew: the file may have been replaced, and a defect leaves nothing whole.
                    self.database = None;
                    self.reader = None;
                    pause
                }
            };
            next = Instant::now() + pause;
        }
    }

    fn recovered(&mut self) {
        if self.failures > 0 {
            telemetry::delivery_resumed(LIS, self.failures);
            self.failures = 0;
            self.shown = None;
        }
    }

    fn deliver(&mut self) -> Result<usize, Failed> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(self.spool.reader()?),
        };
        let Batch { deliveries: batch, damaged } = reader.next_batch(LIS, BATCH_MESSAGES_MAX)?;
        if damaged.len() != self.damaged {
            self.damaged = damaged.len();
            telemetry::records_damaged(LIS, self.damaged);
        }
        if batch.is_empty() {
            return Ok(0);
        }
        match file(&mut self.database, &self.lis, &batch) {
            Ok(delivered) => {
                let mut filed = Vec::with_capacity(delivered.len());
                for (id, outcome) in delivered {
                    match outcome {
                        Outcome::Filed { .. } => filed.push(id),
                        Outcome::Refused { code, reason } => {
                            let refusal = reason.clone();
                            self.spool.wait(move |spool, reply| {
                                spool.refuse_delivery(id, code.to_owned(), refusal, Stamp::now(), reply);
                            })?;
                            telemetry::delivery_refused(LIS, code, &reason);
                        }
                    }
                }
                let messages = filed.len();
                self.spool.wait(move |spool, reply| spool.mark_delivered(filed, Stamp::now(), reply))?;
                telemetry::delivered(LIS, messages as u64);
                Ok(batch.len())
            }
            Err(failed) => {
                if self.shown.as_ref() != Some(&failed.0) {
                    let ids: Vec<i64> = batch.iter().map(|delivery| delivery.id).collect();
                    let error = failed.0.clone();
                    self.spool.wait(move |spool, reply| spool.mark_failed(ids, error, reply))?;
                    self.shown = Some(failed.0.clone());
                }
                Err(failed)
            }
        }
    }
}

/// A defect of ours is a failure like any other: told, and tried again.
fn contained<T>(work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Failed("the delivery met a defect of this program".to_owned())))
}

fn file(
    database: &mut Option<LisDatabase>,
    lis: &std::path::Path,
    batch: &[Delivery],
) -> Result<Vec<(i64, Outcome)>, Failed> {
    let database = match database {
        Some(database) => database,
        none => none.insert(LisDatabase::open(lis).map_err(|error| Failed(error.to_string()))?),
    };
    let delivered = database.deliver(batch).map_err(|error| Failed(error.to_string()))?;
    Ok(delivered.into_iter().map(|one| (one.id, one.outcome)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_that_is_tried_again() {
        assert!(contained(|| -> Result<(), Failed> { panic!("a defect") }).is_err());
        assert!(contained(|| Ok(())).is_ok());
    }
}
