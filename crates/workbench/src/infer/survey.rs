//! What stands where in some messages: the columns that inference chooses among.

use std::collections::BTreeSet;

use labwire_message::{Charset, Index, Name, Path, Syntax};

/// Different values that a column remembers; more only count.
const VALUES_MAX: usize = 512;

/// Records by name, each a list of fields, each a list of components, of all messages.
#[derive(Debug, Default)]
pub(super) struct Survey {
    records: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: Name,
    /// First repetition only: what repeats is never an identity.
    fields: Vec<Vec<String>>,
}

/// One place over all records of its name.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) path: Path,
    /// Records of that name.
    pub(super) rows: usize,
    /// Those in which the place is filled.
    pub(super) filled: usize,
    pub(super) values: BTreeSet<String>,
}

impl Column {
    /// Whether at least half of what is filled passes.
    pub(super) fn mostly(&self, passes: impl Fn(&str) -> bool) -> bool {
        let passing = self.values.iter().filter(|value| passes(value)).count();
        passing > 0 && passing * 2 >= self.values.len()
    }
}

impl Survey {
    pub(super) fn of(syntax: Syntax, texts: &[Vec<u8>]) -> Self {
        let mut survey = Self::default();
        let mut index = Index::new();
        for text in texts {
            let view = index.scan(syntax, text);
            for record in view.records() {
                let mut fields = Vec::new();
                for number in 1..=u16::try_from(record.field_count()).unwrap_or(u16::MAX) {
                    let components = record.field(number).and_then(|field| {
                        let first = field.repeat(1)?;
                        Some(
                            first
                                .components()
                                .map(|component| {
                                    let text = record.decode(component.bytes()).text(Charset::default()).0;
                                    text.trim().to_owned()
                                })
                                .collect(),
                        )
                    });
                    fields.push(components.unwrap_or_default());
                }
                survey.records.push(Row { name: record.name(), fields });
            }
        }
        survey
    }

    /// How many records of this name there are.
    pub(super) fn count(&self, name: &str) -> usize {
        self.records.iter().filter(|row| row.name == name).count()
    }

    /// Names of records, each once, in alphabetical order.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.records.iter().map(|row| row.name.as_str().to_owned()).collect()
    }

    /// The columns of one field: its components, or the field as a whole where no record has more
    /// than one component there.
    pub(super) fn columns(&self, name: &str, field: u16) -> Vec<Column> {
        let Some(known) = Name::new(name.as_bytes()) else { return Vec::new() };
        let rows: Vec<&[String]> = self
            .records
            .iter()
            .filter(|row| row.name == name)
            .map(|row| row.fields.get(usize::from(field) - 1).map_or(&[][..], Vec::as_slice))
            .collect();
        let widest = rows.iter().map(|components| components.len()).max().unwrap_or(0);
        (0..widest)
            .map(|place| {
                let component = u16::try_from(place + 1).ok().filter(|_| widest > 1);
                let mut path = Path::field(known, field);
                path.component = component;
                let mut column = Column { path, rows: rows.len(), filled: 0, values: BTreeSet::new() };
                for value in rows.iter().filter_map(|components| components.get(place)) {
                    if !value.is_empty() {
                        column.filled += 1;
                        if column.values.len() < VALUES_MAX {
                            column.values.insert(value.clone());
                        }
                    }
                }
                column
            })
            .collect()
    }

    /// The first column of a field that is filled at all.
    pub(super) fn filled(&self, name: &str, field: u16) -> Option<Column> {
        self.columns(name, field).into_iter().find(|column| column.filled > 0)
    }

    /// Pairs of two places of the same record, for each record of the name.
    pub(super) fn pairs(&self, one: &Path, other: &Path) -> BTreeSet<(String, String)> {
        let at = |row: &Row, path: &Path| {
            let components = row.fields.get(usize::from(path.field) - 1)?;
            components.get(usize::from(path.component.unwrap_or(1)) - 1).cloned()
        };
        self.records
            .iter()
            .filter(|row| row.name == one.record)
            .filter_map(|row| Some((at(row, one)?, at(row, other).unwrap_or_default())))
            .collect()
    }
}

/// Whether a text can be a specimen's id: a word of at least four characters with three digits.
pub(super) fn is_id(text: &str) -> bool {
    text.len() >= 4
        && text.chars().filter(char::is_ascii_digit).count() >= 3
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '/' | '.'))
        && !is_time(text)
}

/// Whether a text is a time stamp of either standard, to the minute at least.
pub(super) fn is_time(text: &str) -> bool {
    let digits = text.split(['+', '-', '.']).next().unwrap_or_default();
    matches!(digits.len(), 12 | 14)
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.starts_with("19") || digits.starts_with("20"))
}

/// Whether a text reads as a number, with or without a comparator.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['<', '>', '=', '+', '-', ' ']);
    digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_components_is_the_field_and_with_them_each_component() {
        let text = b"H|\\^&\rR|1|^^^A^1|5\rR|2|^^^B^1|6\rR|3||7\r".to_vec();
        let survey = Survey::of(Syntax::Lis02, &[text]);
        let value = survey.filled("R", 4).unwrap();
        assert_eq!((value.path.to_string(), value.filled, value.rows), ("R.4".to_owned(), 3, 3));
        let code = survey.filled("R", 3).unwrap();
        assert_eq!((code.path.to_string(), code.filled), ("R.3.4".to_owned(), 2));
        let pairs = survey.pairs(&code.path, &value.path);
        assert!(pairs.contains(&("A".to_owned(), "5".to_owned())));
    }

    #[test]
    fn ids_times_and_numbers_are_told_apart() {
        assert!(is_id("26030200120") && is_id("QC-0071A"));
        assert!(!is_id("1") && !is_id("WBC1") && !is_id("20260302081407") && !is_id("Doe 1234"));
        assert!(is_time("20260302081407+0100") && is_time("202603020814") && !is_time("26030200120012"));
        assert!(is_number("<0.5") && is_number("7,41") && !is_number("----") && !is_number("1:128"));
    }
}
