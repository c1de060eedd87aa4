//! Problems as a person reads them: message, place, the line itself, a caret, what to do.

use core::fmt::Write as _;
use core::ops::Range;
use std::collections::BTreeMap;

use crate::problem::{Problem, Severity};
use crate::source::{Lines, Position, Source};
use crate::width::{visible, width};

const TAB_COLUMNS: usize = 4;
/// Of a longer line only the part around the mark is shown.
const LINE_COLUMNS_MAX: usize = 120;
/// Of a longer span only the first and the last line are shown.
const SPAN_LINES_MAX: usize = 5;
/// More problems than this are counted and not shown.
const SHOWN_MAX: usize = 200;

/// All problems of a source, sorted by place, and at the end how many there are; nothing if there
/// are none.
#[must_use]
pub fn render(source: &Source, problems: &[Problem]) -> String {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    // Stable: of two problems at one place the one that was found first stays first.
    sorted.sort_by_key(|problem| (problem.span.start, problem.span.end, problem.severity));
    let concealed: Vec<&Range<usize>> =
        sorted.iter().filter_map(|problem| problem.concealed.as_ref()).collect();
    let lines = Lines::of(&source.text);
    let mut out = String::new();
    for problem in sorted.iter().take(SHOWN_MAX) {
        one(&mut out, source, &lines, problem, &concealed);
        out.push('\n');
    }
    if !sorted.is_empty() {
        let errors = sorted.iter().filter(|problem| problem.is_error()).count();
        let counts = [(errors, "error"), (sorted.len() - errors, "warning")];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        let rest = if sorted.len() > SHOWN_MAX {
            format!("; the first {SHOWN_MAX} are shown")
        } else {
            String::new()
        };
        let _ = writeln!(out, "{}: {}{rest}", source.name, counts.join(", "));
    }
    out
}

/// What is drawn under one line.
struct Mark {
    columns: Range<usize>,
    sign: char,
    label: String,
}

fn one(out: &mut String, source: &Source, places: &Lines, problem: &Problem, concealed: &[&Range<usize>]) {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut lines: BTreeMap<usize, Vec<Mark>> = BTreeMap::new();
    mark(&mut lines, source, places, &problem.span, '^', "");
    for related in &problem.related {
        mark(&mut lines, source, places, &related.span, '-', &related.label);
    }
    let gutter = lines.keys().last().map_or(1, |line| line.to_string().len());
    let Position { line, column } = places.position(&source.text, problem.span.start);
    let _ = writeln!(out, "{severity}: {}", shown(&problem.message));
    let _ = writeln!(out, "{:gutter$}--> {}:{line}:{column}", "", source.name);
    let _ = writeln!(out, "{:gutter$} |", "");
    let mut last = None;
    for (number, marks) in &lines {
        if last.is_some_and(|last| last + 1 < *number) {
            let _ = writeln!(out, "...");
        }
        last = Some(*number);
        let range = places.range(*number);
        let (shown, cut) = window(&expand(source, range, concealed), marks);
        let _ = writeln!(out, "{}", format!("{number:gutter$} | {shown}").trim_end());
        for mark in marks {
            let start = mark.columns.start.saturating_sub(cut);
            let signs: String = core::iter::repeat_n(mark.sign, mark.columns.len().max(1)).collect();
            let label = if mark.label.is_empty() { String::new() } else { format!(" {}", mark.label) };
            let _ = writeln!(out, "{:gutter$} | {:start$}{signs}{label}", "", "");
        }
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "{:gutter$} |", "");
        let mut help = help.lines();
        let _ = writeln!(out, "{:gutter$} = help: {}", "", shown(help.next().unwrap_or_default()));
        for more in help {
            let _ = writeln!(out, "{:gutter$}         {}", "", shown(more));
        }
    }
}

/// Messages may quote the file, and the file may hold anything.
fn shown(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Notes what is to be drawn for a span, line by line.
fn mark(
    lines: &mut BTreeMap<usize, Vec<Mark>>,
    source: &Source,
    places: &Lines,
    span: &Range<usize>,
    sign: char,
    label: &str,
) {
    let first = places.number(span.start);
    // A span that ends with its line does not reach into the next one.
    let end = span.end.max(span.start);
    let last = places.number(if end > span.start { end - 1 } else { end });
    for number in first..=last {
        if last - first >= SPAN_LINES_MAX && number != first && number != last {
            continue;
        }
        let range = places.range(number);
        let text = &source.text[range.clone()];
        let indent = text.len() - text.trim_start().len();
        let from = if number == first { span.start.max(range.start) } else { range.start + indent };
        let to = if number == last { end.min(range.end) } else { range.end };
        let columns = columns_before(text, from.saturating_sub(range.start))
            ..columns_before(text, to.max(from).saturating_sub(range.start));
        let label = if number == last { label.to_owned() } else { String::new() };
        lines.entry(number).or_default().push(Mark { columns, sign, label });
    }
}

/// Columns that the part of a line before a byte takes on the screen.
fn columns_before(line: &str, byte: usize) -> usize {
    let mut columns = 0;
    for (at, c) in line.char_indices() {
        if at >= byte {
            break;
        }
        columns += if c == '\t' { TAB_COLUMNS - columns % TAB_COLUMNS } else { width(c) };
    }
    columns
}

/// The line as characters with their columns, tabs as blanks.
fn expand(source: &Source, line: Range<usize>, concealed: &[&Range<usize>]) -> Vec<(char, usize)> {
    let mut cells = Vec::new();
    let mut columns = 0;
    for (at, c) in source.text[line.clone()].char_indices() {
        let at = line.start + at;
        if concealed.iter().any(|secret| secret.contains(&at)) {
            cells.extend(core::iter::repeat_n(('*', 1), width(c)));
            columns += width(c);
        } else if c == '\t' {
            let wide = TAB_COLUMNS - columns % TAB_COLUMNS;
            cells.extend(core::iter::repeat_n((' ', 1), wide));
            columns += wide;
        } else if c != '\u{feff}' {
            cells.push((visible(c), width(c)));
            columns += width(c);
        }
    }
    cells
}

/// The part of a line that is shown, and how many columns the marks move to the left for it.
fn window(cells: &[(char, usize)], marks: &[Mark]) -> (String, usize) {
    let all: usize = cells.iter().map(|(_, wide)| wide).sum();
    let first = marks.iter().map(|mark| mark.columns.start).min().unwrap_or(0);
    if all <= LINE_COLUMNS_MAX {
        return (cells.iter().map(|(c, _)| *c).collect(), 0);
    }
    let from = first.saturating_sub(LINE_COLUMNS_MAX / 3);
    let mut shown = String::new();
    let mut columns = 0;
    let mut start = None;
    for (c, wide) in cells {
        if columns >= from && columns < from + LINE_COLUMNS_MAX {
            start.get_or_insert(columns);
            shown.push(*c);
        }
        columns += wide;
    }
    let start = start.unwrap_or(0);
    // The sign for what is left out takes one column itself.
    let (shown, cut) = if start > 0 { (format!("…{shown}"), start - 1) } else { (shown, 0) };
    (if all > from + LINE_COLUMNS_MAX { format!("{shown}…") } else { shown }, cut)
}
