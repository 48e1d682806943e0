//! Where definition files are read from: the project's folder, or a copy of it in memory (a git revision).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sys::files::{self, ReadError};

/// Files of a project, named relative to its folder with `/` between the parts.
#[derive(Debug, Clone)]
pub enum Files {
    /// Those in a folder.
    Folder(PathBuf),
    /// Those of a revision, already read. There is no environment and no secret beside them.
    Snapshot(BTreeMap<String, Vec<u8>>),
    /// Those of a deployment, already read. Secrets and the state's files are in the folder of whoever runs it.
    Deployed(PathBuf, Arc<BTreeMap<String, Vec<u8>>>),
}

impl Default for Files {
    fn default() -> Self {
        Self::Snapshot(BTreeMap::new())
    }
}

impl Files {
    /// The project's folder; a revision has none.
    pub fn root(&self) -> &Path {
        match self {
            Self::Folder(root) | Self::Deployed(root, _) => root,
            Self::Snapshot(_) => Path::new(""),
        }
    }

    /// The folder of this computer that relative paths of secrets begin at; a revision has none.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(root) | Self::Deployed(root, _) => Some(root),
            Self::Snapshot(_) => None,
        }
    }

    /// What is in memory; or the folder that the files are in.
    fn kept(&self) -> Result<&BTreeMap<String, Vec<u8>>, &Path> {
        match self {
            Self::Folder(root) => Err(root),
            Self::Snapshot(files) => Ok(files),
            Self::Deployed(_, files) => Ok(files),
        }
    }

    /// Names of the entries in a folder, sorted, at most `limit`.
    ///
    /// Errors: there is no such folder, or it leads out of the project.
    pub fn list(&self, folder: &str, limit: usize) -> Result<Vec<String>, ReadError> {
        match self.kept() {
            Err(root) => {
                let entries = files::list_below(root, folder, limit)?;
                Ok(entries.into_iter().map(|(name, _)| name).collect())
            }
            Ok(files) => {
                let folder = normal(folder);
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let inside = files.keys().filter_map(|path| path.strip_prefix(&prefix));
                Ok(inside.filter(|name| !name.contains('/')).take(limit).map(str::to_owned).collect())
            }
        }
    }

    /// Whether a folder is a link out of the project.
    pub fn leads_out(&self, folder: &str) -> bool {
        match self.kept() {
            Err(root) => matches!(files::list_below(root, folder, 1), Err(ReadError::Outside)),
            Ok(_) => false,
        }
    }

    /// Paths of all files in a folder and its subfolders, relative to the project, sorted, about `limit` at most; none where
    /// there is no such folder. What begins with a dot is left out, and links are not followed into folders.
    pub fn tree(&self, folder: &str, limit: usize) -> Option<Vec<String>> {
        let folder = normal(folder);
        let mut paths = match self.kept() {
            Err(root) => {
                let mut paths = Vec::new();
                // Asked once for itself, as a folder that is there and empty differs from none.
                files::list_below(root, &folder, 1).ok()?;
                walk(root, &folder, 0, limit, &mut paths);
                paths
            }
            Ok(files) => {
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let visible = |path: &&String| {
                    path.strip_prefix(&prefix).is_some_and(|rest| !rest.split('/').any(|part| part.starts_with('.')))
                };
                let paths: Vec<String> = files.keys().filter(visible).take(limit).cloned().collect();
                // Git keeps no empty folders, so a folder without files is none.
                if paths.is_empty() {
                    return None;
                }
                paths
            }
        };
        paths.sort();
        Some(paths)
    }

    /// Names of the folders in the project's own folder, sorted; without those that begin with a dot.
    pub fn folders(&self) -> Vec<String> {
        let mut names: Vec<String> = match self.kept() {
            Err(root) => {
                let entries = files::list_below(root, "", FOLDERS_MAX).unwrap_or_default();
                entries.into_iter().filter(|(_, is_folder)| *is_folder).map(|(name, _)| name).collect()
            }
            Ok(files) => {
                files.keys().filter_map(|path| path.split_once('/')).map(|(folder, _)| folder.to_owned()).collect()
            }
        };
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names.dedup();
        names
    }

    /// A file's bytes, at most `bytes_max`.
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        match self.kept() {
            Err(root) => files::read_below(root, path, bytes_max),
            Ok(files) => {
                let bytes = files.get(&normal(path)).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
                if bytes.len() as u64 > bytes_max { Err(ReadError::TooLarge) } else { Ok(bytes.clone()) }
            }
        }
    }
}

/// Most folders of a project that are looked through for a similar name.
const FOLDERS_MAX: usize = 1_000;

/// Deepest folder below that of the pipelines.
/// It also ends a walk in which a file system leads back into itself.
const DEPTH_MAX: usize = 16;

/// Adds the files of a folder and of its subfolders. Links are listed as files, and reading decides about them.
fn walk(root: &Path, folder: &str, depth: usize, limit: usize, paths: &mut Vec<String>) {
    let Ok(entries) = files::list_below(root, folder, limit) else { return };
    for (name, is_folder) in entries.into_iter().filter(|(name, _)| !name.starts_with('.')) {
        if paths.len() >= limit {
            return;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        // A folder that is called like a file is told when it is read as one.
        if !is_folder || path.ends_with(".yaml") {
            paths.push(path.clone());
        }
        if is_folder && depth < DEPTH_MAX {
            walk(root, &path, depth + 1, limit, paths);
        }
    }
}

/// A path without `.` parts and with `/` between the others.
fn normal(path: &str) -> String {
    let parts = Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_)));
    let parts: Vec<String> = parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_found_in_depth() {
        let folder = tempfile::tempdir().unwrap();
        let paths =
            ["p/a.yaml", "p/b/c.yaml", "p/b/d/e.yaml", "p/.hidden/f.yaml", "p/.g.yaml", "p/é/h.yaml", "q/i.yaml"];
        for path in paths {
            fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            fs::write(folder.path().join(path), "x").unwrap();
        }
        let snapshot = paths.iter().map(|path| ((*path).to_owned(), Vec::new())).collect();
        for files in [Files::Folder(folder.path().to_owned()), Files::Snapshot(snapshot)] {
            let expected = ["p/a.yaml", "p/b/c.yaml", "p/b/d/e.yaml", "p/é/h.yaml"];
            assert_eq!(files.tree("p", 100).unwrap(), expected);
            assert_eq!(files.tree("./p/", 100).unwrap(), expected);
            assert_eq!(files.tree("p/b", 100).unwrap(), ["p/b/c.yaml", "p/b/d/e.yaml"]);
            assert_eq!(files.tree("none", 100), None);
            assert_eq!(files.folders(), ["p", "q"]);
        }
    }
}
