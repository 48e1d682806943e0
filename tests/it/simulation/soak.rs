//! A sync that runs on for days of the sandbox's clock: memory and open files stay what they were, and nothing drifts.
//!
//! The ordinary test run lets six hours pass; `tests/proof/soak 100` lets a hundred: an hour at a hundred times real speed.

use crate::support::long::{tell, variable};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use syncline::model::report::RunScope;
use syncline::ops::run::RunOptions;
use syncline::ops::sync::{Event, Reloading, forever};
use syncline::plan::guard::Allowance;
use syncline::project::error::OpsError;
use syncline::sys::cancel::Cancel;

use super::History;
use super::play::{Trouble, drive};

/// Resident memory in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default()
}

#[test]
fn a_sync_that_runs_for_days_stays_as_small_as_it_was() {
    let hours = variable("SOAK_HOURS").unwrap_or(6);
    let mut history = History::new(7);
    history.begin();
    let cycles = AtomicU64::new(0);
    let mut marks: Vec<(u64, usize)> = Vec::new();
    let mut requests = 0;
    // Each part is a process's life of its own length, as deployments end them; memory is compared between their ends.
    for part in 0..4 {
        let cancel = Cancel::new();
        let project = Arc::new(history.world.project(&cancel));
        let state = project.state().unwrap();
        let until = history.world.clock.now() + Duration::from_secs(hours * 3_600 / 4);
        history.world.line.begin(Trouble { until: Some(until), change_every: Some(40), ..Trouble::default() }, cancel);
        let options = RunOptions {
            scope: RunScope::Changed,
            trial: None,
            budget: syncline::model::budget::Budget::default(),
            allowance: Allowance { archive: Some(1_000), reject: Some(1_000), empty_source: true },
            command: "syncline sync".to_owned(),
            followed: None,
            on_progress: Arc::new(|_, _| {}),
        };
        let on_event = |event: Event<'_>| {
            if let Event::Cycle { .. } = event {
                cycles.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (_asking, asked) = tokio::sync::mpsc::unbounded_channel();
        let again = || Err(OpsError::refused("SL9002", "nobody asks for it", ""));
        let reloading = Reloading { open: &again, asked, watch: false };
        if part == 0 {
            let finished = history.world.run(super::world::Command::Import, Trouble::default());
            assert!(finished.is_some_and(|ran| ran.is_ok()));
            history.world.line.begin(
                Trouble { until: Some(until), change_every: Some(40), ..Trouble::default() },
                project.outside.cancel.clone(),
            );
        }
        let ended =
            drive(&history.world.line, forever(Arc::clone(&project), &[], &state, &options, reloading, &on_event));
        assert!(matches!(ended, Some(Ok(true))), "{:?}", ended.map(|ended| ended.map_err(|error| error.to_string())));
        drop((project, state));
        // The sandbox keeps what it was asked in the same memory.
        requests += history.world.sandbox.counts().iter().map(|count| count.count).sum::<u64>();
        history.world.sandbox.forget_requests();
        marks.push((memory(), open_files()));
    }
    history.clear_up();
    let cycles = cycles.load(Ordering::SeqCst);
    tell(&format!(
        "soak: {hours} h of the sandbox's clock, {cycles} cycles, {requests} requests: memory {} KiB after a quarter, {} KiB in the end; \
         open files {} and {}; {} differences",
        marks[0].0,
        marks[3].0,
        marks[0].1,
        marks[3].1,
        history.wrong.len()
    ));
    assert!(history.wrong.is_empty(), "{:#?}\n  {}", history.wrong, history.story());
    assert!(cycles >= hours * 12, "only {cycles} cycles");
    let files: BTreeSet<usize> = marks.iter().map(|mark| mark.1).collect();
    // Other tests of this process open files meanwhile.
    assert!(hours < 50 || files.len() == 1, "open files: {files:?}");
    assert!(hours < 50 || marks[3].0 < marks[0].0 + 16 * 1024, "memory grows: {marks:?}");
}
