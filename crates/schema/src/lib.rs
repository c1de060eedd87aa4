//! TOML documents described by one key table.
//!
//! A document type is a `static` [`Table`] of [`Key`]s, each with its [`Shape`] and one sentence of
//! documentation. Everything else follows from that table, so that it cannot disagree with it:
//! [`read()`] finds every problem of a file at once, [`render()`] shows them with line and caret,
//! [`json_schema`] is what editors complete from, [`reference_markdown`] is the page for people.

#![forbid(unsafe_code)]

mod duration;
mod json;
mod problem;
mod read;
mod reference;
mod render;
mod source;
mod suggest;
mod syntax;
mod table;
mod tree;
mod twice;
mod width;
mod wording;

pub use duration::{format_duration, parse_duration};
pub use json::json_schema;
pub use problem::{Problem, Related, Severity, has_errors};
pub use read::{check_table, missing, read, read_overlay};
pub use reference::reference_markdown;
pub use render::render;
pub use source::{Position, Source};
pub use suggest::suggest;
pub use table::{Checked, Key, Mistake, Shape, Table};
pub use tree::{Entry, Node, Tree, Value};
