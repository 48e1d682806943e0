//! Definitions that were deployed: found beside the states, and opened as a project without a checkout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::error::OpsError;
use super::fleet::{Fleet, Member};
use super::wiring::{Outside, Project, open_files};
use crate::config::dotenv;
use crate::config::env::{FILE_BYTES_MAX, Variables, process_variables};
use crate::config::files::Files;
use crate::config::targets::VARIABLE;
use crate::model::hash::Hasher;
use crate::ports::deployments::{DefinitionFiles, DeploymentRow, Deployments};

/// A deployment with its files.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// What is known of it.
    pub row: DeploymentRow,
    /// Its files; whoever opens portals shares them.
    files: Arc<DefinitionFiles>,
}

impl Deployment {
    /// The newest deployment; none where nothing was deployed. Whether there is a newer one than this is told by
    /// [`Deployments::newest_number`].
    pub async fn newest(deployments: &dyn Deployments) -> Result<Option<Self>, OpsError> {
        let Some(row) = deployments.newest(1).await?.pop() else { return Ok(None) };
        Self::of(deployments, row).await.map(Some)
    }

    /// A deployment with its files.
    pub async fn of(deployments: &dyn Deployments, row: DeploymentRow) -> Result<Self, OpsError> {
        let files = Arc::new(deployments.files(row.number).await?);
        Ok(Self { row, files })
    }

    /// Its files as they are kept.
    pub fn content(&self) -> &DefinitionFiles {
        &self.files
    }

    /// Its files, as a project in a folder of this computer would have them: secrets that stand in files, `.env` and logins are there.
    pub fn files(&self, folder: &Path) -> Files {
        Files::Deployed(folder.to_owned(), Arc::clone(&self.files))
    }

    /// The targets and portals that it was made with.
    pub fn portals(&self) -> &[String] {
        &self.row.about.portals
    }

    /// Opens one of them, or what stands outside of them; secrets are those of this computer.
    ///
    /// Errors: there is no such portal; the definitions are no good for it.
    pub fn open(
        &self,
        portal: Option<&str>,
        folder: &Path,
        variables: Variables<'_>,
        outside: Outside,
    ) -> Result<Project, OpsError> {
        let with = |name: &str| if name == VARIABLE { portal.map(str::to_owned) } else { variables(name) };
        let project = open_files(&self.files(folder), &with, outside)?;
        let about = &self.row.about;
        Ok(project.of_commit(about.commit.as_ref().map(|commit| (commit.clone(), about.uncommitted))))
    }
}

/// The portals of what is deployed: those of the newest deployment at each look.
pub struct Deployed {
    deployments: Arc<dyn Deployments>,
    /// The folder of this computer for `.env` and secrets in files.
    folder: PathBuf,
    /// The only target or portal that is meant, where one was named.
    only: Option<String>,
    newest: Mutex<Option<Arc<Deployment>>>,
}

impl Deployed {
    /// What is deployed there.
    pub fn new(deployments: Arc<dyn Deployments>, folder: PathBuf, only: Option<String>) -> Self {
        Self { deployments, folder, only, newest: Mutex::default() }
    }

    /// The newest deployment, which is read when there is another one.
    async fn deployment(&self) -> Result<Arc<Deployment>, OpsError> {
        let number = self.deployments.newest_number().await?;
        let mut newest = self.newest.lock().await;
        if let Some(held) = newest.as_ref().filter(|held| Some(held.row.number) == number) {
            return Ok(Arc::clone(held));
        }
        let Some(deployment) = Deployment::newest(&*self.deployments).await? else {
            let message = "nothing was deployed yet";
            return Err(OpsError::refused("SL6054", message, "`syncline deploy` in a checkout of the project does it"));
        };
        Ok(Arc::clone(newest.insert(Arc::new(deployment))))
    }
}

impl Fleet for Deployed {
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, OpsError>> {
        async move {
            let deployment = self.deployment().await?;
            let mut version = Hasher::default();
            version.text(&deployment.row.number.to_string());
            let variables = Files::Folder(self.folder.clone()).read(dotenv::FILE, FILE_BYTES_MAX);
            version.bytes(&variables.unwrap_or_default());
            let version = version.hex::<16>();
            let names = match &self.only {
                Some(only) => vec![only.clone()],
                None if deployment.portals().is_empty() => vec![String::new()],
                None => deployment.portals().to_vec(),
            };
            Ok(names.into_iter().map(|name| Member { name, version: version.clone() }).collect())
        }
        .boxed()
    }

    fn open<'a>(&'a self, member: &'a str, outside: Outside) -> BoxFuture<'a, Result<Project, OpsError>> {
        async move {
            let portal = Some(member).filter(|name| !name.is_empty());
            self.deployment().await?.open(portal, &self.folder, &process_variables, outside)
        }
        .boxed()
    }
}
