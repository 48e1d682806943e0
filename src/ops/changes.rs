//! Every change of a plan in a file, one JSON object a line: `{"pipeline": …, "action": …, …}`, written while the forecast
//! goes on.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::engine::forecast::Recorder;
use crate::model::forecast::PlannedChange;
use crate::model::ids::PipelineName;
use crate::project::error::OpsError;

/// The file.
pub struct ChangesFile {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    file: BufWriter<File>,
    error: Option<io::Error>,
}

#[derive(Serialize)]
struct Line<'a> {
    pipeline: &'a PipelineName,
    #[serde(flatten)]
    change: &'a PlannedChange,
}

impl ChangesFile {
    /// Begins a file.
    pub fn new(path: &Path) -> Result<Self, OpsError> {
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), inner: Mutex::new(Inner { file: BufWriter::new(file), error: None }) })
    }

    /// Ends it; the first thing that went wrong is said here.
    pub fn finish(&self) -> Result<(), OpsError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = inner.error.take().map_or_else(|| inner.file.flush(), Err);
        ended.map_err(|error| unwritable(&self.path, &error))
    }
}

impl Recorder for ChangesFile {
    fn record(&self, pipeline: &PipelineName, change: &PlannedChange) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.error.is_some() {
            return;
        }
        let line = serde_json::to_string(&Line { pipeline, change }).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(inner.file, "{line}"));
        inner.error = written.err();
    }
}

fn unwritable(path: &Path, error: &io::Error) -> OpsError {
    OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another file")
}
