//! What all requests share: the project, who may ask, and what is shown.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use super::access::Access;
use super::current::Current;
use super::page::Frame;
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

    /// The project as it is now.
    pub async fn project(&self) -> Arc<Project> {
        self.current.get().await.0
    }

    /// What surrounds every page.
    pub async fn frame(&self, signed_in: bool) -> Frame {
        static HERE: LazyLock<String> = LazyLock::new(|| env!("CARGO_PKG_VERSION").to_owned());
        let (project, problem) = self.current.get().await;
        Frame {
            now: project.outside.clock.now(),
            version: &HERE,
            project: project.loaded.root.file_name().map(|name| name.to_string_lossy().into_owned()),
            problem,
            show_values: self.show_values,
            signed_in,
            may_sign_in: self.access.has_token(),
        }
    }
}
