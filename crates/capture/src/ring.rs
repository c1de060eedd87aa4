//! The latest entries of a live line in bounded memory.

use core::mem::size_of;
use std::collections::VecDeque;
use std::io::{self, Write};

use crate::entry::{Content, Entry, Header};
use crate::write::Writer;

/// What a ring had to let go to stay within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Whole entries.
    pub entries: u64,
    /// Bytes of line traffic in them.
    pub bytes: u64,
}

/// Entries up to a bound in bytes; the oldest go first, whole, and are counted.
///
/// The bound covers an entry's own size as well as its bytes, so that a line which arrives one byte
/// at a time stays within it too.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    bytes_max: usize,
    bytes: usize,
    dropped: Dropped,
}

impl Ring {
    /// An empty ring that will hold at most `bytes_max` bytes of memory for its entries.
    pub const fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes_max, bytes: 0, dropped: Dropped { entries: 0, bytes: 0 } }
    }

    /// Adds an entry and lets go of as many old ones as the bound demands. An entry that is larger than
    /// the whole bound is itself let go.
    pub fn push(&mut self, mut entry: Entry) {
        match &mut entry.content {
            Content::ToHost(bytes) | Content::ToAnalyzer(bytes) => bytes.shrink_to_fit(),
            Content::Event(text) => text.shrink_to_fit(),
        }
        self.bytes += cost(&entry);
        self.entries.push_back(entry);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= cost(&oldest);
            self.dropped.entries += 1;
            self.dropped.bytes += oldest.bytes().len() as u64;
        }
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// What has been let go since the ring was made.
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Memory that the entries count for against the bound.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bound.
    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Writes the ring as a capture; entries that were let go are announced by an event at its beginning.
    ///
    /// # Errors
    /// Whatever `out` reports.
    pub fn write_to<W: Write>(&self, out: W, header: &Header) -> io::Result<W> {
        let mut writer = Writer::new(out, header)?;
        if self.dropped.entries > 0 {
            let offset = self.entries.front().map(|entry| entry.offset).unwrap_or_default();
            let Dropped { entries, bytes } = self.dropped;
            writer.entry(&Entry::event(offset, format!("dropped {entries} older entries, {bytes} bytes")))?;
        }
        for entry in &self.entries {
            writer.entry(entry)?;
        }
        writer.flush()?;
        Ok(writer.into_inner())
    }
}

fn cost(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.bytes().len()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn entry(second: u64, bytes: usize) -> Entry {
        Entry::to_host(Duration::from_secs(second), vec![b'x'; bytes])
    }

    #[test]
    fn the_oldest_entries_go_whole_and_are_counted() {
        let mut ring = Ring::new(2 * (size_of::<Entry>() + 100));
        for second in 0..5 {
            ring.push(entry(second, 100));
        }
        let kept: Vec<u64> = ring.entries().map(|entry| entry.offset.as_secs()).collect();
        assert_eq!(kept, [3, 4]);
        assert_eq!(ring.dropped(), Dropped { entries: 3, bytes: 300 });
        assert_eq!(ring.bytes(), ring.bytes_max());
    }

    #[test]
    fn an_entry_larger_than_the_bound_is_counted_and_not_kept() {
        let mut ring = Ring::new(1000);
        ring.push(entry(0, 10));
        ring.push(entry(1, 1000));
        assert_eq!(ring.entries().len(), 0);
        assert_eq!(ring.dropped(), Dropped { entries: 2, bytes: 1010 });
        ring.push(entry(2, 10));
        assert_eq!(ring.entries().len(), 1);
    }

    #[test]
    fn one_byte_entries_stay_within_the_bound() {
        let mut ring = Ring::new(4096);
        for second in 0..10_000 {
            ring.push(entry(second, 1));
            assert!(ring.bytes() <= 4096);
        }
        let kept = ring.entries().len() as u64;
        assert!(kept > 10, "the bound leaves room for {kept} entries only");
        assert_eq!(ring.dropped().entries + kept, 10_000);
    }

    #[test]
    fn a_written_ring_says_what_is_missing_from_it() {
        let mut ring = Ring::new(size_of::<Entry>() + 3);
        ring.push(entry(1, 3));
        ring.push(entry(2, 3));
        let header = Header::new("tcp", jiff::Timestamp::UNIX_EPOCH);
        let text = String::from_utf8(ring.write_to(Vec::new(), &header).unwrap()).unwrap();
        assert!(text.ends_with("2.000 ! dropped 1 older entries, 3 bytes\n2.000 > xxx\n"), "{text}");
    }
}
