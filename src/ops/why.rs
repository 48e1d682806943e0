//! `why`: why a Salesforce record is, or is not, in HubSpot as it is. Reads the state, then asks Salesforce for the record
//! as it is now and judges it as a run would.

use std::sync::Arc;

use futures_util::StreamExt;
use serde::Serialize;

use super::history::{FailureView, RunView};
use crate::config::load::LoadedPipeline;
use crate::config::pipeline::Mode;
use crate::engine::queries::ids_query;
use crate::model::association::AssociationState;
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::link::{Link, Membership as LinkMembership};
use crate::pipeline::compiled::Pipeline;
use crate::plan::decide::Transformed;
use crate::ports::state::StateReader;
use crate::ports::target::{Lookup, TargetRecord};
use crate::project::context::{context, failed};
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, prepare_selected};
use crate::project::selection::Selection;
use crate::project::wiring::Project;
use crate::stages::read::extract::{Membership, candidates};
use crate::stages::read::lookup::by_match;
use crate::stages::read::transform::Transform;
use crate::stages::{Stage, StageName};
use crate::state::sqlite::SqliteState;

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
    pub membership: Option<LinkMembership>,
    /// Its failure, where it has one.
    pub failure: Option<FailureView>,
    /// Its lookups: name, what it points at, and how the link stands.
    pub associations: Vec<(String, Option<String>, &'static str)>,
    /// Whether the record has anything to do with the pipeline.
    #[serde(skip)]
    pub concerned: bool,
    /// The pipeline's latest run.
    pub last_run: Option<RunView>,
    /// In sentences.
    pub sentences: Vec<String>,
}

/// What the pipelines know of a record: those that know something of it, or whose source object holds it; all of them when
/// there is none.
pub async fn why(project: &Project, id: &str) -> Result<Vec<Account>, OpsError> {
    let id: SalesforceId = id.trim().parse().map_err(|error: crate::model::ids::SalesforceIdError| {
        OpsError::refused("SL5004", error.to_string(), "copy the id from the record's address in Salesforce")
    })?;
    let state = project.state_for_reading()?;
    let mut accounts = Vec::new();
    for loaded in &project.loaded.pipelines {
        accounts.push(account(project, &state, loaded, id).await?);
    }
    if accounts.iter().any(|account| account.concerned) {
        accounts.retain(|account| account.concerned);
    }
    Ok(accounts)
}

async fn account(
    project: &Project,
    state: &Arc<SqliteState>,
    loaded: &LoadedPipeline,
    id: SalesforceId,
) -> Result<Account, OpsError> {
    let name = PipelineName::new(loaded.config.name.as_str());
    let link = state.links(&name, &[id]).await?.remove(&id);
    let failures = state.failures_of(&name, &[id]).await?;
    let failure: Option<FailureView> = failures.into_iter().next().map(Into::into);
    let states = state.associations(&name, &[id]).await?;
    let associations: Vec<_> = states.iter().map(standing).collect();
    let last_run: Option<RunView> = state.runs(Some(&name), 1).await?.into_iter().next().map(Into::into);

    let mut sentences: Vec<String> = link.iter().map(membership).collect();
    if let Some(failure) = &failure {
        sentences.push(format!("could not be synced: {} ({}, {})", failure.message, failure.code, failure.status));
    }
    let live = match now(project, state, &name, id).await {
        Ok(now) => now,
        Err(error) => {
            sentences.push(format!("Salesforce could not be asked how it is now: {}", error.reason().1));
            Now::default()
        }
    };
    let in_source = live.row.is_some();
    let known = failure.as_ref().map(|failure| failure.message.as_str());
    let source = &loaded.config.source.object;
    if !state.unconfirmed(&name, &[id]).await?.is_empty() {
        sentences.push("a run ended while it was being written; the next run asks HubSpot how it stands".to_owned());
    }
    sentences.extend(judge(&live, link.as_ref(), known, last_run.is_some(), source));
    for (key, target, standing) in &associations {
        let target = target.as_ref().map(|target| format!(" → {target}")).unwrap_or_default();
        sentences.push(format!("its lookup `{key}`{target} {standing}"));
    }
    Ok(Account {
        pipeline: name.to_string(),
        source_object: loaded.config.source.object.clone(),
        hubspot_id: link.as_ref().map(|link| link.hubspot_id.to_string()),
        membership: link.as_ref().map(|link| link.membership),
        concerned: link.is_some() || failure.is_some() || in_source,
        failure,
        associations,
        last_run,
        sentences,
    })
}

/// The record as it is now.
#[derive(Default)]
struct Now {
    /// The pipeline as compiled now.
    pipeline: Option<Arc<Pipeline>>,
    /// The row, where Salesforce shows it.
    row: Option<Transformed>,
    /// What HubSpot says of it, where that decides.
    held: Option<Lookup<TargetRecord>>,
}

/// Asks Salesforce for the record, and transforms it.
async fn now(
    project: &Project,
    state: &Arc<SqliteState>,
    name: &PipelineName,
    id: SalesforceId,
) -> Result<Now, OpsError> {
    let index = project.loaded.pipelines.iter().position(|own| own.config.name == name.as_str());
    let chosen = Selection { pipelines: index.into_iter().collect(), broken: Vec::new() };
    let mut preparation = prepare_selected(project, &project.loaded, &chosen, PortalSource::Live).await?;
    let Some(prepared) = preparation.pipelines.pop() else {
        return preparation.refused.pop().map_or(Ok(Now::default()), |refused| Err(refused.reason));
    };
    let cx = context(project, state, state, &prepared).await?;
    let mut rows = candidates(&cx, ids_query(&cx, &[id]), Membership::Asked, None);
    let found = rows.next().await.transpose().map_err(|error| failed(&cx, error))?;
    let batch = found.map(|found| found.batch).unwrap_or_default();
    let row = Transform.run(&cx, batch).await.map_err(|error| failed(&cx, error))?.pop();
    drop(rows);
    let held = match prepared.pipeline.mode {
        Mode::UpdateOnly => {
            let found = by_match(&cx, &[id], &[], StageName::Match).await.map_err(|error| failed(&cx, error))?;
            found.into_values().next()
        }
        Mode::Upsert | Mode::CreateOnly => None,
    };
    Ok(Now { pipeline: Some(prepared.pipeline), row, held })
}

/// What follows from the record as it is now.
fn judge(now: &Now, link: Option<&Link>, known_failure: Option<&str>, ran: bool, object: &str) -> Vec<String> {
    let Some(pipeline) = &now.pipeline else { return Vec::new() };
    let mut sentences = Vec::new();
    let Some(row) = &now.row else {
        let cause = "purged from the recycle bin, hidden from Syncline's user, or no record of this object";
        return vec![format!("Salesforce shows no such {object} now: {cause}")];
    };
    match (&row.desired, row.candidate.record.deleted) {
        (_, true) => sentences.push("lies in Salesforce's recycle bin".to_owned()),
        (None, false) => {
            let condition = pipeline.condition_text().unwrap_or_default();
            sentences.push(format!("does not match `where` now ({condition})"));
        }
        (Some(Err(reason)), false) if known_failure == Some(&reason.message) => {}
        (Some(Err(reason)), false) => {
            sentences.push(format!("would be rejected as it is now: {} ({})", reason.message, reason.code));
        }
        (Some(Ok(desired)), false) => match link.filter(|link| link.membership == LinkMembership::Live) {
            None if pipeline.mode == Mode::UpdateOnly => {
                sentences.push(left_out(now.held.as_ref(), &pipeline.target.match_property))
            }
            None if ran => sentences.push(
                "matches `where`; it was not touched since syncing began, so `syncline import` brings it".to_owned(),
            ),
            None => sentences.push("the pipeline never ran: `syncline import` brings existing records".to_owned()),
            Some(link) if link.hash != pipeline.content_hash(desired) => {
                sentences.push("has changed since it was written; the next sync or import carries it over".to_owned());
            }
            Some(link) if link.mapping != pipeline.mapping_version => {
                sentences.push("was written under an older mapping, which makes no difference for it".to_owned());
            }
            Some(_) => sentences.push("HubSpot was given exactly what Salesforce holds now".to_owned()),
        },
    }
    sentences
}

/// Why `update_only` leaves a record out that has no link.
fn left_out(held: Option<&Lookup<TargetRecord>>, match_property: &str) -> String {
    match held {
        Some(Lookup::Found(record)) => format!(
            "matches `where`, and HubSpot holds record {} with its id in `{match_property}`: `syncline import` takes it over",
            record.id
        ),
        Some(Lookup::Absent) => format!(
            "matches `where`, and `mode: update_only` leaves it out: no HubSpot record holds its id in `{match_property}`"
        ),
        Some(Lookup::Unknown) | None => format!(
            "matches `where`; `mode: update_only` leaves it out unless a HubSpot record holds its id in `{match_property}`"
        ),
    }
}

fn membership(link: &Link) -> String {
    let record = &link.hubspot_id;
    match link.membership {
        LinkMembership::Live => format!("is HubSpot record {record} and is kept in step"),
        LinkMembership::Left => {
            format!("stopped matching `where`; HubSpot record {record} was kept as it was (`on_filter_exit: keep`)")
        }
        LinkMembership::Gone => {
            format!("was deleted in Salesforce; HubSpot record {record} was kept (`on_delete: keep`)")
        }
        LinkMembership::Archived => format!("was archived in HubSpot by Syncline (record {record})"),
    }
}

fn standing(own: &AssociationState) -> (String, Option<String>, &'static str) {
    let standing = match (own.is_due(), own.wanted) {
        (true, Some(_)) => "waits for the other record",
        (true, None) => "is to be removed",
        (false, Some(_)) => "is associated",
        (false, None) => "is blank",
    };
    (own.key.0.to_string(), own.wanted.map(|id| id.to_string()), standing)
}
