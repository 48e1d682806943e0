//! What `doctor` and `state` found, for people.

use super::paint::{Paint, Tone};
use super::table::count;
use crate::model::text::line;
use crate::ops::doctor::report::{Area, Check, CheckStatus, DoctorReport};
use crate::ops::state::{ForgottenView, StateReport};
use crate::ops::state_copy::Step;

/// Checks by what they belong to; with `quiet` only those that need somebody.
pub fn doctor(report: &DoctorReport, quiet: bool, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(target) = &report.target {
        text.push_str(&format!("target {}\n", paint.strong(&line(target))));
    }
    let wanted = |check: &&Check| !quiet || check.status > CheckStatus::Ok;
    let mut before = None;
    for check in report.checks.iter().filter(wanted) {
        let of = (check.area, check.name.as_deref());
        if before != Some(of) {
            let name = of.1.map(|name| format!(" {}", line(name))).unwrap_or_default();
            text.push_str(&format!("{}\n", paint.strong(&format!("{}{name}", area(of.0)))));
            before = Some(of);
        }
        let (word, tone) = match check.status {
            CheckStatus::Ok => ("ok", Tone::Good),
            CheckStatus::Warning => ("warning", Tone::Changed),
            CheckStatus::Failed => ("failed", Tone::Bad),
            CheckStatus::Skipped => ("skipped", Tone::Faint),
        };
        let code = check.code.map(|code| format!(" [{code}]")).unwrap_or_default();
        let gap = " ".repeat(8 - word.len());
        text.push_str(&format!("  {}{gap}{}{code}\n", paint.text(tone, word), line(&check.message)));
        if let Some(help) = check.help.as_deref().filter(|_| check.status > CheckStatus::Ok) {
            text.push_str(&format!("          = help: {}\n", line(help)));
        }
    }
    let number = |status: CheckStatus| report.checks.iter().filter(|check| check.status == status).count() as u64;
    let (failed, warnings) = (number(CheckStatus::Failed), number(CheckStatus::Warning));
    text.push_str(&match (failed, warnings) {
        (0, 0) => "everything works\n".to_owned(),
        (0, warnings) => format!("everything works, with {}\n", count(warnings, "warning", "warnings")),
        (failed, 0) => format!("{} failed\n", count(failed, "check", "checks")),
        (failed, warnings) => {
            format!("{} failed, with {}\n", count(failed, "check", "checks"), count(warnings, "warning", "warnings"))
        }
    });
    text
}

fn area(area: Area) -> &'static str {
    match area {
        Area::Project => "project",
        Area::Salesforce => "salesforce connection",
        Area::Hubspot => "hubspot connection",
        Area::Pipeline => "pipeline",
        Area::Receiver => "receiver",
        Area::State => "state",
        Area::Computer => "computer",
    }
}

/// A state that was gone through.
pub fn checked(report: &StateReport, paint: Paint) -> String {
    let mut text = format!(
        "{}: version {} of {}, {} bytes\n",
        line(&report.path),
        report.version,
        report.version_known,
        report.bytes
    );
    for problem in &report.problems {
        text.push_str(&format!("  {} {}\n", paint.text(Tone::Bad, "!"), line(problem)));
    }
    text.push_str(match report.problems.is_empty() {
        true => "it is sound\n",
        false => "it is damaged: restore a copy, or move it away and run `syncline import`, which recognises records by their match property\n",
    });
    text
}

/// A copy that was made.
pub fn backed_up(report: &StateReport) -> String {
    format!("copied and checked: {}, {} bytes\n", line(&report.path), report.bytes)
}

/// A copy that is being made.
pub fn copying(step: Step, table: &str, rows: u64) -> String {
    let word = if step == Step::Copying { "copying" } else { "comparing" };
    format!("{word} {table}: {rows}")
}

/// A state that was copied.
pub fn copied(report: &StateReport) -> String {
    let Some(copied) = &report.copied else { return String::new() };
    let rows = |name: &str| copied.tables.iter().find(|table| table.table == name).map_or(0, |table| table.rows);
    let resumed = if copied.resumed { ", from where an earlier copy was broken off" } else { "" };
    format!(
        "copied and compared{resumed}: {}\n  {}: {}, {}, {} and {}\nnext: set `state:` in syncline.yaml to the copy, and run with that one only; {} stays as it is\n",
        line(&report.path),
        count(rows("pipelines"), "pipeline", "pipelines"),
        count(rows("identities"), "record", "records"),
        count(rows("lookups"), "association", "associations"),
        count(rows("failures"), "failure", "failures"),
        count(rows("runs"), "run", "runs"),
        line(&copied.from),
    )
}

/// What is about to be forgotten.
pub fn to_forget(known: &ForgottenView) -> String {
    format!(
        "`{}`: {} and {}, {}, {} would be forgotten. Records in HubSpot stay as they are; `syncline import` recognises them by their match property. Records that Salesforce deletes until then are missed.",
        line(&known.pipeline),
        count(known.records, "record", "records"),
        count(known.associations, "association", "associations"),
        count(known.failures, "failure", "failures"),
        count(known.runs, "run", "runs"),
    )
}

/// What was forgotten.
pub fn forgotten(report: &StateReport) -> String {
    report.forgotten.as_ref().map_or_else(String::new, |known| {
        format!(
            "forgotten: `{}`, {} and {}, {}, {}\nnext: `syncline import {}`\n",
            line(&known.pipeline),
            count(known.records, "record", "records"),
            count(known.associations, "association", "associations"),
            count(known.failures, "failure", "failures"),
            count(known.runs, "run", "runs"),
            line(&known.pipeline),
        )
    })
}
