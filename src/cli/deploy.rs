//! `deploy`: definitions into the database.

use super::args::common::{Common, Format};
use super::args::deploy::Deploy;
use super::exit::Exit;
use super::output;
use super::render::deploy as show;
use super::render::paint::Paint;
use super::shared::json;
use crate::config::targets::without_target;
use crate::ops::deploy::{DeployOptions, deploy, list, roll_back};
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, open, project_folder};

/// Deployments shown at most.
const LISTED_MAX: usize = 100;

/// Runs it.
pub async fn run(common: &Common, arguments: &Deploy) -> Result<Exit, OpsError> {
    if common.target.is_some() {
        let message = "a deployment is of all targets and portals together, and `--target` names one";
        return Err(OpsError::refused("SL6050", message, "leave `--target` out"));
    }
    let here = std::env::current_dir().unwrap_or_default();
    let root = project_folder(common.project.as_deref(), &here)?;
    let project = open(&root, &without_target, Outside::real())?;
    if arguments.list {
        let all = list(&project, LISTED_MAX).await?;
        match arguments.format {
            Format::Text => output::styled(&show::list(&all)),
            Format::Json => json(&all),
        }
        return Ok(Exit::Done);
    }
    let options = DeployOptions { dry_run: arguments.dry_run, allow_uncommitted: arguments.allow_uncommitted };
    let report = match arguments.rollback {
        true => roll_back(&project, &without_target, options).await?,
        false => deploy(&project, &without_target, options).await?,
    };
    match arguments.format {
        Format::Text => output::styled(&show::report(&report, Paint::of_results())),
        Format::Json => json(&report),
    }
    Ok(Exit::Done)
}
