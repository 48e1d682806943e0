//! SHA-256 over texts: the one place that names who calculates it.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256};

/// A hash under way.
#[derive(Clone)]
pub struct Hasher(Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hasher {
    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a text after its length, so that no two lists of texts look alike.
    pub fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    /// The first `N` bytes of the hash, at most 32. Half of them are more than enough to tell two states of one record apart.
    pub fn finish<const N: usize>(self) -> [u8; N] {
        let digest = self.0.finish();
        let mut first = [0; N];
        first.copy_from_slice(&digest.as_ref()[..N]);
        first
    }

    /// The first `N` bytes of the hash in lower-case hexadecimal.
    pub fn hex<const N: usize>(self) -> String {
        let mut text = String::with_capacity(2 * N);
        for byte in self.finish::<N>() {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Hasher;

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // The example of FIPS 180-2, appendix B.1.
        let mut hasher = Hasher::default();
        hasher.bytes(b"abc");
        assert_eq!(hasher.clone().hex::<32>(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hasher.hex::<4>(), "ba7816bf");
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let of = |texts: &[&str]| {
            let mut hasher = Hasher::default();
            texts.iter().for_each(|text| hasher.text(text));
            hasher.hex::<16>()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }
}
