//! A text file as the user named it, and positions in it.

use core::ops::Range;

/// A file to be read: what it is called in messages, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it; shown in every message.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A place in a text as people count: from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1. A tab is one character.
    pub column: usize,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

impl Source {
    /// A source of text that is already known to be text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// A source of a file's bytes. What is not UTF-8 is replaced by U+FFFD, which reading the source
    /// reports, so that the rest of the file is checked all the same.
    pub fn decode(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(name, String::from_utf8_lossy(bytes))
    }

    /// Line and column of a byte offset. An offset behind the text, or inside a character, counts
    /// as the nearest place before it.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        Lines::of(&self.text).position(&self.text, offset)
    }

    /// Where something may be added at the end: an empty range behind the last visible character.
    #[must_use]
    pub fn end(&self) -> Range<usize> {
        let end = self.text.trim_end().len();
        end..end
    }
}

/// Where the lines of a text are.
pub(crate) struct Lines {
    /// Each without its line ending.
    ranges: Vec<Range<usize>>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let mut start = 0;
        let ranges = text
            .split('\n')
            .map(|line| {
                let range = start..start + line.trim_end_matches('\r').len();
                start += line.len() + 1;
                range
            })
            .collect();
        Self { ranges }
    }

    /// How many there are; at least one.
    pub(crate) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// The line, from 1, that a byte stands in. A line ending belongs to its line.
    pub(crate) fn number(&self, offset: usize) -> usize {
        self.ranges.partition_point(|range| range.start <= offset).max(1)
    }

    /// The bytes of a line, from 1, without its ending.
    pub(crate) fn range(&self, number: usize) -> Range<usize> {
        self.ranges.get(number - 1).or(self.ranges.last()).cloned().unwrap_or_default()
    }

    pub(crate) fn position(&self, text: &str, offset: usize) -> Position {
        let offset = floor_boundary(text, offset);
        let line = self.number(offset);
        let before = &text[self.range(line).start..offset];
        Position { line, column: before.chars().filter(|c| *c != BYTE_ORDER_MARK).count() + 1 }
    }
}

/// The nearest character boundary at or before `offset`.
pub(crate) fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
