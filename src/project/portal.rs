//! What a pipeline needs to know of its portal, saved between runs, so that a cycle without a change asks HubSpot
//! nothing. Before the first use in a run it is read again and compared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::connect::hubspot::target::HubspotTarget;
use crate::model::association::AssociationType;
use crate::model::ids::PipelineName;
use crate::model::object::TargetObject;
use crate::ports::fault::{Fault, RemoteError};
use crate::ports::state::{StateError, StateReader, StateWriter};
use crate::ports::target::{Confirm, TargetReader};

/// One pipeline's view of its portal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Portal {
    /// Its number.
    pub portal_id: u64,
    /// Objects, by the name that the definitions use, in lower case.
    pub objects: BTreeMap<String, TargetObject>,
    /// Association types from the pipeline's own object, by the other one's type id.
    pub types: BTreeMap<String, Vec<AssociationType>>,
}

impl Portal {
    /// What was saved for a pipeline under the connection that it uses today.
    pub async fn load(
        state: &dyn StateReader,
        pipeline: &PipelineName,
        connection: &str,
    ) -> Result<Option<Self>, StateError> {
        let text = state.note(&key(pipeline, connection)).await?;
        // A form that another version wrote is read anew.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Saves it for later runs.
    pub async fn save(
        &self,
        state: &dyn StateWriter,
        pipeline: &PipelineName,
        connection: &str,
    ) -> Result<(), StateError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        state.set_note(&key(pipeline, connection), &text).await
    }

    /// Reads the same things again. `own` is the type id of the pipeline's own object.
    async fn again(&self, target: &HubspotTarget, from_object: &str) -> Result<Self, Fault> {
        let mut now = Self { portal_id: target.account().await?.portal_id, ..Self::default() };
        for name in self.objects.keys() {
            now.objects.insert(name.clone(), target.describe(name).await?);
        }
        for other in self.types.keys() {
            now.types.insert(other.clone(), target.association_types(from_object, other).await?);
        }
        Ok(now)
    }
}

fn key(pipeline: &PipelineName, connection: &str) -> String {
    // By connection as well: under another one the pipeline may lead to another portal.
    format!("portal:{connection}:{pipeline}")
}

/// A saved description of a portal, which is confirmed at its first use.
pub struct SavedPortal {
    target: Arc<HubspotTarget>,
    portal: Arc<Portal>,
    from_object: String,
    answer: OnceCell<()>,
    changed: AtomicBool,
}

impl SavedPortal {
    /// A view that `target` confirms; `own` is the type id of the pipeline's own object.
    pub fn new(target: Arc<HubspotTarget>, portal: Arc<Portal>, from_object: String) -> Self {
        Self { target, portal, from_object, answer: OnceCell::new(), changed: AtomicBool::new(false) }
    }

    /// Whether the portal turned out to be another than the saved one.
    pub fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// One describe of each object that was remembered. A change ends the run before it writes anything by the old
    /// definitions.
    async fn ask(&self) -> Result<(), Fault> {
        let now = match self.portal.again(&self.target, &self.from_object).await {
            Ok(now) => Some(now),
            // An object that is gone is a change as well; reading it anew says so at its line of the definition.
            Err(Fault::Halt(error)) if error.status.is_none() || error.status == Some(404) => None,
            Err(fault) => return Err(fault),
        };
        if now.as_ref() == Some(&*self.portal) {
            return Ok(());
        }
        self.changed.store(true, Ordering::Relaxed);
        Err(Fault::Halt(RemoteError {
            code: "SL3006",
            service: "HubSpot",
            operation: "compare the portal's definitions".to_owned(),
            status: None,
            message: "the portal's objects or properties have changed since the last run".to_owned(),
            help: Some("nothing was written; the run starts over with the new definitions".to_owned()),
            request_id: None,
            attempts: 1,
        }))
    }
}

impl Confirm for SavedPortal {
    fn confirm(&self) -> BoxFuture<'_, Result<(), Fault>> {
        // Once a run; a failed attempt is not kept, so the next write asks again.
        self.answer.get_or_try_init(|| self.ask()).map(|answer| answer.map(|_| ())).boxed()
    }
}
