//! Extract. In: a query. Out: candidates in the server's order, each with the word whether it matches `where`.
//! Effect: none. Repeating it is safe: it only reads, and a row that comes twice is recognised by its content.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::config::pipeline::DeleteAction;
use crate::model::identity::Membership as Standing;
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
    /// Of a read beside the one that a broken one goes on in: no place of it is kept.
    pub beside: bool,
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
            let mut records = chunk.records;
            if let Some(members) = &members {
                records = without_hidden(cx, &object, records, members).await?;
            }
            let batch = records.into_iter().map(|record| {
                let belongs = members.as_ref().is_none_or(|members| members.contains(&record.id));
                Candidate { row: 0, member: belongs && !record.deleted, vanished: false, record }
            });
            Ok(Candidates { batch: batch.collect(), cursor: chunk.cursor, beside: false })
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
    Ok(Some(among(cx, object, Some(condition), &live).await?))
}

/// Leaves out rows that do not match and that Salesforce does not show any more: hidden or deleted between the two questions, they have not
/// proved to have left. By their next change, or the next comparison, it is known what became of them.
async fn without_hidden(
    cx: &StageContext,
    object: &str,
    mut records: Vec<Record>,
    members: &HashSet<SalesforceId>,
) -> Result<Vec<Record>, StageError> {
    let left = records.iter().filter(|record| !record.deleted && !members.contains(&record.id));
    let left: Vec<SalesforceId> = left.map(|record| record.id).collect();
    if left.is_empty() || cx.pipeline.on_filter_exit == DeleteAction::Keep {
        return Ok(records);
    }
    // Of rows that were never synced nothing is archived, and the overlap brings them again and again.
    let known = cx.state.identities(&cx.pipeline.name, &left).await.map_err(StageError::at(StageName::Extract))?;
    let live = known.into_values().filter(|identity| identity.membership == Standing::Live);
    let live: HashSet<SalesforceId> = live.map(|identity| identity.salesforce_id).collect();
    if live.is_empty() {
        return Ok(records);
    }
    let mut asked: Vec<SalesforceId> = live.iter().copied().collect();
    asked.sort_unstable();
    let shown = among(cx, object, None, &asked).await?;
    records.retain(|record| record.deleted || !live.contains(&record.id) || shown.contains(&record.id));
    Ok(records)
}

/// Those of these rows that Salesforce shows, under a condition where there is one.
async fn among(
    cx: &StageContext,
    object: &str,
    condition: Option<String>,
    ids: &[SalesforceId],
) -> Result<HashSet<SalesforceId>, StageError> {
    let mut shown = HashSet::with_capacity(ids.len());
    for ids in ids.chunks(QUERY_IDS_MAX) {
        let question = Extract {
            columns: Arc::from([]),
            condition: condition.clone(),
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
            shown.extend(chunk.records.iter().map(|record| record.id));
        }
    }
    Ok(shown)
}
