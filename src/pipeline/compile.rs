//! `PipelineConfig` and the described objects -> `Pipeline`, with every finding along the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;

use super::compiled::{ContentForm, Field, FieldSource, Pipeline, Target, rules_of};
use super::condition::tree::Condition;
use super::field::{Lookup, Objects};
use super::parents::Parents;
use super::rules::context::Columns;
use super::rules::owners::email_path;
use super::rules::{self, Parts, allow};
use super::schemas::Schemas;
use super::taken::Taken;
use super::template::Template;
use crate::config::pipeline::{
    AssociationConfig, Cast, FieldConfig, LabelConfig, ParentChanges, PipelineConfig, WhenBlank,
};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::hash::Hasher;
use crate::model::identity::MappingVersion;
use crate::model::ids::PipelineName;
use crate::model::object::Sources;
use crate::model::program;
use crate::model::record::Column;

/// The parent objects that must be described next, so that every path can be followed. Ask again with them described.
pub fn parents(config: &PipelineConfig, sources: &Sources) -> BTreeSet<String> {
    let Some(source) = sources.get(&config.source.object.to_ascii_lowercase()) else {
        return BTreeSet::from([config.source.object.clone()]);
    };
    let objects = Objects { source, all: sources };
    let not_described = |path: &String| match objects.find(path) {
        Lookup::NotDescribed(object) => Some(object),
        Lookup::Found(_) | Lookup::Missing { .. } => None,
    };
    let along: Vec<String> = paths(config, &objects).iter().filter_map(not_described).collect();
    along.into_iter().chain(named_objects(config, &objects)).collect()
}

/// The fields that a definition names, each with its object, as far as the described objects tell. A field that is not there
/// counts for the object that should have it.
pub fn used_fields(config: &PipelineConfig, sources: &Sources) -> BTreeSet<(String, String)> {
    let Some(source) = sources.get(&config.source.object.to_ascii_lowercase()) else { return BTreeSet::new() };
    let objects = Objects { source, all: sources };
    let lookups = config.associations.iter().map(|association| association.field.clone());
    let mut used = BTreeSet::new();
    for path in paths(config, &objects).into_iter().chain(lookups) {
        // The lookups on the way are used as well.
        let mut parents = path.as_str();
        while let Some((before, _)) = parents.rsplit_once('.') {
            let name = before.rsplit('.').next().unwrap_or(before);
            let lookup = objects.holder(before).ok().and_then(|holder| Some((holder, holder.relationship(name)?)));
            used.extend(lookup.map(|(holder, lookup)| (holder.name.clone(), lookup.name.clone())));
            parents = before;
        }
        let field = path.rsplit('.').next().unwrap_or(&path);
        used.extend(objects.holder(&path).ok().map(|holder| (holder.name.clone(), field.to_owned())));
    }
    used
}

/// All field paths that a definition names.
fn paths(config: &PipelineConfig, objects: &Objects<'_>) -> Vec<String> {
    let from = config.fields.iter().filter_map(|field| field.from.clone());
    let owned = config.fields.iter().filter(|field| field.cast == Some(Cast::Owner));
    let emails = owned.filter_map(|field| email_path(objects, field.from.as_deref()?));
    let templates = config.fields.iter().filter_map(|field| Template::read(field.template.as_deref()?).ok());
    let templates: Vec<Template> = templates.collect();
    let named = templates.iter().flat_map(Template::paths).map(str::to_owned);
    let condition = config.source.condition.as_deref().and_then(|text| super::condition::parser::parse(text).ok());
    let filtered = condition.iter().flat_map(Condition::paths).map(|path| path.text.clone());
    let lookups = config.associations.iter().map(|association| association.field.clone());
    let labels = config.associations.iter().filter_map(|association| match &association.label {
        Some(LabelConfig::ByField(label)) => Some(label.from.clone()),
        Some(LabelConfig::Name(_)) | None => None,
    });
    let adopted = config.target.adopt.as_ref().map(|adopt| adopt.from.clone());
    from.chain(emails)
        .chain(adopted)
        .chain(named)
        .chain(filtered)
        .chain(lookups.filter(|path| path.contains('.')))
        .chain(labels)
        .collect()
}

/// The objects that entries name for lookups to several: how their ids begin must be known.
fn named_objects<'a>(config: &'a PipelineConfig, objects: &'a Objects<'_>) -> impl Iterator<Item = String> + 'a {
    let named = config.associations.iter().filter_map(|association| Some((association, association.object.as_ref()?)));
    named.filter_map(|(association, object)| match objects.find(&association.field) {
        Lookup::Found(field) if field.reference_to.len() > 1 => {
            let object = field.reference_to.iter().find(|known| known.eq_ignore_ascii_case(object))?;
            (!objects.all.contains_key(&object.to_ascii_lowercase())).then(|| object.clone())
        }
        _ => None,
    })
}

/// Findings of a definition that need no described object: the grammar of its condition, its templates, its time zones.
pub fn check_offline(file: &Arc<str>, config: &PipelineConfig) -> Vec<Diagnostic> {
    let mut findings = rules::offline(file, config);
    allow::settle(file, config, &mut findings, false);
    findings
}

/// Whether a finding keeps a pipeline from running. A property that HubSpot requires and nothing fills is an error, and keeps
/// it from creating records only: each of those is rejected, and the records that stand go on.
pub fn refuses(finding: &Diagnostic) -> bool {
    finding.severity == Severity::Error && finding.code != "SL2033"
}

/// All findings of a definition, without the pipeline.
pub fn check(file: &Arc<str>, config: &PipelineConfig, schemas: &Schemas<'_>) -> Vec<Diagnostic> {
    judged(file, config, schemas).1
}

fn judged<'a>(
    file: &'a Arc<str>,
    config: &'a PipelineConfig,
    schemas: &'a Schemas<'a>,
) -> (Option<Parts<'a>>, Vec<Diagnostic>) {
    let mut findings = Vec::new();
    let parts = rules::apply(file, config, schemas, &mut findings);
    allow::settle(file, config, &mut findings, true);
    (parts, findings)
}

/// Compiles a definition; all findings at once, and a pipeline when none of them refuses it.
pub fn compile(file: &Arc<str>, config: &PipelineConfig, schemas: &Schemas<'_>) -> (Option<Pipeline>, Vec<Diagnostic>) {
    let (parts, findings) = judged(file, config, schemas);
    let pipeline = parts.map(|parts| assemble(config, schemas, parts));
    let refused = findings.iter().any(refuses);
    (pipeline.filter(|_| !refused), findings)
}

/// How a field's values may be taken over; none where something else decides what becomes of them.
fn taken(field: &Field) -> Option<Taken> {
    let FieldSource::Column(column) = field.source else { return None };
    let is_decided = field.values.is_some() || field.scale.is_some() || !field.rules.is_empty() || field.on_create_only;
    let clears = field.default.is_none() && !field.required && field.when_blank == WhenBlank::Clear;
    Taken::of(column, field.conversion, clears).filter(|_| !is_decided)
}

/// Puts a pipeline together.
fn assemble(config: &PipelineConfig, schemas: &Schemas<'_>, parts: Parts<'_>) -> Pipeline {
    let source = parts.source;
    let Columns { columns, sensitive, .. } = parts.columns;
    let fields = parts.fields.into_iter().map(|field| {
        let discreet = field.sensitive || field.places().iter().any(|place| sensitive.contains(place));
        Field { discreet, taken: taken(&field), ..field }
    });
    let fields: Vec<Field> = fields.collect();
    let columns: Arc<[Column]> = columns.into();
    let objects = Objects { source, all: schemas.sources };
    let followed = Parents::of(&objects, &columns, parts.condition.as_ref());
    let parents = match config.sync.parents {
        ParentChanges::Follow => followed,
        ParentChanges::Off => Parents { stamps: Vec::new(), ..followed },
    };
    let match_property: Arc<str> = config.target.match_property.as_str().into();
    let set = fields.iter().map(|field| Arc::clone(&field.property));
    let properties: Arc<[Arc<str>]> = std::iter::once(Arc::clone(&match_property)).chain(set).collect();
    let required: Vec<_> =
        schemas.target.required_properties.iter().filter(|name| ***name != *match_property).collect();
    let overlap = SignedDuration::try_from(config.sync.overlap.0).unwrap_or(SignedDuration::from_mins(10));
    let target = Target {
        connection: config.target.connection.as_str().into(),
        object_type_id: schemas.target.object_type_id.as_str().into(),
        label: schemas.target.label.as_str().into(),
        match_rules: schemas.target.properties.get(&*match_property).map(rules_of).unwrap_or_default(),
        title_property: schemas.target.primary_display_property.as_deref().map(Arc::from),
        required: required.into_iter().map(|name| name.as_str().into()).collect(),
        match_property,
    };
    let mapping_version = mapping_version(config, &schemas.target.object_type_id);
    let basis = basis(config, mapping_version, schemas, &columns);
    let mark_seed = fields.iter().all(Field::is_of_row_alone).then(|| mark_seed(&basis, &fields));
    Pipeline {
        name: PipelineName::new(config.name.as_str()),
        source_object: source.name.as_str().into(),
        columns: Arc::clone(&columns),
        parents,
        cursor_field: parts.cursor_field.map(Into::into),
        has_is_deleted: source.field("IsDeleted").is_some(),
        mode: config.target.mode,
        adoption: parts.adoption,
        fields,
        content: ContentForm::new(&target, &properties),
        properties,
        target,
        associations: parts.associations,
        is_junction: config.associate.is_some(),
        on_delete: config.on_delete,
        on_filter_exit: config.on_filter_exit,
        on_vanish: config.on_vanish,
        guard: config.guard.clone(),
        overlap,
        sync: config.sync.clone(),
        mark_seed,
        basis,
        mapping_version,
        condition: parts.condition,
        title_column: parts.title_column,
        sensitive_columns: sensitive,
    }
}

/// Hash over the parts of a definition that shape records or say which belong, as JSON with sorted keys: layout, comments,
/// masks, accepted warnings, the order of entries and the way an object is named do not matter.
pub fn mapping_version(config: &PipelineConfig, target: &str) -> MappingVersion {
    let condition = config.source.condition.as_deref();
    let condition = condition
        .map(|text| super::condition::parser::parse(text).map_or(text.to_owned(), |condition| condition.to_string()));
    let mut fields: Vec<_> = config
        .fields
        .iter()
        .map(|field| FieldConfig { sensitive: false, allow: Vec::new(), on_drift: None, ..field.clone() })
        .collect();
    fields.sort_by(|one, other| one.to.cmp(&other.to));
    let plain = |association: &AssociationConfig| AssociationConfig { allow: Vec::new(), ..association.clone() };
    let mut associations: Vec<_> = config.associations.iter().map(plain).collect();
    associations
        .sort_by(|one, other| (&one.field, &one.label, &one.object).cmp(&(&other.field, &other.label, &other.object)));
    let shape = serde_json::json!({
        "object": config.source.object.to_ascii_lowercase(),
        "where": condition,
        "connection": config.target.connection,
        "target": target,
        "match": config.target.match_property,
        "mode": config.target.mode,
        "fields": fields,
        "associations": associations,
    });
    let mut hasher = Hasher::default();
    hasher.bytes(shape.to_string().as_bytes());
    MappingVersion(hasher.finish())
}

/// What records are judged by, hashed (see [`Pipeline::basis`]). Names for people do not matter.
fn basis(config: &PipelineConfig, mapping: MappingVersion, schemas: &Schemas<'_>, columns: &[Column]) -> String {
    let target = schemas.target;
    let mut hasher = Hasher::default();
    hasher.bytes(&mapping.0);
    for column in columns {
        hasher.text(&format!("{} {:?}", column.path, column.kind));
    }
    target.required_properties.iter().for_each(|name| hasher.text(name));
    if let Some(adopt) = &config.target.adopt {
        hasher.text(&adopt.by);
        hasher.text(&adopt.from);
    }
    let used = config.fields.iter().map(|field| &field.to).chain([&config.target.match_property]);
    for name in used.collect::<BTreeSet<_>>() {
        let Some(property) = target.properties.get(name) else { continue };
        let options: Vec<&str> = property.options.iter().map(|option| option.value.as_str()).collect();
        let shape = serde_json::json!([
            name,
            property.kind,
            options,
            property.unique,
            property.read_only,
            property.external_options,
            property.rules
        ]);
        hasher.text(&shape.to_string());
    }
    hasher.hex::<8>()
}

/// What marks of rows begin with: all that decides what becomes of a row. Another program may map it in another way, and value maps are also
/// made of the labels that Salesforce shows, by which no record is judged.
fn mark_seed(basis: &str, fields: &[Field]) -> u64 {
    let mut hasher = Hasher::default();
    hasher.text(program::VERSION);
    hasher.text(program::BUILT_FROM.unwrap_or_default());
    hasher.text(basis);
    for field in fields {
        let values = field.values.iter().flatten();
        hasher.text(&field.property);
        values.for_each(|(value, mapped)| [value, mapped].into_iter().for_each(|text| hasher.text(text)));
    }
    u64::from_le_bytes(hasher.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::pipeline::compile::parents;
    use crate::pipeline::fixture::Fixture;

    #[test]
    fn parents_are_described_step_by_step() {
        let fields = json!([
            {"from": "Account__r.Name", "to": "text"},
            {"template": "{{ Project__r.Owner.Name }}", "to": "more"},
            {"from": "Owner.Name", "to": "number"},
        ]);
        let mut fixture = Fixture::new(fields);
        fixture.config["source"]["where"] = json!("Contact__r.Account.Name != null");
        let mut sources = std::mem::take(&mut fixture.sources);
        let config = fixture.parsed();
        let subscription = sources.remove("subscription__c").unwrap();
        let mut named = |add| {
            sources.extend(add);
            let found: Vec<String> = parents(&config, &sources).into_iter().collect();
            found
        };
        assert_eq!(named(None), ["Subscription__c"]);
        assert_eq!(named(Some(("subscription__c".to_owned(), subscription.clone()))), ["Contact", "Project__c"]);
        let project = crate::model::object::SourceObject { name: "Project__c".to_owned(), ..(*subscription).clone() };
        let contact = crate::model::object::SourceObject {
            name: "Contact".to_owned(),
            fields: Vec::new(),
            ..(*subscription).clone()
        };
        assert_eq!(named(Some(("project__c".to_owned(), project.into()))), ["Contact"]);
        assert!(named(Some(("contact".to_owned(), contact.into()))).is_empty());
    }
}
