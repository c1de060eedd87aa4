//! `[text]`, compiled: how a message of the vendor's own gives named texts.

use regex::Regex;

/// How a message is cut and read.
#[derive(Clone, Debug)]
pub(crate) struct TextRule {
    /// What stands between reports of one message.
    pub(crate) split: Option<Regex>,
    /// Texts of a whole report by name.
    pub(crate) fields: Vec<(String, Regex)>,
    /// Parts that are no results.
    pub(crate) skip: Vec<Regex>,
    pub(crate) way: TextWay,
}

#[derive(Clone, Debug)]
pub(crate) enum TextWay {
    /// One match of any of these a row.
    Rows(Vec<Regex>),
    Tagged(Tagged),
    /// The first whose pattern fits.
    Layouts(Vec<Layout>),
}

/// Fields that begin with a tag.
#[derive(Clone, Debug)]
pub(crate) struct Tagged {
    pub(crate) separator: String,
    /// May stand before a field.
    pub(crate) record: String,
    pub(crate) tag: Tag,
    /// Tags that begin a row, the outermost first; none: the message is one row.
    pub(crate) rows: Vec<String>,
    /// Each field is a row, but those of these tags.
    pub(crate) each_but: Option<Vec<String>>,
}

/// Where a tag ends.
#[derive(Clone, Debug)]
pub(crate) enum Tag {
    Length(usize),
    Before(String),
}

/// Texts by their place.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) pattern: Option<Regex>,
    /// What separates cells; without it characters are counted.
    pub(crate) separator: Option<String>,
    pub(crate) quote: String,
    pub(crate) fields: Vec<(String, Span)>,
    pub(crate) values: Vec<Value>,
    pub(crate) groups: Option<Groups>,
}

/// Characters or cells, the first one counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) width: usize,
}

/// A value at a fixed place.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) test: String,
    pub(crate) value: Span,
    pub(crate) flags: Option<Span>,
}

/// Groups of texts one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    pub(crate) from: usize,
    pub(crate) width: usize,
    pub(crate) fields: Vec<(String, Span)>,
}
