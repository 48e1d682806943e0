//! One record: reading, making, changing; and the rules that a write must keep.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers::{Refusal, push_text, push_time};
use super::fields::Kind;
use super::portal::{ObjectType, Portal};
use super::store::Record;
use super::validations::broken;
use super::values::{Bad, accept, no_owner, refusal};

/// An input of a write. Numbers keep all their digits.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Input<'a> {
    /// Record id, or a value of `idProperty`.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    /// Unique property that `id` is a value of.
    pub id_property: Option<String>,
    /// Properties to set.
    #[serde(borrow)]
    pub properties: Option<Members<'a>>,
    /// The caller's name for this input.
    pub object_write_trace_id: Option<String>,
    /// Associations to make, on create.
    pub associations: Option<Value>,
}

/// Members of an object in their order, as they stand in the request.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut all = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    all.push((name, value));
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(All).map(Members)
    }
}

/// Values to write, as text, by ascending name.
pub type Texts<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl<'a> Input<'a> {
    /// The id as text.
    pub fn id(&self) -> Option<Cow<'a, str>> {
        scalar(self.id?).ok().flatten()
    }

    /// The properties as text; a null sets nothing. Of several of one name the last counts.
    pub fn texts(&self) -> Result<Texts<'a>, Refusal> {
        let mut texts = Texts::new();
        let members = self.properties.iter().flat_map(|members| &members.0);
        for (name, value) in members.map(|(name, value)| (name, *value)) {
            if let Some(text) = scalar(value)? {
                texts.push((name.clone(), text));
            }
        }
        texts.sort_by(|one, other| one.0.cmp(&other.0));
        texts.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Ok(texts)
    }
}

/// A JSON scalar as text; none for null.
fn scalar(value: &RawValue) -> Result<Option<Cow<'_, str>>, Refusal> {
    let text = value.get().trim();
    match text.as_bytes().first() {
        Some(b'"') if !text.contains('\\') => Ok(Some(text.trim_matches('"').into())),
        Some(b'"') => serde_json::from_str(text)
            .map(|text: String| Some(text.into()))
            .map_err(|error| Refusal::plain(400, format!("Invalid input JSON: {error}"))),
        Some(b'n') => Ok(None),
        Some(b'[') => Err(not_text("Array value (token `JsonToken.START_ARRAY`)")),
        Some(b'{') => Err(not_text("Object value (token `JsonToken.START_OBJECT`)")),
        _ => Ok(Some(text.into())),
    }
}

fn not_text(found: &str) -> Refusal {
    Refusal::plain(
        400,
        format!(
            "Invalid input JSON on line 1, column 42: Cannot deserialize value of type `java.lang.String` from {found}"
        ),
    )
}

/// Properties that every answer shows.
const DEFAULTS: [&str; 3] = ["hs_createdate", "hs_lastmodifieddate", "hs_object_id"];

/// Writes a record as an answer shows it: the asked properties (null when blank) and the defaults. The object stays open, so
/// that the caller may add members.
pub fn show_open<N: AsRef<str>>(out: &mut String, object: &ObjectType, id: u64, record: &Record, asked: &[N]) {
    let _ = write!(out, r#"{{"id":"{id}","properties":{{"#);
    for name in asked.iter().map(AsRef::as_ref).filter(|name| !DEFAULTS.contains(name)) {
        push_text(out, name);
        out.push(':');
        match object.store.value(record, name) {
            Some(value) => push_text(out, value),
            None => out.push_str("null"),
        }
        out.push(',');
    }
    out.push_str(r#""hs_createdate":"#);
    push_time(out, record.created);
    out.push_str(r#","hs_lastmodifieddate":"#);
    push_time(out, record.updated);
    let _ = write!(out, r#","hs_object_id":"{id}"}},"createdAt":"#);
    push_time(out, record.created);
    out.push_str(r#","updatedAt":"#);
    push_time(out, record.updated);
    match record.archived {
        None => out.push_str(r#","archived":false"#),
        Some(at) => {
            out.push_str(r#","archived":true,"archivedAt":"#);
            push_time(out, at);
        }
    }
}

/// A record as an answer shows it, whole.
pub fn show<N: AsRef<str>>(object: &ObjectType, id: u64, record: &Record, asked: &[N]) -> String {
    let mut out = String::new();
    show_open(&mut out, object, id, record, asked);
    out.push('}');
    out
}

/// Names that a caller asks for, each once.
pub fn distinct_names(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

/// Names of the properties that a write answer shows.
pub fn written<'a>(texts: &'a Texts<'_>) -> Vec<&'a str> {
    texts.iter().map(|(name, _)| &**name).collect()
}

/// What a write changed, so that it can be taken back.
pub type Undo = Vec<(u64, Option<Record>)>;

/// Makes a record.
pub fn create(
    portal: &mut Portal,
    type_id: &str,
    texts: &Texts<'_>,
    undo: &mut Undo,
    now: i64,
) -> Result<u64, Refusal> {
    let id = portal.next_id;
    let accepted = check(portal, type_id, id, texts, None)?;
    let object = portal.object(type_id)?;
    let set = |name: &str| accepted.iter().any(|(known, value)| *known == name && !value.is_empty());
    let missing: Vec<&str> = object.required.iter().map(String::as_str).filter(|name| !set(name)).collect();
    if !missing.is_empty() {
        let message = format!("Error creating {}.  Some required properties were not set.", object.name);
        return Err(Refusal::validation(message).with("properties", &missing));
    }
    portal.next_id += 1 + portal.rng.below(3);
    let before = portal.object_mut(type_id)?.store.write(id, &accepted, now);
    undo.push((id, before));
    Ok(id)
}

/// Changes a record.
pub fn update(
    portal: &mut Portal,
    type_id: &str,
    id: u64,
    texts: &Texts<'_>,
    undo: &mut Undo,
    now: i64,
) -> Result<(), Refusal> {
    let accepted = check(portal, type_id, id, texts, Some(id))?;
    let object = portal.object_mut(type_id)?;
    if object.store.get(id).is_none() {
        return Err(Refusal::not_found());
    }
    let before = object.store.write(id, &accepted, now);
    undo.push((id, before));
    Ok(())
}

/// Checks values by type and by rule, uniqueness and conditional rules; nothing is changed.
fn check<'t>(
    portal: &Portal,
    type_id: &str,
    id: u64,
    texts: &'t Texts<'_>,
    existing: Option<u64>,
) -> Result<Vec<(&'t str, Cow<'t, str>)>, Refusal> {
    let object = portal.object(type_id)?;
    let record = existing.and_then(|id| object.store.get(id));
    let mut accepted = Vec::with_capacity(texts.len());
    let mut bad = Vec::new();
    for (name, text) in texts {
        let before = record.and_then(|record| object.store.value(record, name));
        match accept(object, name, text, before) {
            Ok(value) => {
                bad.extend(refused(portal, object, name, &value));
                accepted.push((&**name, value));
            }
            Err(found) => bad.push(found),
        }
    }
    if !bad.is_empty() {
        return Err(refusal(&bad, portal.options.portal_id));
    }
    for (name, value) in accepted.iter().filter(|(_, value)| !value.is_empty()) {
        let email = object.is_email(name);
        if !email && !object.is_unique(name) {
            continue;
        }
        match object.store.claimed(name, value).filter(|holder| Some(*holder) != existing) {
            Some(holder) if email => return Err(contact_exists(holder)),
            Some(holder) => return Err(clash(portal.options.portal_id, name, value, id, holder)),
            None => {}
        }
    }
    conditional(portal, object, record, &accepted)?;
    Ok(accepted)
}

/// What refuses a value that fits its type.
fn refused(portal: &Portal, object: &ObjectType, name: &str, value: &str) -> Option<Bad> {
    if value.is_empty() {
        return None;
    }
    let owner = object.properties.field(name).is_some_and(|field| field.kind == Kind::Owner);
    if owner && !portal.takes_owner(value) {
        return Some(no_owner(name, value.to_owned()));
    }
    broken(object, name, value)
}

/// 400, not 409; the second id is the holder.
fn clash(portal_id: u64, name: &str, value: &str, id: u64, holder: u64) -> Refusal {
    Refusal::validation(format!(
        "Cannot set PropertyValueCoordinates{{portalId={portal_id}, objectTypeId=ObjectTypeId{{legacyObjectType=CUSTOM}}, \
         propertyName={name}, value={value}}} on {id}. {holder} already has that value."
    ))
}

/// Two contacts with one e-mail: 409, as no other conflict is.
fn contact_exists(holder: u64) -> Refusal {
    let refusal = Refusal::plain(409, format!("Contact already exists. Existing ID: {holder}")).category("CONFLICT");
    refusal.with("existingId", &[&holder.to_string()])
}

/// Rules of admins: a property that is required when another has a value.
fn conditional(
    portal: &Portal,
    object: &ObjectType,
    record: Option<&Record>,
    accepted: &[(&str, Cow<'_, str>)],
) -> Result<(), Refusal> {
    let value = |name: &str| {
        let set = accepted.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value);
        set.or_else(|| object.store.value(record?, name)).unwrap_or_default()
    };
    for (property, other, when) in &portal.switches.conditional_required {
        if value(other) == when && value(property).is_empty() {
            let message = format!("{property} is required because of a conditional property rule based on [{other}]");
            let mut refusal = Refusal::validation("The property values provided are invalid");
            let context = json!({"propertyName": [property]});
            refusal.errors =
                vec![json!({"message": message, "code": "MISSING_CONDITIONAL_REQUIRED_PROPERTY", "context": context})];
            return Err(refusal);
        }
    }
    Ok(())
}

/// The active record that a path or input names, by id or by a unique property. Old ids of merged records still work.
pub fn find(object: &ObjectType, id: &str, id_property: Option<&str>) -> Option<u64> {
    match id_property {
        Some(property) if object.is_email(property) => object.store.holder(property, &id.to_lowercase()),
        Some(property) => object.store.holder(property, id),
        None => object.store.find(id.parse().ok()?),
    }
}

/// Values that the control API gives, as a write takes them.
pub fn texts_of(values: &BTreeMap<String, String>) -> Texts<'_> {
    values.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()
}
