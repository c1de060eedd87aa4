//! One configured connection: opens its transports and carries out what their sessions ask for.
//!
//! The asynchronous side is dull on purpose: wait, tell the session, carry out its effects. Nothing
//! here decides what is acknowledged.

mod certificates;
mod conversation;
mod observed;
mod orders;
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
use labwire_session::{Identity, Now, RecoveredFrame, Session};
use labwire_store::{CloseIncomplete, OpenTransmission, SpoolHandle, Stamp};
use labwire_transport::{
    Arrival, Backoff, BackoffSettings, Endpoint, Handshake, Listener, Opener, Recorder, Side,
    TcpListenSettings,
};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::certificates::CertificateState;
use self::conversation::supervise;
pub(crate) use self::observed::{Fact, Observed};
pub(crate) use self::orders::Orders;
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
    /// What is done about a message that another analyzer seems to have sent.
    pub identity: Identity,
    /// Field of the header and regular expression, in the place of the profile's signs of its
    /// analyzer; none where the profile's hold.
    pub signs: Vec<(String, String)>,
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
    /// How long a message that never completed waits for its sender before it goes to quarantine.
    pub incomplete_hold: Duration,
}

impl ConnectionSettings {
    /// Whether a connection that runs under the other settings runs under these.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // Taken apart, so that a setting that is added is compared as well.
        let Self {
            name,
            plan,
            identity,
            signs,
            strict,
            zone,
            plaintext,
            on_serial,
            endpoint,
            capture_bytes_max,
            peer_limits,
            incomplete_hold,
        } = self;
        *name == other.name
            && (&plan.id, &plan.version, &plan.link)
                == (&other.plan.id, &other.plan.version, &other.plan.link)
            && *identity == other.identity
            && *signs == other.signs
            && *strict == other.strict
            && *zone == other.zone
            && *plaintext == other.plaintext
            && *on_serial == other.on_serial
            && *endpoint == other.endpoint
            && *capture_bytes_max == other.capture_bytes_max
            && *peer_limits == other.peer_limits
            && *incomplete_hold == other.incomplete_hold
    }
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
    pub(crate) name: String,
    pub(crate) orders: watch::Sender<Orders>,
    pub(crate) observed: Observed,
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
        let name = settings.name.clone();
        let orders = Orders {
            settings: Arc::new(settings),
            limits,
            paused: false,
            epoch: 0,
            restarts: 0,
            stop: false,
        };
        Self {
            name,
            orders: watch::Sender::new(orders),
            observed: Observed::new(),
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

    /// What the connection is configured to be at this moment.
    pub(crate) fn settings(&self) -> Arc<ConnectionSettings> {
        Arc::clone(&self.orders.borrow().settings)
    }

    /// Whether a message came from another analyzer than the profile's.
    fn tell_sender(&self, is_foreign: bool) {
        let was_foreign = self.observed.sender(is_foreign);
        if is_foreign {
            telemetry::wrong_analyzer(&self.name, !was_foreign);
        } else if was_foreign {
            telemetry::analyzer_recognised(&self.name);
        }
    }

    /// Adds what is known of the connection at this moment to a line about it.
    pub(crate) fn describe(&self, line: &mut Value) {
        let orders = self.orders.borrow().clone();
        let ConnectionSettings { plan, plaintext, .. } = &*orders.settings;
        line["open"] = self.open.load(Ordering::Relaxed).into();
        line["driver"] = plan.id.clone().into();
        line["driver_version"] = plan.version.clone().into();
        line["plaintext"] = (*plaintext).into();
        line["paused"] = orders.paused.into();
        self.certificate.describe(line);
        self.observed.describe(line, orders.paused);
    }

    fn limits(&self) -> Limits {
        self.orders.borrow().limits
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
    fn session(&self, settings: &ConnectionSettings, transmissions: &Range<u64>) -> Session {
        let mut session = Session::new(labwire_session::Settings {
            plan: Arc::clone(&settings.plan),
            identity: settings.identity,
            strict: settings.strict,
            transport: if settings.on_serial { ErrorMode::Resync } else { ErrorMode::Close },
            zone: settings.zone.clone(),
            first_transmission: transmissions.start,
            control_id_prefix: format!("{:X}-", transmissions.start / TRANSMISSIONS_PER_SESSION),
            message_bytes_max: self.limits().message_bytes_max,
        });
        match self.sequence.load(Ordering::Relaxed) {
            0 => {}
            last => session.resume_sequence(last),
        }
        session
    }

    /// Keeps what was received of a message that broke off.
    fn close_incomplete(&self, settings: &ConnectionSettings, incomplete: labwire_session::Incomplete) {
        let labwire_session::Incomplete { transmission, raw, decoded } = incomplete;
        let observations = decoded.outcomes.len();
        let close = CloseIncomplete {
            connection: self.name.clone(),
            transmission,
            raw: raw.clone(),
            decoded,
            driver: settings.plan.id.clone(),
            driver_version: settings.plan.version.clone(),
            sinks: self.sinks.clone(),
            at: Stamp::now(),
        };
        let (connection, left) = (self.name.clone(), self.left.clone());
        self.spool.close_incomplete(close, move |reply| {
            if let Err(error) = reply {
                // The frames stay in the spool until they are taken up.
                telemetry::incomplete_not_closed(&connection, error.code());
                left.add(transmission..transmission + 1);
            }
        });
        // The spool has been told first: whoever hears of it here comes later there.
        if self.remember(transmission, raw, true) {
            telemetry::message_incomplete(&self.name, observations);
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
        let settings = self.settings();
        let incomplete = self.session(&settings, &(0..0)).recover(open.transmission, &frames);
        self.close_incomplete(&settings, incomplete);
    }

    /// Whether receptions wait to be taken up.
    pub(crate) fn has_left(&self) -> bool {
        !self.left.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
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
                if open.connection == self.name && left.iter().any(|range| range.contains(&open.transmission))
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

/// Serves a connection until it is to end, or others are to serve it.
pub(crate) async fn run(shared: Arc<Shared>, serving: Serving, ready: watch::Receiver<bool>) {
    let Serving { epoch, endpoint, listener } = serving;
    match (endpoint, listener) {
        (Endpoint::TcpListen(_), Some(listener)) => listen(&shared, epoch, listener, ready).await,
        (Endpoint::TcpListen(_), None) => {}
        (Endpoint::TcpConnect(settings), _) => {
            dial(&shared, epoch, || Opener::tcp(settings.clone(), backoff(&shared.name)), ready).await;
        }
        (Endpoint::Serial(settings), _) => {
            dial(&shared, epoch, || Opener::serial(settings.clone(), backoff(&shared.name)), ready).await;
        }
    }
}

/// One way in which a connection is served.
pub(crate) struct Serving {
    /// Its number; see [`Orders::epoch`].
    pub(crate) epoch: u64,
    /// Where the analyzer is.
    pub(crate) endpoint: Endpoint,
    /// What it listens on, where it does.
    pub(crate) listener: Option<Listener>,
}

/// Binds what a connection listens on; a socket that the service manager has bound goes first.
pub(crate) fn bind(
    name: &str,
    listen: &TcpListenSettings,
    inherited: &mut HashMap<String, TcpListener>,
) -> std::io::Result<Listener> {
    match inherited.remove(name) {
        Some(listener) => Listener::from_std(listener, listen.clone()),
        None => Listener::bind(listen.clone()),
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

/// Comes back when the connection is to end, or others are to serve it.
async fn left(mut orders: watch::Receiver<Orders>, epoch: u64) {
    // A sender that is gone means that the connection is: leave as well.
    let _ = orders.wait_for(|orders| orders.stop || orders.epoch != epoch).await;
}

async fn listen(shared: &Arc<Shared>, epoch: u64, listener: Listener, ready: watch::Receiver<bool>) {
    let orders = shared.orders.subscribe();
    let mut conversations = JoinSet::new();
    shared.observed.is(Fact::Listening);
    let watched = certificates::watch(&shared.name, &shared.certificate, listener.certificates());
    tokio::pin!(watched);
    loop {
        tokio::select! {
            biased;
            () = left(orders.clone(), epoch) => break,
            () = &mut watched => {}
            Some(_) = conversations.join_next(), if !conversations.is_empty() => {}
            arrival = listener.accept() => match arrival {
                Ok(Arrival::Connection(connection)) => {
                    if shared.orders.borrow().turns_away() {
                        telemetry::transport_turned_away(&shared.name);
                        continue;
                    }
                    conversations.spawn(supervise(Arc::clone(shared), connection, ready.clone()));
                }
                Ok(Arrival::Handshake(handshake)) => {
                    conversations.spawn(shake_hands(Arc::clone(shared), handshake, ready.clone(), epoch));
                }
                Ok(Arrival::Refused { peer, refusal }) => {
                    telemetry::transport_rejected(&shared.name, peer, refusal);
                }
                Err(error) => {
                    telemetry::accept_failed(&shared.name, &error.to_string());
                }
            },
        }
    }
    // Whoever serves the address next need not wait for the last conversation.
    drop(listener);
    shared.observed.is(Fact::Gone);
    while conversations.join_next().await.is_some() {}
}

/// Lets a caller in whose handshake succeeds. There is nothing to drain before.
async fn shake_hands(shared: Arc<Shared>, handshake: Handshake, ready: watch::Receiver<bool>, epoch: u64) {
    let peer = handshake.peer();
    let completed = tokio::select! {
        () = left(shared.orders.subscribe(), epoch) => return,
        completed = handshake.complete() => completed,
    };
    match completed {
        Ok(connection) => supervise(shared, connection, ready).await,
        Err(refusal) => telemetry::transport_rejected(&shared.name, peer, refusal),
    }
}

async fn dial(shared: &Arc<Shared>, epoch: u64, opener: impl Fn() -> Opener, ready: watch::Receiver<bool>) {
    let mut orders = shared.orders.subscribe();
    loop {
        let mut opener = opener();
        let watched = certificates::watch(&shared.name, &shared.certificate, opener.certificates());
        let anew = tokio::select! {
            anew = dial_on(shared, epoch, &mut opener, &mut orders, &ready) => anew,
            () = watched => false,
        };
        if !anew {
            break;
        }
    }
    shared.observed.is(Fact::Gone);
}

/// Dials, again and again, until the connection is to end or to begin anew; `true` for the latter, where
/// a person does not want to wait for the next attempt.
async fn dial_on(
    shared: &Arc<Shared>,
    epoch: u64,
    opener: &mut Opener,
    orders: &mut watch::Receiver<Orders>,
    ready: &watch::Receiver<bool>,
) -> bool {
    let restarts = orders.borrow().restarts;
    loop {
        shared.observed.is(Fact::Opening);
        // What is turned away is not dialled.
        let _ = tokio::select! {
            biased;
            () = left(orders.clone(), epoch) => return false,
            waited = orders.wait_for(|orders| !orders.turns_away()) => waited.map(drop),
        };
        let connecting = opener.open(|failure| {
            telemetry::transport_failed(&shared.name, failure);
            let (error, attempt, pause) = (failure.error.to_string(), failure.attempt, failure.pause);
            shared.observed.is(Fact::Failed { error, attempt, pause });
        });
        let connection = tokio::select! {
            biased;
            () = left(orders.clone(), epoch) => return false,
            changed = orders.wait_for(|orders| orders.turns_away() || orders.restarts != restarts) => {
                if changed.is_ok_and(|orders| orders.restarts != restarts) {
                    return true;
                }
                continue;
            }
            connection = connecting => connection,
        };
        supervise(Arc::clone(shared), connection, ready.clone()).await;
        if orders.borrow().restarts != restarts {
            return true;
        }
    }
}

#[cfg(test)]
mod tests;
