//! Commands that tell what is remembered: `status`, `runs`, `failures`, `why`.

use serde_json::json;

use super::args::{Common, FailureAction, FailureFilter as FailureWords, Failures, Format, Runs, Status, Why};
use super::exit::Exit;
use super::output;
use super::render::{history as show, table};
use super::shared::{json, project, write_file};
use crate::model::ids::PipelineName;
use crate::ops::{history, status, why};
use crate::ports::state::{FailureFilter, FailureMark};
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, Project};

pub(super) async fn tell_status(common: &Common, words: &Status) -> Result<Exit, OpsError> {
    let all = status::status(&project(common, Outside::real())?).await?;
    match words.format {
        Format::Text => output::result(&show::statuses(&all)),
        Format::Json => json(&json!({ "pipelines": all })),
    }
    let needs_a_person = all.iter().any(|own| !own.attention.is_empty());
    Ok(if words.check && needs_a_person { Exit::Failed } else { Exit::Done })
}

pub(super) async fn runs(common: &Common, words: &Runs) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let Some(id) = &words.id else {
        let all = history::runs(&project, words.pipeline.as_deref(), words.limit).await?;
        match words.format {
            Format::Text => output::result(&show::runs(&all)),
            Format::Json => json(&json!({ "runs": all })),
        }
        return Ok(Exit::Done);
    };
    let (run, failures) = history::run(&project, id).await?;
    if let Some(file) = &words.errors {
        let text = history::errors_csv(&failures);
        if file.as_os_str() == "-" {
            output::result(&text);
        } else {
            write_file(file, &text)?;
            output::talk(&format!(
                "{} written to {}",
                table::count(failures.len() as u64, "record", "records"),
                file.display()
            ));
        }
        return Ok(Exit::Done);
    }
    match words.format {
        Format::Text => output::result(&show::run(&run, &failures)),
        Format::Json => json(&json!({ "run": run, "failures": failures })),
    }
    Ok(Exit::Done)
}

pub(super) async fn failures(common: &Common, words: &Failures) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let none = FailureAction::List(FailureWords::default());
    match words.action.as_ref().unwrap_or(&none) {
        FailureAction::List(filter) => {
            let mut all = Vec::new();
            for filter in filters(filter)? {
                all.extend(history::failures(&project, &filter).await?);
            }
            match words.format {
                Format::Text => output::result(&show::failures(&all)),
                Format::Json => json(&json!({ "failures": all })),
            }
        }
        FailureAction::Show { id } => {
            let filter = FailureWords { ids: vec![id.clone()], pipeline: None, all: true };
            let mut all = Vec::new();
            for filter in filters(&filter)? {
                all.extend(history::failures(&project, &filter).await?);
            }
            if all.is_empty() {
                return Err(OpsError::refused(
                    "SL6006",
                    format!("`{id}` has no failure"),
                    "`syncline why ID` tells how it stands",
                ));
            }
            match words.format {
                Format::Text => output::result(&all.iter().map(show::failure).collect::<Vec<_>>().join("\n")),
                Format::Json => json(&json!({ "failures": all })),
            }
        }
        FailureAction::Retry(filter) => {
            mark(&project, filter, FailureMark::Retry, "will be tried again by the next sync").await?
        }
        FailureAction::Dismiss(filter) => {
            mark(&project, filter, FailureMark::Dismiss, "set aside until the record changes").await?
        }
    }
    Ok(Exit::Done)
}

async fn mark(project: &Project, words: &FailureWords, mark: FailureMark, said: &str) -> Result<(), OpsError> {
    let mut marked = 0;
    for filter in filters(words)? {
        marked += history::mark(project, &filter, mark).await?;
    }
    output::result(&format!("{} {said}", table::count(marked, "failure", "failures")));
    Ok(())
}

fn filters(words: &FailureWords) -> Result<Vec<FailureFilter>, OpsError> {
    let base = FailureFilter {
        pipeline: words.pipeline.as_deref().map(PipelineName::new),
        closed_too: words.all,
        ..FailureFilter::default()
    };
    if words.ids.is_empty() {
        return Ok(vec![base]);
    }
    let one = |id: &String| match id.parse() {
        Ok(id) => Ok(FailureFilter { salesforce_id: Some(id), ..base.clone() }),
        Err(error) => {
            let error: crate::model::ids::SalesforceIdError = error;
            Err(OpsError::refused("SL5004", error.to_string(), "copy the id from `syncline failures`"))
        }
    };
    words.ids.iter().map(one).collect()
}

pub(super) async fn tell_why(common: &Common, words: &Why) -> Result<Exit, OpsError> {
    let accounts = why::why(&project(common, Outside::real())?, &words.id).await?;
    match words.format {
        Format::Text => output::result(&show::accounts(&words.id, &accounts)),
        Format::Json => json(&json!({ "salesforce_id": words.id, "pipelines": accounts })),
    }
    Ok(Exit::Done)
}
