//! `deploy`: definitions in the database, and a project that is opened from there.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use syncline::ops::status;
use syncline::ports::deployments::{About, DefinitionFiles, Deployments, NewDeployment};
use syncline::project::deployment::Deployment;
use syncline::project::prepare::{PortalSource, prepare};
use syncline::project::wiring::Outside;
use syncline::state::address::Address;
use syncline::state::postgres::store::PgState;
use syncline::sys::clock::Clock;

use crate::support::postgres::{PASSWORD, shared};
use crate::support::{Bench, Ran, ended, output};

/// The variables of whoever runs it.
const SECRETS: [(&str, &str); 2] = [("PG_PASSWORD", PASSWORD), ("ACME_HUBSPOT", "sandbox-hubspot-token")];

fn git(bench: &Bench, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments).current_dir(bench.path(""));
    let ran = git.output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

fn commit(bench: &Bench) -> String {
    git(bench, &["add", "-A"]);
    git(bench, &["commit", "-q", "-m", "one"]);
    git(bench, &["rev-parse", "HEAD"])[..9].to_owned()
}

/// A committed project with two portals, whose state is in a database of its own.
fn fleet() -> (Bench, String) {
    let (bench, database) = (Bench::new(12), shared().database());
    let address = shared().address(&database, "crm").replace(PASSWORD, "${secret:PG_PASSWORD}");
    bench.edit("syncline.yaml", "sqlite:.syncline/state.db", &address);
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", "access_token: ${TOKEN}");
    let portal = "version: 1\nportal_id: 51234567\nvariables:\n  TOKEN: ${secret:acme-hubspot}\n";
    bench.write("portals/acme.yaml", portal);
    bench.write("portals/best.yaml", &portal.replace("51234567", "888"));
    bench.write(".gitignore", ".syncline/\n.env\n");
    bench.write(".env", "TOKEN=hush-0123456789abcdef\n");
    git(&bench, &["init", "-q", "-b", "main"]);
    commit(&bench);
    (bench, database)
}

fn run(bench: &Bench, arguments: &[&str]) -> Ran {
    let ran = ended(bench.command(arguments).envs(SECRETS).env("USER", "ana").output().unwrap());
    assert!(!ran.stdout.contains(PASSWORD) && !ran.stderr.contains(PASSWORD), "{ran:?}");
    output::check(arguments, &ran.stdout);
    ran
}

fn deploy(bench: &Bench, arguments: &[&str]) -> Value {
    run(bench, &[&["deploy", "--format", "json"], arguments].concat()).code(0).json()
}

#[test]
fn what_is_deployed_is_told_and_gone_back_from() {
    let (bench, database) = fleet();
    let head = git(&bench, &["rev-parse", "HEAD"])[..9].to_owned();
    // Before anything is there.
    let dry = run(&bench, &["deploy", "--dry-run"]).code(0);
    assert!(dry.stdout.contains("nothing was deployed") && dry.stdout.contains("subscriptions"), "{dry:?}");
    assert_eq!(shared().sql(&database, "SELECT to_regnamespace('syncline') IS NULL"), "t");
    let ran = run(&bench, &["deploy", "--rollback"]).code(1);
    assert!(ran.stderr.contains("SL6054"), "{ran:?}");
    let first = deploy(&bench, &[]);
    let made = &first["deployment"];
    assert_eq!((&made["number"], &made["commit"], &made["user"]), (&json!(1), &json!(head), &json!("ana")), "{first}");
    assert_eq!((&made["portals"], &made["uncommitted"]), (&json!(["acme", "best"]), &json!(false)), "{first}");
    // The same once more is nothing.
    let again = deploy(&bench, &[]);
    assert_eq!((&again["deployment"], &again["previous"]["number"]), (&Value::Null, &json!(1)), "{again}");
    for target in [&[][..], &["--target", "acme"]] {
        let told = run(&bench, &[&["status", "--format", "json"], target].concat()).code(0).json();
        assert_eq!((&told["deployment"]["number"], &told["deployment"]["commit"]), (&json!(1), &json!(head)), "{told}");
        let text = run(&bench, &[&["status"], target].concat()).code(0);
        assert!(text.stdout.contains(&format!("deployment 1 of {head}")), "{text:?}");
    }
    // What is not committed is refused, unless it is meant.
    bench.edit("pipelines/subscriptions.yaml", "to: amount", "to: amount_in_euro");
    let ran = run(&bench, &["deploy"]).code(1);
    assert!(ran.stderr.contains("SL6051") && ran.stderr.contains("`pipelines/subscriptions.yaml` is not"), "{ran:?}");
    let dry = run(&bench, &["deploy", "--dry-run"]).code(0);
    for part in
        ["definitions since deployment 1", "amount_in_euro", "not as the commit has it: pipelines/subscriptions.yaml"]
    {
        assert!(dry.stdout.contains(part), "`{part}`: {dry:?}");
    }
    assert_eq!(shared().sql(&database, "SELECT count(*) FROM syncline.deployments"), "1");
    let second = deploy(&bench, &["--allow-uncommitted"]);
    assert_eq!((&second["deployment"]["number"], &second["deployment"]["uncommitted"]), (&json!(2), &json!(true)));
    assert!(second["definitions"].to_string().contains("amount_in_euro"), "{second}");
    // Back, and no further than the first.
    let dry = deploy(&bench, &["--rollback", "--dry-run"]);
    assert_eq!(dry["deployment"], Value::Null);
    let back = deploy(&bench, &["--rollback"]);
    assert_eq!((&back["deployment"]["number"], &back["deployment"]["back_to"]), (&json!(3), &json!(1)), "{back}");
    assert_eq!(back["deployment"]["commit"], json!(head));
    let ran = run(&bench, &["deploy", "--rollback"]).code(1);
    assert!(ran.stderr.contains("SL6054") && ran.stderr.contains("before deployment 1"), "{ran:?}");
    let third = commit(&bench);
    let dry = deploy(&bench, &["--dry-run"]);
    assert!(dry["definitions"].to_string().contains("amount_in_euro"), "the files of 3 are those of 1: {dry}");
    deploy(&bench, &[]);
    // Back from 4 is to what 3 was.
    assert_eq!(deploy(&bench, &["--rollback"])["deployment"]["back_to"], json!(1));
    let list = run(&bench, &["deploy", "--list", "--format", "json"]).code(0).json();
    let numbers: Vec<&Value> = list["deployments"].as_array().unwrap().iter().map(|made| &made["number"]).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    let text = run(&bench, &["deploy", "--list"]).code(0);
    assert!(text.stdout.contains(&third) && text.stdout.contains("back to 1"), "{text:?}");
    // A content stands once, and no secret does.
    let kept = "SELECT string_agg(convert_from(content, 'UTF8'), '') FROM syncline.definitions";
    let kept = shared().sql(&database, kept);
    assert!(kept.contains("${secret:acme-hubspot}") && !kept.contains(PASSWORD) && !kept.contains("hush-"), "{kept}");
    let rows = "SELECT count(*) || ' ' || count(DISTINCT hash) FROM syncline.deployed_files";
    let rows = shared().sql(&database, rows);
    let (files, contents) = rows.split_once(' ').unwrap();
    assert_eq!(files.parse::<u32>().unwrap(), 25, "five deployments of five files");
    assert_eq!(contents, "6");
    let paths = shared()
        .sql(&database, "SELECT string_agg(path, ' ' ORDER BY path) FROM syncline.deployed_files WHERE number = 1");
    assert_eq!(
        paths,
        "pipelines/subscriptions.yaml pipelines/work_orders.yaml portals/acme.yaml portals/best.yaml syncline.yaml"
    );
    let ran = run(&bench, &["deploy", "--target", "acme"]).code(1);
    assert!(ran.stderr.contains("SL6050"), "{ran:?}");
}

#[test]
fn the_catalog_of_each_portal_is_compared() {
    let (bench, _) = fleet();
    run(&bench, &["catalog", "pull", "--target", "acme"]).code(0);
    commit(&bench);
    deploy(&bench, &[]);
    let dry = deploy(&bench, &["--dry-run"]);
    assert_eq!(dry["definitions"]["catalog"], json!([]), "{dry}");
    let file = "catalog/acme/salesforce.Subscription__c.json";
    let text = std::fs::read_to_string(bench.path(file)).unwrap();
    let mut object: Value = serde_json::from_str(&text).unwrap();
    let field = object["fields"]["Seats__c"].as_object_mut().unwrap_or_else(|| panic!("{text}"));
    assert!(field.insert("type".to_owned(), json!("string")).is_some(), "{text}");
    bench.write(file, &serde_json::to_string_pretty(&object).unwrap());
    let dry = deploy(&bench, &["--dry-run"]);
    let changes = dry["definitions"]["catalog"].as_array().unwrap();
    assert!(changes.len() == 1 && changes[0]["message"].as_str().unwrap().ends_with("(for `acme`)"), "{dry}");
    let text = run(&bench, &["deploy", "--dry-run"]).code(0);
    assert!(text.stdout.contains("(for `acme`)"), "{text:?}");
}

#[test]
fn what_is_no_good_changes_nothing() {
    let (bench, database) = fleet();
    deploy(&bench, &[]);
    let refused = |code: &str, part: &str| {
        for flags in [&["deploy", "--allow-uncommitted"][..], &["deploy", "--dry-run"]] {
            let ran = run(&bench, flags).code(1);
            assert!(ran.stderr.contains(code) && ran.stderr.contains(part), "{ran:?}");
        }
        assert_eq!(shared().sql(&database, "SELECT count(*) FROM syncline.deployments"), "1");
    };
    // For one portal alone.
    let good = fs::read_to_string(bench.path("portals/best.yaml")).unwrap();
    bench.write(
        "portals/best.yaml",
        &format!("{good}connections:\n  hubspot: {{ base_url: \"http://example.com\" }}\n"),
    );
    refused("SL2009", "portals/best.yaml:6");
    bench.write("portals/best.yaml", &good);
    let pipeline = fs::read_to_string(bench.path("pipelines/subscriptions.yaml")).unwrap();
    bench.write("pipelines/subscriptions.yaml", &format!("{pipeline}nonsense: 1\n"));
    refused("SL1003", "pipelines/subscriptions.yaml");
    bench.write("pipelines/subscriptions.yaml", &pipeline);
    // Secrets in files.
    bench.write(
        "portals/best.yaml",
        &format!("{good}alerts:\n  - {{ type: slack, url: \"https://hooks.example.com/hush-1234567890\" }}\n"),
    );
    refused("SL6052", "portals/best.yaml:6");
    bench.write("portals/best.yaml", &good);
    let project = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    bench.write("syncline.yaml", &project.replace("${secret:PG_PASSWORD}", PASSWORD));
    refused("SL6052", "a password stands in the file");
    bench.write("syncline.yaml", &project);
    // A state that is a file has no deployments.
    let line = project.lines().find(|line| line.starts_with("state: ")).unwrap();
    bench.write("syncline.yaml", &project.replace(line, "state: sqlite:.syncline/state.db"));
    refused("SL6050", "docs/deploy/postgres.md");
}

#[test]
fn of_two_at_once_the_second_is_told() {
    let (bench, database) = fleet();
    let running: Vec<_> = (0..4)
        .map(|_| {
            let mut command = bench.command(&["deploy"]);
            command.envs(SECRETS).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in running {
        let ran = ended(child.wait_with_output().unwrap());
        assert!(ran.code == Some(0) || ran.stderr.contains("SL6053"), "{ran:?}");
    }
    assert_eq!(shared().sql(&database, "SELECT count(*) FROM syncline.deployments"), "1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let state =
            PgState::new(Address::parse(&shared().address(&database, "crm"), None, None).unwrap(), &Clock::system());
        let new = |text: &str| {
            let files: DefinitionFiles = [("syncline.yaml".to_owned(), text.as_bytes().to_vec())].into();
            NewDeployment { about: About::default(), files, back_to: None }
        };
        let (one, other) = tokio::join!(state.deploy(new("a"), Some(1)), state.deploy(new("b"), Some(1)));
        let made = [one.unwrap(), other.unwrap()];
        assert_eq!(made.iter().flatten().count(), 1, "{made:?}");
        assert_eq!(state.newest_number().await.unwrap(), Some(2));
        // What was changed in the database by hand is not run.
        shared().sql(&database, "UPDATE syncline.definitions SET content = 'x' WHERE content = 'a' OR content = 'b'");
        let damaged = state.files(2).await.unwrap_err().to_string();
        assert!(damaged.contains("is not what was deployed"), "{damaged}");
    });
}

#[test]
fn a_portal_is_opened_from_the_database_without_a_checkout() {
    let (bench, database) = fleet();
    run(&bench, &["catalog", "pull", "--target", "acme"]).code(0);
    let head = commit(&bench);
    deploy(&bench, &[]);
    for folder in ["pipelines", "portals", "catalog"] {
        fs::remove_dir_all(bench.path(folder)).unwrap();
    }
    fs::remove_file(bench.path("syncline.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = |name: &str| SECRETS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let address = Address::parse(&shared().address(&database, "crm"), None, None).unwrap();
        let state = PgState::for_reading(address, &Clock::system());
        let deployment = Deployment::newest(&state).await.unwrap().unwrap();
        assert_eq!(deployment.portals(), ["acme", "best"]);
        assert_eq!(state.newest_number().await.unwrap(), Some(deployment.row.number));
        let project = deployment.open(Some("acme"), folder.path(), &variables, Outside::real()).unwrap();
        assert_eq!(project.loaded.pipelines.len(), 2);
        assert_eq!(project.origin("syncline worker").commit, Some(head));
        let preparation = prepare(&project, &[], PortalSource::Live).await.unwrap();
        assert_eq!((preparation.pipelines.len(), preparation.refused.len()), (2, 0));
        let told = status::status(&project).await.unwrap();
        assert_eq!((told.pipelines.len(), told.deployment.map(|made| made.number)), (2, Some(1)));
        // The other portal has another number, which its token does not lead to.
        let other = deployment.open(Some("best"), folder.path(), &variables, Outside::real()).unwrap();
        assert_eq!(other.portal_id("hubspot"), Some(888));
        let unknown = deployment.open(Some("acmee"), folder.path(), &variables, Outside::real());
        assert!(unknown.err().unwrap().reason().1.contains("no target `acmee`"));
    });
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was written beside it");
}

#[test]
fn a_worker_runs_what_is_deployed_without_a_checkout() {
    let (bench, database) = fleet();
    let head = git(&bench, &["rev-parse", "HEAD"])[..9].to_owned();
    let folder = tempfile::tempdir().unwrap();
    let address = shared().address(&database, "crm").replace(PASSWORD, "${secret:PG_PASSWORD}");
    let arguments = ["worker", "--deployed", &address, "--import", "--no-queue", "--look", "500ms"];
    let command = || {
        let mut command = bench.command(&arguments);
        command.envs(SECRETS).current_dir(folder.path());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    };
    let ran = ended(command().output().unwrap()).code(1);
    assert!(ran.stderr.contains("SL6054") && !ran.stderr.contains(PASSWORD), "{ran:?}");
    deploy(&bench, &[]);
    let mut worker = command().spawn().unwrap();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !done() {
            assert!(std::time::Instant::now() < end, "waited in vain for {what}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    let origins = |commit: &str| {
        let noted = format!("SELECT count(*) FROM syncline.run_origins WHERE origin LIKE '%{commit}%'");
        shared().sql(&database, &noted) != "0"
    };
    wait("the import of one portal", &|| !bench.records("subscriptions").is_empty() && origins(&head));
    // The next deployment is noticed by itself.
    bench.edit("pipelines/subscriptions.yaml", "name: subscriptions", "name: subscribed");
    let next = commit(&bench);
    deploy(&bench, &[]);
    wait("a run of the next deployment", &|| origins(&next));
    // One that is refused changes nothing for it.
    bench.edit("pipelines/subscriptions.yaml", "name: subscribed", "name: subscribed\nnonsense: 1");
    commit(&bench);
    let ran = run(&bench, &["deploy"]).code(1);
    assert!(ran.stderr.contains("SL1003"), "{ran:?}");
    let runs = || {
        let count = format!("SELECT count(*) FROM syncline.run_origins WHERE origin LIKE '%{next}%'");
        shared().sql(&database, &count).parse::<u32>().unwrap()
    };
    let before = runs();
    shared().sql(&database, "UPDATE syncline.turns SET due = now()");
    wait("another run of what is deployed", &|| runs() > before);
    worker.kill().unwrap();
    let ran = ended(worker.wait_with_output().unwrap());
    assert!(!ran.stderr.contains(PASSWORD) && !ran.stdout.contains(PASSWORD), "{ran:?}");
}
