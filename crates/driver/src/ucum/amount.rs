//! Exact numbers: a fraction of whole numbers, read from and written as decimal text.

/// A positive or negative fraction in lowest terms. Every operation is exact or refused: where a
/// number would not fit there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fraction {
    numerator: i128,
    /// Always positive.
    denominator: i128,
}

/// Digits of a number that is read or written.
const DIGITS_MAX: usize = 30;

impl Fraction {
    pub(crate) const ONE: Self = Self { numerator: 1, denominator: 1 };

    pub(crate) fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let divisor = common_divisor(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).ok()?;
        let sign = denominator.signum();
        Some(Self {
            numerator: (numerator / divisor).checked_mul(sign)?,
            denominator: (denominator / divisor).checked_mul(sign)?,
        })
    }

    /// A power of ten.
    pub(crate) fn power_of_ten(exponent: i32) -> Option<Self> {
        let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
        if exponent < 0 { Self::new(1, power) } else { Self::new(power, 1) }
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        // Crosswise reduction keeps the intermediate products small.
        let one = Self::new(self.numerator, other.denominator)?;
        let two = Self::new(other.numerator, self.denominator)?;
        Self::new(one.numerator.checked_mul(two.numerator)?, one.denominator.checked_mul(two.denominator)?)
    }

    pub(crate) fn over(self, other: Self) -> Option<Self> {
        self.times(Self::new(other.denominator, other.numerator)?)
    }

    pub(crate) fn to_the(self, exponent: i32) -> Option<Self> {
        let mut power = Self::ONE;
        for _ in 0..exponent.unsigned_abs() {
            power = if exponent < 0 { power.over(self)? } else { power.times(self)? };
        }
        Some(power)
    }

    /// A number as decimal text, with the exponent that it may have: `-1.5`, `2.00e01`.
    pub(crate) fn from_decimal(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (sign, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || all.len() > DIGITS_MAX || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: i128 = all.parse().ok()?;
        let decimals = i32::try_from(fraction.len()).ok()?;
        Self::new(sign * number, 1)?.times(Self::power_of_ten(exponent.checked_sub(decimals)?)?)
    }

    /// As decimal text with so many decimals, halves rounded away from zero.
    pub(crate) fn to_decimal(self, decimals: u32) -> Option<String> {
        let scale = 10_i128.checked_pow(decimals)?;
        let scaled = self.numerator.unsigned_abs().checked_mul(scale.unsigned_abs())?;
        let by = self.denominator.unsigned_abs();
        let rounded = scaled.checked_mul(2)?.checked_add(by)? / by.checked_mul(2)?;
        let sign = if self.numerator < 0 && rounded > 0 { "-" } else { "" };
        let width = usize::try_from(decimals).ok()? + 1;
        let digits = format!("{rounded:0>width$}");
        let (whole, fraction) = digits.split_at(digits.len() + 1 - width);
        Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
    }

    /// The decimals that show so many significant digits of it.
    pub(crate) fn decimals_for(self, significant: u32) -> u32 {
        let (mut numerator, denominator) = (self.numerator.unsigned_abs(), self.denominator.unsigned_abs());
        if numerator == 0 {
            return significant.saturating_sub(1);
        }
        let mut whole_digits = 0;
        let mut whole = numerator / denominator;
        while whole > 0 {
            whole_digits += 1;
            whole /= 10;
        }
        let mut zeros = 0;
        while whole_digits == 0 && numerator < denominator && zeros < 30 {
            let Some(next) = numerator.checked_mul(10) else { break };
            numerator = next;
            if numerator < denominator {
                zeros += 1;
            }
        }
        (significant + zeros).saturating_sub(whole_digits)
    }
}

fn common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::Fraction;

    #[test]
    fn decimal_text_goes_in_and_out_without_loss() {
        for (text, decimals, out) in [
            ("0.1", 1, "0.1"),
            ("-0.50", 2, "-0.50"),
            ("2.00e01", 0, "20"),
            ("1.5e-3", 4, "0.0015"),
            ("007", 0, "7"),
            ("2.5", 0, "3"),
            ("-2.5", 0, "-3"),
            ("-0.001", 1, "0.0"),
            ("123456789012345678901234567890", 0, "123456789012345678901234567890"),
        ] {
            let number = Fraction::from_decimal(text).unwrap();
            assert_eq!(number.to_decimal(decimals).as_deref(), Some(out), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_rounded_in_between() {
        assert_eq!(Fraction::from_decimal("1e99"), None);
        assert_eq!(Fraction::from_decimal("1234567890123456789012345678901"), None);
        let third = Fraction::new(1, 3).unwrap();
        assert_eq!(third.times(Fraction::new(3, 1).unwrap()), Some(Fraction::ONE));
        let large = Fraction::power_of_ten(30).unwrap();
        assert_eq!(large.times(large), None);
        assert_eq!(large.over(large), Some(Fraction::ONE));
        assert_eq!(Fraction::ONE.over(Fraction::new(0, 1).unwrap()), None);
    }

    #[test]
    fn decimals_follow_the_significant_digits() {
        for (text, significant, decimals) in
            [("99.1", 3, 1), ("5.5", 2, 1), ("0.0123", 2, 3), ("1234", 3, 0), ("0", 2, 1), ("1", 3, 2)]
        {
            assert_eq!(Fraction::from_decimal(text).unwrap().decimals_for(significant), decimals, "{text}");
        }
    }
}
