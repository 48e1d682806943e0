//! Findings in definitions: each with the line that it is about, and how many there are.

use super::table;
use crate::config::load::Loaded;
use crate::config::project::is_about_accounts;
use crate::config::read::SourceFile;
use crate::diagnostic::render::{Located, Places, locate, text as finding_text};
use crate::diagnostic::{Diagnostic, Severity};

/// A finding as text.
pub fn shown(loaded: &Loaded, finding: &Diagnostic, colour: bool) -> String {
    let (_, places) = places(loaded, finding);
    let file = loaded.files.iter().find(|file| file.name == finding.file);
    // The covered text: a finding in syncline.yaml must not quote a secret.
    finding_text(finding, file.map_or("", SourceFile::quotable), &places, colour)
}

/// A finding with its place, for programs.
pub fn located(loaded: &Loaded, finding: &Diagnostic) -> Located {
    let (text, places) = places(loaded, finding);
    locate(finding, text, &places)
}

/// The text that a finding is about, and where in it.
fn places<'a>(loaded: &'a Loaded, finding: &Diagnostic) -> (&'a str, Places) {
    match loaded.files.iter().find(|file| file.name == finding.file) {
        Some(file) => (&file.text, Places { range: file.locate(&finding.place), others: file.locate_others(finding) }),
        None => ("", Places::default()),
    }
}

/// The errors and the warnings, those that are left out among them.
pub fn counts(loaded: &Loaded) -> (usize, usize) {
    let counted = |severity| {
        let found_finding = loaded.findings.iter().filter(|finding| finding.severity == severity);
        // A finding may stand for a hundred that are not told one by one.
        found_finding.map(|finding| finding.stands_for).sum()
    };
    (counted(Severity::Error), counted(Severity::Warning))
}

/// How many findings there are.
pub fn summary(loaded: &Loaded) -> String {
    let (errors, warnings) = counts(loaded);
    let is_pipeline =
        |name: &str| !is_about_accounts(name) && !name.starts_with("catalog/") && !name.contains(".test.");
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
