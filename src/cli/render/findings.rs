//! Findings as a comment on a pull request, for a project that cannot be compared or planned until they are gone.

use super::markdown::{MARK, Page, ROWS_MAX, cell, code, sentence};
use super::table::count;
use crate::diagnostic::render::Located;

/// The errors first, each with its place and what to do.
pub fn comment(findings: &[Located]) -> String {
    let mut page = Page::new();
    let counted = |error: bool| {
        findings.iter().filter(|finding| is_error(finding) == error).map(|finding| finding.count as u64).sum()
    };
    let (errors, warnings): (u64, u64) = (counted(true), counted(false));
    let headline = match (errors, warnings) {
        (0, 0) => "the definitions are valid".to_owned(),
        (0, warnings) => format!("the definitions are valid, with {}", count(warnings, "warning", "warnings")),
        (errors, 0) => format!("{} in the definitions", count(errors, "error", "errors")),
        (errors, warnings) => format!(
            "{} and {} in the definitions",
            count(errors, "error", "errors"),
            count(warnings, "warning", "warnings")
        ),
    };
    page.must(&format!("{MARK}\n## Syncline: {headline}\n\n"));
    if findings.is_empty() {
        return page.end();
    }
    page.must("| | where | what | what to do |\n|---|---|---|---|\n");
    let mut ordered: Vec<&Located> = findings.iter().collect();
    // A stable sort: within errors and warnings, the order of the files stays.
    ordered.sort_by_key(|finding| !is_error(finding));
    let mut shown = 0;
    for finding in ordered.iter().take(ROWS_MAX) {
        let sign = if is_error(finding) { "🔴" } else { "🟡" };
        let label = finding.label.as_deref().map(|label| format!("<br>{}", sentence(label))).unwrap_or_default();
        let label = finding
            .related
            .iter()
            .fold(label, |label, other| format!("{label}<br>Line {}: {}", other.line, sentence(&other.label)));
        let why = finding.why.as_deref().map(|why| format!("<br>{}", sentence(why))).unwrap_or_default();
        let help = finding.help.as_deref().map(sentence).unwrap_or_default();
        let place = code(&format!("{}:{}:{}", finding.file, finding.line, finding.column));
        let row = [
            format!("{sign} {}", code(finding.code)),
            place,
            format!("{}{label}{why}", sentence(&finding.message)),
            help,
        ];
        let row = format!("| {} |\n", row.map(|text| cell(&text)).join(" | "));
        if !page.try_push(&row) {
            break;
        }
        shown += 1;
    }
    if ordered.len() > shown {
        let left: usize = ordered[shown..].iter().map(|finding| finding.count).sum();
        page.left_out.push(count(left as u64, "finding", "findings"));
    }
    page.must("\n`syncline explain CODE` tells more.\n");
    page.end()
}

fn is_error(finding: &Located) -> bool {
    finding.severity == "error"
}
