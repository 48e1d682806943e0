//! `PipelineConfig` and the described objects -> `Pipeline`, with every finding along the way.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::SignedDuration;
use sha2::{Digest, Sha256};

use super::condition::Condition;
use super::field::{Lookup, Objects};
use super::rules;
use super::template::Template;
use super::transform::Field;
use super::values::rules::Rule;
use crate::config::pipeline::{DeleteAction, FieldConfig, Mode, PipelineConfig, SyncConfig};
use crate::config::scalar::GuardLimit;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::association::{AssociationKey, AssociationType};
use crate::model::ids::PipelineName;
use crate::model::link::{ContentHash, MappingVersion};
use crate::model::object::{PropertyKind, SourceObject, TargetObject, TargetProperty};
use crate::model::record::{Column, Desired, Record};

/// A pipeline that can run.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name.
    pub name: PipelineName,
    /// The source object, in its true spelling.
    pub source_object: Arc<str>,
    /// The fields to read.
    pub columns: Arc<[Column]>,
    /// Which records belong.
    pub condition: Option<Condition>,
    /// The field that tells when a record was last touched.
    pub cursor_field: Option<Arc<str>>,
    /// The object has a recycle bin.
    pub has_is_deleted: bool,
    /// Where records go to.
    pub target: Target,
    /// What to do with records that exist and those that do not.
    pub mode: Mode,
    /// How properties are filled.
    pub fields: Vec<Field>,
    /// The properties that may be set, the match property first.
    pub properties: Vec<Arc<str>>,
    /// Which lookups become links.
    pub associations: Vec<Association>,
    /// What a delete does.
    pub on_delete: DeleteAction,
    /// What leaving `where` does.
    pub on_filter_exit: DeleteAction,
    /// What being no longer visible does, without proof of a delete.
    pub on_vanish: DeleteAction,
    /// Limit of archives per run.
    pub guard: GuardLimit,
    /// How much before the watermark is read again.
    pub overlap: SignedDuration,
    /// When and how changes are carried over.
    pub sync: SyncConfig,
    /// Hash over the parts of the definition that shape records.
    pub mapping_version: MappingVersion,
    /// Column of the record's name for people.
    title_column: Option<usize>,
    /// Columns whose values are masked.
    sensitive_columns: BTreeSet<usize>,
}

/// Where records go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the connection.
    pub connection: Arc<str>,
    /// Object type id.
    pub object_type_id: Arc<str>,
    /// Name for people.
    pub label: Arc<str>,
    /// The unique property that holds the Salesforce id.
    pub match_property: Arc<str>,
    /// Rules of the portal that the match property's values must keep.
    pub match_rules: Vec<Rule>,
    /// Properties that a create must set, the match property left out.
    pub required: Vec<Arc<str>>,
}

/// A lookup that becomes a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Association {
    /// Its key in the state.
    pub key: AssociationKey,
    /// The lookup field.
    pub field: Arc<str>,
    /// Its column.
    pub column: usize,
    /// Where its records are found.
    pub target: AssociationTarget,
    /// The label; none for the plain link.
    pub label: Option<AssociationType>,
}

/// Where the records of a lookup are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssociationTarget {
    /// Among the links of a pipeline.
    Pipeline {
        /// The pipeline.
        name: PipelineName,
        /// Its object.
        object_type_id: Arc<str>,
    },
    /// By a property that holds the Salesforce id.
    Property {
        /// The object.
        object_type_id: Arc<str>,
        /// The property.
        property: Arc<str>,
        /// HubSpot keeps it unique.
        unique: bool,
    },
}

impl AssociationTarget {
    /// The object at the other end.
    pub fn object_type_id(&self) -> &Arc<str> {
        match self {
            Self::Pipeline { object_type_id, .. } | Self::Property { object_type_id, .. } => object_type_id,
        }
    }
}

/// What the systems say of everything that a pipeline names.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Described source objects, by lower-case API name.
    pub sources: &'a HashMap<String, SourceObject>,
    /// The target object.
    pub target: &'a TargetObject,
    /// For each association of the config: what was found of its target.
    pub associations: &'a [AssociationWorld],
}

/// What was found of the target of one association.
#[derive(Debug, Clone, PartialEq)]
pub struct AssociationWorld {
    /// The object at the other end.
    pub object_type_id: String,
    /// The Salesforce object that the named pipeline reads.
    pub source_object: Option<String>,
    /// The property named by `match`, where it exists.
    pub property: Option<TargetProperty>,
    /// The types of links from our object to that one.
    pub types: Vec<AssociationType>,
}

/// The parent objects that must be described next, so that every path can be followed. Ask again with them described.
pub fn parents(config: &PipelineConfig, sources: &HashMap<String, SourceObject>) -> BTreeSet<String> {
    let Some(own) = sources.get(&config.source.object.to_ascii_lowercase()) else {
        return BTreeSet::from([config.source.object.clone()]);
    };
    let objects = Objects { own, all: sources };
    let not_described = |path: &String| match objects.find(path) {
        Lookup::NotDescribed(object) => Some(object),
        Lookup::Found(_) | Lookup::Missing { .. } => None,
    };
    paths(config).iter().filter_map(not_described).collect()
}

/// The fields that a definition names, each with its object, as far as the described objects tell. A field that is not there
/// counts for the object that should have it.
pub fn used_fields(config: &PipelineConfig, sources: &HashMap<String, SourceObject>) -> BTreeSet<(String, String)> {
    let Some(own) = sources.get(&config.source.object.to_ascii_lowercase()) else { return BTreeSet::new() };
    let objects = Objects { own, all: sources };
    let lookups = config.associations.iter().map(|association| association.field.clone());
    let mut used = BTreeSet::new();
    for path in paths(config).into_iter().chain(lookups) {
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
fn paths(config: &PipelineConfig) -> Vec<String> {
    let from = config.fields.iter().filter_map(|field| field.from.clone());
    let templates = config.fields.iter().filter_map(|field| Template::compile(field.template.as_deref()?).ok());
    let condition = config.source.condition.as_deref().and_then(|text| super::condition::parse(text).ok());
    let filtered = condition.iter().flat_map(Condition::paths).map(|path| path.text.clone());
    from.chain(templates.flat_map(|template| template.paths)).chain(filtered).collect()
}

/// Findings of a definition that need no described object: the grammar of its condition, its templates, its time zones.
pub fn check_offline(file: &Arc<str>, config: &PipelineConfig) -> Vec<Diagnostic> {
    rules::offline(file, config)
}

/// Compiles a definition; all findings at once, and a pipeline when none of them is an error.
pub fn compile(file: &Arc<str>, config: &PipelineConfig, world: &World<'_>) -> (Option<Pipeline>, Vec<Diagnostic>) {
    let mut findings = Vec::new();
    let pipeline = rules::apply(file, config, world, &mut findings);
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    (pipeline.filter(|_| !failed), findings)
}

/// The columns of a read, each once.
#[derive(Debug, Default)]
pub struct Columns {
    columns: Vec<Column>,
    sensitive: BTreeSet<usize>,
}

impl Columns {
    /// The place of a path; added when it is new.
    pub fn place(&mut self, column: Column) -> usize {
        match self.columns.iter().position(|own| own.path == column.path) {
            Some(place) => place,
            None => {
                self.columns.push(column);
                self.columns.len() - 1
            }
        }
    }

    /// Marks a column as sensitive.
    pub fn hide(&mut self, place: usize) {
        self.sensitive.insert(place);
    }
}

/// The compiled parts from which a pipeline is put together.
pub struct Parts {
    /// The columns.
    pub columns: Columns,
    /// The condition.
    pub condition: Option<Condition>,
    /// The cursor field.
    pub cursor_field: Option<String>,
    /// The fields.
    pub fields: Vec<Field>,
    /// The associations.
    pub associations: Vec<Association>,
    /// Place of the title column.
    pub title_column: Option<usize>,
}

impl Pipeline {
    /// Puts a pipeline together.
    pub fn assemble(config: &PipelineConfig, world: &World<'_>, source: &SourceObject, parts: Parts) -> Self {
        let Columns { columns, sensitive } = parts.columns;
        let fields = parts.fields.into_iter().map(|field| {
            let discreet = field.sensitive || field.places().iter().any(|place| sensitive.contains(place));
            Field { discreet, ..field }
        });
        let fields: Vec<Field> = fields.collect();
        let match_property: Arc<str> = config.target.match_property.as_str().into();
        let set = fields.iter().map(|field| Arc::clone(&field.property));
        let properties = std::iter::once(Arc::clone(&match_property)).chain(set).collect();
        let required: Vec<_> =
            world.target.required_properties.iter().filter(|name| ***name != *match_property).collect();
        let overlap = SignedDuration::try_from(config.sync.overlap.0).unwrap_or(SignedDuration::from_mins(10));
        Self {
            name: PipelineName::new(config.name.as_str()),
            source_object: source.name.as_str().into(),
            columns: columns.into(),
            cursor_field: parts.cursor_field.map(Into::into),
            has_is_deleted: source.field("IsDeleted").is_some(),
            target: Target {
                connection: config.target.connection.as_str().into(),
                object_type_id: world.target.object_type_id.as_str().into(),
                label: world.target.label.as_str().into(),
                match_rules: world.target.properties.get(&*match_property).map(rules_of).unwrap_or_default(),
                required: required.into_iter().map(|name| name.as_str().into()).collect(),
                match_property,
            },
            mode: config.target.mode,
            fields,
            properties,
            associations: parts.associations,
            on_delete: config.on_delete,
            on_filter_exit: config.on_filter_exit,
            on_vanish: config.on_vanish,
            guard: config.guard.archive,
            overlap,
            sync: config.sync.clone(),
            mapping_version: mapping_version(config, &world.target.object_type_id),
            condition: parts.condition,
            title_column: parts.title_column,
            sensitive_columns: sensitive,
        }
    }

    /// The read of every record that matches, as it is now.
    pub fn all_records(&self) -> crate::ports::source::Extract {
        use crate::ports::source::DeletedRows;
        crate::ports::source::Extract {
            object: self.source_object.to_string(),
            columns: Arc::clone(&self.columns),
            condition: self.condition_text(),
            window: None,
            cursor_field: self.cursor_field.as_deref().map(str::to_owned),
            deleted: if self.has_is_deleted { DeletedRows::LeaveOut } else { DeletedRows::Exclude },
            ids: None,
            expected: None,
        }
    }

    /// The condition as SOQL.
    pub fn condition_text(&self) -> Option<String> {
        self.condition.as_ref().map(ToString::to_string)
    }

    /// Hash of what an update sends, and where to: properties and values, whatever their order. Create-only properties and
    /// lookups are not part of it.
    pub fn content_hash(&self, desired: &Desired) -> ContentHash {
        let mut sorted: Vec<_> = desired.properties.iter().collect();
        sorted.sort_unstable_by(|one, other| one.property.cmp(&other.property));
        let mut hasher = Sha256::new();
        for text in [&*self.target.connection, &*self.target.object_type_id] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        for set in sorted {
            for text in [&*set.property, &*set.value] {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        short(hasher)
    }

    /// Hash of a row under this mapping: a row that failed is not sent again while it stays the same.
    pub fn row_hash(&self, record: &Record) -> ContentHash {
        let mut hasher = Sha256::new();
        hasher.update(self.mapping_version.0);
        for value in &record.values {
            // A blank differs from an empty text by its length.
            hasher.update(value.as_ref().map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
            hasher.update(value.as_deref().unwrap_or_default().as_bytes());
        }
        short(hasher)
    }

    /// A record's name for people: its name field, else its id.
    pub fn title(&self, record: &Record) -> String {
        let named = self.title_column.filter(|column| !self.sensitive_columns.contains(column));
        let title = named.and_then(|column| record.values.get(column)?.as_deref());
        let title = title.filter(|title| !title.trim().is_empty());
        title.map_or_else(|| record.id.to_string(), str::to_owned)
    }

    /// The type of a property.
    pub fn kind_of(&self, property: &str) -> &PropertyKind {
        self.fields.iter().find(|field| *field.property == *property).map_or(&PropertyKind::String, |field| &field.kind)
    }

    /// A property's value as it may be shown.
    pub fn mask_property<'a>(&self, property: &str, value: &'a str) -> Cow<'a, str> {
        let sensitive = self.fields.iter().any(|field| field.discreet && *field.property == *property);
        mask(sensitive, value)
    }

    /// A column's value as it may be shown.
    pub fn mask_column<'a>(&self, column: usize, value: &'a str) -> Cow<'a, str> {
        mask(self.sensitive_columns.contains(&column), value)
    }

    /// Names of the columns that a field reads.
    pub fn columns_of(&self, field: &Field) -> Vec<&str> {
        field.places().into_iter().filter_map(|place| self.columns.get(place)).map(|column| &*column.path).collect()
    }
}

/// The portal's rules for a property, those whose meaning is certain.
pub fn rules_of(property: &TargetProperty) -> Vec<Rule> {
    property.rules.iter().filter_map(|rule| Rule::of(rule, &property.kind)).collect()
}

fn mask(sensitive: bool, value: &str) -> Cow<'_, str> {
    if sensitive && !value.is_empty() { Cow::Borrowed("***") } else { Cow::Borrowed(value) }
}

/// Hash over the parts of a definition that shape records or say which belong, as JSON with sorted keys: layout, comments,
/// masks, the order of entries and the way an object is named do not matter.
pub fn mapping_version(config: &PipelineConfig, target: &str) -> MappingVersion {
    let condition = config.source.condition.as_deref();
    let condition = condition.map(|text| super::condition::parse(text).map_or(text.to_owned(), |own| own.to_string()));
    let mut fields: Vec<_> =
        config.fields.iter().map(|field| FieldConfig { sensitive: false, ..field.clone() }).collect();
    fields.sort_by(|one, other| one.to.cmp(&other.to));
    let mut associations: Vec<_> = config.associations.iter().collect();
    associations.sort_by_key(|association| (&association.field, &association.label));
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
    let digest = Sha256::digest(shape.to_string().as_bytes());
    let mut version = [0; 8];
    version.copy_from_slice(&digest[..8]);
    MappingVersion(version)
}

fn short(hasher: Sha256) -> ContentHash {
    let digest = hasher.finalize();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    ContentHash(hash)
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
        let own = sources.remove("subscription__c").unwrap();
        let mut named = |add| {
            sources.extend(add);
            let found: Vec<String> = parents(&config, &sources).into_iter().collect();
            found
        };
        assert_eq!(named(None), ["Subscription__c"]);
        assert_eq!(named(Some(("subscription__c".to_owned(), own.clone()))), ["Contact", "Project__c"]);
        let project = crate::model::object::SourceObject { name: "Project__c".to_owned(), ..own.clone() };
        let contact = crate::model::object::SourceObject { name: "Contact".to_owned(), fields: Vec::new(), ..own };
        assert_eq!(named(Some(("project__c".to_owned(), project))), ["Contact"]);
        assert!(named(Some(("contact".to_owned(), contact))).is_empty());
    }
}
