//! Which pipelines a command means: names, globs, and `modified:REF`.

use super::error::OpsError;
use super::revision::modified;
use crate::config::load::Loaded;
use crate::config::select::select;

/// Selects by the git revision that follows.
pub const MODIFIED: &str = "modified:";

/// The places of the chosen pipelines; all when nothing is asked for. Empty where nothing was modified.
///
/// Errors: a word that selects nothing; what git says.
pub fn choose(loaded: &Loaded, asked: &[String]) -> Result<Vec<usize>, OpsError> {
    let names: Vec<&str> = loaded.pipelines.iter().map(|own| own.config.name.as_str()).collect();
    let refused = |message| OpsError::Refused { code: "SL2012", message, help: None };
    let (selectors, words): (Vec<&String>, Vec<&String>) = asked.iter().partition(|word| word.starts_with(MODIFIED));
    let words: Vec<String> = words.into_iter().cloned().collect();
    let mut chosen = match words.is_empty() && !selectors.is_empty() {
        true => Vec::new(),
        false => select(&names, &words).map_err(refused)?,
    };
    for selector in selectors {
        let changed = modified(loaded, &selector[MODIFIED.len()..])?;
        chosen.extend((0..names.len()).filter(|at| changed.iter().any(|name| name == names[*at])));
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}
