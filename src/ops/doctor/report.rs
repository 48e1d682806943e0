//! What was looked at, how it stands, and what to do about it.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnostic::Severity;
use crate::ports::fault::Fault;
use crate::project::error::OpsError;

/// Clocks that are further apart are told of, in seconds.
const CLOCK_APART_SECONDS: i64 = 60;

/// What `doctor` prints with `--format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Syncline doctor")]
pub struct DoctorReport {
    /// The target that was looked at; none where it is what stands outside of `targets`.
    pub target: Option<String>,
    /// The worst of all checks.
    pub status: CheckStatus,
    /// All checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// A report of these checks.
    pub fn new(target: Option<String>, checks: Vec<Check>) -> Self {
        let status = checks.iter().map(|check| check.status).filter(|status| *status != CheckStatus::Skipped).max();
        Self { target, status: status.unwrap_or(CheckStatus::Ok), checks }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// What it belongs to.
    pub area: Area,
    /// Name of the connection, pipeline or receiver.
    pub name: Option<String>,
    /// What was looked at. It does not change with the wording.
    pub check: CheckName,
    /// How it stands.
    pub status: CheckStatus,
    /// What was found.
    pub message: String,
    /// Code of what is wrong, which `syncline explain` describes.
    pub code: Option<&'static str>,
    /// What to do.
    pub help: Option<String>,
}

/// What a check belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The files of the project.
    Project,
    /// A Salesforce connection.
    Salesforce,
    /// A HubSpot connection.
    Hubspot,
    /// A pipeline.
    Pipeline,
    /// A receiver of alerts.
    Receiver,
    /// The state.
    State,
    /// This computer.
    Computer,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// The files of the definitions.
    Definitions,
    /// Variables, files and secrets that a connection or a receiver names.
    Settings,
    /// Whether a person is logged in, where that is how a connection logs in.
    Login,
    /// Whether the service answers.
    Reachable,
    /// Whether it knows the credentials.
    Token,
    /// Which org or portal it is.
    Account,
    /// An object that a pipeline reads or writes.
    Object,
    /// Whether records can be read.
    Read,
    /// Whether records can be written.
    Write,
    /// The owners of the portal.
    Owners,
    /// Calls that are left of the day.
    Limits,
    /// Whether the clocks agree.
    Clock,
    /// Fields, properties, associations and everything else that a pipeline needs.
    Mapping,
    /// The state as a file.
    File,
    /// Whether it can be written.
    Writable,
    /// Who may read what holds secrets or values.
    Permissions,
    /// Free space.
    Disk,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It was not made: something before it failed.
    Skipped,
    /// It works.
    Ok,
    /// It works, and should be looked at.
    Warning,
    /// It does not work.
    Failed,
}

/// The checks of one thing as they are made.
pub struct Checks {
    area: Area,
    name: Option<String>,
    /// Those that were made.
    pub made: Vec<Check>,
}

impl Checks {
    /// None yet.
    pub fn new(area: Area, name: Option<&str>) -> Self {
        Self { area, name: name.map(str::to_owned), made: Vec::new() }
    }

    fn add(&mut self, check: CheckName, status: CheckStatus, message: String) -> &mut Check {
        let (area, name) = (self.area, self.name.clone());
        self.made.push(Check { area, name, check, status, message, code: None, help: None });
        let last = self.made.len() - 1;
        &mut self.made[last]
    }

    /// It works.
    pub fn ok(&mut self, check: CheckName, message: impl Into<String>) {
        self.add(check, CheckStatus::Ok, message.into());
    }

    /// It works, and should be looked at.
    pub fn warn(&mut self, check: CheckName, message: impl Into<String>, help: impl Into<String>) {
        self.add(check, CheckStatus::Warning, message.into()).help = Some(help.into());
    }

    /// It does not work.
    pub fn fail(
        &mut self,
        check: CheckName,
        code: Option<&'static str>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let added = self.add(check, CheckStatus::Failed, message.into());
        (added.code, added.help) = (code, help);
    }

    /// It was not made.
    pub fn skip(&mut self, check: CheckName, why: impl Into<String>) {
        self.add(check, CheckStatus::Skipped, why.into());
    }

    /// How far this computer's clock is ahead of a service's; `refused` are the seconds from which that service refuses a login.
    pub fn clock(&mut self, service: &str, ahead: SignedDuration, refused: Option<i64>) {
        let seconds = ahead.as_secs();
        let direction = if seconds > 0 { "ahead of" } else { "behind" };
        let message = format!("this computer's clock is {} seconds {direction} {service}'s", seconds.abs());
        let help = "let the system set its time (NTP)".to_owned();
        match seconds.abs() {
            apart if refused.is_some_and(|refused| apart >= refused) => {
                self.fail(CheckName::Clock, None, message, Some(help));
            }
            CLOCK_APART_SECONDS.. => self.warn(CheckName::Clock, message, help),
            _ => self.ok(CheckName::Clock, "the clocks agree"),
        }
    }

    /// Whether all that was made works.
    pub fn works(&self) -> bool {
        self.made.iter().all(|check| check.status != CheckStatus::Failed)
    }

    /// An error of the project.
    pub fn error(&mut self, check: CheckName, error: &OpsError) {
        let (code, message) = error.reason();
        let help = error.help().or_else(|| match error {
            OpsError::Findings(loaded) => {
                let first = loaded.findings.iter().find(|finding| finding.severity == Severity::Error)?;
                first.help.clone().or_else(|| first.label.clone())
            }
            _ => None,
        });
        self.fail(check, Some(code), message, help);
    }

    /// A refusal of a service: about the service itself, about who asks, about the calls of a day, or about `check`.
    pub fn fault(&mut self, check: CheckName, fault: &Fault) {
        let error = fault.error();
        let code = error.map(|error| error.code);
        let check = match (fault, error.and_then(|error| error.status), code) {
            (Fault::Budget { .. }, ..) => CheckName::Limits,
            (Fault::Retry(_) | Fault::Unknown(_), ..) => CheckName::Reachable,
            (_, Some(401), _) | (_, _, Some("SL4101" | "SL4102" | "SL4002")) => CheckName::Token,
            (_, None, Some("SL4115")) => CheckName::Reachable,
            _ => check,
        };
        self.fail(check, code, fault.to_string(), error.and_then(|error| error.help.clone()));
    }
}

/// A share of the calls of a day, as words, with whether few are left.
pub fn calls_left(used: u64, allowed: u64) -> (String, bool) {
    let left = allowed.saturating_sub(used);
    (format!("{left} of {allowed} calls of the day are left"), left.saturating_mul(10) < allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_a_tenth_is_few() {
        for (used, allowed, expected) in
            [(0, 100, false), (90, 100, false), (91, 100, true), (100, 100, true), (200, 100, true), (0, 0, false)]
        {
            assert_eq!(calls_left(used, allowed).1, expected, "{used} of {allowed}");
        }
    }

    #[test]
    fn what_was_not_looked_at_decides_nothing() {
        let mut checks = Checks::new(Area::State, None);
        checks.skip(CheckName::Disk, "no");
        assert_eq!(DoctorReport::new(None, checks.made.clone()).status, CheckStatus::Ok);
        checks.warn(CheckName::Disk, "few", "do");
        assert_eq!(DoctorReport::new(None, checks.made.clone()).status, CheckStatus::Warning);
        checks.fail(CheckName::File, None, "gone", None);
        assert!(!checks.works() && DoctorReport::new(None, checks.made).status == CheckStatus::Failed);
    }
}
