//! Suggests a mapping: which field fits which property, by name, label and type. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::addresses;
use super::names::plain;
use super::values::convert::{conversion, trim, writable};
use crate::model::object::{
    FieldKind, PicklistValue, PropertyKind, PropertyOption, SourceField, SourceObject, TargetObject, TargetProperty,
};

/// A field that fits a property, and how it fills it.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion<'a> {
    /// The field.
    pub field: &'a SourceField,
    /// The property.
    pub to: String,
    /// 50 % is 50 in Salesforce and 0.5 in the property.
    pub scaled: bool,
    /// The user that a lookup leads to becomes an owner.
    pub owner: bool,
    /// A picklist's label is written, and not its value.
    pub label: bool,
    /// Picklist values with the options that fit them; those are left out that are options themselves.
    pub values: BTreeMap<String, String>,
    /// Active picklist values for which no option fits.
    pub unmatched: Vec<String>,
}

impl<'a> Suggestion<'a> {
    /// A field as it is.
    pub fn plain(field: &'a SourceField, to: &str) -> Self {
        let (values, unmatched) = (BTreeMap::new(), Vec::new());
        Self { field, to: to.to_owned(), scaled: false, owner: false, label: false, values, unmatched }
    }

    fn of(field: &'a SourceField, property: &TargetProperty) -> Self {
        let (values, unmatched) = value_map(field, property);
        let listed = matches!(field.kind, FieldKind::Picklist | FieldKind::MultiPicklist);
        let labelled = field.picklist.iter().any(|entry| trim(&entry.label) != trim(&entry.value));
        Self {
            scaled: field.kind == FieldKind::Percent && property.percentage,
            label: listed && labelled && property.kind == PropertyKind::String,
            values,
            unmatched,
            ..Self::plain(field, &property.name)
        }
    }
}

/// Least likeness of a pair that is suggested.
/// Below it, short names such as `type` and `tier` are taken for one; a pair that is lacking is added sooner than one
/// is noticed.
const LIKENESS_MIN: f64 = 0.72;

/// Likeness of two names, of two labels and of a name and a label that are the same. A name goes before a label, so that two
/// fields of one label do not trade places.
const SAME: [f64; 3] = [1.0, 0.99, 0.98];

/// The best pairs, each field and each property once, in the order of the properties. The match property is left out; `owners`
/// says whether HubSpot's owners can be read.
pub fn suggest<'a>(
    source: &'a SourceObject,
    target: &'a TargetObject,
    match_property: &str,
    owners: bool,
) -> Vec<Suggestion<'a>> {
    let properties: Vec<&TargetProperty> =
        target.properties.values().filter(|property| fillable(property, match_property)).collect();
    let mut taken = Vec::new();
    // Addresses first: by likeness alone, `BillingCity` and `ShippingCity` both fit `city`.
    for (field, property) in addresses::pairs(source, &properties) {
        taken.push(Suggestion::of(field, property));
    }
    if owners {
        // Owners before the rest, since a lookup converts to no other type.
        taken.extend(owned(source, target));
    }
    let mut fields_taken: HashSet<&str> = taken.iter().map(|suggestion| suggestion.field.name.as_str()).collect();
    let mut properties_taken: HashSet<&str> = target
        .properties
        .keys()
        .map(String::as_str)
        .filter(|name| taken.iter().any(|suggestion| suggestion.to == *name))
        .collect();
    let fields: Vec<(&SourceField, Shape)> = source
        .fields
        .iter()
        .filter(|field| mappable(field) && addresses::is_readable(field, source))
        .map(|field| (field, Shape::of(&field.name, &field.label)))
        .collect();
    let open: Vec<&TargetProperty> = properties
        .into_iter()
        .filter(|property| !property.owner && !properties_taken.contains(property.name.as_str()))
        .collect();
    // No other pair can be better than one name and fitting types; an object of hundreds of fields is mostly such pairs, and
    // comparing each field with each property takes seconds.
    for (field, property) in same_names(&fields, &open) {
        if fields_taken.insert(&field.name) {
            properties_taken.insert(&property.name);
            taken.push(Suggestion::of(field, property));
        }
    }
    let mut pairs = Vec::new();
    for property in open.into_iter().filter(|property| !properties_taken.contains(property.name.as_str())) {
        let shape = Shape::of(&property.name, &property.label);
        for (field, field_shape) in fields.iter().filter(|(field, _)| !fields_taken.contains(field.name.as_str())) {
            if conversion(&field.kind, &property.kind).is_none() {
                continue;
            }
            // A type that has to be converted loses against an equally named field that needs no conversion.
            let likeness = likeness(field_shape, &shape) * if is_exact(field, property) { 1.0 } else { 0.95 };
            if likeness >= LIKENESS_MIN {
                pairs.push((likeness, *field, property));
            }
        }
    }
    // The best pair of all chooses first; taken property by property, an early one would get what fits a later one
    // better.
    pairs.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    for (_, field, property) in pairs {
        if !fields_taken.contains(field.name.as_str()) && !properties_taken.contains(property.name.as_str()) {
            fields_taken.insert(&field.name);
            properties_taken.insert(&property.name);
            taken.push(Suggestion::of(field, property));
        }
    }
    taken.sort_by(|one, other| one.to.cmp(&other.to));
    taken
}

/// Fields and properties of one name and of types that fit exactly, each property with the first free field.
fn same_names<'a, 'b>(
    fields: &[(&'a SourceField, Shape)],
    properties: &[&'b TargetProperty],
) -> Vec<(&'a SourceField, &'b TargetProperty)> {
    let mut by_name: HashMap<&str, Vec<&'a SourceField>> = HashMap::new();
    for (field, shape) in fields.iter().filter(|(_, shape)| !shape.texts[0].is_empty()) {
        by_name.entry(shape.texts[0].as_str()).or_default().push(field);
    }
    let mut pairs = Vec::new();
    for property in properties {
        let Some(same) = by_name.get_mut(plain(&property.name).as_str()) else { continue };
        let fits =
            |field: &&SourceField| is_exact(field, property) && conversion(&field.kind, &property.kind).is_some();
        if let Some(place) = same.iter().position(fits) {
            pairs.push((same.remove(place), *property));
        }
    }
    pairs
}

/// Lookups to users, for properties that hold an owner.
fn owned<'a>(source: &'a SourceObject, target: &TargetObject) -> Vec<Suggestion<'a>> {
    let mut found: Vec<Suggestion<'a>> = Vec::new();
    for property in target.properties.values().filter(|property| property.owner && !property.read_only) {
        let shape = Shape::of(&property.name, &property.label);
        // Their names and labels have little in common, and they mean the same.
        let likeness = |field: &SourceField| match (field.name.as_str(), property.name.as_str()) {
            ("OwnerId", "hubspot_owner_id") => 1.0,
            (name, _) => likeness(&Shape::of(name.trim_end_matches("Id"), &field.label), &shape),
        };
        let free = |field: &&SourceField| {
            is_user_lookup(field) && !found.iter().any(|suggestion| suggestion.field.name == field.name)
        };
        let best = source.fields.iter().filter(free).map(|field| (likeness(field), field));
        let best =
            best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).max_by(|(one, _), (other, _)| one.total_cmp(other));
        if let Some((_, field)) = best {
            found.push(Suggestion { owner: true, ..Suggestion::plain(field, &property.name) });
        }
    }
    found
}

/// Whether a field is a lookup that leads to users; those that made and changed the record are the system's own.
pub fn is_user_lookup(field: &SourceField) -> bool {
    let by_system = ["CreatedById", "LastModifiedById"].contains(&field.name.as_str());
    let users = field.reference_to.iter().any(|object| object == "User") && field.relationship_name.is_some();
    field.kind == FieldKind::Reference && users && !by_system
}

/// Properties that a mapping could fill.
pub fn fillable(property: &TargetProperty, match_property: &str) -> bool {
    property.name != match_property
        && !property.read_only
        && writable(&property.kind)
        // HubSpot's own properties may be writable, and what they do is HubSpot's: a draft leaves them to the author.
        && !property.name.starts_with("hs_")
}

/// Fields that carry a person's data: neither lookups nor the system's own, and no parts of a whole.
pub fn mappable(field: &SourceField) -> bool {
    let by_system = matches!(
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
    !by_system && kind
}

/// A name and a label in the form in which they are compared.
struct Shape {
    texts: [String; 2],
    /// How often each letter stands in them.
    letters: [[u8; LETTERS]; 2],
}

/// Places of a count of letters: a to z, the digits, and one for all others.
/// Names are mostly plain letters and digits; that all others share a place only makes the bound looser.
const LETTERS: usize = 37;

impl Shape {
    fn of(name: &str, label: &str) -> Self {
        let texts = [plain(name), plain(label)];
        let letters = [0, 1].map(|place: usize| {
            let mut count = [0_u8; LETTERS];
            for letter in texts[place].chars() {
                let at = letter.to_digit(36).map_or(LETTERS - 1, |digit| digit as usize);
                // A label may be longer than 255 of one letter, and an exact count is not needed.
                count[at] = count[at].saturating_add(1);
            }
            count
        });
        Self { texts, letters }
    }
}

/// How much a field and a property look like the same thing, from 0 to 1.
fn likeness(field: &Shape, property: &Shape) -> f64 {
    let mut best: f64 = 0.0;
    for (ours, one) in field.texts.iter().enumerate() {
        for (their, other) in property.texts.iter().enumerate() {
            if one == other && !one.is_empty() {
                // Both names, both labels, or one of each.
                best = best.max(SAME[if ours == their { ours } else { 2 }]);
                continue;
            }
            // `Name` and `subscription_name`: one is the end of the other.
            let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
            // Short endings such as `id` or `to` say nothing.
            if short.len() >= 4 && long.ends_with(short.as_str()) {
                best = best.max(0.8);
            }
            // Most pairs have too few letters in common to be looked at more closely.
            if most_alike(&field.letters[ours], &property.letters[their], one, other) > best.max(LIKENESS_MIN) {
                best = best.max(strsim::normalized_damerau_levenshtein(one, other).min(0.97));
            }
        }
    }
    best
}

/// The most that two texts can be alike by their letters alone.
fn most_alike(one: &[u8; LETTERS], other: &[u8; LETTERS], first: &str, second: &str) -> f64 {
    let longest = first.chars().count().max(second.chars().count());
    let surplus = |one: &[u8; LETTERS], other: &[u8; LETTERS]| {
        one.iter().zip(other).map(|(one, other)| u32::from(one.saturating_sub(*other))).sum::<u32>()
    };
    // Each edit mends one surplus letter on either side at most, so the distance is no smaller than this.
    let apart = surplus(one, other).max(surplus(other, one));
    if longest == 0 { 0.0 } else { 1.0 - f64::from(apart) / longest as f64 }
}

/// Whether all values fit by their kind: of two properties with a fitting name, the exact one is proposed.
fn is_exact(field: &SourceField, property: &TargetProperty) -> bool {
    matches!(
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
    )
}

/// The options that picklist values mean, value by value: an equal value first, then an equal label, then, of the options that
/// are left, by the same words and by the same letters. What has digits must have the same words: `1.0` is not `10%`. An option
/// that two values would mean loosely is for neither: `A+` is not `A-`.
fn options_for<'a>(values: &[&PicklistValue], options: &'a [PropertyOption]) -> Vec<Option<&'a PropertyOption>> {
    let words = |text: &str| {
        let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
    };
    // Without what stands between them, `1.0` would be `10`.
    let letters = |text: &str| if text.contains(char::is_numeric) { String::new() } else { plain(text) };
    let exact = |text: &str| trim(text).to_owned();
    let shapes: [&dyn Fn(&str) -> String; 4] = [&exact, &|text| trim(text).to_lowercase(), &words, &letters];
    let mut chosen: Vec<Option<&PropertyOption>> = vec![None; values.len()];
    // Values with values, labels with labels, and each with the other.
    let sides: [[(bool, bool); 2]; 3] = [[(true, true); 2], [(false, false); 2], [(true, false), (false, true)]];
    // From strict to loose, so that a loose likeness never takes an option away from an exact one.
    for shape in shapes {
        for side in sides {
            let taken: HashSet<&str> = chosen.iter().flatten().map(|option| option.value.as_str()).collect();
            let mut known: BTreeMap<(bool, String), &PropertyOption> = BTreeMap::new();
            // Reversed, so that the first of two options with one text is kept.
            for option in options.iter().rev().filter(|option| !taken.contains(&*option.value)) {
                for (by_value, text) in [(true, &option.value), (false, &option.label)] {
                    known.insert((by_value, shape(text)), option);
                }
            }
            let meant = |value: &PicklistValue| {
                side.iter().find_map(|(ours, theirs)| {
                    let text = shape(if *ours { &value.value } else { &value.label });
                    known.get(&(*theirs, text.clone())).copied().filter(|_| !text.is_empty())
                })
            };
            let found: Vec<Option<&PropertyOption>> = values
                .iter()
                .zip(&chosen)
                .map(|(value, known)| known.is_none().then(|| meant(value)).flatten())
                .collect();
            let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
            for option in found.iter().flatten() {
                *wanted.entry(option.value.as_str()).or_default() += 1;
            }
            for (place, option) in found.iter().enumerate() {
                if option.is_some_and(|option| wanted.get(option.value.as_str()) == Some(&1)) {
                    chosen[place] = *option;
                }
            }
        }
    }
    chosen
}

/// Picklist values to the options that they mean, where those are others; and the active values that mean none. A boolean is a
/// list of two.
fn value_map(field: &SourceField, property: &TargetProperty) -> (BTreeMap<String, String>, Vec<String>) {
    let two = [("true", "Yes"), ("false", "No")];
    let two = two.map(|(value, label)| PicklistValue { value: value.into(), label: label.into(), active: true });
    let values = match (&field.kind, &property.kind) {
        (FieldKind::Picklist | FieldKind::MultiPicklist, _) => field.picklist.as_slice(),
        (FieldKind::Boolean, PropertyKind::Enumeration) => &two,
        _ => &[],
    };
    // Only a property that accepts listed values needs a map; text takes any value as it is.
    let chosen = matches!(property.kind, PropertyKind::Enumeration | PropertyKind::MultiCheckbox | PropertyKind::Bool);
    let (mut map, mut unmatched) = (BTreeMap::new(), Vec::new());
    // Options from elsewhere may not be in the description, so nothing can be said to be missing.
    if !chosen || property.owner || property.external_options && property.options.is_empty() {
        return (map, unmatched);
    }
    // State and country lists repeat codes: `AL` is a state of two countries.
    let mut seen = HashSet::new();
    let values: Vec<&PicklistValue> = values.iter().filter(|entry| seen.insert(trim(&entry.value))).collect();
    let two = [("true", "Yes"), ("false", "No")];
    let two = two.map(|(value, label)| PropertyOption { value: value.into(), label: label.into() });
    let options = if property.kind == PropertyKind::Bool { &two[..] } else { &property.options };
    for (value, option) in values.iter().zip(options_for(&values, options)) {
        match option {
            Some(option) if trim(&option.value) == trim(&value.value) => {}
            Some(option) => drop(map.insert(value.value.clone(), option.value.clone())),
            None if value.active => unmatched.push(value.value.clone()),
            None => {}
        }
    }
    (map, unmatched)
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
        let got: Vec<_> = options_for(&values.iter().collect::<Vec<_>>(), &options)
            .into_iter()
            .map(|entry| entry.map(|entry| entry.value.as_str()))
            .collect();
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
        let found = suggest(source, &fixture.target, "salesforce_id", true);
        let pairs: Vec<(&str, &str)> =
            found.iter().map(|suggestion| (&*suggestion.field.name, &*suggestion.to)).collect();
        for pair in
            [("Name", "subscription_name"), ("Amount__c", "amount"), ("Renews__c", "renews"), ("Status__c", "status")]
        {
            assert!(pairs.contains(&pair), "{pair:?} in {pairs:?}");
        }
        assert!(
            !pairs.iter().any(|(_, property)| ["unlike_anything", "salesforce_id"].contains(property)),
            "{pairs:?}"
        );
        let status = found.iter().find(|suggestion| suggestion.to == "status").unwrap();
        assert_eq!(status.values.get("On Hold").map(String::as_str), Some("on_hold"));
    }

    #[test]
    fn an_equal_value_goes_before_an_equal_label_and_repeated_values_count_once() {
        let mut fixture = Fixture::new(serde_json::json!([]));
        let value = |value: &str, label: &str| PicklistValue { value: value.into(), label: label.into(), active: true };
        let option = |value: &str, label: &str| PropertyOption { value: value.into(), label: label.into() };
        fixture.field("Status__c").picklist = vec![
            value("A", "B"),
            value("B", "A"),
            value("AL", "Alabama"),
            value("AL", "Alagoas"),
            value("New", "New"),
            value("Odd", "Odd"),
        ];
        let mut property = property("status", PropertyKind::Enumeration, &[]);
        property.options = vec![option("A", "A"), option("B", "B"), option("AL", "Alabama"), option("new", "New")];
        let source = fixture.source().clone();
        let (values, unmatched) = value_map(source.field("Status__c").unwrap(), &property);
        assert_eq!(values, BTreeMap::from([("New".to_owned(), "new".to_owned())]));
        assert_eq!(unmatched, ["Odd"]);
    }

    #[test]
    fn two_fields_of_one_label_do_not_trade_places() {
        let mut fixture = Fixture::new(serde_json::json!([]));
        fixture.target.properties.clear();
        for (field, name) in [("Name", "second_value"), ("Secret__c", "first_value")] {
            let described = fixture.field(field);
            (described.name, described.label) = (
                format!("{}__c", if name == "second_value" { "Second_Value" } else { "First_Value" }),
                "Value".to_owned(),
            );
            let property = TargetProperty { label: "Value".to_owned(), ..property(name, PropertyKind::String, &[]) };
            fixture.target.properties.insert(name.to_owned(), property);
        }
        let source = fixture.source().clone();
        let found = suggest(&source, &fixture.target, "salesforce_id", false);
        let pairs: Vec<(&str, &str)> =
            found.iter().map(|suggestion| (&*suggestion.field.name, &*suggestion.to)).collect();
        assert_eq!(pairs, [("First_Value__c", "first_value"), ("Second_Value__c", "second_value")]);
    }
}
