//! The parts of a record, cut when they are asked for: field, repeat, component, subcomponent.

use memchr::memchr;

use crate::delimiters::Delimiters;

/// One field with all its repeats.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    number: u16,
    bytes: &'a [u8],
    offset: usize,
    delimiters: Delimiters,
}

impl<'a> Field<'a> {
    pub(crate) const fn new(number: u16, bytes: &'a [u8], offset: usize, delimiters: Delimiters) -> Self {
        Self { number, bytes, offset, delimiters }
    }

    /// Its number, 1-based as the standard counts.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Its bytes as sent.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of its first byte in the scanned input.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether nothing was sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether it is `""`, two quotes alone: the sender asks to delete what is stored.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        self.bytes == b"\"\""
    }

    /// Its repeats; an empty field has one, which is empty.
    pub fn repeats(&self) -> impl Iterator<Item = Repeat<'a>> + Clone + use<'a> {
        let delimiters = self.delimiters;
        Parts::new(self.bytes, self.offset, delimiters.repeat).map(move |(bytes, offset)| Repeat {
            bytes,
            offset,
            delimiters,
        })
    }

    /// One repeat, 1-based.
    #[must_use]
    pub fn repeat(&self, number: u16) -> Option<Repeat<'a>> {
        self.repeats().nth(usize::from(number.checked_sub(1)?))
    }

    /// One component of the first repeat, 1-based.
    #[must_use]
    pub fn component(&self, number: u16) -> Option<Component<'a>> {
        self.repeat(1)?.component(number)
    }
}

/// One repeat of a field.
#[derive(Clone, Copy, Debug)]
pub struct Repeat<'a> {
    bytes: &'a [u8],
    offset: usize,
    delimiters: Delimiters,
}

impl<'a> Repeat<'a> {
    /// Its bytes as sent.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of its first byte in the scanned input.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Its components; an empty repeat has one, which is empty.
    pub fn components(&self) -> impl Iterator<Item = Component<'a>> + Clone + use<'a> {
        let delimiters = self.delimiters;
        Parts::new(self.bytes, self.offset, delimiters.component).map(move |(bytes, offset)| Component {
            bytes,
            offset,
            delimiters,
        })
    }

    /// One component, 1-based.
    #[must_use]
    pub fn component(&self, number: u16) -> Option<Component<'a>> {
        self.components().nth(usize::from(number.checked_sub(1)?))
    }
}

/// One component of a repeat.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    bytes: &'a [u8],
    offset: usize,
    delimiters: Delimiters,
}

impl<'a> Component<'a> {
    /// Its bytes as sent.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of its first byte in the scanned input.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Its subcomponents; where none are declared, the component is the only one.
    pub fn subcomponents(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        Parts::new(self.bytes, self.offset, self.delimiters.subcomponent).map(|(bytes, _)| bytes)
    }

    /// One subcomponent, 1-based.
    #[must_use]
    pub fn subcomponent(&self, number: u16) -> Option<&'a [u8]> {
        self.subcomponents().nth(usize::from(number.checked_sub(1)?))
    }

    /// Whether the sender says that it cut the value short (HL7 2.7: the truncation character ends it).
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.delimiters.truncation.is_some() && self.bytes.last() == self.delimiters.truncation.as_ref()
    }
}

/// Cuts bytes at a delimiter and keeps count of the offset.
#[derive(Clone, Debug)]
struct Parts<'a> {
    rest: Option<&'a [u8]>,
    offset: usize,
    delimiter: Option<u8>,
}

impl<'a> Parts<'a> {
    const fn new(bytes: &'a [u8], offset: usize, delimiter: Option<u8>) -> Self {
        Self { rest: Some(bytes), offset, delimiter }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = (&'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let offset = self.offset;
        match self.delimiter.and_then(|delimiter| memchr(delimiter, rest)) {
            Some(place) => {
                self.rest = Some(&rest[place + 1..]);
                self.offset += place + 1;
                Some((&rest[..place], offset))
            }
            None => {
                self.rest = None;
                Some((rest, offset))
            }
        }
    }
}
