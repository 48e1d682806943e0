//! Rows in, properties or a rejection out: the cases of `tests/cases/transform/*.yaml`. A new case is data, not code.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use syncline::config::pipeline::PipelineConfig;
use syncline::diagnostic::Severity;
use syncline::model::object::{SourceField, SourceObject, TargetObject, TargetProperty};
use syncline::model::owners::Owners;
use syncline::model::record::Record;
use syncline::pipeline::compile::compile;
use syncline::pipeline::compiled::Pipeline;
use syncline::pipeline::schemas::Schemas;

/// One file: the two objects, and rows with what becomes of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Salesforce fields: `Name: string`, or `Status__c: { picklist: [Active] }`.
    source: BTreeMap<String, Value>,
    /// HubSpot properties: `amount: number`, `status: { enumeration: [active] }`, or `code: { string: { MAX_LENGTH: "9" } }`
    /// with the portal's rules.
    target: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Field entries as in a pipeline file.
    fields: Value,
    /// Cells as Salesforce writes them; all others are blank.
    #[serde(default)]
    row: BTreeMap<String, String>,
    /// Several rows that end alike, instead of `row`.
    #[serde(default)]
    rows: Vec<BTreeMap<String, String>>,
    /// Properties that are set; an empty text clears. One that is not listed must not be set.
    sets: Option<BTreeMap<String, String>>,
    /// Code of the record's rejection.
    rejects: Option<String>,
    /// Codes of the definition's errors.
    refused: Option<Vec<String>>,
}

#[test]
fn rows_become_what_the_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/transform");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let file: File = serde_yaml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in &file.cases {
            cases += 1;
            wrong.extend(check(&file, case).into_iter().map(|found| format!("{name}, {}: {found}", case.name)));
        }
    }
    assert!(cases > 50, "only {cases} cases were found");
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn check(file: &File, case: &Case) -> Vec<String> {
    let pipeline = match (compiled(file, case), &case.refused) {
        (Ok(pipeline), None) => pipeline,
        (Ok(_), Some(codes)) => return vec![format!("accepted, not refused with {codes:?}")],
        (Err(codes), Some(expected)) if codes == *expected => return Vec::new(),
        (Err(codes), _) => return vec![format!("refused with {codes:?}")],
    };
    let rows = if case.rows.is_empty() { std::slice::from_ref(&case.row) } else { &case.rows };
    rows.iter().filter_map(|row| outcome(&pipeline, case, row)).collect()
}

fn outcome(pipeline: &Pipeline, case: &Case, row: &BTreeMap<String, String>) -> Option<String> {
    let cell = |path: &str| row.get(path);
    let record = Record {
        id: "a015g00000AbCdE".parse().unwrap(),
        modified: None,
        deleted: false,
        values: pipeline.columns.iter().map(|column| cell(&column.path)).collect(),
    };
    let got = pipeline.transform(&record, now(), &Owners::default());
    let set = got.as_ref().map(|desired| {
        let set = desired.on_create().filter(|(name, _)| &***name != "salesforce_id");
        set.map(|(name, value)| (name.to_string(), value.to_owned())).collect::<BTreeMap<_, _>>()
    });
    match (set, &case.sets, &case.rejects) {
        (Ok(set), Some(expected), None) if set == *expected => None,
        (Err(reason), None, Some(code)) if reason.code == *code => None,
        (Ok(set), _, _) => Some(format!("{row:?} sets {set:?}")),
        (Err(reason), _, _) => Some(format!("{row:?} is rejected: {} {}", reason.code, reason.message)),
    }
}

/// When the run of a case begins.
fn now() -> jiff::Timestamp {
    "2026-10-01T09:00:00Z".parse().unwrap()
}

/// The case's pipeline, or the codes of what is wrong with it.
fn compiled(file: &File, case: &Case) -> Result<Pipeline, Vec<String>> {
    let config: PipelineConfig = serde_json::from_value(json!({
        "version": 1, "name": "cases", "on_delete": "keep",
        "source": {"object": "Case__c"},
        "target": {"object": "cases", "match": "salesforce_id"},
        "fields": case.fields,
    }))
    .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let system = [("Id", json!("id")), ("SystemModstamp", json!("datetime")), ("IsDeleted", json!("boolean"))];
    let system = system.iter().map(|(name, kind)| field(name, kind));
    let source = SourceObject {
        name: "Case__c".to_owned(),
        label: "Case".to_owned(),
        label_plural: None,
        custom: true,
        queryable: true,
        replicateable: true,
        undeletable: true,
        retrieveable: true,
        key_prefix: Some("a01".to_owned()),
        fields: system.chain(file.source.iter().map(|(name, kind)| field(name, kind))).collect(),
    };
    let key = TargetProperty { unique: true, ..property("salesforce_id", &json!("string")) };
    let properties = file.target.iter().map(|(name, kind)| property(name, kind)).chain([key]);
    let target = TargetObject {
        object_type_id: "2-1".to_owned(),
        name: "cases".to_owned(),
        fully_qualified_name: "p1_cases".to_owned(),
        label: "Cases".to_owned(),
        custom: true,
        required_properties: Vec::new(),
        primary_display_property: None,
        properties: properties.map(|property| (property.name.clone(), property)).collect(),
    };
    let sources = HashMap::from([("case__c".to_owned(), Arc::new(source))]);
    let (pipeline, findings) = compile(
        &Arc::from("pipelines/cases.yaml"),
        &config,
        &Schemas { sources: &sources, target: &target, associations: &[] },
    );
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    pipeline.ok_or_else(|| errors.map(|finding| finding.code.to_owned()).collect())
}

/// A type by name, or a type with its list.
fn kind(written: &Value) -> (String, Vec<String>) {
    match written {
        Value::String(name) => (name.clone(), Vec::new()),
        Value::Object(one) => {
            let (name, list) = one.iter().next().unwrap();
            (name.clone(), serde_json::from_value(list.clone()).unwrap())
        }
        other => panic!("{other} is no type"),
    }
}

fn field(name: &str, written: &Value) -> SourceField {
    let (kind, list) = kind(written);
    let parts =
        ["Street__s", "City__s", "PostalCode__s", "StateCode__s", "CountryCode__s", "Latitude__s", "Longitude__s"];
    let compound = parts.iter().find_map(|part| name.strip_suffix(part)?.strip_suffix("__"));
    serde_json::from_value(json!({
        "name": name, "label": name, "kind": kind, "length": 255, "precision": 18, "scale": 2, "nillable": true,
        "calculated": false, "filterable": true, "sortable": true, "name_field": name == "Name",
        "restricted_picklist": false,
        "picklist": list.iter().map(|value| json!({"value": value, "label": value, "active": true})).collect::<Vec<_>>(),
        "reference_to": if kind == "reference" { vec!["Account"] } else { vec![] },
        "relationship_name": (kind == "reference").then(|| name.replace("__c", "__r")),
        "compound_field_name": compound.map(|base| format!("{base}__c")),
    }))
    .unwrap()
}

fn property(name: &str, written: &Value) -> TargetProperty {
    let ruled = written.as_object().and_then(|one| one.iter().next()).filter(|(_, rules)| rules.is_object());
    if let Some((kind, rules)) = ruled {
        let rules = rules.as_object().unwrap().iter();
        let rules = rules.map(|(kind, argument)| json!({"kind": kind, "arguments": [argument]})).collect::<Vec<_>>();
        let rules = serde_json::from_value(json!(rules)).unwrap();
        return TargetProperty { rules, ..property(name, &json!(kind)) };
    }
    let (kind, list) = kind(written);
    let options: Vec<Value> = list.iter().map(|value| json!({"value": value, "label": value})).collect();
    serde_json::from_value(json!({
        "name": name, "label": name, "kind": kind, "options": options, "external_options": false, "unique": false,
        "read_only": false,
    }))
    .unwrap()
}
