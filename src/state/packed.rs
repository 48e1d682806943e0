//! Numbers in few bytes: each as how it differs from another one.

/// Writes numbers and bytes.
#[derive(Default)]
pub struct Pen {
    bytes: Vec<u8>,
}

impl Pen {
    /// One with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// How many bytes it has written.
    pub fn written(&self) -> usize {
        self.bytes.len()
    }

    /// What it has written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A number by how it differs from another one: in few bytes where that is little.
    pub fn number(&mut self, number: i64, before: i64) {
        let change = number.wrapping_sub(before);
        let mut rest = ((change << 1) ^ (change >> 63)).cast_unsigned();
        // Mostly one byte.
        if rest < 0x80 {
            return self.bytes.push(rest as u8);
        }
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// Reads what a [`Pen`] has written.
pub struct Lens<'a> {
    rest: &'a [u8],
}

impl<'a> Lens<'a> {
    /// On these bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A number.
    pub fn number(&mut self, before: i64) -> Option<i64> {
        let number = |change: u64| before.wrapping_add((change >> 1).cast_signed() ^ -(change & 1).cast_signed());
        // Mostly one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Some(number(u64::from(*byte)));
        }
        let mut change = 0;
        for (place, byte) in self.rest.iter().enumerate().take(10) {
            change |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                self.rest = &self.rest[place + 1..];
                return Some(number(change));
            }
        }
        None
    }

    /// So many bytes.
    pub fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written_in_as_few_bytes_as_they_differ() {
        let all = [0, 1, -1, 63, -64, 64, -65, 1 << 40, i64::MAX, i64::MIN, i64::MIN + 1];
        for (number, before) in all.iter().flat_map(|number| all.map(|before| (*number, before))) {
            let mut pen = Pen::default();
            pen.number(number, before);
            let bytes = pen.into_bytes();
            let mut lens = Lens::of(&bytes);
            assert_eq!((lens.number(before), lens.is_empty()), (Some(number), true), "{number} after {before}");
            assert!((1..bytes.len()).all(|cut| Lens::of(&bytes[..cut]).number(before).is_none()));
            assert!(bytes.len() == 1 || !(-64..64).contains(&number.wrapping_sub(before)));
        }
        assert_eq!(Lens::of(&[0xff; 11]).number(0), None);
    }
}
