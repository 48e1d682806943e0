//! What runs did, for people.

use super::table::{count, number, seconds};
use crate::model::report::{RunKind, RunReport, RunStatus, Tally};

/// One block a run.
pub fn reports(reports: &[RunReport]) -> String {
    reports.iter().map(report).collect::<Vec<_>>().join("\n")
}

/// Whether a cycle found nothing to do, so that only its row in the history tells of it.
pub fn is_quiet(report: &RunReport) -> bool {
    let Tally { read, associated, disassociated, .. } = report.tally;
    report.status == RunStatus::Succeeded && read + associated + disassociated == 0 && report.notes.is_empty()
}

/// One run.
pub fn report(report: &RunReport) -> String {
    let kind = match report.kind {
        RunKind::Import => "import",
        RunKind::Sync => "sync",
        RunKind::Reconcile => "reconcile",
        RunKind::Plan => "plan",
    };
    let mut text = format!("{kind} {}: {} in {}\n", report.name, status(report.status), seconds(report.seconds));
    text.push_str(&format!("  read {}: {}\n", number(report.tally.read), effects(&report.tally)));
    let links = links(&report.tally);
    if !links.is_empty() {
        text.push_str(&format!("  links: {links}\n"));
    }
    text.push_str(&format!(
        "  calls: {} to Salesforce, {} to HubSpot\n",
        number(report.tally.salesforce_calls),
        number(report.tally.hubspot_calls)
    ));
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    if let Some(error) = &report.error {
        text.push_str(&format!("  ended early: {error}\n"));
    }
    let Tally { failed, failed_associations, .. } = report.tally;
    if failed + failed_associations > 0 {
        let records = (failed > 0).then(|| count(failed, "record", "records"));
        let links = (failed_associations > 0).then(|| count(failed_associations, "link", "links"));
        let both: Vec<String> = records.into_iter().chain(links).collect();
        text.push_str(&format!(
            "  {} could not be synced: `syncline failures` shows why, `syncline runs {} --errors FILE` writes them as CSV\n",
            both.join(" and "),
            short(report.run.as_str())
        ));
    }
    text
}

/// What was done with records, zeros left out.
pub fn effects(tally: &Tally) -> String {
    let effects = [
        (tally.created, "created"),
        (tally.updated, "updated"),
        (tally.restored, "restored"),
        (tally.archived, "archived"),
        (tally.unchanged, "unchanged"),
        (tally.filtered, "left out"),
        (tally.failed, "failed"),
    ];
    let shown: Vec<String> = effects
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", number(*count)))
        .collect();
    if shown.is_empty() { "nothing to do".to_owned() } else { shown.join(", ") }
}

/// What was done with links, zeros left out.
pub fn links(tally: &Tally) -> String {
    let links = [
        (tally.associated, "made"),
        (tally.disassociated, "removed"),
        (tally.pending_associations.saturating_sub(tally.failed_associations), "waiting for their other side"),
        (tally.failed_associations, "failed"),
    ];
    let shown: Vec<String> = links
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", number(*count)))
        .collect();
    shown.join(", ")
}

/// The end of a run's id, which is enough to name it.
pub fn short(run: &str) -> &str {
    &run[run.len().saturating_sub(8)..]
}

/// A status in words.
pub fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "still running",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Partial => "done, with failures",
        RunStatus::Failed => "failed, state saved",
        RunStatus::Paused => "paused by budget, state saved",
        RunStatus::Interrupted => "interrupted, state saved",
        RunStatus::Refused => "refused by guard, nothing was written",
    }
}
