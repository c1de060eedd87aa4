//! Keys and tables that are given twice, shown with the first one.

use core::ops::Range;

use crate::problem::Problem;
use crate::source::{Lines, Source};

/// What is said about a key or table header that stands there for the second time, and where it
/// stood first.
pub(crate) fn key_again(source: &Source, lines: &Lines, span: Range<usize>, message: &str) -> Problem {
    let text = &source.text;
    let name = text[span.clone()].to_owned();
    let number = lines.number(span.start);
    let line = text[lines.range(number)].trim_start();
    let header = line.starts_with('[');
    let sections = sections(text, lines, number);
    let mut first = None;
    for earlier in (1..number).rev() {
        let range = lines.range(earlier);
        let content = text[range.clone()].trim_start();
        let at = range.end - content.len();
        if header {
            if content.starts_with('[') && header_name(content) == header_name(line) {
                let open = content.len() - content.trim_start_matches('[').len();
                first = Some((at + open..at + open + header_name(content).len(), content.starts_with("[[")));
            }
        } else if sections[earlier - 1] == sections[number - 1]
            && let Some(found) = same_key(content, line, &name)
        {
            first = Some((at + found..at + found + name.len(), false));
        }
    }
    let problem = if message.starts_with("cannot extend") {
        Problem::error(span, format!("`{name}` has a value already, so it cannot have keys of its own"))
            .help("give it either a value or keys")
    } else if header && first.as_ref().is_some_and(|(_, list)| *list != line.starts_with("[[")) {
        let name = header_name(line);
        Problem::error(span, format!("`{name}` is given once as `[{name}]` and once as `[[{name}]]`"))
            .help("write all of them the same way")
    } else if header {
        Problem::error(span, format!("the table `[{}]` is given twice", header_name(line)))
            .help("put its keys under one header")
    } else {
        Problem::error(span, format!("the key `{name}` is given twice")).help("remove one of them")
    };
    match first {
        Some((first, _)) => problem.related(first, "first given here"),
        None => problem,
    }
}

/// For each line the table that it stands in: the name in its header, and the header's line where
/// a list of tables gives each its own.
fn sections<'a>(text: &'a str, lines: &Lines, to: usize) -> Vec<(&'a str, usize)> {
    let mut section = ("", 0);
    (1..=to)
        .map(|number| {
            let content = text[lines.range(number)].trim_start();
            if content.starts_with('[') {
                section = (header_name(content), if content.starts_with("[[") { number } else { 0 });
            }
            section
        })
        .collect()
}

/// Where `name` stands in a line whose key is the one of `line`, or begins as it does.
fn same_key(content: &str, line: &str, name: &str) -> Option<usize> {
    let (key, _) = content.split_once('=')?;
    let (other, _) = line.split_once('=')?;
    let parts = |key: &str| key.split('.').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
    let (parts, other) = (parts(key), parts(other));
    let depth = other.iter().position(|part| part == name)?;
    (parts.len() > depth && parts[..=depth] == other[..=depth]).then(|| content.find(name))?
}

/// `site` of `[site]  # comment`, `connection` of `[[connection]]`.
fn header_name(line: &str) -> &str {
    let inner = line.trim_start_matches('[');
    inner.split(']').next().unwrap_or(inner).trim()
}
