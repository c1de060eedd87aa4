//! What can be seen of a connection at this moment, for the commands that ask.
//!
//! Counts and codes since the daemon started; no content. Every map's keys come from a closed list or
//! are as many as there are transports.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use labwire_store::Stamp;
use serde_json::{Value, json};

/// Something that happened on a connection.
#[derive(Debug)]
pub(crate) enum Fact {
    /// It waits for analyzers that dial in.
    Listening,
    /// It dials, or opens its port.
    Opening,
    /// It could not.
    Failed { error: String, attempt: u32, pause: Duration },
    /// It is not served any more.
    Gone,
    /// Bytes arrived.
    Bytes,
    /// A complete message was committed.
    Message,
    /// Something on the line was wrong.
    Fault(&'static str),
    /// A deviation was tolerated.
    Tolerated(&'static str),
}

/// How the connection waits when no transport is open.
#[derive(Debug, Default)]
enum Waiting {
    #[default]
    Gone,
    Listening,
    Opening,
    BackingOff {
        error: String,
        attempt: u32,
        retry: Timestamp,
    },
}

#[derive(Debug)]
struct Transport {
    peer: String,
    since: Timestamp,
    in_session: bool,
}

#[derive(Debug)]
struct Seen {
    waiting: Waiting,
    transports: BTreeMap<u64, Transport>,
    opened: u64,
    state: &'static str,
    since: Timestamp,
    faults: BTreeMap<&'static str, u64>,
    tolerances: BTreeMap<&'static str, u64>,
    /// Messages of another analyzer than the profile's, and whether the latest is one.
    foreign: u64,
    is_foreign: bool,
}

impl Seen {
    fn state(&self) -> &'static str {
        if !self.transports.is_empty() {
            return "connected";
        }
        match self.waiting {
            Waiting::Gone => "closed",
            Waiting::Listening => "listening",
            Waiting::Opening => "connecting",
            Waiting::BackingOff { .. } => "backing-off",
        }
    }
}

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Observed {
    seen: Mutex<Seen>,
    /// Milliseconds since 1970; 0 for never.
    last_byte_ms: AtomicI64,
    last_message_ms: AtomicI64,
}

impl Observed {
    pub(crate) fn new() -> Self {
        let seen = Seen {
            waiting: Waiting::Gone,
            transports: BTreeMap::new(),
            opened: 0,
            state: "closed",
            since: Timestamp::now(),
            faults: BTreeMap::new(),
            tolerances: BTreeMap::new(),
            foreign: 0,
            is_foreign: false,
        };
        Self { seen: Mutex::new(seen), last_byte_ms: AtomicI64::new(0), last_message_ms: AtomicI64::new(0) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Counts and names are whole after each statement.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.seen();
        let given = change(&mut seen);
        let state = seen.state();
        if state != seen.state {
            seen.state = state;
            seen.since = Timestamp::now();
        }
        given
    }

    /// Takes note.
    pub(crate) fn is(&self, fact: Fact) {
        match fact {
            Fact::Bytes => self.last_byte_ms.store(Stamp::now().wall_ms, Ordering::Relaxed),
            Fact::Message => self.last_message_ms.store(Stamp::now().wall_ms, Ordering::Relaxed),
            Fact::Listening => self.change(|seen| seen.waiting = Waiting::Listening),
            Fact::Opening => self.change(|seen| seen.waiting = Waiting::Opening),
            Fact::Gone => self.change(|seen| seen.waiting = Waiting::Gone),
            Fact::Failed { error, attempt, pause } => {
                let retry = Timestamp::now().checked_add(pause).unwrap_or(Timestamp::MAX);
                self.change(|seen| seen.waiting = Waiting::BackingOff { error, attempt, retry });
            }
            Fact::Fault(code) => *self.seen().faults.entry(code).or_default() += 1,
            Fact::Tolerated(name) => *self.seen().tolerances.entry(name).or_default() += 1,
        }
    }

    /// A transport is open; gives its number.
    pub(crate) fn opened(&self, peer: String) -> u64 {
        self.change(|seen| {
            seen.opened += 1;
            let number = seen.opened;
            seen.transports.insert(number, Transport { peer, since: Timestamp::now(), in_session: false });
            number
        })
    }

    /// It is closed.
    pub(crate) fn closed(&self, number: u64) {
        self.change(|seen| {
            seen.transports.remove(&number);
        });
    }

    /// A session began or ended on a transport.
    pub(crate) fn session(&self, number: u64, open: bool) {
        if let Some(transport) = self.seen().transports.get_mut(&number) {
            transport.in_session = open;
        }
    }

    /// A message came, from another analyzer than the profile's or from the right one. Tells which of
    /// them sent the one before.
    pub(crate) fn sender(&self, is_foreign: bool) -> bool {
        let mut seen = self.seen();
        seen.foreign += u64::from(is_foreign);
        core::mem::replace(&mut seen.is_foreign, is_foreign)
    }

    /// Adds what is known to a line about the connection.
    pub(crate) fn describe(&self, line: &mut Value, paused: bool) {
        let seen = self.seen();
        line["state"] = if paused { "paused" } else { seen.state }.into();
        line["since"] = time(seen.since);
        line["transports"] = seen
            .transports
            .values()
            .map(|one| json!({ "peer": one.peer, "since": time(one.since), "in_session": one.in_session }))
            .collect();
        line["open_sessions"] = seen.transports.values().filter(|one| one.in_session).count().into();
        line["last_byte_at"] = stamp(&self.last_byte_ms);
        line["last_received_at"] = stamp(&self.last_message_ms);
        line["wrong_analyzer"] = seen.foreign.into();
        line["faults"] = json!(seen.faults);
        line["tolerances"] = json!(seen.tolerances);
        if let Waiting::BackingOff { error, attempt, retry } = &seen.waiting {
            line["failure"] = json!({ "error": error, "attempt": attempt, "retry_at": time(*retry) });
        }
    }
}

fn time(at: Timestamp) -> Value {
    format!("{at:.3}").into()
}

fn stamp(wall_ms: &AtomicI64) -> Value {
    match wall_ms.load(Ordering::Relaxed) {
        0 => Value::Null,
        wall_ms => Timestamp::from_millisecond(wall_ms).map_or(Value::Null, time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(observed: &Observed) -> Value {
        let mut line = json!({});
        observed.describe(&mut line, false);
        line
    }

    #[test]
    fn a_state_lasts_since_it_began_and_not_since_it_was_told_again() {
        let observed = Observed::new();
        observed.is(Fact::Listening);
        let first = described(&observed);
        observed.is(Fact::Listening);
        observed.is(Fact::Fault("checksum"));
        assert_eq!(described(&observed)["since"], first["since"]);
        let number = observed.opened("10.0.0.7:1".to_owned());
        observed.session(number, true);
        let open = described(&observed);
        assert_eq!((&open["state"], &open["open_sessions"]), (&"connected".into(), &1.into()));
        observed.closed(number);
        let closed = described(&observed);
        assert_eq!((&closed["state"], &closed["open_sessions"]), (&"listening".into(), &0.into()));
        assert_eq!(closed["faults"], json!({ "checksum": 1 }));
    }

    #[test]
    fn a_line_that_cannot_be_opened_says_why_and_when_it_is_tried_again() {
        let observed = Observed::new();
        observed.is(Fact::Opening);
        assert_eq!(described(&observed)["state"], "connecting");
        let error = "refused".to_owned();
        observed.is(Fact::Failed { error, attempt: 3, pause: Duration::from_secs(8) });
        let line = described(&observed);
        assert_eq!((&line["state"], &line["failure"]["attempt"]), (&"backing-off".into(), &3.into()));
    }
}
