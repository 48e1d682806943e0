//! Who is told when something is wrong, and from when on it is: `alerts` and `alert`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::Secret;
use super::scalar::{DurationText, Share};
use crate::model::alert::AlertEvent;

/// From when on something is wrong. What a pipeline does not say, the project does; what neither says has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertConfig {
    /// Greatest age of the data in HubSpot (`30m`). By default three times `sync.every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<DurationText>,
    /// Greatest share of the records of one run that may fail (`20%`). By default 10 %; a run with fewer than 10 failed records
    /// is never too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_share: Option<Share>,
    /// How many records may stand under `failures` before `syncline status --check` tells. By default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u64>,
}

/// Share of failed records beyond which a run is told of, in percent.
/// Single records fail every day; a tenth of a run has one common cause.
const ERROR_SHARE: f64 = 10.0;

/// Data is old when so many cycles should have begun since it was read.
const CYCLES_MISSED: u32 = 3;

impl AlertConfig {
    /// Whether it says nothing.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Greatest age of the data, for a pipeline that runs `every` so often.
    pub fn lag_max(&self, every: Duration) -> Duration {
        // In cycles, so that a pipeline that runs daily is not old after an hour.
        self.lag.map_or(every.saturating_mul(CYCLES_MISSED), |lag| lag.0)
    }

    /// Greatest share of failed records, in percent.
    pub fn error_share_max(&self) -> f64 {
        self.error_share.map_or(ERROR_SHARE, |share| share.0)
    }

    /// The same, with the project's word where this one says nothing.
    pub fn or(&self, project: &Self) -> Self {
        Self {
            // Key by key: a pipeline that sets one keeps the project's others.
            lag: self.lag.or(project.lag),
            error_share: self.error_share.or(project.error_share),
            failures: self.failures.or(project.failures),
        }
    }
}

/// Who is told, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ReceiverConfig {
    /// Signed JSON, sent to an address.
    Webhook(WebhookConfig),
    /// A message to a channel of Slack, or of whatever takes the same form.
    Slack(SlackConfig),
    /// An e-mail over SMTP.
    Email(EmailConfig),
}

/// Signed JSON, sent to an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Name of the receiver; its type unless set. Each has a name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]{0,62}$"), example = &"pager")]
    pub name: Option<String>,
    /// Where to. Plain http is accepted for loopback addresses only.
    #[schemars(example = &"${ALERT_URL}")]
    pub url: Secret,
    /// Key of the signature (HMAC-SHA-256 over the time and the body); see docs/guide/alerts.md.
    #[schemars(example = &"${ALERT_SECRET}")]
    pub secret: Secret,
    /// What it is told of; everything unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<AlertEvent>>,
}

/// A message to a channel of Slack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    /// Name of the receiver; its type unless set. Each has a name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]{0,62}$"), example = &"channel")]
    pub name: Option<String>,
    /// Address of the incoming webhook: whoever knows it can write to the channel.
    #[schemars(example = &"${SLACK_WEBHOOK_URL}")]
    pub url: Secret,
    /// What it is told of; everything unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<AlertEvent>>,
}

/// An e-mail over SMTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// Name of the receiver; its type unless set. Each has a name of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]{0,62}$"), example = &"admins")]
    pub name: Option<String>,
    /// The mail server: `smtps://` speaks TLS from the start (port 465), `smtp://` asks for it first (STARTTLS, port 587). Without TLS
    /// nothing is sent, but to loopback addresses.
    #[schemars(regex(pattern = "^smtps?://"), example = &"smtps://smtp.acme.com")]
    pub server: String,
    /// User name at the server, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password of that user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${SMTP_PASSWORD}")]
    pub password: Option<Secret>,
    /// Who it is from.
    #[schemars(example = &"Syncline <syncline@acme.com>", length(min = 3, max = 320))]
    pub from: String,
    /// Who it goes to. At least one.
    #[schemars(length(min = 1, max = 50), example = ["crm-team@acme.com"])]
    pub to: Vec<String>,
    /// What it is told of; everything unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<AlertEvent>>,
}

impl ReceiverConfig {
    /// Its name: the one that it has, else its type.
    pub fn name(&self) -> &str {
        match self {
            Self::Webhook(webhook) => webhook.name.as_deref().unwrap_or("webhook"),
            Self::Slack(slack) => slack.name.as_deref().unwrap_or("slack"),
            Self::Email(email) => email.name.as_deref().unwrap_or("email"),
        }
    }

    /// Its address, with its key.
    pub fn addresses(&self) -> Vec<(String, &str)> {
        match self {
            Self::Webhook(webhook) => vec![("url".to_owned(), webhook.url.expose())],
            Self::Slack(slack) => vec![("url".to_owned(), slack.url.expose())],
            Self::Email(email) => vec![("server".to_owned(), email.server.as_str())],
        }
    }

    /// The mail addresses, each with its key.
    pub fn mailboxes(&self) -> Vec<(String, &str)> {
        let Self::Email(email) = self else { return Vec::new() };
        let to = email.to.iter().enumerate().map(|(index, to)| (format!("to/{index}"), to.as_str()));
        std::iter::once(("from".to_owned(), email.from.as_str())).chain(to).collect()
    }

    /// What it is told of; everything where that is none.
    pub fn events(&self) -> Option<&Vec<AlertEvent>> {
        match self {
            Self::Webhook(webhook) => webhook.events.as_ref(),
            Self::Slack(slack) => slack.events.as_ref(),
            Self::Email(email) => email.events.as_ref(),
        }
    }
}
