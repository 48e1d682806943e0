//! What people are told of a pipeline without asking: what stands, what is new of it, and what is over.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::PipelineName;
use super::report::{RunStatus, Tally};

/// With fewer failed records than this, no share of them is too much.
/// One failed record of three is no reason to wake anybody.
const FAILED_MIN: u64 = 10;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertEvent {
    /// A run failed, or could not begin.
    Failure,
    /// More records of a run failed than `alert.error_share` allows.
    Degradation,
    /// `guard` stopped a run.
    Guard,
    /// The data in HubSpot is older than `alert.lag` allows.
    Lag,
    /// What was told of is over.
    Recovery,
    /// Somebody tries whether alerts arrive.
    Test,
}

impl AlertEvent {
    /// Its name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Degradation => "degradation",
            Self::Guard => "guard",
            Self::Lag => "lag",
            Self::Recovery => "recovery",
            Self::Test => "test",
        }
    }
}

/// One alert, as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Syncline alert")]
pub struct Alert {
    /// Tells it from every other; the same when it is sent again.
    pub id: String,
    /// What it is about.
    pub event: AlertEvent,
    /// The pipeline; none for a test.
    pub pipeline: Option<PipelineName>,
    /// When it was noticed (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What is wrong or over, in a sentence.
    pub title: String,
    /// The reason, as the command line says it.
    pub message: String,
    /// Stable code, where there is one: `syncline explain` tells more.
    pub code: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// The run that it was noticed in.
    pub run: Option<String>,
    /// Since when it stands, or stood (UTC).
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

/// A thing that stands and that people were told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What kind of thing it is.
    pub event: AlertEvent,
    /// What tells it from another of its kind.
    pub fingerprint: String,
    /// Since when it stands.
    pub since: Timestamp,
}

/// How a run ended, as far as alerts are about it.
#[derive(Debug, Clone)]
pub struct RunEnd<'a> {
    /// Its pipeline.
    pub pipeline: &'a PipelineName,
    /// The run.
    pub run: &'a str,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub status: RunStatus,
    /// Its numbers.
    pub tally: Tally,
    /// The code of its end, where it ended early.
    pub code: Option<&'a str>,
    /// The reason in words.
    pub reason: Option<&'a str>,
    /// What to do about it.
    pub help: Option<&'a str>,
}

/// What is to be remembered and told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertChange {
    /// Conditions that are new, or no longer what they were.
    pub stands: Vec<Condition>,
    /// Those that are over.
    pub over: Vec<AlertEvent>,
    /// What to send.
    pub alerts: Vec<Alert>,
}

impl AlertChange {
    /// Whether there is nothing to remember and nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.stands.is_empty() && self.over.is_empty() && self.alerts.is_empty()
    }
}

/// What a pipeline's alerts depend on: from when on they are due, and who gets which.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertTerms {
    /// Greatest share of failed records in a run, in percent.
    pub error_share: f64,
    /// Receivers, each with what it is told of; everything where that is none.
    pub receivers: Vec<(String, Option<Vec<AlertEvent>>)>,
}

impl AlertTerms {
    /// What goes to whom.
    pub fn deliveries(&self, alerts: &[Alert]) -> Vec<(String, Alert)> {
        let wants = |events: &Option<Vec<AlertEvent>>, alert: &Alert| {
            events.as_ref().is_none_or(|events| events.contains(&alert.event))
        };
        let to = |alert: &Alert| -> Vec<(String, Alert)> {
            let receivers = self.receivers.iter().filter(|(_, events)| wants(events, alert));
            receivers.map(|(name, _)| (name.clone(), alert.clone())).collect()
        };
        alerts.iter().flat_map(to).collect()
    }
}

/// Code of a run that the guard stopped.
const GUARD_CODE: &str = "SL6009";

/// Code of a run that found another process at its pipeline: no trouble of the pipeline.
const HELD_CODE: &str = "SL6004";

/// What the end of a run changes: each condition is told when it comes, when it becomes another one, and when it is over.
pub fn of_run(end: &RunEnd<'_>, known: &[Condition], error_share: f64) -> AlertChange {
    let mut change = AlertChange::default();
    let name = end.pipeline;
    match end.status {
        // Somebody asked for it, or it goes on by itself.
        RunStatus::Running | RunStatus::Interrupted | RunStatus::Paused => return change,
        RunStatus::Failed | RunStatus::Refused if end.code == Some(HELD_CODE) => return change,
        RunStatus::Failed | RunStatus::Refused => {
            let guard = end.code == Some(GUARD_CODE);
            let event = if guard { AlertEvent::Guard } else { AlertEvent::Failure };
            let title = match guard {
                true => format!("pipeline `{name}` was stopped by its guard"),
                false => format!("pipeline `{name}` failed"),
            };
            let reason = end.reason.unwrap_or_default();
            // Numbers and request ids in a reason are others each time, and say nothing new.
            let fingerprint = format!("{} {}", end.code.unwrap_or_default(), without_numbers(reason));
            change.raise(end, known, event, fingerprint, title, reason.to_owned());
            return change;
        }
        RunStatus::Succeeded | RunStatus::Partial => {}
    }
    change.settle(end, known, AlertEvent::Failure, format!("pipeline `{name}` runs again"));
    change.settle(end, known, AlertEvent::Guard, format!("pipeline `{name}` passes its guard again"));
    let Tally { read, waiting, failed, .. } = end.tally;
    // Those that only wait were not tried, so they say nothing of this run.
    let looked = read.saturating_sub(waiting).max(failed);
    let too_many = failed >= FAILED_MIN && failed as f64 > looked as f64 * error_share / 100.0;
    if too_many {
        let share = (failed as f64 / looked as f64 * 100.0).round();
        let title = format!("pipeline `{name}` rejects too many records");
        let message = format!(
            "{failed} of {looked} records failed ({share} %, `alert.error_share` is {error_share} %): `syncline failures` \
             tells why"
        );
        change.raise(end, known, AlertEvent::Degradation, String::new(), title, message);
    } else if looked > 0 {
        // A run that had nothing to do says nothing of how records fare.
        change.settle(
            end,
            known,
            AlertEvent::Degradation,
            format!("pipeline `{name}` no longer rejects too many records"),
        );
    }
    change
}

/// What the age of a pipeline's data changes.
pub fn of_lag(
    pipeline: &PipelineName,
    at: Timestamp,
    (lag, allowed): (f64, f64),
    known: &[Condition],
    words: impl Fn(f64) -> String,
) -> AlertChange {
    let mut change = AlertChange::default();
    // There is no run whose id an alert could have: a runner that stands still is the very trouble.
    let id = format!("lag-{pipeline}-{}", at.as_millisecond());
    let end = RunEnd {
        pipeline,
        run: &id,
        at,
        status: RunStatus::Running,
        tally: Tally::default(),
        code: None,
        reason: None,
        help: Some("`syncline status` and `syncline runs` show what is wrong"),
    };
    if lag > allowed {
        let title = format!("the data of pipeline `{pipeline}` is out of date");
        let message = format!("HubSpot has the data of {} ago; {} are allowed", words(lag), words(allowed));
        change.raise(&end, known, AlertEvent::Lag, String::new(), title, message);
    } else {
        change.settle(&end, known, AlertEvent::Lag, format!("the data of pipeline `{pipeline}` is up to date again"));
    }
    for alert in &mut change.alerts {
        alert.run = None;
    }
    change
}

impl AlertChange {
    fn raise(
        &mut self,
        end: &RunEnd<'_>,
        known: &[Condition],
        event: AlertEvent,
        fingerprint: String,
        title: String,
        message: String,
    ) {
        let before = known.iter().find(|standing| standing.event == event);
        // What stands unchanged was told already.
        if before.is_some_and(|standing| standing.fingerprint == fingerprint) {
            return;
        }
        // It stands since the first time, whatever it has turned into.
        let since = before.map_or(end.at, |standing| standing.since);
        self.stands.push(Condition { event, fingerprint, since });
        self.alerts.push(Alert {
            id: format!("{}-{}", end.run, event.name()),
            event,
            pipeline: Some(end.pipeline.clone()),
            at: end.at,
            title,
            message,
            code: end.code.map(str::to_owned),
            help: end.help.map(str::to_owned),
            run: Some(end.run.to_owned()),
            since: Some(since),
        });
    }

    fn settle(&mut self, end: &RunEnd<'_>, known: &[Condition], event: AlertEvent, title: String) {
        // Nobody was told that it stood, so nobody is told that it is over.
        let Some(before) = known.iter().find(|standing| standing.event == event) else { return };
        self.over.push(event);
        self.alerts.push(Alert {
            id: format!("{}-{}-recovery", end.run, event.name()),
            event: AlertEvent::Recovery,
            pipeline: Some(end.pipeline.clone()),
            at: end.at,
            message: title.clone(),
            title,
            code: None,
            help: None,
            run: Some(end.run.to_owned()),
            since: Some(before.since),
        });
    }
}

/// A reason without its numbers and ids: words with a digit in them.
fn without_numbers(reason: &str) -> String {
    let word = |word: &&str| !word.bytes().any(|byte| byte.is_ascii_digit());
    reason.split_whitespace().filter(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end<'a>(pipeline: &'a PipelineName, status: RunStatus, code: Option<&'a str>, reason: &'a str) -> RunEnd<'a> {
        RunEnd {
            pipeline,
            run: "01R",
            at: Timestamp::UNIX_EPOCH,
            status,
            tally: Tally { read: 100, ..Tally::default() },
            code,
            reason: Some(reason),
            help: None,
        }
    }

    /// The events of a change, with the conditions as they stand after it.
    fn after(end: &RunEnd<'_>, known: &mut Vec<Condition>) -> Vec<AlertEvent> {
        let change = of_run(end, known, 10.0);
        known.retain(|standing| {
            !change.over.contains(&standing.event) && !change.stands.iter().any(|new| new.event == standing.event)
        });
        known.extend(change.stands);
        change.alerts.iter().map(|alert| alert.event).collect()
    }

    #[test]
    fn a_condition_is_told_when_it_comes_changes_and_ends() {
        use AlertEvent::{Degradation, Failure, Guard, Recovery};
        let name = PipelineName::new("a");
        let mut known = Vec::new();
        let failed = |code, reason| end(&name, RunStatus::Failed, Some(code), reason);
        assert_eq!(after(&failed("SL4101", "refused (request id 7f3)"), &mut known), [Failure]);
        assert_eq!(after(&failed("SL4101", "refused (request id 9a1)"), &mut known), [], "the same again");
        assert_eq!(after(&end(&name, RunStatus::Paused, None, ""), &mut known), []);
        assert_eq!(after(&end(&name, RunStatus::Interrupted, None, ""), &mut known), []);
        assert_eq!(after(&failed("SL6004", "held by process 1"), &mut known), []);
        assert_eq!(after(&failed("SL4103", "no scope"), &mut known), [Failure], "another reason");
        assert_eq!(after(&end(&name, RunStatus::Refused, Some("SL6009"), "too many"), &mut known), [Guard]);
        assert_eq!(after(&end(&name, RunStatus::Succeeded, None, ""), &mut known), [Recovery, Recovery]);
        assert_eq!(after(&end(&name, RunStatus::Succeeded, None, ""), &mut known), []);
        let with = |failed, read| RunEnd {
            tally: Tally { failed, read, ..Tally::default() },
            ..end(&name, RunStatus::Partial, None, "")
        };
        assert_eq!(after(&with(9, 9), &mut known), [], "few");
        assert_eq!(after(&with(10, 100), &mut known), [], "a tenth is allowed");
        assert_eq!(after(&with(11, 100), &mut known), [Degradation]);
        assert_eq!(after(&with(90, 100), &mut known), []);
        assert_eq!(after(&with(0, 0), &mut known), [], "nothing was read");
        assert_eq!(after(&with(1, 100), &mut known), [Recovery]);
        assert!(known.is_empty());
    }

    #[test]
    fn old_data_is_told_once_and_its_end() {
        let name = PipelineName::new("a");
        let at = Timestamp::UNIX_EPOCH;
        let alerts_at =
            |lag, known: &[Condition]| of_lag(&name, at, (lag, 60.0), known, |seconds| format!("{seconds} s"));
        assert!(alerts_at(60.0, &[]).is_empty());
        let change = alerts_at(61.0, &[]);
        assert_eq!((change.alerts.len(), change.alerts[0].event), (1, AlertEvent::Lag));
        assert!(alerts_at(3_600.0, &change.stands).is_empty());
        let over = alerts_at(1.0, &change.stands);
        assert_eq!((over.alerts[0].event, over.over), (AlertEvent::Recovery, vec![AlertEvent::Lag]));
    }
}
