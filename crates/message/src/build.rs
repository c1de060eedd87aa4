//! Building records of either syntax: parts are set by path, escaped when they are text, and
//! written with the delimiters of the message they go into.

use std::collections::BTreeMap;

use crate::delimiters::Delimiters;
use crate::escape;
use crate::name::Name;
use crate::path::Path;
use crate::scan::Syntax;

/// One record under construction.
///
/// ```
/// use labwire_message::{Delimiters, Name, Syntax, build::RecordBuilder};
///
/// let name = Name::new(b"R").expect("a letter");
/// let mut record = RecordBuilder::new(Syntax::Lis02, name, Delimiters::LIS02);
/// record.text(2, b"1").component(3, 4, b"GLU").text(4, b"<0.5").text(5, b"mg|dL");
/// assert_eq!(record.finish(), b"R|1|^^^GLU|<0.5|mg&F&dL");
/// ```
#[derive(Clone, Debug)]
pub struct RecordBuilder {
    syntax: Syntax,
    name: Name,
    delimiters: Delimiters,
    parts: BTreeMap<Place, Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    field: u16,
    repeat: u16,
    component: u16,
    subcomponent: u16,
}

impl RecordBuilder {
    /// A record that has only its name; a header (H, MSH, FHS, BHS) also declares the delimiters.
    #[must_use]
    pub const fn new(syntax: Syntax, name: Name, delimiters: Delimiters) -> Self {
        Self { syntax, name, delimiters, parts: BTreeMap::new() }
    }

    /// The name it was given.
    #[must_use]
    pub const fn name(&self) -> Name {
        self.name
    }

    /// Sets a field to text, escaping what would be read as a delimiter.
    pub fn text(&mut self, field: u16, text: &[u8]) -> &mut Self {
        self.put(field, 1, 1, 1, text, true)
    }

    /// Sets a field to bytes as they are, delimiters and escape sequences included.
    pub fn raw(&mut self, field: u16, bytes: &[u8]) -> &mut Self {
        self.put(field, 1, 1, 1, bytes, false)
    }

    /// Sets a component of the first repeat to text.
    pub fn component(&mut self, field: u16, component: u16, text: &[u8]) -> &mut Self {
        self.put(field, 1, component, 1, text, true)
    }

    /// Sets the part that a path names to text. The record name of the path is not looked at.
    pub fn set(&mut self, path: &Path, text: &[u8]) -> &mut Self {
        self.put(
            path.field,
            path.repeat.unwrap_or(1),
            path.component.unwrap_or(1),
            path.subcomponent.unwrap_or(1),
            text,
            true,
        )
    }

    /// The bytes of the record, without its terminator.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let mut out = self.name.as_bytes().to_vec();
        let mut at = Place { field: 1, repeat: 1, component: 1, subcomponent: 1 };
        if self.syntax == Syntax::Hl7 && !self.is_header() {
            at.field = 0;
        }
        if self.is_header() {
            out.push(self.delimiters.field);
            out.extend(self.delimiters.declaration(self.syntax));
            at.field = 2;
        }
        let Delimiters { field, repeat, component, subcomponent, .. } = self.delimiters;
        for (place, bytes) in &self.parts {
            if place.field != at.field {
                out.extend((at.field..place.field).map(|_| field));
                at = Place { field: place.field, repeat: 1, component: 1, subcomponent: 1 };
            }
            if place.repeat != at.repeat {
                out.extend((at.repeat..place.repeat).filter_map(|_| repeat));
                at = Place { repeat: place.repeat, component: 1, subcomponent: 1, ..at };
            }
            if place.component != at.component {
                out.extend((at.component..place.component).filter_map(|_| component));
                at = Place { component: place.component, subcomponent: 1, ..at };
            }
            out.extend((at.subcomponent..place.subcomponent).filter_map(|_| subcomponent));
            at = *place;
            out.extend_from_slice(bytes);
        }
        out
    }

    fn is_header(&self) -> bool {
        match self.syntax {
            Syntax::Lis02 => self.name == "H",
            Syntax::Hl7 => self.name == "MSH" || self.name == "FHS" || self.name == "BHS",
        }
    }

    /// The name and the declared delimiters cannot be set: they are written from what is known.
    fn first_settable(&self) -> u16 {
        match (self.syntax, self.is_header()) {
            (_, true) => 3,
            (Syntax::Lis02, false) => 2,
            (Syntax::Hl7, false) => 1,
        }
    }

    fn put(
        &mut self,
        field: u16,
        repeat: u16,
        component: u16,
        subcomponent: u16,
        bytes: &[u8],
        escaped: bool,
    ) -> &mut Self {
        if field >= self.first_settable() {
            let bytes = match escaped {
                true => escape::encode(self.syntax, bytes, &self.delimiters).into_owned(),
                false => bytes.to_vec(),
            };
            self.parts.insert(Place { field, repeat, component, subcomponent }, bytes);
        }
        self
    }
}
