//! Every change of a plan in a file, one JSON object a line: `{"pipeline": …, "action": …, …}`, written while the forecast
//! goes on.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::engine::forecast::options::Recorder;
use crate::model::forecast::PlannedChange;
use crate::model::ids::PipelineName;
use crate::model::text;
use crate::project::error::OpsError;
use crate::sys::files::{Draft, Readers};
use crate::sys::secrets::masked;

/// The file.
pub struct ChangesFile {
    path: PathBuf,
    /// Whether values of records are written.
    values: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    /// None once the file is in its place.
    file: Option<BufWriter<Draft>>,
    error: Option<io::Error>,
}

#[derive(Serialize)]
struct Line<'a> {
    pipeline: &'a PipelineName,
    #[serde(flatten)]
    change: &'a PlannedChange,
}

impl ChangesFile {
    /// Begins a file; without `values` it names records and properties only.
    pub fn new(path: &Path, values: bool) -> Result<Self, OpsError> {
        // It holds values of records, so only its owner may read it; it takes its name when it is complete.
        let file = Draft::new(path, Readers::Owner).map_err(|error| unwritable(path, &error))?;
        let inner = Mutex::new(Inner { file: Some(BufWriter::new(file)), error: None });
        Ok(Self { path: path.to_owned(), values, inner })
    }

    /// Ends it; the first thing that went wrong is said here.
    pub fn finish(&self) -> Result<(), OpsError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let file = inner.file.take();
        let keep = || file.map_or(Ok(()), |file| file.into_inner().map_err(io::IntoInnerError::into_error)?.keep());
        let ended = inner.error.take().map_or_else(keep, Err);
        ended.map_err(|error| unwritable(&self.path, &error))
    }
}

impl Recorder for ChangesFile {
    fn record(&self, pipeline: &PipelineName, change: &PlannedChange) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // After the first failure nothing is written: a file with a gap would look complete.
        if inner.error.is_some() {
            return;
        }
        let bare = (!self.values).then(|| {
            let mut bare = change.clone();
            bare.drop_values();
            bare
        });
        let change = bare.as_ref().unwrap_or(change);
        let line = serde_json::to_string(&Line { pipeline, change }).map_err(io::Error::from);
        let Some(file) = &mut inner.file else { return };
        // Masked once more as text: a secret may have come into a value by a template.
        inner.error = line.and_then(|line| writeln!(file, "{}", text::json(&masked(&line)))).err();
    }
}

fn unwritable(path: &Path, error: &io::Error) -> OpsError {
    OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another file")
}
