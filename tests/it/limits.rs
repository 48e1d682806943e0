//! HubSpot's rate limit: learned from its answers, used nearly in full, and not exceeded.

use std::time::Duration;

use syncline::sandbox::options::SandboxOptions;

use crate::support::oracle::agree;
use crate::support::{Bench, FAST};

/// Calls, refused ones among them, and the share of the allowed calls that was used. Only whole windows count: the last
/// one is short because the work is done. In so short windows the work itself takes a part of them.
fn used(bench: &Bench, calls_max: usize, interval: f64) -> (usize, usize, f64) {
    let all = bench.sandbox.requests();
    let to_hubspot: Vec<_> = all.iter().filter(|entry| entry.service == "hubspot").collect();
    let refused = to_hubspot.iter().filter(|entry| entry.status == 429).count();
    let whole = to_hubspot.len() / calls_max * calls_max;
    let windows = to_hubspot[whole - 1].time.duration_since(to_hubspot[0].time).as_secs_f64() / interval + 1.0;
    (to_hubspot.len(), refused, whole as f64 / (windows * calls_max as f64))
}

/// A busy computer hands a call over late at times, so that it arrives in a window that is full: it is refused and tried again. On one that
/// has time for it none is, which `figures check` demands.
#[track_caller]
fn kept(calls: usize, refused: usize) {
    assert!(refused * 20 <= calls, "{refused} of {calls} calls were refused");
}

#[test]
fn the_limit_is_learned_used_and_kept() {
    let rate_limit = (20, Duration::from_secs(2));
    let bench = Bench::with(SandboxOptions { records: 5_400, rate_limit, ..SandboxOptions::default() });
    bench.import();
    let (calls, refused, share) = used(&bench, 20, 2.0);
    assert!(calls > 100, "only {calls} calls: the limit was hardly met");
    kept(calls, refused);
    assert!(share > 0.4, "{share:.2} of the limit was used by {calls} calls");
    agree(&bench);
}

#[test]
fn a_limit_that_is_given_is_kept() {
    let rate_limit = (20, Duration::from_secs(2));
    let bench = Bench::with(SandboxOptions { records: 5_400, rate_limit, ..SandboxOptions::default() });
    bench.edit("syncline.yaml", "    type: hubspot\n", "    type: hubspot\n    rate_limit: 20/2s\n");
    bench.import();
    let (calls, refused, share) = used(&bench, 20, 2.0);
    assert!(calls > 100, "only {calls} calls: the limit was hardly met");
    kept(calls, refused);
    assert!(share > 0.4, "{share:.2} of the limit was used by {calls} calls");
}

#[test]
fn the_days_calls_are_kept_and_the_next_day_goes_on() {
    let bench = Bench::with(SandboxOptions {
        records: 300,
        rate_limit: FAST,
        hubspot_daily_limit: 14,
        ..SandboxOptions::default()
    });
    let ran = bench.run(&["import", "--yes", "--format", "json"]).code(1);
    assert!(ran.stdout.contains("\"paused\"") && ran.stderr.contains("SL4004"), "{ran:?}");
    bench.sandbox.advance(Duration::from_secs(24 * 3_600));
    bench.hubspot("limits", serde_json::json!({"daily": 100_000}));
    bench.import();
    agree(&bench);
}
