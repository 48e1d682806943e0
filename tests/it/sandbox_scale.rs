//! The sandbox's work grows with a request, not with the records that it holds: the same request costs about the same with few
//! records and with twenty times as many.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use syncline::sandbox::http::{Request, Service};
use syncline::sandbox::hubspot::HubspotService;
use syncline::sandbox::hubspot::options::Options;
use syncline::sandbox::options::{CLIENT_ID, CLIENT_SECRET, HUBSPOT_TOKEN, USERNAME};
use syncline::sandbox::salesforce::SalesforceService;
use syncline::sandbox::server::split_target;

/// Records of the small and of the large world.
const FEW: usize = 1_000;
const MANY: usize = 20_000;

/// So much more may a request cost in the large world. A look at every record would cost twenty times as much.
const MARGIN: f64 = 5.0;

/// How often a request is measured; the cheapest one counts, as other programs only ever add.
const ROUNDS: usize = 9;

struct World {
    service: Arc<dyn Service>,
    authorization: String,
    prefix: &'static str,
    /// Requests so far: each comes a second later, so that no limit of a second is met.
    asked: Cell<i64>,
}

fn start() -> jiff::Timestamp {
    "2026-10-01T09:00:00Z".parse().unwrap()
}

impl World {
    fn ask(&self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let target = format!("{}{target}", self.prefix);
        let (path, query) = split_target(&target);
        let headers = vec![("authorization".to_owned(), self.authorization.clone())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request { method: method.to_owned(), path, query, headers, body: body.into(), target };
        self.asked.set(self.asked.get() + 1);
        let reply = self.service.handle(&request, start() + jiff::SignedDuration::from_secs(self.asked.get()));
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    fn control(&self, action: &str, arguments: &Value) -> Value {
        self.service.control(action, arguments, start()).unwrap()
    }
}

/// Demands that a request costs about the same in both worlds. `prepare` makes the request of a round.
fn compare(few: &World, many: &World, what: &str, request: impl Fn(usize) -> (&'static str, String, Value)) {
    let measure = |world: &World| {
        let costs = (0..ROUNDS).map(|round| {
            let (method, target, body) = request(round);
            let start = Instant::now();
            let (status, answer) = world.ask(method, &target, &body);
            let cost = start.elapsed();
            assert!(status < 300, "{what}: {status} {answer}");
            cost
        });
        // What takes next to nothing is as good as equal.
        costs.min().unwrap_or_default().as_secs_f64().max(50e-6)
    };
    let (small, large) = (measure(few), measure(many));
    assert!(large < MARGIN * small, "{what}: {small} s with {FEW} records, {large} s with {MANY}");
}

/// A portal with so many subscriptions, companies, and associations of all of them with one company.
fn portal(records: usize) -> World {
    let options = Options {
        portal_id: 51_234_567,
        access_token: HUBSPOT_TOKEN.to_owned(),
        rate_limit: (u32::MAX, std::time::Duration::from_millis(1)),
        daily_limit: u64::MAX,
        seed: 1,
        search_lag: std::time::Duration::ZERO,
    };
    let world = World {
        service: Arc::new(HubspotService::new(options)),
        authorization: format!("Bearer {HUBSPOT_TOKEN}"),
        prefix: "",
        asked: Cell::new(0),
    };
    let number = |number: usize| json!({"id": number.to_string(), "properties": {"name": format!("n{number}"), "sf_id": format!("k{number}")}});
    let companies = |number: usize| json!({"id": (500_000 + number).to_string(), "properties": {"name": format!("c{number}"), "domain": format!("d{number}.example")}});
    world.control("seed", &json!({
        "properties": {"0-2": [{"name": "key", "label": "Key", "type": "string", "fieldType": "text", "hasUniqueValue": true}]},
        "schemas": [{"name": "things", "labels": {"singular": "Thing", "plural": "Things"}, "primaryDisplayProperty": "name",
            "properties": [{"name": "name", "label": "Name", "type": "string", "fieldType": "text"},
                {"name": "sf_id", "label": "SF id", "type": "string", "fieldType": "text", "hasUniqueValue": true}],
            "associatedObjects": ["0-2"]}],
        "records": {"things": (1..=records).map(number).collect::<Vec<_>>(), "0-2": (1..=records).map(companies).collect::<Vec<_>>()}}));
    for from in 1..=records {
        let pair = json!({"from": "things", "from_id": from.to_string(), "to": "0-2", "to_id": "500001"});
        world.control("associate", &pair);
    }
    world
}

fn inputs(count: usize, input: impl Fn(usize) -> Value) -> Value {
    json!({"inputs": (0..count).map(input).collect::<Vec<_>>()})
}

#[test]
fn a_request_to_hubspot_costs_its_own_size() {
    let (few, many) = (portal(FEW), portal(MANY));
    let things = "/crm/objects/2026-09/p51234567_things";
    let pairs = "/crm/associations/2026-09/p51234567_things/companies";
    let key = |number: usize, trace: bool| {
        let mut input = json!({"id": format!("k{number}"), "idProperty": "sf_id", "properties": {"name": "x"}});
        if trace {
            input["objectWriteTraceId"] = format!("t{number}").into();
        }
        input
    };
    for trace in [true, false] {
        compare(&few, &many, "upsert that changes", |round| {
            ("POST", format!("{things}/batch/upsert"), inputs(100, |at| key(1 + round * 100 + at, trace)))
        });
        compare(&few, &many, "upsert that makes", |round| {
            let number = 1_000_000 + 1_000_000 * usize::from(trace) + round * 100;
            ("POST", format!("{things}/batch/upsert"), inputs(100, |at| key(number + at, trace)))
        });
    }
    compare(&few, &many, "update", |round| {
        let update = |at: usize| json!({"id": (1 + round * 100 + at).to_string(), "properties": {"name": "y"}});
        ("POST", format!("{things}/batch/update"), inputs(100, update))
    });
    compare(&few, &many, "update of ids that are not there", |round| {
        let update = |at: usize| json!({"id": (7_000_000 + round * 100 + at).to_string(), "properties": {"name": "y"}});
        ("POST", format!("{things}/batch/update"), inputs(100, update))
    });
    compare(&few, &many, "read", |_| {
        let mut read = inputs(100, |at| json!({"id": format!("k{}", 1 + at)}));
        read["idProperty"] = "sf_id".into();
        read["properties"] = json!(["name"]);
        ("POST", format!("{things}/batch/read"), read)
    });
    compare(&few, &many, "list", |_| ("GET", format!("{things}?limit=100&properties=name"), Value::Null));
    for (name, filter) in [
        ("search by a value", json!({"propertyName": "domain", "operator": "EQ", "value": "d77.example"})),
        (
            "search by values",
            json!({"propertyName": "domain", "operator": "IN", "values": ["d77.example", "d78.example"]}),
        ),
        ("search by time", json!({"propertyName": "hs_lastmodifieddate", "operator": "GT", "value": "4000000000000"})),
    ] {
        compare(&few, &many, name, |_| {
            ("POST", "/crm/objects/2026-09/companies/search".into(), json!({"filterGroups": [{"filters": [filter]}]}))
        });
    }
    compare(&few, &many, "associations of a fan", |round| {
        let pair = |at: usize| json!({"from": {"id": (1 + round * 100 + at).to_string()}, "to": {"id": "500001"}});
        ("POST", format!("{pairs}/batch/associate/default"), inputs(100, pair))
    });
    compare(&few, &many, "first page of a fan", |_| {
        ("GET", "/crm/objects/2026-09/companies/500001/associations/p51234567_things?limit=100".into(), Value::Null)
    });
    compare(&few, &many, "archive", |round| {
        (
            "POST",
            format!("{things}/batch/archive"),
            inputs(100, |at| json!({"id": (999 - round * 100 - at).to_string()})),
        )
    });
    // The rules of unique values that some portals have are no slower.
    for switches in [json!({"unique_case_sensitive": false}), json!({"archived_frees_unique": false})] {
        for world in [&few, &many] {
            world.control("switches", &switches);
        }
        compare(&few, &many, &switches.to_string(), |round| {
            let number = 5_000_000 + round * 100 + 1_000 * usize::from(switches.get("archived_frees_unique").is_some());
            ("POST", format!("{things}/batch/upsert"), inputs(100, |at| key(number + at, true)))
        });
    }
}

/// An org with so many accounts, and details of one of them.
fn org(records: usize) -> World {
    let service = SalesforceService::new(syncline::sandbox::salesforce::options::Options {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        username: USERNAME.to_owned(),
        jwt_public_key: None,
        daily_limit: u64::MAX,
        token_lifetime: std::time::Duration::from_secs(3_600),
        visibility_delay: std::time::Duration::ZERO,
        seed: 1,
    });
    let mut world = World { service: Arc::new(service), authorization: String::new(), prefix: "", asked: Cell::new(0) };
    let id = |prefix: &str, number: usize| syncline::sandbox::seed::ids::id(prefix, number);
    let stamp = |number: usize| format!("2026-0{}-01T00:00:00Z", 1 + number % 3);
    let master = |number: usize| json!({"Id": id("a01", number), "Name": format!("m{number}"), "Code__c": format!("c{number}"), "CreatedDate": stamp(number)});
    let detail = |number: usize| json!({"Id": id("a02", number), "Name": format!("d{number}"), "Master__c": id("a01", number), "CreatedDate": stamp(number)});
    world.control("seed", &json!({
        "objects": [
            {"name": "Master__c", "keyPrefix": "a01", "fields": [{"name": "Name", "type": "string", "nameField": true},
                {"name": "Code__c", "type": "string", "externalId": true, "unique": true}]},
            {"name": "Detail__c", "keyPrefix": "a02", "fields": [{"name": "Name", "type": "string", "nameField": true},
                {"name": "Master__c", "type": "reference", "referenceTo": ["Master__c"], "relationshipName": "Master__r", "cascadeDelete": true}]}],
        "records": {"Master__c": (0..records).map(master).collect::<Vec<_>>(), "Detail__c": (0..records).map(detail).collect::<Vec<_>>()}}));
    let form = format!("grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}");
    let (path, query) = split_target("/services/oauth2/token");
    let request = Request {
        method: "POST".into(),
        path,
        query,
        headers: Vec::new(),
        body: form.into(),
        target: "/services/oauth2/token".into(),
    };
    let reply = world.service.handle(&request, start());
    let token: Value = serde_json::from_slice(&reply.body).unwrap();
    world.authorization = format!("Bearer {}", token["access_token"].as_str().unwrap());
    world.prefix = "/services/data/v67.0";
    world
}

#[test]
fn a_request_to_salesforce_costs_its_own_size() {
    let (few, many) = (org(FEW), org(MANY));
    let id = |prefix: &str, number: usize| syncline::sandbox::seed::ids::id(prefix, number);
    compare(&few, &many, "upsert by an external id", |round| {
        ("PATCH", format!("/sobjects/Master__c/Code__c/c{round}"), json!({"Name": "x"}))
    });
    compare(&few, &many, "delete with its details", |round| {
        ("DELETE", format!("/sobjects/Master__c/{}", id("a01", 100 + round)), Value::Null)
    });
    compare(&few, &many, "deleted", |_| {
        ("GET", "/sobjects/Master__c/deleted?start=2026-10-01T08:00:00Z&end=2026-10-01T09:00:00Z".into(), Value::Null)
    });
    compare(&few, &many, "updated", |_| {
        ("GET", "/sobjects/Master__c/updated?start=2026-10-01T08:00:00Z&end=2026-10-01T09:00:00Z".into(), Value::Null)
    });
    for (what, condition) in [
        ("by id", format!("Id = '{}'", id("a01", 7))),
        ("by external id", "Code__c = 'c7'".to_owned()),
        ("by stamp", "SystemModstamp > 2026-10-01T00:00:00Z".to_owned()),
    ] {
        compare(&few, &many, what, |_| {
            (
                "GET",
                format!("/query?q={}", format!("SELECT Id, Name FROM Master__c WHERE {condition}").replace(' ', "+")),
                Value::Null,
            )
        });
    }
    compare(&few, &many, "by lookup", |_| {
        ("GET", format!("/query?q=SELECT+Id+FROM+Detail__c+WHERE+Master__c='{}'", id("a01", 7)), Value::Null)
    });
}
