//! Drafts of orgs as they are: what `new` makes goes through `validate` and `import` untouched, or is refused before anything is made.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, Ran, report};

fn empty() -> Bench {
    let bench = Bench::new(5);
    fs::remove_dir_all(bench.path("pipelines")).unwrap();
    fs::create_dir(bench.path("pipelines")).unwrap();
    bench
}

/// Seeds an object with these fields.
fn seed(bench: &Bench, name: &str, fields: &Value) {
    let object = json!({"name": name, "label": name.trim_end_matches("__c"), "labelPlural": "Many of them", "keyPrefix": "a88",
        "custom": true, "fields": fields});
    bench.salesforce("seed", json!({"objects": [object]}));
}

fn field(name: &str, kind: &str, more: &Value) -> Value {
    let mut field = json!({"name": name, "type": kind, "label": name.trim_end_matches("__c").replace('_', " ")});
    field.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    field
}

fn made(bench: &Bench, object: &str) -> Ran {
    bench.run(&["new", "things", "--source", object, "--target", "things", "--create-target", "--apply"]).code(0)
}

/// Pulls, validates and imports what was written, untouched; all records must arrive. Their properties, by Salesforce id.
fn arrived(bench: &Bench, records: u64) -> BTreeMap<String, Value> {
    bench.run(&["catalog", "pull"]).code(0);
    bench.run(&["validate"]).code(0);
    let reports = bench.import();
    let outcome = report(&reports, "things");
    assert_eq!((outcome["created"].as_u64(), outcome["failed"].as_u64()), (Some(records), Some(0)), "{reports}");
    let records = bench.records("things").into_values();
    records
        .map(|record| {
            (record["properties"]["salesforce_id"].as_str().unwrap().to_owned(), record["properties"].clone())
        })
        .collect()
}

fn create(bench: &Bench, object: &str, values: Value) -> String {
    bench.salesforce("create", json!({"object": object, "values": values}))["id"].as_str().unwrap().to_owned()
}

/// Nothing may have been made in HubSpot, and no file written.
#[track_caller]
fn refused(bench: &Bench, arguments: &[&str], parts: &[&str]) {
    bench.sandbox.forget_requests();
    for apply in [&["--create-target"][..], &["--create-target", "--apply"]] {
        let ran = bench.run(&[&["new"], arguments, apply].concat()).code(1);
        assert!(ran.stdout.is_empty(), "{ran:?}");
        for part in parts.iter().chain(&["nothing was created in HubSpot"]) {
            assert!(ran.stderr.contains(part), "`{part}` is not in {}", ran.stderr);
        }
    }
    let posts =
        bench.sandbox.requests().into_iter().filter(|request| request.service == "hubspot" && request.method != "GET");
    assert_eq!(posts.count(), 0, "{arguments:?}");
    assert!(!bench.path(&format!("pipelines/{}.yaml", arguments[0])).exists(), "{arguments:?}");
}

#[test]
fn fields_of_every_kind_arrive_untouched() {
    let bench = empty();
    let list = |values: &[(&str, &str, bool)]| -> Value {
        values.iter().map(|(value, label, active)| json!({"value": value, "label": label, "active": active})).collect()
    };
    let part = |name: &str, kind: &str| field(name, kind, &json!({"compoundFieldName": "Site__c"}));
    let states = list(&[("AL", "Alabama", true), ("AL", "Alagoas", true), ("BY", "Bavaria", true)]);
    seed(
        &bench,
        "Thing__c",
        &json!([
            field("Name", "string", &json!({"nameField": true})),
            // Two fields of one label.
            field("First__c", "string", &json!({"label": "Value"})),
            field("Second__c", "string", &json!({"label": "Value"})),
            field("SLAExpirationDate__c", "date", &json!({})),
            field("Opens__c", "time", &json!({})),
            field("Phone__c", "phone", &json!({})),
            field("Site_Url__c", "url", &json!({})),
            field("Mail__c", "email", &json!({})),
            field(
                "Story__c",
                "textarea",
                &json!({"length": 32_000, "htmlFormatted": true, "extraTypeInfo": "richtextarea"})
            ),
            field("Notes__c", "textarea", &json!({})),
            field("Share__c", "percent", &json!({"precision": 5, "scale": 2})),
            field("Price__c", "currency", &json!({"precision": 18, "scale": 2})),
            field("On__c", "boolean", &json!({})),
            field("Sum__c", "currency", &json!({"precision": 18, "scale": 2, "calculated": true})),
            field(
                "Kind__c",
                "picklist",
                &json!({"picklistValues": list(&[("a", "One", true), ("b", "One", true), ("old", "Old", false)])})
            ),
            field("Site__c", "address", &json!({"createable": false})),
            part("Site__Street__s", "textarea"),
            part("Site__City__s", "string"),
            field("Site__StateCode__s", "picklist", &json!({"compoundFieldName": "Site__c", "picklistValues": states})),
            field("Site__GeocodeAccuracy__s", "picklist", &json!({"compoundFieldName": "Site__c"})),
            field("Parent__c", "reference", &json!({"referenceTo": ["Thing__c"], "relationshipName": "Parent__r"})),
        ]),
    );
    let ran = made(&bench, "Thing__c");
    let body: Value = serde_json::from_str(ran.stdout.split("wrote ").next().unwrap()).unwrap();
    let properties: BTreeMap<&str, &Value> = body["properties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|property| (property["name"].as_str().unwrap(), property))
        .collect();
    for (name, kind, form) in [
        ("first", "string", "text"),
        ("sla_expiration_date", "date", "date"),
        ("opens", "string", "text"),
        ("phone", "string", "phonenumber"),
        ("mail", "string", "text"),
        ("story", "string", "html"),
        ("notes", "string", "textarea"),
        ("share", "number", "number"),
        ("price", "number", "number"),
        ("on", "bool", "booleancheckbox"),
        ("kind", "enumeration", "select"),
        ("site_street", "string", "textarea"),
        ("site_city", "string", "text"),
        ("site_state_code", "enumeration", "select"),
    ] {
        let property = properties.get(name).unwrap_or_else(|| panic!("{name} is not in {body}"));
        assert_eq!((&property["type"], &property["fieldType"]), (&json!(kind), &json!(form)), "{property}");
    }
    assert!(!properties.contains_key("site") && !properties.contains_key("site_geocode_accuracy"), "{body}");
    assert_eq!(body["labels"], json!({"singular": "Thing", "plural": "Many of them"}));
    let hidden: Vec<&Value> =
        properties["kind"]["options"].as_array().unwrap().iter().map(|option| &option["hidden"]).collect();
    assert_eq!(hidden, [&json!(false), &json!(false), &json!(true)]);
    assert_eq!(properties["site_state_code"]["options"].as_array().unwrap().len(), 2);
    let first = create(
        &bench,
        "Thing__c",
        json!({"Name": "one", "First__c": "1", "Second__c": "2", "Share__c": "50", "Kind__c": "b",
        "Opens__c": "14:30:00.000Z", "Site__Street__s": "Street 1", "Site__City__s": "Rome", "Site__StateCode__s": "AL",
        "SLAExpirationDate__c": "2026-10-01"}),
    );
    let second = create(&bench, "Thing__c", json!({"Parent__c": first, "Kind__c": "a"}));
    let records = arrived(&bench, 2);
    let expected = [
        ("first", "1"),
        ("second", "2"),
        ("kind", "b"),
        ("opens", "14:30:00.000Z"),
        ("site_street", "Street 1"),
        ("site_city", "Rome"),
        ("site_state_code", "AL"),
        ("sla_expiration_date", "2026-10-01"),
        ("share", "0.5"),
    ];
    for (name, value) in expected {
        assert_eq!(records[&first][name], value, "{name}: {}", records[&first]);
    }
    assert!(records.contains_key(&second), "a record without a name arrives as well");
    let text = fs::read_to_string(bench.path("pipelines/things.yaml")).unwrap();
    assert!(text.contains("\n  - { field: Parent__c, pipeline: things }\n"), "{text}");
    let remark =
        "\n  # Sum__c is calculated: a change to it alone is not noticed at once\n  - { from: Sum__c, to: sum }\n";
    assert!(text.contains(remark), "above its entry: {text}");
    assert!(
        bench.records("things").values().any(|record| !record["associations"].as_array().is_none_or(Vec::is_empty)
            || record["associations"].as_object().is_some_and(|associations| !associations.is_empty())),
        "the association with itself is defined"
    );
}

#[test]
fn an_object_without_a_name_field_and_one_of_650_fields_arrive_untouched() {
    for (count, name) in [(15, None), (650, Some("Name"))] {
        let bench = empty();
        let mut fields: Vec<Value> =
            (0..count).map(|place| field(&format!("Field_{place}__c"), "string", &json!({}))).collect();
        fields.extend(name.map(|name| field(name, "string", &json!({"nameField": true, "nillable": false}))));
        seed(&bench, "Thing__c", &json!(fields));
        made(&bench, "Thing__c");
        create(
            &bench,
            "Thing__c",
            json!({"Name": "x", "Field_7__c": "seven"})
                .as_object()
                .map(|property| {
                    property
                        .iter()
                        .filter(|(key, _)| name.is_some() || *key != "Name")
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect()
                })
                .map(Value::Object)
                .unwrap(),
        );
        let records = arrived(&bench, 1);
        assert_eq!(records.values().next().unwrap()["field_7"], "seven");
    }
}

#[test]
fn an_object_of_650_fields_is_paired_with_650_like_named_properties_at_once() {
    let bench = empty();
    let mut fields: Vec<Value> =
        (0..650).map(|place| field(&format!("Custom_Field_{place}__c"), "string", &json!({}))).collect();
    fields.push(field("Name", "string", &json!({"nameField": true, "nillable": false})));
    seed(&bench, "Thing__c", &json!(fields));
    made(&bench, "Thing__c");
    fs::remove_file(bench.path("pipelines/things.yaml")).unwrap();
    let started = std::time::Instant::now();
    bench.run(&["new", "again", "--source", "Thing__c", "--target", "things"]).code(0);
    let took = started.elapsed();
    let draft = fs::read_to_string(bench.path("pipelines/again.yaml")).unwrap();
    for place in [0, 9, 64, 649] {
        let entry = format!("  - {{ from: Custom_Field_{place}__c, to: custom_field_{place} }}\n");
        assert!(draft.contains(&entry), "{entry}");
    }
    // Pair by pair it took over five seconds, in the build that is not optimised.
    assert!(took.as_secs_f64() < 4.0, "{took:?}");
}

#[test]
fn person_accounts_and_records_with_currencies_arrive_untouched() {
    let bench = empty();
    let list = |values: &[&str]| -> Value {
        values.iter().map(|value| json!({"value": value, "label": value, "active": true})).collect()
    };
    let currency = field(
        "CurrencyIsoCode",
        "picklist",
        &json!({"restrictedPicklist": true, "nillable": true, "picklistValues": list(&["EUR", "USD", "CHF"])}),
    );
    let part = |name: &str| field(name, "string", &json!({"compoundFieldName": "Name", "nillable": true}));
    // The account of an org with person accounts: its name is made of parts where it is a person, and contact fields stand beside.
    let fields = json!([
        field("Name", "string", &json!({"nameField": true, "nillable": false, "createable": true})),
        part("FirstName"),
        part("LastName"),
        field("Salutation", "picklist", &json!({"compoundFieldName": "Name", "picklistValues": list(&["Mr.", "Ms."])})),
        field("IsPersonAccount", "boolean", &json!({})),
        field("PersonEmail", "email", &json!({"nillable": true})),
        field("PersonMobilePhone", "phone", &json!({"nillable": true})),
        field("PersonBirthdate", "date", &json!({"nillable": true})),
        field(
            "PersonContactId",
            "reference",
            &json!({"referenceTo": ["Contact"], "relationshipName": "PersonContact", "nillable": true})
        ),
        field("AnnualRevenue", "currency", &json!({"precision": 18, "scale": 0, "nillable": true})),
        currency,
    ]);
    seed(&bench, "Client__c", &fields);
    made(&bench, "Client__c");
    let person = create(
        &bench,
        "Client__c",
        json!({"Name": "Ann Lee", "FirstName": "Ann", "LastName": "Lee", "Salutation": "Ms.", "IsPersonAccount": true,
            "PersonEmail": "ann@example.com", "PersonBirthdate": "1990-02-28", "CurrencyIsoCode": "CHF", "AnnualRevenue": 1200}),
    );
    let business = create(
        &bench,
        "Client__c",
        json!({"Name": "Acme", "IsPersonAccount": false, "CurrencyIsoCode": "USD", "AnnualRevenue": 1_000_000}),
    );
    let records = arrived(&bench, 2);
    let values =
        |id: &String, names: [&str; 5]| names.map(|name| records[id][name].as_str().unwrap_or_default().to_owned());
    let names = ["name", "is_person_account", "person_email", "currency_iso_code", "annual_revenue"];
    assert_eq!(values(&person, names), ["Ann Lee", "true", "ann@example.com", "CHF", "1200"]);
    assert_eq!(values(&business, names), ["Acme", "false", "", "USD", "1000000"]);
    assert_eq!(records[&person]["last_name"], "Lee");
}

#[test]
fn the_account_of_an_org_with_person_accounts_and_currencies_arrives_untouched() {
    let bench = empty();
    let list = |values: &[&str]| -> Value {
        values.iter().map(|value| json!({"value": value, "label": value, "active": true})).collect()
    };
    let blank = json!({"nillable": true});
    let part = |name: &str, of: &str| field(name, "string", &json!({"compoundFieldName": of, "nillable": true}));
    for added in [
        part("FirstName", "Name"),
        part("LastName", "Name"),
        field(
            "Salutation",
            "picklist",
            &json!({"compoundFieldName": "Name", "nillable": true, "picklistValues": list(&["Mr.", "Ms."])}),
        ),
        field("IsPersonAccount", "boolean", &json!({})),
        field("PersonEmail", "email", &blank),
        field("PersonMobilePhone", "phone", &blank),
        field("PersonBirthdate", "date", &blank),
        field("PersonMailingAddress", "address", &json!({"createable": false, "nillable": true})),
        part("PersonMailingStreet", "PersonMailingAddress"),
        part("PersonMailingCity", "PersonMailingAddress"),
        field(
            "PersonContactId",
            "reference",
            &json!({"referenceTo": ["Contact"], "relationshipName": "PersonContact", "nillable": true}),
        ),
        field(
            "Level__pc",
            "picklist",
            &json!({"custom": true, "nillable": true, "picklistValues": list(&["Gold", "Silver"])}),
        ),
        field(
            "CurrencyIsoCode",
            "picklist",
            &json!({"restrictedPicklist": true, "nillable": true, "picklistValues": list(&["EUR", "USD", "CHF"])}),
        ),
        field("Revenue__c", "currency", &json!({"custom": true, "precision": 18, "scale": 2, "nillable": true})),
    ] {
        bench.salesforce("add_field", json!({"object": "Account", "field": added}));
    }
    let person = create(
        &bench,
        "Account",
        json!({"Name": "Ann Lee", "FirstName": "Ann", "LastName": "Lee", "Salutation": "Ms.", "IsPersonAccount": true,
            "PersonEmail": "ann@example.com", "PersonBirthdate": "1990-02-28", "PersonMailingStreet": "1 High Street",
            "PersonMailingCity": "Leeds", "Level__pc": "Gold", "CurrencyIsoCode": "CHF", "Revenue__c": 1200.5}),
    );
    let business = create(
        &bench,
        "Account",
        json!({"Name": "Acme", "IsPersonAccount": false, "CurrencyIsoCode": "USD", "Revenue__c": 1_000_000}),
    );
    made(&bench, "Account");
    let accounts = bench.rows("Account").len() as u64;
    let records = arrived(&bench, accounts);
    let values =
        |id: &String, names: [&str; 8]| names.map(|name| records[id][name].as_str().unwrap_or_default().to_owned());
    let names = [
        "name",
        "is_person_account",
        "person_email",
        "person_mailing_city",
        "level",
        "currency_iso_code",
        "revenue",
        "last_name",
    ];
    assert_eq!(values(&person, names), ["Ann Lee", "true", "ann@example.com", "Leeds", "Gold", "CHF", "1200.5", "Lee"]);
    assert_eq!(values(&business, names), ["Acme", "false", "", "", "", "USD", "1000000", ""]);
    // Every field has come as it stands in Salesforce: nothing is left to send.
    let again = bench.import();
    assert_eq!(report(&again, "things")["unchanged"].as_u64(), Some(accounts), "{again}");
}

#[test]
fn what_could_not_be_used_is_refused_before_anything_is_made() {
    let bench = empty();
    seed(&bench, "Thing__c", &json!([field("Name", "string", &json!({"nameField": true}))]));
    let new = |source: &'static str, target: &'static str| ["x", "--source", source, "--target", target];
    refused(&bench, &new("Reading__b", "readings"), &["SL2070", "a big object"]);
    refused(&bench, &new("Other__x", "others"), &["SL2070", "an external object"]);
    refused(&bench, &new("Told__e", "tolds"), &["SL2070", "a platform event"]);
    for name in ["contacts", "contact", "0-1", "Companies"] {
        refused(&bench, &["x", "--source", "Thing__c", "--target", name], &["SL301"]);
    }
    refused(&bench, &new("Thing__c", "subscriptions"), &["SL3012", "already has a custom object `subscriptions`"]);
    refused(&bench, &new("Thing__c", "my things"), &["SL3013", "not a valid name for a custom object"]);
    refused(
        &bench,
        &["x", "--source", "Thing__c", "--target", "things", "--match", "Sf_Id"],
        &["SL3013", "not a valid name for a property"],
    );
    let limit = json!({"limit": 10, "usage": 10, "percentage": 100.0});
    bench.faults(
        json!([{"service": "hubspot", "method": "GET", "path": "/crm/limits/**", "status": 200, "body": limit}]),
    );
    refused(&bench, &new("Thing__c", "things"), &["SL3013", "10 of 10 custom objects"]);
    bench.sandbox.clear_faults();
    let body = json!({"name": "Thing__c", "queryable": true, "fields": [{"name": "Id", "type": "id"}, {"name": "Name", "type": "string"}]});
    bench.faults(json!([{"service": "salesforce", "method": "GET", "path": "/**/sobjects/Thing__c/describe", "status": 200, "body": body}]));
    refused(&bench, &new("Thing__c", "things"), &["SL2048"]);
    let ran = bench.run(&["new", "x", "--source", "Thing__c", "--target", "subscriptions"]).code(1);
    assert!(ran.stderr.contains("SL2048"), "without --create-target as well: {ran:?}");
    bench.sandbox.clear_faults();
    for place in 0..10 {
        let text = "version: 1\nname: pNN\nsource: { object: Subscription__c }\ntarget: { object: objectNN, match: salesforce_id }\nfields:\n  - { from: Name, to: name }\non_delete: keep\n";
        bench.write(&format!("pipelines/p{place}.yaml"), &text.replace("NN", &place.to_string()));
    }
    refused(&bench, &new("Thing__c", "things"), &["SL2005", "more than 10 objects"]);
}

#[test]
fn an_address_goes_to_the_parts_of_an_existing_object() {
    let bench = empty();
    let part = |name: &str| field(name, "string", &json!({"compoundFieldName": "BillingAddress"}));
    seed(
        &bench,
        "Thing__c",
        &json!([
            field("Name", "string", &json!({"nameField": true})),
            field("BillingAddress", "address", &json!({})),
            part("BillingStreet"),
            part("BillingCity"),
            part("BillingState"),
            part("BillingPostalCode"),
            part("BillingCountry"),
        ]),
    );
    bench.run(&["new", "things", "--source", "Thing__c", "--target", "companies"]).code(0);
    let text = fs::read_to_string(bench.path("pipelines/things.yaml")).unwrap();
    for (from, to) in
        [("Street", "address"), ("City", "city"), ("State", "state"), ("PostalCode", "zip"), ("Country", "country")]
    {
        assert!(text.contains(&format!("  - {{ from: Billing{from}, to: {to} }}\n")), "{text}");
    }
    assert!(!text.contains("from: BillingAddress"), "{text}");
}

/// Owners of these e-mails; the last one's user was deactivated. Their ids.
fn owners(bench: &Bench, emails: [&str; 3]) -> [String; 3] {
    emails.map(|email| {
        let made = bench.hubspot("add_owner", json!({"owner": {"email": email, "firstName": "F", "lastName": "L"}}));
        let id = made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned);
        if email == emails[2] {
            bench.hubspot("archive_owner", json!({"id": id}));
        }
        id
    })
}

fn user(bench: &Bench, email: &str) -> String {
    create(bench, "User", json!({"Username": email, "Email": email, "IsActive": "true"}))
}

#[test]
fn owners_are_filled_by_the_emails_of_users() {
    let bench = empty();
    let [first, second, _] = owners(&bench, ["First.User@Example.com", "second@example.com", "gone@example.com"]);
    let lookup = json!({"referenceTo": ["User"], "relationshipName": "Owner"});
    seed(
        &bench,
        "Thing__c",
        &json!([field("Name", "string", &json!({"nameField": true})), field("OwnerId", "reference", &lookup)]),
    );
    let ids: Vec<String> = ["first.user@example.com", "SECOND@example.com", "gone@example.com", "new@example.com"]
        .iter()
        .map(|email| create(&bench, "Thing__c", json!({"Name": email, "OwnerId": user(&bench, email)})))
        .collect();
    made(&bench, "Thing__c");
    let text = fs::read_to_string(bench.path("pipelines/things.yaml")).unwrap();
    assert!(text.contains("  - { from: OwnerId, to: owner, as: owner, otherwise: clear }\n"), "{text}");
    bench.sandbox.forget_requests();
    let records = arrived(&bench, 4);
    let owner = |id: &String| records[id]["owner"].as_str().unwrap_or_default().to_owned();
    assert_eq!(ids.iter().map(owner).collect::<Vec<_>>(), [first, second, String::new(), String::new()]);
    let reads =
        bench.sandbox.requests().into_iter().filter(|request| request.target.starts_with("/crm/owners/")).count();
    assert_eq!(reads, 2, "the active ones and the others, once in a run");
    // The cycle that reads the same rows again looks once more for the e-mails that no owner had.
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(bench.calls("hubspot"), 2);
    // What no owner has is set aside where nothing else is said.
    bench.edit("pipelines/things.yaml", ", otherwise: clear", "");
    bench.run(&["import", "--yes"]).code(3);
    let codes: Vec<Value> = bench.failures().iter().map(|failure| failure["code"].clone()).collect();
    assert_eq!(codes, ["SL5014", "SL5014"]);
    // A test file gives its own owners.
    let test = "version: 1\nowners: { jane@acme.com: '9' }\ntests:\n  - name: known\n    source: { Name: x, Owner.Email: Jane@acme.com }\n    expect: { properties: { owner: '9' } }\n  - name: unknown\n    source: { Name: x, Owner.Email: joe@acme.com }\n    expect: { rejected: { code: SL5014, message: owners } }\n";
    bench.write("pipelines/things.test.yaml", test);
    bench.run(&["test"]).code(0);
}

#[test]
fn a_cycle_without_a_change_asks_for_no_owners() {
    let bench = empty();
    let [first, ..] = owners(&bench, ["first@example.com", "second@example.com", "gone@example.com"]);
    let lookup = json!({"referenceTo": ["User"], "relationshipName": "Owner"});
    seed(
        &bench,
        "Thing__c",
        &json!([field("Name", "string", &json!({"nameField": true})), field("OwnerId", "reference", &lookup)]),
    );
    let thing =
        |name: &str, email: &str| create(&bench, "Thing__c", json!({"Name": name, "OwnerId": user(&bench, email)}));
    let old = thing("old", "first@example.com");
    made(&bench, "Thing__c");
    assert_eq!(arrived(&bench, 1)[&old]["owner"], first.as_str());
    let asked = |expected: usize| {
        bench.sandbox.forget_requests();
        bench.sync();
        let owners = bench.sandbox.requests().into_iter().filter(|request| request.target.starts_with("/crm/owners/"));
        assert_eq!(owners.count(), expected);
    };
    // Rows of the overlap are read again each time.
    asked(0);
    asked(0);
    // Somebody who joined since is found by the first record that needs them.
    let joined =
        bench.hubspot("add_owner", json!({"owner": {"email": "new@example.com", "firstName": "F", "lastName": "L"}}));
    let new = thing("new", "New@Example.com");
    asked(2);
    let owner = |id: &str| {
        let records = bench.records("things").into_values();
        let mut found = records.filter(|record| record["properties"]["salesforce_id"] == id);
        found.next().map(|record| record["properties"]["owner"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(owner(&new).as_deref(), Some(joined["id"].to_string().trim_matches('"')));
    asked(0);
    // Somebody whose user was deactivated since: HubSpot refuses, and the next cycle asks who is there.
    bench.hubspot("archive_owner", json!({"id": first}));
    let late = thing("late", "first@example.com");
    bench.run(&["sync", "--once"]).code(3);
    assert_eq!(owner(&late), None);
    bench.salesforce("update", json!({"object": "Thing__c", "id": late, "values": {"Name": "later"}}));
    asked(2);
    assert_eq!(owner(&late).as_deref(), Some(""), "`otherwise: clear`");
}

#[test]
fn owners_that_cannot_be_read_fail_that_pipeline_and_no_draft() {
    let bench = empty();
    let lookup = json!({"referenceTo": ["User"], "relationshipName": "Owner"});
    seed(
        &bench,
        "Thing__c",
        &json!([field("Name", "string", &json!({"nameField": true})), field("OwnerId", "reference", &lookup)]),
    );
    let forbidden = json!([{"service": "hubspot", "path": "/crm/owners/**", "fault": "forbidden"}]);
    bench.faults(forbidden.clone());
    made(&bench, "Thing__c");
    let text = fs::read_to_string(bench.path("pipelines/things.yaml")).unwrap();
    assert!(!text.contains("as: owner"), "{text}");
    let property = json!({"name": "keeper", "label": "Keeper", "type": "enumeration", "fieldType": "select", "externalOptions": true,
        "referencedObjectType": "OWNER", "options": []});
    bench.hubspot("add_property", json!({"object": "things", "property": property}));
    bench.edit("pipelines/things.yaml", "fields:\n", "fields:\n  - { from: OwnerId, to: keeper, as: owner }\n");
    create(&bench, "Thing__c", json!({"Name": "x", "OwnerId": user(&bench, "a@b.c")}));
    let ran = bench.run(&["import", "--yes"]).code(1);
    assert!(ran.stderr.contains("SL4003") && ran.stderr.contains("owners"), "{ran:?}");
    bench.edit(
        "pipelines/things.yaml",
        "{ from: OwnerId, to: keeper, as: owner }",
        "{ from: Owner.Email, to: keeper }",
    );
    let printed = bench.run(&["validate", "--online"]).code(1).stdout;
    assert!(printed.contains("SL2071") && printed.contains("as: owner"), "{printed}");
}

#[test]
fn a_label_is_written_in_place_of_a_picklists_value() {
    let bench = empty();
    let list = |values: &[(&str, &str)]| -> Value {
        values.iter().map(|(value, label)| json!({"value": value, "label": label})).collect()
    };
    seed(
        &bench,
        "Thing__c",
        &json!([
            field("Name", "string", &json!({"nameField": true})),
            field("Stage__c", "picklist", &json!({"picklistValues": list(&[("new", "Neu"), ("won", "Gewonnen")])})),
            field("Tags__c", "multipicklist", &json!({"picklistValues": list(&[("a", "Äpfel"), ("b", "Birnen")])})),
        ]),
    );
    let property = |name: &str| json!({"name": name, "label": name, "type": "string", "fieldType": "text"});
    let properties = ["name", "stage", "tags"].map(property);
    let object = json!({"name": "things", "labels": {"singular": "Thing", "plural": "Things"},
        "primaryDisplayProperty": "name", "properties": properties});
    bench.hubspot("seed", json!({"schemas": [object]}));
    let key =
        json!({"name": "salesforce_id", "label": "Id", "type": "string", "fieldType": "text", "hasUniqueValue": true});
    bench.hubspot("add_property", json!({"object": "things", "property": key}));
    bench.run(&["new", "things", "--source", "Thing__c", "--target", "things"]).code(0);
    let text = fs::read_to_string(bench.path("pipelines/things.yaml")).unwrap();
    assert!(text.contains("{ from: Stage__c, to: stage, label: true }"), "{text}");
    let id = create(&bench, "Thing__c", json!({"Name": "x", "Stage__c": "won", "Tags__c": "a;b"}));
    let records = arrived(&bench, 1);
    assert_eq!((&records[&id]["stage"], &records[&id]["tags"]), (&json!("Gewonnen"), &json!("Äpfel;Birnen")));
}
