//! `import`: how many records a copy is about, before anybody is asked whether to go on.

use crate::engine::{catch_up, trial};
use crate::model::report::Trial;
use crate::ports::source::Source;
use crate::ports::store::Store;
use crate::project::error::OpsError;
use crate::project::prepare::{Preparation, Prepared, Refused};
use crate::project::wiring::Project;

/// What a copy of one pipeline is about.
pub struct Counted {
    /// Records to read.
    pub records: u64,
    /// How many of them an earlier, unfinished import has read.
    pub read: Option<u64>,
}

/// Which records a copy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All that match.
    All,
    /// Those that a changed mapping or filter touches.
    Stale,
    /// These.
    Part(Trial),
}

impl Which {
    /// The records of a part.
    pub fn part(&self) -> Option<&Trial> {
        match self {
            Self::Part(trial) => Some(trial),
            Self::All | Self::Stale => None,
        }
    }
}

/// Counts for each pipeline that is ready, in their order. One that cannot be counted is refused.
///
/// Errors: what concerns all pipelines: the state cannot be used.
pub async fn count(
    project: &Project,
    state: &dyn Store,
    preparation: &mut Preparation,
    which: &Which,
) -> Result<Vec<Counted>, OpsError> {
    let mut counted = Vec::new();
    let mut ready = Vec::new();
    for prepared in std::mem::take(&mut preparation.pipelines) {
        match count_one(project, state, &prepared, which).await {
            Ok(count) => {
                counted.push(count);
                ready.push(prepared);
            }
            // Without a state no pipeline can be imported.
            Err(error @ OpsError::State(_)) => return Err(error),
            // One pipeline's org may be down while the others are ready.
            Err(reason) => preparation.refused.push(Refused { name: prepared.pipeline.name.clone(), reason }),
        }
    }
    preparation.pipelines = ready;
    Ok(counted)
}

async fn count_one(
    project: &Project,
    state: &dyn Store,
    prepared: &Prepared,
    which: &Which,
) -> Result<Counted, OpsError> {
    let name = &prepared.pipeline.name;
    let pipeline = &prepared.pipeline;
    let (query, most) = match which {
        Which::Stale => {
            // The state knows these; Salesforce is not asked for a number.
            let backlog = catch_up::backlog(state, pipeline).await?;
            return Ok(Counted { records: backlog.behind + backlog.failed, read: None });
        }
        Which::Part(Trial::Records(ids)) => return Ok(Counted { records: ids.len() as u64, read: None }),
        Which::Part(Trial::Matching(chosen)) => (trial::query(pipeline, chosen), chosen.most),
        Which::All => match state.cursor(name).await? {
            // The total that the first start counted, so that the share which is done keeps its meaning.
            Some(progress) => return Ok(Counted { records: progress.total, read: Some(progress.read) }),
            None => (pipeline.all_records(), None),
        },
    };
    let connection = &project.loaded.pipelines[prepared.index].config.source.connection;
    let source = project.source(connection)?;
    let records = source.count(&query).await.map_err(OpsError::remote(name))?;
    // A part of a query is no more than what was asked for.
    Ok(Counted { records: records.min(most.unwrap_or(u64::MAX)), read: None })
}
