//! Rows by regular expressions.

use regex::Regex;

use super::{Row, Rows, fields, may_be_result};
use crate::text::TextRule;

pub(super) fn read<'t>(text: &'t str, rule: &'t TextRule, patterns: &'t [Regex]) -> Rows<'t> {
    let (shared, mut read) = fields(text, rule);
    let mut rows: Vec<Row<'t>> = Vec::new();
    let mut taken: Vec<(usize, usize)> = Vec::new();
    for pattern in patterns {
        for found in pattern.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            // What an expression listed earlier has read is one observation, not two.
            if taken.iter().any(|(from, to)| whole.start() < *to && *from < whole.end()) {
                continue;
            }
            taken.push((whole.start(), whole.end()));
            let texts = pattern
                .capture_names()
                .flatten()
                .filter_map(|name| Some((name, found.name(name)?.as_str())))
                .collect();
            rows.push(Row::of(whole.start(), texts));
        }
    }
    read.append(&mut taken);
    read.sort_unstable();
    read.push((text.len(), text.len()));
    let mut at = 0;
    for (from, to) in read {
        // Behind the first row a letter may be a flag.
        let may_be = |between: &&str| {
            may_be_result(between)
                || (rows.iter().any(|row| row.at < at) && between.contains(char::is_alphanumeric))
        };
        if let Some(between) = text.get(at..from).filter(may_be) {
            rows.push(Row::unread(at, between));
        }
        at = at.max(to);
    }
    rows.sort_by_key(|row| row.at);
    Rows { shared, rows }
}
