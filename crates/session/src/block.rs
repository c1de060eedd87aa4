//! HL7 blocks: the messages in one, the batch around them, fragments of a message in several.

use core::time::Duration;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use labwire_link::{self as link, Machine as _};
use labwire_message::hl7::{self, Header};
use labwire_message::{Index, Record, Syntax, View};
use labwire_model::{DecodedMessage, Diagnostic};

use crate::acknowledge::{Desk, Policy, Replies};
use crate::effect::{Frame, Message, Note, Persist, Token};
use crate::sequence::{self, Verdict};
use crate::session::{Now, Pending, Session};

/// How long the next fragment of a message may take to come.
const FRAGMENT_WAIT: Duration = Duration::from_secs(120);
/// Longest header of a batch whose messages are counted over several blocks.
const BATCH_HEADER_BYTES_MAX: usize = 4 << 10;
/// Control ids remembered, to notice one that comes again over another content.
const NAMES_MAX: usize = 256;

/// Where an HL7 conversation stands between two blocks. It changes with a commit, never before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    batch: Option<Batch>,
    fragment: Option<Fragment>,
    /// The sequence number accepted last, where the sender counts.
    pub(crate) sequence: Option<u64>,
}

/// A batch whose trailer has not come.
#[derive(Clone, Debug)]
struct Batch {
    header: Vec<u8>,
    messages: usize,
}

/// A message that goes on in a block to come.
#[derive(Clone, Debug)]
struct Fragment {
    /// DSC-1, which MSH-14 of the next fragment repeats.
    pointer: Vec<u8>,
    since: Duration,
}

impl Standing {
    /// When what was received of a fragmented message is given up.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.fragment.as_ref().map(|fragment| fragment.since + FRAGMENT_WAIT)
    }

    /// Ends the wait for the next fragment.
    pub(crate) fn forget_fragment(&mut self) {
        self.fragment = None;
    }

    /// Counts a message of the open batch.
    fn count(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.messages += 1;
        }
    }
}

/// Control ids of messages that are stored, each with its content, as hashes.
#[derive(Debug, Default)]
pub(crate) struct Names(VecDeque<(u64, u64)>);

impl Names {
    /// Whether this control id named another content before.
    fn conflicts(&self, (name, content): (u64, u64)) -> bool {
        self.0.iter().any(|(known, before)| *known == name && *before != content)
    }

    pub(crate) fn remember(&mut self, names: Vec<(u64, u64)>) {
        for name in names {
            if self.0.len() == NAMES_MAX {
                self.0.pop_front();
            }
            self.0.push_back(name);
        }
    }
}

fn name_of(decoded: &DecodedMessage) -> Option<(u64, u64)> {
    let hash = |bytes: &[u8]| {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        hasher.finish()
    };
    Some((hash(decoded.control_id.as_ref()?.as_bytes()), hash(&decoded.identity)))
}

/// A segment of the batch, or a message, at its place in the block.
enum Item {
    Envelope,
    Message(core::ops::Range<usize>, bool),
}

impl Session {
    /// A block as the commit that it asks for; `None` when it was answered without one.
    pub(crate) fn take_block(
        &mut self,
        now: Now,
        token: Token,
        link_token: link::Token,
        frame: Frame,
    ) -> Option<(Pending, Persist)> {
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, &frame.bytes);
        let split = hl7::messages(&view);
        let single = match split.messages.as_slice() {
            [only] if only.has_header && split.envelope.is_empty() => view.record(only.records.start),
            _ => None,
        };
        let mut standing = self.standing.clone();
        let expected = match single.map(|msh| self.sequence_of(&mut standing, &msh)) {
            Some(Verdict::Refuse { expected, received }) => {
                let msh = single?;
                self.refuse_sequence(now, link_token, &msh, (expected, received));
                return None;
            }
            Some(Verdict::Accept { answer }) => answer,
            None => None,
        };
        if let Some(msh) = single
            && let Some(answered) =
                self.take_fragment(now, (token, link_token), (&view, &msh), &frame, &mut standing)
        {
            return answered;
        }
        if standing.fragment.take().is_some() {
            self.standing.forget_fragment();
            self.end_reception();
        }
        let mut replies = Replies::hl7();
        let (mut completes, mut names) = (Vec::new(), Vec::new());
        let mut items: Vec<(usize, Item)> =
            split.envelope.iter().map(|place| (*place, Item::Envelope)).collect();
        for part in split.messages {
            items.push((part.records.start, Item::Message(part.records, part.has_header)));
        }
        items.sort_by_key(|(place, _)| *place);
        if split.envelope.is_empty() && !items.iter().any(|(_, item)| matches!(item, Item::Message(_, true)))
        {
            replies.unreadable();
        }
        // A message takes everything up to the next, so that nothing of the block is lost.
        let bounds: Vec<usize> = items
            .iter()
            .skip(1)
            .map(|(place, _)| view.record(*place).map_or(0, |record| record.offset()))
            .chain([frame.bytes.len()])
            .collect();
        let mut from = 0;
        let mut last_header = None;
        for ((place, item), end) in items.into_iter().zip(bounds) {
            let start = core::mem::replace(&mut from, end);
            match item {
                Item::Envelope => {
                    self.take_envelope(&view, place, (&mut standing, &mut replies), last_header.as_ref());
                }
                Item::Message(records, has_header) => {
                    if has_header {
                        standing.count();
                        last_header = view.record(records.start);
                    }
                    let raw = frame.bytes.get(start..end).unwrap_or_default().to_vec();
                    let mut decoded = self.decode(&raw);
                    self.answer(&mut replies, &raw, &mut decoded, expected.clone());
                    names.extend(name_of(&decoded));
                    completes.push(whole_message(raw, decoded));
                }
            }
        }
        if completes.is_empty() {
            completes.push(whole_message(frame.bytes.clone(), self.decode(&frame.bytes)));
        }
        if let Some(last) = completes.last_mut() {
            for finding in split.findings.iter().filter(|finding| finding.code == "batch-count") {
                let text = finding.text.clone();
                last.decoded.diagnostics.push(Diagnostic::new(
                    finding.code,
                    finding.offset,
                    finding.record,
                    "",
                    text,
                ));
            }
        }
        for name in &names {
            if self.names.conflicts(*name) {
                self.note(Note::ControlIdReused);
            }
        }
        let (mut pending, persist) = self.whole(token, link_token, frame, completes, replies);
        pending.standing = Some(standing);
        pending.names = names;
        Some((pending, persist))
    }

    fn policy(&self) -> Policy<'_> {
        let plan = &self.settings.plan;
        Policy { rules: &plan.acknowledge, strict: self.settings.strict.unwrap_or(plan.link.strict) }
    }

    fn answer(
        &mut self,
        replies: &mut Replies,
        raw: &[u8],
        decoded: &mut DecodedMessage,
        expected_sequence: Option<String>,
    ) {
        if let Some(code) = replies.answer(self.policy(), raw, decoded, expected_sequence) {
            self.note(Note::Refused(code));
        }
    }

    /// A segment of the batch around messages.
    fn take_envelope(
        &mut self,
        view: &View<'_>,
        place: usize,
        (standing, replies): (&mut Standing, &mut Replies),
        message: Option<&Record<'_>>,
    ) {
        let Some(record) = view.record(place) else { return };
        match record.name().as_bytes() {
            b"BHS" => {
                standing.batch = (record.bytes().len() <= BATCH_HEADER_BYTES_MAX)
                    .then(|| Batch { header: record.bytes().to_vec(), messages: 0 });
                // A batch that goes on in other blocks has its messages answered as they come.
                if view.records().skip(place + 1).any(|later| later.name() == "BTS") {
                    replies.begin_batch(record.bytes().to_vec());
                }
            }
            b"BTS" => {
                let Some(batch) = standing.batch.take() else { return };
                let declared = record
                    .field(1)
                    .and_then(|field| core::str::from_utf8(field.bytes()).ok()?.trim().parse::<usize>().ok());
                if let Some(declared) = declared.filter(|declared| *declared != batch.messages) {
                    let mut index = Index::new();
                    if let Some(bhs) = index.scan(Syntax::Hl7, &batch.header).record(0) {
                        let header = hl7::batch_as_message(&bhs, message);
                        replies.miscounted(header, declared, batch.messages);
                    }
                    self.note(Note::BatchMiscounted { declared, received: batch.messages });
                }
                replies.end_batch();
            }
            b"FTS" => standing.batch = None,
            _ => {}
        }
    }

    /// A message that goes on in another block, or goes on from one. `None` when this one does
    /// neither; `Some(None)` when it needs no commit.
    fn take_fragment(
        &mut self,
        now: Now,
        (token, link_token): (Token, link::Token),
        (view, msh): (&View<'_>, &Record<'_>),
        frame: &Frame,
        standing: &mut Standing,
    ) -> Option<Option<(Pending, Persist)>> {
        let header = Header::new(*msh)?;
        let promised = promised(view, &header);
        let continues = standing
            .fragment
            .as_ref()
            .is_some_and(|fragment| fragment.pointer == header.field(14) && !fragment.pointer.is_empty());
        if !continues && promised.is_none() {
            return None;
        }
        let mut replies = Replies::hl7();
        let mut decoded = self.decode(&frame.bytes);
        if replies.answer(self.policy(), &frame.bytes, &mut decoded, None).is_some() {
            return None;
        }
        // Its first copy is durable: the reply to it was lost.
        if standing.fragment.is_some() && self.reception.text().ends_with(&frame.bytes) {
            self.link.handle(now.monotonic, link::Input::Accept(link_token));
            self.reply(now, &replies);
            return Some(None);
        }
        if !continues && standing.fragment.take().is_some() {
            self.standing.forget_fragment();
            self.end_reception();
        }
        let mark = self.reception.append(&frame.bytes, true);
        let transmission = self.reception.transmission;
        standing.fragment =
            promised.map(|pointer| Fragment { pointer: pointer.to_vec(), since: now.monotonic });
        let mut completes = Vec::new();
        let mut taken = 0;
        if standing.fragment.is_none() {
            taken = self.reception.text().len();
            let raw = join(self.reception.text());
            let decoded = self.decode(&raw);
            completes.push(whole_message(raw, decoded));
        }
        let pending = Pending {
            token,
            link_token,
            mark: Some(mark),
            taken,
            completed: !completes.is_empty(),
            settled: Vec::new(),
            replies,
            standing: Some(standing.clone()),
            names: Vec::new(),
        };
        let persist = Persist { token, transmission, frame: frame.clone(), completes, carry: None };
        Some(Some((pending, persist)))
    }

    fn sequence_of(&self, standing: &mut Standing, msh: &Record<'_>) -> Verdict {
        match Header::new(*msh) {
            Some(header) if self.settings.plan.acknowledge.sequence_numbers => {
                sequence::judge(&mut standing.sequence, header.sequence_number())
            }
            _ => Verdict::Accept { answer: None },
        }
    }

    /// Accepts nothing under a number that is not the expected one: the sender goes back to that.
    fn refuse_sequence(
        &mut self,
        now: Now,
        link_token: link::Token,
        msh: &Record<'_>,
        (expected, received): (u64, u64),
    ) {
        let mut replies = Replies::hl7();
        replies.out_of_sequence(self.policy(), msh, expected.to_string());
        self.link.handle(now.monotonic, link::Input::Refuse(link_token));
        self.note(Note::SequenceGap { expected, received });
        self.reply(now, &replies);
    }

    /// Sends the replies to a block that is durable.
    pub(crate) fn reply(&mut self, now: Now, replies: &Replies) {
        let built = replies.stored(&mut Desk {
            rules: &self.settings.plan.acknowledge,
            ids: &mut self.control_ids,
            wall: now.wall,
            zone: &self.settings.zone,
        });
        self.send_replies(now, &built);
    }

    /// Sends the replies to a block that is not; `false` when there are none.
    pub(crate) fn reply_failure(&mut self, now: Now, replies: &Replies) -> bool {
        let built = replies.not_stored(&mut Desk {
            rules: &self.settings.plan.acknowledge,
            ids: &mut self.control_ids,
            wall: now.wall,
            zone: &self.settings.zone,
        });
        self.send_replies(now, &built);
        !built.is_empty()
    }
}

fn whole_message(raw: Vec<u8>, decoded: DecodedMessage) -> Message {
    Message { raw, decoded, resolves: Vec::new(), previous_reply_received: false }
}

/// DSC-1 of a result message that ends with a promise of more (DSC-2 `F`: in another message).
fn promised<'v>(view: &View<'v>, header: &Header<'_>) -> Option<&'v [u8]> {
    if !matches!(header.message_code(), b"ORU" | b"OUL") {
        return None;
    }
    let last = view.records().next_back().filter(|record| record.name() == "DSC")?;
    let style = last.field(2).map_or(&b""[..], |field| field.bytes());
    let pointer = last.field(1)?.bytes();
    (!pointer.is_empty() && matches!(style, b"" | b"F")).then_some(pointer)
}

/// Fragments as one message: the first header, and neither the pointers nor the headers between.
fn join(text: &[u8]) -> Vec<u8> {
    let mut index = Index::new();
    let view = index.scan(Syntax::Hl7, text);
    let mut joined = Vec::with_capacity(text.len());
    for (place, record) in view.records().enumerate() {
        if place == 0 || (record.name() != "MSH" && record.name() != "DSC") {
            joined.extend_from_slice(record.bytes());
            joined.push(b'\r');
        }
    }
    joined
}
