//! Lookups that wait for records which the same command makes later: a pipeline that runs after theirs, or a later part of their own.
//! They are kept in the directory of the dry run until the record comes, as the run associates them once it stands.

use std::collections::HashMap;

use super::Forecast;
use super::waits::{AwaitedBy, Settled};
use crate::model::association::AssociationKey;
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::pipeline::compiled::AssociationTarget;
use crate::ports::state::{LookupRef, StateError};
use crate::stages::{StageError, StageName};

impl Forecast {
    /// Notes lookups that wait, each with what it leads to.
    pub(super) async fn await_targets(&self, waiting: Vec<(LookupRef, SalesforceId)>) -> Result<(), StageError> {
        let pipeline = &self.cx.pipeline;
        if pipeline.is_junction || self.options.associations_elsewhere {
            return Ok(());
        }
        let mut by_directory: HashMap<String, Vec<(SalesforceId, HubspotId)>> = HashMap::new();
        for ((row, key), target) in waiting {
            let association = pipeline.associations.iter().find(|association| association.key == key);
            let Some(AssociationTarget::Pipeline { name, .. }) = association.map(|found| &found.target) else {
                continue;
            };
            // Two counts: associations that become possible, and lookups that no longer wait, which may be several
            // for one pair.
            for directory in [pairs_name(name, &pipeline.name), lookups_name(name, &pipeline.name, &key)] {
                by_directory.entry(directory).or_default().push((target, HubspotId::new(row.as_str())));
            }
        }
        for (name, entries) in by_directory {
            self.cx.directory.add(&name, &entries).await.map_err(at)?;
        }
        Ok(())
    }

    /// Counts what has waited for records that would be made.
    pub(super) async fn settle_awaited(&self, made: &[SalesforceId]) -> Result<(), StageError> {
        let own = &self.cx.pipeline.name;
        if made.is_empty() {
            return Ok(());
        }
        for AwaitedBy { pipeline, lookups } in &self.options.awaited_by {
            let mut settled = Settled { pairs: self.awaiting(&pairs_name(own, pipeline), made).await?, lookups: 0 };
            if settled.pairs == 0 {
                continue;
            }
            for key in lookups {
                settled.lookups += self.awaiting(&lookups_name(own, pipeline, key), made).await?;
            }
            let mut totals = self.totals();
            let all = totals.settled.entry(pipeline.clone()).or_default();
            *all = Settled { lookups: all.lookups + settled.lookups, pairs: all.pairs + settled.pairs };
        }
        Ok(())
    }

    async fn awaiting(&self, directory: &str, made: &[SalesforceId]) -> Result<u64, StageError> {
        let found = self.cx.directory.find(directory, made).await.map_err(at)?;
        Ok(found.values().map(|rows| rows.len() as u64).sum())
    }
}

fn pairs_name(target: &PipelineName, by: &PipelineName) -> String {
    format!("awaited:{target}:{by}")
}

fn lookups_name(target: &PipelineName, by: &PipelineName, key: &AssociationKey) -> String {
    format!("awaited:{target}:{by}:{}", key.0)
}

fn at(error: StateError) -> StageError {
    StageError::at(StageName::Associate)(error)
}
