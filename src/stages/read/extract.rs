//! Extract. In: a query. Out: candidates in the server's order, each with the word whether it matches `where`.
//! Effect: none. Repeating it is safe: it only reads, and a row that comes twice is recognised by its content.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::model::ids::SalesforceId;
use crate::model::record::Record;
use crate::model::watermark::Cursor;
use crate::plan::decide::Candidate;
use crate::ports::source::{DeletedRows, Extract, QUERY_IDS_MAX};
use crate::stages::{StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;
use crate::sys::spans;

/// Some candidates, and the place from which a broken read may go on once all of them are settled.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The candidates.
    pub batch: Vec<Candidate>,
    /// Set when a page ends here.
    pub cursor: Option<Cursor>,
}

/// How a read decides who belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The query itself holds `where`: every row that comes belongs.
    ByQuery,
    /// The query holds no `where`, so that rows that stopped matching are seen; a second query asks which still do.
    Asked,
}

/// Streams the candidates of a query; the runner numbers their places.
pub fn candidates<'a>(
    cx: &'a StageContext,
    query: Extract,
    membership: Membership,
    resume: Option<Cursor>,
) -> BoxStream<'a, Result<Candidates, StageError>> {
    let object: Arc<str> = Arc::from(query.object.as_str());
    let rows = cx.source.extract(query, resume);
    let rows = rows.then(move |chunk| {
        let object = Arc::clone(&object);
        async move {
            let chunk = chunk.map_err(StageError::at(StageName::Extract))?;
            crash_point!("extract.page_read");
            let members = match membership {
                Membership::ByQuery => None,
                Membership::Asked => members(cx, &object, &chunk.records).await?,
            };
            crash_point!("extract.members_asked");
            let batch = chunk.records.into_iter().map(|record| {
                let belongs = members.as_ref().is_none_or(|members| members.contains(&record.id));
                Candidate { row: 0, member: belongs && !record.deleted, vanished: false, record }
            });
            Ok(Candidates { batch: batch.collect(), cursor: chunk.cursor })
        }
    });
    spans::reading(rows.boxed(), StageName::Extract, |chunk| chunk.as_ref().ok().map(|chunk| chunk.batch.len()))
}

/// Asks which of the live rows match `where` now; none when the pipeline has no condition.
///
/// The question has no upper bound in time: a row that changed again meanwhile is still among the answers if it
/// matches, so that it is never taken for one that left.
async fn members(
    cx: &StageContext,
    object: &str,
    records: &[Record],
) -> Result<Option<HashSet<SalesforceId>>, StageError> {
    let Some(condition) = cx.pipeline.condition_text() else { return Ok(None) };
    let live: Vec<SalesforceId> = records.iter().filter(|record| !record.deleted).map(|record| record.id).collect();
    let mut members = HashSet::with_capacity(live.len());
    for ids in live.chunks(QUERY_IDS_MAX) {
        let question = Extract {
            columns: Arc::from([]),
            condition: Some(condition.clone()),
            window: None,
            parents: None,
            cursor_field: None,
            deleted: DeletedRows::Exclude,
            ids: Some(ids.to_vec()),
            // So few are read by a query, never by a job.
            expected: Some(ids.len() as u64),
            object: object.to_owned(),
        };
        let mut answers = cx.source.extract(question, None);
        while let Some(chunk) = answers.next().await {
            let chunk = chunk.map_err(StageError::at(StageName::Extract))?;
            members.extend(chunk.records.iter().map(|record| record.id));
        }
    }
    Ok(Some(members))
}
