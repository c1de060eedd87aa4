//! TOML documents described by one key table: spanned reading, every problem at once, JSON Schema, reference pages.
