//! Match, first half. In: transformed records. Out: a decision for each that state can decide, the rest unknown.
//! Effect: none; reads state only.

use jiff::Timestamp;

use crate::model::failure::{FailureKind, RetryRule};
use crate::model::ids::{ById, SalesforceId};
use crate::plan::decide::{Candidate, KnownState, Matched, Transformed, from_state};
use crate::plan::{junction, marks};
use crate::ports::state::{FailureRow, FailureStatus};
use crate::stages::{Stage, StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// The stage.
pub struct Match;

impl Stage for Match {
    type In = Vec<Transformed>;
    type Out = Vec<Matched>;
    const NAME: StageName = StageName::Match;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Self::Out, StageError> {
        let known = Known::read(cx, batch.iter().map(|transformed| transformed.candidate.record.id)).await?;
        Ok(known.decide(cx, batch))
    }
}

/// What state knows of some records.
pub struct Known(ById<SalesforceId, KnownState>);

impl Known {
    /// Reads it.
    pub async fn read(cx: &StageContext, ids: impl Iterator<Item = SalesforceId>) -> Result<Self, StageError> {
        let ids: Vec<SalesforceId> = ids.collect();
        crash_point!("match.begun");
        let known = known(cx, &ids).await?;
        crash_point!("match.known_read");
        Ok(Self(known))
    }

    /// Whether a row asks for nothing, see [`marks::asks_for_nothing`].
    pub fn has_settled(&self, cx: &StageContext, candidate: &Candidate) -> bool {
        let known = self.0.get(&candidate.record.id).filter(|_| !cx.compare && !cx.pipeline.is_junction);
        known.is_some_and(|known| marks::asks_for_nothing(&cx.pipeline, candidate, known))
    }

    /// Decides what state can decide.
    pub fn decide(mut self, cx: &StageContext, batch: Vec<Transformed>) -> Vec<Matched> {
        let decide = |transformed: Transformed| {
            let known = self.0.remove(&transformed.candidate.record.id).unwrap_or_default();
            if cx.pipeline.is_junction {
                return junction::decide(&cx.pipeline, transformed, known);
            }
            let remembered = known.identity.as_ref().map(|identity| identity.hash);
            let mut matched = from_state(&cx.pipeline, transformed, known, cx.compare);
            if let Matched::Decided(decision) = &mut matched
                && cx.renews_marks
            {
                marks::renew(&cx.pipeline, remembered, decision);
            }
            matched
        };
        batch.into_iter().map(decide).collect()
    }
}

async fn known(cx: &StageContext, ids: &[SalesforceId]) -> Result<ById<SalesforceId, KnownState>, StageError> {
    let name = &cx.pipeline.name;
    let identities = cx.state.identities(name, ids).await.map_err(StageError::at(Match::NAME))?;
    // Most are new in an import, and known as a rule later.
    let mut known: ById<SalesforceId, KnownState> = ById::default();
    known.reserve(identities.len());
    for (id, identity) in identities {
        known.entry(id).or_default().identity = Some(identity);
    }
    // What a pipeline cannot have is not asked for: each question costs a part of every batch.
    if !cx.pipeline.associations.is_empty() {
        for (id, key, asked) in cx.state.asked(name, ids).await.map_err(StageError::at(Match::NAME))? {
            let asks = &mut known.entry(id).or_default().asks;
            // Mostly there is one.
            asks.reserve_exact(1);
            asks.push((key, asked));
        }
    }
    if cx.has_unconfirmed {
        for call in cx.state.unconfirmed(name, ids).await.map_err(StageError::at(Match::NAME))? {
            let id = call.salesforce_id;
            known.entry(id).or_default().unconfirmed = Some(call);
        }
    }
    if cx.failures_open {
        for row in cx.state.failures_of(name, ids).await.map_err(StageError::at(Match::NAME))? {
            let known = known.entry(row.failure.salesforce_id).or_default();
            known.failed_before = true;
            // Associations are tried again by themselves, without their record.
            if row.failure.reason.kind() == FailureKind::Record {
                let pause = pause(&row, cx);
                known.failing = row.failure.content.filter(|_| pause != Pause::Over);
                known.postpones_failure = pause == Pause::Renewed;
            }
        }
    }
    Ok(known)
}

/// Whether a failure waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// It is tried.
    Over,
    /// It waits for a later try, or was dismissed.
    Lasts,
    /// It was looked at in vain: only a change can mend it, and nothing has changed.
    Renewed,
}

fn pause(row: &FailureRow, cx: &StageContext) -> Pause {
    let basis = row.basis.as_deref();
    match row.status {
        FailureStatus::Resolved => Pause::Over,
        FailureStatus::Dismissed => Pause::Lasts,
        // A person asked for everything, or the record would be judged by something else.
        FailureStatus::Open if cx.try_all || basis.is_some_and(|basis| basis != cx.pipeline.basis) => Pause::Over,
        FailureStatus::Open if row.retry_at.is_some_and(|at| at > cx.due_at) => Pause::Lasts,
        FailureStatus::Open => {
            let asked_for = row.retry_at == Some(Timestamp::UNIX_EPOCH);
            let in_vain = row.failure.reason.category().retry() == RetryRule::AfterChange && basis.is_some();
            if in_vain && !asked_for { Pause::Renewed } else { Pause::Over }
        }
    }
}
