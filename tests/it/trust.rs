//! What is not trusted: a checkout, an org, a portal, their records, other programs, other users of the machine. Each case
//! is one that would read, run, overwrite, show or forge something.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::json;

use crate::support::org::{Org, answer};
use crate::support::{Bench, Ran, ended};

/// What nothing may quote.
const HIDDEN: &str = "hush-0123456789abcdef";

#[track_caller]
fn quotes_nothing(ran: &Ran) {
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!all.contains("hush") && !all.contains("0123456789abc"), "{all}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A program in the place of another: it notes that it ran, and with which variables, and goes on as the other.
fn stand_in(path: &Path, notes: &Path) {
    let places = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&places).map(|place| place.join("git")).find(|place| place.is_file()).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = format!("#!/bin/sh\nenv >> '{}'\nexec '{}' \"$@\"\n", notes.display(), real.display());
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn git_gets_no_secret_and_is_not_taken_from_the_checkout() {
    let bench = Bench::new(2);
    bench.repository();
    let (outside, inside) = (tempfile::tempdir().unwrap(), bench.path("tools"));
    let (seen, never) = (outside.path().join("seen"), outside.path().join("never"));
    stand_in(&outside.path().join("git"), &seen);
    stand_in(&inside.join("git"), &never);
    stand_in(&bench.path("git"), &never);
    let rest = std::env::var_os("PATH").unwrap().into_string().unwrap();
    let path = format!(".::tools:{}:{}:{rest}", inside.display(), outside.path().display());
    let run = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command.env("PATH", &path).env("HUBSPOT_ACCESS_TOKEN", HIDDEN).env("MY_SECRET", HIDDEN);
        command.env("GIT_DIR", "/nowhere").env("GIT_SSH_COMMAND", "false").env("GIT_CONFIG_COUNT", "0");
        ended(command.output().unwrap())
    };
    run(&["diff"]).code(0);
    run(&["validate", "--format", "github"]).code(0);
    run(&["plan", "--base", "main", "modified:main"]).code(0);
    assert!(!never.exists(), "a program of the checkout was run");
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("GIT_NO_LAZY_FETCH=1") && seen.contains("GIT_ALLOW_PROTOCOL=none"), "{seen}");
    for secret in ["hush", "MY_SECRET", "HUBSPOT_ACCESS_TOKEN", "GIT_DIR", "GIT_SSH_COMMAND", "GIT_CONFIG_COUNT"] {
        assert!(!seen.contains(secret), "{secret}");
    }
}

#[test]
fn a_project_that_looks_like_a_bare_repository_is_refused() {
    let bench = Bench::new(2);
    let marker = bench.path("ran");
    for name in ["objects", "refs"] {
        fs::create_dir(bench.path(name)).unwrap();
    }
    bench.write("HEAD", "ref: refs/heads/main\n");
    bench.write(
        "config",
        &format!(
            "[core]\n\tbare = true\n\tsshCommand = touch {0}\n\tfsmonitor = touch {0}\n\
         [extensions]\n\tpartialClone = a\n[remote \"a\"]\n\turl = ssh://x/y\n\tpromisor = true\n",
            marker.display()
        ),
    );
    let ran = bench.run(&["diff", "--base", "main"]).code(1);
    assert!(ran.stderr.contains("bare git repository"), "{ran:?}");
    bench.run(&["plan", "--base", "main"]).code(1);
    bench.run(&["validate", "modified:main"]).code(1);
    assert!(!marker.exists());
}

#[test]
fn links_out_of_the_project_are_not_read_and_not_quoted() {
    let secret = tempfile::tempdir().unwrap();
    let token = secret.path().join("token.yaml");
    fs::write(&token, format!("{HIDDEN}: [\n")).unwrap();
    fs::create_dir(secret.path().join("pipelines")).unwrap();
    fs::write(secret.path().join("pipelines/x.yaml"), format!("{HIDDEN}: 1\n")).unwrap();
    let places = ["pipelines/t.yaml", "pipelines/t.test.yaml", "catalog/hubspot.t.json", "pipelines", "catalog"];
    for place in places {
        let bench = Bench::new(2);
        bench.run(&["catalog", "pull"]).code(0);
        let folder = !place.contains('/');
        if folder {
            fs::remove_dir_all(bench.path(place)).unwrap();
            symlink(secret.path().join("pipelines"), bench.path(place)).unwrap();
        } else {
            let target = token.with_extension(place.rsplit('.').next().unwrap());
            fs::write(&target, format!("{{\"{HIDDEN}\": [\n")).unwrap();
            symlink(target, bench.path(place)).unwrap();
        }
        let command = if place.contains(".test.") { "test" } else { "validate" };
        for format in ["text", "json", "github"] {
            let ran = bench.run(&[command, "--format", format]).code(1);
            quotes_nothing(&ran);
            assert!(format!("{ran:?}").contains("link"), "{place}: {ran:?}");
        }
    }
    let bench = Bench::new(2);
    fs::remove_file(bench.path("syncline.yaml")).unwrap();
    symlink(&token, bench.path("syncline.yaml")).unwrap();
    let ran = bench.run(&["validate"]).code(1);
    quotes_nothing(&ran);
    assert!(ran.stdout.contains("SL1030"), "{ran:?}");
}

#[test]
fn pipes_and_hidden_files_in_a_project_are_not_read() {
    let bench = Bench::new(2);
    fs::create_dir(bench.path(".git")).unwrap();
    bench.write(".git/config", &format!("token: {HIDDEN}\n"));
    symlink("../.git/config", bench.path("pipelines/t.yaml")).unwrap();
    std::process::Command::new("mkfifo").arg(bench.path("pipelines/pipe.yaml")).status().unwrap();
    let ran = bench.run(&["validate"]).code(1);
    quotes_nothing(&ran);
    assert!(ran.stdout.contains("SL1030") && ran.stdout.contains("not an ordinary file"), "{ran:?}");
}

#[test]
fn a_pull_names_what_it_removes_and_leaves_what_is_not_its_own() {
    let bench = Bench::new(2);
    bench.run(&["catalog", "pull"]).code(0);
    bench.write("catalog/mine.json", "{\"precious\": true}");
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("x.json"), "precious").unwrap();
    symlink(elsewhere.path().join("x.json"), bench.path("catalog/hubspot.x.json")).unwrap();
    let hubspot = fs::read_to_string(bench.path("catalog/hubspot.work_orders.json")).unwrap();
    // Of a connection that is gone.
    let text = hubspot.replace("\"connection\": \"hubspot\"", "\"connection\": \"old\"");
    bench.write("catalog/old.work_orders.json", &text);
    let ran = bench.run(&["catalog", "pull"]);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains("catalog/old.work_orders.json removed"), "{all}");
    assert!(all.contains("catalog/mine.json was not written by a pull"), "{all}");
    assert!(!bench.path("catalog/old.work_orders.json").exists());
    assert_eq!(fs::read_to_string(bench.path("catalog/mine.json")).unwrap(), "{\"precious\": true}");
    assert_eq!(fs::read_to_string(elsewhere.path().join("x.json")).unwrap(), "precious");
    assert!(bench.path("catalog/hubspot.x.json").is_symlink());
}

/// A text with everything that a terminal, a build server, YAML, Markdown or HTML might obey.
const EVIL: &str = "a\u{1b}[31m\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}1m\u{202e}b\u{2066}\u{e0041}\r\n::error::forged\n##[group]x\u{2028}on_delete: archive";

/// No escape, no mark that turns or hides, no line that somebody else made.
#[track_caller]
fn harmless(what: &str, text: &str) {
    let bad = |letter: char| {
        letter != '\n' && letter != '\t' && syncline::model::text::is_unsafe(letter) && letter != '\u{200b}'
    };
    assert!(!text.chars().any(bad), "{what}: {text:?}");
    for line in text.lines().map(str::trim_start) {
        let is_command = line.starts_with("::error file=") || line.starts_with("::warning file=");
        let forged = line.starts_with("::") && !is_command || line.starts_with("error::") || line.starts_with("##[");
        assert!(!forged && !line.starts_with("on_delete: archive"), "{what}: {line:?}");
    }
}

#[test]
fn a_record_cannot_turn_the_terminal_or_forge_a_line() {
    let bench = Bench::new(3);
    // A text is no number, so that the record fails with its value in the reason.
    bench.edit("pipelines/subscriptions.yaml", "from: Seats__c, to: seats", "from: Notes__c, to: seats");
    let made =
        bench.salesforce("create", json!({"object": "Subscription__c", "values": {"Name": EVIL, "Notes__c": EVIL}}));
    let id = made["id"].as_str().unwrap().to_owned();
    for arguments in [
        vec!["plan", "--sample", "100"],
        vec!["plan", "--format", "json"],
        vec!["plan", "--format", "markdown"],
        vec!["plan", "--format", "html"],
        vec!["import", "--yes", "-vv"],
        vec!["failures"],
        vec!["failures", "show", &id],
        vec!["failures", "list", "--format", "json"],
        vec!["why", &id],
        vec!["why", &id, "--format", "json"],
        vec!["status"],
        vec!["runs"],
        vec!["sync", "--once", "-vv", "--log-format", "json"],
        vec!["why", EVIL],
        vec!["runs", EVIL],
        vec!["validate", EVIL],
        vec!["validate", "modified:\u{1b}[31m\n::error::x"],
        vec!["explain", EVIL],
        vec![EVIL],
    ] {
        let ran = bench.run(&arguments);
        harmless(&format!("{arguments:?} stdout"), &ran.stdout);
        harmless(&format!("{arguments:?} stderr"), &ran.stderr);
    }
    // In JSON, the value is whole.
    let listed = bench.failures();
    assert!(
        listed.iter().any(|failure| failure["title"] == EVIL || failure.to_string().contains("\\u001b[31m")),
        "{listed:?}"
    );
}

#[test]
fn a_label_cannot_write_a_definition_or_turn_the_terminal() {
    let bench = Bench::new(2);
    let field = json!({"name": "Evil__c", "label": EVIL, "type": "picklist", "values": [EVIL, "x"]});
    bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    let options = json!([{"label": EVIL, "value": "x"}]);
    let property =
        json!({"name": "evil", "label": EVIL, "type": "enumeration", "fieldType": "select", "options": options});
    bench.hubspot("add_property", json!({"object": "subscriptions", "property": property}));
    for arguments in [
        vec!["discover", "Subscription__c"],
        vec!["discover", "subscriptions"],
        vec!["discover", "Subscription__c", "--format", "json"],
        vec!["catalog", "pull"],
        vec!["new", "draft", "--source", "Subscription__c", "--target", "subscriptions"],
        vec!["validate"],
        vec!["validate", "--online"],
        vec!["new", "other", "--source", "Subscription__c", "--target", "others", "--create-target"],
        vec!["diff"],
    ] {
        let ran = bench.run(&arguments);
        harmless(&format!("{arguments:?} stdout"), &ran.stdout);
        harmless(&format!("{arguments:?} stderr"), &ran.stderr);
    }
    let draft = fs::read_to_string(bench.path("pipelines/draft.yaml")).unwrap();
    harmless("the draft", &draft);
    assert!(draft.contains("on_delete: keep"), "{draft}");
}

#[test]
fn a_file_name_cannot_give_an_order_to_a_build_server() {
    let bench = Bench::new(2);
    bench.write(
        "pipelines/a\n::error::forged\u{1b}[2J.yaml",
        "version: 1\nname: \"a\\n::error::b\"\n\"x\\n::error::c\": 1\n",
    );
    for format in ["text", "json", "github", "markdown", "sarif"] {
        let ran = bench.run(&["validate", "--format", format]);
        harmless(format, &ran.stdout);
        harmless(format, &ran.stderr);
    }
    let ran = bench.run(&["validate", "--format", "github"]);
    let commands: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("::")).collect();
    assert!(
        !commands.is_empty() && commands.iter().all(|line| line.starts_with("::error file=pipelines/a")),
        "{commands:?}"
    );
}

/// A project whose HubSpot connection is that of the sandbox, with another token.
fn with_token(bench: &Bench, form: &str) {
    bench.edit("syncline.yaml", "access_token: sandbox-hubspot-token", &format!("access_token: {form}"));
}

#[test]
fn what_stands_around_a_token_is_left_out() {
    let token = "sandbox-hubspot-token";
    for text in [format!("{token}\n"), format!("{token}\r\n"), format!("\u{feff}{token}"), format!(" \t{token} \n\n")] {
        let bench = Bench::new(2);
        with_token(&bench, "${TOKEN}");
        let ran = ended(bench.command(&["validate", "--online"]).env("TOKEN", &text).output().unwrap());
        assert_eq!(ran.code, Some(0), "{text:?} {ran:?}");
        let bench = Bench::new(2);
        bench.write("token", &text);
        with_token(&bench, "${file:token}");
        assert_eq!(bench.run(&["validate", "--online"]).code, Some(0), "{text:?}");
    }
    let bench = Bench::new(2);
    with_token(&bench, "\"${TOKEN}\"");
    for text in
        ["hush-0123\n456789abcdef", "hush-0123\r456789abcdef", "hush 0123456789abcdef", "hush\u{feff}0123456789abcdef"]
    {
        let ran = ended(bench.command(&["validate", "--online"]).env("TOKEN", text).output().unwrap());
        assert!(ran.code == Some(1) && format!("{ran:?}").contains("SL1031"), "{ran:?}");
        assert!(!format!("{ran:?}").contains("builder error"), "{ran:?}");
        quotes_nothing(&ran);
    }
}

#[test]
fn a_finding_quotes_the_variable_and_not_its_value() {
    let shapes = [
        ("type: hubspot", "type: ${TOKEN}"),
        ("type: hubspot", "type: ${OTHER}"),
        ("type: hubspot", "type: a${OTHER}b"),
        ("type: hubspot", "type: ${file:hidden}"),
        ("access_token:", "portal_id: ${OTHER}\n    access_token:"),
        ("access_token:", "rate_limit: ${OTHER}\n    access_token:"),
        ("access_token:", "base_url: ${OTHER}\n    access_token:"),
        ("access_token:", "base_url: \"https://me:hush-0123456789abcdef@host\"\n    access_token:"),
        ("access_token:", "unknown: hush-0123456789abcdef\n    access_token:"),
        ("access_token: ${TOKEN}", "access_token: [hush-0123456789abcdef]"),
        ("access_token: ${TOKEN}", "acces_token: hush-0123456789abcdef"),
        ("access_token: ${TOKEN}", "access_token: ${NONE:-hush-0123456789abcdef} # hush\n    x: 1"),
        ("access_token: ${TOKEN}", "access_token: |\n      hush-0123\n      456789abcdef\n    x: 1"),
        ("access_token: ${TOKEN}", "access_token: \"hush-0123\\\n      456789abcdef\" x"),
    ];
    for (from, to) in shapes {
        let folder = tempfile::tempdir().unwrap();
        let project = "version: 1\nconnections:\n  hubspot:\n    type: hubspot\n    access_token: ${TOKEN}\n";
        fs::create_dir(folder.path().join("pipelines")).unwrap();
        fs::write(folder.path().join("hidden"), HIDDEN).unwrap();
        fs::write(folder.path().join("syncline.yaml"), project.replacen(from, to, 1)).unwrap();
        for arguments in [
            vec!["validate"],
            vec!["validate", "--format", "json"],
            vec!["validate", "--online"],
            vec!["status"],
            vec!["plan"],
        ] {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_syncline"));
            command.args(&arguments).current_dir(folder.path()).env("TOKEN", HIDDEN).env("OTHER", HIDDEN);
            let ran = ended(command.output().unwrap());
            quotes_nothing(&ran);
        }
    }
}

#[test]
fn a_service_that_echoes_a_secret_has_it_masked_and_not_stored() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // The token endpoint names the client's secret in its refusal, far behind in a long text.
    let org = runtime.block_on(Org::start(|seen| {
        let long = "x".repeat(185);
        let body = json!({"error": "invalid_client", "error_description": format!("{long} {}", seen.body)});
        answer(400, body.to_string())
    }));
    let bench = Bench::new(2);
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    let start = text.find("login_url:").unwrap();
    let end = start + text[start..].find("hubspot:").unwrap();
    let script = format!(
        "login_url: {}\n    auth:\n      client_credentials: {{ client_id: my-client-id, client_secret: \"hush/0123456789abcdef\" }}\n  ",
        org.url
    );
    bench.write("syncline.yaml", &format!("{}{script}{}", &text[..start], &text[end..]));
    for arguments in [vec!["sync", "--once", "-vv"], vec!["plan", "--format", "json"], vec!["runs"], vec!["status"]] {
        let ran = bench.run(&arguments);
        quotes_nothing(&ran);
    }
    for name in ["state.db", "state.db-wal"] {
        let stored = fs::read(bench.path(".syncline").join(name)).unwrap_or_default();
        assert!(!stored.windows(4).any(|part| part == b"hush"), "{name}");
    }
}

#[test]
fn a_record_that_holds_a_token_is_shown_and_stored_without_it() {
    let bench = Bench::new(2);
    let long = format!("sandbox-hubspot-token {}", "y".repeat(70_000));
    let made = bench.salesforce(
        "create",
        json!({"object": "Subscription__c", "values": {"Name": "sandbox-hubspot-token", "Notes__c": long}}),
    );
    let id = made["id"].as_str().unwrap().to_owned();
    let sample = ["plan", "--sample", "100", "--out", "p.plan", "--changes", "c.jsonl", "--report", "r.html"];
    for arguments in [&sample[..], &["import", "--yes"], &["failures"], &["failures", "show", &id], &["why", &id]] {
        let ran = bench.run(arguments);
        assert!(!format!("{ran:?}").contains("sandbox-hubspot-token"), "{arguments:?}: {ran:?}");
    }
    for name in ["p.plan", "c.jsonl", "r.html"] {
        assert!(!fs::read_to_string(bench.path(name)).unwrap().contains("sandbox-hubspot-token"), "{name}");
        assert_eq!(mode(&bench.path(name)), 0o600, "{name}");
    }
    for name in ["state.db", "state.db-wal"] {
        let stored = fs::read(bench.path(".syncline").join(name)).unwrap_or_default();
        assert!(!stored.windows(21).any(|part| part == b"sandbox-hubspot-token"), "{name}");
    }
}

#[test]
fn what_holds_values_is_for_its_owner_only() {
    let bench = Bench::new(2);
    bench.import();
    assert_eq!(mode(&bench.path(".syncline")), 0o700);
    assert_eq!(mode(&bench.path(".syncline/state.db")), 0o600);
    assert_eq!(mode(&bench.path(".syncline/state.db.locks")), 0o700);
    for file in fs::read_dir(bench.path(".syncline/state.db.locks")).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let bench = Bench::new(2);
    bench.run(&["catalog", "pull"]).code(0);
    let victim = bench.path("victim");
    let writes: [(&str, Vec<&str>); 6] = [
        ("p.plan", vec!["plan", "--out", "p.plan"]),
        ("r.html", vec!["plan", "--report", "r.html"]),
        ("c.jsonl", vec!["plan", "--changes", "c.jsonl"]),
        ("pipelines/draft.yaml", vec!["new", "draft", "--source", "Subscription__c", "--target", "subscriptions"]),
        (".syncline/state.db", vec!["import", "--yes"]),
        (".syncline/state.db.locks/subscriptions.lock", vec!["import", "--yes", "subscriptions"]),
    ];
    for (place, arguments) in writes {
        fs::write(&victim, "precious").unwrap();
        let _ = fs::remove_dir_all(bench.path(".syncline"));
        fs::create_dir_all(bench.path(place).parent().unwrap()).unwrap();
        symlink(&victim, bench.path(place)).unwrap();
        let ran = bench.run(&arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{place}");
        assert!(bench.path(place).is_symlink(), "{place}");
        fs::remove_file(bench.path(place)).unwrap();
    }
    // A device takes what it is given.
    bench.run(&["plan", "--changes", "/dev/null"]).code(0);
}

#[test]
fn names_below_localhost_are_asked_of_no_resolver() {
    for (url, code) in [
        ("http://name.localhost:1", Some("SL2009")),
        ("http://localhost.:1", Some("SL2009")),
        ("http://127.0.0.1.example:1", Some("SL2009")),
        ("http://localhost@example.com", Some("SL2009")),
        ("http://0.0.0.0:1", Some("SL2009")),
        ("http://localhost:1", None),
        ("http://127.1:1", None),
        ("http://[::1]:1", None),
        ("http://[::ffff:127.0.0.1]:1", None),
    ] {
        let bench = Bench::new(2);
        let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
        let line = text.lines().find(|line| line.contains("base_url:")).unwrap();
        bench.edit("syncline.yaml", line, &format!("    base_url: \"{url}\""));
        let ran = bench.run(&["validate"]);
        assert_eq!(ran.stdout.contains("SL2009"), code.is_some(), "{url}: {ran:?}");
    }
}

#[test]
fn localhost_is_this_computer_whatever_a_resolver_says() {
    let bench = Bench::new(2);
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    bench.write("syncline.yaml", &text.replace("127.0.0.1", "localhost"));
    bench.run(&["validate", "--online"]).code(0);
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let bench = Bench::new(2);
    bench.write("pipelines/bad.yaml", "version: 1\n");
    let run = |arguments: &[&str], set: &[(&str, &str)]| {
        let mut command = bench.command(arguments);
        command.env_remove("NO_COLOR").envs(set.iter().copied());
        ended(command.output().unwrap())
    };
    let raw = |ran: &Ran| (ran.stdout.contains('\u{1b}'), ran.stderr.contains('\u{1b}'));
    for arguments in [vec!["validate", "-vv"], vec!["plan", "-vv"], vec!["validate", "-vv", "nowhere"]] {
        assert_eq!(raw(&run(&arguments, &[])), (false, false), "{arguments:?}: no terminal");
        assert_eq!(raw(&run(&arguments, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")])), (false, false));
        for never in [&["--no-color"][..], &["--color", "never"]] {
            assert_eq!(raw(&run(&[&arguments[..], never].concat(), &[("CLICOLOR_FORCE", "1")])), (false, false));
        }
        for (more, set) in [(&["--color", "always"][..], ("NO_COLOR", "1")), (&[], ("CLICOLOR_FORCE", "1"))] {
            let (out, err) = raw(&run(&[&arguments[..], more].concat(), &[set]));
            assert!(out || err, "{arguments:?} {more:?}");
        }
    }
    fs::remove_file(bench.path("pipelines/bad.yaml")).unwrap();
    let coloured = run(&["plan", "-vv", "--color", "always"], &[]);
    assert!(coloured.stderr.contains('\u{1b}'), "the log: {}", coloured.stderr);
    let log = run(&["plan", "-q", "-vv", "--color", "always", "--log-format", "json"], &[]).stderr;
    assert!(!log.contains('\u{1b}'), "{log}");
}

/// Every name of a test in docs/security.md is the name of a test.
#[test]
fn the_page_about_security_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut folders = vec![root.join("src"), root.join("tests")];
    let mut sources = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension().and_then(|extension| extension.to_str()) {
                _ if entry.is_dir() => folders.push(entry),
                Some("rs") => sources.push_str(&fs::read_to_string(&entry).unwrap()),
                _ => {}
            }
        }
    }
    let named = |line: &str| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    let mut count = 0;
    for row in &rows {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let tests = named(last);
        assert!(!tests.is_empty() || row.starts_with("|---") || row.starts_with("| what"), "no test in: {row}");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}()")), "there is no test `{test}`");
            count += 1;
        }
    }
    assert!(count > 15, "the table names {count} tests");
}
