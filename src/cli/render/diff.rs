//! A change of definitions, for people: in terms of mapping, the dangerous first.

use super::paint::{Paint, Tone};
use super::safe::safe;
use super::summary::{class, one_line};
use super::table::count;
use crate::model::catalog_change::CatalogChange;
use crate::model::change::{ChangeClass, DefinitionChange, DefinitionDiff, DefinitionStanding, PipelineDiff};

/// The whole diff.
pub fn diff(diff: &DefinitionDiff, paint: Paint) -> String {
    let commit = if diff.commit.is_empty() { String::new() } else { format!(" ({})", diff.commit) };
    let mut text = format!("definitions since {}{commit}\n", safe(&diff.base));
    if diff.is_empty() {
        text.push_str("  nothing changed\n");
    }
    for pipeline in &diff.pipelines {
        text.push_str(&pipeline_text(pipeline, paint));
    }
    if !diff.project.is_empty() {
        text.push_str("\nsyncline.yaml\n");
        text.extend(diff.project.iter().map(|change| self::change(change, "syncline.yaml", paint)));
    }
    if !diff.catalog.is_empty() {
        text.push_str("\nchanges in the two systems, from the catalog\n");
        text.extend(diff.catalog.iter().map(|change| format!("  {}\n", safe(&in_words(change)))));
    }
    for note in &diff.notes {
        text.push_str(&format!("\nnote: {}\n", safe(note)));
    }
    if !diff.is_empty() {
        text.push_str(&format!("\n{}\n", totals(diff)));
    }
    text
}

/// A change of the systems, in a sentence.
pub fn in_words(change: &CatalogChange) -> String {
    format!("{} {} ({})", change.place(), change.message, change.pipelines.join(", "))
}

/// How many changes there are of each class.
pub fn totals(diff: &DefinitionDiff) -> String {
    // The dangerous first, as they decide whether a reader goes on.
    let classes = [
        ChangeClass::CanRemoveData,
        ChangeClass::NeedsBackfill,
        ChangeClass::NewRecordsOnly,
        ChangeClass::NoRecordEffect,
    ];
    let counted = classes.into_iter().filter_map(|kind| {
        let found = diff.changes().filter(|(_, change)| change.class == kind).count() as u64;
        (found > 0).then(|| format!("{found} {}", class(kind)))
    });
    let all = diff.changes().count() as u64;
    let counted: Vec<String> = counted.collect();
    let moved = diff.pipelines.iter().filter(|pipeline| pipeline.standing == DefinitionStanding::Moved).count() as u64;
    let moved = (moved > 0).then(|| format!("{} to another file", count(moved, "pipeline moved", "pipelines moved")));
    let changes = (all > 0).then(|| format!("{}: {}", count(all, "change", "changes"), counted.join(", ")));
    let systems = diff.catalog.len() as u64;
    let systems = (systems > 0).then(|| count(systems, "change of the systems", "changes of the systems"));
    changes.into_iter().chain(moved).chain(systems).collect::<Vec<_>>().join("; ")
}

fn pipeline_text(pipeline: &PipelineDiff, paint: Paint) -> String {
    let text = match pipeline.standing {
        DefinitionStanding::Added => " (new)".to_owned(),
        DefinitionStanding::Removed => " (gone)".to_owned(),
        DefinitionStanding::Renamed | DefinitionStanding::Changed => String::new(),
        DefinitionStanding::Moved => ", the same in another file".to_owned(),
    };
    let from = pipeline.file_before.as_ref().map(|file| format!(" (it was in {})", safe(file))).unwrap_or_default();
    let mut text = format!("\n{}{text}  {}{from}\n", paint.strong(&safe(&pipeline.name)), safe(&pipeline.file));
    text.extend(pipeline.changes.iter().map(|change| self::change(change, &pipeline.file, paint)));
    text
}

fn change(change: &DefinitionChange, file: &str, paint: Paint) -> String {
    let (sign, tone) = match change.class {
        ChangeClass::CanRemoveData => ('!', Tone::Bad),
        ChangeClass::NeedsBackfill => ('~', Tone::Changed),
        ChangeClass::NewRecordsOnly => ('+', Tone::Good),
        ChangeClass::NoRecordEffect => ('·', Tone::Faint),
    };
    let place = change.line.map(|line| format!("  {}:{line}", safe(file))).unwrap_or_default();
    let what = paint.text(tone, &format!("{sign} {}", one_line(&change.what, 300)));
    let mut text = format!("  {what}{}\n", paint.faint(&place));
    if let Some(sides) = sides(change) {
        text.push_str(&format!("      {sides}\n"));
    }
    text.push_str(&format!("      {}: {}\n", class(change.class), one_line(&change.effect, 300)));
    text
}

/// Before and after, where the sentence does not say both.
fn sides(change: &DefinitionChange) -> Option<String> {
    let short = |text: &Option<String>| text.as_ref().map(|text| one_line(text, 200));
    match (short(&change.before), short(&change.after)) {
        (Some(before), Some(after)) => Some(format!("{before} → {after}")),
        // Without a condition all records belong, which is a side of its own.
        (None, Some(after)) if change.part.starts_with("source.where") => Some(format!("(all) → {after}")),
        (Some(before), None) if change.part.starts_with("source.where") => Some(format!("{before} → (all)")),
        _ => None,
    }
}
