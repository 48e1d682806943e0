//! Takes the values of records out of what is shown, for readers who are to see how the sync stands and not what it carries.

use super::failure_groups::FailureGroup;
use super::failure_view::FailureView;
use super::history::RunView;
use super::status::{PipelineStatus, Reason as Why};
use super::why::{Account, Reason};

/// Takes the value, the record's name and the message, which quotes the value, out of failures; what is left of the message is the
/// rule.
pub fn failures(all: &mut [FailureView]) {
    all.iter_mut().for_each(failure);
}

fn failure(failure: &mut FailureView) {
    failure.title.clear();
    failure.value = None;
    failure.columns.clear();
    failure.message.clone_from(&failure.rule);
}

/// The same in groups of failures.
pub fn groups(all: &mut [FailureGroup]) {
    for group in all {
        group.message.clone_from(&group.rule);
        group.values = None;
        failures(&mut group.sample);
    }
}

/// Takes the words of a remote system, which may quote values, out of what is said of runs; our own words stay.
pub fn runs(all: &mut [RunView]) {
    for run in all {
        run.error = run.error.take().map(|error| without_remote_words(&error, run.code.as_deref()));
    }
}

/// The same in how pipelines stand.
pub fn statuses(all: &mut [PipelineStatus]) {
    for status in all {
        let Some(run) = &mut status.last_run else { continue };
        let before = run.error.clone();
        runs(std::slice::from_mut(run));
        let (Some(before), Some(after)) = (before, run.error.as_deref()) else { continue };
        for attention in status.attention.iter_mut().filter(|attention| attention.reason == Why::LastRun) {
            attention.message = attention.message.replace(&before, after);
        }
    }
}

/// Why a run ended, without what a remote system said of it.
fn without_remote_words(error: &str, code: Option<&str>) -> String {
    // What has another code is said by Syncline itself.
    if code.is_some_and(|code| !code.starts_with("SL4") && !code.starts_with("SL5")) {
        return error.to_owned();
    }
    // The service and what was asked of it stand before the first colon.
    let what = error.split_once(": ").map_or("it ended early", |(what, _)| what);
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{what}{code}; `syncline runs` says why")
}

/// The same in what pipelines know of a record.
pub fn accounts(all: &mut [Account]) {
    for account in all {
        account.refreshed = None;
        if let Some(own) = &mut account.failure {
            failure(own);
        }
        for explanation in &mut account.reasons {
            let quotes = matches!(explanation.reason, Reason::Failed | Reason::WouldBeRejected);
            if let Some(without) = quotes.then(|| without_message(explanation.reason, &explanation.message)) {
                explanation.message = without;
            }
        }
    }
}

/// A reason that quotes a message, without it; its code in brackets stays.
fn without_message(reason: Reason, message: &str) -> String {
    let what = match (reason, message.starts_with("its associations")) {
        (Reason::WouldBeRejected, _) => "would be rejected as it is now",
        (_, true) => "its associations failed",
        (_, false) => "failed",
    };
    let code = message.rsplit_once(" (").map(|(_, code)| code.trim_end_matches(')'));
    code.map_or_else(|| what.to_owned(), |code| format!("{what} ({code})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_what_was_done_and_loses_what_was_said() {
        for (error, code, expected) in [
            (
                "HubSpot update records: `secret` is no date (request id 7)",
                None,
                "HubSpot update records; `syncline runs` says why",
            ),
            (
                "Salesforce log in: secret (SL4101)",
                Some("SL4101"),
                "Salesforce log in (SL4101); `syncline runs` says why",
            ),
            ("secret", None, "it ended early; `syncline runs` says why"),
            (
                "it would archive 23 of 164 records (SL6009)",
                Some("SL6009"),
                "it would archive 23 of 164 records (SL6009)",
            ),
        ] {
            assert_eq!(without_remote_words(error, code), expected);
        }
    }

    #[test]
    fn a_reason_keeps_its_code_and_loses_its_message() {
        for (reason, message, expected) in [
            (Reason::Failed, "failed: `a` gets (`secret (x)`) (SL5005, open)", "failed (SL5005, open)"),
            (
                Reason::Failed,
                "its associations failed: no `b` (SL5110, dismissed)",
                "its associations failed (SL5110, dismissed)",
            ),
            (
                Reason::WouldBeRejected,
                "would be rejected as it is now: `b` (SL5005)",
                "would be rejected as it is now (SL5005)",
            ),
        ] {
            assert_eq!(without_message(reason, message), expected);
        }
    }
}
