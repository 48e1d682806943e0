//! Connections, receivers and the state with their secrets, which are asked for when they are used for the first time.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::alerts::ReceiverConfig;
use super::connections::{addresses, tokens};
use super::env::{Part, expand, process_variables};
use super::load::Loaded;
use super::project::{ConnectionConfig, PROJECT_FILE};
use super::secrets::NoSecret;
use super::yaml;
use crate::diagnostic::{Diagnostic, Place};

/// Whether a connection has secrets that are asked for.
pub fn has_secrets(loaded: &Loaded, connection: &str) -> bool {
    waits(loaded, &pointer(connection))
}

/// A connection with its secrets; none where it has none that are asked for.
///
/// Errors: a secret cannot be had, or is none that fits.
pub fn connection(loaded: &Loaded, name: &str) -> Result<Option<ConnectionConfig>, Vec<Diagnostic>> {
    let pointer = pointer(name);
    let Some(mut config) = filled::<ConnectionConfig>(loaded, &pointer)? else { return Ok(None) };
    let before = loaded.project.as_ref().and_then(|project| project.connections.get(name));
    // The file of a refresh token is no part of the document, and the rotated token must be written back there.
    if let (ConnectionConfig::Salesforce(config), Some(ConnectionConfig::Salesforce(before))) = (&mut config, before) {
        let origin = before.auth.refresh_token.as_ref().and_then(|auth| auth.token.origin());
        if let (Some(token), Some(origin)) = (config.auth.refresh_token.as_mut(), origin) {
            token.token.set_origin(origin.to_owned());
        }
    }
    let mut findings = Vec::new();
    let file: Arc<str> = PROJECT_FILE.into();
    // Judged once more, now that the values are known.
    addresses(&file, &pointer, &config, &mut findings);
    tokens(&file, &pointer, &config, &mut findings);
    if findings.is_empty() { Ok(Some(config)) } else { Err(findings) }
}

/// A receiver of alerts with its secrets; none where it has none that are asked for.
///
/// Errors: as [`connection`].
pub fn receiver(loaded: &Loaded, index: usize) -> Result<Option<ReceiverConfig>, Vec<Diagnostic>> {
    filled(loaded, &format!("/alerts/{index}"))
}

/// Whether the place of the state has secrets that are asked for.
pub fn is_secret_state(loaded: &Loaded) -> bool {
    waits(loaded, STATE)
}

/// The place of the state with its secrets; none where it has none that are asked for.
///
/// Errors: as [`connection`].
pub fn state(loaded: &Loaded) -> Result<Option<String>, Vec<Diagnostic>> {
    filled(loaded, STATE)
}

/// The names of the secrets that stand in a text.
pub fn secrets_in(text: &str) -> Vec<String> {
    let forms = text.split("${secret:").skip(1).filter_map(|form| form.split('}').next());
    forms.map(str::to_owned).collect()
}

/// A text that a person gave, with the variables and secrets that it names in their places.
///
/// Errors: one of them cannot be had.
pub fn given(loaded: &Loaded, text: &str) -> Result<String, NoSecret> {
    let mut value = Value::String(text.to_owned());
    let expanded = expand(&mut value, None, &process_variables);
    if let Some(failed) = expanded.errors.into_iter().next() {
        return Err(NoSecret { code: "SL1010", message: failed.message, help: failed.help });
    }
    let Some(parts) = expanded.later.into_values().next() else {
        return Ok(value.as_str().unwrap_or(text).to_owned());
    };
    let part = |part: Part| match (part, &loaded.secrets) {
        (Part::Text(text), _) => Ok(text),
        (Part::Secret(name), Some(secrets)) => secrets.secret(&name),
        (Part::Secret(name), None) => Err(NoSecret {
            code: "SL1010",
            message: format!("`${{secret:{name}}}` stands there, and no place of secrets is known"),
            help: "see `secrets:` of syncline.yaml".to_owned(),
        }),
    };
    parts.into_iter().map(part).collect()
}

const STATE: &str = "/state";

fn pointer(connection: &str) -> String {
    format!("/connections/{}", yaml::escape(connection))
}

/// Whether a part of the file has a secret that is not put in yet.
fn waits(loaded: &Loaded, prefix: &str) -> bool {
    // With the slash: `/alerts/1` must not take what belongs to `/alerts/12`.
    let below = format!("{prefix}/");
    loaded.later.keys().any(|pointer| pointer == prefix || pointer.starts_with(&below))
}

/// What stands at a pointer, with its secrets in their places.
fn filled<T: DeserializeOwned>(loaded: &Loaded, prefix: &str) -> Result<Option<T>, Vec<Diagnostic>> {
    let Some(secrets) = loaded.secrets.as_ref().filter(|_| waits(loaded, prefix)) else { return Ok(None) };
    let mut document = loaded.document.clone();
    let below = format!("{prefix}/");
    let mut findings = Vec::new();
    for (pointer, parts) in loaded.later.iter().filter(|(pointer, _)| *pointer == prefix || pointer.starts_with(&below))
    {
        let text: Result<String, _> = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Ok(text.clone()),
                Part::Secret(name) => secrets.secret(name),
            })
            .collect();
        match text {
            Ok(text) => drop(at(&mut document, pointer).map(|place| *place = Value::String(text))),
            Err(error) => {
                let place = Place::Value(pointer.clone());
                let finding = Diagnostic::error(error.code, &PROJECT_FILE.into(), place, error.message);
                findings.push(finding.with_help(error.help));
            }
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let value = at(&mut document, prefix).cloned().unwrap_or_default();
    // The decoder's own words may quote the secret.
    yaml::decode(value).map(Some).map_err(|_| {
        let place = Place::Value(prefix.to_owned());
        let message = "with its secrets in place, this cannot be read";
        let finding = Diagnostic::error("SL1010", &PROJECT_FILE.into(), place, message);
        vec![finding.with_help("check the secrets that stand in the place of other values than tokens and keys")]
    })
}

/// What stands at a pointer of a document.
fn at<'a>(document: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    pointer.split('/').skip(1).try_fold(document, |value, part| {
        let key = part.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Mapping(entries) => entries.get_mut(key.as_str()),
            Value::Sequence(items) => items.get_mut(key.parse::<usize>().ok()?),
            _ => None,
        }
    })
}
