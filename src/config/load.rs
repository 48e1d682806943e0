//! A whole project: read, expand, check, decode. Gathers all findings of a phase; a phase that failed stops the next.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::connections::{addresses, is_local_connection, literal_secrets, receivers, tokens};
use super::decode::{decode, decode_but};
use super::env::{Environment, Expanded, ExpansionError, Part, Variables, expand};
use super::files::Files;
use super::hide;
use super::pipeline::{PipelineConfig, TargetConfig};
use super::project::{ConnectionConfig, GuardOverrideConfig, PROJECT_FILE, ProjectConfig};
use super::read::{self, SourceFile};
use super::rules::Definition;
use super::secrets::Secrets;
use super::{dotenv, portals, rules, targets, yaml};
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place, Severity, cap};
use crate::sys::secrets;

/// Most pipeline files of a project.
/// Each is described and compiled for a command that names none.
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
    /// The target that is meant; none where it is what stands outside of `targets`.
    pub target: Option<String>,
    /// syncline.yaml as expanded; what is in `later` is still as it is written.
    pub document: serde_yaml::Value,
    /// Scalars of syncline.yaml that hold secrets by their names, by pointer: they are asked for when they are used.
    pub later: BTreeMap<String, Vec<Part>>,
    /// Where those secrets are kept; none where none may be asked for.
    pub secrets: Option<Secrets>,
    /// Where all of it was read from.
    pub definitions: Files,
    /// The portals that have a file, in order.
    pub portals: Vec<String>,
    /// The file of the portal that is meant, where one is.
    pub portal: Option<SourceFile>,
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
        let about_all = |finding: &Diagnostic| {
            let of_portal = self.portal.as_ref().is_some_and(|portal| portal.name == finding.file);
            finding.severity == Severity::Error && (&*finding.file == PROJECT_FILE || of_portal)
        };
        self.project.is_none() || self.findings.iter().any(about_all)
    }

    /// Whether there is an error.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// A finding about syncline.yaml where it stands: what the portal's file says is found there, at the same pointer.
    pub fn at_home(&self, finding: Diagnostic) -> Diagnostic {
        match &self.portal {
            Some(portal) => portals::at_home(finding, portal),
            None => finding,
        }
    }

    /// Puts the findings in the order of the files and of the places in them, and counts those that are too many to tell.
    pub fn sort(&mut self) {
        let findings = std::mem::take(&mut self.findings).into_iter();
        self.findings = findings.map(|finding| self.at_home(finding)).collect();
        let files = &self.files;
        for finding in &mut self.findings {
            let file = files.iter().find(|file| file.name == finding.file);
            if let ([(other, _)], Some(file)) = (&mut finding.others[..], file)
                // The first of two places stands in the heading, whichever rule found them.
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
        // After sorting, so that the first ones are those that are told.
        self.findings = cap(std::mem::take(&mut self.findings));
    }
}

/// The nearest folder upwards with a syncline.yaml.
pub fn find_project(start: &Path) -> Option<PathBuf> {
    // As git does: commands work in any folder of a project.
    start.ancestors().find(|folder| folder.join(PROJECT_FILE).is_file()).map(Path::to_owned)
}

/// Loads a project.
pub fn load(files: &Files, environment: Environment<'_>) -> Loaded {
    let mut loaded = Loaded { root: files.root().to_owned(), definitions: files.clone(), ..Loaded::default() };
    let project = project(files, environment, &mut loaded);
    let folder = project.as_ref().map_or("pipelines", |project| project.pipelines.as_str()).to_owned();
    let guard = loaded.target.as_ref().zip(project.as_ref());
    let guard = guard.and_then(|(target, project)| project.targets.get(target)?.guard.clone());
    // Checked on the path itself, before anything outside is looked at.
    let inside = Path::new(&folder).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside {
        pipelines(files, &folder, &mut loaded);
    } else {
        let place = Place::Value("/pipelines".to_owned());
        let finding = Diagnostic::error("SL2010", &PROJECT_FILE.into(), place, "the folder lies outside the project");
        loaded.findings.push(finding.with_help("name a folder inside it, without `..`"));
    }
    // After the files are decoded, and before any rule looks at them.
    if let Some(guard) = guard {
        loaded.pipelines.iter_mut().for_each(|pipeline| put_over(&mut pipeline.config, &guard));
    }
    loaded.project = project;
    // Without connections, every pipeline would be found fault with for the same reason.
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

/// Puts a target's limits in the place of a pipeline's own.
pub(super) fn put_over(config: &mut PipelineConfig, guard: &GuardOverrideConfig) {
    config.guard.archive = guard.archive.unwrap_or(config.guard.archive);
    config.guard.reject = guard.reject.unwrap_or(config.guard.reject);
}

/// None where syncline.yaml cannot be used; `loaded` then has findings that say why.
pub(super) fn project(files: &Files, environment: Environment<'_>, loaded: &mut Loaded) -> Option<ProjectConfig> {
    let name: Arc<str> = PROJECT_FILE.into();
    let (mut file, value) = read::read(files, PROJECT_FILE, &name, "project");
    let (given, optional) = match environment {
        Environment::Needed(variables) => (variables, false),
        Environment::Optional(variables) => (variables, true),
    };
    let dotenv = dotenv::read(files);
    loaded.findings.extend(dotenv.findings);
    loaded.files.extend(dotenv.file);
    // An empty variable of the environment does not hide the one in the file.
    let is_set = |value: &String| !value.trim().is_empty();
    let variables = |name: &str| given(name).filter(is_set).or_else(|| dotenv.variables.get(name).cloned());
    let (known, unnamed) = portals::names(files);
    loaded.findings.extend(unnamed);
    loaded.portals = known.keys().cloned().collect();
    let chosen = value.and_then(|mut value| {
        let target = targets::chosen(&file, &value, &variables, &loaded.portals);
        // A revision may be older than the target: what was outside of `targets` is compared with then.
        let target =
            if let Files::Snapshot(_) = files { target.unwrap_or_default() } else { target.map_err(|error| *error)? };
        // Before anything is expanded: afterwards, every secret would look as if it stood in the file.
        let literal = literal_secrets(&value);
        let mut names = targets::check_names(&file, &value);
        names.extend(portals::named_twice(&file, &value, &loaded.portals));
        // Before the first finding that could quote one.
        hide::remember(&value);
        if let Some(target) = &target {
            targets::apply(&mut value, target);
            file.over = targets::pointer(target);
        }
        Ok((value, target, literal, names))
    });
    loaded.files.insert(0, file.clone());
    let (mut value, target, literal, names) = match chosen {
        Ok(chosen) => chosen,
        Err(finding) => {
            loaded.findings.push(finding);
            return None;
        }
    };
    loaded.target = target;
    loaded.findings.extend(names);
    let path = loaded.target.as_ref().and_then(|target| known.get(target));
    let portal = match path {
        Some(path) => {
            let (file, portal) = portals::read(files, path, &mut loaded.findings);
            loaded.files.insert(1, file.clone());
            loaded.portal = Some(file);
            // Without its own part, the portal would be that of the project.
            Some(portal?)
        }
        None => None,
    };
    let in_portal = portal.as_ref().map(|portal| portal.put_over(&mut value)).unwrap_or_default();
    loaded.findings.extend(in_portal.findings);
    hide::remember(&value);
    let mut config = expanded(files, &file, value, (given, &variables, optional), loaded)?;
    let written = |pointer: &String| match file.spans().value(pointer) {
        Some(range) if file.is_overridden(pointer) => Place::Bytes(range),
        _ => Place::Value(pointer.clone()),
    };
    // What opens only something on this computer, such as a sandbox, is no secret.
    for pointer in literal.iter().filter(|pointer| !is_local_connection(&config, loaded.target.as_deref(), pointer)) {
        loaded.findings.push(stands_there(&name, written(pointer)));
    }
    if let (Some(portal), Some(name)) = (portal, loaded.target.clone()) {
        let local = |at: &String| is_local_connection(&config, None, at);
        let literal = in_portal.literal.iter().filter(|(at, _)| !local(at));
        loaded.findings.extend(literal.map(|(_, place)| stands_there(&portal.file.name, place.clone())));
        if portal.config.state.is_none() {
            config.state = targets::state_of(&config.state, &name);
        }
        config.targets.insert(name, portal.config.over());
    }
    Some(config)
}

/// A secret that stands in a file.
fn stands_there(name: &Arc<str>, place: Place) -> Diagnostic {
    let help = "take it from the environment with `${NAME}`, or from a file with `${file:PATH}`";
    let finding = Diagnostic::warning("SL2011", name, place, "a secret stands in the file");
    finding.with_why("whoever can read the repository can read it").with_help(help)
}

/// The document with its variables and files, checked and decoded; `variables` are those of the user, those with what
/// a file of the project adds, and whether they may be missing.
fn expanded(
    files: &Files,
    file: &SourceFile,
    mut value: serde_yaml::Value,
    (given, variables, optional): (Variables<'_>, Variables<'_>, bool),
    loaded: &mut Loaded,
) -> Option<ProjectConfig> {
    let name = &file.name;
    let root = files.folder();
    // Targets that are not meant need nothing.
    let targets = value.as_mapping_mut().and_then(|entries| entries.remove("targets"));
    let Expanded { errors, origins, written, later } = expand(&mut value, root, variables);
    // Once more, as variables and files have brought further secrets.
    hide::remember(&value);
    let document = value.clone();
    if let (Some(targets), Some(entries)) = (targets, value.as_mapping_mut()) {
        entries.insert("targets".into(), targets);
    }
    // What a connection lacks is said when it is used: another one may be all that a command needs.
    let (open, errors): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|error| error.absent && (optional || is_used_later(&error.pointer)));
    let finding = |error: &ExpansionError| {
        Diagnostic::error("SL1010", name, Place::Value(error.pointer.clone()), error.message.clone())
            .with_help(error.help.clone())
    };
    loaded.findings.extend(errors.iter().map(finding));
    loaded.findings.extend(later.keys().filter(|at| !is_used_later(at)).map(|at| secret_elsewhere(name, at)));
    loaded.unset.extend(open.iter().filter(|_| !optional).map(finding));
    if loaded.failed() {
        return None;
    }
    // What is not there cannot be judged.
    let open = |place: &Place| match place {
        Place::Value(at) if at.starts_with("/targets/") => {
            file.scalars().get(at).is_some_and(|text| text.contains("${"))
        }
        Place::Value(at) => later.contains_key(at) || open.iter().any(|error| error.pointer == *at),
        _ => false,
    };
    let first = loaded.findings.len();
    let config = decode_but(file, "project", value, open, &mut loaded.findings);
    as_written(&mut loaded.findings[first..], &written);
    let mut config: ProjectConfig = config?;
    for (connection, connection_config) in &mut config.connections {
        let pointer = format!("/connections/{}", yaml::escape(connection));
        addresses(name, &pointer, connection_config, &mut loaded.findings);
        tokens(name, &pointer, connection_config, &mut loaded.findings);
        if let ConnectionConfig::Salesforce(salesforce) = connection_config {
            let token = salesforce.auth.refresh_token.as_mut().map(|auth| &mut auth.token);
            let origin = origins.get(&format!("{pointer}/auth/refresh_token/token"));
            if let (Some(token), Some(origin)) = (token, origin) {
                token.set_origin(origin.clone());
            }
        }
    }
    receivers(name, &config, &mut loaded.findings);
    if let Some(target) =
        loaded.target.as_ref().filter(|target| config.targets.get(*target).is_some_and(|over| over.state.is_none()))
    {
        config.state = targets::state_of(&config.state, target);
    }
    // A command that needs no secret must not make a manager ask for a password.
    if let Some(root) = root.filter(|_| !optional && !later.is_empty()) {
        let names = later
            .values()
            .flatten()
            .filter_map(|part| if let Part::Secret(name) = part { Some(name.clone()) } else { None });
        let names: Vec<String> = names.collect();
        loaded.secrets = Some(Secrets::new(&names, config.secret_command.as_deref(), root, given, variables));
    }
    (loaded.document, loaded.later) = (document, later);
    Some(config)
}

/// A secret by its name where no secret is used.
fn secret_elsewhere(name: &Arc<str>, pointer: &str) -> Diagnostic {
    let place = Place::Value(pointer.to_owned());
    Diagnostic::error(
        "SL1010",
        name,
        place,
        "`${secret:…}` can stand in `state`, and below `connections` and `alerts`, only",
    )
    .with_help("write the value itself, or take it from the environment with `${NAME}`")
}

/// Whether what stands there is needed by those alone who use it: a connection, a receiver of alerts, or the state.
fn is_used_later(pointer: &str) -> bool {
    pointer.starts_with("/connections/") || pointer.starts_with("/alerts/") || pointer == "/state"
}

/// Puts what is written in the place of what came of it: a finding quotes `${NAME}`, never its value.
fn as_written(findings: &mut [Diagnostic], written: &BTreeMap<String, (String, String)>) {
    for finding in findings {
        let (Place::Value(at) | Place::Key(at)) = &finding.place else { continue };
        let at = at.clone();
        for (pointer, (form, value)) in written.iter().filter(|(_, (_, value))| !value.is_empty()) {
            // A value elsewhere in the file may be equal by chance.
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

fn pipelines(files: &Files, folder: &str, loaded: &mut Loaded) {
    if files.leads_out(folder) {
        let message = "the pipelines folder is a link to a place outside the project";
        let finding = Diagnostic::error("SL1030", &PROJECT_FILE.into(), folder_place(), message);
        loaded.findings.push(finding.with_help("put the folder itself inside the project"));
        return;
    }
    // Tests and notes stand beside pipelines, so the folder may hold more files than pipelines.
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
        // A line break in a file's name would break the message that names it.
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
            // Kept by name: the pipeline has records in HubSpot, whatever its file looks like.
            None => loaded.broken.push(Broken { name: called(&file), file: Arc::clone(&file.name) }),
        }
    }
    // Once all are there, since the other pipeline may come later in the folder.
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
    // Texts are known even where the schema refused the file; the line is for a file that is no YAML.
    let decoded = file.scalars().get("/name").cloned();
    decoded.or_else(|| {
        let line = file.text.lines().find_map(|line| line.strip_prefix("name:"))?;
        let name = line.split(" #").next().unwrap_or(line).trim().trim_matches(['"', '\'']);
        (!name.is_empty()).then(|| name.to_owned())
    })
}
