//! What is generated from the key table: the JSON Schema for editors, the reference for people.

use serde_json::Value;

use crate::keys::PROFILE;

/// The JSON Schema of a profile, `drivers/schema.json`.
#[must_use]
pub fn json_schema() -> Value {
    labwire_schema::json_schema(&PROFILE, "Labwire driver profile")
}

/// Every key of a profile, the second part of `drivers/README.md`.
#[must_use]
pub fn reference_markdown() -> String {
    labwire_schema::reference_markdown(&PROFILE)
}
