//! What is read of the state, as the port has it.

use std::collections::HashSet;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::fault::Fault;
use super::store::{PgState, Tx};
use super::{alerts, associations, failures, identities, lookups, notes, rows, runs, unconfirmed};
use crate::model::alert::Condition;
use crate::model::association::{AssociationState, OwnedType, PairKey, PairRequest};
use crate::model::failure::FailureKind;
use crate::model::identity::{Identity, MappingVersion};
use crate::model::ids::{ById, HubspotId, PipelineName, SalesforceId};
use crate::model::unconfirmed::Unconfirmed;
use crate::model::watermark::{ComparisonProgress, Watermark};
use crate::ports::state::{
    FailureFilter, FailureRow, IdentityCounts, ImportProgress, LookupRef, RunRow, StateError, StateReader,
    StoredWatermark, Undelivered,
};

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

impl PgState {
    /// Reads lookups with work left. Those that led to records which came back as others are among them, and are put there first; what was
    /// opened for reading only is shown as it is.
    async fn followed<A, T, F>(&self, arguments: A, work: F) -> Result<T, StateError>
    where
        A: Clone + Send + Sync + 'static,
        T: Default + Send + 'static,
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>> + Clone + Send + Sync + 'static,
    {
        let (writes, first) = (self.0.writes, work.clone());
        let found = self.read(arguments.clone(), move |tx, arguments| {
            let first = first.clone();
            async move {
                // Asked as it is read: there is seldom one.
                let replaced = writes && lookups::any_replaced(tx).await?;
                Ok((replaced, if replaced { T::default() } else { first(tx, arguments).await? }))
            }
            .boxed()
        });
        match found.await? {
            (false, found) => Ok(found),
            (true, _) => {
                self.write(None, (), |tx, ()| lookups::follow_replaced(tx).boxed()).await?;
                self.read(arguments, work).await
            }
        }
    }
}

impl StateReader for PgState {
    fn identities<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        ids: &'a [SalesforceId],
    ) -> Answer<'a, ById<SalesforceId, Identity>> {
        self.read((pipeline.clone(), ids.to_vec()), |tx, (pipeline, ids)| identities::read(tx, pipeline, ids).boxed())
            .boxed()
    }

    fn identities_of_records<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        records: &'a [HubspotId],
    ) -> Answer<'a, Vec<(HubspotId, SalesforceId)>> {
        self.read((pipeline.clone(), records.to_vec()), |tx, (pipeline, records)| {
            identities::of_records(tx, pipeline, records).boxed()
        })
        .boxed()
    }

    fn identity_counts<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        mapping: MappingVersion,
    ) -> Answer<'a, IdentityCounts> {
        self.read((pipeline.clone(), mapping), |tx, (pipeline, mapping)| {
            identities::counts(tx, pipeline, *mapping).boxed()
        })
        .boxed()
    }

    fn stale<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        mapping: MappingVersion,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>> {
        self.read((pipeline.clone(), mapping, after, limit), |tx, (pipeline, mapping, after, limit)| {
            identities::live(tx, pipeline, Some(*mapping), *after, *limit).boxed()
        })
        .boxed()
    }

    fn live<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>> {
        self.read((pipeline.clone(), after, limit), |tx, (pipeline, after, limit)| {
            identities::live(tx, pipeline, None, *after, *limit).boxed()
        })
        .boxed()
    }

    fn associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        ids: &'a [SalesforceId],
    ) -> Answer<'a, Vec<AssociationState>> {
        async move {
            let mut found = self
                .read((pipeline.clone(), ids.to_vec()), |tx, (pipeline, ids)| {
                    associations::read(tx, pipeline, ids).boxed()
                })
                .await?;
            self.0.relabelled.carry_over(pipeline, &mut found);
            Ok(found)
        }
        .boxed()
    }

    fn due_associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        at: Option<Timestamp>,
        after: Option<LookupRef>,
        limit: usize,
    ) -> Answer<'a, Vec<(AssociationState, HubspotId)>> {
        let at = at.map(rows::millis);
        self.followed((pipeline.clone(), at, after, limit), |tx, (pipeline, at, after, limit)| {
            associations::due(tx, pipeline, *at, after.as_ref(), *limit).boxed()
        })
        .boxed()
    }

    fn settled_associations<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        after: Option<LookupRef>,
        limit: usize,
    ) -> Answer<'a, Vec<(AssociationState, HubspotId)>> {
        async move {
            self.read((pipeline.clone(), after, limit), |tx, (pipeline, after, limit)| {
                associations::settled(tx, pipeline, after.as_ref(), *limit).boxed()
            })
            .await
        }
        .boxed()
    }

    fn pair_requests<'a>(&'a self, pairs: &'a [PairKey]) -> Answer<'a, Vec<PairRequest>> {
        async move {
            let mut found = self.read(pairs.to_vec(), |tx, pairs| associations::requests(tx, pairs).boxed()).await?;
            self.0.relabelled.as_kept(&mut found);
            Ok(found)
        }
        .boxed()
    }

    fn owned_types<'a>(&'a self, pairs: &'a [PairKey]) -> Answer<'a, Vec<OwnedType>> {
        self.read(pairs.to_vec(), |tx, pairs| associations::owned(tx, pairs).boxed()).boxed()
    }

    fn watermark<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<Watermark>> {
        async move { Ok(self.stored_watermark(pipeline).await?.map(|stored| stored.watermark)) }.boxed()
    }

    fn stored_watermark<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<StoredWatermark>> {
        self.read(pipeline.clone(), |tx, pipeline| runs::mark(tx, pipeline).boxed()).boxed()
    }

    fn cursor<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<ImportProgress>> {
        self.read(pipeline.clone(), |tx, pipeline| runs::progress(tx, pipeline).boxed()).boxed()
    }

    fn comparison<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<ComparisonProgress>> {
        self.read(pipeline.clone(), |tx, pipeline| runs::comparison(tx, pipeline).boxed()).boxed()
    }

    fn known_records<'a>(&'a self, ids: &'a [SalesforceId]) -> Answer<'a, HashSet<(SalesforceId, HubspotId)>> {
        self.read(ids.to_vec(), |tx, ids| identities::known(tx, ids).boxed()).boxed()
    }

    fn due_count<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64> {
        self.followed(pipeline.clone(), |tx, pipeline| associations::due_count(tx, pipeline).boxed()).boxed()
    }

    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        self.read(key.to_owned(), |tx, key| notes::read(tx, key).boxed()).boxed()
    }

    fn notes<'a>(&'a self, keys: &'a [String]) -> Answer<'a, Vec<Option<String>>> {
        async move {
            let noted = self.read(keys.to_vec(), |tx, keys| notes::read_all(tx, keys).boxed()).await?;
            // Where there is no state yet, nothing is noted.
            Ok(if noted.is_empty() { vec![None; keys.len()] } else { noted })
        }
        .boxed()
    }

    fn runs<'a>(&'a self, pipeline: Option<&'a PipelineName>, limit: usize) -> Answer<'a, Vec<RunRow>> {
        self.read((pipeline.cloned(), limit), |tx, (pipeline, limit)| runs::list(tx, pipeline.as_ref(), *limit).boxed())
            .boxed()
    }

    fn last_good_run<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<RunRow>> {
        self.read(pipeline.clone(), |tx, pipeline| runs::last_good(tx, pipeline).boxed()).boxed()
    }

    fn has_unconfirmed<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, bool> {
        self.read(pipeline.clone(), |tx, pipeline| unconfirmed::any(tx, pipeline).boxed()).boxed()
    }

    fn unconfirmed<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<Unconfirmed>> {
        self.read((pipeline.clone(), ids.to_vec()), |tx, (pipeline, ids)| {
            unconfirmed::of_records(tx, pipeline, ids).boxed()
        })
        .boxed()
    }

    fn in_doubt<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        due_at: Option<Timestamp>,
        after: Option<SalesforceId>,
        limit: usize,
    ) -> Answer<'a, Vec<SalesforceId>> {
        self.read((pipeline.clone(), due_at, after, limit), |tx, (pipeline, due_at, after, limit)| {
            unconfirmed::list(tx, pipeline, *due_at, *after, *limit).boxed()
        })
        .boxed()
    }

    fn run<'a>(&'a self, id: &'a str) -> Answer<'a, Option<RunRow>> {
        self.read(id.to_owned(), |tx, id| runs::find(tx, id).boxed()).boxed()
    }

    fn failures<'a>(&'a self, filter: &'a FailureFilter, limit: usize) -> Answer<'a, Vec<FailureRow>> {
        self.read((filter.clone(), limit), |tx, (filter, limit)| failures::list(tx, filter, *limit).boxed()).boxed()
    }

    fn failures_of<'a>(&'a self, pipeline: &'a PipelineName, ids: &'a [SalesforceId]) -> Answer<'a, Vec<FailureRow>> {
        self.read((pipeline.clone(), ids.to_vec()), |tx, (pipeline, ids)| {
            failures::of_records(tx, pipeline, ids).boxed()
        })
        .boxed()
    }

    fn alert_conditions<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Vec<Condition>> {
        self.read(pipeline.clone(), |tx, pipeline| alerts::conditions(tx, pipeline).boxed()).boxed()
    }

    fn undelivered<'a>(&'a self) -> Answer<'a, Undelivered> {
        self.read((), |tx, ()| alerts::undelivered(tx).boxed()).boxed()
    }

    fn open_failures<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64> {
        self.read(pipeline.clone(), |tx, pipeline| failures::open_count(tx, pipeline, None).boxed()).boxed()
    }

    fn open_record_failures<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, u64> {
        self.read(pipeline.clone(), |tx, pipeline| {
            failures::open_count(tx, pipeline, Some(FailureKind::Record)).boxed()
        })
        .boxed()
    }

    fn failing<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, bool> {
        self.read(pipeline.clone(), |tx, pipeline| failures::any(tx, pipeline).boxed()).boxed()
    }
}
