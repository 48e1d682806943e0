//! Colours of results, by what they mean: the ones that people know from terraform, git and gh.

use anstyle::{AnsiColor, Style};

use crate::cli::colour;
use crate::model::forecast::PlannedAction;
use crate::model::report::RunStatus;

/// What a part of a result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// A head or a name.
    Strong,
    /// Beside the point.
    Faint,
    /// Made, or well.
    Good,
    /// Changed, or to be looked at.
    Changed,
    /// Removed, refused or failed.
    Bad,
}

/// Puts colours on, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// No colours: for files and for what is compared.
    pub const NONE: Self = Self(false);

    /// As stdout wants it.
    pub fn of_results() -> Self {
        Self(colour::of_results())
    }

    /// A text in its colour. It must be clean already: nothing is taken out of it here.
    pub fn text(self, tone: Tone, text: &str) -> String {
        let style = match tone {
            _ if !self.0 || text.is_empty() => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Changed => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
        };
        format!("{style}{text}{style:#}")
    }

    /// A head or a name.
    pub fn strong(self, text: &str) -> String {
        self.text(Tone::Strong, text)
    }

    /// What is beside the point.
    pub fn faint(self, text: &str) -> String {
        self.text(Tone::Faint, text)
    }

    /// A danger: a whole line that a reader must not miss.
    pub fn danger(self, text: &str) -> String {
        self.text(Tone::Bad, text)
    }
}

/// What an action means: green makes, yellow changes, red takes away or refuses.
pub fn of_action(action: PlannedAction) -> Tone {
    match action {
        PlannedAction::Create | PlannedAction::Restore => Tone::Good,
        PlannedAction::Adopt | PlannedAction::Update | PlannedAction::Associate | PlannedAction::Drift => Tone::Changed,
        PlannedAction::Archive | PlannedAction::Reject => Tone::Bad,
        PlannedAction::Leave | PlannedAction::Pending | PlannedAction::Unchanged => Tone::Faint,
    }
}

/// How a run ended, as a colour: yellow where a person may want to look, red where one must.
pub fn of_status(status: RunStatus) -> Tone {
    match status {
        RunStatus::Succeeded => Tone::Good,
        RunStatus::Running => Tone::Plain,
        RunStatus::Partial | RunStatus::Paused | RunStatus::Interrupted => Tone::Changed,
        RunStatus::Failed | RunStatus::Refused => Tone::Bad,
    }
}
