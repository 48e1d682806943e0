//! A small world for the tests of this module: one Salesforce object with its parent, one HubSpot object.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::compile::{compile, parents, refuses};
use super::compiled::Pipeline;
use super::schemas::{AssociationSchema, Schemas};
use crate::config::pipeline::PipelineConfig;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::association::AssociationType;
use crate::model::failure::Reason;
use crate::model::object::{
    FieldKind, PicklistValue, PropertyKind, PropertyOption, SourceField, SourceObject, Sources, TargetObject,
    TargetProperty,
};
use crate::model::owners::Owners;
use crate::model::record::{Desired, Record};

/// When the runs of tests begin.
pub(crate) const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

/// The two systems, to be changed by a test.
pub(crate) struct Fixture {
    pub(crate) sources: Sources,
    pub(crate) target: TargetObject,
    pub(crate) config: Value,
    pub(crate) ends: Vec<AssociationSchema>,
}

impl Fixture {
    /// Field entries over a world in which nothing is wrong.
    pub(crate) fn new(fields: Value) -> Self {
        let config = json!({
            "version": 1,
            "name": "subscriptions",
            "source": {"object": "Subscription__c"},
            "target": {"object": "subscriptions", "match": "salesforce_id"},
            "fields": fields,
            "on_delete": "archive",
        });
        let sources = [subscription(), account()].map(|object| (object.name.to_ascii_lowercase(), Arc::new(object)));
        Self { sources: sources.into(), target: target(), config, ends: Vec::new() }
    }

    /// Adds an association to companies.
    pub(crate) fn associated(mut self, association: Value) -> Self {
        let types = [("", 1), ("Billing account", 2)].map(|(label, type_id)| AssociationType {
            category: "USER_DEFINED".into(),
            type_id,
            label: (!label.is_empty()).then(|| label.to_owned()),
        });
        let property = property("salesforceaccountid", PropertyKind::String, &[]);
        self.ends.push(AssociationSchema {
            object_type_id: "0-2".to_owned(),
            source_object: association.get("pipeline").map(|_| "Project__c".to_owned()),
            property: Some(property),
            types: types.into(),
        });
        match &mut self.config["associations"] {
            Value::Array(list) => list.push(association),
            none => *none = json!([association]),
        }
        self
    }

    pub(crate) fn source(&mut self) -> &mut SourceObject {
        Arc::make_mut(self.sources.get_mut("subscription__c").unwrap())
    }

    pub(crate) fn field(&mut self, name: &str) -> &mut SourceField {
        self.source().fields.iter_mut().find(|field| field.name == name).unwrap()
    }

    pub(crate) fn parsed(&self) -> PipelineConfig {
        serde_json::from_value(self.config.clone()).unwrap()
    }

    pub(crate) fn compile(&self) -> (Option<Pipeline>, Vec<Diagnostic>) {
        let config = self.parsed();
        assert!(parents(&config, &self.sources).is_empty(), "the fixture describes what is named");
        let schemas = Schemas { sources: &self.sources, target: &self.target, associations: &self.ends };
        compile(&Arc::from("pipelines/subscriptions.yaml"), &config, &schemas)
    }

    /// The pipeline; no finding may be an error.
    #[track_caller]
    pub(crate) fn pipeline(&self) -> Pipeline {
        let (pipeline, findings) = self.compile();
        pipeline.unwrap_or_else(|| panic!("{findings:#?}"))
    }

    /// Findings as `CODE place`, warnings with a `?` behind the code.
    pub(crate) fn findings(&self) -> Vec<String> {
        let (pipeline, findings) = self.compile();
        let shown: Vec<String> = findings.iter().map(shown).collect();
        assert_eq!(pipeline.is_some(), !findings.iter().any(refuses), "{shown:?}");
        shown
    }

    /// The outcome for a row of these cells; all others are blank.
    pub(crate) fn transform(&self, cells: &[(&str, &str)]) -> Result<Desired, Reason> {
        let pipeline = self.pipeline();
        pipeline.transform(&record(&pipeline, cells), NOW, &Owners::default())
    }
}

/// `CODE place` of a finding.
pub(crate) fn shown(finding: &Diagnostic) -> String {
    let mark = if finding.severity == crate::diagnostic::Severity::Warning { "?" } else { "" };
    let place = match &finding.place {
        Place::Within(pointer, span) => format!("{pointer}@{}..{}", span.start, span.end),
        Place::Value(pointer) | Place::Key(pointer) => pointer.clone(),
        Place::File | Place::Bytes(_) => "file".to_owned(),
    };
    format!("{}{mark} {place}", finding.code)
}

/// A row of these cells; all others are blank.
pub(crate) fn record(pipeline: &Pipeline, cells: &[(&str, &str)]) -> Record {
    for (path, _) in cells {
        assert!(pipeline.columns.iter().any(|column| *column.path == **path), "{path} is not read");
    }
    let cell = |path: &str| cells.iter().find(|(name, _)| *name == path).map(|(_, value)| *value);
    Record {
        id: "a015g00000AbCdE".parse().unwrap(),
        modified: None,
        deleted: false,
        values: pipeline.columns.iter().map(|column| cell(&column.path)).collect(),
    }
}

/// The value that a transformed row sets, whether on create only or always.
pub(crate) fn value<'a>(desired: &'a Desired, property: &str) -> Option<&'a str> {
    desired.properties.get(property).or_else(|| desired.create_only.get(property))
}

fn subscription() -> SourceObject {
    use FieldKind as F;
    let plain = [
        ("Id", F::Id),
        ("Name", F::String),
        ("Amount__c", F::Currency),
        ("Seats__c", F::Int),
        ("Start__c", F::Date),
        ("Renews__c", F::DateTime),
        ("Active__c", F::Boolean),
        ("Secret__c", F::String),
        ("Photo__c", F::Base64),
        ("Bill__c", F::Address),
        ("Place__c", F::Location),
        ("SystemModstamp", F::DateTime),
        ("LastModifiedDate", F::DateTime),
        ("CreatedDate", F::DateTime),
        ("IsDeleted", F::Boolean),
    ];
    let mut fields: Vec<SourceField> = plain.map(|(name, kind)| field(name, kind)).into();
    let parts = ["Street", "City", "PostalCode", "StateCode", "CountryCode"].map(|part| format!("Bill__{part}__s"));
    for (names, compound, kind) in [
        (parts.to_vec(), "Bill__c", F::String),
        (vec!["Place__Latitude__s".to_owned(), "Place__Longitude__s".to_owned()], "Place__c", F::Double),
    ] {
        let part =
            |name: &String| SourceField { compound_field_name: Some(compound.to_owned()), ..field(name, kind.clone()) };
        fields.extend(names.iter().map(part));
    }
    fields.push(SourceField { calculated: true, ..field("Formula__c", F::Double) });
    for (name, kind) in [("Status__c", F::Picklist), ("Channels__c", F::MultiPicklist)] {
        let values = [("Active", true), ("On Hold", true), ("Old", false)];
        let value =
            |(value, active): (&str, bool)| PicklistValue { value: value.to_owned(), label: value.to_owned(), active };
        fields.push(SourceField { picklist: values.map(value).into(), ..field(name, kind) });
    }
    for (name, relationship, objects) in [
        ("Account__c", "Account__r", vec!["Account"]),
        ("Project__c", "Project__r", vec!["Project__c"]),
        ("Contact__c", "Contact__r", vec!["Contact"]),
        ("Lead__c", "Lead__r", vec!["Lead"]),
        ("OwnerId", "Owner", vec!["Group", "User"]),
    ] {
        fields.push(SourceField {
            reference_to: objects.into_iter().map(str::to_owned).collect(),
            relationship_name: Some(relationship.to_owned()),
            ..field(name, F::Reference)
        });
    }
    object("Subscription__c", fields)
}

fn account() -> SourceObject {
    use FieldKind as F;
    let part =
        |name: &str| SourceField { compound_field_name: Some("BillingAddress".to_owned()), ..field(name, F::String) };
    let fields = vec![
        field("Id", F::Id),
        field("Name", F::String),
        field("SystemModstamp", F::DateTime),
        field("BillingAddress", F::Address),
        part("BillingStreet"),
        part("BillingCity"),
        part("BillingState"),
        part("BillingStateCode"),
    ];
    object("Account", fields)
}

fn object(name: &str, fields: Vec<SourceField>) -> SourceObject {
    SourceObject {
        name: name.to_owned(),
        label: name.to_owned(),
        label_plural: None,
        custom: name.ends_with("__c"),
        queryable: true,
        replicateable: true,
        undeletable: true,
        retrieveable: true,
        key_prefix: None,
        fields,
    }
}

fn field(name: &str, kind: FieldKind) -> SourceField {
    SourceField {
        name: name.to_owned(),
        label: name.to_owned(),
        filterable: !matches!(kind, FieldKind::Base64),
        sortable: !matches!(kind, FieldKind::Base64 | FieldKind::MultiPicklist),
        kind,
        length: 0,
        precision: 0,
        scale: 0,
        nillable: true,
        calculated: false,
        name_field: name == "Name",
        restricted_picklist: false,
        picklist: Vec::new(),
        reference_to: Vec::new(),
        relationship_name: None,
        compound_field_name: None,
        masked: false,
        html: false,
    }
}

fn target() -> TargetObject {
    use PropertyKind as P;
    let options = ["active", "on_hold", "old", "Active", "On Hold", "Old"];
    let mut properties = vec![
        property("text", P::String, &[]),
        property("more", P::String, &[]),
        property("number", P::Number, &[]),
        property("flag", P::Bool, &[]),
        property("day", P::Date, &[]),
        property("moment", P::DateTime, &[]),
        property("status", P::Enumeration, &options),
        property("short", P::Enumeration, &["Active"]),
        property("yes_no", P::Enumeration, &["true", "false"]),
        property("channels", P::MultiCheckbox, &options),
        property("odd", P::Other("json".to_owned()), &[]),
    ];
    properties.push(TargetProperty { read_only: true, ..property("score", P::Number, &[]) });
    properties.push(TargetProperty { external_options: true, ..property("owner", P::Enumeration, &[]) });
    properties.push(TargetProperty { unique: true, ..property("salesforce_id", P::String, &[]) });
    TargetObject {
        object_type_id: "2-77".to_owned(),
        name: "subscriptions".to_owned(),
        fully_qualified_name: "p1_subscriptions".to_owned(),
        label: "Subscriptions".to_owned(),
        custom: true,
        required_properties: vec!["salesforce_id".to_owned()],
        primary_display_property: Some("text".to_owned()),
        properties: properties
            .into_iter()
            .map(|property| (property.name.clone(), property))
            .collect::<BTreeMap<_, _>>(),
    }
}

pub(crate) fn property(name: &str, kind: PropertyKind, options: &[&str]) -> TargetProperty {
    let option = |value: &&str| PropertyOption { value: (*value).to_owned(), label: value.to_uppercase() };
    TargetProperty {
        name: name.to_owned(),
        label: name.to_owned(),
        kind,
        options: options.iter().map(option).collect(),
        external_options: false,
        unique: false,
        read_only: false,
        percentage: false,
        html: false,
        owner: false,
        rules: Vec::new(),
    }
}
