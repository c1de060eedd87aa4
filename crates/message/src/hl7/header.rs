//! The message header MSH, field by field, as raw bytes.

use crate::charset::Charset;
use crate::view::Record;

/// The fields of an MSH segment, raw: nothing is cut, unescaped or trimmed. Absent is empty.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    record: Record<'a>,
}

/// A version of the standard as MSH-12 names it, `2.5.1` as (2, 5, 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u8, pub u8, pub u8);

impl<'a> Header<'a> {
    /// The fields of a segment; `None` when it is not MSH.
    #[must_use]
    pub fn new(record: Record<'a>) -> Option<Self> {
        (record.name() == "MSH").then_some(Self { record })
    }

    /// The segment itself.
    #[must_use]
    pub const fn record(&self) -> Record<'a> {
        self.record
    }

    /// Any of its fields, MSH-1 being the field separator.
    #[must_use]
    pub fn field(&self, number: u16) -> &'a [u8] {
        self.record.field(number).map_or(b"", |field| field.bytes())
    }

    /// MSH-3.
    #[must_use]
    pub fn sending_application(&self) -> &'a [u8] {
        self.field(3)
    }

    /// MSH-4.
    #[must_use]
    pub fn sending_facility(&self) -> &'a [u8] {
        self.field(4)
    }

    /// MSH-5.
    #[must_use]
    pub fn receiving_application(&self) -> &'a [u8] {
        self.field(5)
    }

    /// MSH-6.
    #[must_use]
    pub fn receiving_facility(&self) -> &'a [u8] {
        self.field(6)
    }

    /// MSH-7.
    #[must_use]
    pub fn time(&self) -> &'a [u8] {
        self.field(7)
    }

    /// MSH-9, whole.
    #[must_use]
    pub fn message_type(&self) -> &'a [u8] {
        self.field(9)
    }

    /// MSH-9.1, `ORU`.
    #[must_use]
    pub fn message_code(&self) -> &'a [u8] {
        self.component(9, 1)
    }

    /// MSH-9.2, `R01`.
    #[must_use]
    pub fn trigger_event(&self) -> &'a [u8] {
        self.component(9, 2)
    }

    /// MSH-9.3, `ORU_R01`.
    #[must_use]
    pub fn structure(&self) -> &'a [u8] {
        self.component(9, 3)
    }

    /// MSH-10.
    #[must_use]
    pub fn control_id(&self) -> &'a [u8] {
        self.field(10)
    }

    /// MSH-11.
    #[must_use]
    pub fn processing_id(&self) -> &'a [u8] {
        self.field(11)
    }

    /// MSH-12, whole.
    #[must_use]
    pub fn version_id(&self) -> &'a [u8] {
        self.field(12)
    }

    /// The number in MSH-12.1; `None` when it is absent or no version.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        let text = core::str::from_utf8(self.component(12, 1)).ok()?;
        let mut parts = text.trim().split('.').map(|part| part.parse::<u8>().ok());
        let (major, minor) = (parts.next()??, parts.next().flatten().unwrap_or(0));
        Some(Version(major, minor, parts.next().flatten().unwrap_or(0)))
    }

    /// MSH-13.
    #[must_use]
    pub fn sequence_number(&self) -> &'a [u8] {
        self.field(13)
    }

    /// MSH-15.
    #[must_use]
    pub fn accept_acknowledgment(&self) -> &'a [u8] {
        self.field(15)
    }

    /// MSH-16.
    #[must_use]
    pub fn application_acknowledgment(&self) -> &'a [u8] {
        self.field(16)
    }

    /// MSH-18, whole.
    #[must_use]
    pub fn character_set(&self) -> &'a [u8] {
        self.field(18)
    }

    /// The set that the first repeat of MSH-18 names; `None` leaves the decision to the profile. Where
    /// that is ASCII, said or unsaid, a set that ISO 2022 sequences switch to takes its place: it has
    /// ASCII in it.
    #[must_use]
    pub fn charset(&self) -> Option<Charset> {
        let mut names = self.record.repeats(18);
        let first = names.next()?;
        let default = Charset::from_hl7_name(first.bytes());
        let switched = names.any(|name| Charset::from_hl7_name(name.bytes()) == Some(Charset::Iso2022Jp));
        let is_ascii = first.bytes().is_empty() || default == Some(Charset::Ascii);
        if is_ascii && switched { Some(Charset::Iso2022Jp) } else { default }
    }

    /// Whether the message is itself an acknowledgement, which is never acknowledged.
    #[must_use]
    pub fn is_acknowledgement(&self) -> bool {
        self.message_code() == b"ACK"
    }

    fn component(&self, field: u16, component: u16) -> &'a [u8] {
        let field = self.record.field(field);
        field.and_then(|field| field.component(component)).map_or(b"", |component| component.bytes())
    }
}
