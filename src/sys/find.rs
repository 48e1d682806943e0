//! Where a byte is in a text that mostly ends soon: the first few words are looked at here, as calling a search costs more than that, and the
//! rest is left to it.

/// Words of eight bytes that are looked at.
const WORDS: usize = 4;

/// A one in each byte of a word.
const ONES: u64 = u64::MAX / 255;

/// The place of the first of these bytes.
#[inline]
pub fn first(bytes: &[u8], wanted: u8) -> Option<usize> {
    let wanted_in_all = ONES * u64::from(wanted);
    near(bytes, |word| zeros(word ^ wanted_in_all))
        .unwrap_or_else(|rest| memchr::memchr(wanted, &bytes[rest..]).map(|place| rest + place))
}

/// The place of the first byte that is one of two.
#[inline]
pub fn first_of(bytes: &[u8], one: u8, other: u8) -> Option<usize> {
    let [one_in_all, other_in_all] = [one, other].map(|byte| ONES * u64::from(byte));
    near(bytes, |word| zeros(word ^ one_in_all) | zeros(word ^ other_in_all))
        .unwrap_or_else(|rest| memchr::memchr2(one, other, &bytes[rest..]).map(|place| rest + place))
}

/// The place of the first byte that JSON escapes in a text.
pub fn first_escaped(bytes: &[u8]) -> Option<usize> {
    // Blocks of one size, each without an end before its last byte, so that all of it is looked at at once.
    let (blocks, rest) = bytes.as_chunks::<32>();
    let is_odd = |block: &[u8; 32]| block.iter().fold(false, |is_odd, byte| is_odd | is_escaped(*byte));
    let place = blocks.iter().position(is_odd).unwrap_or(blocks.len());
    let rest = blocks.get(place).map_or(rest, <[u8; 32]>::as_slice);
    let begin = 32 * place;
    let [quotes, backslashes] = [b'"', b'\\'].map(|byte| ONES * u64::from(byte));
    let marks = |word: u64| zeros(word ^ quotes) | zeros(word ^ backslashes) | controls(word);
    match near(rest, marks) {
        Ok(place) => place.map(|place| begin + place),
        Err(end) => rest[end..].iter().position(|byte| is_escaped(*byte)).map(|place| begin + end + place),
    }
}

fn is_escaped(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

/// The place that the first words tell; else where the rest begins.
#[inline]
fn near(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Result<Option<usize>, usize> {
    // Mostly there are as many: then their number is none that is to be found out.
    let words = match bytes.first_chunk::<{ 8 * WORDS }>() {
        Some(words) => words.as_chunks::<8>().0,
        None => bytes.as_chunks::<8>().0,
    };
    for (place, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Ok(Some(8 * place + marks.trailing_zeros() as usize / 8));
        }
    }
    Err(8 * words.len())
}

/// Marks the lowest byte of a word that is zero, and some of those above it.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Marks the lowest byte of a word that stands before the space, and some of those above it.
#[inline]
fn controls(word: u64) -> u64 {
    word.wrapping_sub(ONES * u64::from(b' ')) & !word & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_escapes_is_found_wherever_it_is() {
        for length in 0..110 {
            let plain: Vec<u8> =
                (0..length).map(|place| [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa0, 0xff][place % 9]).collect();
            assert_eq!(first_escaped(&plain), None);
            for place in 0..length {
                for escaped in [b'"', b'\\', 0, 1, b'\n', 0x1f] {
                    let mut text = plain.clone();
                    text[place] = escaped;
                    text[place + 1..].iter_mut().step_by(3).for_each(|byte| *byte = b'"');
                    assert_eq!(first_escaped(&text), Some(place));
                }
            }
        }
    }

    #[test]
    fn the_first_is_found_wherever_it_is() {
        for length in 0..80 {
            // Neighbours of what is looked for, which a borrow could be taken for.
            let text: Vec<u8> = (0..length).map(|place| [b'#', 0x5b, 0x5d, 0xa2, 0, 0xff, b'!'][place % 7]).collect();
            assert_eq!((first(&text, b'"'), first_of(&text, b'"', b'\\')), (None, None));
            for place in 0..length {
                for (also, wanted) in (place..length).flat_map(|also| [(also, b'"'), (also, b'\\')]) {
                    let mut text = text.clone();
                    text[also] = wanted;
                    text[place] = b'"';
                    assert_eq!((first(&text, b'"'), first_of(&text, b'"', b'\\')), (Some(place), Some(place)));
                    text[place] = b'\\';
                    let quote = text.iter().position(|byte| *byte == b'"');
                    assert_eq!((first(&text, b'"'), first_of(&text, b'"', b'\\')), (quote, Some(place)));
                }
            }
        }
    }
}
