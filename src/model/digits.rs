//! Numbers as text, as they are written by the thousand.

use std::ops::Deref;

/// The most digits of a number.
const MOST: usize = 20;

/// The digits of a number.
#[derive(Debug, Clone, Copy)]
pub struct Digits {
    digits: [u8; MOST],
    first: usize,
}

impl Digits {
    /// Of a number.
    pub fn of(mut number: u64) -> Self {
        let (mut digits, mut first) = ([b'0'; MOST], MOST);
        while number > 0 || first == MOST {
            first -= 1;
            digits[first] += (number % 10) as u8;
            number /= 10;
        }
        Self { digits, first }
    }

    /// As a text.
    pub fn as_str(&self) -> &str {
        // They are digits.
        std::str::from_utf8(self).unwrap_or_default()
    }
}

impl Deref for Digits {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.digits[self.first..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are() {
        for number in [0, 7, 10, 99, 100, 31_234_567_890, u64::MAX] {
            assert_eq!(Digits::of(number).as_str(), number.to_string());
        }
    }
}
