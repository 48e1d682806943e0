//! Commands that look after what runs: `doctor`, `state`.

use super::args::care::{Doctor, State, StateAction, StateForget};
use super::args::common::{Common, Format};
use super::exit::Exit;
use super::output;
use super::progress::StatusLine;
use super::render::care as show;
use super::render::paint::Paint;
use super::shared::{json, project};
use super::signals;
use crate::ops::doctor::report::CheckStatus;
use crate::ops::state::StateReport;
use crate::ops::{doctor, state, state_copy};
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, Project};

pub(super) async fn look(common: &Common, arguments: &Doctor) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let report = doctor::doctor(&project(common, outside)?).await?;
    match arguments.format {
        Format::Text => output::styled(&show::doctor(&report, common.quiet, Paint::of_results())),
        Format::Json => json(&report),
    }
    Ok(if report.status == CheckStatus::Failed { Exit::Failed } else { Exit::Done })
}

pub(super) async fn state(common: &Common, arguments: &State) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let (report, said) = match &arguments.action {
        StateAction::Check => {
            let report = state::check(&project).await?;
            let said = show::checked(&report, Paint::of_results());
            (report, said)
        }
        StateAction::Backup(backup) => {
            let report = state::backup(&project, &backup.file).await?;
            let said = show::backed_up(&report);
            (report, said)
        }
        StateAction::Copy(copy) => {
            let line = StatusLine::new(common.quiet);
            let say = |step, table: &'static str, rows| line.say(show::copying(step, table, rows));
            let report = state_copy::copy(&project, &copy.from, &copy.to, &say).await?;
            drop(line);
            let said = show::copied(&report);
            (report, said)
        }
        StateAction::Forget(forget) => match forgotten(&project, forget).await? {
            Some(report) => {
                let said = show::forgotten(&report);
                (report, said)
            }
            None => return Ok(Exit::Done),
        },
    };
    match arguments.format {
        Format::Text => output::styled(&said),
        Format::Json => json(&report),
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Forgets a pipeline once a person has said so; none where they did not.
async fn forgotten(project: &Project, arguments: &StateForget) -> Result<Option<StateReport>, OpsError> {
    if !arguments.yes {
        let known = state::known_of(project, &arguments.pipeline).await?;
        output::talk(&show::to_forget(&known));
        if !output::interactive() {
            let help = "`--yes` forgets without asking; `syncline state backup FILE` keeps a copy first";
            return Err(OpsError::refused("SL6007", "there is no terminal to ask for confirmation", help));
        }
        if !output::ask("Forget it now?") {
            output::talk("nothing was done");
            return Ok(None);
        }
    }
    state::forget(project, &arguments.pipeline).await.map(Some)
}
