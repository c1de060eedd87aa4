//! Zero-copy delimited messages: scan, view, path, escape, character set; LIS02 records and HL7 v2 segments.
//!
//! One scanner serves both syntaxes. [`Index::scan`] notes where records and fields begin, copies
//! nothing, never fails and allocates nothing once the index has grown to the size of the messages
//! it sees. What looks wrong becomes a [`Finding`] with a position; the records around it are read
//! all the same. Repeats, components and subcomponents are cut when they are asked for, escape
//! sequences are decoded after the last cut, the character set after the escapes.
//!
//! ```
//! use labwire_message::{Index, Path, Syntax};
//!
//! let mut index = Index::new();
//! let view = index.scan(Syntax::Lis02, b"H|\\^&\rP|1\rO|1|S1\rR|1|^^^^WBC^1|8.13|10*3/uL\rL|1|N\r");
//! let test: Path = "R.3.5".parse()?;
//! let codes: Vec<_> = view.records().filter_map(|record| record.get(&test)).collect();
//! assert_eq!(codes, [b"WBC"]);
//! # Ok::<(), labwire_message::PathError>(())
//! ```

#![forbid(unsafe_code)]

pub mod build;
pub mod charset;
mod delimiters;
pub mod escape;
mod finding;
pub mod hl7;
pub mod lis02;
mod name;
mod parts;
mod path;
mod places;
mod run_together;
mod scan;
mod split;
mod view;

pub use charset::Charset;
pub use delimiters::Delimiters;
pub use finding::Finding;
pub use name::Name;
pub use parts::{Component, Field, Repeat};
pub use path::{Path, PathError};
pub use scan::{FINDINGS_MAX, Index, SCAN_BYTES_MAX, Syntax};
pub use split::{End, Message, Split};
pub use view::{Record, View};
