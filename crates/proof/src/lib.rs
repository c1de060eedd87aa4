//! For tests only: what is asserted about all conversations, not about one.
//!
//! [`simulator`] lets a real analyzer machine and a real session talk over a line that is hurt, to a store
//! that fails, under a clock that jumps: one seed is one history, and the law *acknowledged is stored once*
//! is asked after every step.

#![forbid(unsafe_code)]

pub mod simulator;
