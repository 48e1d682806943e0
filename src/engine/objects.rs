//! What a pipeline's state is about: rows of one object, records of one object in one portal. Under another name a pipeline
//! starts with nothing; under the same name it must not take what it knows of one object for knowledge of another.

use crate::ports::state::StateError;
use crate::stages::{StageContext, Writers};
use crate::sys::crash_point::crash_point;

/// The pipeline's state is about other objects than its definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the state of `{pipeline}` is about {before}, and its definition about {now}: {standing} records that it knows would be \
     left behind"
)]
pub struct ObjectsChanged {
    /// The pipeline.
    pub pipeline: String,
    /// What the state is about.
    pub before: String,
    /// What the definition is about.
    pub now: String,
    /// Records that the state knows in HubSpot.
    pub standing: u64,
}

impl ObjectsChanged {
    /// What a person should do.
    pub fn help(&self) -> String {
        format!(
            "give the definition another `name`, so that it starts afresh beside `{}`; or restore the objects",
            self.pipeline
        )
    }
}

/// What the state is about as far as it is noted, and what the definition is about.
pub struct Objects {
    before: Option<String>,
    now: String,
}

/// The keys of the notes that tell what a state is about.
pub fn keys(cx: &StageContext) -> [String; 2] {
    [key(cx), format!("bound:hubspot:{}", cx.pipeline.target.connection)]
}

/// The same of these notes.
pub fn of_notes(cx: &StageContext, before: Option<String>, portal: Option<String>) -> Objects {
    let target = &cx.pipeline.target;
    // Before the first run, no portal is bound to the connection yet.
    let portal = portal.unwrap_or_else(|| format!("connection {}", target.connection));
    Objects { before, now: format!("{} → {} of {portal}", cx.pipeline.source_object, target.object_type_id) }
}

/// What is noted.
pub async fn read(cx: &StageContext) -> Result<Objects, StateError> {
    let mut noted = cx.state.notes(&keys(cx)).await?;
    let (portal, before) = (noted.pop().flatten(), noted.pop().flatten());
    Ok(of_notes(cx, before, portal))
}

/// Whether the definition is about other objects than the records that the state knows.
pub async fn objects_changed(cx: &StageContext, objects: &Objects) -> Result<Option<ObjectsChanged>, StateError> {
    let Objects { before: Some(before), now } = objects else { return Ok(None) };
    let (before, now) = (before.clone(), now.clone());
    // Salesforce's names have no letter case, and the file may spell them anew.
    if before.eq_ignore_ascii_case(&now) {
        return Ok(None);
    }
    let counts = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    let standing = counts.standing + counts.in_doubt;
    // A state without records has nothing that could be taken for another object's.
    Ok((standing > 0).then(|| ObjectsChanged { pipeline: cx.pipeline.name.to_string(), before, now, standing }))
}

/// Records what the state is about from now on.
pub async fn record(cx: &StageContext, writers: &Writers, objects: &Objects) -> Result<(), StateError> {
    crash_point!("run.begun");
    match &objects.before {
        Some(noted) if *noted == objects.now => Ok(()),
        _ => writers.state.set_note(&key(cx), &objects.now).await,
    }
}

fn key(cx: &StageContext) -> String {
    format!("identity:{}", cx.pipeline.name)
}
