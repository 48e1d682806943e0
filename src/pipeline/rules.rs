//! The meaning rules: a definition against what the two systems say of their objects. Every finding names its place.

pub mod adopt;
pub mod allow;
pub mod associations;
pub mod context;
pub mod fields;
mod options;
pub mod owners;
pub mod source;
pub mod target;
mod templates;

use std::sync::Arc;

use self::context::{Columns, RuleContext};
use super::adoption::Adoption;
use super::compiled::{Association, Field};
use super::condition::tree::Condition;
use super::field::Objects;
use super::schemas::Schemas;
use crate::config::pipeline::PipelineConfig;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{FieldKind, SourceObject};
use crate::model::record::Column;

/// The compiled parts from which a pipeline is put together.
pub struct Parts<'a> {
    /// The described source object.
    pub source: &'a SourceObject,
    /// The columns.
    pub columns: Columns,
    /// The condition.
    pub condition: Option<Condition>,
    /// The cursor field.
    pub cursor_field: Option<String>,
    /// The fields.
    pub fields: Vec<Field>,
    /// How records that stand in HubSpot are recognised.
    pub adoption: Option<Adoption>,
    /// The associations.
    pub associations: Vec<Association>,
    /// Place of the title column.
    pub title_column: Option<usize>,
}

/// Applies all rules; the pipeline is complete unless a finding is an error.
pub fn apply<'a>(
    file: &Arc<str>,
    config: &PipelineConfig,
    schemas: &Schemas<'a>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Parts<'a>> {
    // Every further rule would find fault with the same missing object.
    let Some(source) = schemas.sources.get(&config.source.object.to_ascii_lowercase()) else {
        let place = Place::Value("/source/object".to_owned());
        let message = format!("`{}` was not described", config.source.object);
        findings.push(Diagnostic::error("SL3002", file, place, message));
        return None;
    };
    let cx = RuleContext { file, config, schemas, objects: Objects { source, all: schemas.sources } };
    let mut columns = Columns::default();
    source::object(&cx, findings);
    let cursor_field = source::cursor_field(&cx, findings);
    let condition = source::condition(&cx, findings);
    // Rows that become associations are no records in HubSpot: nothing recognises or requires them.
    if config.associate.is_none() {
        target::match_property(&cx, findings);
    }
    let fields = fields::compile(&cx, &mut columns, findings);
    if config.associate.is_none() {
        target::required(&cx, findings);
    }
    let adoption = adopt::compile(&cx, &mut columns, findings);
    let associations = associations::compile(&cx, &mut columns, findings);
    let title = source.fields.iter().find(|field| field.name_field);
    // Read even where no property shows it: failures and plans name records by it.
    let title_column =
        title.map(|field| columns.place(Column { path: field.name.as_str().into(), kind: field.kind.clone() }));
    Some(Parts { source, columns, condition, cursor_field, fields, adoption, associations, title_column })
}

/// The rules that need no described object.
pub fn offline(file: &Arc<str>, config: &PipelineConfig) -> Vec<Diagnostic> {
    // What needs no catalog is said without one, so that an editor finds it while typing.
    let mut findings: Vec<Diagnostic> = source::condition_syntax(file, config).into_iter().collect();
    fields::twice(file, config, &mut findings);
    for (index, field) in config.fields.iter().enumerate() {
        if let Some(values) = &field.values {
            // The field's type is unknown here; as text, keys differ by letter case, so nothing is called a duplicate
            // that is none.
            options::same_keys(file, &format!("/fields/{index}/values"), values, &FieldKind::String, &mut findings);
        }
        if let Some(text) = &field.template {
            templates::offline(file, &format!("/fields/{index}/template"), text, &mut findings);
        }
        fields::scale(file, index, field, &mut findings);
        if let Some(name) = &field.time_zone {
            fields::time_zone(file, &format!("/fields/{index}/time_zone"), name, &mut findings);
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::offline;
    use crate::pipeline::fixture::{Fixture, property, shown};

    #[track_caller]
    fn check(fixture: &Fixture, expected: &[&str]) {
        assert_eq!(fixture.findings(), expected, "{:#?}", fixture.compile().1);
    }

    #[track_caller]
    fn check_field(field: Value, expected: &[&str]) {
        check(&Fixture::new(json!([field])), expected);
    }

    #[test]
    fn sound_entries_pass() {
        for field in [
            json!({"from": "name", "to": "text"}),
            json!({"from": "Id", "to": "text"}),
            json!({"from": "Id", "to": "salesforce_id"}),
            json!({"from": "Account__c", "to": "text", "as": "id"}),
            json!({"from": "Status__c", "to": "status"}),
            json!({"from": "Status__c", "to": "owner"}),
            json!({"from": "Status__c", "to": "flag", "values": {"Active": "true", "On Hold": "false", "Old": "false"}}),
            json!({"from": "Active__c", "to": "yes_no"}),
            json!({"from": "Channels__c", "to": "channels"}),
            json!({"from": "Bill__c", "to": "text"}),
            json!({"from": "Bill__City__s", "to": "text"}),
            json!({"from": "Renews__c", "to": "day", "time_zone": "Europe/Berlin", "default": "2026-10-01"}),
            json!({"template": "{{ Name | upper }}", "to": "text"}),
            json!({"value": "5", "to": "number"}),
        ] {
            check_field(field, &[]);
        }
    }

    #[test]
    fn properties() {
        check_field(json!({"from": "Name", "to": "tex"}), &["SL2030 /fields/0/to"]);
        check_field(json!({"from": "Amount__c", "to": "score"}), &["SL2031 /fields/0/to"]);
        check_field(json!({"from": "Name", "to": "salesforce_id"}), &["SL2032 /fields/0/to"]);
        let twice = json!([{"from": "Name", "to": "text"}, {"from": "Secret__c", "to": "text"}]);
        check(&Fixture::new(twice), &["SL2032 /fields/1/to"]);
    }

    #[test]
    fn the_target_object() {
        let named = || Fixture::new(json!([{"from": "Name", "to": "text"}]));
        let mut required = named();
        required.target.required_properties.push("more".to_owned());
        check(&required, &["SL2033 /fields"]);
        required.config["target"]["mode"] = json!("update_only");
        check(&required, &[]);
        let mut missing = named();
        missing.config["target"]["match"] = json!("salesforce_di");
        check(&missing, &["SL2034 /target/match"]);
        assert_eq!(missing.compile().1[0].help.as_deref(), Some("did you mean `salesforce_id`?"));
        let mut loose = named();
        loose.config["target"]["match"] = json!("more");
        check(&loose, &["SL2034 /target/match"]);
    }

    #[test]
    fn fields_of_the_source() {
        check_field(json!({"from": "Naem", "to": "text"}), &["SL3001 /fields/0/from"]);
        check_field(json!({"from": "Account__c.Name", "to": "text"}), &["SL3001 /fields/0/from"]);
        check_field(json!({"from": "Owner.Shoe", "to": "text"}), &["SL3001 /fields/0/from"]);
        check_field(json!({"from": "Owner.Name", "to": "text"}), &["SL2050? /fields/0/from"]);
        check_field(json!({"from": "Account__r.Name", "to": "text"}), &[]);
        check_field(json!({"from": "Formula__c", "to": "number"}), &["SL2050? /fields/0/from"]);
        check_field(json!({"from": "a.b.c.d.e.f.g", "to": "text"}), &["SL3001 /fields/0/from"]);
        check_field(json!({"from": "Account__c", "to": "text"}), &["SL2035 /fields/0/from"]);
        let mut hidden = Fixture::new(json!([{"from": "Bill__c", "to": "text"}]));
        hidden.source().fields.retain(|field| !field.name.starts_with("Bill__") || field.name == "Bill__c");
        check(&hidden, &["SL3001 /fields/0/from"]);
    }

    #[test]
    fn types_convert() {
        for (from, to) in [
            ("Status__c", "number"),
            ("Channels__c", "status"),
            ("Active__c", "day"),
            ("Amount__c", "flag"),
            ("Start__c", "number"),
            ("Photo__c", "text"),
            ("Bill__c", "number"),
            ("Name", "odd"),
        ] {
            check_field(json!({"from": from, "to": to}), &["SL2036 /fields/0/to"]);
        }
        check_field(json!({"from": "Photo__c", "to": "text", "values": {"a": "b"}}), &["SL2036 /fields/0/to"]);
    }

    #[test]
    fn picklists_and_options() {
        let status = |values: Value| json!({"from": "Status__c", "to": "status", "values": values});
        check_field(status(json!({"Active": "active", "Old": "old"})), &["SL2037? /fields/0/values"]);
        check_field(status(json!({"Active": "active", "On Hold": "on_hold"})), &["SL2037? /fields/0/values"]);
        check_field(json!({"from": "Status__c", "to": "short"}), &["SL2037? /fields/0/to", "SL2037? /fields/0/to"]);
        check_field(json!({"from": "Status__c", "to": "short", "otherwise": "clear"}), &[]);
        check_field(json!({"from": "Active__c", "to": "short"}), &["SL2037? /fields/0/to", "SL2037? /fields/0/to"]);
        let flag = &["SL2037? /fields/0/to", "SL2037? /fields/0/to", "SL2037? /fields/0/to"];
        check_field(json!({"from": "Status__c", "to": "flag"}), flag);
        let misspelled = json!({"Active": "activ", "On Hold": "on_hold", "Old": "old"});
        check_field(status(misspelled), &["SL2038? /fields/0/values/Active"]);
        check_field(json!({"value": "many", "to": "number"}), &["SL2038 /fields/0/value"]);
        check_field(json!({"value": "gone", "to": "status"}), &["SL2038 /fields/0/value"]);
        check_field(json!({"from": "Start__c", "to": "day", "default": "soon"}), &["SL2038 /fields/0/default"]);
        let other = json!({"from": "Name", "to": "status", "otherwise": {"value": "gone"}});
        check_field(other, &["SL2038? /fields/0/otherwise"]);
    }

    #[test]
    fn a_fallback_that_is_written_out_is_judged_like_the_default() {
        let status = |otherwise: Value| json!({"from": "Status__c", "to": "status", "values": {"Active": "active"}, "otherwise": otherwise});
        let warned = &["SL2037? /fields/0/values", "SL2037? /fields/0/values"];
        check_field(json!({"from": "Status__c", "to": "status", "values": {"Active": "active"}}), warned);
        check_field(status(json!("reject")), warned);
        // What passes must be an option as well.
        let passing = json!({"from": "Status__c", "to": "short", "values": {"Old": "Active"}, "otherwise": "pass"});
        check_field(passing, &["SL2037? /fields/0/values"]);
        check_field(json!({"from": "Status__c", "to": "text", "values": {"Active": "a"}, "otherwise": "pass"}), &[]);
        check_field(status(json!({"value": "old"})), &[]);
        check_field(status(json!("clear")), &[]);
    }

    #[test]
    fn values_are_found_without_blanks_at_their_ends() {
        let mut fixture = Fixture::new(
            json!([{"from": "Status__c", "to": "status", "values": {" Active": "active", "On Hold": "on_hold", "Old": "old "}}]),
        );
        fixture.field("Status__c").picklist[0].value = "Active\u{a0}".to_owned();
        check(&fixture, &[]);
        let desired = fixture.transform(&[("Status__c", "Active ")]).unwrap();
        assert_eq!(desired.properties.get("status"), Some("active"));
        let twice = |from: &str, values: Value| {
            Fixture::new(json!([{"from": from, "to": "text", "values": values, "otherwise": "pass"}])).findings()
        };
        assert_eq!(twice("Status__c", json!({"A": "a", "A ": "b"})), ["SL2062 /fields/0/values/A "]);
        assert_eq!(twice("Seats__c", json!({"1.0": "a", "1": "b"})), ["SL2062 /fields/0/values/1.0"]);
        assert_eq!(twice("Name", json!({"1.0": "a", "1": "b"})), [""; 0]);
        assert_eq!(twice("Name", json!({"a": "a", "A": "b"})), [""; 0]);
        assert_eq!(twice("Name", json!({"  ": "a"})), ["SL2062 /fields/0/values/  "]);
    }

    #[test]
    fn templates() {
        let template = |text: &str| json!({"template": text, "to": "text"});
        check_field(template("{{ Name "), &["SL2039 /fields/0/template@0..2"]);
        check_field(template("{{ Name | uper }}"), &["SL2039 /fields/0/template@10..14"]);
        check_field(template("Naem: {{ Naem }}"), &["SL2040 /fields/0/template@9..13"]);
        check_field(template("{{ Account__r.Naem }}"), &["SL2040 /fields/0/template@3..18"]);
        check_field(template("{{ Bill__c }}"), &["SL2040 /fields/0/template@3..10"]);
        check_field(template("{{ Account__r.Name }}"), &[]);
        check_field(template("{{ Owner.Name }}"), &["SL2050? /fields/0/template@3..13"]);
        check_field(template("{% include 'x' %}"), &["SL2039 /fields/0/template@3..10"]);
    }

    #[test]
    fn masked_and_rich_texts_are_warned_about_with_the_filter_to_use() {
        let help = |fixture: &Fixture| fixture.compile().1[0].help.clone().unwrap();
        let mut fixture = Fixture::new(json!([{"from": "Name", "to": "text"}]));
        fixture.field("Name").html = true;
        check(&fixture, &["SL2073? /fields/0/from"]);
        assert!(help(&fixture).contains("{{ Name | striptags | unescape }}"));
        fixture.target.properties.get_mut("text").unwrap().html = true;
        check(&fixture, &[]);
        fixture.field("Name").masked = true;
        check(&fixture, &["SL2073? /fields/0/from"]);
        assert!(help(&fixture).contains("{{ Name | regex_replace('[*X]', '') }}"));
        // What the advice says passes.
        let advised =
            json!([{"template": "{{ Name | regex_replace('[*X]', '') | striptags | unescape }}", "to": "text"}]);
        check(&Fixture::new(advised), &[]);
    }

    #[test]
    fn a_label_is_of_a_picklist_and_for_text() {
        let label = |from: &str, to: &str| json!({"from": from, "to": to, "label": true});
        check_field(label("Status__c", "text"), &[]);
        check_field(label("Channels__c", "text"), &[]);
        for (from, to) in
            [("Name", "text"), ("Status__c", "status"), ("Active__c", "text"), ("Channels__c", "channels")]
        {
            check_field(label(from, to), &["SL2072 /fields/0/label"]);
        }
        let both = json!({"from": "Status__c", "to": "text", "label": true, "values": {"Active": "a"}});
        check_field(both, &["SL2072 /fields/0/label"]);
        let mut fixture =
            Fixture::new(json!([{"from": "Status__c", "to": "text", "label": true, "default": "On Hold"}]));
        fixture.field("Status__c").picklist[0].label = "Aktiv".to_owned();
        let value = fixture.field("Status__c").picklist[0].value.clone();
        let text = |cells: &[(&str, &str)]| {
            let desired = fixture.transform(cells).unwrap();
            desired.properties.get("text").unwrap().to_owned()
        };
        assert_eq!(text(&[("Status__c", &value)]), "Aktiv");
        assert_eq!(text(&[("Status__c", "Gone from the list")]), "Gone from the list");
        assert_eq!(text(&[]), "On Hold");
    }

    #[test]
    fn listed_options_of_an_external_list_are_checked() {
        let mut fixture = Fixture::new(json!([{"value": "gone", "to": "owner"}]));
        check(&fixture, &[]);
        let options = crate::model::object::PropertyOption { value: "there".to_owned(), label: "There".to_owned() };
        fixture.target.properties.get_mut("owner").unwrap().options.push(options);
        check(&fixture, &["SL2038 /fields/0/value"]);
    }

    #[test]
    fn a_scale_is_for_numbers() {
        let scaled = |from: &str, to: &str, scale: Value| json!({"from": from, "to": to, "scale": scale});
        check_field(scaled("Amount__c", "number", json!(0.01)), &[]);
        check_field(scaled("Seats__c", "text", json!("-1e3")), &[]);
        for scale in [json!(0), json!("0.00"), json!("x"), json!(true), json!("")] {
            check_field(scaled("Amount__c", "number", scale), &["SL2060 /fields/0/scale"]);
        }
        for (from, to) in [
            ("Name", "text"),
            ("Name", "number"),
            ("Active__c", "number"),
            ("Start__c", "day"),
            ("Amount__c", "status"),
        ] {
            check_field(scaled(from, to, json!(0.01)), &["SL2060 /fields/0/scale"]);
        }
        check_field(json!({"value": "5", "to": "number", "scale": 2}), &["SL2060 /fields/0/scale"]);
        check_field(json!({"template": "{{ Seats__c }}", "to": "number", "scale": 2}), &["SL2060 /fields/0/scale"]);
        let mapped = json!({"from": "Seats__c", "to": "text", "values": {"1": "one"}, "scale": 2});
        check_field(mapped, &["SL2060 /fields/0/scale"]);
    }

    #[test]
    fn a_percent_field_in_a_percentage_needs_a_scale() {
        let shown = |percentage: bool, field: Value| {
            let mut fixture = Fixture::new(json!([field]));
            fixture.field("Amount__c").kind = crate::model::object::FieldKind::Percent;
            fixture.target.properties.get_mut("number").unwrap().percentage = percentage;
            fixture
        };
        let plain = || json!({"from": "Amount__c", "to": "number"});
        check(&shown(true, plain()), &["SL2061? /fields/0/to"]);
        check(&shown(false, plain()), &[]);
        check(&shown(true, json!({"from": "Amount__c", "to": "number", "scale": 0.01})), &[]);
        check(&shown(true, json!({"from": "Seats__c", "to": "number"})), &[]);
        check(&shown(true, json!({"from": "Amount__c", "to": "text"})), &[]);
    }

    #[test]
    fn options_without_effect() {
        check_field(
            json!({"from": "Name", "to": "text", "time_zone": "Europe/Berlin"}),
            &["SL2052? /fields/0/time_zone"],
        );
        check_field(json!({"from": "Name", "to": "text", "as": "id"}), &["SL2052? /fields/0/as"]);
        check_field(json!({"from": "Amount__c", "to": "number", "truncate": true}), &["SL2052? /fields/0/truncate"]);
        check_field(json!({"from": "Name", "to": "text", "otherwise": "pass"}), &["SL2052? /fields/0/otherwise"]);
        check_field(json!({"from": "Renews__c", "to": "day", "time_zone": "Berlin"}), &["SL2047 /fields/0/time_zone"]);
    }

    #[track_caller]
    fn check_where(condition: &str, expected: &[&str]) {
        let mut fixture = Fixture::new(json!([{"from": "Name", "to": "text"}]));
        fixture.config["source"]["where"] = json!(condition);
        check(&fixture, expected);
    }

    #[test]
    fn conditions() {
        check_where("Status__c != 'Old' AND Amount__c > 5", &[]);
        check_where(
            "Name LIKE 'A%' AND Channels__c INCLUDES ('Active;Old') AND Active__c = TRUE AND Account__c != null",
            &[],
        );
        check_where("Status__c = Draft", &["SL2041 /source/where@12..17"]);
        check_where("Naem = 'a'", &["SL2042 /source/where@0..4"]);
        check_where("Photo__c = 'a'", &["SL2042 /source/where@0..8"]);
        check_where("Bill__c = 'a'", &["SL2042 /source/where@0..7"]);
        check_where("Amount__c = '5'", &["SL2042 /source/where@12..15"]);
        check_where("Name = 5", &["SL2042 /source/where@7..8"]);
        check_where("Start__c = 2026-10-01T09:00:00Z", &["SL2042 /source/where@11..31"]);
        check_where("Renews__c > 2026-10-01", &["SL2042 /source/where@12..22"]);
        check_where("Name INCLUDES ('a')", &["SL2042 /source/where@0..4"]);
        check_where("Channels__c IN ('Old')", &["SL2042 /source/where@0..11"]);
        check_where("Amount__c LIKE '5'", &["SL2042 /source/where@15..18", "SL2042 /source/where@0..9"]);
        check_where("Active__c > TRUE", &["SL2042 /source/where@0..9"]);
        check_where("Account__c = 'Acme'", &["SL2042 /source/where@13..19"]);
        check_where("Account__c = '0015g00000XyZaB'", &[]);
        check_where("Account__r.Name = 'a'", &[]);
        check_where("Owner.Name = 'a'", &["SL2050? /source/where@0..10"]);
        check_where("Start__c = TODAY", &["SL2050? /source/where@11..16"]);
    }

    #[test]
    fn values_of_a_condition_that_no_record_can_have() {
        check_where("Status__c = 'active' AND Status__c != 'OLD'", &[]);
        check_where("Status__c = ''", &[]);
        check_where("Status__c LIKE 'Drft%'", &[]);
        check_where("Status__c != 'Draft'", &["SL2064? /source/where@13..20"]);
        check_where("Status__c NOT IN ('Active', 'Actve', null)", &["SL2064? /source/where@28..35"]);
        check_where("Channels__c INCLUDES ('Active;Fax')", &["SL2064? /source/where@22..34"]);
        check_where("NOT (Name = 'x' OR Channels__c EXCLUDES ('Fax'))", &["SL2064? /source/where@41..46"]);
        let mut fixture = Fixture::new(json!([{"from": "Name", "to": "text"}]));
        fixture.config["source"]["where"] = json!("Status__c = 'Actve'");
        assert_eq!(fixture.compile().1[0].help.as_deref(), Some("did you mean `Active`?"));
    }

    #[test]
    fn lookups_to_several_objects() {
        let message_for = |field: Value| {
            let (_, findings) = Fixture::new(json!([field])).compile();
            let help = findings[0].help.clone().unwrap_or_default();
            format!("{}; {help}", findings[0].message)
        };
        for path in ["Owner.Department", "Owner.Manager.Name"] {
            let message = message_for(json!({"from": path, "to": "text"}));
            for part in ["leads to several objects (", "can be read: Name, Type, ", "formula field"] {
                assert!(message.contains(part) && !message.contains("permission"), "{path}: {message}");
            }
        }
        assert!(message_for(json!({"template": "{{ Owner.Emial }}", "to": "text"})).contains("did you mean `Email`?"));
    }

    #[test]
    fn associations_of_lookups_to_several_objects() {
        let named = || Fixture::new(json!([{"from": "Name", "to": "text"}]));
        let company = |more: Value| {
            let mut association = json!({"field": "OwnerId", "to": "companies", "match": "salesforceaccountid"});
            association.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            association
        };
        // OwnerId leads to groups and users: which is meant cannot be told from the HubSpot object.
        check(&named().associated(company(json!({}))), &["SL2075 /associations/0/field"]);
        check(&named().associated(company(json!({"object": "Account"}))), &["SL2046 /associations/0/object"]);
        let mut both =
            named().associated(company(json!({"object": "User"}))).associated(company(json!({"object": "group"})));
        for name in ["User", "Group"] {
            let object = crate::model::object::SourceObject { name: name.to_owned(), ..both.source().clone() };
            both.sources.insert(name.to_ascii_lowercase(), Arc::new(object));
        }
        check(&both, &[]);
        let pipeline = both.pipeline();
        let keys: Vec<&str> = pipeline.associations.iter().map(|association| &*association.key.0).collect();
        assert_eq!(keys, ["OwnerId@005", "OwnerId@00G"]);
        let desired = both.transform(&[("OwnerId", "0055g00000XyZaB")]).unwrap();
        assert_eq!(desired.lookups.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        let desired = both.transform(&[("OwnerId", "00Q5g00000XyZaB")]).unwrap();
        assert_eq!(desired.lookups, [None, None], "what no entry means is left out");
        check(&both.associated(company(json!({"object": "User"}))), &["SL2054 /associations/2/field"]);
    }

    #[test]
    fn a_label_by_the_value_of_a_field() {
        let labelled = |label: Value| {
            let association =
                json!({"field": "Account__c", "to": "companies", "match": "salesforceaccountid", "label": label});
            Fixture::new(json!([{"from": "Name", "to": "text"}])).associated(association)
        };
        let by = |values: Value| labelled(json!({"from": "Status__c", "values": values}));
        let all = by(json!({"Active": "billing_account", "On Hold": "billing_account"}));
        check(&all, &[]);
        for (status, expected) in [("Active", Some(2)), (" Active ", Some(2)), ("Old", None), ("", None)] {
            let desired = all.transform(&[("Account__c", "0015g00000XyZaB"), ("Status__c", status)]).unwrap();
            let asked = desired.lookups[0].clone().unwrap();
            assert_eq!(asked.label.map(|label| label.type_id), expected, "{status:?}");
        }
        check(&by(json!({"Active": "billing_account"})), &["SL2074? /associations/0/label/values"]);
        check(
            &by(json!({"Active": "biling", "On Hold": "billing_account"})),
            &["SL2045 /associations/0/label/values/Active"],
        );
        let twice =
            by(json!({"Active": "billing_account", "Active ": "billing_account", "On Hold": "billing_account"}));
        assert!(twice.findings().iter().any(|finding| finding.starts_with("SL2062")));
        check(
            &labelled(json!({"from": "Stats__c", "values": {"A": "billing_account"}})),
            &["SL3001 /associations/0/label/from"],
        );
    }

    #[test]
    fn the_source_object() {
        let named = || Fixture::new(json!([{"from": "Name", "to": "text"}]));
        let mut closed = named();
        closed.source().queryable = false;
        check(&closed, &["SL3002 /source/object"]);
        let mut binless = named();
        binless.source().fields.retain(|field| field.name != "IsDeleted");
        check(&binless, &["SL2051? /source/object"]);
        assert!(!binless.pipeline().has_is_deleted);
        let mut partial = named();
        partial.field("SystemModstamp").filterable = false;
        check(&partial, &["SL2049? /source/object"]);
        assert_eq!(partial.pipeline().cursor_field.as_deref(), Some("LastModifiedDate"));
        for name in ["LastModifiedDate", "CreatedDate"] {
            partial.field(name).sortable = false;
        }
        check(&partial, &["SL2048 /source/object"]);
    }

    #[test]
    fn associations() {
        let associated =
            |association: Value| Fixture::new(json!([{"from": "Name", "to": "text"}])).associated(association);
        let billing = json!({"field": "account__c", "to": "companies", "match": "salesforceaccountid", "label": "billing_account"});
        let pipeline = associated(billing.clone()).pipeline();
        assert_eq!(&*pipeline.associations[0].key.0, "Account__c#billing_account");
        assert_eq!(pipeline.associations[0].fixed_label().map(|label| label.type_id), Some(2));
        check(&associated(json!({"field": "Project__c", "pipeline": "projects"})), &[]);
        check(&associated(json!({"field": "Acount__c", "pipeline": "projects"})), &["SL3001 /associations/0/field"]);
        check(&associated(json!({"field": "Name", "pipeline": "projects"})), &["SL2043 /associations/0/field"]);
        check(
            &associated(json!({"field": "Account__c", "pipeline": "projects"})),
            &["SL2046 /associations/0/pipeline"],
        );
        let wrong = json!({"field": "Account__c", "to": "companies", "match": "x", "label": "biling_account"});
        check(&associated(wrong), &["SL2045 /associations/0/label"]);
        let mut missing = associated(json!({"field": "Account__c", "to": "companies", "match": "x"}));
        missing.ends[0].property = None;
        check(&missing, &["SL2044 /associations/0/match"]);
        missing.ends[0].property = Some(property("x", crate::model::object::PropertyKind::Number, &[]));
        check(&missing, &["SL2044 /associations/0/match"]);
        check(&associated(billing.clone()).associated(billing), &["SL2054 /associations/1/field"]);
        let to = |field: &str| json!({"field": field, "to": "contacts", "match": "salesforcecontactid"});
        check(&associated(to("Contact__c")).associated(to("Lead__c")), &["SL2053 /associations/1/field"]);
        check(&associated(to("Lead__c")), &[]);
    }

    #[test]
    fn what_needs_no_described_object_is_checked_offline() {
        let field = json!([{"template": "{{ Name | uper }}", "to": "text", "time_zone": "Berlin"}]);
        let mut fixture = Fixture::new(field);
        fixture.config["source"]["where"] = json!("a == 1");
        let findings = offline(&"x.yaml".into(), &fixture.parsed());
        let findings: Vec<String> = findings.iter().map(shown).collect();
        let expected = ["SL2041 /source/where@3..4", "SL2039 /fields/0/template@10..14", "SL2047 /fields/0/time_zone"];
        assert_eq!(findings, expected);
    }
}
