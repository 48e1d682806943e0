//! Findings in definitions: each with the line that it is about, and how many there are.

use super::table;
use crate::config::load::{Loaded, PROJECT_FILE};
use crate::diagnostic::render::{Located, locate, text as finding_text};
use crate::diagnostic::{Diagnostic, Severity};

/// A finding as text.
pub fn shown(loaded: &Loaded, finding: &Diagnostic, colour: bool) -> String {
    let file = loaded.files.iter().find(|file| file.name == finding.file);
    match file {
        Some(file) => finding_text(finding, &file.text, &file.locate(&finding.place), colour),
        None => finding_text(finding, "", &(0..0), colour),
    }
}

/// A finding with its place, for programs.
pub fn located(loaded: &Loaded, finding: &Diagnostic) -> Located {
    let file = loaded.files.iter().find(|file| file.name == finding.file);
    match file {
        Some(file) => locate(finding, &file.text, &file.locate(&finding.place)),
        None => locate(finding, "", &(0..0)),
    }
}

/// How many findings there are.
pub fn summary(loaded: &Loaded) -> String {
    let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = loaded.findings.len() - errors;
    let is_pipeline = |name: &str| name != PROJECT_FILE && !name.starts_with("catalog/") && !name.contains(".test.");
    let pipelines = loaded.files.iter().filter(|file| is_pipeline(&file.name)).count();
    let pipelines = table::count(pipelines as u64, "pipeline", "pipelines");
    let warned = if warnings > 0 {
        format!(", {}", table::count(warnings as u64, "warning", "warnings"))
    } else {
        String::new()
    };
    if errors == 0 {
        format!("{pipelines} checked: no errors{warned}")
    } else {
        format!("{pipelines} checked: {}{warned}", table::count(errors as u64, "error", "errors"))
    }
}
