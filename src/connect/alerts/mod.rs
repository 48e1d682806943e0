//! Sends alerts to those who are told: signed JSON, a message to a channel, an e-mail. Knows neither state nor pipelines.

mod email;
mod http;
mod text;

use crate::config::alerts::ReceiverConfig;
use crate::model::alert::Alert;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;

/// Sends one alert to a receiver.
///
/// Errors: why it did not arrive, in words without secrets; it may be sent again.
pub async fn send(receiver: &ReceiverConfig, alert: &Alert, clock: &Clock, cancel: &Cancel) -> Result<(), String> {
    match receiver {
        ReceiverConfig::Webhook(receiver) => http::webhook(receiver, alert, clock, cancel).await,
        ReceiverConfig::Slack(receiver) => http::slack(receiver, alert, cancel).await,
        ReceiverConfig::Email(receiver) => email::send(receiver, alert, cancel).await,
    }
}
