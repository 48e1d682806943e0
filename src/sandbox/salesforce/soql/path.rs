//! Paths of fields: over lookups to one object, over those to several, and over the system's own.

use serde_json::Value;

use super::Wrong;
use crate::sandbox::salesforce::definitions;
use crate::sandbox::salesforce::org::{Object, Org, USER_ID};
use crate::sandbox::salesforce::rows::{Id, Row};

/// Most lookups of a path.
const LEVELS_MAX: usize = 5;

/// A field that a path leads to.
pub struct Found<'a> {
    /// Lookups on the way.
    pub hops: Vec<Hop<'a>>,
    /// Definition.
    pub field: &'a Value,
    place: Place,
}

/// Where a value stands.
enum Place {
    /// Among the values of the row.
    Own(usize),
    /// A system field.
    System,
    /// A field that all objects of a lookup to several have in common: each row's object says where.
    Common,
}

/// A lookup on the way of a path.
pub struct Hop<'a> {
    /// Its name in true spelling.
    pub name: String,
    holder: Holder,
    /// Objects that it may lead to.
    targets: Vec<&'a Object>,
}

/// Where the id of a parent stands.
enum Holder {
    /// Among the values of the row.
    Own(usize),
    /// All rows are made and changed by the integration user.
    User,
    /// The row knows what it was merged into.
    Master,
}

impl<'a> Hop<'a> {
    /// The object of that name, where the lookup may lead to it.
    pub fn target(&self, name: &str) -> Option<&'a Object> {
        self.targets.iter().copied().find(|target| target.name().eq_ignore_ascii_case(name))
    }

    /// The parent that a row leads to, unless it is deleted.
    pub fn follow(&self, row: &Row) -> Option<(&'a Id, &'a Row, &'a Object)> {
        let id = match self.holder {
            Holder::Own(place) => row.values.get(place)?,
            Holder::User => USER_ID,
            Holder::Master => row.master.as_deref()?,
        };
        let target = match self.targets.as_slice() {
            [one] => one,
            // Lookups to several objects are told apart by the first three characters of the id.
            several => several.iter().find(|object| id.starts_with(object.prefix()))?,
        };
        let (id, row) = target.rows.all().get_key_value(id)?;
        row.deleted.is_none().then_some((id, row, *target))
    }
}

impl Found<'_> {
    /// The text of a value in the row at the end of the path; none is blank. `object` is the row's.
    pub fn value(&self, id: &str, row: &Row, object: &Object) -> Option<String> {
        let name = self.field["name"].as_str()?;
        match self.place {
            Place::Own(place) => row.values.get(place).map(str::to_owned),
            Place::System => system(name, id, row),
            Place::Common if name == "Type" => Some(object.name().to_owned()),
            // `Name` stands for whatever field names a record of the object, such as a case's number.
            Place::Common => match object.field(name).or_else(|| object.title().filter(|_| name == "Name"))? {
                (Some(place), _) => row.values.get(place).map(str::to_owned),
                (None, _) => system(name, id, row),
            },
        }
    }
}

fn system(name: &str, id: &str, row: &Row) -> Option<String> {
    match name {
        "Id" => Some(id.to_owned()),
        "IsDeleted" => Some(row.deleted.is_some().to_string()),
        "CreatedDate" => Some(row.created.to_string()),
        "LastModifiedDate" => Some(row.modified.to_string()),
        "SystemModstamp" => Some(row.stamp.to_string()),
        "MasterRecordId" => row.master.clone(),
        // Whoever made or changed a row is the integration user.
        _ => Some(USER_ID.to_owned()),
    }
}

/// The text of the value that a path leads to from a row; none is blank.
pub fn text(found: &Found<'_>, object: &Object, id: &str, row: &Row) -> Option<String> {
    let (mut id, mut row, mut object) = (id, row, object);
    for hop in &found.hops {
        (id, row, object) = hop.follow(row)?;
    }
    found.value(id, row, object)
}

/// Follows a path from an object.
pub fn find<'a>(org: &'a Org, object: &'a Object, path: &str) -> Result<Found<'a>, Wrong> {
    let parts: Vec<&str> = path.split('.').collect();
    // The object's own name may stand in front.
    let parts = if parts.len() > 1 && parts[0].eq_ignore_ascii_case(object.name()) { &parts[1..] } else { &parts[..] };
    let Some((name, parents)) = parts.split_last() else { return Err(no_column(path, path, object.name())) };
    if parents.len() > LEVELS_MAX {
        return Err(Wrong::malformed("a path may not have more than 5 levels"));
    }
    let mut hops: Vec<Hop<'_>> = Vec::new();
    let mut current = Some(object);
    for part in parents {
        let hop = current.and_then(|object| lookup(org, object, part)).filter(|(_, hop)| !hop.targets.is_empty());
        let Some((several, hop)) = hop else { return Err(no_relationship(path, part)) };
        // Beyond a lookup to several objects there are common fields only.
        current = hop.targets.first().copied().filter(|_| !several);
        hops.push(hop);
    }
    match current {
        Some(current) => match current.field(name) {
            Some((Some(place), field)) => Ok(Found { hops, field, place: Place::Own(place) }),
            Some((None, field)) => Ok(Found { hops, field, place: Place::System }),
            None => Err(no_column(path, name, current.name())),
        },
        None => match definitions::common_fields().iter().find(|field| named(field, "name", name)) {
            Some(field) => Ok(Found { hops, field, place: Place::Common }),
            None => Err(no_column(path, name, "Name")),
        },
    }
}

fn named(field: &Value, member: &str, name: &str) -> bool {
    field[member].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
}

/// A lookup of an object by the name of its relationship, and whether it may lead to several objects.
fn lookup<'a>(org: &'a Org, object: &'a Object, name: &str) -> Option<(bool, Hop<'a>)> {
    let user = || org.object("User").into_iter().collect();
    let target_entry = |name: &str, holder, targets| Some((false, Hop { name: name.to_owned(), holder, targets }));
    match name.to_ascii_lowercase().as_str() {
        "createdby" => return target_entry("CreatedBy", Holder::User, user()),
        "lastmodifiedby" => return target_entry("LastModifiedBy", Holder::User, user()),
        "masterrecord" if object.definition["mergeable"] == true => {
            return target_entry("MasterRecord", Holder::Master, vec![object]);
        }
        _ => {}
    }
    let place = object.fields.iter().position(|field| {
        let seen = field["name"].as_str().is_some_and(|name| !object.hidden_fields.contains(name));
        named(field, "relationshipName", name) && seen
    })?;
    let field = &object.fields[place];
    let targets = field["referenceTo"].as_array()?;
    let name = field["relationshipName"].as_str().unwrap_or_default().to_owned();
    let objects = targets.iter().filter_map(|target| org.object(target.as_str()?)).collect();
    Some((targets.len() > 1, Hop { name, holder: Holder::Own(place), targets: objects }))
}

/// A lookup to several objects.
pub fn several<'a>(org: &'a Org, object: &'a Object, name: &str) -> Result<Hop<'a>, Wrong> {
    let (several, hop) = lookup(org, object, name).ok_or_else(|| no_relationship(name, name))?;
    if several {
        Ok(hop)
    } else {
        Err(Wrong::malformed(format!("TYPEOF takes a lookup to several objects, not '{name}'")))
    }
}

fn no_relationship(path: &str, part: &str) -> Wrong {
    let message = format!(
        "Didn't understand relationship '{part}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name."
    );
    Wrong { code: "INVALID_FIELD", message, at: Some(path.to_owned()) }
}

/// The refusal for a field that is not there, or not visible: the texts are the same.
fn no_column(path: &str, field: &str, object: &str) -> Wrong {
    let message = format!(
        "No such column '{field}' on entity '{object}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."
    );
    Wrong { code: "INVALID_FIELD", message, at: Some(path.to_owned()) }
}
