//! HL7 v2: the header's fields, messages in a file, acknowledgements.

mod acknowledge;
mod batch;
mod embedded;
mod header;
mod messages;
mod policy;
mod reply;

pub use acknowledge::{AckCode, AckError, AckFields, AckType, Location, Severity, acknowledge};
pub use batch::{acknowledge_batch, batch_as_message};
pub use embedded::{EmbeddedError, embedded_data};
pub use header::{Header, Version};
pub use messages::messages;
pub use policy::{AckMode, AckPlan, Outcome, When, ack_policy};
pub use reply::{OrderState, Reply, order_states};
