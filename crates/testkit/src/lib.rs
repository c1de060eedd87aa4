//! For tests only: virtual clock, hurtable wire, golden runner, certificates.
//!
//! A [`Pair`] joins two real machines by a [`Wire`] that can be slow, cut bytes into any chunks,
//! lose, flip or damage them, and break. Time is a number that jumps to the next thing that
//! happens, so a test over hours takes milliseconds and runs the same every time.

#![forbid(unsafe_code)]

mod bench;
pub mod certificates;
pub mod golden;
mod names;
mod pair;
mod peer;
mod seed;
mod terminal_server;
mod wire;

pub use bench::{Bench, Judge};
pub use names::{control_names, from_control_names};
pub use pair::{Pair, Quiet, Side};
pub use peer::{LinkPeer, Peer, Unit, Verdicts};
pub use seed::Seed;
pub use terminal_server::{Manners, SerialSide, TerminalServer};
pub use wire::{Chunks, Hurt, Wire};
