//! Properties of an object: as answers show them, and beside that in the form in which a write looks at them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hashing::{Map, Set};

/// The properties of an object, archived ones included.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Properties {
    all: BTreeMap<String, Value>,
    /// Made again after a change of any, so that a write asks no JSON.
    #[serde(skip)]
    fields: OnceCell<Fields>,
}

/// Active properties as writes see them.
#[derive(Debug, Default)]
struct Fields {
    list: Vec<Field>,
    places: Map<Box<str>, usize>,
}

/// What a write has to know of a property.
#[derive(Debug, Default)]
pub struct Field {
    /// How its values are checked.
    pub kind: Kind,
    /// No two records may hold the same value.
    pub unique: bool,
    /// Nobody but HubSpot writes it.
    pub read_only: bool,
    /// It is worked out from others.
    pub calculated: bool,
    /// Values of the options.
    pub options: Set<Box<str>>,
}

/// How values are checked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of limited length.
    Text,
    /// Digits.
    Number,
    /// A day.
    Date,
    /// A moment.
    Moment,
    /// `true` or `false`.
    Bool,
    /// One of the options.
    Choice,
    /// Any of the options.
    Choices,
    /// The id of an owner.
    Owner,
    /// Not checked.
    #[default]
    Free,
}

impl Properties {
    /// All, archived ones included.
    pub fn all(&self) -> &BTreeMap<String, Value> {
        &self.all
    }

    /// All, to change them.
    pub fn change(&mut self) -> &mut BTreeMap<String, Value> {
        self.fields.take();
        &mut self.all
    }

    /// An active property.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.all.get(name).filter(|property| property["archived"] != true)
    }

    /// An active property, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.change().get_mut(name).filter(|property| property["archived"] != true)
    }

    /// Active properties.
    pub fn active(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.all.iter().filter(|(_, property)| property["archived"] != true)
    }

    /// An active property as a write sees it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.at(self.place(name)?)
    }

    /// Where an active property stands among the fields, until any property changes.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.fields().places.get(name).copied()
    }

    /// The property at a place.
    pub fn at(&self, place: usize) -> Option<&Field> {
        self.fields().list.get(place)
    }

    fn fields(&self) -> &Fields {
        self.fields.get_or_init(|| {
            let places = self.active().enumerate().map(|(place, (name, _))| (name.as_str().into(), place));
            Fields { list: self.active().map(|(_, property)| Field::of(property)).collect(), places: places.collect() }
        })
    }
}

impl Field {
    fn of(property: &Value) -> Self {
        let options = property["options"].as_array().into_iter().flatten();
        Self {
            kind: Kind::of(property),
            unique: property["hasUniqueValue"] == true,
            read_only: property["modificationMetadata"]["readOnlyValue"] == true,
            calculated: property["calculated"] == true,
            options: options.filter_map(|option| option["value"].as_str()).map(Box::from).collect(),
        }
    }
}

impl Kind {
    fn of(property: &Value) -> Self {
        match property["type"].as_str().unwrap_or_default() {
            // First: owner properties are of the type `enumeration`, without options of their own.
            _ if property["referencedObjectType"] == "OWNER" => Self::Owner,
            "string" => Self::Text,
            "number" => Self::Number,
            "date" => Self::Date,
            "datetime" => Self::Moment,
            "bool" => Self::Bool,
            // Its options stand elsewhere, where the sandbox has nothing.
            "enumeration" if property["externalOptions"] == true => Self::Free,
            "enumeration" if property["fieldType"] == "checkbox" => Self::Choices,
            "enumeration" => Self::Choice,
            _ => Self::Free,
        }
    }
}
