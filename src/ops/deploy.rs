//! `deploy`: definitions are checked for all portals and kept beside the states, for those who run them without a checkout.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::{deploy_catalogs, diff};
use crate::catalog::folder;
use crate::config::env::{Variables, user_name};
use crate::config::files::Files;
use crate::config::load::{Loaded, is_test};
use crate::config::project::{PORTALS_FOLDER, PROJECT_FILE};
use crate::config::read::{FILE_BYTES_MAX, SourceFile};
use crate::config::targets::VARIABLE;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::model::change::DefinitionDiff;
use crate::ports::deployments::{About, DefinitionFiles, DeploymentRow, Deployments, NewDeployment};
use crate::project::deployment::Deployment;
use crate::project::error::OpsError;
use crate::project::offline;
use crate::project::origin::{self, Standing};
use crate::project::revision::Base;
use crate::project::wiring::Project;
use crate::sys::git::Commit;

/// What `deploy --format json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Syncline deploy")]
pub struct DeployReport {
    /// The deployment that was made; none in a dry run, and where nothing has changed.
    pub deployment: Option<DeploymentView>,
    /// What was deployed before.
    pub previous: Option<DeploymentView>,
    /// Nothing was to be changed.
    pub dry_run: bool,
    /// Files that differ from those of the commit.
    pub uncommitted: Vec<String>,
    /// What changes.
    pub definitions: DefinitionDiff,
}

/// What `deploy --list --format json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Syncline deployments")]
pub struct DeploymentList {
    /// The newest first.
    pub deployments: Vec<DeploymentView>,
}

/// A deployment as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeploymentView {
    /// Its number.
    pub number: u64,
    /// When it was made (UTC).
    pub made: String,
    /// Who made it.
    pub user: Option<String>,
    /// The commit of its files, where they are in git.
    pub commit: Option<String>,
    /// The files were not as that commit has them.
    pub uncommitted: bool,
    /// The targets and portals that are in it.
    pub portals: Vec<String>,
    /// The deployment whose files it has, where it went back to that.
    pub back_to: Option<u64>,
}

impl From<DeploymentRow> for DeploymentView {
    fn from(row: DeploymentRow) -> Self {
        let DeploymentRow { number, made, about, back_to } = row;
        let About { user, commit, uncommitted, portals } = about;
        Self { number, made: made.to_string(), user, commit, uncommitted, portals, back_to }
    }
}

impl DeploymentView {
    /// `deployment 4 of 1a2b3c4d5 with changes`.
    pub fn words(&self) -> String {
        let commit = self.commit.as_ref().map(|commit| {
            let changed = if self.uncommitted { " with changes" } else { "" };
            format!(" of {commit}{changed}")
        });
        let back = self.back_to.map(|number| format!(", back to {number}")).unwrap_or_default();
        format!("deployment {}{}{back}", self.number, commit.unwrap_or_default())
    }
}

/// How a deployment is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeployOptions {
    /// Only tell what would change.
    pub dry_run: bool,
    /// Files may be others than those of the commit.
    pub allow_uncommitted: bool,
}

/// Checks and deploys a project.
///
/// Errors: the state is a file; findings of any portal; a secret in a file; changes that are not committed; somebody else deployed meanwhile.
pub async fn deploy(
    project: &Project,
    variables: Variables<'_>,
    options: DeployOptions,
) -> Result<DeployReport, OpsError> {
    let deployments = project.deployments(!options.dry_run)?;
    let files = collected(&project.loaded)?;
    let portals = checked(project, variables)?;
    let standing = origin::standing(&project.loaded.root, &files, &folders(&project.loaded), counts)?;
    let (commit, uncommitted) = match standing {
        Standing::NoRepository => (None, Vec::new()),
        Standing::At(commit, changed) => (Some(commit), changed),
    };
    if !options.dry_run && !options.allow_uncommitted && !uncommitted.is_empty() {
        return Err(not_committed(&uncommitted));
    }
    let previous = current(&*deployments).await?;
    let definitions = difference(previous.as_ref(), &project.loaded, &portals, variables);
    let row = previous.as_ref().map(|deployment| deployment.row.clone());
    let about = About {
        user: user_name(variables),
        commit: commit.map(|commit| commit.short().to_owned()),
        uncommitted: !uncommitted.is_empty(),
        portals,
    };
    let same = previous.as_ref().is_some_and(|previous| {
        *previous.content() == files
            && (&previous.row.about.commit, previous.row.about.uncommitted) == (&about.commit, about.uncommitted)
    });
    let mut made = None;
    if !options.dry_run && !same {
        let before = row.as_ref().map(|row| row.number);
        made = Some(make(&*deployments, NewDeployment { about, files, back_to: None }, before).await?);
    }
    let (deployment, previous) = (made.map(Into::into), row.map(Into::into));
    Ok(DeployReport { deployment, previous, dry_run: options.dry_run, uncommitted, definitions })
}

/// Goes back to the deployment before, which becomes the newest one.
///
/// Errors: there is none before; its files are no good for this program; somebody else deployed meanwhile.
pub async fn roll_back(
    project: &Project,
    variables: Variables<'_>,
    options: DeployOptions,
) -> Result<DeployReport, OpsError> {
    let deployments = project.deployments(!options.dry_run)?;
    let none = |message: &str| OpsError::refused("SL6054", message, "`syncline deploy --list` tells what there is");
    let Some(now) = current(&*deployments).await? else { return Err(none("nothing was deployed yet")) };
    // Going back twice leads to the one before that, and not back to where it began.
    let before = match now.row.effective() {
        0 | 1 => None,
        number => deployments.one(number - 1).await?,
    };
    let Some(before) = before else {
        return Err(none(&format!("there is no deployment before deployment {}", now.row.effective())));
    };
    let back_to = before.effective();
    let before = Deployment::of(&*deployments, before).await?;
    let loaded = all_good(&before.files(&project.loaded.root), variables, before.portals())?;
    let definitions = difference(Some(&now), &loaded, before.portals(), variables);
    let mut made = None;
    if !options.dry_run {
        let about = About { user: user_name(variables), ..before.row.about.clone() };
        let new = NewDeployment { about, files: before.content().clone(), back_to: Some(back_to) };
        made = Some(make(&*deployments, new, Some(now.row.number)).await?);
    }
    let (deployment, previous) = (made.map(Into::into), Some(now.row.into()));
    Ok(DeployReport { deployment, previous, dry_run: options.dry_run, uncommitted: Vec::new(), definitions })
}

/// The newest deployments.
pub async fn list(project: &Project, limit: usize) -> Result<DeploymentList, OpsError> {
    let rows = project.deployments(false)?.newest(limit).await?;
    Ok(DeploymentList { deployments: rows.into_iter().map(Into::into).collect() })
}

/// The deployment of a project whose state is in a database; none where nothing was deployed.
pub async fn deployed(project: &Project) -> Result<Option<DeploymentView>, OpsError> {
    // A state in a file has none, which is no error of whoever only wants to know.
    let Ok(deployments) = project.deployments(false) else { return Ok(None) };
    Ok(deployments.newest(1).await?.pop().map(Into::into))
}

async fn current(deployments: &dyn Deployments) -> Result<Option<Deployment>, OpsError> {
    Deployment::newest(deployments).await
}

async fn make(
    deployments: &dyn Deployments,
    new: NewDeployment,
    before: Option<u64>,
) -> Result<DeploymentRow, OpsError> {
    if let Some(row) = deployments.deploy(new, before).await? {
        return Ok(row);
    }
    let other = deployments.newest(1).await?.pop();
    let words = other.map(|row| {
        let by = row.about.user.as_ref().map(|user| format!(" by {user}")).unwrap_or_default();
        format!("{}{by}", DeploymentView::from(row).words())
    });
    let message = format!("{} was made in the meantime; nothing was changed", words.unwrap_or_default());
    Err(OpsError::refused("SL6053", message, "look at it with `syncline deploy --dry-run`, then deploy again"))
}

/// The folders that definitions are in, and the file.
fn folders(loaded: &Loaded) -> Vec<String> {
    let pipelines = loaded.project.as_ref().map_or("pipelines", |project| project.pipelines.as_str());
    [PROJECT_FILE, pipelines, PORTALS_FOLDER, folder::FOLDER].map(str::to_owned).to_vec()
}

/// Most files of a deployment.
const FILES_MAX: usize = 50_000;

/// Most bytes of all of them together.
const BYTES_MAX: usize = 64 << 20;

/// Largest file of a catalog, in bytes.
const CATALOG_FILE_BYTES_MAX: u64 = 16 << 20;

/// Whether a file below the folders is one that a run reads.
pub fn counts(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let in_catalog = path.strip_prefix(folder::FOLDER).is_some_and(|rest| rest.starts_with('/'));
    !name.starts_with('.') && !is_test(name) && (is_yaml || in_catalog && name.ends_with(".json"))
}

/// The files that count, as they are now.
fn collected(loaded: &Loaded) -> Result<DefinitionFiles, OpsError> {
    let mut files = DefinitionFiles::new();
    let mut paths: BTreeSet<String> = BTreeSet::new();
    for folder in folders(loaded) {
        paths.extend(loaded.definitions.tree(&folder, FILES_MAX).unwrap_or_default());
    }
    paths.retain(|path| counts(path));
    paths.insert(PROJECT_FILE.to_owned());
    let mut bytes = 0;
    for path in paths {
        let limit = if path.ends_with(".json") { CATALOG_FILE_BYTES_MAX } else { FILE_BYTES_MAX };
        let content = loaded.definitions.read(&path, limit).map_err(|error| {
            OpsError::refused("SL6050", format!("`{path}` cannot be deployed: {error}"), "correct or remove the file")
        })?;
        bytes += content.len();
        files.insert(path, content);
    }
    if bytes > BYTES_MAX || files.len() > FILES_MAX {
        let message = format!("the definitions have {} files and {} MiB", files.len(), bytes >> 20);
        let help = format!("at most {FILES_MAX} files and {} MiB are deployed: split the project", BYTES_MAX >> 20);
        return Err(OpsError::refused("SL6050", message, help));
    }
    Ok(files)
}

/// Checks the project for all targets and portals; gives their names.
fn checked(project: &Project, variables: Variables<'_>) -> Result<Vec<String>, OpsError> {
    let loaded = &project.loaded;
    let targets = project.config.targets.keys().chain(&loaded.portals);
    let names: BTreeSet<String> = targets.cloned().collect();
    let names: Vec<String> = names.into_iter().collect();
    let all = all_good(&loaded.definitions, variables, &names)?;
    let secrets = all.findings.iter().filter(|finding| finding.code == "SL2011");
    let secrets: Vec<Diagnostic> = secrets.cloned().chain(passwords(&all)).collect();
    if secrets.is_empty() {
        return Ok(names);
    }
    let as_error = |finding: Diagnostic| Diagnostic {
        severity: Severity::Error,
        code: "SL6052",
        why: Some("what is deployed stands in the database, and secrets stay with those who run it".to_owned()),
        ..finding
    };
    let findings = secrets.into_iter().map(as_error).collect();
    Err(OpsError::Findings(Box::new(Loaded { findings, ..all })))
}

/// Passwords that stand in the address of a state.
fn passwords(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // Only a file that has the key, as it is or spelt in another way, is looked at more closely.
    let may_have = |file: &&SourceFile| file.text.contains("state") || file.text.contains('\\');
    for file in loaded.files.iter().filter(may_have) {
        let states = file.scalars().iter().filter(|(at, _)| at.ends_with("/state"));
        for (at, _) in states.filter(|(_, text)| has_password(text)) {
            let place = Place::Value(at.clone());
            let finding = Diagnostic::error("SL6052", &file.name, place, "a password stands in the file");
            found.push(finding.with_help("write `${secret:NAME}` in its place"));
        }
    }
    found
}

/// Whether the address of a state has a password, and not a form in its place.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let literal = |text: &str| !text.is_empty() && !text.contains("${");
    let user = before.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    user.is_some_and(|(_, password)| literal(password))
        || query.split('&').filter_map(|part| part.strip_prefix("password=")).any(literal)
}

/// Loads the project once for each name, and once for what stands outside; all findings together.
///
/// Errors: an error among them.
fn all_good(files: &Files, variables: Variables<'_>, names: &[String]) -> Result<Loaded, OpsError> {
    let mut all: Option<Loaded> = None;
    for name in std::iter::once(None).chain(names.iter().map(Some)) {
        let with = |variable: &str| if variable == VARIABLE { name.cloned() } else { variables(variable) };
        let offline::Offline { loaded: mut one, .. } = offline::open(files, &with);
        one.findings.extend(one.nothing.take().map(|finding| Diagnostic { severity: Severity::Error, ..finding }));
        let Some(all) = &mut all else {
            all = Some(one);
            continue;
        };
        for mut finding in one.findings {
            if all.findings.contains(&finding) {
                continue;
            }
            let own = one.portal.as_ref().is_some_and(|portal| portal.name == finding.file);
            if let (false, Some(name)) = (own, name) {
                finding.message = format!("{} (for `{name}`)", finding.message);
            }
            all.findings.push(finding);
        }
        let known: Vec<_> = all.files.iter().map(|file| file.name.clone()).collect();
        all.files.extend(one.files.into_iter().filter(|file| !known.contains(&file.name)));
    }
    let mut all = all.unwrap_or_default();
    if all.failed() {
        all.findings.retain(|finding| finding.severity == Severity::Error);
        return Err(OpsError::Findings(Box::new(all)));
    }
    Ok(all)
}

/// What changes from a deployment to the definitions of today, by the catalogs of all portals.
fn difference(
    before: Option<&Deployment>,
    after: &Loaded,
    portals: &[String],
    variables: Variables<'_>,
) -> DefinitionDiff {
    let files = before.map(|before| before.content().clone()).unwrap_or_default();
    let id = before.and_then(|before| before.row.about.commit.clone()).unwrap_or_default();
    let base = Base { commit: Commit { id }, files: Files::Snapshot(files) };
    let name = before.map_or_else(|| "nothing".to_owned(), |before| format!("deployment {}", before.row.number));
    let mut difference = diff::compare(&base, after, &name);
    deploy_catalogs::add(&mut difference, &base, after, portals, &name, variables);
    difference
}

fn not_committed(changed: &[String]) -> OpsError {
    const NAMED_MAX: usize = 5;
    let named: Vec<String> = changed.iter().take(NAMED_MAX).map(|path| format!("`{path}`")).collect();
    let more = changed.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let are = if changed.len() == 1 { "is" } else { "are" };
    let message = format!("{}{more} {are} not as the commit has it; nothing was deployed", named.join(", "));
    OpsError::refused("SL6051", message, "commit first, or deploy what is there with `--allow-uncommitted`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_reads_is_deployed() {
        for (path, expected) in [
            ("pipelines/a.yaml", true),
            ("pipelines/b/c.yml", true),
            ("pipelines/a.test.yaml", false),
            ("pipelines/notes.md", false),
            ("pipelines/.a.yaml", false),
            ("portals/acme.yaml", true),
            ("catalog/acme/hubspot.a.json", true),
            ("pipelines/a.json", false),
            (".env", false),
        ] {
            assert_eq!(counts(path), expected, "{path}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_found() {
        for (text, expected) in [
            ("postgres://me:pw@db/crm?state=eu", true),
            ("postgres://me:${PW}@db/crm", false),
            ("postgres://me@db:5432/crm?password=x", true),
            ("postgres://me@db:5432/crm", false),
            ("${secret:STATE}", false),
            ("sqlite:a@b:c", false),
        ] {
            assert_eq!(has_password(text), expected, "{text}");
        }
    }
}
