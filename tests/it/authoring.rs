//! The way to a pipeline: what can sync, a draft that fits both systems, the custom object for it, an editor that helps.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Bench, Ran, ended, report};

/// A project of `init` on a sandbox, without pipelines.
fn empty() -> Bench {
    let bench = Bench::new(20);
    fs::remove_dir_all(bench.path("pipelines")).unwrap();
    let connected = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    fs::remove_file(bench.path("syncline.yaml")).unwrap();
    bench.run(&["init"]).code(0);
    bench.write("syncline.yaml", &connected);
    bench
}

fn sample(bench: &Bench, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines").join(name);
    bench.write(&format!("pipelines/{name}"), &fs::read_to_string(path).unwrap());
}

fn text(bench: &Bench, path: &str) -> String {
    fs::read_to_string(bench.path(path)).unwrap()
}

/// Pulls the catalog and demands that the definitions have no errors.
#[track_caller]
fn validated(bench: &Bench) -> Ran {
    bench.run(&["catalog", "pull"]).code(0);
    bench.run(&["validate"]).code(0)
}

#[test]
fn discover_lists_what_can_sync() {
    let bench = Bench::new(5);
    let closed = json!({"name": "Closed__c", "label": "Closed", "keyPrefix": "a99", "custom": true, "queryable": false, "fields": []});
    bench.salesforce("seed", json!({"objects": [closed]}));
    let all = bench.run(&["discover"]).code(0).stdout;
    let row = |start: &str| {
        let line = all.lines().find(|line| line.trim_start().starts_with(&format!("{start} ")));
        line.unwrap_or_else(|| panic!("{start} is not in\n{all}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("Subscription__c"), "Subscription__c Subscription custom yes subscriptions");
    assert_eq!(row("WorkOrder"), "WorkOrder Work Order standard yes work_orders");
    assert_eq!(row("Closed__c"), "Closed__c Closed custom no: Salesforce offers no query on it");
    assert_eq!(row("Account"), "Account Account standard yes, with `allow_unlisted: true`");
    assert_eq!(row("work_orders"), "work_orders Work orders custom yes work_orders");
    assert!(row("companies").contains("yes, with a unique property for the Salesforce id"));
    let output = bench.run(&["discover", "--format", "json"]).code(0).json();
    let named = |system: &str, connection: &str, name: &str| {
        output[system][connection].as_array().unwrap().iter().find(|object| object["name"] == name).unwrap().clone()
    };
    assert_eq!(named("salesforce", "salesforce", "Subscription__c")["pipelines"], json!(["subscriptions"]));
    assert_eq!(named("salesforce", "salesforce", "User")["can_sync"], true);
    // The custom object is meant, not HubSpot's own subscriptions.
    let objects = output["hubspot"]["hubspot"].as_array().unwrap();
    let subscriptions: Vec<&Value> = objects.iter().filter(|object| object["name"] == "subscriptions").collect();
    let used: Vec<bool> = subscriptions.iter().map(|object| object["pipelines"] == json!(["subscriptions"])).collect();
    let custom: Vec<bool> = subscriptions.iter().map(|object| object["custom"] == true).collect();
    assert!(used == custom && used.contains(&true) && used.contains(&false), "{subscriptions:?}");
    bench.run(&["discover", "Nothing__c"]).code(1);
}

#[test]
fn discover_shows_one_object_with_what_its_parts_are_good_for() {
    let bench = Bench::new(5);
    let field = json!({"name": "Margin__c", "type": "double", "label": "Margin", "calculated": true});
    bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    let shown = bench.run(&["discover", "Subscription__c"]).code(0).stdout;
    let lines: Vec<String> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "Account__c reference Account lookup to Account: an association, or `as: id`",
        "Margin__c double Margin calculated: a change to it alone is not noticed at once",
        "Status__c picklist Status Draft | Active | On Hold | Cancelled",
        "SystemModstamp datetime System Modstamp a system field",
    ] {
        assert!(lines.iter().any(|printed| printed == line), "`{line}` is not in\n{shown}");
    }
    assert!(!shown.contains("Legacy"), "inactive values cannot be chosen: {shown}");
    let target = bench.run(&["discover", "work_orders"]).code(0).stdout;
    let lines: Vec<String> = target.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "salesforce_id string Salesforce ID unique: can be `match`",
        "subject string Subject required",
        "hs_object_id number Record ID read-only",
    ] {
        assert!(lines.iter().any(|printed| printed == line), "`{line}` is not in\n{target}");
    }
    let output = bench.run(&["discover", "subscriptions", "--format", "json"]).code(0).json();
    assert_eq!((&output["salesforce"], &output["hubspot"]["name"]), (&Value::Null, &json!("subscriptions")));
}

#[test]
fn a_new_pipeline_maps_what_fits_and_says_what_is_missing() {
    let bench = empty();
    sample(&bench, "work_orders.yaml");
    let region = json!({"name": "sales_region", "label": "Sales region", "type": "string", "fieldType": "text"});
    bench.hubspot("add_property", json!({"object": "subscriptions", "property": region}));
    bench.hubspot("require", json!({"object": "subscriptions", "property": "sales_region"}));
    let options = [("yes", "Yes"), ("no", "No")].map(|(value, label)| json!({"value": value, "label": label}));
    let gift = json!({"name": "is_gift", "label": "Is gift", "type": "enumeration", "fieldType": "select", "options": options});
    bench.hubspot("add_property", json!({"object": "subscriptions", "property": gift}));
    for field in [
        json!({"name": "Is_Gift__c", "type": "boolean", "label": "Is gift"}),
        json!({"name": "Second_Account__c", "type": "reference", "label": "Second account", "referenceTo": ["Account"],
            "relationshipName": "Second_Account__r"}),
        json!({"name": "Parent__c", "type": "reference", "label": "Parent", "referenceTo": ["Subscription__c"],
            "relationshipName": "Parent__r"}),
        json!({"name": "Case__c", "type": "reference", "label": "Case", "referenceTo": ["Case"],
            "relationshipName": "Case__r"}),
    ] {
        bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    }
    bench.sandbox.forget_requests();
    let ran = bench.run(&["new", "subs", "--source", "subscription__c", "--target", "subscriptions"]).code(0);
    assert!(ran.stdout.contains("wrote pipelines/subs.yaml: 13 properties are suggested"), "{ran:?}");
    assert!(ran.stdout.contains("sales_region is required, but nothing matches it"), "{ran:?}");
    let changing = bench
        .sandbox
        .requests()
        .into_iter()
        .filter(|request| request.method != "GET" && !request.target.contains("/oauth2/"));
    assert_eq!(changing.count(), 0, "a draft changes nothing");
    let draft = text(&bench, "pipelines/subs.yaml");
    for part in [
        "# yaml-language-server: $schema=../schemas/pipeline.schema.json\nversion: 1\nname: subs\n",
        "  object: Subscription__c\n  # where: ",
        "  object: subscriptions\n  match: salesforce_id\n",
        // By name, by label, by the end of a name.
        "  - { from: Amount__c, to: amount }\n",
        "  - { from: Start__c, to: start_date }\n",
        "  - { from: Name, to: subscription_name }\n",
        "  - from: Status__c\n    to: status\n    values:\n      Active: active\n      Cancelled: cancelled\n      Draft: draft\n      On Hold: on_hold\n    otherwise: pass\n",
        "  - from: Channels__c\n    to: channels\n    # values:\n    #   Fax: …   no option of `channels` fits\n    otherwise: pass\n",
        "  - from: Is_Gift__c\n    to: is_gift\n    values:\n      \"false\": \"no\"\n      \"true\": \"yes\"\n",
        "  # sales_region is required: give it a field, a template or a value\n",
        "  # not mapped, HubSpot properties: account_name, headline, sales_region, source_system\n",
        "associations:\n  - { field: Account__c, to: companies, match: salesforceaccountid }\n  - { field: Work_Order__c, pipeline: work_orders }\n",
        "  # - { field: Second_Account__c, to: companies, match: salesforceaccountid }   a second association with companies",
        "  # - { field: Parent__c, pipeline: subs }   HubSpot defines no association with subscriptions yet",
        "  # Case__c leads to Case, which no pipeline syncs\n",
        "\non_delete: keep\n",
    ] {
        assert!(draft.contains(part), "`{part}` is not in\n{draft}");
    }
    assert!(!draft.contains("OwnerId") && !draft.contains("leads to ,"), "{draft}");
    // Only what nobody can guess is open.
    bench.run(&["catalog", "pull"]).code(0);
    let found = bench.run(&["validate", "subs", "--format", "json"]).code(1).json();
    let errors = found["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error");
    let errors: Vec<(&str, bool)> = errors
        .map(|finding| {
            (finding["code"].as_str().unwrap(), finding["message"].as_str().unwrap().contains("sales_region"))
        })
        .collect();
    assert_eq!(errors, [("SL2033", true)], "{found}");
    bench.edit(
        "pipelines/subs.yaml",
        "  # - { from: …, to: sales_region }\n",
        "  - { value: EMEA, to: sales_region }\n",
    );
    validated(&bench);
    let reports = bench.import();
    assert!(report(&reports, "subs")["created"].as_u64() > Some(10), "{reports}");
    assert!(report(&reports, "subs")["associated"].as_u64() > Some(10), "{reports}");
}

#[test]
fn a_draft_for_a_standard_object_says_what_has_to_be_made() {
    let bench = empty();
    bench.run(&["new", "accounts", "--source", "Account", "--target", "companies"]).code(0);
    let draft = text(&bench, "pipelines/accounts.yaml");
    for part in [
        "  object: Account\n  allow_unlisted: true\n",
        "  # companies has no unique property `salesforce_id`: create one for the Salesforce id\n  match: salesforce_id\n",
        "  - { from: Name, to: name }\n",
        "{ field: ParentId, pipeline: accounts }",
    ] {
        assert!(draft.contains(part), "`{part}` is not in\n{draft}");
    }
    assert!(!draft.contains("MasterRecordId"), "{draft}");
    let key = json!({"name": "salesforce_id", "label": "Salesforce ID", "type": "string", "fieldType": "text", "hasUniqueValue": true});
    bench.hubspot("add_property", json!({"object": "0-2", "property": key}));
    validated(&bench);
}

#[test]
fn a_draft_overwrites_nothing() {
    let bench = empty();
    let new = |name: &str, more: &[&str]| {
        bench.run(&[&["new", name, "--source", "Contact", "--target", "people"], more].concat())
    };
    sample(&bench, "work_orders.yaml");
    bench.write("pipelines/mine.yaml", "# not yet\n");
    bench.edit("pipelines/work_orders.yaml", "name: work_orders", "name: orders");
    bench.sandbox.forget_requests();
    for (name, words) in
        [("mine", "mine.yaml"), ("orders", "pipelines/work_orders.yaml"), ("work_orders", "work_orders.yaml")]
    {
        for more in [&[][..], &["--create-target"], &["--create-target", "--apply"]] {
            // A file that is no pipeline is a finding of its own.
            if name != "mine" {
                fs::remove_file(bench.path("pipelines/mine.yaml")).ok();
            }
            let ran = new(name, more).code(1);
            assert!(ran.stdout.is_empty(), "{ran:?}");
            assert!(ran.stderr.contains(words), "{name} {more:?}: {ran:?}");
            assert!(name == "mine" || ran.stderr.contains("SL1017"), "{name} {more:?}: {ran:?}");
        }
        if name == "mine" {
            assert_eq!(text(&bench, "pipelines/mine.yaml"), "# not yet\n");
        }
    }
    for name in ["Upper", "1st", "", "a/b", "../out", "sp ace"] {
        let ran = new(name, &["--create-target", "--apply"]).code(1);
        assert!(ran.stderr.contains("SL1017"), "{name}: {ran:?}");
    }
    let made =
        bench.sandbox.requests().into_iter().filter(|request| request.service == "hubspot" && request.method == "POST");
    assert_eq!(made.count(), 0, "nothing is made in HubSpot for a file that cannot be written");
    let missing = new("people", &[]).code(1);
    assert!(missing.stderr.contains("SL3004") && missing.stderr.contains("--create-target"), "{missing:?}");
    let source = bench.run(&["new", "x", "--source", "Contacs", "--target", "people", "--create-target"]).code(1);
    assert!(source.stderr.contains("SL3002"), "{source:?}");
    bench.run(&["new", "x", "--source", "Contact", "--target", "people", "--apply"]).code(64);
}

#[test]
fn the_custom_object_is_printed_and_made_when_it_is_asked_for() {
    let bench = empty();
    sample(&bench, "work_orders.yaml");
    for field in [
        // Two fields that would have one name, and one that HubSpot keeps to itself.
        json!({"name": "Seats", "type": "int", "label": "Seats (old)"}),
        json!({"name": "HS_Code__c", "type": "string", "label": "Harmonized code"}),
    ] {
        bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    }
    let arguments =
        ["new", "plans", "--source", "Subscription__c", "--target", "plans", "--match", "sf_id", "--create-target"];
    bench.sandbox.forget_requests();
    let printed = bench.run(&arguments).code(0);
    assert!(printed.stderr.contains("nothing was created") && printed.stderr.contains("--apply"), "{printed:?}");
    assert!(!bench.path("pipelines/plans.yaml").exists());
    let changing = bench
        .sandbox
        .requests()
        .into_iter()
        .filter(|request| request.method != "GET" && !request.target.contains("/oauth2/"));
    assert_eq!(changing.count(), 0, "what is printed is not made");
    let body = printed.json();
    let property = |name: &str| {
        let property = body["properties"].as_array().unwrap().iter().find(|property| property["name"] == name);
        property.unwrap_or_else(|| panic!("{name} is not in {body}")).clone()
    };
    assert_eq!(property("sf_id")["hasUniqueValue"], true);
    assert_eq!(
        (&body["primaryDisplayProperty"], &body["requiredProperties"]),
        (&json!("name"), &json!(["sf_id"])),
        "a name may be blank"
    );
    for (name, kind, form) in [
        ("name", "string", "text"),
        ("status", "enumeration", "select"),
        ("channels", "enumeration", "checkbox"),
        ("amount", "number", "number"),
        ("start", "date", "date"),
        ("renews_at", "datetime", "date"),
        ("auto_renew", "bool", "booleancheckbox"),
        ("notes", "string", "textarea"),
        ("seats", "number", "number"),
        ("seats_2", "number", "number"),
        ("p_hs_code", "string", "text"),
    ] {
        let made = property(name);
        assert_eq!((&made["type"], &made["fieldType"]), (&json!(kind), &json!(form)), "{made}");
    }
    let statuses: Vec<Value> =
        property("status")["options"].as_array().unwrap().iter().map(|option| option["value"].clone()).collect();
    assert_eq!(statuses, ["Draft", "Active", "On Hold", "Cancelled", "Legacy"]);
    assert_eq!(body["associatedObjects"], json!(["0-2", bench.kind("work_orders")]), "what its lookups lead to");

    let made = bench.run(&[&arguments[..], &["--apply"]].concat()).code(0);
    assert!(made.stderr.contains("created the custom object `plans`"), "{made:?}");
    assert!(made.stdout.contains("wrote pipelines/plans.yaml"), "{made:?}");
    let draft = text(&bench, "pipelines/plans.yaml");
    assert!(
        draft.contains("  match: sf_id\n") && draft.contains("- { field: Work_Order__c, pipeline: work_orders }"),
        "{draft}"
    );
    validated(&bench);
    let reports = bench.import();
    let plans = report(&reports, "plans");
    let rows = bench.rows("Subscription__c").values().filter(|row| row["deleted"] == false).count() as u64;
    assert_eq!((plans["created"].as_u64(), plans["failed"].as_u64()), (Some(rows), Some(0)), "{reports}");
    assert!(plans["associated"].as_u64() > Some(10), "{reports}");
    // Once more, under another name: the object is there, and filled already.
    let again = ["new", "more", "--source", "Subscription__c", "--target", "plans", "--create-target", "--apply"];
    let ran = bench.run(&again).code(1);
    assert!(ran.stderr.contains("SL3012") && !bench.path("pipelines/more.yaml").exists(), "{ran:?}");
    let second = bench.run(&["new", "more", "--source", "Subscription__c", "--target", "plans"]).code(0);
    assert!(second.stdout.contains("`plans` writes the same records by the same property"), "{second:?}");
}

#[test]
fn a_draft_finds_the_schema_from_any_folder() {
    let bench = empty();
    bench.edit("syncline.yaml", "pipelines: pipelines", "pipelines: ./crm/flows");
    let ran = bench.run(&["new", "orders", "--source", "WorkOrder", "--target", "work_orders"]).code(0);
    assert!(ran.stdout.contains("wrote ./crm/flows/orders.yaml") || ran.stdout.contains("wrote crm/flows/orders.yaml"));
    let draft = text(&bench, "crm/flows/orders.yaml");
    assert!(draft.starts_with("# yaml-language-server: $schema=../../schemas/pipeline.schema.json\n"), "{draft}");
    validated(&bench);
}

#[test]
fn associations_that_would_be_refused_are_comments() {
    let bench = empty();
    bench.salesforce("seed", json!({"objects": [{"name": "Lead", "label": "Lead", "keyPrefix": "00Q", "fields": []}]}));
    for (name, to) in [("Buyer__c", "Contact"), ("Prospect__c", "Lead")] {
        let field = json!({"name": name, "type": "reference", "label": name, "referenceTo": [to],
            "relationshipName": name.replace("__c", "__r")});
        bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    }
    for property in ["salesforcecontactid", "salesforceleadid"] {
        let made = json!({"name": property, "label": property, "type": "string", "fieldType": "text"});
        bench.hubspot("add_property", json!({"object": "0-1", "property": made}));
    }
    bench
        .run(&["new", "plans", "--source", "Subscription__c", "--target", "plans", "--create-target", "--apply"])
        .code(0);
    let draft = text(&bench, "pipelines/plans.yaml");
    assert!(draft.contains("\n  - { field: Buyer__c, to: contacts, match: salesforcecontactid }\n"), "{draft}");
    assert!(draft.contains("\n  # - { field: Prospect__c, to: contacts, match: salesforceleadid }   "), "{draft}");
    validated(&bench);
}

#[test]
fn odd_values_survive_in_a_value_map() {
    let bench = empty();
    let odd = ["Yes", "null", "10%", "a: b # c", "- it's \"x\"", "{{ y }}", "1.0", "\\ é", "&z *z"];
    let values = odd.map(|value| json!({"value": value, "label": value, "active": true, "defaultValue": false}));
    let field = json!({"name": "Odd__c", "type": "picklist", "label": "Odd: #1", "picklistValues": values});
    bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    let options: Vec<Value> =
        odd.iter().enumerate().map(|(place, label)| json!({"value": format!("o{place}"), "label": label})).collect();
    let property =
        json!({"name": "odd", "label": "Odd", "type": "enumeration", "fieldType": "select", "options": options});
    bench.hubspot("add_property", json!({"object": "subscriptions", "property": property}));
    bench.run(&["new", "subs", "--source", "Subscription__c", "--target", "subscriptions"]).code(0);
    validated(&bench);
    let tests: String = odd
        .iter()
        .enumerate()
        .map(|(place, value)| {
            let value = Value::from(*value);
            format!("  - name: v{place}\n    source: {{ Name: x, Odd__c: {value} }}\n    expect: {{ properties: {{ odd: o{place} }} }}\n")
        })
        .collect();
    bench.write("pipelines/subs.test.yaml", &format!("version: 1\ntests:\n{tests}"));
    let draft = text(&bench, "pipelines/subs.yaml");
    let ran = bench.run(&["test"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "9 tests passed\n"), "{draft}\n{}", ran.stderr);
}

/// Asks a YAML language server, as an editor does.
fn edited(bench: &Bench, requests: &Value) -> Value {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/node");
    assert!(
        installed.join("node_modules/yaml-language-server").is_dir(),
        "the language server is not installed; run `tests/clients/setup` once (it needs python3, node and npm)"
    );
    bench.write(".syncline/requests.json", &requests.to_string());
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/editor.mjs"));
    command.arg(bench.path("")).arg(bench.path(".syncline/requests.json")).env("CLIENTS_NODE", installed);
    let ran = ended(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()
}

/// A text without its caret `‸`, and where that stood.
fn at_caret(text: &str) -> (String, usize, usize) {
    let place = text.find('‸').unwrap();
    let line = text[..place].matches('\n').count();
    let character = text[..place].chars().rev().take_while(|letter| *letter != '\n').count();
    (text.replacen('‸', "", 1), line, character)
}

/// The value map of the sample pipeline.
const MAP: &str = "    values: { Active: active, On Hold: on_hold, Cancelled: cancelled, Draft: draft }";

#[test]
fn an_editor_completes_and_marks_real_names() {
    let bench = empty();
    sample(&bench, "work_orders.yaml");
    sample(&bench, "subscriptions.yaml");
    bench.run(&["new", "people", "--source", "Contact", "--target", "people", "--create-target", "--apply"]).code(0);
    validated(&bench);
    let narrowed = bench.run(&["schema", "pipeline", "--project"]).code(0).stdout;
    let elsewhere = bench.run(&["schema", "pipeline", "--project", bench.path("").to_str().unwrap()]).code(0).stdout;
    assert_eq!(narrowed, elsewhere);
    // Where `init` wrote the general one, and where the first line of each pipeline looks.
    bench.write("schemas/pipeline.schema.json", &narrowed);
    let whole = text(&bench, "pipelines/subscriptions.yaml");
    assert!(whole.starts_with("# yaml-language-server: $schema=../schemas/pipeline.schema.json\n"));
    let asked = [
        (
            "  - { from: Seats__c, to: seats }",
            "  - { from: ‸, to: seats }",
            &["Seats__c", "Status__c", "Account__r.Name"][..],
            "WorkOrderNumber",
        ),
        (
            "  - { from: Seats__c, to: seats }",
            "  - { from: Seats__c, to: s‸ }",
            &["seats", "renews_at"],
            "hs_object_id",
        ),
        ("  match: salesforce_id", "  match: ‸", &["salesforce_id"], "seats"),
        ("  object: subscriptions", "  object: ‸", &["subscriptions", "work_orders", "companies"], "Account"),
        ("  object: Subscription__c", "  object: ‸", &["Subscription__c", "WorkOrder", "Account"], "subscriptions"),
        ("    label: billing_account", "    label: ‸", &["billing_account"], "companies"),
        ("    to: companies", "    to: ‸", &["companies", "work_orders"], "Account"),
        ("    match: salesforceaccountid", "    match: ‸", &["salesforceaccountid", "domain"], "seats"),
        ("    pipeline: work_orders", "    pipeline: ‸", &["work_orders", "subscriptions", "people"], "companies"),
        ("  - field: Work_Order__c", "  - field: ‸", &["Work_Order__c", "Account__c"], "Seats__c"),
        ("{ to: source_system, value: salesforce }", "{ to: status, value: a‸ }", &["active", "on_hold"], "Active"),
        ("    values: { Active: active, On", "    values: { Active: ‸, On", &["active", "cancelled"], "Active"),
        // Left of a value map stand the values of the picklist, those that are mapped already left out.
        (MAP, "    values: { D‸ }", &["Draft", "On Hold", "Legacy"], "draft"),
        (MAP, "    values: { D‸: draft, On Hold: on_hold }", &["Draft", "Active"], "On Hold"),
        (MAP, "    values:\n      ‸", &["Draft", "On Hold"], "draft"),
        (MAP, "    values:\n      Draft: draft\n      ‸", &["Active", "On Hold"], "Draft"),
    ];
    let mut documents = vec![
        json!({"path": "pipelines/subscriptions.yaml"}),
        json!({"path": "pipelines/work_orders.yaml"}),
        json!({"path": "pipelines/people.yaml"}),
    ];
    let mut completions = Vec::new();
    for (number, (from, to, ..)) in asked.iter().enumerate() {
        assert!(whole.contains(from), "{from}");
        let (text, line, character) = at_caret(&whole.replacen(from, to, 1));
        let path = format!("pipelines/asked_{number}.yaml");
        documents.push(json!({"path": path, "text": text}));
        completions.push(json!({"path": path, "line": line, "character": character}));
    }
    let wrong = [
        ("from: Seats__c", "from: Seat__c", "Seat__c"),
        ("to: seats", "to: seat", "seat "),
        ("Account__r.Name", "Account__r.Nam", "Account__r.Nam"),
        ("Active: active", "Active: aktiv", "aktiv"),
        ("label: billing_account", "label: billing", "billing\n"),
        ("match: salesforceaccountid", "match: salesforceaccount", "salesforceaccount\n"),
        ("  match: salesforce_id", "  match: notes", "notes"),
        ("pipeline: work_orders", "pipeline: work_order", "work_order\n"),
        ("field: Work_Order__c", "field: Seats__c", "Seats__c\n"),
        ("to: headline", "to: hs_object_id", "hs_object_id"),
    ];
    for (number, (from, to, _)) in wrong.iter().enumerate() {
        assert!(whole.contains(from), "{from}");
        documents.push(json!({"path": format!("pipelines/wrong_{number}.yaml"), "text": whole.replacen(from, to, 1)}));
    }
    // Paths through lookups that the catalog does not follow stay possible.
    let deep =
        whole.replacen("Account__r.Name", "Account__r.Owner.Name", 1).replacen("from: Notes__c", "from: Owner.Name", 1);
    documents.push(json!({"path": "pipelines/deep.yaml", "text": deep}));
    let hover = whole.lines().position(|line| line.contains("to: seats")).unwrap();
    let answers = edited(
        &bench,
        &json!({"documents": documents, "completions": completions,
            "hovers": [{"path": "pipelines/subscriptions.yaml", "line": hover, "character": 6}]}),
    );
    for path in
        ["pipelines/subscriptions.yaml", "pipelines/work_orders.yaml", "pipelines/people.yaml", "pipelines/deep.yaml"]
    {
        assert_eq!(answers["diagnostics"][path], json!([]), "{path}");
    }
    for (number, (_, to, offered, not)) in asked.iter().enumerate() {
        let labels: Vec<&str> = answers["completions"][number]
            .as_array()
            .unwrap()
            .iter()
            .map(|completion| completion.as_str().unwrap())
            .collect();
        for name in *offered {
            assert!(labels.contains(name), "{to}: `{name}` is not offered: {labels:?}");
        }
        assert!(!labels.contains(not), "{to}: `{not}` is offered: {labels:?}");
    }
    for (number, (from, to, word)) in wrong.iter().enumerate() {
        let marked = answers["diagnostics"][format!("pipelines/wrong_{number}.yaml")].as_array().unwrap();
        let text = whole.replacen(from, to, 1);
        let place = text.find(&format!(": {word}")).map(|place| place + 2).unwrap();
        let line = text[..place].matches('\n').count() as u64;
        assert!(marked.iter().any(|completion| completion["line"] == line), "{to}: {marked:?}");
    }
}

#[test]
fn what_init_writes_is_good_in_an_editor() {
    let bench = Bench::new(5);
    fs::remove_file(bench.path("syncline.yaml")).unwrap();
    bench.run(&["init"]).code(0);
    sample(&bench, "subscriptions.test.yaml");
    let project = text(&bench, "syncline.yaml");
    let tests = text(&bench, "pipelines/subscriptions.test.yaml");
    let mut documents = vec![
        json!({"path": "syncline.yaml"}),
        json!({"path": "pipelines/subscriptions.yaml"}),
        json!({"path": "pipelines/subscriptions.test.yaml"}),
    ];
    let changed = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    for (path, text, from, to) in [
        ("a/syncline.yaml", &project, "rate_limit: auto", "rate_limit: ${LIMIT:-auto}"),
        ("b/syncline.yaml", &project, "login_url: ${", "login_url: ftp://${"),
        ("c/syncline.yaml", &project, "rate_limit: auto", "rate_limit: fast"),
        ("d/syncline.yaml", &project, "access_token", "acces_token"),
        ("pipelines/e.test.yaml", &tests, "source:", "sourc:"),
        ("pipelines/f.test.yaml", &tests, "code: SL5005", "code: SL4005"),
    ] {
        let text = changed(text, from, to).replace("$schema=schemas/", "$schema=../schemas/");
        documents.push(json!({"path": path, "text": text}));
    }
    let answers = edited(&bench, &json!({"documents": documents}));
    for (path, marks) in answers["diagnostics"].as_object().unwrap() {
        // An address with a variable in it is not known yet.
        let good = [
            "syncline.yaml",
            "pipelines/subscriptions.yaml",
            "pipelines/subscriptions.test.yaml",
            "a/syncline.yaml",
            "b/syncline.yaml",
        ];
        assert_eq!(marks == &json!([]), good.contains(&path.as_str()), "{path}: {marks}");
    }
}

#[test]
fn two_portals_do_not_mix_in_an_editor() {
    let bench = Bench::new(5);
    bench.run(&["catalog", "pull"]).code(0);
    let second = text(&bench, "catalog/hubspot.subscriptions.json")
        .replace("\"connection\": \"hubspot\"", "\"connection\": \"asia\"")
        .replace("51234567", "777")
        .replace("\"notes\":", "\"remarks\":");
    bench.write("catalog/asia.subscriptions.json", &second);
    let connections = text(&bench, "syncline.yaml");
    let hubspot = connections.split("  hubspot:\n").nth(1).unwrap().split("state:").next().unwrap();
    let asia = format!("  asia:\n{}state:", hubspot.replace("51234567", "777"));
    bench.edit("syncline.yaml", "state:", &asia);
    bench.run(&["validate"]).code(0);
    let narrowed = bench.run(&["schema", "pipeline", "--project"]).code(0).stdout;
    bench.write("schemas/pipeline.schema.json", &narrowed);
    let whole = text(&bench, "pipelines/subscriptions.yaml");
    let asian = whole.replace("target:\n", "target:\n  connection: asia\n");
    let answers = edited(
        &bench,
        &json!({"documents": [
            {"path": "pipelines/subscriptions.yaml"},
            {"path": "pipelines/a.yaml", "text": whole.replace("to: notes", "to: remarks")},
            {"path": "pipelines/b.yaml", "text": asian.replace("to: notes", "to: remarks")},
            {"path": "pipelines/c.yaml", "text": asian},
        ]}),
    );
    let marks = |path: &str| answers["diagnostics"][path].as_array().unwrap().len();
    assert_eq!((marks("pipelines/subscriptions.yaml"), marks("pipelines/b.yaml")), (0, 0), "{answers}");
    assert!(marks("pipelines/a.yaml") > 0 && marks("pipelines/c.yaml") > 0, "{answers}");
}
