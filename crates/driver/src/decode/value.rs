//! The numeric view of values that are sent without a decimal sign.

/// Digits with so many decimals; blanks and zeros that only fill the field are left out. `None` for
/// a number that has a decimal sign or an exponent of its own.
pub(crate) fn with_decimals(number: &str, decimals: usize) -> Option<String> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let padded = format!("{significant:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    Some(if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::with_decimals;

    #[test]
    fn the_decimal_sign_goes_where_the_profile_says() {
        for (digits, decimals, number) in [
            ("00123", 1, "12.3"),
            ("00023", 2, "0.23"),
            ("5", 3, "0.005"),
            ("0000", 1, "0.0"),
            ("00450", 0, "450"),
            ("-012", 1, "-1.2"),
            ("123456789012345678901234567890", 2, "1234567890123456789012345678.90"),
        ] {
            assert_eq!(with_decimals(digits, decimals).as_deref(), Some(number), "{digits}");
        }
    }

    #[test]
    fn a_number_with_a_decimal_sign_of_its_own_is_left_alone() {
        for number in ["5.5", "1e3", "", "-"] {
            assert_eq!(with_decimals(number, 1), None, "{number}");
        }
    }
}
