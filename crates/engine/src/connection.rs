//! One configured connection: opens its transports and carries out what their sessions ask for.
//!
//! The asynchronous side is dull on purpose: wait, tell the session, carry out its effects. Nothing
//! here decides what is acknowledged.

mod certificates;
mod conversation;
mod pace;

use core::ops::Range;
use core::time::Duration;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::Plan;
use labwire_link::ErrorMode;
use labwire_session::{Now, RecoveredFrame, Session};
use labwire_store::{CloseIncomplete, OpenTransmission, SpoolHandle, Stamp};
use labwire_transport::{
    Arrival, Backoff, BackoffSettings, Endpoint, Handshake, Listener, Opener, Recorder, Side,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::certificates::CertificateState;
use self::conversation::supervise;
pub use self::pace::PeerLimits;
use crate::delivery::Nudge;
use crate::telemetry;

/// Receptions that one session may number; the next session of the connection begins behind them.
const TRANSMISSIONS_PER_SESSION: u64 = 1 << 24;
/// Incomplete messages remembered per connection, for sessions to come.
const UNSETTLED_MAX: usize = 16;
/// Bytes of those. A longer one stays for a person.
const UNSETTLED_BYTES_MAX: usize = 4 << 20;
/// Ranges of receptions that wait to be closed; what finds no place is closed by the next start.
const LEFT_MAX: usize = 1024;

/// What a connection is configured to be.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// Its name.
    pub name: String,
    /// The compiled driver profile.
    pub plan: Arc<Plan>,
    /// Overrides the profile's `strict`.
    pub strict: Option<bool>,
    /// Zone of the analyzer's clock.
    pub zone: TimeZone,
    /// Whether what it carries can be read on a network on its way.
    pub plaintext: bool,
    /// Whether it is a serial line, which cannot be closed and opened to begin anew.
    pub on_serial: bool,
    /// Where the analyzer is.
    pub endpoint: Endpoint,
    /// Bound of the capture ring in bytes; `None` for no ring.
    pub capture_bytes_max: Option<usize>,
    /// How much one peer may take.
    pub peer_limits: PeerLimits,
}

/// Limits that all connections share.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A commit that takes longer is answered with a negative reply.
    pub persist_deadline: Duration,
    /// Longest message in bytes.
    pub message_bytes_max: usize,
    /// How long a message under way may take to end when the daemon stops.
    pub drain_timeout: Duration,
}

struct Unsettled {
    transmission: u64,
    raw: Vec<u8>,
    last: bool,
    /// Counts what was ever remembered, so that a session finds what is new to it.
    serial: u64,
}

#[derive(Default)]
struct Remembered {
    messages: Vec<Unsettled>,
    serial: u64,
}

/// Receptions that ended without being closed in the spool.
#[derive(Clone, Default)]
struct Left(Arc<Mutex<Vec<Range<u64>>>>);

impl Left {
    fn add(&self, transmissions: Range<u64>) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() < LEFT_MAX {
            left.push(transmissions);
        } else {
            telemetry::limit_reached(telemetry::Limit::IncompleteMessages.name());
        }
    }

    fn take(&self) -> Vec<Range<u64>> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What outlives the single transport of a connection.
pub(crate) struct Shared {
    pub(crate) settings: ConnectionSettings,
    limits: Limits,
    spool: SpoolHandle,
    sinks: Vec<String>,
    nudge: Nudge,
    origin: Instant,
    next_transmission: AtomicU64,
    unsettled: Mutex<Remembered>,
    /// The sequence number accepted last, for analyzers that count their messages; 0 for none.
    sequence: AtomicU64,
    left: Left,
    pub(crate) open: AtomicUsize,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) certificate: CertificateState,
}

impl Shared {
    pub(crate) fn new(
        settings: ConnectionSettings,
        limits: Limits,
        spool: SpoolHandle,
        sinks: Vec<String>,
        nudge: Nudge,
        next_transmission: u64,
    ) -> Self {
        let recorder = settings.capture_bytes_max.map(|bytes_max| Recorder::new(Side::Host, bytes_max));
        Self {
            settings,
            limits,
            spool,
            sinks,
            nudge,
            origin: Instant::now(),
            // A whole number of sessions: control ids are made of it and are not given twice.
            next_transmission: AtomicU64::new(next_transmission.next_multiple_of(TRANSMISSIONS_PER_SESSION)),
            unsettled: Mutex::new(Remembered::default()),
            sequence: AtomicU64::new(0),
            left: Left::default(),
            open: AtomicUsize::new(0),
            recorder,
            certificate: CertificateState::default(),
        }
    }

    /// Tells of an incomplete message that the spool holds. Answers whether it is a new one.
    pub(crate) fn remember(&self, transmission: u64, raw: Vec<u8>, last: bool) -> bool {
        let mut remembered = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        let Remembered { messages, serial } = &mut *remembered;
        if messages.iter().any(|one| one.transmission == transmission) {
            return false;
        }
        if raw.len() > UNSETTLED_BYTES_MAX {
            telemetry::limit_reached(telemetry::Limit::IncompleteMessages.name());
            return true;
        }
        let mut bytes = raw.len() + messages.iter().map(|one| one.raw.len()).sum::<usize>();
        while bytes > UNSETTLED_BYTES_MAX || messages.len() >= UNSETTLED_MAX {
            telemetry::limit_reached(telemetry::Limit::IncompleteMessages.name());
            bytes -= messages.remove(0).raw.len();
        }
        *serial += 1;
        messages.push(Unsettled { transmission, raw, last, serial: *serial });
        true
    }

    /// Keeps the sequence number accepted last for the sessions to come. The spool keeps it over
    /// restarts, in the message that carries it.
    pub(crate) fn note_sequence(&self, last: Option<u64>) {
        self.sequence.store(last.unwrap_or(0), Ordering::Relaxed);
    }

    fn settle(&self, resolved: &[u64], completed: bool) {
        let mut remembered = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.messages.retain(|one| !resolved.contains(&one.transmission));
        if completed {
            for one in &mut remembered.messages {
                one.last = false;
            }
        }
    }

    /// Tells a session of the incomplete messages that were remembered after `seen` and are not its
    /// own. Answers how far it has seen now.
    fn teach(&self, session: &mut Session, own: &Range<u64>, seen: u64) -> u64 {
        let remembered = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.serial != seen {
            for one in &remembered.messages {
                if one.serial > seen && !own.contains(&one.transmission) {
                    session.remember_incomplete(one.transmission, one.raw.clone(), one.last);
                }
            }
        }
        remembered.serial
    }

    fn now(&self) -> Now {
        Now { monotonic: self.origin.elapsed(), wall: Timestamp::now() }
    }

    /// Numbers for the receptions of one session.
    fn draw(&self) -> Range<u64> {
        let first = self.next_transmission.fetch_add(TRANSMISSIONS_PER_SESSION, Ordering::Relaxed);
        first..first + TRANSMISSIONS_PER_SESSION
    }

    /// A session in the neutral state.
    fn session(&self, transmissions: &Range<u64>) -> Session {
        let mut session = Session::new(labwire_session::Settings {
            plan: Arc::clone(&self.settings.plan),
            strict: self.settings.strict,
            transport: if self.settings.on_serial { ErrorMode::Resync } else { ErrorMode::Close },
            zone: self.settings.zone.clone(),
            first_transmission: transmissions.start,
            control_id_prefix: format!("{:X}-", transmissions.start / TRANSMISSIONS_PER_SESSION),
            message_bytes_max: self.limits.message_bytes_max,
        });
        match self.sequence.load(Ordering::Relaxed) {
            0 => {}
            last => session.resume_sequence(last),
        }
        session
    }

    /// Keeps what was received of a message that broke off.
    fn close_incomplete(&self, incomplete: labwire_session::Incomplete) {
        let labwire_session::Incomplete { transmission, raw, decoded } = incomplete;
        let observations = decoded.outcomes.len();
        let close = CloseIncomplete {
            connection: self.settings.name.clone(),
            transmission,
            raw: raw.clone(),
            decoded,
            driver: self.settings.plan.id.clone(),
            driver_version: self.settings.plan.version.clone(),
            sinks: self.sinks.clone(),
            at: Stamp::now(),
        };
        let (connection, left) = (self.settings.name.clone(), self.left.clone());
        self.spool.close_incomplete(close, move |reply| {
            if let Err(error) = reply {
                // The frames stay in the spool until they are taken up.
                telemetry::incomplete_not_closed(&connection, error.code());
                left.add(transmission..transmission + 1);
            }
        });
        // The spool has been told first: whoever hears of it here comes later there.
        if self.remember(transmission, raw, true) {
            telemetry::message_incomplete(&self.settings.name, observations);
        }
    }

    /// A reception whose frames are in the spool and that no session goes on with is an incomplete
    /// message.
    pub(crate) fn take_up(&self, open: OpenTransmission) {
        let frames: Vec<RecoveredFrame> = open
            .frames
            .into_iter()
            .map(|frame| RecoveredFrame {
                number: frame.number,
                ends_chain: frame.ends_chain,
                bytes: frame.bytes,
            })
            .collect();
        let incomplete = self.session(&(0..0)).recover(open.transmission, &frames);
        self.close_incomplete(incomplete);
    }

    /// Takes up what could not be closed when it ended, or was under way when a conversation met a
    /// defect. Blocks.
    pub(crate) fn take_up_left(&self) {
        let left = self.left.take();
        if left.is_empty() {
            return;
        }
        // What was on its way to the spool has arrived when this has.
        let taken = self.spool.wait(|spool, reply| spool.probe(reply)).and_then(|()| {
            self.spool.reader()?.each_open_transmission(|open| {
                if open.connection == self.settings.name
                    && left.iter().any(|range| range.contains(&open.transmission))
                {
                    self.take_up(open);
                }
            })
        });
        if taken.is_err() {
            left.into_iter().for_each(|range| self.left.add(range));
        }
    }
}

/// Runs a connection until the daemon stops.
pub(crate) async fn run(
    shared: Arc<Shared>,
    ready: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
    listener: Option<Listener>,
) {
    match (&shared.settings.endpoint, listener) {
        (Endpoint::TcpListen(_), Some(listener)) => listen(&shared, &listener, ready, stop).await,
        (Endpoint::TcpListen(_), None) => {}
        (Endpoint::TcpConnect(settings), _) => {
            let opener = Opener::tcp(settings.clone(), backoff(&shared.settings.name));
            dial(&shared, opener, ready, stop).await;
        }
        (Endpoint::Serial(settings), _) => {
            let opener = Opener::serial(settings.clone(), backoff(&shared.settings.name));
            dial(&shared, opener, ready, stop).await;
        }
    }
}

/// Binds what the connection listens on; a socket that the service manager has bound goes first.
pub(crate) fn bind(
    settings: &ConnectionSettings,
    inherited: &mut HashMap<String, TcpListener>,
) -> std::io::Result<Option<Listener>> {
    match &settings.endpoint {
        Endpoint::TcpListen(listen) => match inherited.remove(&settings.name) {
            Some(listener) => Listener::from_std(listener, listen.clone()).map(Some),
            None => Listener::bind(listen.clone()).map(Some),
        },
        Endpoint::TcpConnect(_) | Endpoint::Serial(_) => Ok(None),
    }
}

/// Pauses between attempts differ from connection to connection, so that eight analyzers behind one
/// switch are not dialled in step.
fn backoff(name: &str) -> Backoff {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Backoff::new(BackoffSettings::default(), seed)
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means that the engine is: stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn listen(
    shared: &Arc<Shared>,
    listener: &Listener,
    ready: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let mut conversations = JoinSet::new();
    let watched = certificates::watch(&shared.settings.name, &shared.certificate, listener.certificates());
    tokio::pin!(watched);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = &mut watched => {}
            Some(_) = conversations.join_next(), if !conversations.is_empty() => {}
            arrival = listener.accept() => match arrival {
                Ok(Arrival::Connection(connection)) => {
                    let conversation = supervise(Arc::clone(shared), connection, ready.clone(), stop.clone());
                    conversations.spawn(conversation);
                }
                Ok(Arrival::Handshake(handshake)) => {
                    conversations.spawn(shake_hands(Arc::clone(shared), handshake, ready.clone(), stop.clone()));
                }
                Ok(Arrival::Refused { peer, refusal }) => {
                    telemetry::transport_rejected(&shared.settings.name, peer, refusal);
                }
                Err(error) => {
                    telemetry::accept_failed(&shared.settings.name, &error.to_string());
                }
            },
        }
    }
    while conversations.join_next().await.is_some() {}
}

/// Lets a caller in whose handshake succeeds. There is nothing to drain before.
async fn shake_hands(
    shared: Arc<Shared>,
    handshake: Handshake,
    ready: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let peer = handshake.peer();
    let completed = tokio::select! {
        () = stopped(&mut stop) => return,
        completed = handshake.complete() => completed,
    };
    match completed {
        Ok(connection) => supervise(shared, connection, ready, stop).await,
        Err(refusal) => telemetry::transport_rejected(&shared.settings.name, peer, refusal),
    }
}

async fn dial(
    shared: &Arc<Shared>,
    mut opener: Opener,
    ready: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let watched = certificates::watch(&shared.settings.name, &shared.certificate, opener.certificates());
    let dialling = async {
        loop {
            let opened = opener.open(|failure| telemetry::transport_failed(&shared.settings.name, failure));
            let connection = tokio::select! {
                () = stopped(&mut stop) => return,
                connection = opened => connection,
            };
            supervise(Arc::clone(shared), connection, ready.clone(), stop.clone()).await;
        }
    };
    tokio::select! {
        () = dialling => {}
        () = watched => {}
    }
}

#[cfg(test)]
mod tests;
