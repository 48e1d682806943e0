//! Why a run ended early: its code, what a person should do, and how the run's row says it.

use super::objects::ObjectsChanged;
use crate::model::report::RunStatus;
use crate::plan::guard::Refusal;
use crate::ports::fault::Fault;
use crate::ports::state::StateError;
use crate::stages::{StageCause, StageError, StageName};

/// Why a run ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StopReason {
    /// A stage could not go on.
    #[error(transparent)]
    Stage(StageError),
    /// The guard refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state is about other objects.
    #[error(transparent)]
    ObjectsChanged(#[from] ObjectsChanged),
}

impl From<StageError> for StopReason {
    fn from(error: StageError) -> Self {
        match error.cause {
            // A guard that refuses within a stage is no failure of the stage.
            StageCause::Refused(refusal) => Self::Refused(*refusal),
            cause => Self::Stage(StageError { cause, ..error }),
        }
    }
}

impl From<StateError> for StopReason {
    fn from(error: StateError) -> Self {
        Self::Stage(StageError::at(StageName::Checkpoint)(error))
    }
}

impl StopReason {
    /// Stable code that `syncline explain` describes.
    pub fn code(&self) -> &'static str {
        let error = match self {
            Self::Refused(_) | Self::Stage(StageError { cause: StageCause::Refused(_), .. }) => return "SL6009",
            Self::ObjectsChanged(_) => return "SL6020",
            Self::Stage(StageError { cause: StageCause::State(error), .. }) => return error.code(),
            Self::Stage(StageError { cause: StageCause::Remote(fault), .. }) => fault.error(),
        };
        // A stop that no system's answer caused: somebody asked for it.
        error.map_or("SL6010", |error| error.code)
    }

    /// What a person should do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.help()),
            Self::ObjectsChanged(changed) => Some(changed.help()),
            Self::Stage(StageError { cause: StageCause::Remote(fault), .. }) => fault.error()?.help.clone(),
            Self::Stage(_) => None,
        }
    }

    /// How the run's row says it.
    pub fn status(&self) -> RunStatus {
        match self {
            // Some refusals are said when records have been written already.
            Self::Refused(Refusal::Short { .. } | Refusal::Reject { begun: true, .. }) => RunStatus::Failed,
            Self::Refused(_) | Self::ObjectsChanged(_) => RunStatus::Refused,
            Self::Stage(StageError { cause: StageCause::Remote(Fault::Cancelled), .. }) => RunStatus::Interrupted,
            Self::Stage(StageError { cause: StageCause::Remote(Fault::Budget { .. }), .. }) => RunStatus::Paused,
            Self::Stage(_) => RunStatus::Failed,
        }
    }
}
