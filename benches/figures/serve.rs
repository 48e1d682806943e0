//! The sandbox in a process of its own, so that what it costs is told apart from what asking it costs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;

/// The argument by which a bench runs itself as the sandbox; the number of records follows.
pub(crate) const SERVE: &str = "serve-the-sandbox";

/// Runs a sandbox without limits until the input ends, and prints where it is.
pub(crate) fn serve(records: usize) -> Result<()> {
    // One thread, so that a second of it is a second of a core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = SandboxOptions {
            records,
            rate_limit: (u32::MAX, Duration::from_secs(10)),
            hubspot_daily_limit: u64::MAX,
            salesforce_daily_limit: u64::MAX,
            ..SandboxOptions::default()
        };
        let sandbox = syncline::sandbox::start(options).await?;
        let addresses = json!({"salesforce": sandbox.salesforce_url, "hubspot": sandbox.hubspot_url,
            "control": sandbox.control_url, "project": sandbox.project_yaml()});
        println!("{addresses}");
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        sandbox.stop().await?;
        Ok(())
    })
}

/// A sandbox that runs.
pub(crate) struct Served {
    child: Child,
    addresses: Value,
}

impl Served {
    /// Starts one with so many subscriptions.
    pub(crate) fn start(records: usize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SERVE, &records.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        Ok(Self { child, addresses: serde_json::from_str(&line)? })
    }

    /// `salesforce`, `hubspot`, `control`: an address; `project`: a `syncline.yaml`.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.addresses[name].as_str().unwrap_or_default()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
