//! How commands print: JSON lines for machines, aligned columns for people.

use std::io::{self, Write};

use serde_json::Value;

/// A line of a table; cells are text already.
pub(crate) type Row = Vec<String>;

/// Prints one JSON object a line.
pub(crate) fn json_lines(out: &mut impl Write, lines: &[Value]) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Prints columns under a heading, as wide as what is in them.
pub(crate) fn table(out: &mut impl Write, heading: &[&str], rows: &[Row]) -> io::Result<()> {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heading: Row = heading.iter().map(|cell| (*cell).to_owned()).collect();
    for row in core::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = width - cell.chars().count();
            line.push_str(cell);
            line.extend(core::iter::repeat_n(' ', padding + 2));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A number of things in words: `1 message`, `2 messages`.
pub(crate) fn count(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = match (number, what.strip_suffix('y')) {
        (1, _) => what.to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) => format!("{what}s"),
    };
    format!("{number} {plural}")
}

/// A value of a JSON line as a person reads it: what an analyzer sent is made harmless for the
/// terminal, absent is a dash.
pub(crate) fn cell(line: &Value, key: &str) -> String {
    match &line[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// Control characters, terminal escapes and characters that turn the writing direction by name, so
/// that nothing an analyzer sends reaches the terminal as a command or makes a line read as another.
pub(crate) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || turns(character) {
            harmless.extend(character.escape_default());
        } else {
            harmless.push(character);
        }
    }
    harmless
}

/// Line separators and bidirectional controls, which terminals obey though they are not control
/// characters.
const fn turns(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Flags of a JSON line, as sent.
pub(crate) fn flags(line: &Value) -> String {
    let sent: Vec<String> = line["flags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|flag| flag["sent"].as_str())
        .map(harmless)
        .collect();
    sent.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_thing_is_not_many() {
        assert_eq!(count(1_u64, "message"), "1 message");
        assert_eq!(count(0_u64, "query"), "0 queries");
        assert_eq!(count(2_usize, "message"), "2 messages");
    }

    #[test]
    fn columns_align_and_escapes_are_shown_not_sent() {
        let mut out = Vec::new();
        let rows = vec![vec!["WBC".to_owned(), "8.13".to_owned()], vec!["µ".to_owned(), "1".to_owned()]];
        table(&mut out, &["TEST", "VALUE"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "TEST  VALUE\nWBC   8.13\nµ     1\n");
        assert_eq!(harmless("a\u{1b}[2J\r"), "a\\u{1b}[2J\\r");
        assert_eq!(harmless("\u{9b}2J\u{202e}0.5"), "\\u{9b}2J\\u{202e}0.5");
    }
}
