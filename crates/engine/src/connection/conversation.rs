//! One open transport: tells its session what arrives and carries out what it asks for.

use core::future::poll_fn;
use core::ops::Range;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use labwire_session::{Effect, Input, Note, Persist, Resolution, Resolves, Session, Token};
use labwire_store::{FrameRecord, Fresh, MessageRecord, Persisted, Stamp, StoreError, Tally};
use labwire_transport::{Connection, Received};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::orders::{Asked, Drain, Orders, STOPPED};
use super::pace::{Overrun, Pace};
use super::{ConnectionSettings, Fact, Shared};
use crate::telemetry::{self, Limit, MessageSummary};

/// Bytes read from a transport at once.
pub(super) const READ_BYTES: usize = 4096;
/// How long one write may take before the transport counts as gone.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the goodbye to a transport may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What became of a unit.
pub(super) type Committed = (Token, Result<Persisted, StoreError>);

/// A unit on its way to the disk.
pub(super) struct Outstanding {
    pub(super) token: Token,
    pub(super) since: Instant,
    pub(super) messages: Vec<MessageSummary>,
    pub(super) resolved: Vec<u64>,
}

/// Holds a conversation. One that panics ends alone: its transport is closed, so that nothing is
/// acknowledged, and what it had acknowledged of a message is taken up as incomplete.
pub(super) async fn supervise(shared: Arc<Shared>, wire: Connection, ready: watch::Receiver<bool>) {
    let transmissions = shared.draw();
    let conversation = converse(Arc::clone(&shared), transmissions.clone(), wire, ready);
    if contained(conversation).await.is_none() {
        shared.left.add(transmissions);
    }
}

/// What `work` gives; `None` where it panics, and it is gone.
pub(super) async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// Counts a transport while it is open, however its conversation ends.
struct Open<'s> {
    shared: &'s Shared,
    /// Its number among the transports of the connection.
    number: u64,
    reason: &'static str,
}

impl<'s> Open<'s> {
    fn new(shared: &'s Shared, peer: String) -> Self {
        let open = shared.open.fetch_add(1, Ordering::Relaxed) + 1;
        let number = shared.observed.opened(peer);
        telemetry::transport_opened(&shared.name, open);
        if let Some(recorder) = &shared.recorder {
            recorder.event("open");
        }
        Self { shared, number, reason: "defect" }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(recorder) = &self.shared.recorder {
            recorder.event("close");
        }
        let open = self.shared.open.fetch_sub(1, Ordering::Relaxed) - 1;
        self.shared.observed.closed(self.number);
        telemetry::transport_closed(&self.shared.name, open, self.reason);
    }
}

pub(super) struct Conversation {
    pub(super) shared: Arc<Shared>,
    /// The orders that it follows; its settings read the messages that come.
    pub(super) orders: Orders,
    pub(super) session: Session,
    /// The numbers of its receptions.
    pub(super) transmissions: Range<u64>,
    /// How much it knows of what the connection remembers.
    pub(super) seen: u64,
    pub(super) outstanding: Option<Outstanding>,
    /// To be counted: sessions without a frame, and queries that get no answer.
    pub(super) empty_sessions: u32,
    pub(super) queries: u32,
    pub(super) commits: mpsc::UnboundedSender<Committed>,
    /// What the peer has taken of its limits.
    pub(super) pace: Pace,
    /// Why the transport is to be closed, or is closed already.
    pub(super) closing: Option<&'static str>,
    /// The number of its transport.
    pub(super) number: u64,
}

async fn converse(
    shared: Arc<Shared>,
    transmissions: Range<u64>,
    mut wire: Connection,
    mut ready: watch::Receiver<bool>,
) {
    let name = shared.name.clone();
    let mut open = Open::new(&shared, wire.peer().to_string());
    let mut orders = shared.orders.subscribe();
    let followed = orders.borrow_and_update().clone();
    if let Some(recorder) = &shared.recorder {
        wire.record(recorder.clone());
    }
    // Bounded by construction: a session has one unit outstanding, and a late reply adds one more.
    let (commits, mut replies) = mpsc::unbounded_channel();
    let session = shared.session(&followed.settings, &transmissions);
    let mut conversation = Conversation {
        shared: Arc::clone(&shared),
        orders: followed,
        session,
        transmissions,
        seen: 0,
        outstanding: None,
        empty_sessions: 0,
        queries: 0,
        commits,
        pace: Pace::new(shared.settings().peer_limits.clone(), Instant::now()),
        closing: None,
        number: open.number,
    };
    let mut drain = conversation.follow(&orders.borrow(), None);
    let is_ready = *ready.borrow_and_update();
    conversation.admit(is_ready, drain.is_some());

    let mut buffer = vec![0; READ_BYTES];
    let mut out = Vec::new();
    // The analyzer has sent its last byte: what it sent before is still stored and answered, since a
    // sender may close its own direction and wait for the reply in the other.
    let mut read_to_end = false;
    // The transport is of no use any more.
    let mut gone = false;
    loop {
        conversation.carry_out();
        out.clear();
        while conversation.session.poll_transmit(&mut out) {}
        if !out.is_empty() && !gone && wire.send(&out, WRITE_TIMEOUT).await.is_err() {
            conversation.closing = Some("the analyzer does not take our bytes");
        }
        if let Some(reason) = conversation.closing.take()
            && !gone
        {
            telemetry::closing(&name, reason);
            gone = true;
            conversation.tell(Input::Closed);
            continue;
        }
        if read_to_end && !gone && conversation.outstanding.is_none() {
            gone = true;
            conversation.tell(Input::Closed);
            continue;
        }
        if gone && conversation.outstanding.is_none() && conversation.session.is_neutral() {
            break;
        }
        if drain.is_some() && !gone && conversation.is_at_rest() {
            // More may have been ordered since.
            let latest = orders.borrow_and_update().clone();
            drain = conversation.follow(&latest, drain);
            match drain.map(|drain| drain.asked) {
                Some(Asked::Leave(_)) => break,
                Some(Asked::Renew) => conversation.renew(latest.settings),
                Some(Asked::Stay) | None => {}
            }
            drain = None;
            conversation.admit(*ready.borrow(), false);
            continue;
        }
        let may_read = conversation.pace.reads_from() <= Instant::now();
        let wake = conversation.wake_at(drain.filter(|_| !gone).map(|drain| drain.end));
        tokio::select! {
            biased;
            Some((token, reply)) = replies.recv() => conversation.committed(token, reply),
            Ok(()) = orders.changed() => {
                drain = conversation.follow(&orders.borrow_and_update(), drain);
                conversation.admit(*ready.borrow(), drain.is_some());
            }
            Ok(()) = ready.changed() => {
                let is_ready = *ready.borrow_and_update();
                conversation.admit(is_ready, drain.is_some());
            }
            received = wire.receive(&mut buffer), if !gone && !read_to_end && may_read && conversation.session.accepts_input() => match received {
                Ok(Received::Bytes(count)) => {
                    telemetry::bytes_received(&name, count);
                    shared.observed.is(Fact::Bytes);
                    conversation.learn();
                    conversation.tell(Input::Bytes(&buffer[..count]));
                    let admits = *ready.borrow() && drain.is_none() && !conversation.orders.paused;
                    conversation.keep_pace(count, admits);
                }
                Ok(Received::CharacterError(_)) => conversation.tell(Input::CharacterError),
                Ok(Received::Replaced) => conversation.closing = Some(telemetry::REPLACED),
                // A line that broke cannot be written either; the first reply finds out.
                Ok(Received::Closed) | Err(_) => read_to_end = true,
            },
            () = sleep_until(wake) => {
                if let Some(Drain { asked, end }) = drain
                    && end <= tokio::time::Instant::now()
                    && !gone
                {
                    conversation.closing = Some(match asked {
                        Asked::Leave(STOPPED) => telemetry::DRAIN_OVER,
                        _ => telemetry::CHANGE_OVERDUE,
                    });
                }
                if !gone && conversation.pace.is_idle(Instant::now()) {
                    conversation.closing = Some(telemetry::IDLE);
                }
                conversation.time_passes();
            }
        }
    }
    wire.close(CLOSE_TIMEOUT).await;
    open.reason = match drain {
        Some(Drain { asked: Asked::Leave(reason), .. }) => reason,
        _ => "closed",
    };
}

impl Conversation {
    /// What the latest orders ask for from here on.
    fn follow(&mut self, latest: &Orders, under_way: Option<Drain>) -> Option<Drain> {
        self.orders.paused = latest.paused;
        Drain::of(latest.asked_of(&self.orders), under_way, latest.limits.drain_timeout)
    }

    /// Whether sessions may begin: not while the spool cannot commit, the connection is paused, or
    /// the conversation waits for the end of what is under way.
    fn admit(&mut self, is_ready: bool, drains: bool) {
        self.tell(Input::StoreReady(is_ready && !drains && !self.orders.paused));
    }

    /// Nothing is under way, not even half a block.
    fn is_at_rest(&self) -> bool {
        self.outstanding.is_none() && self.session.is_neutral() && self.session.poll_deadline().is_none()
    }

    /// Goes on with other settings on the same transport.
    fn renew(&mut self, settings: Arc<ConnectionSettings>) {
        self.transmissions = self.shared.draw();
        self.session = self.shared.session(&settings, &self.transmissions);
        self.seen = 0;
        self.pace = Pace::new(settings.peer_limits.clone(), Instant::now());
        telemetry::conversation_renewed(&self.shared.name, &settings.plan.id, &settings.plan.version);
        self.orders.settings = settings;
    }

    pub(super) fn tell(&mut self, input: Input<'_>) {
        let now = self.shared.now();
        self.session.handle(now, input);
    }

    /// An analyzer that lost its line dials in again beside it, and may repeat here what breaks off
    /// there only later.
    pub(super) fn learn(&mut self) {
        self.seen = self.shared.teach(&mut self.session, &self.transmissions, self.seen);
    }

    pub(super) fn wake_at(&self, drain_end: Option<tokio::time::Instant>) -> tokio::time::Instant {
        let session = self.session.poll_deadline().map(|deadline| self.shared.origin + deadline);
        let commit = self.outstanding.as_ref().map(|one| one.since + self.shared.limits().persist_deadline);
        // Nothing to wait for: an hour is as good as never, and costs one wake-up.
        let never = Instant::now() + Duration::from_secs(3600);
        let reads = Some(self.pace.reads_from()).filter(|at| *at > Instant::now());
        [session, commit, reads, self.pace.idle_at(), drain_end.map(tokio::time::Instant::into_std)]
            .into_iter()
            .flatten()
            .fold(never, Instant::min)
            .into()
    }

    /// Bytes have come: what they ask for is carried out, and then the peer is held to its limits.
    fn keep_pace(&mut self, bytes: usize, is_ready: bool) {
        let now = Instant::now();
        self.carry_out();
        if self.pace.pay(bytes, now) {
            telemetry::limit_reached(Limit::BytesPerSecond.name());
        }
        let neutral = self.session.is_neutral();
        // What is refused for our own reasons, and noise on a line that nobody else could use, are not the peer's.
        if !is_ready || neutral && self.orders.settings.on_serial {
            self.pace.complete();
        }
        self.closing = self.closing.or(match self.pace.hear(neutral, now) {
            Some(Overrun::Progress) => Some(telemetry::NO_PROGRESS),
            Some(Overrun::Message) => Some(telemetry::MESSAGE_ENDLESS),
            None => None,
        });
    }

    pub(super) fn time_passes(&mut self) {
        self.refuse_late();
        self.tell(Input::Deadline);
    }

    pub(super) fn refuse_late(&mut self) {
        if let Some(late) =
            self.outstanding.take_if(|one| one.since.elapsed() >= self.shared.limits().persist_deadline)
        {
            // A reply that comes yet changes nothing: the analyzer has been told to repeat.
            telemetry::unit_refused(&self.shared.name, telemetry::LATE);
            let now = self.shared.now();
            self.session.not_persisted(now, late.token);
        }
    }

    pub(super) fn committed(&mut self, token: Token, reply: Result<Persisted, StoreError>) {
        // The reply may have waited for us behind a slow write; what is late is late.
        self.refuse_late();
        let Some(outstanding) = self.outstanding.take_if(|one| one.token == token) else { return };
        let name = &self.shared.name;
        let now = self.shared.now();
        match reply {
            Ok(persisted) => {
                telemetry::unit_committed(name, outstanding.since.elapsed());
                for (message, filed) in outstanding.messages.iter().zip(&persisted.messages) {
                    self.shared.observed.is(Fact::Message);
                    self.shared.tell_sender(message.is_foreign);
                    telemetry::message_committed(name, message, matches!(filed.fresh, Fresh::Repeat(_)));
                }
                self.shared.settle(&outstanding.resolved, !outstanding.messages.is_empty());
                if !outstanding.messages.is_empty() {
                    self.shared.nudge.look();
                }
                self.session.persisted(now, token);
                self.shared.note_sequence(self.session.sequence());
            }
            Err(error) => {
                telemetry::unit_refused(name, error.code());
                self.session.not_persisted(now, token);
            }
        }
    }

    pub(super) fn carry_out(&mut self) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Persist(persist) => self.persist(*persist),
                Effect::Incomplete(incomplete) => {
                    self.shared.close_incomplete(&self.orders.settings, *incomplete)
                }
                Effect::Note(note) => self.note(&note),
                Effect::Close(reason) => self.closing = Some(reason),
            }
        }
        self.count();
    }

    pub(super) fn persist(&mut self, persist: Persist) {
        let Persist { token, transmission, frame, completes, carry } = persist;
        if completes.is_empty() {
            self.pace.complete();
        } else {
            self.pace.complete_message();
        }
        let settings = &self.orders.settings;
        let mut messages = Vec::with_capacity(completes.len());
        let mut resolved = Vec::new();
        let mut records = Vec::with_capacity(completes.len());
        for message in completes {
            messages.push(MessageSummary::of(&message.decoded));
            resolved.extend(message.resolves.iter().map(|resolves| resolves.transmission));
            records.push(MessageRecord {
                raw: message.raw,
                decoded: message.decoded,
                driver: settings.plan.id.clone(),
                driver_version: settings.plan.version.clone(),
                resolves: message.resolves.iter().map(stored).collect(),
                previous_reply_received: message.previous_reply_received,
                sinks: self.shared.sinks.clone(),
            });
        }
        let request = labwire_store::Persist {
            connection: settings.name.clone(),
            transmission,
            frame: FrameRecord {
                number: frame.number,
                ends_chain: frame.ends_chain,
                bytes: frame.bytes,
                at: Stamp::now(),
            },
            completes: records,
            carry,
        };
        self.outstanding = Some(Outstanding { token, since: Instant::now(), messages, resolved });
        let commits = self.commits.clone();
        self.shared.spool.persist(request, move |reply| {
            // The conversation may be over; what was committed stays committed.
            let _ = commits.send((token, reply));
        });
    }

    pub(super) fn note(&mut self, note: &Note) {
        if !matches!(note, Note::Opened | Note::Fault(_) | Note::Tolerated(_)) {
            self.pace.complete();
        }
        let name = &self.shared.name;
        match note {
            Note::Opened => self.shared.observed.session(self.number, true),
            Note::Ended(reason) => {
                telemetry::session_ended(name, *reason);
                self.shared.observed.session(self.number, false);
            }
            Note::EmptySession => self.empty_sessions += 1,
            Note::Fault(fault) => {
                telemetry::link_fault(name, fault);
                self.shared.observed.is(Fact::Fault(fault.kind.code()));
            }
            Note::Tolerated(tolerance) => {
                telemetry::link_tolerance(name, *tolerance);
                self.shared.observed.is(Fact::Tolerated(tolerance.name()));
            }
            Note::UnansweredQuery => {
                telemetry::query_unanswered(name);
                self.queries += 1;
            }
            Note::Refused(code) => telemetry::message_refused(name, *code),
            Note::BatchMiscounted { .. } => telemetry::sender_finding(name, "batch-miscounted"),
            Note::SequenceGap { .. } => telemetry::sender_finding(name, "sequence-gap"),
            Note::ControlIdReused => telemetry::sender_finding(name, "control-id-reused"),
            Note::Sent(_) | Note::SendFailed(_) => {}
        }
    }

    /// One request for all that came at once: a line full of empty sessions must not fill the queue
    /// that the others' frames go through.
    pub(super) fn count(&mut self) {
        let (shared, name) = (&self.shared, &self.shared.name);
        for (tally, more) in [
            (Tally::EmptySessions, core::mem::take(&mut self.empty_sessions)),
            (Tally::UnansweredQueries, core::mem::take(&mut self.queries)),
        ] {
            if more > 0 {
                shared.spool.count(name, tally, more, |_| {});
            }
        }
    }
}

/// What settles an incomplete message, in the store's words.
fn stored(resolves: &Resolves) -> labwire_store::Resolves {
    labwire_store::Resolves {
        transmission: resolves.transmission,
        how: match resolves.how {
            Resolution::Superseded => labwire_store::Resolution::Superseded,
            Resolution::Resumed => labwire_store::Resolution::Resumed,
        },
    }
}
