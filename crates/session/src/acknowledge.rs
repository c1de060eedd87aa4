//! Which HL7 replies a block gets once it is durable, and how they are built.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_message::hl7::{self, AckCode, AckError, AckFields, Header, Outcome as AckOutcome, Severity};
use labwire_message::{Index, Syntax};
use labwire_model::{DecodedMessage, Disposition, MessageKind};

/// Table 0357: a required field is missing.
const REQUIRED_FIELD_MISSING: u16 = 101;
/// Table 0357: the message type is not supported.
const UNSUPPORTED_MESSAGE_TYPE: u16 = 200;

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

#[derive(Debug)]
struct Answer {
    /// The request's MSH segment; the reply is built in its delimiters.
    header: Vec<u8>,
    codes: Vec<AckCode>,
    error: Option<(u16, &'static str)>,
    echo_msh_16: bool,
    echo_msh_21: bool,
}

/// The replies that wait for a block to be durable.
#[derive(Debug)]
pub(crate) struct Replies {
    hl7: bool,
    answers: Vec<Answer>,
    close: Option<&'static str>,
}

impl Replies {
    /// The dialect's own positive reply is all there is.
    pub(crate) fn none() -> Self {
        Self { hl7: false, answers: Vec::new(), close: None }
    }

    /// An HL7 block: replies are messages.
    pub(crate) fn hl7() -> Self {
        Self { hl7: true, answers: Vec::new(), close: None }
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

    /// Adds the replies that one message asks for. A message without a control id cannot be
    /// answered positively; what it says is held.
    pub(crate) fn answer(&mut self, raw: &[u8], decoded: &mut DecodedMessage) {
        // A reply to a message of ours is never answered (loops), unless it is a message as well.
        if decoded.kind == MessageKind::Acknowledgement {
            return;
        }
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, raw);
        let Some(msh) = view.records().find(|record| record.name() == "MSH") else { return };
        let Some(header) = Header::new(msh) else { return };
        let (outcome, error) = if header.control_id().is_empty() {
            hold_all(decoded, "no-control-id", "MSH-10 is empty, so the message could not be acknowledged");
            (AckOutcome::Error, Some((REQUIRED_FIELD_MISSING, "MSH-10 is required")))
        } else if decoded.kind == MessageKind::Query {
            (AckOutcome::Reject, Some((UNSUPPORTED_MESSAGE_TYPE, "queries are not answered")))
        } else {
            (AckOutcome::Success, None)
        };
        let plan = hl7::ack_policy(&msh);
        let codes: Vec<AckCode> =
            [plan.accept_reply(outcome), plan.application_reply(outcome)].into_iter().flatten().collect();
        self.answers.push(Answer {
            header: msh.bytes().to_vec(),
            codes,
            error,
            echo_msh_16: plan.application_misused,
            echo_msh_21: !header.field(21).is_empty(),
        });
    }

    /// The replies as messages, in order.
    pub(crate) fn build(&self, ids: &mut ControlIds, wall: Timestamp, zone: &TimeZone) -> Vec<Vec<u8>> {
        let time = wall.to_zoned(zone.clone()).strftime("%Y%m%d%H%M%S%z").to_string();
        let mut built = Vec::new();
        let mut index = Index::new();
        for answer in &self.answers {
            let view = index.scan(Syntax::Hl7, &answer.header);
            let Some(msh) = view.record(0) else { continue };
            for code in &answer.codes {
                let control_id = ids.take();
                let fields = AckFields {
                    control_id: &control_id,
                    time: &time,
                    error: answer.error.map(|(code, text)| AckError {
                        code,
                        severity: Severity::Error,
                        location: None,
                        text: Some(text),
                    }),
                    echo_msh_16: answer.echo_msh_16,
                    echo_msh_21: answer.echo_msh_21,
                    ..AckFields::default()
                };
                built.push(hl7::acknowledge(&msh, *code, &fields));
            }
        }
        built
    }
}

fn hold_all(decoded: &mut DecodedMessage, code: &str, reason: &str) {
    for outcome in &mut decoded.outcomes {
        if outcome.disposition == Disposition::Deliver {
            outcome.disposition = Disposition::Hold { code: code.to_owned(), reason: reason.to_owned() };
        }
    }
}
