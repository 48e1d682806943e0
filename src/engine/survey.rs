//! Looks ahead before the first write: how many records a run would archive, for `guard`.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::config::pipeline::DeleteAction;
use crate::plan::decide::{Action, Asked, Matched, Transformed, policy};
use crate::stages::read::extract::Candidates;
use crate::stages::read::matching::Match;
use crate::stages::{Stage, StageContext, StageError};

/// Most rows that are held to look ahead; a longer read is surveyed by a pass of its own over the ids.
pub const HEAD_RECORDS_MAX: usize = 2_000;

/// Most text that is held to look ahead, in bytes.
pub const HEAD_BYTES_MAX: usize = 4 << 20;

/// The beginning of a read, and the rest of it.
pub struct Head<'a> {
    /// What was read already.
    pub rows: Vec<Candidates>,
    /// Whether that is all.
    pub complete: bool,
    /// What follows.
    pub rest: BoxStream<'a, Result<Candidates, StageError>>,
}

/// Reads ahead within the limits.
pub async fn head(mut rows: BoxStream<'_, Result<Candidates, StageError>>) -> Result<Head<'_>, StageError> {
    let mut taken = Vec::new();
    let (mut records, mut bytes) = (0, 0);
    while records < HEAD_RECORDS_MAX && bytes < HEAD_BYTES_MAX {
        let Some(chunk) = rows.next().await else {
            return Ok(Head { rows: taken, complete: true, rest: stream::empty().boxed() });
        };
        let chunk = chunk?;
        records += chunk.batch.len();
        let texts = chunk.batch.iter().flat_map(|candidate| candidate.record.values.iter().flatten());
        bytes += texts.map(|text| text.len()).sum::<usize>();
        taken.push(chunk);
    }
    Ok(Head { rows: taken, complete: false, rest: rows })
}

impl<'a> Head<'a> {
    /// The whole read again, from its beginning.
    pub fn whole(self) -> BoxStream<'a, Result<Candidates, StageError>> {
        stream::iter(self.rows.into_iter().map(Ok)).chain(self.rest).boxed()
    }
}

/// Whether the pipeline archives at all.
pub fn may_archive(cx: &StageContext) -> bool {
    let pipeline = &cx.pipeline;
    pipeline.on_delete == DeleteAction::Archive || pipeline.on_filter_exit == DeleteAction::Archive
}

/// How many of these rows the run would archive.
pub async fn archives(cx: &StageContext, rows: &[Candidates]) -> Result<u64, StageError> {
    let mut count = 0;
    for chunk in rows {
        let leaving = chunk.batch.iter().filter(|candidate| !candidate.member);
        let leaving = leaving.map(|candidate| Transformed { candidate: candidate.clone(), desired: None }).collect();
        let decided = Match.run(cx, leaving).await?;
        let archived = |matched: &&Matched| match matched {
            Matched::Decided(decision) => matches!(decision.action, Action::Archive(_)),
            // Where it stands is asked later; until then it counts as one that does.
            Matched::Unknown(unknown) => unknown.unconfirmed.is_some() && is_archived(cx, &unknown.asked),
        };
        count += decided.iter().filter(archived).count() as u64;
    }
    Ok(count)
}

fn is_archived(cx: &StageContext, asked: &Asked) -> bool {
    let policy = match asked {
        Asked::Departure(departure) => policy(&cx.pipeline, *departure).0,
        Asked::Desired(_) | Asked::Standing(_) => DeleteAction::Keep,
    };
    policy == DeleteAction::Archive
}

/// How many rows of a whole read the run would archive.
pub async fn archives_of(
    cx: &StageContext,
    mut rows: BoxStream<'_, Result<Candidates, StageError>>,
) -> Result<u64, StageError> {
    let mut count = 0;
    while let Some(chunk) = rows.next().await {
        count += archives(cx, &[chunk?]).await?;
    }
    Ok(count)
}
