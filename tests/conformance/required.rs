//! Which cases there have to be: none can be forgotten, and none be put off that is due.

use std::collections::BTreeSet;

/// A group of cases: how their ids begin, and how many there are, numbered from 1.
struct Group(&'static str, u16);

/// LIS01 and LIS02.
const LIS: &[Group] = &[
    Group("EST", 12),
    Group("CON", 5),
    Group("FRM", 9),
    Group("CHK", 10),
    Group("FN", 10),
    Group("RTX", 7),
    Group("TMO", 7),
    Group("INT", 6),
    Group("END", 2),
    Group("TCP", 2),
    Group("REC", 12),
    Group("ESC", 6),
    Group("CHR", 3),
    Group("HIE", 15),
    Group("STO", 8),
    Group("QRY", 13),
    Group("VAL", 8),
    Group("NET", 7),
];

/// HL7 v2, MLLP, IHE LAW, POCT1-A and TLS.
const HL7: &[Group] = &[
    Group("FR", 31),
    Group("EN", 44),
    Group("AK", 37),
    Group("LB", 40),
    Group("LW", 27),
    Group("PC", 6),
    Group("TL", 5),
];

/// Cases of orders, answers to host queries and POCT1-A, first and last: not built yet.
const LATER: &[(&str, u16, u16)] = &[
    ("QRY", 1, 12),
    ("HIE", 15, 15),
    ("LB", 33, 38),
    ("LW", 1, 13),
    ("LW", 17, 23),
    ("LW", 25, 27),
    ("PC", 1, 6),
];

/// Groups of framing, checksum, frame number, acknowledgement and durability, where nothing is ours
/// to decide.
const UNDECIDABLE: &[&str] =
    &["EST", "CON", "FRM", "CHK", "FN", "RTX", "TMO", "INT", "END", "TCP", "STO", "NET", "FR", "AK", "TL"];

/// How many cases may be decisions of ours.
pub(crate) const DECISIONS_MAX: usize = 10;

fn ids(groups: &[Group]) -> impl Iterator<Item = String> {
    groups.iter().flat_map(|Group(prefix, last)| (1..=*last).map(move |number| id(prefix, number)))
}

fn id(prefix: &str, number: u16) -> String {
    format!("{prefix}-{number:02}")
}

/// The ids of both lists.
pub(crate) fn all() -> BTreeSet<String> {
    ids(LIS).chain(ids(HL7)).collect()
}

/// Those that may be put off.
pub(crate) fn later() -> BTreeSet<String> {
    LATER
        .iter()
        .flat_map(|(prefix, first, last)| (*first..=*last).map(move |number| id(prefix, number)))
        .collect()
}

/// Whether we may do otherwise in a case, for a reason.
pub(crate) fn is_ours_to_decide(id: &str) -> bool {
    let group = id.split('-').next().unwrap_or(id);
    !UNDECIDABLE.contains(&group)
}

#[test]
fn the_lists_have_142_and_190_cases() {
    assert_eq!((ids(LIS).count(), ids(HL7).count()), (142, 190));
    assert_eq!(all().len(), 332, "no id twice");
    assert!(later().is_subset(&all()));
}
