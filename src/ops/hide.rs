//! Takes the values of records out of what is shown, for readers who are to see how the sync stands and not what it carries.

use super::failure_groups::FailureGroup;
use super::failure_view::FailureView;
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
