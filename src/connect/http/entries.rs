//! Reads an answer entry by entry: an entry that cannot be read is left out and named, and all others count.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Longest name of an entry that is told, in characters.
/// A name may be any text that an administrator typed.
const NAME_LENGTH_MAX: usize = 80;

/// Members by which an entry is known to people, the best first.
/// An error then says which property or type was odd, although its answer could not be read.
const NAMES: [&str; 6] = ["name", "propertyName", "id", "value", "label", "typeId"];

/// Decodes an answer. A member of another JSON type than documented counts as absent, where all members may be.
///
/// Errors: no JSON, or nothing that can be read without members that must be there.
pub fn answer<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
        // Only members of a wrong type are worth a second look: what is no JSON was cut or damaged on its way.
        .or_else(|error| if error.is_data() { without_odd(body).ok_or(error) } else { Err(error) })
}

/// The answer without the members that keep it from being read.
fn without_odd<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
    let odd = odd_members::<T>(&members)?;
    for member in &odd {
        tracing::warn!(member, "a member of an answer has another type than documented and is left out");
        members.remove(member);
    }
    serde_json::from_str(&serde_json::to_string(&members).ok()?).ok()
}

/// The members that cannot be read even alone; none where the type cannot do without some members.
fn odd_members<T: DeserializeOwned>(members: &BTreeMap<String, Box<RawValue>>) -> Option<Vec<String>> {
    // A type with required members has to fail: half an answer must not pass for a whole one.
    serde_json::from_str::<T>("{}").ok()?;
    let alone = |name: &String, value: &RawValue| {
        let only = BTreeMap::from([(name, value)]);
        serde_json::to_string(&only).ok().and_then(|text| serde_json::from_str::<T>(&text).ok())
    };
    let odd = members.iter().filter(|(name, value)| alone(name, value).is_none());
    Some(odd.map(|(name, _)| name.clone()).collect())
}

/// An entry that is an object: the decoder alone would take a list for the members in their order.
pub struct Entry<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Entry<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Entry)
    }
}

/// A list, which may be missing or null. An entry with a member of another type than documented is left out.
pub fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(source: D) -> Result<Vec<T>, D::Error> {
    Ok(raw(source)?.iter().filter_map(|entry| whole(entry.get())).collect())
}

/// The same, where a missing list differs from an empty one.
pub fn some_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(source: D) -> Result<Option<Vec<T>>, D::Error> {
    let entries = Option::<Vec<&RawValue>>::deserialize(source)?;
    Ok(entries.map(|entries| entries.iter().filter_map(|entry| whole(entry.get())).collect()))
}

/// A list whose entries are worth reading in part: a member of another type than documented counts as absent.
pub fn parts<'de, D: Deserializer<'de>, T: DeserializeOwned>(source: D) -> Result<Vec<T>, D::Error> {
    // A list is left to the other way, which names it: the decoder would take it for the members in their order.
    let part = |text: &str| match text.starts_with('{') {
        true => answer(text.as_bytes()).ok().or_else(|| whole(text)),
        false => whole(text),
    };
    Ok(raw(source)?.iter().filter_map(|entry| part(entry.get())).collect())
}

fn raw<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<&'de RawValue>, D::Error> {
    Option::deserialize(source).map(Option::unwrap_or_default)
}

/// An entry as it should be; else it is named. Its values are not told: they may be a record's.
fn whole<T: DeserializeOwned>(text: &str) -> Option<T> {
    // The decoder would take a list for the members in their order.
    let read = if text.starts_with('[') { None } else { serde_json::from_str(text).ok() };
    if read.is_none() {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap_or_default();
        let odd = odd_members::<T>(&members).unwrap_or_default().join(", ");
        let entry = name(text);
        tracing::warn!(entry, member = odd, "an entry of an answer has another form than documented and is left out");
    }
    read
}

fn name(text: &str) -> String {
    let members: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let named = NAMES.iter().find_map(|name| match members.get(*name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    named.map_or_else(|| "one without a name".to_owned(), |name| name.chars().take(NAME_LENGTH_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Entry {
        name: Option<String>,
        length: Option<u32>,
        #[serde(deserialize_with = "list")]
        values: Vec<String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        label: Option<String>,
        #[serde(deserialize_with = "list")]
        whole: Vec<Entry>,
        #[serde(deserialize_with = "parts")]
        parts: Vec<Entry>,
    }

    /// The names of the entries that count, and the label.
    #[track_caller]
    fn check(body: &str, whole: &[&str], parts: &[&str], label: Option<&str>) {
        let read: Answer = answer(body.as_bytes()).unwrap();
        let names =
            |entries: &[Entry]| entries.iter().map(|entry| entry.name.clone().unwrap_or_default()).collect::<Vec<_>>();
        assert_eq!((names(&read.whole), names(&read.parts)), (owned(whole), owned(parts)), "{body}");
        assert_eq!(read.label.as_deref(), label, "{body}");
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_odd_entry_takes_no_other_along() {
        let entries = r#"[{"name":"a"},{"name":"b","length":"long"},{"name":"c","length":-1},{"name":7},["d"],"e",null,{"name":"f","length":3,"values":["x",1,null,{}]}]"#;
        check(&format!(r#"{{"whole":{entries}}}"#), &["a", "f"], &[], None);
        check(&format!(r#"{{"parts":{entries}}}"#), &[], &["a", "b", "c", "", "f"], None);
        check(r#"{"whole":[{"name":"a","values":"x"},{"name":"b","values":null}]}"#, &["b"], &[], None);
        let read: Answer = answer(format!(r#"{{"whole":{entries}}}"#).as_bytes()).unwrap();
        assert_eq!(read.whole[1].values, ["x"]);
    }

    #[test]
    fn a_member_of_another_type_counts_as_absent() {
        check(r#"{"label":5,"whole":[{"name":"a"}]}"#, &["a"], &[], None);
        check(r#"{"label":"x","whole":{"name":"a"}}"#, &[], &[], Some("x"));
        check(r#"{"label":"x","whole":null,"parts":7}"#, &[], &[], Some("x"));
        assert!(answer::<Answer>(b"{\"label\":").is_err());
        assert!(answer::<Answer>(b"7").is_err());
        #[derive(Debug, Deserialize)]
        struct Strict {
            #[expect(dead_code, reason = "only its presence matters")]
            token: String,
        }
        assert!(answer::<Strict>(br#"{"token":5}"#).is_err());
    }
}
