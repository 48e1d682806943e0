//! What the state of a project remembers of its records, read and changed as the engine does it.

use std::future::Future;
use std::path::Path;

use jiff::Timestamp;
use syncline::model::identity::Identity;
use syncline::model::ids::{PipelineName, RunId};
use syncline::model::report::Tally;
use syncline::ports::state::{Commit, StateReader as _, StateWriter as _};
use syncline::state::sqlite::SqliteState;
use syncline::sys::clock::Clock;

/// Does something with the state of a file.
fn with<T, F: Future<Output = T>>(path: &Path, work: impl FnOnce(SqliteState) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let state = SqliteState::open(path, &Clock::system()).unwrap();
    runtime.block_on(work(state))
}

/// The live records of a pipeline, up to so many, in order.
pub(crate) fn live(path: &Path, pipeline: &str, limit: usize) -> Vec<Identity> {
    let name = PipelineName::new(pipeline);
    with(path, |state| async move {
        let ids = state.live(&name, None, limit).await.unwrap();
        let known = state.identities(&name, &ids).await.unwrap();
        ids.iter().map(|id| known[id].clone()).collect()
    })
}

/// Has the state remember records.
pub(crate) fn remember(path: &Path, pipeline: &str, identities: Vec<Identity>) {
    let (name, run) = (PipelineName::new(pipeline), RunId::new("01J00000000000000000000001"));
    let commit = Commit { identities, ..Commit::new(&name, &run, Timestamp::UNIX_EPOCH, Tally::default()) };
    with(path, |state| async move { state.commit(commit).await.unwrap() });
}
