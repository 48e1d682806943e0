//! A part of the records, as a person asks for it on the command line: by a condition, by age, or the first so many.

use jiff::Timestamp;

use super::args::common::{Common, Part};
use super::output;
use super::units::Since;
use crate::model::report::Chosen;
use crate::project::chosen;
use crate::project::error::OpsError;
use crate::project::prepare::Prepared;
use crate::project::wiring::Project;

/// The chosen records; none where all are meant.
///
/// Errors: the condition does not fit one of the pipelines; the moment lies ahead.
pub(super) async fn part(
    common: &Common,
    project: &Project,
    pipelines: &[Prepared],
    part: &Part,
) -> Result<Option<Chosen>, OpsError> {
    if part.condition.is_none() && part.since.is_none() && part.limit.is_none() {
        return Ok(None);
    }
    let since = part.since.map(|since| moment(since, project.outside.clock.now())).transpose()?;
    let mut condition = None;
    if let Some(text) = &part.condition {
        let checked = chosen::check(project, pipelines, text).await?;
        if !common.quiet {
            checked.warnings.iter().for_each(|warning| output::talk(&format!("warning: {warning}")));
        }
        condition = Some(checked.text);
    }
    Ok(Some(Chosen { condition, since, most: part.limit }))
}

fn moment(since: Since, now: Timestamp) -> Result<Timestamp, OpsError> {
    match since {
        // No record is older than 1970, and an age beyond that means all.
        Since::Ago(time) => Ok(now.saturating_sub(time).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH)),
        Since::At(at) if at <= now => Ok(at),
        Since::At(at) => {
            let help = "`--since` takes a moment that has passed; nothing was read or sent";
            Err(OpsError::refused("SL6006", format!("{at} lies ahead: no record was touched since"), help))
        }
    }
}

/// Which records are meant, in words that follow the object's name.
pub(super) fn described(chosen: &Chosen) -> String {
    let condition = chosen.condition.as_deref().map(|text| format!(" that match `{text}`")).unwrap_or_default();
    let since = chosen.since.map(|at| format!(" touched since {at}")).unwrap_or_default();
    format!("{condition}{since}")
}
