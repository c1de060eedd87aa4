//! Driver profiles: TOML to a compiled plan; message to canonical results.
