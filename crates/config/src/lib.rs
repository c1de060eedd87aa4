//! The site file: TOML to a validated configuration.
