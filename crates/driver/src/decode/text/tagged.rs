//! Rows by tags: the first characters of a field, or what stands before an assigning sign.

use super::{Row, Rows, fields, may_be_result};
use crate::text::{Tag, Tagged, TextRule};

/// `single` are the texts of which one observation has one.
pub(super) fn read<'t>(text: &'t str, rule: &'t TextRule, tagged: &'t Tagged, single: &[&str]) -> Rows<'t> {
    let (mut shared, read) = fields(text, rule);
    let mut cut: Vec<Cut<'t>> = Vec::new();
    let mut offset = 0;
    for field in text.split(tagged.separator.as_str()) {
        let at = offset;
        offset += field.len() + tagged.separator.len();
        if read.iter().any(|(from, to)| *from <= at && at + field.len() <= *to) {
            continue;
        }
        cut.push((at, field, tag_and_text(field, tagged)));
    }
    // A tag of fixed length is cut off any field; without the sign a field may be anything.
    let may_be_anything = matches!(tagged.tag, Tag::Before(_));
    let unread = |field: &str| may_be_anything && may_be_result(field);
    let rows = match &tagged.each_but {
        Some(of_all) => each(&cut, of_all, &mut shared, unread),
        None => gathered(&cut, tagged, &mut shared, text, single, unread),
    };
    Rows { shared, rows }
}

/// A field, the byte where it begins, and its tag and text where it has a tag.
type Cut<'t> = (usize, &'t str, Option<(&'t str, &'t str)>);

fn tag_and_text<'t>(field: &'t str, tagged: &Tagged) -> Option<(&'t str, &'t str)> {
    let mut field = field.trim_matches(|c: char| c == '\r' || c == '\n');
    if !tagged.record.is_empty() {
        while let Some(rest) = field.strip_prefix(tagged.record.as_str()) {
            field = rest.trim_start_matches(['\r', '\n']);
        }
    }
    match &tagged.tag {
        Tag::Before(sign) => field.split_once(sign.as_str()).map(|(tag, text)| (tag.trim(), text)),
        Tag::Length(length) => {
            let end = field
                .char_indices()
                .nth(*length)
                .map(|(end, _)| end)
                .or_else(|| (field.chars().count() == *length).then_some(field.len()))?;
            Some(field.split_at(end))
        }
    }
}

/// Each field is a row.
fn each<'t>(
    cut: &[Cut<'t>],
    of_all: &[String],
    shared: &mut Vec<(&'t str, &'t str)>,
    unread: impl Fn(&str) -> bool,
) -> Vec<Row<'t>> {
    let mut rows = Vec::new();
    for (at, field, parts) in cut {
        match parts {
            Some(parts) if of_all.iter().any(|known| known == parts.0) => shared.push(*parts),
            Some((tag, text)) => rows.push(Row::of(*at, vec![("tag", tag), ("text", text)])),
            None if unread(field) => rows.push(Row::unread(*at, field)),
            None => {}
        }
    }
    rows
}

/// Fields gathered to rows, each of which begins with one of the row tags. A row sees the nearest
/// rows before it that began with a tag listed earlier.
fn gathered<'t>(
    cut: &[Cut<'t>],
    tagged: &'t Tagged,
    shared: &mut Vec<(&'t str, &'t str)>,
    text: &'t str,
    single: &[&str],
    unread: impl Fn(&str) -> bool,
) -> Vec<Row<'t>> {
    let mut rows: Vec<Row<'t>> = Vec::new();
    let mut open: Option<usize> = None;
    // The nearest row of each tag of the list.
    let mut nearest: Vec<Option<usize>> = vec![None; tagged.rows.len().max(1)];
    for (at, field, parts) in cut {
        let Some((tag, content)) = *parts else {
            if unread(field) {
                rows.push(Row::unread(*at, field));
            }
            continue;
        };
        let level = tagged.rows.iter().position(|row| row == tag);
        let begins = match (level, open.and_then(|open| rows.get(open))) {
            (Some(_), _) => true,
            (None, None) if !tagged.rows.is_empty() => {
                shared.push((tag, content));
                continue;
            }
            (None, None) => true,
            // The message's first tag again: another message without a break between the two.
            (None, Some(row)) => {
                tagged.rows.is_empty() && row.texts.first().is_some_and(|(first, _)| *first == tag)
            }
        };
        if begins {
            let level = level.unwrap_or(0);
            let above = nearest[..level].iter().rev().flatten().next().copied();
            nearest[level..].fill(None);
            nearest[level] = Some(rows.len());
            open = Some(rows.len());
            rows.push(Row { above, ..Row::of(*at, Vec::new()) });
        }
        if let Some(row) = open.and_then(|open| rows.get_mut(open)) {
            row.texts.push((tag, content));
        }
    }
    let ends: Vec<usize> = rows.iter().skip(1).map(|row| row.at).chain([text.len()]).collect();
    for (row, end) in rows.iter_mut().zip(ends) {
        let times = |name: &str| row.texts.iter().filter(|(tag, _)| *tag == name).count();
        if single.iter().any(|name| times(name) > 1) {
            *row = Row::unread(row.at, text.get(row.at..end).unwrap_or_default());
        }
    }
    rows
}
