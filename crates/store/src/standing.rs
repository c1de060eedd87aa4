//! Where a message and its observations stand, from what is stored about them: the one place that
//! knows the rules of law 7. The counters move by its results, and the check computes by it.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::ledger::Standing;
use crate::view::MessageState;

/// `message.state`: what the message is to others; where it stands follows from its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowState {
    /// It is itself.
    Filed,
    /// It never completed.
    Incomplete,
    /// It is another one's duplicate.
    Duplicate,
    /// It is part of the message that continued it.
    Resumed,
}

impl RowState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Filed => "filed",
            Self::Incomplete => "incomplete",
            Self::Duplicate => "duplicate",
            Self::Resumed => "resumed",
        }
    }

    pub(crate) fn from_column(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        let word: String = row.get(column)?;
        [Self::Filed, Self::Incomplete, Self::Duplicate, Self::Resumed]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or(rusqlite::Error::InvalidColumnType(column, word, Type::Text))
    }
}

/// What a message is, whatever the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) results: bool,
    pub(crate) state: RowState,
    pub(crate) observations: i64,
    pub(crate) ignored: i64,
    /// Those that the profile delivers, without `repeated`.
    pub(crate) deliverable: i64,
    /// Those that were released out of the incomplete message that this one settles.
    pub(crate) repeated: i64,
}

/// Its observations in quarantine and outbox, as one sink sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtSink {
    pub(crate) routed: bool,
    pub(crate) pending: i64,
    pub(crate) delivered: i64,
    pub(crate) open: i64,
    pub(crate) released: i64,
    pub(crate) discarded: i64,
    /// Refused by this sink, and open or discarded since.
    pub(crate) refused_open: i64,
    pub(crate) refused_discarded: i64,
}

/// What one message contributes to a sink's accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contribution {
    pub(crate) messages: Standing,
    pub(crate) observations: Standing,
}

/// The rules of law 7.
pub(crate) fn contribution(facts: &Facts, sink: &AtSink) -> Contribution {
    let mut found = Contribution::default();
    if !facts.results {
        return found;
    }
    let observations = &mut found.observations;
    match facts.state {
        RowState::Incomplete => {
            found.messages.incomplete = 1;
            observations.ignored = facts.ignored;
            observations.held = facts.observations - facts.ignored;
            return found;
        }
        RowState::Filed => {
            observations.ignored = facts.ignored;
            observations.duplicate = facts.repeated;
            observations.held = sink.open + sink.refused_open;
        }
        RowState::Duplicate => {
            found.messages.duplicate = 1;
            observations.duplicate = facts.observations - sink.released - sink.discarded;
            observations.held = sink.refused_open;
        }
        RowState::Resumed => observations.held = sink.refused_open,
    }
    observations.discarded = sink.discarded + sink.refused_discarded;
    if sink.routed {
        observations.pending = sink.pending;
        observations.delivered = sink.delivered;
    } else {
        // What is routed elsewhere counts here as delivered.
        let deliverable = if facts.state == RowState::Filed { facts.deliverable } else { 0 };
        observations.delivered = deliverable + sink.released;
    }
    if facts.state == RowState::Filed {
        let messages = &mut found.messages;
        if observations.held > 0 {
            messages.held = 1;
        } else if observations.pending > 0 {
            messages.pending = 1;
        } else if observations.discarded > 0 && observations.delivered == 0 {
            messages.discarded = 1;
        } else {
            messages.delivered = 1;
        }
    }
    found
}

/// What a resumed message still counts for on its own: what a person had decided before.
pub(crate) fn counted_apart(sink: &AtSink) -> i64 {
    sink.released + sink.discarded
}

/// Reads what a message is; `None` when there is no such row.
pub(crate) fn facts(sql: &Connection, message: i64) -> rusqlite::Result<Option<Facts>> {
    sql.prepare_cached(
        "SELECT kind, state, observations, ignored, deliverable, json_array_length(repeated_records)
         FROM message WHERE id = ?1",
    )?
    .query_row([message], |row| {
        Ok(Facts {
            results: row.get_ref(0)?.as_str()? == "results",
            state: RowState::from_column(row, 1)?,
            observations: row.get(2)?,
            ignored: row.get(3)?,
            deliverable: row.get(4)?,
            repeated: row.get(5)?,
        })
    })
    .optional()
}

/// Reads where a message's observations stand with a sink.
pub(crate) fn at_sink(sql: &Connection, message: i64, sink: &str) -> rusqlite::Result<AtSink> {
    let mut found = AtSink::default();
    let mut outbox =
        sql.prepare_cached("SELECT state, observations FROM outbox WHERE message = ?1 AND sink = ?2")?;
    let mut rows = outbox.query(rusqlite::params![message, sink])?;
    while let Some(row) = rows.next()? {
        found.routed = true;
        match row.get_ref(0)?.as_str()? {
            "pending" => found.pending += row.get::<_, i64>(1)?,
            "delivered" => found.delivered += row.get::<_, i64>(1)?,
            _ => {}
        }
    }
    let mut quarantine = sql.prepare_cached(
        "SELECT state, sink IS NOT NULL FROM quarantine WHERE message = ?1 AND (sink IS NULL OR sink = ?2)",
    )?;
    let mut rows = quarantine.query(rusqlite::params![message, sink])?;
    while let Some(row) = rows.next()? {
        let by_sink: bool = row.get(1)?;
        match (row.get_ref(0)?.as_str()?, by_sink) {
            ("open", false) => found.open += 1,
            ("open", true) => found.refused_open += 1,
            ("released", false) => found.released += 1,
            ("discarded", false) => found.discarded += 1,
            ("discarded", true) => found.refused_discarded += 1,
            _ => {}
        }
    }
    Ok(found)
}

/// A message's state over all sinks: what keeps it back anywhere keeps it back.
pub(crate) fn message_state(facts: &Facts, sinks: &[AtSink]) -> MessageState {
    if !facts.results {
        return if facts.state == RowState::Incomplete {
            MessageState::Incomplete
        } else {
            MessageState::NotResults
        };
    }
    match facts.state {
        RowState::Incomplete => return MessageState::Incomplete,
        RowState::Duplicate => return MessageState::Duplicate,
        RowState::Resumed => return MessageState::Resumed,
        RowState::Filed => {}
    }
    let nowhere = [AtSink::default()];
    let sinks = if sinks.is_empty() { &nowhere } else { sinks };
    let (mut held, mut pending, mut delivered) = (false, false, false);
    for sink in sinks {
        let messages = contribution(facts, sink).messages;
        held |= messages.held > 0;
        pending |= messages.pending > 0;
        delivered |= messages.delivered > 0;
    }
    if held {
        MessageState::Held
    } else if pending {
        MessageState::Pending
    } else if delivered {
        MessageState::Delivered
    } else {
        MessageState::Discarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filed(observations: i64, ignored: i64, deliverable: i64) -> Facts {
        Facts { results: true, state: RowState::Filed, observations, ignored, deliverable, repeated: 0 }
    }

    #[test]
    fn a_message_with_anything_held_counts_as_held_and_each_observation_for_itself() {
        let found =
            contribution(&filed(4, 1, 2), &AtSink { routed: true, pending: 2, open: 1, ..AtSink::default() });
        assert_eq!(found.messages, Standing { held: 1, ..Standing::default() });
        assert_eq!(found.observations, Standing { held: 1, pending: 2, ignored: 1, ..Standing::default() });
    }

    #[test]
    fn a_message_with_nothing_for_a_sink_counts_there_as_delivered() {
        let ignored = contribution(&filed(3, 3, 0), &AtSink { routed: true, ..AtSink::default() });
        assert_eq!(ignored.messages.delivered, 1);
        let elsewhere = contribution(&filed(3, 1, 2), &AtSink::default());
        assert_eq!((elsewhere.messages.delivered, elsewhere.observations.delivered), (1, 2));
    }

    #[test]
    fn a_message_of_which_all_was_discarded_is_discarded() {
        let found =
            contribution(&filed(2, 0, 0), &AtSink { routed: true, discarded: 2, ..AtSink::default() });
        assert_eq!(found.messages, Standing { discarded: 1, ..Standing::default() });
    }
}
