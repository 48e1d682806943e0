//! Suggests a mapping: which field fits which property, by name, label and type. Pure.

use std::collections::BTreeMap;

use super::values::convert::{conversion, writable};
use crate::model::object::{
    FieldKind, PicklistValue, PropertyKind, PropertyOption, SourceField, SourceObject, TargetObject, TargetProperty,
};

/// A field that fits a property.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion<'a> {
    /// The field.
    pub field: &'a SourceField,
    /// The property.
    pub property: &'a TargetProperty,
    /// How well they fit, up to 1.
    pub likeness: f64,
    /// Picklist values with the options that fit them; none where the values are the same.
    pub values: Option<BTreeMap<String, String>>,
    /// Active picklist values for which no option fits.
    pub unmatched: Vec<String>,
}

/// Least likeness of a pair that is suggested.
const LIKENESS_MIN: f64 = 0.72;

/// The best pairs, each field and each property once, in the order of the properties. The match property is left out.
pub fn suggest<'a>(source: &'a SourceObject, target: &'a TargetObject, match_property: &str) -> Vec<Suggestion<'a>> {
    let mut pairs = Vec::new();
    for property in target.properties.values().filter(|property| fillable(property, match_property)) {
        for field in source.fields.iter().filter(|field| mappable(field)) {
            let likeness = likeness(field, property);
            if likeness >= LIKENESS_MIN && conversion(&field.kind, &property.kind).is_some() {
                pairs.push((likeness, field, property));
            }
        }
    }
    pairs.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    let mut taken: Vec<Suggestion<'a>> = Vec::new();
    for (likeness, field, property) in pairs {
        if taken.iter().any(|own| own.field.name == field.name || own.property.name == property.name) {
            continue;
        }
        let (values, unmatched) = value_map(field, property);
        taken.push(Suggestion { field, property, likeness, values, unmatched });
    }
    taken.sort_by(|one, other| one.property.name.cmp(&other.property.name));
    taken
}

/// Properties that a mapping could fill.
pub fn fillable(property: &TargetProperty, match_property: &str) -> bool {
    property.name != match_property
        && !property.read_only
        && writable(&property.kind)
        && !property.name.starts_with("hs_")
}

/// Fields that carry a person's data: neither links nor the system's own, and no parts of a whole.
pub fn mappable(field: &SourceField) -> bool {
    let own = matches!(
        field.name.as_str(),
        "Id" | "IsDeleted"
            | "CreatedDate"
            | "LastModifiedDate"
            | "SystemModstamp"
            | "LastViewedDate"
            | "LastReferencedDate"
            | "LastActivityDate"
    );
    let kind = !matches!(
        field.kind,
        FieldKind::Id | FieldKind::Reference | FieldKind::Base64 | FieldKind::AnyType | FieldKind::Other(_)
    );
    !own && kind
}

/// How much a field and a property look like the same thing, from 0 to 1.
fn likeness(field: &SourceField, property: &TargetProperty) -> f64 {
    let names = [plain(&field.name), plain(&field.label)];
    let others = [plain(&property.name), plain(&property.label)];
    let mut best: f64 = 0.0;
    for one in &names {
        for other in &others {
            let same = strsim::normalized_damerau_levenshtein(one, other);
            // `Name` and `subscription_name`: one is the end of the other.
            let ends =
                one.len() >= 4 && (other.ends_with(one.as_str()) || one.ends_with(other.as_str()) && other.len() >= 4);
            best = best.max(if ends { same.max(0.8) } else { same });
        }
    }
    let exact = matches!(
        (&field.kind, &property.kind),
        (FieldKind::Picklist, PropertyKind::Enumeration)
            | (FieldKind::MultiPicklist, PropertyKind::MultiCheckbox)
            | (FieldKind::Boolean, PropertyKind::Bool)
            | (FieldKind::Date, PropertyKind::Date)
            | (FieldKind::DateTime, PropertyKind::DateTime)
            | (
                FieldKind::Int | FieldKind::Long | FieldKind::Double | FieldKind::Currency | FieldKind::Percent,
                PropertyKind::Number,
            )
            | (
                FieldKind::String | FieldKind::TextArea | FieldKind::Email | FieldKind::Phone | FieldKind::Url,
                PropertyKind::String,
            )
    );
    if exact { best } else { best * 0.95 }
}

/// A name without what the systems add: `Renews_At__c` and `renews_at` are both `renewsat`.
fn plain(name: &str) -> String {
    let stem = name.strip_suffix("__c").or_else(|| name.strip_suffix("__pc")).unwrap_or(name);
    stem.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The options that picklist values mean, value by value: first by the same value or label, then, of the options that are
/// left, by the same words and by the same letters. What has digits must have the same words: `1.0` is not `10%`. An option
/// that two values would mean loosely is for neither: `A+` is not `A-`.
fn options_for<'a>(values: &[PicklistValue], options: &'a [PropertyOption]) -> Vec<Option<&'a PropertyOption>> {
    let words = |text: &str| {
        let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
    };
    let letters = |text: &str| if text.contains(char::is_numeric) { String::new() } else { plain(text) };
    let shapes: [&dyn Fn(&str) -> String; 4] = [&str::to_owned, &|text| text.trim().to_lowercase(), &words, &letters];
    let mut chosen: Vec<Option<&PropertyOption>> = vec![None; values.len()];
    for shape in shapes {
        let taken: Vec<&str> = chosen.iter().flatten().map(|option| option.value.as_str()).collect();
        let meant = |value: &PicklistValue| {
            let ours = [shape(&value.value), shape(&value.label)];
            options.iter().find(|option| {
                let theirs = [shape(&option.value), shape(&option.label)];
                !taken.contains(&&*option.value) && theirs.iter().any(|own| !own.is_empty() && ours.contains(own))
            })
        };
        let found: Vec<Option<&PropertyOption>> =
            values.iter().zip(&chosen).map(|(value, known)| known.is_none().then(|| meant(value)).flatten()).collect();
        for (place, option) in found.iter().enumerate() {
            let alone = found.iter().filter(|other| other == &option).count() == 1;
            if option.is_some() && alone {
                chosen[place] = *option;
            }
        }
    }
    chosen
}

/// Picklist values to options, by value, then by label; a boolean is a list of two.
fn value_map(field: &SourceField, property: &TargetProperty) -> (Option<BTreeMap<String, String>>, Vec<String>) {
    let two = [("true", "Yes"), ("false", "No")];
    let two = two.map(|(value, label)| PicklistValue { value: value.into(), label: label.into(), active: true });
    let values = match (&field.kind, &property.kind) {
        (FieldKind::Picklist | FieldKind::MultiPicklist, _) => field.picklist.as_slice(),
        (FieldKind::Boolean, PropertyKind::Enumeration) => &two,
        _ => &[],
    };
    let chosen = matches!(property.kind, PropertyKind::Enumeration | PropertyKind::MultiCheckbox | PropertyKind::Bool);
    if values.is_empty() || !chosen || property.external_options {
        return (None, Vec::new());
    }
    let mut map = BTreeMap::new();
    let mut unmatched = Vec::new();
    for (value, option) in values.iter().zip(options_for(values, &property.options)) {
        match option {
            Some(option) => drop(map.insert(value.value.clone(), option.value.clone())),
            None if value.active => unmatched.push(value.value.clone()),
            None => {}
        }
    }
    let same = unmatched.is_empty() && map.iter().all(|(value, option)| value == option);
    (Some(map).filter(|_| !same), unmatched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixture::{Fixture, property};

    #[track_caller]
    fn check(values: &[&str], options: &[&str], expected: &[Option<&str>]) {
        let value = |text: &&str| PicklistValue { value: (*text).into(), label: (*text).into(), active: true };
        let option = |text: &&str| PropertyOption { value: (*text).into(), label: (*text).into() };
        let values: Vec<PicklistValue> = values.iter().map(value).collect();
        let options: Vec<PropertyOption> = options.iter().map(option).collect();
        let got: Vec<_> =
            options_for(&values, &options).into_iter().map(|own| own.map(|own| own.value.as_str())).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn options_are_found_by_words_and_never_guessed() {
        check(&["On Hold", "OnTrack"], &["on_track", "on_hold"], &[Some("on_hold"), Some("on_track")]);
        check(&["1.0", "10%", "110"], &["10%", "1-10"], &[None, Some("10%"), None]);
        check(&["A+", "A", "A-"], &["a", "b"], &[None, Some("a"), None]);
        check(&["A+", "A-"], &["a"], &[None, None]);
        check(&["active", "Active"], &["Active", "active"], &[Some("active"), Some("Active")]);
        check(&["Größe", "東京"], &["größe", "東京"], &[Some("größe"), Some("東京")]);
        check(&["!", "?"], &["?", "-"], &[None, Some("?")]);
    }

    #[test]
    fn pairs_are_found_by_name_and_label() {
        let mut fixture = Fixture::new(serde_json::json!([{"from": "Name", "to": "text"}]));
        for (name, kind) in [
            ("subscription_name", PropertyKind::String),
            ("amount", PropertyKind::Number),
            ("renews", PropertyKind::DateTime),
            ("unlike_anything", PropertyKind::String),
        ] {
            fixture.target.properties.insert(name.to_owned(), property(name, kind, &[]));
        }
        let status = property("status", PropertyKind::Enumeration, &["active", "on_hold", "old"]);
        fixture.target.properties.insert("status".to_owned(), status);
        let source = &fixture.sources["subscription__c"];
        let found = suggest(source, &fixture.target, "salesforce_id");
        let pairs: Vec<(&str, &str)> = found.iter().map(|own| (&*own.field.name, &*own.property.name)).collect();
        for pair in
            [("Name", "subscription_name"), ("Amount__c", "amount"), ("Renews__c", "renews"), ("Status__c", "status")]
        {
            assert!(pairs.contains(&pair), "{pair:?} in {pairs:?}");
        }
        assert!(
            !pairs.iter().any(|(_, property)| ["unlike_anything", "salesforce_id"].contains(property)),
            "{pairs:?}"
        );
        let status = found.iter().find(|own| own.property.name == "status").unwrap();
        assert_eq!(status.values.as_ref().unwrap().get("On Hold").map(String::as_str), Some("on_hold"));
    }
}
