//! What changed in the two systems, for people: what pipelines use first.

use super::safe::{listed, safe};
use super::table::count;
use crate::model::catalog_change::{CatalogChange, CatalogChangeKind, System};
use crate::ops::catalog::Pull;

/// Changes of parts that no pipeline uses and that are shown one by one.
/// Each release of Salesforce brings fields that no pipeline uses.
const UNUSED_SHOWN_MAX: usize = 20;

/// A pull.
pub fn pull(pull: &Pull, check: bool) -> String {
    let mut text = String::new();
    let (used, unused): (Vec<&CatalogChange>, Vec<&CatalogChange>) =
        pull.changes.iter().partition(|change| !change.pipelines.is_empty());
    if !used.is_empty() {
        text.push_str("used by pipelines:\n");
        text.extend(used.iter().map(|change| line(change)));
    }
    if !unused.is_empty() {
        text.push_str(if used.is_empty() { "not used by any pipeline:\n" } else { "\nnot used by any pipeline:\n" });
        text.extend(unused.iter().take(UNUSED_SHOWN_MAX).map(|change| line(change)));
        if unused.len() > UNUSED_SHOWN_MAX {
            let more = (unused.len() - UNUSED_SHOWN_MAX) as u64;
            text.push_str(&format!("  … and {} more (`--format json` has all)\n", count(more, "change", "changes")));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let objects = count(pull.objects as u64, "object", "objects");
    let files = count(pull.files.len() as u64, "file", "files");
    text.push_str(&match (pull.files.is_empty(), check) {
        (true, _) => format!("catalog/ is up to date: {objects}\n"),
        (false, true) => format!("catalog/ is out of date in {files}: `syncline catalog pull` updates them\n"),
        (false, false) => format!("catalog/ holds {objects}; {files} written: commit them\n"),
    });
    let gone = if check { "would be removed" } else { "removed" };
    text.extend(pull.removed.iter().map(|path| format!("  {} {gone}: no longer needed\n", safe(path))));
    text.extend(
        pull.foreign.iter().map(|path| format!("  {} was not written by a pull and is left unchanged\n", safe(path))),
    );
    if !used.is_empty() {
        text.push_str("`syncline validate` shows what that means for the definitions\n");
    }
    text
}

fn line(change: &CatalogChange) -> String {
    let sign = match change.kind {
        CatalogChangeKind::Removed | CatalogChangeKind::ValueRemoved => '-',
        CatalogChangeKind::Added | CatalogChangeKind::ValueAdded => '+',
        _ => '~',
    };
    let system = match change.system {
        System::Salesforce => "Salesforce",
        System::Hubspot => "HubSpot",
    };
    let item = change.item.as_ref().map(|item| format!(".{}", safe(item))).unwrap_or_default();
    let used = match change.pipelines.as_slice() {
        [] => String::new(),
        names => format!("  [{}]", listed(names)),
    };
    format!("  {sign} {system} {}{item} {}{used}\n", safe(&change.object), safe(&change.message))
}
