//! One direction of a line that is hurt within the limits of what its dialect can find.

use std::collections::VecDeque;

use core::time::Duration;

use labwire_link::control::{ACK, ENQ, EOT, ETB, ETX, NAK, STX};
use labwire_testkit::{Chunks, Seed};

use super::scenario::Hurt;

/// What a read finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parcel {
    Bytes(Vec<u8>),
    Damaged,
    /// The writer will write no more.
    End,
}

/// Who writes on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    Analyzer,
    Host,
}

/// One direction of a line.
#[derive(Debug)]
pub(super) struct Wire {
    writer: Writer,
    pub(super) hurt: Hurt,
    chunks: Chunks,
    latency: Duration,
    jitter: Duration,
    /// When the last parcel arrives: none overtakes another.
    last: Duration,
    /// The frame that is being written was hurt already.
    hurt_once: bool,
    parcels: VecDeque<(Duration, Parcel)>,
}

impl Wire {
    pub(super) fn new(
        writer: Writer,
        hurt: Hurt,
        chunks: Chunks,
        latency: Duration,
        jitter: Duration,
    ) -> Self {
        Self {
            writer,
            hurt,
            chunks,
            latency,
            jitter,
            last: Duration::ZERO,
            hurt_once: false,
            parcels: VecDeque::new(),
        }
    }

    pub(super) fn write(&mut self, now: Duration, bytes: &[u8], chance: &mut Seed) {
        let jitter = u64::try_from(self.jitter.as_millis()).unwrap_or(0);
        let delay = self.latency + Duration::from_millis(chance.below(jitter + 1));
        self.last = self.last.max(now + delay);
        let mut piece = Vec::new();
        let mut room = self.room(chance);
        for &byte in bytes {
            if matches!(byte, STX | ENQ) || self.writer == Writer::Host {
                self.hurt_once = false;
            }
            self.carry(byte, &mut piece, chance);
            if piece.len() >= room {
                self.post(&mut piece);
                room = self.room(chance);
            }
        }
        self.post(&mut piece);
    }

    pub(super) fn end(&mut self, now: Duration) {
        self.last = self.last.max(now + self.latency);
        self.parcels.push_back((self.last, Parcel::End));
    }

    fn room(&self, chance: &mut Seed) -> usize {
        match self.chunks {
            Chunks::AsWritten => usize::MAX,
            Chunks::Bytes => 1,
            Chunks::Random(most) => usize::try_from(1 + chance.below(most.max(1))).unwrap_or(usize::MAX),
        }
    }

    fn carry(&mut self, byte: u8, piece: &mut Vec<u8>, chance: &mut Seed) {
        if self.hurt_once || self.hurt == Hurt::default() {
            piece.push(byte);
            return;
        }
        let hurt = self.hurt;
        self.hurt_once = true;
        let mut die = chance.below(1_000);
        let mut falls = |share: u64| {
            let hit = die < share;
            die = die.wrapping_sub(share);
            hit
        };
        if falls(hurt.lost) {
        } else if falls(hurt.flipped) {
            piece.push(self.flipped(byte, chance));
        } else if falls(hurt.damaged) {
            self.post(piece);
            self.parcels.push_back((self.last, Parcel::Damaged));
        } else if falls(hurt.doubled) && byte != ENQ {
            piece.extend([byte, byte]);
        } else if falls(hurt.inserted) {
            // A NUL more is nothing to a sum.
            let other = u8::try_from(1 + chance.below(255)).unwrap_or(1);
            piece.extend((!self.forges(other)).then_some(other));
            piece.push(byte);
        } else {
            self.hurt_once = false;
            piece.push(byte);
        }
    }

    fn flipped(&self, byte: u8, chance: &mut Seed) -> u8 {
        let first = chance.below(8);
        (0..8).map(|step| byte ^ 1 << ((first + step) % 8)).find(|other| !self.forges(*other)).unwrap_or(byte)
    }

    /// Whether the byte, made by the line itself, would say something that nobody said.
    fn forges(&self, byte: u8) -> bool {
        match self.writer {
            Writer::Analyzer => matches!(byte, ENQ | STX | ETX | ETB),
            Writer::Host => matches!(byte, ACK | NAK | EOT | ENQ | STX),
        }
    }

    fn post(&mut self, piece: &mut Vec<u8>) {
        if !piece.is_empty() {
            self.parcels.push_back((self.last, Parcel::Bytes(core::mem::take(piece))));
        }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.parcels.front().map(|(due, _)| *due)
    }

    pub(super) fn read(&mut self) -> Option<Parcel> {
        self.parcels.pop_front().map(|(_, parcel)| parcel)
    }

    pub(super) fn clear(&mut self) {
        self.parcels.clear();
    }

    pub(super) fn heal(&mut self) {
        self.hurt = Hurt::default();
    }
}
