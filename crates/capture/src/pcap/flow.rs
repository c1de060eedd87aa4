//! The bytes of one TCP connection in the order in which they were sent.

use std::collections::BTreeMap;

use core::time::Duration;

use super::packet::Segment;

/// Bytes of one direction that may wait for a segment that has not been seen; behind that it is given up.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// Something to be told of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// So many bytes were never seen.
    Missing(u64),
}

/// Both directions of a connection: 0 is the client's, 1 the server's.
#[derive(Debug, Default)]
pub(super) struct Flow {
    sides: [Side; 2],
    pieces: Vec<(Duration, usize, Piece)>,
}

#[derive(Debug, Default)]
struct Side {
    /// The sequence number that the next byte must have.
    next: Option<u32>,
    /// Segments from behind a gap, by their distance from `base`.
    waiting: BTreeMap<u64, (Duration, Vec<u8>)>,
    waiting_bytes: usize,
    /// Bytes that have been told or given up.
    base: u64,
    /// Bytes that have been told.
    bytes: u64,
}

impl Flow {
    /// Bytes seen from the client and from the server.
    pub(super) fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|from: usize| self.sides[from].bytes + self.sides[from].waiting_bytes as u64)
    }

    pub(super) fn has_data(&self) -> bool {
        self.bytes() != [0, 0]
    }

    pub(super) fn take(&mut self, offset: Duration, from: usize, segment: &Segment<'_>) {
        let Some(side) = self.sides.get_mut(from) else { return };
        if segment.syn {
            side.next = Some(segment.sequence.wrapping_add(1));
        }
        if segment.payload.is_empty() {
            return;
        }
        let next = *side.next.get_or_insert(segment.sequence);
        // Half of all numbers lie ahead, the other half behind (RFC 9293, 3.4).
        let ahead = segment.sequence.wrapping_sub(next);
        let (distance, fresh) = if ahead < 1 << 31 {
            (u64::from(ahead), segment.payload)
        } else {
            // A keep-alive probe or a repeat; only what lies behind the bytes already told is new.
            let told = usize::try_from(next.wrapping_sub(segment.sequence)).unwrap_or(usize::MAX);
            (0, segment.payload.get(told..).unwrap_or_default())
        };
        if fresh.is_empty() {
            return;
        }
        let place = side.base + distance;
        if side.waiting.get(&place).is_none_or(|(_, known)| known.len() < fresh.len()) {
            side.waiting_bytes += fresh.len();
            if let Some((_, known)) = side.waiting.insert(place, (offset, fresh.to_vec())) {
                side.waiting_bytes -= known.len();
            }
        }
        self.release(offset, from);
        while self.sides[from].waiting_bytes > WAITING_BYTES_MAX {
            self.give_up_gap(from);
            self.release(offset, from);
        }
    }

    /// Everything in the order of time, gaps told where nothing will fill them.
    pub(super) fn finish(mut self) -> Vec<(Duration, usize, Piece)> {
        for from in 0..2 {
            while !self.sides[from].waiting.is_empty() {
                self.give_up_gap(from);
                self.release(Duration::ZERO, from);
            }
        }
        self.pieces.sort_by_key(|(offset, _, _)| *offset);
        self.pieces
    }

    /// Tells what follows without a gap; it could be read no earlier than `offset`.
    fn release(&mut self, offset: Duration, from: usize) {
        let Some(side) = self.sides.get_mut(from) else { return };
        while let Some(entry) = side.waiting.first_entry().filter(|entry| *entry.key() <= side.base) {
            let place = *entry.key();
            let (seen, bytes) = entry.remove();
            side.waiting_bytes -= bytes.len();
            let told = usize::try_from(side.base - place).unwrap_or(usize::MAX);
            let fresh = bytes.get(told..).unwrap_or_default();
            if !fresh.is_empty() {
                side.base += fresh.len() as u64;
                side.bytes += fresh.len() as u64;
                side.next = side.next.map(|next| advanced(next, fresh.len() as u64));
                self.pieces.push((offset.max(seen), from, Piece::Bytes(fresh.to_vec())));
            }
        }
    }

    fn give_up_gap(&mut self, from: usize) {
        let Some(side) = self.sides.get_mut(from) else { return };
        let Some((&place, (seen, _))) = side.waiting.first_key_value() else { return };
        let missing = place.saturating_sub(side.base);
        if missing > 0 {
            self.pieces.push((*seen, from, Piece::Missing(missing)));
            side.next = side.next.map(|next| advanced(next, missing));
            side.base = place;
        }
    }
}

/// Sequence numbers count modulo 2^32.
fn advanced(sequence: u32, by: u64) -> u32 {
    u32::try_from((u64::from(sequence) + by) & u64::from(u32::MAX)).unwrap_or(sequence)
}
