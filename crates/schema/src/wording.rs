//! What the TOML parser found, in words for someone who does not know TOML, at the place where it
//! is to be mended.

use core::ops::Range;

use crate::problem::Problem;
use crate::source::{Lines, Source};

/// Something that is no TOML.
pub(crate) struct Slip {
    /// What to say; nothing where it only follows from the slip before it.
    pub(crate) problem: Option<Problem>,
    /// The lines that cannot be read because of it.
    pub(crate) lines: Range<usize>,
}

/// The slip behind an error of the parser. `readable` is the source with earlier slips painted over,
/// which leaves its lines where they are, `follows` the last line that only followed from the one before it.
pub(crate) fn slip(
    source: &Source,
    readable: &Source,
    lines: &Lines,
    span: Range<usize>,
    message: &str,
    follows: Option<usize>,
) -> Slip {
    let text = &readable.text;
    let number = lines.number(span.start);
    let line = lines.range(number);
    let content = text[line.clone()].trim();
    let at = line.start + (text[line.clone()].len() - text[line.clone()].trim_start().len());

    if number > 1 && !starts_statement(content) && was_painted(source, readable, lines.range(number - 1)) {
        let before = source.text[lines.range(number - 1)].trim_end();
        if follows == Some(number - 1) || before.ends_with([',', '{', '[', ':']) {
            return Slip { problem: None, lines: line };
        }
    }
    if message.contains("multi-line") {
        return open_text(text, lines, span, if message.contains("literal") { "'''" } else { "\"\"\"" });
    }
    if let Some(slip) = open_bracket(text, lines, &span, message, number) {
        return slip;
    }
    if content.starts_with('[') && !content.contains('=') {
        let name = content.trim_start_matches('[').split([']', '#']).next().unwrap_or_default().trim();
        let brackets = if content.starts_with("[[") { ("[[", "]]") } else { ("[", "]") };
        let help = if name.is_empty() {
            "write the name of the table between the brackets".to_owned()
        } else {
            format!("write `{}{name}{}` on a line of its own", brackets.0, brackets.1)
        };
        let problem = Problem::error(at..line.end, "the table header is malformed").help(help);
        // Without its header the section would be taken for a part of the one before it.
        return Slip { problem: Some(problem), lines: line.start..next_header(text, lines, number) };
    }
    Slip { problem: Some(in_line(text, &line, span, message)), lines: line }
}

fn was_painted(source: &Source, readable: &Source, line: Range<usize>) -> bool {
    source.text.get(line.clone()) != readable.text.get(line)
}

/// Whether a line begins something: a header, or a key with its value.
fn starts_statement(content: &str) -> bool {
    if content.starts_with('[') {
        return content.trim_end().ends_with(']') && !content.contains(['"', '\'', ',']);
    }
    content.split_once('=').is_some_and(|(key, _)| {
        !key.trim().is_empty() && !key.trim().contains(|c: char| c.is_whitespace() || "{}[],:".contains(c))
    })
}

fn next_header(text: &str, lines: &Lines, after: usize) -> usize {
    (after + 1..=lines.count())
        .map(|number| lines.range(number))
        .find(|line| text[line.clone()].trim_start().starts_with('['))
        .map_or(text.len(), |line| line.start)
}

/// Text in three quotes that never ends: the last three quotes are those that opened it.
fn open_text(text: &str, lines: &Lines, span: Range<usize>, quotes: &str) -> Slip {
    let open = text[..span.start].rfind(quotes).unwrap_or(span.start);
    let line = lines.range(lines.number(open));
    Slip {
        problem: Some(
            Problem::error(open..(open + 3).min(text.len()), "the text that begins here never ends")
                .help(format!("close it with `{quotes}`")),
        ),
        lines: line,
    }
}

/// A list or inline table without its end, or without a comma between two of its lines. The parser
/// notices on a later line.
fn open_bracket(
    text: &str,
    lines: &Lines,
    span: &Range<usize>,
    message: &str,
    number: usize,
) -> Option<Slip> {
    let inside = ["array", "inline table", "key-value pairs"].iter().any(|word| message.contains(word));
    if !inside || message.contains("array table") {
        return None;
    }
    let (open, bracket) = last_open_bracket(&text[..span.start])?;
    let open_line = lines.number(open);
    if open_line == number && lines.range(number).end > span.start {
        return None;
    }
    let close = if bracket == '[' { ']' } else { '}' };
    let what = if bracket == '[' { "list" } else { "table" };
    let mut closing = number;
    let closed = loop {
        let line = lines.range(closing);
        let content = text[line.clone()].trim_start();
        if content.starts_with(close) {
            break Some(line.end);
        }
        let header = starts_statement(content) && content.starts_with('[');
        if closing >= lines.count() || header {
            break None;
        }
        closing += 1;
    };
    let from = lines.range(open_line).start;
    let before = text[..span.start].trim_end().len();
    Some(match closed {
        Some(end) if message.starts_with("missing comma") => Slip {
            problem: Some(
                Problem::error(before..before, "missing comma").help("put a comma between two entries"),
            ),
            lines: from..end,
        },
        Some(end) => Slip {
            problem: Some(
                Problem::error(span.clone(), format!("this does not belong in a {what}"))
                    .help(format!("close the {what} with `{close}`, or remove this")),
            ),
            lines: from..end,
        },
        None => {
            let end = if starts_statement(text[lines.range(number)].trim()) {
                lines.range(number).start
            } else {
                lines.range(number).end
            };
            Slip {
                problem: Some(
                    Problem::error(open..open + 1, format!("the {what} that begins here is not closed"))
                        .help(format!("close it with `{close}`")),
                ),
                lines: from..end,
            }
        }
    })
}

/// The last bracket that was opened and not closed, outside quotes and comments.
fn last_open_bracket(text: &str) -> Option<(usize, char)> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut comment = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == '\n' {
            (quote, comment, escaped) = (None, false, false);
            continue;
        }
        match quote {
            _ if comment => {}
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '#' => comment = true,
                '"' | '\'' => quote = Some(c),
                '[' | '{' => open.push((at, c)),
                ']' | '}' => {
                    open.pop();
                }
                _ => {}
            },
        }
    }
    open.pop()
}

/// A slip that is seen and mended in its own line.
fn in_line(text: &str, line: &Range<usize>, span: Range<usize>, message: &str) -> Problem {
    let content = &text[line.clone()];
    let hidden = |c: char| c.is_control() && c != '\t';
    if let Some((at, c)) = content.char_indices().find(|(_, c)| hidden(*c)) {
        let at = line.start + at;
        return Problem::error(at..at + c.len_utf8(), format!("control character U+{:04X}", u32::from(c)))
            .help("remove it; within double quotes it can be written as an escape sequence");
    }
    let start = line.end - content.trim_start().len();
    let key_end = content.find([':', '=', ' ']).map_or(line.end, |at| line.start + at);
    if message.starts_with("invalid basic string") || message.starts_with("invalid literal string") {
        let quote = if message.contains("basic") { '"' } else { '\'' };
        let open = text[..span.start].rfind(quote).filter(|at| *at >= line.start).unwrap_or(start);
        return Problem::error(open..span.end.max(open + 1), "the text that begins here never ends")
            .help(format!("close it with `{quote}`"));
    }
    if content.trim_start().starts_with('{') {
        return Problem::error(start..start + 1, "this is not TOML")
            .help("the file looks like JSON; write `[table]` headers and `key = value` lines");
    }
    if let Some(colon) =
        content.find(':').filter(|colon| content.find('=').is_none_or(|equals| equals > *colon))
    {
        let at = line.start + colon;
        return Problem::error(at..at + 1, "expected `=`, found `:`")
            .help(format!("write `{} = …`", content[..colon].trim()));
    }
    if message.starts_with("key with no value") {
        let key = &text[start..key_end.max(start)];
        let value = text[key_end.max(start)..line.end].trim();
        if !value.is_empty() {
            return Problem::error(
                start..line.start + content.trim_end().len(),
                "no `=` between key and value",
            )
            .help(format!("write `{key} = {value}`"));
        }
        return Problem::error(start..line.start + content.trim_end().len(), "a key without a value")
            .help(format!("write `{key} = …`"));
    }
    if let Some(value) = value_around(content, span.start - line.start) {
        let range = line.start + value.start..line.start + value.end;
        let written = &text[range.clone()];
        if written.is_empty() {
            return Problem::error(span, "a key without a value").help("write a value behind the `=`");
        }
        if let Some(next) = written.find('=') {
            let key = written[..next].trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1);
            return Problem::error(range.start + key..range.end, "two keys on one line")
                .help("begin a new line for each key");
        }
        if message.starts_with("string values must be quoted") || is_bare_text(written) {
            return bare_text(written, range);
        }
    }
    if message.starts_with("unquoted keys cannot be empty") {
        let end = line.start + content.trim_end().len();
        return Problem::error(start..end, "a value without a key").help("write `key = value`");
    }
    if message.starts_with("missing escaped value") {
        let at = span.start.saturating_sub(1).max(line.start);
        let end = text[span.start..line.end].chars().next().map_or(span.start, |c| span.start + c.len_utf8());
        return Problem::error(at..end, format!("`{}` is not an escape sequence", &text[at..end]))
            .help("write the backslash twice, or put the text in single quotes, where it means itself");
    }
    if message.starts_with("unexpected leading zero") {
        return Problem::error(span, "a number does not begin with zero")
            .help("leave the zero out, or write text in quotes");
    }
    if message.starts_with("unexpected key or value") {
        let end = line.start + content.trim_end().len();
        return Problem::error(span.start.min(end)..end, "nothing may follow the value on its line")
            .help("begin a new line, or `#` for a comment");
    }
    if message.starts_with("invalid unquoted key") {
        let key = text[span.clone()].trim();
        return Problem::error(span.clone(), format!("`{key}` cannot stand in a key without quotes"))
            .help("keys are of letters a to z, digits, `-` and `_`");
    }
    Problem::error(span, message.to_owned())
        .help("write `key = value`; see https://toml.io for what a value may be")
}

/// The unquoted value that a byte of a line stands in.
fn value_around(content: &str, at: usize) -> Option<Range<usize>> {
    let equals = content[..at.min(content.len())].rfind('=')?;
    let end = content[equals..].find(['#', ',', '}', ']']).map_or(content.len(), |end| equals + end);
    let value = &content[equals + 1..end];
    if value.contains(['"', '\'', '[', '{']) {
        return None;
    }
    let start = equals + 1 + (value.len() - value.trim_start().len());
    Some(start..start + value.trim().len())
}

fn is_bare_text(written: &str) -> bool {
    written.matches('.').count() > 1
        || written.contains([':', '/'])
        || written.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn bare_text(written: &str, range: Range<usize>) -> Problem {
    let lower = written.to_ascii_lowercase();
    if lower == "true" || lower == "false" {
        return Problem::error(range, format!("`{written}` must be in small letters"))
            .help(format!("write {lower}"));
    }
    if written.starts_with(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{ab}']) {
        let inner = written
            .trim_matches(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{ab}', '\u{bb}']);
        return Problem::error(range, "these are not the quotes of TOML").help(format!("write \"{inner}\""));
    }
    Problem::error(range, "text must be in quotes").help(format!("write \"{written}\""))
}
