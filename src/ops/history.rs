//! `runs`, `failures`: what is remembered, read only (but for a person's marks on failures).

use std::collections::VecDeque;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::failure_context::FailureContext;
use super::failure_view::FailureView;
use crate::model::ids::{PipelineName, RunId};
use crate::model::origin::RunOrigin;
use crate::model::report::{RunKind, RunStatus, Tally};
use crate::ports::state::{FailureFilter, FailureMark, RunRow};
use crate::ports::store::Store;
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// What `runs --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Syncline runs")]
pub struct RunHistory {
    /// The latest first.
    pub runs: Vec<RunView>,
}

/// What `runs ID --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Syncline run")]
pub struct RunDetail {
    /// The run.
    pub run: RunView,
    /// The records that it rejected.
    pub failures: Vec<FailureView>,
}

/// What `failures retry` and `failures dismiss` print with `--format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Syncline failures marked")]
pub struct FailuresMarked {
    /// How many failures were marked.
    pub marked: u64,
}

/// A run as shown.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// The id of its trace in OpenTelemetry, 32 hex digits; whether there is one depends on what is exported.
    pub trace_id: String,
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
    /// Why it ended early or did not begin.
    pub error: Option<String>,
    /// The stable code of that, where it did not begin.
    pub code: Option<String>,
    /// Where it comes from: `runs` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<RunOrigin>,
}

/// The code in brackets at the end of a reason, which has it where the run did not begin.
pub fn code_of(reason: &str) -> Option<&str> {
    let code = reason.strip_suffix(')')?.rsplit_once(" (")?.1;
    let digits = code.strip_prefix("SL")?;
    // A reason may end in other brackets.
    (digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
}

impl From<RunRow> for RunView {
    fn from(row: RunRow) -> Self {
        Self {
            run: row.id.to_string(),
            trace_id: format!("{:032x}", row.id.trace_id()),
            pipeline: row.pipeline.to_string(),
            kind: row.kind,
            status: row.status,
            started: row.started.to_string(),
            seconds: row.ended.map(|ended| crate::engine::run::seconds(row.started, ended)),
            tally: row.tally,
            code: row.error.as_deref().and_then(code_of).map(str::to_owned),
            error: row.error,
            origin: None,
        }
    }
}

/// Failures of one page.
const PAGE: usize = 1_000;

/// Failures that match, page by page: all of them, however many there are, while memory holds one page.
pub struct Pages<'a> {
    project: &'a Project,
    state: Arc<dyn Store>,
    filters: VecDeque<FailureFilter>,
    context: FailureContext,
    size: usize,
}

impl<'a> Pages<'a> {
    /// Those of a project that match one of the filters.
    pub fn new(project: &'a Project, filters: Vec<FailureFilter>) -> Result<Self, OpsError> {
        let (state, context) = (project.state_for_reading()?, FailureContext::default());
        Ok(Self { project, state, filters: filters.into(), context, size: PAGE })
    }

    /// The same with pages of another size.
    #[must_use]
    pub fn of(self, size: usize) -> Self {
        Self { size, ..self }
    }

    /// The next page; none after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<FailureView>>, OpsError> {
        while let Some(filter) = self.filters.front_mut() {
            let rows = self.state.failures(filter, self.size).await?;
            match rows.last() {
                None => drop(self.filters.pop_front()),
                Some(last) => {
                    // By the last row's place and no offset: rows that are marked meanwhile would shift the pages.
                    filter.after = Some(last.place());
                    let mut page: Vec<FailureView> = rows.into_iter().map(Into::into).collect();
                    self.context.complete(self.project, &*self.state, &mut page).await?;
                    return Ok(Some(page));
                }
            }
        }
        Ok(None)
    }
}

/// The latest runs, newest first.
pub async fn runs(project: &Project, pipeline: Option<&str>, limit: usize) -> Result<Vec<RunView>, OpsError> {
    let state = project.state_for_reading()?;
    let pipeline = pipeline.map(PipelineName::new);
    let mut runs: Vec<RunView> = state.runs(pipeline.as_ref(), limit).await?.into_iter().map(Into::into).collect();
    enter_origins(&*state, &mut runs).await?;
    Ok(runs)
}

/// Enters where runs come from.
async fn enter_origins(state: &dyn Store, runs: &mut [RunView]) -> Result<(), OpsError> {
    let ids: Vec<RunId> = runs.iter().map(|run| RunId::new(run.run.as_str())).collect();
    let mut origins = state.origins(&ids).await?;
    for (run, id) in runs.iter_mut().zip(&ids) {
        run.origin = origins.remove(id);
    }
    Ok(())
}

/// One run.
pub async fn run(project: &Project, id: &str) -> Result<RunView, OpsError> {
    let state = project.state_for_reading()?;
    let Some(row) = state.run(id).await? else {
        let message = format!("no single run matches `{id}`");
        return Err(OpsError::refused(
            "SL6006",
            message,
            "`syncline runs` lists them; a unique start or end of the id is enough",
        ));
    };
    let mut run = [row.into()];
    enter_origins(&*state, &mut run).await?;
    let [run] = run;
    Ok(run)
}

/// What a run set aside.
pub fn of_run(run: &RunView) -> FailureFilter {
    FailureFilter { run: Some(RunId::new(run.run.as_str())), closed_too: true, ..FailureFilter::default() }
}

/// Failures that match, all at once: for few.
pub async fn failures(project: &Project, filter: &FailureFilter) -> Result<Vec<FailureView>, OpsError> {
    let mut pages = Pages::new(project, vec![filter.clone()])?;
    let mut all = Vec::new();
    while let Some(page) = pages.next().await? {
        all.extend(page);
    }
    Ok(all)
}

/// Marks failures; returns how many.
pub async fn mark(project: &Project, filter: &FailureFilter, mark: FailureMark) -> Result<u64, OpsError> {
    Ok(project.state()?.mark_failures(filter, mark).await?)
}

/// Failures as CSV: code, reason, and the records' columns.
#[derive(Default)]
pub struct ErrorsCsv {
    columns: Vec<String>,
}

impl ErrorsCsv {
    /// Learns which columns the records of a page have: all pages must have passed before the first line is written.
    pub fn learn(&mut self, page: &[FailureView]) {
        for (name, _) in page.iter().flat_map(|failure| &failure.columns) {
            // In the order in which they turn up; a pipeline has some dozens of them.
            if !self.columns.contains(name) {
                self.columns.push(name.clone());
            }
        }
    }

    /// The first line.
    pub fn head(&self) -> String {
        let head = ["salesforce_id", "title", "category", "code", "remote_code", "property", "reason"];
        csv_line(head.into_iter().chain(self.columns.iter().map(String::as_str)))
    }

    /// The lines of a page.
    pub fn lines(&self, page: &[FailureView]) -> String {
        let mut text = String::new();
        for failure in page {
            let fixed = [
                failure.salesforce_id.as_str(),
                &failure.title,
                failure.category.label(),
                &failure.code,
                failure.remote_code.as_deref().unwrap_or_default(),
                failure.property.as_deref().unwrap_or_default(),
                &failure.message,
            ];
            let value = |name: &String| {
                let found = failure.columns.iter().find(|(known, _)| known == name);
                found.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
            };
            text.push_str(&csv_line(fixed.into_iter().chain(self.columns.iter().map(value))));
        }
        text
    }
}

/// One line of CSV. A value that a spreadsheet might take for a formula gets a leading quote.
fn csv_line<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let cell = |value: &str| {
        // A value that begins with `=` is run by spreadsheets when the file is opened, and it may come from a web
        // form.
        let guard = if may_be_formula(value) { "'" } else { "" };
        format!("\"{guard}{}\"", value.replace('"', "\"\""))
    };
    let cells: Vec<String> = values.map(cell).collect();
    // The line ends that RFC 4180 names.
    format!("{}\r\n", cells.join(","))
}

/// Whether a spreadsheet might take a value for a formula: an operator behind whatever the program may skip, in any of its
/// widths, or a tab or line break in front, which may move the rest to a cell of its own. Plain numbers are none.
fn may_be_formula(value: &str) -> bool {
    const OPERATORS: [char; 13] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '−'];
    let skipped = |letter: char| {
        letter.is_whitespace()
            || letter.is_control()
            || matches!(letter, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let breaks = value.starts_with(|letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}'));
    let number = value.strip_prefix(['+', '-']).unwrap_or(value);
    let number =
        number.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.') && number.parse::<f64>().is_ok();
    breaks || !number && value.trim_start_matches(skipped).starts_with(OPERATORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_run_that_did_not_begin_ends_its_reason() {
        assert_eq!(code_of("a.yaml:3: no such field (SL3001)"), Some("SL3001"));
        for none in ["", "SL3001", "no such field", "(SL3001) at first", "a (SL30012)", "a (SLé01)"] {
            assert_eq!(code_of(none), None, "{none}");
        }
    }

    #[test]
    fn csv_cells_are_quoted_and_disarmed() {
        assert_eq!(
            csv_line(["a", "b \"c\"", "=1+1", "-12.5"].into_iter()),
            "\"a\",\"b \"\"c\"\"\",\"'=1+1\",\"-12.5\"\r\n"
        );
    }

    #[test]
    fn what_a_spreadsheet_may_take_for_a_formula_is_disarmed() {
        for value in [
            "=1",
            "+1+1",
            "-1-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\r\n=1",
            "\ttext",
            "\ntext",
            "\u{b}=1",
            "\0=1",
            "\u{85}=1",
            "  =1",
            "\u{a0}=1",
            "\u{3000}＝1",
            "\u{feff}=1",
            "\u{200b}=1",
            "\u{200e}-2+3",
            "\u{2028}=1",
            "＝1",
            "＋1+1",
            "－1",
            "＠SUM",
            " ＝1",
            "﹦1",
            "﹢1",
            "−1−1",
            "=",
            "-",
            "+inf",
            "-nan",
            "-1 ",
            "+49 30 1234",
            "-1e5x",
            "--1",
        ] {
            assert_eq!(csv_line([value].into_iter()), format!("\"'{}\"\r\n", value.replace('"', "\"\"")), "{value:?}");
        }
        for value in
            ["", " ", "text", " text", "1", "-1", "+1.5", "-.5", "1e5", "-1e-5", "a=1", "1-2", "'=1", "é", "（=1）"]
        {
            assert_eq!(csv_line([value].into_iter()), format!("\"{value}\"\r\n"), "{value:?}");
        }
    }
}
