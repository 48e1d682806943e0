//! How the portals of a project stand, for people: all of them first, then one line each.

use super::history::moment;
use super::paint::{Paint, Tone};
use super::safe::safe;
use super::table::{count, number, painted, seconds};
use crate::ops::fleet_view::{FleetStatus, PortalStatus};
use crate::ops::status::StatusReport;

/// The fleet, and each portal.
pub fn fleet(status: &StatusReport, paint: Paint) -> String {
    let Some(fleet) = &status.fleet else { return String::new() };
    let mut text = format!("{}\n\n", paint.strong(&headline(fleet)));
    let rows: Vec<Vec<String>> = fleet.portals.iter().map(row).collect();
    let head = ["portal", "stands", "records", "data as of", "waits", "waiting", "failures", "taken over", "last run"];
    text.push_str(&painted(&head, &rows, paint, &|_, cell| match cell {
        "fresh" => Tone::Good,
        "late" => Tone::Changed,
        "broken" => Tone::Bad,
        _ => Tone::Plain,
    }));
    if let Some(deployment) = &status.deployment {
        text.push_str(&format!("\n{}, made {}\n", safe(&deployment.words()), moment(&deployment.made)));
    }
    let told = lines(fleet, "  ! ", paint);
    if !told.is_empty() {
        text.push_str(&format!("\n{told}"));
    }
    text.push_str("\n`syncline status --target NAME` tells of one portal\n");
    text
}

/// `200 portals: 198 fresh, 2 late, 0 broken; the longest wait is 4 min (acme); 3 takeovers`.
pub fn headline(fleet: &FleetStatus) -> String {
    let FleetStatus { fresh, late, broken, .. } = fleet;
    let wait = fleet.longest_wait_seconds.zip(fleet.longest_wait_portal.as_ref());
    let wait = wait.map(|(wait, portal)| format!("; the longest wait is {} ({})", seconds(wait), safe(portal)));
    let takeovers = (fleet.takeovers > 0).then(|| format!("; {}", count(fleet.takeovers, "takeover", "takeovers")));
    let portals = count(fleet.portals.len() as u64, "portal", "portals");
    format!(
        "{portals}: {fresh} fresh, {late} late, {broken} broken{}{}",
        wait.unwrap_or_default(),
        takeovers.unwrap_or_default()
    )
}

/// A line for each portal with a problem.
pub fn problems(fleet: &FleetStatus, paint: Paint) -> String {
    let told = lines(fleet, "", paint);
    if told.is_empty() { "no problems\n".to_owned() } else { told }
}

fn lines(fleet: &FleetStatus, mark: &str, paint: Paint) -> String {
    let problem = |portal: &PortalStatus| {
        let problem = portal.problem.as_ref()?;
        let line = problem.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(format!("{}\n", paint.danger(&format!("{mark}{}: {}", safe(&portal.portal), safe(&line)))))
    };
    fleet.portals.iter().filter_map(problem).collect()
}

fn row(portal: &PortalStatus) -> Vec<String> {
    vec![
        portal.portal.clone(),
        portal.standing.word().to_owned(),
        number(portal.records),
        portal.lag_seconds.map_or_else(|| "never synced".to_owned(), |lag| format!("{} ago", seconds(lag))),
        portal.wait_seconds.map(seconds).unwrap_or_default(),
        number(portal.pending_associations),
        number(portal.open_failures),
        number(portal.takeovers),
        portal.last_run.as_deref().map_or_else(|| "none".to_owned(), moment),
    ]
}
