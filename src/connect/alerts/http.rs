//! Alerts by HTTP: signed JSON, and messages to a channel.

use bytes::Bytes;
use serde_json::json;
use url::Url;

use super::text::{TIME_MAX, text};
use crate::config::alerts::{SlackConfig, WebhookConfig};
use crate::config::env::Secret;
use crate::connect::http::client::{Transport, TransportError};
use crate::model::alert::Alert;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::hmac;
use crate::sys::network::Network;
use crate::sys::secrets::masked;

/// Sends signed JSON. The signature covers the time, so that a message cannot be sent again later by others.
pub(super) async fn webhook(
    config: &WebhookConfig,
    alert: &Alert,
    clock: &Clock,
    cancel: &Cancel,
) -> Result<(), String> {
    let body = serde_json::to_string(alert).map_err(|error| error.to_string())?;
    // Before it is signed: the receiver checks what it was sent.
    let body = masked(&body).into_owned();
    let timestamp = clock.now().as_second().to_string();
    let signature = hmac::sha256_hex(config.secret.expose().as_bytes(), &[timestamp.as_bytes(), b".", body.as_bytes()]);
    let headers = [
        ("syncline-event", alert.event.name().to_owned()),
        ("syncline-delivery", alert.id.clone()),
        ("syncline-timestamp", timestamp),
        // With a version, so that another way to sign can come beside this one.
        ("syncline-signature", format!("v1={signature}")),
    ];
    post(&config.url, &headers, body, cancel).await
}

/// Sends a message to a channel.
pub(super) async fn slack(config: &SlackConfig, alert: &Alert, cancel: &Cancel) -> Result<(), String> {
    let message = format!("*{}*\n{}", escaped(&alert.title), escaped(&text(alert)));
    post(&config.url, &[], masked(&json!({ "text": message }).to_string()).into_owned(), cancel).await
}

/// The three characters that Slack takes for its own: else a text could mention people or hold links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

async fn post(url: &Secret, headers: &[(&'static str, String)], body: String, cancel: &Cancel) -> Result<(), String> {
    let url = Url::parse(url.expose()).map_err(|error| format!("`url` is not an address: {error}"))?;
    // People are told over the real network, whatever the runs go over.
    let transport = Transport::new(&url, &Network::Real, &Clock::system())?;
    match transport.post_json(&url, headers, Bytes::from(body), TIME_MAX, cancel).await {
        // The body is not read: a receiver answers in its own words, and only the status is common to all.
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(format!("it answered with HTTP {status}")),
        Err(TransportError::Cancelled) => Err("interrupted".to_owned()),
        Err(TransportError::Failed(why)) => Err(masked(&why).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_message_mentions_nobody() {
        assert_eq!(escaped("<!channel> a & <http://x|y>"), "&lt;!channel&gt; a &amp; &lt;http://x|y&gt;");
    }
}
