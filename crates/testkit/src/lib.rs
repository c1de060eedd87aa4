//! For tests only: virtual clock, hurtable wire, golden runner.
