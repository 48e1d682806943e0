//! Progress on a terminal: records, rate and time left. Elsewhere, nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::render::safe::safe;
use crate::model::report::Tally;

/// A line that shows how far a run is.
pub struct Progress {
    bar: ProgressBar,
    /// Settled records by pipeline: one bar counts those of all.
    settled: Mutex<BTreeMap<String, u64>>,
}

impl Progress {
    /// Shows on a terminal only, and not when quiet.
    pub fn new(total: Option<u64>, quiet: bool) -> Self {
        // In a log of a build, a line that redraws itself would be thousands.
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar =
            if shown { total.map_or_else(ProgressBar::new_spinner, ProgressBar::new) } else { ProgressBar::hidden() };
        let form = match total {
            Some(_) => "{msg} {wide_bar} {human_pos}/{human_len}, {rate}, {eta} left",
            None => "{spinner} {msg} {human_pos} records, {rate}",
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                // A line that cannot be written is of no use to anybody.
                let _ = write!(out, "{:.0} a second", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("━╸─"));
        }
        // It moves also while a slow call is waited for, so that it does not look as if it hung.
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, settled: Mutex::default() }
    }

    /// Takes the numbers of a pipeline.
    pub fn update(&self, pipeline: &str, tally: Tally) {
        let settled = tally.created
            + tally.updated
            + tally.unchanged
            + tally.archived
            + tally.restored
            + tally.adopted
            + tally.filtered
            + tally.failed
            + tally.waiting;
        let mut all = self.settled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.insert(pipeline.to_owned(), settled);
        let failed = if tally.failed > 0 { format!(", {} failed", tally.failed) } else { String::new() };
        self.bar.set_message(format!("{}{failed}", safe(pipeline)));
        // The sum over pipelines, as they run one after the other towards one total.
        self.bar.set_position(all.values().sum());
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
