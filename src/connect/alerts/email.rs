//! Alerts by e-mail. The only file that names the mail library.

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Message, SmtpTransport, Transport};
use url::Url;

use super::text::{TIME_MAX, text};
use crate::config::address::is_loopback;
use crate::config::alerts::EmailConfig;
use crate::model::alert::Alert;
use crate::sys::cancel::Cancel;
use crate::sys::secrets::masked;

/// Sends an e-mail to all who are named.
pub(super) async fn send(config: &EmailConfig, alert: &Alert, cancel: &Cancel) -> Result<(), String> {
    let message = message(config, alert)?;
    let mailer = mailer(config)?;
    // Each step of the conversation ends in time, so the thread does as well.
    let sent = tokio::task::spawn_blocking(move || mailer.send(&message).map(drop).map_err(smtp_message));
    tokio::select! {
        // A thread that panicked is one more alert that did not arrive, and no reason to fall with it.
        sent = sent => sent.unwrap_or_else(|error| Err(error.to_string())),
        // The thread goes on for its time at most, and its mail may arrive: telling somebody twice does no harm.
        () = cancel.cancelled() => Err("interrupted".to_owned()),
    }
}

fn message(config: &EmailConfig, alert: &Alert) -> Result<Message, String> {
    let mailbox =
        |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}` is not an e-mail address: {error}"));
    let from = mailbox(&config.from)?;
    // The alert's own id: a mail that is sent again is the same message to a mail program.
    let id = format!("<{}@{}>", alert.id, from.email.domain());
    // A header ends at a line break, so a subject has none.
    let subject = masked(&alert.title).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut builder = Message::builder()
        .from(from)
        .subject(format!("[Syncline] {subject}"))
        .message_id(Some(id))
        .header(ContentType::TEXT_PLAIN);
    for to in &config.to {
        builder = builder.to(mailbox(to)?);
    }
    // The title again in front: a mail program may cut a long subject.
    let body = format!("{}\n\n{}\n", alert.title, text(alert));
    builder.body(masked(&body).into_owned()).map_err(|error| error.to_string())
}

fn mailer(config: &EmailConfig) -> Result<SmtpTransport, String> {
    // One cryptography for the whole program; a second call, which changes nothing, is no trouble.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = Url::parse(&config.server).map_err(|error| format!("`server` is not an address: {error}"))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("`server` has no host name")?;
    // Brackets are how an address of version 6 is written in a URL, not a part of it.
    let host = host.trim_matches(['[', ']']);
    let mut builder = match url.scheme() {
        "smtps" => SmtpTransport::relay(host).map_err(smtp_message)?,
        // A relay on this computer has no certificate as a rule, and nothing leaves the computer on the way to it.
        "smtp" if is_loopback(&as_http(&url)) => SmtpTransport::builder_dangerous(host),
        // The encryption is required and not only offered: else whoever stands between could strike the offer out.
        "smtp" => SmtpTransport::starttls_relay(host).map_err(smtp_message)?,
        other => return Err(format!("`server` must begin with `smtps://` or `smtp://`, not with `{other}://`")),
    };
    // Without a port each way keeps the one that it is known for: 465 and 587.
    if let Some(port) = url.port() {
        builder = builder.port(port);
    }
    // A relay within a network often takes mail without a login.
    if let (Some(user), Some(password)) = (&config.username, &config.password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder.timeout(Some(TIME_MAX)).build())
}

/// The same host under a scheme whose hosts are understood as numbers and names.
fn as_http(url: &Url) -> Url {
    // The URL standard reads hosts as numbers only under the schemes of the web.
    let text = url.as_str().replacen("smtp://", "http://", 1);
    Url::parse(&text).unwrap_or_else(|_| url.clone())
}

/// An error and its causes, without secrets.
fn smtp_message(error: lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        // The mail library repeats some of its causes in its own words.
        if !text.contains(&cause.to_string()) {
            text = format!("{text}: {cause}");
        }
        source = cause.source();
    }
    masked(&text).into_owned()
}
