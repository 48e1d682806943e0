//! What is written to the state, as the port has it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::fault::Fault;
use super::store::{PgState, Tx, sql};
use super::{
    alerts, associations, facts, failures, identities, lease, lookups, notes, pipelines, process, rows, runs,
    unconfirmed,
};
use crate::model::association::AssociationKey;
use crate::model::failure::FailureKind;
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::model::unconfirmed::Unconfirmed;
use crate::model::watermark::ComparisonProgress;
use crate::ports::facts::StateFacts;
use crate::ports::org_calls::OrgCalls;
use crate::ports::state::{
    AlertCommit, Commit, Delivery, Directory, FailureFilter, FailureMark, KeptAssociation, Lease, Listing, QueuedAlert,
    RunRow, StateError, StateReader, StateWriter, Turn,
};
use crate::ports::store::Store;
use crate::state::copy::{COPYING, unfinished};

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

/// Enters a commit.
async fn enter(tx: &mut Tx<'_>, commit: &Commit) -> Result<(), Fault> {
    let (pipeline, at) = (pipelines::ensure(tx, &commit.pipeline).await?, rows::millis(commit.at));
    identities::write(tx, pipeline, &commit.identities).await?;
    lookups::write_wanted(tx, pipeline, &commit.wanted).await?;
    associations::write_owned(tx, &commit.owned, &commit.disowned).await?;
    // What this commit settles was planned with what it removes.
    lookups::recheck_pairs(tx, pipeline, &commit.removed_from).await?;
    lookups::write_making(tx, pipeline, &commit.making).await?;
    lookups::write_settled(tx, pipeline, &commit.settled).await?;
    lookups::write_confirmed(tx, pipeline, &commit.confirmed).await?;
    lookups::write_rechecks(tx, pipeline, &commit.rechecks).await?;
    lookups::write_waiting(tx, pipeline, &commit.waiting, at).await?;
    failures::resolve(tx, pipeline, &commit.resolved, FailureKind::Record).await?;
    failures::resolve(tx, pipeline, &commit.resolved_associations, FailureKind::Associations).await?;
    failures::postpone(tx, pipeline, &commit.postponed, at).await?;
    failures::write(tx, pipeline, commit, at).await?;
    runs::write_progress(tx, pipeline, commit).await
}

async fn remember_match(tx: &mut Tx<'_>, pipeline: &PipelineName, property: &str) -> Result<(), Fault> {
    let pipeline = pipelines::ensure(tx, pipeline).await?;
    identities::remember_match(tx, pipeline, property).await
}

/// Binds the state to a portal or an org on first use; what it is bound to.
async fn bind(tx: &mut Tx<'_>, key: &str, identity: &str) -> Result<String, Fault> {
    if let Some(found) = notes::read(tx, key).await? {
        return Ok(found);
    }
    notes::set(tx, key, identity).await?;
    Ok(identity.to_owned())
}

impl Store for PgState {
    fn assume_kept<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        kept: &'a [KeptAssociation],
    ) -> Answer<'a, Vec<(AssociationKey, AssociationKey)>> {
        async move {
            let found = self
                .read((pipeline.clone(), kept.to_vec()), |tx, (pipeline, kept)| {
                    associations::relabelled(tx, pipeline, kept).boxed()
                })
                .await?;
            self.0.relabelled.assume(pipeline, kept, found.clone());
            Ok(found)
        }
        .boxed()
    }

    fn changes(&self) -> Answer<'_, Option<i64>> {
        self.read((), |tx, ()| changes(tx).boxed()).boxed()
    }

    fn org_calls(&self) -> Option<Arc<dyn OrgCalls>> {
        // Whoever only looks makes few calls, and may not note them.
        self.0.writes.then(|| Arc::new(self.clone()) as Arc<dyn OrgCalls>)
    }

    fn facts<'a>(
        &'a self,
        states: &'a [String],
        notes: &'a [String],
    ) -> Answer<'a, Option<HashMap<String, StateFacts>>> {
        self.read_any((states.to_vec(), notes.to_vec()), |tx, (states, notes)| facts::of(tx, states, notes).boxed())
            .boxed()
    }
}

/// Each process that writes numbers its transactions.
async fn changes(tx: &mut Tx<'_>) -> Result<Option<i64>, Fault> {
    let sum = sql("SELECT coalesce(sum(last), 0)::bigint FROM syncline.writers WHERE state_id = $1");
    tx.row(sum.bind(tx.state)).await?.map(|row| rows::get(&row, 0)).transpose()
}

impl StateWriter for PgState {
    fn lease<'a>(&'a self, pipeline: &'a PipelineName, command: &'a str) -> Answer<'a, Box<dyn Lease>> {
        let since = self.0.clock.now().strftime("%Y-%m-%d %H:%M:%SZ");
        let holder = format!("{} (`{command}`, since {since})", process::for_people());
        async move { lease::take(self, pipeline, &holder).await }.boxed()
    }

    fn begin_run<'a>(&'a self, run: &'a RunRow) -> Answer<'a, ()> {
        self.write(Some(run.pipeline.clone()), run.clone(), |tx, run| runs::begin(tx, run).boxed()).boxed()
    }

    fn remember_match<'a>(&'a self, pipeline: &'a PipelineName, property: &'a str) -> Answer<'a, ()> {
        async move {
            // The first one stays, as long as the right to the pipeline does.
            if self.0.leases.is_matched(pipeline) {
                return Ok(());
            }
            self.write(Some(pipeline.clone()), (pipeline.clone(), property.to_owned()), |tx, (pipeline, property)| {
                remember_match(tx, pipeline, property).boxed()
            })
            .await
        }
        .boxed()
    }

    fn note_calls<'a>(&'a self, pipeline: &'a PipelineName, calls: Vec<Unconfirmed>) -> Answer<'a, ()> {
        async move {
            self.write(Some(pipeline.clone()), (pipeline.clone(), calls), |tx, (pipeline, calls)| {
                unconfirmed::note(tx, pipeline, calls).boxed()
            })
            .await
        }
        .boxed()
    }

    fn commit(&self, commit: Commit) -> Answer<'_, ()> {
        async move { self.write(Some(commit.pipeline.clone()), commit, |tx, commit| enter(tx, commit).boxed()).await }
            .boxed()
    }

    fn end_run<'a>(&'a self, run: &'a RunRow) -> Answer<'a, ()> {
        self.write(Some(run.pipeline.clone()), run.clone(), |tx, run| runs::end(tx, run, None).boxed()).boxed()
    }

    fn end_run_telling<'a>(&'a self, run: &'a RunRow, alerts: &'a AlertCommit) -> Answer<'a, ()> {
        self.write(Some(run.pipeline.clone()), (run.clone(), alerts.clone()), |tx, (run, alerts)| {
            runs::end(tx, run, Some(alerts)).boxed()
        })
        .boxed()
    }

    fn note_alerts<'a>(&'a self, alerts: &'a AlertCommit) -> Answer<'a, ()> {
        self.write(None, alerts.clone(), |tx, alerts| alerts::write(tx, alerts).boxed()).boxed()
    }

    fn take_alerts<'a>(&'a self, at: Timestamp, until: Timestamp, limit: usize) -> Answer<'a, Vec<QueuedAlert>> {
        async move {
            match self.read(at, |tx, at| alerts::any_due(tx, *at).boxed()).await? {
                true => {
                    self.write(None, (at, until, limit), |tx, (at, until, limit)| {
                        alerts::take(tx, *at, *until, *limit).boxed()
                    })
                    .await
                }
                false => Ok(Vec::new()),
            }
        }
        .boxed()
    }

    fn settle_alert<'a>(&'a self, number: i64, outcome: &'a Delivery) -> Answer<'a, ()> {
        self.write(None, (number, outcome.clone()), |tx, (number, outcome)| {
            alerts::settle(tx, *number, outcome).boxed()
        })
        .boxed()
    }

    fn keep_associations<'a>(&'a self, pipeline: &'a PipelineName, kept: &'a [KeptAssociation]) -> Answer<'a, ()> {
        async move {
            if self
                .read((pipeline.clone(), kept.to_vec()), |tx, (pipeline, kept)| {
                    associations::is_known(tx, pipeline, kept).boxed()
                })
                .await?
            {
                return Ok(());
            }
            self.write(Some(pipeline.clone()), (pipeline.clone(), kept.to_vec()), |tx, (pipeline, kept)| {
                associations::keep(tx, pipeline, kept).boxed()
            })
            .await
        }
        .boxed()
    }

    fn recheck_associations<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, ()> {
        self.write(Some(pipeline.clone()), pipeline.clone(), |tx, pipeline| associations::recheck(tx, pipeline).boxed())
            .boxed()
    }

    fn set_note<'a>(&'a self, key: &'a str, text: &'a str) -> Answer<'a, ()> {
        self.write(None, (key.to_owned(), text.to_owned()), |tx, (key, text)| notes::set(tx, key, text).boxed()).boxed()
    }

    fn save_comparison<'a>(&'a self, pipeline: &'a PipelineName, to: Option<ComparisonProgress>) -> Answer<'a, ()> {
        async move {
            self.write(Some(pipeline.clone()), (pipeline.clone(), to), |tx, (pipeline, to)| {
                runs::save_comparison(tx, pipeline, to.as_ref()).boxed()
            })
            .await
        }
        .boxed()
    }

    fn bind<'a>(&'a self, connection: &'a str, identity: &'a str) -> Answer<'a, ()> {
        async move {
            let key = format!("bound:{connection}");
            let mut noted = self.notes(&[COPYING.to_owned(), key.clone()]).await?;
            let (found, copying) = (noted.pop().flatten(), noted.pop().flatten());
            if let Some(error) = unfinished(copying.as_deref(), &self.0.shown, identity) {
                return Err(error);
            }
            let found = match found {
                Some(found) => found,
                None => {
                    self.write(None, (key.clone(), identity.to_owned()), |tx, (key, identity)| {
                        bind(tx, key, identity).boxed()
                    })
                    .await?
                }
            };
            if found == identity {
                return Ok(());
            }
            Err(StateError::Foreign { path: self.0.shown.clone(), found, expected: identity.to_owned() })
        }
        .boxed()
    }

    fn mark_failures<'a>(&'a self, filter: &'a FailureFilter, mark: FailureMark) -> Answer<'a, u64> {
        self.write(None, (filter.clone(), mark), |tx, (filter, mark)| failures::mark(tx, filter, *mark).boxed()).boxed()
    }
}

impl Directory for PgState {
    fn find<'a>(&'a self, name: &'a str, ids: &'a [SalesforceId]) -> Answer<'a, HashMap<SalesforceId, Vec<HubspotId>>> {
        self.read((name.to_owned(), ids.to_vec()), |tx, (name, ids)| notes::find(tx, name, ids).boxed()).boxed()
    }

    fn filled<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Listing>> {
        self.read(name.to_owned(), |tx, name| notes::filled(tx, name).boxed()).boxed()
    }

    fn add<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()> {
        self.write(None, (name.to_owned(), entries.to_vec()), |tx, (name, entries)| {
            notes::add(tx, name, entries).boxed()
        })
        .boxed()
    }

    fn forget<'a>(&'a self, name: &'a str, entries: &'a [(SalesforceId, HubspotId)]) -> Answer<'a, ()> {
        self.write(None, (name.to_owned(), entries.to_vec()), |tx, (name, entries)| {
            notes::forget(tx, name, entries).boxed()
        })
        .boxed()
    }

    fn publish<'a>(&'a self, draft: &'a str, name: &'a str, listing: Listing) -> Answer<'a, ()> {
        self.write(None, (draft.to_owned(), name.to_owned(), listing), |tx, (draft, name, listing)| {
            notes::publish(tx, draft, name, *listing).boxed()
        })
        .boxed()
    }

    fn discard<'a>(&'a self, draft: &'a str) -> Answer<'a, ()> {
        self.write(None, draft.to_owned(), |tx, draft| notes::discard(tx, draft).boxed()).boxed()
    }

    fn turn<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Box<dyn Turn>> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(turns.entry(name.to_owned()).or_default());
        async move { Box::new(ListingTurn { _guard: turn.lock_owned().await }) as Box<dyn Turn> }.boxed()
    }
}

/// Held while a directory is listed.
struct ListingTurn {
    _guard: tokio::sync::OwnedMutexGuard<()>,
}

impl Turn for ListingTurn {}
