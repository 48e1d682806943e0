//! Why a command could not do its work.

use crate::config::load::Loaded;
use crate::diagnostic::render::{Places, locate};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::ids::PipelineName;
use crate::model::text;
use crate::ports::fault::Fault;
use crate::ports::state::StateError;
use crate::state::address;

/// Why a command could not do its work. What it did before is saved.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// Definitions have errors; the findings are inside.
    #[error("the definitions have errors")]
    Findings(Box<Loaded>),
    /// A remote system could not be used.
    #[error("{}{fault}", .pipeline.as_ref().map(|name| format!("pipeline `{name}`: ")).unwrap_or_default())]
    Remote {
        /// The pipeline that needed it.
        pipeline: Option<PipelineName>,
        /// What happened.
        fault: Fault,
    },
    /// The state could not be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Something that the person asked for is not there or not allowed.
    #[error("{message}")]
    Refused {
        /// Stable code.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
}

impl OpsError {
    /// A refusal.
    pub fn refused(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Refused { code, message: text::without_error_numbers(&message.into()), help: Some(help.into()) }
    }

    /// A remote failure for one pipeline.
    pub fn remote(pipeline: &PipelineName) -> impl FnOnce(Fault) -> Self {
        let pipeline = Some(pipeline.clone());
        move |fault| Self::Remote { pipeline, fault }
    }

    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Findings(_) => "SL1000",
            Self::Remote { fault, .. } => fault.error().map_or("SL4000", |error| error.code),
            Self::State(error) => error.code(),
            Self::Refused { code, .. } => code,
        }
    }

    /// Code and reason in one line, for the history of runs: of findings the first one, with its place.
    pub fn reason(&self) -> (&'static str, String) {
        let loaded = match self {
            Self::Findings(loaded) => loaded,
            // Whose run it is need not be said.
            Self::Remote { fault, .. } => return (self.code(), fault.to_string()),
            Self::State(_) | Self::Refused { .. } => return (self.code(), self.to_string()),
        };
        let errors: Vec<&Diagnostic> =
            loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        let Some(first) = errors.first() else { return (self.code(), self.to_string()) };
        let file = loaded.files.iter().find(|file| file.name == first.file);
        let places = |range| Places { range, others: Vec::new() };
        let line = file.map(|file| locate(first, &file.text, &places(file.locate(&first.place))).line);
        let place = line.map_or_else(|| first.file.to_string(), |line| format!("{}:{line}", first.file));
        let more = match errors.len() - 1 {
            0 => String::new(),
            1 => ", and one more error".to_owned(),
            more => format!(", and {more} more errors"),
        };
        (first.code, format!("{place}: {}{more}", first.message))
    }

    /// What a person should do.
    pub fn help(&self) -> Option<String> {
        match self {
            // Each finding has its own help.
            Self::Findings(_) => None,
            Self::Remote { fault, .. } => fault.error()?.help.clone(),
            Self::State(error) => Some(state_help(error).to_owned()),
            Self::Refused { help, .. } => help.clone(),
        }
    }
}

fn state_help(error: &StateError) -> &'static str {
    match error {
        StateError::Corrupt { .. } => {
            "nothing was changed; restore a copy of the file, or move it away and run `syncline import`, which recognises records by their match property"
        }
        StateError::Newer { .. } => "use the Syncline that wrote it, or a later one",
        StateError::Foreign { .. } => "use another `state:` for this portal or org, or correct the connection",
        StateError::Lost { .. } => "nothing need be done: whoever has the portal goes on",
        StateError::Held { .. } => "wait until it has finished, or stop it",
        StateError::Io { path, .. } if address::is_address(path) => {
            "do what the message says, then run again: nothing is lost, and what was on its way is looked up first"
        }
        StateError::Io { .. } => "check the folder's permissions and the free space, then run again: nothing is lost",
    }
}
