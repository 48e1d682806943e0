//! A trial before the whole, and the import of a part: certain records, those that a person chooses by a condition or by their age, or
//! the first so many. What it copies is copied for good; the import of all records is still to come, and recognises it.

use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};

use super::by_id::{self, Rows};
use super::{catch_up, read_ahead};
use crate::model::ids::SalesforceId;
use crate::model::report::{Chosen, Trial};
use crate::pipeline::compiled::Pipeline;
use crate::plan::guard::Impact;
use crate::ports::source::{Extract, QUERY_IDS_MAX, Window};
use crate::stages::read::extract::{Candidates, Membership, candidates};
use crate::stages::{StageContext, StageError, StageName};

/// What a trial would archive; none where it only reads what matches.
pub async fn impact(cx: &StageContext, trial: &Trial) -> Result<Option<Impact>, StageError> {
    let Trial::Records(ids) = trial else { return Ok(None) };
    if !read_ahead::may_archive(cx) {
        return Ok(None);
    }
    let archive = read_ahead::archive_count_of(cx, named(cx, ids, true)).await?;
    let counts = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await;
    let standing = counts.map_err(StageError::at(StageName::Match))?.standing;
    Ok(Some(Impact { archive, standing, source_empty: false }))
}

/// The rows of a trial; `counted` of them, where somebody has counted them.
pub fn rows<'a>(cx: &'a StageContext, trial: &Trial, counted: Option<u64>) -> Rows<'a> {
    match trial {
        Trial::Records(ids) => named(cx, ids, false),
        Trial::Matching(chosen) => matching(cx, chosen, counted),
    }
}

/// The read of the chosen records, without the limit to the first of them.
pub fn query(pipeline: &Pipeline, chosen: &Chosen) -> Extract {
    let all = pipeline.all_records();
    let conditions = [all.condition, chosen.condition.clone()];
    let conditions: Vec<String> = conditions.into_iter().flatten().map(|text| format!("({text})")).collect();
    Extract {
        condition: Some(conditions.join(" AND ")).filter(|text| !text.is_empty()),
        window: chosen.since.map(|from| Window { from, until: None }),
        ..all
    }
}

fn named<'a>(cx: &'a StageContext, ids: &[SalesforceId], ids_only: bool) -> Rows<'a> {
    let parts: Vec<Rows<'a>> = ids.chunks(QUERY_IDS_MAX).map(|ids| by_id::rows(cx, ids.to_vec(), ids_only)).collect();
    stream::iter(parts).flatten().boxed()
}

/// The chosen rows; where a limit is set, the rest is not read.
fn matching<'a>(cx: &'a StageContext, chosen: &Chosen, counted: Option<u64>) -> Rows<'a> {
    // The expected number decides between a query and a Bulk job; of the first hundred records no job is made.
    let query = Extract { expected: counted.or(chosen.most), ..query(&cx.pipeline, chosen) };
    let rows = candidates(cx, query, Membership::ByQuery, None);
    let most = chosen.most.unwrap_or(u64::MAX);
    let taken = stream::try_unfold((rows, most), |(mut rows, left)| async move {
        let Some(mut chunk) = (if left > 0 { rows.try_next().await? } else { None }) else {
            return Ok::<_, StageError>(None);
        };
        chunk.batch.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.batch.len() as u64;
        Ok(Some((chunk, (rows, left))))
    });
    // No place is kept: the read is never resumed.
    catch_up::released(cx, taken.boxed()).map_ok(|rows| Candidates { cursor: None, ..rows }).boxed()
}
