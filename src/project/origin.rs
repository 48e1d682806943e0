//! Which commit the definitions of a project are, as far as git knows.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::OpsError;
use super::revision::refused;
use crate::config::dotenv;
use crate::config::load::Loaded;
use crate::config::project::{PORTALS_FOLDER, PROJECT_FILE};
use crate::ports::deployments::DefinitionFiles;
use crate::sys::git::{Commit, GitError, Repository};

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

/// How files stand to the commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// They are in no repository.
    NoRepository,
    /// The commit, and the files that are others there.
    At(Commit, Vec<String>),
}

/// How a project's files stand to the commit, of the `folders` and what of them `counts`.
///
/// Errors: what git says.
pub fn standing(
    root: &Path,
    files: &DefinitionFiles,
    folders: &[String],
    counts: fn(&str) -> bool,
) -> Result<Standing, OpsError> {
    let whole = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    if !whole.ancestors().any(|folder| folder.join(".git").exists()) {
        return Ok(Standing::NoRepository);
    }
    let asked = || {
        let repository = Repository::find(&whole)?;
        let head = repository.head()?;
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        Ok((repository.files(&head, &folders)?, head))
    };
    let (committed, head) = asked().map_err(refused)?;
    let paths: BTreeSet<&String> = files.keys().chain(committed.keys().filter(|path| counts(path))).collect();
    let text = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| plain(&String::from_utf8_lossy(bytes)));
    let changed = paths.into_iter().filter(|path| text(files.get(*path)) != text(committed.get(*path)));
    Ok(Standing::At(head, changed.cloned().collect()))
}

/// A checkout may have other ends of lines.
fn plain(text: &str) -> String {
    text.trim_start_matches('\u{feff}').replace('\r', "")
}

fn told(root: &Path, loaded: &Loaded, pipelines: &str) -> Result<(String, bool), GitError> {
    let repository = Repository::find(root)?;
    let head = repository.head()?;
    let committed = repository.files(&head, &[PROJECT_FILE, pipelines, PORTALS_FOLDER])?;
    let same = |name: &str, text: &str| {
        committed.get(name).is_some_and(|bytes| plain(&String::from_utf8_lossy(bytes)) == plain(text))
    };
    // Variables of the computer are no definitions, and are in no commit.
    let mut files = loaded.files.iter().filter(|file| &*file.name != dotenv::FILE);
    let changed = !files.all(|file| same(&file.name, &file.text));
    Ok((head.short().to_owned(), changed))
}
