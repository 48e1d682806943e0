//! All that a state is to the program, whatever it is built on.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::facts::StateFacts;
use super::org_calls::OrgCalls;
use super::overview::StateOverview;
use super::state::{Directory, KeptAssociation, StateError, StateWriter};
use crate::model::association::AssociationKey;
use crate::model::ids::PipelineName;

/// A state.
pub trait Store: StateWriter + StateOverview + Directory {
    /// For a dry run, which changes nothing here: takes the associations of a pipeline for these, as the run will keep them. Tells which of
    /// them get another label: what the keys were, and what they are.
    fn assume_kept<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        kept: &'a [KeptAssociation],
    ) -> BoxFuture<'a, Result<Vec<(AssociationKey, AssociationKey)>, StateError>>;

    /// Goes up whenever somebody has written to it; none where its file tells that.
    fn changes<'a>(&'a self) -> BoxFuture<'a, Result<Option<i64>, StateError>>;

    /// The daily calls to orgs, where they are drawn from a place that states share.
    fn org_calls(&self) -> Option<Arc<dyn OrgCalls>> {
        None
    }

    /// What is known of many states that are in one database with this one, by their names; none where a state knows only itself. Of each
    /// pipeline's notes, those whose keys are one of `notes` and its name.
    fn facts<'a>(
        &'a self,
        states: &'a [String],
        notes: &'a [String],
    ) -> BoxFuture<'a, Result<Option<HashMap<String, StateFacts>>, StateError>>;
}
