//! The one place where config picks adapters: connections and state of a project.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use url::Url;

use super::error::OpsError;
use super::origin;
use crate::catalog::folder;
use crate::config::env::{Environment, Variables, cache_folder, user_name};
use crate::config::files::Files;
use crate::config::fleet;
use crate::config::load::{Loaded, find_project, load};
use crate::config::project::{
    AuthConfig, ConnectionConfig, HubspotAuthConfig, HubspotConfig, PROJECT_FILE, ProjectConfig, SalesforceConfig,
    is_about_accounts,
};
use crate::config::scalar::percent;
use crate::config::{resolve, yaml};
use crate::connect::http::login_file::LoginFile;
use crate::connect::hubspot::settings::{Credentials, HubspotSettings};
pub use crate::connect::hubspot::target::CALL_LONGEST;
use crate::connect::hubspot::target::{HubspotConnection, HubspotTarget};
use crate::connect::login::{Login, Service};
use crate::connect::salesforce::limits::ApiBudget;
use crate::connect::salesforce::settings::{AuthSettings, SalesforceSettings};
use crate::connect::salesforce::source::{SalesforceConnection, SalesforceSource};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::origin::RunOrigin;
use crate::ports::org_calls::OrgCalls;
#[cfg(feature = "postgres")]
use crate::state::postgres::connections::Databases;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::network::Network;
use crate::sys::rng::Rng;

/// Facts from outside.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub rng: Rng,
    /// What the two services are reached over.
    pub network: Network,
    /// Tells when to stop.
    pub cancel: Cancel,
}

impl Outside {
    /// The real ones.
    pub fn real() -> Self {
        Self { clock: Clock::system(), rng: Rng::from_entropy(), network: Network::Real, cancel: Cancel::new() }
    }
}

/// A loaded project. Its connections are set up when they are used for the first time, so that a command needs the secrets
/// of those alone.
pub struct Project {
    /// What was loaded.
    pub loaded: Loaded,
    /// syncline.yaml.
    pub config: ProjectConfig,
    /// Time, chance, cancellation.
    pub outside: Outside,
    /// Where the processes of this computer share what they know of rate limits.
    shared_folder: Option<PathBuf>,
    /// Who uses the computer.
    user: Option<String>,
    /// The commit of the definitions; asked for when a run needs it.
    commit: OnceLock<Option<(String, bool)>>,
    salesforce: Mutex<HashMap<String, SalesforceConnection>>,
    hubspot: Mutex<HashMap<String, HubspotConnection>>,
    /// Connections to databases with states; portals share those of their project.
    #[cfg(feature = "postgres")]
    pub(super) databases: Arc<Databases>,
}

/// The folder of the project: the one given, or the nearest one upwards from here.
pub fn project_folder(given: Option<&Path>, here: &Path) -> Result<PathBuf, OpsError> {
    match given.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if folder.join(PROJECT_FILE).is_file() => Ok(folder.to_owned()),
        Some(folder) => Err(OpsError::refused(
            "SL1012",
            format!("there is no {PROJECT_FILE} in `{}`", folder.display()),
            "`syncline init` makes a project",
        )),
        None => find_project(here).ok_or_else(|| {
            OpsError::refused(
                "SL1012",
                format!("there is no {PROJECT_FILE} here or in a folder above"),
                "`syncline init` makes a project; `--project DIR` names one; `syncline demo` needs none",
            )
        }),
    }
}

/// Loads a project; nothing is sent yet. A pipeline that is no good keeps no other from being used.
///
/// Errors: syncline.yaml itself is no good.
pub fn open(root: &Path, variables: Variables<'_>, outside: Outside) -> Result<Project, OpsError> {
    open_files(&Files::Folder(root.to_owned()), variables, outside)
}

/// The same from wherever its files are.
///
/// Errors: as [`open`].
pub fn open_files(files: &Files, variables: Variables<'_>, outside: Outside) -> Result<Project, OpsError> {
    made(load(files, Environment::Needed(variables)), variables, outside)
}

/// Opens a portal of an open project: its pipelines are those of the project, and not read again.
///
/// Errors: what is wrong with the portal's file, or with what comes of it.
pub fn open_portal(project: &Project, name: &str, variables: Variables<'_>) -> Result<Project, OpsError> {
    let loaded = fleet::one(&project.loaded, Environment::Needed(variables), name);
    let portal = made(loaded, variables, project.outside.clone())?;
    #[cfg(feature = "postgres")]
    let portal = Project { databases: Arc::clone(&project.databases), ..portal };
    Ok(portal)
}

fn made(loaded: Loaded, variables: Variables<'_>, outside: Outside) -> Result<Project, OpsError> {
    // Beside the user's caches and not in the project: two projects may use one portal.
    let shared_folder = cache_folder(variables).map(|folder| folder.join("rate-limits"));
    match &loaded.project {
        Some(config) if !loaded.unusable() => {
            let config = config.clone();
            let (user, commit) = (user_name(variables), OnceLock::new());
            let (salesforce, hubspot) = (Mutex::default(), Mutex::default());
            Ok(Project {
                loaded,
                config,
                outside,
                shared_folder,
                user,
                commit,
                salesforce,
                hubspot,
                #[cfg(feature = "postgres")]
                databases: Arc::default(),
            })
        }
        _ => Err(OpsError::Findings(Box::new(loaded))),
    }
}

/// Sends a body with headers; gives status and body of the answer, or why there was none.
#[cfg(feature = "otel")]
pub type TraceSender = crate::connect::traces::Post;

/// What sends traces to an address, each time for so long at most.
///
/// Errors: nothing can be sent there.
#[cfg(feature = "otel")]
pub fn trace_sender(url: Url, time_max: Duration) -> Result<TraceSender, String> {
    crate::connect::traces::post_to(url, time_max)
}

impl Project {
    /// A new handle on a Salesforce connection.
    ///
    /// Errors: there is none of this name; a variable or file that it names is not there; settings that cannot work.
    pub fn source(&self, name: &str) -> Result<Arc<SalesforceSource>, OpsError> {
        self.salesforce(name, SalesforceConnection::handle)
    }

    /// The handle of a run, whose calls are those of the run's report.
    ///
    /// Errors: as [`Project::source`].
    pub fn source_of_run(&self, name: &str) -> Result<Arc<SalesforceSource>, OpsError> {
        self.salesforce(name, SalesforceConnection::handle_of_run)
    }

    fn salesforce(
        &self,
        name: &str,
        handle: fn(&SalesforceConnection) -> SalesforceSource,
    ) -> Result<Arc<SalesforceSource>, OpsError> {
        // Held while it is set up, so that two pipelines do not make two limiters for one account.
        let mut known = self.salesforce.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = known.get(name) {
            return Ok(Arc::new(handle(connection)));
        }
        let Some(config @ ConnectionConfig::Salesforce(_)) = self.config.connections.get(name) else {
            return Err(no_connection(name));
        };
        self.must_be_set(name)?;
        let with_secrets = resolve::connection(&self.loaded, name).map_err(|findings| self.found(findings))?;
        let ConnectionConfig::Salesforce(config) = with_secrets.as_ref().unwrap_or(config) else {
            return Err(no_connection(name));
        };
        let Outside { clock, rng, network, cancel } = self.outside.clone();
        let settings = salesforce_settings(name, config, self.login_file(name, "Salesforce"))?;
        let connection = SalesforceConnection::new(settings, &network, clock, rng, cancel);
        let connection = connection.map_err(|fault| OpsError::Remote { pipeline: None, fault })?;
        let handle = handle(&connection);
        known.insert(name.to_owned(), connection);
        Ok(Arc::new(handle))
    }

    /// A new handle on a HubSpot connection.
    ///
    /// Errors: as [`Project::source`].
    pub fn target(&self, name: &str) -> Result<HubspotTarget, OpsError> {
        self.hubspot(name, HubspotConnection::handle)
    }

    /// The handle of a run, whose calls are those of the run's report.
    ///
    /// Errors: as [`Project::source`].
    pub fn target_of_run(&self, name: &str) -> Result<HubspotTarget, OpsError> {
        self.hubspot(name, HubspotConnection::handle_of_run)
    }

    /// The same for a comparison of both systems, which leaves room to other runs.
    ///
    /// Errors: as [`Project::source`].
    pub fn target_of_comparison(&self, name: &str) -> Result<HubspotTarget, OpsError> {
        self.hubspot(name, HubspotConnection::handle_of_comparison)
    }

    /// What the rate limit of a HubSpot connection is for, in letters that tell nothing of its token: an app of a portal.
    ///
    /// Errors: as [`Project::source`].
    pub fn limited(&self, name: &str) -> Result<String, OpsError> {
        let portal = self.portal_id(name);
        self.hubspot(name, |connection| connection.limited(portal))
    }

    /// Takes over a portal from somebody who had it until so long ago, with so many calls in the window of its rate limit; all that it
    /// allows where nobody knows.
    ///
    /// Errors: as [`Project::source`].
    pub fn inherit(&self, name: &str, calls: Option<u32>, ago: Duration) -> Result<(), OpsError> {
        self.hubspot(name, |connection| connection.inherit(calls, ago))
    }

    /// How many calls stand in the window of a HubSpot connection's rate limit, where it is in use.
    pub fn calls_lately(&self, name: &str) -> u32 {
        lock(&self.hubspot).get(name).map_or(0, HubspotConnection::calls_lately)
    }

    fn hubspot<T>(&self, name: &str, handle: impl FnOnce(&HubspotConnection) -> T) -> Result<T, OpsError> {
        let mut known = self.hubspot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = known.get(name) {
            return Ok(handle(connection));
        }
        let Some(config @ ConnectionConfig::Hubspot(_)) = self.config.connections.get(name) else {
            return Err(no_connection(name));
        };
        self.must_be_set(name)?;
        let with_secrets = resolve::connection(&self.loaded, name).map_err(|findings| self.found(findings))?;
        let ConnectionConfig::Hubspot(config) = with_secrets.as_ref().unwrap_or(config) else {
            return Err(no_connection(name));
        };
        let Outside { clock, rng, network, cancel } = self.outside.clone();
        let settings = HubspotSettings {
            shared_folder: self.shared_folder.clone(),
            ..hubspot_settings(name, config, self.login_file(name, "HubSpot"))?
        };
        let connection = HubspotConnection::new(settings, &network, clock, rng, cancel);
        let connection = connection.map_err(|fault| OpsError::Remote { pipeline: None, fault })?;
        let handle = handle(&connection);
        known.insert(name.to_owned(), connection);
        Ok(handle)
    }

    /// Where a connection keeps what a person's login left: beside the state, so that each target has its own.
    fn login_file(&self, name: &str, service: &'static str) -> LoginFile {
        // Names of connections are texts of any kind, and that of a file is not.
        let safe: String = name
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
                // Letter case is told apart everywhere, also where file names do not.
                byte => format!("%{byte:02x}"),
            })
            .collect();
        let folder = self.files_folder().join("logins");
        LoginFile { path: folder.join(format!("{safe}.json")), connection: name.to_owned(), service }
    }

    /// What a login in a browser needs to know; none where the connection does not log in that way.
    ///
    /// Errors: as [`Project::source`].
    pub fn login(&self, name: &str) -> Result<Option<Login>, OpsError> {
        let Some(config) = self.config.connections.get(name) else { return Err(no_connection(name)) };
        if config.login().is_none() {
            return Ok(None);
        }
        self.must_be_set(name)?;
        let with_secrets = resolve::connection(&self.loaded, name).map_err(|findings| self.found(findings))?;
        let config = with_secrets.as_ref().unwrap_or(config);
        let Some(login) = config.login() else { return Ok(None) };
        let (service, address, file) = match config {
            ConnectionConfig::Salesforce(config) => {
                (Service::Salesforce, &config.login_url, self.login_file(name, "Salesforce"))
            }
            ConnectionConfig::Hubspot(config) => (Service::Hubspot, &config.base_url, self.login_file(name, "HubSpot")),
        };
        let url = Url::parse(address).map_err(|error| {
            OpsError::refused("SL2009", format!("connection `{name}`: {error}"), "correct the address")
        })?;
        let portal_id = self.portal_id(name).filter(|_| service == Service::Hubspot);
        Ok(Some(Login {
            service,
            url,
            client_id: login.client_id.expose().to_owned(),
            client_secret: login.client_secret.as_ref().map(|secret| secret.expose().to_owned()),
            scopes: login.scopes.clone(),
            port: login.port,
            portal_id,
            file,
        }))
    }

    /// Goes on with the connections of the project as it was, where they are written as they were: their tokens, limits and counts
    /// stay what they are.
    pub fn take_over(&self, earlier: &Self) {
        // A secret that is asked for may be another one now.
        let same = |name: &String| {
            self.config.connections.get(name) == earlier.config.connections.get(name)
                && !resolve::has_secrets(&self.loaded, name)
        };
        let of = |name: &String| same(name).then(|| name.clone());
        let (mut present, known) = (lock(&self.salesforce), lock(&earlier.salesforce));
        present.extend(known.iter().filter_map(|(name, connection)| Some((of(name)?, connection.clone()))));
        let (mut present, known) = (lock(&self.hubspot), lock(&earlier.hubspot));
        present.extend(known.iter().filter_map(|(name, connection)| Some((of(name)?, connection.clone()))));
    }

    /// Refuses to use a connection that names variables or files which are not there.
    fn must_be_set(&self, name: &str) -> Result<(), OpsError> {
        self.must_be_there(&format!("/connections/{}/", yaml::escape(name)))
    }

    /// The same for whatever stands at a pointer that begins so.
    pub(super) fn must_be_there(&self, prefix: &str) -> Result<(), OpsError> {
        let concerns_connection =
            |finding: &&Diagnostic| matches!(&finding.place, Place::Value(at) if at.starts_with(prefix));
        let findings: Vec<Diagnostic> = self.loaded.unset.iter().filter(concerns_connection).cloned().collect();
        if findings.is_empty() { Ok(()) } else { Err(self.found(findings)) }
    }

    /// Findings in syncline.yaml as an error.
    pub(super) fn found(&self, findings: Vec<Diagnostic>) -> OpsError {
        let files = self.loaded.files.iter().filter(|file| is_about_accounts(&file.name)).cloned().collect();
        let root = self.loaded.root.clone();
        let findings = findings.into_iter().map(|finding| self.loaded.at_home(finding)).collect();
        OpsError::Findings(Box::new(Loaded { root, findings, files, ..Loaded::default() }))
    }

    /// Adds a Salesforce connection's calls since the last time to what is noted of them; gives the new note.
    pub fn note_calls(&self, name: &str, noted: Option<&str>) -> String {
        let known = self.salesforce.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).map(|connection| connection.note_calls(noted)).unwrap_or_default()
    }

    /// Has the calls of a Salesforce connection drawn from a place that all processes share.
    pub fn share_calls(&self, name: &str, shared: Arc<dyn OrgCalls>) {
        if let Some(connection) = lock(&self.salesforce).get(name) {
            connection.share_calls(shared);
        }
    }

    /// Gives back calls to orgs that were drawn and not made.
    pub async fn give_back_calls(&self) {
        let known: Vec<SalesforceConnection> = lock(&self.salesforce).values().cloned().collect();
        for connection in known {
            connection.give_back_calls().await;
        }
    }

    /// Calls that the org of a Salesforce connection allows in a day, as far as an answer has told.
    pub fn calls_allowed(&self, name: &str) -> Option<u64> {
        lock(&self.salesforce).get(name)?.calls_allowed()
    }

    /// Calls a second that a HubSpot connection may make, where it is in use.
    pub fn calls_per_second(&self, name: &str) -> Option<f64> {
        Some(lock(&self.hubspot).get(name)?.calls_per_second())
    }

    /// The portal that a HubSpot connection must lead to, where one is named.
    pub fn portal_id(&self, name: &str) -> Option<u64> {
        match self.config.connections.get(name) {
            Some(ConnectionConfig::Hubspot(config)) => config.portal_id.as_ref()?.0.parse().ok(),
            _ => None,
        }
    }

    /// The folder of the catalog, relative to the project: a target has its own.
    pub fn catalog_folder(&self) -> String {
        folder::of_target(self.loaded.target.as_deref())
    }

    /// The same project with the commit of its definitions, where that is known from elsewhere than git.
    pub fn of_commit(mut self, commit: Option<(String, bool)>) -> Self {
        self.commit = OnceLock::from(commit);
        self
    }

    /// Where a run of this project comes from that a command begins.
    pub fn origin(&self, command: &str) -> RunOrigin {
        let commit = self.commit.get_or_init(|| origin::commit(&self.loaded, &self.config.pipelines)).clone();
        let uncommitted = commit.as_ref().is_some_and(|(_, changed)| *changed);
        let (command, user) = (command.to_owned(), self.user.clone());
        RunOrigin { command, user, commit: commit.map(|(commit, _)| commit), uncommitted, planned: None }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_connection(name: &str) -> OpsError {
    OpsError::refused("SL2002", format!("there is no connection `{name}`"), "add it to syncline.yaml")
}

fn salesforce_settings(name: &str, config: &SalesforceConfig, file: LoginFile) -> Result<SalesforceSettings, OpsError> {
    let address = |text: &str| {
        Url::parse(text).map_err(|error| {
            OpsError::refused("SL2009", format!("connection `{name}`: {error}"), "correct the address")
        })
    };
    let secret = |secret: &crate::config::env::Secret| secret.expose().to_owned();
    let auth = match &config.auth {
        AuthConfig { jwt: Some(jwt), .. } => AuthSettings::Jwt {
            client_id: secret(&jwt.client_id),
            username: jwt.username.clone(),
            private_key: secret(&jwt.private_key),
            audience: jwt.audience.clone(),
        },
        AuthConfig { client_credentials: Some(client), .. } => AuthSettings::ClientCredentials {
            client_id: secret(&client.client_id),
            client_secret: secret(&client.client_secret),
        },
        AuthConfig { refresh_token: Some(refresh), .. } => AuthSettings::RefreshToken {
            client_id: secret(&refresh.client_id),
            client_secret: refresh.client_secret.as_ref().map(secret),
            token: secret(&refresh.token),
            file: refresh.token.origin().map(Path::to_owned),
        },
        AuthConfig { access_token: Some(access), .. } => {
            AuthSettings::AccessToken { token: secret(&access.token), instance_url: address(&access.instance_url)? }
        }
        AuthConfig { login: Some(login), .. } => AuthSettings::Login {
            client_id: secret(&login.client_id),
            client_secret: login.client_secret.as_ref().map(secret),
            file,
        },
        AuthConfig { .. } => {
            return Err(OpsError::refused(
                "SL1009",
                format!("connection `{name}` has no way to log in"),
                "add one under `auth`",
            ));
        }
    };
    let budget = &config.api_budget.0;
    // The schema has checked the form; a share is a whole number of percent there.
    let api_budget = match (percent(budget), budget.parse()) {
        (Some(share), _) => ApiBudget::Percent(share as u8),
        (None, Ok(calls)) => ApiBudget::Calls(calls),
        (None, Err(_)) => ApiBudget::All,
    };
    Ok(SalesforceSettings {
        login_url: address(&config.login_url)?,
        auth,
        api_version: config.api_version.clone(),
        api_budget,
    })
}

fn hubspot_settings(name: &str, config: &HubspotConfig, file: LoginFile) -> Result<HubspotSettings, OpsError> {
    let base_url = Url::parse(&config.base_url)
        .map_err(|error| OpsError::refused("SL2009", format!("connection `{name}`: {error}"), "correct `base_url`"))?;
    let rate_limit = config.fixed_rate().map(|(calls, seconds)| (calls, Duration::from_secs(seconds)));
    let secret = |secret: &crate::config::env::Secret| secret.expose().to_owned();
    let credentials = match (&config.access_token, &config.auth) {
        (Some(token), None) => Credentials::Token(secret(token)),
        (None, Some(HubspotAuthConfig { login })) => Credentials::Login {
            client_id: secret(&login.client_id),
            // HubSpot refuses an app without one, and says so.
            client_secret: login.client_secret.as_ref().map(secret).unwrap_or_default(),
            file,
        },
        _ => {
            return Err(OpsError::refused(
                "SL1009",
                format!("connection `{name}` needs exactly one way to log in"),
                "write `access_token`, or `auth` with `login`",
            ));
        }
    };
    Ok(HubspotSettings { base_url, credentials, rate_limit, shared_folder: None })
}
