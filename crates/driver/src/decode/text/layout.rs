//! Rows by their place: columns of characters, or cells between separators.

use super::{Row, Rows, fields, may_be_result};
use crate::text::{Layout, Span, TextRule};

pub(super) fn read<'t>(text: &'t str, rule: &'t TextRule, layouts: &'t [Layout]) -> Rows<'t> {
    let (mut shared, _) = fields(text, rule);
    let fits = |layout: &&Layout| layout.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
    let Some(layout) = layouts.iter().find(fits) else {
        let rows = if may_be_result(text) { vec![Row::unread(0, text)] } else { Vec::new() };
        return Rows { shared, rows };
    };
    let grid = Grid::of(text, layout);
    for (name, span) in &layout.fields {
        shared.extend(grid.get(0, *span).map(|(_, field)| (name.as_str(), field)));
    }
    let mut rows = Vec::new();
    for value in &layout.values {
        let Some((at, sent)) = grid.get(0, value.value).filter(|(_, sent)| !sent.trim().is_empty()) else {
            continue;
        };
        let mut texts = vec![("test", value.test.as_str()), ("value", sent)];
        let flags = value.flags.and_then(|flags| grid.get(0, flags));
        texts.extend(flags.map(|(_, flags)| ("flags", flags)));
        rows.push(Row::of(at, texts));
    }
    if let Some(groups) = &layout.groups {
        let mut from = groups.from;
        while let Some((at, group)) = grid.get(from, Span { from: 0, width: groups.width }) {
            let is_whole = from + groups.width <= grid.count();
            if is_whole && !group.trim().is_empty() {
                let texts = groups
                    .fields
                    .iter()
                    .filter_map(|(name, span)| Some((name.as_str(), grid.get(from, *span)?.1)))
                    .collect();
                rows.push(Row::of(at, texts));
            } else if may_be_result(group) {
                // A group that breaks off may have lost digits.
                rows.push(Row::unread(at, group));
            }
            from += groups.width;
        }
    }
    Rows { shared, rows }
}

/// Where characters or cells begin and end, in bytes.
struct Grid<'t> {
    text: &'t str,
    /// Begin and end of each.
    places: Vec<(usize, usize)>,
    quote: &'t str,
}

impl<'t> Grid<'t> {
    fn of(text: &'t str, layout: &'t Layout) -> Self {
        let mut places: Vec<(usize, usize)> = Vec::new();
        match layout.separator.as_deref().filter(|separator| !separator.is_empty()) {
            None => places.extend(text.char_indices().map(|(at, c)| (at, at + c.len_utf8()))),
            Some(separator) => {
                let mut at = 0;
                while at <= text.len() {
                    let end = cell_end(text, at, separator, &layout.quote);
                    places.push((at, end));
                    at = end + separator.len();
                }
            }
        }
        Self { text, places, quote: &layout.quote }
    }

    fn count(&self) -> usize {
        self.places.len()
    }

    /// The text of a span that begins `base` further on, and its byte; as much of it as there is.
    fn get(&self, base: usize, span: Span) -> Option<(usize, &'t str)> {
        let first = base.checked_add(span.from)?;
        let (from, _) = *self.places.get(first)?;
        let last = (first + span.width.max(1) - 1).min(self.places.len() - 1);
        let (_, to) = *self.places.get(last)?;
        let text = self.text.get(from..to)?;
        let bare = match self.quote {
            "" => text,
            quote => {
                text.trim().strip_prefix(quote).and_then(|text| text.strip_suffix(quote)).unwrap_or(text)
            }
        };
        Some((from, bare))
    }
}

/// Where the cell that begins at `at` ends; a separator between quotes is a part of it.
fn cell_end(text: &str, at: usize, separator: &str, quote: &str) -> usize {
    let cell = text.get(at..).unwrap_or_default();
    let blank = cell.len() - cell.trim_start_matches(' ').len();
    let quoted = !quote.is_empty() && cell[blank..].starts_with(quote);
    let behind = if quoted {
        let open = blank + quote.len();
        cell[open..].find(quote).map_or(0, |close| open + close + quote.len())
    } else {
        0
    };
    cell[behind..].find(separator).map_or(text.len(), |end| at + behind + end)
}
