//! The name of a record: one letter in LIS02, three characters in HL7 v2.

use core::fmt;
use core::ops::Deref;

/// A record letter or segment id, held in place so that records stay `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    bytes: [u8; 3],
    length: u8,
}

impl Name {
    /// Stands for no name at all.
    pub(crate) const NONE: Self = Self { bytes: [0; 3], length: 0 };

    /// A segment id that is known when the program is written.
    pub(crate) const fn of(bytes: [u8; 3]) -> Self {
        Self { bytes, length: 3 }
    }

    /// A name of one to three ASCII letters and digits that begins with a letter; lower case is
    /// raised, because LIS02 record letters are case-insensitive.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let (first, rest) = text.split_first()?;
        if rest.len() > 2 || !first.is_ascii_alphabetic() || !rest.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut name = Self { bytes: [0; 3], length: 1 };
        name.bytes[0] = first.to_ascii_uppercase();
        for byte in rest {
            name.bytes[usize::from(name.length)] = byte.to_ascii_uppercase();
            name.length += 1;
        }
        Some(name)
    }

    /// The name as text, upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The name as ASCII bytes, upper case.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The letter of a LIS02 record; `None` for a name of more than one character.
    #[must_use]
    pub fn letter(&self) -> Option<u8> {
        (self.length == 1).then_some(self.bytes[0])
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
