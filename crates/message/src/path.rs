//! Paths such as `O.4.3`, `R.5[2].4` or `OBX-5.1`: one part of every record of a name.

use core::fmt;
use core::str::FromStr;

use crate::name::Name;

/// Names one part of a record in the standards' notation.
///
/// `R.4` is a whole field with all its repeats; `R.3.5` the fifth component of its first repeat;
/// `R.5[2]` a whole repeat; `SPM-2.1.1` a subcomponent. LIS02 writes a dot after the record letter,
/// HL7 a hyphen after the segment id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// The record letter or segment id.
    pub record: Name,
    /// The field, 1-based; the record letter of LIS02 is field 1.
    pub field: u16,
    /// The repeat, 1-based; `None` takes the first where a component is named, else all.
    pub repeat: Option<u16>,
    /// The component, 1-based.
    pub component: Option<u16>,
    /// The subcomponent, 1-based; HL7 only.
    pub subcomponent: Option<u16>,
}

impl Path {
    /// A whole field.
    #[must_use]
    pub const fn field(record: Name, field: u16) -> Self {
        Self { record, field, repeat: None, component: None, subcomponent: None }
    }

    /// The same path cut back to its whole field.
    #[must_use]
    pub const fn whole(&self) -> Self {
        Self::field(self.record, self.field)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joint = if self.record.letter().is_some() { '.' } else { '-' };
        write!(formatter, "{}{joint}{}", self.record, self.field)?;
        if let Some(repeat) = self.repeat {
            write!(formatter, "[{repeat}]")?;
        }
        if let Some(component) = self.component {
            write!(formatter, ".{component}")?;
        }
        if let Some(subcomponent) = self.subcomponent {
            write!(formatter, ".{subcomponent}")?;
        }
        Ok(())
    }
}

/// Why a path could not be read: where, what, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// Byte column in the text, 1-based.
    pub column: usize,
    /// What is wrong, a lower-case fragment.
    pub problem: String,
    /// What to write instead, a lower-case fragment.
    pub remedy: String,
}

impl fmt::Display for PathError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at column {}; {}", self.problem, self.column, self.remedy)
    }
}

impl core::error::Error for PathError {}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text: text.as_bytes(), at: 0 };
        let record = parser.record()?;
        let field = parser.number("field")?;
        let repeat = parser.repeat()?;
        let component = parser.part("component")?;
        if component.is_some() && record.letter().is_some() && parser.peek() == Some(b'.') {
            return parser.error("LIS02 has no subcomponents", "end the path at the component");
        }
        let subcomponent = match component {
            Some(_) => parser.part("subcomponent")?,
            None => None,
        };
        parser.end()?;
        Ok(Self { record, field, repeat, component, subcomponent })
    }
}

/// Reads a path left to right and remembers the column for the error.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

const SHAPES: &str = "write a record and a field, such as `R.4`, `O.4.3`, `OBX-5` or `SPM-2.1.1`";

impl Parser<'_> {
    fn error<T>(&self, problem: impl Into<String>, remedy: impl Into<String>) -> Result<T, PathError> {
        Err(PathError { column: self.at + 1, problem: problem.into(), remedy: remedy.into() })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn record(&mut self) -> Result<Name, PathError> {
        let length = self.text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let written = &self.text[..length];
        if written.is_empty() {
            return self.error("a path begins with a record", SHAPES);
        }
        let name = match Name::new(written) {
            Some(name) if length != 2 => name,
            _ => {
                return self.error(
                    "this is neither a record letter nor a segment id",
                    "LIS02 records have one letter (`H P O R C Q S M L`), HL7 segments three characters",
                );
            }
        };
        if let Some(lower) = written.iter().position(u8::is_ascii_lowercase) {
            self.at = lower;
            return self.error("record names are upper case", format!("write `{name}`"));
        }
        self.at = length;
        match (self.peek(), name.letter().is_some()) {
            (Some(b'.'), true) | (Some(b'-'), false) => {
                self.at += 1;
                Ok(name)
            }
            (None, _) => self.error("the field is missing", SHAPES),
            (Some(_), true) => self.error(
                "a record letter is followed by a dot",
                format!("write `{name}.` and the number of the field"),
            ),
            (Some(_), false) => self.error(
                "a segment id is followed by a hyphen",
                format!("write `{name}-` and the number of the field"),
            ),
        }
    }

    fn number(&mut self, what: &str) -> Result<u16, PathError> {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let written = core::str::from_utf8(&self.text[self.at..self.at + digits]).unwrap_or_default();
        match written.parse::<u16>() {
            Ok(0) => self.error(format!("{what} 0 does not exist"), "parts are counted from 1"),
            Ok(number) => {
                self.at += digits;
                Ok(number)
            }
            Err(_) if digits > 0 => {
                self.error(format!("this {what} number is too large"), "the largest is 65535")
            }
            Err(_) => {
                self.error(format!("the {what} is missing"), format!("write its number, from 1; {SHAPES}"))
            }
        }
    }

    fn repeat(&mut self) -> Result<Option<u16>, PathError> {
        if self.peek() != Some(b'[') {
            return Ok(None);
        }
        self.at += 1;
        let number = self.number("repeat")?;
        if self.peek() != Some(b']') {
            return self.error("the bracket is not closed", format!("write `[{number}]`"));
        }
        self.at += 1;
        Ok(Some(number))
    }

    fn part(&mut self, what: &str) -> Result<Option<u16>, PathError> {
        if self.peek() != Some(b'.') {
            return Ok(None);
        }
        self.at += 1;
        self.number(what).map(Some)
    }

    fn end(&self) -> Result<(), PathError> {
        match self.peek() {
            None => Ok(()),
            Some(b'[') => self.error("the repeat stands after the field", "write `R.5[2].4`, not `R.5.4[2]`"),
            Some(_) => self.error("nothing may follow here", SHAPES),
        }
    }
}
