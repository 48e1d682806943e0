//! What every form of a plan says first: the dangers, and the totals of all pipelines.

use std::collections::BTreeMap;

use super::table::{about, count, number};
use crate::model::change::{ChangeClass, DefinitionChange, DefinitionDiff, PipelineDiff};
use crate::model::forecast::{Answer, PipelineForecast, PlanReport, PlannedAction, Question, Verdict};
use crate::model::report::{RunScope, Tally};
use crate::model::text::visible;
use crate::sys::secrets::masked;

/// What is said first.
pub struct Summary {
    /// What a reviewer must see, in sentences.
    pub dangers: Vec<String>,
    /// Records by action, all pipelines together, exact.
    pub actions: BTreeMap<PlannedAction, u64>,
    /// Associations and calls, all pipelines together.
    pub tally: Tally,
    /// Calls to HubSpot that doing it takes.
    pub hubspot_calls: u64,
    /// Calls to Salesforce.
    pub salesforce_calls: u64,
    /// Time at the rate limit, in seconds.
    pub seconds: f64,
}

impl Summary {
    /// Of a plan.
    pub fn of(report: &PlanReport) -> Self {
        let mut dangers: Vec<(Danger, String)> = report.pipelines.iter().flat_map(record_dangers).collect();
        dangers.extend(report.definitions.iter().flat_map(definition_dangers));
        dangers.sort_by_key(|(danger, _)| *danger);
        let mut summary = Self {
            dangers: dangers.into_iter().map(|(_, sentence)| sentence).collect(),
            actions: BTreeMap::new(),
            tally: Tally::default(),
            hubspot_calls: 0,
            salesforce_calls: 0,
            seconds: 0.0,
        };
        for forecast in &report.pipelines {
            for (action, records) in &forecast.actions {
                *summary.actions.entry(*action).or_default() += records;
            }
            summary.tally = summary.tally.plus(forecast.report.tally);
            summary.hubspot_calls += forecast.estimate.hubspot_calls;
            summary.salesforce_calls += forecast.estimate.salesforce_calls;
            summary.seconds += forecast.estimate.seconds_at_rate_limit;
        }
        summary
    }

    /// Records that would change, and rejections that a change brings.
    pub fn has_changes(&self, report: &PlanReport) -> bool {
        let anew = report.pipelines.iter().filter_map(rejected_anew).sum::<u64>();
        self.changing() + self.tally.associated + self.tally.disassociated + anew > 0
    }

    /// Records that would change.
    pub fn changing(&self) -> u64 {
        let quiet = [PlannedAction::Unchanged, PlannedAction::Pending, PlannedAction::Drift, PlannedAction::Reject];
        self.actions.iter().filter(|(action, _)| !quiet.contains(action)).map(|(_, records)| records).sum()
    }

    /// The whole in one line.
    pub fn headline(&self) -> String {
        let mut parts = Vec::new();
        for action in PlannedAction::ALL.into_iter().filter(|action| *action != PlannedAction::Unchanged) {
            let records = self.actions.get(&action).copied().unwrap_or_default();
            if records > 0 {
                parts.push(format!("{} to {}", number(records), phrase(action)));
            }
        }
        if parts.is_empty() && self.tally.associated + self.tally.disassociated == 0 {
            return "no record would change".to_owned();
        }
        let associations = [(self.tally.associated, "to make"), (self.tally.disassociated, "to remove")];
        let associations = associations.into_iter().filter(|(number, _)| *number > 0);
        parts.extend(
            associations.map(|(number, what)| format!("{} {what}", count(number, "association", "associations"))),
        );
        parts.join(", ")
    }

    /// What doing it costs, in words.
    pub fn cost(&self) -> String {
        format!(
            "{} to HubSpot and {} to Salesforce, {} at the rate limit",
            count(self.hubspot_calls, "call", "calls"),
            number(self.salesforce_calls),
            about(self.seconds)
        )
    }
}

/// An action as the end of “12 to …”.
pub fn phrase(action: PlannedAction) -> &'static str {
    match action {
        PlannedAction::Associate => "associate only",
        PlannedAction::Adopt => "take over in HubSpot",
        PlannedAction::Pending => "wait for an association",
        PlannedAction::Leave => "leave in HubSpot and sync no more",
        PlannedAction::Drift => "leave although somebody changed them in HubSpot",
        other => other.word(),
    }
}

fn definition_dangers(diff: &DefinitionDiff) -> Vec<(Danger, String)> {
    let danger = |change: &DefinitionChange| match change.class {
        ChangeClass::CanRemoveData => Some(Danger::Definition),
        _ if unmasks(change) => Some(Danger::Unmasked),
        _ => None,
    };
    let sentence = |(pipeline, change): (Option<&PipelineDiff>, &DefinitionChange)| {
        let name = pipeline.map_or("syncline.yaml", |pipeline| pipeline.name.as_str());
        Some((danger(change)?, format!("`{name}`: {}: {}", change.what, change.effect)))
    };
    diff.changes().filter_map(sentence).collect()
}

/// Whether values that were masked are shown from now on.
pub fn unmasks(change: &DefinitionChange) -> bool {
    let sensitive = change.pointer.as_deref().is_some_and(|pointer| pointer.ends_with("/sensitive"));
    sensitive && change.after.as_deref() == Some("false")
}

/// What must be seen, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Danger {
    Incomplete,
    Archives,
    Refused,
    Clears,
    Definition,
    Unmasked,
    Rejects,
    Drift,
}

/// What a reader must see before the numbers; of a pipeline that cannot run, only that.
fn record_dangers(forecast: &PipelineForecast) -> Vec<(Danger, String)> {
    let name = &forecast.report.name;
    let records = |action: PlannedAction| forecast.actions.get(&action).copied().unwrap_or_default();
    let mut found = Vec::new();
    let mut put = |danger, sentence: String| found.push((danger, format!("`{name}`: {sentence}")));
    if let (Some(reason), Some(_)) = (&forecast.refusal, &forecast.report.error) {
        put(Danger::Refused, format!("the pipeline cannot run: {reason}"));
        return found;
    }
    if let Some(error) = &forecast.report.error {
        put(Danger::Incomplete, format!("the forecast ended early, its numbers are not complete: {error}"));
    }
    if records(PlannedAction::Archive) > 0 {
        let archived = count(records(PlannedAction::Archive), "record", "records");
        put(Danger::Archives, format!("{archived} would be archived in HubSpot"));
    }
    if let Some(refusal) = &forecast.refusal {
        put(Danger::Refused, format!("the run would be refused before its first write: {refusal}"));
    }
    // By property, since clearing one of them may be meant and another not.
    let cleared = forecast.properties.iter().filter(|(_, touched)| touched.cleared > 0);
    let cleared: Vec<String> = cleared
        .map(|(property, touched)| format!("`{property}` in {}", count(touched.cleared, "record", "records")))
        .collect();
    if !cleared.is_empty() {
        let more = cleared.len().saturating_sub(CLEARED_NAMED_MAX);
        let named = cleared[..cleared.len() - more].join(", ");
        let more = if more > 0 { format!(", and {more} more properties") } else { String::new() };
        put(Danger::Clears, format!("values would be cleared in HubSpot: {named}{more}"));
    }
    let rejected = records(PlannedAction::Reject);
    match rejected_anew(forecast) {
        // That they are rejected today already is no danger of the change.
        Some(0) => {}
        Some(anew) => put(
            Danger::Rejects,
            format!(
                "{} would be rejected that {} not today ({} in all)",
                count(anew, "record", "records"),
                if anew == 1 { "is" } else { "are" },
                number(rejected)
            ),
        ),
        None if rejected == 0 => {}
        None => {
            let rejected = count(rejected, "record", "records");
            put(Danger::Rejects, format!("{rejected} would be rejected and kept under `failures`"));
        }
    }
    if forecast.answers.iter().any(|answer| answer.question == Question::Drift && answer.answer == Verdict::Yes) {
        // A comparison counts them beside what it does with them, and associations with them.
        let compared = forecast.report.tally.drifted.saturating_sub(forecast.lost_associations);
        let records = records(PlannedAction::Drift).max(compared);
        let records = (records > 0)
            .then(|| format!("{} changed in HubSpot by someone else", count(records, "record was", "records were")));
        let lost = (forecast.lost_associations > 0).then(|| lost_associations(forecast.lost_associations));
        let said: Vec<String> = records.into_iter().chain(lost).collect();
        put(Danger::Drift, said.join(", "));
    }
    found
}

/// Associations that are gone, in words.
pub fn lost_associations(lost: u64) -> String {
    format!("{} removed in HubSpot by someone else", count(lost, "association was", "associations were"))
}

/// Most cleared properties that are named.
const CLEARED_NAMED_MAX: usize = 5;

/// Rejections that the change brings; none where it was not compared with the definition at the base.
fn rejected_anew(forecast: &PipelineForecast) -> Option<u64> {
    if forecast.rejects.is_empty() {
        return None;
    }
    forecast.rejects.iter().map(|group| Some(group.records - group.known?)).sum()
}

/// What a plan cannot tell, each once.
pub fn unknown(report: &PlanReport) -> Vec<String> {
    // Of a pipeline that cannot run, every question is open, and the first one has said so.
    let told = |pipeline: &PipelineForecast| if cannot_run(pipeline) { 1 } else { usize::MAX };
    let answers = report.pipelines.iter().flat_map(|pipeline| pipeline.answers.iter().take(told(pipeline)));
    let answered = |answer: &Answer| format!("{}: {}", subject_of(answer.question), answer.why);
    let mut open: Vec<String> = answers.filter(|answer| answer.answer == Verdict::Unknown).map(answered).collect();
    // Ten pipelines mostly leave the same question open for the same reason.
    open.sort_unstable();
    open.dedup();
    open
}

/// Whether a pipeline was refused before anything was read, so that it has no numbers that could be shown.
pub fn cannot_run(pipeline: &PipelineForecast) -> bool {
    pipeline.refusal.is_some() && pipeline.report.error.is_some()
}

/// What a question is about, after “unknown”.
fn subject_of(question: Question) -> &'static str {
    match question {
        Question::Changes => "whether anything would change",
        Question::Archives => "whether records would be archived",
        Question::Drift => "whether someone else changed HubSpot",
        Question::Vanished => "whether records vanished from Salesforce",
    }
}

/// What carries a plan out, a command for each kind of run; after the merge, where the plan is about a branch.
pub fn next_commands(report: &PlanReport) -> impl Iterator<Item = String> {
    let when = if report.definitions.is_some() { "After the merge" } else { "To carry it out" };
    let runs = [
        ("import", &[RunScope::All][..]),
        ("import --stale", &[RunScope::Stale, RunScope::ChangedAndStale][..]),
        ("sync --once", &[RunScope::Changed, RunScope::ChangedAndStale][..]),
        ("reconcile", &[RunScope::Compared][..]),
    ];
    runs.into_iter().filter_map(move |(run, scopes)| {
        let names =
            report.pipelines.iter().filter(|pipeline| scopes.contains(&pipeline.scope) && brings_changes(pipeline));
        // What a changed mapping touches is the sync's own work, or that of an import.
        let by_itself = run == "sync --once";
        let names =
            names.filter(|pipeline| pipeline.scope != RunScope::ChangedAndStale || pipeline.backfills == by_itself);
        let names: Vec<String> = names.map(|forecast| visible_name(forecast.report.name.as_str())).collect();
        (!names.is_empty()).then(|| format!("{when}: `syncline {run} {}`", names.join(" ")))
    })
}

/// Whether a run of the pipeline would begin and do something.
fn brings_changes(forecast: &PipelineForecast) -> bool {
    let quiet = [PlannedAction::Unchanged, PlannedAction::Pending, PlannedAction::Drift, PlannedAction::Reject];
    let changes = forecast.actions.iter().any(|(action, records)| *records > 0 && !quiet.contains(action));
    let associations = forecast.report.tally.associated + forecast.report.tally.disassociated > 0;
    forecast.refusal.is_none() && forecast.report.error.is_none() && (changes || associations)
}

/// A pipeline's name as a word of a command.
fn visible_name(name: &str) -> String {
    name.chars().map(visible).collect()
}

/// How many records a change of a definition touches, where it is one of a property that was compared with HubSpot.
pub fn touched(report: &PlanReport, pipeline: &str, change: &DefinitionChange) -> Option<u64> {
    let backfill = matches!(change.class, ChangeClass::NeedsBackfill | ChangeClass::CanRemoveData);
    // What a property requires rejects records; their reasons stand for themselves.
    let rejects = change.pointer.as_deref().is_some_and(|pointer| pointer.ends_with("/required"));
    let property = change.part.strip_prefix("fields.").filter(|_| backfill && !rejects)?;
    let forecast = report.pipelines.iter().find(|forecast| forecast.report.name.as_str() == pipeline)?;
    // Other forecasts read only what changed in Salesforce, which says nothing of all records.
    let compared =
        matches!(forecast.scope, RunScope::Stale | RunScope::ChangedAndStale) && forecast.report.error.is_none();
    compared.then(|| forecast.properties.get(property).map_or(0, |count| count.records))
}

/// How much of a forecast a reviewer must look at: archived records first, then what is rejected or left alone.
pub fn dangerous(forecast: &PipelineForecast) -> (u64, u64) {
    let records = |action| forecast.actions.get(&action).copied().unwrap_or_default();
    (records(PlannedAction::Archive), records(PlannedAction::Reject) + records(PlannedAction::Leave))
}

/// What a forecast is about, in words.
pub fn scope(forecast: &PipelineForecast) -> &'static str {
    match forecast.scope {
        RunScope::All => "what `import` would do",
        RunScope::Stale => "what `import --stale` would do",
        RunScope::Changed => "what `sync` would do",
        RunScope::ChangedAndStale if forecast.backfills => {
            "what `sync` would do, the backfill of the changed mapping included"
        }
        RunScope::ChangedAndStale => "what `sync` would do, and what the changed mapping touches",
        RunScope::Compared => "what `reconcile` would do",
    }
}

/// What a class of changes means.
pub fn class(class: ChangeClass) -> &'static str {
    match class {
        ChangeClass::CanRemoveData => "can remove data",
        ChangeClass::NeedsBackfill => "needs a backfill",
        ChangeClass::NewRecordsOnly => "from now on only",
        ChangeClass::NoRecordEffect => "no effect on records",
    }
}

/// Longest value that is shown, in characters.
pub const VALUE_LENGTH_MAX: usize = 120;

/// One line, shortened to so many characters, without control characters and marks that turn the direction of writing. Line
/// breaks and what has no width are shown.
pub fn one_line(value: &str, length_max: usize) -> String {
    // One more than fits, to know whether anything is left out, without walking a text of 100 KB.
    let line: String = masked(value).chars().take(length_max + 1).map(visible).collect();
    if line.chars().count() <= length_max {
        return line;
    }
    let cut: String = line.chars().take(length_max.saturating_sub(1)).collect();
    format!("{cut}…")
}

/// Letters before a difference that are shown with it.
const CONTEXT: usize = 12;

/// Two values of one property, shortened so that their difference is seen.
pub fn contrast(before: &str, after: &str, length_max: usize) -> (String, String) {
    let same = before.chars().zip(after.chars()).take_while(|(one, other)| one == other).count();
    // The difference is in what is shown anyhow.
    if same + CONTEXT < length_max {
        return (one_line(before, length_max), one_line(after, length_max));
    }
    let skip = same - CONTEXT;
    let shown = |value: &str| {
        let rest: String = value.chars().skip(skip).collect();
        format!("…{}", one_line(&rest, length_max.saturating_sub(1)))
    };
    (shown(before), shown(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_seen() {
        assert_eq!(contrast("a", "b", 20), ("a".to_owned(), "b".to_owned()));
        assert_eq!(contrast("one\ntwo", "one two", 20), ("one↵two".to_owned(), "one two".to_owned()));
        assert_eq!(contrast("x\u{200b}", "x", 20).0, "x\u{fffd}");
        let long = "a".repeat(50);
        let (before, after) = contrast(&format!("{long}old"), &format!("{long}new and more of it"), 20);
        assert_eq!((&*before, &*after), ("…aaaaaaaaaaaaold", "…aaaaaaaaaaaanew an…"));
        assert_eq!(one_line("abc", 2), "a…");
    }
}
