//! `why`: why a Salesforce record is, or is not, in HubSpot as it is. Reads the state, then asks Salesforce for the record
//! as it is now and judges it as a run would.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Serialize;

use super::failure_context::FailureContext;
use super::failure_view::FailureView;
use super::history::RunView;
use super::why_refresh::{self, Refreshed};
use crate::config::load::LoadedPipeline;
use crate::config::pipeline::{DeleteAction, Mode};
use crate::engine::queries::ids_query;
use crate::model::association::AssociationState;
use crate::model::failure::FailureKind;
use crate::model::identity::{Identity, Membership as IdentityMembership};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::model::record::Desired;
use crate::pipeline::compiled::Pipeline;
use crate::plan::decide::Transformed;
use crate::ports::store::Store;
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

/// What `why --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Syncline why")]
pub struct WhyReport {
    /// The record: as it was asked for, or the one of the HubSpot record that was asked for.
    pub salesforce_id: String,
    /// One entry a pipeline that knows something of it; all pipelines where none does.
    pub pipelines: Vec<Account>,
}

/// What one pipeline knows of a record.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Account {
    /// The pipeline.
    pub pipeline: String,
    /// The source object that it reads.
    pub source_object: String,
    /// Its HubSpot record.
    pub hubspot_id: Option<String>,
    /// What became of the HubSpot record: kept in step, left when the record stopped matching `where`, left when it was
    /// deleted in Salesforce, or archived by Syncline. None where there is none.
    #[schemars(with = "Option<String>", extend("enum" = ["live", "left", "gone", "archived", null]))]
    pub membership: Option<IdentityMembership>,
    /// Why the record is, or is not, in HubSpot as it is: the most important first.
    pub reasons: Vec<Explanation>,
    /// Its associations, one entry for each of the pipeline's that the record was read for.
    pub associations: Vec<AssociationStanding>,
    /// Its failure, where it has one.
    pub failure: Option<FailureView>,
    /// Whether the record has anything to do with the pipeline.
    #[serde(skip)]
    pub concerned: bool,
    /// The pipeline's latest run.
    pub last_run: Option<RunView>,
    /// What both systems say now, where that was asked for (`--refresh`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refreshed: Option<Refreshed>,
}

/// One reason why a record is, or is not, in HubSpot as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// What kind of reason it is.
    pub reason: Reason,
    /// The same in a sentence, without its subject.
    pub message: String,
    /// The code of what went wrong (`SL4202`), where it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<&'static str>,
    /// What a person should do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

/// What kind of reason it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has a HubSpot record, which is kept in step.
    Synced,
    /// It stopped matching `where`; its HubSpot record stays as it was.
    LeftFilter,
    /// It was deleted in Salesforce; its HubSpot record stays as it was.
    DeletedAndKept,
    /// Syncline archived its HubSpot record.
    Archived,
    /// It was rejected, and stands under `failures`.
    Failed,
    /// Salesforce or HubSpot could not be asked how the record is now.
    SourceUnreachable,
    /// A run ended while the record was being written.
    Unconfirmed,
    /// Salesforce does not show it: purged, hidden, or a record of another object.
    NotInSource,
    /// It lies in Salesforce's recycle bin.
    Deleted,
    /// It does not match `where` now.
    Filtered,
    /// The mapping would reject it as it is now.
    WouldBeRejected,
    /// `mode: update_only`, and HubSpot holds a record with its id: an import takes that over.
    ToAdopt,
    /// `mode: update_only`, and no HubSpot record is known to hold its id.
    NothingToUpdate,
    /// It matches, and was not touched since syncing began: an import brings it.
    NotImported,
    /// The pipeline never ran.
    NeverRan,
    /// It has changed since it was written.
    Changed,
    /// It was written under an earlier mapping, which makes no difference for it.
    StaleWithoutEffect,
    /// HubSpot was given exactly what Salesforce holds now.
    Unchanged,
}

/// How an association of a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AssociationStanding {
    /// The lookup field that asks for it.
    pub field: String,
    /// Its label, where the definition names one.
    pub label: Option<String>,
    /// The record in the lookup; none where the lookup is blank.
    pub salesforce_id: Option<String>,
    /// How it stands.
    pub status: AssociationStatus,
}

/// How an association stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssociationStatus {
    /// The two HubSpot records were associated when a run last saw to it; `--refresh` asks HubSpot.
    Associated,
    /// The other record is not in HubSpot yet.
    Pending,
    /// The lookup was cleared; the next run removes the association.
    ToRemove,
    /// The lookup is blank, and nothing is to be done.
    Blank,
}

fn explained(reason: Reason, message: impl Into<String>) -> Explanation {
    Explanation { reason, message: message.into(), code: None, help: None }
}

/// What the pipelines know of a record, by its Salesforce id or that of its HubSpot record: those that know something of it, or whose
/// source object holds it; all of them when there is none.
pub async fn why(project: &Project, asked: &str, refresh: bool) -> Result<WhyReport, OpsError> {
    let state = project.state_for_reading()?;
    let asked = asked.trim();
    let of_hubspot = of_hubspot(project, &*state, asked).await?;
    let id = match of_hubspot {
        Some(id) => id,
        None => asked.parse().map_err(|error: crate::model::ids::SalesforceIdError| {
            OpsError::refused("SL5004", error.to_string(), "copy the id from the record's address in Salesforce")
        })?,
    };
    let mut pipelines = Vec::new();
    for loaded in &project.loaded.pipelines {
        pipelines.push(account(project, &state, loaded, id, refresh).await?);
    }
    // An id belongs to one object; that other pipelines do not know it is no answer to the question.
    if pipelines.iter().any(|account| account.concerned) {
        pipelines.retain(|account| account.concerned);
    }
    let salesforce_id = if of_hubspot.is_some() { id.to_string() } else { asked.to_owned() };
    Ok(WhyReport { salesforce_id, pipelines })
}

/// Longest id of a HubSpot record, in digits.
const HUBSPOT_ID_DIGITS_MAX: usize = 18;

/// The Salesforce record of a HubSpot record; none where that is no id of HubSpot's, or may be one of Salesforce's.
async fn of_hubspot(project: &Project, state: &dyn Store, asked: &str) -> Result<Option<SalesforceId>, OpsError> {
    let digits = !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || asked.len() > HUBSPOT_ID_DIGITS_MAX {
        return Ok(None);
    }
    let record = [HubspotId::new(asked)];
    let mut found = BTreeSet::new();
    for loaded in &project.loaded.pipelines {
        let name = PipelineName::new(loaded.config.name.as_str());
        found.extend(state.identities_of_records(&name, &record).await?.into_iter().map(|(_, id)| id.to_string()));
    }
    if found.len() > 1 {
        let ids = found.into_iter().collect::<Vec<_>>().join("`, `");
        let message = format!("HubSpot id `{asked}` is that of several records, of different objects");
        return Err(OpsError::refused("SL6006", message, format!("ask by a Salesforce id: `{ids}`")));
    }
    let id = found.first().and_then(|id| id.parse().ok());
    if id.is_none() && asked.parse::<SalesforceId>().is_err() {
        let message = format!("no pipeline of this project has written a HubSpot record with the id `{asked}`");
        return Err(OpsError::refused(
            "SL6006",
            message,
            "copy the id from the record's page in HubSpot or in Salesforce",
        ));
    }
    Ok(id)
}

async fn account(
    project: &Project,
    state: &Arc<dyn Store>,
    loaded: &LoadedPipeline,
    id: SalesforceId,
    refresh: bool,
) -> Result<Account, OpsError> {
    let name = PipelineName::new(loaded.config.name.as_str());
    let identity = state.identities(&name, &[id]).await?.remove(&id);
    let mut failures = state.failures_of(&name, &[id]).await?;
    // Its own failure says more than that of its associations.
    failures.sort_by_key(|row| std::cmp::Reverse(row.failure.reason.kind()));
    let mut failures: Vec<FailureView> = failures.into_iter().map(Into::into).collect();
    FailureContext::default().complete(project, &**state, &mut failures).await?;
    let states = state.associations(&name, &[id]).await?;
    let last_run: Option<RunView> = state.runs(Some(&name), 1).await?.into_iter().next().map(Into::into);

    let is_row = loaded.config.associate.is_some();
    let mut reasons: Vec<Explanation> = identity
        .iter()
        .map(|identity| if is_row { row_membership(identity, loaded.config.on_delete) } else { membership(identity) })
        .collect();
    for failure in &failures {
        let what = if failure.kind == FailureKind::Record { "failed" } else { "its associations failed" };
        let message = format!("{what}: {} ({}, {})", failure.message, failure.code, failure.status);
        reasons.push(explained(Reason::Failed, message));
    }
    let live = match now(project, state, &name, id, refresh.then_some(&*states)).await {
        Ok(now) => now,
        // What the state knows is an answer already, also on a computer without a network.
        Err(error) => {
            let (code, reason) = error.reason();
            let message = format!("how it is now could not be asked: {reason}");
            let unreachable = explained(Reason::SourceUnreachable, message);
            reasons.push(Explanation { code: Some(code), help: error.help(), ..unreachable });
            Now::default()
        }
    };
    let in_source = live.row.is_some();
    let failure = failures.into_iter().next();
    let known = failure.as_ref().map(|failure| failure.message.as_str());
    let source = &loaded.config.source.object;
    if !state.unconfirmed(&name, &[id]).await?.is_empty() {
        let message = "a run ended while it was being written; the next run asks HubSpot whether it arrived";
        reasons.push(explained(Reason::Unconfirmed, message));
    }
    reasons.extend(judge(&live, identity.as_ref(), known, last_run.is_some(), source));
    Ok(Account {
        pipeline: name.to_string(),
        source_object: loaded.config.source.object.clone(),
        hubspot_id: identity.as_ref().filter(|_| !is_row).map(|identity| identity.hubspot_id.to_string()),
        membership: identity.as_ref().map(|identity| identity.membership),
        concerned: identity.is_some() || failure.is_some() || in_source,
        failure,
        associations: states.iter().map(standing).collect(),
        last_run,
        reasons,
        refreshed: live.refreshed,
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
    /// What both systems say of it, where that is asked for.
    refreshed: Option<Refreshed>,
}

/// Asks Salesforce for the record, and transforms it.
async fn now(
    project: &Project,
    state: &Arc<dyn Store>,
    name: &PipelineName,
    id: SalesforceId,
    refresh: Option<&[AssociationState]>,
) -> Result<Now, OpsError> {
    let index = project.loaded.pipelines.iter().position(|pipeline| pipeline.config.name == name.as_str());
    let chosen = Selection { pipelines: index.into_iter().collect(), broken: Vec::new() };
    // Live, since it is about how things are now, whatever was remembered.
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
    // Only here does it decide: the other modes make what is lacking.
    let held = match prepared.pipeline.mode {
        Mode::UpdateOnly => {
            let found = by_match(&cx, &[id], &[], StageName::Match).await.map_err(|error| failed(&cx, error))?;
            found.into_values().next()
        }
        Mode::Upsert | Mode::CreateOnly => None,
    };
    let refreshed = match refresh {
        // A row of a junction object has no record in HubSpot.
        Some(states) if !prepared.pipeline.is_junction => {
            Some(why_refresh::refresh(&cx, id, row.as_ref(), states).await)
        }
        Some(_) | None => None,
    };
    Ok(Now { pipeline: Some(prepared.pipeline), row, held, refreshed })
}

/// What follows from the record as it is now.
fn judge(
    now: &Now,
    identity: Option<&Identity>,
    known_failure: Option<&str>,
    ran: bool,
    object: &str,
) -> Option<Explanation> {
    let pipeline = now.pipeline.as_ref()?;
    let Some(row) = &now.row else {
        let cause = "purged from the recycle bin, hidden from Syncline's user, or no record of this object";
        return Some(explained(Reason::NotInSource, format!("Salesforce shows no such {object} now: {cause}")));
    };
    // Deleted first: the row of a deleted record is still judged by the mapping, which says nothing.
    match (&row.desired, row.candidate.record.deleted) {
        (_, true) => Some(explained(Reason::Deleted, "is in Salesforce's recycle bin")),
        (None, false) => {
            let condition = pipeline.condition_text().unwrap_or_default();
            Some(explained(Reason::Filtered, format!("does not match `where` now ({condition})")))
        }
        // The stored failure has said the same.
        (Some(Err(reason)), false) if known_failure == Some(&reason.message) => None,
        (Some(Err(reason)), false) => {
            let message = format!("would be rejected as it is now: {} ({})", reason.message, reason.code);
            Some(explained(Reason::WouldBeRejected, message))
        }
        (Some(Ok(desired)), false) => Some(compared(now, pipeline, desired, identity, ran)),
    }
}

/// How a record that the mapping takes compares with what HubSpot was given last.
fn compared(now: &Now, pipeline: &Pipeline, desired: &Desired, identity: Option<&Identity>, ran: bool) -> Explanation {
    // A record that left or was archived is judged like one that was never there.
    match identity.filter(|identity| identity.membership == IdentityMembership::Live) {
        None if pipeline.mode == Mode::UpdateOnly => {
            without_identity(now.held.as_ref(), &pipeline.target.match_property)
        }
        None if ran => {
            let message = "matches `where`, but has not changed since syncing began: `syncline import` copies it";
            explained(Reason::NotImported, message)
        }
        None => explained(Reason::NeverRan, "the pipeline never ran: `syncline import` copies existing records"),
        // By the content's hash, as a run decides; HubSpot itself is asked with `--refresh` only.
        Some(identity) if !pipeline.has_written(desired, identity.hash) => {
            explained(Reason::Changed, "has changed since it was written; the next sync or import carries it over")
        }
        Some(identity) if identity.mapping != pipeline.mapping_version => {
            let message = "was written under an earlier mapping, which makes no difference for it";
            explained(Reason::StaleWithoutEffect, message)
        }
        Some(_) => explained(Reason::Unchanged, "HubSpot was given exactly what Salesforce holds now"),
    }
}

/// Why `update_only` filters out a record whose HubSpot record is not known.
fn without_identity(held: Option<&Lookup<TargetRecord>>, match_property: &str) -> Explanation {
    match held {
        Some(Lookup::Found(record)) => {
            let id = &record.id;
            let message = format!(
                "matches `where`, and HubSpot record {id} holds its id in `{match_property}`: `syncline import` takes it over"
            );
            explained(Reason::ToAdopt, message)
        }
        Some(Lookup::Absent) => {
            let message = format!(
                "matches `where`, but no HubSpot record holds its id in `{match_property}`, and `mode: update_only` creates none"
            );
            explained(Reason::NothingToUpdate, message)
        }
        Some(Lookup::Unknown) | None => {
            let message = format!(
                "matches `where`; `mode: update_only` syncs it only if a HubSpot record holds its id in `{match_property}`"
            );
            explained(Reason::NothingToUpdate, message)
        }
    }
}

fn membership(identity: &Identity) -> Explanation {
    let record = &identity.hubspot_id;
    match identity.membership {
        IdentityMembership::Live => {
            explained(Reason::Synced, format!("is HubSpot record {record} and is kept in step"))
        }
        IdentityMembership::Left => {
            let message = format!(
                "stopped matching `where`; HubSpot record {record} was left as it was (`on_filter_exit: keep`)"
            );
            explained(Reason::LeftFilter, message)
        }
        IdentityMembership::Gone => {
            let message =
                format!("was deleted in Salesforce; HubSpot record {record} was left as it was (`on_delete: keep`)");
            explained(Reason::DeletedAndKept, message)
        }
        IdentityMembership::Archived => {
            explained(Reason::Archived, format!("was archived in HubSpot by Syncline (record {record})"))
        }
    }
}

/// Of a row of a junction object, which has no HubSpot record.
fn row_membership(identity: &Identity, on_delete: DeleteAction) -> Explanation {
    match identity.membership {
        IdentityMembership::Live => {
            explained(Reason::Synced, "is kept in step: it asks for an association, and has no HubSpot record")
        }
        IdentityMembership::Left => explained(Reason::LeftFilter, "stopped matching `where`"),
        IdentityMembership::Gone | IdentityMembership::Archived => match on_delete {
            DeleteAction::Archive => {
                explained(Reason::Archived, "is no longer in Salesforce: what it asked for was taken back")
            }
            DeleteAction::Keep => explained(
                Reason::DeletedAndKept,
                "is no longer in Salesforce: its association was left (`on_delete: keep`)",
            ),
        },
    }
}

fn standing(state: &AssociationState) -> AssociationStanding {
    let status = match (state.is_due(), &state.wanted) {
        (true, Some(_)) => AssociationStatus::Pending,
        (true, None) => AssociationStatus::ToRemove,
        (false, Some(_)) => AssociationStatus::Associated,
        (false, None) => AssociationStatus::Blank,
    };
    let (field, label) = match state.key.0.split_once('#') {
        Some((field, label)) => (field, Some(label.to_owned())),
        None => (&*state.key.0, None),
    };
    AssociationStanding {
        // The first end of a row of a junction object.
        field: field.strip_prefix("from ").unwrap_or(field).to_owned(),
        label,
        salesforce_id: state.wanted.as_ref().map(|asked| asked.target.to_string()),
        status,
    }
}
