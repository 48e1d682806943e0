//! What a first import finds in HubSpot: nothing, so that no record needs to be asked for; or records whose names it would make twice, so
//! that a person hears of it. Effect: none.

use std::sync::Arc;

use crate::config::pipeline::Mode;
use crate::model::ids::PipelineName;
use crate::plan::adoption::{SameTitles, StandingTitles, title_hash};
use crate::plan::decide::{Action, Decision};
use crate::ports::state::StateError;
use crate::stages::{StageContext, StageError, StageName};

/// Most pages that are read to compare names: 10,000 records are enough to notice.
const PAGES_MAX: usize = 100;

/// What a first import finds in HubSpot before it begins.
#[derive(Debug, Clone, Default)]
pub struct BeforeImport {
    /// HubSpot holds no record of the object at all, so none needs to be asked for.
    pub vacant: bool,
    /// Where names are compared; none where there is nothing to compare, or the pipeline takes records over.
    pub same_titles: Option<Arc<SameTitles>>,
}

/// Key of the note that says that HubSpot held no record when the import began that is not over.
pub fn vacant_key(pipeline: &PipelineName) -> String {
    format!("vacant:{pipeline}")
}

/// Looks at the object before the first whole import, and before a trial: one call.
pub async fn look(cx: &StageContext) -> Result<BeforeImport, StageError> {
    let pipeline = &cx.pipeline;
    let at = StageError::at::<StateError>;
    let counts =
        cx.state.identity_counts(&pipeline.name, pipeline.mapping_version).await.map_err(at(StageName::Match))?;
    let begun = cx.state.cursor(&pipeline.name).await.map_err(at(StageName::Match))?.is_some();
    let first = cx.state.watermark(&pipeline.name).await.map_err(at(StageName::Match))?.is_none() && !begun;
    let unknown = counts.standing + counts.in_doubt == 0 && !begun;
    // Others may make records meanwhile that are to be updated or taken over.
    let asks_none = pipeline.adoption.is_none() && pipeline.mode != Mode::UpdateOnly;
    // An import that is gone on with knows what it found when it began: of what it sent since, the state knows.
    if begun && asks_none && !pipeline.is_junction {
        let vacant = cx.state.note(&vacant_key(&pipeline.name)).await.map_err(at(StageName::Match))?.is_some();
        return Ok(BeforeImport { vacant, same_titles: None });
    }
    let may_skip = unknown && asks_none;
    let compares = first && pipeline.adoption.is_none() && pipeline.target.title_property.is_some();
    if pipeline.is_junction || !(may_skip || compares) {
        return Ok(BeforeImport::default());
    }
    cx.confirm().await.map_err(StageError::at(StageName::Match))?;
    let key = std::slice::from_ref(&pipeline.target.match_property);
    let page = cx.target.list(&pipeline.target.object_type_id, key, None).await;
    let empty = page.map_err(StageError::at(StageName::Match))?.records.is_empty();
    Ok(BeforeImport { vacant: empty && may_skip, same_titles: (compares && !empty).then(Arc::default) })
}

/// Looks for the names of records that are to be created.
pub async fn compare(cx: &StageContext, decisions: &[Decision]) -> Result<(), StageError> {
    let (Some(same), Some(property)) = (&cx.same_titles, &cx.pipeline.target.title_property) else { return Ok(()) };
    let titles = decisions.iter().filter(|decision| decision.action == Action::Create).filter_map(|decision| {
        let desired = decision.desired.as_ref()?;
        let title = desired.properties.get(property).or_else(|| desired.create_only.get(property));
        title.filter(|title| !title.trim().is_empty())
    });
    let titles: Vec<&str> = titles.collect();
    if titles.is_empty() {
        return Ok(());
    }
    let standing = same.standing.get_or_try_init(|| list(cx, property)).await?;
    titles.into_iter().for_each(|title| same.count(standing, title));
    Ok(())
}

/// Reads the names of records that have no Salesforce id.
async fn list(cx: &StageContext, property: &Arc<str>) -> Result<StandingTitles, StageError> {
    let target = &cx.pipeline.target;
    let properties = [Arc::clone(property), Arc::clone(&target.match_property)];
    let (mut standing, mut after, mut records) = (StandingTitles::default(), None, 0);
    for _ in 0..PAGES_MAX {
        let page = cx.target.list(&target.object_type_id, &properties, after.as_deref()).await;
        let page = page.map_err(StageError::at(StageName::Match))?;
        records += page.records.len();
        for record in page.records {
            let text = |name: &str| record.properties.get(name).and_then(Option::as_deref);
            let filled = |name: &str| text(name).filter(|text| !text.trim().is_empty());
            // A record with a Salesforce id is met by that; only the others could be made twice.
            if let (Some(title), None) = (filled(property), filled(&target.match_property)) {
                standing.titles.insert(title_hash(title), record.id);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(standing);
        }
    }
    standing.cut_at = Some(records);
    Ok(standing)
}
