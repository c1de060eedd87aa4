//! `[[check]]`: what a capture must decode to, and how far it does.

use serde_json::Value;

/// Where the expected lines of a capture stand: `case.cap` → `case.expected.json`.
#[must_use]
pub fn expected_path(capture: &str) -> String {
    let stem = capture.strip_suffix(".cap").unwrap_or(capture);
    format!("{stem}.expected.json")
}

/// Compares decoded lines with the expected ones; a sentence for each difference. `expected` is the
/// text of the file, one JSON object a line.
#[must_use]
pub fn differences(expected: &str, found: &[Value]) -> Vec<String> {
    let mut told = Vec::new();
    let mut wanted = Vec::new();
    for (number, line) in expected.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Value>(line) {
            Ok(value) => wanted.push(value),
            Err(error) => told.push(format!("line {} of the expected file is no JSON: {error}", number + 1)),
        }
    }
    for (place, (wanted, found)) in wanted.iter().zip(found).enumerate() {
        compare(place + 1, wanted, found, &mut told);
    }
    for (place, missing) in wanted.iter().enumerate().skip(found.len()) {
        told.push(format!("line {}: expected {missing}, found nothing", place + 1));
    }
    for (place, extra) in found.iter().enumerate().skip(wanted.len()) {
        told.push(format!("line {}: found {extra}, expected nothing", place + 1));
    }
    told
}

fn compare(line: usize, wanted: &Value, found: &Value, told: &mut Vec<String>) {
    let (Some(wanted), Some(found)) = (wanted.as_object(), found.as_object()) else {
        if wanted != found {
            told.push(format!("line {line}: expected {wanted}, found {found}"));
        }
        return;
    };
    let what = |object: &serde_json::Map<String, Value>| {
        let part = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
        format!("{} {} {}", part("type"), part("specimen_id"), part("analyzer_test"))
    };
    for (key, value) in wanted {
        let other = found.get(key).unwrap_or(&Value::Null);
        if value != other {
            told.push(format!("line {line} ({}): {key}: expected {value}, found {other}", what(wanted)));
        }
    }
    for (key, other) in found {
        if !wanted.contains_key(key) && !other.is_null() {
            told.push(format!("line {line} ({}): {key}: found {other}, expected none", what(found)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_lines_differ_in_nothing() {
        let found = [json!({"type": "result", "value": "6.9"})];
        assert_eq!(differences("{\"type\":\"result\",\"value\":\"6.9\"}\n", &found), Vec::<String>::new());
    }

    #[test]
    fn every_difference_is_told() {
        let found = [json!({"type": "result", "value": "6.9", "unit": "mmol/L"}), json!({"type": "held"})];
        let told = differences("{\"type\":\"result\",\"value\":\"6.8\"}", &found);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("value: expected \"6.8\", found \"6.9\""), "{told:?}");
        let told = differences("{\"type\":\"held\"}\n{\"type\":\"held\"}", &found[1..]);
        assert_eq!(told, ["line 2: expected {\"type\":\"held\"}, found nothing"]);
    }
}
