//! Rules about associations: the lookup, the object at the other end, the label.

use std::collections::HashMap;

use super::context::{Columns, RuleContext};
use crate::config::pipeline::AssociationConfig;
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::association::{AssociationKey, AssociationType};
use crate::model::ids::PipelineName;
use crate::model::object::{FieldKind, PropertyKind, SourceField};
use crate::model::record::Column;
use crate::pipeline::compiled::{Association, AssociationTarget};
use crate::pipeline::field::missing_help;
use crate::pipeline::schemas::AssociationSchema;

/// Compiles all associations.
pub fn compile(cx: &RuleContext<'_>, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Vec<Association> {
    let configs = cx.config.associations.iter().zip(cx.schemas.associations).enumerate();
    let found = configs.filter_map(|(index, (config, schema))| {
        let association = one(cx, index, config, schema, columns, findings)?;
        Some((index, association))
    });
    let found: Vec<(usize, Association)> = found.collect();
    distinct(cx, &found, findings);
    contacts_or_leads(cx, &found, findings);
    found.into_iter().map(|(_, association)| association).collect()
}

/// Two entries of one field and label would fight over the same links.
fn distinct(cx: &RuleContext<'_>, found: &[(usize, Association)], findings: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&AssociationKey, usize> = HashMap::new();
    for (index, association) in found {
        let first = *seen.entry(&association.key).or_insert(*index);
        if first != *index {
            let message = format!("the lookup `{}` is listed twice with the same label", association.field);
            let help = "remove one of the entries, or give each its own `label`";
            let finding = cx.error("SL2054", format!("/associations/{index}/field"), message).with_help(help);
            let other = Place::Value(format!("/associations/{first}/field"));
            findings.push(finding.with_label("and again here").with_other(other, "it is listed here first"));
        }
    }
}

/// Contacts and leads are one object in HubSpot: links to both would meet there.
fn contacts_or_leads(cx: &RuleContext<'_>, found: &[(usize, Association)], findings: &mut Vec<Diagnostic>) {
    let refers = |association: &Association, object: &str| {
        let field = cx.objects.own.field(&association.field);
        field.is_some_and(|field| field.reference_to.iter().any(|referred| referred.eq_ignore_ascii_case(object)))
    };
    let contact = found.iter().any(|(_, association)| refers(association, "Contact"));
    for (index, association) in found.iter().filter(|(_, association)| contact && refers(association, "Lead")) {
        let message =
            format!("`{}` leads to leads, and the pipeline is associated with contacts already", association.field);
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
    if schema.types.is_empty() {
        let message = "HubSpot defines no association between these objects".to_owned();
        let why = "without one, every association would be refused";
        let help = "define it in HubSpot: Settings, Objects, the object's Associations";
        let key = if config.pipeline.is_some() { "pipeline" } else { "to" };
        findings.push(cx.error("SL2058", pointer(key), message).with_why(why).with_help(help));
        return None;
    }
    let label = match &config.label {
        Some(label) => Some(find_label(cx, index, label, schema, findings)?),
        None => None,
    };
    // One lookup may make several links under different labels: the label is part of what tells them apart in the state.
    let key = match &config.label {
        Some(label) => format!("{}#{label}", field.name),
        None => field.name.clone(),
    };
    let column = columns.place(Column { path: field.name.as_str().into(), kind: field.kind.clone() });
    Some(Association { key: AssociationKey(key.into()), field: field.name.as_str().into(), column, target, label })
}

/// The lookup that an association reads. A path is refused: its value is the lookup of another record, which does not show here
/// when it changes.
fn lookup<'a>(
    cx: &RuleContext<'a>,
    index: usize,
    config: &AssociationConfig,
    findings: &mut Vec<Diagnostic>,
) -> Option<&'a SourceField> {
    let pointer = format!("/associations/{index}/field");
    let object = cx.objects.own;
    let lookups =
        || object.fields.iter().filter(|field| field.kind == FieldKind::Reference).map(|field| field.name.as_str());
    if let Some((parents, _)) = config.field.split_once('.') {
        let message =
            format!("`{}` is a path, and an association takes a lookup of {} itself", config.field, object.name);
        let known = object
            .relationship(parents)
            .map(|lookup| format!("write `{}` to associate with the record that it leads to, or ", lookup.name));
        let help = format!(
            "{}have the pipeline of that object make the association with its own lookup; lookups are: {}",
            known.unwrap_or_default(),
            some_of(lookups())
        );
        findings.push(cx.error("SL2043", pointer, message).with_help(help));
        return None;
    }
    let Some(field) = object.field(&config.field) else {
        let message = format!("{} has no field `{}` that the integration user can read", object.name, config.field);
        let help = missing_help(&object.name, &config.field, nearest(&config.field, lookups()));
        findings.push(cx.error("SL3001", pointer, message).with_help(help));
        return None;
    };
    if field.kind != FieldKind::Reference {
        let message = format!("`{}` is no lookup, so it points at no record", field.name);
        let help = format!("lookups are: {}", some_of(lookups()));
        findings.push(cx.error("SL2043", pointer, message).with_help(help));
        return None;
    }
    Some(field)
}

/// A few names, in order.
fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
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
    index: usize,
    label: &str,
    schema: &AssociationSchema,
    findings: &mut Vec<Diagnostic>,
) -> Option<AssociationType> {
    let slug = |text: &str| text.to_lowercase().replace([' ', '-'], "_");
    let fits = |kind: &&AssociationType| {
        kind.label.as_deref().is_some_and(|known| known == label || slug(known) == slug(label))
    };
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
    findings.push(cx.error("SL2045", format!("/associations/{index}/label"), message).with_help(help));
    None
}
