//! LIS01-A2 / E1381: framed, numbered, checksummed records over a half-duplex line.

mod frame;
mod settings;

use core::time::Duration;

pub use frame::{frame_checksum, write_frame};
pub use settings::{Capability, InterruptPolicy, Lis01Settings, Packing, Role};

use crate::{Event, Input, Machine};

/// What the line is used for right now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineState {
    /// Nobody has the line.
    Neutral,
    /// Our bid waits for its answer.
    Bidding,
    /// Our frame waits for its reply.
    Sending,
    /// The other side sends.
    Receiving,
    /// The stream was given up.
    Halted,
}

/// Receiver and sender of one LIS01 line.
#[derive(Debug)]
pub struct Lis01 {
    settings: Lis01Settings,
}

impl Lis01 {
    /// A machine on a neutral line.
    pub fn new(settings: Lis01Settings) -> Self {
        Self { settings }
    }

    /// What the line is used for right now.
    pub fn line_state(&self) -> LineState {
        LineState::Neutral
    }
}

impl Machine for Lis01 {
    fn handle(&mut self, _now: Duration, _input: Input<'_>) {}
    fn poll_transmit(&mut self, _out: &mut Vec<u8>) -> bool {
        false
    }
    fn poll_event(&mut self) -> Option<Event> {
        None
    }
    fn poll_deadline(&self) -> Option<Duration> {
        None
    }
    fn accepts_input(&self) -> bool {
        self.settings.attempts > 0
    }
}
