//! `validate`: all rules that can be checked, offline or against the live systems.

use std::path::Path;

use super::error::OpsError;
use super::prepare::{Knowledge, prepare};
use super::wiring::{Outside, open};
use crate::config::env::Variables;
use crate::config::load::{Loaded, load};
use crate::config::select::select;
use crate::pipeline::compile::check_offline;

/// Checks definitions without credentials: files, schema, and what the definitions alone decide.
///
/// Errors: a name that no pipeline has.
pub fn offline(root: &Path, variables: Variables<'_>, names: &[String]) -> Result<Loaded, OpsError> {
    let mut loaded = load(root, variables);
    if !loaded.failed() {
        let findings = loaded.pipelines.iter().flat_map(|own| check_offline(&own.file.name, &own.config));
        let findings: Vec<_> = findings.collect();
        loaded.findings.extend(findings);
        loaded.sort();
    }
    narrow(&mut loaded, names)?;
    Ok(loaded)
}

/// Leaves out the findings of pipelines that were not asked for; those of files that could not be read stay.
fn narrow(loaded: &mut Loaded, names: &[String]) -> Result<(), OpsError> {
    let known: Vec<&str> = loaded.pipelines.iter().map(|own| own.config.name.as_str()).collect();
    if names.is_empty() || (loaded.failed() && known.is_empty()) {
        return Ok(());
    }
    let chosen = select(&known, names).map_err(|message| OpsError::Refused { code: "SL2012", message, help: None })?;
    let others = loaded.pipelines.iter().enumerate().filter(|(index, _)| !chosen.contains(index));
    let others: Vec<_> = others.map(|(_, own)| own.file.name.clone()).collect();
    loaded.findings.retain(|finding| !others.contains(&finding.file));
    loaded.files.retain(|file| !others.contains(&file.name));
    Ok(())
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
            loaded.sort();
            narrow(&mut loaded, names)?;
            Ok(loaded)
        }
        Err(OpsError::Findings(loaded)) => Ok(*loaded),
        Err(error) => Err(error),
    }
}
