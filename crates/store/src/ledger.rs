//! Law 7 as arithmetic: every received result message and every observation in it is exactly one
//! thing, per connection and per sink.
//!
//! Three views that must agree: what was received (counted on receipt), where it stands (moved in
//! the transaction that changes it), and both computed again from the stored rows.

use std::collections::BTreeMap;

use crate::record::Tally;

/// Where things stand; the parts are disjoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Arrived at the sink, or nothing in it goes there.
    pub delivered: i64,
    /// Wait for the sink.
    pub pending: i64,
    /// Wait for a person.
    pub held: i64,
    /// Messages only: never completed, not settled. (Their observations are held.)
    pub incomplete: i64,
    /// Observations only: a named rule of the profile says that they are no results.
    pub ignored: i64,
    /// Received before, or superseded by the whole repetition.
    pub duplicate: i64,
    /// Discarded by a person.
    pub discarded: i64,
}

impl Standing {
    /// The parts by name, in the order of reports and of the columns.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, i64); 7] {
        [
            ("delivered", self.delivered),
            ("pending", self.pending),
            ("held", self.held),
            ("incomplete", self.incomplete),
            ("ignored", self.ignored),
            ("duplicate", self.duplicate),
            ("discarded", self.discarded),
        ]
    }

    /// Both added, part by part.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            pending: self.pending + other.pending,
            held: self.held + other.held,
            incomplete: self.incomplete + other.incomplete,
            ignored: self.ignored + other.ignored,
            duplicate: self.duplicate + other.duplicate,
            discarded: self.discarded + other.discarded,
        }
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> i64 {
        self.parts().iter().map(|(_, count)| count).sum()
    }
}

/// One side of the ledger: messages, or observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Counted on receipt.
    pub received: i64,
    /// Where they stand.
    pub standing: Standing,
}

/// The account of one connection with one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerLine {
    /// Connection.
    pub connection: String,
    /// Sink.
    pub sink: String,
    /// Result messages.
    pub messages: Account,
    /// Observations in them.
    pub observations: Account,
}

/// A place where two views of the ledger do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerDifference {
    /// Connection.
    pub connection: String,
    /// Sink.
    pub sink: String,
    /// `messages` or `observations`, and the part: `messages.held`, `observations.sum`.
    pub what: String,
    /// What the counter says; for a sum, what was received.
    pub counted: i64,
    /// What the rows say; for a sum, what the parts add up to.
    pub found: i64,
}

/// The ledger, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The counters, by connection and sink.
    pub lines: Vec<LedgerLine>,
    /// What is counted apart, by connection.
    pub tallies: BTreeMap<String, BTreeMap<Tally, i64>>,
    /// Where counters, rows and sums disagree. Empty when it balances.
    pub differences: Vec<LedgerDifference>,
}

impl Ledger {
    /// Whether every sum and every counter agrees.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.differences.is_empty()
    }
}
