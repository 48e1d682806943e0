//! `state copy`: a state moves from a file to a database, or back.

use super::state::{CopiedTable, CopiedView, StateReport, report};
use crate::ports::state::Lease;
use crate::project::error::OpsError;
use crate::project::wiring::Project;
pub use crate::state::copy::Step;
use crate::state::copy::{self, Copied, CopyError, OnProgress};

/// Copies a state into an empty one and compares both; no pipeline of either can be run meanwhile.
///
/// Errors: one of the two cannot be used, or is the other; the place of the copy is taken; a pipeline is being run; both are not alike.
pub async fn copy(project: &Project, from: &str, to: &str, on: OnProgress<'_>) -> Result<StateReport, OpsError> {
    let source = project.state_to_copy(from, true)?;
    let target = project.state_to_copy(to, false)?;
    if source.shown() == target.shown() {
        let message = format!("`{}` is both the state and the place of its copy", source.shown());
        return Err(OpsError::refused("SL6015", message, "name another file, or another `?state=` of the database"));
    }
    let _held = held(&*source, &*target).await?;
    let copied = copy::copy(&*source, &*target, on).await.map_err(|error| refused(error, to))?;
    let table = |(name, digest): (&str, copy::tables::Digest)| CopiedTable {
        table: name.to_owned(),
        rows: digest.rows,
        hash: format!("{:032x}", digest.sum),
    };
    let tables = copied.tables.into_iter().map(table).collect();
    let copied = CopiedView { from: source.shown(), resumed: copied.resumed, tables };
    let seen = target.seen().await?;
    Ok(StateReport { copied: Some(copied), ..report(target.shown(), seen, Vec::new()) })
}

/// The right to run each pipeline of the state, here and there, so that nobody else does meanwhile.
async fn held(from: &dyn Copied, to: &dyn Copied) -> Result<Vec<Box<dyn Lease>>, OpsError> {
    let mut held = Vec::new();
    for name in copy::pipelines(from).await? {
        for state in [from, to] {
            held.push(state.lease(&name, "state copy").await?);
        }
    }
    Ok(held)
}

fn refused(error: CopyError, to: &str) -> OpsError {
    let message = error.to_string();
    match error {
        CopyError::State(error) => OpsError::State(error),
        CopyError::Taken { .. } => {
            let help = "a copy replaces nothing: name a file that is not there, or another `?state=` of the database";
            OpsError::refused("SL6015", message, help)
        }
        CopyError::Other { from, .. } => {
            let help = format!("`syncline state copy {from} {to}` goes on with it; or name another place");
            OpsError::refused("SL6015", message, help)
        }
        CopyError::Unlike { .. } => {
            let help = "somebody wrote to one of the two: end what uses them (`sync`, `serve`), and run this again";
            OpsError::refused("SL6015", message, help)
        }
    }
}
