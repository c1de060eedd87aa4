//! Which HL7 replies a block gets once its commit has returned, and how they are built.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::{Acknowledge, NotStored, Unnamed};
use labwire_message::hl7::{
    self, AckCode, AckError, AckFields, AckPlan, Header, Location, Outcome, Severity, Version, When,
};
use labwire_message::{Index, Name, Record, Syntax, View};
use labwire_model::{DecodedMessage, Disposition, MessageKind};

use crate::types::{UNSUPPORTED_MESSAGE_TYPE, refusal};

/// Table 0357: the segments of a batch are not those that it counts.
const SEGMENT_SEQUENCE: u16 = 100;
/// Table 0357: a required field is missing.
const REQUIRED_FIELD_MISSING: u16 = 101;
/// Table 0357: the processing id is not supported.
const UNSUPPORTED_PROCESSING_ID: u16 = 202;
/// Table 0357: the version is not supported.
const UNSUPPORTED_VERSION: u16 = 203;
/// Table 0357: nothing is wrong with the message.
const INTERNAL_ERROR: u16 = 207;

/// Gives the control ids of our own messages: unique for the connection.
#[derive(Debug)]
pub(crate) struct ControlIds {
    prefix: String,
    next: u64,
}

impl ControlIds {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix, next: 1 }
    }

    fn take(&mut self) -> String {
        let id = format!("{}{}", self.prefix, self.next);
        self.next += 1;
        id
    }
}

/// What is wrong with a message, as its reply says it.
#[derive(Clone, Debug)]
struct Complaint {
    code: u16,
    text: String,
    /// Segment, its number among those of its name, field.
    location: Option<(&'static [u8], u16)>,
}

impl Complaint {
    fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), location: None }
    }

    fn at(self, segment: &'static [u8], field: u16) -> Self {
        Self { location: Some((segment, field)), ..self }
    }

    fn error(&self) -> AckError<'_> {
        let location = self.location.and_then(|(segment, field)| {
            Some(Location { segment: Name::new(segment)?, sequence: 1, field: Some(field) })
        });
        AckError { code: self.code, severity: Severity::Error, location, text: Some(&self.text) }
    }
}

/// A message that is to be answered.
#[derive(Debug)]
struct Answer {
    /// The request's MSH segment; the reply is built in its delimiters.
    header: Vec<u8>,
    plan: AckPlan,
    outcome: Outcome,
    complaint: Option<Complaint>,
    /// MSA-4.
    expected_sequence: Option<String>,
}

impl Answer {
    /// The replies to a message that is stored. A sender whose message was not accepted waits for no
    /// application reply.
    fn codes(&self) -> impl Iterator<Item = AckCode> {
        let accept = self.plan.accept_reply(self.outcome);
        let application = match accept {
            Some(code) if !code.is_positive() => None,
            _ => self.plan.application_reply(self.outcome),
        };
        [accept, application].into_iter().flatten()
    }

    /// The reply to a message that could not be stored, if it is one after which the sender repeats.
    fn failure(&self, rules: &Acknowledge) -> Option<AckCode> {
        let asked = self.plan.accept_reply(Outcome::Error);
        match rules.not_stored {
            NotStored::Silence => None,
            NotStored::Asked => asked,
            NotStored::Error => asked.or_else(|| self.plan.application_reply(Outcome::Error)),
        }
    }
}

/// Messages of one block that are answered together: in a batch, or each by itself.
#[derive(Debug, Default)]
struct Group {
    /// BHS of the batch that they came in, where its answer is a batch.
    batch: Option<Vec<u8>>,
    answers: Vec<Answer>,
}

/// What a host says about every message of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub(crate) rules: &'a Acknowledge,
    pub(crate) strict: bool,
}

/// Where and when replies are built.
pub(crate) struct Desk<'a> {
    pub(crate) rules: &'a Acknowledge,
    pub(crate) ids: &'a mut ControlIds,
    pub(crate) wall: Timestamp,
    pub(crate) zone: &'a TimeZone,
}

/// The replies that wait for a block to be durable.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    hl7: bool,
    groups: Vec<Group>,
    close: Option<&'static str>,
}

impl Replies {
    /// The dialect's own positive reply is all there is.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// An HL7 block: replies are messages.
    pub(crate) fn hl7() -> Self {
        Self { hl7: true, ..Self::default() }
    }

    pub(crate) fn is_hl7(&self) -> bool {
        self.hl7
    }

    /// Why the stream must be closed after the replies.
    pub(crate) fn closes(&self) -> Option<&'static str> {
        self.close
    }

    /// No MSH could be read, so nobody can be answered: the block is kept and the stream closed.
    pub(crate) fn unreadable(&mut self) {
        self.close = Some("the block holds no MSH segment");
    }

    /// The messages to come are a batch of their own, answered as one.
    pub(crate) fn begin_batch(&mut self, bhs: Vec<u8>) {
        self.groups.push(Group { batch: Some(bhs), answers: Vec::new() });
    }

    /// The messages to come belong to no batch.
    pub(crate) fn end_batch(&mut self) {
        self.groups.push(Group::default());
    }

    /// Adds the replies that one message asks for; gives the code of table 0357 when it is refused.
    /// What a refused message holds is held: a person sees what the analyzer was told.
    pub(crate) fn answer(
        &mut self,
        policy: Policy<'_>,
        raw: &[u8],
        decoded: &mut DecodedMessage,
        expected_sequence: Option<String>,
    ) -> Option<u16> {
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, raw);
        let msh = view.records().find(|record| record.name() == "MSH")?;
        let header = Header::new(msh)?;
        if is_never_answered(policy.rules, &view, &header, decoded) {
            return None;
        }
        let (outcome, complaint) = judge(policy, &header, decoded);
        let code = complaint.as_ref().map(|complaint| complaint.code);
        let answer = Answer {
            header: msh.bytes().to_vec(),
            plan: policy.rules.mode.plan(&msh),
            outcome,
            complaint,
            expected_sequence,
        };
        self.push(answer);
        code
    }

    /// Adds the refusal of a message whose sequence number is not the expected one.
    pub(crate) fn out_of_sequence(&mut self, policy: Policy<'_>, msh: &Record<'_>, expected: String) {
        let text = format!("sequence number {expected} is expected");
        self.push(Answer {
            header: msh.bytes().to_vec(),
            plan: policy.rules.mode.plan(msh),
            outcome: Outcome::Error,
            complaint: Some(Complaint::new(SEGMENT_SEQUENCE, text).at(b"MSH", 13)),
            expected_sequence: Some(expected),
        });
    }

    /// Adds the answer to a batch whose trailer counts other messages than came. Those that came
    /// have their own answers.
    pub(crate) fn miscounted(&mut self, batch: Vec<u8>, declared: usize, counted: usize) {
        let text = format!("the batch counts {declared} messages, {counted} came");
        self.push(Answer {
            header: batch,
            plan: AckPlan {
                mode: hl7::AckMode::Original,
                accept: When::Never,
                application: When::Always,
                accept_misused: false,
                application_misused: false,
            },
            outcome: Outcome::Error,
            complaint: Some(Complaint::new(SEGMENT_SEQUENCE, text).at(b"BTS", 1)),
            expected_sequence: None,
        });
    }

    fn push(&mut self, answer: Answer) {
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        if let Some(group) = self.groups.last_mut() {
            group.answers.push(answer);
        }
    }

    /// The replies to a block that is stored, in order.
    pub(crate) fn stored(&self, desk: &mut Desk<'_>) -> Vec<Vec<u8>> {
        let mut built = Vec::new();
        for group in &self.groups {
            let mut replies = Vec::new();
            for answer in &group.answers {
                replies
                    .extend(answer.codes().map(|code| desk.build(answer, code, answer.complaint.as_ref())));
            }
            match &group.batch {
                Some(bhs) if !desk.rules.batch_in_blocks => built.extend(desk.batch(bhs, &replies)),
                _ => built.append(&mut replies),
            }
        }
        built
    }

    /// The replies to a block that could not be stored: those after which the sender repeats it.
    pub(crate) fn not_stored(&self, desk: &mut Desk<'_>) -> Vec<Vec<u8>> {
        let complaint = Complaint::new(INTERNAL_ERROR, "the message could not be stored; send it again");
        let mut built = Vec::new();
        for answer in self.groups.iter().flat_map(|group| &group.answers) {
            built.extend(answer.failure(desk.rules).map(|code| desk.build(answer, code, Some(&complaint))));
        }
        built
    }
}

impl Desk<'_> {
    fn time(&self) -> String {
        self.wall.to_zoned(self.zone.clone()).strftime("%Y%m%d%H%M%S%z").to_string()
    }

    fn build(&mut self, answer: &Answer, code: AckCode, complaint: Option<&Complaint>) -> Vec<u8> {
        let (control_id, time) = (self.ids.take(), self.time());
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, &answer.header);
        let Some(msh) = view.record(0) else { return Vec::new() };
        let said = |text: &'_ Option<String>| text.clone().filter(|_| code.is_positive());
        let (text, condition) = (said(&self.rules.text), said(&self.rules.condition));
        let fields = AckFields {
            control_id: &control_id,
            time: &time,
            message_type: self.rules.message_type,
            text: text.as_deref(),
            expected_sequence: answer.expected_sequence.as_deref(),
            condition: condition.as_deref(),
            error: complaint.map(Complaint::error),
            echo_msh_10: self.rules.echo_msh_10,
            echo_msh_16: self.rules.echo_msh_16,
            echo_msh_21: true,
        };
        hl7::acknowledge(&msh, code, &fields)
    }

    /// The replies to a batch as a batch; nothing where none is asked for.
    fn batch(&mut self, bhs: &[u8], replies: &[Vec<u8>]) -> Option<Vec<u8>> {
        if replies.is_empty() {
            return None;
        }
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, bhs);
        let bhs = view.record(0)?;
        let control_id = self.ids.take();
        Some(hl7::acknowledge_batch(&bhs, &control_id, &self.time(), replies))
    }
}

/// A reply to a message of ours is never answered (loops), whatever MSH-15 and MSH-16 say; results are,
/// though they carry an MSA.
fn is_never_answered(
    rules: &Acknowledge,
    view: &View<'_>,
    header: &Header<'_>,
    decoded: &DecodedMessage,
) -> bool {
    let (code, event) = (header.message_code(), header.trigger_event());
    let carries_results = matches!(code, b"ORU" | b"OUL" | b"ORF") && decoded.kind == MessageKind::Results;
    let answers = view.records().any(|record| record.name() == "MSA");
    header.is_acknowledgement()
        || (answers && !carries_results)
        || Acknowledge::lists(&rules.unanswered, code, event)
}

/// What a stored message is answered with.
fn judge(
    policy: Policy<'_>,
    header: &Header<'_>,
    decoded: &mut DecodedMessage,
) -> (Outcome, Option<Complaint>) {
    let rules = policy.rules;
    let (outcome, complaint, held) = if header.control_id().is_empty() {
        let outcome = match rules.unnamed {
            Unnamed::Error => Outcome::Error,
            Unnamed::Reject => Outcome::Reject,
        };
        let complaint = Complaint::new(REQUIRED_FIELD_MISSING, "MSH-10 is required").at(b"MSH", 10);
        let held = ("no-control-id", "MSH-10 is empty, so the message could not be acknowledged");
        (outcome, complaint, held)
    } else if header.message_code().is_empty() {
        let complaint = Complaint::new(REQUIRED_FIELD_MISSING, "MSH-9 is required").at(b"MSH", 9);
        (Outcome::Error, complaint, ("message-kind", "MSH-9 is empty: the message does not say what it is"))
    } else if decoded.kind == MessageKind::Query {
        let complaint = Complaint::new(UNSUPPORTED_MESSAGE_TYPE, "queries are not answered").at(b"MSH", 9);
        return (Outcome::Reject, Some(complaint));
    } else if let Some(code) = refusal(rules, header.message_code(), header.trigger_event()) {
        let complaint = Complaint::new(code, "messages of this type are not accepted").at(b"MSH", 9);
        (Outcome::Reject, complaint, ("message-kind", "the message type was rejected in its acknowledgement"))
    } else if rules.reject_processing && matches!(header.processing_id().first(), Some(b'T' | b'D')) {
        let complaint =
            Complaint::new(UNSUPPORTED_PROCESSING_ID, "this line takes production messages alone");
        let held = ("processing-id", "MSH-11 says training or debugging, which was rejected");
        (Outcome::Reject, complaint.at(b"MSH", 11), held)
    } else if (rules.reject_version || policy.strict) && !is_known_version(header) {
        let complaint = Complaint::new(UNSUPPORTED_VERSION, "no version of the standard").at(b"MSH", 12);
        (Outcome::Reject, complaint, ("message-kind", "MSH-12 names no version of the standard"))
    } else {
        return (Outcome::Success, None);
    };
    hold_all(decoded, held);
    (outcome, Some(complaint))
}

/// 2.1 to 2.9; a message that names no version at all is read as what it looks like.
fn is_known_version(header: &Header<'_>) -> bool {
    header.version_id().is_empty()
        || header.version().is_some_and(|version| (Version(2, 1, 0)..Version(2, 10, 0)).contains(&version))
}

fn hold_all(decoded: &mut DecodedMessage, (code, reason): (&str, &str)) {
    for outcome in &mut decoded.outcomes {
        if outcome.disposition == Disposition::Deliver {
            outcome.disposition = Disposition::Hold { code: code.to_owned(), reason: reason.to_owned() };
        }
    }
}
