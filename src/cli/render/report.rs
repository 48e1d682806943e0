//! What runs did, for people.

use super::safe::safe;
use super::table::{count, number, seconds};
use crate::model::report::{RunKind, RunReport, RunStatus, Tally};

/// One block a run.
pub fn reports(reports: &[RunReport]) -> String {
    reports.iter().map(report).collect::<Vec<_>>().join("\n")
}

/// Whether a cycle found nothing to do, so that only its row in the history tells of it.
pub fn is_quiet(report: &RunReport) -> bool {
    // The overlap is read again in each cycle: what is as it should be is no news.
    let idle = Tally {
        read: report.tally.read,
        unchanged: report.tally.unchanged,
        filtered: report.tally.filtered,
        waiting: report.tally.waiting,
        pending_associations: report.tally.pending_associations,
        salesforce_calls: report.tally.salesforce_calls,
        hubspot_calls: report.tally.hubspot_calls,
        ..Tally::default()
    };
    report.status == RunStatus::Succeeded && report.tally == idle && report.notes.is_empty()
}

/// One run.
pub fn report(report: &RunReport) -> String {
    let kind = match report.kind {
        RunKind::Import => "import",
        RunKind::Sync => "sync",
        RunKind::Reconcile => "reconcile",
        RunKind::Plan => "plan",
    };
    let how = if did_not_begin(report) { word(report.status) } else { status(report.status) };
    let mut text = format!("{kind} {}: {how} in {}\n", safe(report.name.as_str()), seconds(report.seconds));
    text.push_str(&format!("  read {}: {}\n", number(report.tally.read), effects_of(report.status, &report.tally)));
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
        text.push_str(&format!("  note: {}\n", safe(note)));
    }
    if let Some(error) = &report.error {
        let word = if did_not_begin(report) { "did not begin" } else { "ended early" };
        text.push_str(&format!("  {word}: {}\n", safe(error)));
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
        (tally.waiting, "failed before and not tried again yet"),
    ];
    let shown: Vec<String> = effects
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", number(*count)))
        .collect();
    if shown.is_empty() { "nothing to do".to_owned() } else { shown.join(", ") }
}

/// The same for a run that ended so: where nothing was done, there may have been something to do.
pub fn effects_of(status: RunStatus, tally: &Tally) -> String {
    let nothing = Tally {
        read: tally.read,
        pending_associations: tally.pending_associations,
        associated: tally.associated,
        disassociated: tally.disassociated,
        failed_associations: tally.failed_associations,
        salesforce_calls: tally.salesforce_calls,
        hubspot_calls: tally.hubspot_calls,
        ..Tally::default()
    };
    match status {
        RunStatus::Succeeded | RunStatus::Partial => effects(tally),
        _ if *tally == nothing => "nothing was done".to_owned(),
        _ => effects(tally),
    }
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

/// Whether nothing was asked of either system: the pipeline was refused before its first record.
fn did_not_begin(report: &RunReport) -> bool {
    report.error.is_some() && report.tally == Tally::default()
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
        RunStatus::Refused => "refused, nothing was written",
    }
}

/// A status in a word or two, for a table.
pub fn word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "still running",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Partial => "done, with failures",
        RunStatus::Failed => "failed",
        RunStatus::Paused => "paused",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Refused => "refused",
    }
}
