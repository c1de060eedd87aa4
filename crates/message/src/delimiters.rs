//! The delimiters that a header declares for itself and for every record until the next header.

use crate::scan::Syntax;

/// The delimiters in force for one record. A part that the header did not declare is `None`: then
/// nothing is cut there and nothing is unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields.
    pub field: u8,
    /// Between the repeats of a field.
    pub repeat: Option<u8>,
    /// Between components.
    pub component: Option<u8>,
    /// Begins and ends an escape sequence.
    pub escape: Option<u8>,
    /// Between subcomponents; HL7 only.
    pub subcomponent: Option<u8>,
    /// Marks a value that its sender cut short; HL7 2.7 and later.
    pub truncation: Option<u8>,
}

/// What is odd about a header's delimiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// Some of them are missing.
    Short,
    /// The escape or repeat delimiter was written twice, as a program does that escaped it for its
    /// own source code.
    Doubled,
    /// One of them equals another, is a letter or a digit, or is followed by something else than
    /// the field delimiter.
    Invalid,
    /// None is declared: the usual ones are taken.
    Absent,
}

impl Delimiters {
    /// `|\^&`, the example of LIS02 that nearly every analyzer uses.
    pub const LIS02: Self = Self {
        field: b'|',
        repeat: Some(b'\\'),
        component: Some(b'^'),
        escape: Some(b'&'),
        subcomponent: None,
        truncation: None,
    };

    /// `|^~\&`, the recommended ones of HL7 v2.
    pub const HL7: Self = Self {
        field: b'|',
        repeat: Some(b'~'),
        component: Some(b'^'),
        escape: Some(b'\\'),
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// The usual delimiters of a syntax, in force before the first header.
    #[must_use]
    pub const fn usual(syntax: Syntax) -> Self {
        match syntax {
            Syntax::Lis02 => Self::LIS02,
            Syntax::Hl7 => Self::HL7,
        }
    }

    /// The content of the header's second field, as these delimiters are declared: H.2 or MSH-2.
    #[must_use]
    pub fn declaration(&self, syntax: Syntax) -> Vec<u8> {
        let parts = match syntax {
            Syntax::Lis02 => [self.repeat, self.component, self.escape, None, None],
            Syntax::Hl7 => [self.component, self.repeat, self.escape, self.subcomponent, self.truncation],
        };
        parts.into_iter().flatten().collect()
    }

    /// H.2 as these delimiters would be declared, without allocating; zeros where one is missing.
    pub(crate) fn declaration_lis02(&self) -> [u8; 3] {
        [self.repeat, self.component, self.escape].map(Option::unwrap_or_default)
    }

    /// Reads the delimiters of a header. `rest` is what follows its name, up to the end of the line.
    pub(crate) fn declared(syntax: Syntax, rest: &[u8]) -> (Self, Option<Oddity>) {
        let usual = Self::usual(syntax);
        let Some((&field, rest)) = rest.split_first() else {
            return (usual, Some(Oddity::Absent));
        };
        let length = memchr::memchr(field, rest).unwrap_or(rest.len());
        match syntax {
            Syntax::Lis02 => Self::declared_lis02(field, &rest[..length]),
            Syntax::Hl7 => Self::declared_hl7(field, &rest[..length]),
        }
    }

    fn declared_lis02(field: u8, definition: &[u8]) -> (Self, Option<Oddity>) {
        let bare =
            Self { field, repeat: None, component: None, escape: None, subcomponent: None, truncation: None };
        let (parts, oddity) = match *definition {
            [] => return (Self { field, ..Self::LIS02 }.distinct().0, Some(Oddity::Absent)),
            [first, second, component, escape] if first == second => {
                ([Some(first), Some(component), Some(escape)], Some(Oddity::Doubled))
            }
            [repeat, component, escape] => ([Some(repeat), Some(component), Some(escape)], None),
            [repeat, component, escape, ..] => {
                ([Some(repeat), Some(component), Some(escape)], Some(Oddity::Invalid))
            }
            [repeat, component] => ([Some(repeat), Some(component), None], Some(Oddity::Short)),
            [repeat] => ([Some(repeat), None, None], Some(Oddity::Short)),
        };
        let [repeat, component, escape] = parts;
        let (delimiters, all_kept) = Self { repeat, component, escape, ..bare }.distinct();
        (delimiters, if all_kept { oddity } else { Some(Oddity::Invalid) })
    }

    fn declared_hl7(field: u8, definition: &[u8]) -> (Self, Option<Oddity>) {
        if definition.is_empty() {
            return (Self { field, ..Self::HL7 }.distinct().0, Some(Oddity::Absent));
        }
        let doubled = definition.len() >= 5 && definition[2] == definition[3];
        let part = |position: usize| {
            let position = if doubled && position > 2 { position + 1 } else { position };
            definition.get(position).copied()
        };
        let declared = Self {
            field,
            component: part(0),
            repeat: part(1),
            escape: part(2),
            subcomponent: part(3),
            truncation: part(4),
        };
        let (delimiters, all_kept) = declared.distinct();
        let oddity = if !all_kept || part(5).is_some() {
            Some(Oddity::Invalid)
        } else if doubled {
            Some(Oddity::Doubled)
        } else if declared.subcomponent.is_none() {
            Some(Oddity::Short)
        } else {
            None
        };
        (delimiters, oddity)
    }

    /// Drops what cannot delimit: a letter, a digit, a control character, a byte that already has
    /// another meaning. Says whether all could stay.
    fn distinct(self) -> (Self, bool) {
        let mut seen = [Some(self.field), None, None, None, None, None];
        let mut all_kept = true;
        let mut keep = |place: usize, delimiter: Option<u8>| {
            let delimiter = delimiter?;
            if delimiter.is_ascii_alphanumeric()
                || delimiter.is_ascii_control()
                || delimiter == b' '
                || seen.contains(&Some(delimiter))
            {
                all_kept = false;
                return None;
            }
            seen[place] = Some(delimiter);
            Some(delimiter)
        };
        let kept = Self {
            field: self.field,
            component: keep(1, self.component),
            repeat: keep(2, self.repeat),
            escape: keep(3, self.escape),
            subcomponent: keep(4, self.subcomponent),
            truncation: keep(5, self.truncation),
        };
        (kept, all_kept)
    }
}
