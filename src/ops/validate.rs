//! `validate`: all rules that can be checked, offline or against the live systems.

use std::path::Path;

use super::error::OpsError;
use super::prepare::{Knowledge, prepare};
use super::wiring::{Outside, open};
use crate::config::env::Variables;
use crate::config::load::{Loaded, load};

/// Checks definitions without credentials: files, schema, and what the definitions alone decide.
pub fn offline(root: &Path, variables: Variables<'_>) -> Loaded {
    load(root, variables)
}

/// Checks everything, against the live systems as well.
pub async fn online(
    root: &Path,
    variables: Variables<'_>,
    outside: Outside,
    names: &[String],
) -> Result<Loaded, OpsError> {
    let project = match open(root, variables, outside) {
        Ok(project) => project,
        Err(OpsError::Findings(loaded)) => return Ok(*loaded),
        Err(error) => return Err(error),
    };
    match prepare(&project, names, Knowledge::Live).await {
        Ok(preparation) => {
            let mut loaded = project.loaded.clone();
            loaded.findings.extend(preparation.warnings);
            Ok(loaded)
        }
        Err(OpsError::Findings(loaded)) => Ok(*loaded),
        Err(error) => Err(error),
    }
}
