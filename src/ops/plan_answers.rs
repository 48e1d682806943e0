//! What a plan can tell, and what it cannot: the answers to its four questions.

use crate::config::pipeline::Mode;
use crate::engine::forecast::Found;
use crate::model::forecast::{Answer, PlannedAction, Question, Verdict};
use crate::model::report::RunScope;

/// What was looked at.
pub struct Looked {
    /// The forecast ended early.
    pub broken: bool,
    /// The records that it is about.
    pub scope: RunScope,
    /// All of them were compared with what HubSpot holds.
    pub refreshed: bool,
    /// What the pipeline does with records.
    pub mode: Mode,
}

/// The answers.
pub fn answers(found: &Found, looked: Looked) -> Vec<Answer> {
    let Looked { broken, scope, .. } = looked;
    let count = |action: PlannedAction| found.actions.get(&action).copied().unwrap_or_default();
    let answer = |question, answer, why: &str| Answer { question, answer, why: why.to_owned() };
    let quiet = [PlannedAction::Unchanged, PlannedAction::Pending, PlannedAction::Drift, PlannedAction::Reject];
    // A rejection that stands today already is no change; one that cannot be told counts as known.
    let anew: u64 = found.rejects.iter().map(|group| group.records - group.known.unwrap_or(group.records)).sum();
    let changed: u64 = found.actions.iter().filter(|(action, _)| !quiet.contains(action)).map(|(_, count)| count).sum();
    let associations = found.tally.associated + found.tally.disassociated;
    // After an early end, a no would be a guess.
    let changes = match changed + associations + anew {
        _ if broken => answer(Question::Changes, Verdict::Unknown, "the forecast ended early"),
        0 => answer(Question::Changes, Verdict::No, "everything that was read is up to date"),
        _ => answer(Question::Changes, Verdict::Yes, "records or associations would change"),
    };
    let archives = match count(PlannedAction::Archive) {
        _ if broken => answer(Question::Archives, Verdict::Unknown, "the forecast ended early"),
        0 if scope == RunScope::All => {
            answer(Question::Archives, Verdict::No, "an import archives nothing; deletes are carried over by a sync")
        }
        0 => answer(Question::Archives, Verdict::No, "none of the records that were read would be archived"),
        _ => answer(Question::Archives, Verdict::Yes, "records would be archived"),
    };
    let (drifted, why) = drift(found, &looked);
    let drift = answer(Question::Drift, drifted, &why);
    let vanished = match scope {
        RunScope::Compared if !broken => match found.vanished {
            0 => answer(Question::Vanished, Verdict::No, "Salesforce shows every record that is kept in step"),
            _ => answer(Question::Vanished, Verdict::Yes, "records were purged, or are hidden from Syncline's user"),
        },
        _ => {
            let why =
                "a record that was purged or hidden leaves no trace in what is read; `--reconcile` looks for them";
            answer(Question::Vanished, Verdict::Unknown, why)
        }
    };
    vec![changes, archives, drift, vanished]
}

/// Whether someone changed in HubSpot what Syncline wrote, and why that is said.
fn drift(found: &Found, looked: &Looked) -> (Verdict, String) {
    let compared = looked.scope == RunScope::Compared;
    let records = match compared {
        true => found.tally.drifted.saturating_sub(found.lost_associations),
        false => found.actions.get(&PlannedAction::Drift).copied().unwrap_or_default(),
    };
    let mut found_so: Vec<&str> = Vec::new();
    if records > 0 {
        found_so.push(match compared {
            true => "`reconcile` writes over it, or keeps it where `on_drift` says so",
            false => {
                "a sync leaves it as it is until the record changes in Salesforce; `reconcile` writes over it, or keeps it \
                 where `on_drift` says so: as a command, or every `sync.reconcile` in a sync that runs on"
            }
        });
    }
    if found.lost_associations > 0 {
        found_so.push(match looked.scope.is_whole() {
            true => "associations were removed, which the run makes again where their records are there",
            false => "associations were removed, which a sync leaves as it is and `reconcile` repairs",
        });
    }
    let (verdict, why) = match (looked.refreshed || compared, looked.scope) {
        (true, _) if looked.broken => (Verdict::Unknown, "the comparison ended early"),
        _ if !found_so.is_empty() => return (Verdict::Yes, found_so.join("; ")),
        (false, RunScope::Stale) => {
            (Verdict::Unknown, "without the state, what someone changed in HubSpot counts as an update")
        }
        (false, _) => {
            let why = "HubSpot was asked only about records that would change; `--refresh` asks about all";
            (Verdict::Unknown, why)
        }
        (true, _) if looked.mode == Mode::CreateOnly => {
            (Verdict::Unknown, "`mode: create_only` keeps nothing as it was written, so that it is not compared")
        }
        (true, _) if found.looked_at_associations => (Verdict::No, "HubSpot holds what Syncline wrote"),
        (true, _) => (Verdict::No, "no property was changed there; associations were not looked at"),
    };
    (verdict, why.to_owned())
}
