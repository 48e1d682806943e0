//! SHA-256 over texts, and a quick hash of a few bytes: the one place that names who calculates them. And the hash of tables whose keys are ids.

use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hasher as StdHasher};

use ring::digest::{Context, SHA256};
use twox_hash::XxHash3_64;

/// A hash under way.
#[derive(Clone)]
pub struct Hasher {
    context: Context,
    /// Bytes that are still to be added: a record is many short texts, and each addition has its cost.
    pending: Pending,
}

/// A few blocks of the hash, and how much of them is filled.
type Pending = ([u8; PENDING_BYTES], usize);

// A multiple of the 64 bytes that SHA-256 takes at once.
const PENDING_BYTES: usize = 512;

impl Default for Hasher {
    fn default() -> Self {
        Self { context: Context::new(&SHA256), pending: ([0; PENDING_BYTES], 0) }
    }
}

impl Hasher {
    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (pending, filled) = &mut self.pending;
        if let Some(room) = pending.get_mut(*filled..*filled + bytes.len()) {
            room.copy_from_slice(bytes);
            *filled += bytes.len();
            return;
        }
        self.context.update(&pending[..*filled]);
        *filled = 0;
        match pending.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                *filled = bytes.len();
            }
            // Longer than the store: copying it first would gain nothing.
            None => self.context.update(bytes),
        }
    }

    /// Adds a text after its length, so that no two lists of texts look alike.
    pub fn text(&mut self, text: &str) {
        self.named(&[], text);
    }

    /// Adds bytes as they are, and after them a text after its length.
    pub fn named(&mut self, name: &[u8], text: &str) {
        let length = (text.len() as u64).to_le_bytes();
        let (pending, filled) = &mut self.pending;
        let sum = name.len() + length.len() + text.len();
        // Mostly there is room for all three.
        let Some(room) = pending.get_mut(*filled..*filled + sum) else {
            return [name, &length, text.as_bytes()].into_iter().for_each(|part| self.bytes(part));
        };
        let (of_name, room) = room.split_at_mut(name.len());
        let (of_length, of_text) = room.split_at_mut(length.len());
        of_name.copy_from_slice(name);
        of_length.copy_from_slice(&length);
        of_text.copy_from_slice(text.as_bytes());
        *filled += sum;
    }

    /// The first `N` bytes of the hash, at most 32. Half of them are more than enough to tell two states of one record apart.
    pub fn finish<const N: usize>(mut self) -> [u8; N] {
        let (pending, filled) = &self.pending;
        self.context.update(&pending[..*filled]);
        let digest = self.context.finish();
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

/// A hash of bytes by XXH3 that begins with another one: for telling two states of one record apart, and nothing that somebody may want to
/// forge. It stays the same from version to version, so it may be kept.
pub fn quick(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// The bytes that [`Hasher::text`] adds.
pub fn text_bytes(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// Makes the hash of a table whose keys are ids of records: each is looked up several times on its way, and nobody but the two systems
/// chooses them, so that it need not withstand keys that are chosen to meet.
pub type IdState = BuildHasherDefault<IdHasher>;

/// A hash of ids under way.
#[derive(Debug, Default, Clone)]
pub struct IdHasher(u64);

/// Any odd number whose bits look random.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl StdHasher for IdHasher {
    fn write_u64(&mut self, word: u64) {
        // Both halves of the product, so that each bit of the word reaches all of the hash.
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        let [low, high] = [product as u64, (product >> 64) as u64];
        self.0 = low ^ high.rotate_left(32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
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
    fn a_hash_does_not_depend_on_the_pieces_in_which_bytes_come() {
        let bytes: Vec<u8> = (0..5_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let whole = {
            let mut hasher = Hasher::default();
            hasher.bytes(&bytes);
            hasher.hex::<32>()
        };
        for piece in [1, 7, 511, 512, 513, 1_024, 4_999] {
            let mut hasher = Hasher::default();
            bytes.chunks(piece).for_each(|piece| hasher.bytes(piece));
            assert_eq!(hasher.hex::<32>(), whole, "{piece}");
        }
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let of = |texts: &[&str]| {
            let mut hasher = Hasher::default();
            texts.iter().for_each(|text| hasher.text(text));
            hasher.hex::<16>()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        for (name, text) in [("ab", "c"), ("", ""), ("x".repeat(600).as_str(), "y"), ("x", "y".repeat(505).as_str())] {
            let (mut named, mut apart) = (Hasher::default(), Hasher::default());
            for _ in 0..3 {
                named.named(name.as_bytes(), text);
                apart.bytes(name.as_bytes());
                apart.bytes(&(text.len() as u64).to_le_bytes());
                apart.bytes(text.as_bytes());
            }
            assert_eq!(named.hex::<16>(), apart.hex::<16>());
        }
    }
}
