//! What a failure alone does not tell: the value at fault, the rule that it breaks, and where people open the record.

use std::collections::HashMap;

use super::addresses;
use super::failure_view::FailureView;
use crate::config::load::LoadedPipeline;
use crate::model::failure::{Category, FailureKind};
use crate::model::forecast::RecordAddresses;
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::model::object::{TargetObject, TargetProperty};
use crate::ports::state::StateError;
use crate::ports::store::Store;
use crate::project::portal::Portal;
use crate::project::wiring::Project;

/// Options and rules that are named.
/// As many as a person compares at a glance.
const NAMED_MAX: usize = 10;

/// What is known of each pipeline that a page of failures is about.
#[derive(Default)]
pub struct FailureContext {
    pipelines: HashMap<String, Known>,
}

struct Known {
    /// Which field each property is filled from.
    fields: HashMap<String, String>,
    addresses: Option<RecordAddresses>,
    target: Option<TargetObject>,
}

impl FailureContext {
    /// Enters what is known into the failures of a page.
    pub async fn complete(
        &mut self,
        project: &Project,
        state: &dyn Store,
        page: &mut [FailureView],
    ) -> Result<(), StateError> {
        let mut records: HashMap<PipelineName, Vec<SalesforceId>> = HashMap::new();
        for view in &*page {
            let ids = records.entry(PipelineName::new(view.pipeline.as_str())).or_default();
            ids.extend(view.salesforce_id.parse::<SalesforceId>());
        }
        let mut targets: HashMap<(String, String), HubspotId> = HashMap::new();
        for (name, ids) in records {
            // Kept from page to page: a pipeline's portal is read from the state once.
            if !self.pipelines.contains_key(name.as_str()) {
                self.pipelines.insert(name.to_string(), known(project, state, &name).await?);
            }
            let identities = state.identities(&name, &ids).await?.into_iter();
            targets.extend(identities.map(|(id, identity)| ((name.to_string(), id.to_string()), identity.hubspot_id)));
        }
        for view in page {
            let Some(known) = self.pipelines.get(&view.pipeline) else { continue };
            let hubspot_id = targets.remove(&(view.pipeline.clone(), view.salesforce_id.clone()));
            known.enter(view, hubspot_id);
        }
        Ok(())
    }
}

async fn known(project: &Project, state: &dyn Store, name: &PipelineName) -> Result<Known, StateError> {
    let loaded: Option<&LoadedPipeline> =
        project.loaded.pipelines.iter().find(|pipeline| pipeline.config.name == name.as_str());
    let Some(LoadedPipeline { config, .. }) = loaded else {
        return Ok(Known { fields: HashMap::new(), addresses: None, target: None });
    };
    let fields = config.fields.iter().filter_map(|field| Some((field.to.clone(), field.from.clone()?))).collect();
    // The remembered portal and no call: a list of failures is read offline.
    let portal = Portal::load(state, name, &config.target.connection).await?;
    let target = portal.as_ref().and_then(|portal| portal.objects.get(&config.target.object.to_ascii_lowercase()));
    let place = portal.as_ref().zip(target);
    let addresses = addresses::known(
        project,
        config,
        place.map(|(portal, target)| (portal.portal_id, target.object_type_id.as_str())),
    );
    Ok(Known { fields, addresses, target: target.cloned() })
}

impl Known {
    fn enter(&self, view: &mut FailureView, hubspot_id: Option<HubspotId>) {
        if let Some(addresses) = &self.addresses {
            let (salesforce, hubspot) = addresses.of(&view.salesforce_id, hubspot_id.as_ref());
            view.salesforce_url = salesforce;
            view.hubspot_url = hubspot;
        }
        view.hubspot_id = hubspot_id.map(|id| id.to_string());
        // No property is at fault where an association failed.
        if view.kind == FailureKind::Associations {
            return;
        }
        let Some(property) = view.property.clone() else { return };
        let field = self.fields.get(&property);
        // A stored failure names columns as it read them then; the property's own name stands for a template.
        let column = view.columns.iter().find(|(path, _)| field == Some(path) || *path == property);
        view.value = column.and_then(|(_, value)| value.clone());
        let described = self.target.as_ref().and_then(|target| target.properties.get(&property));
        if let Some(more) = described.and_then(|described| limits(view.category, described)) {
            view.rule = format!("{}: {more}", view.rule);
        }
    }
}

/// What the portal says of a property that has to do with the failure.
fn limits(category: Category, property: &TargetProperty) -> Option<String> {
    let named: Vec<String> = match category {
        Category::OptionMissing => property.options.iter().map(|option| format!("`{}`", option.value)).collect(),
        Category::PortalRule => {
            let rule = |rule: &crate::model::object::PropertyRule| {
                format!("{} {}", rule.kind, rule.arguments.join(" ")).trim_end().to_owned()
            };
            property.rules.iter().map(rule).collect()
        }
        _ => return None,
    };
    if named.is_empty() {
        return None;
    }
    let more = named.len().saturating_sub(NAMED_MAX);
    let shown = named[..named.len() - more].join(", ");
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let name = &property.name;
    Some(match category {
        Category::OptionMissing => format!("`{name}` has {shown}{more}"),
        _ => format!("`{name}` keeps to {shown}{more}"),
    })
}
