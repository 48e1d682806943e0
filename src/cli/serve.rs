//! `serve`, and the page that a sync serves beside its work.

use std::path::Path;
use std::sync::Arc;

use super::args::common::Common;
use super::args::serve::Serve;
use super::exit::Exit;
use super::output;
use super::shared::project;
use super::signals;
use crate::config::targets::with_target;
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, Project, open};
use crate::serve::current::Open;
use crate::serve::server::{Options, Server};

/// Serves until stopped.
pub async fn run(common: &Common, arguments: &Serve) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    let asked = signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let server = bind(common, &arguments.options()).await?;
    let open = opened_again(common, &project);
    server.run(project, open).await;
    Ok(if asked.to_interrupt() { Exit::Interrupted } else { Exit::Done })
}

/// Takes the address, and says where the page is.
async fn bind(common: &Common, options: &Options) -> Result<Server, OpsError> {
    let server = Server::bind(options).await?;
    if !common.quiet {
        output::talk(&format!("the page is at {}; Ctrl-C ends it", server.address()));
    }
    Ok(server)
}

/// Serves beside a sync, with connections of its own, for as long as that runs.
pub async fn beside(common: &Common, options: Option<Options>, root: &Path, outside: &Outside) -> Result<(), OpsError> {
    let Some(options) = options else { return Ok(()) };
    let project = open(root, &with_target(common.target.clone()), outside.clone())?;
    let server = bind(common, &options).await?;
    let open = opened_again(common, &project);
    tokio::spawn(server.run(project, open));
    Ok(())
}

/// What reads a project again.
fn opened_again(common: &Common, project: &Project) -> Open {
    let (root, outside, target) = (project.loaded.root.clone(), project.outside.clone(), common.target.clone());
    Arc::new(move || open(&root, &with_target(target.clone()), outside.clone()))
}
