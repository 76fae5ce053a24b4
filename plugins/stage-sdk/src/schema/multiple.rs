//! Whether a number is a multiple of another one, by their decimal digits: `0.3` is three times `0.1` as both are written,
//! and not as they are in binary.
use serde_json::Number;

/// A number that is not negative: digits and the power of ten that they are multiplied by.
struct Decimal {
    digits: u64,
    exponent: i32,
}

/// Whether `number` is a whole multiple of `step`, which is not 0. The sign says nothing about that.
pub(super) fn is_multiple(number: &Number, step: &Number) -> bool {
    // Every number of JSON that was read fits: it has at most 20 digits, and an exponent that binary fractions have.
    let (Some(number), Some(step)) = (Decimal::read(number), Decimal::read(step)) else {
        return false;
    };
    if number.digits == 0 {
        return true;
    }
    let Some(step_digits) = Some(u128::from(step.digits)).filter(|digits| *digits > 0) else {
        return false;
    };
    let digits = u128::from(number.digits);
    let shift = number.exponent - step.exponent;
    let power = shift.unsigned_abs();
    if shift >= 0 {
        // Remainders keep the products within 128 bits.
        let grown = (0..power).fold(digits % step_digits, |rest, _| rest * 10 % step_digits);
        return grown == 0;
    }
    // A step beyond 128 bits is larger than the number.
    let grown = 10_u128.checked_pow(power).and_then(|power| step_digits.checked_mul(power));
    grown.is_some_and(|step| digits % step == 0)
}

impl Decimal {
    /// The shortest digits that mean the number, which are those that a person would write.
    fn read(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{}{fraction}", whole.trim_start_matches('-')).parse().ok()?;
        let exponent = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
        Some(Self { digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: &str, step: &str, expected: bool) {
        let [number, step] =
            [number, step].map(|text| serde_json::from_str::<Number>(text).unwrap());
        assert_eq!(is_multiple(&number, &step), expected, "{number} of {step}");
    }

    #[test]
    fn multiples_are_found_by_the_digits_as_they_are_written() {
        for (number, step) in [
            ("0.3", "0.1"),
            ("-0.7", "0.1"),
            ("4.35", "0.01"),
            ("19.99", "0.01"),
            ("1.10", "0.1"),
            ("0", "0.3"),
            ("-0.0", "7"),
            ("6", "1.5"),
            ("1e300", "10"),
            ("1e300", "0.1"),
            ("3e-300", "1e-300"),
            ("18446744073709551615", "5"),
            ("1.7976931348623157e308", "5e-324"),
        ] {
            check(number, step, true);
        }
        for (number, step) in [
            ("0.35", "0.1"),
            ("0.30000000001", "0.1"),
            ("1000000000.05", "0.1"),
            ("7", "1.5"),
            ("1", "1e300"),
            ("1e300", "7"),
            ("1e-300", "0.1"),
            ("18446744073709551614", "5"),
            ("18446744073709551615", "1e15"),
        ] {
            check(number, step, false);
        }
    }
}
