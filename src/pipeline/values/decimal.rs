//! Decimal numbers as text: every digit kept, exponents written out, compared by value.

use std::cmp::Ordering;

/// Most digits of a number once its exponent is written out. Salesforce holds at most 18; beyond this bound a text such
/// as `1E400` is no number that a person meant.
pub const DIGITS_MAX: usize = 100;

/// The canonical text of a decimal number: no exponent, no plus, no needless zeros, `0` for every zero.
///
/// None when the text is not a number, or would need more than [`DIGITS_MAX`] digits.
pub fn canonical(text: &str) -> Option<String> {
    let parsed = Decimal::parse(text.trim())?;
    Some(parsed.to_string())
}

/// Whether two texts are the same number; false when one is none.
pub fn same(one: &str, other: &str) -> bool {
    match (canonical(one), canonical(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// Rounds half away from zero to `places` digits after the point, which are always written.
pub fn round(text: &str, places: usize) -> Option<String> {
    let number = Decimal::parse(text.trim())?;
    let places = places.min(DIGITS_MAX);
    let mut digits = number.digits.clone();
    let mut scale = number.scale;
    if scale > places {
        let cut = scale - places;
        let up = cut <= digits.len() && digits.get(digits.len() - cut).is_some_and(|digit| *digit >= b'5');
        digits.truncate(digits.len().saturating_sub(cut));
        if up {
            increment(&mut digits);
        }
        scale = places;
    }
    digits.extend(std::iter::repeat_n(b'0', places - scale));
    let negative = number.negative && digits.iter().any(|digit| *digit != b'0');
    Some(Decimal { negative, digits, scale: places }.write(true))
}

/// A number as sign, digits and the count of digits after the point.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    scale: usize,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        if leading == digits.len() {
            return Some(Self { negative: false, digits: Vec::new(), scale: 0 });
        }
        digits.drain(..leading);
        let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let limit = DIGITS_MAX as i64;
        if scale.abs() > limit || digits.len() > 4 * DIGITS_MAX {
            return None;
        }
        let mut scale = scale;
        if scale < 0 {
            digits.extend(std::iter::repeat_n(b'0', scale.unsigned_abs() as usize));
            scale = 0;
        }
        let mut scale = scale as usize;
        while scale > 0 && digits.last() == Some(&b'0') {
            digits.pop();
            scale -= 1;
        }
        (digits.len().max(scale) <= DIGITS_MAX).then_some(Self { negative, digits, scale })
    }

    fn write(&self, keep_zeros: bool) -> String {
        let missing = (self.scale + 1).saturating_sub(self.digits.len());
        let padded: String =
            std::iter::repeat_n('0', missing).chain(self.digits.iter().map(|digit| char::from(*digit))).collect();
        let (whole, fraction) = padded.split_at(padded.len() - self.scale);
        let fraction = if keep_zeros { fraction } else { fraction.trim_end_matches('0') };
        let sign = if self.negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.write(false))
    }
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        match (*digit).cmp(&b'9') {
            Ordering::Less => {
                *digit += 1;
                return;
            }
            _ => *digit = b'0',
        }
    }
    digits.insert(0, b'1');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Option<&str>) {
        assert_eq!(canonical(input).as_deref(), expected, "{input}");
    }

    #[test]
    fn numbers_keep_their_digits() {
        check("12", Some("12"));
        check("12.0", Some("12"));
        check("012.50", Some("12.5"));
        check("+5", Some("5"));
        check("-0", Some("0"));
        check("-0.00", Some("0"));
        check(".5", Some("0.5"));
        check("5.", Some("5"));
        check("1E7", Some("10000000"));
        check("9.12260031E8", Some("912260031"));
        check("1.6147805824397E13", Some("16147805824397"));
        check("1.5e-3", Some("0.0015"));
        check("821580693639061174", Some("821580693639061174"));
        check("123456789012345678901234567890.123456789", Some("123456789012345678901234567890.123456789"));
        check("12345678901234.56", Some("12345678901234.56"));
        check("1E400", None);
        check("1E-400", None);
        check("1E99999999999999999999", None);
        check("0E400", Some("0"));
        check("", None);
        check("-", None);
        check(".", None);
        check("1,5", None);
        check("0x10", None);
        check("1_000", None);
        check("NaN", None);
        check(" 7 ", Some("7"));
    }

    #[track_caller]
    fn check_round(input: &str, places: usize, expected: &str) {
        assert_eq!(round(input, places).as_deref(), Some(expected), "{input} to {places}");
    }

    #[test]
    fn rounding_is_half_up() {
        check_round("1250.5", 2, "1250.50");
        check_round("2.345", 2, "2.35");
        check_round("2.344", 2, "2.34");
        check_round("-2.345", 2, "-2.35");
        check_round("0.005", 2, "0.01");
        check_round("0.004", 2, "0.00");
        check_round("-0.004", 2, "0.00");
        check_round("0.0004", 2, "0.00");
        check_round("9.995", 2, "10.00");
        check_round("0.5", 0, "1");
        check_round("1E3", 1, "1000.0");
    }

    #[test]
    fn comparison_is_by_value() {
        assert!(same("24.00", "24") && same("1E2", "100") && same("-0", "0"));
        assert!(!same("24", "24.01") && !same("x", "x"));
    }
}
