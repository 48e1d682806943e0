//! Whether the definitions' files are still as they were.

use super::wiring::Project;
use crate::config::dotenv;
use crate::config::project::PROJECT_FILE;
use crate::config::read::FILE_BYTES_MAX;
use crate::model::hash::Hasher;

/// A hash over the definitions' files as they are now.
pub async fn stamp(project: &Project) -> String {
    let (files, folder) = (project.loaded.definitions.clone(), project.config.pipelines.clone());
    let portal = project.loaded.portal.as_ref().map(|file| file.name.to_string());
    let stamp = tokio::task::spawn_blocking(move || {
        let mut hasher = Hasher::default();
        let mut paths = files.tree(&folder, FILES_MAX).unwrap_or_default();
        paths.retain(|path| path.ends_with(".yaml") || path.ends_with(".yml"));
        for path in [PROJECT_FILE.to_owned(), dotenv::FILE.to_owned()].into_iter().chain(portal).chain(paths) {
            hasher.text(&path);
            // By content and not by time: a checkout of git changes every file's time.
            hasher.bytes(&files.read(&path, FILE_BYTES_MAX).unwrap_or_default());
        }
        hasher.hex::<16>()
    });
    stamp.await.unwrap_or_default()
}

/// Most files that are watched.
const FILES_MAX: usize = 10_000;
