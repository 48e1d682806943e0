//! Which pipelines a command means: names, globs, and `modified:REF`.

use std::path::Path;

use super::error::OpsError;
use super::revision::modified;
use crate::config::load::Loaded;
use crate::config::select::{Candidate, select};
use crate::diagnostic::{Diagnostic, Severity};

/// Selects by the git revision that follows.
pub const MODIFIED: &str = "modified:";

/// Pipelines by their places: among those that were decoded, and among the files that could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Places in [`Loaded::pipelines`].
    pub pipelines: Vec<usize>,
    /// Places in [`Loaded::broken`].
    pub broken: Vec<usize>,
}

impl Selection {
    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.pipelines.is_empty() && self.broken.is_empty()
    }
}

/// The chosen pipelines; all when nothing is asked for. Empty where nothing was modified.
///
/// Errors: there is no pipeline at all; a word that selects nothing; what git says.
pub fn choose(loaded: &Loaded, asked: &[String]) -> Result<Selection, OpsError> {
    if let Some(nothing) = &loaded.nothing {
        let finding = Diagnostic { severity: Severity::Error, ..nothing.clone() };
        return Err(OpsError::Findings(Box::new(Loaded { findings: vec![finding], ..loaded.clone() })));
    }
    let decoded = loaded.pipelines.len();
    let decoded_pipelines =
        loaded.pipelines.iter().map(|pipeline| Candidate { name: &pipeline.config.name, file: &pipeline.file.name });
    let broken = loaded.broken.iter().map(|pipeline| Candidate { name: pipeline.name(), file: &pipeline.file });
    let candidates: Vec<Candidate<'_>> = decoded_pipelines.chain(broken).collect();
    let refused = |message| OpsError::Refused { code: "SL2012", message, help: None };
    let (selectors, words): (Vec<&String>, Vec<&String>) = asked.iter().partition(|word| word.starts_with(MODIFIED));
    let words: Vec<String> = words.into_iter().map(|word| relative_to_project(&loaded.root, word)).collect();
    // `modified:` alone selects what was modified; no words at all would select everything.
    let mut chosen = match words.is_empty() && !selectors.is_empty() {
        true => Vec::new(),
        false => select(&candidates, &words).map_err(refused)?,
    };
    for selector in selectors {
        let changed = modified(loaded, &selector[MODIFIED.len()..])?;
        chosen.extend((0..candidates.len()).filter(|at| changed.iter().any(|name| name == candidates[*at].name)));
    }
    chosen.sort_unstable();
    chosen.dedup();
    let (pipelines, broken): (Vec<usize>, Vec<usize>) = chosen.into_iter().partition(|place| *place < decoded);
    Ok(Selection { pipelines, broken: broken.into_iter().map(|place| place - decoded).collect() })
}

/// A whole path as files are named: relative to the project.
fn relative_to_project(root: &Path, word: &str) -> String {
    match Path::new(word).strip_prefix(root) {
        Ok(path) if Path::new(word).is_absolute() => path.to_string_lossy().into_owned(),
        _ => word.to_owned(),
    }
}
