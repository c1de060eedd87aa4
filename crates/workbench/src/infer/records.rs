//! LIS02 records and HL7 segments: which place holds what.

use std::collections::{BTreeMap, BTreeSet};

use labwire_driver::common_ucum;
use labwire_message::{Path, Syntax};

use super::survey::{Column, Survey, is_id, is_number, is_time};
use super::{Writer, key, pattern, quoted};

/// Where each dialect of the standards puts things, the usual place first.
struct Places {
    result: &'static str,
    sender: &'static [(&'static str, u16)],
    specimen: &'static [(&'static str, u16)],
    patient: &'static [(&'static str, u16)],
    test: u16,
    /// Components that hold the code, the standard's first.
    code_order: &'static [u16],
    value: u16,
    unit: u16,
    range: u16,
    flags: u16,
    status: u16,
    at: &'static [(&'static str, u16)],
    operator: u16,
    instrument: u16,
}

const LIS02: Places = Places {
    result: "R",
    sender: &[("H", 5)],
    specimen: &[("O", 3), ("O", 4), ("P", 3), ("P", 4), ("P", 5)],
    patient: &[("P", 4), ("P", 3), ("P", 5)],
    test: 3,
    code_order: &[4, 5, 1, 2, 3, 6],
    value: 4,
    unit: 5,
    range: 6,
    flags: 7,
    status: 9,
    at: &[("R", 13), ("R", 12), ("O", 23), ("O", 8)],
    operator: 11,
    instrument: 14,
};

const HL7: Places = Places {
    result: "OBX",
    sender: &[("MSH", 3), ("MSH", 4)],
    specimen: &[("SPM", 2), ("SAC", 3), ("OBR", 3), ("OBR", 2), ("PID", 3)],
    patient: &[("PID", 3), ("PID", 2)],
    test: 3,
    code_order: &[1, 2, 4, 5],
    value: 5,
    unit: 6,
    range: 7,
    flags: 8,
    status: 11,
    at: &[("OBX", 19), ("OBX", 14), ("OBR", 7), ("OBR", 22)],
    operator: 16,
    instrument: 18,
};

pub(super) fn write(writer: &mut Writer, syntax: Syntax, texts: &[Vec<u8>]) {
    let places = match syntax {
        Syntax::Lis02 => &LIS02,
        Syntax::Hl7 => &HL7,
    };
    let survey = Survey::of(syntax, texts);
    let records: Vec<String> =
        survey.names().iter().map(|name| format!("{} {name}", survey.count(name))).collect();
    writer.found(format!("records: {}", records.join(", ")));
    identify(writer, &survey, places);
    let specimen = specimen(&survey, places);
    subject(writer, &survey, places, specimen.as_ref());
    let tests = result(writer, &survey, places);
    quality_control(writer, &survey, syntax);
    query(writer, &survey);
    write_tests(writer, &tests);
}

fn identify(writer: &mut Writer, survey: &Survey, places: &Places) {
    let mut signs = Vec::new();
    for (record, field) in places.sender {
        if let Some(column) = survey.filled(record, *field)
            && column.values.len() == 1
            && let Some(name) = column.values.first()
        {
            signs.push(format!("\"{}\" = {}", column.path, quoted(&pattern(name))));
        }
    }
    if signs.is_empty() {
        writer.line("\n# TODO [identify]: the header names no sender; without a fingerprint a wrong analyzer on the port is not noticed.");
        writer.found("the header names no sender that all messages share");
        return;
    }
    writer.table("identify");
    for sign in signs {
        writer.line(sign);
    }
}

/// The first place that holds what can be an id of a tube. A place of the patient's is the last resort,
/// even where what stands in the order does not look like an id: two tubes of a patient must not become one.
fn specimen(survey: &Survey, places: &Places) -> Option<Column> {
    let of_patient = |record: &str| matches!(record, "P" | "PID");
    for patient in [false, true] {
        let mut fallback: Option<Column> = None;
        for (record, field) in places.specimen.iter().filter(|(record, _)| of_patient(record) == patient) {
            for column in survey.columns(record, *field) {
                if column.filled * 2 < column.rows || column.filled == 0 {
                    continue;
                }
                if column.mostly(is_id) {
                    return Some(column);
                }
                let is_longer = fallback.as_ref().is_none_or(|other| longest(&column) > longest(other));
                if is_longer {
                    fallback = Some(column);
                }
            }
        }
        if fallback.is_some() {
            return fallback;
        }
    }
    None
}

fn longest(column: &Column) -> usize {
    column.values.iter().map(String::len).max().unwrap_or(0)
}

fn subject(writer: &mut Writer, survey: &Survey, places: &Places, specimen: Option<&Column>) {
    writer.table("specimen");
    match specimen {
        Some(column) => {
            let doubt = if column.mostly(is_id) { "" } else { "does not look like an id; " };
            writer.line(format!(
                "id = \"{}\"  # TODO {doubt}compare with the label of the tube: {} different in {} records",
                column.path,
                column.values.len(),
                column.rows
            ));
            writer.found(format!("the specimen id stands in {}", column.path));
        }
        None => {
            let (record, field) = places.specimen[0];
            let joint = if record.len() == 1 { '.' } else { '-' };
            writer
                .line(format!("id = \"{record}{joint}{field}\"  # TODO no place holds anything like an id"));
            writer.found("no place holds anything like a specimen id");
        }
    }
    let taken = specimen.map(|column| column.path);
    let patient = places
        .patient
        .iter()
        .filter_map(|(record, field)| survey.filled(record, *field))
        .find(|column| Some(column.path) != taken);
    if let Some(column) = patient {
        writer.table("patient");
        writer.line(format!("id = \"{}\"  # TODO", column.path));
    }
}

/// What is known of one test code.
#[derive(Debug, Default)]
struct Seen {
    units: BTreeSet<String>,
    numbers: usize,
    texts: usize,
}

fn result(writer: &mut Writer, survey: &Survey, places: &Places) -> BTreeMap<String, Seen> {
    let name = places.result;
    let joint = if name.len() == 1 { '.' } else { '-' };
    let usual = |field: u16| format!("{name}{joint}{field}");
    writer.table("result");
    let code = code(survey, places);
    let value = value(survey, places);
    let unit = survey.filled(name, places.unit);
    let path = |column: &Option<Column>, field| {
        column.as_ref().map_or_else(|| usual(field), |one| one.path.to_string())
    };
    let codes = code.as_ref().map_or(0, |column| column.values.len());
    let also = |chosen: &Option<Column>, field: u16| {
        let others: Vec<String> = survey
            .columns(name, field)
            .iter()
            .filter(|column| column.filled > 0 && chosen.as_ref().is_some_and(|one| one.path != column.path))
            .map(|column| column.path.to_string())
            .collect();
        if others.is_empty() { String::new() } else { format!("; filled too: {}", others.join(", ")) }
    };
    let (also_code, also_value) = (also(&code, places.test), also(&value, places.value));
    writer.line(format!("test = \"{}\"  # {codes} different codes{also_code}", path(&code, places.test)));
    let numbers = value.as_ref().is_some_and(|column| column.mostly(is_number));
    let kind = if numbers { "numbers" } else { "texts" };
    writer.line(format!("value = \"{}\"  # mostly {kind}{also_value}", path(&value, places.value)));
    if let Some(unit) = &unit {
        writer.line(format!("unit = \"{}\"", unit.path));
    }
    for (key, field) in [
        ("range", places.range),
        ("flags", places.flags),
        ("status", places.status),
        ("operator", places.operator),
        ("instrument", places.instrument),
    ] {
        if let Some(column) = survey.filled(name, field) {
            let seen = match key {
                "flags" | "status" => {
                    let values: Vec<&str> = column.values.iter().map(String::as_str).take(12).collect();
                    format!("  # met: {}", values.join(" ").replace(['\n', '\r'], " "))
                }
                _ => String::new(),
            };
            writer.line(format!("{key} = \"{}\"{seen}", column.path));
        }
    }
    let at = places.at.iter().filter_map(|(record, field)| {
        survey.columns(record, *field).into_iter().find(|column| column.mostly(is_time))
    });
    if let Some(column) = at.into_iter().next() {
        writer.line(format!("at = \"{}\"  # TODO the analyzer's zone is set on the connection", column.path));
    }
    if survey.count("C") > 0 {
        writer.line("comments = \"C.4\"");
    } else if survey.count("NTE") > 0 {
        writer.line("comments = \"NTE-3\"");
    }
    writer.found(format!(
        "test codes stand in {}, values in {}",
        path(&code, places.test),
        path(&value, places.value)
    ));
    let (Some(code), Some(value)) = (code, value) else { return BTreeMap::new() };
    seen(survey, &code.path, &value.path, unit.as_ref().map(|column| &column.path))
}

/// The component that tells most rows apart; of equals the one where the standard puts the code.
fn code(survey: &Survey, places: &Places) -> Option<Column> {
    let rank = |column: &Column| {
        let component = column.path.component.unwrap_or(1);
        places.code_order.iter().position(|one| *one == component).unwrap_or(usize::MAX)
    };
    survey
        .columns(places.result, places.test)
        .into_iter()
        .filter(|column| column.filled * 2 >= column.rows && column.filled > 0)
        .min_by_key(|column| (usize::MAX - column.values.len(), rank(column)))
}

/// The component with most numbers in it, else the first that is filled.
fn value(survey: &Survey, places: &Places) -> Option<Column> {
    survey.columns(places.result, places.value).into_iter().filter(|column| column.filled > 0).min_by_key(
        |column| {
            let numbers = column.values.iter().filter(|value| is_number(value)).count();
            (usize::MAX - numbers, column.path.component)
        },
    )
}

fn seen(survey: &Survey, code: &Path, value: &Path, unit: Option<&Path>) -> BTreeMap<String, Seen> {
    let mut tests: BTreeMap<String, Seen> = BTreeMap::new();
    for (code, value) in survey.pairs(code, value) {
        if code.is_empty() {
            continue;
        }
        let seen = tests.entry(code).or_default();
        if is_number(&value) {
            seen.numbers += 1;
        } else if !value.is_empty() {
            seen.texts += 1;
        }
    }
    if let Some(unit) = unit {
        for (code, unit) in survey.pairs(code, unit) {
            if let Some(seen) = tests.get_mut(&code)
                && !unit.is_empty()
            {
                seen.units.insert(unit);
            }
        }
    }
    tests
}

fn quality_control(writer: &mut Writer, survey: &Survey, syntax: Syntax) {
    let (path, word) = match syntax {
        Syntax::Lis02 => (("O", 12), "Q"),
        Syntax::Hl7 => (("MSH", 11), "Q"),
    };
    let marks = survey.columns(path.0, path.1).into_iter().find(|column| column.values.contains(word));
    match marks {
        Some(column) => {
            writer.table("qc");
            writer.line(format!("when = {{ \"{}\" = '^{word}$' }}", column.path));
            writer.found("quality control is marked as the standard says");
        }
        None => writer.line("\n# TODO [qc]: no control is in the captures; record one, and say here how it is told from a patient."),
    }
}

fn query(writer: &mut Writer, survey: &Survey) {
    let column = survey.columns("Q", 3).into_iter().find(|column| column.mostly(is_id));
    if let Some(column) = column {
        writer.table("query");
        writer.line(format!("id = \"{}\"  # TODO", column.path));
        writer.found("the analyzer asks for orders");
    }
}

fn write_tests(writer: &mut Writer, tests: &BTreeMap<String, Seen>) {
    let unknown: BTreeSet<&String> =
        tests.values().flat_map(|seen| &seen.units).filter(|unit| common_ucum(unit).is_none()).collect();
    if !unknown.is_empty() {
        writer.table("units");
        for unit in &unknown {
            writer.line(format!("{} = {}  # TODO in UCUM", key(unit), quoted(&annotation(unit))));
        }
        writer.found(format!("{} units have no common UCUM spelling", unknown.len()));
    }
    writer.table("tests");
    writer.line("# TODO names, LOINC codes from a public source, codes of the LIS");
    for (code, seen) in tests {
        let mut parts = vec![format!("name = {}", quoted(code))];
        let mut units = seen.units.iter();
        if let Some(unit) = units.next() {
            let ucum = common_ucum(unit).map_or_else(|| annotation(unit), str::to_owned);
            parts.push(format!("unit = {}", quoted(&ucum)));
            let further: Vec<String> = units.map(|unit| quoted(unit)).collect();
            if !further.is_empty() {
                parts.push(format!("units = [{}]", further.join(", ")));
            }
        }
        if seen.texts > 0 && seen.numbers == 0 {
            parts.push("kind = \"text\"".to_owned());
        }
        parts.push(format!("lis = {}", quoted(code)));
        writer.line(format!("{} = {{ {} }}", key(code), parts.join(", ")));
    }
    writer.found(format!("{} tests", tests.len()));
}

/// A unit that UCUM does not know, as the annotation that UCUM allows for such.
fn annotation(unit: &str) -> String {
    let plain: String = unit
        .chars()
        .filter(|character| character.is_ascii_graphic() && !matches!(character, '{' | '}' | '"' | '\\'))
        .collect();
    format!("{{{plain}}}")
}
