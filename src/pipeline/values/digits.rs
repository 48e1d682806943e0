//! Whole numbers of any length, as decimal digits: what the arithmetic of decimals stands on.

use std::cmp::Ordering;

/// A whole number without sign: limbs of nine decimal digits, the lowest first, none of them for zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Digits(Vec<u32>);

// Nine digits fit 32 bits, and the product of two such limbs with a carry fits 64.
const LIMB: u64 = 1_000_000_000;
const LIMB_DIGITS: usize = 9;

impl Digits {
    /// From `count` decimal digits, the highest first.
    pub(super) fn read(digits: impl Iterator<Item = u8>, count: usize) -> Self {
        let mut limbs = vec![0; count.div_ceil(LIMB_DIGITS)];
        for (index, digit) in digits.enumerate() {
            // Counted from the lowest digit, so that a power of ten is a shift by whole limbs and a rest.
            let limb = &mut limbs[(count - 1 - index) / LIMB_DIGITS];
            *limb = *limb * 10 + u32::from(digit - b'0');
        }
        Self(limbs).trimmed()
    }

    pub(super) fn power_of_ten(exponent: usize) -> Self {
        let mut power = Self::from(1);
        power.shift(exponent);
        power
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    /// How many decimal digits; none for zero.
    pub(super) fn count(&self) -> usize {
        let top = self.0.last().map_or(0, |limb| limb.ilog10() as usize + 1);
        self.0.len().saturating_sub(1) * LIMB_DIGITS + top
    }

    pub(super) fn write(&self) -> String {
        let mut text = self.0.last().map_or_else(String::new, u32::to_string);
        for limb in self.0.iter().rev().skip(1) {
            text.push_str(&format!("{limb:09}"));
        }
        text
    }

    pub(super) fn to_u128(&self) -> Option<u128> {
        // Four limbs are 36 digits, which 128 bits hold.
        (self.0.len() <= 4)
            .then(|| self.0.iter().rev().fold(0, |number, limb| number * u128::from(LIMB) + u128::from(*limb)))
    }

    /// Multiplies by a power of ten.
    pub(super) fn shift(&mut self, exponent: usize) {
        // Zero has no limbs, and must not get any.
        if self.is_zero() || exponent == 0 {
            return;
        }
        let factor = 10u64.pow((exponent % LIMB_DIGITS) as u32);
        let mut carry = 0;
        for limb in &mut self.0 {
            let product = u64::from(*limb) * factor + carry;
            *limb = (product % LIMB) as u32;
            carry = product / LIMB;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
        self.0.splice(0..0, std::iter::repeat_n(0, exponent / LIMB_DIGITS));
    }

    /// Drops zeros at the end, at most so many; how many it were.
    pub(super) fn strip_zeros(&mut self, most: usize) -> usize {
        if self.is_zero() {
            return most;
        }
        let limbs = self.0.iter().take_while(|limb| **limb == 0).count().min(most / LIMB_DIGITS);
        self.0.drain(..limbs);
        let mut stripped = limbs * LIMB_DIGITS;
        let mut zeros = 0;
        let mut low = self.0[0];
        while low != 0 && low.is_multiple_of(10) && stripped + zeros < most {
            low /= 10;
            zeros += 1;
        }
        // A lowest limb of zeros stays only where fewer than nine may go.
        if self.0[0] == 0 {
            zeros = most - stripped;
        }
        if zeros > 0 {
            let (digits, _) = self.divided_short(10u64.pow(zeros as u32));
            *self = digits;
            stripped += zeros;
        }
        stripped
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut sum = Vec::with_capacity(self.0.len().max(other.0.len()) + 1);
        let mut carry = 0;
        for index in 0..self.0.len().max(other.0.len()) {
            let limb = self.limb(index) + other.limb(index) + carry;
            sum.push((limb % LIMB) as u32);
            carry = limb / LIMB;
        }
        if carry > 0 {
            sum.push(carry as u32);
        }
        Self(sum)
    }

    /// The difference; `other` must not be larger.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut difference = Vec::with_capacity(self.0.len());
        let mut borrowed = 0;
        for index in 0..self.0.len() {
            // With a limb added beforehand, so that no step goes below zero.
            let limb = self.limb(index) + LIMB - other.limb(index) - borrowed;
            difference.push((limb % LIMB) as u32);
            borrowed = 1 - limb / LIMB;
        }
        Self(difference).trimmed()
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.0.len() + other.0.len()];
        for (at, one) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (offset, two) in other.0.iter().enumerate() {
                let limb = u64::from(product[at + offset]) + u64::from(*one) * u64::from(*two) + carry;
                product[at + offset] = (limb % LIMB) as u32;
                carry = limb / LIMB;
            }
            if carry > 0 {
                product[at + other.0.len()] = carry as u32;
            }
        }
        Self(product).trimmed()
    }

    /// Quotient and rest; `divisor` must not be zero.
    pub(super) fn divided(&self, divisor: &Self) -> (Self, Self) {
        // Most divisors are short: one pass over the limbs.
        if let Some(short) = divisor.to_u128().and_then(|divisor| u64::try_from(divisor).ok()) {
            let (quotient, rest) = self.divided_short(short);
            return (quotient, Self::from(rest));
        }
        // Digit by digit: divisors of more than 19 digits are rare, and no number has more than a few hundred.
        let mut quotient = Vec::new();
        let mut rest = Self::default();
        for digit in self.write().bytes() {
            rest.shift(1);
            rest = rest.plus(&Self::from(u64::from(digit - b'0')));
            let mut times = b'0';
            while rest.cmp(divisor) != Ordering::Less {
                rest = rest.minus(divisor);
                times += 1;
            }
            quotient.push(times);
        }
        let count = quotient.len();
        (Self::read(quotient.into_iter(), count), rest)
    }

    /// Quotient and rest. Digit by digit, as most divisors are small and need no long division.
    fn divided_short(&self, divisor: u64) -> (Self, u64) {
        let divisor = u128::from(divisor);
        let mut quotient = vec![0; self.0.len()];
        let mut rest = 0;
        for (index, limb) in self.0.iter().enumerate().rev() {
            // The rest is below the divisor, so that the quotient of each limb is below one limb.
            let current = rest * u128::from(LIMB) + u128::from(*limb);
            quotient[index] = (current / divisor) as u32;
            rest = current % divisor;
        }
        (Self(quotient).trimmed(), rest as u64)
    }

    fn limb(&self, index: usize) -> u64 {
        self.0.get(index).copied().map_or(0, u64::from)
    }
}

impl From<u64> for Digits {
    fn from(number: u64) -> Self {
        let limbs = [number % LIMB, number / LIMB % LIMB, number / LIMB / LIMB];
        Self(limbs.map(|limb| limb as u32).into()).trimmed()
    }
}

impl PartialOrd for Digits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Digits {
    fn cmp(&self, other: &Self) -> Ordering {
        // Neither has zeros at its top, so more limbs are a larger number.
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}
