//! How much a long read may take before it pauses and leaves the rest to the next run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::by_id::Rows;
use crate::model::budget::Budget;
use crate::stages::StageContext;
use crate::stages::read::extract::Candidates;
use crate::sys::clock::Clock;

/// A budget from the moment on when its run began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    until: Option<Timestamp>,
    calls: Option<u64>,
}

impl Limits {
    /// Those of a budget from now on.
    pub fn of(budget: Budget, clock: &Clock) -> Self {
        let until = budget.time.and_then(|time| clock.now().checked_add(time).ok());
        Self { until, calls: budget.calls }
    }

    fn are_none(self) -> bool {
        self == Self::default()
    }

    fn are_over(self, cx: &StageContext) -> bool {
        self.until.is_some_and(|until| cx.clock.now() >= until)
            || self.calls.is_some_and(|calls| cx.target.calls() >= calls)
    }
}

/// The rows until the budget is used up; then `paused` is set, and the rest is not read. What begins is given one page at least.
pub fn within<'a>(cx: &'a StageContext, rows: Rows<'a>, limits: Limits, paused: Arc<AtomicBool>) -> Rows<'a> {
    until_over(cx, rows, limits, paused, || false)
}

/// The same for rows that are not all of one read. Those of a read beside it stop once a call was made: what was carried out needs none again,
/// so that the next run comes further.
pub fn within_cycle<'a>(cx: &'a StageContext, rows: Rows<'a>, limits: Limits, paused: Arc<AtomicBool>) -> Rows<'a> {
    let calls = cx.target.calls();
    until_over(cx, rows, limits, paused, move || cx.target.calls() > calls)
}

fn until_over<'a>(
    cx: &'a StageContext,
    rows: Rows<'a>,
    limits: Limits,
    paused: Arc<AtomicBool>,
    came_further: impl Fn() -> bool + Send + Sync + 'a,
) -> Rows<'a> {
    if limits.are_none() {
        return rows;
    }
    let some = Arc::new(AtomicBool::new(false));
    let within = move |chunk: &Candidates| {
        let over = (some.load(Ordering::Relaxed) || (chunk.beside && came_further())) && limits.are_over(cx);
        // A page that was read to its end is a place to go on from.
        some.fetch_or(chunk.cursor.is_some(), Ordering::Relaxed);
        paused.fetch_or(over, Ordering::Relaxed);
        std::future::ready(Ok(!over))
    };
    rows.try_take_while(within).boxed()
}
