//! What all requests share: the project, who may ask, and what is shown.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use super::access::Access;
use super::asked::Asked;
use super::current::Current;
use super::page::Frame;
use crate::project::error::OpsError;
use crate::project::wiring::Project;
use crate::sys::cancel::Cancel;

/// Most pages that listen for events at once.
const LISTENERS_MAX: usize = 64;

/// What all requests share.
pub struct Site {
    /// The definitions.
    pub current: Current,
    /// Who may ask.
    pub access: Access,
    /// Values of records are shown.
    pub show_values: bool,
    /// Metrics tell portals apart, by their names.
    pub portal_labels: bool,
    /// Asks to stop.
    pub cancel: Cancel,
    /// Places for pages that listen for events.
    pub listeners: Arc<Semaphore>,
    /// Requests that were answered, and of them those that were refused.
    pub requests: [AtomicU64; 2],
}

impl Site {
    /// A site.
    pub fn new(current: Current, access: Access, [show_values, portal_labels]: [bool; 2], cancel: Cancel) -> Self {
        let listeners = Arc::new(Semaphore::new(LISTENERS_MAX));
        Self { current, access, show_values, portal_labels, cancel, listeners, requests: Default::default() }
    }

    /// The project as it is now, or the portal of it that is asked for.
    ///
    /// Errors: there is no such portal, or it cannot be opened.
    pub async fn project(&self, asked: &Asked) -> Result<Arc<Project>, OpsError> {
        match &asked.portal {
            None => Ok(self.current.get().await.0),
            Some(portal) => self.current.portal(portal).await,
        }
    }

    /// What surrounds every page; of whoever is signed in.
    pub async fn frame(&self, asked: &Asked) -> Frame {
        self.frame_for(asked, asked.signed_in).await
    }

    /// The same for whoever has shown nothing.
    pub async fn plain_frame(&self, asked: &Asked) -> Frame {
        self.frame_for(asked, false).await
    }

    async fn frame_for(&self, asked: &Asked, signed_in: bool) -> Frame {
        static HERE: LazyLock<String> = LazyLock::new(|| env!("CARGO_PKG_VERSION").to_owned());
        let (project, problem) = self.current.get().await;
        Frame {
            now: project.outside.clock.now(),
            version: &HERE,
            project: project.loaded.root.file_name().map(|name| name.to_string_lossy().into_owned()),
            problem,
            show_values: self.show_values,
            base: asked.base(),
            portal: asked.portal.clone(),
            is_fleet: project.loaded.target.is_none() && !project.loaded.portals.is_empty(),
            signed_in,
            may_sign_in: self.access.has_token(),
        }
    }
}
