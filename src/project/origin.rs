//! Which commit the definitions of a project are, as far as git knows.

use std::path::Path;

use crate::config::load::Loaded;
use crate::config::project::{PORTALS_FOLDER, PROJECT_FILE};
use crate::sys::git::{GitError, Repository};

/// The commit that is checked out, and whether the definitions that were read are others than its own; none where the project is in no
/// repository, or git cannot be asked.
pub fn commit(loaded: &Loaded, pipelines: &str) -> Option<(String, bool)> {
    // A program is started only where there is something to ask it.
    let root = loaded.root.canonicalize().ok()?;
    if !root.ancestors().any(|folder| folder.join(".git").exists()) {
        return None;
    }
    told(&root, loaded, pipelines).ok()
}

fn told(root: &Path, loaded: &Loaded, pipelines: &str) -> Result<(String, bool), GitError> {
    let repository = Repository::find(root)?;
    let head = repository.head()?;
    let committed = repository.files(&head, &[PROJECT_FILE, pipelines, PORTALS_FOLDER])?;
    let same = |name: &str, text: &str| {
        // A checkout may have other ends of lines.
        let plain = |text: &str| text.trim_start_matches('\u{feff}').replace('\r', "");
        committed.get(name).is_some_and(|bytes| plain(&String::from_utf8_lossy(bytes)) == plain(text))
    };
    let changed = !loaded.files.iter().all(|file| same(&file.name, &file.text));
    Ok((head.short().to_owned(), changed))
}
