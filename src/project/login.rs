//! `login` and `logout`: what connections that log in by a browser are given, and how that ends.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::error::OpsError;
use super::wiring::Project;
use crate::connect::login::{Around, Ended, Login};
use crate::ports::fault::Fault;

/// A login that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// The connection.
    pub connection: String,
    /// `Salesforce` or `HubSpot`.
    pub service: &'static str,
    /// The org or portal, where it was told.
    pub account: Option<String>,
    /// Where the tokens are.
    pub file: String,
}

/// A login that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// `Salesforce` or `HubSpot`.
    pub service: &'static str,
    /// There was one.
    pub was: bool,
    /// Why the service could not be told, where it could not.
    pub untold: Option<String>,
}

/// The connections that are meant: those that are named, or all that log in by a browser.
///
/// Errors: there is none of a name; one logs in by another way; none logs in by a browser.
pub fn chosen(project: &Project, names: &[String]) -> Result<Vec<(String, Login)>, OpsError> {
    let all: Vec<String> = match names {
        [] => project.config.connections.keys().cloned().collect(),
        names => names.to_vec(),
    };
    let mut found = Vec::new();
    for name in all {
        match project.login(&name)? {
            Some(login) => found.push((name, login)),
            None if names.is_empty() => {}
            None => return Err(by_another_way(format!("the connection `{name}` does not log in by a browser"))),
        }
    }
    if found.is_empty() {
        return Err(by_another_way("no connection of this project logs in by a browser".to_owned()));
    }
    Ok(found)
}

fn by_another_way(message: String) -> OpsError {
    let help = "write `auth: { login: { client_id: … } }` into the connection, or leave it: its token or key is all that it needs";
    OpsError::refused("SL4206", message, help)
}

/// Logs a connection in; `show` is given the address of the page.
pub async fn log_in(
    project: &Project,
    (name, login): &(String, Login),
    within: Duration,
    show: impl FnOnce(&Url),
) -> Result<LoggedIn, OpsError> {
    let stored = login.log_in(&around(project), within, show).await.map_err(remote)?;
    let file = login.file.path.display().to_string();
    Ok(LoggedIn { connection: name.clone(), service: login.file.service, account: stored.account, file })
}

/// Ends a connection's login.
pub async fn log_out(project: &Project, (_, login): &(String, Login)) -> Result<LoggedOut, OpsError> {
    let ended = login.log_out(&around(project)).await.map_err(remote)?;
    let (was, untold) = match ended {
        Ended::Nothing => (false, None),
        Ended::Revoked => (true, None),
        Ended::OnlyHere(why) => (true, Some(why)),
    };
    Ok(LoggedOut { service: login.file.service, was, untold })
}

/// Since when a connection is logged in: none where it logs in by another way.
///
/// Errors: nobody is logged in; the stored login cannot be used.
pub fn since(project: &Project, name: &str) -> Result<Option<(Timestamp, String)>, OpsError> {
    let Some(login) = project.login(name)? else { return Ok(None) };
    let stored = login.file.read(login.url.as_str(), &login.client_id).map_err(remote)?;
    Ok(Some((stored.since, login.file.path.display().to_string())))
}

fn around(project: &Project) -> Around<'_> {
    let outside = &project.outside;
    Around { network: &outside.network, clock: &outside.clock, cancel: &outside.cancel }
}

fn remote(fault: Fault) -> OpsError {
    OpsError::Remote { pipeline: None, fault }
}
