//! A whole project: read, expand, check, decode. Gathers all findings of a phase; a phase that failed stops the next.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::address::is_loopback;
use super::alerts::ReceiverConfig;
use super::env::{Environment, Expanded, ExpansionError, Secret, expand};
use super::files::Files;
use super::hide::{self, SECRET_KEYS};
use super::pipeline::{PipelineConfig, TargetConfig};
use super::project::{ConnectionConfig, PROJECT_FILE, ProjectConfig};
use super::read::{self, SourceFile};
use super::rules::Definition;
use super::{explain, rules, schema, yaml};
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place, Severity, cap};
use crate::sys::secrets;

/// Most pipeline files of a project.
pub const PIPELINES_MAX: usize = 1_000;

/// A project as loaded.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Its folder.
    pub root: PathBuf,
    /// syncline.yaml, where it is good.
    pub project: Option<ProjectConfig>,
    /// The pipelines that could be decoded, in file order.
    pub pipelines: Vec<LoadedPipeline>,
    /// The files of pipelines that could not be decoded, in file order.
    pub broken: Vec<Broken>,
    /// Variables and files that connections name and that are not there: for those who use the connection.
    pub unset: Vec<Diagnostic>,
    /// Why there is no pipeline at all, where there is none; for a run, that is an error.
    pub nothing: Option<Diagnostic>,
    /// All findings, in file order.
    pub findings: Vec<Diagnostic>,
    /// All files that were read, for showing findings.
    pub files: Vec<SourceFile>,
}

/// A pipeline file.
#[derive(Debug, Clone)]
pub struct LoadedPipeline {
    /// Its text.
    pub file: SourceFile,
    /// Its content.
    pub config: PipelineConfig,
}

/// A pipeline file that could not be decoded.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Name of the file.
    pub file: Arc<str>,
    /// The name of its pipeline, as far as it can be read.
    pub name: Option<String>,
}

impl Broken {
    /// What it is called: by its own name, else by that of its file.
    pub fn name(&self) -> &str {
        let stem = || {
            self.file.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or(&*self.file, |(stem, _)| stem)
        };
        self.name.as_deref().unwrap_or_else(stem)
    }
}

impl Loaded {
    /// Whether syncline.yaml itself is no good, so that nothing can be done for any pipeline.
    pub fn unusable(&self) -> bool {
        let about_all = |finding: &Diagnostic| finding.severity == Severity::Error && &*finding.file == PROJECT_FILE;
        self.project.is_none() || self.findings.iter().any(about_all)
    }

    /// Whether there is an error.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Puts the findings in the order of the files and of the places in them, and counts those that are too many to tell.
    pub fn sort(&mut self) {
        let files = &self.files;
        for finding in &mut self.findings {
            let file = files.iter().find(|file| file.name == finding.file);
            if let ([(other, _)], Some(file)) = (&mut finding.others[..], file)
                && file.locate(other).start > file.locate(&finding.place).start
            {
                std::mem::swap(other, &mut finding.place);
            }
        }
        let place = |finding: &Diagnostic| {
            let number = files.iter().position(|file| file.name == finding.file);
            number.map(|number| (number, files[number].locate(&finding.place).start))
        };
        self.findings.sort_by_cached_key(|finding| (place(finding), finding.stands_for > 1));
        self.findings = cap(std::mem::take(&mut self.findings));
    }
}

/// The nearest folder upwards with a syncline.yaml.
pub fn find_project(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(PROJECT_FILE).is_file()).map(Path::to_owned)
}

/// Loads a project.
pub fn load(files: &Files, environment: Environment<'_>) -> Loaded {
    let mut loaded = Loaded { root: files.root().to_owned(), ..Loaded::default() };
    let project = project(files, environment, &mut loaded);
    let folder = project.as_ref().map_or("pipelines", |project| project.pipelines.as_str()).to_owned();
    let inside = Path::new(&folder).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside {
        pipelines(files, &folder, &mut loaded);
    } else {
        let place = Place::Value("/pipelines".to_owned());
        let finding = Diagnostic::error("SL2010", &PROJECT_FILE.into(), place, "the folder lies outside the project");
        loaded.findings.push(finding.with_help("name a folder inside it, without `..`"));
    }
    loaded.project = project;
    if !loaded.unusable() {
        let definitions =
            loaded.pipelines.iter().map(|pipeline| Definition { file: &pipeline.file.name, config: &pipeline.config });
        let definitions: Vec<Definition<'_>> = definitions.collect();
        let broken: Vec<&str> = loaded.broken.iter().map(Broken::name).collect();
        let findings = rules::check(loaded.project.as_ref(), &definitions, &broken);
        loaded.findings.extend(findings);
    }
    loaded.sort();
    loaded
}

fn project(files: &Files, environment: Environment<'_>, loaded: &mut Loaded) -> Option<ProjectConfig> {
    let name: Arc<str> = PROJECT_FILE.into();
    let (file, value) = read::read(files, PROJECT_FILE, &name, "project");
    loaded.files.push(file.clone());
    let mut value = match value {
        Ok(value) => value,
        Err(finding) => {
            loaded.findings.push(finding);
            return None;
        }
    };
    let literal = literal_secrets(&value);
    let root = match files {
        Files::Folder(root) => Some(root.as_path()),
        Files::Snapshot(_) => None,
    };
    let (variables, optional) = match environment {
        Environment::Needed(variables) => (variables, false),
        Environment::Optional(variables) => (variables, true),
    };
    hide::remember(&value);
    let Expanded { errors, origins, written } = expand(&mut value, root, variables);
    hide::remember(&value);
    // What a connection lacks is said when it is used: another one may be all that a command needs.
    let (open, errors): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|error| error.absent && (optional || is_used_later(&error.pointer)));
    let finding = |error: &ExpansionError| {
        Diagnostic::error("SL1010", &name, Place::Value(error.pointer.clone()), error.message.clone())
            .with_help(error.help.clone())
    };
    loaded.findings.extend(errors.iter().map(finding));
    loaded.unset.extend(open.iter().filter(|_| !optional).map(finding));
    if loaded.failed() {
        return None;
    }
    // What is not there cannot be judged.
    let open = |place: &Place| matches!(place, Place::Value(at) if open.iter().any(|error| error.pointer == *at));
    let first = loaded.findings.len();
    let config = decode_but(&file, "project", value, open, &mut loaded.findings);
    as_written(&mut loaded.findings[first..], &written);
    let mut config: ProjectConfig = config?;
    // What opens only something on this computer, such as a sandbox, is no secret.
    let local = |pointer: &String| {
        config.connections.iter().any(|(name, connection)| {
            let prefix = format!("/connections/{}/", yaml::escape(name));
            pointer.starts_with(&prefix) && addresses_of(connection).iter().all(|(_, address)| is_local(address))
        })
    };
    for pointer in literal.into_iter().filter(|pointer| !local(pointer)) {
        let finding = Diagnostic::warning("SL2011", &name, Place::Value(pointer), "a secret stands in the file");
        let help = "take it from the environment with `${NAME}`, or from a file with `${file:PATH}`";
        loaded.findings.push(finding.with_why("whoever can read the repository can read it").with_help(help));
    }
    for (connection, connection_config) in &mut config.connections {
        let pointer = format!("/connections/{}", yaml::escape(connection));
        addresses(&name, &pointer, connection_config, &mut loaded.findings);
        tokens(&name, &pointer, connection_config, &mut loaded.findings);
        if let ConnectionConfig::Salesforce(salesforce) = connection_config {
            let token = salesforce.auth.refresh_token.as_mut().map(|auth| &mut auth.token);
            let origin = origins.get(&format!("{pointer}/auth/refresh_token/token"));
            if let (Some(token), Some(origin)) = (token, origin) {
                token.set_origin(origin.clone());
            }
        }
    }
    receivers(&name, &config, &mut loaded.findings);
    Some(config)
}

/// Whether what stands there is needed by those alone who use it: a connection, or a receiver of alerts.
fn is_used_later(pointer: &str) -> bool {
    pointer.starts_with("/connections/") || pointer.starts_with("/alerts/")
}

/// Puts what is written in the place of what came of it: a finding quotes `${NAME}`, never its value.
fn as_written(findings: &mut [Diagnostic], written: &BTreeMap<String, (String, String)>) {
    for finding in findings {
        let (Place::Value(at) | Place::Key(at)) = &finding.place else { continue };
        let at = at.clone();
        for (pointer, (form, value)) in written.iter().filter(|(_, (_, value))| !value.is_empty()) {
            if !pointer.starts_with(&at) && !at.starts_with(pointer.as_str()) {
                continue;
            }
            let start: String = value.chars().take(8).collect();
            for text in
                [Some(&mut finding.message), finding.label.as_mut(), finding.why.as_mut(), finding.help.as_mut()]
            {
                let Some(text) = text else { continue };
                // A short value stands in many words; only where it is quoted is it the value.
                *text = match value.len() < secrets::LENGTH_MIN {
                    true => text.replace(&format!("`{value}`"), &format!("`{form}`")),
                    false => text.replace(value, form),
                };
                // A value that was shortened, or stands there in another form.
                if start.len() >= 4 && text.contains(&start) && !form.contains(&start) {
                    *text = format!("what `{form}` stands for does not fit here");
                }
            }
        }
    }
}

/// Tokens are sent in headers and forms: each is one word.
fn tokens(name: &Arc<str>, pointer: &str, connection: &ConnectionConfig, findings: &mut Vec<Diagnostic>) {
    let all: Vec<(&str, &Secret)> = match connection {
        ConnectionConfig::Hubspot(hubspot) => vec![("access_token", &hubspot.access_token)],
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
    for (key, secret) in all {
        let Some(what) = secret.is_no_token() else { continue };
        let last = key.rsplit('/').next().unwrap_or_default();
        let place = Place::Value(format!("{pointer}/{key}"));
        let finding = Diagnostic::error("SL1031", name, place, format!("`{last}` contains {what}"));
        let help = "check the variable or file that it comes from, and copy the value again; only white space around it is ignored";
        findings.push(finding.with_why("a token is one word without spaces or line breaks").with_help(help));
    }
}

/// Credentials travel by https only, or stay on this computer.
fn addresses(name: &Arc<str>, pointer: &str, connection: &ConnectionConfig, findings: &mut Vec<Diagnostic>) {
    for (key, address) in addresses_of(connection) {
        findings.extend(wrong_address(name, Place::Value(format!("{pointer}/{key}")), address));
    }
}

fn wrong_address(name: &Arc<str>, place: Place, address: &str) -> Option<Diagnostic> {
    match url::Url::parse(address) {
        _ if address.contains("${") => None,
        Err(error) => Some(Diagnostic::error("SL2009", name, place, format!("this is not an address: {error}"))),
        Ok(url) if url.scheme() == "http" && !is_loopback(&url) => {
            let finding =
                Diagnostic::error("SL2009", name, place, "plain http is accepted only for addresses on this computer");
            Some(finding.with_why("credentials would be sent unencrypted").with_help("use https"))
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some(Diagnostic::error("SL2009", name, place, "an address must not contain credentials"))
        }
        Ok(_) => None,
    }
}

/// Receivers of alerts have names of their own and addresses that something can be sent to.
fn receivers(name: &Arc<str>, config: &ProjectConfig, findings: &mut Vec<Diagnostic>) {
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
fn addresses_of(connection: &ConnectionConfig) -> Vec<(&'static str, &str)> {
    match connection {
        ConnectionConfig::Hubspot(connection) => vec![("base_url", connection.base_url.as_str())],
        ConnectionConfig::Salesforce(connection) => {
            let instance = connection.auth.access_token.as_ref();
            let instance = instance.map(|token| ("auth/access_token/instance_url", token.instance_url.as_str()));
            [Some(("login_url", connection.login_url.as_str())), instance].into_iter().flatten().collect()
        }
    }
}

fn is_local(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| is_loopback(&url))
}

/// Secrets that stand in the file itself.
fn literal_secrets(value: &serde_yaml::Value) -> Vec<String> {
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

fn pipelines(files: &Files, folder: &str, loaded: &mut Loaded) {
    if files.leads_out(folder) {
        let message = "the pipelines folder is a link to a place outside the project";
        let finding = Diagnostic::error("SL1030", &PROJECT_FILE.into(), folder_place(), message);
        loaded.findings.push(finding.with_help("put the folder itself inside the project"));
        return;
    }
    let Some(mut entries) = files.tree(folder, PIPELINES_MAX * 4) else {
        loaded.nothing = Some(no_folder(files, folder));
        return;
    };
    let mut others = Vec::new();
    entries.retain(|path| match kind_of(path) {
        Kind::Pipeline => true,
        Kind::Test | Kind::Ignored => false,
        Kind::Other => {
            others.push(path.clone());
            false
        }
    });
    if entries.len() > PIPELINES_MAX {
        let message = format!("the project has more than {PIPELINES_MAX} pipelines");
        let finding = Diagnostic::error("SL1011", &PROJECT_FILE.into(), folder_place(), message);
        loaded.findings.push(finding.with_help("split it into several projects"));
    }
    loaded.findings.extend(unread(folder, &others));
    if entries.is_empty() {
        let message = format!("there is no pipeline in `{folder}`");
        let finding = Diagnostic::warning("SL1021", &PROJECT_FILE.into(), folder_place(), message);
        let help = "`syncline new` writes one; a pipeline is a file that ends in `.yaml`, here or in a subfolder";
        loaded.nothing = Some(finding.with_help(help));
    }
    for path in entries.into_iter().take(PIPELINES_MAX) {
        let (file, value) = read::read(files, &path, &path.replace(['\n', '\r'], "?").into(), "pipeline");
        loaded.files.push(file.clone());
        let config = match value {
            Err(finding) => {
                loaded.findings.push(finding);
                None
            }
            Ok(value) => decode(&file, "pipeline", value, &mut loaded.findings),
        };
        let config = config.map(|mut config: PipelineConfig| {
            loaded.findings.extend(config.spread(&file.name));
            config
        });
        match config {
            Some(config) => loaded.pipelines.push(LoadedPipeline { file, config }),
            None => loaded.broken.push(Broken { name: called(&file), file: Arc::clone(&file.name) }),
        }
    }
    join_ends(&mut loaded.pipelines);
}

/// Where the first end of `associate` names a pipeline, the associations begin at the object of that one.
fn join_ends(pipelines: &mut [LoadedPipeline]) {
    let targets: HashMap<String, TargetConfig> = pipelines
        .iter()
        .filter(|pipeline| pipeline.config.associate.is_none())
        .map(|pipeline| (pipeline.config.name.clone(), pipeline.config.target.clone()))
        .collect();
    for config in pipelines.iter_mut().map(|pipeline| &mut pipeline.config) {
        let named = config.associate.as_ref().and_then(|associate| targets.get(associate.from.pipeline.as_ref()?));
        if let Some(target) = named {
            config.target.object.clone_from(&target.object);
        }
    }
}

/// What a file below the folder of pipelines is.
enum Kind {
    Pipeline,
    Test,
    /// Notes, and what begins with a dot: nobody takes them for pipelines.
    Ignored,
    Other,
}

fn kind_of(path: &str) -> Kind {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        _ if name.starts_with('.') || name.ends_with(".md") => Kind::Ignored,
        _ if is_test(name) => Kind::Test,
        _ if name.ends_with(".yaml") || name.ends_with(".yml") => Kind::Pipeline,
        _ => Kind::Other,
    }
}

/// Whether a file holds tests of the pipeline beside it.
pub fn is_test(name: &str) -> bool {
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

fn folder_place() -> Place {
    Place::Value("/pipelines".to_owned())
}

/// A folder that is not there: most often misspelt.
fn no_folder(files: &Files, folder: &str) -> Diagnostic {
    let shown: String = folder.chars().take(60).collect();
    let message = format!("there is no folder `{shown}` for the pipelines");
    let finding = Diagnostic::error("SL1020", &PROJECT_FILE.into(), folder_place(), message);
    let folders = files.folders();
    match nearest(folder, folders.iter().map(String::as_str)) {
        Some(near) => finding.with_label(format!("did you mean `{near}`?")),
        None => finding
            .with_help("create it, or name the folder that holds the pipelines: `pipelines: FOLDER` in syncline.yaml"),
    }
}

/// Files beside the pipelines that are none, named once.
fn unread(folder: &str, others: &[String]) -> Option<Diagnostic> {
    const NAMED_MAX: usize = 8;
    let first = others.first()?;
    let names: Vec<String> = others.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let more = others.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = match others.len() {
        1 => format!("`{first}` is ignored: pipeline files end in `.yaml`"),
        _ => format!("ignored files in `{folder}`: {}{more}", names.join(", ")),
    };
    let finding = Diagnostic::warning("SL1022", &PROJECT_FILE.into(), folder_place(), message);
    Some(finding.with_help("rename pipelines so that they end in `.yaml`, and keep other files elsewhere"))
}

/// The name that a broken file gives its pipeline, as far as it can be read.
fn called(file: &SourceFile) -> Option<String> {
    let decoded = file.scalars.get("/name").cloned();
    decoded.or_else(|| {
        let line = file.text.lines().find_map(|line| line.strip_prefix("name:"))?;
        let name = line.split(" #").next().unwrap_or(line).trim().trim_matches(['"', '\'']);
        (!name.is_empty()).then(|| name.to_owned())
    })
}

/// Checks a value against its schema and decodes it.
pub fn decode<T: DeserializeOwned>(
    file: &SourceFile,
    schema_name: &str,
    value: serde_yaml::Value,
    findings: &mut Vec<Diagnostic>,
) -> Option<T> {
    decode_but(file, schema_name, value, |_| false, findings)
}

/// The same, without the findings at places that cannot be judged.
fn decode_but<T: DeserializeOwned>(
    file: &SourceFile,
    schema_name: &str,
    value: serde_yaml::Value,
    open: impl Fn(&Place) -> bool,
    findings: &mut Vec<Diagnostic>,
) -> Option<T> {
    let definition = schema::definition(schema_name)?;
    let mut violations = explain::check(file, definition, &yaml::to_json(&value));
    violations.retain(|finding| !open(&finding.place));
    if !violations.is_empty() {
        findings.extend(violations);
        return None;
    }
    match yaml::decode(value) {
        Ok(config) => Some(config),
        Err(error) => {
            findings.push(Diagnostic::error("SL1005", &file.name, Place::File, error));
            None
        }
    }
}
