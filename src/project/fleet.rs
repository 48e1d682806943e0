//! The portals that workers serve: projects, each by a name.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::OpsError;
use super::stamp::stamp;
use super::wiring::{Outside, Project, open};
use crate::config::portals;
use crate::config::read::FILE_BYTES_MAX;
use crate::config::targets::{with_target, without_target};
use crate::model::hash::Hasher;

/// A project of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name; empty where there is but one.
    pub name: String,
    /// Another text where its definitions are others.
    pub version: String,
}

/// Projects whose portals are served.
pub trait Fleet: Send + Sync {
    /// Those that there are now.
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, OpsError>>;

    /// Opens one.
    fn open<'a>(&'a self, member: &'a str, outside: Outside) -> BoxFuture<'a, Result<Project, OpsError>>;
}

/// A project that is checked out: its targets, or itself where it has none.
pub struct CheckedOut {
    /// Its folder.
    pub root: PathBuf,
    /// The only target that is meant, where one was named.
    pub only: Option<String>,
}

impl CheckedOut {
    fn project(&self, member: &str, outside: Outside) -> Result<Project, OpsError> {
        match member {
            "" => open(&self.root, &without_target, outside),
            target => open(&self.root, &with_target(Some(target.to_owned())), outside),
        }
    }
}

impl Fleet for CheckedOut {
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, OpsError>> {
        async move {
            let project = self.project(self.only.as_deref().unwrap_or_default(), Outside::real())?;
            let version = stamp(&project).await;
            let all: BTreeSet<&String> = project.config.targets.keys().chain(&project.loaded.portals).collect();
            let names = match &self.only {
                Some(only) => vec![only.clone()],
                None if all.is_empty() => vec![String::new()],
                None => all.into_iter().cloned().collect(),
            };
            let files = &project.loaded.definitions;
            let known = portals::names(files).0;
            let version = |name: &String| match known.get(name) {
                Some(path) => {
                    let mut hasher = Hasher::default();
                    hasher.text(&version);
                    hasher.bytes(&files.read(path, FILE_BYTES_MAX).unwrap_or_default());
                    hasher.hex::<16>()
                }
                None => version.clone(),
            };
            Ok(names.into_iter().map(|name| Member { version: version(&name), name }).collect())
        }
        .boxed()
    }

    fn open<'a>(&'a self, member: &'a str, outside: Outside) -> BoxFuture<'a, Result<Project, OpsError>> {
        async move { self.project(member, outside) }.boxed()
    }
}
