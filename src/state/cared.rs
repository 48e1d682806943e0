//! A state as a thing to care for, whatever it is built on.

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::care::{self, Forgotten};
use super::open::Seen;
use crate::model::ids::PipelineName;
use crate::ports::state::StateError;

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

/// Cares for a state.
pub trait Cared: Send + Sync {
    /// How it is shown: its file, or its address without a password.
    fn shown(&self) -> String;

    /// Looks at it without going through it; none where there is none yet.
    fn look(&self) -> Answer<'_, Option<Seen>>;

    /// Goes through all of it: what is wrong with it.
    fn check(&self) -> Answer<'_, (Seen, Vec<String>)>;

    /// What it knows of a pipeline, as [`Cared::forget`] would take it out; none where it knows no such pipeline.
    fn known_of<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<Forgotten>>;

    /// Takes out everything that is remembered of a pipeline, in one transaction.
    fn forget<'a>(&'a self, pipeline: &'a PipelineName, holder: &'a str) -> Answer<'a, Option<Forgotten>>;
}

/// A state in a file of SQLite.
pub struct CaredFile(pub PathBuf);

impl Cared for CaredFile {
    fn shown(&self) -> String {
        self.0.display().to_string()
    }

    fn look(&self) -> Answer<'_, Option<Seen>> {
        let seen = if self.0.exists() { care::look(&self.0).map(Some) } else { Ok(None) };
        ready(seen).boxed()
    }

    fn check(&self) -> Answer<'_, (Seen, Vec<String>)> {
        ready(care::check(&self.0)).boxed()
    }

    fn known_of<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<Forgotten>> {
        ready(care::known_of(&self.0, pipeline)).boxed()
    }

    fn forget<'a>(&'a self, pipeline: &'a PipelineName, holder: &'a str) -> Answer<'a, Option<Forgotten>> {
        ready(care::forget(&self.0, pipeline, holder)).boxed()
    }
}
