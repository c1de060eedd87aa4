//! Acknowledgements: built from the request's own header, in its delimiters and its character set.

use crate::build::RecordBuilder;
use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::hl7::header::{Header, Version};
use crate::name::Name;
use crate::scan::Syntax;
use crate::view::Record;

/// MSA-1, table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    Aa,
    /// Application error.
    Ae,
    /// Application reject.
    Ar,
    /// Commit accept: stored safely, the sender is released from repeating.
    Ca,
    /// Commit error.
    Ce,
    /// Commit reject.
    Cr,
}

impl AckCode {
    /// The code as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aa => "AA",
            Self::Ae => "AE",
            Self::Ar => "AR",
            Self::Ca => "CA",
            Self::Ce => "CE",
            Self::Cr => "CR",
        }
    }

    /// The code of an MSA-1. Exactly one of the six, lower case allowed; anything else is no answer.
    #[must_use]
    pub fn parse(field: &[u8]) -> Option<Self> {
        [Self::Aa, Self::Ae, Self::Ar, Self::Ca, Self::Ce, Self::Cr]
            .into_iter()
            .find(|code| field.eq_ignore_ascii_case(code.as_str().as_bytes()))
    }

    /// Whether it says that all is well.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        matches!(self, Self::Aa | Self::Ca)
    }
}

/// ERR-4, table 0516.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// Something is wrong.
    #[default]
    Error,
    /// Worth knowing; may accompany AA.
    Warning,
    /// For information.
    Information,
}

impl Severity {
    const fn code(self) -> &'static [u8] {
        match self {
            Self::Error => b"E",
            Self::Warning => b"W",
            Self::Information => b"I",
        }
    }
}

/// Where in the request an error lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The segment id.
    pub segment: Name,
    /// Which segment of that id, 1-based.
    pub sequence: u16,
    /// Which field, 1-based.
    pub field: Option<u16>,
}

/// One error to report, as table 0357 numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckError<'a> {
    /// The code of table 0357, 101 for a required field that is missing.
    pub code: u16,
    /// How bad it is.
    pub severity: Severity,
    /// Where it lies, when it lies in a place.
    pub location: Option<Location>,
    /// For a person; no patient data, because it ends in the peer's logs.
    pub text: Option<&'a str>,
}

/// How much of MSH-9 a reply fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckType {
    /// `ACK`.
    Code,
    /// `ACK^R01`, with the event of the request.
    Event,
    /// `ACK^R01^ACK`.
    Structure,
}

/// What the request does not say and the reply needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AckFields<'a> {
    /// MSH-10 of the reply: new and unique, unless the profile says that the analyzer wants its own.
    pub control_id: &'a str,
    /// MSH-7 of the reply, `YYYYMMDDHHMMSS±HHMM`.
    pub time: &'a str,
    /// How much of MSH-9 is filled; `None`: `ACK` before 2.3.1, `ACK^R01` in 2.3.1 and where the version
    /// is unknown, `ACK^R01^ACK` from 2.4 on.
    pub message_type: Option<AckType>,
    /// MSA-3, for versions that have it (until 2.6). An error's own text goes before it.
    pub text: Option<&'a str>,
    /// MSA-4: the sequence number that is acknowledged, or the one that is expected.
    pub expected_sequence: Option<&'a str>,
    /// MSA-6, for analyzers that want `0` there (until 2.6). An error's own code goes before it.
    pub condition: Option<&'a str>,
    /// The ERR segment; until 2.4 also in MSA-3 and MSA-6.
    pub error: Option<AckError<'a>>,
    /// Repeat MSH-10 of the request as MSH-10 of the reply, for analyzers that look for it there.
    pub echo_msh_10: bool,
    /// Repeat MSH-16 of the request, for analyzers that say there which kind of result they send.
    pub echo_msh_16: bool,
    /// Repeat MSH-21 of the request, as IHE LAW wants it.
    pub echo_msh_21: bool,
}

const MSH: Name = Name::of(*b"MSH");
const MSA: Name = Name::of(*b"MSA");
const ERR: Name = Name::of(*b"ERR");

/// Builds the acknowledgement of a message from its MSH segment; segments end with CR, the last one too.
///
/// MSA-2 is MSH-10 of the request byte for byte. Delimiters and character set are the request's;
/// applications and facilities are swapped whole, with all their components. A request without
/// MSH-10 gets an empty MSA-2, which correlates with nothing: the caller decides whether to send it.
#[must_use]
pub fn acknowledge(msh: &Record<'_>, code: AckCode, fields: &AckFields<'_>) -> Vec<u8> {
    let request = Header::new(*msh);
    let delimiters = msh.delimiters();
    let field = |number: u16| request.map_or(&b""[..], |header| header.field(number));
    let version = request.and_then(|header| header.version());
    let charset = reply_charset(request);
    let text = |text: &str| charset.encode(text).0.into_owned();

    let mut header = RecordBuilder::new(Syntax::Hl7, MSH, *delimiters);
    header.raw(3, field(5)).raw(4, field(6)).raw(5, field(3)).raw(6, field(4));
    header.text(7, fields.time.as_bytes());
    header.raw(9, &reply_type(request, fields.message_type.unwrap_or_else(|| usual_type(version))));
    match fields.echo_msh_10 {
        true => header.raw(10, field(10)),
        false => header.text(10, &text(fields.control_id)),
    };
    header.raw(11, field(11)).raw(12, field(12));
    if fields.echo_msh_16 && !field(16).is_empty() {
        header.raw(16, field(16));
    }
    if !field(18).is_empty() {
        header.raw(18, field(18));
    }
    if fields.echo_msh_21 && !field(21).is_empty() {
        header.raw(21, field(21));
    }

    let mut answer = RecordBuilder::new(Syntax::Hl7, MSA, *delimiters);
    answer.raw(1, code.as_str().as_bytes()).raw(2, field(10));
    let has_text = version.is_none_or(|version| version < Version(2, 7, 0));
    // Where ERR has no place for words, a sender looks for them here.
    let speaks_here = !is_redesigned(version);
    let error_text = fields.error.and_then(|error| error.text).filter(|_| speaks_here);
    if let Some(said) = error_text.or(fields.text).filter(|_| has_text) {
        answer.text(3, &text(said));
    }
    if let Some(number) = fields.expected_sequence {
        answer.text(4, number.as_bytes());
    }
    match (&fields.error, fields.condition) {
        (Some(error), _) if speaks_here => {
            answer.component(6, 1, error.code.to_string().as_bytes());
            answer.component(6, 2, error_name(error.code)).component(6, 3, b"HL70357");
        }
        (_, Some(condition)) if has_text => {
            answer.text(6, &text(condition));
        }
        _ => {}
    }

    let mut reply = header.finish();
    reply.push(b'\r');
    reply.extend(answer.finish());
    reply.push(b'\r');
    if let Some(error) = &fields.error {
        let said = error.text.or(fields.text).map(text);
        reply.extend(error_segment(error, said.as_deref(), version, delimiters));
        reply.push(b'\r');
    }
    reply
}

/// Our own words in the request's set. A set whose characters can hide a delimiter is left for ASCII.
fn reply_charset(request: Option<Header<'_>>) -> Charset {
    match request.and_then(|header| header.charset()) {
        Some(charset) if !charset.hides_delimiters() => charset,
        _ => Charset::Ascii,
    }
}

/// How much of MSH-9 a version's acknowledgements fill.
fn usual_type(version: Option<Version>) -> AckType {
    match version {
        Some(version) if version < Version(2, 3, 1) => AckType::Code,
        Some(version) if version >= Version(2, 4, 0) => AckType::Structure,
        _ => AckType::Event,
    }
}

/// MSH-9. Without an event to repeat it is `ACK` alone.
fn reply_type(request: Option<Header<'_>>, wanted: AckType) -> Vec<u8> {
    let mut reply = b"ACK".to_vec();
    let Some(header) = request else { return reply };
    let event = header.trigger_event();
    let Some(component) = header.record().delimiters().component else { return reply };
    if event.is_empty() || wanted == AckType::Code {
        return reply;
    }
    reply.push(component);
    reply.extend_from_slice(event);
    if wanted == AckType::Structure {
        reply.push(component);
        reply.extend_from_slice(b"ACK");
    }
    reply
}

/// From 2.5 on ERR is a segment with places for location, code, severity and words.
fn is_redesigned(version: Option<Version>) -> bool {
    version.is_some_and(|version| version >= Version(2, 5, 0))
}

/// ERR: one composite field until 2.4, a segment of its own shape from 2.5 on.
fn error_segment(
    error: &AckError<'_>,
    said: Option<&[u8]>,
    version: Option<Version>,
    delimiters: &Delimiters,
) -> Vec<u8> {
    let mut segment = RecordBuilder::new(Syntax::Hl7, ERR, *delimiters);
    let code = error.code.to_string();
    let name = error_name(error.code);
    let is_redesigned = is_redesigned(version);
    let location_field = if is_redesigned { 2 } else { 1 };
    if let Some(location) = &error.location {
        segment.component(location_field, 1, location.segment.as_bytes());
        segment.component(location_field, 2, location.sequence.to_string().as_bytes());
        if let Some(number) = location.field {
            segment.component(location_field, 3, number.to_string().as_bytes());
        }
    }
    if is_redesigned {
        segment.component(3, 1, code.as_bytes()).component(3, 2, name).component(3, 3, b"HL70357");
        segment.text(4, error.severity.code());
        if let Some(said) = said {
            segment.text(8, said);
        }
    } else {
        let part = |subcomponent, text: &[u8], segment: &mut RecordBuilder| {
            segment.set(
                &crate::Path {
                    component: Some(4),
                    subcomponent: Some(subcomponent),
                    ..crate::Path::field(ERR, 1)
                },
                text,
            );
        };
        part(1, code.as_bytes(), &mut segment);
        if delimiters.subcomponent.is_some() {
            part(2, name, &mut segment);
            part(3, b"HL70357", &mut segment);
        }
    }
    segment.finish()
}

/// Table 0357.
const fn error_name(code: u16) -> &'static [u8] {
    match code {
        0 => b"Message accepted",
        100 => b"Segment sequence error",
        101 => b"Required field missing",
        102 => b"Data type error",
        103 => b"Table value not found",
        104 => b"Value too long",
        198 => b"Non-conformant cardinality",
        200 => b"Unsupported message type",
        201 => b"Unsupported event code",
        202 => b"Unsupported processing id",
        203 => b"Unsupported version id",
        204 => b"Unknown key identifier",
        205 => b"Duplicate key identifier",
        206 => b"Application record locked",
        207 => b"Application internal error",
        _ => b"Other HL7 error",
    }
}
