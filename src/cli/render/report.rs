//! What runs did, for people.

use super::paint::{Paint, of_status};
use super::safe::safe;
use super::table::{count, number, seconds};
use crate::model::report::{RunKind, RunReport, RunStatus, Tally};

/// One block a run.
pub fn reports(reports: &[RunReport], paint: Paint) -> String {
    reports.iter().map(|one| report(one, paint)).collect::<Vec<_>>().join("\n")
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
    // A note is news, even where nothing was done.
    report.status == RunStatus::Succeeded && report.tally == idle && report.notes.is_empty()
}

/// One run.
pub fn report(report: &RunReport, paint: Paint) -> String {
    let kind = match report.kind {
        RunKind::Import => "import",
        RunKind::Sync => "sync",
        RunKind::Reconcile => "reconcile",
        RunKind::Plan => "plan",
    };
    let how = if did_not_begin(report) { word(report.status) } else { status(report.status) };
    let how = paint.text(of_status(report.status), how);
    let name = paint.strong(&safe(report.name.as_str()));
    let mut text = format!("{kind} {name}: {how} in {}\n", seconds(report.seconds));
    text.push_str(&format!("  read {}: {}\n", number(report.tally.read), effects_of(report.status, &report.tally)));
    let associations = associations(&report.tally, ["made", "removed"]);
    if !associations.is_empty() {
        text.push_str(&format!("  associations: {associations}\n"));
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
        text.push_str(&format!("{}\n", paint.danger(&format!("  {word}: {}", safe(error)))));
    }
    let Tally { failed, failed_associations, .. } = report.tally;
    if failed + failed_associations > 0 {
        let records = (failed > 0).then(|| count(failed, "record", "records"));
        let associations = (failed_associations > 0).then(|| count(failed_associations, "association", "associations"));
        let both: Vec<String> = records.into_iter().chain(associations).collect();
        text.push_str(&format!(
            "  {} failed: `syncline failures` shows why, `syncline runs {} --errors FILE` writes them as CSV\n",
            both.join(" and "),
            short(report.run.as_str())
        ));
    }
    text
}

/// What was done with records, zeros left out.
pub fn effects(tally: &Tally) -> String {
    let done = [
        (tally.created, "created"),
        (tally.updated, "updated"),
        (tally.restored, "restored"),
        (tally.adopted, "taken over"),
        (tally.archived, "archived"),
        (tally.unchanged, "unchanged"),
        (tally.filtered, "filtered out"),
        (tally.failed, "failed"),
        (tally.waiting, "failed earlier and waiting for their next try"),
        (tally.drifted, "found changed in HubSpot"),
    ];
    listed_or(done, "nothing to do")
}

/// What is to be done with records, zeros left out.
pub fn intended(tally: &Tally) -> String {
    let planned = [
        (tally.created, "to create"),
        (tally.updated, "to update"),
        (tally.restored, "to restore"),
        (tally.adopted, "to take over"),
        (tally.archived, "to archive"),
        (tally.failed, "to reject"),
        (tally.unchanged, "unchanged"),
        (tally.filtered, "filtered out"),
        (tally.waiting, "failed earlier and waiting for their next try"),
        (tally.drifted, "found changed in HubSpot"),
    ];
    listed_or(planned, "nothing to do")
}

fn listed_or<const N: usize>(counts: [(u64, &str); N], none: &str) -> String {
    let shown = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{} {word}", number(*count)));
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { none.to_owned() } else { shown.join(", ") }
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

/// What was, or is to be, done with associations, zeros left out: the words for making and removing them are given.
pub fn associations(tally: &Tally, [made, removed]: [&str; 2]) -> String {
    let counts = [
        (tally.associated, made),
        (tally.disassociated, removed),
        // Failed ones wait as well, and are named on their own.
        (tally.pending_associations.saturating_sub(tally.failed_associations), "waiting for the other record"),
        (tally.failed_associations, "failed"),
    ];
    listed_or(counts, "")
}

/// The end of a run's id, which is enough to name it.
pub fn short(run: &str) -> &str {
    // The end of an id is its random part; the beginning is the time, which runs of one day share.
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
        RunStatus::Partial => "partial",
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
        RunStatus::Partial => "partial",
        RunStatus::Failed => "failed",
        RunStatus::Paused => "paused",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Refused => "refused",
    }
}
