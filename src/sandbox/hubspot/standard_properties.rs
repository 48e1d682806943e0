//! The properties that HubSpot gives the standard objects, from their lines.

use serde_json::{Value, json};

use super::portal::ObjectType;
use super::properties::made;
use super::standard::Standard;

/// Gives a standard object its properties.
pub fn fill(object: &mut ObjectType, standard: &Standard) {
    let lines = standard.properties.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for mut property in lines.map(property) {
        property["groupName"] = standard.group.0.into();
        let name = property["name"].as_str().unwrap_or_default().to_owned();
        object.properties.change().insert(name, property);
    }
}

/// A property from its line: name, label, type and field type, flags, options.
fn property(line: &str) -> Value {
    let mut parts = line.splitn(5, '|');
    let mut next = || parts.next().unwrap_or_default();
    let (name, label, kinds, flags, options) = (next(), next(), next(), next(), next());
    let (kind, field) = kinds.split_once('/').unwrap_or((kinds, "text"));
    let mut property = made(name, label, kind, field);
    let flag = |letter: char| flags.contains(letter);
    property["calculated"] = flag('c').into();
    property["hidden"] = flag('h').into();
    property["externalOptions"] = (flag('e') || flag('o')).into();
    property["modificationMetadata"]["readOnlyValue"] = flag('r').into();
    if flag('o') {
        property["referencedObjectType"] = "OWNER".into();
    }
    let yes_no = "true=Yes;false=No";
    let options = if kind == "bool" { yes_no } else { options };
    let options = options.split(';').filter_map(|option| option.split_once('=')).enumerate();
    let options = options.map(|(place, (value, label))| {
        json!({"label": label, "value": value, "displayOrder": place, "hidden": false, "description": ""})
    });
    property["options"] = options.collect();
    property
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::hubspot::standard::STANDARD;

    #[test]
    fn every_line_is_a_whole_property() {
        for standard in &STANDARD {
            let mut object = ObjectType::default();
            fill(&mut object, standard);
            assert!(object.properties.get(standard.title).is_some(), "{}", standard.title);
            let lines = standard.properties.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            assert_eq!(object.properties.all().len(), lines.count(), "{}: no name comes twice", standard.many);
            for (name, property) in object.properties.all() {
                let kinds = ["string", "number", "bool", "date", "datetime", "enumeration", "object_coordinates"];
                assert!(kinds.contains(&property["type"].as_str().unwrap()), "{name}");
                let listed = property["options"].as_array().is_some_and(|options| !options.is_empty());
                let needed = property["type"] == "bool" || property["type"] == "enumeration";
                assert_eq!(listed, needed && property["externalOptions"] != true, "{name}");
            }
        }
    }
}
