//! One record: reading, making, changing; and the rules that a write must keep.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers::{Refusal, member, push_text, push_time};
use super::columns::{Column, Columns};
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
    #[serde(borrow)]
    pub id_property: Option<Text<'a>>,
    /// Properties to set.
    #[serde(borrow)]
    pub properties: Option<Members<'a>>,
    /// The caller's name for this input.
    #[serde(borrow)]
    pub object_write_trace_id: Option<Text<'a>>,
    /// Associations to make, on create.
    pub associations: Option<Value>,
}

/// Members of an object in their order, as they stand in the request.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A text, taken from the request without a copy where nothing in it is escaped.
#[derive(Debug, serde::Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Properties that a record usually has at most.
/// Room that is asked for once, instead of being doubled while a record is read.
const MEMBERS_USUAL: usize = 16;

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut all = Vec::with_capacity(MEMBERS_USUAL);
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    all.push((name, value));
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(All).map(Members)
    }
}

/// Values to write, as text, each with the place of its property among the request's columns; ascending, and so by name.
pub type Texts<'a> = Vec<(usize, Cow<'a, str>)>;

impl<'a> Input<'a> {
    /// The id as text.
    pub fn id(&self) -> Option<Cow<'a, str>> {
        scalar(self.id?).ok().flatten()
    }

    /// The property that the id is a value of.
    pub fn key(&self) -> Option<&str> {
        self.id_property.as_ref().map(|Text(name)| &**name)
    }

    /// The caller's name for this input.
    pub fn trace(&self) -> Option<&str> {
        self.object_write_trace_id.as_ref().map(|Text(trace)| &**trace)
    }

    /// Names of the properties that it sets, in its order, and of its key.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members().iter().map(|(name, _)| &**name).chain(self.key())
    }

    /// Where the key stands among the names.
    pub fn key_position(&self) -> usize {
        self.members().len()
    }

    fn members(&self) -> &[(Cow<'a, str>, &'a RawValue)] {
        self.properties.as_ref().map_or(&[], |members| &members.0)
    }

    /// The properties as text; a null sets nothing. Of several of one name the last counts.
    pub fn texts(&self, columns: &Columns<'_>) -> Result<Texts<'a>, Refusal> {
        let mut texts = Texts::with_capacity(self.members().len() + 1);
        for (position, (name, value)) in self.members().iter().enumerate() {
            if let (Some(text), Some(place)) = (scalar(value)?, columns.place(position, name)) {
                texts.push((place, text));
            }
        }
        texts.sort_by_key(|(place, _)| *place);
        // The sort is stable, so that of equal places the later one of the request is the latter here.
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
    // Without blanks around it, as the parser leaves them out.
    let text = value.get();
    match text.as_bytes().first() {
        // Nearly all texts are such, and need no copy.
        Some(b'"') if !text.contains('\\') => Ok(Some(text[1..text.len() - 1].into())),
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

/// Times of the record before as answers write them: most records of an answer share theirs.
#[derive(Debug, Default)]
pub struct Times {
    created: (i64, String),
    updated: (i64, String),
}

/// The text of a time, written anew only where it is another one.
fn text_of((known, text): &mut (i64, String), time: i64) -> &str {
    if *known != time || text.is_empty() {
        text.clear();
        push_time(text, time);
        *known = time;
    }
    text
}

/// Writes a record as an answer shows it: the asked properties (null when blank), each with its [`member`], and the defaults.
/// The object stays open, so that the caller may add members.
pub fn show_open<'a>(
    out: &mut String,
    times: &mut Times,
    id: u64,
    record: &Record,
    values: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) {
    out.push_str(r#"{"id":""#);
    let digits = out.len();
    let _ = write!(out, "{id}");
    let digits = digits..out.len();
    out.push_str(r#"","properties":{"#);
    for (member, value) in values {
        out.push_str(member);
        match value {
            Some(value) => push_text(out, value),
            None => out.push_str("null"),
        }
        out.push(',');
    }
    let (created, updated) = (text_of(&mut times.created, record.created), text_of(&mut times.updated, record.updated));
    out.push_str(r#""hs_createdate":"#);
    out.push_str(created);
    out.push_str(r#","hs_lastmodifieddate":"#);
    out.push_str(updated);
    out.push_str(r#","hs_object_id":""#);
    out.extend_from_within(digits);
    out.push_str(r#""},"createdAt":"#);
    out.push_str(created);
    out.push_str(r#","updatedAt":"#);
    out.push_str(updated);
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
    let asked = asked.iter().map(AsRef::as_ref);
    let members: Vec<(String, &str)> = asked.filter_map(|name| Some((member(name)?, name))).collect();
    let values = members.iter().map(|(member, name)| (member.as_str(), object.store.value(record, name)));
    show_open(&mut out, &mut Times::default(), id, record, values);
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
pub fn written<'a>(columns: &Columns<'a>, texts: &Texts<'_>) -> Vec<&'a str> {
    texts.iter().map(|(place, _)| columns.at(*place).name).collect()
}

/// What a write changed, so that it can be taken back.
pub type Undo = Vec<(u64, Option<Record>)>;

/// Makes a record.
pub fn create(
    portal: &mut Portal,
    type_id: &str,
    (columns, texts): (&Columns<'_>, &mut Texts<'_>),
    undo: &mut Undo,
    now: i64,
) -> Result<u64, Refusal> {
    let id = portal.next_id;
    check(portal, type_id, id, (columns, &mut *texts), None)?;
    let object = portal.object(type_id)?;
    // An empty text clears, so that a required property with one counts as missing.
    let set = |name: &str| texts.iter().any(|(place, value)| !value.is_empty() && columns.at(*place).name == name);
    let missing: Vec<&str> = object.required.iter().map(String::as_str).filter(|name| !set(name)).collect();
    if !missing.is_empty() {
        let message = format!("Error creating {}.  Some required properties were not set.", object.name);
        return Err(Refusal::validation(message).with("properties", &missing));
    }
    portal.next_id += 1 + portal.rng.below(3);
    let before = portal.object_mut(type_id)?.store.write_sorted(id, &numbered(columns, texts), now);
    undo.push((id, before));
    Ok(id)
}

/// Changes a record.
pub fn update(
    portal: &mut Portal,
    type_id: &str,
    id: u64,
    (columns, texts): (&Columns<'_>, &mut Texts<'_>),
    undo: &mut Undo,
    now: i64,
) -> Result<(), Refusal> {
    check(portal, type_id, id, (columns, &mut *texts), Some(id))?;
    let object = portal.object_mut(type_id)?;
    if object.store.get(id).is_none() {
        return Err(Refusal::not_found());
    }
    let before = object.store.write_sorted(id, &numbered(columns, texts), now);
    undo.push((id, before));
    Ok(())
}

/// Accepted values in the form in which the store takes them.
fn numbered<'t>(columns: &Columns<'_>, accepted: &'t Texts<'_>) -> Vec<(u32, &'t str)> {
    let mut changes: Vec<(u32, &str)> =
        accepted.iter().map(|(place, value)| (columns.at(*place).number, &**value)).collect();
    changes.sort_unstable_by_key(|(number, _)| *number);
    changes
}

/// Checks values by type and by rule, uniqueness and conditional rules, and gives the values the form in which they are stored.
fn check(
    portal: &Portal,
    type_id: &str,
    id: u64,
    (columns, texts): (&Columns<'_>, &mut Texts<'_>),
    existing: Option<u64>,
) -> Result<(), Refusal> {
    let object = portal.object(type_id)?;
    let record = existing.and_then(|id| object.store.get(id));
    let mut bad = Vec::new();
    for (place, text) in texts.iter_mut() {
        let column = columns.at(*place);
        let before = || record.and_then(|record| object.store.numbered(record, column.number));
        match accept(object, column, text, before) {
            Ok(stored) => {
                bad.extend(refused(portal, object, column, &stored));
                // Only another form of the value is a text of its own.
                if let Cow::Owned(stored) = stored {
                    *text = stored.into();
                }
            }
            Err(found) => bad.push(found),
        }
    }
    if !bad.is_empty() {
        // Values before uniqueness: what is no value cannot clash.
        return Err(refusal(&bad, portal.options.portal_id));
    }
    for (place, value) in texts.iter().filter(|(_, value)| !value.is_empty()) {
        let Column { name, number, email, unique: true, .. } = columns.at(*place) else { continue };
        // The record's own claim is no clash: writing its value again is what upserts do.
        match object.store.claimed_number(*number, value).filter(|holder| Some(*holder) != existing) {
            Some(holder) if *email => return Err(contact_exists(holder)),
            Some(holder) => return Err(clash(portal.options.portal_id, name, value, id, holder)),
            None => {}
        }
    }
    conditional(portal, object, record, columns, texts)
}

/// What refuses a value that fits its type.
fn refused(portal: &Portal, object: &ObjectType, column: &Column<'_>, value: &str) -> Option<Bad> {
    if value.is_empty() {
        return None;
    }
    let field = column.field.and_then(|place| object.properties.at(place));
    if field.is_some_and(|field| field.kind == Kind::Owner) && !portal.takes_owner(value) {
        return Some(no_owner(column.name, value.to_owned()));
    }
    if column.ruled { broken(object, column.name, value) } else { None }
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
    columns: &Columns<'_>,
    accepted: &Texts<'_>,
) -> Result<(), Refusal> {
    let value = |name: &str| {
        let set = accepted.iter().find(|(place, _)| columns.at(*place).name == name).map(|(_, value)| &**value);
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
        // E-mails of contacts are stored in lower case.
        Some(property) if object.is_email(property) => object.store.holder(property, &id.to_lowercase()),
        Some(property) => object.store.holder(property, id),
        None => object.store.find(id.parse().ok()?),
    }
}

/// As [`find`], where the property was looked up already.
pub fn find_by(object: &ObjectType, id: &str, key: Option<&Column<'_>>) -> Option<u64> {
    match key {
        Some(Column { email: true, number, .. }) => object.store.holder_number(*number, &id.to_lowercase()),
        Some(Column { number, .. }) => object.store.holder_number(*number, id),
        None => object.store.find(id.parse().ok()?),
    }
}

/// Values that the control API gives, as a write takes them.
pub fn texts_of<'a>(object: &mut ObjectType, values: &'a BTreeMap<String, String>) -> (Columns<'a>, Texts<'a>) {
    let columns = Columns::of(object, std::iter::once(values.keys().map(String::as_str)));
    // Both are in the order of their names.
    let texts = values.values().enumerate().map(|(place, value)| (place, value.as_str().into())).collect();
    (columns, texts)
}
