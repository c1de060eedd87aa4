//! One direction of a line, and how it can be hurt.

use std::collections::VecDeque;

use core::time::Duration;

use crate::Seed;

/// How a wire cuts what is written into what is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Chunks {
    /// As it was written.
    #[default]
    AsWritten,
    /// One byte a read.
    Bytes,
    /// Pieces of 1 to this many bytes.
    Random(u64),
}

/// What a wire does to bytes, in events per thousand bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hurt {
    /// Bytes that vanish.
    pub lost: u64,
    /// Bytes of which one bit turns over.
    pub flipped: u64,
    /// Bytes that arrive as a character error.
    pub damaged: u64,
    /// Bytes that arrive twice.
    pub doubled: u64,
}

/// One direction of a line.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Time from being written to being readable.
    pub latency: Duration,
    /// How reads are cut.
    pub chunks: Chunks,
    /// What happens to bytes.
    pub hurt: Hurt,
    /// Everything that was written, before it was hurt.
    pub written: Vec<u8>,
    seed: Seed,
    parcels: VecDeque<(Duration, Parcel)>,
}

/// What a read finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Parcel {
    Bytes(Vec<u8>),
    Damaged,
}

impl Wire {
    /// A wire without latency and faults, whose chance comes from this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            latency: Duration::ZERO,
            chunks: Chunks::default(),
            hurt: Hurt::default(),
            written: Vec::new(),
            seed: Seed::new(seed),
            parcels: VecDeque::new(),
        }
    }

    pub(crate) fn write(&mut self, now: Duration, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        let due = now + self.latency;
        let mut piece = Vec::new();
        let mut room = self.piece_length();
        for byte in bytes {
            if self.seed.chance(self.hurt.damaged) {
                self.post(due, &mut piece);
                self.parcels.push_back((due, Parcel::Damaged));
                continue;
            }
            if self.seed.chance(self.hurt.lost) {
                continue;
            }
            let flip = self.seed.chance(self.hurt.flipped);
            let bit = if flip { 1 << self.seed.below(8) } else { 0 };
            piece.push(byte ^ bit);
            if self.seed.chance(self.hurt.doubled) {
                piece.push(byte ^ bit);
            }
            if piece.len() >= room {
                self.post(due, &mut piece);
                room = self.piece_length();
            }
        }
        self.post(due, &mut piece);
    }

    fn piece_length(&mut self) -> usize {
        match self.chunks {
            Chunks::AsWritten => usize::MAX,
            Chunks::Bytes => 1,
            Chunks::Random(most) => usize::try_from(1 + self.seed.below(most.max(1))).unwrap_or(usize::MAX),
        }
    }

    fn post(&mut self, due: Duration, piece: &mut Vec<u8>) {
        if !piece.is_empty() {
            self.parcels.push_back((due, Parcel::Bytes(core::mem::take(piece))));
        }
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        self.parcels.front().map(|(due, _)| *due)
    }

    pub(crate) fn read(&mut self, now: Duration) -> Option<Parcel> {
        self.due().filter(|due| *due <= now)?;
        self.parcels.pop_front().map(|(_, parcel)| parcel)
    }

    pub(crate) fn clear(&mut self) {
        self.parcels.clear();
    }
}
