//! What a run asks Salesforce for.

use crate::model::ids::SalesforceId;
use crate::model::watermark::Watermark;
use crate::ports::source::{DeletedRows, Extract, Window};
use crate::stages::StageContext;

/// Every record that matches, as it is now.
pub fn import_query(cx: &StageContext, expected: u64) -> Extract {
    Extract { expected: Some(expected), ..cx.pipeline.all_records() }
}

/// Every record touched since the watermark, with the overlap for rows that became visible late. It has neither `where`
/// nor an upper bound: records that stopped matching must be seen, and a row that is read early is read again for free.
pub fn window_query(cx: &StageContext, watermark: Watermark) -> Extract {
    let from = watermark.0 - cx.pipeline.overlap;
    Extract {
        condition: None,
        window: Some(Window { from, until: None }),
        deleted: if cx.pipeline.has_is_deleted { DeletedRows::Include } else { DeletedRows::Exclude },
        expected: None,
        ..import_query(cx, 0)
    }
}

/// Every record that matches, was not touched since the watermark, and of which a parent was. A condition that names parents is left
/// out, so that records are seen which stopped matching with their parent.
pub fn parents_query(cx: &StageContext, watermark: Watermark) -> Extract {
    let from = watermark.0 - cx.pipeline.overlap;
    let all = import_query(cx, 0);
    Extract {
        condition: all.condition.filter(|_| !cx.pipeline.parents.decide),
        window: Some(Window { from, until: None }),
        parents: cx.pipeline.parents.stamps.clone(),
        expected: None,
        ..import_query(cx, 0)
    }
}

/// Certain records, whether they match or not.
pub fn ids_query(cx: &StageContext, ids: &[SalesforceId]) -> Extract {
    Extract {
        condition: None,
        ids: Some(ids.to_vec()),
        deleted: if cx.pipeline.has_is_deleted { DeletedRows::Include } else { DeletedRows::Exclude },
        ..import_query(cx, ids.len() as u64)
    }
}
