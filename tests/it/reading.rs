//! Answers are read entry by entry: what is odd is left out and named, and nothing else is lost to it. Each half stands alone.

use std::fs;

use serde_json::{Value, json};

use crate::support::Bench;

/// An answer of a service in place of its own.
fn answer(service: &str, path: &str, body: &Value) -> Value {
    json!({"service": service, "method": "GET", "path": path, "status": 200, "body": body})
}

fn reads(bench: &Bench, part: &str) -> usize {
    bench
        .sandbox
        .requests()
        .into_iter()
        .filter(|request| request.method == "GET" && request.target.contains(part))
        .count()
}

#[test]
fn an_odd_field_takes_no_other_field_along() {
    let bench = Bench::new(5);
    let fields = json!([
        {"name": "Id", "type": "id"}, {"name": "SystemModstamp", "type": "datetime"},
        {"name": "Good__c", "type": "string", "label": "Good", "length": 80},
        {"name": "Odd__c", "type": "string", "label": "Odd", "length": "eighty"},
        {"name": "List__c", "type": "picklist", "label": "List", "picklistValues": [
            {"value": "a", "label": "A", "active": true}, {"value": 7, "label": "Seven", "active": true},
            {"value": "c", "label": "C", "active": "yes"}, {"value": "d", "label": null, "active": true}]},
        null, "text", ["Id"],
    ]);
    let body =
        json!({"name": "Thing__c", "label": 5, "custom": "yes", "queryable": true, "keyPrefix": 9, "fields": fields});
    bench.faults(json!([answer("salesforce", "/**/sobjects/Thing__c/describe", &body)]));
    bench.sandbox.forget_requests();
    let ran = bench.run(&["discover", "Thing__c"]).code(0);
    for (shown, part) in [(true, "Good__c"), (true, "List__c"), (true, "a | d"), (false, "Odd__c"), (false, "Seven")] {
        assert_eq!(ran.stdout.contains(part), shown, "{part}: {ran:?}");
    }
    for part in ["Odd__c", "length", "entry=\"7\"", "label", "keyPrefix", "custom"] {
        assert!(ran.stderr.contains(part), "{part} is not named: {ran:?}");
    }
    assert!(!ran.stderr.contains("eighty"), "values are not told: {ran:?}");
    assert_eq!(reads(&bench, "/describe"), 1, "an answer that is read is not asked for again");
}

#[test]
fn odd_objects_properties_and_options_take_no_others_along() {
    let bench = Bench::new(5);
    bench.faults(json!([
        answer("salesforce", "/**/sobjects", &json!({"encoding": "UTF-8", "sobjects": [
            {"name": "Good__c", "label": "Good", "queryable": true}, {"name": "Odd__c", "label": {"en": "Odd"}}, {"label": "Nameless"}]})),
        answer("hubspot", "/crm-object-schemas/**", &json!({"results": [
            {"name": "goods", "objectTypeId": "2-1", "labels": {"plural": "Goods"}},
            {"name": "odds", "objectTypeId": 2, "labels": {"plural": "Odds"}}, {"objectTypeId": "2-3"}]})),
    ]));
    let ran = bench.run(&["discover"]).code(0);
    for (shown, part) in [(true, "Good__c"), (true, "goods"), (false, "Odd__c"), (false, "odds"), (false, "Nameless")] {
        assert_eq!(ran.stdout.contains(part), shown, "{part}: {ran:?}");
    }
    assert!(ran.stderr.contains("Odd__c") && ran.stderr.contains("odds"), "{ran:?}");
    let properties = json!({"results": [
        {"name": "salesforce_id", "label": "Id", "type": "string", "fieldType": "text", "hasUniqueValue": true},
        {"name": "odd", "label": "Odd", "type": "string", "fieldType": "text", "hasUniqueValue": "true"},
        {"name": "stage", "label": "Stage", "type": "enumeration", "fieldType": "select", "options": [
            {"label": "One", "value": "one"}, {"label": "Two", "value": 2}]}]});
    bench.faults(json!([answer("hubspot", "/crm/properties/**", &properties)]));
    let ran = bench.run(&["discover", "subscriptions"]).code(0);
    for (shown, part) in [(true, "salesforce_id"), (true, "stage"), (true, "one"), (false, "odd "), (false, "Two")] {
        assert_eq!(ran.stdout.contains(part), shown, "{part}: {ran:?}");
    }
    assert!(ran.stderr.contains("odd") && ran.stderr.contains("hasUniqueValue"), "{ran:?}");
}

#[test]
fn a_portal_without_validation_rules_is_no_failure() {
    let page = "<html><body>Not found</body></html>";
    for (status, body) in [
        (404, json!(page)),
        (403, json!(page)),
        (405, json!({"message": "no"})),
        (404, json!({"message": "no", "category": []})),
        (400, json!({"message": "unsupported", "category": "VALIDATION_ERROR"})),
    ] {
        let bench = Bench::new(5);
        let rule =
            json!({"service": "hubspot", "path": "/crm/property-validations/**", "status": status, "body": body});
        bench.faults(json!([rule]));
        bench.run(&["catalog", "pull"]).code(0);
        bench.run(&["import", "--yes"]).code(0);
    }
}

#[test]
fn each_half_of_discover_stands_alone() {
    let bench = Bench::new(5);
    for (service, fault, shown, hidden) in [
        ("hubspot", "forbidden", "Contact", "companies"),
        ("hubspot", "unauthorized", "Contact", "companies"),
        ("salesforce", "forbidden", "companies", "Account "),
    ] {
        bench.sandbox.clear_faults();
        bench.faults(json!([{"service": service, "path": if service == "hubspot" { "/crm**/**" } else { "/services/data/**" }, "fault": fault}]));
        let ran = bench.run(&["discover"]).code(0);
        assert!(ran.stdout.contains(shown) && !ran.stdout.contains(hidden), "{service} {fault}: {ran:?}");
        assert!(ran.stderr.contains(&format!("the connection `{service}` could not be read")), "{ran:?}");
        let name = if service == "hubspot" { "Contact" } else { "subscriptions" };
        let ran = bench.run(&["discover", name]).code(0);
        assert!(ran.stdout.contains(name) && ran.stderr.contains("could not be read"), "{service} {fault}: {ran:?}");
        let output = bench.run(&["discover", name, "--format", "json"]).code(0).json();
        assert_eq!(output["refused"][0]["connection"], service, "{output}");
    }
    bench.faults(
        json!([{"path": "/crm**/**", "fault": "forbidden"}, {"path": "/services/data/**", "fault": "forbidden"}]),
    );
    let ran = bench.run(&["discover"]).code(1);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("SL4"), "{ran:?}");
}

#[test]
fn discover_says_what_can_never_sync_and_leaves_companions_out() {
    let bench = Bench::new(5);
    let object = |name: &str| json!({"name": name, "label": name, "queryable": true, "custom": name.contains("__")});
    let names = [
        "AccountFeed",
        "AccountHistory",
        "AccountShare",
        "Account",
        "Thing__c",
        "Thing__Share",
        "Thing__History",
        "Thing__ChangeEvent",
        "Told__e",
        "Big__b",
        "Ext__x",
        "LoginHistory",
    ];
    let list: Vec<Value> = names.map(object).to_vec();
    let body = json!({"sobjects": list});
    bench.faults(json!([
        answer("salesforce", "/**/sobjects", &body),
        {"service": "salesforce", "path": "/**/sobjects/Told__e/describe", "fault": "not_found"},
    ]));
    let shown = bench.run(&["discover"]).code(0).stdout;
    for (there, part) in [
        (true, "Account "),
        (true, "Thing__c"),
        (true, "LoginHistory"),
        (false, "AccountFeed"),
        (false, "AccountHistory"),
        (false, "Thing__Share"),
        (true, "no: a platform event"),
        (true, "no: a big object"),
        (true, "no: an external object"),
        (true, "6 objects that accompany others (feeds, histories, shares) left out: `--all` lists them"),
    ] {
        assert_eq!(shown.contains(part), there, "{part}: {shown}");
    }
    let place = |name: &str| shown.find(&format!("  {name} ")).unwrap_or_else(|| panic!("{name}: {shown}"));
    assert!(place("Thing__c") < place("Account") && place("Account") < place("Told__e"), "{shown}");
    let all = bench.run(&["discover", "--all"]).code(0).stdout;
    assert!(all.contains("AccountFeed") && all.contains("Thing__Share") && !all.contains("left out"), "{all}");
    let ran = bench.run(&["discover", "Told__e"]).code(1);
    assert!(
        ran.stderr.contains("SL2070")
            && ran.stderr.contains("a platform event: a message that leaves no record behind"),
        "{ran:?}"
    );
}

#[test]
fn validate_and_discover_give_one_verdict() {
    let bench = Bench::new(5);
    let stampless = json!({"name": "Still__c", "label": "Still", "keyPrefix": "a77", "custom": true, "fields": []});
    bench.salesforce("seed", json!({"objects": [stampless]}));
    let fields = json!([{"name": "Id", "type": "id"}, {"name": "Name", "type": "string", "nameField": true}]);
    let body = json!({"name": "Still__c", "label": "Still", "queryable": true, "fields": fields});
    bench.faults(json!([answer("salesforce", "/**/sobjects/Still__c/describe", &body)]));
    let ran = bench.run(&["discover", "Still__c"]).code(0);
    assert!(ran.stdout.contains("can sync: no: it has no timestamp of a record's last change"), "{ran:?}");
    bench.edit("pipelines/subscriptions.yaml", "object: Subscription__c", "object: Still__c");
    let ran = bench.run(&["validate", "subscriptions", "--online"]).code(1);
    let printed = format!("{}{}", ran.stdout, ran.stderr);
    assert!(
        printed.contains("SL2048") && printed.contains("no field tells when a record of `Still__c` last changed"),
        "{printed}"
    );
}

#[test]
fn a_pull_reads_what_it_can_while_a_definition_is_wrong() {
    let bench = Bench::new(5);
    let good = fs::read_to_string(bench.path("pipelines/subscriptions.yaml")).unwrap();
    for (what, wrong, absent) in [
        (
            "a source that is not there",
            good.replace("object: Subscription__c", "object: Nothing__c"),
            Some("Nothing__c"),
        ),
        ("a target that is not there", good.replace("object: subscriptions", "object: nothings"), Some("nothings")),
        ("a field that is not there", good.replace("from: Seats__c", "from: Seets__c"), None),
        ("a property that is not there", good.replace("to: seats", "to: seets"), None),
        ("no YAML", "name: [".to_owned(), None),
    ] {
        let _ = fs::remove_dir_all(bench.path("catalog"));
        bench.write("pipelines/subscriptions.yaml", &wrong.replace("name: subscriptions", "name: wrong"));
        let ran = bench.run(&["catalog", "pull"]).code(i32::from(absent.is_some()));
        assert!(bench.path("catalog/salesforce.WorkOrder.json").exists(), "{what}: {ran:?}");
        assert!(
            absent.is_none_or(|name| ran.stderr.contains(name) && ran.stderr.contains("pipeline `wrong`")),
            "{what}: {ran:?}"
        );
    }
}

#[test]
fn the_list_of_objects_is_read_once_and_without_definitions() {
    let bench = Bench::new(5);
    let list = "/crm-object-schemas/";
    for command in [&["catalog", "pull"][..], &["plan"], &["discover", "subscriptions"]] {
        bench.sandbox.forget_requests();
        bench.run(command).code(0);
        assert_eq!(reads(&bench, list), 1, "{command:?}");
        let bare = "includePropertyDefinitions=false&includeAssociationDefinitions=false";
        assert_eq!(reads(&bench, bare), 1, "{command:?}");
    }
}
