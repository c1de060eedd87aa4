//! UCUM as far as laboratories use it: units to dimensions and an exact factor.
//!
//! Terms are read by the grammar of UCUM (case sensitive): `10*3/uL`, `mmol/L`, `m[IU]/mL`, `/100{WBCs}`.
//! Special units (`Cel`, `[degF]`, `[pH]`, `B`) are no multiples of anything and are not converted;
//! arbitrary units (`[IU]`, `[arb'U]`) measure only themselves. `{…}` says what is counted: it never changes a
//! factor, but units with different annotations are different things to a laboratory and are not mixed.

use std::collections::BTreeMap;

use crate::ucum::amount::Fraction;

pub(crate) mod amount;
pub(crate) mod convert;

/// What a unit measures, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) factor: Fraction,
    /// Exponents of the base quantities, none of them zero.
    pub(crate) dimension: BTreeMap<Base, i32>,
    /// What is counted, in order.
    pub(crate) annotations: Vec<String>,
}

/// Base quantities. Amount of substance stands apart from a mere count: to UCUM a mole is a number, to a
/// laboratory it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    Meter,
    Gram,
    Second,
    Mole,
    Equivalent,
    Osmole,
    International,
    Arbitrary,
    Pascal,
}

/// Why a text is no unit that can be reckoned with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitError {
    /// No term of UCUM's grammar, or a unit that is not in the table.
    Unknown,
    /// A unit on a scale of its own, such as a temperature or pH.
    Special,
}

/// Longest unit that is read.
const UNIT_BYTES_MAX: usize = 64;
/// Largest exponent of a unit.
const EXPONENT_MAX: i32 = 30;

const PREFIXES: &[(&str, i32)] = &[
    ("da", 1),
    ("G", 9),
    ("M", 6),
    ("a", -18),
    ("c", -2),
    ("d", -1),
    ("f", -15),
    ("h", 2),
    ("k", 3),
    ("m", -3),
    ("n", -9),
    ("p", -12),
    ("u", -6),
];

const SPECIAL: &[&str] = &["Cel", "[degF]", "[degRe]", "[pH]", "B", "Np", "[p'diop]"];

/// Symbol, whether prefixes may stand before it, numerator and denominator of the factor, dimension.
type Atom = (&'static str, bool, i128, i128, &'static [(Base, i32)]);

const ATOMS: &[Atom] = &[
    ("%", false, 1, 100, &[]),
    ("10*", false, 10, 1, &[]),
    ("10^", false, 10, 1, &[]),
    ("[HPF]", false, 1, 1, &[(Base::Arbitrary, 1)]),
    ("[IU]", true, 1, 1, &[(Base::International, 1)]),
    ("[LPF]", false, 100, 1, &[(Base::Arbitrary, 1)]),
    ("[arb'U]", false, 1, 1, &[(Base::Arbitrary, 1)]),
    ("[iU]", true, 1, 1, &[(Base::International, 1)]),
    ("[ppm]", false, 1, 1_000_000, &[]),
    ("[ppb]", false, 1, 1_000_000_000, &[]),
    ("L", true, 1, 1000, &[(Base::Meter, 3)]),
    ("Osm", true, 1, 1, &[(Base::Osmole, 1)]),
    ("Pa", true, 1, 1, &[(Base::Pascal, 1)]),
    // One micromole of substrate a minute.
    ("U", true, 1, 60_000_000, &[(Base::Mole, 1), (Base::Second, -1)]),
    ("bar", true, 100_000, 1, &[(Base::Pascal, 1)]),
    ("d", false, 86_400, 1, &[(Base::Second, 1)]),
    ("eq", true, 1, 1, &[(Base::Equivalent, 1)]),
    ("g", true, 1, 1, &[(Base::Gram, 1)]),
    ("h", false, 3600, 1, &[(Base::Second, 1)]),
    ("kat", true, 1, 1, &[(Base::Mole, 1), (Base::Second, -1)]),
    ("l", true, 1, 1000, &[(Base::Meter, 3)]),
    ("m", true, 1, 1, &[(Base::Meter, 1)]),
    // 133.322 kPa exactly.
    ("m[Hg]", true, 133_322, 1, &[(Base::Pascal, 1)]),
    ("min", false, 60, 1, &[(Base::Second, 1)]),
    ("mol", true, 1, 1, &[(Base::Mole, 1)]),
    ("s", true, 1, 1, &[(Base::Second, 1)]),
];

impl Unit {
    fn one() -> Self {
        Self { factor: Fraction::ONE, dimension: BTreeMap::new(), annotations: Vec::new() }
    }

    /// Reads a UCUM term.
    ///
    /// # Errors
    /// [`UnitError`] when it is none that can be reckoned with.
    pub(crate) fn parse(text: &str) -> Result<Self, UnitError> {
        if text.is_empty() || text.len() > UNIT_BYTES_MAX || !text.is_ascii() {
            return Err(UnitError::Unknown);
        }
        let mut unit = Self::one();
        let mut rest = text;
        let mut sign = 1;
        if let Some(denominator) = rest.strip_prefix('/') {
            (rest, sign) = (denominator, -1);
        }
        loop {
            let end = component_end(rest);
            unit.multiply(&rest[..end], sign)?;
            let Some(operator) = rest[end..].chars().next() else { return Ok(unit) };
            // Operators bind from left to right: `a/b.c` is a over b, times c.
            sign = if operator == '/' { -1 } else { 1 };
            rest = &rest[end + 1..];
        }
    }

    /// Takes in one component: a number, or a unit with its exponent, and what it counts.
    fn multiply(&mut self, component: &str, sign: i32) -> Result<(), UnitError> {
        let (symbol, annotation) = match component.split_once('{') {
            Some((symbol, rest)) => (symbol, Some(rest.strip_suffix('}').ok_or(UnitError::Unknown)?)),
            None => (component, None),
        };
        if symbol.is_empty() && annotation.is_none() {
            return Err(UnitError::Unknown);
        }
        self.annotations.extend(annotation.map(str::to_owned));
        if symbol.is_empty() {
            return Ok(());
        }
        let (factor, dimension, exponent) = if symbol.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = symbol.parse().ok().and_then(|number: i64| Fraction::new(number.into(), 1));
            (number.filter(|_| symbol.len() <= 9).ok_or(UnitError::Unknown)?, &[][..], 1)
        } else {
            simple(symbol)?
        };
        let exponent = exponent * sign;
        let power = factor.to_the(exponent).ok_or(UnitError::Unknown)?;
        self.factor = self.factor.times(power).ok_or(UnitError::Unknown)?;
        for (base, times) in dimension {
            let sum = self.dimension.entry(*base).or_default();
            *sum += times * exponent;
            if *sum == 0 {
                self.dimension.remove(base);
            }
        }
        Ok(())
    }
}

/// Where a component ends: at `.` or `/` outside brackets and braces.
fn component_end(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'/' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

type Simple = (Fraction, &'static [(Base, i32)], i32);

/// A unit with its prefix and exponent.
fn simple(symbol: &str) -> Result<Simple, UnitError> {
    if let Some(found) = atom(symbol, 1)? {
        return Ok(found);
    }
    let digits = symbol.bytes().rev().take_while(u8::is_ascii_digit).count();
    let signs = usize::from(symbol[..symbol.len() - digits].ends_with(['+', '-']));
    let (bare, exponent) = symbol.split_at(symbol.len() - digits - signs);
    let exponent: i32 = exponent.parse().map_err(|_| UnitError::Unknown)?;
    if exponent.abs() > EXPONENT_MAX {
        return Err(UnitError::Unknown);
    }
    atom(bare, exponent)?.ok_or(UnitError::Unknown)
}

fn atom(symbol: &str, exponent: i32) -> Result<Option<Simple>, UnitError> {
    let find = |symbol: &str| ATOMS.iter().find(|(known, ..)| *known == symbol);
    let of = |atom: &Atom, power: i32| {
        let factor = Fraction::new(atom.2, atom.3)?.times(Fraction::power_of_ten(power)?)?;
        Some((factor, atom.4, exponent))
    };
    if SPECIAL.contains(&symbol) {
        return Err(UnitError::Special);
    }
    // A whole symbol wins over a prefix and the rest: `min` is a minute, not milli-inch.
    if let Some(found) = find(symbol) {
        return Ok(of(found, 0));
    }
    for (prefix, power) in PREFIXES {
        let Some(rest) = symbol.strip_prefix(prefix) else { continue };
        if SPECIAL.contains(&rest) {
            return Err(UnitError::Special);
        }
        if let Some(found) = find(rest).filter(|(_, takes_prefix, ..)| *takes_prefix) {
            return Ok(of(found, *power));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(text: &str) -> Option<String> {
        Unit::parse(text).ok()?.factor.to_decimal(18)
    }

    #[test]
    fn terms_of_laboratories_are_read_with_their_factor() {
        for (unit, number) in [
            ("g", "1.000000000000000000"),
            ("%", "0.010000000000000000"),
            ("mL", "0.000001000000000000"),
            ("10*3", "1000.000000000000000000"),
            ("10*-3", "0.001000000000000000"),
            ("mol/mmol", "1000.000000000000000000"),
            ("m2/m2", "1.000000000000000000"),
            ("m[IU]/[IU]", "0.001000000000000000"),
            ("mm[Hg]", "133.322000000000000000"),
            ("/100{WBCs}", "0.010000000000000000"),
            ("g/g.g", "1.000000000000000000"),
        ] {
            assert_eq!(factor(unit).as_deref(), Some(number), "{unit}");
        }
    }

    #[test]
    fn every_unit_that_the_common_spellings_mean_is_read() {
        for (_, ucum) in crate::units::SPELLINGS {
            assert!(Unit::parse(ucum).is_ok(), "{ucum}");
        }
    }

    #[test]
    fn what_is_no_unit_and_what_is_on_a_scale_of_its_own_is_refused() {
        for text in ["", "foo", "mg//dL", "mg/", "kmin", "mg dL", "10*99", "{x", "µg", "g99", "G/L/", "."] {
            assert_eq!(Unit::parse(text), Err(UnitError::Unknown), "{text}");
        }
        for text in ["Cel", "mCel", "[degF]", "[pH]", "dB"] {
            assert_eq!(Unit::parse(text), Err(UnitError::Special), "{text}");
        }
    }
}
