//! What is judged of connections and receivers once their values are known: addresses, tokens, secrets that stand in the file.

use std::sync::Arc;

use super::address::is_loopback;
use super::alerts::ReceiverConfig;
use super::env::Secret;
use super::hide::SECRET_KEYS;
use super::project::{ConnectionConfig, ProjectConfig};
use super::yaml;
use crate::diagnostic::{Diagnostic, Place};

/// Tokens are sent in headers and forms: each is one word.
pub fn tokens(name: &Arc<str>, pointer: &str, connection: &ConnectionConfig, findings: &mut Vec<Diagnostic>) {
    let all: Vec<(&str, &Secret)> = match connection {
        ConnectionConfig::Hubspot(hubspot) => {
            hubspot.access_token.iter().map(|token| ("access_token", token)).collect()
        }
        ConnectionConfig::Salesforce(salesforce) => {
            let auth = &salesforce.auth;
            let jwt = auth.jwt.iter().map(|login| ("auth/jwt/client_id", &login.client_id));
            let app = auth.client_credentials.iter().flat_map(|login| {
                [
                    ("auth/client_credentials/client_id", &login.client_id),
                    ("auth/client_credentials/client_secret", &login.client_secret),
                ]
            });
            let refresh = auth.refresh_token.iter().flat_map(|login| {
                let secret = login.client_secret.iter().map(|secret| ("auth/refresh_token/client_secret", secret));
                secret.chain([
                    ("auth/refresh_token/client_id", &login.client_id),
                    ("auth/refresh_token/token", &login.token),
                ])
            });
            let access = auth.access_token.iter().map(|login| ("auth/access_token/token", &login.token));
            jwt.chain(app).chain(refresh).chain(access).collect()
        }
    };
    let login = connection.login().into_iter().flat_map(|login| {
        let secret = login.client_secret.iter().map(|secret| ("auth/login/client_secret", secret));
        secret.chain([("auth/login/client_id", &login.client_id)])
    });
    for (key, secret) in all.into_iter().chain(login) {
        let Some(what) = secret.is_no_token() else { continue };
        let last = key.rsplit('/').next().unwrap_or_default();
        let place = Place::Value(format!("{pointer}/{key}"));
        let finding = Diagnostic::error("SL1031", name, place, format!("`{last}` contains {what}"));
        let help = "check the variable or file that it comes from, and copy the value again; only white space around it is ignored";
        findings.push(finding.with_why("a token is one word without spaces or line breaks").with_help(help));
    }
}

/// Credentials travel by https only, or stay on this computer.
pub fn addresses(name: &Arc<str>, pointer: &str, connection: &ConnectionConfig, findings: &mut Vec<Diagnostic>) {
    for (key, address) in addresses_of(connection) {
        findings.extend(wrong_address(name, Place::Value(format!("{pointer}/{key}")), address));
    }
}

/// What is wrong with an address that credentials will be sent to; none where nothing is.
fn wrong_address(name: &Arc<str>, place: Place, address: &str) -> Option<Diagnostic> {
    match url::Url::parse(address) {
        // What is still to be put in cannot be judged.
        _ if address.contains("${") => None,
        Err(error) => Some(Diagnostic::error("SL2009", name, place, format!("this is not an address: {error}"))),
        Ok(url) if url.scheme() == "http" && !is_loopback(&url) => {
            let finding =
                Diagnostic::error("SL2009", name, place, "plain http is accepted only for addresses on this computer");
            Some(finding.with_why("credentials would be sent unencrypted").with_help("use https"))
        }
        // They would appear in every message and log that names the address.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some(Diagnostic::error("SL2009", name, place, "an address must not contain credentials"))
        }
        Ok(_) => None,
    }
}

/// Receivers of alerts have names of their own and addresses that something can be sent to.
pub fn receivers(name: &Arc<str>, config: &ProjectConfig, findings: &mut Vec<Diagnostic>) {
    let all = &config.alerts;
    for (index, receiver) in all.iter().enumerate() {
        let place = |key: &str| Place::Value(format!("/alerts/{index}/{key}"));
        if all[..index].iter().any(|other| other.name() == receiver.name()) {
            let message = format!("another receiver has the name `{}`", receiver.name());
            let finding = Diagnostic::error("SL2013", name, Place::Value(format!("/alerts/{index}")), message);
            let why = "what is on its way to a receiver is remembered under its name";
            findings.push(finding.with_why(why).with_help("give one of them a `name` of its own"));
        }
        for (key, address) in receiver.addresses() {
            findings.extend(wrong_address(name, place(&key), address));
        }
        let is_mailbox = |text: &str| {
            // Only what a mail server needs is checked; whether the mailbox exists, it says itself.
            let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.strip_suffix('>').unwrap_or_default());
            let parts = address.split_once('@');
            parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
                && !address.contains(char::is_whitespace)
        };
        for (key, text) in receiver.mailboxes() {
            if !text.contains("${") && !is_mailbox(text) {
                let finding =
                    Diagnostic::error("SL2013", name, place(&key), format!("`{text}` is not an e-mail address"));
                findings.push(finding.with_help("write `name@host`, or `Name <name@host>`"));
            }
        }
        if let ReceiverConfig::Email(email) = receiver
            && email.username.is_some() != email.password.is_some()
        {
            let key = if email.username.is_some() { "username" } else { "password" };
            let finding = Diagnostic::error("SL2013", name, place(key), "a user name and a password go together");
            findings.push(finding.with_help("write both, or neither where the server asks for none"));
        }
    }
}

/// The addresses of a connection, by their keys.
pub fn addresses_of(connection: &ConnectionConfig) -> Vec<(&'static str, &str)> {
    match connection {
        ConnectionConfig::Hubspot(connection) => vec![("base_url", connection.base_url.as_str())],
        ConnectionConfig::Salesforce(connection) => {
            let instance = connection.auth.access_token.as_ref();
            let instance = instance.map(|token| ("auth/access_token/instance_url", token.instance_url.as_str()));
            [Some(("login_url", connection.login_url.as_str())), instance].into_iter().flatten().collect()
        }
    }
}

/// Whether a place of syncline.yaml belongs to a connection that leads to this computer only. What other targets than the chosen one
/// override is as it is written.
pub fn is_local_connection(config: &ProjectConfig, target: Option<&str>, pointer: &str) -> bool {
    let within = |prefix: String| pointer.starts_with(&prefix);
    let local = |address: &str| url::Url::parse(address).is_ok_and(|url| is_loopback(&url));
    let all_local = |connection: &ConnectionConfig| addresses_of(connection).iter().all(|(_, address)| local(address));
    let chosen = config.connections.iter().any(|(name, connection)| {
        let own = format!("/connections/{}/", yaml::escape(name));
        let over = target.is_some_and(|target| within(format!("/targets/{}{own}", yaml::escape(target))));
        (within(own) || over) && all_local(connection)
    });
    chosen
        || config.targets.iter().any(|(target, over)| {
            over.connections.iter().any(|(name, over)| {
                let base = config.connections.get(name);
                let instance =
                    over.auth.as_ref().and_then(|auth| Some(auth.access_token.as_ref()?.instance_url.as_str()));
                let own: Vec<&str> =
                    [over.login_url.as_deref(), over.base_url.as_deref(), instance].into_iter().flatten().collect();
                // An override that sets no address leads where the connection itself does.
                let of_base = || own.is_empty() && base.is_some_and(all_local);
                within(format!("/targets/{}/connections/{}/", yaml::escape(target), yaml::escape(name)))
                    && (of_base() || !own.is_empty() && own.iter().all(|address| local(address)))
            })
        })
}

/// Secrets that stand in the file itself.
pub fn literal_secrets(value: &serde_yaml::Value) -> Vec<String> {
    let json = yaml::to_json(value);
    let mut found = Vec::new();
    collect_literals(&json, String::new(), &mut found);
    found
}

fn collect_literals(value: &serde_json::Value, pointer: String, found: &mut Vec<String>) {
    if let Some(items) = value.as_array() {
        let items = items.iter().enumerate();
        items.for_each(|(index, item)| collect_literals(item, format!("{pointer}/{index}"), found));
    }
    let Some(entries) = value.as_object() else { return };
    // Whoever knows the address of a channel can write to it.
    let channel = value["type"] == "slack";
    for (key, value) in entries {
        let pointer = format!("{pointer}/{}", yaml::escape(key));
        // A client's id is known to all who log in.
        let secret = SECRET_KEYS.contains(&key.as_str()) && key != "client_id" || channel && key == "url";
        if secret && value.as_str().is_some_and(stands_there) {
            found.push(pointer);
        } else {
            collect_literals(value, pointer, found);
        }
    }
}

/// Whether a text is a secret itself, or the default of a form is.
fn stands_there(text: &str) -> bool {
    let default = |form: &str| {
        let (_, default) = form.split('}').next()?.split_once(":-")?;
        Some(!default.trim().is_empty())
    };
    !text.contains("${") || text.split("${").skip(1).any(|form| default(form).unwrap_or_default())
}
