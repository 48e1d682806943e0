//! A trial before the whole: certain records, or the first so many. What it copies is copied for good; the import of all records is
//! still to come, and recognises it.

use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};

use super::by_id::{self, Rows};
use super::queries::import_query;
use super::{catch_up, read_ahead};
use crate::model::ids::SalesforceId;
use crate::model::report::Trial;
use crate::plan::guard::Impact;
use crate::ports::source::QUERY_IDS_MAX;
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

/// The rows of a trial.
pub fn rows<'a>(cx: &'a StageContext, trial: &Trial) -> Rows<'a> {
    match trial {
        Trial::Records(ids) => named(cx, ids, false),
        Trial::First(most) => first(cx, *most),
    }
}

fn named<'a>(cx: &'a StageContext, ids: &[SalesforceId], ids_only: bool) -> Rows<'a> {
    let parts: Vec<Rows<'a>> = ids.chunks(QUERY_IDS_MAX).map(|ids| by_id::rows(cx, ids.to_vec(), ids_only)).collect();
    stream::iter(parts).flatten().boxed()
}

/// The first rows that match; the rest is not read.
fn first(cx: &StageContext, most: u64) -> Rows<'_> {
    let rows = candidates(cx, import_query(cx, most), Membership::ByQuery, None);
    let rows = catch_up::released(cx, rows);
    let taken = stream::try_unfold((rows, most), |(mut rows, left)| async move {
        let Some(mut chunk) = (if left > 0 { rows.try_next().await? } else { None }) else {
            return Ok::<_, StageError>(None);
        };
        chunk.batch.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.batch.len() as u64;
        Ok(Some((Candidates { cursor: None, ..chunk }, (rows, left))))
    });
    taken.boxed()
}
