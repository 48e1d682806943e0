//! Progress on a terminal: records, rate and time left. Elsewhere, nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::render::safe::safe;
use crate::model::report::RunProgress;

/// A line of words on a terminal, which vanishes in the end.
pub struct StatusLine(ProgressBar);

impl StatusLine {
    /// Shows on a terminal only, and not when quiet.
    pub fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        Self(if shown { ProgressBar::new_spinner() } else { ProgressBar::hidden() })
    }

    /// Says what is being done now.
    pub fn say(&self, words: String) {
        self.0.set_message(words);
        self.0.tick();
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line that shows how far a run is.
pub struct Progress {
    bar: ProgressBar,
    /// Settled records and calls by pipeline: one bar counts those of all.
    settled: Mutex<BTreeMap<String, (u64, u64)>>,
    /// When the first pipeline had something to show: until then Salesforce is at work, and no call to HubSpot could be made.
    since: OnceLock<Duration>,
}

/// Shorter runs say nothing of the share of the limit, which counts in windows of ten seconds.
const SHARE_AFTER: Duration = Duration::from_secs(10);

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
        Self { bar, settled: Mutex::default(), since: OnceLock::new() }
    }

    /// Takes the numbers of a pipeline.
    pub fn update(&self, pipeline: &str, now: RunProgress) {
        if self.bar.is_hidden() {
            return;
        }
        let RunProgress { tally, calls, calls_per_second } = now;
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
        all.insert(pipeline.to_owned(), (settled, calls));
        let failed = if tally.failed > 0 { format!(", {} failed", tally.failed) } else { String::new() };
        let calls = all.values().map(|(_, calls)| calls).sum();
        let elapsed = self.bar.elapsed();
        let share = share(calls, calls_per_second, elapsed.saturating_sub(*self.since.get_or_init(|| elapsed)));
        let share = share.map(|share| format!(", {share:.0} % of the call limit")).unwrap_or_default();
        self.bar.set_message(format!("{}{failed}{share}", safe(pipeline)));
        // The sum over pipelines, as they run one after the other towards one total.
        self.bar.set_position(all.values().map(|(settled, _)| settled).sum());
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Percent of the calls that the limit would have allowed; none while too little time has passed to tell.
fn share(calls: u64, calls_per_second: f64, elapsed: Duration) -> Option<f64> {
    let allowed = calls_per_second * elapsed.as_secs_f64();
    // What was saved up before the run may be used in it.
    (elapsed >= SHARE_AFTER && allowed > 0.0).then(|| (100.0 * calls as f64 / allowed).min(100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_limit_is_told_after_a_window() {
        for (calls, seconds, expected) in
            [(95, 5, None), (95, 10, Some(50.0)), (190, 10, Some(100.0)), (250, 10, Some(100.0)), (0, 20, Some(0.0))]
        {
            assert_eq!(share(calls, 19.0, Duration::from_secs(seconds)), expected, "{calls} in {seconds} s");
        }
        assert_eq!(share(7, 0.0, Duration::from_secs(60)), None);
    }
}
