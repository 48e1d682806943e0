//! What a run asks Salesforce for.

use jiff::Timestamp;

use crate::model::ids::SalesforceId;
use crate::model::watermark::Watermark;
use crate::ports::source::{DeletedRows, Extract, TouchedParents, Window};
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
        // How many rows a window holds is not asked: a count costs a call in every quiet cycle.
        expected: None,
        ..import_query(cx, 0)
    }
}

/// Every record that matches, was not touched since the watermark, and of which a parent was touched since a moment. A condition that
/// names parents is left out, so that records are seen which stopped matching with their parent.
pub fn parents_query(cx: &StageContext, watermark: Watermark, since: Timestamp) -> Extract {
    let all = import_query(cx, 0);
    let parents = TouchedParents {
        stamps: cx.pipeline.parents.stamps.clone(),
        since,
        untouched_since: watermark.0 - cx.pipeline.overlap,
        condition: all.condition.clone().filter(|_| !cx.pipeline.parents.decide),
    };
    Extract { condition: None, parents: Some(parents), expected: None, ..all }
}

/// Both in one.
pub fn joint_query(cx: &StageContext, watermark: Watermark, since: Timestamp) -> Extract {
    Extract { parents: parents_query(cx, watermark, since).parents, ..window_query(cx, watermark) }
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
