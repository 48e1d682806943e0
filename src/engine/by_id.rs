//! Rows of records that are asked for by their ids, whatever has become of them: those that Salesforce does not show any more
//! come, too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};

use super::queries::ids_query;
use crate::model::ids::SalesforceId;
use crate::plan::decide::Candidate;
use crate::ports::source::Extract;
use crate::stages::read::extract::{Candidates, Membership, candidates};
use crate::stages::{StageContext, StageError};

/// A stream of rows.
pub type Rows<'a> = BoxStream<'a, Result<Candidates, StageError>>;

/// The rows of at most [`crate::ports::source::QUERY_IDS_MAX`] records; `ids_only` ones hold nothing but ids and marks.
pub fn rows(cx: &StageContext, ids: Vec<SalesforceId>, ids_only: bool) -> Rows<'_> {
    if ids.is_empty() {
        return stream::empty().boxed();
    }
    let mut query = ids_query(cx, &ids);
    if ids_only {
        query = Extract { columns: Arc::from([]), ..query };
    }
    let shown: Arc<Mutex<HashSet<SalesforceId>>> = Arc::default();
    let noted = Arc::clone(&shown);
    let there = candidates(cx, query, Membership::Asked, None).inspect_ok(move |rows| {
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(rows.batch.iter().map(|row| row.record.id));
    });
    let columns = if ids_only { 0 } else { cx.pipeline.columns.len() };
    // Made after the read has ended, when it is known which of the ids it did not bring.
    let gone = stream::once(async move {
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = ids.into_iter().filter(|id| !shown.contains(id));
        let batch = missing.map(|id| Candidate::vanished(id, columns)).collect();
        Ok(Candidates { batch, ..Candidates::default() })
    });
    there.chain(gone).boxed()
}
