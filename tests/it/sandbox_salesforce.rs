//! The emulated Salesforce against documented answers: SOQL and what it selects, errors, pages, two ways of writing values.

use serde_json::{Value, json};
use syncline::sandbox::options::{CLIENT_ID, CLIENT_SECRET, SandboxOptions};
use syncline::sandbox::{Sandbox, start};

/// A sandbox that is asked directly, with a session.
struct Org {
    sandbox: Sandbox,
    client: reqwest::Client,
    token: String,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Org {
    async fn new(options: SandboxOptions) -> Self {
        let sandbox = start(options).await.unwrap();
        let client = crate::support::client();
        let mut org = Self { sandbox, client, token: String::new() };
        let form = [("grant_type", "client_credentials"), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        let login = org.client.post(format!("{}/services/oauth2/token", org.sandbox.salesforce_url)).form(&form);
        let login: Value = serde_json::from_str(&login.send().await.unwrap().text().await.unwrap()).unwrap();
        assert!(login["issued_at"].is_string() && login.get("expires_in").is_none(), "{login}");
        org.token = login["access_token"].as_str().unwrap().to_owned();
        org
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let url = format!("{}{path}", self.sandbox.salesforce_url);
        let mut request = self.client.request(method.parse().unwrap(), url).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let reply = request.send().await.unwrap();
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Answer { status, headers, text: reply.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None).await
    }

    async fn query(&self, soql: &str) -> Answer {
        let url = url::form_urlencoded::byte_serialize(soql.as_bytes()).collect::<String>();
        self.get(&format!("/services/data/v67.0/query?q={url}")).await
    }

    /// The names that a condition selects, in order of their names.
    async fn names(&self, condition: &str) -> Vec<String> {
        let answer = self.query(&format!("SELECT Name FROM Subscription__c WHERE {condition} ORDER BY Name")).await;
        assert_eq!(answer.status, 200, "{condition}: {}", answer.text);
        let rows = answer.json()["records"].as_array().unwrap().clone();
        rows.iter().map(|row| row["Name"].as_str().unwrap().to_owned()).collect()
    }
}

/// An org whose subscriptions are a, b, c, and d.
async fn small() -> Org {
    let org = Org::new(SandboxOptions { records: 0, ..SandboxOptions::default() }).await;
    let account = |name: &str| {
        let made = org.sandbox.control(
            "salesforce",
            "create",
            &json!({"object": "Account", "values": {"Name": name, "Industry": "Energy"}}),
        );
        made.unwrap()["id"].clone()
    };
    let rows = [
        json!({"Name": "a", "Status__c": "Active", "Amount__c": "1.5", "Start__c": "2026-01-31", "Auto_Renew__c": true, "Channels__c": "Email;Web", "Account__c": account("Müller & Söhne"), "Seats__c": 5}),
        json!({"Name": "b", "Status__c": "On Hold", "Amount__c": "20", "Start__c": "2026-02-01", "Channels__c": "Web", "Seats__c": 10}),
        json!({"Name": "c%", "Status__c": "Active", "Amount__c": "12345678901234.56", "Channels__c": "Phone;Email"}),
        json!({"Name": "d'_x", "Status__c": "Draft", "Renews_At__c": "2026-10-01T09:00:00Z"}),
    ];
    for values in rows {
        org.sandbox.control("salesforce", "create", &json!({"object": "Subscription__c", "values": values})).unwrap();
    }
    org
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_select_what_soql_says() {
    let org = small().await;
    let table: [(&str, &[&str]); 32] = [
        ("Name = 'A'", &["a"]),
        ("Name != 'a' AND Name != null", &["b", "c%", "d'_x"]),
        ("Name <> 'a' AND Status__c = 'Active'", &["c%"]),
        ("Amount__c > 1.5", &["b", "c%"]),
        ("Amount__c >= 1.5 AND Amount__c < 100", &["a", "b"]),
        ("Amount__c = 12345678901234.56", &["c%"]),
        ("Amount__c = null", &["d'_x"]),
        ("Amount__c != null", &["a", "b", "c%"]),
        ("Status__c IN ('Active', 'Draft')", &["a", "c%", "d'_x"]),
        ("Status__c NOT IN ('Active', 'Draft')", &["b"]),
        ("NOT Status__c = 'Active'", &["b", "d'_x"]),
        ("Status__c = 'Active' AND (Amount__c < 2 OR Name LIKE 'c%')", &["a", "c%"]),
        ("Name LIKE 'c\\%'", &["c%"]),
        ("Name LIKE '_'", &["a", "b"]),
        ("Name LIKE '%\\_x'", &["d'_x"]),
        ("Name = 'd\\'_x'", &["d'_x"]),
        ("Name = '\\u0061'", &["a"]),
        ("Channels__c INCLUDES ('Email')", &["a", "c%"]),
        ("Channels__c INCLUDES ('Email;Web')", &["a"]),
        ("Channels__c INCLUDES ('Email;Web','Phone')", &["a", "c%"]),
        ("Channels__c EXCLUDES ('Email') AND Channels__c != null", &["b"]),
        ("Channels__c = 'Web'", &["b"]),
        ("Auto_Renew__c = TRUE", &["a"]),
        ("Auto_Renew__c = false", &["b", "c%", "d'_x"]),
        ("Start__c = 2026-01-31", &["a"]),
        ("Start__c > 2026-01-31", &["b"]),
        ("Renews_At__c = 2026-10-01T11:00:00+02:00", &["d'_x"]),
        ("Renews_At__c < 2026-10-01T09:00:00.001Z", &["d'_x"]),
        ("CreatedDate = TODAY", &["a", "b", "c%", "d'_x"]),
        ("CreatedDate = LAST_N_DAYS:2", &["a", "b", "c%", "d'_x"]),
        ("Account__r.Name = 'müller & söhne'", &["a"]),
        ("Account__r.Industry = null", &["b", "c%", "d'_x"]),
    ];
    for (condition, expected) in table {
        assert_eq!(org.names(condition).await, expected, "{condition}");
    }
    let ids =
        org.query("select id, name from subscription__c order by amount__c desc nulls last, NAME limit 2").await.json();
    let names: Vec<&str> = ids["records"].as_array().unwrap().iter().filter_map(|row| row["Name"].as_str()).collect();
    assert_eq!(names, ["c%", "b"], "{ids}");
    let count = org.query("SELECT COUNT() FROM Subscription__c WHERE Status__c = 'Active'").await.json();
    assert_eq!((&count["totalSize"], &count["records"]), (&json!(2), &json!([])));
    let parent = org
        .query("SELECT Name, Account__r.Name FROM Subscription__c WHERE Name IN ('a', 'b') ORDER BY Name")
        .await
        .json();
    assert_eq!(parent["records"][0]["Account__r"]["Name"], "Müller & Söhne");
    assert_eq!(parent["records"][1]["Account__r"], Value::Null, "{parent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_queries_get_the_real_errors() {
    let org = small().await;
    let table = [
        (
            "SELECT Nope__c FROM Subscription__c",
            "INVALID_FIELD",
            "No such column 'Nope__c' on entity 'Subscription__c'",
        ),
        ("SELECT Id FROM Nope__c", "INVALID_TYPE", "sObject type 'Nope__c' is not supported"),
        ("SELECT Id FORM Subscription__c", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Subscription__c WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "MALFORMED_QUERY", ""),
        ("SELECT Id FROM Subscription__c WHERE Notes__c = 'x'", "INVALID_FIELD", "can not be filtered in a query call"),
        ("SELECT Id FROM Subscription__c ORDER BY Channels__c", "", "Channels__c"),
        ("SELECT Id FROM Subscription__c WHERE Name = 'a", "MALFORMED_QUERY", ""),
        ("SELECT Id FROM Subscription__c WHERE Amount__c = 'x'", "INVALID_FIELD", ""),
        ("SELECT Id FROM Subscription__c WHERE Id = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR", ""),
        ("", "MALFORMED_QUERY", ""),
    ];
    for (soql, code, part) in table {
        let answer = org.query(soql).await;
        assert_eq!(answer.status, 400, "{soql}: {}", answer.text);
        let body = answer.json();
        let error = &body[0];
        assert!(code.is_empty() || error["errorCode"] == code, "{soql}: {body}");
        assert!(error["message"].as_str().unwrap().contains(part), "{soql}: {body}");
    }
    let long = format!("SELECT Id FROM Subscription__c WHERE Name IN ('{}')", "x".repeat(17_000));
    assert!(matches!(org.query(&long).await.status, 414 | 431));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_come_in_pages_and_locators_end() {
    let org = Org::new(SandboxOptions { records: 450, ..SandboxOptions::default() }).await;
    let path = "/services/data/v67.0/query?q=SELECT+Id+FROM+Subscription__c";
    let first = org.ask("GET", path, &[("Sforce-Query-Options", "batchSize=200")], None).await;
    let body = first.json();
    assert_eq!((body["done"].as_bool(), body["records"].as_array().unwrap().len()), (Some(false), 200));
    assert!(first.headers["sforce-limit-info"].to_str().unwrap().starts_with("api-usage="));
    let mut next = body["nextRecordsUrl"].as_str().map(str::to_owned);
    let mut rows = 200;
    while let Some(url) = next {
        let page = org.get(&url).await.json();
        rows += page["records"].as_array().unwrap().len();
        next = page.get("nextRecordsUrl").and_then(Value::as_str).map(str::to_owned);
        assert_eq!(page["done"].as_bool(), Some(next.is_none()));
    }
    assert_eq!(body["totalSize"], rows);
    let lost = org.get("/services/data/v67.0/query/01gXX0000000000AAA-2000").await;
    assert_eq!((lost.status, lost.json()[0]["errorCode"].as_str()), (400, Some("INVALID_QUERY_LOCATOR")));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_write_values_in_their_own_way() {
    let org = small().await;
    let row = org
        .query("SELECT CreatedDate, Renews_At__c, Amount__c FROM Subscription__c WHERE Name = 'd\\'_x'")
        .await
        .json();
    assert_eq!(row["records"][0]["Renews_At__c"], "2026-10-01T09:00:00.000+0000");
    let job = json!({"operation": "query", "query": "SELECT Name, Renews_At__c FROM Subscription__c ORDER BY Name", "contentType": "CSV", "columnDelimiter": "COMMA", "lineEnding": "LF"});
    let made = org.ask("POST", "/services/data/v67.0/jobs/query", &[], Some(job)).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/services/data/v67.0/jobs/query/{id}");
    let mut state = String::new();
    for _ in 0..50 {
        state = org.get(&path).await.json()["state"].as_str().unwrap().to_owned();
        if state == "JobComplete" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(state, "JobComplete");
    let results = org.get(&format!("{path}/results?maxRecords=3")).await;
    assert_eq!(results.headers["sforce-numberofrecords"], "3");
    assert!(results.text.starts_with("\"Name\",\"Renews_At__c\"\n\"a\",\"\"\n"), "{}", results.text);
    let locator = results.headers["sforce-locator"].to_str().unwrap();
    let last = org.get(&format!("{path}/results?locator={locator}")).await;
    assert_eq!(last.headers["sforce-locator"], "null");
    assert!(last.text.contains("2026-10-01T09:00:00.000Z"), "{}", last.text);
    for refused in [
        "SELECT COUNT() FROM Subscription__c",
        "SELECT Id FROM Subscription__c OFFSET 5",
        "SELECT Address FROM WorkOrder",
        "SELECT Nope__c FROM Subscription__c",
    ] {
        let answer = org
            .ask("POST", "/services/data/v67.0/jobs/query", &[], Some(json!({"operation": "query", "query": refused})))
            .await;
        assert_eq!(answer.status, 400, "{refused}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_live_die_and_come_back() {
    let org = small().await;
    let base = "/services/data/v67.0/sobjects/Subscription__c";
    let made = org.ask("POST", base, &[], Some(json!({"Name": "new", "Status__c": "Active"}))).await;
    assert_eq!((made.status, made.json()["success"].as_bool()), (201, Some(true)));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let wrong = [
        (json!({"Nope__c": 1}), "INVALID_FIELD"),
        (json!({"Status__c": "Exploded"}), "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        (json!({"Name": "x".repeat(81)}), "STRING_TOO_LONG"),
        (json!({"Start__c": "soon"}), "JSON_PARSER_ERROR"),
    ];
    for (body, code) in wrong {
        let answer = org.ask("PATCH", &format!("{base}/{id}"), &[], Some(body.clone())).await;
        assert_eq!((answer.status, answer.json()[0]["errorCode"].as_str()), (400, Some(code)), "{body}");
    }
    assert_eq!(org.ask("DELETE", &format!("{base}/{id}"), &[], None).await.status, 204);
    assert_eq!(org.get(&format!("{base}/{id}")).await.json()[0]["errorCode"], "ENTITY_IS_DELETED");
    assert!(org.names("Name = 'new'").await.is_empty());
    let all = org
        .get(&format!("/services/data/v67.0/queryAll?q=SELECT+Id,IsDeleted+FROM+Subscription__c+WHERE+Id='{id}'"))
        .await
        .json();
    assert_eq!(all["records"][0]["IsDeleted"], true, "{all}");
    org.sandbox.control("salesforce", "undelete", &json!({"object": "Subscription__c", "id": id})).unwrap();
    assert_eq!(org.names("Name = 'new'").await, ["new"]);
    org.sandbox.control("salesforce", "hide", &json!({"object": "Subscription__c", "field": "Amount__c"})).unwrap();
    let described = org.get(&format!("{base}/describe")).await.json();
    assert!(described["fields"].as_array().unwrap().iter().all(|field| field["name"] != "Amount__c"));
    assert_eq!(org.query("SELECT Amount__c FROM Subscription__c").await.json()[0]["errorCode"], "INVALID_FIELD");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_logins_fail_as_documented() {
    let mut org = small().await;
    let token = |form: Vec<(&'static str, &'static str)>| {
        let request = org.client.post(format!("{}/services/oauth2/token", org.sandbox.salesforce_url)).form(&form);
        async move {
            let reply = request.send().await.unwrap();
            (reply.status().as_u16(), serde_json::from_str::<Value>(&reply.text().await.unwrap()).unwrap())
        }
    };
    for (form, error) in [
        (
            vec![("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "x")],
            "invalid_client_id",
        ),
        (
            vec![("grant_type", "client_credentials"), ("client_id", CLIENT_ID), ("client_secret", "x")],
            "invalid_client",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("client_id", CLIENT_ID),
                ("client_secret", CLIENT_SECRET),
                ("refresh_token", "x"),
            ],
            "invalid_grant",
        ),
        (vec![("grant_type", "nonsense")], "unsupported_grant_type"),
    ] {
        let (status, body) = token(form.clone()).await;
        assert_eq!((status, body["error"].as_str()), (400, Some(error)), "{form:?}: {body}");
    }
    org.sandbox.control("salesforce", "expire_sessions", &json!({})).unwrap();
    let over = org.get("/services/data/v67.0/limits").await;
    assert_eq!(
        (over.status, over.json()),
        (401, json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]))
    );
    org.token = "nothing".to_owned();
    assert_eq!(org.get("/services/data/v67.0/limits").await.status, 401);
    assert_eq!(org.get("/services/data").await.status, 200, "versions need no session");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_lead_over_lookups_of_the_system_and_to_several_objects() {
    let org = small().await;
    let control = |action: &str, arguments: Value| org.sandbox.control("salesforce", action, &arguments).unwrap();
    let party = json!({"name": "Party__c", "type": "reference", "label": "Party", "referenceTo": ["Account", "Contact", "Case"],
        "relationshipName": "Party__r"});
    control("add_field", json!({"object": "Subscription__c", "field": party}));
    let made = |object: &str, values: Value| {
        control("create", json!({"object": object, "values": values}))["id"].as_str().unwrap().to_owned()
    };
    let account = made("Account", json!({"Name": "Acme"}));
    let contact = made("Contact", json!({"LastName": "Lee", "FirstName": "Ann", "Email": "ann@acme.example"}));
    for (name, id) in [("to account", &account), ("to contact", &contact)] {
        made("Subscription__c", json!({"Name": name, "Party__c": id}));
    }
    let fields = "Name, Party__r.Type, Party__r.Name, party__r.email, CreatedBy.Name, LastModifiedBy.Email, Owner.Name";
    let answer = org.query(&format!("SELECT {fields} FROM Subscription__c WHERE Name LIKE 'to %' ORDER BY Name")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let rows = answer.json()["records"].clone();
    assert_eq!((&rows[0]["Party__r"]["Type"], &rows[1]["Party__r"]["Type"]), (&json!("Account"), &json!("Contact")));
    assert_eq!((&rows[0]["Party__r"]["Name"], &rows[0]["Party__r"]["Email"]), (&json!("Acme"), &Value::Null));
    assert_eq!(rows[1]["Party__r"]["Email"], "ann@acme.example");
    assert_eq!(rows[0]["Party__r"]["attributes"]["type"], "Account");
    assert_eq!(rows[0]["CreatedBy"]["Name"], "Syncline Integration");
    assert!(rows[0]["LastModifiedBy"]["Email"].is_string(), "{rows}");
    assert_eq!(org.names("Party__r.Type = 'Contact'").await, ["to contact"]);
    assert_eq!(org.names("Party__r.Name = 'Acme'").await, ["to account"]);
    assert_eq!(org.names("Party__c = null AND Party__r.Name = null").await.len(), 4);
    for (path, message) in [
        ("Party__r.Industry", "No such column 'Industry' on entity 'Name'"),
        ("Party__r.Owner.Name", "Didn't understand relationship 'Owner'"),
        ("Account__r.Type__c", "No such column 'Type__c' on entity 'Account'"),
        ("CreatedBy.Nope", "No such column 'Nope' on entity 'User'"),
        ("MasterRecord.Name", "Didn't understand relationship 'MasterRecord'"),
    ] {
        let answer = org.query(&format!("SELECT Id, {path} FROM Subscription__c")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        let error = answer.json()[0]["message"].as_str().unwrap().to_owned();
        assert!(error.contains(message) && error.contains("ERROR at Row:1:Column:12"), "{path}: {error}");
    }
    assert_eq!(org.query("SELECT MasterRecord.Name, MasterRecordId FROM Account").await.status, 200);
    // The same paths in Bulk results.
    let job = org
        .ask(
            "POST",
            "/services/data/v67.0/jobs/query",
            &[],
            Some(json!({"operation": "query",
        "query": "SELECT Party__r.Type FROM Subscription__c WHERE Party__c != null ORDER BY Party__r.Type"})),
        )
        .await
        .json();
    org.sandbox.advance(std::time::Duration::from_secs(5));
    let csv = org.get(&format!("/services/data/v67.0/jobs/query/{}/results", job["id"].as_str().unwrap())).await.text;
    assert_eq!(csv.lines().collect::<Vec<_>>(), ["\"Party__r.Type\"", "\"Account\"", "\"Contact\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_describe_has_the_flags_and_numbers_of_a_recorded_one() {
    let org = small().await;
    let add = |field: Value| {
        org.sandbox.control("salesforce", "add_field", &json!({"object": "Account", "field": field})).unwrap()
    };
    add(
        json!({"name": "Number__c", "type": "string", "label": "Number", "autoNumber": true, "displayFormat": "A-{000}"}),
    );
    let twice = json!({"object": "Account", "field": {"name": "NUMBER__c", "type": "string", "label": "Number"}});
    let refused = org.sandbox.control("salesforce", "add_field", &twice).unwrap_err().to_string();
    assert!(refused.contains("already has a field"), "{refused}");
    add(json!({"name": "Rich__c", "type": "textarea", "label": "Rich", "length": 32_768, "htmlFormatted": true}));
    add(json!({"name": "Sum__c", "type": "currency", "label": "Sum", "calculated": true}));
    add(json!({"name": "Many__c", "type": "multipicklist", "label": "Many", "picklistValues": [{"value": "a"}]}));
    add(json!({"name": "Either__c", "type": "reference", "label": "Either", "referenceTo": ["Account", "Contact"]}));
    let described = org.get("/services/data/v67.0/sobjects/Account/describe").await.json();
    let field = |name: &str| {
        described["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap().clone()
    };
    for (name, members) in [
        (
            "Id",
            json!({"label": "Account ID", "byteLength": 18, "nillable": false, "createable": false, "idLookup": true, "groupable": true}),
        ),
        ("CreatedDate", json!({"label": "Created Date", "groupable": false, "filterable": true, "updateable": false})),
        (
            "CreatedById",
            json!({"referenceTo": ["User"], "relationshipName": "CreatedBy", "length": 18, "byteLength": 18}),
        ),
        ("LastModifiedById", json!({"referenceTo": ["User"], "relationshipName": "LastModifiedBy"})),
        ("MasterRecordId", json!({"referenceTo": ["Account"], "relationshipName": "MasterRecord", "nillable": true})),
        ("SystemModstamp", json!({"label": "System Modstamp", "type": "datetime"})),
        (
            "Number__c",
            json!({"length": 30, "byteLength": 90, "groupable": false, "nillable": false, "createable": false, "displayFormat": null}),
        ),
        (
            "Rich__c",
            json!({"filterable": false, "sortable": false, "groupable": false, "extraTypeInfo": "richtextarea", "byteLength": 98_304}),
        ),
        (
            "Sum__c",
            json!({"createable": false, "updateable": false, "groupable": false, "precision": 18, "filterable": true}),
        ),
        (
            "Many__c",
            json!({"length": 4_099, "byteLength": 4_099, "sortable": false, "groupable": false, "filterable": true}),
        ),
        ("Either__c", json!({"polymorphicForeignKey": true, "namePointing": true})),
        ("NumberOfEmployees", json!({"digits": 8, "precision": 0, "groupable": true})),
        ("AnnualRevenue", json!({"groupable": false, "soapType": "xsd:double"})),
        ("Website", json!({"length": 255, "byteLength": 765, "groupable": true})),
    ] {
        for (member, expected) in members.as_object().unwrap() {
            assert_eq!(&field(name)[member], expected, "{name}.{member}");
        }
    }
    let children = described["childRelationships"].as_array().unwrap();
    assert!(
        children.iter().any(|child| child["childSObject"] == "Subscription__c" && child["field"] == "Account__c"),
        "{children:?}"
    );
    assert_eq!(described["recordTypeInfos"][0]["recordTypeId"], "012000000000000AAA");
    let id = org
        .sandbox
        .control("salesforce", "create", &json!({"object": "Account", "values": {"Name": "x"}}))
        .unwrap()["id"]
        .clone();
    let row = org.get(&format!("/services/data/v67.0/sobjects/Account/{}", id.as_str().unwrap())).await.json();
    assert!(row["Number__c"].as_str().is_some_and(|text| text.starts_with("A-0")), "{row}");
    let versions = org.get("/services/data").await.json();
    let label = |version: &str| {
        versions.as_array().unwrap().iter().find(|entry| entry["version"] == version).unwrap()["label"].clone()
    };
    assert_eq!(
        (label("66.0"), label("67.0"), label("68.0")),
        (json!("Spring '26"), json!("Summer '26"), json!("Winter '27"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn words_for_quarters_select_rows() {
    let org = small().await;
    let (year, month) = {
        let today = org.sandbox.now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        (today.year(), today.month())
    };
    let start = format!("{year}-{:02}-01", (month - 1) / 3 * 3 + 1);
    org.sandbox
        .control(
            "salesforce",
            "create",
            &json!({"object": "Subscription__c", "values": {"Name": "this quarter", "Start__c": start}}),
        )
        .unwrap();
    for word in ["THIS_QUARTER", "THIS_FISCAL_QUARTER", "THIS_FISCAL_YEAR"] {
        assert!(org.names(&format!("Start__c = {word}")).await.contains(&"this quarter".to_owned()), "{word}");
    }
    for word in ["LAST_FISCAL_QUARTER", "NEXT_N_FISCAL_QUARTERS:2", "N_FISCAL_YEARS_AGO:1"] {
        assert!(!org.names(&format!("Start__c = {word}")).await.contains(&"this quarter".to_owned()), "{word}");
    }
    assert_eq!(org.query("SELECT Id FROM Subscription__c WHERE Start__c = THIS_FISCAL_MONTH").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn typeof_selects_other_fields_for_each_object_of_a_lookup() {
    let org = small().await;
    let control = |action: &str, arguments: Value| org.sandbox.control("salesforce", action, &arguments).unwrap();
    let party = json!({"name": "Party__c", "type": "reference", "label": "Party", "referenceTo": ["Account", "Contact", "WorkOrder"],
        "relationshipName": "Party__r"});
    control("add_field", json!({"object": "Subscription__c", "field": party}));
    let made = |object: &str, values: Value| {
        control("create", json!({"object": object, "values": values}))["id"].as_str().unwrap().to_owned()
    };
    let account = made("Account", json!({"Name": "Acme", "Industry": "Energy"}));
    let contact = made("Contact", json!({"LastName": "Lee", "Email": "ann@acme.example", "AccountId": account}));
    let order = made("WorkOrder", json!({"Subject": "Broken"}));
    for (name, id) in [("to account", &account), ("to booking", &order), ("to contact", &contact)] {
        made("Subscription__c", json!({"Name": name, "Party__c": id}));
    }
    made("Subscription__c", json!({"Name": "to nothing"}));
    let parties = async |choice: &str| {
        let soql = format!("SELECT Name, {choice} FROM Subscription__c WHERE Name LIKE 'to %' ORDER BY Name");
        let answer = org.query(&soql).await;
        assert_eq!(answer.status, 200, "{choice}: {}", answer.text);
        let rows = answer.json()["records"].as_array().unwrap().clone();
        rows.into_iter().map(|row| row["Party__r"].clone()).collect::<Vec<_>>()
    };
    let chosen = "TYPEOF Party__r WHEN Account THEN Name, Industry WHEN Contact THEN Email, Account.Name";
    let found = parties(&format!("{chosen} ELSE Type END")).await;
    assert_eq!((&found[0]["Name"], &found[0]["Industry"]), (&json!("Acme"), &json!("Energy")));
    assert_eq!(found[0]["attributes"]["type"], "Account");
    assert_eq!((&found[1]["Type"], &found[1]["Name"]), (&json!("WorkOrder"), &Value::Null));
    assert_eq!(found[2]["Email"], "ann@acme.example");
    assert_eq!(found[2]["Account"]["Name"], "Acme");
    assert_eq!(found[3], Value::Null);
    // Without ELSE, an object that is not named gives nothing.
    assert_eq!(parties(&format!("{chosen} END")).await[1], Value::Null);
    for (choice, message) in [
        ("TYPEOF Party__r WHEN Lead THEN Name END", "`Party__r` does not lead to `Lead`"),
        ("TYPEOF Party__r WHEN Account THEN Nope END", "No such column 'Nope' on entity 'Account'"),
        ("TYPEOF Party__r WHEN Account THEN Name ELSE Industry END", "No such column 'Industry' on entity 'Name'"),
        ("TYPEOF Account__r WHEN Account THEN Name END", "a lookup to several objects"),
        ("TYPEOF Nope__r WHEN Account THEN Name END", "Didn't understand relationship 'Nope__r'"),
        ("TYPEOF Party__r ELSE Name END", "unexpected token: 'ELSE'"),
        ("TYPEOF Party__r WHEN Account THEN Name", "unexpected token: 'FROM'"),
    ] {
        let answer = org.query(&format!("SELECT Id, {choice} FROM Subscription__c")).await;
        assert!(answer.status == 400 && answer.text.contains(message), "{choice}: {}", answer.text);
    }
    let body = json!({"operation": "query", "query": format!("SELECT Id, {chosen} END FROM Subscription__c")});
    let bulk = org.ask("POST", "/services/data/v67.0/jobs/query", &[], Some(body)).await;
    assert!(bulk.status == 400 && bulk.text.contains("TYPEOF"), "{}", bulk.text);
}
