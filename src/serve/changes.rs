//! A person's marks on failures: to be tried again, or dismissed.

use super::asked::Asked;
use crate::model::ids::{PipelineName, SalesforceId, SalesforceIdError};
use crate::ops::history::{self, FailuresMarked};
use crate::ports::state::{FailureCause, FailureFilter, FailureMark};
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// Marks the failures that the words of a form name. All failures at once are marked by the command line only.
pub async fn mark(project: &Project, asked: &Asked, mark: FailureMark) -> Result<FailuresMarked, OpsError> {
    let filter = filter(asked)?;
    if filter.pipeline.is_none() || (filter.code.is_none() && filter.salesforce_id.is_none()) {
        let help = "give `pipeline` and `code`, or `pipeline` and `id`";
        return Err(OpsError::refused("SL6036", "it is not said which failures are meant", help));
    }
    Ok(FailuresMarked { marked: history::mark(project, &filter, mark).await? })
}

/// The failures that words name: `pipeline`, `code`, `id`, and `all` for closed ones too; with `cause` those of one group, which
/// `property` and `remote_code` tell from others of its code.
pub fn filter(asked: &Asked) -> Result<FailureFilter, OpsError> {
    let id = asked.word("id").map(str::parse::<SalesforceId>).transpose().map_err(|error: SalesforceIdError| {
        OpsError::refused("SL5004", error.to_string(), "copy the id from the list of failures")
    })?;
    Ok(FailureFilter {
        pipeline: asked.word("pipeline").map(PipelineName::new),
        code: asked.word("code").map(str::to_ascii_uppercase),
        salesforce_id: id,
        cause: asked.word("cause").map(|_| FailureCause {
            property: asked.word("property").map(str::to_owned),
            remote_code: asked.word("remote_code").map(str::to_owned),
        }),
        closed_too: matches!(asked.word("all"), Some("1" | "true")),
        ..FailureFilter::default()
    })
}
