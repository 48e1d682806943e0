//! Status, runs, failures and accounts of records, for people.

use super::report::{effects_of, short, status, word};
use super::safe::safe;
use super::table::{count, number, seconds, table};
use crate::ops::history::{FailureView, RunView};
use crate::ops::status::PipelineStatus;
use crate::ops::why::Account;

/// How all pipelines stand.
pub fn statuses(all: &[PipelineStatus]) -> String {
    if all.is_empty() {
        return "the project has no pipelines yet\n".to_owned();
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|own| {
            vec![
                own.name.clone(),
                if own.enabled { "on".to_owned() } else { "off".to_owned() },
                number(own.records),
                own.lag_seconds.map_or_else(|| "never synced".to_owned(), |lag| format!("{} ago", seconds(lag))),
                number(own.pending_associations),
                number(own.open_failures),
                own.last_run.as_ref().map_or_else(String::new, run_in_short),
                own.last_good_run.as_ref().map_or_else(|| "none".to_owned(), |run| moment(&run.started)),
            ]
        })
        .collect();
    let head = ["pipeline", "sync", "records", "data as of", "links waiting", "failures", "last run", "last good run"];
    let mut text = table(&head, &rows);
    for own in all {
        text.extend(
            own.attention.iter().map(|what| format!("\n  ! {}: {}\n", safe(&own.name), safe(&line(&what.message)))),
        );
        if let Some(behind) = own.behind.filter(|behind| *behind > 0) {
            text.push_str(&format!(
                "\n  {0}: {1} written under an earlier mapping; `syncline plan {0}` shows what that means, `syncline import \
                 --stale {0}` catches up\n",
                safe(&own.name),
                count(behind, "record was", "records were")
            ));
        } else if own.filter_changed {
            text.push_str(&format!(
                "\n  {0}: `where` changed since the last import; `syncline plan {0}` shows what that means, `syncline import \
                 --stale {0}` catches up\n",
                safe(&own.name)
            ));
        }
    }
    text
}

/// Kind and end of a run.
fn run_in_short(run: &RunView) -> String {
    format!("{:?} {}", run.kind, word(run.status)).to_lowercase()
}

/// A text without line breaks.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs, newest first.
pub fn runs(all: &[RunView]) -> String {
    if all.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|run| {
            vec![
                short(&run.run).to_owned(),
                moment(&run.started),
                run.pipeline.clone(),
                format!("{:?}", run.kind).to_lowercase(),
                word(run.status).to_owned(),
                run.seconds.map(seconds).unwrap_or_default(),
                reason_or_effects(run),
            ]
        })
        .collect();
    table(&["run", "started", "pipeline", "kind", "status", "took", "records"], &rows)
}

/// What a run did; of one that did not go through, why.
fn reason_or_effects(run: &RunView) -> String {
    match &run.error {
        Some(error) => shorten(&line(error)),
        None => effects_of(run.status, &run.tally),
    }
}

/// One run in full.
pub fn run(run: &RunView) -> String {
    let mut text = format!("run {} of {}\n", safe(&run.run), safe(&run.pipeline));
    text.push_str(&format!("  {}, started {}\n", status(run.status), moment(&run.started)));
    text.push_str(&format!("  read {}: {}\n", number(run.tally.read), effects_of(run.status, &run.tally)));
    if let Some(error) = &run.error {
        let how = if run.code.is_some() { "did not begin" } else { "ended early" };
        text.push_str(&format!("  {how}: {}\n", safe(error)));
    }
    text
}

/// Failures as a table that is printed page by page.
pub struct FailureTable {
    width: usize,
    count: u64,
}

impl FailureTable {
    /// A table whose first column has room for these names.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let width = names.map(|name| name.chars().count()).chain(["pipeline".len()]).max().unwrap_or_default();
        Self { width, count: 0 }
    }

    /// The lines of a page, with the head before the first.
    pub fn page(&mut self, page: &[FailureView]) -> String {
        let width = self.width;
        let line = |cells: [&str; 5]| {
            let [pipeline, record, code, status, reason] = cells;
            format!("  {pipeline:width$}  {record:18}  {code:6}  {status:9}  {reason}").trim_end().to_owned() + "\n"
        };
        let head = ["pipeline", "record", "code", "status", "reason"];
        let mut text = if self.count == 0 { line(head) } else { String::new() };
        for failure in page {
            let reason = shorten(&failure.message).split_whitespace().collect::<Vec<_>>().join(" ");
            text.push_str(&line([&failure.pipeline, &failure.salesforce_id, &failure.code, failure.status, &reason]));
        }
        self.count += page.len() as u64;
        text
    }

    /// The last lines; none where there were no failures.
    pub fn end(&self) -> Option<String> {
        (self.count > 0).then(|| {
            format!(
                "\n{}. `syncline explain CODE` tells what to do, `syncline failures show ID` tells more.\n",
                count(self.count, "failure", "failures")
            )
        })
    }
}

/// Failures, one a line.
pub fn failures(all: &[FailureView]) -> String {
    let mut table = FailureTable::new(all.iter().map(|failure| failure.pipeline.as_str()));
    let lines = table.page(all);
    table.end().map_or_else(|| "no failures\n".to_owned(), |end| lines + &end)
}

/// One failure in full.
pub fn failure(failure: &FailureView) -> String {
    let (id, title, pipeline) = (safe(&failure.salesforce_id), safe(&failure.title), safe(&failure.pipeline));
    let mut text = format!("{id} “{title}” of {pipeline}\n");
    text.push_str(&format!("  {} {}: {}\n", failure.status, safe(&failure.code), safe(&failure.message)));
    if let Some(code) = &failure.remote_code {
        text.push_str(&format!("  HubSpot's code: {}\n", safe(code)));
    }
    text.push_str(&format!(
        "  failed {} since {}, last {}, run {}\n",
        count(failure.attempts.into(), "time", "times"),
        moment(&failure.first_seen),
        moment(&failure.last_seen),
        short(&failure.run)
    ));
    if let Some(at) = &failure.retry_at {
        text.push_str(&format!(
            "  tried again by the first sync after {}; at once with `syncline failures retry {}`\n",
            moment(at),
            failure.salesforce_id
        ));
    }
    for (name, value) in &failure.columns {
        let value: String = safe(value.as_deref().unwrap_or_default()).chars().take(100).collect();
        text.push_str(&format!("    {}: {value}\n", safe(name)));
    }
    text.push_str(&format!("  = help: `syncline explain {}`\n", failure.code));
    text
}

/// Why a record is as it is.
pub fn accounts(id: &str, all: &[Account]) -> String {
    let mut text = format!("{}\n", safe(id));
    for account in all {
        text.push_str(&format!("  {} ({}):\n", safe(&account.pipeline), safe(&account.source_object)));
        for sentence in &account.sentences {
            text.push_str(&format!("    {}\n", safe(sentence)));
        }
        if let Some(run) = &account.last_run {
            text.push_str(&format!(
                "    last run: {} {}, {}\n",
                short(&run.run),
                moment(&run.started),
                status(run.status)
            ));
        }
    }
    text
}

/// Longest reason in a table, in characters; `failures show ID` has the whole one.
const REASON_LENGTH_MAX: usize = 100;

fn shorten(text: &str) -> String {
    let text = safe(text);
    if text.chars().count() <= REASON_LENGTH_MAX {
        return text;
    }
    let cut: String = text.chars().take(REASON_LENGTH_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}

/// A time for people: to the second.
fn moment(time: &str) -> String {
    let parsed: Option<jiff::Timestamp> = time.parse().ok();
    parsed.map_or_else(|| safe(time), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
