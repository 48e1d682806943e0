//! Definitions that are kept beside the states: what the workers run.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::state::StateError;

/// Files of definitions, by their paths within the project.
pub type DefinitionFiles = BTreeMap<String, Vec<u8>>;

/// A deployment without its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRow {
    /// Its number: 1 is the first, and each is one more than the one before.
    pub number: u64,
    /// When it was made, by the server's clock.
    pub made: Timestamp,
    /// What is known of its making.
    pub about: About,
    /// The deployment whose files it has, where it went back to that.
    pub back_to: Option<u64>,
}

impl DeploymentRow {
    /// The deployment that these files came with first.
    pub fn effective(&self) -> u64 {
        self.back_to.unwrap_or(self.number)
    }
}

/// What is known of a deployment's making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Who made it.
    pub user: Option<String>,
    /// The commit of the files, where they are in git.
    pub commit: Option<String>,
    /// The files were not as that commit has them.
    pub uncommitted: bool,
    /// The targets and portals that are in them.
    pub portals: Vec<String>,
}

/// What is to be deployed.
#[derive(Debug, Clone)]
pub struct NewDeployment {
    /// What is known of its making.
    pub about: About,
    /// All files.
    pub files: DefinitionFiles,
    /// The deployment whose files these are, where it goes back to one.
    pub back_to: Option<u64>,
}

/// The deployments of a project.
pub trait Deployments: Send + Sync {
    /// The number of the newest one: what a worker asks to see whether there is another.
    fn newest_number(&self) -> BoxFuture<'_, Result<Option<u64>, StateError>>;

    /// The newest ones, the newest first, at most `limit`.
    fn newest(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeploymentRow>, StateError>>;

    /// One by its number.
    fn one(&self, number: u64) -> BoxFuture<'_, Result<Option<DeploymentRow>, StateError>>;

    /// Its files.
    fn files(&self, number: u64) -> BoxFuture<'_, Result<DefinitionFiles, StateError>>;

    /// Makes the next one after `before`, and gives it; none where another one was made in the meantime.
    fn deploy(
        &self,
        new: NewDeployment,
        before: Option<u64>,
    ) -> BoxFuture<'_, Result<Option<DeploymentRow>, StateError>>;
}
