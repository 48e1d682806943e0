//! `syncline serve`: the page, its JSON and its metrics; who may ask and who may change; nonsense and haste.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncline::model::identity::Identity;
use syncline::model::ids::{HubspotId, SalesforceId};

use crate::support::remembered::{live, remember};
use crate::support::served::{Answer, Served, reject_texts};
use crate::support::{Bench, ended};

const TOKEN: &str = "a-token-of-this-test-0123456789";

/// Headers of a page of the server itself.
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// Writes a file for its owner alone.
fn token_file(bench: &Bench, name: &str, text: &str, mode: u32) {
    bench.write(name, text);
    let rights = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(bench.path(name), rights).unwrap();
}

/// A bench with failures and history.
fn used() -> Bench {
    let bench = Bench::new(60);
    bench.import();
    bench
}

#[test]
fn json_is_what_the_command_line_prints() {
    let bench = used();
    let served = bench.serve(&["--show-values"]);
    let id = bench.rows("Subscription__c").into_keys().next().unwrap();
    let run = bench.run(&["runs", "--format", "json"]).json()["runs"][0]["run"].as_str().unwrap().to_owned();
    // Ages go on between the two.
    let still = |mut value: Value| {
        for pipeline in value["pipelines"].as_array_mut().into_iter().flatten() {
            pipeline.as_object_mut().unwrap().remove("lag_seconds");
        }
        value
    };
    let cases: [(&str, &[&str], &str); 7] = [
        ("/status.json", &["status"], "status"),
        ("/.json", &["status"], "status"),
        ("/failures.json", &["failures"], "failures"),
        (
            "/failures.json?code=sl5005&pipeline=subscriptions",
            &["failures", "list", "--code", "SL5005", "--pipeline", "subscriptions"],
            "failures",
        ),
        ("/runs.json?limit=20", &["runs"], "runs"),
        (&format!("/runs/{run}.json"), &["runs", &run], "run"),
        (&format!("/why.json?id={id}"), &["why", &id], "why"),
    ];
    for (path, command, schema) in cases {
        let told = served.get(path).status(200).fits(schema);
        let printed = bench.run(&[command, &["--format", "json"]].concat()).json();
        assert_eq!(still(told), still(printed), "{path}");
    }
    let by_header = served.ask("GET", "/failures", &[("accept", "application/json")], "").status(200);
    assert_eq!(by_header.header("content-type"), Some("application/json"));
    by_header.fits("failures");
    for (path, schema, status) in [
        ("/runs/nothing.json", "run", 404),
        ("/why.json?id=nothing", "why", 400),
        ("/why.json", "why", 400),
        ("/failures.json?limit=many", "failures", 400),
        ("/failures.json?limit=0", "failures", 400),
        ("/failures.json?after=x", "failures", 400),
        ("/failures.json?id=x", "failures", 400),
        ("/nothing.json", "status", 404),
    ] {
        let error = served.get(path).status(status).fits(schema);
        assert!(error["error"]["code"].as_str().unwrap().starts_with("SL"), "{path}: {error}");
    }
}

#[test]
fn a_record_is_found_by_its_id_in_hubspot() {
    let bench = used();
    let why = |id: &str| bench.run(&["why", id, "--format", "json"]);
    let records = bench.records("subscriptions");
    let (id, record) = records.iter().next().unwrap();
    let told = why(id).code(0).json();
    assert_eq!(told["salesforce_id"], record["properties"]["salesforce_id"]);
    assert_eq!((&told["pipelines"][0]["hubspot_id"], told["pipelines"].as_array().unwrap().len()), (&json!(id), 1));
    let unknown = why("987654321012").code(1).json();
    assert_eq!(unknown["error"]["code"], "SL6006");
    assert_eq!(why("12 34").code(1).json()["error"]["code"], "SL5004");
    let served = bench.serve(&[]);
    let page = served.get(&format!("/why?id={id}")).status(200).body;
    assert!(
        page.contains(record["properties"]["salesforce_id"].as_str().unwrap()) && page.contains("is kept in step"),
        "{page}"
    );
    // An answer of the page comes with its error in the place of the answer.
    let page = served.get("/why?id=987654321012").status(404).body;
    assert!(page.contains("no pipeline of this project has written") && page.contains("name=\"id\""), "{page}");
}

#[test]
fn pages_of_failures_lead_to_one_another() {
    let bench = Bench::new(20);
    reject_texts(&bench, &["one", "two", "three", "four", "five"]);
    bench.import();
    let served = bench.serve(&[]);
    let all = bench.failures();
    assert!(all.len() > 3, "{}", all.len());
    let mut seen = Vec::new();
    let mut next = Some("/failures.json?limit=2".to_owned());
    while let Some(path) = next {
        let page = served.get(&path).status(200);
        next = page.header("link").map(|link| {
            let target = link.strip_prefix('<').unwrap().split('>').next().unwrap();
            target.replacen("/failures?", "/failures.json?", 1)
        });
        let page = page.fits("failures");
        let page = page["failures"].as_array().unwrap();
        assert!(page.len() <= 2);
        seen.extend(page.iter().map(|failure| failure["salesforce_id"].clone()));
    }
    let expected: Vec<Value> = all.iter().map(|failure| failure["salesforce_id"].clone()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn values_of_records_are_shown_when_asked_for_only() {
    let bench = Bench::new(20);
    let texts = ["Zyx<b>&\"value", "Qwertz name"];
    reject_texts(&bench, &texts);
    bench.import();
    let failures = bench.failures();
    let failure = failures.iter().find(|failure| failure["title"] == texts[0]).unwrap();
    let (id, code) = (failure["salesforce_id"].as_str().unwrap(), failure["code"].as_str().unwrap());
    let paths = |run: &str| {
        let each = format!("/failures?pipeline=subscriptions&code={code}");
        [
            "/".to_owned(),
            "/failures".to_owned(),
            each,
            "/runs".to_owned(),
            format!("/runs/{run}"),
            format!("/why?id={id}"),
            "/metrics".to_owned(),
        ]
    };
    let runs = bench.run(&["runs", "--format", "json"]).json();
    let run = runs["runs"].as_array().unwrap().iter().find(|run| run["failed"] != 0).unwrap()["run"].as_str().unwrap();
    let (hidden, open) = (bench.serve(&[]), bench.serve(&["--show-values"]));
    let mut shown = false;
    for path in paths(run) {
        for form in ["text/html", "application/json"] {
            let ask = |served: &Served| served.ask("GET", &path, &[("accept", form)], "").status(200).body;
            let without = ask(&hidden);
            for value in ["Zyx", "Qwertz"] {
                assert!(!without.contains(value), "{path} {form}: `{value}`\n{without}");
            }
            let with = ask(&open);
            assert!(!with.contains("Zyx<b>") || form != "text/html", "{path}: a value is no markup");
            shown |= form == "text/html" && with.contains("Zyx&lt;b&gt;&amp;");
        }
    }
    assert!(shown, "the value is shown somewhere");
}

#[test]
fn a_server_that_others_reach_needs_a_token_of_their_own() {
    let bench = Bench::new(1);
    let refused = |flags: &[&str]| {
        let ran = bench.run(&[&["serve"], flags].concat()).code(1);
        assert!(!ran.stderr.contains(TOKEN), "{}", ran.stderr);
        ran.stderr
    };
    assert!(refused(&["--listen", "0.0.0.0:0"]).contains("SL6031"));
    assert!(refused(&["--listen", "[::]:0"]).contains("SL6031"));
    for (name, text, mode, what) in [
        ("open", TOKEN, 0o644, "can be read by others"),
        ("group", TOKEN, 0o660, "can be read by others"),
        ("short", "abc", 0o600, "fewer than 16"),
        ("empty", "\n", 0o600, "fewer than 16"),
        ("words", "a token of several words", 0o600, "more than one word"),
    ] {
        token_file(&bench, name, text, mode);
        let said = refused(&["--listen", "127.0.0.1:0", "--token-file", name]);
        assert!(said.contains("SL6032") && said.contains(what), "{name}: {said}");
    }
    for (name, what) in [("nothing", "`nothing` cannot be read: No such file"), (".", "cannot be read: it is not an")] {
        let said = refused(&["--token-file", name]);
        assert!(said.contains("SL6032") && said.contains(what), "{said}");
    }
    for wrong in ["8321", "example.com:80", "127.0.0.1"] {
        assert!(bench.run(&["serve", "--listen", wrong]).code(64).stderr.contains("expected an address"));
    }
    bench.run(&["sync", "--token-file", "x"]).code(64);
    bench.run(&["sync", "--once", "--listen", "127.0.0.1:0"]).code(64);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&["--listen", &address]);
    assert!(said.contains("SL6030") && said.contains("another program has this port"), "{said}");
    let said = bench.run(&["sync", "--listen", &address]).code(1).stderr;
    assert!(said.contains("SL6030") && !said.contains("syncing"), "a sync without its page does not begin: {said}");
    assert!(refused(&["--listen", "192.0.2.1:0", "--token-file", "nothing"]).contains("SL6032"));
    token_file(&bench, "token", TOKEN, 0o600);
    let said = refused(&["--listen", "192.0.2.1:0", "--token-file", "token"]);
    assert!(said.contains("no address of this computer"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_token_that_is_mounted_for_the_group_of_the_process_is_taken() {
    const US: u32 = 65532;
    let bench = Bench::new(1);
    // Who takes the token finds the port taken next.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let flags = ["serve", "--listen", &address, "--token-file", "token"];
    token_file(&bench, "token", TOKEN, 0o440);
    assert!(bench.run(&flags).code(1).stderr.contains("SL6030"), "a group of our own");
    let own = fs::metadata(bench.path("token")).unwrap();
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        // Nobody else can give files away; the rule itself has its table beside it.
        return;
    }
    // As an image runs, with what Kubernetes mounts for it.
    // The program may lie where only root can go.
    let program = bench.path("syncline");
    fs::copy(env!("CARGO_BIN_EXE_syncline"), &program).unwrap();
    let given = std::process::Command::new("chown").args(["-R", "65532:65532"]).arg(bench.path("")).status();
    assert!(given.unwrap().success());
    for (owner, group, mode, code) in [
        (0, US, 0o440, "SL6030"),
        (US, US, 0o640, "SL6030"),
        (0, US, 0o444, "SL6032"),
        (US, 70, 0o640, "SL6032"),
        (70, US, 0o440, "SL6032"),
    ] {
        token_file(&bench, "token", TOKEN, mode);
        std::os::unix::fs::chown(bench.path("token"), Some(owner), Some(group)).unwrap();
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65532", "--regid=65532", "--clear-groups"]).arg(&program).args(flags);
        command.current_dir(bench.path(""));
        let ran = ended(command.output().unwrap()).code(1);
        assert!(ran.stderr.contains(code), "{owner}:{group} {mode:o}: {ran:?}");
    }
}

#[test]
fn others_look_with_the_token_only() {
    let bench = used();
    token_file(&bench, "token", TOKEN, 0o600);
    let flags = ["serve", "--listen", "0.0.0.0:0", "--token-file", "token", "--host", "status.example"];
    let mut served = Served::start(&bench, &flags);
    served.address = served.address.replace("0.0.0.0", "127.0.0.1");
    for path in ["/healthz", "/readyz", "/page.css", "/page.js", "/icon.svg", "/sign-in"] {
        served.get(path).status(200);
        // A probe asks by the address that the pod has.
        served.ask("GET", path, &[("host", "10.1.2.3:8321")], "").status(200);
    }
    for path in ["/", "/status.json", "/failures", "/runs", "/why", "/metrics", "/events", "/nothing"] {
        let answer = served.get(path).status(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
        assert!(!answer.body.contains("subscriptions"), "{path}: {}", answer.body);
        if path != "/status.json" {
            assert!(answer.body.contains("action=\"/sign-in\""), "{path}: {}", answer.body);
        }
        assert_eq!(served.ask("GET", path, &[("authorization", "Bearer nonsense")], "").status, 401, "{path}");
    }
    let bearer = bearer();
    served.ask("GET", "/status.json", &[("authorization", &bearer)], "").status(200).fits("status");
    let wrong = served.ask("POST", "/sign-in", &[OWN], "token=nonsense").status(401);
    assert_eq!(wrong.header("set-cookie"), None);
    let signed_in = served.ask("POST", "/sign-in", &[OWN], &format!("token={TOKEN}")).status(303);
    let cookie = signed_in.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let page = served.ask("GET", "/", &[("cookie", pair)], "").status(200).body;
    assert!(page.contains("Sign out"), "{page}");
    served.ask("GET", "/", &[("cookie", pair), ("host", "status.example")], "").status(200);
    served.ask("GET", "/", &[("cookie", pair), ("host", "other.example")], "").status(403);
    let out = served.ask("POST", "/sign-out", &[OWN, ("cookie", pair)], "").status(303);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[test]
fn a_page_of_another_site_is_told_nothing() {
    let bench = Bench::new(1);
    token_file(&bench, "token", TOKEN, 0o600);
    let served = bench.serve(&["--token-file", "token"]);
    let right = bearer();
    for host in ["evil.example", "evil.example:8321", "localhost.evil.example", "10.1.2.3", "[2001:db8::1]", ""] {
        for path in ["/", "/status.json", "/metrics", "/healthz", "/failures/retry", "/why.json?id=1"] {
            let answer = served.ask("GET", path, &[("host", host)], "").status(403);
            assert!(
                answer.body.contains("SL6033") && !answer.body.contains("subscriptions"),
                "{host} {path}: {}",
                answer.body
            );
        }
        let body = "pipeline=subscriptions&code=SL5005";
        served.ask("POST", "/failures/retry", &[("host", host), ("authorization", &right)], body).status(403);
    }
    served.ask("GET", "/", &[("host", "localhost:1")], "").status(200);
    served.ask("GET", "http://evil.example/", &[], "").status(403);
    // To ask why costs calls.
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        served.ask("GET", "/why?id=1", &[(header, value)], "").status(403);
    }
    served.ask("GET", "/why", &[("sec-fetch-site", "none")], "").status(200);
    let page = served.get("/").status(200);
    for (name, part) in [
        ("content-security-policy", "default-src 'none'; style-src 'self'; script-src 'self'"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert!(page.header(name).is_some_and(|value| value.contains(part)), "{name}: {:?}", page.headers);
    }
    assert!(!page.body.contains("<style") && !page.body.contains("style=\"") && !page.body.contains("<script>"));
}

/// Headers of a request, and what answers it: status and text.
type Refused<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);

#[test]
fn failures_are_retried_and_dismissed_with_the_token() {
    let bench = used();
    token_file(&bench, "token", &format!("{TOKEN}\n"), 0o600);
    let served = bench.serve(&["--token-file", "token"]);
    let groups = bench.run(&["failures", "--format", "json"]).json()["groups"].clone();
    let group = groups.as_array().unwrap().iter().find(|group| group["code"] == "SL5005").unwrap();
    let (pipeline, records) = (group["pipeline"].as_str().unwrap(), group["records"].as_u64().unwrap());
    let body = format!("pipeline={pipeline}&code=SL5005");
    let right = bearer();
    let right = ("authorization", right.as_str());
    let open = || bench.failures().iter().filter(|failure| failure["code"] == "SL5005").count() as u64;
    let sent = |path: &str, headers: &[(&str, &str)], body: &str| served.ask("POST", path, headers, body);
    let refused: [Refused<'_>; 6] = [
        (&[], 401, "SL6034"),
        (&[("authorization", "Bearer wrong")], 401, "SL6034"),
        (&[right, ("origin", "https://evil.example")], 403, "SL6035"),
        (&[right, ("origin", "null")], 403, "SL6035"),
        (&[right, ("sec-fetch-site", "cross-site")], 403, "SL6035"),
        (&[right, ("sec-fetch-site", "same-site")], 403, "SL6035"),
    ];
    for (headers, status, code) in refused {
        let told = sent("/failures/dismiss.json", headers, &body).status(status).fits("failures-marked");
        assert_eq!(told["error"]["code"], code, "{headers:?}");
    }
    for vague in ["", "pipeline=subscriptions", "code=SL5005", "id=x", "pipeline=&code="] {
        assert_eq!(
            sent("/failures/dismiss.json", &[right], vague).status(400).fits("failures-marked")["status"],
            "failed",
            "{vague}"
        );
    }
    served.ask("GET", "/failures/dismiss", &[right], "").status(404);
    served.ask("DELETE", "/failures", &[right], "").status(404);
    assert_eq!(open(), records, "nothing of it changed anything");
    // As a browser does it, signed in, without a script.
    let signed_in = sent("/sign-in", &[OWN], &format!("token={TOKEN}")).status(303);
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let id = group["salesforce_ids"][0].as_str().unwrap();
    let origin = format!("http://{}", served.address);
    let browser = [("cookie", cookie.as_str()), ("origin", origin.as_str()), OWN, ("accept", "text/html")];
    let answer = sent("/failures/retry", &browser, &format!("pipeline={pipeline}&id={id}")).status(303);
    let target = answer.header("location").unwrap();
    let page = served.ask("GET", target, &browser, "").status(200).body;
    assert!(page.contains("1 failure is tried again by the next sync"), "{page}");
    assert!(page.contains("Retry all") && page.contains("Dismiss all"), "{page}");
    assert_eq!(sent("/failures/retry", &[("cookie", &cookie)], &body).status, 403, "from which page is not said");
    let told = sent("/failures/dismiss.json", &[right], &body).status(200).fits("failures-marked");
    assert_eq!((&told["marked"], open()), (&json!(records), 0));
    // A dismissed one comes back when it is asked for with `all`.
    let again = format!("pipeline={pipeline}&id={id}&all=1");
    let told = sent("/failures/retry.json", &[right], &again).status(200).fits("failures-marked");
    assert_eq!((&told["marked"], open()), (&json!(1), 1));
    // Without a token file nothing can be changed, whatever is sent.
    let read_only = bench.serve(&[]);
    let told = read_only.ask("POST", "/failures/retry.json", &[right, OWN], &body).status(401).fits("failures-marked");
    assert!(told["error"]["message"].as_str().unwrap().contains("no token"), "{told}");
    assert!(!read_only.get("/failures").body.contains("<button>Retry"));
}

#[test]
fn the_buttons_of_a_group_mark_that_group_only() {
    let bench = Bench::new(40);
    // Two reasons of one code: each of its own property.
    bench.edit("pipelines/subscriptions.yaml", "to: notes }", "to: notes, required: true }");
    bench.edit("pipelines/subscriptions.yaml", "to: external_code }", "to: external_code, required: true }");
    bench.edit("pipelines/subscriptions.yaml", "on_filter_exit: keep", "on_filter_exit: keep\nguard: { reject: 100% }");
    for id in bench.rows("Subscription__c").into_keys().take(8) {
        let values = json!({"External_Code__c": null, "Notes__c": "there", "Status__c": "Active"});
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
    }
    bench.import();
    token_file(&bench, "token", TOKEN, 0o600);
    let served = bench.serve(&["--token-file", "token"]);
    let open = |property: &str| {
        let failures = bench.failures();
        failures.iter().filter(|failure| failure["code"] == "SL5010" && failure["property"] == property).count() as u64
    };
    let (notes, codes) = (open("notes"), open("external_code"));
    assert!(notes > 2 && codes == 8, "{notes} and {codes}");
    let right = bearer();
    let right = [("authorization", right.as_str())];
    let page = served.ask("GET", "/failures", &[right[0], ("accept", "text/html")], "").status(200).body;
    assert!(page.contains("Retry all 8 of SL5010 in external_code"), "{page}");
    let link = "/failures?pipeline=subscriptions&amp;code=SL5010&amp;cause=1&amp;property=external_code";
    assert!(page.contains(link), "{page}");
    let each =
        served.get(&link.replace("&amp;", "&").replace("/failures?", "/failures.json?")).status(200).fits("failures");
    assert_eq!((each["failures"].as_array().unwrap().len(), each["groups"].as_array().unwrap().len()), (8, 1));
    // A cause without a property is another one than both.
    for (body, marked) in [
        ("pipeline=subscriptions&code=SL5010&cause=1", 0),
        ("pipeline=subscriptions&code=SL5010&cause=1&property=external_code&remote_code=X", 0),
        ("pipeline=subscriptions&code=SL5010&cause=1&property=external_code", 8),
        ("pipeline=subscriptions&code=SL5010", notes),
    ] {
        let told = served.ask("POST", "/failures/dismiss.json", &right, body).status(200).fits("failures-marked");
        assert_eq!(told["marked"], marked, "{body}");
    }
    assert_eq!(open("notes") + open("external_code"), 0);
}

#[test]
fn a_run_of_a_saved_plan_is_shown_beside_what_was_foretold_with_its_commit() {
    let bench = Bench::new(20);
    bench.repository();
    let commit = bench.git(&["rev-parse", "HEAD"]).trim().to_owned();
    bench.run(&["plan", "subscriptions", "--out", "first.plan"]).code(0);
    bench.run(&["apply", "first.plan", "--yes"]).code(3);
    let run = bench.run(&["runs", "--format", "json"]).json()["runs"][0].clone();
    let planned = &run["origin"]["planned"];
    let served = bench.serve(&[]);
    let page = served.get(&format!("/runs/{}", run["run"].as_str().unwrap())).status(200).body;
    assert!(page.contains("What it did, and what its plan foretold"), "{page}");
    // Calls differ: the plan reads more than is read to carry it out.
    assert_ne!(run["hubspot_calls"], planned["hubspot_calls"]);
    for (name, key) in [("created", "created"), ("failed", "failed"), ("calls to HubSpot", "hubspot_calls")] {
        let (done, foretold) = (run[key].as_u64().unwrap(), planned[key].as_u64().unwrap());
        let row = format!(
            "<th scope=\"row\">{name}</th><td class=\"number\">{done}</td><td class=\"number\">{foretold}</td>"
        );
        assert!(done > 0 && page.contains(&row), "`{row}` is not in\n{page}");
    }
    assert!(page.contains(&format!("definitions of {}", &commit[..9])), "{page}");
}

#[test]
fn what_a_service_said_of_a_run_is_hidden_with_the_values() {
    let bench = Bench::new(5);
    bench.faults(json!([{"service": "hubspot", "path": "/crm/objects/**/batch/**", "fault": "forbidden"}]));
    bench.run(&["import", "--yes"]).code(1);
    let told = bench.run(&["runs", "--format", "json"]).code(0).json();
    let error = told["runs"][0]["error"].as_str().unwrap().to_owned();
    let words = error.split_once(": ").unwrap().1;
    let run = told["runs"][0]["run"].as_str().unwrap();
    let (hidden, open) = (bench.serve(&[]), bench.serve(&["--show-values"]));
    for path in ["/runs.json", "/status.json", &format!("/runs/{run}.json")] {
        assert!(open.get(path).status(200).body.contains(&words[..20]), "{path}");
        assert!(!hidden.get(path).status(200).body.contains(&words[..20]), "{path}");
        assert!(hidden.get(path).body.contains("`syncline runs` says why"), "{path}");
    }
    for path in ["/", "/runs", &format!("/runs/{run}")] {
        assert!(!hidden.get(path).status(200).body.contains(&words[..20]), "{path}");
    }
}

#[test]
fn nonsense_gets_an_answer_and_harms_nobody() {
    let bench = Bench::new(1);
    token_file(&bench, "token", TOKEN, 0o600);
    let served = bench.serve(&["--token-file", "token"]);
    let long = format!("/failures?x={}", "a".repeat(9_000));
    let told = served.ask("GET", &long, &[("accept", "application/json")], "").status(400).fits("status");
    assert_eq!(told["error"]["code"], "SL6036");
    let huge = format!("/failures?x={}", "a".repeat(10 << 20));
    let answer = served.try_ask("GET", &huge, &[], "").unwrap();
    assert!(matches!(answer.status, 414 | 431), "{answer:?}");
    assert!(answer.body.contains("64 KiB") && answer.body.contains("Nothing was looked up or changed"), "{answer:?}");
    assert!(!answer.body.contains("aaaa"), "{answer:?}");
    let header = "a".repeat(200_000);
    let answer = served.ask("GET", "/", &[("x-more", &header)], "");
    assert!(answer.status == 431 && answer.body.contains("64 KiB"), "{answer:?}");
    let right = bearer();
    let body = format!("pipeline=a&code={}", "b".repeat(1 << 20));
    served.ask("POST", "/failures/retry.json", &[("authorization", &right)], &body).status(400).fits("failures-marked");
    let bytes = served.ask("GET", "/why?id=%ff%00%0d%0aX-Evil:1", &[], "");
    assert!((400..500).contains(&bytes.status) && bytes.header("x-evil").is_none(), "{bytes:?}");
    let markup = served.get("/why?id=%3Cscript%3Ealert(1)%3C/script%3E").body;
    assert!(!markup.contains("<script>alert") && markup.contains("&lt;script&gt;"), "{markup}");
    let markup = served.get("/%3Cimg%20src=x%3E").status(404).body;
    assert!(!markup.contains("<img"), "{markup}");
    for path in ["/../../etc/passwd", "/runs/..%2f..%2f", "/page.css/..", "/runs/%00", "//", "/.json.json"] {
        assert!((400..500).contains(&served.get(path).status), "{path}");
    }
    served.get("/healthz").status(200);
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn a_page_hears_of_what_is_new_and_definitions_are_read_again() {
    let bench = used();
    let served = bench.serve(&[]);
    let mut events = served.events().lines().map(Result::unwrap);
    events.find(|line| line == "event: ready").unwrap();
    bench.sync();
    events.find(|line| line == "event: changed").unwrap();
    bench.edit("pipelines/subscriptions.yaml", "name: subscriptions", "name: memberships");
    let until = |expected: &dyn Fn(&Answer) -> bool| {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            let answer = served.get("/");
            if expected(&answer) {
                return;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        panic!("{}", served.get("/").body);
    };
    until(&|page| page.body.contains("memberships"));
    served.get("/readyz").status(200);
    let project = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    bench.write("syncline.yaml", "version: [");
    until(&|page| page.body.contains("cannot be used as they are"));
    served.get("/readyz").status(503);
    assert!(served.get("/").body.contains("memberships"), "what was read before goes on");
    bench.write("syncline.yaml", &project);
    until(&|page| !page.body.contains("cannot be used as they are"));
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn a_sync_serves_beside_its_work() {
    let bench = used();
    bench.edit("pipelines/subscriptions.yaml", "every: 5m", "every: 1s");
    let served = Served::start(&bench, &["sync", "--listen", "127.0.0.1:0"]);
    let runs =
        || served.get("/runs.json?pipeline=subscriptions").status(200).fits("runs")["runs"].as_array().unwrap().len();
    let (before, began) = (runs(), Instant::now());
    while runs() < before + 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "no cycle is seen");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(served.stop(), Some(0), "one that is told to stop ends well, pages open or not");
}

/// Names of metrics in an expression.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("syncline_")).map(str::to_owned).collect()
}

/// Demands that Prometheus' language has these expressions, by a parser that is not ours.
#[track_caller]
fn parse(expressions: &[String]) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/python/bin/python3");
    let script = "import sys, promql_parser\nfor line in sys.argv[1:]:\n    print(line, flush=True)\n    promql_parser.parse(line)";
    let mut command = std::process::Command::new(python);
    let ran = ended(command.args(["-c", script]).args(expressions).output().expect("run `./test --setup-only` once"));
    assert_eq!(ran.code, Some(0), "{ran:?}\nhint: `./test --setup-only` installs the parser");
    assert_eq!(ran.stdout.lines().count(), expressions.len());
}

#[test]
fn dashboards_and_rules_name_metrics_that_are_there() {
    let bench = used();
    // A budget that is known, an import that is unfinished, a due run: every metric has a sample.
    bench.edit("syncline.yaml", "type: salesforce", "type: salesforce\n    api_budget: 1000");
    bench.sync();
    let served = bench.serve(&[]);
    let text = served.get("/metrics").status(200);
    assert!(text.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let open = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")];
    let answer = served.ask("GET", "/metrics", &open, "").status(200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(answer.body.ends_with("# EOF\n"));
    let known: BTreeSet<String> = text
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .map(|name| if name == "syncline_build" { "syncline_build_info".to_owned() } else { name.to_owned() })
        .collect();
    let sampled: BTreeSet<String> = text
        .body
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect();
    // Of one thing this world has none.
    let rare = |name: &&String| name.starts_with("syncline_unfinished_import_");
    let silent: Vec<&String> = known.difference(&sampled).filter(|name| !rare(name)).collect();
    assert!(silent.is_empty(), "no sample of {silent:?} in\n{}", text.body);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut named, mut expressions) = (BTreeSet::new(), Vec::new());
    let rules = fs::read_to_string(root.join("docs/deploy/alerts.yml")).unwrap();
    let rules: Value = serde_yaml::from_str(&rules).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 6);
    for rule in rules {
        assert!(rule["annotations"]["summary"].is_string() && rule["annotations"]["description"].is_string(), "{rule}");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
        expressions.push(rule["expr"].as_str().unwrap().to_owned());
    }
    let board = fs::read_to_string(root.join("docs/deploy/grafana.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    let mut places = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        assert!(
            places.insert((panel["gridPos"]["x"].to_string(), panel["gridPos"]["y"].to_string())),
            "two panels in one place"
        );
        expressions.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    // Variables of the dashboard stand within quotation marks, where any text may.
    parse(&expressions);
    named.extend(expressions.iter().flat_map(|expression| metrics_in(expression)));
    let variables = board["templating"]["list"].as_array().unwrap();
    named.extend(
        variables.iter().flat_map(|variable| metrics_in(variable["query"]["query"].as_str().unwrap_or_default())),
    );
    let missing: Vec<&String> = named.difference(&known).collect();
    assert!(missing.is_empty() && named.len() > 15, "{missing:?} of {named:?}");
    // The guide has them all.
    let guide = fs::read_to_string(root.join("docs/guide/page.md")).unwrap();
    let told = metrics_in(&guide);
    let untold: Vec<&String> = told.difference(&known).filter(|name| !rare(name)).collect();
    assert!(untold.is_empty(), "the guide names {untold:?}");
    assert_eq!(known.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
    let sum = |name: &str| -> f64 {
        let samples = text.body.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert_eq!(sum("syncline_open_failures") as usize, bench.failures().len());
    assert_eq!(sum("syncline_failures"), sum("syncline_open_failures"));
}

#[test]
fn the_program_says_where_the_page_is_and_ends_quietly() {
    let bench = Bench::new(1);
    let mut command = bench.command(&["serve", "--listen", "localhost:0"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ran = ended(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{ran:?}");
    assert!(ran.stderr.contains("the page is at http://127.0.0.1:"), "{}", ran.stderr);
    assert!(bench.run(&["serve", "--project", "nowhere"]).code(1).stderr.contains("SL1012"));
}

/// Puts failures and identities into a state beside those that are there, as many as a large project has. Records go through the state's own
/// code, which is slow in a build for tests.
fn enlarge(bench: &Bench, failures: u64, records: u64) {
    let mut state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    let transaction = state.transaction().unwrap();
    {
        let sql = "INSERT INTO failures (pipeline, salesforce_id, kind, run, failure, code, first_seen, last_seen, attempts, status, retry_at, property)
            SELECT pipeline, ?1, kind, run, json_set(failure, '$.salesforce_id', ?1, '$.reason.property', ?2), code, first_seen, last_seen, attempts,
                   'open', last_seen + 1, ?2
            FROM failures LIMIT 1";
        let mut insert = transaction.prepare(sql).unwrap();
        for number in 0..failures {
            let id = SalesforceId::of_number(0x0100_0000_0000 + number);
            insert.execute(rusqlite::params![id.as_str(), format!("property_{}", number % 20)]).unwrap();
        }
    }
    transaction.commit().unwrap();
    drop(state);
    let path = bench.path(".syncline/state.db");
    let one = live(&path, "subscriptions", 1).remove(0);
    let another = |number: u64| Identity {
        salesforce_id: SalesforceId::of_number(0x0100_0000_0000 + number),
        hubspot_id: HubspotId::of_number(1_000_000_000 + number),
        ..one.clone()
    };
    remember(&path, "subscriptions", (0..records).map(another).collect());
}

#[test]
fn a_large_state_is_shown_as_quickly_as_a_small_one() {
    const FAILURES: u64 = 50_000;
    let bench = used();
    let quickest = |served: &Served, path: &str| {
        let tries = (0..5).map(|_| {
            let began = Instant::now();
            served.get(path).status(200);
            began.elapsed()
        });
        tries.min().unwrap()
    };
    enlarge(&bench, FAILURES, 200_000);
    let served = bench.serve(&[]);
    let groups = served.get("/failures.json?limit=1").status(200).fits("failures")["groups"].clone();
    let records: u64 = groups.as_array().unwrap().iter().map(|group| group["records"].as_u64().unwrap()).sum();
    assert!(records >= FAILURES, "{records}");
    for path in
        ["/", "/failures", "/failures?pipeline=subscriptions&code=SL5005", "/metrics", "/status.json", "/readyz"]
    {
        let took = quickest(&served, path);
        // With a scan it would be several times that, in this build.
        assert!(took < Duration::from_millis(700), "{path}: {took:?}");
    }
    // Nothing of it is read row by row: the index of reasons has what is counted.
    let state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    let plan: Vec<String> = state
        .prepare(
            "EXPLAIN QUERY PLAN SELECT code, property, remote_code, count(*), min(first_seen), max(last_seen), min(retry_at)
             FROM failures INDEXED BY failures_by_reason WHERE status = 'open' GROUP BY pipeline, code, property, remote_code",
        )
        .unwrap()
        .query_map([], |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(plan.iter().any(|line| line.contains("COVERING INDEX failures_by_reason")), "{plan:?}");
}
