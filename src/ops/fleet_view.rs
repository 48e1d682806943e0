//! How the portals of a project stand, as it is told.

use schemars::JsonSchema;
use serde::Serialize;

/// How all portals stand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct FleetStatus {
    /// Portals whose data is as new as it should be.
    pub fresh: u64,
    /// Portals whose data is too old, or was never copied.
    pub late: u64,
    /// Portals that cannot go on by themselves.
    pub broken: u64,
    /// How long the pipeline waits that is overdue the longest, in seconds; none where none is overdue.
    pub longest_wait_seconds: Option<f64>,
    /// Its portal.
    pub longest_wait_portal: Option<String>,
    /// How often a worker took a portal that another one had not given back, since the first turns.
    pub takeovers: u64,
    /// One entry a portal, by name.
    pub portals: Vec<PortalStatus>,
}

/// How one portal stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PortalStatus {
    /// Its name.
    pub portal: String,
    /// How it stands, in a word.
    pub standing: PortalStanding,
    /// What is the matter, where something is.
    pub problem: Option<String>,
    /// Records that stand in HubSpot, of all its pipelines.
    pub records: u64,
    /// How far HubSpot may lie behind, in seconds: that of the pipeline which lies behind the furthest. None before the first sync.
    pub lag_seconds: Option<f64>,
    /// How long its most overdue pipeline waits, in seconds; none where none is overdue.
    pub wait_seconds: Option<f64>,
    /// Associations that wait for their other record.
    pub pending_associations: u64,
    /// Records kept under failures.
    pub open_failures: u64,
    /// When its latest run began (UTC).
    pub last_run: Option<String>,
    /// How often a worker took it from another one that had not given it back.
    pub takeovers: u64,
}

/// How a portal stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortalStanding {
    /// Its data is as new as it should be.
    Fresh,
    /// Its data is too old, or was never copied.
    Late,
    /// It cannot go on by itself: a definition, a failed run, an unfinished import, a state that cannot be read.
    Broken,
}

impl PortalStanding {
    /// All of them, with their words.
    pub const ALL: [(Self, &str); 3] = [(Self::Fresh, "fresh"), (Self::Late, "late"), (Self::Broken, "broken")];

    /// The word.
    pub fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(standing, _)| *standing == self).map_or("", |(_, word)| word)
    }
}

impl FleetStatus {
    /// All portals together.
    pub fn of(portals: Vec<PortalStatus>) -> Self {
        let count = |standing| portals.iter().filter(|portal| portal.standing == standing).count() as u64;
        let waits = portals.iter().filter_map(|portal| Some((portal.wait_seconds?, &portal.portal)));
        let longest = waits.max_by(|one, other| one.0.total_cmp(&other.0));
        Self {
            fresh: count(PortalStanding::Fresh),
            late: count(PortalStanding::Late),
            broken: count(PortalStanding::Broken),
            longest_wait_seconds: longest.map(|(wait, _)| wait),
            longest_wait_portal: longest.map(|(_, portal)| portal.clone()),
            takeovers: portals.iter().map(|portal| portal.takeovers).sum(),
            portals,
        }
    }

    /// Whether something needs a person.
    pub fn needs_a_person(&self) -> bool {
        self.late + self.broken > 0
    }
}
