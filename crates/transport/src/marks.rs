//! The kernel's marks of damaged characters on a serial line, taken out of the stream again.
//!
//! With PARMRK a character with a parity or framing error arrives as FF 00 and the character, a break
//! as FF 00 00, and a good FF as FF FF. They are kept in the stream because a damaged character must
//! spoil exactly the frame that it stands in.

use std::error::Error;
use std::fmt;
use std::io;

/// A character that did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CharacterError {
    /// Parity or framing error; the byte is what the port made of it.
    Damaged(u8),
    /// A break, or a zero byte with a parity error: the kernel does not tell them apart.
    Break,
    /// Parity, framing or overrun error that a terminal server reports: one of the characters around it.
    Unlocated,
}

impl CharacterError {
    /// The character error inside an [`io::Error`] that reading a [`crate::Wire`] gave. The line goes on
    /// behind such an error.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Self>().copied()
    }
}

impl fmt::Display for CharacterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(_) => f.write_str("parity or framing error"),
            Self::Break => f.write_str("break"),
            Self::Unlocated => f.write_str("parity, framing or overrun error"),
        }
    }
}

impl Error for CharacterError {}

impl From<CharacterError> for io::Error {
    fn from(error: CharacterError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// What the marks have been read up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unmarker {
    /// No mark is open.
    #[default]
    Plain,
    /// Behind FF.
    Mark,
    /// Behind FF 00.
    Error,
}

/// What one byte of the marked stream means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmarked {
    /// A good character.
    Byte(u8),
    /// A damaged one.
    Error(CharacterError),
    /// The first bytes of a mark.
    Pending,
}

impl Unmarker {
    pub(crate) const fn next(&mut self, byte: u8) -> Unmarked {
        match (*self, byte) {
            (Self::Plain, 0xff) => {
                *self = Self::Mark;
                Unmarked::Pending
            }
            (Self::Plain, _) => Unmarked::Byte(byte),
            (Self::Mark, 0x00) => {
                *self = Self::Error;
                Unmarked::Pending
            }
            (Self::Mark, _) => {
                *self = Self::Plain;
                Unmarked::Byte(byte)
            }
            (Self::Error, 0x00) => {
                *self = Self::Plain;
                Unmarked::Error(CharacterError::Break)
            }
            (Self::Error, _) => {
                *self = Self::Plain;
                Unmarked::Error(CharacterError::Damaged(byte))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmarked(bytes: &[u8]) -> Vec<Unmarked> {
        let mut unmarker = Unmarker::default();
        bytes.iter().map(|byte| unmarker.next(*byte)).filter(|item| *item != Unmarked::Pending).collect()
    }

    #[test]
    fn damaged_characters_breaks_and_good_ff_are_told_apart() {
        assert_eq!(
            unmarked(b"a\xff\xffb\xff\x00c\xff\x00\x00\x00d"),
            [
                Unmarked::Byte(b'a'),
                Unmarked::Byte(0xff),
                Unmarked::Byte(b'b'),
                Unmarked::Error(CharacterError::Damaged(b'c')),
                Unmarked::Error(CharacterError::Break),
                Unmarked::Byte(0),
                Unmarked::Byte(b'd'),
            ]
        );
    }
}
