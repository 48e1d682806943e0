//! How a cycle learns of touched parents: in one query with the records' own changes; in a query of its own where Salesforce refuses
//! that one; and where it refuses this one too, in a later cycle, which then asks from the same moment on. So no change is lost, and the
//! records' own changes never wait for those of parents.

use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::by_id::Rows;
use super::watermark::ClockReadings;
use crate::model::ids::PipelineName;
use crate::model::watermark::Watermark;
use crate::ports::fault::Fault;
use crate::ports::state::{StateError, StateReader};
use crate::stages::{StageCause, StageContext, StageError, Writers};

/// Time after which one query is tried again for both, where Salesforce refused that.
/// A day, after which the query may have become cheaper; two queries a cycle cost one call more.
const APART_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Pause before the parents are asked for again; it doubles with each refusal.
const PAUSE_FIRST: SignedDuration = SignedDuration::from_mins(15);

/// Longest pause.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(6);

/// How a cycle asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In one query with the records' own changes.
    Joint,
    /// In a query of its own.
    Apart,
    /// Not this time.
    Later,
    /// Not at all: no parents are followed.
    Never,
}

/// What is remembered between cycles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// The joint query was refused, and is tried again then, by this computer's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apart_until: Option<Timestamp>,
    /// Changes of parents that no cycle has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missed: Option<Missed>,
}

/// Changes of parents that no cycle has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Those from this moment on, by Salesforce's clock.
    pub since: Timestamp,
    /// How often they were asked for in vain.
    attempts: u32,
    /// When they are asked for again, by this computer's clock.
    next_try: Timestamp,
    /// Why they were not read.
    pub why: String,
}

/// The parents' part of one cycle; what its streams share.
#[derive(Debug)]
pub struct ParentReads {
    before: Memory,
    /// Changes of parents before are in HubSpot.
    since: Timestamp,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    way: Way,
    /// The joint query was refused in this cycle.
    parted: bool,
    /// The error that a look ahead has met.
    met: bool,
    /// The look ahead is over: from now on a refusal ends the read of parents, and not the cycle.
    reading: bool,
    /// Why the parents were not read.
    why: Option<String>,
}

/// Key of the note that keeps what one cycle tells the next one of parents.
pub fn key(pipeline: &PipelineName) -> String {
    format!("parents:{pipeline}")
}

async fn memory(state: &dyn StateReader, pipeline: &PipelineName) -> Result<Memory, StateError> {
    let noted = state.note(&key(pipeline)).await?;
    Ok(noted.as_deref().map(remembered).unwrap_or_default())
}

/// A note that another version wrote is forgotten: at worst a query is refused once more.
fn remembered(noted: &str) -> Memory {
    serde_json::from_str(noted).unwrap_or_default()
}

/// The same as [`missed`], of a note that was read.
pub fn missed_in(noted: &str) -> Option<Missed> {
    remembered(noted).missed
}

/// Changes of parents that are missing in HubSpot; none where all were read.
pub async fn missed(state: &dyn StateReader, pipeline: &PipelineName) -> Result<Option<Missed>, StateError> {
    Ok(memory(state, pipeline).await?.missed)
}

impl ParentReads {
    /// The parents' part of a cycle that reads from a watermark on.
    pub async fn begin(cx: &StageContext, watermark: Watermark) -> Result<Self, StateError> {
        let before = memory(&*cx.state, &cx.pipeline.name).await?;
        let since = before.missed.as_ref().map_or(watermark.0, |missed| missed.since.min(watermark.0));
        let way = if cx.pipeline.parents.stamps.is_empty() { Way::Never } else { way(&before, cx.clock.now()) };
        let progress = Progress { way, parted: false, met: false, reading: false, why: None };
        Ok(Self { before, since, progress: Mutex::new(progress) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment from which on they are asked for, with the overlap for rows that became visible late.
    pub fn from(&self, cx: &StageContext) -> Timestamp {
        self.since - cx.pipeline.overlap
    }

    /// How they are asked for.
    pub fn way(&self) -> Way {
        self.lock().way
    }

    /// Whether a look ahead failed by a query that need not be made like that: then the look begins anew, in another way.
    pub fn steps_back(&self) -> bool {
        std::mem::take(&mut self.lock().met)
    }

    /// The look ahead is over.
    pub fn looked_ahead(&self) {
        self.lock().reading = true;
    }

    /// Rows of a query that asks for parents. Where Salesforce refuses it after the look ahead, `rest` takes its place.
    pub fn guarded<'a>(&'a self, rows: Rows<'a>, rest: Rows<'a>) -> Rows<'a> {
        stream::unfold(Some((rows, Some(rest))), move |state| async move {
            let (mut rows, mut rest) = state?;
            loop {
                return match rows.next().await? {
                    Err(error) if rest.is_some() && is_refusal(&error) => match (self.refused(&error), rest.take()) {
                        (true, Some(others)) => {
                            rows = others;
                            continue;
                        }
                        _ => Some((Err(error), None)),
                    },
                    item => Some((item, Some((rows, rest)))),
                };
            }
        })
        .boxed()
    }

    /// Salesforce refused a query; whether the cycle goes on without it.
    fn refused(&self, error: &StageError) -> bool {
        tracing::warn!(%error, "Salesforce refused a query that asks for changed parents");
        let mut progress = self.lock();
        progress.parted |= progress.way == Way::Joint;
        // After the look ahead, a part of the rows was used already: what is left of the parents is for the next cycle.
        progress.way = if progress.way == Way::Joint && !progress.reading { Way::Apart } else { Way::Later };
        progress.why = (progress.way == Way::Later).then(|| error.cause.to_string());
        progress.met = !progress.reading;
        progress.reading
    }

    /// Remembers, before the watermark moves, what the cycle did not read.
    pub async fn note_missed(&self, cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
        let after = self.after(cx.clock.now());
        if after.missed.is_some() && after != self.before { save(cx, writers, &after).await } else { Ok(()) }
    }

    /// Forgets, once the watermark has moved, what the cycle has read.
    pub async fn note_read(&self, cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
        let after = self.after(cx.clock.now());
        if after.missed.is_none() && after != self.before { save(cx, writers, &after).await } else { Ok(()) }
    }

    fn after(&self, now: Timestamp) -> Memory {
        let progress = self.lock();
        let before = &self.before;
        let apart_until = if progress.parted { Some(now + APART_FOR) } else { before.apart_until };
        let missed = match (progress.way, &progress.why) {
            (Way::Never, _) => return Memory::default(),
            // It went through, so nothing of what was remembered holds any longer.
            (Way::Joint, _) => return Memory::default(),
            (Way::Later, Some(why)) => {
                let attempts = before.missed.as_ref().map_or(0, |missed| missed.attempts) + 1;
                Some(Missed { since: self.since, attempts, next_try: now + pause(attempts), why: why.clone() })
            }
            (Way::Later, None) => before.missed.clone(),
            (Way::Apart, _) => None,
        };
        Memory { apart_until, missed }
    }

    /// What a person should know of parents that were not read.
    pub fn note(&self, cx: &StageContext) -> Option<String> {
        let missed = self.after(cx.clock.now()).missed?;
        let Missed { since, next_try, why, .. } = missed;
        let name = &cx.pipeline.name;
        Some(format!(
            "changes of parent records since {since} were not read, as Salesforce refused the query: {why}. The records' own changes \
             were. They are asked for again after {next_try}; until then `syncline reconcile {name}` carries them over, and \
             `sync.parents: off` leaves them to it for good"
        ))
    }
}

async fn save(cx: &StageContext, writers: &Writers, memory: &Memory) -> Result<(), StateError> {
    let text = serde_json::to_string(memory).unwrap_or_default();
    writers.state.set_note(&key(&cx.pipeline.name), &text).await
}

/// A comparison has read every record since it began: changes of parents before that are not missing any more.
pub async fn compared(
    cx: &StageContext,
    writers: &Writers,
    began_at: Timestamp,
    now: ClockReadings,
) -> Result<(), StateError> {
    let before = memory(&*cx.state, &cx.pipeline.name).await?;
    let Some(missed) = &before.missed else { return Ok(()) };
    // The beginning was noted by this computer's clock; what is missed is counted by Salesforce's.
    let began = began_at.saturating_add(now.server.duration_since(now.local)).unwrap_or(began_at);
    let since = missed.since.max(began);
    save(cx, writers, &Memory { missed: Some(Missed { since, ..missed.clone() }), ..before.clone() }).await
}

fn way(memory: &Memory, now: Timestamp) -> Way {
    // A moment further ahead than it was ever set comes from a clock that was wrong.
    let lies_ahead = |moment: Timestamp, most: SignedDuration| moment > now && moment.duration_since(now) <= most;
    match memory {
        Memory { missed: Some(missed), .. } if lies_ahead(missed.next_try, PAUSE_MAX) => Way::Later,
        // What was refused is tried alone first, so that another refusal cannot hold up the records' own changes.
        Memory { missed: Some(_), .. } => Way::Apart,
        Memory { apart_until: Some(until), .. } if lies_ahead(*until, APART_FOR) => Way::Apart,
        Memory { .. } => Way::Joint,
    }
}

fn pause(attempts: u32) -> SignedDuration {
    let factor = 1 << attempts.saturating_sub(1).min(10);
    PAUSE_FIRST.checked_mul(factor).unwrap_or(PAUSE_MAX).min(PAUSE_MAX)
}

/// Whether Salesforce does not carry out this query, so that another one may do. A lost session, a budget that is used up and a service
/// that is away stop all queries alike.
fn is_refusal(error: &StageError) -> bool {
    let StageCause::Remote(fault) = &error.cause else { return false };
    match fault {
        Fault::Retry(error) | Fault::Halt(error) => {
            // Salesforce answers a query that takes too long or selects too much with a 400; a 401 is about the
            // session.
            error.status.is_some_and(|status| (400..500).contains(&status) && status != 401)
        }
        Fault::PlaceLost(_) => true,
        // Bulk jobs alone may be used up.
        Fault::Budget { error, .. } => error.code == "SL4113",
        Fault::Reject(_) | Fault::Unknown(_) | Fault::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn missed(next_try: i64) -> Memory {
        let missed = Missed { since: at(0), attempts: 1, next_try: at(next_try), why: "slow".to_owned() };
        Memory { apart_until: None, missed: Some(missed) }
    }

    #[test]
    fn parents_are_asked_for_apart_for_a_day_and_later_after_a_refusal() {
        let parted = |until| Memory { apart_until: Some(at(until)), missed: None };
        let cases = [
            (Memory::default(), Way::Joint),
            (parted(1_000), Way::Apart),
            (parted(99), Way::Joint),
            (missed(101), Way::Later),
            (missed(100), Way::Apart),
            // The clock was ahead when these were set, by years.
            (missed(1_000_000), Way::Apart),
            (parted(1_000_000), Way::Joint),
        ];
        for (memory, expected) in cases {
            assert_eq!(way(&memory, at(100)), expected, "{memory:?}");
        }
    }

    #[test]
    fn pauses_grow_up_to_their_bound() {
        let minutes: Vec<i64> = [1, 2, 3, 5, 6, 4_000_000_000].map(|attempts| pause(attempts).as_mins()).into();
        assert_eq!(minutes, [15, 30, 60, 240, 360, 360]);
    }
}
