//! Names of things: Salesforce and HubSpot record ids, pipelines, runs.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digits::Digits;
use super::hash::{Hasher, IdState};

/// A Salesforce record id in its 18-character form, compared exactly.
///
/// Made from 15 or 18 characters; the three check letters of the longer form are verified, so an id whose letter case
/// was damaged on the way is refused instead of meeting another record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SalesforceId([u8; 18]);

impl Hash for SalesforceId {
    /// By the first fifteen letters, as two numbers: the others follow from them, and every record is looked up in several tables.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let word = |from: usize| self.0[from..from + 8].try_into().map_or(0, u64::from_le_bytes);
        state.write_u64(word(0));
        state.write_u64(word(7));
    }
}

/// Why a text is no Salesforce id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SalesforceIdError {
    /// Neither 15 nor 18 characters, or not letters and digits only.
    #[error("`{0}` is not a Salesforce id: it must have 15 or 18 letters and digits")]
    Form(String),
    /// 18 characters whose last three do not belong to the first fifteen.
    #[error("`{0}` is not a Salesforce id: its letter case does not fit its check letters")]
    Checksum(String),
}

impl SalesforceId {
    /// The id as text, 18 characters.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters and digits get past the constructor.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Its first ten characters, and the number that the next five are to the base of 62. Parts sort as their ids do.
    pub fn parts(&self) -> ([u8; 10], u32) {
        let mut prefix = [0; 10];
        prefix.copy_from_slice(&self.0[..10]);
        (prefix, self.0[10..15].iter().fold(0, |number, letter| number * 62 + digit(*letter)))
    }

    /// The id of such parts; none where they are not those of an id.
    pub fn from_parts(prefix: [u8; 10], mut number: u32) -> Option<Self> {
        let mut id = [0; 18];
        id[..10].copy_from_slice(&prefix);
        for place in id[10..15].iter_mut().rev() {
            *place = DIGITS[number as usize % 62];
            number /= 62;
        }
        let letters = Self::checksum(&id[..15]);
        id[15..].copy_from_slice(&letters);
        (number == 0 && prefix.iter().all(u8::is_ascii_alphanumeric)).then_some(Self(id))
    }

    /// The three characters that name the object.
    pub fn key_prefix(&self) -> &str {
        &self.as_str()[..3]
    }

    /// A key of the form of an id that stands for a number, for a directory that is keyed by something else. No object's ids begin like it.
    pub fn of_number(number: u64) -> Self {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let (mut id, mut rest) = ([b'0'; 18], number);
        for digit in id[..15].iter_mut().rev() {
            *digit = DIGITS[(rest % 62) as usize];
            rest /= 62;
        }
        let checksum = Self::checksum(&id[..15]);
        id[15..].copy_from_slice(&checksum);
        Self(id)
    }

    /// The check letters of fifteen letters and digits: each tells which of five are upper case.
    fn checksum(first: &[u8]) -> [u8; 3] {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        let mut words = [0; 16];
        words[..15].copy_from_slice(first);
        let (words, _) = words.as_chunks::<8>();
        let [low, high] = [words[0], words[1]].map(|word| uppercase(u64::from_le_bytes(word)));
        let bits = low | high << 8;
        [0, 5, 10].map(|from| LETTERS[bits >> from & 31])
    }
}

/// Which of eight letters and digits are upper case: a bit for each, the first one in the lowest.
fn uppercase(word: u64) -> usize {
    // Of letters and digits, these alone have the one bit and not the other.
    let is_upper = (word >> 6) & !(word >> 5) & (u64::MAX / 255);
    // Each bit is brought to a place of its own in the highest byte.
    (is_upper.wrapping_mul(0x0102_0408_1020_4080) >> 56) as usize
}

/// The digits of ids in the order of their characters.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a letter or digit of an id counts.
fn digit(letter: u8) -> u32 {
    u32::from(COUNTS[usize::from(letter)])
}

/// What each of [`DIGITS`] counts, by its character.
const COUNTS: [u8; 256] = {
    let (mut counts, mut place) = ([0; 256], 0);
    while place < DIGITS.len() {
        counts[DIGITS[place] as usize] = place as u8;
        place += 1;
    }
    counts
};

impl FromStr for SalesforceId {
    type Err = SalesforceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 15 | 18) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            // What is no id may be anything, even a whole text field.
            return Err(SalesforceIdError::Form(text.chars().take(40).collect()));
        }
        let mut id = [0; 18];
        id[..15].copy_from_slice(&bytes[..15]);
        id[15..].copy_from_slice(&Self::checksum(&bytes[..15]));
        if bytes.len() == 18 && bytes != id {
            return Err(SalesforceIdError::Checksum(text.to_owned()));
        }
        Ok(Self(id))
    }
}

impl fmt::Display for SalesforceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SalesforceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SalesforceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SalesforceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for SalesforceId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SalesforceId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A Salesforce record id, 18 characters.",
            "type": "string",
            "pattern": "^[0-9A-Za-z]{18}$",
        })
    }
}

/// A HubSpot record id: digits, longer than 32 bit, as text for whoever reads it. Sorted as texts are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HubspotId(Id);

/// What an id is kept as: they are copied, compared and asked for their number at every step.
#[derive(Clone, PartialEq, Eq)]
enum Id {
    /// The number that it writes, which is below [`NUMBERS_END`].
    Number(u64),
    /// As it was written: no number, or not as HubSpot writes them.
    Other(Arc<str>),
}

/// Eighteen digits always fit into a number of the state.
const NUMBERS_END: u64 = 10_u64.pow(DIGITS_MAX as u32);

/// The most digits of an id that is kept as a number.
const DIGITS_MAX: usize = 18;

/// An id as text.
pub struct IdText<'a>(Text<'a>);

enum Text<'a> {
    Kept(&'a str),
    Written(Digits),
}

impl HubspotId {
    /// Takes the id as HubSpot wrote it.
    pub fn new(id: impl AsRef<str>) -> Self {
        let id = id.as_ref();
        Self(Self::of_digits(id.as_bytes()).map_or_else(|| Id::Other(id.into()), |Self(id)| id))
    }

    /// The id that is a number.
    pub fn of_number(number: u64) -> Self {
        Self(if number < NUMBERS_END { Id::Number(number) } else { Id::Other(number.to_string().into()) })
    }

    /// The id that these digits are; none where they are too many, or anything else than the digits of a number as it is written.
    pub fn of_digits(digits: &[u8]) -> Option<Self> {
        // A zero in front makes another text of the same number.
        let is_plain = matches!(digits.len(), 1..=DIGITS_MAX) && (digits[0] != b'0' || digits.len() == 1);
        is_plain.then(|| decimal(digits)).flatten().map(|number| Self(Id::Number(number)))
    }

    /// The id as text.
    pub fn text(&self) -> IdText<'_> {
        IdText(match &self.0 {
            Id::Other(text) => Text::Kept(text),
            Id::Number(number) => Text::Written(Digits::of(*number)),
        })
    }

    /// The text of an id that is no number, or is not written as HubSpot writes them.
    pub fn other(&self) -> Option<&str> {
        match &self.0 {
            Id::Other(text) => Some(text),
            Id::Number(_) => None,
        }
    }

    /// The number that the id is; a text that is no number as HubSpot writes them has a negative one, by its hash.
    pub fn number(&self) -> i64 {
        match &self.0 {
            Id::Number(number) => number.cast_signed(),
            Id::Other(text) => {
                let mut hasher = Hasher::default();
                hasher.text(text);
                // Negative, so that it meets no number of a real id.
                i64::from_be_bytes(hasher.finish()) | i64::MIN
            }
        }
    }
}

impl Hash for Id {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            // Twice, as ids follow one another closely.
            Self::Number(number) => [*number, 0].into_iter().for_each(|word| state.write_u64(word)),
            Self::Other(text) => text.hash(state),
        }
    }
}

impl Ord for HubspotId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            // Mostly they have as many digits.
            (Id::Number(one), Id::Number(other)) if one.checked_ilog10() == other.checked_ilog10() => one.cmp(other),
            _ => (*self.text()).cmp(&*other.text()),
        }
    }
}

impl PartialOrd for HubspotId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl IdText<'_> {
    /// The digits of an id that is a number.
    pub fn digits(&self) -> Option<&[u8]> {
        match &self.0 {
            Text::Kept(_) => None,
            Text::Written(digits) => Some(digits),
        }
    }
}

impl Deref for IdText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Text::Kept(text) => text,
            Text::Written(digits) => digits.as_str(),
        }
    }
}

impl AsRef<str> for IdText<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Debug for HubspotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HubspotId({:?})", &*self.text())
    }
}

impl fmt::Display for HubspotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Serialize for HubspotId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for HubspotId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl schemars::JsonSchema for HubspotId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HubspotId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A HubSpot record id: digits, longer than 32 bit, as text.",
            "type": "string",
        })
    }
}

/// The number that up to eighteen digits are, eight at a time.
fn decimal(digits: &[u8]) -> Option<u64> {
    let mut all = [b'0'; 24];
    all.get_mut(24 - digits.len()..)?.copy_from_slice(digits);
    let (eights, _) = all.as_chunks::<8>();
    // Mostly an id has no more than sixteen.
    let eights = if digits.len() <= 16 { &eights[1..] } else { eights };
    eights.iter().try_fold(0, |number, eight| Some(number * 100_000_000 + eight_digits(u64::from_le_bytes(*eight))?))
}

/// The number that eight digits are, the first of them in the lowest byte.
fn eight_digits(word: u64) -> Option<u64> {
    const ONES: u64 = u64::MAX / 255;
    let values = word ^ (ONES * u64::from(b'0'));
    // Each is at most nine: none reaches sixteen, also with six more.
    if (values | (values.wrapping_add(ONES * 6))) & (ONES * 0xf0) != 0 {
        return None;
    }
    let pairs = (values * 10 + (values >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// A table by ids of records.
pub type ById<K, V> = HashMap<K, V, IdState>;

/// The name of a pipeline: unique in its project, the key of all its state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct PipelineName(Arc<str>);

impl PipelineName {
    /// Takes a name that the definitions' rules have accepted.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for PipelineName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for PipelineName {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for PipelineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of one execution of a pipeline: a ULID, so that names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Takes a ULID in its 26-character form.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the run's trace: the 128 bits of the ULID, so that each of the two leads to the other. Zero, which names no trace, where
    /// it is none.
    pub fn trace_id(&self) -> u128 {
        ulid::Ulid::from_string(&self.0).map_or(0, |id| id.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Result<&str, &str>) {
        let got = input.parse::<SalesforceId>();
        match expected {
            Ok(id) => assert_eq!(got.map(|id| id.to_string()).as_deref(), Ok(id)),
            Err(part) => assert!(got.is_err_and(|error| error.to_string().contains(part)), "{input}"),
        }
    }

    #[test]
    fn each_number_has_a_key_of_its_own() {
        let numbers = [0, 1, 61, 62, 4_611_686_018_427_387_904, u64::MAX - 1, u64::MAX];
        let keys: std::collections::BTreeSet<SalesforceId> = numbers.map(SalesforceId::of_number).into();
        assert_eq!(keys.len(), numbers.len());
        assert!(keys.iter().all(|key| key.as_str().parse() == Ok(*key) && key.key_prefix() == "000"));
    }

    #[test]
    fn ids_are_widened_and_verified() {
        check("a015g00000AbCdE", Ok("a015g00000AbCdEAAV"));
        check("a015g00000aBcDe", Ok("a015g00000aBcDeAAK"));
        check("0WO5g0000008AbCGAU", Ok("0WO5g0000008AbCGAU"));
        check("00D5g000004XYZk", Ok("00D5g000004XYZkEAO"));
        check("a015g00000abcdEAAV", Err("letter case"));
        check("a015g00000AbCdEAAv", Err("letter case"));
        check("", Err("15 or 18"));
        check("a015g00000AbCdEA", Err("15 or 18"));
        check("a015g00000AbC'E", Err("15 or 18"));
    }

    #[test]
    fn ids_come_apart_and_together_in_their_order() {
        let mut ids: Vec<SalesforceId> = [
            "a015g00000AbCdE",
            "a015g00000aBcDe",
            "0WO5g0000008AbC",
            "00D5g000004XYZk",
            "a01000000000000",
            "a01zzzzzzzzzzzz",
            "a015g00000AbCd9",
            "a015g00000AbCdZ",
            "a015g00000AbCda",
            "a015g00001AAAAA",
            "A015g00000AbCdE",
        ]
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
        for id in &ids {
            let (prefix, number) = id.parts();
            assert!(number < 1 << 30);
            assert_eq!(SalesforceId::from_parts(prefix, number), Some(*id));
        }
        let mut by_parts = ids.clone();
        ids.sort();
        by_parts.sort_by_key(SalesforceId::parts);
        assert_eq!(by_parts, ids);
        assert_eq!(SalesforceId::from_parts(*b"a015g00000", u32::MAX), None);
        assert_eq!(SalesforceId::from_parts(*b"a015g'0000", 1), None);
    }

    #[test]
    fn ids_are_spread_over_their_tables() {
        use std::hash::BuildHasher as _;
        let of_salesforce = |number| SalesforceId::from_parts(*b"a015g00000", number).unwrap();
        let hashes: Vec<[u64; 2]> = (0..4_096)
            .map(|number| {
                let record = HubspotId::new((31_234_567_890_u64 + u64::from(number)).to_string());
                [IdState::default().hash_one(of_salesforce(number)), IdState::default().hash_one(record)]
            })
            .collect();
        for kind in 0..2 {
            // A table takes the place of an entry from the low bits, and tells entries of a place apart by the high ones.
            for shift in [0, 57 - 12] {
                let places: std::collections::HashSet<u64> =
                    hashes.iter().map(|hashes| hashes[kind] >> shift & 4_095).collect();
                assert!(places.len() > 2_300, "{} places for 4,096 ids", places.len());
            }
        }
    }

    #[test]
    fn hubspot_ids_are_numbers_where_they_are_written_as_such() {
        for (text, number) in
            [("0", 0), ("51", 51), ("31234567890", 31_234_567_890), ("999999999999999999", 999_999_999_999_999_999)]
        {
            assert_eq!(HubspotId::new(text).number(), number);
            assert_eq!(HubspotId::of_number(number.unsigned_abs()).text().as_ref(), text);
        }
        assert_eq!(HubspotId::of_number(u64::MAX).to_string(), u64::MAX.to_string());
        for digits in 1..=18 {
            let text: String = "918273645546372819".chars().take(digits).collect();
            assert_eq!(Ok(HubspotId::new(text.as_str()).number()), text.parse());
            for place in 0..digits {
                for odd in ["/", ":", "a", "\u{19}", "p", "\0"] {
                    let mut text = text.clone();
                    text.replace_range(place..=place, odd);
                    assert!(HubspotId::new(text.as_str()).number() < 0, "{text}");
                }
            }
        }
        let odd = ["", "007", "00", "-5", "+5", " 5", "5.0", "1000000000000000000", "row", "planned:a01", "\u{661}"];
        let numbers: std::collections::HashSet<i64> = odd.iter().map(|text| HubspotId::new(*text).number()).collect();
        assert!(numbers.len() == odd.len() && numbers.iter().all(|number| *number < 0));
    }

    #[test]
    fn hubspot_ids_are_kept_as_they_are_written_and_sorted_as_texts() {
        let texts = [
            "",
            "0",
            "00",
            "007",
            "1",
            "10",
            "100000000000000000",
            "1000000000000000000",
            "18446744073709551615",
            "2",
            "31234567890",
            "31234567891",
            "7",
            "99",
            "999999999999999999",
            "none",
            "planned:a01",
        ];
        let ids = texts.map(HubspotId::new);
        for (id, text) in ids.iter().zip(texts) {
            assert_eq!((id.to_string(), id.text().as_ref()), (text.to_owned(), text));
            assert_eq!(serde_json::to_value(id).unwrap(), text);
            assert_eq!(serde_json::from_value::<HubspotId>(text.into()).unwrap(), *id);
            assert_eq!(id.other().is_some(), id.number() < 0);
            for (other, beside) in ids.iter().zip(texts) {
                assert_eq!((id.cmp(other), id == other), (text.cmp(beside), text == beside), "{text} {beside}");
            }
        }
    }
}
