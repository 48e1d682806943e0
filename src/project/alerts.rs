//! Sends an alert to one of the project's receivers, once what it names is there.

use crate::config::alerts::ReceiverConfig;
use crate::config::resolve;
use crate::connect::alerts;
use crate::diagnostic::{Diagnostic, Place};
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
    let index = project.config.alerts.iter().position(|known| known.name() == receiver.name());
    let with_secrets = index.map_or(Ok(None), |index| resolve::receiver(&project.loaded, index));
    let first = |findings: Vec<Diagnostic>| findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
    let with_secrets = with_secrets.map_err(first)?;
    alerts::send(with_secrets.as_ref().unwrap_or(receiver), alert, &project.outside.clock, cancel).await
}

/// What a receiver names and is not there.
fn missing(project: &Project, name: &str) -> Option<String> {
    let index = project.config.alerts.iter().position(|receiver| receiver.name() == name)?;
    let prefix = format!("/alerts/{index}/");
    let concerns = |place: &Place| matches!(place, Place::Value(at) if at.starts_with(&prefix));
    project.loaded.unset.iter().find(|finding| concerns(&finding.place)).map(|finding| finding.message.clone())
}
