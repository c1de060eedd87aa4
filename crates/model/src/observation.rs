//! One observation as sent, in canonical form.

use serde::{Deserialize, Serialize};

use crate::Comparator;

/// Which stream an observation belongs to. Quality control never mixes with patients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A patient's specimen.
    #[default]
    Patient,
    /// Quality control material.
    Qc,
    /// Calibration.
    Calibration,
}

impl Kind {
    /// The word used in databases, JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Qc => "qc",
            Self::Calibration => "calibration",
        }
    }
}

/// Result status, normalised from R.9 (LIS02 §9.9) or OBX-11 (HL7 table 0085).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationStatus {
    /// Final.
    Final,
    /// Preliminary.
    Preliminary,
    /// A correction of a result sent before.
    Corrected,
    /// A repeat or rerun.
    Repeat,
    /// Verified by an operator.
    Verified,
    /// Partial.
    Partial,
    /// Pending in the analyzer.
    Pending,
    /// Cannot be done.
    CannotBeDone,
    /// Validity is questionable.
    Questionable,
    /// The letter has no meaning that the profile or the standard gives; it is kept as sent.
    Unknown,
}

/// One abnormal flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// The letters as sent.
    pub sent: String,
    /// The normalised meaning (`low`, `high`, `critical_low`, …); `None` when unknown.
    pub meaning: Option<String>,
}

/// One R record or OBX segment as the analyzer sent it, with every parsed view beside the text.
/// Absent is `None`, never an empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Ordinal of the record or segment in the message, 1-based: the observation's key within it.
    pub record: usize,
    /// Patient, quality control or calibration.
    pub kind: Kind,
    /// Specimen id (accession) as the profile reads it.
    pub specimen_id: Option<String>,
    /// Patient id as the profile reads it.
    pub patient_id: Option<String>,
    /// The analyzer's own code for the test.
    pub analyzer_test: Option<String>,
    /// What tells observations of one test apart, as sent: OBX-4, a replicate.
    #[serde(default)]
    pub sub_id: Option<String>,
    /// Microbiology: the isolate's number in its specimen.
    #[serde(default)]
    pub isolate: Option<String>,
    /// Microbiology: code of the isolate's organism.
    #[serde(default)]
    pub organism: Option<String>,
    /// Microbiology: name of the isolate's organism.
    #[serde(default)]
    pub organism_name: Option<String>,
    /// The LIS's code, from the profile's table.
    pub lis_test: Option<String>,
    /// The test's name, from the profile's table.
    pub test_name: Option<String>,
    /// LOINC code, from the profile's table.
    pub loinc: Option<String>,
    /// The whole field that the profile's value path lies in, as sent: repeats, components, escape
    /// sequences and padding kept, only the character set decoded.
    pub value: Option<String>,
    /// The part of the field that the value path names, unescaped and trimmed.
    pub text: Option<String>,
    /// `<`, `>`, `<=`, `>=` or `~`, where the text begins with one.
    pub comparator: Option<Comparator>,
    /// The number as decimal text, digits kept as sent with a point as decimal sign.
    pub number: Option<String>,
    /// Unit as sent.
    pub unit: Option<String>,
    /// Unit in UCUM, from the profile's table or the common spellings.
    pub ucum: Option<String>,
    /// The number in the unit that the laboratory declared for this test, as decimal text; `None`
    /// where it declared none.
    #[serde(default)]
    pub converted_number: Option<String>,
    /// That unit, in UCUM.
    #[serde(default)]
    pub converted_ucum: Option<String>,
    /// Abnormal flags as sent and normalised, in order.
    pub flags: Vec<Flag>,
    /// Status letter as sent.
    pub status_sent: Option<String>,
    /// Status normalised.
    pub status: Option<ObservationStatus>,
    /// Reference range as sent.
    pub reference_range: Option<String>,
    /// Time of the observation, RFC 3339 with offset, no more precise than what was sent.
    pub observed_at: Option<String>,
    /// The same as sent.
    pub observed_at_verbatim: Option<String>,
    /// Operator as sent.
    pub operator: Option<String>,
    /// Instrument or module as sent.
    pub instrument: Option<String>,
    /// Reagent lot as sent.
    pub reagent: Option<String>,
    /// Comments that belong to the observation or its specimen, in order.
    pub comments: Vec<String>,
}

/// What becomes of an observation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It goes to the LIS.
    Deliver,
    /// A person must look: unknown test, unit, comparator, no profile, incomplete message, …
    Hold {
        /// Stable code: `no-profile`, `unknown-test`, `unknown-unit`, `unknown-comparator`,
        /// `no-specimen`, `incomplete`, `wrong-analyzer`, `processing-id`, `profile-hold`.
        code: String,
        /// One sentence, no patient data.
        reason: String,
    },
    /// A named rule of the profile says that this row is not a result.
    Ignore {
        /// The rule's reason.
        rule: String,
    },
}

/// An observation and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The observation, as far as it could be read.
    pub observation: Observation,
    /// What becomes of it.
    pub disposition: Disposition,
}
