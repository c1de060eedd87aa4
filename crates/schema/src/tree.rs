//! A TOML document with the place of everything in it.

use core::ops::Range;
use core::time::Duration;

use crate::duration::parse_duration;

/// What a file says. Where the file has mistakes, what could not be read is left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The document: always a table.
    pub root: Node,
    /// Whether the whole file could be read as TOML. If not, a key that is not in the tree may be
    /// in the file all the same.
    pub whole: bool,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its bytes in the source. For a `[table]` this is its header.
    pub span: Range<usize>,
    /// Which source it came from, where several are laid over each other; 0 for a single file.
    pub origin: usize,
}

/// A TOML value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, escapes decoded.
    Text(String),
    /// A whole number that fits.
    Integer(i64),
    /// A whole number that does not fit, as written.
    HugeInteger(String),
    /// A number with a fraction, as written.
    Float(String),
    /// `true` or `false`.
    Bool(bool),
    /// A date or time, as written.
    Time(String),
    /// A list.
    List(Vec<Node>),
    /// A table, its entries in the order of the source.
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, decoded.
    pub key: String,
    /// Its bytes in the source.
    pub key_span: Range<usize>,
    /// Its value.
    pub node: Node,
}

impl Value {
    /// The TOML type with its article, as it is said in messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) | Self::HugeInteger(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Bool(_) => "true or false",
            Self::Time(_) => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The entries, of a table; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; a single value is a list of one.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => core::slice::from_ref(self),
        }
    }

    /// The entry of this key. Dots lead into tables: `entry("tcp.listen")`.
    #[must_use]
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        if let Some(entry) = self.entries().iter().find(|entry| entry.key == path) {
            return Some(entry);
        }
        let (first, rest) = path.split_once('.')?;
        self.entries().iter().find(|entry| entry.key == first)?.node.entry(rest)
    }

    /// The value of this key. Dots lead into tables.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Self> {
        self.entry(path).map(|entry| &entry.node)
    }

    /// The text of this node itself.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number of this node itself.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The truth value of this node itself.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// Whether this node is a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.value, Value::Table(_))
    }

    /// The text at a key.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.get(path)?.as_text()
    }

    /// The whole number at a key.
    #[must_use]
    pub fn integer(&self, path: &str) -> Option<i64> {
        self.get(path)?.as_integer()
    }

    /// The truth value at a key.
    #[must_use]
    pub fn bool(&self, path: &str) -> Option<bool> {
        self.get(path)?.as_bool()
    }

    /// The length of time at a key.
    #[must_use]
    pub fn duration(&self, path: &str) -> Option<Duration> {
        parse_duration(self.text(path)?).ok()
    }

    /// The items at a key: those of a list, or a single value as a list of one; none without it.
    #[must_use]
    pub fn list(&self, path: &str) -> &[Self] {
        self.get(path).map_or(&[], Self::items)
    }

    /// The texts at a key.
    pub fn texts(&self, path: &str) -> impl Iterator<Item = &str> {
        self.list(path).iter().filter_map(Self::as_text)
    }

    /// The table at a key.
    #[must_use]
    pub fn table(&self, path: &str) -> Option<&Self> {
        self.get(path).filter(|node| node.is_table())
    }

    /// Where the value of a key stands; the place of this node where the key is missing.
    #[must_use]
    pub fn span_of(&self, path: &str) -> Range<usize> {
        self.get(path).map_or_else(|| self.span.clone(), |node| node.span.clone())
    }

    fn set_origin(&mut self, origin: usize) {
        self.origin = origin;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.set_origin(origin)),
            Value::Table(entries) => entries.iter_mut().for_each(|entry| entry.node.set_origin(origin)),
            _ => {}
        }
    }

    fn lay_over(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Table(base), Value::Table(entries)) => {
                for entry in entries {
                    match base.iter_mut().find(|old| old.key == entry.key) {
                        Some(old) if old.node.is_table() && entry.node.is_table() => {
                            old.node.lay_over(entry.node);
                        }
                        Some(old) => *old = entry,
                        None => base.push(entry),
                    }
                }
            }
            (_, value) => *self = Self { value, ..over },
        }
    }
}

impl Tree {
    /// Marks every node as coming from this source.
    #[must_use]
    pub fn with_origin(mut self, origin: usize) -> Self {
        self.root.set_origin(origin);
        self
    }

    /// Lays another document over this one, key by key: tables are merged, any other value
    /// (lists too) takes the place of the one below.
    #[must_use]
    pub fn overlaid(mut self, over: Self) -> Self {
        self.whole &= over.whole;
        self.root.lay_over(over.root);
        self
    }
}
