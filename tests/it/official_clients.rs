//! The sandbox serves the clients that other people wrote: simple-salesforce, jsforce, hubspot-api-client, @hubspot/api-client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use syncline::sandbox::options::{CLIENT_ID, CLIENT_SECRET, HUBSPOT_TOKEN, SandboxOptions};

/// Subscriptions in the sample world: several pages of 200.
const RECORDS: usize = 450;

/// Longest time for one script.
const SCRIPT_TIME_MAX: Duration = Duration::from_secs(120);

/// What has to be installed for a script.
enum Runtime {
    Python,
    Node,
}

impl Runtime {
    fn program(&self) -> PathBuf {
        match self {
            Self::Python => installed().join("python/bin/python"),
            Self::Node => "node".into(),
        }
    }

    fn is_installed(&self) -> bool {
        match self {
            Self::Python => self.program().is_file(),
            Self::Node => ["jsforce", "@hubspot/api-client"]
                .iter()
                .all(|package| installed().join("node/node_modules").join(package).is_dir()),
        }
    }
}

/// Where `tests/clients/setup` puts the packages.
fn installed() -> PathBuf {
    root().join("target/clients")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a script of tests/clients against a sandbox of its own; it must end well.
async fn drive(runtime: Runtime, script: &str, arguments: &[&str]) {
    assert!(
        runtime.is_installed(),
        "the official clients are not installed in {}; run `tests/clients/setup` once (it needs python3, node and npm)",
        installed().display()
    );
    let sandbox =
        syncline::sandbox::start(SandboxOptions { records: RECORDS, ..SandboxOptions::default() }).await.unwrap();
    let mut command = Command::new(runtime.program());
    command
        .arg(root().join("tests/clients").join(script))
        .args(arguments)
        .env("SANDBOX_SALESFORCE", &sandbox.salesforce_url)
        .env("SANDBOX_HUBSPOT", &sandbox.hubspot_url)
        .env("SANDBOX_CLIENT_ID", CLIENT_ID)
        .env("SANDBOX_CLIENT_SECRET", CLIENT_SECRET)
        .env("SANDBOX_TOKEN", HUBSPOT_TOKEN)
        .env("SANDBOX_RECORDS", RECORDS.to_string())
        .env("CLIENTS_NODE", installed().join("node"))
        // A proxy of the computer must not come between the script and loopback.
        .envs(["no_proxy", "NO_PROXY"].map(|name| (name, "127.0.0.1,localhost")));
    let (success, output) = tokio::task::spawn_blocking(move || run(command)).await.unwrap();
    let requests = sandbox.requests();
    let last = requests.iter().rev().take(3).rev().map(|entry| {
        format!("{} {} {} {}", entry.status, entry.method, entry.target, entry.body.as_deref().unwrap_or_default())
    });
    assert!(
        success,
        "{script} {arguments:?} failed:\n{output}\nits last requests:\n{}",
        last.collect::<Vec<_>>().join("\n")
    );
    assert!(requests.len() > 10, "the script hardly asked anything");
    sandbox.stop().await.unwrap();
}

/// Whether the command ended well, and all that it said.
fn run(mut command: Command) -> (bool, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > SCRIPT_TIME_MAX {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_salesforce() {
    drive(Runtime::Python, "salesforce.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jsforce() {
    drive(Runtime::Node, "clients.mjs", &["salesforce"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hubspot_api_client_for_python() {
    drive(Runtime::Python, "hubspot_portal.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hubspot_api_client_for_node() {
    drive(Runtime::Node, "clients.mjs", &["hubspot"]).await;
}
