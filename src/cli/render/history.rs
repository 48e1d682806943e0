//! Status, runs, failures, and why a record is as it is, for people.

use jiff::Timestamp;

use super::paint::{Paint, Tone, of_status};
use super::report::{effects_of, short, status, word};
use super::safe::safe;
use super::summary::one_line;
use super::table::{count, number, painted, seconds};
use crate::model::failure::RetryRule;
use crate::model::report::RunStatus;
use crate::ops::alerts::{AlertTest, Tried};
use crate::ops::failure_groups::FailureGroup;
use crate::ops::failure_view::FailureView;
use crate::ops::history::RunView;
use crate::ops::status::{StatusReport, UndeliveredAlerts};
use crate::ops::why::{AssociationStanding, AssociationStatus, WhyReport};
use crate::ops::why_refresh::{Comparison, Refreshed};

/// What needs a person, one line a problem, for monitors.
pub fn problems(status: &StatusReport, paint: Paint) -> String {
    let mut text = String::new();
    for pipeline in &status.pipelines {
        for what in &pipeline.attention {
            text.push_str(&paint.danger(&format!("{}: {}", safe(&pipeline.name), safe(&line(&what.message)))));
            text.push('\n');
        }
    }
    if let Some(alerts) = &status.undelivered_alerts {
        text.push_str(&paint.danger(&undelivered(alerts)));
        text.push('\n');
    }
    if text.is_empty() {
        // An empty output could as well come from a command that did not run.
        text = format!("ok: {}\n", count(status.pipelines.len() as u64, "pipeline", "pipelines"));
    }
    text
}

fn undelivered(alerts: &UndeliveredAlerts) -> String {
    let waiting = count(alerts.count, "alert waits", "alerts wait");
    format!("alerts: {waiting} to be delivered to `{}`: {}", safe(&alerts.receiver), safe(&line(&alerts.problem)))
}

/// How all pipelines stand.
pub fn statuses(status: &StatusReport, paint: Paint) -> String {
    let all = &status.pipelines;
    if all.is_empty() {
        return "the project has no pipelines yet: `syncline new` writes one\n".to_owned();
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|pipeline| {
            vec![
                pipeline.name.clone(),
                if pipeline.enabled { "on".to_owned() } else { "off".to_owned() },
                number(pipeline.records),
                pipeline.lag_seconds.map_or_else(|| "never synced".to_owned(), |lag| format!("{} ago", seconds(lag))),
                number(pipeline.pending_associations),
                number(pipeline.open_failures),
                pipeline.last_run.as_ref().map_or_else(String::new, run_in_short),
                pipeline.last_good_run.as_ref().map_or_else(|| "none".to_owned(), |run| moment(&run.started)),
            ]
        })
        .collect();
    let head = ["pipeline", "sync", "records", "data as of", "waiting", "failures", "last run", "last good run"];
    let mut text = painted(&head, &rows, paint, &status_tone);
    if let Some(deployment) = &status.deployment {
        text.push_str(&format!("\n{}, made {}\n", safe(&deployment.words()), moment(&deployment.made)));
    }
    let mut notes = String::new();
    for pipeline in all {
        let line = |message: &str| format!("  ! {}: {}", safe(&pipeline.name), safe(&line(message)));
        notes.extend(pipeline.attention.iter().map(|what| format!("{}\n", paint.danger(&line(&what.message)))));
        let stale = pipeline.stale.filter(|stale| *stale > 0);
        // Told apart from stale records, which wait for a person: these are on their way by themselves.
        if pipeline.backfill_due {
            let records = stale.map(|stale| count(stale, "record is stale", "records are stale"));
            let what = records.unwrap_or_else(|| "`where` changed since the last import".to_owned());
            let name = safe(&pipeline.name);
            notes.push_str(&format!(
                "  {name}: {what}; the next sync brings HubSpot up to the definition by itself; `syncline plan {name}` shows what that means\n"
            ));
        } else if let Some(stale) = stale {
            notes.push_str(&format!(
                "  {0}: {1} stale: written under an earlier mapping; `syncline plan {0}` shows what that means, `syncline import \
                 --stale {0}` catches up\n",
                safe(&pipeline.name),
                count(stale, "record is", "records are")
            ));
        } else if pipeline.filter_changed {
            notes.push_str(&format!(
                "  {0}: `where` changed since the last import; `syncline plan {0}` shows what that means, `syncline import \
                 --stale {0}` catches up\n",
                safe(&pipeline.name)
            ));
        }
    }
    let alerts = status
        .undelivered_alerts
        .iter()
        .map(|alert| format!("{}\n", paint.danger(&format!("  ! {}", undelivered(alert)))));
    notes.extend(alerts);
    if !notes.is_empty() {
        text.push_str(&format!("\n{notes}"));
    }
    text
}

/// The colour of a cell that tells how a run ended, on its own or after the kind of the run.
fn status_tone(_: usize, cell: &str) -> Tone {
    const ALL: [RunStatus; 6] = [
        RunStatus::Succeeded,
        RunStatus::Partial,
        RunStatus::Failed,
        RunStatus::Paused,
        RunStatus::Interrupted,
        RunStatus::Refused,
    ];
    let last = cell.rsplit(' ').next().unwrap_or_default();
    // Found by its word, since the cell is text by the time that it gets its colour.
    ALL.into_iter().find(|status| word(*status) == last).map_or(Tone::Plain, of_status)
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
pub fn runs(all: &[RunView], paint: Paint) -> String {
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
    painted(&["run", "started", "pipeline", "kind", "status", "took", "records"], &rows, paint, &status_tone)
}

/// What a run did; of one that did not go through, why.
fn reason_or_effects(run: &RunView) -> String {
    match &run.error {
        Some(error) => shorten(&line(error)),
        None => effects_of(run.status, &run.tally),
    }
}

/// One run in full.
pub fn run(run: &RunView, paint: Paint) -> String {
    let mut text = format!("run {} of {}\n", safe(&run.run), paint.strong(&safe(&run.pipeline)));
    let how = paint.text(of_status(run.status), status(run.status));
    text.push_str(&format!("  {how}, started {}\n", moment(&run.started)));
    text.push_str(&format!("  read {}: {}\n", number(run.tally.read), effects_of(run.status, &run.tally)));
    if let Some(origin) = &run.origin {
        text.push_str(&format!("  started with {}\n", safe(&origin.words())));
        if let Some(planned) = &origin.planned {
            text.push_str(&format!("  its plan foretold: {}\n", effects_of(RunStatus::Succeeded, planned)));
        }
    }
    text.push_str(&format!("  trace {}\n", safe(&run.trace_id)));
    if let Some(error) = &run.error {
        // Only a refusal before the first read is kept with its code.
        let how = if run.code.is_some() { "did not begin" } else { "ended early" };
        text.push_str(&format!("{}\n", paint.danger(&format!("  {how}: {}", safe(error)))));
    }
    text
}

/// Failures as a table that is printed page by page.
pub struct FailureTable {
    width: usize,
    count: u64,
    /// Reasons are cut to the width of a screen.
    cut: bool,
}

impl FailureTable {
    /// A table whose first column has room for these names. With `cut`, a reason ends where a screen would.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>, cut: bool) -> Self {
        // Known before the first page, as lines that are printed cannot be made wider.
        let width = names.map(|name| name.chars().count()).chain(["pipeline".len()]).max().unwrap_or_default();
        Self { width, count: 0, cut }
    }

    /// The lines of a page, with the head before the first.
    pub fn page(&mut self, page: &[FailureView]) -> String {
        let width = self.width;
        let line = |cells: [&str; 7]| {
            let [pipeline, record, name, code, status, seen, reason] = cells;
            let line =
                format!("  {pipeline:width$}  {record:18}  {name:20}  {code:6}  {status:9}  {seen:20}  {reason}");
            line.trim_end().to_owned() + "\n"
        };
        let head = ["pipeline", "record", "name", "code", "status", "failed last", "reason"];
        let mut text = if self.count == 0 { line(head) } else { String::new() };
        for failure in page {
            // A file or another program gets the whole reason.
            let reason = if self.cut { shorten(&failure.message) } else { safe(&failure.message) };
            let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
            text.push_str(&line([
                &failure.pipeline,
                &failure.salesforce_id,
                &one_line(&failure.title, 20),
                &failure.code,
                failure.status,
                &moment(&failure.last_seen),
                &reason,
            ]));
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

/// Failures by reason: what is wrong, how often, since when, and what to do.
pub fn failure_groups(groups: &[FailureGroup], now: Timestamp, paint: Paint) -> String {
    if groups.is_empty() {
        return "no failures\n".to_owned();
    }
    let mut text = groups.iter().map(|group| failure_group(group, now, paint)).collect::<Vec<_>>().join("\n");
    let records = groups.iter().map(|group| group.records).sum();
    text.push_str(&format!(
        "\n{} of {}. `syncline failures list --each` shows every record, `syncline failures show ID` one in full.\n",
        count(records, "failure", "failures"),
        count(groups.len() as u64, "kind", "kinds")
    ));
    text
}

fn failure_group(group: &FailureGroup, now: Timestamp, paint: Paint) -> String {
    let head = format!("{}  {}", safe(&group.pipeline), count(group.records, "record", "records"));
    let what = format!("{} ({})", group.category.label(), safe(&group.code));
    let what = paint.text(Tone::Bad, &what);
    let mut text = format!("{}  {what}\n  {}\n", paint.strong(&head), safe(&line(&group.message)));
    let next = match (&group.retry_at, group.retry) {
        (Some(at), RetryRule::AfterPauses) => format!("; tried again {}", from_now(at, now)),
        (Some(at), RetryRule::AfterChange) => {
            format!("; tried again when something changes, checked again {}", from_now(at, now))
        }
        (None, _) => "; not tried again until the record or the mapping changes".to_owned(),
    };
    let times = format!("  first {}, last {}{next}", from_now(&group.first_seen, now), from_now(&group.last_seen, now));
    text.push_str(&format!("{}\n", paint.faint(&times)));
    for failure in &group.sample {
        let tries = count(failure.attempts.into(), "try", "tries");
        text.push_str(&format!("    {}  {}  {tries}\n", safe(&failure.salesforce_id), one_line(&failure.title, 60)));
    }
    let more = group.records.saturating_sub(group.sample.len() as u64);
    if more > 0 {
        text.push_str(&format!("    … and {} more\n", number(more)));
    }
    if let Some(values) = &group.values {
        let property = group.property.as_deref().unwrap_or_default();
        text.push_str(&format!("  in the entry of `{}`, with each `?` filled in:\n", safe(property)));
        text.push_str(&format!("    {}\n", safe(values)));
    }
    let advice = format!("  what to do: {}; `syncline explain {}`", group.what_to_do, safe(&group.code));
    text.push_str(&format!("{}\n", paint.faint(&advice)));
    text
}

/// A time against another, in words: `3 days ago`, `in 8 min`.
fn from_now(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return safe(time) };
    let apart = time.duration_since(now).as_secs_f64();
    let words = match apart.abs() {
        under if under < 1.0 => return "just now".to_owned(),
        // From two days on; before, hours say more.
        days if days >= 172_800.0 => format!("{} days", (days / 86_400.0).round()),
        other => seconds(other),
    };
    if apart < 0.0 { format!("{words} ago") } else { format!("in {words}") }
}

/// Failures in full.
pub fn failures_in_full(all: &[FailureView], paint: Paint) -> String {
    all.iter().map(|one| failure(one, paint)).collect::<Vec<_>>().join("\n")
}

fn failure(failure: &FailureView, paint: Paint) -> String {
    let (id, title, pipeline) = (safe(&failure.salesforce_id), safe(&failure.title), safe(&failure.pipeline));
    let mut text = format!("{} “{title}” of {pipeline}\n", paint.strong(&id));
    let code = paint.text(Tone::Bad, &safe(&failure.code));
    let (status, what) = (failure.status, failure.category.label());
    text.push_str(&format!("  {status}, {what} {code}: {}\n", safe(&failure.message)));
    text.push_str(&format!("  rule: {}\n", safe(&failure.rule)));
    if let Some(value) = &failure.value {
        text.push_str(&format!("  value: {}\n", one_line(value, 100)));
    }
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
        let when = match failure.retry {
            RetryRule::AfterPauses => "tried again by the first sync after",
            RetryRule::AfterChange => {
                "tried again when the record, the mapping or the property changes, checked again after"
            }
        };
        let id = &failure.salesforce_id;
        text.push_str(&format!("  {when} {}; at once with `syncline failures retry {id}`\n", moment(at)));
    }
    for (name, value) in &failure.columns {
        // A long text area of Salesforce holds up to 131,072 characters.
        let value: String = safe(value.as_deref().unwrap_or_default()).chars().take(100).collect();
        text.push_str(&format!("    {}: {value}\n", safe(name)));
    }
    for address in [&failure.salesforce_url, &failure.hubspot_url].into_iter().flatten() {
        text.push_str(&format!("  {}\n", safe(address)));
    }
    text.push_str(&format!("  = help: {}; `syncline explain {}`\n", failure.what_to_do, failure.code));
    text
}

/// Who took a test message.
pub fn alert_test(test: &AlertTest, paint: Paint) -> String {
    let line = |receiver: &Tried| match &receiver.problem {
        None => format!("{}: delivered\n", safe(&receiver.name)),
        Some(problem) => {
            let problem = paint.text(Tone::Bad, &format!("not delivered: {}", safe(problem)));
            format!("{}: {problem}\n", safe(&receiver.name))
        }
    };
    test.receivers.iter().map(line).collect()
}

/// Why a record is as it is.
pub fn why(report: &WhyReport, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&safe(&report.salesforce_id)));
    for account in &report.pipelines {
        let name = paint.strong(&safe(&account.pipeline));
        text.push_str(&format!("  {name} ({}):\n", safe(&account.source_object)));
        for reason in &account.reasons {
            let code = reason.code.map(|code| format!(" ({code})")).unwrap_or_default();
            text.push_str(&format!("    {}{code}\n", safe(&reason.message)));
            if let Some(help) = &reason.help {
                text.push_str(&format!("      = help: {}\n", safe(help)));
            }
        }
        for association in &account.associations {
            text.push_str(&format!("    {}\n", safe(&association_text(association))));
        }
        if let Some(refreshed) = &account.refreshed {
            text.push_str(&refreshed_text(refreshed));
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

/// What both systems say now: what differs in full, the rest in numbers.
fn refreshed_text(refreshed: &Refreshed) -> String {
    let mut text = format!("    now: {}\n", safe(&refreshed.message));
    let word = |value: &Option<String>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), |value| format!("`{}`", shorten(value)))
    };
    // Of fields that are as they should be there is nothing to say.
    for field in refreshed.fields.iter().filter(|field| field.standing == Comparison::Differs) {
        let from: Vec<String> =
            field.salesforce.iter().map(|field| format!("{} is {}", safe(&field.field), word(&field.value))).collect();
        let from = if from.is_empty() { String::new() } else { format!(" ({})", from.join(", ")) };
        text.push_str(&format!(
            "      {}: should hold {}{from}, and holds {}\n",
            safe(&field.property),
            word(&field.should),
            word(&field.holds)
        ));
    }
    for field in refreshed.fields.iter().filter(|field| field.standing == Comparison::Left) {
        text.push_str(&format!(
            "      {}: holds {}, which the mapping leaves as it is\n",
            safe(&field.property),
            word(&field.holds)
        ));
    }
    for association in refreshed.associations.iter().filter(|association| association.holds != Some(true)) {
        let how =
            if association.holds.is_some() { "is not there" } else { "may or may not be there: HubSpot does not say" };
        text.push_str(&format!(
            "      the association of `{}` with record {} {how}\n",
            safe(&association.field),
            association.hubspot_id
        ));
    }
    text
}

/// How an association stands, in a sentence.
fn association_text(association: &AssociationStanding) -> String {
    let target = association.salesforce_id.as_ref().map(|id| format!(" → {id}")).unwrap_or_default();
    let label = association.label.as_ref().map(|label| format!(" (`{label}`)")).unwrap_or_default();
    let status = match association.status {
        AssociationStatus::Associated => "was associated when a run last saw to it",
        AssociationStatus::Pending => "is waiting for the other record",
        AssociationStatus::ToRemove => "was cleared, and the association is to be removed",
        AssociationStatus::Blank => "is blank",
    };
    format!("its lookup `{}`{label}{target} {status}", association.field)
}

/// Longest reason in a table, in characters; `failures show ID` has the whole one.
const REASON_LENGTH_MAX: usize = 100;

fn shorten(text: &str) -> String {
    // Before it is cut, as what is made visible may be longer than it was.
    let text = safe(text);
    if text.chars().count() <= REASON_LENGTH_MAX {
        return text;
    }
    let cut: String = text.chars().take(REASON_LENGTH_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}

/// A time for people: to the second.
pub fn moment(time: &str) -> String {
    let parsed: Option<jiff::Timestamp> = time.parse().ok();
    parsed.map_or_else(|| safe(time), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
