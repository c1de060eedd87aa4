//! What the sender writes into its own books about a message.

use labwire_model::Kind;

/// A message that a simulated analyzer has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Counts from one.
    pub id: u64,
    /// A patient's specimen or quality control.
    pub kind: Kind,
    /// The specimen id, or the control's.
    pub specimen_id: String,
    /// H.3 or MSH-10; vendors' own text has none.
    pub control_id: String,
    /// Test code and value, as the decoded result must show them.
    pub values: Vec<(String, String)>,
    /// How often it was put on the line.
    pub attempts: u32,
}
