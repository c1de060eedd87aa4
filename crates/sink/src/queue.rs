//! The reading side's queue: claim, acknowledge, reject. `docs/lis-contract.md` shows the same in
//! SQL for a LIS that reads the file itself.

use std::time::Duration;

use labwire_model::Kind;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use serde_json::{Map, Value};

use crate::{LisDatabase, SinkError};

/// How long a claim holds when the consumer names no time.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(60);

/// Who wants how many results of which kind, for how long.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The consumer's name: what it must name again to acknowledge.
    pub consumer: &'a str,
    /// Patients' results, quality control or calibration: never mixed.
    pub kind: Kind,
    /// At most so many.
    pub results_max: usize,
    /// After this time what was not acknowledged is given to whoever asks.
    pub lease: Duration,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
}

/// One result that a consumer claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedResult {
    /// `result.id`: what `acknowledge` and `reject` take.
    pub id: i64,
    /// How often it was claimed: more than once when a lease ran out.
    pub claims: i64,
    /// The row by column name.
    pub row: Map<String, Value>,
}

const CLAIM: &str = "
UPDATE result_queue SET state = 'claimed', consumer = ?1, lease_until_ms = ?2, claims = claims + 1
WHERE result IN (
  SELECT result FROM result_queue
  WHERE kind = ?3 AND state <> 'rejected' AND (state = 'waiting' OR lease_until_ms <= ?4)
  ORDER BY result LIMIT ?5)
RETURNING result, claims";

impl LisDatabase {
    /// Gives the oldest results that nobody holds to the consumer, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn claim(&mut self, claim: &Claim<'_>) -> Result<Vec<ClaimedResult>, SinkError> {
        let lease = i64::try_from(claim.lease.as_millis()).unwrap_or(i64::MAX);
        let most = i64::try_from(claim.results_max).unwrap_or(i64::MAX);
        self.transact(|sql| {
            let mut claimed: Vec<(i64, i64)> = sql
                .prepare_cached(CLAIM)?
                .query_map(
                    params![
                        claim.consumer,
                        claim.now_ms.saturating_add(lease),
                        claim.kind.as_str(),
                        claim.now_ms,
                        most
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?
                .collect::<Result<_, _>>()?;
            // RETURNING keeps no order.
            claimed.sort_unstable();
            claimed
                .into_iter()
                .map(|(id, claims)| Ok(ClaimedResult { id, claims, row: result(sql, id)? }))
                .collect()
        })
    }

    /// Takes results that the consumer has filed out of the queue; answers how many it held. One
    /// whose lease ran out and that somebody else holds stays with them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn acknowledge(&mut self, consumer: &str, ids: &[i64], now_ms: i64) -> Result<usize, SinkError> {
        self.transact(|sql| {
            let mut held = 0;
            for id in ids {
                let removed = sql
                    .prepare_cached(
                        "DELETE FROM result_queue WHERE result = ?1 AND state = 'claimed' AND consumer = ?2",
                    )?
                    .execute(params![id, consumer])?;
                if removed == 1 {
                    sql.prepare_cached(
                        "UPDATE result SET acknowledged_by = ?2, acknowledged_at =
                           strftime('%Y-%m-%dT%H:%M:%S', ?3 / 1000, 'unixepoch') || printf('.%03dZ', ?3 % 1000)
                         WHERE id = ?1",
                    )?
                    .execute(params![id, consumer, now_ms])?;
                }
                held += removed;
            }
            Ok(held)
        })
    }

    /// Sets results aside that the consumer cannot file; answers how many it held. They are given
    /// to nobody until someone sets their state to `waiting`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn reject(&mut self, consumer: &str, ids: &[i64], reason: &str) -> Result<usize, SinkError> {
        self.transact(|sql| {
            let mut held = 0;
            for id in ids {
                held += sql
                    .prepare_cached(
                        "UPDATE result_queue SET state = 'rejected', reason = ?3, lease_until_ms = NULL
                         WHERE result = ?1 AND state = 'claimed' AND consumer = ?2",
                    )?
                    .execute(params![id, consumer, reason])?;
            }
            Ok(held)
        })
    }
}

fn result(sql: &Connection, id: i64) -> rusqlite::Result<Map<String, Value>> {
    sql.prepare_cached("SELECT * FROM result WHERE id = ?1")?.query_row([id], object)
}

/// A row as JSON. `flags` and `comments` are JSON in the database and become part of it.
fn object(row: &Row<'_>) -> rusqlite::Result<Map<String, Value>> {
    let mut object = Map::new();
    for (number, name) in row.as_ref().column_names().into_iter().enumerate() {
        let value = match row.get_ref(number)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::from(number),
            ValueRef::Real(number) => Value::from(number),
            ValueRef::Text(text) => {
                let text = String::from_utf8_lossy(text);
                if matches!(name, "flags" | "comments") {
                    serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text))
                } else {
                    Value::from(text)
                }
            }
            ValueRef::Blob(bytes) => Value::from(String::from_utf8_lossy(bytes)),
        };
        object.insert(name.to_owned(), value);
    }
    Ok(object)
}
