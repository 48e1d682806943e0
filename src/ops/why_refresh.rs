//! `why --refresh`: what Salesforce says of a record now, what HubSpot should hold of it, and what it holds. Reads only.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::association::AssociationState;
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::record::Desired;
use crate::pipeline::compiled::{Field, Pipeline};
use crate::plan::decide::Transformed;
use crate::ports::target::{Lookup, PairTypes, TargetRecord};
use crate::project::context::failed;
use crate::stages::read::lookup::by_match;
use crate::stages::{StageContext, StageError, StageName};

/// What both systems say of a record now.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Refreshed {
    /// When they were asked (UTC).
    pub at: String,
    /// Whether HubSpot holds a record with this id in the match property.
    pub hubspot: HubspotStanding,
    /// Its id there.
    pub hubspot_id: Option<String>,
    /// What follows, in a sentence.
    pub message: String,
    /// Property by property; none where it is not known what HubSpot should hold, or it holds no record.
    pub fields: Vec<FieldStanding>,
    /// The associations that were carried out.
    pub associations: Vec<HeldAssociation>,
}

/// What HubSpot says of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HubspotStanding {
    /// It holds it.
    Found,
    /// It holds none that is not archived.
    Absent,
    /// It was asked, and does not say.
    Unknown,
    /// It could not be asked.
    Unreachable,
}

/// One property of the record.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FieldStanding {
    /// The property.
    pub property: String,
    /// The fields of Salesforce that it is filled from, with what they hold; masked where they are sensitive.
    pub salesforce: Vec<SourceValue>,
    /// What HubSpot should hold; none where it should be blank, and where the mapping leaves it as it is.
    pub should: Option<String>,
    /// What it holds.
    pub holds: Option<String>,
    /// How the two compare.
    pub standing: Comparison,
}

/// What a field of Salesforce holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceValue {
    /// The field.
    pub field: String,
    /// Its value; none where it is blank.
    pub value: Option<String>,
}

/// How what HubSpot holds compares with what it should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// They are the same.
    Same,
    /// They differ.
    Differs,
    /// No run writes it over: it is set on creation only, filled only where it is empty, kept as people changed it, or Salesforce is blank there.
    Left,
}

/// An association that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldAssociation {
    /// The lookup that asks for it.
    pub field: String,
    /// The record in the lookup.
    pub salesforce_id: String,
    /// The HubSpot record that it led to.
    pub hubspot_id: String,
    /// Whether HubSpot holds it now, with its label; none where HubSpot does not say.
    pub holds: Option<bool>,
}

/// Asks HubSpot for the record, and compares it with what Salesforce says.
pub async fn refresh(
    cx: &StageContext,
    id: SalesforceId,
    row: Option<&Transformed>,
    states: &[AssociationState],
) -> Refreshed {
    let pipeline = &cx.pipeline;
    let mut refreshed = Refreshed {
        at: cx.clock.now().to_string(),
        hubspot: HubspotStanding::Unreachable,
        hubspot_id: None,
        message: String::new(),
        fields: Vec::new(),
        associations: Vec::new(),
    };
    // By the match property and not by the remembered id, so that a record made by hand or a lost one shows.
    let found = by_match(cx, &[id], &pipeline.properties, StageName::Match).await;
    let lookup = match found {
        Ok(found) => found.into_values().next().unwrap_or(Lookup::Unknown),
        Err(error) => {
            let error = failed(cx, error);
            let (code, reason) = error.reason();
            let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
            refreshed.message = format!("HubSpot could not be asked: {reason} ({code}){help}");
            return refreshed;
        }
    };
    let desired = row.and_then(|row| row.desired.as_ref()).and_then(|desired| desired.as_ref().ok());
    match lookup {
        Lookup::Unknown => {
            refreshed.hubspot = HubspotStanding::Unknown;
            refreshed.message = "HubSpot was asked, and does not say whether it holds the record".to_owned();
        }
        Lookup::Absent => {
            let property = &pipeline.target.match_property;
            refreshed.hubspot = HubspotStanding::Absent;
            refreshed.message =
                format!("HubSpot holds no record with this id in `{property}`; one that is archived is not shown");
        }
        Lookup::Found(record) => {
            refreshed.hubspot = HubspotStanding::Found;
            refreshed.hubspot_id = Some(record.id.to_string());
            // The properties are worth showing without them, where a scope is missing.
            let held = associations(cx, &record.id, states).await;
            if let (Some(row), Some(desired)) = (row, desired) {
                refreshed.fields = fields(pipeline, row, desired, &record);
            }
            refreshed.message =
                summary(&record.id, desired.is_some(), &refreshed.fields, (held.as_deref().ok(), states));
            refreshed.associations = held.unwrap_or_default();
        }
    }
    refreshed
}

/// What follows for the record. Without `associations`, HubSpot could not be asked for them; `states` are its lookups.
fn summary(
    record: &HubspotId,
    judged: bool,
    fields: &[FieldStanding],
    (associations, states): (Option<&[HeldAssociation]>, &[AssociationState]),
) -> String {
    let standing = |holds: Option<bool>| {
        associations.into_iter().flatten().filter(|association| association.holds == holds).count()
    };
    let named = |count: usize, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {more}"),
    };
    let differing = fields.iter().filter(|field| field.standing == Comparison::Differs).count();
    let differs = (differing > 0).then(|| format!("differs in {}", named(differing, "property", "properties")));
    let lacks = (standing(Some(false)) > 0)
        .then(|| format!("lacks {}", named(standing(Some(false)), "association", "associations")));
    let is_open = |state: &&AssociationState| {
        state.wanted.is_some() && state.wanted.as_ref() != state.settled.as_ref().map(|settled| &settled.asked)
    };
    let open = states.iter().filter(is_open).count();
    let unsaid = standing(None);
    let mut said = match (judged, differs, lacks) {
        (false, _, lacks) => {
            let lacks = lacks.map(|lacks| format!("; it {lacks}")).unwrap_or_default();
            format!(
                "HubSpot holds it as record {record}; what it should hold is not known, as Salesforce's side says above{lacks}"
            )
        }
        (true, Some(differs), Some(lacks)) => format!("HubSpot record {record} {differs} and {lacks}"),
        (true, Some(one), None) | (true, None, Some(one)) => format!("HubSpot record {record} {one}"),
        // What is not known of its associations must not pass for right.
        (true, None, None) if associations.is_none() || open + unsaid > 0 => {
            format!("HubSpot record {record} holds what it should in its properties")
        }
        (true, None, None) => format!("HubSpot record {record} holds what it should"),
    };
    if open > 0 {
        said.push_str(&format!(
            "; {}",
            named(open, "association is still to be made", "associations are still to be made")
        ));
    }
    if associations.is_none() {
        said.push_str("; its associations could not be asked for");
    }
    if unsaid > 0 {
        said.push_str(&format!("; of {} HubSpot does not say", named(unsaid, "association", "associations")));
    }
    said
}

fn fields(pipeline: &Pipeline, row: &Transformed, desired: &Desired, record: &TargetRecord) -> Vec<FieldStanding> {
    // What would be written, not only what is wanted: `if_empty` leaves what HubSpot holds.
    let mut wanted = desired.clone();
    pipeline.leave_filled(&mut wanted, &record.properties);
    let differing: Vec<Arc<str>> =
        pipeline.diff(&wanted, &record.properties).into_iter().map(|change| change.property).collect();
    let value_of =
        |name: &str| desired.properties.get(name).or_else(|| desired.create_only.get(name)).map(str::to_owned);
    let one = |field: &Field| {
        let name = &*field.property;
        let shown = |value: Option<String>| {
            value.filter(|value| !value.is_empty()).map(|value| pipeline.mask_property(name, &value).into_owned())
        };
        let written = wanted.properties.get(name).is_some();
        let columns = field.places().into_iter().filter_map(|place| {
            let value = row.candidate.record.values.get(place);
            let value = value.map(|value| pipeline.mask_column(place, value).into_owned());
            Some(SourceValue { field: pipeline.columns.get(place)?.path.to_string(), value })
        });
        FieldStanding {
            property: name.to_owned(),
            salesforce: columns.collect(),
            should: shown(value_of(name)),
            holds: shown(record.properties.get(name).cloned().flatten()),
            standing: match (written, differing.contains(&field.property)) {
                (true, true) if field.keeps_drift => Comparison::Left,
                (true, true) => Comparison::Differs,
                (true, false) => Comparison::Same,
                (false, _) => Comparison::Left,
            },
        }
    };
    pipeline.fields.iter().map(one).collect()
}

/// Reads the associations that lookups of the record led to.
async fn associations(
    cx: &StageContext,
    record: &HubspotId,
    states: &[AssociationState],
) -> Result<Vec<HeldAssociation>, StageError> {
    let mut read: HashMap<Arc<str>, Lookup<Vec<PairTypes>>> = HashMap::new();
    let mut held = Vec::new();
    for state in states {
        // What still waits was never written, so HubSpot cannot hold it.
        let (Some(_), Some(settled)) = (&state.wanted, &state.settled) else { continue };
        // Not what the lookup asks for by now, which may be another record.
        let asked = &settled.asked;
        let object = &settled.to_object;
        // One call for all lookups to the same object.
        if !read.contains_key(object) {
            let ids = [record.clone()];
            let answer = cx.target.associations(&cx.pipeline.target.object_type_id, object, &ids).await;
            let answer = answer.map_err(StageError::at(StageName::Associate))?.into_iter().next();
            read.insert(Arc::clone(object), answer.unwrap_or(Lookup::Unknown));
        }
        let stands = |pairs: &Vec<PairTypes>| {
            let typed = |pair: &PairTypes| {
                // Without a wanted label, any association between the two will do.
                asked.label.as_ref().is_none_or(|label| pair.types.iter().any(|kind| kind.is(label)))
            };
            pairs.iter().any(|pair| pair.to == settled.to && typed(pair))
        };
        held.push(HeldAssociation {
            // A key is the field, with the label behind `#` and the prefix of ids behind `@`.
            field: state.key.0.split(['#', '@']).next().unwrap_or_default().to_owned(),
            salesforce_id: asked.target.to_string(),
            hubspot_id: settled.to.to_string(),
            holds: match read.get(object) {
                Some(Lookup::Found(pairs)) => Some(stands(pairs)),
                Some(Lookup::Absent) => Some(false),
                Some(Lookup::Unknown) | None => None,
            },
        });
    }
    Ok(held)
}
