//! Common spellings of units and what they are in UCUM. Only spellings that can mean one thing:
//! `G/L` (10⁹/L in French laboratories, g/L in capitals elsewhere) belongs into a profile.

use std::borrow::Cow;

/// Spelling, UCUM; sorted by spelling. A micro sign in either code point is written `u` here.
pub(crate) const SPELLINGS: &[(&str, &str)] = &[
    ("%", "%"),
    ("/100WBC", "/100{WBCs}"),
    ("/100{WBCs}", "/100{WBCs}"),
    ("/HPF", "/[HPF]"),
    ("/LPF", "/[LPF]"),
    ("/[HPF]", "/[HPF]"),
    ("/[LPF]", "/[LPF]"),
    ("/hpf", "/[HPF]"),
    ("/lpf", "/[LPF]"),
    ("/uL", "/uL"),
    ("/ul", "/uL"),
    ("10*12/L", "10*12/L"),
    ("10*12/l", "10*12/L"),
    ("10*3/uL", "10*3/uL"),
    ("10*3/ul", "10*3/uL"),
    ("10*6/uL", "10*6/uL"),
    ("10*6/ul", "10*6/uL"),
    ("10*9/L", "10*9/L"),
    ("10*9/l", "10*9/L"),
    ("10E12/L", "10*12/L"),
    ("10E3/uL", "10*3/uL"),
    ("10E6/uL", "10*6/uL"),
    ("10E9/L", "10*9/L"),
    ("10^12/L", "10*12/L"),
    ("10^12/l", "10*12/L"),
    ("10^3/uL", "10*3/uL"),
    ("10^3/ul", "10*3/uL"),
    ("10^6/uL", "10*6/uL"),
    ("10^6/ul", "10*6/uL"),
    ("10^9/L", "10*9/L"),
    ("10^9/l", "10*9/L"),
    ("10e12/L", "10*12/L"),
    ("10e3/uL", "10*3/uL"),
    ("10e6/uL", "10*6/uL"),
    ("10e9/L", "10*9/L"),
    ("COI", "{COI}"),
    ("Copies / mL", "{copies}/mL"),
    ("G/DL", "g/dL"),
    ("INR", "{INR}"),
    ("IU/L", "[IU]/L"),
    ("IU/l", "[IU]/L"),
    ("IU/mL", "[IU]/mL"),
    ("IU/ml", "[IU]/mL"),
    ("Index", "{index_val}"),
    ("K/uL", "10*3/uL"),
    ("L/L", "L/L"),
    ("M/uL", "10*6/uL"),
    ("MG/DL", "mg/dL"),
    ("MMOL/L", "mmol/L"),
    ("Ratio", "{ratio}"),
    ("S/CO", "{S_CO_ratio}"),
    ("U/L", "U/L"),
    ("U/l", "U/L"),
    ("U/mL", "U/mL"),
    ("U/ml", "U/mL"),
    ("[IU]/L", "[IU]/L"),
    ("[IU]/mL", "[IU]/mL"),
    ("copies/mL", "{copies}/mL"),
    ("copies/ml", "{copies}/mL"),
    ("cp/mL", "{copies}/mL"),
    ("fL", "fL"),
    ("fl", "fL"),
    ("g%", "g/dL"),
    ("g/L", "g/L"),
    ("g/dL", "g/dL"),
    ("g/dl", "g/dL"),
    ("g/l", "g/L"),
    ("index", "{index_val}"),
    ("kPa", "kPa"),
    ("mEq/L", "meq/L"),
    ("mIU/L", "m[IU]/L"),
    ("mIU/l", "m[IU]/L"),
    ("mIU/mL", "m[IU]/mL"),
    ("mIU/ml", "m[IU]/mL"),
    ("mL/min", "mL/min"),
    ("m[IU]/L", "m[IU]/L"),
    ("m[IU]/mL", "m[IU]/mL"),
    ("meq/L", "meq/L"),
    ("mg/L", "mg/L"),
    ("mg/dL", "mg/dL"),
    ("mg/dl", "mg/dL"),
    ("mg/l", "mg/L"),
    ("min", "min"),
    ("mm/h", "mm/h"),
    ("mm/hr", "mm/h"),
    ("mmHg", "mm[Hg]"),
    ("mm[Hg]", "mm[Hg]"),
    ("mmol/L", "mmol/L"),
    ("mmol/l", "mmol/L"),
    ("mmol/mol", "mmol/mol"),
    ("mol/L", "mol/L"),
    ("ng/L", "ng/L"),
    ("ng/dL", "ng/dL"),
    ("ng/dl", "ng/dL"),
    ("ng/l", "ng/L"),
    ("ng/mL", "ng/mL"),
    ("ng/ml", "ng/mL"),
    ("nmol/L", "nmol/L"),
    ("nmol/l", "nmol/L"),
    ("pg", "pg"),
    ("pg/dL", "pg/dL"),
    ("pg/mL", "pg/mL"),
    ("pg/ml", "pg/mL"),
    ("pmol/L", "pmol/L"),
    ("pmol/l", "pmol/L"),
    ("ratio", "{ratio}"),
    ("s", "s"),
    ("sec", "s"),
    ("uIU/mL", "u[IU]/mL"),
    ("uIU/ml", "u[IU]/mL"),
    ("u[IU]/mL", "u[IU]/mL"),
    ("ug/L", "ug/L"),
    ("ug/dL", "ug/dL"),
    ("ug/dl", "ug/dL"),
    ("ug/l", "ug/L"),
    ("ug/mL", "ug/mL"),
    ("ug/ml", "ug/mL"),
    ("um3", "fL"),
    ("umol/L", "umol/L"),
    ("umol/l", "umol/L"),
    ("x10^3/uL", "10*3/uL"),
    ("x10^6/uL", "10*6/uL"),
    ("x10^9/L", "10*9/L"),
    ("{COI}", "{COI}"),
    ("{INR}", "{INR}"),
    ("{S_CO_ratio}", "{S_CO_ratio}"),
    ("{copies}/mL", "{copies}/mL"),
    ("{index_val}", "{index_val}"),
    ("{ratio}", "{ratio}"),
];

/// Either micro sign as the letter that UCUM uses.
pub(crate) fn plain_micro(unit: &str) -> Cow<'_, str> {
    if unit.contains(['\u{b5}', '\u{3bc}']) {
        Cow::Owned(unit.replace(['\u{b5}', '\u{3bc}'], "u"))
    } else {
        Cow::Borrowed(unit)
    }
}

/// UCUM for a common spelling. Case counts: `mg` and `Mg` are a factor of 10⁹ apart.
#[must_use]
pub fn common_ucum(unit: &str) -> Option<&'static str> {
    let unit = plain_micro(unit);
    SPELLINGS.binary_search_by_key(&unit.as_ref(), |(spelling, _)| spelling).ok().map(|at| SPELLINGS[at].1)
}

/// Units in which the same number means the same amount.
const EQUAL: &[&[&str]] = &[
    &["10*3/uL", "10*9/L"],
    &["10*6/uL", "10*12/L"],
    &["g/L", "mg/mL"],
    &["mg/L", "ug/mL"],
    &["ug/L", "ng/mL"],
    &["ng/L", "pg/mL"],
    &["U/L", "mU/mL"],
    &["[IU]/L", "m[IU]/mL"],
    &["m[IU]/L", "u[IU]/mL"],
    &["mmol/L", "umol/mL"],
];

/// Whether a number in one UCUM unit is the same number in the other.
pub(crate) fn same_number(one: &str, other: &str) -> bool {
    one == other || EQUAL.iter().any(|set| set.contains(&one) && set.contains(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_are_sorted_and_every_ucum_unit_spells_itself() {
        for pair in SPELLINGS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} {}", pair[0].0, pair[1].0);
        }
        for (_, ucum) in SPELLINGS {
            assert_eq!(common_ucum(ucum), Some(*ucum));
        }
    }

    #[test]
    fn both_micro_signs_are_read_and_case_counts() {
        assert_eq!(common_ucum("\u{b5}mol/L"), Some("umol/L"));
        assert_eq!(common_ucum("/\u{3bc}l"), Some("/uL"));
        assert_eq!(common_ucum("um3"), Some("fL"));
        assert_eq!(common_ucum("G/L"), None);
        assert_eq!(common_ucum("Mg/dL"), None);
    }

    #[test]
    fn units_of_the_same_number_are_told_from_those_of_another() {
        assert!(same_number("10*3/uL", "10*9/L"));
        assert!(same_number("g/dL", "g/dL"));
        assert!(!same_number("g/dL", "g/L"));
        assert!(!same_number("10*3/uL", "10*12/L"));
    }
}
