//! What a forecast is to find out, and who is told of each change.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::plan_entries::PlanObserver;
use crate::model::association::AssociationKey;
use crate::model::forecast::{PlannedAction, PlannedChange};
use crate::model::ids::PipelineName;
use crate::pipeline::compiled::Pipeline;
use crate::plan::guard::Allowance;
use crate::ports::state::StateWriter;

/// What a forecast is to find out.
#[derive(Clone, Default)]
pub struct ForecastOptions {
    /// Most changes in the sample.
    pub sample_max: usize,
    /// Only these actions go into the sample; all of them where it is empty. Numbers are exact either way.
    pub only: Vec<PlannedAction>,
    /// Waiting associations are tried whose time has come by then; all of them where it is absent.
    pub associations_at: Option<Timestamp>,
    /// Associations that wait since earlier runs are left out: the forecast is about certain records.
    pub without_waiting: bool,
    /// The state is elsewhere, and the associations that it knows were dealt with there: those that only wait are no change.
    pub associations_elsewhere: bool,
    /// Lookups of the same plan may lead to these records.
    pub is_led_to: bool,
    /// Other lookups of the same plan may ask for associations between the same records.
    pub meets: bool,
    /// Where lookups are kept that wait for records which the same command may make; none where none may wait.
    pub waiting: Option<Arc<dyn StateWriter>>,
    /// What a person would allow the run.
    pub allowance: Allowance,
    /// Which associations take the place of which, as their labels have changed.
    pub relabelled: HashMap<AssociationKey, AssociationKey>,
    /// The run looks at every association that was ever carried out, and so does the plan.
    pub recheck: bool,
    /// The read begins where an earlier run left it, and what the server keeps of it is for the next run.
    pub keeps_place: bool,
    /// The pipeline as it was, to tell which rejections are new.
    pub before: Option<Arc<Pipeline>>,
    /// Of the records that HubSpot lacks, only those count that `before` rejects: the others were never imported.
    pub failed_only: bool,
    /// Takes every change, not only the sample. What HubSpot holds is then read for all of them.
    pub recorder: Option<Arc<dyn Recorder>>,
    /// Is shown every change. What HubSpot holds is then read for all of them.
    pub observer: Option<Arc<dyn PlanObserver>>,
}

/// Takes every change that a forecast finds.
pub trait Recorder: Send + Sync {
    /// One change of a pipeline; what goes wrong is said at the end.
    fn record(&self, pipeline: &PipelineName, change: &PlannedChange);
}
