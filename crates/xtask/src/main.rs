//! Set-up, checks, tests and campaigns of the project.

fn main() {}
