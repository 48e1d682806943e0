//! A saved plan: one file of JSON lines, written while the forecast goes on, with a digest at its end.
//!
//! `{"syncline_plan":1,…}`, then for each pipeline `{"pipeline":"name"}` and one entry a line, then `{"plan":{…}}` with
//! what the plan was made from, and `{"digest":"…"}` over all bytes before.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::pipeline::PipelineConfig;
use crate::engine::plan_entries::PlanObserver;
use crate::model::forecast::PipelineForecast;
use crate::model::hash::Hasher;
use crate::model::ids::PipelineName;
use crate::model::plan_entry::PlanEntry;
use crate::model::report::RunScope;
use crate::ports::fault::{Fault, RemoteError};
use crate::project::error::OpsError;
use crate::project::portal::Portal;
use crate::stages::{StageError, StageName};
use crate::sys::files::{self, Draft, Readers};
use crate::sys::secrets::masked;

/// Version of the form.
pub const VERSION: u32 = 1;

/// Longest line, in bytes: the one with the sample.
/// It bounds what a damaged or foreign file can make us read into memory.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What a plan was made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedPlan {
    /// When it was made.
    pub created: Timestamp,
    /// The pipelines, in the order in which they run.
    pub pipelines: Vec<SavedPipeline>,
}

/// One pipeline of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedPipeline {
    /// Its name.
    pub name: PipelineName,
    /// Which records the run is about.
    pub scope: RunScope,
    /// The definition.
    pub definition: PipelineConfig,
    /// The portal, as far as the definition needs it.
    pub portal: Portal,
    /// What was remembered.
    pub state: StateSummary,
    /// What the plan said.
    pub forecast: PipelineForecast,
}

/// What is remembered of a pipeline, in numbers that every run moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSummary {
    /// How far it was read.
    pub watermark: Option<String>,
    /// Records that stand in HubSpot.
    pub records: u64,
    /// The latest run.
    pub last_run: Option<String>,
    /// An import is unfinished.
    pub unfinished: bool,
    /// Open failures.
    pub failures: u64,
}

#[derive(Serialize, Deserialize)]
struct Head {
    syncline_plan: u32,
    syncline: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Pipeline(PipelineName),
    Plan(Box<SavedPlan>),
    Digest(String),
}

/// Writes a plan's file; it appears under its name when it is complete.
pub struct Writer {
    path: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    /// None once the file is in its place.
    file: Option<BufWriter<Draft>>,
    hasher: Hasher,
    pipeline: Option<PipelineName>,
}

impl Inner {
    /// Adds a line to the file and to its digest.
    fn line<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        // Masked before it is hashed, so that the digest is of what stands in the file.
        let mut text = masked(&serde_json::to_string(value)?).into_owned();
        text.push('\n');
        self.hasher.bytes(text.as_bytes());
        let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        file.write_all(text.as_bytes())
    }
}

impl Writer {
    /// Begins a file.
    pub fn new(path: &Path) -> Result<Self, OpsError> {
        let begin = || -> io::Result<Inner> {
            // Plans hold values of records.
            let file = Some(BufWriter::new(Draft::new(path, Readers::Owner)?));
            let mut inner = Inner { file, hasher: Hasher::default(), pipeline: None };
            inner.line(&Head { syncline_plan: VERSION, syncline: env!("CARGO_PKG_VERSION").to_owned() })?;
            Ok(inner)
        };
        let inner = begin().map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), inner: Arc::new(Mutex::new(inner)) })
    }

    /// Who writes a pipeline's entries.
    pub fn observer(&self, pipeline: &PipelineName) -> Arc<dyn PlanObserver> {
        Arc::new(EntryWriter { inner: Arc::clone(&self.inner), pipeline: pipeline.clone() })
    }

    /// Ends the file.
    pub fn finish(self, plan: SavedPlan) -> Result<(), OpsError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let end = || -> io::Result<()> {
            inner.line(&Line::Plan(Box::new(plan)))?;
            // Against damage and half copies; whoever may edit the file may write a digest as well.
            let digest = std::mem::take(&mut inner.hasher).hex::<32>();
            inner.line(&Line::Digest(digest))?;
            let file = inner.file.take().ok_or(io::ErrorKind::BrokenPipe)?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.keep()
        };
        end().map_err(|error| unwritable(&self.path, &error))
    }
}

struct EntryWriter {
    inner: Arc<Mutex<Inner>>,
    pipeline: PipelineName,
}

impl PlanObserver for EntryWriter {
    fn observe(&self, entries: Vec<PlanEntry>) -> BoxFuture<'_, Result<(), StageError>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut write = || -> io::Result<()> {
            // The name stands once before its entries, of which there may be a million.
            if inner.pipeline.as_ref() != Some(&self.pipeline) {
                inner.line(&Line::Pipeline(self.pipeline.clone()))?;
                inner.pipeline = Some(self.pipeline.clone());
            }
            entries.iter().try_for_each(|entry| inner.line(entry))
        };
        let written = write().map_err(|error| {
            StageError::at(StageName::Match)(Fault::Halt(RemoteError {
                code: "SL6008",
                service: "Syncline",
                operation: "save the plan".to_owned(),
                status: None,
                message: format!("the plan cannot be written: {error}"),
                help: Some("check the folder's permissions and the free space".to_owned()),
                request_id: None,
                attempts: 1,
            }))
        });
        std::future::ready(written).boxed()
    }
}

/// Reads a plan's file to its end and checks it.
///
/// Errors: no such file; not a plan, damaged, or of another version.
pub fn read(path: &Path) -> Result<SavedPlan, OpsError> {
    let mut plan = None;
    each_line(path, |line| {
        if let Ok(Line::Plan(read)) = serde_json::from_str(line) {
            plan = Some(*read);
        }
        Ok(())
    })?;
    plan.ok_or_else(|| damaged(path, "what it was made from is missing"))
}

/// Hands the entries of a checked file on, by pipeline.
pub fn entries(
    path: &Path,
    mut take: impl FnMut(&PipelineName, PlanEntry) -> Result<(), OpsError>,
) -> Result<(), OpsError> {
    let mut pipeline = None;
    each_line(path, |line| {
        // Entries are by far the most lines, so they are tried first.
        if let Ok(entry) = serde_json::from_str::<PlanEntry>(line) {
            let name = pipeline.as_ref().ok_or_else(|| damaged(path, "a record belongs to no pipeline"))?;
            return take(name, entry);
        }
        if let Ok(Line::Pipeline(name)) = serde_json::from_str(line) {
            pipeline = Some(name);
        }
        Ok(())
    })
}

/// Hands out the lines of a plan; a file whose digest does not fit its lines is refused, though only at its end.
fn each_line(path: &Path, mut take: impl FnMut(&str) -> Result<(), OpsError>) -> Result<(), OpsError> {
    let file = files::open(path).map_err(|error| {
        let message = format!("`{}`: {error}", path.display());
        OpsError::refused("SL6012", message, "`syncline plan --out FILE` saves a plan")
    })?;
    let mut file = BufReader::new(file);
    let mut hasher = Hasher::default();
    let mut number = 0_u64;
    let mut line = String::new();
    loop {
        line.clear();
        let read = (&mut file).take(LINE_BYTES_MAX).read_line(&mut line);
        let read = read.map_err(|_| damaged(path, "it is not text"))?;
        if read == 0 {
            return Err(damaged(path, if number == 0 { "it is empty" } else { "its end is missing" }));
        }
        number += 1;
        let text = line.strip_suffix('\n').ok_or_else(|| damaged(path, "a line is not complete"))?;
        if number == 1 {
            version(path, text)?;
        } else if let Ok(Line::Digest(digest)) = serde_json::from_str(text) {
            let expected = hasher.hex::<32>();
            // What follows the digest is covered by nothing.
            let rest = file.fill_buf().is_ok_and(<[u8]>::is_empty);
            return if digest == expected && rest { Ok(()) } else { Err(damaged(path, "its digest does not match")) };
        } else if !text.starts_with('{') {
            return Err(damaged(path, &format!("line {number} is no part of a plan")));
        } else {
            take(text)?;
        }
        hasher.bytes(line.as_bytes());
    }
}

/// A plan of another version is not carried out: what it holds in hashes is made by that version's rules.
fn version(path: &Path, text: &str) -> Result<(), OpsError> {
    let head: Head = serde_json::from_str(text).map_err(|_| damaged(path, "it does not start like a plan"))?;
    // The same version of Syncline, too: another one may decide differently about the same records.
    if head.syncline_plan == VERSION && head.syncline == env!("CARGO_PKG_VERSION") {
        return Ok(());
    }
    let message = format!(
        "`{}` was made by Syncline {} (form {}), this is {} (form {VERSION})",
        path.display(),
        head.syncline,
        head.syncline_plan,
        env!("CARGO_PKG_VERSION")
    );
    Err(OpsError::refused("SL6013", message, "nothing was done; make a new plan with this version"))
}

fn damaged(path: &Path, what: &str) -> OpsError {
    let message = format!("`{}` is not a plan that can be applied: {what}", path.display());
    OpsError::refused("SL6012", message, "nothing was done; make a new plan with `syncline plan --out FILE`")
}

fn unwritable(path: &Path, error: &io::Error) -> OpsError {
    OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another file")
}
