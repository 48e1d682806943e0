//! The right of one process to run one pipeline: a file lock, which the system gives back when the process dies.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::ids::PipelineName;
use crate::ports::state::{Lease, StateError};
use crate::sys::files;

/// Holds the lock of a file.
struct FileLease {
    file: File,
}

impl Lease for FileLease {}

impl Drop for FileLease {
    fn drop(&mut self) {
        // Given back in so many words: a program that this process starts at this moment (git, a command that gives a secret) holds the
        // open file too until it is another program, and closing it here would leave the lock to it. One that cannot be given back goes
        // with the file.
        let _ = self.file.unlock();
    }
}

/// Takes the lock of a pipeline beside the state file.
pub fn take(state: &Path, pipeline: &PipelineName, holder: &str) -> Result<Box<dyn Lease>, StateError> {
    Ok(Box::new(lock(state, pipeline, holder)?))
}

fn lock(state: &Path, pipeline: &PipelineName, holder: &str) -> Result<FileLease, StateError> {
    let folder = locks_folder(state);
    let path = folder.join(format!("{pipeline}.lock"));
    let io = |error: std::io::Error| StateError::Io { path: path.display().to_string(), detail: error.to_string() };
    files::private_folder(&folder).map_err(io)?;
    if folder.is_symlink() {
        return Err(io(std::io::Error::other(
            "its folder is a symbolic link, and locks are not created through links",
        )));
    }
    let mut file = files::open_lock(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder's text is for people; when it cannot be read the refusal stands all the same.
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
            return Err(StateError::Held { pipeline: pipeline.clone(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    let rewrite = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(holder.as_bytes())
    };
    rewrite(&mut file).map_err(io)?;
    Ok(FileLease { file })
}

fn locks_folder(state: &Path) -> PathBuf {
    let mut name = state.file_name().unwrap_or_default().to_owned();
    name.push(".locks");
    state.with_file_name(name)
}

/// Leases of a state that only this process sees.
#[derive(Debug, Clone, Default)]
pub struct LocalLeases(Arc<Mutex<HashSet<PipelineName>>>);

struct LocalLease {
    leases: LocalLeases,
    pipeline: PipelineName,
}

impl Lease for LocalLease {}

impl Drop for LocalLease {
    fn drop(&mut self) {
        self.leases.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pipeline);
    }
}

impl LocalLeases {
    /// Takes the lease of a pipeline.
    pub fn take(&self, pipeline: &PipelineName) -> Result<Box<dyn Lease>, StateError> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pipeline.clone()) {
            Ok(Box::new(LocalLease { leases: self.clone(), pipeline: pipeline.clone() }))
        } else {
            Err(StateError::Held { pipeline: pipeline.clone(), holder: "another run of this process".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_given_back_though_another_process_has_its_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let (state, pipeline) = (folder.path().join("state.db"), PipelineName::new("one"));
        let lease = lock(&state, &pipeline, "a holder").unwrap();
        // As a process has it that was forked from this one.
        let inherited = lease.file.try_clone().unwrap();
        assert!(matches!(take(&state, &pipeline, "another"), Err(StateError::Held { .. })));
        drop(lease);
        let again = take(&state, &pipeline, "another");
        assert!(again.is_ok());
        drop(inherited);
        assert!(matches!(take(&state, &pipeline, "a third"), Err(StateError::Held { .. })));
    }
}
