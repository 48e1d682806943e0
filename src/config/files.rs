//! Where definition files are read from: the project's folder, or a copy of it in memory (a git revision).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Files of a project, named relative to its folder with `/` between the parts.
#[derive(Debug, Clone)]
pub enum Files {
    /// Those in a folder.
    Folder(PathBuf),
    /// Those of a revision, already read. There is no environment and no secret beside them.
    Snapshot(BTreeMap<String, Vec<u8>>),
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A folder, a device or the like.
    #[error("it is not an ordinary file")]
    NotAFile,
    /// It has more bytes than allowed.
    #[error("the file is too large")]
    TooLarge,
}

impl Files {
    /// The project's folder; a revision has none.
    pub fn root(&self) -> &Path {
        match self {
            Self::Folder(root) => root,
            Self::Snapshot(_) => Path::new(""),
        }
    }

    /// Names of the entries in a folder, sorted, at most `limit`; none where there is no such folder.
    pub fn list(&self, folder: &str, limit: usize) -> Vec<String> {
        let folder = normal(folder);
        let mut names: Vec<String> = match self {
            Self::Folder(root) => {
                let entries = fs::read_dir(root.join(&folder)).map(|entries| entries.flatten().take(limit));
                let named = |entry: fs::DirEntry| entry.file_name().into_string().ok();
                entries.map(|entries| entries.filter_map(named).collect()).unwrap_or_default()
            }
            Self::Snapshot(files) => {
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let inside = files.keys().filter_map(|path| path.strip_prefix(&prefix));
                inside.filter(|name| !name.contains('/')).take(limit).map(str::to_owned).collect()
            }
        };
        names.sort();
        names
    }

    /// A file's bytes, at most `bytes_max`.
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Folder(root) => {
                let path = root.join(path);
                if !fs::metadata(&path)?.is_file() {
                    return Err(ReadError::NotAFile);
                }
                let mut bytes = Vec::new();
                fs::File::open(&path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > bytes_max { Err(ReadError::TooLarge) } else { Ok(bytes) }
            }
            Self::Snapshot(files) => {
                let bytes = files.get(&normal(path)).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
                if bytes.len() as u64 > bytes_max { Err(ReadError::TooLarge) } else { Ok(bytes.clone()) }
            }
        }
    }
}

/// A path without `.` parts and with `/` between the others.
fn normal(path: &str) -> String {
    let parts = Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_)));
    let parts: Vec<String> = parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}
