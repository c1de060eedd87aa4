//! Believable values: decimal text near what a laboratory sees, made without floating point.

use labwire_driver::{Test, TestKind};

use crate::seed::Chance;

/// A range in steps of the last digit: 350 to 1200 with two digits is 3.50 to 12.00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    low: u64,
    high: u64,
    digits: usize,
}

const fn range(low: u64, high: u64, digits: usize) -> Range {
    Range { low, high, digits }
}

/// By words of a test's name and the beginning of its unit: the first row that fits in both decides.
const RANGES: &[(&str, &str, Range)] = &[
    ("neutrophils", "%", range(420, 720, 1)),
    ("lymphocytes", "%", range(190, 450, 1)),
    ("monocytes", "%", range(30, 100, 1)),
    ("eosinophils", "%", range(5, 60, 1)),
    ("basophils", "%", range(1, 15, 1)),
    ("neutrophils", "10*", range(180, 720, 2)),
    ("lymphocytes", "10*", range(100, 400, 2)),
    ("monocytes", "10*", range(15, 90, 2)),
    ("eosinophils", "10*", range(2, 50, 2)),
    ("basophils", "10*", range(0, 10, 2)),
    ("corpuscular hemoglobin concentration", "g/l", range(320, 360, 0)),
    ("corpuscular hemoglobin concentration", "", range(320, 360, 1)),
    ("corpuscular volume", "", range(800, 980, 1)),
    ("corpuscular hemoglobin", "", range(265, 330, 1)),
    ("leukocytes", "10*", range(380, 1150, 2)),
    ("erythrocytes", "10*", range(390, 560, 2)),
    ("platelets", "10*", range(150, 400, 0)),
    ("hemoglobin a1c", "%", range(48, 92, 1)),
    ("hemoglobin", "g/dl", range(118, 168, 1)),
    ("hemoglobin", "g/l", range(118, 168, 0)),
    ("hematocrit", "%", range(360, 500, 1)),
    ("sodium", "", range(135, 146, 0)),
    ("potassium", "", range(35, 51, 1)),
    ("chloride", "", range(97, 108, 0)),
    ("glucose", "mg/dl", range(70, 160, 0)),
    ("glucose", "", range(39, 92, 1)),
    ("creatinine", "umol/l", range(48, 120, 0)),
    ("specific gravity", "", range(1005, 1030, 3)),
    ("ph of", "", range(50, 80, 1)),
    ("thyrotropin", "", range(45, 420, 2)),
    ("reactive protein", "", range(5, 300, 1)),
];

/// By unit alone, where no name was known.
const BY_UNIT: &[(&str, Range)] = &[
    ("%", range(10, 650, 1)),
    ("10*3/ul", range(10, 700, 2)),
    ("10*9/l", range(10, 700, 2)),
    ("10*6/ul", range(20, 110, 3)),
    ("fl", range(90, 480, 1)),
    ("pg", range(265, 340, 1)),
    ("u/l", range(12, 80, 0)),
    ("g/l", range(350, 500, 1)),
    ("g/dl", range(60, 80, 1)),
    ("mmol/l", range(8, 72, 1)),
    ("umol/l", range(5, 120, 0)),
    ("mg/l", range(2, 90, 1)),
    ("mg/dl", range(60, 210, 0)),
];

const OTHERWISE: Range = range(10, 990, 1);

/// Outcomes that any reader of results knows.
const WORDS: &[&str] = &["NEGATIVE", "POSITIVE", "NOT DETECTED", "DETECTED"];

/// A value as an analyzer would print it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) text: String,
    /// `L`, `N` or `H`; none with a word.
    pub(crate) flag: Option<&'static str>,
}

/// A reading for a test.
pub(crate) fn reading(test: &Test, chance: &mut Chance) -> Reading {
    if is_word(test) {
        let text = chance.one_of(WORDS).copied().unwrap_or_default().to_owned();
        return Reading { text, flag: None };
    }
    let range = range_of(test);
    let spread = range.high - range.low;
    // One reading in about eight lies outside, half of those below.
    let steps = chance.between(range.low.saturating_sub(spread / 15), range.high + spread / 15);
    let flag = match steps {
        steps if steps < range.low => "L",
        steps if steps > range.high => "H",
        _ => "N",
    };
    let mut text = decimal(steps, range.digits);
    // Without a decimal sign the digits of such a test mean another number.
    if range.digits == 0 && test.decimals.is_some_and(|decimals| decimals > 0) {
        text.push_str(".0");
    }
    Reading { text, flag: Some(flag) }
}

/// Whether a test's values are words.
pub(crate) fn is_word(test: &Test) -> bool {
    matches!(test.kind, Some(TestKind::Coded | TestKind::Text | TestKind::Titer))
}

fn range_of(test: &Test) -> Range {
    let unit = test.unit.as_deref().unwrap_or_default().to_lowercase();
    let by_unit = || BY_UNIT.iter().find(|(of_unit, _)| *of_unit == unit).map(|(_, range)| *range);
    by_name(test).or_else(by_unit).unwrap_or(OTHERWISE)
}

/// Whether a test is one that people know by name.
pub(crate) fn is_familiar(test: &Test) -> bool {
    by_name(test).is_some()
}

fn by_name(test: &Test) -> Option<Range> {
    let name = test.name.to_lowercase();
    let unit = test.unit.as_deref().unwrap_or_default().to_lowercase();
    // Ratios and the like of a familiar thing have ranges of their own.
    let derived = [" ratio", "distribution", "immature", "body fluid", "equivalent", "nucleated", "urine"];
    if derived.iter().any(|word| name.contains(word)) && !name.contains("of urine") {
        return None;
    }
    let row = RANGES.iter().find(|(word, of_unit, _)| name.contains(word) && unit.starts_with(of_unit))?;
    Some(row.2)
}

/// `steps` with a decimal point before the last `digits`.
fn decimal(steps: u64, digits: usize) -> String {
    let text = format!("{steps:0>width$}", width = digits + 1);
    match digits {
        0 => text,
        _ => format!("{}.{}", &text[..text.len() - digits], &text[text.len() - digits..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, unit: Option<&str>, kind: Option<TestKind>) -> Test {
        Test { name: name.into(), unit: unit.map(Into::into), kind, ..Test::default() }
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(1150, 2), "11.50");
        assert_eq!(decimal(140, 0), "140");
        assert_eq!(decimal(0, 1), "0.0");
    }

    #[test]
    fn readings_lie_near_their_range_and_their_flags_agree() {
        let sodium = test("Sodium", Some("mmol/L"), None);
        let mut chance = Chance::new(3);
        let mut flags = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let reading = reading(&test("Leukocytes", Some("10*3/uL"), None), &mut chance);
            let (whole, fraction) = reading.text.split_once('.').unwrap();
            let steps: u64 = format!("{whole}{fraction}").parse().unwrap();
            assert_eq!(fraction.len(), 2, "{}", reading.text);
            let expected = if steps < 380 {
                "L"
            } else if steps > 1150 {
                "H"
            } else {
                "N"
            };
            assert_eq!(reading.flag, Some(expected), "{}", reading.text);
            flags.insert(expected);
        }
        assert_eq!(flags.len(), 3, "{flags:?}");
        assert!(
            reading(&sodium, &mut chance).text.parse::<u32>().is_ok_and(|value| (120..160).contains(&value))
        );
    }

    #[test]
    fn a_test_of_implied_decimals_is_read_with_its_decimal_sign() {
        let fibrinogen = Test { decimals: Some(1), ..test("Fibrinogen", Some("mg/dL"), None) };
        let reading = reading(&fibrinogen, &mut Chance::new(1));
        assert!(reading.text.ends_with(".0"), "{}", reading.text);
    }

    #[test]
    fn coded_tests_get_words_and_no_flag() {
        let reading = reading(&test("Target", None, Some(TestKind::Coded)), &mut Chance::new(1));
        assert!(WORDS.contains(&reading.text.as_str()), "{}", reading.text);
        assert_eq!(reading.flag, None);
    }
}
