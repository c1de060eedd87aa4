//! One message of ours and the replies that it asks for.

use std::collections::VecDeque;

use labwire_message::hl7::{self, AckMode, Header, Outcome};
use labwire_message::{Index, Syntax};

/// A message on its way to the peer.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) message: Vec<u8>,
    /// MSH-10, which MSA-2 of a reply repeats.
    pub(super) control_id: Vec<u8>,
    /// A commit reply releases us from sending it again.
    pub(super) wants_commit: bool,
    /// An application reply tells what became of it.
    pub(super) wants_application: bool,
    /// How often it was written.
    pub(super) attempts: u32,
}

impl Item {
    /// `None` when the message has no MSH segment, or no MSH-10 that a reply could name.
    pub(super) fn new(id: u64, message: &[u8]) -> Option<Self> {
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, message);
        let msh = view.record(0)?;
        let header = Header::new(msh)?;
        let plan = hl7::ack_policy(&msh);
        Some(Self {
            id,
            message: message.to_vec(),
            control_id: Some(header.control_id()).filter(|id| !id.is_empty())?.to_vec(),
            wants_commit: plan.mode == AckMode::Enhanced && plan.accept_reply(Outcome::Success).is_some(),
            wants_application: plan.application_reply(Outcome::Success).is_some(),
            attempts: 0,
        })
    }
}

/// Messages in the order in which they go out; only the first is ever on the line.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Item>);

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, item: Item) {
        self.0.push_back(item);
    }

    pub(super) fn first(&self) -> Option<&Item> {
        self.0.front()
    }

    pub(super) fn first_mut(&mut self) -> Option<&mut Item> {
        self.0.front_mut()
    }

    pub(super) fn take_first(&mut self) -> Option<Item> {
        self.0.pop_front()
    }

    /// Takes a message out that is not the first, or is while nothing is on the line.
    pub(super) fn withdraw(&mut self, id: u64, first_is_busy: bool) -> bool {
        let from = usize::from(first_is_busy);
        let place = self.0.iter().skip(from).position(|item| item.id == id);
        place.is_some_and(|place| self.0.remove(place + from).is_some())
    }
}
