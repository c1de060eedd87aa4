//! Conversion of a number from one unit to another, declared by the laboratory.

use crate::ucum::amount::Fraction;
use crate::ucum::{Base, Unit, UnitError};

/// Why a number is not converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConvertError {
    /// A unit that the table does not have.
    Unknown,
    /// A unit on a scale of its own, such as a temperature.
    Special,
    /// The units do not measure the same.
    NotCommensurable,
    /// Mass and amount of substance, and no molar mass is declared.
    NoMolarMass,
    /// Amount of substance and charge, and no valence is declared.
    NoValence,
    /// More digits than are reckoned with.
    Range,
}

impl ConvertError {
    /// One sentence without its end.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Unknown => "the unit is not one that can be converted",
            Self::Special => "the unit is on a scale of its own, which is not converted",
            Self::NotCommensurable => "the units do not measure the same",
            Self::NoMolarMass => "from mass to amount of substance needs the molar mass",
            Self::NoValence => "from amount of substance to equivalents needs the valence",
            Self::Range => "the number has more digits than are reckoned with",
        }
    }
}

impl From<UnitError> for ConvertError {
    fn from(error: UnitError) -> Self {
        match error {
            UnitError::Unknown => Self::Unknown,
            UnitError::Special => Self::Special,
        }
    }
}

/// What a conversion needs beside the units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Substance {
    /// Grams of a mole.
    pub(crate) molar_mass: Option<Fraction>,
    /// Charges of an ion.
    pub(crate) valence: Option<Fraction>,
}

/// By what a number in one unit is multiplied to be the same amount in the other.
///
/// # Errors
/// [`ConvertError`] when it is not the same amount of anything.
pub(crate) fn factor(from: &str, to: &str, substance: Substance) -> Result<Fraction, ConvertError> {
    let (from, to) = (Unit::parse(from)?, Unit::parse(to)?);
    // Cells are no colony forming units, whatever the dimension says.
    if from.annotations != to.annotations && !(from.annotations.is_empty() || to.annotations.is_empty()) {
        return Err(ConvertError::NotCommensurable);
    }
    let mut factor = from.factor.over(to.factor).ok_or(ConvertError::Range)?;
    let exponent = |unit: &Unit, base: Base| unit.dimension.get(&base).copied().unwrap_or_default();
    let difference = |base: Base| exponent(&to, base) - exponent(&from, base);
    let (grams, moles, equivalents) =
        (difference(Base::Gram), difference(Base::Mole), difference(Base::Equivalent));
    if grams + moles + equivalents != 0 {
        return Err(ConvertError::NotCommensurable);
    }
    let others = from.dimension.keys().chain(to.dimension.keys());
    if others
        .filter(|base| !matches!(base, Base::Gram | Base::Mole | Base::Equivalent))
        .any(|base| difference(*base) != 0)
    {
        return Err(ConvertError::NotCommensurable);
    }
    if grams != 0 {
        let mass = substance.molar_mass.ok_or(ConvertError::NoMolarMass)?;
        factor = mass.to_the(grams).and_then(|mass| factor.times(mass)).ok_or(ConvertError::Range)?;
    }
    if equivalents != 0 {
        let valence = substance.valence.ok_or(ConvertError::NoValence)?;
        factor = valence
            .to_the(equivalents)
            .and_then(|valence| factor.times(valence))
            .ok_or(ConvertError::Range)?;
    }
    Ok(factor)
}

/// Converts decimal text. Without declared decimals the result shows as many significant digits as
/// were sent, and no fewer than two: a conversion makes no measurement more precise.
///
/// # Errors
/// [`ConvertError::Range`] when the number has too many digits.
pub(crate) fn convert(number: &str, factor: Fraction, decimals: Option<u32>) -> Result<String, ConvertError> {
    let sent = Fraction::from_decimal(number).ok_or(ConvertError::Range)?;
    let converted = sent.times(factor).ok_or(ConvertError::Range)?;
    let decimals = decimals.unwrap_or_else(|| converted.decimals_for(significant(number).max(2)));
    converted.to_decimal(decimals).ok_or(ConvertError::Range)
}

/// Significant digits as written: `0.050` has two, `120` three.
fn significant(number: &str) -> u32 {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let leading = digits.len() - digits.trim_start_matches('0').len();
    u32::try_from(digits.len() - leading).unwrap_or(u32::MAX).min(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mass: &str) -> Substance {
        Substance { molar_mass: Fraction::from_decimal(mass), valence: None }
    }

    fn converted(number: &str, from: &str, to: &str, substance: Substance, decimals: u32) -> String {
        convert(number, factor(from, to, substance).unwrap(), Some(decimals)).unwrap()
    }

    /// Both ways, with the molar masses that textbooks of clinical chemistry give.
    #[test]
    fn mass_and_amount_of_substance_agree_with_published_values() {
        for (mass, sent, from, to, decimals, expected) in [
            // Glucose C6H12O6
            ("180.156", "5.50", "mmol/L", "mg/dL", 1, "99.1"),
            ("180.156", "126", "mg/dL", "mmol/L", 2, "6.99"),
            // Creatinine C4H7N3O
            ("113.12", "1.00", "mg/dL", "umol/L", 1, "88.4"),
            ("113.12", "88.4", "umol/L", "mg/dL", 2, "1.00"),
            // Bilirubin C33H36N4O6
            ("584.66", "1.0", "mg/dL", "umol/L", 1, "17.1"),
            ("584.66", "20.5", "umol/L", "mg/dL", 2, "1.20"),
            // Cholesterol C27H46O
            ("386.65", "200", "mg/dL", "mmol/L", 2, "5.17"),
            ("386.65", "5.2", "mmol/L", "mg/dL", 0, "201"),
            // Calcium
            ("40.078", "10.0", "mg/dL", "mmol/L", 2, "2.50"),
            ("40.078", "2.20", "mmol/L", "mg/dL", 2, "8.82"),
            // Urea CH4N2O, and the nitrogen in it (two atoms)
            ("60.056", "40", "mg/dL", "mmol/L", 2, "6.66"),
            ("28.014", "14", "mg/dL", "mmol/L", 2, "5.00"),
        ] {
            assert_eq!(converted(sent, from, to, of(mass), decimals), expected, "{sent} {from} → {to}");
        }
    }

    #[test]
    fn units_of_one_dimension_need_no_molar_mass() {
        let none = Substance::default();
        for (sent, from, to, decimals, expected) in [
            ("14.2", "g/dL", "g/L", 0, "142"),
            ("142", "g/L", "g/dL", 1, "14.2"),
            ("6.9", "10*3/uL", "10*9/L", 1, "6.9"),
            ("6900", "/uL", "10*9/L", 1, "6.9"),
            ("60", "U/L", "ukat/L", 2, "1.00"),
            ("1", "ukat/L", "U/L", 0, "60"),
            ("40", "mm[Hg]", "kPa", 2, "5.33"),
            ("5.33", "kPa", "mm[Hg]", 0, "40"),
            ("45", "%", "L/L", 2, "0.45"),
            ("2.5", "m[IU]/L", "u[IU]/mL", 1, "2.5"),
            ("90", "fL", "um3", 0, "90"),
        ] {
            assert_eq!(converted(sent, from, to, none, decimals), expected, "{sent} {from} → {to}");
        }
    }

    #[test]
    fn equivalents_need_the_valence() {
        let calcium = Substance { valence: Fraction::from_decimal("2"), ..of("40.078") };
        assert_eq!(converted("2.5", "mmol/L", "meq/L", calcium, 1), "5.0");
        assert_eq!(converted("5.0", "meq/L", "mg/dL", calcium, 1), "10.0");
        assert_eq!(factor("mmol/L", "meq/L", Substance::default()), Err(ConvertError::NoValence));
    }

    #[test]
    fn what_is_not_the_same_amount_is_refused() {
        let glucose = of("180.156");
        for (from, to, error) in [
            ("mmol/L", "mg/dL", ConvertError::NoMolarMass),
            ("mg/dL", "g", ConvertError::NotCommensurable),
            ("[IU]/L", "U/L", ConvertError::NotCommensurable),
            ("[IU]/L", "g/L", ConvertError::NotCommensurable),
            ("{copies}/mL", "{CFU}/mL", ConvertError::NotCommensurable),
            ("10*9/L", "10*9/kg", ConvertError::NotCommensurable),
            ("Cel", "[degF]", ConvertError::Special),
            ("Cel", "Cel", ConvertError::Special),
            ("furlong", "m", ConvertError::Unknown),
        ] {
            assert_eq!(factor(from, to, Substance::default()), Err(error), "{from} → {to}");
        }
        assert!(factor("mmol/L", "mg/dL", glucose).is_ok());
        assert_eq!(factor("mmol/L", "mg", glucose), Err(ConvertError::NotCommensurable));
    }

    #[test]
    fn significant_digits_are_those_that_were_sent() {
        let factor = factor("mmol/L", "mg/dL", of("180.156")).unwrap();
        for (sent, expected) in
            [("5.5", "99"), ("5.50", "99.1"), ("0.050", "0.90"), ("33", "595"), ("1e1", "180")]
        {
            assert_eq!(convert(sent, factor, None).as_deref(), Ok(expected), "{sent}");
        }
        assert_eq!(convert("12345678901234567890123456789012", factor, None), Err(ConvertError::Range));
    }
}
