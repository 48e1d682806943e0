//! Progress on a terminal: records, rate and time left. Elsewhere, nothing.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::model::report::Tally;

/// A line that shows how far a run is.
pub struct Progress {
    bar: ProgressBar,
    current: Mutex<String>,
}

impl Progress {
    /// Shows on a terminal only, and not when quiet.
    pub fn new(total: Option<u64>, quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar =
            if shown { total.map_or_else(ProgressBar::new_spinner, ProgressBar::new) } else { ProgressBar::hidden() };
        let form = match total {
            Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta} left",
            None => "{spinner} {msg} {human_pos} records {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, current: Mutex::new(String::new()) }
    }

    /// Takes the numbers of a pipeline.
    pub fn update(&self, pipeline: &str, tally: Tally) {
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *current != pipeline {
            pipeline.clone_into(&mut current);
            self.bar.reset();
        }
        let settled = tally.created
            + tally.updated
            + tally.unchanged
            + tally.archived
            + tally.restored
            + tally.filtered
            + tally.failed;
        self.bar.set_message(format!("{pipeline}: {} failed,", tally.failed));
        self.bar.set_position(settled);
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
