//! Definitions that were deployed: found beside the states, and opened as a project without a checkout.

use std::path::Path;
use std::sync::Arc;

use super::error::OpsError;
use super::wiring::{Outside, Project, open_files};
use crate::config::env::Variables;
use crate::config::files::Files;
use crate::config::targets::VARIABLE;
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
