//! Rules about associations: the lookup, the object at the other end, the label.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::context::{Columns, RuleContext};
use super::options;
use crate::config::pipeline::{AssociationConfig, LabelConfig};
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::association::{AssociationKey, AssociationType};
use crate::model::ids::PipelineName;
use crate::model::object::{FieldKind, PropertyKind, SourceField};
use crate::model::record::Column;
use crate::pipeline::compiled::{Association, AssociationLabel, AssociationTarget};
use crate::pipeline::field::{Lookup, missing_help};
use crate::pipeline::schemas::AssociationSchema;
use crate::pipeline::values::matching;

/// Compiles all associations.
pub fn compile(cx: &RuleContext<'_>, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Vec<Association> {
    // The schemas are asked in the order of the entries, and belong to them by their place.
    let configs = cx.config.associations.iter().zip(cx.schemas.associations).enumerate();
    let found = configs.filter_map(|(index, (config, schema))| {
        let association = one(cx, index, config, schema, columns, findings)?;
        Some((index, association))
    });
    let mut found: Vec<(usize, Association)> = found.collect();
    // Before `told_apart`, which would give two equal entries keys of their own.
    distinct(cx, &found, findings);
    told_apart(&mut found);
    contacts_or_leads(cx, &found, findings);
    found.into_iter().map(|(_, association)| association).collect()
}

/// Two entries of one field and label would fight over the same associations, unless each is about its own object.
fn distinct(cx: &RuleContext<'_>, found: &[(usize, Association)], findings: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<(&AssociationKey, Option<&str>), usize> = HashMap::new();
    for (index, association) in found {
        let first = *seen.entry((&association.key, association.prefix.as_deref())).or_insert(*index);
        if first != *index {
            let message = format!("the lookup `{}` is listed twice with the same label", association.field);
            let help = "remove one of the entries, or give each its own `label`";
            let finding = cx.error("SL2054", format!("/associations/{index}/field"), message).with_help(help);
            let other = Place::Value(format!("/associations/{first}/field"));
            findings.push(finding.with_label("and again here").with_other(other, "it is listed here first"));
        }
    }
}

/// Entries of one field and label that are about different objects are told apart in the state by how ids begin.
fn told_apart(found: &mut [(usize, Association)]) {
    let mut count: HashMap<AssociationKey, usize> = HashMap::new();
    found.iter().for_each(|(_, association)| *count.entry(association.key.clone()).or_default() += 1);
    for (_, association) in found {
        // Only where it is needed: a key that changes makes the state forget which associations it made.
        if let (Some(2..), Some(prefix)) = (count.get(&association.key), &association.prefix) {
            association.key = AssociationKey(format!("{}@{prefix}", association.key.0).as_str().into());
        }
    }
}

/// Contacts and leads are one object in HubSpot: associations with both would meet there.
fn contacts_or_leads(cx: &RuleContext<'_>, found: &[(usize, Association)], findings: &mut Vec<Diagnostic>) {
    let refers = |association: &Association, object: &str| {
        let Lookup::Found(field) = cx.objects.find(&association.field) else { return false };
        // An entry that is about one object of a lookup to several cannot meet the other's records.
        let about = association.prefix.as_deref().is_none_or(|prefix| standard_prefix(object) == Some(prefix));
        about && field.reference_to.iter().any(|referred| referred.eq_ignore_ascii_case(object))
    };
    let contact = found.iter().any(|(_, association)| refers(association, "Contact"));
    for (index, association) in found.iter().filter(|(_, association)| contact && refers(association, "Lead")) {
        let message =
            format!("`{}` leads to leads, and the pipeline is already associated with contacts", association.field);
        let why =
            "HubSpot keeps Salesforce's contacts and leads in one object, so the associations could not be told apart";
        let finding = cx.error("SL2053", format!("/associations/{index}/field"), message).with_why(why);
        findings.push(finding.with_help("keep one of the two"));
    }
}

/// One association of the definition; none where it has an error that stands in the way of making it.
fn one(
    cx: &RuleContext<'_>,
    index: usize,
    config: &AssociationConfig,
    schema: &AssociationSchema,
    columns: &mut Columns,
    findings: &mut Vec<Diagnostic>,
) -> Option<Association> {
    let field = lookup(cx, index, config, findings)?;
    let pointer = |key: &str| format!("/associations/{index}/{key}");
    let target = match (&config.pipeline, &config.match_property) {
        (Some(pipeline), _) => {
            // The finding alone refuses the pipeline; the association is made all the same, so that later rules see
            // it.
            refers_to(cx, index, field, schema, findings);
            let name = PipelineName::new(pipeline.as_str());
            AssociationTarget::Pipeline { name, object_type_id: schema.object_type_id.as_str().into() }
        }
        (None, Some(name)) => match &schema.property {
            // A number loses digits of an id, and a choice accepts no new one.
            Some(property) if !matches!(property.kind, PropertyKind::String) => {
                let message = format!("the property `{name}` is not text, so it cannot hold a Salesforce id");
                findings.push(cx.error("SL2044", pointer("match"), message));
                return None;
            }
            Some(property) => AssociationTarget::Property {
                object_type_id: schema.object_type_id.as_str().into(),
                property: property.name.as_str().into(),
                unique: property.unique,
            },
            None => {
                let object = config.to.as_deref().unwrap_or_default();
                let message = format!("`{object}` has no property `{name}`");
                let finding = cx.error("SL2044", pointer("match"), message);
                let help = "name the property that holds the Salesforce id; HubSpot's own integration fills `salesforceaccountid` on companies";
                findings.push(finding.with_why("only objects that sync can be associated").with_help(help));
                return None;
            }
        },
        (None, None) => return None,
    };
    // The start of a junction's associations has no types of its own: those belong to its end.
    if schema.types.is_empty() && !cx.config.is_from_end(index) {
        let message = "HubSpot defines no association between these objects".to_owned();
        let why = "without one, every association would be refused";
        let help = "define it in HubSpot: Settings, Objects, the object's Associations";
        let key = if config.pipeline.is_some() { "pipeline" } else { "to" };
        findings.push(cx.error("SL2058", pointer(key), message).with_why(why).with_help(help));
        return None;
    }
    let label = label(cx, index, config, schema, columns, findings)?;
    // One lookup may make several associations under different labels: the label is part of what tells them apart in the state.
    let path = cx.objects.true_spelling(&config.field);
    let key = match &config.label {
        Some(LabelConfig::Name(label)) => format!("{path}#{label}"),
        // Braces, so that a label can never be taken for the name of a field.
        Some(LabelConfig::ByField(label)) => format!("{path}#{{{}}}", cx.objects.true_spelling(&label.from)),
        None => path.clone(),
    };
    // Both ends of a junction may be read from one lookup.
    let key = if cx.config.is_from_end(index) { format!("from {key}") } else { key };
    let prefix = prefix(cx, index, config, field, schema, findings)?;
    let column = columns.place(Column { path: path.as_str().into(), kind: field.kind.clone() });
    Some(Association { key: AssociationKey(key.into()), field: path.into(), column, prefix, target, label })
}

/// The label of an association.
fn label(
    cx: &RuleContext<'_>,
    index: usize,
    config: &AssociationConfig,
    schema: &AssociationSchema,
    columns: &mut Columns,
    findings: &mut Vec<Diagnostic>,
) -> Option<AssociationLabel> {
    let pointer = |key: &str| format!("/associations/{index}/label{key}");
    let by_field = match &config.label {
        None => return Some(AssociationLabel::Plain),
        Some(LabelConfig::Name(label)) => {
            let found = find_label(cx, pointer(""), label, schema, findings)?;
            return Some(AssociationLabel::Fixed(found.id()));
        }
        Some(LabelConfig::ByField(by_field)) => by_field,
    };
    let field = match cx.objects.find(&by_field.from) {
        Lookup::Found(field) => field,
        Lookup::Missing { message, help } => {
            let finding = cx.error("SL3001", pointer("/from"), message);
            findings.push(help.map_or(finding.clone(), |help| finding.with_help(help)));
            return None;
        }
        Lookup::NotDescribed(_) => return None,
    };
    options::same_keys(cx.file, &pointer("/values"), &by_field.values, &field.kind, findings);
    let known = &field.picklist;
    // Inactive values are left out: old records may hold them, and nobody can choose them any more.
    for value in known.iter().filter(|value| value.active) {
        let key = matching::key(&value.value, &field.kind);
        if !by_field.values.keys().any(|value| matching::key(value, &field.kind) == key) {
            let message = format!("records whose `{}` is `{}` get the plain association", by_field.from, value.value);
            let finding = cx.warning("SL2074", pointer("/values"), message);
            findings.push(finding.with_help(format!("add `{}: LABEL`, if it has a label", value.value)));
        }
    }
    let mut values = BTreeMap::new();
    for (value, label) in &by_field.values {
        // A value may hold a slash, which would be another step of the pointer.
        let place = pointer(&format!("/values/{}", crate::config::yaml::escape(value)));
        let found = find_label(cx, place, label, schema, findings)?;
        values.insert(matching::key(value, &field.kind).into_owned(), found.id());
    }
    let path = cx.objects.true_spelling(&by_field.from);
    findings.extend(cx.unnoticed(&path, field, Place::Value(pointer("/from"))));
    let column = columns.place(Column { path: path.as_str().into(), kind: field.kind.clone() });
    Some(AssociationLabel::ByColumn { column, kind: field.kind.clone(), values })
}

/// How the ids begin that an entry is about, where the lookup leads to several objects; the outer none after a finding.
fn prefix(
    cx: &RuleContext<'_>,
    index: usize,
    config: &AssociationConfig,
    field: &SourceField,
    schema: &AssociationSchema,
    findings: &mut Vec<Diagnostic>,
) -> Option<Option<Arc<str>>> {
    let pointer = format!("/associations/{index}/object");
    let leads_to = |object: &str| field.reference_to.iter().find(|known| known.eq_ignore_ascii_case(object));
    if let Some(object) = config.object.as_ref().filter(|object| leads_to(object).is_none()) {
        let near = nearest(object, field.reference_to.iter().map(String::as_str));
        let message = format!("`{}` does not lead to {object}", config.field);
        let help = near.map_or_else(
            || format!("it leads to {}", some_of(field.reference_to.iter().map(String::as_str))),
            |near| format!("did you mean `{near}`?"),
        );
        findings.push(cx.error("SL2046", pointer, message).with_help(help));
        return None;
    }
    // All ids of such a lookup are of one object, so there is nothing to tell apart.
    if field.reference_to.len() < 2 {
        return Some(None);
    }
    let named = config.object.as_deref().or(schema.source_object.as_deref());
    // A pipeline or a standard object says as well which of the objects is meant.
    let meant = named.or_else(|| standard_object(&schema.object_type_id)).and_then(leads_to);
    let prefix = meant.and_then(|object| {
        let described = cx.objects.all.get(&object.to_ascii_lowercase());
        // What the org says goes first; custom objects have no prefix that is the same in every org.
        described.and_then(|object| object.key_prefix.as_deref()).or_else(|| standard_prefix(object))
    });
    if prefix.is_none() {
        let objects = some_of(field.reference_to.iter().map(String::as_str));
        let message = format!("`{}` leads to several objects ({objects}): which of them is meant?", config.field);
        let why = "ids of the other objects would wait for ever";
        let help = "add `object: NAME`; several entries may share the lookup, one for each object";
        let place = format!("/associations/{index}/field");
        findings.push(cx.error("SL2075", place, message).with_why(why).with_help(help));
        return None;
    }
    Some(prefix.map(Into::into))
}

/// The Salesforce object that a standard HubSpot object stands for. Contacts may be leads as well, so they stand for neither.
fn standard_object(object_type_id: &str) -> Option<&'static str> {
    Some(match object_type_id {
        "0-1" => "Contact",
        "0-2" => "Account",
        "0-3" => "Opportunity",
        "0-5" => "Case",
        _ => return None,
    })
}

/// How the ids of Salesforce's standard objects begin, in every org.
fn standard_prefix(object: &str) -> Option<&'static str> {
    const PREFIXES: [(&str, &str); 14] = [
        ("Account", "001"),
        ("Asset", "02i"),
        ("Campaign", "701"),
        ("Case", "500"),
        ("Contact", "003"),
        ("Contract", "800"),
        ("Group", "00G"),
        ("Lead", "00Q"),
        ("Opportunity", "006"),
        ("Order", "801"),
        ("Product2", "01t"),
        ("Solution", "501"),
        ("User", "005"),
        ("WorkOrder", "0WO"),
    ];
    PREFIXES.iter().find(|(name, _)| name.eq_ignore_ascii_case(object)).map(|(_, prefix)| *prefix)
}

/// The lookup that an association reads.
fn lookup<'a>(
    cx: &RuleContext<'a>,
    index: usize,
    config: &AssociationConfig,
    findings: &mut Vec<Diagnostic>,
) -> Option<&'a SourceField> {
    let pointer = format!("/associations/{index}/field");
    let object = match cx.objects.holder(&config.field) {
        Ok(object) => object,
        Err(Lookup::Missing { message, help }) => {
            let finding = cx.error("SL3001", pointer, message);
            findings.push(help.map_or(finding.clone(), |help| finding.with_help(help)));
            return None;
        }
        Err(_) => return None,
    };
    let lookups =
        || object.fields.iter().filter(|field| field.kind == FieldKind::Reference).map(|field| field.name.as_str());
    let Lookup::Found(field) = cx.objects.find(&config.field) else {
        let name = config.field.rsplit('.').next().unwrap_or(&config.field);
        let message = format!("{} has no field `{name}` that the integration user can read", object.name);
        let help = missing_help(&object.name, name, nearest(name, lookups()));
        findings.push(cx.error("SL3001", pointer, message).with_help(help));
        return None;
    };
    if field.kind != FieldKind::Reference {
        let message = format!("`{}` is not a lookup, so it points to no record", field.name);
        let help = format!("lookups are: {}", some_of(lookups()));
        findings.push(cx.error("SL2043", pointer, message).with_help(help));
        return None;
    }
    // A lookup of the record itself moves the record's stamp when it changes; one behind a parent does not.
    findings.extend(cx.unnoticed(&config.field, field, Place::Value(pointer)).filter(|_| config.field.contains('.')));
    Some(field)
}

/// A few names, in order.
fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    // An object may have a hundred lookups, and `nearest` has named the likely one.
    names.truncate(8);
    names.join(", ")
}

/// The lookup can point at the records that the named pipeline syncs.
fn refers_to(
    cx: &RuleContext<'_>,
    index: usize,
    field: &SourceField,
    schema: &AssociationSchema,
    findings: &mut Vec<Diagnostic>,
) {
    let Some(object) = &schema.source_object else { return };
    if !field.reference_to.iter().any(|referred| referred.eq_ignore_ascii_case(object)) {
        let message =
            format!("`{}` points at {}, but the pipeline syncs {object}", field.name, field.reference_to.join(", "));
        findings.push(cx.error("SL2046", format!("/associations/{index}/pipeline"), message));
    }
}

/// The association type with this label. Labels are found by what a person reads and by its snake_case form, as HubSpot shows
/// the one and its API often names the other.
fn find_label(
    cx: &RuleContext<'_>,
    pointer: String,
    label: &str,
    schema: &AssociationSchema,
    findings: &mut Vec<Diagnostic>,
) -> Option<AssociationType> {
    let slug = |text: &str| text.to_lowercase().replace([' ', '-'], "_");
    let fits = |kind: &&AssociationType| {
        kind.label.as_deref().is_some_and(|known| known == label || slug(known) == slug(label))
    };
    // The first one: HubSpot lists the types from the object that the association starts at.
    if let Some(found) = schema.types.iter().find(fits) {
        return Some(found.clone());
    }
    let known: Vec<&str> = schema.types.iter().filter_map(|kind| kind.label.as_deref()).collect();
    let help = match nearest(label, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => {
            "create the label in HubSpot, or leave `label` out for the plain association".to_owned()
        }
        None => format!("labels are: {}", known.join(", ")),
    };
    let message = format!("there is no association label `{label}` between these objects");
    findings.push(cx.error("SL2045", pointer, message).with_help(help));
    None
}
