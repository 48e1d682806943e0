//! Files that a world is read from, and errors that name their place in them.

use std::path::{Path, PathBuf};

use crate::sys::files::{self, ReadError};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Most entries of a folder, and most folders below each other.
/// A folder that was named by mistake, such as a home folder, ends in an error and not in minutes of reading.
const ENTRIES_MAX: usize = 100_000;
const LEVELS_MAX: usize = 32;

/// Folders that hold nothing of an org's.
const PASSED_OVER: [&str; 1] = ["node_modules"];

/// Why a world cannot be made: the file, the line where one is to blame, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", .file.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct LoadError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl LoadError {
    /// An error of a whole file.
    pub fn new(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, message: message.into() }
    }

    /// An error at a line.
    pub fn at(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(file, message) }
    }
}

/// A file of a world, read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path, as it is shown.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Reads a file that a flag names.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        Self::of(path.to_owned(), files::read(path, FILE_BYTES_MAX))
    }

    /// Reads a file below a folder.
    pub fn below(root: &Path, relative: &str) -> Result<Self, LoadError> {
        Self::of(root.join(relative), files::read_below(root, relative, FILE_BYTES_MAX))
    }

    fn of(path: PathBuf, read: Result<Vec<u8>, ReadError>) -> Result<Self, LoadError> {
        let bytes = read.map_err(|error| LoadError::new(&path, error.to_string()))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                Err(LoadError::at(&path, line, "the file is not UTF-8 text"))
            }
        }
    }

    /// The line in which a part of the text begins.
    pub fn line_of(&self, part: &str) -> usize {
        // Parts are slices of the text, so that their address tells their place without a search.
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.line_at(start)
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The line in which a JSON text first stands within a part, or that in which the part begins.
    pub fn line_of_json(&self, part: &str, text: &str) -> usize {
        let quoted = serde_json::Value::from(text).to_string();
        self.line_of(part.find(&quoted).and_then(|at| part.get(at..)).unwrap_or(part))
    }

    /// An error of the JSON reader.
    pub fn json_error(&self, error: &serde_json::Error) -> LoadError {
        LoadError::at(&self.path, error.line().max(1), format!("it is not the JSON that is expected here: {error}"))
    }
}

/// All files below a folder whose names a test accepts, by ascending path; hidden folders and those of packages are passed over.
pub fn files_below(root: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, LoadError> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, level)) = folders.pop() {
        let shown = if folder.is_empty() { root.to_owned() } else { root.join(&folder) };
        if level > LEVELS_MAX {
            return Err(LoadError::new(&shown, format!("folders are nested more than {LEVELS_MAX} levels deep")));
        }
        let entries = files::list_below(root, if folder.is_empty() { "." } else { &folder }, ENTRIES_MAX);
        for (name, is_folder) in entries.map_err(|error| LoadError::new(&shown, error.to_string()))? {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !is_folder {
                found.extend(wanted(&path).then_some(path));
            } else if !name.starts_with('.') && !PASSED_OVER.contains(&name.as_str()) {
                folders.push((path, level + 1));
            }
        }
    }
    // Folders list their entries in an order of their own; sorted, a world is the same everywhere.
    found.sort_unstable();
    Ok(found)
}
