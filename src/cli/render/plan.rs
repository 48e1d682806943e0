//! A plan, for people: totals first, dangers first, a bounded sample with before and after.

use super::report::{effects, links};
use super::table::{count, number, seconds};
use crate::model::forecast::{LinkAction, PipelineForecast, PlannedAction, PlannedChange};
use crate::model::report::RunKind;

/// Longest value that is shown, in characters.
const VALUE_LENGTH_MAX: usize = 60;

/// Most properties of one change that are shown.
const PROPERTIES_MAX: usize = 8;

/// The whole plan.
pub fn plan(forecasts: &[PipelineForecast]) -> String {
    let mut text = String::new();
    for forecast in forecasts {
        text.push_str(&pipeline(forecast));
        text.push('\n');
    }
    let calls: u64 = forecasts.iter().map(|forecast| forecast.estimate.hubspot_calls).sum();
    let time: f64 = forecasts.iter().map(|forecast| forecast.estimate.seconds_at_rate_limit).sum();
    text.push_str(&format!(
        "Nothing was written. Doing it takes about {} to HubSpot, {} at the rate limit.\n",
        count(calls, "call", "calls"),
        seconds(time)
    ));
    text
}

fn pipeline(forecast: &PipelineForecast) -> String {
    let report = &forecast.report;
    let kind = if forecast.forecast_of == RunKind::Import { "import" } else { "sync" };
    let mut text = format!("{} — what `{kind}` would do\n", report.name);
    if let Some(refusal) = &forecast.refusal {
        text.push_str(&format!("  ! it would be refused before its first write: {refusal}\n"));
    }
    text.push_str(&format!("  {} read: {}\n", count(report.tally.read, "record", "records"), effects(&report.tally)));
    let links = links(&report.tally);
    if !links.is_empty() {
        text.push_str(&format!("  links: {links}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
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
    };
    let title = shorten(&change.title);
    let named = if title == change.salesforce_id.as_str() { String::new() } else { format!(" “{title}”") };
    let mut text = format!("  {sign} {word} {}{named}\n", change.salesforce_id);
    for reason in &change.reasons {
        text.push_str(&format!("      {reason}\n"));
    }
    for (property, values) in change.properties.iter().take(PROPERTIES_MAX) {
        let after = values.after.as_deref().map_or_else(|| "(cleared)".to_owned(), quote);
        match &values.before {
            Some(before) => text.push_str(&format!("      {property}: {} → {after}\n", quote(before))),
            None => text.push_str(&format!("      {property}: {after}\n")),
        }
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
        text.push_str(&format!("      {} {said} {target}\n", link.association));
    }
    text
}

fn quote(value: &str) -> String {
    format!("\"{}\"", shorten(value))
}

/// One line, shortened, without control characters that could play tricks on a terminal.
fn shorten(value: &str) -> String {
    let line: String = value.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.chars().count() <= VALUE_LENGTH_MAX {
        return line;
    }
    let cut: String = line.chars().take(VALUE_LENGTH_MAX - 1).collect();
    format!("{cut}…")
}
