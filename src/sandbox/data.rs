//! The data file of a sandbox: its state kept over restarts, written so that a crash leaves the old or the new one whole.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::sandbox::options::SandboxError;
use crate::sandbox::world::World;
use crate::sys::cancel::Cancel;
use crate::sys::files::{self, Readers};

/// How often a changed state is saved.
/// A crash loses so much at most; saving at every change would write the whole state for each request.
const SAVE_EVERY: Duration = Duration::from_secs(3);

/// Largest data file that is read, in bytes.
/// A world of a million records, which is what load tests use, takes about one.
const DATA_BYTES_MAX: u64 = 4 << 30;

/// The data file of a running sandbox.
pub struct DataFile {
    path: PathBuf,
    saved: AtomicU64,
}

impl DataFile {
    /// A file that is not read yet.
    pub fn new(path: PathBuf) -> Self {
        // No count of changes: the first save always writes.
        Self { path, saved: AtomicU64::new(u64::MAX) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the kept state into `world`; false where there is no file yet.
    pub fn load(&self, world: &World) -> Result<bool, SandboxError> {
        let text = match files::read(&self.path, DATA_BYTES_MAX).map_err(io::Error::from) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A state that could never be kept is refused at once, not when it is to be saved.
                let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
                return match folder.filter(|folder| !folder.is_dir()) {
                    Some(_) => Err(SandboxError::Data { action: "write", path: self.path.clone(), source: error }),
                    None => Ok(false),
                };
            }
            Err(source) => return Err(SandboxError::Data { action: "read", path: self.path.clone(), source }),
        };
        let unusable = |reason: String| SandboxError::DataContent { path: self.path.clone(), reason };
        let dump: Value =
            serde_json::from_slice(&text).map_err(|error| unusable(format!("it is not JSON: {error}")))?;
        world.restore(&dump).map_err(unusable)?;
        // What was just read need not be written again.
        self.saved.store(world.changes(), Ordering::Relaxed);
        Ok(true)
    }

    /// Writes the state where it changed since the last time.
    pub fn save(&self, world: &World) -> Result<(), SandboxError> {
        // Read before the dump: a change in between is saved once more, not forgotten.
        let changes = world.changes();
        if self.saved.load(Ordering::Relaxed) == changes {
            return Ok(());
        }
        let text = world.dump().to_string();
        let failed = |source| SandboxError::Data { action: "write", path: self.path.clone(), source };
        // For its owner alone: the state holds tokens, and perhaps records of a real org.
        files::replace(&self.path, text.as_bytes(), Readers::Owner).map_err(failed)?;
        self.saved.store(changes, Ordering::Relaxed);
        Ok(())
    }
}

/// Saves every few seconds until `cancel` asks to stop; the last save is the caller's.
pub async fn keep_saved(file: Arc<DataFile>, world: Arc<World>, cancel: Cancel) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(SAVE_EVERY) => {}
        }
        let (own_file, own_world) = (file.clone(), world.clone());
        // Writing a large state takes seconds, during which answers must go on.
        let saved = tokio::task::spawn_blocking(move || own_file.save(&own_world)).await;
        if let Ok(Err(error)) = saved {
            // The next round tries again, and the stop reports what is left of the trouble.
            tracing::warn!(%error, "the state of the sandbox was not saved");
        }
    }
}
