//! Salesforce ids: 15 characters in ascending order, and the three letters that make them safe to compare without case.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The id of the `number`-th row of the object with that key prefix. Ids ascend with the number, and among neighbours there
/// are twins that differ in case only, as in a real org.
pub fn id(prefix: &str, number: usize) -> String {
    // A start above zero, so that ids look like those of an org that has lived for a while.
    let mut rest = number + 62 * 62 * 62 * 11;
    let mut tail = [b'0'; 10];
    for place in tail.iter_mut().rev() {
        *place = DIGITS[rest % 62];
        rest /= 62;
    }
    // Two characters of the id name the instance that made it.
    tail[..2].copy_from_slice(b"5g");
    let tail: String = tail.iter().map(|byte| char::from(*byte)).collect();
    with_check_letters(&format!("{prefix}{}00{}", &tail[..2], &tail[2..]))
}

/// Appends the three check letters to an id of 15 characters: one letter for five characters, bit k of its value tells
/// whether character k is a capital.
pub(super) fn with_check_letters(id: &str) -> String {
    let letters = id.as_bytes().chunks(5).map(|chunk| {
        let value = chunk.iter().enumerate().map(|(bit, byte)| usize::from(byte.is_ascii_uppercase()) << bit);
        char::from(CHECK[value.sum::<usize>()])
    });
    id.chars().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(short: &str, long: &str) {
        assert_eq!(with_check_letters(short), long);
    }

    #[test]
    fn check_letters_are_those_of_recorded_ids() {
        check("a015g00000AbCdE", "a015g00000AbCdEAAV");
        check("a015g00000aBcDe", "a015g00000aBcDeAAK");
        check("0WO5g0000008AbC", "0WO5g0000008AbCGAU");
        check("00D5g000004XYZk", "00D5g000004XYZkEAO");
    }

    #[test]
    fn ids_ascend_and_have_18_characters() {
        let ids: Vec<String> = (0..5000).map(|number| id("a01", number)).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 18 && id.starts_with("a015g")));
        let twins =
            ids.windows(40).any(|near| near.iter().skip(1).any(|id| id[..15].eq_ignore_ascii_case(&near[0][..15])));
        assert!(twins, "ids that differ in case only");
    }
}
