//! A plan, for people: totals first, dangers first, a bounded sample with before and after.

use super::report::{effects, links};
use super::safe::safe;
use super::summary::{self, Summary, contrast, one_line};
use super::table::{count, number};
use crate::model::forecast::{
    LinkAction, PipelineForecast, PlanReport, PlannedAction, PlannedChange, Question, Verdict,
};

/// Longest value that is shown, in characters.
const VALUE_LENGTH_MAX: usize = 60;

/// Most reasons of rejections that are shown.
const REASONS_MAX: usize = 10;

/// Most properties of one change that are shown.
const PROPERTIES_MAX: usize = 8;

/// The whole plan.
pub fn plan(report: &PlanReport) -> String {
    let mut text = String::new();
    if let Some(diff) = &report.definitions {
        text.push_str(&super::diff::diff(diff));
        text.push('\n');
    }
    for forecast in &report.pipelines {
        text.push_str(&pipeline(forecast));
        text.push('\n');
    }
    let summary = Summary::of(report);
    if summary.dangers.len() + report.pipelines.len() > 1 {
        text.push_str(&format!("in all: {}\n", summary.headline()));
        text.extend(summary.dangers.iter().map(|danger| format!("  ! {}\n", one_line(danger, 300))));
    }
    for what in summary::unknown(report) {
        text.push_str(&format!("  ? not known: {}\n", safe(what)));
    }
    text.push_str(&format!("Nothing was written. Doing it takes about {}.\n", summary.cost()));
    text
}

fn pipeline(forecast: &PipelineForecast) -> String {
    let report = &forecast.report;
    let name = safe(report.name.as_str());
    let mut text = format!("{name} — {}\n", summary::scope(forecast));
    if let (Some(reason), Some(_)) = (&forecast.refusal, &report.error) {
        return format!("{name}\n  ! it cannot run: {}\n", one_line(reason, 300));
    }
    if let Some(refusal) = &forecast.refusal {
        text.push_str(&format!("  ! it would be refused before its first write: {}\n", safe(refusal)));
    }
    text.push_str(&format!("  {} read: {}\n", count(report.tally.read, "record", "records"), effects(&report.tally)));
    let links = links(&report.tally);
    if !links.is_empty() {
        text.push_str(&format!("  links: {links}\n"));
    }
    let leaving = forecast.actions.get(&PlannedAction::Leave).copied().unwrap_or_default();
    if leaving > 0 {
        text.push_str(&format!(
            "  {} HubSpot as they are and are no longer kept in step\n",
            count(leaving, "record stays in", "records stay in")
        ));
    }
    let drift = forecast.answers.iter().find(|answer| answer.question == Question::Drift);
    match (drift.map(|answer| answer.answer), forecast.actions.get(&PlannedAction::Drift)) {
        (Some(Verdict::Yes), Some(records)) => {
            let records = count(*records, "record was", "records were");
            text.push_str(&format!(
                "  drift: {records} changed in HubSpot by someone else; a run leaves that as it is\n"
            ));
        }
        (Some(Verdict::No), _) => text.push_str("  drift: none, HubSpot holds what Syncline wrote\n"),
        _ => {}
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {}\n", safe(note)));
    }
    if forecast.rejects.len() > 1 {
        text.push_str("  rejected, by reason:\n");
        for group in forecast.rejects.iter().take(REASONS_MAX) {
            let reason = one_line(&group.example, 100);
            let anew = match group.known {
                Some(known) if known < group.records => format!(" ({} new)", number(group.records - known)),
                _ => String::new(),
            };
            text.push_str(&format!("    {:>7}{anew} {} {reason}\n", number(group.records), group.code));
        }
        let more = forecast.rejects.len().saturating_sub(REASONS_MAX);
        if more > 0 {
            text.push_str(&format!("    … and {more} more reasons\n"));
        }
    }
    for change in &forecast.changes {
        text.push_str(&self::change(change));
    }
    if forecast.changes_omitted > 0 {
        let more = number(forecast.changes_omitted);
        text.push_str(&format!(
            "  … and {more} more (`--sample N` shows more, `--format json` has the same numbers)\n"
        ));
    }
    text
}

fn change(change: &PlannedChange) -> String {
    let (sign, word) = match change.action {
        PlannedAction::Create => ("+", "create"),
        PlannedAction::Update => ("~", "update"),
        PlannedAction::Restore => ("+", "restore"),
        PlannedAction::Archive => ("-", "archive"),
        PlannedAction::Leave => ("·", "leave"),
        PlannedAction::Reject => ("!", "reject"),
        PlannedAction::Associate => ("~", "link"),
        PlannedAction::Pending => ("·", "waits"),
        PlannedAction::Drift => ("?", "drift"),
        PlannedAction::Unchanged => ("=", "unchanged"),
    };
    let title = shorten(&change.title);
    let named = if title == change.salesforce_id.as_str() { String::new() } else { format!(" “{title}”") };
    let mut text = format!("  {sign} {word} {}{named}\n", change.salesforce_id);
    for reason in &change.reasons {
        text.push_str(&format!("      {}\n", one_line(reason, 300)));
    }
    for (property, values) in change.properties.iter().take(PROPERTIES_MAX) {
        let line = match (&values.before, &values.after) {
            (Some(before), after) if change.action == PlannedAction::Drift => {
                let (held, written) = contrast(before, after.as_deref().unwrap_or_default(), VALUE_LENGTH_MAX);
                format!("HubSpot holds \"{held}\", Syncline wrote \"{written}\"")
            }
            (Some(before), Some(after)) => {
                let (before, after) = contrast(before, after, VALUE_LENGTH_MAX);
                format!("\"{before}\" → \"{after}\"")
            }
            (Some(before), None) => format!("{} → (cleared)", quote(before)),
            (None, after) => after.as_deref().map_or_else(|| "(cleared)".to_owned(), quote),
        };
        text.push_str(&format!("      {}: {line}\n", safe(property)));
    }
    if change.properties.len() > PROPERTIES_MAX {
        text.push_str(&format!("      … and {} more properties\n", change.properties.len() - PROPERTIES_MAX));
    }
    for link in &change.associations {
        let target = link.salesforce_id.map(|id| id.to_string()).unwrap_or_default();
        let said = match link.action {
            LinkAction::Associate => "linked to",
            LinkAction::Disassociate => "no longer linked to",
            LinkAction::Pending => "waits for",
        };
        text.push_str(&format!("      {} {said} {target}\n", safe(&link.association)));
    }
    text
}

fn quote(value: &str) -> String {
    format!("\"{}\"", shorten(value))
}

fn shorten(value: &str) -> String {
    one_line(value, VALUE_LENGTH_MAX)
}
