//! What every form of a plan says first: the dangers, and the totals of all pipelines.

use std::collections::BTreeMap;

use super::table::{about, count, number};
use crate::model::change::{ChangeClass, DefinitionDiff};
use crate::model::forecast::{PipelineForecast, PlanReport, PlannedAction, Question, Verdict};
use crate::model::report::{RunScope, Tally};

/// What is said first.
pub struct Summary {
    /// What a reviewer must see, in sentences.
    pub dangers: Vec<String>,
    /// Records by action, all pipelines together, exact.
    pub actions: BTreeMap<PlannedAction, u64>,
    /// Links and calls, all pipelines together.
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
        dangers.extend(report.definitions.iter().flat_map(definition_dangers).map(|own| (Danger::Definition, own)));
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

    /// Records that would change.
    pub fn changing(&self) -> u64 {
        let quiet = [PlannedAction::Unchanged, PlannedAction::Drift, PlannedAction::Reject];
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
        let links = [(self.tally.associated, "to make"), (self.tally.disassociated, "to remove")];
        let links = links.into_iter().filter(|(links, _)| *links > 0);
        parts.extend(links.map(|(links, what)| format!("{} {what}", count(links, "link", "links"))));
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
        PlannedAction::Associate => "link only",
        PlannedAction::Leave => "leave in HubSpot, no longer in step",
        PlannedAction::Drift => "differ in HubSpot",
        other => other.word(),
    }
}

fn definition_dangers(diff: &DefinitionDiff) -> Vec<String> {
    let dangerous = diff.changes().filter(|(_, change)| change.class == ChangeClass::CanRemoveData);
    let sentence =
        |(own, change): (Option<&crate::model::change::PipelineDiff>, &crate::model::change::DefinitionChange)| {
            let name = own.map_or("syncline.yaml", |own| own.name.as_str());
            format!("`{name}`: {}: {}", change.what, change.effect)
        };
    dangerous.map(sentence).collect()
}

/// What must be seen, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Danger {
    Incomplete,
    Archives,
    Refused,
    Definition,
    Rejects,
    Drift,
}

fn record_dangers(forecast: &PipelineForecast) -> Vec<(Danger, String)> {
    let name = &forecast.report.name;
    let records = |action: PlannedAction| forecast.actions.get(&action).copied().unwrap_or_default();
    let mut found = Vec::new();
    let mut put = |danger, sentence: String| found.push((danger, format!("`{name}`: {sentence}")));
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
    if records(PlannedAction::Reject) > 0 {
        let rejected = count(records(PlannedAction::Reject), "record", "records");
        put(Danger::Rejects, format!("{rejected} would be rejected and kept under `failures`"));
    }
    if forecast.answers.iter().any(|own| own.question == Question::Drift && own.answer == Verdict::Yes) {
        let drifted = count(records(PlannedAction::Drift), "record was", "records were");
        put(Danger::Drift, format!("{drifted} changed in HubSpot by someone else"));
    }
    found
}

/// What a forecast is about, in words.
pub fn scope(forecast: &PipelineForecast) -> &'static str {
    match forecast.scope {
        RunScope::All => "what `import` would do",
        RunScope::Stale => "what `import --stale` would do",
        RunScope::Changed => "what `sync` would do",
        RunScope::ChangedAndStale => "what `sync` would do, and what the changed mapping touches",
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

/// One line, shortened to so many characters, without control characters and marks that turn the direction of writing.
pub fn one_line(value: &str, length_max: usize) -> String {
    let harmless = |letter: char| match letter {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    let line: String = value.chars().take(length_max + 1).map(harmless).collect();
    if line.chars().count() <= length_max {
        return line;
    }
    let cut: String = line.chars().take(length_max.saturating_sub(1)).collect();
    format!("{cut}…")
}
