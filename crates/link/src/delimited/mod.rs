//! Text between two markers, with or without replies, check and handshake.

mod settings;

use core::time::Duration;

pub use settings::{Check, DelimitedSettings, TextReply};

use crate::{Event, Input, Machine};

/// Receiver and sender of one line of delimited texts.
#[derive(Debug)]
pub struct Delimited {
    settings: DelimitedSettings,
}

impl Delimited {
    /// A machine that waits for the first text.
    pub fn new(settings: DelimitedSettings) -> Self {
        Self { settings }
    }
}

impl Machine for Delimited {
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
        !self.settings.handshake
    }
}
