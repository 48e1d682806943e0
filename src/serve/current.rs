//! The definitions as they are now: read again when their files have changed. What is no good leaves the earlier ones in place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::ops::fleet;
use crate::project::error::OpsError;
use crate::project::stamp::stamp;
use crate::project::wiring::Project;
use crate::sys::clock::Mark;

/// Files are looked at no more often than that.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Portals that are kept open.
const PORTALS_HELD: usize = 20;

/// Opens the project.
pub type Open = Arc<dyn Fn() -> Result<Project, OpsError> + Send + Sync>;

/// The definitions.
pub struct Current {
    open: Open,
    held: Mutex<Held>,
}

struct Held {
    project: Arc<Project>,
    stamp: String,
    looked: Mark,
    problem: Option<String>,
    /// Portals of the project that were looked at, so that they are not logged in to for each look.
    portals: BTreeMap<String, Arc<Project>>,
}

impl Current {
    /// Those of a project that was opened.
    pub async fn new(project: Project, open: Open) -> Self {
        let looked = project.outside.clock.mark();
        let stamp = stamp(&project).await;
        Self {
            open,
            held: Mutex::new(Held {
                project: Arc::new(project),
                stamp,
                looked,
                problem: None,
                portals: BTreeMap::new(),
            }),
        }
    }

    /// The project, and why what its files hold now cannot be used, where that is so.
    pub async fn get(&self) -> (Arc<Project>, Option<String>) {
        let mut held = self.held.lock().await;
        let clock = held.project.outside.clock.clone();
        if clock.since(held.looked) >= LOOK_EVERY {
            held.looked = clock.mark();
            let now = stamp(&held.project).await;
            if now != held.stamp {
                held.stamp = now;
                self.renew(&mut held);
            }
        }
        (Arc::clone(&held.project), held.problem.clone())
    }

    /// One portal of the project.
    ///
    /// Errors: there is none of that name, or another one is all that is meant; it cannot be opened.
    pub async fn portal(&self, name: &str) -> Result<Arc<Project>, OpsError> {
        let (project, _) = self.get().await;
        if project.loaded.target.is_some() || !project.loaded.portals.iter().any(|portal| portal == name) {
            let message = format!("there is no portal `{}` here", name.chars().take(100).collect::<String>());
            return Err(OpsError::refused("SL6037", message, "the page at `/` lists the portals of the project"));
        }
        let mut held = self.held.lock().await;
        if let Some(portal) = held.portals.get(name) {
            return Ok(Arc::clone(portal));
        }
        let portal = Arc::new(fleet::portal(&held.project, name)?);
        if held.portals.len() >= PORTALS_HELD {
            held.portals.clear();
        }
        held.portals.insert(name.to_owned(), Arc::clone(&portal));
        Ok(portal)
    }

    fn renew(&self, held: &mut Held) {
        match (self.open)() {
            Ok(project) => {
                project.take_over(&held.project);
                (held.project, held.problem) = (Arc::new(project), None);
                held.portals.clear();
            }
            Err(error) => held.problem = Some(error.reason().1),
        }
    }
}
