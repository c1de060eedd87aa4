//! The standards' letters for flags and result status, and the words that they mean here.

use labwire_model::ObservationStatus;

use crate::plan::Protocol;

/// The words a flag may mean.
pub(crate) const FLAG_MEANINGS: &[&str] = &[
    "low",
    "high",
    "critical_low",
    "critical_high",
    "below_absolute_low",
    "above_absolute_high",
    "normal",
    "abnormal",
    "critical_abnormal",
    "significant_change_up",
    "significant_change_down",
    "better",
    "worse",
    "positive",
    "negative",
    "indeterminate",
    "reactive",
    "nonreactive",
    "detected",
    "not_detected",
    "susceptible",
    "susceptible_dose_dependent",
    "intermediate",
    "resistant",
    "nonsusceptible",
    "unreliable",
    "review",
    "quality_control_failed",
];

/// LIS02 §9.7.
const LIS02_FLAGS: &[(&str, &str)] = &[
    ("<", "below_absolute_low"),
    (">", "above_absolute_high"),
    ("A", "abnormal"),
    ("B", "better"),
    ("D", "significant_change_down"),
    ("H", "high"),
    ("HH", "critical_high"),
    ("L", "low"),
    ("LL", "critical_low"),
    ("N", "normal"),
    ("U", "significant_change_up"),
    ("W", "worse"),
];

/// HL7 table 0078; `I`, `R`, `S` are susceptibilities there, not reactivity.
const HL7_FLAGS: &[(&str, &str)] = &[
    ("<", "below_absolute_low"),
    (">", "above_absolute_high"),
    ("A", "abnormal"),
    ("AA", "critical_abnormal"),
    ("B", "better"),
    ("D", "significant_change_down"),
    ("DET", "detected"),
    ("H", "high"),
    ("HH", "critical_high"),
    ("HU", "critical_high"),
    ("I", "intermediate"),
    ("IND", "indeterminate"),
    ("L", "low"),
    ("LL", "critical_low"),
    ("LU", "critical_low"),
    ("N", "normal"),
    ("ND", "not_detected"),
    ("NEG", "negative"),
    ("NR", "nonreactive"),
    ("NS", "nonsusceptible"),
    ("POS", "positive"),
    ("QCF", "quality_control_failed"),
    ("R", "resistant"),
    ("RR", "reactive"),
    ("S", "susceptible"),
    ("SDD", "susceptible_dose_dependent"),
    ("U", "significant_change_up"),
    ("W", "worse"),
];

/// What a letter means by the protocol's own standard. A vendor's text format has none.
pub(crate) fn standard_flag(protocol: Protocol, sent: &str) -> Option<&'static str> {
    let table = match protocol {
        Protocol::Lis02 => LIS02_FLAGS,
        Protocol::Hl7 | Protocol::Law => HL7_FLAGS,
        Protocol::Text => return None,
    };
    table.binary_search_by_key(&sent, |(letter, _)| letter).ok().map(|at| table[at].1)
}

/// What a status letter asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// File it with this status.
    Is(ObservationStatus),
    /// It says something about the message, nothing about the result.
    OfTheMessage,
    /// The analyzer takes a result back: no row of ours says that, a person must act.
    Retraction,
}

/// LIS02 §9.9. `M` is an MIC level, `N` belongs to an order, `Q` answers a query.
const LIS02_STATUS: &[(&str, Status)] = &[
    ("C", Status::Is(ObservationStatus::Corrected)),
    ("F", Status::Is(ObservationStatus::Final)),
    ("I", Status::Is(ObservationStatus::Pending)),
    ("M", Status::OfTheMessage),
    ("N", Status::OfTheMessage),
    ("P", Status::Is(ObservationStatus::Preliminary)),
    ("Q", Status::OfTheMessage),
    ("R", Status::Is(ObservationStatus::Repeat)),
    ("S", Status::Is(ObservationStatus::Partial)),
    ("V", Status::Is(ObservationStatus::Verified)),
    ("W", Status::Is(ObservationStatus::Questionable)),
    ("X", Status::Is(ObservationStatus::CannotBeDone)),
];

/// HL7 table 0085. `R` is "entered, not verified". `D` deletes and `W` was wrong (another patient):
/// both take a result back.
const HL7_STATUS: &[(&str, Status)] = &[
    ("A", Status::Is(ObservationStatus::Corrected)),
    ("B", Status::Is(ObservationStatus::Corrected)),
    ("C", Status::Is(ObservationStatus::Corrected)),
    ("D", Status::Retraction),
    ("F", Status::Is(ObservationStatus::Final)),
    ("I", Status::Is(ObservationStatus::Pending)),
    ("P", Status::Is(ObservationStatus::Preliminary)),
    ("R", Status::Is(ObservationStatus::Preliminary)),
    ("S", Status::Is(ObservationStatus::Partial)),
    ("U", Status::Is(ObservationStatus::Final)),
    ("V", Status::Is(ObservationStatus::Verified)),
    ("W", Status::Retraction),
    ("X", Status::Is(ObservationStatus::CannotBeDone)),
];

/// What a status letter means by the protocol's own standard.
pub(crate) fn standard_status(protocol: Protocol, sent: &str) -> Option<Status> {
    let table = match protocol {
        Protocol::Lis02 => LIS02_STATUS,
        Protocol::Hl7 | Protocol::Law => HL7_STATUS,
        Protocol::Text => return None,
    };
    table.binary_search_by_key(&sent, |(letter, _)| letter).ok().map(|at| table[at].1)
}

/// The words for a status in a profile.
pub(crate) const STATUS_WORDS: &[&str] = &[
    "final",
    "preliminary",
    "corrected",
    "repeat",
    "verified",
    "partial",
    "pending",
    "cannot_be_done",
    "questionable",
];

/// The status that a profile's word names.
pub(crate) fn status_word(word: &str) -> Option<ObservationStatus> {
    Some(match word {
        "final" => ObservationStatus::Final,
        "preliminary" => ObservationStatus::Preliminary,
        "corrected" => ObservationStatus::Corrected,
        "repeat" => ObservationStatus::Repeat,
        "verified" => ObservationStatus::Verified,
        "partial" => ObservationStatus::Partial,
        "pending" => ObservationStatus::Pending,
        "cannot_be_done" => ObservationStatus::CannotBeDone,
        "questionable" => ObservationStatus::Questionable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_for_binary_search_and_speak_the_profile_s_words() {
        for table in [LIS02_FLAGS, HL7_FLAGS] {
            assert!(table.is_sorted_by_key(|(letter, _)| *letter));
            assert!(table.iter().all(|(_, meaning)| FLAG_MEANINGS.contains(meaning)));
        }
        for table in [LIS02_STATUS, HL7_STATUS] {
            assert!(table.is_sorted_by_key(|(letter, _)| *letter));
        }
        assert!(STATUS_WORDS.iter().all(|word| status_word(word).is_some()));
    }

    #[test]
    fn one_letter_means_different_things_in_the_two_standards() {
        assert_eq!(standard_status(Protocol::Lis02, "R"), Some(Status::Is(ObservationStatus::Repeat)));
        assert_eq!(standard_status(Protocol::Hl7, "R"), Some(Status::Is(ObservationStatus::Preliminary)));
        assert_eq!(standard_status(Protocol::Lis02, "W"), Some(Status::Is(ObservationStatus::Questionable)));
        assert_eq!(standard_status(Protocol::Hl7, "W"), Some(Status::Retraction));
        assert_eq!(standard_flag(Protocol::Lis02, "POS"), None);
        assert_eq!(standard_flag(Protocol::Hl7, "POS"), Some("positive"));
        assert_eq!(standard_flag(Protocol::Text, "H"), None);
    }
}
