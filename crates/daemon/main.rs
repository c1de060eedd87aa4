//! The `labwire` binary.

fn main() {}
