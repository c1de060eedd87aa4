//! The tests that an analyzer reports, taken from its profile.

use labwire_driver::{Plan, Test};

use crate::values::{is_familiar, is_word};

/// Enough for several panels, and few enough to be tried out one by one.
const TESTS_MAX: usize = 48;

/// A test and the unit that it is sent with.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) code: String,
    pub(crate) test: Test,
    pub(crate) unit: Option<String>,
}

/// Numbers with a unit first, the familiar ones leading, then other numbers, then words; a profile without a table (a generic one) gets
/// a few codes that everybody knows.
pub(crate) fn pool(plan: &Plan) -> Vec<Known> {
    let mut known: Vec<Known> = plan
        .tests
        .iter()
        .map(|(code, test)| Known { code: code.clone(), unit: test.unit.clone(), test: test.clone() })
        .collect();
    if known.is_empty() {
        known = COMMON.iter().map(|(code, name, unit)| common(code, name, unit)).collect();
    }
    known.sort_by_key(|known| (is_word(&known.test), known.unit.is_none(), !is_familiar(&known.test)));
    let numbers_with_unit =
        known.iter().filter(|known| !is_word(&known.test) && known.unit.is_some()).count();
    // Rows without unit are often messages or judgements that only look like tests.
    if numbers_with_unit >= 3 {
        known.truncate(numbers_with_unit);
    }
    known.truncate(TESTS_MAX);
    known
}

const COMMON: &[(&str, &str, &str)] =
    &[("GLU", "Glucose", "mmol/L"), ("K", "Potassium", "mmol/L"), ("NA", "Sodium", "mmol/L")];

fn common(code: &str, name: &str, unit: &str) -> Known {
    let unit = Some(unit.to_owned());
    let test = Test { name: name.to_owned(), unit: unit.clone(), ..Test::default() };
    Known { code: code.to_owned(), test, unit }
}
