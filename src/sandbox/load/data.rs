//! Records of a project, in the form that `sf data export tree` writes: each with its type, its name for references, and
//! perhaps its children.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::source::{LoadError, Source};
use crate::sandbox::options::USERNAME;
use crate::sandbox::seed::ids;

/// The integration user, whom records without an owner belong to.
const USER_ID: &str = "0055g00000AbCdEAAV";

#[derive(Deserialize)]
struct Tree<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attributes {
    attributes: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    r#type: String,
    #[serde(default)]
    reference_id: Option<String>,
}

/// A record on its way to a seed.
struct Record<'s> {
    source: &'s Source,
    raw: &'s str,
    object: String,
    id: String,
    /// The field that holds the parent around it, and the parent's id.
    parent: Option<(String, String)>,
    members: BTreeMap<String, &'s RawValue>,
}

/// Objects of a seed by name.
struct Schema<'o>(HashMap<&'o str, &'o Value>);

/// Reads all records. References may lead to records of any file.
pub fn read(objects: &[Value], sources: &[Source]) -> Result<Value, LoadError> {
    let schema = Schema(objects.iter().filter_map(|object| Some((object["name"].as_str()?, object))).collect());
    let mut all =
        Reading { schema: &schema, records: Vec::new(), references: HashMap::new(), counts: HashMap::new(), level: 0 };
    for source in sources {
        // A plan lists files; the files themselves are read here.
        if source.text.trim_start().starts_with('[') {
            serde_json::from_str::<Vec<Value>>(&source.text).map_err(|error| source.json_error(&error))?;
            continue;
        }
        let tree: Tree<'_> = serde_json::from_str(&source.text).map_err(|error| source.json_error(&error))?;
        for raw in tree.records {
            all.add(source, raw, None)?;
        }
    }
    let mut records: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in &all.records {
        let row = all.row(record)?;
        records.entry(record.object.clone()).or_default().push(row);
    }
    let users = records.entry("User".to_owned()).or_default();
    // Logins need their user: a project seldom exports the one that it is read with.
    if !users.iter().any(|user| user["Username"] == USERNAME) {
        users.push(json!({"Id": USER_ID, "Name": "Syncline Integration", "Username": USERNAME, "Email": USERNAME, "IsActive": true}));
    }
    Ok(json!(records))
}

struct Reading<'s, 'o> {
    schema: &'s Schema<'o>,
    records: Vec<Record<'s>>,
    /// Name for references -> id.
    references: HashMap<String, String>,
    /// How many records of an object there are.
    counts: HashMap<String, usize>,
    /// How many parents stand around the record that is read.
    level: usize,
}

/// Most parents around a record.
/// Exports of trees go no deeper, and reading stays within the stack.
const LEVELS_MAX: usize = 5;

impl Schema<'_> {
    fn field(&self, object: &str, name: &str) -> Option<&Value> {
        let fields = self.0.get(object)?["fields"].as_array()?;
        fields.iter().find(|field| field["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)))
    }

    /// The lookup of a child that leads to its parent: the one of that relationship, or the only one.
    fn lookup(&self, child: &str, parent: &str, relationship: &str) -> Option<&str> {
        let fields = self.0.get(child)?["fields"].as_array()?;
        let leads =
            |field: &&Value| field["referenceTo"].as_array().is_some_and(|all| all.iter().any(|to| to == parent));
        let leading: Vec<&Value> = fields.iter().filter(leads).collect();
        let stem = relationship.strip_suffix("__r").unwrap_or(relationship);
        let named = leading.iter().find(|field| field["childRelationshipName"] == stem);
        // Standard relationships are not described in a project, but mostly there is one lookup only.
        let only = || leading.first().filter(|_| leading.len() == 1);
        named.or_else(only).and_then(|field| field["name"].as_str())
    }
}

impl<'s> Reading<'s, '_> {
    fn add(
        &mut self,
        source: &'s Source,
        raw: &'s RawValue,
        parent: Option<(&str, &str, &str)>,
    ) -> Result<(), LoadError> {
        let text = raw.get();
        let line = source.line_of(text);
        let wrong = |message: String| LoadError::at(&source.path, line, message);
        let read = |error: serde_json::Error| {
            LoadError::at(
                &source.path,
                line + error.line().saturating_sub(1),
                format!("the record cannot be read: {error}"),
            )
        };
        let Attributes { attributes } = serde_json::from_str(text).map_err(read)?;
        let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(read)?;
        members.remove("attributes");
        let object = attributes.r#type;
        let Some(described) = self.schema.0.get(object.as_str()) else {
            return Err(wrong(format!("the record is a `{object}`, and the project has no such object")));
        };
        let prefix = described["keyPrefix"].as_str().unwrap_or("000");
        let count = self.counts.entry(object.clone()).or_default();
        // Exports hold no ids; counted, they are the same at every start.
        let id = ids::id(prefix, *count);
        *count += 1;
        if let Some(reference) = attributes.reference_id
            && self.references.insert(reference.clone(), id.clone()).is_some()
        {
            return Err(wrong(format!("two records have the referenceId `{reference}`")));
        }
        let parent = match parent {
            None => None,
            Some((parent, relationship, parent_id)) => {
                let lookup = self.schema.lookup(&object, parent, relationship).ok_or_else(|| {
                    wrong(format!("`{relationship}` holds a `{object}`, which has no lookup to `{parent}`"))
                })?;
                Some((lookup.to_owned(), parent_id.to_owned()))
            }
        };
        let children: Vec<String> =
            // Values of fields are never objects in an export, so that an object holds children.
            members.iter().filter(|(_, value)| value.get().starts_with('{')).map(|(name, _)| name.clone()).collect();
        let children: Vec<(String, &RawValue)> =
            children.into_iter().filter_map(|name| members.remove(&name).map(|value| (name, value))).collect();
        self.records.push(Record { source, raw: text, object: object.clone(), id: id.clone(), parent, members });
        if !children.is_empty() && self.level == LEVELS_MAX {
            return Err(wrong(format!("records are nested more than {LEVELS_MAX} levels deep")));
        }
        self.level += 1;
        for (relationship, children) in children {
            let tree: Tree<'s> = serde_json::from_str(children.get()).map_err(|error| {
                let line = source.line_of(children.get());
                LoadError::at(
                    &source.path,
                    line,
                    format!("`{relationship}` of a `{object}` must hold `records`: {error}"),
                )
            })?;
            for child in tree.records {
                self.add(source, child, Some((&object, &relationship, &id)))?;
            }
        }
        self.level -= 1;
        Ok(())
    }

    /// A record as a row of the seed.
    fn row(&self, record: &Record<'_>) -> Result<Value, LoadError> {
        let mut row = Map::new();
        row.insert("Id".to_owned(), record.id.as_str().into());
        if self.schema.field(&record.object, "OwnerId").is_some() {
            row.insert("OwnerId".to_owned(), USER_ID.into());
        }
        for (name, value) in &record.members {
            let wrong = |message: String| {
                LoadError::at(&record.source.path, record.source.line_of_json(record.raw, name), message)
            };
            let (name, value) = match (name.as_str(), self.schema.field(&record.object, name)) {
                // Not in any project's fields, yet tests of windows need rows with chosen times.
                ("CreatedDate" | "SystemModstamp" | "LastModifiedDate", None) => (name.as_str(), scalar(value)),
                (_, Some(field)) => {
                    let value = self
                        .value(field, value)
                        .map_err(|reason| wrong(format!("`{}.{name}`: {reason}", record.object)))?;
                    (field["name"].as_str().unwrap_or(name), value)
                }
                (_, None) => return Err(wrong(format!("`{}` has no field `{name}`", record.object))),
            };
            row.insert(name.to_owned(), value);
        }
        if let Some((lookup, id)) = &record.parent {
            row.insert(lookup.clone(), id.as_str().into());
        }
        Ok(row.into())
    }

    /// A value that fits its field; references become ids.
    fn value(&self, field: &Value, raw: &RawValue) -> Result<Value, String> {
        let value = scalar(raw);
        let text = match &value {
            Value::Null => return Ok(value),
            Value::String(text) => text.as_str(),
            other => &other.to_string(),
        };
        let kind = field["type"].as_str().unwrap_or_default();
        match kind {
            "reference" => match text.strip_prefix('@') {
                Some(name) => {
                    let found = self.references.get(name).map(|id| id.as_str().into());
                    found.ok_or_else(|| format!("no record of the project has the referenceId `{name}`"))
                }
                None if text.len() == 15 || text.len() == 18 => Ok(value),
                None => Err(format!("a lookup takes `@` and a referenceId, or an id, not `{text}`")),
            },
            "boolean" if !matches!(text, "true" | "false") => Err(format!("expected true or false, not `{text}`")),
            "int" | "long" | "double" | "currency" | "percent" if text.parse::<f64>().is_err() => {
                Err(format!("expected a number, not `{text}`"))
            }
            // The parser takes shorter and longer forms as well, which Salesforce never writes.
            "date" if text.len() != 10 || text.parse::<jiff::civil::Date>().is_err() => {
                Err(format!("expected a date such as 2026-10-01, not `{text}`"))
            }
            "datetime" if !is_moment(text) => {
                Err(format!("expected a time such as 2026-10-01T09:00:00Z, not `{text}`"))
            }
            _ => {
                let length = field["length"].as_u64().unwrap_or_default();
                if length > 0 && text.chars().count() as u64 > length {
                    return Err(format!("the text is longer than the {length} characters of the field"));
                }
                Ok(value)
            }
        }
    }
}

fn is_moment(text: &str) -> bool {
    crate::sandbox::salesforce::answers::parse_time(text).is_some()
}

/// A value with all its digits: numbers as their text.
fn scalar(raw: &RawValue) -> Value {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"' | b't' | b'f' | b'n') => serde_json::from_str(text).unwrap_or_default(),
        _ => text.into(),
    }
}
