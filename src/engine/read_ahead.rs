//! Reads ahead before the first write, to tell `guard` how many records a run would archive.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::config::pipeline::DeleteAction;
use crate::plan::decide::{Action, LookupPurpose, Matched, Transformed, policy};
use crate::stages::read::extract::Candidates;
use crate::stages::read::matching::Match;
use crate::stages::{Stage, StageContext, StageError};

/// Most rows that are held to look ahead; for a longer read, a pass of its own over the ids counts.
/// A page of Salesforce's query, so that a usual cycle is looked at whole without another call.
pub const READ_AHEAD_RECORDS_MAX: usize = 2_000;

/// Most text that is held to look ahead, in bytes.
pub const READ_AHEAD_BYTES_MAX: usize = 4 << 20;

/// The beginning of a read, and the rest of it.
pub struct ReadAhead<'a> {
    /// What was read already.
    pub rows: Vec<Candidates>,
    /// Whether that is all.
    pub complete: bool,
    /// What follows.
    pub rest: BoxStream<'a, Result<Candidates, StageError>>,
}

/// Reads ahead within the limits.
pub async fn read_ahead(rows: BoxStream<'_, Result<Candidates, StageError>>) -> Result<ReadAhead<'_>, StageError> {
    let (ahead, trouble) = as_far_as_it_goes(rows).await;
    trouble.map_or(Ok(ahead), Err)
}

/// The same, where what came before trouble is worth something: trouble follows the rows that came.
pub async fn with_trouble(rows: BoxStream<'_, Result<Candidates, StageError>>) -> ReadAhead<'_> {
    let (ahead, trouble) = as_far_as_it_goes(rows).await;
    match trouble {
        None => ahead,
        Some(trouble) => ReadAhead { rest: stream::once(std::future::ready(Err(trouble))).boxed(), ..ahead },
    }
}

/// Reads until a limit, the end, or an error. What was read before an error is kept: whether it matters is for the caller to
/// say.
async fn as_far_as_it_goes(
    mut rows: BoxStream<'_, Result<Candidates, StageError>>,
) -> (ReadAhead<'_>, Option<StageError>) {
    let mut taken = Vec::new();
    let (mut records, mut bytes) = (0, 0);
    while records < READ_AHEAD_RECORDS_MAX && bytes < READ_AHEAD_BYTES_MAX {
        let Some(chunk) = rows.next().await else {
            return (ReadAhead { rows: taken, complete: true, rest: stream::empty().boxed() }, None);
        };
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(trouble) => {
                let ahead = ReadAhead { rows: taken, complete: false, rest: stream::empty().boxed() };
                return (ahead, Some(trouble));
            }
        };
        records += chunk.batch.len();
        let texts = chunk.batch.iter().flat_map(|candidate| candidate.record.values.iter().flatten());
        bytes += texts.map(|text| text.len()).sum::<usize>();
        taken.push(chunk);
    }
    (ReadAhead { rows: taken, complete: false, rest: rows }, None)
}

impl<'a> ReadAhead<'a> {
    /// The whole read again, from its beginning.
    pub fn all_rows(self) -> BoxStream<'a, Result<Candidates, StageError>> {
        stream::iter(self.rows.into_iter().map(Ok)).chain(self.rest).boxed()
    }
}

/// Whether the pipeline archives at all.
pub fn may_archive(cx: &StageContext) -> bool {
    let pipeline = &cx.pipeline;
    [pipeline.on_delete, pipeline.on_filter_exit, pipeline.on_vanish].contains(&DeleteAction::Archive)
}

/// How many of these rows the run would archive.
pub async fn archive_count(cx: &StageContext, rows: &[Candidates]) -> Result<u64, StageError> {
    let mut count = 0;
    for chunk in rows {
        // Only what leaves can be archived; members need no transform for that.
        let leaving = chunk.batch.iter().filter(|candidate| !candidate.member);
        let leaving = leaving.map(|candidate| Transformed { candidate: candidate.clone(), desired: None }).collect();
        let decided = Match.run(cx, leaving).await?;
        let archived = |matched: &&Matched| match matched {
            Matched::Decided(decision) => matches!(decision.action, Action::Archive(_)),
            // Whether it is in HubSpot is asked later; until then it counts as if it were.
            Matched::Unresolved(unresolved) => unresolved.unconfirmed.is_some() && is_archived(cx, &unresolved.purpose),
        };
        count += decided.iter().filter(archived).count() as u64;
    }
    Ok(count)
}

/// Whether an unresolved record would be archived if HubSpot holds it. Only a record that leaves can be: one that is written or
/// set aside stays.
fn is_archived(cx: &StageContext, purpose: &LookupPurpose) -> bool {
    let policy = match purpose {
        LookupPurpose::Exit(exit) => policy(&cx.pipeline, *exit).0,
        LookupPurpose::Write(_) | LookupPurpose::CheckExists(_) => DeleteAction::Keep,
    };
    policy == DeleteAction::Archive
}

/// How many rows of a whole read the run would archive.
pub async fn archive_count_of(
    cx: &StageContext,
    mut rows: BoxStream<'_, Result<Candidates, StageError>>,
) -> Result<u64, StageError> {
    let mut count = 0;
    while let Some(chunk) = rows.next().await {
        count += archive_count(cx, &[chunk?]).await?;
    }
    Ok(count)
}
