//! `sandbox`: both services until stopped.

use std::io::ErrorKind;
use std::path::Path;

use super::args::Sandbox as Words;
use super::args::common::Format;
use super::exit::Exit;
use super::output;
use super::signals;
use crate::project::error::OpsError;
use crate::sandbox::faults::FaultPlan;
use crate::sandbox::load::{self, source::LoadError};
use crate::sandbox::options::SandboxOptions;
use crate::sandbox::start;
use crate::sys::cancel::Cancel;
use crate::sys::files::{self, Readers};

/// Largest file that a flag names, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Runs the sandbox.
pub async fn run(arguments: &Words) -> Result<Exit, OpsError> {
    let cancel = Cancel::new();
    signals::watch(&cancel);
    let faults = read(arguments.faults.as_deref())?.map(|text| FaultPlan::parse(&text).map_err(refused)).transpose()?;
    let options = SandboxOptions {
        salesforce: arguments.salesforce,
        hubspot: arguments.hubspot,
        control: arguments.control,
        seed: arguments.seed,
        records: arguments.records,
        samples: arguments.samples,
        rate_limit: arguments.rate_limit,
        latency: arguments.latency,
        faults,
        data: arguments.data.clone(),
        worlds: load::read(arguments.org.as_deref(), arguments.portal.as_deref()).map_err(unreadable)?,
        visibility_delay: arguments.visibility_delay,
        token_lifetime: arguments.token_lifetime,
        jwt_public_key: read(arguments.jwt_key.as_deref())?,
        ..SandboxOptions::default()
    };
    // Before the start: whoever named a file that is there is told at once, and finds nothing served.
    if let Some(path) = arguments.write.as_deref().filter(|path| path.symlink_metadata().is_ok()) {
        return Err(taken(path));
    }
    let sandbox = start(options).await.map_err(|error| refused(error.to_string()))?;
    // After the start: the addresses are known only when the ports are.
    if let Some(path) = &arguments.write {
        write_new(path, &sandbox.project_yaml())?;
    }
    match arguments.format {
        Format::Json => output::result(&sandbox.addresses().to_string()),
        Format::Text => output::result(&format!(
            "Salesforce  {}\nHubSpot     {}\ncontrol     {}   (GET / tells what it can do)\n{}",
            sandbox.salesforce_url,
            sandbox.hubspot_url,
            sandbox.control_url,
            match &arguments.write {
                Some(path) => format!("\n{} points at it; Ctrl-C ends it\n", path.display()),
                None => format!("\nsyncline.yaml for it:\n\n{}", sandbox.project_yaml()),
            }
        )),
    }
    cancel.cancelled().await;
    sandbox.stop().await.map_err(|error| refused(error.to_string()))?;
    // It ends only where somebody ends it.
    Ok(Exit::Interrupted)
}

/// Writes a file that is not there yet: a project of somebody's is never replaced.
fn write_new(path: &Path, text: &str) -> Result<(), OpsError> {
    let failed = |error: std::io::Error| match error.kind() {
        // Another process was faster.
        ErrorKind::AlreadyExists => taken(path),
        _ => refused(format!("`{}` cannot be written: {error}", path.display())),
    };
    files::create(path, text.as_bytes(), Readers::Usual).map_err(failed)
}

fn taken(path: &Path) -> OpsError {
    let help = "name another file for `--write`, or remove this one; a file that is there is never replaced";
    OpsError::refused("SL6011", format!("`{}` already exists; nothing was served", path.display()), help)
}

/// The text of a file that a flag names.
fn read(path: Option<&Path>) -> Result<Option<String>, OpsError> {
    let text = |path: &Path| {
        let failed = |error: &dyn std::fmt::Display| refused(format!("`{}`: {error}", path.display()));
        let bytes = files::read(path, FILE_BYTES_MAX).map_err(|error| failed(&error))?;
        String::from_utf8(bytes).map_err(|error| failed(&error))
    };
    path.map(text).transpose()
}

/// A world that cannot be read: nothing has been served.
fn unreadable(error: LoadError) -> OpsError {
    OpsError::refused(
        "SL6011",
        error.to_string(),
        "nothing was served; fix the file, or omit the flag to use the sample world",
    )
}

fn refused(message: String) -> OpsError {
    OpsError::refused("SL6011", message, "`syncline sandbox --help` lists the flags")
}
