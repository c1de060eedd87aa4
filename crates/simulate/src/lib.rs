//! An analyzer's side of the wire, made from its driver profile: believable results and controls, the
//! analyzer's manners on the line, and on demand the faults that real lines have.
//!
//! [`Simulator`] is a machine like those of `labwire-link`: bytes and time go in, bytes and events come
//! out; it has no socket, no clock and no chance but its seed. It keeps the *sender's* books:
//! [`Event::Acknowledged`] names every message whose last acknowledgement this side has seen, which is
//! what a laboratory believes to be in its LIS. A message without it is sent again, whole and unchanged.

#![forbid(unsafe_code)]

mod compose;
mod face;
mod faults;
mod message;
mod sample;
mod seed;
mod simulator;
mod tests_pool;
mod text;
mod values;

pub use compose::Unsuitable;
pub use face::{Event, Input, Settings, Step};
pub use faults::{Fault, Faults};
pub use message::Message;
pub use simulator::Simulator;
