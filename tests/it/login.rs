//! `login` and `logout`: a person's browser is played by a client that follows what the pages say.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::support::{Bench, Ran};

/// A project whose two connections log in by a browser, on ports of their own.
struct Logins {
    bench: Bench,
    salesforce: u16,
    hubspot: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Logins {
    fn new(records: usize) -> Self {
        let bench = Bench::new(records);
        let (salesforce, hubspot) = (free_port(), free_port());
        let logins = Self { bench, salesforce, hubspot };
        logins.write("sandbox-secret", "sandbox-secret");
        let uri = |port: u16| format!("http://localhost:{port}/callback");
        logins.bench.salesforce("options", json!({"redirect_uri": uri(salesforce)}));
        logins.bench.hubspot("register", json!({"client_id": "syncline-sandbox", "redirect_uri": uri(hubspot)}));
        logins
    }

    /// Writes syncline.yaml with these secrets of the two apps.
    fn write(&self, salesforce: &str, hubspot: &str) {
        let text = format!(
            "version: 1
connections:
  salesforce:
    type: salesforce
    login_url: {}
    auth: {{ login: {{ client_id: syncline-sandbox, client_secret: {salesforce}, port: {} }} }}
  hubspot:
    type: hubspot
    base_url: {}
    auth: {{ login: {{ client_id: syncline-sandbox, client_secret: {hubspot}, port: {} }} }}
    portal_id: 51234567
state: sqlite:.syncline/state.db
pipelines: pipelines
",
            self.bench.sandbox.salesforce_url, self.salesforce, self.bench.sandbox.hubspot_url, self.hubspot
        );
        self.bench.write("syncline.yaml", &text);
    }

    fn begin(&self, name: &str, more: &[&str]) -> Begun {
        let arguments = [&["login", name, "--no-browser"], more].concat();
        let mut child = self.bench.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut before = Vec::new();
        let address = lines.by_ref().map(|line| line.unwrap()).find(|line| {
            before.push(line.clone());
            line.trim_start().starts_with("http")
        });
        let address = address.map(|line| line.trim().parse().unwrap());
        let (sender, rest) = mpsc::channel();
        std::thread::spawn(move || {
            before.extend(lines.map_while(Result::ok));
            let _ = sender.send(before.join("\n"));
        });
        Begun { child, address, rest }
    }

    /// Logs in as a person does, and is let in.
    fn log_in(&self, name: &str) -> Ran {
        let begun = self.begin(name, &[]);
        let answer = browser(begun.page(), "allow");
        let shown = get(&answer);
        assert!(shown.contains("You can close this page"), "{shown}");
        begun.ended().code(0)
    }

    fn stored(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.file(name)).unwrap()).unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.bench.path(&format!(".syncline/logins/{name}.json"))
    }
}

/// A login that waits for the browser.
struct Begun {
    child: Child,
    address: Option<Url>,
    rest: mpsc::Receiver<String>,
}

impl Begun {
    fn page(&self) -> &Url {
        self.address.as_ref().unwrap()
    }

    fn ended(mut self) -> Ran {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        let stderr = self.rest.recv_timeout(Duration::from_secs(10)).unwrap();
        Ran { code: status.code(), stdout, stderr }
    }
}

/// A client that follows nothing by itself.
fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn get(url: &Url) -> String {
    wait(async { http().get(url.clone()).send().await.unwrap().text().await.unwrap() })
}

/// The form of a page is sent with a decision; where the browser is sent then. An answer that leads nowhere is the page itself.
#[track_caller]
fn browser(page: &Url, decision: &str) -> Url {
    let (status, text, place) = decide(page, decision);
    assert_eq!(status, 302, "{text}");
    place.unwrap()
}

fn decide(page: &Url, decision: &str) -> (u16, String, Option<Url>) {
    wait(async {
        let shown = http().get(page.clone()).send().await.unwrap();
        let (status, text) = (shown.status().as_u16(), shown.text().await.unwrap());
        let Some(ticket) = text.split("name=\"request\" value=\"").nth(1).and_then(|rest| rest.split('"').next())
        else {
            return (status, text, None);
        };
        let mut target = page.clone();
        target.set_query(None);
        let form = [("request", ticket), ("decision", decision)];
        let answer = http().post(target).form(&form).send().await.unwrap();
        let place = answer.headers().get("location").map(|place| place.to_str().unwrap().parse().unwrap());
        (answer.status().as_u16(), answer.text().await.unwrap(), place)
    })
}

/// A pair of an address.
fn pair(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn with_pair(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, value);
    changed
}

#[test]
fn a_person_logs_in_to_both_systems_and_everything_works() {
    let logins = Logins::new(20);
    // Before: said by name, with what to do.
    let before = logins.bench.run(&["doctor", "--format", "json"]).code(1).json();
    let codes: Vec<&Value> = before["checks"].as_array().unwrap().iter().map(|check| &check["code"]).collect();
    assert_eq!(codes.iter().filter(|code| **code == "SL4201").count(), 2, "{before}");
    let refused = logins.bench.run(&["import", "--yes"]).code(1);
    assert!(refused.stderr.contains("SL4201"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`syncline login "), "{}", refused.stderr);
    let begun = logins.begin("salesforce", &[]);
    let page = begun.page().clone();
    for (name, value) in [("response_type", "code"), ("client_id", "syncline-sandbox"), ("scope", "api refresh_token")]
    {
        assert_eq!(pair(&page, name), value);
    }
    assert_eq!(pair(&page, "code_challenge_method"), "S256");
    assert!(pair(&page, "state").len() >= 43 && pair(&page, "code_challenge").len() == 43);
    assert_eq!(pair(&page, "redirect_uri"), format!("http://localhost:{}/callback", logins.salesforce));
    get(&browser(&page, "allow"));
    let done = begun.ended().code(0);
    assert!(done.stdout.contains("`salesforce` is logged in to Salesforce, org 00D5g000004XYZk"), "{}", done.stdout);
    let done = logins.log_in("hubspot");
    assert!(done.stdout.contains("`hubspot` is logged in to HubSpot, portal 51234567"), "{}", done.stdout);
    for name in ["salesforce", "hubspot"] {
        assert_eq!(fs::metadata(logins.file(name)).unwrap().permissions().mode() & 0o777, 0o600);
        let stored = logins.stored(name);
        for token in ["refresh_token", "access_token"] {
            let token = stored[token].as_str().unwrap();
            assert!(!done.stdout.contains(token) && !done.stderr.contains(token));
        }
    }
    let looked = logins.bench.run(&["doctor", "--format", "json"]).code(0).json();
    let logged_in = looked["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "login");
    assert_eq!(logged_in.filter(|check| check["status"] == "ok").count(), 2, "{looked}");
    logins.bench.import();
    logins.bench.sync();
}

#[test]
fn a_browser_is_opened_with_the_address() {
    let logins = Logins::new(0);
    // Outside of the project, from which nothing is run.
    let home = tempfile::TempDir::new().unwrap();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = "#!/bin/sh\nprintf '%s' \"$1\" > \"$HOME/opened.part\" && mv \"$HOME/opened.part\" \"$HOME/opened\"\n";
    fs::write(bin.join("xdg-open"), script).unwrap();
    fs::set_permissions(bin.join("xdg-open"), PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = logins.bench.command(&["login", "hubspot"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("HOME", home.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let opened = home.path().join("opened");
    for _ in 0..600 {
        if opened.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let address: Url = fs::read_to_string(opened).unwrap().parse().unwrap();
    get(&browser(&address, "allow"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_login_that_is_not_completed_stores_nothing_and_says_why() {
    let logins = Logins::new(0);
    let check = |ran: Ran, code: &str, words: &str| {
        let ran = ran.code(1);
        assert!(ran.stderr.contains(code) && ran.stderr.contains(words), "{}", ran.stderr);
        assert!(!logins.file("salesforce").exists() && !logins.file("hubspot").exists());
    };
    // Denied: Salesforce tells the app, HubSpot tells nobody.
    let begun = logins.begin("salesforce", &[]);
    let shown = get(&browser(begun.page(), "deny"));
    assert!(shown.contains("Access was denied"), "{shown}");
    check(begun.ended(), "SL4204", "access was denied");
    let begun = logins.begin("hubspot", &["--within", "2s"]);
    assert_eq!(decide(begun.page(), "deny").0, 200);
    check(begun.ended(), "SL4204", "within 2 seconds");
    // Another state: what came is not used.
    let begun = logins.begin("salesforce", &[]);
    let answer = browser(begun.page(), "allow");
    let shown = get(&with_pair(&answer, "state", "somebody-elses"));
    assert!(shown.contains("does not belong to the login"), "{shown}");
    check(begun.ended(), "SL4204", "another `state`");
    // A code that another page has made up.
    let begun = logins.begin("hubspot", &[]);
    let answer = browser(begun.page(), "allow");
    get(&with_pair(&answer, "code", "made-up-code"));
    check(begun.ended(), "SL4205", "missing or unknown auth code");
    // The port is taken, by any address that a browser may mean.
    let taken = TcpListener::bind(("127.0.0.1", logins.hubspot)).unwrap();
    check(logins.begin("hubspot", &[]).ended(), "SL6030", &format!("port {}", logins.hubspot));
    drop(taken);
    // An address and scopes that the app does not list.
    logins.bench.hubspot("register", json!({"client_id": "syncline-sandbox", "scopes": ["oauth"]}));
    let begun = logins.begin("hubspot", &["--within", "2s"]);
    let (status, text, _) = decide(begun.page(), "allow");
    assert!(status == 400 && text.contains("scope mismatch"), "{text}");
    check(begun.ended(), "SL4204", "its scopes differ");
    let begun = logins.begin("salesforce", &["--within", "2s"]);
    let (status, text, _) = decide(&with_pair(begun.page(), "redirect_uri", "http://localhost:1/callback"), "allow");
    assert!(status == 400 && text.contains("redirect_uri_mismatch"), "{text}");
    check(begun.ended(), "SL4204", "within 2 seconds");
    // A secret that is not the app's.
    logins.write("another-secret", "another-secret");
    let begun = logins.begin("salesforce", &[]);
    get(&browser(begun.page(), "allow"));
    check(begun.ended(), "SL4205", "invalid client credentials");
}

#[test]
fn another_portal_than_the_named_one_is_refused() {
    let logins = Logins::new(0);
    logins.bench.edit("syncline.yaml", "portal_id: 51234567", "portal_id: 7654321");
    let begun = logins.begin("hubspot", &[]);
    get(&browser(begun.page(), "allow"));
    let ran = begun.ended().code(1);
    assert!(ran.stderr.contains("SL3005") && ran.stderr.contains("51234567"), "{}", ran.stderr);
    assert!(!logins.file("hubspot").exists());
}

#[test]
fn tokens_are_renewed_and_a_rotated_one_is_kept() {
    let logins = Logins::new(5);
    logins.bench.salesforce("switches", json!({"rotate_refresh_tokens": true}));
    for name in ["salesforce", "hubspot"] {
        logins.log_in(name);
    }
    let before = (logins.stored("salesforce"), logins.stored("hubspot"));
    let token_calls = || {
        let asked = logins.bench.sandbox.requests();
        asked.iter().filter(|entry| entry.target.contains("token")).count()
    };
    // Good tokens are used as they are: no command asks for new ones.
    logins.bench.sandbox.forget_requests();
    logins.bench.run(&["validate", "--online"]).code(0);
    assert_eq!(token_calls(), 0);
    logins.bench.salesforce("expire_sessions", json!({}));
    logins.bench.sandbox.advance(Duration::from_secs(3_600));
    logins.bench.run(&["validate", "--online"]).code(0);
    assert_eq!(token_calls(), 2);
    let after = (logins.stored("salesforce"), logins.stored("hubspot"));
    assert_ne!(before.0["refresh_token"], after.0["refresh_token"]);
    assert_ne!(before.1["access_token"], after.1["access_token"]);
    assert_eq!(fs::metadata(logins.file("salesforce")).unwrap().permissions().mode() & 0o777, 0o600);
    // Many processes at once, of which one asks: each use of a token ends it.
    logins.bench.salesforce("expire_sessions", json!({}));
    logins.bench.sandbox.forget_requests();
    let all: Vec<Child> = (0..4).map(|_| logins.bench.spawn(&["validate", "--online"])).collect();
    for child in all {
        let ran = crate::support::ended(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(token_calls(), 1);
}

#[test]
fn a_login_that_is_over_or_that_others_may_read_is_said() {
    let logins = Logins::new(0);
    for name in ["salesforce", "hubspot"] {
        logins.log_in(name);
    }
    fs::set_permissions(logins.file("hubspot"), PermissionsExt::from_mode(0o644)).unwrap();
    logins.bench.sandbox.forget_requests();
    let ran = logins.bench.run(&["discover"]);
    assert!(ran.stderr.contains("SL4203"), "{ran:?}");
    assert!(logins.bench.sandbox.requests().iter().all(|entry| entry.service != "hubspot"));
    let looked = logins.bench.run(&["doctor"]).code(1);
    assert!(looked.stdout.contains("chmod 600"), "{}", looked.stdout);
    fs::set_permissions(logins.file("hubspot"), PermissionsExt::from_mode(0o600)).unwrap();
    let made = json!({"object": "Subscription__c", "values": {"Name": "S"}});
    let id = logins.bench.salesforce("create", made)["id"].as_str().unwrap().to_owned();
    // Revoked by an administrator.
    let token = logins.stored("salesforce")["refresh_token"].as_str().unwrap().to_owned();
    let revoke: Url = format!("{}/services/oauth2/revoke", logins.bench.sandbox.salesforce_url).parse().unwrap();
    wait(async { http().post(revoke).form(&[("token", token.as_str())]).send().await.unwrap() });
    logins.bench.salesforce("expire_sessions", json!({}));
    // What the state knows is said all the same.
    let why = logins.bench.run(&["why", &id]).code(0).stdout;
    let page = logins.bench.serve(&[]).get(&format!("/why?id={id}")).status(200).body;
    for said in [why, page.replace("<code>", "`").replace("</code>", "`")] {
        assert!(said.contains("the login is over") && said.contains("SL4202"), "{said}");
        assert!(said.contains("`syncline login salesforce`"), "{said}");
    }
    let ran = logins.bench.run(&["import", "--yes"]).code(1);
    assert!(ran.stderr.contains("SL4202"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`syncline login salesforce`"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&token));
    // Logged in again, it goes on.
    logins.log_in("salesforce");
    logins.bench.import();
}

#[test]
fn logging_out_revokes_and_removes() {
    let logins = Logins::new(0);
    for name in ["salesforce", "hubspot"] {
        logins.log_in(name);
    }
    let token = logins.stored("hubspot")["refresh_token"].as_str().unwrap().to_owned();
    let ran = logins.bench.run(&["logout"]).code(0);
    assert_eq!(ran.stdout.matches("its tokens are revoked and removed").count(), 2, "{}", ran.stdout);
    assert!(!logins.file("salesforce").exists() && !logins.file("hubspot").exists());
    let dump = logins.bench.sandbox.dump();
    assert!(!dump["hubspot"]["apps"].as_object().unwrap().contains_key(&token), "it is revoked");
    assert_eq!(dump["salesforce"]["refresh_tokens"], json!([]));
    let again = logins.bench.run(&["logout", "hubspot"]).code(0);
    assert_eq!(again.stdout, "`hubspot` was not logged in\n");
    let ran = logins.bench.run(&["import", "--yes"]).code(1);
    assert!(ran.stderr.contains("SL4201") && ran.stderr.contains("`syncline login "), "{}", ran.stderr);
}

#[test]
fn connections_that_log_in_by_other_ways_are_told_apart() {
    let bench = Bench::new(0);
    for command in ["login", "logout"] {
        let ran = bench.run(&[command]).code(1);
        assert!(ran.stderr.contains("SL4206") && ran.stderr.contains("no connection"), "{}", ran.stderr);
        let ran = bench.run(&[command, "hubspot"]).code(1);
        assert!(ran.stderr.contains("SL4206") && ran.stderr.contains("`hubspot`"), "{}", ran.stderr);
        let ran = bench.run(&[command, "nowhere"]).code(1);
        assert!(ran.stderr.contains("SL2002"), "{}", ran.stderr);
    }
}
