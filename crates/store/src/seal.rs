//! The header that every stored record carries, its checksum, and the hash that decides on
//! duplicates.

use ring::digest::{Context, SHA256};

use crate::StoreError;
use crate::record::Stamp;

/// Format of a stored record. A newer one is refused at the read.
pub(crate) const RECORD_FORMAT: i64 = 1;
/// The key that the record's content is encrypted with; 0 means that it is in the clear.
pub(crate) const KEY_CLEAR: i64 = 0;
/// Length of a stored checksum: SHA-256, truncated.
const CHECKSUM_BYTES: usize = 16;

/// What every record begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    pub(crate) format: i64,
    pub(crate) tenant: &'a str,
    pub(crate) connection: &'a str,
    pub(crate) sequence: i64,
    pub(crate) key: i64,
    pub(crate) at: Stamp,
}

/// Every part goes in with its length, so that no two lists of parts read the same.
fn add(context: &mut Context, part: &[u8]) {
    context.update(&(part.len() as u64).to_le_bytes());
    context.update(part);
}

impl Header<'_> {
    /// The checksum over this header and the record's immutable parts.
    pub(crate) fn checksum(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = Context::new(&SHA256);
        for number in [self.format, self.sequence, self.key, signed(self.at.monotonic_ns), self.at.wall_ms] {
            context.update(&number.to_le_bytes());
        }
        add(&mut context, self.tenant.as_bytes());
        add(&mut context, self.connection.as_bytes());
        for part in parts {
            add(&mut context, part);
        }
        context.finish().as_ref()[..CHECKSUM_BYTES].to_vec()
    }

    /// Whether a record that was read is one that was written.
    pub(crate) fn verify(
        &self,
        table: &'static str,
        row: i64,
        stored: &[u8],
        parts: &[&[u8]],
    ) -> Result<(), StoreError> {
        if self.format != RECORD_FORMAT {
            return Err(StoreError::UnknownRecordFormat { table, row, found: self.format });
        }
        if self.checksum(parts) != stored {
            return Err(StoreError::Damaged { table, row });
        }
        Ok(())
    }
}

/// What makes two messages of a connection the same.
pub(crate) fn identity(connection: &str, control_id: Option<&str>, identity: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    add(&mut context, connection.as_bytes());
    add(&mut context, control_id.unwrap_or_default().as_bytes());
    add(&mut context, identity);
    context.finish().as_ref().to_vec()
}

/// SQLite has signed integers alone.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or a number that was stored by [`signed`].
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header<'static> {
        Header {
            format: RECORD_FORMAT,
            tenant: "lab",
            connection: "a",
            sequence: 7,
            key: KEY_CLEAR,
            at: Stamp { monotonic_ns: 1, wall_ms: 2 },
        }
    }

    #[test]
    fn moving_a_byte_between_parts_changes_the_checksum() {
        assert_ne!(header().checksum(&[b"ab", b"c"]), header().checksum(&[b"a", b"bc"]));
    }

    #[test]
    fn a_record_moved_to_another_place_does_not_verify() {
        let stored = header().checksum(&[b"x"]);
        header().verify("frame", 1, &stored, &[b"x"]).unwrap();
        let elsewhere = Header { connection: "b", ..header() };
        assert_eq!(
            elsewhere.verify("frame", 1, &stored, &[b"x"]),
            Err(StoreError::Damaged { table: "frame", row: 1 })
        );
        let later = Header { sequence: 8, ..header() };
        assert_eq!(
            later.verify("frame", 1, &stored, &[b"x"]),
            Err(StoreError::Damaged { table: "frame", row: 1 })
        );
    }

    #[test]
    fn a_record_of_a_newer_format_is_refused_by_name() {
        let newer = Header { format: 2, ..header() };
        let stored = newer.checksum(&[]);
        assert_eq!(
            newer.verify("message", 3, &stored, &[]),
            Err(StoreError::UnknownRecordFormat { table: "message", row: 3, found: 2 })
        );
    }
}
