//! The key table: which keys a document has, what their values look like and what they mean.

use core::ops::Range;
use core::time::Duration;

/// A TOML table (or a whole document): its keys.
#[derive(Debug)]
pub struct Table {
    /// Names the table in messages and in the JSON Schema; unique within a document.
    pub name: &'static str,
    /// What the table is for, in whole sentences.
    pub doc: &'static str,
    /// Its keys, in the order in which a reader should meet them.
    pub keys: &'static [Key],
    /// Words that are no keys but that people write, and what to say to them.
    pub hints: &'static [(&'static str, &'static str)],
}

/// One key of a [`Table`].
#[derive(Debug)]
pub struct Key {
    /// The key as written.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether the table is wrong without it.
    pub required: bool,
    /// What holds without it, as it would be written in the file, or in words.
    pub default: Option<&'static str>,
    /// A value as it would be written in the file; offered when the key is missing.
    pub example: Option<&'static str>,
    /// What it means, in whole sentences.
    pub doc: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any text but the empty one.
    Text,
    /// Any text.
    TextOrEmpty,
    /// Text that a function judges: a path, a regular expression, an address.
    Checked(&'static Checked),
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// A whole number, both bounds included.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// One of a few whole numbers.
    IntegerOneOf(&'static [i64]),
    /// `true` or `false`.
    Bool,
    /// A length of time as text: `"15s"`, `"1h 30m"`. Both bounds included.
    Duration {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A table with known keys.
    Table(&'static Table),
    /// A table whose keys are free.
    MapOf {
        /// What a key must look like; any but the empty one without it.
        key: Option<&'static Checked>,
        /// What every value looks like.
        value: &'static Self,
    },
    /// A list. A list of tables is written `[[name]]` or `[{ … }, { … }]`.
    ListOf(&'static Self),
    /// Any of these; which one is told by the TOML type, so no two may have the same.
    Either(&'static [Self]),
}

/// Text that a function judges.
#[derive(Clone, Copy)]
pub struct Checked {
    /// With its article: `a field path such as "R.3.5"`.
    pub noun: &'static str,
    /// What is wrong with it.
    pub check: fn(&str) -> Result<(), Mistake>,
}

impl core::fmt::Debug for Checked {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Checked").field("noun", &self.noun).finish_non_exhaustive()
    }
}

/// What is wrong with a text, said by a [`Checked`] function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong: a fragment that starts with a small letter.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The bytes of the text that are wrong, where it is not all of it.
    pub at: Option<Range<usize>>,
    /// Whether those bytes are a secret, which no message may repeat.
    pub secret: bool,
}

impl Mistake {
    /// A mistake about the whole text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, at: None, secret: false }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Narrows it to some bytes of the text.
    #[must_use]
    pub fn at(mut self, at: Range<usize>) -> Self {
        self.at = Some(at);
        self
    }

    /// Narrows it to some bytes of the text that no message may repeat.
    #[must_use]
    pub fn secret(self, at: Range<usize>) -> Self {
        Self { at: Some(at), secret: true, ..self }
    }
}

impl Table {
    /// A table with these keys.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static str, keys: &'static [Key]) -> Self {
        Self { name, doc, keys, hints: &[] }
    }

    /// Adds words that are no keys but that people write, and what to say to them.
    #[must_use]
    pub const fn hints(self, hints: &'static [(&'static str, &'static str)]) -> Self {
        Self { hints, ..self }
    }

    /// The key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    /// A key that must be there.
    #[must_use]
    pub const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: true, default: None, example: None, doc }
    }

    /// A key that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: false, default: None, example: None, doc }
    }

    /// Says what holds without the key, as it would be written.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Adds a value to offer when the key is missing, as it would be written.
    #[must_use]
    pub const fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }
}

impl Shape {
    /// Any length of time but none at all.
    pub const DURATION: Self = Self::Duration { min: Duration::from_millis(1), max: Duration::MAX };

    /// A list of tables with known keys.
    #[must_use]
    pub fn as_table_list(&self) -> Option<&'static Table> {
        match self {
            Self::ListOf(Self::Table(table)) => Some(table),
            _ => None,
        }
    }
}
