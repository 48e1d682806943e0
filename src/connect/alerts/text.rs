//! What all receivers are told, in lines of text, and how long they may take.

use std::time::Duration;

use crate::model::alert::Alert;

/// Longest time that a receiver has to take an alert.
/// Receivers are told one after another, so a dead one must not keep the others waiting for minutes.
pub(super) const TIME_MAX: Duration = Duration::from_secs(20);

/// The alert in some lines of text.
pub(super) fn text(alert: &Alert) -> String {
    let mut lines = vec![alert.message.clone()];
    lines.extend(alert.help.as_ref().map(|help| format!("What to do: {help}")));
    lines.extend(alert.code.as_ref().map(|code| format!("Code: {code} (`syncline explain {code}`)")));
    lines.extend(alert.run.as_ref().map(|run| format!("Run: {run} (`syncline runs {run}`)")));
    // A trouble that began at this moment needs no second time.
    lines.extend(alert.since.filter(|since| *since != alert.at).map(|since| format!("Since: {since}")));
    lines.push(format!("Noticed: {}", alert.at));
    lines.join("\n")
}
