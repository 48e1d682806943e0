//! The known name that is nearest to a mistyped one: the one "did you mean" of all findings. Cheap for names that are far off, so
//! that a file full of wrong names costs little more than one with few.

/// Longest name that is compared, in bytes.
/// Names of both systems have some 40 letters; comparing takes the product of both lengths.
const NAME_BYTES_MAX: usize = 80;

/// The nearest known name, where one is near; letter case does not count.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    // A third of the letters: two typing errors in `status__c`, one in a short word.
    let allowed = (name.len() / 3).max(1);
    let letters = letters(&lower);
    let mut best: Option<(usize, f64, &str)> = None;
    for candidate in known {
        let other = candidate.to_ascii_lowercase();
        // Each edit changes the length by one letter at most, and brings or takes one at most.
        let mask = self::letters(&other);
        let apart = (letters & !mask).count_ones().max((mask & !letters).count_ones()) as usize;
        let bytes = if lower.is_ascii() && other.is_ascii() { 1 } else { 4 };
        if other.len().abs_diff(lower.len()).max(apart) > bytes * allowed {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&lower, &other);
        if distance > allowed || best.is_some_and(|(nearest, ..)| distance > nearest) {
            continue;
        }
        // Of two that are equally near, the one that begins alike; so the answer does not depend on the order.
        let likeness = strsim::jaro_winkler(&lower, &other);
        let nearer = best.is_none_or(|(nearest, like, name)| {
            distance < nearest || likeness > like || (likeness == like && candidate < name)
        });
        if nearer {
            best = Some((distance, likeness, candidate));
        }
    }
    best.map(|(_, _, name)| name)
}

/// The letters of a name, a bit each.
fn letters(name: &str) -> u64 {
    // Bits may stand for two letters: the bound gets looser and never wrong.
    name.bytes().fold(0, |all, byte| all | 1 << (byte & 63))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised() {
        let known = ["Name", "Account__c", "Amount__c", "salesforce_id", "A"];
        for (name, expected) in [
            ("Naem", Some("Name")),
            ("name", Some("Name")),
            ("Acount__c", Some("Account__c")),
            ("Amuont__c", Some("Amount__c")),
            ("salesforceid", Some("salesforce_id")),
            ("Zzzz", None),
            ("", Some("A")),
            ("N\u{e4}me", Some("Name")),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest(&"Name".repeat(30), known), None);
    }
}
