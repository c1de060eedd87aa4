//! Building whole LIS02 messages with their sequence numbers.

use crate::build::RecordBuilder;
use crate::delimiters::Delimiters;
use crate::lis02::hierarchy::{Counters, fixed_level};
use crate::name::Name;
use crate::scan::Syntax;

/// Writes the records of a message one after the other, each ended by CR, and counts field 2 of
/// each by the rule of §5.6.7.
///
/// ```
/// use labwire_message::{Delimiters, lis02::MessageBuilder};
///
/// let mut message = MessageBuilder::new(Delimiters::LIS02);
/// message.header(|header| { header.text(5, b"analyzer"); });
/// message.record(b'P', |_| {});
/// message.record(b'O', |order| { order.text(3, b"S1").component(5, 4, b"GLU"); });
/// message.terminator(b"N");
/// assert_eq!(message.finish(), b"H|\\^&|||analyzer\rP|1\rO|1|S1||^^^GLU\rL|1|N\r");
/// ```
#[derive(Clone, Debug)]
pub struct MessageBuilder {
    delimiters: Delimiters,
    counters: Counters,
    /// Level of the last record that C can describe: any but C.
    described: u8,
    /// Level of the last record that M can follow: any but M.
    followed: u8,
    bytes: Vec<u8>,
}

impl MessageBuilder {
    /// An empty message in the given delimiters.
    #[must_use]
    pub fn new(delimiters: Delimiters) -> Self {
        Self { delimiters, counters: Counters::default(), described: 0, followed: 0, bytes: Vec::new() }
    }

    /// Writes the header, which has no sequence number. Its fields 1 and 2 are written by themselves.
    pub fn header(&mut self, fill: impl FnOnce(&mut RecordBuilder)) -> &mut Self {
        self.counters = Counters::default();
        self.described = 0;
        self.followed = 0;
        self.write(b'H', None, fill)
    }

    /// Writes a record of a letter, numbered. What `fill` puts into field 2 replaces the number.
    pub fn record(&mut self, letter: u8, fill: impl FnOnce(&mut RecordBuilder)) -> &mut Self {
        let letter = letter.to_ascii_uppercase();
        let level = match (letter, fixed_level(letter)) {
            (_, Some(level)) => level,
            (b'C', None) => self.described.saturating_add(1),
            (_, None) => self.followed.saturating_add(1),
        };
        if letter != b'C' {
            self.described = level;
        }
        if letter != b'M' {
            self.followed = level;
        }
        let number = self.counters.next(letter, level);
        self.write(letter, Some(number), fill)
    }

    /// Writes the terminator `L|1|code`.
    pub fn terminator(&mut self, code: &[u8]) -> &mut Self {
        self.record(b'L', |terminator| {
            terminator.text(3, code);
        })
    }

    /// The message.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    fn write(&mut self, letter: u8, number: Option<u32>, fill: impl FnOnce(&mut RecordBuilder)) -> &mut Self {
        if let Some(name) = Name::new(&[letter]) {
            let mut record = RecordBuilder::new(Syntax::Lis02, name, self.delimiters);
            if let Some(number) = number {
                record.text(2, number.to_string().as_bytes());
            }
            fill(&mut record);
            self.bytes.extend(record.finish());
            self.bytes.push(b'\r');
        }
        self
    }
}
