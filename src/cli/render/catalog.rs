//! What moved in the two systems, for people: what pipelines use first.

use super::safe::{listed, safe};
use super::table::count;
use crate::catalog::drift::{MoveKind, System};
use crate::ops::catalog::{Pull, Touched};

/// Moves that no pipeline uses and that are shown one by one.
const UNUSED_SHOWN_MAX: usize = 20;

/// A pull.
pub fn pull(pull: &Pull, check: bool) -> String {
    let mut text = String::new();
    let (used, unused): (Vec<&Touched>, Vec<&Touched>) = pull.moves.iter().partition(|own| !own.pipelines.is_empty());
    if !used.is_empty() {
        text.push_str("what pipelines use:\n");
        text.extend(used.iter().map(|own| line(own)));
    }
    if !unused.is_empty() {
        text.push_str(if used.is_empty() { "what no pipeline uses:\n" } else { "\nwhat no pipeline uses:\n" });
        text.extend(unused.iter().take(UNUSED_SHOWN_MAX).map(|own| line(own)));
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
        (true, _) => format!("catalog/ is current: {objects}\n"),
        (false, true) => format!("catalog/ is behind in {files}: `syncline catalog pull` writes them\n"),
        (false, false) => format!("catalog/ holds {objects}; {files} written: commit them\n"),
    });
    let gone = if check { "would be removed" } else { "removed" };
    text.extend(pull.removed.iter().map(|path| format!("  {} {gone}: nothing needs it\n", safe(path))));
    text.extend(pull.foreign.iter().map(|path| format!("  {} is no file of a pull and stays as it is\n", safe(path))));
    if !used.is_empty() {
        text.push_str("`syncline validate` tells what that means for the definitions\n");
    }
    text
}

fn line(own: &Touched) -> String {
    let moved = &own.moved;
    let sign = match moved.kind {
        MoveKind::Removed | MoveKind::ValueRemoved => '-',
        MoveKind::Added | MoveKind::ValueAdded => '+',
        _ => '~',
    };
    let system = match moved.system {
        System::Salesforce => "Salesforce",
        System::Hubspot => "HubSpot",
    };
    let item = moved.item.as_ref().map(|item| format!(".{}", safe(item))).unwrap_or_default();
    let used = match own.pipelines.as_slice() {
        [] => String::new(),
        names => format!("  [{}]", listed(names)),
    };
    format!("  {sign} {system} {}{item} {}{used}\n", safe(&moved.object), safe(&moved.message))
}
