//! A project as written: connections, state, where the pipelines are. The root of `schemas/project.schema.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::{AlertConfig, ReceiverConfig};
use super::env::Secret;
use super::scalar::{GuardLimit, Scalar};

/// Name of the file.
pub const PROJECT_FILE: &str = "syncline.yaml";

/// The folder of the portals' files, in the project's own.
pub const PORTALS_FOLDER: &str = "portals";

/// Whether a file is one in which every value is covered that is not known to be no secret.
pub fn is_about_accounts(file: &str) -> bool {
    file == PROJECT_FILE || file.strip_prefix(PORTALS_FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

/// One portal, where one set of pipelines serves many: the file `portals/NAME.yaml`. `--target NAME` chooses it, and it has a catalog and
/// a state of its own, as a target has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Syncline portal")]
pub struct PortalConfig {
    /// Version of the file format. Always 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Number of the portal, as HubSpot shows it in the account's details: Syncline refuses to write to any other. It is that of all
    /// HubSpot connections here.
    #[schemars(with = "PortalSchema")]
    pub portal_id: Scalar,
    /// Values of this portal for `${NAME}` in `syncline.yaml` and below `connections`, `state` and `alerts` of this file; they come before
    /// the environment. A value may hold `${secret:NAME}`, `${file:PATH}` or a variable of the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = &serde_json::json!({"ORG": "acme"}))]
    pub variables: BTreeMap<String, String>,
    /// Connections: the keys that stand here replace those of the connection of the same name, `auth` as a whole. A name that is not
    /// there yet is a further connection.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, ConnectionOverrideConfig>,
    /// The portal's state. Unless set, a folder of the portal's name beside the project's state: `sqlite:.syncline/acme/state.db`; in
    /// PostgreSQL, the state of the portal's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(sqlite:|postgres(ql)?://)[^\\r\\n]+$"), example = &"sqlite:.syncline/acme.db")]
    pub state: Option<String>,
    /// Limits of all pipelines, in place of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardOverrideConfig>,
    /// Who is told when something is wrong, in place of the project's receivers: `[]` is nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<ReceiverConfig>>,
}

impl PortalConfig {
    /// What it says as a target does.
    pub fn over(&self) -> OverrideConfig {
        OverrideConfig {
            connections: self.connections.clone(),
            state: self.state.clone(),
            guard: self.guard.clone(),
            alerts: self.alerts.clone(),
        }
    }
}

/// Connections, state and the folder of the pipelines: the file `syncline.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Syncline project")]
pub struct ProjectConfig {
    /// Version of the file format. Always 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Salesforce orgs and HubSpot portals, under any names. Pipelines use those called `salesforce` and `hubspot` unless
    /// they name others.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Where Syncline keeps its state: `sqlite:PATH`, the path relative to this file, or `postgres://USER:PASSWORD@HOST/DATABASE?state=NAME`.
    /// A target has its own.
    #[serde(default = "default_state")]
    #[schemars(regex(pattern = "^(sqlite:|postgres(ql)?://)[^\\r\\n]+$"), example = &"sqlite:.syncline/state.db")]
    pub state: String,
    /// Folder of the pipeline files, inside the project.
    #[serde(default = "default_pipelines")]
    #[schemars(example = &"pipelines")]
    pub pipelines: String,
    /// From when on something is wrong, for all pipelines; each may say otherwise.
    #[serde(default, skip_serializing_if = "AlertConfig::is_unset")]
    pub alert: AlertConfig,
    /// Who is told when something is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<ReceiverConfig>,
    /// Environments such as `dev` and `prod`, each with what is different there; `--target` or `SYNCLINE_TARGET` chooses one. A
    /// target has a catalog of its own (`catalog/NAME`), and a state of its own unless it names one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, OverrideConfig>,
    /// The target that is meant where none is chosen; without it, what stands outside of `targets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"dev")]
    pub default_target: Option<String>,
    /// The program that gives the secrets of `${secret:NAME}`, with its arguments; `{name}` stands for the secret's name, which is the
    /// last argument otherwise. It is run only where the user's own environment allows this very command; see
    /// docs/guide/environments.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = ["op", "read", "op://syncline/{name}"], length(min = 1, max = 50))]
    pub secret_command: Option<Vec<String>>,
}

/// What is different in one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OverrideConfig {
    /// Connections: the keys that stand here replace those of the connection of the same name, `auth` as a whole. A name that is not
    /// there yet is a further connection.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, ConnectionOverrideConfig>,
    /// The target's state. Unless set, a folder of the target's name beside the project's state: `sqlite:.syncline/dev/state.db`; in
    /// PostgreSQL, the state of the target's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(sqlite:|postgres(ql)?://)[^\\r\\n]+$"), example = &"sqlite:.syncline/dev.db")]
    pub state: Option<String>,
    /// Limits of all pipelines, in place of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardOverrideConfig>,
    /// Who is told when something is wrong, in place of the project's receivers: `[]` is nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<ReceiverConfig>>,
}

/// What is different about a connection in one target; each key as in `connections`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionOverrideConfig {
    /// `salesforce` or `hubspot`. Another one than before replaces the connection whole.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["salesforce", "hubspot"]))]
    pub kind: Option<String>,
    /// The org's own login address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_url: Option<String>,
    /// How Syncline logs in; to HubSpot by `login` only, in the place of `access_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthConfig>,
    /// How many of the org's daily API calls Syncline may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BudgetSchema>")]
    pub api_budget: Option<Scalar>,
    /// Version of Salesforce's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Token of a HubSpot app, or a service key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// HubSpot's rate limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<String>,
    /// Number of the portal: Syncline refuses to write to any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PortalSchema>")]
    pub portal_id: Option<Scalar>,
    /// Address of HubSpot's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

/// Limits of all pipelines in one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardOverrideConfig {
    /// Most records that one run may archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<GuardLimit>,
    /// Most records that one run may reject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<GuardLimit>,
}

/// One system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ConnectionConfig {
    /// A Salesforce org.
    Salesforce(Box<SalesforceConfig>),
    /// A HubSpot portal.
    Hubspot(Box<HubspotConfig>),
}

/// A Salesforce org.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SalesforceConfig {
    /// The org's own login address (My Domain). Plain http is accepted for loopback addresses only.
    #[schemars(regex(pattern = "^https?://"), example = &"https://acme.my.salesforce.com")]
    pub login_url: String,
    /// How Syncline logs in. Exactly one.
    pub auth: AuthConfig,
    /// How many of the org's daily API calls Syncline may use: a share (`20%`) or a count.
    #[serde(default = "default_budget")]
    #[schemars(with = "BudgetSchema")]
    pub api_budget: Scalar,
    /// API version, without a `v`.
    #[serde(default = "default_api_version")]
    #[schemars(regex(pattern = "^[0-9]{2,3}\\.0$"))]
    pub api_version: String,
}

/// How Syncline logs in to Salesforce. Exactly one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["jwt"] }, { "required": ["client_credentials"] }, { "required": ["refresh_token"] }, { "required": ["access_token"] }, { "required": ["login"] }]))]
pub struct AuthConfig {
    /// A signed assertion for one user; needs no stored token. The best choice for a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtConfig>,
    /// The app's own "Run As" user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<ClientCredentialsConfig>,
    /// A refresh token from a person's login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<RefreshTokenConfig>,
    /// A token obtained elsewhere; it cannot be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<AccessTokenConfig>,
    /// A person's login in a browser: `syncline login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginConfig>,
}

/// A person's login in a browser, by `syncline login`. Its tokens are kept beside the state, for their owner only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// The app's id: consumer key in Salesforce, client id in HubSpot.
    pub client_id: Secret,
    /// The app's secret. HubSpot asks for it always, Salesforce where the app requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// Port of this computer that the browser is sent back to. The app must list the address `http://localhost:PORT/callback`.
    #[serde(default = "default_login_port")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: u16,
    /// What is asked for: exactly the scopes that the app lists. Unless set, `api refresh_token` of Salesforce, and of HubSpot what custom
    /// objects, companies and owners need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = ["oauth", "crm.objects.custom.read"], length(min = 1, max = 100))]
    pub scopes: Option<Vec<String>>,
}

/// How Syncline logs in to HubSpot, in the place of `access_token`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HubspotAuthConfig {
    /// A person's login in a browser: `syncline login`.
    pub login: LoginConfig,
}

/// A signed assertion for one user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// Consumer key of the app.
    pub client_id: Secret,
    /// Salesforce user name.
    #[schemars(example = &"syncline@acme.com")]
    pub username: String,
    /// RSA private key in PEM.
    pub private_key: Secret,
    /// Audience of the assertion; chosen by the login address unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// The app's own "Run As" user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentialsConfig {
    /// Consumer key of the app.
    pub client_id: Secret,
    /// Consumer secret of the app.
    pub client_secret: Secret,
}

/// A refresh token from a person's login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshTokenConfig {
    /// Consumer key of the app.
    pub client_id: Secret,
    /// Consumer secret, where the app asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// The refresh token. When it comes from a file, a token that replaces it is written back there.
    pub token: Secret,
}

/// A token obtained elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessTokenConfig {
    /// The token.
    pub token: Secret,
    /// The org's address that the token is valid for.
    #[schemars(regex(pattern = "^https?://"))]
    pub instance_url: String,
}

/// A HubSpot portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["access_token"] }, { "required": ["auth"] }]))]
pub struct HubspotConfig {
    /// Token of a private app, or a service key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// A login in the place of a token. Exactly one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HubspotAuthConfig>,
    /// `auto` reads the limit from HubSpot's answers; or a number of calls in a time, such as `190/10s`: at least one call, in
    /// at least a second.
    #[serde(default = "default_rate_limit")]
    #[schemars(regex(pattern = "^(auto|[1-9][0-9]{0,4}/[1-9][0-9]{0,3}s)$"), example = &"auto", example = &"190/10s")]
    pub rate_limit: String,
    /// Number of the portal: Syncline refuses to write to any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PortalSchema>")]
    pub portal_id: Option<Scalar>,
    /// Address of the API.
    #[serde(default = "default_base_url")]
    #[schemars(regex(pattern = "^https?://"))]
    pub base_url: String,
}

/// A share of the org's daily API calls, or a count of them.
#[derive(JsonSchema)]
#[schemars(extend("type" = ["string", "integer"], "pattern" = "^([1-9][0-9]{0,11}|(100|[1-9][0-9]?)%)$", "minimum" = 1, "examples" = ["20%", 5000]))]
struct BudgetSchema(#[expect(dead_code, reason = "only its schema is used")] serde_json::Value);

/// The number of a portal.
#[derive(JsonSchema)]
#[schemars(extend("type" = ["string", "integer"], "pattern" = "^[1-9][0-9]{0,14}$", "minimum" = 1, "examples" = [51_234_567]))]
struct PortalSchema(#[expect(dead_code, reason = "only its schema is used")] serde_json::Value);

impl HubspotConfig {
    /// The fixed rate limit, where one is set: calls and seconds.
    pub fn fixed_rate(&self) -> Option<(u32, u64)> {
        let (calls, seconds) = self.rate_limit.split_once('/')?;
        Some((calls.parse().ok()?, seconds.strip_suffix('s')?.parse().ok()?))
    }
}

fn default_state() -> String {
    "sqlite:.syncline/state.db".to_owned()
}

fn default_pipelines() -> String {
    "pipelines".to_owned()
}

fn default_budget() -> Scalar {
    Scalar("20%".to_owned())
}

fn default_api_version() -> String {
    "67.0".to_owned()
}

fn default_rate_limit() -> String {
    "auto".to_owned()
}

impl ConnectionConfig {
    /// A person's login in a browser, where that is how this connection logs in.
    pub fn login(&self) -> Option<&LoginConfig> {
        match self {
            Self::Salesforce(config) => config.auth.login.as_ref(),
            Self::Hubspot(config) => config.auth.as_ref().map(|auth| &auth.login),
        }
    }
}

fn default_login_port() -> u16 {
    8910
}

fn default_base_url() -> String {
    "https://api.hubapi.com".to_owned()
}
