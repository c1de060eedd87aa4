//! The one JSON form of an observation, wherever it is printed, exported or stored as text.

use serde::Serialize;

use crate::{Comparator, Disposition, Flag, Kind, ObservationStatus, Outcome};

/// Where a message came from.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Provenance<'a> {
    /// The laboratory.
    pub tenant: Option<&'a str>,
    /// The configured connection.
    pub connection: Option<&'a str>,
    /// Id of the driver profile.
    pub driver: Option<&'a str>,
    /// Version of the driver profile.
    pub driver_version: Option<&'a str>,
    /// The stored message.
    pub message_id: Option<&'a str>,
}

/// One observation as a JSON object. Keys are stable; absent is `null`, never `""`. `reason` and
/// `reason_code` are there for what is held or ignored only.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeLine<'a> {
    r#type: &'static str,
    tenant: Option<&'a str>,
    connection: Option<&'a str>,
    driver: Option<&'a str>,
    driver_version: Option<&'a str>,
    message_id: Option<&'a str>,
    record: usize,
    kind: Kind,
    specimen_id: Option<&'a str>,
    patient_id: Option<&'a str>,
    analyzer_test: Option<&'a str>,
    sub_id: Option<&'a str>,
    isolate: Option<&'a str>,
    organism: Option<&'a str>,
    organism_name: Option<&'a str>,
    lis_test: Option<&'a str>,
    test_name: Option<&'a str>,
    loinc: Option<&'a str>,
    value: Option<&'a str>,
    text: Option<&'a str>,
    comparator: Option<Comparator>,
    number: Option<&'a str>,
    unit: Option<&'a str>,
    ucum: Option<&'a str>,
    converted_number: Option<&'a str>,
    converted_ucum: Option<&'a str>,
    flags: &'a [Flag],
    status: Option<ObservationStatus>,
    status_sent: Option<&'a str>,
    reference_range: Option<&'a str>,
    observed_at: Option<&'a str>,
    observed_at_verbatim: Option<&'a str>,
    operator: Option<&'a str>,
    instrument: Option<&'a str>,
    reagent: Option<&'a str>,
    comments: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> OutcomeLine<'a> {
    /// The line of an outcome.
    #[must_use]
    pub fn new(provenance: Provenance<'a>, outcome: &'a Outcome) -> Self {
        let observation = &outcome.observation;
        let (r#type, reason_code, reason) = match &outcome.disposition {
            Disposition::Deliver => ("result", None, None),
            Disposition::Hold { code, reason } => ("held", Some(code.as_str()), Some(reason.as_str())),
            Disposition::Ignore { rule } => ("ignored", None, Some(rule.as_str())),
        };
        Self {
            r#type,
            tenant: provenance.tenant,
            connection: provenance.connection,
            driver: provenance.driver,
            driver_version: provenance.driver_version,
            message_id: provenance.message_id,
            record: observation.record,
            kind: observation.kind,
            specimen_id: observation.specimen_id.as_deref(),
            patient_id: observation.patient_id.as_deref(),
            analyzer_test: observation.analyzer_test.as_deref(),
            sub_id: observation.sub_id.as_deref(),
            isolate: observation.isolate.as_deref(),
            organism: observation.organism.as_deref(),
            organism_name: observation.organism_name.as_deref(),
            lis_test: observation.lis_test.as_deref(),
            test_name: observation.test_name.as_deref(),
            loinc: observation.loinc.as_deref(),
            value: observation.value.as_deref(),
            text: observation.text.as_deref(),
            comparator: observation.comparator,
            number: observation.number.as_deref(),
            unit: observation.unit.as_deref(),
            ucum: observation.ucum.as_deref(),
            converted_number: observation.converted_number.as_deref(),
            converted_ucum: observation.converted_ucum.as_deref(),
            flags: &observation.flags,
            status: observation.status,
            status_sent: observation.status_sent.as_deref(),
            reference_range: observation.reference_range.as_deref(),
            observed_at: observation.observed_at.as_deref(),
            observed_at_verbatim: observation.observed_at_verbatim.as_deref(),
            operator: observation.operator.as_deref(),
            instrument: observation.instrument.as_deref(),
            reagent: observation.reagent.as_deref(),
            comments: &observation.comments,
            reason_code,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Observation;

    #[test]
    fn absent_is_null_and_only_what_is_not_delivered_has_a_reason() {
        let mut outcome = Outcome {
            observation: Observation { record: 4, value: Some("6.9".to_owned()), ..Observation::default() },
            disposition: Disposition::Deliver,
        };
        let line = serde_json::to_value(OutcomeLine::new(Provenance::default(), &outcome)).unwrap();
        assert_eq!(line["type"], "result");
        assert_eq!(line["value"], "6.9");
        assert!(line["unit"].is_null() && line.as_object().unwrap().contains_key("unit"));
        assert!(!line.as_object().unwrap().contains_key("reason"));
        outcome.disposition = Disposition::Ignore { rule: "image reference".to_owned() };
        let line = serde_json::to_value(OutcomeLine::new(Provenance::default(), &outcome)).unwrap();
        assert_eq!(
            (line["type"].as_str(), line["reason"].as_str()),
            (Some("ignored"), Some("image reference"))
        );
    }
}
