//! Driver profiles: one TOML file per analyzer interface, compiled to a [`Plan`] that turns a
//! message into canonical observations.
//!
//! Invariants. Every `R` record, `OBX` segment and row of a text message is exactly one
//! [`Outcome`](labwire_model::Outcome). A value is what the analyzer sent, character for character.
//! What a profile does not say is held or reported, never guessed. No vendor and no model in code.

#![forbid(unsafe_code)]

mod acknowledge;
mod checks;
mod codes;
mod compile;
mod compose;
mod decode;
mod document;
mod filter;
mod identify;
mod keys;
mod library;
mod link;
mod place;
mod plan;
mod site_codes;
mod steps;
mod text;
mod ucum;
mod units;
mod version;

pub use acknowledge::{Acknowledge, NotStored, ReplyMode, Unnamed};
pub use compose::{Part, Recipe, TextGroups, TextLayout, TextShape};
pub use document::{json_schema, overview_markdown, reference_markdown};
pub use identify::{check_pattern, check_sender_path};
pub use library::{Compiled, Identified, Library, Report};
pub use link::{Dialect, LinkSettings};
pub use place::Place;
pub use plan::{Check, Context, Conversion, Plan, Protocol, Test, TestKind};
pub use units::common_ucum;

/// What [`Report`] and [`Library::compile_source`] speak of.
pub use labwire_schema::{Problem, Source};
