//! A quick hash for tables whose keys nobody chooses to collide: names of properties and values of unique ones.

use std::hash::{BuildHasherDefault, Hasher};

/// A map with the quick hash.
pub type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Quick>>;

/// A set with the quick hash.
pub type Set<K> = std::collections::HashSet<K, BuildHasherDefault<Quick>>;

/// Multiplies and turns, eight bytes at a time. The sandbox answers programs of its own user, so that the protection which the
/// standard library's hash gives against chosen keys would cost time for nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Quick(u64);

/// An odd number without a pattern in its bits: those of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Quick {
    fn add(&mut self, word: u64) {
        // The turn makes the order of the words count.
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.add(word.try_into().map_or(0, u64::from_le_bytes));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn finish(&self) -> u64 {
        // The table looks at the highest and at the lowest bits; a product mixes its highest best.
        (self.0 ^ (self.0 >> 32)).wrapping_mul(FACTOR)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn keys_that_are_much_alike_are_spread() {
        let hash = BuildHasherDefault::<Quick>::default();
        let keys: Vec<String> = (0..65_536).map(|number| format!("a0B5g{number:011}AA")).collect();
        for bits in [0, 25, 57] {
            let mut buckets = [0_u32; 128];
            for key in &keys {
                buckets[usize::try_from(hash.hash_one(key.as_str()) >> bits & 127).unwrap()] += 1;
            }
            // 512 on average; chance alone stays within 120 of it.
            assert!(buckets.iter().all(|count| (392..632).contains(count)), "{bits}: {buckets:?}");
        }
    }
}
