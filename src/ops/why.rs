//! `why`: why a Salesforce record is, or is not, in HubSpot as it is. Reads the state, and the record itself where the
//! systems can be asked.

use serde::Serialize;

use super::error::OpsError;
use super::history::{FailureView, RunView};
use super::wiring::Project;
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::link::Membership;
use crate::ports::state::{FailureFilter, StateReader};

/// What one pipeline knows of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// The pipeline.
    pub pipeline: String,
    /// The source object that it reads.
    pub source_object: String,
    /// Its HubSpot record.
    pub hubspot_id: Option<String>,
    /// Whether it is kept in step.
    pub membership: Option<Membership>,
    /// Its failure, where it has one.
    pub failure: Option<FailureView>,
    /// Its lookups: name, what it points at, and how the link stands.
    pub associations: Vec<(String, Option<String>, &'static str)>,
    /// The pipeline's latest run.
    pub last_run: Option<RunView>,
    /// In sentences.
    pub sentences: Vec<String>,
}

/// What all pipelines know of a record; those that know nothing come last, in one sentence.
pub async fn why(project: &Project, id: &str) -> Result<Vec<Account>, OpsError> {
    let id: SalesforceId = id.trim().parse().map_err(|error: crate::model::ids::SalesforceIdError| {
        OpsError::refused("SL5004", error.to_string(), "copy the id from the record's address in Salesforce")
    })?;
    let state = project.state_for_reading()?;
    let mut accounts = Vec::new();
    for loaded in &project.loaded.pipelines {
        let name = PipelineName::new(loaded.config.name.as_str());
        let link = state.links(&name, &[id]).await?.remove(&id);
        let filter = FailureFilter {
            pipeline: Some(name.clone()),
            salesforce_id: Some(id),
            closed_too: true,
            ..FailureFilter::default()
        };
        let failure: Option<FailureView> = state.failures(&filter, 1).await?.into_iter().next().map(Into::into);
        let failure = failure.filter(|failure| failure.status != "resolved");
        let states = state.associations(&name, &[id]).await?;
        let associations: Vec<_> = states
            .iter()
            .map(|own| {
                let standing = match (own.is_due(), own.wanted) {
                    (true, Some(_)) => "waits for its other side",
                    (true, None) => "is to be removed",
                    (false, Some(_)) => "is linked",
                    (false, None) => "is blank",
                };
                (own.key.0.to_string(), own.wanted.map(|id| id.to_string()), standing)
            })
            .collect();
        let last_run: Option<RunView> = state.runs(Some(&name), 1).await?.into_iter().next().map(Into::into);
        let mut sentences = Vec::new();
        match &link {
            Some(link) => sentences.push(match link.membership {
                Membership::Live => format!("is HubSpot record {} and is kept in step", link.hubspot_id),
                Membership::Left => {
                    format!(
                        "stopped matching `where`; HubSpot record {} was kept as it was (`on_filter_exit: keep`)",
                        link.hubspot_id
                    )
                }
                Membership::Gone => format!(
                    "was deleted in Salesforce; HubSpot record {} was kept (`on_delete: keep`)",
                    link.hubspot_id
                ),
                Membership::Archived => format!("was archived in HubSpot by Syncline (record {})", link.hubspot_id),
            }),
            None if last_run.is_none() => {
                sentences.push("the pipeline never ran: `syncline import` brings existing records".to_owned())
            }
            None if failure.is_none() => sentences.push(format!(
                "was never written: it is no {}, it does not match `where`, or it was not touched since syncing began",
                loaded.config.source.object
            )),
            None => {}
        }
        if let Some(failure) = &failure {
            sentences.push(format!("could not be synced: {} ({}, {})", failure.message, failure.code, failure.status));
        }
        for (key, target, standing) in &associations {
            let target = target.as_ref().map(|target| format!(" → {target}")).unwrap_or_default();
            sentences.push(format!("its lookup `{key}`{target} {standing}"));
        }
        accounts.push(Account {
            pipeline: name.to_string(),
            source_object: loaded.config.source.object.clone(),
            hubspot_id: link.as_ref().map(|link| link.hubspot_id.to_string()),
            membership: link.as_ref().map(|link| link.membership),
            failure,
            associations,
            last_run,
            sentences,
        });
    }
    accounts.sort_by_key(|account| account.hubspot_id.is_none() && account.failure.is_none());
    Ok(accounts)
}
