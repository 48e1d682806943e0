//! `status`, `runs`, `failures`: what is remembered, read only (but for a person's marks on failures).

use serde::Serialize;

use crate::engine::catch_up::{self, Backlog};
use crate::model::ids::PipelineName;
use crate::model::link::MappingVersion;
use crate::model::report::{RunKind, RunStatus, Tally};
use crate::pipeline::compile::mapping_version;
use crate::pipeline::compiled::Pipeline;
use crate::ports::state::{FailureFilter, FailureMark, FailureRow, FailureStatus, RunRow, StateReader, StateWriter};
use crate::project::error::OpsError;
use crate::project::portal::Portal;
use crate::project::wiring::Project;

/// One pipeline's standing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// `syncline sync` runs it.
    pub enabled: bool,
    /// Records that stand in HubSpot.
    pub records: u64,
    /// Of them, those that were written under another mapping than today's: `import --stale` catches them up. None where
    /// the target object is not known yet.
    pub behind: Option<u64>,
    /// `where` changed since the last import, so records may belong that nothing is known of.
    pub filter_changed: bool,
    /// How far it was read (UTC).
    pub watermark: Option<String>,
    /// Age of the watermark, in seconds: how far HubSpot may lie behind.
    pub lag_seconds: Option<f64>,
    /// An import is unfinished: rows read, of rows counted.
    pub unfinished_import: Option<(u64, u64)>,
    /// Links that wait for their other side.
    pub pending_associations: u64,
    /// Records kept under failures.
    pub open_failures: u64,
    /// The latest run.
    pub last_run: Option<RunView>,
}

/// A run as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// What it was for.
    pub kind: RunKind,
    /// How it ended.
    pub status: RunStatus,
    /// When it began (UTC).
    pub started: String,
    /// How long it took.
    pub seconds: Option<f64>,
    /// Its numbers.
    #[serde(flatten)]
    pub tally: Tally,
    /// Why it ended early.
    pub error: Option<String>,
}

impl From<RunRow> for RunView {
    fn from(row: RunRow) -> Self {
        Self {
            run: row.id.to_string(),
            pipeline: row.pipeline.to_string(),
            kind: row.kind,
            status: row.status,
            started: row.started.to_string(),
            seconds: row.ended.map(|ended| crate::engine::work::seconds(row.started, ended)),
            tally: row.tally,
            error: row.error,
        }
    }
}

/// A failure as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureView {
    /// The pipeline.
    pub pipeline: String,
    /// The record.
    pub salesforce_id: String,
    /// Name for people.
    pub title: String,
    /// Stable code.
    pub code: String,
    /// HubSpot's own code.
    pub remote_code: Option<String>,
    /// The property at fault.
    pub property: Option<String>,
    /// What is wrong.
    pub message: String,
    /// `open`, `dismissed` or `resolved`.
    pub status: &'static str,
    /// How often it failed.
    pub attempts: u32,
    /// First time (UTC).
    pub first_seen: String,
    /// Last time (UTC).
    pub last_seen: String,
    /// When it is tried again (UTC).
    pub retry_at: Option<String>,
    /// The run that saw it last.
    pub run: String,
    /// The record's columns.
    #[serde(skip)]
    pub columns: Vec<(String, Option<String>)>,
}

impl From<FailureRow> for FailureView {
    fn from(row: FailureRow) -> Self {
        let FailureRow { pipeline, run, failure, first_seen, last_seen, attempts, status, retry_at } = row;
        Self {
            pipeline: pipeline.to_string(),
            salesforce_id: failure.salesforce_id.to_string(),
            title: failure.title,
            code: failure.reason.code,
            remote_code: failure.reason.remote_code,
            property: failure.reason.property,
            message: failure.reason.message,
            status: match status {
                FailureStatus::Open => "open",
                FailureStatus::Dismissed => "dismissed",
                FailureStatus::Resolved => "resolved",
            },
            attempts,
            first_seen: first_seen.to_string(),
            last_seen: last_seen.to_string(),
            retry_at: retry_at.map(|at| at.to_string()),
            run: run.to_string(),
            columns: failure.columns,
        }
    }
}

/// Most failures that one question returns.
pub const FAILURES_MAX: usize = 10_000;

/// How all pipelines stand.
pub async fn status(project: &Project) -> Result<Vec<PipelineStatus>, OpsError> {
    let state = project.state_for_reading()?;
    let now = project.outside.clock.now();
    let mut all = Vec::new();
    for loaded in &project.loaded.pipelines {
        let name = PipelineName::new(loaded.config.name.as_str());
        let watermark = state.watermark(&name).await?;
        let import = state.cursor(&name).await?;
        let target = &loaded.config.target;
        let portal = Portal::recall(&*state, &name, &target.connection).await?;
        let object = portal.as_ref().and_then(|portal| portal.objects.get(&target.object.to_ascii_lowercase()));
        let mapping = object.map(|object| mapping_version(&loaded.config, &object.object_type_id));
        let counts = state.link_counts(&name, mapping.unwrap_or(MappingVersion([0; 8]))).await?;
        let noted = state.note(&catch_up::condition_key(&name)).await?;
        let condition = catch_up::condition(loaded.config.source.condition.as_deref(), loaded.config.target.mode);
        all.push(PipelineStatus {
            name: name.to_string(),
            enabled: loaded.config.sync.enabled,
            records: counts.standing,
            behind: mapping.map(|_| counts.behind),
            filter_changed: noted.is_some_and(|noted| noted != condition),
            watermark: watermark.map(|watermark| watermark.0.to_string()),
            lag_seconds: watermark.map(|watermark| crate::engine::work::seconds(watermark.0, now).max(0.0)),
            unfinished_import: import.map(|import| (import.read, import.total)),
            pending_associations: state.due_count(&name).await?,
            open_failures: state.open_failures(&name).await?,
            last_run: state.runs(Some(&name), 1).await?.into_iter().next().map(Into::into),
        });
    }
    Ok(all)
}

/// What a pipeline has to catch up with.
pub async fn backlog(state: &dyn StateReader, pipeline: &Pipeline) -> Result<Backlog, OpsError> {
    Ok(catch_up::backlog(state, pipeline).await?)
}

/// The latest runs, newest first.
pub async fn runs(project: &Project, pipeline: Option<&str>, limit: usize) -> Result<Vec<RunView>, OpsError> {
    let state = project.state_for_reading()?;
    let pipeline = pipeline.map(PipelineName::new);
    Ok(state.runs(pipeline.as_ref(), limit).await?.into_iter().map(Into::into).collect())
}

/// One run with what it set aside.
pub async fn run(project: &Project, id: &str) -> Result<(RunView, Vec<FailureView>), OpsError> {
    let state = project.state_for_reading()?;
    let Some(row) = state.run(id).await? else {
        let message = format!("there is no single run `{id}`");
        return Err(OpsError::refused(
            "SL6006",
            message,
            "`syncline runs` lists them; a unique start or end of the id is enough",
        ));
    };
    let filter = FailureFilter { run: Some(row.id.clone()), closed_too: true, ..FailureFilter::default() };
    let failures = state.failures(&filter, FAILURES_MAX).await?;
    Ok((row.into(), failures.into_iter().map(Into::into).collect()))
}

/// Failures that match.
pub async fn failures(project: &Project, filter: &FailureFilter) -> Result<Vec<FailureView>, OpsError> {
    let state = project.state_for_reading()?;
    Ok(state.failures(filter, FAILURES_MAX).await?.into_iter().map(Into::into).collect())
}

/// Marks failures; returns how many.
pub async fn mark(project: &Project, filter: &FailureFilter, mark: FailureMark) -> Result<u64, OpsError> {
    Ok(project.state()?.mark_failures(filter, mark).await?)
}

/// Failures as CSV: code, reason, and the record's columns.
pub fn errors_csv(failures: &[FailureView]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in failures.iter().flat_map(|failure| &failure.columns) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let head = ["salesforce_id", "title", "code", "remote_code", "property", "reason"];
    let mut text = csv_line(head.into_iter().chain(columns.iter().copied()));
    for failure in failures {
        let own = [
            failure.salesforce_id.as_str(),
            &failure.title,
            &failure.code,
            failure.remote_code.as_deref().unwrap_or_default(),
            failure.property.as_deref().unwrap_or_default(),
            &failure.message,
        ];
        let value = |name: &&str| {
            let found = failure.columns.iter().find(|(own, _)| own == name);
            found.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
        };
        text.push_str(&csv_line(own.into_iter().chain(columns.iter().map(value))));
    }
    text
}

/// One line of CSV. A value that a spreadsheet would take for a formula gets a leading quote.
fn csv_line<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let cell = |value: &str| {
        let guard =
            if value.starts_with(['=', '+', '-', '@', '\t', '\r']) && value.parse::<f64>().is_err() { "'" } else { "" };
        format!("\"{guard}{}\"", value.replace('"', "\"\""))
    };
    let cells: Vec<String> = values.map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_are_quoted_and_disarmed() {
        assert_eq!(
            csv_line(["a", "b \"c\"", "=1+1", "-12.5"].into_iter()),
            "\"a\",\"b \"\"c\"\"\",\"'=1+1\",\"-12.5\"\r\n"
        );
    }
}
