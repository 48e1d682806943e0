//! docs/start, word by word: its commands run in their order against the sandbox, with its own syncline.yaml.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syncline::sandbox::options::SandboxOptions;
use syncline::sandbox::start;
use tempfile::TempDir;

use crate::support::ended;

/// The pages with commands, in the order in which they are read.
const PAGES: [&str; 3] = ["first-pipeline.md", "going-live.md", "several-accounts.md"];

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
    let binaries = Path::new(env!("CARGO_BIN_EXE_syncline")).parent().unwrap().to_owned();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binaries.display());
    let mut place: PathBuf = folder.path().to_owned();
    let mut commands = 0;
    for name in PAGES {
        for (language, body) in blocks(&page(name)) {
            match language.as_str() {
                "yaml" => {
                    fs::write(place.join("syncline.yaml"), project(&body)).unwrap();
                    fs::write(place.join(".env"), &dotenv).unwrap();
                }
                "sh" => {
                    let script =
                        format!("set -euo pipefail\n{body}pwd > '{}'\n", folder.path().join("place").display());
                    let mut command = Command::new("bash");
                    command.args(["-c", &script]).current_dir(&place).env_clear();
                    command.env("PATH", &path).env("NO_COLOR", "1").env("HOME", folder.path());
                    let ran = ended(command.output().unwrap());
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
    assert!(place.join(".syncline/state.db").exists() && place.join(".syncline/prod/state.db").exists());
    drop(sandbox);
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
