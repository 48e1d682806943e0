//! One file a stage; its header says input, output, effect, and why repeating it is safe. `read` stages hold readers
//! only, so a dry run cannot write; `write` stages hold the writers. Knows ports, never a vendor.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::Span;

use self::owners::{OwnerList, OwnerSources, OwnersError};
use crate::model::ids::RunId;
use crate::model::owners::Owners;
use crate::pipeline::compiled::Pipeline;
use crate::plan::adoption::{Adopters, SameTitles};
use crate::plan::guard::Refusal;
use crate::plan::targets::FoundTargets;
use crate::ports::fault::Fault;
use crate::ports::source::Source;
use crate::ports::state::{Directory, StateError, StateReader, StateWriter};
use crate::ports::target::{Confirm, TargetReader, TargetWriter};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::spans;

pub mod owners;
pub mod read;
pub mod write;

/// One step. What goes in and out is in the types, so a runner that put stages in the wrong order would not compile.
pub trait Stage {
    /// A batch on its way in.
    type In;
    /// The same batch on its way out.
    type Out;
    /// The step's name in logs and errors.
    const NAME: StageName;
    /// Carries out the step for one batch.
    fn run(&self, cx: &StageContext, batch: Self::In) -> impl Future<Output = Result<Self::Out, StageError>> + Send;
}

/// What every stage may use.
#[derive(Clone)]
pub struct StageContext {
    /// The compiled pipeline.
    pub pipeline: Arc<Pipeline>,
    /// The run.
    pub run: RunId,
    /// Where records come from.
    pub source: Arc<dyn Source>,
    /// Where records go to, for reading.
    pub target: Arc<dyn TargetReader>,
    /// What is remembered, for reading.
    pub state: Arc<dyn StateReader>,
    /// Which HubSpot records carry which Salesforce id, where that property is not unique; private to a dry run.
    pub directory: Arc<dyn Directory>,
    /// Nothing will be written: records that would be made count as made for the associations with them.
    pub dry: bool,
    /// Time.
    pub clock: Clock,
    /// Failures and associations are tried whose time has come by then: the beginning of the run, or of the plan that it follows.
    pub due_at: Timestamp,
    /// Failures that wait for a later try are tried as well: a person asked for everything.
    pub try_all: bool,
    /// What is remembered is not believed: HubSpot is asked what it holds of every record.
    pub compare: bool,
    /// Records that are as they were written are remembered with the hash and mark of today, where state holds others: in a run of everything
    /// that follows no plan.
    pub renews_marks: bool,
    /// Tells when to stop.
    pub cancel: Cancel,
    /// The pipeline has open or dismissed failures, so a record may be one of them.
    pub failures_open: bool,
    /// Earlier runs have sent something for some records whose outcome is not noted: those are asked for in HubSpot.
    pub has_unconfirmed: bool,
    /// The owners of the portal.
    pub owners: Arc<OwnerList>,
    /// In which order batches take records over, for the length of a run.
    pub adopters: Arc<Adopters>,
    /// HubSpot held no record of the object when this import began, so none is asked for.
    pub vacant: bool,
    /// Targets of lookups that were found in this run.
    pub found_targets: Arc<FoundTargets>,
    /// Records of which HubSpot holds one by the same name already; looked for by a first import only.
    pub same_titles: Option<Arc<SameTitles>>,
    /// Asks, where the pipeline was checked against a remembered portal, whether the portal is still the same.
    pub portal: Option<Arc<dyn Confirm>>,
}

impl StageContext {
    /// The owners of the portal, as an earlier run saved them or as HubSpot says; a comparison of both systems believes
    /// nothing that was saved.
    pub async fn owners(&self) -> Result<&Owners, OwnersError> {
        if self.compare { self.owners_now().await } else { self.owners.get(&self.owner_sources()).await }
    }

    /// The owners as HubSpot says now, asked once in a run.
    pub async fn owners_now(&self) -> Result<&Owners, OwnersError> {
        self.owners.read(&self.owner_sources()).await
    }

    fn owner_sources(&self) -> OwnerSources<'_> {
        OwnerSources {
            target: &*self.target,
            state: &*self.state,
            connection: &self.pipeline.target.connection,
            now: self.clock.now(),
        }
    }

    /// Must have succeeded before the portal is used, or a record is judged by its definitions.
    pub async fn confirm(&self) -> Result<(), Fault> {
        match &self.portal {
            Some(portal) => portal.confirm().await,
            None => Ok(()),
        }
    }
}

/// What only the write half holds.
#[derive(Clone)]
pub struct Writers {
    /// Where records go to.
    pub target: Arc<dyn TargetWriter>,
    /// What is remembered.
    pub state: Arc<dyn StateWriter>,
}

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageName {
    /// Reads rows.
    Extract,
    /// Makes of a row what it should look like.
    Transform,
    /// Decides by what is known.
    Match,
    /// Writes records.
    Load,
    /// Makes and removes associations.
    Associate,
    /// Archives records.
    Delete,
    /// Saves what was acknowledged.
    Checkpoint,
}

impl StageName {
    /// The step's work on so many records, in the trace of the run.
    pub fn span(self, records: usize) -> Span {
        spans::stage(&self, Some(records))
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extract => "extract",
            Self::Transform => "transform",
            Self::Match => "match",
            Self::Load => "load",
            Self::Associate => "associate",
            Self::Delete => "delete",
            Self::Checkpoint => "checkpoint",
        })
    }
}

/// Why a stage could not go on. The run ends; what was acknowledged is saved.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{stage}: {cause}")]
pub struct StageError {
    /// The stage.
    pub stage: StageName,
    /// What stopped it.
    pub cause: StageCause,
}

/// What stopped a stage.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StageCause {
    /// A remote failure.
    #[error(transparent)]
    Remote(#[from] Fault),
    /// The state could not be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The guard stopped the run.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
}

impl From<OwnersError> for StageCause {
    fn from(error: OwnersError) -> Self {
        match error {
            OwnersError::Remote(fault) => Self::Remote(fault),
            OwnersError::State(error) => Self::State(error),
        }
    }
}

impl StageError {
    /// Wraps a cause with the stage that met it.
    pub fn at<C: Into<StageCause>>(stage: StageName) -> impl FnOnce(C) -> Self {
        move |cause| Self { stage, cause: cause.into() }
    }
}
