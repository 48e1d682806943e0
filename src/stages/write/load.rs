//! Load. In: decisions that write properties, at most a batch. Out: each settled. Effect: creates and updates records.
//! Repeating it is safe: records are recognised by their unique match property, and where a plain create cannot be
//! repeated, its outcome is looked up first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::config::pipeline::Mode;
use crate::model::failure::Reason;
use crate::model::ids::SalesforceId;
use crate::plan::decide::{Action, Decision};
use crate::ports::fault::Fault;
use crate::ports::target::{Lookup, RECORD_ID, TargetWriter, WriteBatch, WriteInput, WriteMode, WriteOutcome};
use crate::stages::read::lookup::by_property;
use crate::stages::write::{Outcome, Settled, UNCONFIRMED, Written};
use crate::stages::{Stage, StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// The stage.
pub struct Load {
    /// Where records go to.
    pub target: Arc<dyn TargetWriter>,
}

/// How often an input of which HubSpot said nothing is sent again, after looking.
/// Sent once more and passed over again, it is for a person to look at.
const UNKNOWN_RETRIES_MAX: u32 = 1;

impl Stage for Load {
    type In = Vec<Decision>;
    type Out = Written;
    const NAME: StageName = StageName::Load;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Written, StageError> {
        let mut load_batch =
            LoadBatch { cx, target: &*self.target, outcomes: vec![None; batch.len()], raced: HashSet::new() };
        // Records that stand under an earlier match property are named by that one, each property in calls of its own.
        let mut by_key: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
        for (index, decision) in batch.iter().enumerate() {
            by_key.entry(named_by(decision)).or_default().push(index);
        }
        let mut stopped = None;
        for all in by_key.into_values() {
            stopped = load_batch.deliver(&batch, all).await.err();
            // What was acknowledged before is settled all the same.
            if stopped.is_some() {
                break;
            }
        }
        let settle = |(decision, outcome): (Decision, Option<Outcome>)| Some(Settled { decision, outcome: outcome? });
        let mut settled = Vec::with_capacity(batch.len());
        settled.extend(batch.into_iter().zip(load_batch.outcomes).filter_map(settle));
        Ok(Written { settled, stopped })
    }
}

struct LoadBatch<'a> {
    cx: &'a StageContext,
    target: &'a dyn TargetWriter,
    outcomes: Vec<Option<Outcome>>,
    /// Records whose match value somebody else wrote in the same moment; each is tried once more.
    raced: HashSet<usize>,
}

impl LoadBatch<'_> {
    /// Sends the records, then looks after those of which HubSpot said nothing.
    async fn deliver(&mut self, batch: &[Decision], all: Vec<usize>) -> Result<(), StageError> {
        let mut unknown = self.send_splitting(batch, all).await?;
        for attempt in 0..=UNKNOWN_RETRIES_MAX {
            if unknown.is_empty() {
                return Ok(());
            }
            crash_point!("load.reading_back");
            unknown = self.read_back(batch, unknown).await?;
            crash_point!("load.read_back");
            if attempt < UNKNOWN_RETRIES_MAX {
                unknown = self.send_splitting(batch, unknown).await?;
            }
        }
        for index in unknown {
            self.outcomes[index] = Some(Outcome::Failed(unconfirmed().into()));
        }
        Ok(())
    }

    /// Sends the records; a call that is refused as a whole is split in halves until the culprits stand alone, which
    /// takes at most 2n − 1 calls for n records. Returns those of which HubSpot said nothing.
    async fn send_splitting(&mut self, batch: &[Decision], all: Vec<usize>) -> Result<Vec<usize>, StageError> {
        let mut unknown = Vec::new();
        let mut parts = vec![all];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            // An upsert by an earlier property would make a record that lacks the one of today.
            let mode = match named_by(&batch[part[0]]) {
                Some(_) => WriteMode::Update,
                None => write_mode(self.cx.pipeline.mode),
            };
            crash_point!("load.sending");
            let answer = self.target.write(&self.request(batch, &part, mode)).await;
            crash_point!("load.answered");
            match answer {
                Ok(outcomes) => {
                    for (index, outcome) in part.iter().copied().zip(outcomes) {
                        match outcome {
                            WriteOutcome::Confirmed { id, created } => {
                                self.outcomes[index] = Some(Outcome::Done { id: Some(id), created });
                            }
                            WriteOutcome::Rejected(reason) if self.is_race(index, &reason) => unknown.push(index),
                            WriteOutcome::Rejected(reason) => self.outcomes[index] = Some(Outcome::Failed(reason)),
                            WriteOutcome::Unknown => unknown.push(index),
                        }
                    }
                }
                Err(Fault::Reject(reason)) if part.len() == 1 && self.is_race(part[0], &reason) => unknown.extend(part),
                Err(Fault::Reject(reason)) if part.len() == 1 => {
                    self.outcomes[part[0]] = Some(Outcome::Failed(reason.into()));
                }
                Err(Fault::Reject(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second.to_vec());
                    parts.push(first.to_vec());
                }
                // A plain create is never sent again blindly: it could make a second record.
                Err(Fault::Unknown(error)) if mode == WriteMode::Create => {
                    tracing::warn!(%error, records = part.len(), "outcome unknown, looking");
                    unknown.extend(part);
                }
                Err(fault) => return Err(StageError::at(Load::NAME)(fault)),
            }
        }
        Ok(unknown)
    }

    /// Whether HubSpot refused the record because its own match value has just come to stand there: an upsert that is sent
    /// again finds it.
    fn is_race(&mut self, index: usize, reason: &Reason) -> bool {
        let match_property = Some(&*self.cx.pipeline.target.match_property);
        reason.code == "SL5106" && reason.property.as_deref() == match_property && self.raced.insert(index)
    }

    /// Reads records whose outcome is unknown; those that hold what was sent are done, the rest is returned.
    async fn read_back(&mut self, batch: &[Decision], unknown: Vec<usize>) -> Result<Vec<usize>, StageError> {
        let pipeline = &self.cx.pipeline;
        let ids: Vec<SalesforceId> = unknown.iter().map(|index| batch[*index].id()).collect();
        let key = unknown.first().and_then(|index| batch[*index].key.as_ref());
        let key = key.unwrap_or(&pipeline.target.match_property);
        let found = by_property(self.cx, key, &ids, &pipeline.properties, Load::NAME).await?;
        let mut still = Vec::new();
        for index in unknown {
            let decision = &batch[index];
            let record = found.get(&decision.id()).and_then(Lookup::found);
            match (record, decision.desired.as_ref()) {
                // Whoever wrote them: the values that were to be sent stand there.
                (Some(record), Some(desired)) if pipeline.diff(desired, &record.properties).is_empty() => {
                    let created = matches!(decision.action, Action::Create | Action::Restore).then_some(true);
                    self.outcomes[index] = Some(Outcome::Done { id: Some(record.id.clone()), created });
                }
                _ => still.push(index),
            }
        }
        Ok(still)
    }

    fn request<'b>(&'b self, batch: &'b [Decision], part: &[usize], mode: WriteMode) -> WriteBatch<'b> {
        let target = &self.cx.pipeline.target;
        WriteBatch {
            object: &target.object_type_id,
            key_property: named_by(&batch[part[0]]).unwrap_or(&target.match_property),
            mode,
            inputs: part.iter().map(|index| input(&batch[*index])).collect(),
        }
    }
}

/// The property that names a record in the call, where that is not the match property: its own id, where it is adopted.
fn named_by(decision: &Decision) -> Option<&str> {
    if decision.action == Action::Adopt { Some(RECORD_ID) } else { decision.key.as_deref() }
}

/// What is sent of one record: the create-only properties only when the record is new.
fn input(decision: &Decision) -> WriteInput<'_> {
    let desired = decision.desired.as_ref();
    let creating = matches!(decision.action, Action::Create | Action::Restore);
    WriteInput {
        key: match (&decision.action, &decision.hubspot_id) {
            (Action::Adopt, Some(record)) => record.to_string().into(),
            _ => decision.candidate.record.id.as_str().into(),
        },
        properties: desired.map(|desired| &desired.properties),
        create_only: desired.filter(|_| creating).map(|desired| &desired.create_only),
        // A new record has nothing to clear, and a blank that is sent on create can trip a portal's rules.
        skips_blanks: creating,
    }
}

/// The kind of call for a mode. `create_only` sends plain creates, so that a record that came to exist meanwhile is refused rather
/// than overwritten; `update_only` sends updates, which never make one.
fn write_mode(mode: Mode) -> WriteMode {
    match mode {
        Mode::Upsert => WriteMode::Upsert,
        Mode::CreateOnly => WriteMode::Create,
        Mode::UpdateOnly => WriteMode::Update,
    }
}

fn unconfirmed() -> Reason {
    Reason {
        code: UNCONFIRMED.to_owned(),
        remote_code: None,
        property: None,
        message: "HubSpot's answer did not mention this record, and the values were not there when it was read back"
            .to_owned(),
        request_id: None,
    }
}
