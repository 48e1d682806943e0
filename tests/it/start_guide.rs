//! docs/start, word by word: its commands run in their order against the sandbox, with its own syncline.yaml.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use syncline::sandbox::options::SandboxOptions;
use syncline::sandbox::start;
use tempfile::TempDir;

use crate::support::{Bench, Ran, ended};

/// The pages with commands, in the order in which they are carried out: that of HubSpot needs a project.
const PAGES: [&str; 5] = ["salesforce.md", "first-pipeline.md", "hubspot.md", "going-live.md", "several-accounts.md"];

/// Longest time until a sandbox has written its file, in seconds.
const WRITTEN_SECONDS_MAX: u64 = 30;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/start").join(name)).unwrap()
}

/// Fenced blocks with their languages, in order.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        found.push((language.to_owned(), body.join("\n") + "\n"));
    }
    found
}

/// A block of a page in a shell of its own, with nothing but a home.
fn shell(script: &str, place: &Path, home: &Path) -> Command {
    let binaries = Path::new(env!("CARGO_BIN_EXE_syncline")).parent().unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(place).env_clear().env("NO_COLOR", "1").env("HOME", home);
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binaries.display()));
    command
}

/// Runs the sandbox of a second terminal, and a project with what it writes in the place of `syncline.yaml`.
fn beside_a_sandbox(body: &str, place: &Path, home: &Path) -> Ran {
    let written = place.join("sandbox.yaml");
    let mut sandbox = shell(&format!("exec {body}"), place, home);
    let mut sandbox = sandbox.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while !written.exists() && begin.elapsed() < Duration::from_secs(WRITTEN_SECONDS_MAX) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let script = format!(
        "set -euo pipefail\nsyncline init trial\ncd trial\ncp '{}' syncline.yaml\nsyncline doctor\nsyncline discover\n",
        written.display()
    );
    let ran = shell(&script, home, home).output();
    let _ = sandbox.kill();
    let _ = sandbox.wait();
    fs::remove_file(written).unwrap();
    ended(ran.unwrap())
}

#[test]
fn the_way_from_nothing_to_ones_own_accounts_can_be_walked() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sandbox = runtime.block_on(start(SandboxOptions { records: 30, ..SandboxOptions::default() })).unwrap();
    let ready = sandbox.project_yaml();
    let value = |key: &str| {
        let line = ready.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
        line.unwrap().to_owned()
    };
    // The accounts of the pages are the sandbox here; nothing else is changed.
    let project = |text: &str| {
        text.replace("https://acme--dev.sandbox.my.salesforce.com", &value("login_url"))
            .replace("https://acme.my.salesforce.com", &value("login_url"))
            .replace("    type: hubspot\n", &format!("    type: hubspot\n    base_url: {}\n", value("base_url")))
    };
    let variables = [
        ("SALESFORCE_CLIENT_ID", value("client_id")),
        ("SALESFORCE_CLIENT_SECRET", value("client_secret")),
        ("HUBSPOT_ACCESS_TOKEN", value("access_token")),
        ("HUBSPOT_ACCESS_TOKEN_PROD", value("access_token")),
    ];
    let dotenv: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let folder = TempDir::new().unwrap();
    let mut place: PathBuf = folder.path().to_owned();
    let mut commands = 0;
    for name in PAGES {
        for (language, body) in blocks(&page(name)) {
            match language.as_str() {
                "yaml" => {
                    fs::write(place.join("syncline.yaml"), project(&body)).unwrap();
                    fs::write(place.join(".env"), &dotenv).unwrap();
                }
                "sh" if body.starts_with("syncline sandbox ") => {
                    let ran = beside_a_sandbox(&body, &place, folder.path());
                    assert_eq!(ran.code, Some(0), "{name}:\n{body}\n{ran:?}");
                    commands += 1;
                }
                "sh" => {
                    let script =
                        format!("set -euo pipefail\n{body}pwd > '{}'\n", folder.path().join("place").display());
                    let ran = ended(shell(&script, &place, folder.path()).output().unwrap());
                    // Records that fail are a part of the sample world: 3 is done, too.
                    assert!(matches!(ran.code, Some(0 | 3)), "{name}:\n{body}\n{}\n{}", ran.stdout, ran.stderr);
                    if let Ok(now) = fs::read_to_string(folder.path().join("place")) {
                        place = PathBuf::from(now.trim());
                    }
                    commands += body.lines().filter(|line| line.starts_with("syncline ")).count();
                }
                _ => {}
            }
        }
    }
    assert!(commands > 20, "only {commands} commands");
    assert!(folder.path().join("salesforce.key").exists(), "the key of the page on Salesforce");
    assert!(place.join(".syncline/state.db").exists() && place.join(".syncline/prod/state.db").exists());
    drop(sandbox);
}

#[test]
fn a_key_that_is_made_as_the_page_says_logs_in() {
    let bench = Bench::new(2);
    let (place, text) = (bench.path(""), page("salesforce.md"));
    let (_, make) = blocks(&text).into_iter().find(|(_, body)| body.starts_with("openssl ")).unwrap();
    let run = |script: &str| ended(shell(script, &place, &place).output().unwrap()).code(0).stdout;
    run(&make);
    // Salesforce is given the certificate.
    let public = run("openssl x509 -pubkey -noout -in salesforce.crt");
    bench.salesforce("options", json!({ "jwt_public_key": public }));
    let login = "jwt: { client_id: syncline-sandbox, username: syncline@sandbox.example, private_key: \"${file:salesforce.key}\" }";
    let project = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    let (before, rest) = project.split_once("      client_credentials:").unwrap();
    let (_, after) = rest.split_once("  hubspot:").unwrap();
    bench.write("syncline.yaml", &format!("{before}      {login}\n  hubspot:{after}"));
    let told = bench.run(&["doctor"]).code(0).stdout;
    assert!(told.contains("everything works"), "{told}");
}

#[test]
fn the_page_of_scopes_names_all_that_the_sandbox_asks_for() {
    let text = page("hubspot.md");
    for scope in [
        "crm.schemas.custom.read",
        "crm.objects.custom.read",
        "crm.objects.custom.write",
        "crm.objects.companies.read",
        "crm.objects.companies.write",
        "crm.objects.owners.read",
        "crm.schemas.custom.write",
    ] {
        assert!(text.contains(&format!("`{scope}`")), "{scope}");
    }
}
