//! The catalog: stable files, what moved in either system, definitions checked from them with nobody to ask.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Bench, Ran, ended};

/// The catalog's files with their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join("catalog")).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// A sandbox with a fresh catalog.
fn pulled() -> Bench {
    let bench = Bench::new(5);
    bench.run(&["catalog", "pull"]).code(0);
    bench
}

/// Names of requests that are no reading and no login.
fn writes(bench: &Bench) -> Vec<String> {
    let reads = |method: &str, target: &str| {
        method == "GET" || target.contains("/oauth2/") || target.contains("/batch/read") || target.contains("/search")
    };
    let requests = bench.sandbox.requests();
    let writing = requests.iter().filter(|entry| !reads(&entry.method, &entry.target));
    writing.map(|entry| format!("{} {}", entry.method, entry.target)).collect()
}

/// The program with none of the computer's variables.
fn alone(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.args(arguments).current_dir(folder).env_clear().env("NO_COLOR", "1");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    ended(command.output().unwrap())
}

/// Keys of every JSON object in a text, in the order of the text.
fn assert_sorted(name: &str, value: &Value, text: &str) {
    if let Value::Object(members) = value {
        let places: Vec<usize> = members.keys().filter_map(|key| text.find(&format!("\n  \"{key}\": "))).collect();
        assert!(places.is_sorted() && places.len() == members.len(), "{name}: {text}");
    }
}

#[test]
fn a_pull_writes_stable_files_and_the_next_changes_nothing() {
    let bench = Bench::new(5);
    let first = bench.run(&["catalog", "pull"]).code(0);
    assert!(first.stdout.contains("catalog/ holds 6 objects; 6 files written"), "{first:?}");
    let before = files(&bench.path(""));
    let names = [
        "hubspot.companies.json",
        "hubspot.subscriptions.json",
        "hubspot.work_orders.json",
        "salesforce.Account.json",
        "salesforce.Subscription__c.json",
        "salesforce.WorkOrder.json",
    ];
    assert_eq!(before.keys().collect::<Vec<_>>(), names);
    for (name, bytes) in &before {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(text.ends_with("}\n") && !text.contains('\r') && !text.contains(" \n"), "{name}: {text}");
        assert_sorted(name, &value, &text);
        // What is usual is not said, and nothing of the moment, the user or the records is kept.
        for noise in ["\"calculated\": false", "\"nillable\"", "createable", "urls", "T09:", "updatedAt", "null"] {
            assert!(!text.contains(noise), "{name}: {noise}");
        }
        // A field is a line, unless it has much to say.
        let parts = if name.starts_with("hubspot") { "properties" } else { "fields" };
        let named = value[parts].as_object().unwrap();
        let lines = text.lines().filter(|line| line.starts_with("    \"")).count();
        assert!(lines >= named.len() && named.keys().is_sorted(), "{name}: {text}");
    }
    let subscription = String::from_utf8(before["salesforce.Subscription__c.json"].clone()).unwrap();
    assert!(
        subscription.contains(
            "    \"Amount__c\": { \"label\": \"Amount\", \"precision\": 18, \"scale\": 2, \"type\": \"currency\" },\n"
        ),
        "{subscription}"
    );
    let written = fs::metadata(bench.path("catalog/hubspot.companies.json")).unwrap().modified().unwrap();
    let second = bench.run(&["catalog", "pull"]).code(0);
    assert_eq!(second.stdout, "catalog/ is up to date: 6 objects\n");
    assert_eq!(files(&bench.path("")), before);
    assert_eq!(fs::metadata(bench.path("catalog/hubspot.companies.json")).unwrap().modified().unwrap(), written);
    bench.run(&["catalog", "pull", "--check"]).code(0);
    assert_eq!(writes(&bench), Vec::<String>::new());
    assert!(!bench.path(".syncline/state.db").exists(), "a pull needs no state");
}

#[test]
fn objects_that_no_pipeline_uses_are_kept_once_they_are_named() {
    let bench = pulled();
    let ran = bench.run(&["catalog", "pull", "Contact", "hubspot.deals"]).code(0);
    assert!(
        ran.stdout.contains("+ Salesforce Contact is new") && ran.stdout.contains("+ HubSpot deals is new"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("not used by any pipeline:"), "{ran:?}");
    let before = files(&bench.path(""));
    assert!(before.contains_key("salesforce.Contact.json") && before.contains_key("hubspot.deals.json"));
    bench.run(&["catalog", "pull"]).code(0);
    assert_eq!(files(&bench.path("")), before);
    let none = bench.run(&["catalog", "pull", "Nothing__c"]).code(1);
    assert!(none.stderr.contains("SL3004") && none.stderr.contains("`Nothing__c`"), "{none:?}");
    assert_eq!(files(&bench.path("")), before);
}

/// Everything that people can change in either system, at once.
fn change_both(bench: &Bench) {
    let object = "Subscription__c";
    let salesforce = |action: &str, more: Value| {
        let mut arguments = json!({"object": object});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.salesforce(action, arguments);
    };
    salesforce("add_field", json!({"field": {"name": "Tier__c", "type": "string", "label": "Tier"}}));
    salesforce("rename_field", json!({"field": "External_Code__c", "to": "External_Number__c"}));
    salesforce("hide", json!({"field": "Seats__c"}));
    salesforce("retype_field", json!({"field": "Amount__c", "type": "double"}));
    salesforce("change_field", json!({"field": "Name", "set": {"length": 120}}));
    salesforce("change_field", json!({"field": "Start__c", "set": {"nillable": false}}));
    salesforce("change_field", json!({"field": "Renews_At__c", "set": {"calculated": true, "label": "Renewal"}}));
    salesforce("add_picklist_value", json!({"field": "Status__c", "value": "Paused"}));
    let channels: Vec<Value> = ["Web", "Email", "Phone", "Partner"]
        .map(|value| json!({"value": value, "label": value, "active": true, "defaultValue": false}))
        .into();
    salesforce("change_field", json!({"field": "Channels__c", "set": {"picklistValues": channels}}));
    let hubspot = |action: &str, more: Value| {
        let mut arguments = json!({"object": "subscriptions"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.hubspot(action, arguments);
    };
    let tier = json!({"name": "tier", "label": "Tier", "type": "string", "fieldType": "text"});
    hubspot("add_property", json!({"property": tier}));
    hubspot("archive_property", json!({"property": "headline"}));
    hubspot("add_option", json!({"property": "status", "value": "paused"}));
    hubspot("remove_option", json!({"property": "status", "value": "draft"}));
    hubspot("require", json!({"property": "currency"}));
    hubspot("change_property", json!({"property": "salesforce_id", "set": {"hasUniqueValue": false}}));
    hubspot("change_property", json!({"property": "seats", "set": {"type": "string", "fieldType": "text"}}));
    hubspot("change_property", json!({"property": "notes", "set": {"modificationMetadata": {"readOnlyValue": true}}}));
    let label = json!({"from": "subscriptions", "to": "0-2", "name": "partner", "label": "partner"});
    bench.hubspot("seed", json!({"labels": [label]}));
}

/// What [`change_both`] is told as: item, kind, words, and whether a pipeline uses it.
const MOVES: [(&str, &str, &str, bool); 20] = [
    ("Amount__c", "type", "changed its type from currency to double", true),
    ("Channels__c", "value_removed", "lost the picklist value `Fax`", true),
    ("Channels__c", "other", "has its picklist values in another order", true),
    ("External_Code__c", "renamed", "`External_Number__c` is new with the same type: it looks renamed", true),
    ("Name", "length", "changed its length from 80 to 120", true),
    ("Renews_At__c", "writability", "is calculated now", true),
    ("Renews_At__c", "label", "is called “Renewal” now, it was “Renews at”", true),
    ("Seats__c", "removed", "field-level security hides it from the integration user", true),
    ("Start__c", "requiredness", "is required now", true),
    ("Status__c", "value_added", "has a new picklist value `Paused`", true),
    ("Tier__c", "added", "is new (string, “Tier”)", false),
    ("companies: partner", "added", "is a new kind of association", true),
    ("currency", "requiredness", "is required for new records now", true),
    ("headline", "removed", "was archived in HubSpot", true),
    ("notes", "writability", "can no longer be written", true),
    ("salesforce_id", "uniqueness", "no longer has unique values", true),
    ("seats", "type", "changed its type from number to string", true),
    ("status", "value_removed", "lost the option `draft`", true),
    ("status", "value_added", "has a new option `paused`", true),
    ("tier", "added", "is new (string, “Tier”)", false),
];

#[test]
fn what_moved_is_told_with_the_pipelines_that_it_touches() {
    let bench = pulled();
    let before = files(&bench.path(""));
    change_both(&bench);
    let check = bench.run(&["catalog", "pull", "--check", "--format", "json"]).code(2).json();
    assert_eq!(files(&bench.path("")), before, "a check writes nothing");
    assert_eq!(
        check["files"],
        json!(["catalog/hubspot.subscriptions.json", "catalog/salesforce.Subscription__c.json"])
    );
    let changes = check["changes"].as_array().unwrap();
    for (item, kind, message, used) in &MOVES {
        let change = changes.iter().find(|change| change["item"] == *item && change["kind"] == *kind);
        let change = change.unwrap_or_else(|| panic!("{item} {kind} is not told: {changes:#?}"));
        assert!(change["message"].as_str().unwrap().contains(message), "{change}");
        assert_eq!(change["pipelines"] == json!(["subscriptions"]), *used, "{change}");
        assert!(*used || change["pipelines"] == json!([]), "{change}");
    }
    assert_eq!(changes.len(), MOVES.len(), "{changes:#?}");
    let text = bench.run(&["catalog", "pull"]).code(0).stdout;
    for line in [
        "used by pipelines:",
        "  ~ Salesforce Subscription__c.External_Code__c is gone, and `External_Number__c` is new with the same type: it looks renamed  [subscriptions]",
        "  - HubSpot subscriptions.headline was archived in HubSpot  [subscriptions]",
        "not used by any pipeline:",
        "  + Salesforce Subscription__c.Tier__c is new (string, “Tier”)",
        "catalog/ holds 6 objects; 2 files written: commit them",
    ] {
        assert!(text.lines().any(|printed| printed == line), "`{line}` is not in\n{text}");
    }
    assert_eq!(bench.run(&["catalog", "pull", "--check"]).code(0).stdout, "catalog/ is up to date: 6 objects\n");
}

#[test]
fn a_part_of_a_parent_touches_the_pipelines_that_go_through_it() {
    let bench = pulled();
    bench.salesforce("hide", json!({"object": "Account", "field": "Name"}));
    bench.hubspot("archive_property", json!({"object": "0-2", "property": "salesforceaccountid"}));
    let changes = bench.run(&["catalog", "pull", "--check", "--format", "json"]).code(2).json()["changes"].clone();
    for item in ["Name", "salesforceaccountid"] {
        let change = changes.as_array().unwrap().iter().find(|change| change["item"] == item).unwrap();
        assert_eq!(change["pipelines"], json!(["subscriptions", "work_orders"]), "{change}");
    }
}

#[test]
fn definitions_are_checked_with_nobody_to_ask() {
    let bench = pulled();
    bench.edit("syncline.yaml", "sandbox-secret", "${SECRET_THAT_NOBODY_SET}");
    bench.edit("syncline.yaml", "sandbox-hubspot-token", "${TOKEN_THAT_NOBODY_SET}");
    let folder = bench.stop();
    let run = |arguments: &[&str]| alone(folder.path(), arguments);
    let good = run(&["validate"]).code(0);
    assert!(good.stdout.contains("2 pipelines checked: no errors") && good.stderr.is_empty(), "{good:?}");
    run(&["test"]).code(0);
    assert!(run(&["schema", "pipeline", "--project"]).code(0).stdout.contains("Billing_Email__c"));
    let path = folder.path().join("pipelines/subscriptions.yaml");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, code, words) in [
        ("from: Seats__c", "from: Seat__c", "SL3001", "did you mean `Seats__c`?"),
        ("to: seats", "to: seat", "SL2030", "did you mean `seats`?"),
        ("to: headline", "to: hs_object_id", "SL2031", "`hs_object_id`"),
        ("label: billing_account", "label: billing", "SL2045", "`billing`"),
        ("match: salesforceaccountid", "match: salesforce_account", "SL2044", "`salesforce_account`"),
        ("match: salesforce_id", "match: source_system", "SL2034", "source_system"),
        ("{{ Name }}", "{{ Nam }}", "SL2040", "Nam"),
        ("Status__c != 'Draft'", "Statu__c != 'Draft'", "SL2042", "Statu__c"),
    ] {
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).unwrap();
        let ran = run(&["validate"]).code(1);
        assert!(ran.stdout.contains(&format!("error[{code}]")) && ran.stdout.contains(words), "{to}: {ran:?}");
    }
    // What sets some records aside is a warning, unless warnings are denied.
    fs::write(&path, text.replace("Active: active", "Active: aktiv")).unwrap();
    let ran = run(&["validate"]).code(0);
    assert!(ran.stdout.contains("warning[SL2038]: `aktiv`"), "{ran:?}");
    let ran = run(&["validate", "--deny", "warnings"]).code(1);
    assert!(ran.stdout.contains("error[SL2038]: `aktiv`") && !ran.stdout.contains("warning["), "{ran:?}");
    // With credentials asked for, the lack of them is said.
    fs::write(&path, text).unwrap();
    let online = run(&["validate", "--online"]).code(1);
    assert!(online.stdout.contains("SL1010") && online.stdout.contains("SECRET_THAT_NOBODY_SET"), "{online:?}");
}

#[test]
fn online_the_catalog_is_compared_with_the_systems() {
    let bench = pulled();
    let current = bench.run(&["validate", "--online"]).code(0);
    assert!(!current.stdout.contains("SL3011"), "{current:?}");
    bench.salesforce("change_field", json!({"object": "Subscription__c", "field": "Name", "set": {"length": 120}}));
    bench.salesforce(
        "add_field",
        json!({"object": "Subscription__c", "field": {"name": "Tier__c", "type": "string", "label": "Tier"}}),
    );
    bench.hubspot("add_option", json!({"object": "work_orders", "property": "status", "value": "Cannot Complete"}));
    let before = files(&bench.path(""));
    assert!(!bench.run(&["validate"]).code(0).stdout.contains("SL3011"));
    let found = bench.run(&["validate", "--online", "--format", "json"]).code(0).json();
    let found = found["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] == "SL3011");
    let found: Vec<(&str, &str)> =
        found.map(|finding| (finding["file"].as_str().unwrap(), finding["message"].as_str().unwrap())).collect();
    assert_eq!(
        found,
        [
            (
                "pipelines/subscriptions.yaml",
                "the catalog is out of date: Subscription__c.Name changed its length from 80 to 120"
            ),
            (
                "pipelines/work_orders.yaml",
                "the catalog is out of date: work_orders.status has a new option `Cannot Complete`"
            ),
        ]
    );
    assert_eq!(files(&bench.path("")), before, "nothing is written");
    assert!(!bench.run(&["validate", "work_orders", "--online"]).code(0).stdout.contains("Subscription__c.Name"));
    bench.run(&["catalog", "pull"]).code(0);
    assert!(!bench.run(&["validate", "--online"]).code(0).stdout.contains("SL3011"));
}

/// A mapped field that describe no longer shows: an error that names the permission, whoever meets it, and HubSpot keeps
/// what it has.
#[test]
fn the_list_of_a_portals_objects_is_read_once() {
    let bench = pulled();
    bench.sandbox.forget_requests();
    bench.run(&["validate", "--online"]).code(0);
    let lists = bench.sandbox.requests();
    let lists = lists.iter().filter(|request| request.service == "hubspot" && request.target.contains("/schemas?"));
    assert_eq!(lists.count(), 1);
}

#[test]
fn a_field_that_vanished_blanks_nothing() {
    let bench = pulled();
    bench.import();
    let before = bench.records("subscriptions");
    assert!(
        before.values().any(|record| record["properties"]["start_date"].as_str().is_some_and(|day| !day.is_empty()))
    );
    for row in bench.rows("Subscription__c").keys() {
        let change = json!({"object": "Subscription__c", "id": row, "values": {"Currency__c": "CHF"}});
        bench.salesforce("update", change);
    }
    for (field, more) in [("Start__c", "from: Start__c"), ("Work_Order__c", "field: Work_Order__c")] {
        bench.salesforce("hide", json!({"object": "Subscription__c", "field": field}));
        bench.sandbox.forget_requests();
        let printed = |ran: &Ran| {
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            for part in ["SL3001", more, &format!("`{field}`"), "permission set", "field permissions"] {
                assert!(printed.contains(part), "{field}: `{part}` is not in {printed}");
            }
        };
        // The catalog still has it, so only the systems tell.
        bench.run(&["validate"]).code(0);
        for command in [
            &["validate", "--online"][..],
            &["plan", "subscriptions"],
            &["import", "subscriptions", "--yes"],
            &["sync", "subscriptions", "--once"],
        ] {
            printed(&bench.run(command).code(1));
        }
        assert_eq!(writes(&bench), Vec::<String>::new(), "{field}");
        assert_eq!(bench.records("subscriptions"), before, "{field}");
        let pull = bench.run(&["catalog", "pull"]).code(0);
        assert!(
            pull.stdout.contains(&format!("- Salesforce Subscription__c.{field} is no longer visible")),
            "{pull:?}"
        );
        printed(&bench.run(&["validate"]).code(1));
        bench.salesforce("show", json!({"object": "Subscription__c", "field": field}));
        bench.run(&["catalog", "pull"]).code(0);
        bench.run(&["validate"]).code(0);
    }
    bench.sync();
}

#[test]
fn a_parent_that_vanished_names_the_permission_as_well() {
    let bench = pulled();
    bench.edit("pipelines/subscriptions.yaml", "  - field: Work_Order__c\n    pipeline: work_orders\n", "");
    bench.edit("pipelines/subscriptions.yaml", "Account__r.Name", "Work_Order__r.Subject");
    bench.run(&["catalog", "pull"]).code(0);
    bench.run(&["validate", "subscriptions"]).code(0);
    bench.salesforce("hide", json!({"object": "Subscription__c", "field": "Work_Order__c"}));
    bench.run(&["catalog", "pull"]).code(0);
    let ran = bench.run(&["validate", "subscriptions"]).code(1);
    for part in ["SL3001", "followed as `Work_Order__r`", "`Work_Order__c` exists", "permission set"] {
        assert!(ran.stdout.contains(part), "`{part}`: {ran:?}");
    }
}

#[test]
fn a_parent_object_that_vanished_is_named() {
    let bench = pulled();
    bench.import();
    let before = bench.records("subscriptions");
    let mut world = bench.sandbox.dump();
    world["salesforce"]["objects"].as_object_mut().unwrap().remove("account").unwrap();
    bench.sandbox.restore(&world).unwrap();
    for command in
        [&["validate", "--online"][..], &["plan", "subscriptions"], &["import", "--yes"], &["sync", "--once"]]
    {
        let ran = bench.run(command).code(1);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        for part in [
            "SL3002",
            "Salesforce shows no object `Account`, which a path of this pipeline goes through",
            "from: Account__r.Name",
            "read permission",
        ] {
            assert!(printed.contains(part), "{command:?}: `{part}` is not in {printed}");
        }
    }
    assert_eq!(bench.records("subscriptions"), before);
    let pull = bench.run(&["catalog", "pull"]).code(1);
    assert!(pull.stderr.contains("describe Account") && pull.stderr.contains("read permission"), "{pull:?}");
    assert!(bench.path("catalog/salesforce.Account.json").exists(), "a pull that fails writes nothing");
}

#[test]
fn fields_whose_changes_are_noticed_late_are_warned_about() {
    let bench = Bench::new(5);
    for (name, kind) in [("Margin__c", "double"), ("Visits__c", "int")] {
        let field = json!({"name": name, "type": kind, "label": name, "calculated": true});
        bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    }
    bench.edit("pipelines/subscriptions.yaml", "from: Seats__c", "from: Visits__c");
    bench.edit("pipelines/subscriptions.yaml", "from: Amount__c", "from: Margin__c");
    bench.run(&["catalog", "pull"]).code(0);
    let found = bench.run(&["validate", "--format", "json"]).code(0).json();
    let warned = |item: &str, words: &str| {
        let findings = found["findings"].as_array().unwrap();
        let finding = findings
            .iter()
            .find(|finding| finding["code"] == "SL2050" && finding["message"].as_str().unwrap().contains(item));
        let finding = finding.unwrap_or_else(|| panic!("{item}: {findings:#?}"));
        assert!(finding["message"].as_str().unwrap().contains(words), "{finding}");
        assert_eq!(finding["severity"], "warning");
        let help = finding["help"].as_str().unwrap();
        assert!(help.contains("`syncline reconcile subscriptions` carries the change over"), "{finding}");
        assert!(help.contains("every 1d (`sync.reconcile`)"), "{finding}");
    };
    warned("`Margin__c`", "is calculated");
    warned("`Visits__c`", "is calculated");
    assert!(!found.to_string().contains("Account__r.Name"), "a sync asks for the accounts that changed: {found}");
    bench.edit("pipelines/subscriptions.yaml", "overlap: 10m", "overlap: 10m\n  parents: off");
    let found = bench.run(&["validate"]).code(0);
    let message = "`Account__r.Name` belongs to a parent record, and `sync.parents` is `off`";
    assert!(found.stderr.contains(message) || found.stdout.contains(message), "{found:?}");
}

#[test]
fn without_a_catalog_what_needs_it_says_so() {
    let bench = Bench::new(5);
    let ran = bench.run(&["validate"]).code(0);
    assert!(ran.stdout.contains("warning[SL3010]") && ran.stdout.contains("catalog pull"), "{ran:?}");
    for command in [&["test"][..], &["schema", "pipeline", "--project"]] {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains("SL3010") && ran.stderr.contains("syncline catalog pull"), "{command:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{command:?}");
    }
    assert_eq!(bench.calls("salesforce") + bench.calls("hubspot"), 0);
    bench.run(&["catalog", "pull"]).code(0);
    for (file, words, line) in [
        ("salesforce.Account.json", "`Account` of Salesforce is not in the catalog", "object: Subscription__c"),
        ("hubspot.subscriptions.json", "`subscriptions` of HubSpot is not in the catalog", "object: subscriptions"),
        ("hubspot.companies.json", "`companies` of HubSpot is not in the catalog", "to: companies"),
    ] {
        let text = fs::read(bench.path("catalog").join(file)).unwrap();
        fs::remove_file(bench.path("catalog").join(file)).unwrap();
        let ran = bench.run(&["validate", "subscriptions"]).code(1);
        for part in ["SL3007", words, line, "syncline catalog pull"] {
            assert!(ran.stdout.contains(part), "{file}: {ran:?}");
        }
        bench.run(&["catalog", "pull"]).code(0);
        assert_eq!(fs::read(bench.path("catalog").join(file)).unwrap(), text, "{file} comes back as it was");
    }
}

#[test]
fn a_damaged_file_is_named_and_written_anew() {
    let bench = pulled();
    let before = files(&bench.path(""));
    let file = "catalog/hubspot.subscriptions.json";
    let text = fs::read_to_string(bench.path(file)).unwrap();
    for (damaged, words) in [
        (text[..text.len() / 2].to_owned(), "it is not JSON"),
        (format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"), "merge conflict markers"),
        (text.replace("\"version\": 1", "\"version\": 7"), "its form has version 7, this Syncline knows 1"),
        (text.replace("\"portal_id\"", "\"portal\""), "no file of the catalog"),
        (text.replace("\"type\": \"number\"", "\"type\": 5"), "no file of the catalog"),
        (String::new(), "it is not JSON"),
    ] {
        bench.write(file, &damaged);
        for command in [&["validate"][..], &["test"]] {
            let ran = bench.run(command).code(1);
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            for part in ["SL3008", file, words, "syncline catalog pull"] {
                assert!(printed.contains(part), "{words}, {command:?}: {printed}");
            }
            // One cause is told once.
            assert_eq!(printed.matches("error[").count(), 1, "{printed}");
        }
        bench.run(&["catalog", "pull", "--check"]).code(2);
        bench.run(&["catalog", "pull"]).code(0);
        assert!(files(&bench.path("")) == before, "{words}");
    }
}

#[test]
fn a_damaged_file_of_an_object_that_no_pipeline_uses_comes_back() {
    let bench = pulled();
    bench.run(&["catalog", "pull", "Contact", "hubspot.deals"]).code(0);
    let before = files(&bench.path(""));
    bench.write("catalog/salesforce.Contact.json", "<<<<<<< HEAD\n");
    bench.write("catalog/hubspot.deals.json", "{");
    let online = bench.run(&["validate", "--online"]).code(1);
    for part in ["SL3008", "catalog/hubspot.deals.json:1:1", "catalog/salesforce.Contact.json:1:1", "merge conflict"] {
        assert!(online.stdout.contains(part), "{part}: {online:?}");
    }
    bench.run(&["catalog", "pull"]).code(0);
    assert!(files(&bench.path("")) == before);
    // What no pull wrote stays, and is named.
    bench.write("catalog/notes.json", "{}");
    bench.write("catalog/README.md", "ours");
    let ran = bench.run(&["catalog", "pull"]).code(0);
    assert!(ran.stdout.contains("catalog/notes.json was not written by a pull"), "{ran:?}");
    assert!(bench.path("catalog/notes.json").exists() && bench.path("catalog/README.md").exists());
}

#[test]
fn a_custom_object_called_like_a_standard_one_keeps_its_file() {
    let bench = pulled();
    let id = "0-3";
    let key = json!({"name": "key", "label": "Key", "type": "string", "fieldType": "text", "hasUniqueValue": true});
    let custom = json!({"name": "deals", "labels": {"singular": "Deal", "plural": "Own deals"},
        "primaryDisplayProperty": "key", "requiredProperties": ["key"], "properties": [key]});
    bench.hubspot("seed", json!({"schemas": [custom]}));
    bench.run(&["catalog", "pull", "hubspot.deals"]).code(0);
    let before = files(&bench.path(""));
    assert!(String::from_utf8_lossy(&before["hubspot.deals.json"]).contains("Own deals"));
    bench.run(&["catalog", "pull", &format!("hubspot.{id}")]).code(0);
    let both = files(&bench.path(""));
    assert_eq!(both.len(), before.len() + 1);
    assert!(both.contains_key(&format!("hubspot.{id}.json")), "{:?}", both.keys());
    for round in 0..2 {
        assert!(before.iter().all(|(name, bytes)| both.get(name) == Some(bytes)), "round {round}");
        bench.run(&["validate"]).code(0);
        let again = bench.run(&["catalog", "pull"]).code(0);
        assert!(again.stdout.starts_with("catalog/ is up to date: 8 objects"), "round {round}: {again:?}");
        assert!(files(&bench.path("")) == both, "round {round}");
    }
}

#[test]
fn the_catalog_of_another_portal_is_refused() {
    let bench = pulled();
    let before = files(&bench.path(""));
    // The definitions name another portal than the files.
    bench.edit("syncline.yaml", "portal_id: 51234567", "portal_id: 777");
    let ran = bench.run(&["validate"]).code(1);
    for part in ["SL3009", "the catalog is of portal 51234567, not of 777", "portal_id: 777", "syncline.yaml:"] {
        assert!(ran.stdout.contains(part), "{ran:?}");
    }
    for command in [&["test"][..], &["schema", "pipeline", "--project"]] {
        assert!(bench.run(command).code(1).stderr.contains("SL3009"), "{command:?}");
    }
    let pull = bench.run(&["catalog", "pull"]).code(1);
    assert!(pull.stderr.contains("SL3005") && pull.stderr.contains("51234567"), "{pull:?}");
    // The token leads to another portal than the files are of.
    bench.edit("syncline.yaml", "    portal_id: 777\n", "");
    bench.run(&["validate"]).code(0);
    bench.hubspot("seed", json!({"portal": {"portal_id": 888}}));
    for command in [&["catalog", "pull"][..], &["catalog", "pull", "--check"], &["validate", "--online"]] {
        let ran = bench.run(command).code(1);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            printed.contains("SL3009") && printed.contains("51234567") && printed.contains("888"),
            "{command:?}: {ran:?}"
        );
    }
    assert_eq!(files(&bench.path("")), before);
    // Files of two portals side by side.
    bench.edit("catalog/hubspot.work_orders.json", "\"portal_id\": 51234567", "\"portal_id\": 888");
    let ran = bench.run(&["validate"]).code(1);
    assert!(ran.stdout.contains("SL3009") && ran.stdout.contains("catalog/hubspot.work_orders.json"), "{ran:?}");
    assert_eq!(ran.stdout.matches("error[").count(), 1, "{ran:?}");
    fs::remove_dir_all(bench.path("catalog")).unwrap();
    bench.run(&["catalog", "pull"]).code(0);
    bench.run(&["validate"]).code(0);
}
