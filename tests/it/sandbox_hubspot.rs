//! The emulated HubSpot against documented answers: each row is a request and what the real service says to it.

use serde_json::{Value, json};
use syncline::sandbox::options::{HUBSPOT_TOKEN, SandboxOptions};
use syncline::sandbox::{Sandbox, start};

/// A sandbox that is asked directly.
struct Portal {
    sandbox: Sandbox,
    client: reqwest::Client,
    /// Type id of subscriptions.
    kind: String,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Portal {
    async fn new(options: SandboxOptions) -> Self {
        let sandbox = start(options).await.unwrap();
        let client = crate::support::client();
        let mut portal = Self { sandbox, client, kind: String::new() };
        let schemas = portal.get("/crm-object-schemas/2026-09/schemas").await.body;
        let all = schemas["results"].as_array().unwrap();
        portal.kind = all.iter().find(|schema| schema["name"] == "subscriptions").unwrap()["objectTypeId"]
            .as_str()
            .unwrap()
            .to_owned();
        portal
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: Option<&str>) -> Answer {
        let path = path.replace("{type}", &self.kind);
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.sandbox.hubspot_url));
        let request = request.bearer_auth(token).header("content-type", "application/json");
        let reply = match body {
            Some(body) => request.body(body.to_owned()),
            None => request,
        };
        let reply = reply.send().await.unwrap();
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let text = reply.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, HUBSPOT_TOKEN, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, HUBSPOT_TOKEN, Some(&body.to_string())).await
    }

    /// Demands a status, and members of the body by pointer.
    #[track_caller]
    fn demand(answer: &Answer, status: u16, members: &[(&str, Value)], case: &str) {
        assert_eq!(answer.status, status, "{case}: {}", answer.body);
        for (pointer, expected) in members {
            let found = answer.body.pointer(pointer).cloned().unwrap_or(Value::Null);
            let fits = match (&found, expected) {
                // A text has to hold the words; what else it says may change.
                (Value::String(found), Value::String(expected)) => found.contains(expected.as_str()),
                (found, expected) => found == expected,
            };
            assert!(fits, "{case}: {pointer} is {found}, not {expected}: {}", answer.body);
        }
    }
}

/// Method, path, body; status, members of the answer.
type Row = (&'static str, String, Option<String>, u16, Vec<(&'static str, Value)>);

fn input(id: &str, trace: Option<&str>, more: Value) -> Value {
    let mut properties = json!({"salesforce_id": id, "subscription_name": format!("Name of {id}")});
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut input = json!({"id": id, "idProperty": "salesforce_id", "properties": properties});
    if let Some(trace) = trace {
        input["objectWriteTraceId"] = trace.into();
    }
    input
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_get_the_real_errors() {
    let portal = Portal::new(SandboxOptions { records: 5, ..SandboxOptions::default() }).await;
    let objects = "/crm/objects/2026-09/{type}";
    let rows: Vec<Row> = vec![
        ("GET", "/crm/objects/2026-09/subscriptionz".into(), None, 400, vec![("/message", json!("Unable to infer object type from: subscriptionz")), ("/category", Value::Null)]),
        ("GET", format!("{objects}/999999"), None, 404, vec![("/message", json!("resource not found")), ("/category", Value::Null)]),
        ("GET", format!("{objects}/abc"), None, 404, vec![("/message", json!("Object not found.  objectId are usually numeric.")), ("/category", json!("OBJECT_NOT_FOUND"))]),
        ("GET", format!("{objects}?limit=101"), None, 400, vec![("/category", json!("VALIDATION_ERROR"))]),
        ("GET", "/crm/nothing/here".into(), None, 404, vec![]),
        ("POST", format!("{objects}/batch/upsert"), Some("{\"inputs\":[".into()), 400, vec![("/message", json!("Invalid input JSON on line 1"))]),
        ("POST", format!("{objects}/batch/upsert"), Some(json!({"inputs": (0..101).map(|number| input(&format!("k{number}"), None, json!({}))).collect::<Vec<_>>()}).to_string()), 400, vec![("/message", json!("The maximum number of inputs supported in a batch is 100."))]),
        ("POST", format!("{objects}/batch/upsert"), Some(json!({"inputs": [input("a", Some("1"), json!({})), input("a", Some("2"), json!({}))]}).to_string()), 400, vec![("/message", json!("Duplicate IDs found in batch input"))]),
        ("POST", format!("{objects}/batch/upsert"), Some(json!({"inputs": [{"id": "a", "properties": {}}]}).to_string()), 404, vec![("/message", json!("resource not found"))]),
        ("POST", format!("{objects}/batch/upsert"), Some(json!({"inputs": [{"id": "a", "idProperty": "external_code", "properties": {"external_code": "a"}}]}).to_string()), 400, vec![("/message", json!("by non-unique"))]),
        ("POST", format!("{objects}/batch/upsert"), Some(json!({"inputs": [input("a", None, json!({"notes": ["x"]}))]}).to_string()), 400, vec![("/message", json!("Cannot deserialize value of type `java.lang.String`"))]),
        ("POST", objects.into(), Some(json!({"properties": {"notes": "x"}}).to_string()), 400, vec![("/message", json!("ome required properties were not set")), ("/context/properties/0", json!("subscription_name"))]),
        ("PATCH", format!("{objects}/{{first}}"), Some(json!({"properties": {}}).to_string()), 400, vec![("/message", json!("No properties found to update"))]),
        ("POST", "/crm/properties/2026-09/{type}".into(), Some(json!({"name": "amount", "label": "Amount", "type": "number", "fieldType": "number", "groupName": "subscriptions_information"}).to_string()), 409, vec![("/category", json!("OBJECT_ALREADY_EXISTS")), ("/subCategory", json!("Properties.PROPERTY_WITH_NAME_EXISTS"))]),
        ("GET", "/crm/properties/2026-09/{type}/nothing".into(), None, 404, vec![("/category", json!("OBJECT_NOT_FOUND"))]),
        ("POST", format!("{objects}/search"), Some(json!({"filterGroups": [], "limit": 201}).to_string()), 400, vec![]),
        ("POST", format!("{objects}/search"), Some(json!({"query": "x".repeat(3_100)}).to_string()), 400, vec![]),
    ];
    let made = portal
        .post("/crm/objects/2026-09/{type}/batch/upsert", &json!({"inputs": [input("first", None, json!({}))]}))
        .await;
    let first = made.body["results"][0]["id"].as_str().unwrap().to_owned();
    for (method, path, body, status, members) in rows {
        let path = path.replace("{first}", &first);
        let answer = portal.ask(method, &path, HUBSPOT_TOKEN, body.as_deref()).await;
        Portal::demand(&answer, status, &members, &format!("{method} {path}"));
        if let Some(id) = answer.body.get("correlationId") {
            assert_eq!(answer.headers["x-hubspot-correlation-id"], id.as_str().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_checked() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let path = "/account-info/2026-09/details";
    let unknown = portal.ask("GET", path, "pat-na1-unknown", None).await;
    Portal::demand(
        &unknown,
        401,
        &[("/category", json!("INVALID_AUTHENTICATION")), ("/message", json!("Authentication credentials not found"))],
        "unknown",
    );
    let grant = |arguments: Value| portal.sandbox.control("hubspot", "token", &arguments).unwrap();
    grant(json!({"token": "reader", "scopes": ["crm.objects.custom.read", "crm.objects.companies.read"]}));
    grant(json!({"token": "short", "lives_ms": 60_000}));
    let batch = "/crm/objects/2026-09/{type}/batch/";
    let nobody = json!({"idProperty": "salesforce_id", "properties": [], "inputs": [{"id": "x"}]}).to_string();
    assert_eq!(portal.ask("POST", &format!("{batch}read"), "reader", Some(&nobody)).await.status, 207);
    assert_eq!(portal.ask("GET", "/crm/properties/2026-09/companies", "reader", None).await.status, 200);
    let write = portal.ask("POST", &format!("{batch}upsert"), "reader", Some("{}")).await;
    let members = [
        ("/category", json!("MISSING_SCOPES")),
        ("/errors/0/context/requiredGranularScopes/0", json!("crm.objects.custom.write")),
    ];
    Portal::demand(&write, 403, &members, "a scope is missing");
    let schemas = portal.ask("GET", "/crm-object-schemas/2026-09/schemas", "reader", None).await;
    Portal::demand(&schemas, 403, &[("/category", json!("MISSING_SCOPES"))], "schemas");
    assert_eq!(portal.ask("GET", path, "short", None).await.status, 200);
    portal.sandbox.advance(std::time::Duration::from_secs(61));
    let over = portal.ask("GET", path, "short", None).await;
    Portal::demand(
        &over,
        401,
        &[("/category", json!("EXPIRED_AUTHENTICATION")), ("/context/expire time/0", json!("T"))],
        "expired",
    );
    let good = portal.get(path).await;
    Portal::demand(&good, 200, &[("/portalId", json!(51_234_567)), ("/timeZone", json!("Europe/Berlin"))], "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_checked_by_type_with_the_exact_codes() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let rows = [
        ("colour", json!("red"), "PROPERTY_DOESNT_EXIST", "does not exist"),
        ("status", json!("Active"), "INVALID_OPTION", "was not one of the allowed options"),
        ("seats", json!("many"), "INVALID_INTEGER", "was not a valid number"),
        ("start_date", json!("1790000000320"), "INVALID_DATE", "not midnight!"),
        ("start_date", json!("soon"), "INVALID_LONG", "was not a valid long"),
        ("renews_at", json!("2026-09-30T14:06:51.741000+00:00"), "INVALID_LONG", "was not a valid long"),
        ("seats", json!(" 5"), "LEADING_TRAILING_WHITESPACE", "includes leading or trailing whitespace"),
        ("status", json!("active "), "LEADING_TRAILING_WHITESPACE", "includes leading or trailing whitespace"),
        ("hs_object_id", json!("1"), "READ_ONLY_VALUE", "read only property"),
    ];
    for (property, value, code, part) in rows {
        // Without a trace id one bad input fails the whole call, with one it fails alone.
        let body = json!({"inputs": [input("good", None, json!({})), input("bad", None, json!({property: value}))]});
        let whole = portal.post("/crm/objects/2026-09/{type}/batch/upsert", &body).await;
        let members = [
            ("/category", json!("VALIDATION_ERROR")),
            ("/errors/0/code", json!(code)),
            ("/errors/0/message", json!(part)),
        ];
        Portal::demand(&whole, 400, &members, property);
        let body = json!({"inputs": [input("good", Some("t1"), json!({})), input("bad", Some("t2"), json!({property: value}))]});
        let part_of = portal.post("/crm/objects/2026-09/{type}/batch/upsert", &body).await;
        let members = [
            ("/results/0/properties/salesforce_id", json!("good")),
            ("/numErrors", json!(1)),
            ("/errors/0/context/objectWriteTraceId/0", json!("t2")),
            ("/errors/0/message", json!(code)),
        ];
        Portal::demand(&part_of, 207, &members, property);
        let read = json!({"idProperty": "salesforce_id", "properties": ["salesforce_id"], "inputs": [{"id": "bad"}]});
        let read = portal.post("/crm/objects/2026-09/{type}/batch/read", &read).await;
        Portal::demand(
            &read,
            207,
            &[
                ("/results", json!([])),
                ("/errors/0/category", json!("OBJECT_NOT_FOUND")),
                ("/errors/0/context/ids/0", json!("bad")),
            ],
            property,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_admins_are_listed_and_kept_by_every_write() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let control = |action: &str, arguments: Value| portal.sandbox.control("hubspot", action, &arguments);
    let set = |kind: &str, arguments: &[&str]| {
        let rule = json!({"object": "subscriptions", "property": "notes", "rule_type": kind, "arguments": arguments});
        control("rule", rule)
    };
    let list = "/crm/property-validations/2026-09/{type}";
    Portal::demand(&portal.get(list).await, 200, &[("/results", json!([]))], "none");
    set("MAX_LENGTH", &["5"]).unwrap();
    set("REGEX", &["^[A-Z]+$", "Must be upper case"]).unwrap();
    assert!(set("SHORTNESS", &["5"]).is_err());
    let rules = json!([{"propertyName": "notes", "propertyValidationRules": [
        {"ruleType": "MAX_LENGTH", "ruleArguments": ["5"], "shouldApplyNormalization": false},
        {"ruleType": "REGEX", "ruleArguments": ["^[A-Z]+$", "Must be upper case"], "shouldApplyNormalization": false},
    ]}]);
    Portal::demand(&portal.get(list).await, 200, &[("/results", rules)], "two");
    control("token", json!({"token": "reader", "scopes": ["crm.objects.companies.read"]})).unwrap();
    let refused = portal.ask("GET", list, "reader", None).await;
    Portal::demand(&refused, 403, &[("/category", json!("MISSING_SCOPES"))], "a scope is missing");
    let objects = "/crm/objects/2026-09/{type}";
    let good = json!({"properties": {"subscription_name": "x", "notes": "short"}});
    let made = portal.post(objects, &good).await;
    assert_eq!(made.status, 201);
    let id = made.body["id"].as_str().unwrap();
    let members = [
        ("/category", json!("VALIDATION_ERROR")),
        ("/message", json!("Property values were not valid: [")),
        ("/errors/0/code", json!("MAX_LENGTH")),
        ("/errors/0/message", json!("Enter 5 characters or fewer")),
        ("/errors/0/context/propertyName/0", json!("notes")),
    ];
    let bad = json!({"properties": {"subscription_name": "x", "notes": "longer"}});
    Portal::demand(&portal.post(objects, &bad).await, 400, &members, "create");
    let changed = portal.ask("PATCH", &format!("{objects}/{id}"), HUBSPOT_TOKEN, Some(&bad.to_string())).await;
    Portal::demand(&changed, 400, &members, "update");
    let body =
        json!({"inputs": [input("good", Some("1"), json!({})), input("bad", Some("2"), json!({"notes": "longer"}))]});
    let part_of = portal.post(&format!("{objects}/batch/upsert"), &body).await;
    let members = [
        ("/numErrors", json!(1)),
        ("/errors/0/context/objectWriteTraceId/0", json!("2")),
        ("/errors/0/message", json!("MAX_LENGTH")),
    ];
    Portal::demand(&part_of, 207, &members, "upsert");
    set("MAX_LENGTH", &[]).unwrap();
    assert_eq!(portal.post(objects, &bad).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_text_and_an_empty_text_clears() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let path = "/crm/objects/2026-09/{type}/batch/upsert";
    let body = json!({"inputs": [input("k", Some("t"), json!({"seats": 5, "auto_renew": true, "amount": "24.00", "channels": "Web;Email"}))]});
    let made = portal.post(path, &body).await;
    let members = [
        ("/results/0/new", json!(true)),
        ("/results/0/properties/seats", json!("5")),
        ("/results/0/properties/auto_renew", json!("true")),
        ("/results/0/properties/amount", json!("24.00")),
        ("/results/0/objectWriteTraceId", json!("t")),
    ];
    Portal::demand(&made, 200, &members, "made");
    assert!(made.body.get("errors").is_none() && made.body.get("numErrors").is_none(), "{}", made.body);
    let id = made.body["results"][0]["id"].clone();
    let again = portal
        .post(path, &json!({"inputs": [input("k", Some("t"), json!({"seats": "", "channels": ";Phone"}))]}))
        .await;
    Portal::demand(&again, 200, &[("/results/0/id", id), ("/results/0/new", json!(false))], "again");
    let read = json!({"idProperty": "salesforce_id", "properties": ["seats", "channels"], "inputs": [{"id": "k"}]});
    let read = portal.post("/crm/objects/2026-09/{type}/batch/read", &read).await;
    Portal::demand(
        &read,
        200,
        &[("/results/0/properties/seats", Value::Null), ("/results/0/properties/channels", json!("Web;Email;Phone"))],
        "a leading separator appends",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_names_its_holder() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let one = portal
        .post("/crm/objects/2026-09/{type}", &json!({"properties": {"subscription_name": "x", "salesforce_id": "S1"}}))
        .await;
    let holder = one.body["id"].as_str().unwrap().to_owned();
    let two = portal
        .post("/crm/objects/2026-09/{type}", &json!({"properties": {"subscription_name": "y", "salesforce_id": "S1"}}))
        .await;
    let text = format!("{holder} already has that value.");
    Portal::demand(
        &two,
        400,
        &[
            ("/category", json!("VALIDATION_ERROR")),
            ("/message", json!(text)),
            ("/message", json!("propertyName=salesforce_id, value=S1}")),
        ],
        "clash",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_and_kept() {
    let options =
        SandboxOptions { records: 2, rate_limit: (5, std::time::Duration::from_secs(10)), ..SandboxOptions::default() };
    let portal = Portal::new(options).await;
    let path = "/account-info/2026-09/details";
    let first = portal.get(path).await;
    let header = |name: &str| first.headers[name].to_str().unwrap().parse::<u64>().unwrap();
    assert_eq!((header("x-hubspot-ratelimit-max"), header("x-hubspot-ratelimit-interval-milliseconds")), (5, 10_000));
    let mut last = first;
    for _ in 0..5 {
        last = portal.get(path).await;
    }
    Portal::demand(
        &last,
        429,
        &[
            ("/errorType", json!("RATE_LIMIT")),
            ("/policyName", json!("TEN_SECONDLY_ROLLING")),
            ("/category", Value::Null),
        ],
        "429",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn associations_are_read_page_by_page_and_have_both_directions() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let pair = "/crm/associations/2026-09/{type}/0-2";
    let record =
        portal.post("/crm/objects/2026-09/{type}", &json!({"properties": {"subscription_name": "x"}})).await.body["id"]
            .clone();
    let company = portal.get("/crm/objects/2026-09/companies?limit=1").await.body["results"][0]["id"].clone();
    let none = portal.post(&format!("{pair}/batch/read"), &json!({"inputs": [{"id": record}]})).await;
    Portal::demand(
        &none,
        207,
        &[("/errors/0/category", json!("OBJECT_NOT_FOUND")), ("/errors/0/subCategory", json!("NO_ASSOCIATIONS_FOUND"))],
        "none",
    );
    let body = json!({"inputs": [{"from": {"id": record}, "to": {"id": company}}]});
    let made = portal.post(&format!("{pair}/batch/associate/default"), &body).await;
    Portal::demand(
        &made,
        200,
        &[("/results/0/from/id", record.clone()), ("/results/1/to/id", record.clone())],
        "two directions",
    );
    let labels = portal.get(&format!("{pair}/labels")).await;
    Portal::demand(
        &labels,
        200,
        &[("/results/0/label", Value::Null), ("/results/0/category", json!("USER_DEFINED"))],
        "labels",
    );
    let wrong = json!({"inputs": [{"from": {"id": record}, "to": {"id": company}, "types": [{"associationCategory": "USER_DEFINED", "associationTypeId": 3}]}]});
    let wrong = portal.post(&format!("{pair}/batch/create"), &wrong).await;
    Portal::demand(&wrong, 400, &[("/context/INVALID_ASSOCIATION_TYPE_ID/0", json!("USER_DEFINED=3"))], "wrong type");
    let read = portal.post(&format!("{pair}/batch/read"), &json!({"inputs": [{"id": record}]})).await;
    Portal::demand(&read, 200, &[("/results/0/to/0/associationTypes/0/label", Value::Null)], "read");
    let many = json!({"inputs": (0..1001).map(|number| json!({"id": number.to_string()})).collect::<Vec<_>>()});
    assert_eq!(portal.post(&format!("{pair}/batch/read"), &many).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_listed_and_their_ids_alone_are_taken() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let all = portal.get("/crm/v3/owners").await;
    let owners = all.body["results"].as_array().unwrap().clone();
    assert_eq!(owners.len(), 3, "active ones: {}", all.body);
    let zoe = owners.iter().find(|owner| owner["email"] == "zoe@sandbox.example").unwrap();
    let (id, user) = (zoe["id"].as_str().unwrap(), zoe["userId"].as_u64().unwrap().to_string());
    for member in ["id", "type", "firstName", "lastName", "createdAt", "updatedAt", "archived"] {
        assert!(!zoe[member].is_null(), "{member}: {zoe}");
    }
    let first = portal.get("/crm/owners/2026-09?limit=2").await.body;
    let after = first["paging"]["next"]["after"].as_str().unwrap();
    let rest = portal.get(&format!("/crm/owners/2026-09?limit=2&after={after}")).await.body;
    assert_eq!((first["results"].as_array().unwrap().len(), rest["results"].as_array().unwrap().len()), (2, 1));
    assert!(rest.get("paging").is_none());
    let archived = portal.get("/crm/owners/2026-09?archived=true").await.body;
    let left = archived["results"][0].clone();
    assert!(left["userId"].is_null() && left["userIdIncludingInactive"].is_u64(), "{left}");
    assert_eq!(portal.get(&format!("/crm/owners/2026-09/{id}")).await.body["email"], "zoe@sandbox.example");
    assert_eq!(portal.get(&format!("/crm/owners/2026-09/{user}?idProperty=userId")).await.body["id"], id);
    let refused: [(&str, u16); 5] =
        [("/4711", 404), ("/zoe@sandbox.example", 400), ("?limit=501", 400), ("?after=x", 400), ("?limit=0", 400)];
    for (path, status) in refused {
        assert_eq!(portal.get(&format!("/crm/owners/2026-09{path}")).await.status, status, "{path}");
    }
    assert_eq!(portal.post("/crm/owners/2026-09", &json!({"email": "x@y.z"})).await.status, 404);
    let scopes = json!({"token": "companies", "scopes": ["crm.objects.companies.write"]});
    portal.sandbox.control("hubspot", "token", &scopes).unwrap();
    assert_eq!(portal.ask("GET", "/crm/v3/owners", "companies", None).await.status, 403);
    portal.post("/crm/properties/2026-09/companies", &json!({"name": "deputy", "label": "Deputy", "type": "enumeration",
        "fieldType": "select", "groupName": "companyinformation", "externalOptions": true, "referencedObjectType": "OWNER"})).await;
    for property in ["hubspot_owner_id", "deputy"] {
        for (value, taken) in [
            (id, true),
            ("", true),
            (&user, false),
            ("zoe@sandbox.example", false),
            (left["id"].as_str().unwrap(), false),
            ("+71830001", false),
        ] {
            let answer = portal
                .post("/crm/objects/2026-09/companies", &json!({"properties": {"name": "n", property: value}}))
                .await;
            assert_eq!(answer.status, if taken { 201 } else { 400 }, "{property}={value}: {}", answer.body);
            if !taken {
                assert_eq!(answer.body["errors"][0]["code"], "INVALID_OWNER_ID");
            }
        }
    }
    portal.sandbox.control("hubspot", "switches", &json!({"archived_owner_assignable": true})).unwrap();
    let late = portal
        .post("/crm/objects/2026-09/companies", &json!({"properties": {"name": "n", "hubspot_owner_id": left["id"]}}))
        .await;
    assert_eq!(late.status, 201, "{}", late.body);
    let dump = portal.sandbox.dump();
    let added =
        portal.sandbox.control("hubspot", "add_owner", &json!({"owner": {"email": "new@sandbox.example"}})).unwrap();
    portal.sandbox.control("hubspot", "archive_owner", &json!({"id": added["id"]})).unwrap();
    portal.sandbox.restore(&dump).unwrap();
    assert_eq!(portal.get("/crm/v3/owners").await.body, all.body, "owners are part of the kept state");
}

/// A body that makes a property of companies.
fn property(more: Value) -> Value {
    let mut body = json!({"name": "tier", "label": "Tier", "type": "string", "fieldType": "text", "groupName": "companyinformation"});
    for (key, value) in more.as_object().unwrap() {
        body[key.as_str()] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_that_hubspot_would_refuse_are_refused() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let path = "/crm/properties/2026-09/companies";
    let option = |value: &str| json!({"label": value, "value": value, "displayOrder": 0, "hidden": false});
    let choice = |options: Value| json!({"type": "enumeration", "fieldType": "select", "options": options});
    let yes_no = |options: Value| json!({"type": "bool", "fieldType": "booleancheckbox", "options": options});
    for (more, message, sub_category) in [
        (json!({"groupName": "nothing"}), "group does not exist", "Properties.PROPERTY_CREATE_FAILED_VALIDATION"),
        (json!({"groupName": ""}), "required fields were not set: [groupName]", ""),
        (json!({"fieldType": "number"}), "not a valid field type", "Properties.PROPERTY_CREATE_FAILED_VALIDATION"),
        (json!({"type": "money"}), "Invalid property type", "Properties.PROPERTY_CREATE_FAILED_VALIDATION"),
        (json!({"name": "Tier"}), "Invalid property name", "Properties.PROPERTY_CREATE_FAILED_VALIDATION"),
        (
            json!({"type": "bool", "fieldType": "booleancheckbox"}),
            "exactly two options",
            "PropertyValidationError.INVALID_BOOLEAN_OPTION",
        ),
        (yes_no(json!([option("true")])), "exactly two options", "PropertyValidationError.INVALID_BOOLEAN_OPTION"),
        (
            yes_no(json!([option("yes"), option("no")])),
            "exactly two options",
            "PropertyValidationError.INVALID_BOOLEAN_OPTION",
        ),
        (choice(json!([])), "at least one option", "Properties.PROPERTY_CREATE_FAILED_VALIDATION"),
        (
            choice(json!([option("a"), option("b"), option("a")])),
            "Duplicate option value: a",
            "Properties.PROPERTY_CREATE_FAILED_VALIDATION",
        ),
        (
            choice(json!([option("a"), {"label": "B", "value": ""}])),
            "a label and a value",
            "Properties.PROPERTY_CREATE_FAILED_VALIDATION",
        ),
        (choice(json!([{"value": "a"}])), "a label and a value", "Properties.PROPERTY_CREATE_FAILED_VALIDATION"),
        (choice(json!(["a"])), "objects", "Properties.PROPERTY_CREATE_FAILED_VALIDATION"),
    ] {
        let answer = portal.post(path, &property(more.clone())).await;
        let members = [
            ("/message", json!(message)),
            ("/subCategory", if sub_category.is_empty() { Value::Null } else { json!(sub_category) }),
        ];
        Portal::demand(&answer, 400, &members, &more.to_string());
    }
    let schema = json!({"name": "things", "labels": {"singular": "Thing", "plural": "Things"}, "primaryDisplayProperty": "name",
        "properties": [{"name": "name", "label": "Name", "type": "string", "fieldType": "text"},
            {"name": "on", "label": "On", "type": "bool", "fieldType": "booleancheckbox"}]});
    assert_eq!(portal.post("/crm/v3/schemas", &schema).await.status, 400, "the same rules hold within a schema");
    let good = portal.post(path, &property(choice(json!([option("a"), option("b")])))).await;
    assert_eq!(good.status, 201, "{}", good.body);
    let refused = portal
        .ask(
            "PATCH",
            &format!("{path}/tier"),
            HUBSPOT_TOKEN,
            Some(&json!({"options": [option("a"), option("a")]}).to_string()),
        )
        .await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let kept = portal.get(&format!("{path}/tier")).await.body;
    assert_eq!(kept["options"].as_array().unwrap().len(), 2, "a refused change changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_what_the_description_of_the_api_requires() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let schemas = portal.get("/crm/v3/schemas").await.body;
    for schema in schemas["results"].as_array().unwrap() {
        for member in [
            "id",
            "objectTypeId",
            "name",
            "labels",
            "primaryDisplayProperty",
            "requiredProperties",
            "searchableProperties",
            "secondaryDisplayProperties",
            "properties",
            "associations",
            "createdAt",
            "updatedAt",
            "archived",
            "fullyQualifiedName",
        ] {
            assert!(!schema[member].is_null(), "{member} of {}", schema["name"]);
        }
        for association in schema["associations"].as_array().unwrap() {
            for member in ["id", "fromObjectTypeId", "toObjectTypeId", "name", "createdAt", "updatedAt"] {
                assert!(association[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {association}");
            }
        }
    }
    for kind in ["{type}", "companies", "contacts", "deals", "tickets"] {
        let all = portal.get(&format!("/crm/properties/2026-09/{kind}")).await.body;
        for property in all["results"].as_array().unwrap() {
            for member in [
                "name",
                "label",
                "type",
                "fieldType",
                "groupName",
                "description",
                "options",
                "createdAt",
                "updatedAt",
                "archived",
                "calculated",
                "externalOptions",
                "hasUniqueValue",
                "hidden",
                "hubspotDefined",
                "displayOrder",
                "formField",
                "dataSensitivity",
            ] {
                assert!(!property[member].is_null(), "{member}: {property}");
            }
            for member in ["archivable", "readOnlyDefinition", "readOnlyValue"] {
                assert!(property["modificationMetadata"][member].is_boolean(), "{member}: {property}");
            }
            for option in property["options"].as_array().unwrap() {
                assert!(
                    option["displayOrder"].is_number() && option["hidden"].is_boolean() && option["label"].is_string(),
                    "{option}"
                );
            }
        }
    }
    let thin = portal.get("/crm/v3/schemas?includePropertyDefinitions=false&includeAssociationDefinitions=false&includeAuditMetadata=false").await.body;
    let first = &thin["results"][0];
    assert_eq!((&first["properties"], &first["associations"]), (&json!([]), &json!([])));
    assert!(first.get("createdAt").is_none() && first["name"].is_string());
    let companies = portal.get("/crm/properties/2026-09/companies").await.body;
    let all = companies["results"].as_array().unwrap();
    let count = |what: &dyn Fn(&&Value) -> bool| all.iter().filter(what).count();
    assert!(all.len() > 130, "{}", all.len());
    assert!(
        count(&|property| property["type"] == "enumeration") > 15
            && count(&|property| property["calculated"] == true) > 30
    );
    for name in ["num_associated_contacts", "createdate"] {
        let answer =
            portal.post("/crm/objects/2026-09/companies", &json!({"properties": {"name": "x", name: "1"}})).await;
        Portal::demand(&answer, 400, &[("/errors/0/code", json!("READ_ONLY_VALUE"))], name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_rules_labels_limits_and_schemas_are_asked_for_one_by_one() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let path_of = |path: &str| path.replace("{type}", &portal.kind);
    let asked = async |method: &str, path: &str, body: Value, status: u16| {
        let body = (!body.is_null()).then(|| body.to_string());
        let answer = portal.ask(method, path, HUBSPOT_TOKEN, body.as_deref()).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        answer.body
    };
    // Groups.
    let groups = "/crm/properties/2026-09/companies/groups";
    assert_eq!(asked("GET", groups, Value::Null, 200).await["results"][0]["name"], "companyinformation");
    asked("POST", groups, json!({"name": "sales", "label": "Sales"}), 201).await;
    asked("POST", groups, json!({"name": "sales", "label": "Sales"}), 409).await;
    asked("POST", groups, json!({"name": "other"}), 400).await;
    assert_eq!(asked("PATCH", &format!("{groups}/sales"), json!({"label": "Selling"}), 200).await["label"], "Selling");
    asked("POST", "/crm/properties/2026-09/companies", property(json!({"groupName": "sales"})), 201).await;
    let refused = asked("DELETE", &format!("{groups}/sales"), Value::Null, 400).await;
    assert_eq!(refused["subCategory"], "PropertyGroupError.GROUP_WITH_ACTIVE_PROPERTIES");
    asked("DELETE", "/crm/properties/2026-09/companies/tier", Value::Null, 204).await;
    asked("DELETE", &format!("{groups}/sales"), Value::Null, 204).await;
    asked("GET", &format!("{groups}/sales"), Value::Null, 404).await;
    // Rules of one property.
    let rule = "/crm/property-validations/2026-09/companies/phone";
    asked("PUT", &format!("{rule}/rule-type/MAX_LENGTH"), json!({"ruleArguments": ["5"]}), 204).await;
    assert_eq!(asked("GET", rule, Value::Null, 200).await["results"][0]["ruleType"], "MAX_LENGTH");
    assert_eq!(
        asked("GET", &format!("{rule}/rule-type/MAX_LENGTH"), Value::Null, 200).await["ruleArguments"],
        json!(["5"])
    );
    asked("GET", &format!("{rule}/rule-type/REGEX"), Value::Null, 404).await;
    asked("POST", "/crm/objects/2026-09/companies", json!({"properties": {"name": "x", "phone": "123456"}}), 400).await;
    // Labels.
    let pair = "/crm/associations/2026-09/{type}/0-2";
    let made = asked(
        "POST",
        &format!("{pair}/labels"),
        json!({"name": "payer", "label": "Payer", "inverseLabel": "Pays for"}),
        200,
    )
    .await;
    let number = made["results"][0]["typeId"].as_u64().unwrap();
    asked(
        "PUT",
        &format!("{pair}/labels"),
        json!({"associationTypeId": number, "label": "Payer 2", "inverseLabel": "Pays"}),
        204,
    )
    .await;
    let back = asked("GET", &path_of("/crm/associations/2026-09/0-2/{type}/labels"), Value::Null, 200).await;
    assert!(back["results"].as_array().unwrap().iter().any(|label| label["label"] == "Pays"), "{back}");
    asked("PUT", &format!("{pair}/labels"), json!({"associationTypeId": 999_999, "label": "x"}), 400).await;
    // Limits that an admin sets.
    let limits = "/crm/associations/2026-09/definitions/configurations/{type}/0-2";
    let limit = json!({"inputs": [{"category": "USER_DEFINED", "typeId": number, "maxToObjectIds": 1}]});
    asked("POST", &format!("{limits}/batch/create"), limit.clone(), 200).await;
    let answer = asked("GET", limits, Value::Null, 200).await;
    assert_eq!(answer["results"][0]["userEnforcedMaxToObjectIds"], 1, "{answer}");
    let all = asked("GET", "/crm/associations/2026-09/definitions/configurations/all", Value::Null, 200).await;
    assert_eq!(all["results"].as_array().unwrap().len(), 1, "{all}");
    asked(
        "POST",
        &format!("{limits}/batch/update"),
        json!({"inputs": [{"category": "USER_DEFINED", "typeId": number, "maxToObjectIds": 0}]}),
        400,
    )
    .await;
    asked("POST", &format!("{limits}/batch/purge"), limit, 200).await;
    assert_eq!(asked("GET", limits, Value::Null, 200).await["results"], json!([]));
    asked("DELETE", &format!("{pair}/labels/{number}"), Value::Null, 204).await;
    // What is used of the account's limits.
    for (path, pointer, expected) in [
        ("custom-object-types", "/usage", json!(2)),
        ("records", "/customObjectTypes/byObjectType/0/usage", json!(0)),
        ("custom-properties", "/byObjectType/0/limit", json!(1000)),
        ("calculated-properties", "/overallUsage", json!(0)),
        ("pipelines", "/results/0/pluralLabel", json!("Deals")),
        ("associations/labels?fromObjectTypeId=0-1&toObjectTypeId=0-2", "/results/0/usage", json!(0)),
        ("associations/records/from", "/results", json!([])),
        ("associations/records/0-1/to", "/results", json!([])),
        ("associations/records/0-1/0-2", "/limit", json!(50_000)),
    ] {
        let answer = asked("GET", &format!("/crm/limits/2026-09/{path}"), Value::Null, 200).await;
        assert_eq!(answer.pointer(pointer), Some(&expected), "{path}: {answer}");
    }
    // Schemas by id.
    let schemas = asked(
        "POST",
        "/crm-object-schemas/2026-09/schemas/batch/read",
        json!({"inputs": [portal.kind, "0-2"], "includePropertyDefinitions": false}),
        200,
    )
    .await;
    assert_eq!((schemas["results"].as_array().unwrap().len(), &schemas["results"][0]["properties"]), (2, &json!([])));
    let part_of =
        asked("POST", "/crm-object-schemas/2026-09/schemas/batch/read", json!({"inputs": [portal.kind, "2-1"]}), 207)
            .await;
    assert_eq!(part_of["errors"][0]["context"]["ids"], json!(["2-1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_contacts_never_share_an_e_mail() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let path = "/crm/objects/2026-09/contacts";
    let contact = |email: &str| json!({"properties": {"email": email}});
    let first = portal.post(path, &contact("Ann@Example.org")).await;
    Portal::demand(&first, 201, &[("/properties/email", json!("ann@example.org"))], "kept in lower case");
    let id = first.body["id"].as_str().unwrap();
    let message = format!("Contact already exists. Existing ID: {id}");
    let again = portal.post(path, &contact("ANN@example.org")).await;
    Portal::demand(&again, 409, &[("/category", json!("CONFLICT")), ("/message", json!(message))], "again");
    Portal::demand(
        &portal.post(path, &contact("no address")).await,
        400,
        &[("/errors/0/code", json!("INVALID_EMAIL"))],
        "no address",
    );
    let traced = |email: &str, trace: &str| json!({"properties": {"email": email}, "objectWriteTraceId": trace});
    let batch = json!({"inputs": [traced("ann@example.org", "1"), traced("bob@example.org", "2")]});
    let part_of = portal.post(&format!("{path}/batch/create"), &batch).await;
    let members = [
        ("/errors/0/category", json!("CONFLICT")),
        ("/errors/0/context/existingId/0", json!(id)),
        ("/results/0/properties/email", json!("bob@example.org")),
    ];
    Portal::demand(&part_of, 207, &members, "one of two");
    let upsert =
        json!({"inputs": [{"idProperty": "email", "id": "ANN@example.org", "properties": {"firstname": "Ann"}}]});
    Portal::demand(
        &portal.post(&format!("{path}/batch/upsert"), &upsert).await,
        200,
        &[("/results/0/id", json!(id)), ("/results/0/new", json!(false))],
        "upsert",
    );
    let update =
        json!({"inputs": [{"idProperty": "email", "id": "ann@example.org", "properties": {"firstname": "Ann"}}]});
    assert_eq!(
        portal.post(&format!("{path}/batch/update"), &update).await.status,
        400,
        "an update is not found by e-mail"
    );
    let untraced = json!({"inputs": [contact("cat@example.org"), contact("ann@example.org")]});
    assert_eq!(portal.post(&format!("{path}/batch/create"), &untraced).await.status, 409);
    let all = portal.get(&format!("{path}?properties=email&limit=100")).await.body;
    assert!(!all.to_string().contains("cat@example.org"), "a refused batch writes nothing: {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_leaves_everything_as_it_was() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let path = "/crm/objects/2026-09/{type}/batch/upsert";
    portal
        .post(
            path,
            &json!({"inputs": [input("k1", None, json!({"seats": 1})), input("k2", None, json!({"seats": 2}))]}),
        )
        .await;
    let before = portal.sandbox.dump()["hubspot"].clone();
    // The two trade their keys' other values, a third is made, and the last one is bad.
    let batch = json!({"inputs": [input("k1", None, json!({"seats": 2})), input("k3", None, json!({})), input("k2", None, json!({"seats": "many"}))]});
    assert_eq!(portal.post(path, &batch).await.status, 400);
    assert_eq!(portal.sandbox.dump()["hubspot"], before);
    let bad = json!({"inputs": [{"objectWriteTraceId": "1", "properties": {"subscription_name": "x", "salesforce_id": "k4"},
        "associations": [{"to": {"id": "999"}, "types": [{"associationCategory": "USER_DEFINED", "associationTypeId": 1}]}]}]});
    let part_of = portal.post("/crm/objects/2026-09/{type}/batch/create", &bad).await;
    assert_eq!(part_of.body["numErrors"], 1, "{}", part_of.body);
    assert_eq!(
        portal.sandbox.dump()["hubspot"]["records"],
        before["records"],
        "a record whose association fails is not made"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_gives_access_tokens_that_end() {
    let portal = Portal::new(SandboxOptions { records: 2, ..SandboxOptions::default() }).await;
    let app = json!({"client_id": "app", "client_secret": "secret", "refresh_token": "na1-refresh", "scopes": ["crm.objects.companies.read"]});
    portal.sandbox.control("hubspot", "app", &app).unwrap();
    let ask = async |path: &str, form: &[(&str, &str)]| {
        let reply =
            portal.client.post(format!("{}{path}", portal.sandbox.hubspot_url)).form(form).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_str::<Value>(&reply.text().await.unwrap()).unwrap_or_default())
    };
    let form = |id: &'static str, secret: &'static str, token: &'static str| {
        [("grant_type", "refresh_token"), ("client_id", id), ("client_secret", secret), ("refresh_token", token)]
    };
    for (wrong, status, error) in [
        (form("other", "secret", "na1-refresh"), "BAD_CLIENT_ID", "invalid_client"),
        (form("app", "other", "na1-refresh"), "BAD_CLIENT_SECRET", "invalid_client"),
        (form("app", "secret", "other"), "BAD_REFRESH_TOKEN", "invalid_grant"),
        (
            [
                ("grant_type", "password"),
                ("client_id", "app"),
                ("client_secret", "secret"),
                ("refresh_token", "na1-refresh"),
            ],
            "BAD_GRANT_TYPE",
            "unsupported_grant_type",
        ),
    ] {
        let (code, body) = ask("/oauth/2026-09/token", &wrong).await;
        assert_eq!((code, &body["status"], &body["error"]), (400, &json!(status), &json!(error)), "{body}");
    }
    let (code, given) = ask("/oauth/v3/token", &form("app", "secret", "na1-refresh")).await;
    assert_eq!((code, &given["expires_in"], &given["token_type"]), (200, &json!(1_800), &json!("bearer")), "{given}");
    let token = given["access_token"].as_str().unwrap();
    assert_eq!(portal.ask("GET", "/crm/v3/objects/companies", token, None).await.status, 200);
    assert_eq!(
        portal.ask("GET", "/crm/v3/objects/contacts", token, None).await.status,
        403,
        "its scopes are those of the app"
    );
    let answer = ask("/oauth/2026-09/token/introspect", &[("access_token", token)]).await.1;
    assert_eq!((&answer["active"], &answer["hub_id"]), (&json!(true), &json!(51_234_567)));
    portal.sandbox.advance(std::time::Duration::from_secs(1_801));
    Portal::demand(
        &portal.ask("GET", "/crm/v3/objects/companies", token, None).await,
        401,
        &[("/category", json!("EXPIRED_AUTHENTICATION"))],
        "after half an hour",
    );
    assert_eq!(ask("/oauth/2026-09/token/introspect", &[("access_token", token)]).await.1["active"], false);
    assert_eq!(ask("/oauth/2026-09/token/revoke", &[("refresh_token", "na1-refresh")]).await.0, 204);
    assert_eq!(ask("/oauth/2026-09/token", &form("app", "secret", "na1-refresh")).await.0, 400);
}
