//! Decimal numbers: every digit kept, exponents written out, compared by value; exact arithmetic within a bound.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::digits::Digits;

/// Most digits of a number once its exponent is written out. Salesforce holds at most 18; beyond this bound a text such
/// as `1E400` is no number that a person meant.
pub const DIGITS_MAX: usize = 100;

/// Digits behind the point of a quotient that does not end before.
pub const QUOTIENT_PLACES: usize = 30;

/// The canonical text of a decimal number: no exponent, no plus, no needless zeros, `0` for every zero.
///
/// None when the text is not a number, or would need more than [`DIGITS_MAX`] digits.
pub fn canonical(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    match plain(text) {
        Some(canonical) => Some(Cow::Borrowed(canonical)),
        None => Decimal::parse(text).map(|number| Cow::Owned(number.to_string())),
    }
}

/// Longest number that [`plain`] looks at, in bytes; far below [`DIGITS_MAX`].
const PLAIN_BYTES_MAX: usize = 40;

/// The canonical text of a number that is written as most are: it is part of the text, so nothing is calculated or copied. None for
/// all others.
pub fn plain(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let point = digits.bytes().position(|byte| byte == b'.');
    let (whole, fraction) = point.map_or((digits, "0"), |point| (&digits[..point], &digits[point + 1..]));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // `007` has another canonical form and takes the long way.
    let leads = whole.len() == 1 || !whole.starts_with('0');
    if text.len() > PLAIN_BYTES_MAX || !leads || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = if digits.len() > whole.len() { text.trim_end_matches('0') } else { text };
    let kept = kept.strip_suffix('.').unwrap_or(kept);
    (kept != "-0").then_some(kept)
}

/// Whether two texts are the same number; false when one is none.
pub fn same(one: &str, other: &str) -> bool {
    match (Decimal::parse(one.trim()), Decimal::parse(other.trim())) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// A decimal number: its digits as a whole number, divided by a power of ten. Always in lowest form, so that equal numbers
/// are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decimal {
    negative: bool,
    digits: Digits,
    /// How many of the digits stand behind the point.
    scale: usize,
}

/// Why a calculation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impossible {
    /// More than [`DIGITS_MAX`] digits before the point.
    TooLarge,
    /// A division by zero.
    DividedByZero,
}

/// How digits are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest number, a half away from zero.
    HalfUp,
    /// To the number below.
    Floor,
    /// To the number above.
    Ceiling,
    /// Towards zero.
    Down,
}

impl Decimal {
    /// Reads a number as people, JSON and CSV write it; none for anything else, and beyond [`DIGITS_MAX`] digits.
    pub fn parse(text: &str) -> Option<Self> {
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
        // Zeros at the front are no digits of the number and must not count against the bound.
        let leading = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
        let count = whole.len() + fraction.len() - leading;
        if count == 0 {
            return Some(Self::default());
        }
        let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let limit = DIGITS_MAX as i64;
        // Refused before any digit is stored: `1E999999999` would otherwise be written out. Trailing zeros may still
        // fall away.
        if scale.abs() > limit || count > 4 * DIGITS_MAX {
            return None;
        }
        let mut digits = Digits::read(whole.bytes().chain(fraction.bytes()).skip(leading), count);
        if scale < 0 {
            digits.shift(scale.unsigned_abs() as usize);
        }
        let number = Self { negative, digits, scale: usize::try_from(scale).unwrap_or(0) }.lowest();
        (number.digits.count().max(number.scale) <= DIGITS_MAX).then_some(number)
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.is_zero()
    }

    /// Whether nothing stands behind the point.
    pub fn is_whole(&self) -> bool {
        self.scale == 0
    }

    /// The number as `i64`, where it is whole and small enough.
    pub fn to_i64(&self) -> Option<i64> {
        if !self.is_whole() {
            return None;
        }
        let size = i128::try_from(self.digits.to_u128()?).ok()?;
        i64::try_from(if self.negative { -size } else { size }).ok()
    }

    /// The number without its sign.
    #[must_use]
    pub fn abs(&self) -> Self {
        Self { negative: false, ..self.clone() }
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self { negative: !self.negative && !self.is_zero(), ..self.clone() }
    }

    /// The exact sum.
    pub fn add(&self, other: &Self) -> Result<Self, Impossible> {
        let (one, two, scale) = self.aligned(other);
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, one.plus(&two))
        } else {
            match one.cmp(&two) {
                Ordering::Less => (other.negative, two.minus(&one)),
                _ => (self.negative, one.minus(&two)),
            }
        };
        Self { negative, digits, scale }.bounded()
    }

    /// The exact difference.
    pub fn subtract(&self, other: &Self) -> Result<Self, Impossible> {
        self.add(&other.negated())
    }

    /// The product: exact as far as [`DIGITS_MAX`] digits go.
    pub fn multiply(&self, other: &Self) -> Result<Self, Impossible> {
        let digits = self.digits.times(&other.digits);
        Self { negative: self.negative != other.negative, digits, scale: self.scale + other.scale }.bounded()
    }

    /// The quotient, rounded to [`QUOTIENT_PLACES`] digits behind the point.
    pub fn divide(&self, other: &Self) -> Result<Self, Impossible> {
        self.quotient(other, QUOTIENT_PLACES, Rounding::HalfUp)
    }

    /// The quotient, rounded down to a whole number, as Python's `//`.
    pub fn divide_whole(&self, other: &Self) -> Result<Self, Impossible> {
        self.quotient(other, 0, Rounding::Floor)
    }

    /// What is left of [`Decimal::divide_whole`]; it has the sign of the divisor, as Python's `%`.
    pub fn remainder(&self, other: &Self) -> Result<Self, Impossible> {
        self.subtract(&self.divide_whole(other)?.multiply(other)?)
    }

    /// A whole power.
    pub fn power(&self, exponent: i64) -> Result<Self, Impossible> {
        let one = Self::from(1);
        let mut result = one.clone();
        let mut rest = exponent.unsigned_abs();
        let mut square = self.clone();
        // By squaring, so that an exponent of a million takes twenty steps.
        while rest > 0 {
            if rest % 2 == 1 {
                result = result.multiply(&square)?;
            }
            rest /= 2;
            // The last square would not be used, and might be too large.
            if rest > 0 {
                square = square.multiply(&square)?;
            }
        }
        if exponent < 0 { one.divide(&result) } else { Ok(result) }
    }

    /// The number with at most so many digits behind the point.
    #[must_use]
    pub fn round(&self, places: usize, rounding: Rounding) -> Self {
        if self.scale <= places {
            return self.clone();
        }
        let (digits, rest) = self.digits.divided(&Digits::power_of_ten(self.scale - places));
        // Twice the rest against the whole, which needs no fraction.
        let half = || rest.plus(&rest).cmp(&Digits::power_of_ten(self.scale - places)) != Ordering::Less;
        let digits = if self.goes_up(rounding, &rest, half) { digits.plus(&Digits::from(1)) } else { digits };
        Self { negative: self.negative, digits, scale: places }.lowest()
    }

    /// The number rounded to tens, hundreds and so on.
    pub fn round_whole(&self, zeros: usize, rounding: Rounding) -> Result<Self, Impossible> {
        let unit = Self { negative: false, digits: Digits::power_of_ten(zeros.min(DIGITS_MAX)), scale: 0 };
        self.quotient(&unit, 0, rounding)?.multiply(&unit)
    }

    /// The text with exactly so many digits behind the point.
    pub fn fixed(&self, places: usize) -> String {
        let places = places.min(DIGITS_MAX);
        let rounded = self.round(places, Rounding::HalfUp);
        let mut text = rounded.to_string();
        if places > rounded.scale {
            if rounded.scale == 0 {
                text.push('.');
            }
            text.extend(std::iter::repeat_n('0', places - rounded.scale));
        }
        text
    }

    fn quotient(&self, other: &Self, places: usize, rounding: Rounding) -> Result<Self, Impossible> {
        if other.is_zero() {
            return Err(Impossible::DividedByZero);
        }
        // self / other = (digits * 10^(places + other.scale)) / (other.digits * 10^self.scale), with `places` digits.
        let (mut above, mut below) = (self.digits.clone(), other.digits.clone());
        match (places + other.scale).checked_sub(self.scale) {
            Some(shift) => above.shift(shift),
            None => below.shift(self.scale - places - other.scale),
        }
        let (digits, rest) = above.divided(&below);
        let sign = Self { negative: self.negative != other.negative, digits: Digits::default(), scale: 0 };
        let half = || rest.plus(&rest).cmp(&below) != Ordering::Less;
        let digits = if sign.goes_up(rounding, &rest, half) { digits.plus(&Digits::from(1)) } else { digits };
        Self { negative: sign.negative, digits, scale: places }.bounded()
    }

    /// Whether the digits grow by one where `rest` is dropped.
    fn goes_up(&self, rounding: Rounding, rest: &Digits, half: impl FnOnce() -> bool) -> bool {
        match rounding {
            Rounding::HalfUp => half(),
            Rounding::Floor => self.negative && !rest.is_zero(),
            Rounding::Ceiling => !self.negative && !rest.is_zero(),
            Rounding::Down => false,
        }
    }

    /// The digits of both, with equally many behind the point.
    fn aligned(&self, other: &Self) -> (Digits, Digits, usize) {
        let scale = self.scale.max(other.scale);
        let (mut one, mut two) = (self.digits.clone(), other.digits.clone());
        one.shift(scale - self.scale);
        two.shift(scale - other.scale);
        (one, two, scale)
    }

    /// Without needless zeros.
    fn lowest(mut self) -> Self {
        self.scale -= self.digits.strip_zeros(self.scale);
        // There is one zero, so that `-0` and `0` are equal values.
        self.negative &= !self.digits.is_zero();
        self
    }

    /// In lowest form, its fraction rounded to what [`DIGITS_MAX`] leaves.
    fn bounded(self) -> Result<Self, Impossible> {
        let number = self.lowest();
        let count = number.digits.count();
        let whole = count.saturating_sub(number.scale);
        if whole > DIGITS_MAX {
            return Err(Impossible::TooLarge);
        }
        Ok(if count.max(number.scale) > DIGITS_MAX {
            number.round(DIGITS_MAX - whole, Rounding::HalfUp)
        } else {
            number
        })
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self { negative: number < 0, digits: Digits::from(number.unsigned_abs()), scale: 0 }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Compared the other way round: negative is true, and the smaller one.
        let sign = other.negative.cmp(&self.negative);
        sign.then_with(|| {
            let (one, two, _) = self.aligned(other);
            if self.negative { two.cmp(&one) } else { one.cmp(&two) }
        })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.write();
        // A number below one has fewer digits than places: zeros are put before them, and one before the point.
        let missing = (self.scale + 1).saturating_sub(digits.len());
        let padded: String = std::iter::repeat_n('0', missing).chain(digits.chars()).collect();
        let (whole, fraction) = padded.split_at(padded.len() - self.scale);
        let sign = if self.negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Option<&str>) {
        assert_eq!(canonical(input).as_deref(), expected, "{input}");
    }

    #[test]
    fn a_plain_number_needs_no_calculation() {
        let rng = fastrand::Rng::with_seed(1);
        let mut rng = rng;
        let mut plain_ones = 0;
        for _ in 0..50_000 {
            let text: String =
                (0..rng.usize(1..8)).map(|_| *rng.choice(b"-0012.9e+ ").unwrap_or(&b'0') as char).collect();
            let exact = Decimal::parse(text.trim()).map(|number| number.to_string());
            assert_eq!(canonical(&text).as_deref(), exact.as_deref(), "{text:?}");
            plain_ones += usize::from(plain(&text).is_some());
        }
        assert!(plain_ones > 1_000, "{plain_ones}");
        for (text, canonical) in [("100.50", "100.5"), ("7.0", "7"), ("-3", "-3"), ("1200", "1200"), ("0.0", "0")] {
            assert_eq!(plain(text), Some(canonical), "{text}");
        }
        for text in ["-0.0", "1e3", "+1", "007", ".5", "5.", "", "-", "1.2.3"] {
            assert_eq!(plain(text), None, "{text}");
        }
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
        assert_eq!(number(input).fixed(places), expected, "{input} to {places}");
    }

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
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

    #[track_caller]
    fn check_sum(one: &str, operator: char, other: &str, expected: &str) {
        let (one, other) = (number(one), number(other));
        let result = match operator {
            '+' => one.add(&other),
            '-' => one.subtract(&other),
            '*' => one.multiply(&other),
            '/' => one.divide(&other),
            'f' => one.divide_whole(&other),
            '%' => one.remainder(&other),
            _ => one.power(other.to_i64().unwrap()),
        };
        let shown = result.map_or_else(|error| format!("{error:?}"), |number| number.to_string());
        assert_eq!(shown, expected, "{one} {operator} {other}");
    }

    #[test]
    fn arithmetic_is_exact() {
        check_sum("0.1", '+', "0.2", "0.3");
        check_sum("-0.1", '+', "0.1", "0");
        check_sum("999999999999999999999999999999", '+', "1", "1000000000000000000000000000000");
        check_sum("1000000000", '-', "0.000000001", "999999999.999999999");
        check_sum("1", '-', "2.5", "-1.5");
        check_sum("123456789012345678901234567890", '*', "1.1", "135802467913580246791358024679");
        check_sum("-0.5", '*', "0.02", "-0.01");
        check_sum("1000000000", '*', "0.000000001", "1");
        check_sum("50", '*', "0.01", "0.5");
        check_sum("1", '/', "3", "0.333333333333333333333333333333");
        check_sum("2", '/', "3", "0.666666666666666666666666666667");
        check_sum("-2", '/', "3", "-0.666666666666666666666666666667");
        check_sum("1", '/', "8", "0.125");
        check_sum("123456789012345678901234567890", '/', "123456789012345678901234567890", "1");
        check_sum("1", '/', "123456789012345678901", "0.000000000000000000008100000073");
        check_sum("1", '/', "0", "DividedByZero");
        for (one, other, whole, rest) in
            [("7", "3", "2", "1"), ("-7", "3", "-3", "2"), ("7", "-3", "-3", "-2"), ("7.5", "2", "3", "1.5")]
        {
            check_sum(one, 'f', other, whole);
            check_sum(one, '%', other, rest);
        }
        check_sum("2", '^', "100", "1267650600228229401496703205376");
        check_sum("2", '^', "-2", "0.25");
        check_sum("0", '^', "0", "1");
        check_sum("10", '^', "100000", "TooLarge");
        check_sum("10", '^', "9223372036854775807", "TooLarge");
        check_sum("0.5", '^', "9223372036854775807", "0");
        check_sum("1e99", '*', "10", "TooLarge");
        check_sum("1e-100", '*', "0.1", "0");
    }

    /// Compares with the same sum on machine numbers, for many pairs that carry and borrow.
    #[test]
    fn arithmetic_agrees_with_whole_numbers() {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(seed >> 33).unwrap() * if seed.is_multiple_of(3) { -1_000_000_000 } else { 1 }
        };
        for _ in 0..2_000 {
            let (one, other) = (next(), next());
            let exact = |number: i128| number.to_string();
            let (a, b) = (i128::from(one), i128::from(other));
            check_sum(&exact(a), '+', &exact(b), &exact(a + b));
            check_sum(&exact(a), '-', &exact(b), &exact(a - b));
            check_sum(&exact(a), '*', &exact(b), &exact(a * b));
            let floor = a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0);
            check_sum(&exact(a), 'f', &exact(b), &exact(floor));
            check_sum(&exact(a * b), '/', &exact(b), &exact(a));
        }
    }

    #[test]
    fn rounding_goes_where_it_is_told() {
        for (input, places, rounding, expected) in [
            ("2.341", 2, Rounding::Ceiling, "2.35"),
            ("-2.341", 2, Rounding::Ceiling, "-2.34"),
            ("2.349", 2, Rounding::Floor, "2.34"),
            ("-2.341", 2, Rounding::Floor, "-2.35"),
            ("-2.9", 0, Rounding::Down, "-2"),
        ] {
            assert_eq!(number(input).round(places, rounding).to_string(), expected, "{input}");
        }
        assert_eq!(number("1251").round_whole(2, Rounding::HalfUp), Ok(number("1300")));
        assert!(number("-3") < number("-2.5") && number("-1") < number("1") && number("1.10") == number("1.1"));
    }
}
