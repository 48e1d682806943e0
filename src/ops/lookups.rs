//! The lookups of a Salesforce object, and which of them can become associations.

use super::draft::{Lookup, NewPipeline, word};
use crate::config::load::LoadedPipeline;
use crate::model::association::AssociationType;
use crate::model::object::{FieldKind, SourceField, SourceObject, TargetObject};
use crate::pipeline::schemas::AssociationSchema;
use crate::ports::target::TargetReader;
use crate::project::wiring::Project;

/// What HubSpot's own integration keeps Salesforce ids in, by the Salesforce object.
/// So associations work beside HubSpot's integration, without a pipeline for the other end.
const INTEGRATED: [(&str, &str, &str); 4] = [
    ("Account", "companies", "salesforceaccountid"),
    ("Contact", "contacts", "salesforcecontactid"),
    ("Lead", "contacts", "salesforceleadid"),
    ("Opportunity", "deals", "hs_salesforceopportunityid"),
];

/// Lookups of the system's own, which say nothing of the business.
const SYSTEM_LOOKUPS: [&str; 4] = ["OwnerId", "CreatedById", "LastModifiedById", "MasterRecordId"];

/// Looks for what is at the other end of lookups.
pub struct Finder<'a> {
    /// The project.
    pub project: &'a Project,
    /// HubSpot.
    pub hubspot: &'a dyn TargetReader,
    /// What is wanted.
    pub wanted: &'a NewPipeline,
    /// The object that is filled; none while it is yet to be made.
    pub target: Option<&'a TargetObject>,
}

/// The other end of a lookup, as far as the project tells.
struct End<'a> {
    entry: String,
    to: &'a str,
    property: Option<&'a str>,
    source: Option<&'a str>,
}

impl<'a> Finder<'a> {
    /// The lookups of an object, and which of them can become associations.
    pub async fn find(&self, source: &'a SourceObject) -> Vec<Lookup> {
        let mut found: Vec<Lookup> = Vec::new();
        // Whether contacts or leads came first: that one stands.
        let mut persons: Option<&str> = None;
        for field in source.fields.iter().filter(|field| is_of_the_business(field)) {
            let refers = |name: &str| field.reference_to.iter().any(|object| object.eq_ignore_ascii_case(name));
            let Some(end) = self.end(source, field) else {
                let to = field.reference_to.join(", ");
                found.push(Lookup { field: field.name.clone(), entry: None, to, why_not: None, world: None });
                continue;
            };
            let (world, mut why_not) = match self.world(&end).await {
                Ok(world) => (Some(world), None),
                Err(why) => (None, Some(why)),
            };
            if why_not.is_some() {
            } else if found.iter().any(|found| found.to == end.to && found.why_not.is_none() && found.entry.is_some()) {
                why_not = Some(format!("a second association with {}: give each its own `label`", end.to));
            } else if refers("Lead") && persons == Some("Contact") || refers("Contact") && persons == Some("Lead") {
                why_not = Some(
                    "HubSpot keeps contacts and leads in one object: only one of the two can be associated".to_owned(),
                );
            } else {
                persons = ["Contact", "Lead"].into_iter().find(|object| refers(object)).or(persons);
            }
            let world = world.filter(|_| why_not.is_none());
            let (entry, to) = (Some(end.entry), end.to.to_owned());
            found.push(Lookup { field: field.name.clone(), entry, to, why_not, world });
        }
        found
    }

    /// Where a lookup would lead to; none where nothing in HubSpot is known to hold its records.
    fn end(&self, source: &'a SourceObject, field: &SourceField) -> Option<End<'a>> {
        let refers = |name: &str| field.reference_to.iter().any(|object| object.eq_ignore_ascii_case(name));
        let leads_to = |loaded: &&LoadedPipeline| {
            // A pipeline of a junction makes no records that a lookup could lead to.
            let same = loaded.config.associate.is_none()
                && loaded.config.source.connection == self.wanted.connections.0
                && loaded.config.target.connection == self.wanted.connections.1;
            same && refers(&loaded.config.source.object)
        };
        let name = word(&field.name);
        // Before HubSpot's integration: what a pipeline syncs is known by the state, without a search.
        if let Some(pipeline) = self.project.loaded.pipelines.iter().find(leads_to) {
            let entry = format!("field: {name}, pipeline: {}", pipeline.config.name);
            return Some(End {
                entry,
                to: &pipeline.config.target.object,
                property: None,
                source: Some(&pipeline.config.source.object),
            });
        }
        if refers(&source.name) {
            // The pipeline that is written syncs it.
            let entry = format!("field: {name}, pipeline: {}", self.wanted.name);
            return Some(End { entry, to: &self.wanted.target, property: None, source: Some(&source.name) });
        }
        let (_, to, property) = INTEGRATED.iter().find(|(object, _, _)| refers(object))?;
        let entry = format!("field: {name}, to: {to}, match: {property}");
        Some(End { entry, to, property: Some(property), source: None })
    }

    /// The other end as HubSpot describes it, or why an association with it cannot stand.
    async fn world(&self, end: &End<'_>) -> Result<AssociationSchema, String> {
        // What is yet to be made is made with its associations.
        let planned = || vec![AssociationType { category: "USER_DEFINED".into(), type_id: 0, label: None }];
        let source_object = end.source.map(str::to_owned);
        if self.target.is_none() && end.to == self.wanted.target {
            let object_type_id = "2-0".to_owned();
            return Ok(AssociationSchema { object_type_id, source_object, property: None, types: planned() });
        }
        // The object that is filled was described already.
        let other = match self.target.filter(|target| target.name == end.to) {
            Some(target) => target.clone(),
            None => match self.hubspot.describe(end.to).await {
                Ok(other) => other,
                Err(_) => return Err(format!("HubSpot has no object {}", end.to)),
            },
        };
        let property = end.property.map(|name| other.properties.get(name).cloned());
        if let (Some(name), Some(None)) = (end.property, &property) {
            return Err(format!("if a text property such as `{name}` of {} holds the Salesforce id", end.to));
        }
        let types = match self.target {
            None => planned(),
            Some(target) => self
                .hubspot
                .association_types(&target.object_type_id, &other.object_type_id)
                .await
                // A key that may not read associations still gets its draft; `validate` judges it later.
                .unwrap_or_else(|_| planned()),
        };
        if types.is_empty() {
            return Err(format!("HubSpot defines no association with {} yet: define one in its settings", end.to));
        }
        let property = property.flatten();
        Ok(AssociationSchema { object_type_id: other.object_type_id, source_object, property, types })
    }
}

fn is_of_the_business(field: &SourceField) -> bool {
    let object_name = SYSTEM_LOOKUPS.contains(&&*field.name) || field.reference_to.is_empty();
    field.kind == FieldKind::Reference && !object_name
}
