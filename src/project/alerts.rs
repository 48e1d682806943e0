//! Sends an alert to one of the project's receivers, once what it names is there.

use crate::config::alerts::ReceiverConfig;
use crate::connect::alerts;
use crate::diagnostic::Place;
use crate::model::alert::Alert;
use crate::project::wiring::Project;
use crate::sys::cancel::Cancel;

/// Sends an alert to a receiver.
///
/// Errors: why it did not arrive, in words; it may be sent again.
pub async fn send(project: &Project, receiver: &ReceiverConfig, alert: &Alert, cancel: &Cancel) -> Result<(), String> {
    if let Some(missing) = missing(project, receiver.name()) {
        return Err(missing);
    }
    alerts::send(receiver, alert, &project.outside.clock, cancel).await
}

/// What a receiver names and is not there.
fn missing(project: &Project, name: &str) -> Option<String> {
    let index = project.config.alerts.iter().position(|receiver| receiver.name() == name)?;
    let prefix = format!("/alerts/{index}/");
    let concerns = |place: &Place| matches!(place, Place::Value(at) if at.starts_with(&prefix));
    project.loaded.unset.iter().find(|finding| concerns(&finding.place)).map(|finding| finding.message.clone())
}
