//! The compiled profile: everything that decoding one message needs, looked up once.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use labwire_message::{Charset, Name, Path, Syntax};
use labwire_model::ObservationStatus;
use regex::Regex;

use crate::acknowledge::Acknowledge;
use crate::filter::{Condition, Filter, Rule};
use crate::link::LinkSettings;
use crate::place::Selector;
use crate::text::TextRule;
use crate::ucum::amount::Fraction;
use crate::ucum::convert::Substance;

/// How messages are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// ASTM E1394 / CLSI LIS02-A2 records.
    Lis02,
    /// HL7 v2 segments.
    Hl7,
    /// HL7 v2 in the shape of IHE Laboratory Analytical Workflow.
    Law,
    /// Text of the vendor's own, read by regular expressions or tags.
    Text,
}

impl Protocol {
    /// The word in a profile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lis02 => "lis02",
            Self::Hl7 => "hl7",
            Self::Law => "law",
            Self::Text => "text",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Lis02, Self::Hl7, Self::Law, Self::Text].into_iter().find(|known| known.as_str() == word)
    }

    /// The syntax to scan messages in; `None` for a vendor's own text.
    #[must_use]
    pub const fn syntax(self) -> Option<Syntax> {
        match self {
            Self::Lis02 => Some(Syntax::Lis02),
            Self::Hl7 | Self::Law => Some(Syntax::Hl7),
            Self::Text => None,
        }
    }
}

/// A `[[check]]`: a capture that proves the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The capture's path, relative to `fixtures/` or to the profile's directory. The expected lines
    /// of `decode --json` stand beside it: `case.cap`, `case.expected.json`.
    pub capture: String,
}

/// A row of `[tests]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// Name for people.
    pub name: String,
    /// LOINC code.
    pub loinc: Option<String>,
    /// Unit in UCUM.
    pub unit: Option<String>,
    /// Further units accepted as sent.
    pub units: Vec<String>,
    /// UCUM of the codes that the analyzer sends in the unit's place.
    pub unit_codes: BTreeMap<String, String>,
    /// How many digits of a value without decimal sign are decimals.
    pub decimals: Option<usize>,
    /// The LIS's code.
    pub lis: Option<String>,
    /// In which unit its numbers are delivered besides.
    pub conversion: Option<Conversion>,
    /// What its values are.
    pub kind: Option<TestKind>,
}

/// What the values of a test are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestKind {
    /// A number, with or without a comparator.
    Number,
    /// Free text.
    Text,
    /// One of a few words.
    Coded,
    /// A dilution such as `1:128`.
    Titer,
}

/// A conversion that the profile or the site declares for a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The unit to convert to, in UCUM.
    pub to: String,
    pub(crate) substance: Substance,
    pub(crate) decimals: Option<u32>,
    /// Factors of the units that the profile knows for the test, so that decoding does not reckon them.
    pub(crate) known: Vec<(String, Fraction)>,
}

/// What decoding needs to know beyond profile and message.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The zone of the analyzer's clock: the connection's, else the site's.
    pub zone: &'a TimeZone,
}

/// A driver profile, compiled. Immutable; one is shared by all connections that name it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `vendor/model`, the profile's path below its directory without `.toml`.
    pub id: String,
    /// The profile's `version`, where it gives one, and a hash of the effective profile: `2+1f00ab54`.
    pub version: String,
    /// Vendor, as it names itself.
    pub vendor: String,
    /// Model, as the vendor names it.
    pub model: String,
    /// Every model that speaks this interface, `model` alone where the profile lists none.
    pub models: Vec<String>,
    /// Kind of analyzer, one of the words of the key table.
    pub kind: String,
    /// How messages are built.
    pub protocol: Protocol,
    /// On what the profile rests: `unverified`, `documented`, `captured` or `field`.
    pub evidence: String,
    /// Texts and captures that the profile was written from.
    pub sources: Vec<String>,
    /// What an engineer should know before connecting the analyzer.
    pub notes: Option<String>,
    /// The lower layer.
    pub link: LinkSettings,
    /// What the analyzer hears for its HL7 messages.
    pub acknowledge: Acknowledge,
    /// The captures that prove the profile.
    pub checks: Vec<Check>,
    /// Whether the profile is a generic one, under which every observation is held.
    pub no_profile: bool,
    /// The analyzer's test codes.
    pub tests: BTreeMap<String, Test>,
    /// Other codes of the analyzer for tests of [`Plan::tests`].
    pub(crate) also: BTreeMap<String, String>,
    pub(crate) rules: Rules,
}

impl Plan {
    /// The test of a code as the analyzer sends it.
    #[must_use]
    pub fn test(&self, code: &str) -> Option<&Test> {
        self.tests.get(code).or_else(|| self.tests.get(self.also.get(code)?))
    }

    /// Whether the profile says how quality control is told from patients.
    #[must_use]
    pub const fn reads_qc(&self) -> bool {
        self.rules.qc.is_some()
    }

    /// Whether the profile knows a host query of the analyzer.
    #[must_use]
    pub const fn reads_queries(&self) -> bool {
        self.rules.query.is_some()
    }

    /// Whether a message can be told from one of another analyzer.
    #[must_use]
    pub fn identifies_sender(&self) -> bool {
        !self.rules.identify.is_empty()
    }
}

/// The rules of a profile, places read and regular expressions compiled.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) identify: Vec<(Option<Path>, Regex)>,
    pub(crate) charset: Option<Charset>,
    pub(crate) decimal_comma: bool,
    pub(crate) volatile: Vec<Path>,
    pub(crate) accept_processing: Vec<String>,
    pub(crate) kind: Option<KindRule>,
    pub(crate) places: Places,
    pub(crate) at_formats: Vec<TimeFormat>,
    pub(crate) at_zone: Option<TimeZone>,
    pub(crate) flags_separators: Vec<String>,
    pub(crate) unit_of_test: bool,
    pub(crate) unit_default: Option<String>,
    pub(crate) status_default: Option<ObservationStatus>,
    pub(crate) sentinels: Vec<String>,
    pub(crate) no_value: Vec<Regex>,
    /// LIS02: records beside `R` that are observations.
    pub(crate) other_records: Vec<Name>,
    pub(crate) open_tests: bool,
    pub(crate) hold_unknown_flag: bool,
    pub(crate) hold_unknown_status: bool,
    pub(crate) ignore: Vec<Rule>,
    pub(crate) only: Option<Rule>,
    pub(crate) hold: Vec<Rule>,
    pub(crate) attachments: Vec<AttachmentRule>,
    pub(crate) ignored_comments: Vec<Rule>,
    pub(crate) specimen_comments: Option<Filter>,
    pub(crate) qc: Option<Filter>,
    pub(crate) calibration: Option<Filter>,
    pub(crate) flags: BTreeMap<String, String>,
    pub(crate) status: BTreeMap<String, ObservationStatus>,
    pub(crate) units: BTreeMap<String, String>,
    pub(crate) query: Option<QueryRule>,
    pub(crate) text: Option<TextRule>,
}

/// Where the parts of an observation stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) specimen: Option<Selector>,
    pub(crate) patient: Option<Selector>,
    pub(crate) test: Option<Selector>,
    pub(crate) value: Option<Selector>,
    pub(crate) number: Option<Selector>,
    pub(crate) sub_id: Option<Selector>,
    pub(crate) isolate: Option<Selector>,
    pub(crate) organism: Option<Selector>,
    pub(crate) organism_name: Option<Selector>,
    pub(crate) unit: Option<Selector>,
    pub(crate) flags: Option<Selector>,
    pub(crate) status: Option<Selector>,
    pub(crate) range: Option<Selector>,
    pub(crate) at: Option<Selector>,
    pub(crate) operator: Option<Selector>,
    pub(crate) instrument: Option<Selector>,
    pub(crate) reagent: Option<Selector>,
    pub(crate) comments: Option<Selector>,
}

/// `[message] kind`.
#[derive(Clone, Debug)]
pub(crate) struct KindRule {
    pub(crate) at: Selector,
    pub(crate) values: BTreeMap<String, MessageUse>,
}

/// What a message is for, as a field of it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageUse {
    Results,
    Qc,
    Calibration,
    Query,
    Order,
    Ignore,
}

/// `[query]`.
#[derive(Clone, Debug)]
pub(crate) struct QueryRule {
    pub(crate) id: Selector,
    pub(crate) cancel: Option<Condition>,
}

/// `[[attachment]]`.
#[derive(Clone, Debug)]
pub(crate) struct AttachmentRule {
    /// The record that the data stand in: the rule is about no other.
    pub(crate) record: Option<Name>,
    pub(crate) rule: Rule,
    pub(crate) name: Option<Selector>,
    pub(crate) media: Option<Selector>,
    pub(crate) encoding: Option<Selector>,
    pub(crate) data: Selector,
}

/// One of `[result] at_format`.
#[derive(Clone, Debug)]
pub(crate) enum TimeFormat {
    /// As strftime writes it; whether it has seconds and an offset of its own.
    Strftime { format: String, seconds: bool, offset: bool },
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMilliseconds,
}
