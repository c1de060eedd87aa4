//! What a connection is asked to be, and what that asks of a conversation that is under way.

use core::time::Duration;
use std::sync::Arc;

use super::{ConnectionSettings, Limits};

/// What is wanted of a connection. Those who serve it watch for changes.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) settings: Arc<ConnectionSettings>,
    pub(crate) limits: Limits,
    /// No session begins.
    pub(crate) paused: bool,
    /// Counts those who were made to serve the connection; each but the latest comes to its end.
    pub(crate) epoch: u64,
    /// How often the transports were to be closed and opened anew.
    pub(crate) restarts: u64,
    /// The connection or the daemon ends.
    pub(crate) stop: bool,
}

/// What the orders ask of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To go on.
    Stay,
    /// To go on with other settings, once nothing is under way.
    Renew,
    /// To end, once nothing is under way; with the reason.
    Leave(&'static str),
}

/// Why a transport is closed that a changed configuration has no use for.
pub(super) const CHANGED: &str = "reload";
/// Why a transport is closed whose connection is to be opened anew.
pub(super) const RESTARTED: &str = "restart";
/// Why a transport is closed whose dialect cannot refuse a message before it is sent.
pub(super) const PAUSED: &str = "paused";
/// Why a transport is closed at the end.
pub(super) const STOPPED: &str = "stop";

impl Orders {
    /// What these orders ask of a conversation that follows `followed`.
    pub(super) fn asked_of(&self, followed: &Self) -> Asked {
        if self.stop {
            Asked::Leave(STOPPED)
        } else if self.restarts != followed.restarts {
            Asked::Leave(RESTARTED)
        } else if self.epoch != followed.epoch || !self.settings.may_replace(&followed.settings) {
            Asked::Leave(CHANGED)
        } else if self.turns_away() {
            Asked::Leave(PAUSED)
        } else if Arc::ptr_eq(&self.settings, &followed.settings) {
            Asked::Stay
        } else {
            Asked::Renew
        }
    }

    /// Whether nobody is served at all. A dialect with bids has a way of its own to say "later".
    pub(super) fn turns_away(&self) -> bool {
        self.paused && !self.settings.plan.link.has_bids()
    }
}

impl ConnectionSettings {
    /// Whether a transport that was opened under `old` can be served under these settings.
    fn may_replace(&self, old: &Self) -> bool {
        self.plan.protocol == old.plan.protocol && self.plan.link.dialect == old.plan.link.dialect
    }
}

/// A conversation that ends or changes as soon as nothing is under way in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub(super) asked: Asked,
    /// When what is under way is cut off.
    pub(super) end: tokio::time::Instant,
}

impl Drain {
    /// What the orders ask for; the time that a drain under way has left stays what it was.
    pub(super) fn of(asked: Asked, under_way: Option<Self>, timeout: Duration) -> Option<Self> {
        let end = under_way.map_or_else(|| tokio::time::Instant::now() + timeout, |drain| drain.end);
        (asked != Asked::Stay).then_some(Self { asked, end })
    }
}
