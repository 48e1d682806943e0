//! The state in SQLite as all that a state is to the program.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::sqlite::SqliteState;
use crate::model::association::AssociationKey;
use crate::model::ids::PipelineName;
use crate::ports::facts::StateFacts;
use crate::ports::state::{KeptAssociation, StateError};
use crate::ports::store::Store;

impl Store for SqliteState {
    fn assume_kept<'a>(
        &'a self,
        pipeline: &'a PipelineName,
        kept: &'a [KeptAssociation],
    ) -> BoxFuture<'a, Result<Vec<(AssociationKey, AssociationKey)>, StateError>> {
        SqliteState::assume_kept(self, pipeline, kept).boxed()
    }

    fn changes(&self) -> BoxFuture<'_, Result<Option<i64>, StateError>> {
        ready(Ok(None)).boxed()
    }

    fn facts<'a>(
        &'a self,
        _: &'a [String],
        _: &'a [String],
    ) -> BoxFuture<'a, Result<Option<HashMap<String, StateFacts>>, StateError>> {
        ready(Ok(None)).boxed()
    }
}
