//! The conversation itself.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::{Context, Plan, Protocol};
use labwire_link::sabotage::{Bug, planted};
use labwire_link::{self as link, FaultKind, Link, Machine as _, UnitEnd};
use labwire_message::lis02::Resumption;
use labwire_model::{DecodedMessage, MessageKind};

use crate::acknowledge::{ControlIds, Replies};
use crate::block::{Names, Standing};
use crate::effect::{Effect, Frame, Incomplete, Message, Note, Persist, Resolution, Resolves, Token};
use crate::guard;
use crate::identity::{self, Identity};
use crate::reception::{Mark, MessageEnd, Reception, RecoveredFrame, Unsettled, hold_incomplete, join};
use crate::resume::{as_torn, merge, relation};

/// Incomplete messages that a later whole repetition can still settle, per connection.
const UNSETTLED_MAX: usize = 16;
/// Bytes of those, with what they are compared by. A larger one stays for a person.
const UNSETTLED_BYTES_MAX: usize = 8 << 20;
/// Why a stream is closed whose message exceeds [`Settings::message_bytes_max`].
pub const MESSAGE_TOO_LONG: &str = "the message is longer than message_bytes_max";
/// Name on the link of every reply to a message of the analyzer. Nobody waits to hear of one.
const REPLY: u64 = 0;

/// The time, as the caller's clocks show it: monotonic for timers, wall for what is written.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Time since any fixed origin.
    pub monotonic: Duration,
    /// Time of day.
    pub wall: Timestamp,
}

/// What the world tells a session.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Bytes from the analyzer, in any pieces.
    Bytes(&'a [u8]),
    /// A character arrived broken (parity, framing, overrun, break).
    CharacterError,
    /// [`Session::poll_deadline`] has come.
    Deadline,
    /// Whether the store can commit. It can not until told.
    StoreReady(bool),
    /// The transport is gone.
    Closed,
}

/// What a session needs to know of its connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The compiled driver profile.
    pub plan: Arc<Plan>,
    /// What is done about a message that another analyzer seems to have sent.
    pub identity: Identity,
    /// Overrides the profile's `strict`.
    pub strict: Option<bool>,
    /// What the transport is best served with after an error that the protocol cannot recover
    /// from, where the profile does not say: close on TCP, resync on a serial line.
    pub transport: link::ErrorMode,
    /// Zone of the analyzer's clock.
    pub zone: TimeZone,
    /// Number of the first reception; unique for the connection, also over restarts.
    pub first_transmission: u64,
    /// Begins the control ids of our own messages; unique for the connection and session.
    pub control_id_prefix: String,
    /// Longest message in bytes; a unit that would exceed it is refused.
    pub message_bytes_max: usize,
}

/// A unit that waits for its commit.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) token: Token,
    pub(crate) link_token: link::Token,
    pub(crate) mark: Option<Mark>,
    pub(crate) taken: usize,
    pub(crate) completed: bool,
    pub(crate) settled: Vec<u64>,
    pub(crate) replies: Replies,
    /// Where an HL7 conversation stands once the unit is durable.
    pub(crate) standing: Option<Standing>,
    /// Control ids of the unit's messages with their content, as hashes.
    pub(crate) names: Vec<(u64, u64)>,
}

/// One analyzer conversation. Mutate with [`handle`](Self::handle), [`persisted`](Self::persisted)
/// or [`not_persisted`](Self::not_persisted), then drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_effect`](Self::poll_effect), then wait for input or [`poll_deadline`](Self::poll_deadline).
#[derive(Debug)]
pub struct Session {
    pub(crate) settings: Settings,
    pub(crate) link: Link,
    pub(crate) reception: Reception,
    pub(crate) standing: Standing,
    pub(crate) names: Names,
    unsettled: Vec<Unsettled>,
    pending: Option<Pending>,
    effects: VecDeque<Effect>,
    pub(crate) control_ids: ControlIds,
    next_token: u64,
    open: bool,
    units_in_session: u64,
    /// A message was completed and answered in the session that is open.
    answered_in_session: bool,
    /// The transport is gone, and nothing was received since.
    closed: bool,
}

impl Session {
    /// A session in the neutral state.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let link =
            Link::new(settings.plan.link_settings(link::Role::Host, settings.strict, settings.transport));
        Self {
            link,
            reception: Reception::new(settings.first_transmission),
            unsettled: Vec::new(),
            pending: None,
            effects: VecDeque::new(),
            control_ids: ControlIds::new(settings.control_id_prefix.clone()),
            next_token: 1,
            open: false,
            units_in_session: 0,
            answered_in_session: false,
            closed: false,
            standing: Standing::default(),
            names: Names::default(),
            settings,
        }
    }

    /// Tells of an incomplete message of the same connection that a coming message may settle;
    /// `last` when no complete message has followed it.
    pub fn remember_incomplete(&mut self, transmission: u64, raw: Vec<u8>, last: bool) {
        let identity = as_torn(&raw, self.decode(&raw).identity);
        self.remember(Unsettled { transmission, raw, identity, last });
    }

    fn remember(&mut self, unsettled: Unsettled) {
        let mut bytes = unsettled.bytes();
        if bytes > UNSETTLED_BYTES_MAX {
            return;
        }
        bytes += self.unsettled.iter().map(Unsettled::bytes).sum::<usize>();
        while bytes > UNSETTLED_BYTES_MAX || self.unsettled.len() >= UNSETTLED_MAX {
            bytes -= self.unsettled.remove(0).bytes();
        }
        self.unsettled.push(unsettled);
    }

    /// Reads what a reception held when the daemon stopped.
    #[must_use]
    pub fn recover(&self, transmission: u64, frames: &[RecoveredFrame]) -> Incomplete {
        let raw = join(frames);
        self.incomplete(transmission, raw)
    }

    fn incomplete(&self, transmission: u64, raw: Vec<u8>) -> Incomplete {
        let mut decoded = self.decode(&raw);
        hold_incomplete(&mut decoded);
        Incomplete { transmission, raw, decoded }
    }

    /// Tells of the sequence number accepted last on this connection, where the profile follows the
    /// sequence number protocol.
    pub fn resume_sequence(&mut self, last: u64) {
        self.standing.sequence = Some(last);
    }

    /// The sequence number accepted last.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        self.standing.sequence
    }

    pub(crate) fn decode(&self, raw: &[u8]) -> DecodedMessage {
        let Settings { plan, zone, identity, strict, .. } = &self.settings;
        let context = Context { zone };
        guard::decoded(raw, |raw| {
            let mut decoded = match strict.unwrap_or(plan.link.strict) {
                true => plan.decode_strictly(raw, &context),
                false => plan.decode(raw, &context),
            };
            identity::check(*identity, plan, raw, &mut decoded);
            decoded
        })
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.closed = match input {
            Input::Closed => true,
            Input::Bytes(_) => false,
            _ => self.closed,
        };
        let input = match input {
            Input::Bytes(bytes) => link::Input::Bytes(bytes),
            Input::CharacterError => link::Input::CharacterError,
            Input::Deadline => link::Input::Deadline,
            Input::StoreReady(ready) => link::Input::Ready(ready),
            Input::Closed => link::Input::Closed,
        };
        self.link.handle(now.monotonic, input);
        self.take_link_events(now);
        self.give_up_fragments(now);
    }

    /// Keeps the fragments of a message whose rest will not come: the transport is gone, or the next
    /// one took too long.
    fn give_up_fragments(&mut self, now: Now) {
        let Some(deadline) = self.standing.deadline() else { return };
        if self.pending.is_none() && (self.closed || deadline <= now.monotonic) {
            self.standing.forget_fragment();
            self.end_reception();
        }
    }

    /// The unit is durable: the analyzer gets its positive reply.
    pub fn persisted(&mut self, now: Now, token: Token) {
        let Some(pending) = self.pending.take_if(|pending| pending.token == token) else { return };
        if let Some(standing) = pending.standing {
            self.standing = standing;
        }
        self.names.remember(pending.names);
        if pending.completed {
            self.answered_in_session = true;
            self.reception.settle(pending.taken);
            self.unsettled.retain(|unsettled| !pending.settled.contains(&unsettled.transmission));
            for unsettled in &mut self.unsettled {
                unsettled.last = false;
            }
        }
        self.link.handle(now.monotonic, link::Input::Accept(pending.link_token));
        self.reply(now, &pending.replies);
        if let Some(reason) = pending.replies.closes() {
            self.effects.push_back(Effect::Close(reason));
        }
        self.take_link_events(now);
        self.give_up_fragments(now);
    }

    /// The unit could not be made durable, or not in time: the analyzer gets a negative reply, or
    /// silence and a closed line where the dialect has none that makes it repeat.
    pub fn not_persisted(&mut self, now: Now, token: Token) {
        if self.pending.as_ref().is_none_or(|pending| pending.token != token) {
            return;
        }
        let Some(pending) = self.forget_pending() else { return };
        self.link.handle(now.monotonic, link::Input::Refuse(pending.link_token));
        // NAK of a line of release 2 makes the sender repeat, as some replies do; silence on an open
        // stream does not.
        if planted(Bug::AnswerRefusedBlock) {
            self.reply(now, &pending.replies);
        }
        let repeats =
            self.settings.plan.link.has_commit_replies() || self.reply_failure(now, &pending.replies);
        if pending.replies.is_hl7() && !repeats {
            self.effects.push_back(Effect::Close("the message could not be stored"));
        }
        self.take_link_events(now);
        self.give_up_fragments(now);
    }

    /// A unit that is not acknowledged leaves no trace.
    fn forget_pending(&mut self) -> Option<Pending> {
        let pending = self.pending.take()?;
        if let Some(mark) = pending.mark.filter(|_| !planted(Bug::KeepRefusedFrame)) {
            self.reception.undo(mark);
        }
        Some(pending)
    }

    pub(crate) fn send_replies(&mut self, now: Now, replies: &[Vec<u8>]) {
        for message in replies {
            self.link.handle(now.monotonic, link::Input::Send { id: REPLY, message });
        }
    }

    /// Bytes for the analyzer, appended to `out`; `false` when there are none.
    #[must_use]
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.link.poll_transmit(out)
    }

    /// The next effect, in order.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call with [`Input::Deadline`], on the monotonic clock.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Duration> {
        let fragment = self.standing.deadline().filter(|_| self.pending.is_none());
        [self.link.poll_deadline(), fragment].into_iter().flatten().min()
    }

    /// Whether more bytes may be given: not while a commit is waited for and bytes are kept back.
    #[must_use]
    pub fn accepts_input(&self) -> bool {
        self.link.accepts_input()
    }

    /// Whether nothing is under way: no session open, no commit waited for, no message begun.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        !self.open && self.pending.is_none() && self.reception.is_empty()
    }

    fn take_link_events(&mut self, now: Now) {
        while let Some(event) = self.link.poll_event() {
            match event {
                link::Event::Opened => {
                    self.open = true;
                    self.units_in_session = 0;
                    self.answered_in_session = false;
                    self.note(Note::Opened);
                }
                link::Event::Unit { token, number, bytes, end } => {
                    self.take_unit(now, token, number, bytes, end)
                }
                // Its first copy was accepted, and only what is durable is accepted.
                link::Event::Repeat { token, .. } => {
                    self.link.handle(now.monotonic, link::Input::Accept(token))
                }
                link::Event::Ended(reason) => {
                    self.open = false;
                    if self.units_in_session == 0 && reason == link::EndReason::Eot {
                        self.note(Note::EmptySession);
                    }
                    self.note(Note::Ended(reason));
                    self.end_reception();
                }
                link::Event::Fragment { bytes } => {
                    // Its last record may be cut: that it has no end must stay to be seen.
                    self.reception.append(&bytes, false);
                    self.end_reception();
                }
                link::Event::Fault(fault) => {
                    // The machine has refused the unit by itself: the analyzer sends it again, so
                    // a commit that comes yet must not count.
                    if fault.kind == FaultKind::VerdictLate && !planted(Bug::AcknowledgeLateVerdict) {
                        self.forget_pending();
                    }
                    self.note(Note::Fault(fault));
                }
                link::Event::Tolerated(tolerance) => self.note(Note::Tolerated(tolerance)),
                link::Event::Sent { id: REPLY } => {}
                link::Event::Sent { id } => self.note(Note::Sent(id)),
                link::Event::SendFailed { id, .. } => self.note(Note::SendFailed(id)),
                link::Event::Desynchronised(reason) => {
                    self.open = false;
                    self.end_reception();
                    self.effects.push_back(Effect::Close(reason));
                }
            }
        }
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.effects.push_back(Effect::Note(note));
    }

    /// Keeps what was received of a message that did not complete.
    pub(crate) fn end_reception(&mut self) {
        if self.reception.is_empty() || planted(Bug::KeepTornText) {
            return;
        }
        let (transmission, raw) = self.reception.take();
        let incomplete = self.incomplete(transmission, raw.clone());
        let identity = as_torn(&raw, incomplete.decoded.identity.clone());
        self.remember(Unsettled { transmission, raw, identity, last: true });
        self.effects.push_back(Effect::Incomplete(Box::new(incomplete)));
    }

    fn take_unit(
        &mut self,
        now: Now,
        link_token: link::Token,
        number: Option<u8>,
        bytes: Vec<u8>,
        end: UnitEnd,
    ) {
        self.units_in_session += 1;
        let ends_chain = end == UnitEnd::End || planted(Bug::IntermediateAsEnd);
        if self.reception.text().len() + bytes.len() > self.settings.message_bytes_max {
            self.link.handle(now.monotonic, link::Input::Refuse(link_token));
            self.effects.push_back(Effect::Close(MESSAGE_TOO_LONG));
            return;
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        let frame = Frame { number, ends_chain, bytes };
        let taken = match self.settings.plan.protocol {
            Protocol::Lis02 => Some(self.take_records(token, link_token, frame)),
            Protocol::Hl7 | Protocol::Law => self.take_block(now, token, link_token, frame),
            Protocol::Text => Some(self.take_text(token, link_token, frame)),
        };
        let Some((pending, persist)) = taken else { return };
        self.pending = Some(pending);
        self.effects.push_back(Effect::Persist(Box::new(persist)));
        let queries = self.unanswered_queries();
        for _ in 0..queries {
            self.note(Note::UnansweredQuery);
        }
    }

    fn unanswered_queries(&self) -> usize {
        match self.effects.back() {
            Some(Effect::Persist(persist)) => {
                persist.completes.iter().filter(|message| message.decoded.kind == MessageKind::Query).count()
            }
            _ => 0,
        }
    }

    fn take_records(&mut self, token: Token, link_token: link::Token, frame: Frame) -> (Pending, Persist) {
        // A header where a terminator is due: what came before it will never be complete. It stays
        // so even if this unit is refused, because the analyzer then sends this unit again.
        if self.reception.is_cut_by(&frame.bytes) {
            self.end_reception();
        }
        let mark = self.reception.append(&frame.bytes, frame.ends_chain);
        if planted(Bug::KeepFrameTwice) {
            self.reception.append(&frame.bytes, frame.ends_chain);
        }
        let mut completes = Vec::new();
        let mut settled = Vec::new();
        let mut taken = 0;
        // A chain that breaks off is repeated whole, so nothing in it counts before its end.
        if frame.ends_chain {
            while let Some(ending) = self.reception.message_end(taken) {
                let (MessageEnd::Terminator(end) | MessageEnd::Header(end)) = ending;
                let raw = self.reception.text()[taken..end].to_vec();
                taken = end;
                let first = completes.is_empty();
                let mut message = self.complete(raw, first, &mut settled);
                if let MessageEnd::Header(_) = ending {
                    hold_incomplete(&mut message.decoded);
                }
                // A frame with the next number follows an acknowledgement that arrived; a second
                // message in one frame follows nothing that could have been lost.
                message.previous_reply_received = self.answered_in_session || !first;
                completes.push(message);
            }
        }
        let transmission = self.reception.transmission;
        let rest = &self.reception.text()[taken..];
        let completed = !completes.is_empty();
        let carry = (completed && !rest.is_empty()).then(|| (transmission + 1, rest.to_vec()));
        let pending = Pending {
            token,
            link_token,
            mark: Some(mark),
            taken,
            completed,
            settled,
            replies: Replies::none(),
            standing: None,
            names: Vec::new(),
        };
        (pending, Persist { token, transmission, frame, completes, carry })
    }

    /// Reads a complete message, and with it all that it settles: a sender that fails twice leaves two
    /// beginnings of the same message.
    fn complete(&self, mut raw: Vec<u8>, first: bool, settled: &mut Vec<u64>) -> Message {
        let mut decoded = self.decode(&raw);
        let mut resolves = Vec::new();
        for unsettled in self.unsettled.iter().rev() {
            if settled.contains(&unsettled.transmission) {
                continue;
            }
            let relation = guard::attempt(|| relation(&unsettled.identity, &decoded.identity));
            let how = match relation.unwrap_or(Resumption::Unrelated) {
                Resumption::Repeats => Resolution::Superseded,
                Resumption::Continues { kept, from } if first && unsettled.last && resolves.is_empty() => {
                    raw = merge(&unsettled.raw, kept, &raw, from);
                    decoded = self.decode(&raw);
                    Resolution::Resumed
                }
                Resumption::Continues { .. } | Resumption::Unrelated => continue,
            };
            settled.push(unsettled.transmission);
            resolves.push(Resolves { transmission: unsettled.transmission, how });
            if planted(Bug::SettleNewestOnly) {
                break;
            }
        }
        Message { raw, decoded, resolves, previous_reply_received: false }
    }

    fn take_text(&mut self, token: Token, link_token: link::Token, frame: Frame) -> (Pending, Persist) {
        let decoded = self.decode(&frame.bytes);
        let completes = vec![Message {
            raw: frame.bytes.clone(),
            decoded,
            resolves: Vec::new(),
            previous_reply_received: false,
        }];
        self.whole(token, link_token, frame, completes, Replies::none())
    }

    /// A unit that is a whole number of messages.
    pub(crate) fn whole(
        &mut self,
        token: Token,
        link_token: link::Token,
        frame: Frame,
        completes: Vec<Message>,
        replies: Replies,
    ) -> (Pending, Persist) {
        let transmission = self.reception.transmission;
        let pending = Pending {
            token,
            link_token,
            mark: None,
            taken: 0,
            completed: true,
            settled: Vec::new(),
            replies,
            standing: None,
            names: Vec::new(),
        };
        (pending, Persist { token, transmission, frame, completes, carry: None })
    }
}

#[cfg(test)]
mod tests {
    use labwire_driver::Library;

    use super::*;

    #[test]
    fn what_is_remembered_of_incomplete_messages_is_bounded_in_bytes() {
        let plan = Library::embedded().compile("generic/lis02").and_then(|compiled| compiled.plan);
        let Some(plan) = plan else { panic!("the generic profile does not compile") };
        let mut session = Session::new(Settings {
            plan: Arc::new(plan),
            identity: Identity::Hold,
            strict: None,
            transport: link::ErrorMode::Close,
            zone: TimeZone::UTC,
            first_transmission: 100,
            control_id_prefix: String::new(),
            message_bytes_max: 16 << 20,
        });
        let message = |bytes: usize| [b"H|\\^&\rC|1|".as_slice(), &vec![b'x'; bytes], b"\r"].concat();
        for transmission in 1..=6 {
            session.remember_incomplete(transmission, message(1 << 20), false);
        }
        let kept =
            |session: &Session| session.unsettled.iter().map(|one| one.transmission).collect::<Vec<_>>();
        assert_eq!(kept(&session), [4, 5, 6], "the newest, each with its identity");
        session.remember_incomplete(7, message(5 << 20), false);
        assert_eq!(kept(&session), [4, 5, 6], "one that is too long by itself costs no other its place");
    }
}
