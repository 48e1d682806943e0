//! Objects and their properties, found by any of their names.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use serde_json::json;
use tokio::sync::OnceCell;

use super::api::{Api, Call};
use super::errors::local;
use super::objects::encode;
use super::settings::API_VERSION;
use super::wire::{AccountDetails, Limit, Page, Property, PropertyRules, Schema, ValidationRule, texts};
use crate::model::object::{ObjectSummary, PropertyKind, PropertyOption, PropertyRule, TargetObject, TargetProperty};
use crate::ports::fault::{Fault, RemoteError};
use crate::ports::target::Account;

/// Standard objects: singular, plural, object type id.
/// The ids are the same in every portal; HubSpot's list of schemas holds custom objects only.
const STANDARD: [(&str, &str, &str); 24] = [
    ("contact", "contacts", "0-1"),
    ("company", "companies", "0-2"),
    ("deal", "deals", "0-3"),
    ("ticket", "tickets", "0-5"),
    ("product", "products", "0-7"),
    ("line_item", "line_items", "0-8"),
    ("quote", "quotes", "0-14"),
    ("task", "tasks", "0-27"),
    ("note", "notes", "0-46"),
    ("meeting", "meetings", "0-47"),
    ("call", "calls", "0-48"),
    ("email", "emails", "0-49"),
    ("invoice", "invoices", "0-53"),
    ("subscription", "subscriptions", "0-69"),
    ("payment", "payments", "0-101"),
    ("user", "users", "0-115"),
    ("order", "orders", "0-123"),
    ("lead", "leads", "0-136"),
    ("cart", "carts", "0-142"),
    ("service", "services", "0-162"),
    ("course", "courses", "0-410"),
    ("listing", "listings", "0-420"),
    ("appointment", "appointments", "0-421"),
    ("project", "projects", "0-970"),
];

/// The active custom objects of the portal as a handle has read them. They are read once, whatever is asked of them.
#[derive(Default)]
pub(super) struct Schemas(OnceCell<Vec<Schema>>);

impl Schemas {
    async fn get(&self, api: &Api, calls: &AtomicU64) -> Result<&[Schema], Fault> {
        let list = self.0.get_or_try_init(|| async {
            // The definitions of all properties of all objects would be most of what a command reads.
            let parts = "includePropertyDefinitions=false&includeAssociationDefinitions=false";
            let target = format!("/crm-object-schemas/{API_VERSION}/schemas?{parts}");
            let page: Page<Schema> = api.fetch(calls, &Call::get("read object schemas", target)).await?;
            // An entry without a name cannot be asked for by anybody.
            let named = page.entries().into_iter().filter(|schema| !schema.name.is_empty());
            Ok(named.filter(|schema| schema.archived != Some(true)).collect())
        });
        list.await.map(Vec::as_slice)
    }
}

/// The account behind the token.
pub(super) async fn account(api: &Api, calls: &AtomicU64) -> Result<Account, Fault> {
    let operation = "read account details";
    let target = format!("/account-info/{API_VERSION}/details");
    let details: AccountDetails = api.fetch(calls, &Call::get(operation, target)).await?;
    // Everything that is kept is kept for a portal: without its number a wrong token would not be noticed.
    let Some(portal_id) = details.portal() else {
        let text = "the answer does not name a portal".to_owned();
        return Err(Fault::Halt(local(operation, text, 1)));
    };
    let AccountDetails { account_type, time_zone, ui_domain, .. } = details;
    Ok(Account { portal_id, time_zone, account_type, ui_domain })
}

/// Describes an object by name, fully qualified name or object type id. A custom object goes before a standard one of
/// the same name.
pub(super) async fn describe(
    api: &Api,
    calls: &AtomicU64,
    known: &Schemas,
    object: &str,
) -> Result<TargetObject, Fault> {
    let active = known.get(api, calls).await?;
    let named = |schema: &&Schema| {
        let names =
            [Some(schema.name.as_str()), schema.fully_qualified_name.as_deref(), schema.object_type_id.as_deref()];
        names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(object))
    };
    if let Some(schema) = active.iter().find(named) {
        let object_type_id = schema.object_type_id.clone().unwrap_or_default();
        let properties = properties(api, calls, &object_type_id).await?;
        return Ok(TargetObject {
            name: schema.name.clone(),
            fully_qualified_name: schema.fully_qualified_name.clone().unwrap_or_default(),
            label: schema.labels.plural.clone().unwrap_or_else(|| schema.name.clone()),
            // The part before the dash is the kind: 0 for HubSpot's own, 2 for the portal's.
            custom: !object_type_id.starts_with("0-"),
            required_properties: schema.required_properties.clone(),
            primary_display_property: schema.primary_display_property.clone(),
            object_type_id,
            properties,
        });
    }
    let lower = object.to_ascii_lowercase();
    let standard = STANDARD.iter().find(|(one, many, id)| [*one, *many, *id].contains(&lower.as_str()));
    let Some((_, many, id)) = standard else { return Err(unknown(object, active)) };
    Ok(TargetObject {
        object_type_id: (*id).to_owned(),
        name: (*many).to_owned(),
        fully_qualified_name: (*many).to_owned(),
        label: (*many).to_owned(),
        custom: false,
        // Standard objects have no schema to read; what they require, HubSpot says when a record is refused.
        required_properties: Vec::new(),
        primary_display_property: None,
        properties: properties(api, calls, id).await?,
    })
}

/// All active custom objects, and the standard ones that Syncline knows.
pub(super) async fn objects(api: &Api, calls: &AtomicU64, known: &Schemas) -> Result<Vec<ObjectSummary>, Fault> {
    let custom = known.get(api, calls).await?.iter().map(|schema| ObjectSummary {
        label: schema.labels.plural.clone().unwrap_or_else(|| schema.name.clone()),
        custom: true,
        queryable: true,
        object_type_id: schema.object_type_id.clone(),
        name: schema.name.clone(),
    });
    let standard = STANDARD.iter().map(|(_, many, id)| ObjectSummary {
        name: (*many).to_owned(),
        label: (*many).to_owned(),
        custom: false,
        queryable: true,
        object_type_id: Some((*id).to_owned()),
    });
    Ok(custom.chain(standard).collect())
}

/// Makes a custom object from a schema's body as HubSpot takes it. The name must be looked for before: HubSpot may take a
/// second creation for a change of the first.
///
/// Errors: `Unknown` where it may have been made all the same.
pub(super) async fn create(api: &Api, calls: &AtomicU64, body: &serde_json::Value) -> Result<String, Fault> {
    let target = format!("/crm-object-schemas/{API_VERSION}/schemas");
    // An account may have some ten custom objects: a second try must not use up another.
    let call = Call::post("create a custom object", target, body).once();
    let made: Schema = api.fetch(calls, &call).await?;
    Ok(made.object_type_id.unwrap_or_default())
}

/// Defines the association of a custom object with itself; `id` is its type id.
pub(super) async fn associate_with_itself(api: &Api, calls: &AtomicU64, id: &str, name: &str) -> Result<(), Fault> {
    let target = format!("/crm-object-schemas/{API_VERSION}/schemas/{}/associations", encode(id));
    let body = json!({ "fromObjectTypeId": id, "toObjectTypeId": id, "name": format!("{name}_to_{name}") });
    let call = Call::post("define an association", target, &body).once();
    api.done(calls, &call).await.map(drop)
}

/// Whether the portal has an archived custom object of this name.
pub(super) async fn is_archived(api: &Api, calls: &AtomicU64, name: &str) -> Result<bool, Fault> {
    let parts = "archived=true&includePropertyDefinitions=false&includeAssociationDefinitions=false";
    let target = format!("/crm-object-schemas/{API_VERSION}/schemas?{parts}");
    let page: Page<Schema> = api.fetch(calls, &Call::get("read archived object schemas", target)).await?;
    Ok(page.entries().iter().any(|schema| schema.name.eq_ignore_ascii_case(name)))
}

/// How many custom objects the account may have, and has; none where the portal does not tell.
pub(super) async fn limit(api: &Api, calls: &AtomicU64) -> Option<(u64, u64)> {
    let target = format!("/crm/limits/{API_VERSION}/custom-object-types");
    let call = Call::get("read the limit of custom objects", target).optional();
    // It only lets a command warn beforehand: HubSpot refuses one object too many anyway.
    let answer: Limit = api.fetch(calls, &call).await.ok()?;
    answer.limit.zip(answer.usage)
}

async fn properties(api: &Api, calls: &AtomicU64, object: &str) -> Result<BTreeMap<String, TargetProperty>, Fault> {
    let target = format!("/crm/properties/{API_VERSION}/{}", encode(object));
    let call = Call::get("read properties", target);
    // At once: a command waits for both, and neither needs the other.
    let (page, rules) = tokio::try_join!(api.fetch::<Page<Property>>(calls, &call), rules(api, calls, object))?;
    let named = page.entries().into_iter().filter(|property| !property.name.is_empty());
    let active = named.filter(|property| property.archived != Some(true));
    let mut properties: BTreeMap<_, _> =
        active.map(|property| (property.name.clone(), property_of(property))).collect();
    // A rule may name a property that is archived, to which nothing is sent.
    for (name, rules) in rules {
        if let Some(property) = properties.get_mut(&name) {
            property.rules = rules;
        }
    }
    Ok(properties)
}

/// The rules that the portal has for values, by property; none where the token may not read them, or the portal has no
/// such list. They are sorted, so that an answer in another order is no change.
async fn rules(api: &Api, calls: &AtomicU64, object: &str) -> Result<BTreeMap<String, Vec<PropertyRule>>, Fault> {
    let target = format!("/crm/property-validations/{API_VERSION}/{}", encode(object));
    let page: Page<PropertyRules> = match api.fetch(calls, &Call::get("read property rules", target).optional()).await {
        Ok(page) => page,
        // They only foretell what HubSpot will refuse: without them it refuses by itself.
        Err(Fault::Halt(error)) if error.status != Some(401) => return Ok(BTreeMap::new()),
        Err(Fault::Reject(_)) => return Ok(BTreeMap::new()),
        Err(fault) => return Err(fault),
    };
    let entry =
        page.entries().into_iter().filter_map(|entry| Some((entry.property_name?, entry.property_validation_rules)));
    Ok(entry.map(|(name, rules)| (name, rules_of(rules))).collect())
}

/// What HubSpot mends by itself before it looks is no rule for us.
fn rules_of(rules: Vec<ValidationRule>) -> Vec<PropertyRule> {
    let kept = rules.into_iter().filter(|rule| rule.should_apply_normalization != Some(true));
    let mut kept: Vec<PropertyRule> = kept
        // A rule without a kind forbids nothing that could be checked.
        .filter_map(|rule| Some(PropertyRule { kind: rule.rule_type?, arguments: texts(rule.rule_arguments.as_ref()) }))
        .collect();
    kept.sort();
    kept
}

/// A property that refers to something else (owners, teams) takes values that its options do not list.
fn property_of(property: Property) -> TargetProperty {
    let kind = match (property.kind.as_deref().unwrap_or_default(), property.field_type.as_deref()) {
        ("string" | "phone_number", _) => PropertyKind::String,
        ("number", _) => PropertyKind::Number,
        ("bool", _) => PropertyKind::Bool,
        ("date", _) => PropertyKind::Date,
        ("datetime", _) => PropertyKind::DateTime,
        // Several values at once, with semicolons between them; the type alone does not tell.
        ("enumeration", Some("checkbox")) => PropertyKind::MultiCheckbox,
        ("enumeration", _) => PropertyKind::Enumeration,
        // A type of tomorrow stops only the pipelines that write such a property.
        (other, _) => PropertyKind::Other(other.to_owned()),
    };
    let calculated =
        property.calculated == Some(true) || property.field_type.as_deref() == Some("calculation_equation");
    TargetProperty {
        label: property.label.unwrap_or_else(|| property.name.clone()),
        kind,
        options: property
            .options
            .into_iter()
            .map(|option| PropertyOption { label: option.label.unwrap_or_default(), value: option.value })
            .collect(),
        external_options: property.external_options == Some(true) || property.referenced_object_type.is_some(),
        html: property.field_type.as_deref() == Some("html"),
        owner: property.referenced_object_type.as_deref() == Some("OWNER"),
        unique: property.has_unique_value == Some(true),
        read_only: calculated || property.modification_metadata.read_only_value == Some(true),
        // HubSpot shows 0.25 as 25 % there, where Salesforce stores 25.
        percentage: matches!(property.number_display_hint.as_deref(), Some("percentage" | "probability")),
        rules: Vec::new(),
        name: property.name,
    }
}

fn unknown(object: &str, active: &[Schema]) -> Fault {
    let custom: Vec<&str> = active.iter().map(|schema| schema.name.as_str()).take(20).collect();
    let known = if custom.is_empty() {
        "it has no custom objects".to_owned()
    } else {
        format!("its custom objects are: {}", custom.join(", "))
    };
    Fault::Halt(RemoteError {
        code: "SL4009",
        service: "HubSpot",
        operation: format!("describe `{object}`"),
        status: None,
        message: format!("the portal has no object `{object}` that the token can see"),
        help: Some(format!("{known}; check the name, and the scope `crm.schemas.custom.read`")),
        request_id: None,
        attempts: 1,
    })
}
