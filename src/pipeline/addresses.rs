//! Which parts of an address go where: street to the street line, city to the city, all of them from one address. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::names::plain;
use super::values::convert::conversion;
use crate::model::object::{FieldKind, SourceField, SourceObject, TargetProperty};

/// A part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Street,
    City,
    State,
    PostalCode,
    Country,
}

/// How the names of properties end that hold a part, the longest ending first.
/// Order matters: `streetaddress` must be found before `address`, which would leave `street` as the name of the
/// address.
const PROPERTIES: [(&str, Part); 17] = [
    ("countryregion", Part::Country),
    ("streetaddress", Part::Street),
    ("addressline1", Part::Street),
    ("stateregion", Part::State),
    ("postalcode", Part::PostalCode),
    ("addressline", Part::Street),
    ("address1", Part::Street),
    ("postcode", Part::PostalCode),
    ("province", Part::State),
    ("address", Part::Street),
    ("country", Part::Country),
    ("zipcode", Part::PostalCode),
    ("street", Part::Street),
    ("state", Part::State),
    ("city", Part::City),
    ("town", Part::City),
    ("zip", Part::PostalCode),
];

/// How the names of fields end that hold a part; a state and a country may have a code as well.
const FIELDS: [(&str, Part); 7] = [
    ("CountryCode", Part::Country),
    ("PostalCode", Part::PostalCode),
    ("StateCode", Part::State),
    ("Country", Part::Country),
    ("Street", Part::Street),
    ("State", Part::State),
    ("City", Part::City),
];

/// Which address an object is known by, where a property does not say which one it means.
/// A company is known by where it is billed, a contact by where its post goes; the empty name is an object's only
/// address.
const USUAL: [&str; 6] = ["", "billing", "mailing", "personmailing", "shipping", "other"];

/// The properties that hold parts of an address, each with the part that fills it. A property counts where at least one more
/// part of the same address has a property.
pub fn pairs<'a, 'b>(
    source: &'a SourceObject,
    properties: &[&'b TargetProperty],
) -> Vec<(&'a SourceField, &'b TargetProperty)> {
    let addresses = addresses(source);
    let mut groups: BTreeMap<String, Vec<(Part, &TargetProperty)>> = BTreeMap::new();
    for property in properties {
        let name = plain(&property.name);
        // By the ending, since what stands before it names the address: `billing_city`, `city`.
        let part = PROPERTIES.iter().find_map(|(ending, part)| Some((name.strip_suffix(ending)?, *part)));
        if let Some((prefix, part)) = part {
            groups.entry(prefix.to_owned()).or_default().push((part, *property));
        }
    }
    let mut found = Vec::new();
    for (prefix, group) in groups {
        // `state` or `zip` alone may mean something else, such as the state of an order.
        if group.iter().map(|(part, _)| *part).collect::<BTreeSet<_>>().len() < 2 {
            continue;
        }
        let meant = if prefix.is_empty() {
            let usual = USUAL.iter().find(|prefix| addresses.contains_key(**prefix)).map(|prefix| (*prefix).to_owned());
            usual.or_else(|| addresses.keys().next().cloned())
        } else {
            addresses
                .keys()
                .find(|known| **known == prefix)
                // A property `mailing_city` of a person account means `PersonMailingCity`.
                .or_else(|| addresses.keys().find(|known| known.ends_with(&prefix)))
                .cloned()
        };
        let Some(parts) = meant.and_then(|meant| addresses.get(&meant)) else { continue };
        let mut filled: BTreeSet<&str> = BTreeSet::new();
        for (part, property) in group {
            let fits = |field: &&&SourceField| {
                // Two properties for one part, such as a state and its code, take different fields.
                !filled.contains(&*field.name) && conversion(&field.kind, &property.kind).is_some()
            };
            if let Some(field) = parts.get(&part).and_then(|fields| fields.iter().find(fits)) {
                filled.insert(&field.name);
                found.push((*field, property));
            }
        }
    }
    found
}

/// Whether a field can be mapped as it is: a compound is read by its parts, which must be visible.
pub fn is_readable(field: &SourceField, source: &SourceObject) -> bool {
    let compound = matches!(field.kind, FieldKind::Address | FieldKind::Location);
    !compound || source.fields.iter().any(|part| part.compound_field_name.as_deref() == Some(&*field.name))
}

/// The addresses of an object by what their names begin with, each with its parts; names of a part before its code.
fn addresses(source: &SourceObject) -> BTreeMap<String, BTreeMap<Part, Vec<&SourceField>>> {
    let mut found: BTreeMap<String, BTreeMap<Part, Vec<&SourceField>>> = BTreeMap::new();
    for compound in source.fields.iter().filter(|field| field.kind == FieldKind::Address) {
        let name = plain(&compound.name);
        let parts = found.entry(name.strip_suffix("address").unwrap_or(&name).to_owned()).or_default();
        // Only the parts of a compound: `Status_City__c` is nobody's address.
        for field in source.fields.iter().filter(|part| part.compound_field_name.as_deref() == Some(&*compound.name)) {
            let stem = field.name.strip_suffix("__s").unwrap_or(&field.name);
            if let Some((_, part)) = FIELDS.iter().find(|(ending, _)| stem.ends_with(ending)) {
                let fields = parts.entry(*part).or_default();
                // People expect `Bavaria`, not `BY`; the code is the choice for a second property.
                if stem.ends_with("Code") && *part != Part::PostalCode {
                    fields.push(field)
                } else {
                    fields.insert(0, field)
                }
            }
        }
    }
    // Field-level security may hide every part while the compound itself is described.
    found.retain(|_, parts| !parts.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::PropertyKind;
    use crate::pipeline::fixture::{Fixture, property};

    /// Fields of the account, whose address has street, city, state and a state's code, for these properties.
    #[track_caller]
    fn check(names: &[&str], expected: &[(&str, &str)]) {
        let fixture = Fixture::new(serde_json::json!([]));
        let properties: Vec<TargetProperty> =
            names.iter().map(|name| property(name, PropertyKind::String, &[])).collect();
        let properties: Vec<&TargetProperty> = properties.iter().collect();
        let found = pairs(&fixture.sources["account"], &properties);
        let mut got: Vec<(&str, &str)> =
            found.iter().map(|(field, property)| (&*field.name, &*property.name)).collect();
        got.sort_by_key(|(_, property)| names.iter().position(|name| name == property));
        assert_eq!(got, expected, "{names:?}");
    }

    #[test]
    fn parts_go_where_parts_have_a_place() {
        check(
            &["address", "city", "state", "zip"],
            &[("BillingStreet", "address"), ("BillingCity", "city"), ("BillingState", "state")],
        );
        check(
            &["billing_street", "billing_city"],
            &[("BillingStreet", "billing_street"), ("BillingCity", "billing_city")],
        );
        check(&["shipping_street", "shipping_city"], &[]);
        check(&["email_address", "ip_address"], &[]);
        check(&["address"], &[]);
        check(
            &["street_address", "town", "state_region"],
            &[("BillingStreet", "street_address"), ("BillingCity", "town"), ("BillingState", "state_region")],
        );
    }
}
