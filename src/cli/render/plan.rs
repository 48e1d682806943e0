//! A plan, for people: dangers first, then what changes and how often, then a bounded sample with before and after.

use super::paint::{Paint, Tone, of_action};
use super::report::{associations, intended};
use super::safe::safe;
use super::summary::{self, Summary, contrast, one_line};
use super::table::{count, number};
use crate::model::forecast::{
    AssociationAction, PipelineForecast, PlanReport, PlannedAction, PlannedChange, PropertyCount, Question,
    RecordAddresses, ValueChange, Verdict,
};

/// Longest value that is shown, in characters.
const VALUE_LENGTH_MAX: usize = 60;

/// Most reasons of rejections that are shown.
const REASONS_MAX: usize = 10;

/// Most properties of one change that are shown.
const PROPERTIES_MAX: usize = 8;

/// Most lines of what changes how often.
const GROUPS_MAX: usize = 15;

/// The whole plan.
pub fn plan(report: &PlanReport, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(diff) = &report.definitions {
        text.push_str(&super::diff::diff(diff, paint));
        text.push('\n');
    }
    for forecast in &report.pipelines {
        text.push_str(&pipeline(forecast, paint));
        text.push('\n');
    }
    let summary = Summary::of(report);
    // Of one pipeline without a danger, its own lines have said all.
    let idle = !report.pipelines.is_empty() && report.pipelines.iter().all(summary::cannot_run);
    if !idle && summary.dangers.len() + report.pipelines.len() > 1 {
        text.push_str(&format!("{} {}\n", paint.strong("In all:"), summary.headline()));
        text.extend(
            summary.dangers.iter().map(|danger| paint.danger(&format!("  ! {}", one_line(danger, 300))) + "\n"),
        );
    }
    for what in summary::unknown(report) {
        text.push_str(&format!("  ? unknown {}\n", safe(&what)));
    }
    // What cannot run costs nothing, and a count of no calls would look like a promise.
    text.push_str(&match idle {
        true => "Nothing was written.\n".to_owned(),
        false => format!("Nothing was written. Carrying this out takes about {}.\n", summary.cost()),
    });
    text.extend(summary::next_commands(report).map(|line| format!("{line}\n")));
    text
}

fn pipeline(forecast: &PipelineForecast, paint: Paint) -> String {
    let report = &forecast.report;
    let name = paint.strong(&safe(report.name.as_str()));
    // A pipeline that cannot run has no numbers that could be shown.
    if let (Some(reason), Some(_)) = (&forecast.refusal, &report.error) {
        return format!("{name}\n{}\n", paint.danger(&format!("  ! it cannot run: {}", one_line(reason, 300))));
    }
    let mut text = format!("{name}: {}\n", summary::scope(forecast));
    if let Some(refusal) = &forecast.refusal {
        let line = format!("  ! it would be refused before its first write: {}", safe(refusal));
        text.push_str(&format!("{}\n", paint.danger(&line)));
    }
    text.push_str(&format!("  {} read: {}\n", count(report.tally.read, "record", "records"), intended(&report.tally)));
    let associations = associations(&report.tally, ["to make", "to remove"]);
    if !associations.is_empty() {
        text.push_str(&format!("  associations: {associations}\n"));
    }
    let leaving = forecast.actions.get(&PlannedAction::Leave).copied().unwrap_or_default();
    if leaving > 0 {
        let records = count(leaving, "record stays", "records stay");
        text.push_str(&format!("  {records} in HubSpot as they are and will no longer be synced\n"));
    }
    text.push_str(&drift(forecast));
    for note in &report.notes {
        text.push_str(&format!("  note: {}\n", safe(note)));
    }
    text.push_str(&groups(forecast, paint));
    text.push_str(&rejects(forecast));
    for change in &forecast.changes {
        text.push_str(&self::change(change, forecast.addresses.as_ref(), paint));
    }
    if forecast.changes_omitted > 0 {
        let more = number(forecast.changes_omitted);
        let line = format!("  … and {more} more (`--sample N` shows more, `--changes FILE` writes all)");
        text.push_str(&format!("{}\n", paint.faint(&line)));
    }
    text
}

fn drift(forecast: &PipelineForecast) -> String {
    let answer = forecast.answers.iter().find(|answer| answer.question == Question::Drift);
    match answer.map(|answer| (answer.answer, &answer.why)) {
        Some((Verdict::No, why)) => format!("  drift: none, {}\n", safe(why)),
        Some((Verdict::Yes, _)) => {
            let records = forecast.actions.get(&PlannedAction::Drift).map(|records| {
                let records = count(*records, "record was", "records were");
                format!("  drift: {records} changed in HubSpot by someone else; a run leaves that as it is\n")
            });
            let lost = (forecast.lost_associations > 0).then(|| {
                let what = summary::lost_associations(forecast.lost_associations);
                let then = match (forecast.scope.is_whole(), forecast.lost_associations) {
                    (false, _) => "a sync leaves that as it is, `reconcile` repairs it",
                    (true, 1) => "the run makes it again where its record is there",
                    (true, _) => "the run makes them again where their records are there",
                };
                format!("  drift: {what}; {then}\n")
            });
            records.into_iter().chain(lost).collect()
        }
        Some((Verdict::Unknown, _)) | None => String::new(),
    }
}

fn rejects(forecast: &PipelineForecast) -> String {
    // A single reason stands with the records of the sample.
    if forecast.rejects.len() < 2 {
        return String::new();
    }
    let mut text = "  to reject, by reason:\n".to_owned();
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
    text
}

/// What the updates change, the most frequent first: `status: on_hold → cancelled × 36`. Nothing where the sample says it all.
fn groups(forecast: &PipelineForecast, paint: Paint) -> String {
    let all = groups_of(forecast);
    let updates = forecast.actions.get(&PlannedAction::Update).copied().unwrap_or_default();
    if updates < 2 || all.is_empty() {
        return String::new();
    }
    let mut text = format!("  {} change:\n", count(updates, "update", "updates"));
    for group in all.iter().take(GROUPS_MAX) {
        let line = format!("    {} × {}", group.what, number(group.records));
        let tone = if group.clears { Tone::Bad } else { Tone::Changed };
        text.push_str(&format!("{}\n", paint.text(tone, &line)));
    }
    if all.len() > GROUPS_MAX {
        text.push_str(&format!("    … and {} more changes\n", all.len() - GROUPS_MAX));
    }
    text
}

/// One change of a property, and in how many records it is made.
pub struct Group {
    /// In words.
    pub what: String,
    /// Records.
    pub records: u64,
    /// The property is cleared.
    pub clears: bool,
}

/// What the updates change, the most frequent first.
pub fn groups_of(forecast: &PipelineForecast) -> Vec<Group> {
    let mut all: Vec<Group> = forecast
        .properties
        .iter()
        .flat_map(|(property, target_property)| of_property(property, target_property))
        .collect();
    all.sort_by_key(|group| std::cmp::Reverse(group.records));
    all
}

fn of_property(property: &str, count: &PropertyCount) -> Vec<Group> {
    let property = safe(property);
    let side = |value: &Option<String>| value.as_deref().map_or_else(|| "(blank)".to_owned(), shorten);
    let pair = |count: &ValueChange| Group {
        what: format!("{property}: {} → {}", side(&count.before), side(&count.after)),
        records: count.records,
        clears: count.after.is_none(),
    };
    // With few different values each pair is counted; with many, only how often the property is cleared matters.
    if !count.values.is_empty() {
        return count.values.iter().map(pair).collect();
    }
    let cleared = Group { what: format!("{property}: cleared"), records: count.cleared, clears: true };
    let various = count.records - count.cleared;
    let various = Group { what: format!("{property}: various values"), records: various, clears: false };
    [cleared, various].into_iter().filter(|group| group.records > 0).collect()
}

fn change(change: &PlannedChange, addresses: Option<&RecordAddresses>, paint: Paint) -> String {
    let (sign, word) = match change.action {
        PlannedAction::Create => ("+", "create"),
        PlannedAction::Update => ("~", "update"),
        PlannedAction::Restore => ("+", "restore"),
        PlannedAction::Adopt => ("~", "adopt"),
        PlannedAction::Archive => ("-", "archive"),
        PlannedAction::Leave => ("·", "leave"),
        PlannedAction::Reject => ("!", "reject"),
        PlannedAction::Associate => ("~", "associate"),
        PlannedAction::Pending => ("·", "wait"),
        PlannedAction::Drift => ("?", "drift"),
        PlannedAction::Unchanged => ("=", "unchanged"),
    };
    let title = shorten(&change.title);
    let named = if title == change.salesforce_id.as_str() { String::new() } else { format!(" “{title}”") };
    let head = paint.text(of_action(change.action), &format!("{sign} {word}"));
    let mut text = format!("  {head} {}{named}\n", change.salesforce_id);
    for (_, address) in addresses.iter().flat_map(|addresses| addresses.named(change)) {
        text.push_str(&format!("      {}\n", paint.faint(&safe(&address))));
    }
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
            (Some(before), None) => format!("{} → {}", quote(before), paint.danger("(cleared)")),
            (None, after) => after.as_deref().map_or_else(|| "(cleared)".to_owned(), quote),
        };
        text.push_str(&format!("      {}: {line}\n", safe(property)));
    }
    if change.properties.len() > PROPERTIES_MAX {
        text.push_str(&format!("      … and {} more properties\n", change.properties.len() - PROPERTIES_MAX));
    }
    for association in &change.associations {
        let target = association.salesforce_id.map(|id| id.to_string()).unwrap_or_default();
        let what = match association.action {
            AssociationAction::Associate => "to associate with",
            AssociationAction::Disassociate => "to disassociate from",
            AssociationAction::Pending => "waits for",
            AssociationAction::Lost => "HubSpot no longer holds the association with",
        };
        text.push_str(&format!("      {}: {what} {target}\n", safe(&association.association)));
    }
    text
}

fn quote(value: &str) -> String {
    format!("\"{}\"", shorten(value))
}

fn shorten(value: &str) -> String {
    one_line(value, VALUE_LENGTH_MAX)
}
