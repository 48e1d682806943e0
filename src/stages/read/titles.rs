//! Notices that a first import would create records whose names stand in HubSpot already, so that a person hears of it. Effect: none.

use std::sync::Arc;

use crate::plan::adoption::{SameTitles, StandingTitles, title_hash};
use crate::plan::decide::{Action, Decision};
use crate::stages::{StageContext, StageError, StageName};

/// Most pages that are read to compare names: 10,000 records are enough to notice.
const PAGES_MAX: usize = 100;

/// Where to count: for the first import of a pipeline that adopts no records.
pub async fn of_first_import(cx: &StageContext) -> Result<Option<Arc<SameTitles>>, StageError> {
    let pipeline = &cx.pipeline;
    if pipeline.adoption.is_some() || pipeline.target.title_property.is_none() {
        return Ok(None);
    }
    let counts = cx.state.identity_counts(&pipeline.name, pipeline.mapping_version).await;
    let counts = counts.map_err(StageError::at(StageName::Match))?;
    Ok((counts.standing + counts.in_doubt == 0).then(Arc::default))
}

/// Looks for the names of records that are to be created.
pub async fn compare(cx: &StageContext, decisions: &[Decision]) -> Result<(), StageError> {
    let (Some(same), Some(property)) = (&cx.same_titles, &cx.pipeline.target.title_property) else { return Ok(()) };
    let titles = decisions.iter().filter(|decision| decision.action == Action::Create).filter_map(|decision| {
        let desired = decision.desired.as_ref()?;
        let mut set = desired.properties.iter().chain(&desired.create_only);
        Some(&*set.find(|set| set.property == *property)?.value).filter(|title| !title.trim().is_empty())
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
