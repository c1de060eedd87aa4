//! One analyzer conversation: link machine, messages, driver plan and acknowledgement policy in,
//! effects out.
//!
//! Constraints:
//! - A function of (bytes, time, configuration): no socket, clock, file or random source.
//! - One unit (LIS01 frame, MLLP block, text) waits for its commit at a time; the link machine
//!   keeps what arrives behind it.
//! - The only calls that lead to a positive reply are [`Session::persisted`] and, for the good
//!   repeat of a frame that is durable already, the link machine's own recognition of it.
//! - A unit that was not persisted leaves no trace: the analyzer sends it again.
//! - A message whose reading meets a defect of ours is stored and acknowledged like any other, and held.

#![forbid(unsafe_code)]

mod acknowledge;
mod block;
mod effect;
mod exchange;
mod guard;
mod identity;
mod reception;
mod resume;
mod sequence;
mod session;
mod types;

pub use effect::{Effect, Frame, Incomplete, Message, Note, Persist, Resolution, Resolves, Token};
pub use exchange::{Exchange, ExchangeEvent, ExchangeInput, ExchangeNote, ExchangeSettings, Failure, Retry};
pub use identity::{Identity, WRONG_ANALYZER};
pub use reception::RecoveredFrame;
pub use sequence::sequence_number;
pub use session::{Input, MESSAGE_TOO_LONG, Now, Session, Settings};
