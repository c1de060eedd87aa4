//! Rows of frames and messages as stored: read, and verified against their checksums.

use labwire_model::{DecodedMessage, MessageKind, Observation};
use rusqlite::Row;
use rusqlite::types::{FromSql, Type};

use crate::StoreError;
use crate::persist::{frame_parts, kind_word, message_parts};
use crate::record::{FrameRecord, MessageId, Stamp};
use crate::seal::{Header, unsigned};
use crate::standing::RowState;
use crate::transaction::message_id;

/// Columns of a message without its bodies.
pub(crate) const MESSAGE: &str =
    "message.id, message.uuid, message.format, message.tenant, message.connection,
  message.sequence, message.key, message.checksum, message.monotonic_ns, message.wall_ms,
  message.transmission, message.driver, message.driver_version, message.control_id, message.kind,
  message.state, message.possible_repeat,
  (SELECT uuid FROM message AS first WHERE first.id = message.duplicate_of),
  message.observations, length(message.raw)";
/// Columns of its bodies.
pub(crate) const BODIES: &str = "message.raw, message.decoded, message.identity, message.repeated_records";
/// Columns in [`MESSAGE`].
pub(crate) const BODIES_AT: usize = 20;

pub(crate) fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::failed("read the spool", &error)
}

fn column<T: FromSql>(row: &Row<'_>, number: usize) -> Result<T, StoreError> {
    row.get(number).map_err(failed)
}

fn kind_of(word: &str) -> Option<MessageKind> {
    use MessageKind as Kind;
    [Kind::Results, Kind::Query, Kind::Acknowledgement, Kind::Order, Kind::Other]
        .into_iter()
        .find(|kind| kind_word(*kind) == word)
}

/// The observation of a record; one that cannot be found has its number alone.
pub(crate) fn observation_of(decoded: &DecodedMessage, record: usize) -> Observation {
    decoded
        .outcomes
        .iter()
        .map(|outcome| &outcome.observation)
        .find(|observation| observation.record == record)
        .cloned()
        .unwrap_or_else(|| Observation { record, ..Observation::default() })
}

/// Reads a frame whose columns follow connection and transmission, and verifies it.
pub(crate) fn frame_of(
    row: &Row<'_>,
    connection: &str,
    transmission: i64,
) -> Result<FrameRecord, StoreError> {
    let read = || -> rusqlite::Result<(i64, String, Header<'_>, Vec<u8>, FrameRecord)> {
        let at = Stamp { monotonic_ns: unsigned(row.get(8)?), wall_ms: row.get(9)? };
        let header = Header {
            format: row.get(3)?,
            tenant: "",
            connection,
            sequence: row.get(5)?,
            key: row.get(6)?,
            at,
        };
        let frame = FrameRecord { number: row.get(10)?, ends_chain: row.get(11)?, bytes: row.get(12)?, at };
        Ok((row.get(2)?, row.get(4)?, header, row.get(7)?, frame))
    };
    let (id, tenant, header, checksum, frame) = read().map_err(failed)?;
    let parts = frame_parts(transmission, frame.number, frame.ends_chain);
    Header { tenant: &tenant, ..header }.verify("frame", id, &checksum, &[&parts, &frame.bytes])?;
    Ok(frame)
}

/// A message row as stored.
pub(crate) struct RawMessage {
    pub(crate) row: i64,
    pub(crate) id: MessageId,
    pub(crate) tenant: String,
    pub(crate) connection: String,
    pub(crate) sequence: i64,
    pub(crate) at: Stamp,
    pub(crate) transmission: i64,
    pub(crate) driver: String,
    pub(crate) driver_version: String,
    pub(crate) control_id: Option<String>,
    pub(crate) kind: MessageKind,
    pub(crate) state: RowState,
    pub(crate) possible_repeat: bool,
    pub(crate) duplicate_of: Option<MessageId>,
    pub(crate) observations: i64,
    pub(crate) raw_bytes: i64,
    pub(crate) raw: Vec<u8>,
    pub(crate) decoded: Vec<u8>,
    pub(crate) repeated_records: String,
}

impl RawMessage {
    /// Reads [`MESSAGE`] alone.
    pub(crate) fn head(row: &Row<'_>) -> Result<Self, StoreError> {
        let read = || -> rusqlite::Result<Self> {
            let kind: String = row.get(14)?;
            let duplicate_of: Option<[u8; 16]> = row.get(17)?;
            Ok(Self {
                row: row.get(0)?,
                id: message_id(row, 1)?,
                tenant: row.get(3)?,
                connection: row.get(4)?,
                sequence: row.get(5)?,
                at: Stamp { monotonic_ns: unsigned(row.get(8)?), wall_ms: row.get(9)? },
                transmission: row.get(10)?,
                driver: row.get(11)?,
                driver_version: row.get(12)?,
                control_id: row.get(13)?,
                kind: kind_of(&kind).ok_or(rusqlite::Error::InvalidColumnType(14, kind, Type::Text))?,
                state: RowState::from_column(row, 15)?,
                possible_repeat: row.get(16)?,
                duplicate_of: duplicate_of.map(|bytes| MessageId(uuid::Uuid::from_bytes(bytes))),
                observations: row.get(18)?,
                raw_bytes: row.get(19)?,
                raw: Vec::new(),
                decoded: Vec::new(),
                repeated_records: String::new(),
            })
        };
        read().map_err(failed)
    }

    /// Reads [`MESSAGE`] and [`BODIES`] and verifies the checksum.
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let mut message = Self::head(row)?;
        let (format, key): (i64, i64) = (column(row, 2)?, column(row, 6)?);
        let checksum: Vec<u8> = column(row, 7)?;
        let identity: Option<Vec<u8>> = column(row, BODIES_AT + 2)?;
        message.raw = column(row, BODIES_AT)?;
        message.decoded = column(row, BODIES_AT + 1)?;
        message.repeated_records = column(row, BODIES_AT + 3)?;
        let header = Header {
            format,
            tenant: &message.tenant,
            connection: &message.connection,
            sequence: message.sequence,
            key,
            at: message.at,
        };
        header.verify(
            "message",
            message.row,
            &checksum,
            &message_parts(
                &message.transmission.to_le_bytes(),
                &message.id,
                &message.driver,
                &message.driver_version,
                &message.raw,
                &message.decoded,
                identity.as_deref(),
            ),
        )?;
        Ok(message)
    }
}
