//! The sending side: blocks written at once in release 1, one block after another in release 2.

use core::time::Duration;
use std::collections::VecDeque;

use crate::control::{ACK, CR, FS, NAK, VT};
use crate::output::Output;
use crate::{Event, FaultKind, MllpSettings, Reply, SendFailure};

use super::settings::Release;

/// Writes the content of a block with its framing. The last segment ends with CR, as the block
/// format wants it.
fn frame(transmit: &mut Vec<u8>, content: &[u8]) {
    transmit.reserve(content.len() + 4);
    transmit.push(VT);
    transmit.extend_from_slice(content);
    if content.last() != Some(&CR) {
        transmit.push(CR);
    }
    transmit.extend_from_slice(&[FS, CR]);
}

/// Writes the reply of release 2 to a block of the other side.
pub(super) fn reply(output: &mut Output, stored: bool) {
    output.transmit.extend_from_slice(&[VT, if stored { ACK } else { NAK }, FS, CR]);
}

/// Messages of ours; in release 2 the first of them is on the line until its reply comes.
#[derive(Default)]
pub(super) struct Sender {
    queue: VecDeque<(u64, Vec<u8>)>,
    /// How often the first message was written.
    attempts: u8,
    deadline: Option<Duration>,
}

impl Sender {
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    pub(super) fn send(
        &mut self,
        settings: &MllpSettings,
        now: Duration,
        (id, message): (u64, &[u8]),
        output: &mut Output,
    ) {
        let is_full = settings.release == Release::Two && self.queue.len() > settings.send_queue_max;
        let room = if is_full { Err(SendFailure::QueueFull) } else { Ok(()) };
        let admitted = admit(settings, message).and(room);
        match (admitted, settings.release) {
            (Err(reason), _) => output.event(Event::SendFailed { id, reason }),
            (Ok(()), Release::One) => {
                frame(&mut output.transmit, message);
                output.event(Event::Sent { id });
            }
            (Ok(()), Release::Two) => {
                self.queue.push_back((id, message.to_vec()));
                if self.queue.len() == 1 {
                    self.write(settings, now, output);
                }
            }
        }
    }

    /// Forgets a message that is not on the line yet.
    pub(super) fn withdraw(&mut self, id: u64, output: &mut Output) {
        let waiting = self.queue.iter().skip(1).position(|(waiting, _)| *waiting == id);
        if let Some(place) = waiting {
            self.queue.remove(place + 1);
            output.event(Event::SendFailed { id, reason: SendFailure::Withdrawn });
        }
    }

    /// Takes the reply to the block on the line; `false` when there is none that waits for it.
    pub(super) fn replied(
        &mut self,
        settings: &MllpSettings,
        now: Duration,
        (at, stored): (u64, bool),
        output: &mut Output,
    ) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        if stored {
            self.conclude(settings, now, None, output);
        } else {
            output.fault(FaultKind::FrameRefused { attempt: self.attempts }, at, Reply::None);
            self.repeat(settings, now, SendFailure::Refused, output);
        }
        true
    }

    /// The block on the line was not answered in time.
    pub(super) fn expire(&mut self, settings: &MllpSettings, now: Duration, at: u64, output: &mut Output) {
        if self.deadline.take_if(|deadline| *deadline <= now).is_some() {
            output.fault(FaultKind::FrameUnanswered, at, Reply::None);
            self.repeat(settings, now, SendFailure::Unanswered, output);
        }
    }

    /// Gives every message back: the line is gone.
    pub(super) fn abandon(&mut self, output: &mut Output) {
        for (id, _) in self.queue.drain(..) {
            output.event(Event::SendFailed { id, reason: SendFailure::ConnectionLost });
        }
        *self = Self::default();
    }

    fn repeat(&mut self, settings: &MllpSettings, now: Duration, reason: SendFailure, output: &mut Output) {
        if self.attempts > settings.commit_retries_max {
            self.conclude(settings, now, Some(reason), output);
        } else {
            self.write(settings, now, output);
        }
    }

    fn conclude(
        &mut self,
        settings: &MllpSettings,
        now: Duration,
        failure: Option<SendFailure>,
        output: &mut Output,
    ) {
        self.attempts = 0;
        self.deadline = None;
        if let Some((id, _)) = self.queue.pop_front() {
            output.event(match failure {
                None => Event::Sent { id },
                Some(reason) => Event::SendFailed { id, reason },
            });
        }
        self.write(settings, now, output);
    }

    fn write(&mut self, settings: &MllpSettings, now: Duration, output: &mut Output) {
        if let Some((_, message)) = self.queue.front() {
            frame(&mut output.transmit, message);
            self.attempts += 1;
            self.deadline = Some(now + settings.commit_timeout);
        }
    }
}

/// Whether a message can go into a block at all.
fn admit(settings: &MllpSettings, message: &[u8]) -> Result<(), SendFailure> {
    if message.is_empty() {
        return Err(SendFailure::Empty);
    }
    if message.len() > settings.block_bytes_max {
        return Err(SendFailure::TooLong);
    }
    match message.iter().position(|byte| matches!(*byte, VT | FS)) {
        Some(at) => Err(SendFailure::RestrictedByte { byte: message[at], at }),
        None => Ok(()),
    }
}
