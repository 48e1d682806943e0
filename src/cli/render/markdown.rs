//! A plan and a diff as a comment on a pull request: totals and dangers first, then what fits, and what does not is said.
//!
//! Nothing that comes from a record or a definition is markup: it stands in code spans, or with every mark escaped.

use super::diff::{in_words, totals};
use super::summary::{self, Summary, VALUE_LENGTH_MAX, contrast, one_line};
use super::table::{about, count, number};
use crate::model::change::{ChangeClass, DefinitionChange, DefinitionDiff, DefinitionStanding};
use crate::model::forecast::{
    AssociationAction, PipelineForecast, PlanReport, PlannedAction, PlannedChange, RecordAddresses,
};

/// Longest comment, in characters: the forges refuse more than 65,536.
pub const COMMENT_LENGTH_MAX: usize = 65_536;

/// Left free for what a workflow adds.
/// Such as a heading, or the address of the build.
const RESERVE: usize = 2_000;

/// Most rows of a table; the whole is in the other forms.
/// A reviewer scrolls past a longer table.
pub(super) const ROWS_MAX: usize = 60;

/// Most dangers that are listed.
const DANGERS_MAX: usize = 25;

/// Longest sentence, in characters.
const SENTENCE_LENGTH_MAX: usize = 400;

/// Stands within what would be a link or a mention, and has no width.
pub const APART: char = '\u{200b}';

/// The line by which a workflow finds its comment again.
pub const MARK: &str = "<!-- syncline -->";

/// A plan.
pub fn plan(report: &PlanReport) -> String {
    let summary = Summary::of(report);
    let mut page = Page::new();
    page.must(&format!("{MARK}\n## Syncline: {}\n\n", sentence(&summary.headline())));
    dangers(&summary, &mut page);
    page.must(&format!("Nothing was written. Carrying this out takes {}.\n\n", summary.cost()));
    if !report.pipelines.is_empty() {
        page.must(&totals_table(report, &summary));
    }
    notes(report, &mut page);
    if let Some(diff) = &report.definitions {
        definitions(diff, Some(report), &mut page);
    }
    groups(report, &mut page);
    rejects(report, &mut page);
    answers(report, &mut page);
    for line in summary::next_commands(report) {
        page.must(&format!("{}\n\n", sentence(&line)));
    }
    // Last, with the room that is left: totals and dangers must never be pushed out by examples.
    examples(report, &mut page);
    page.end()
}

/// A diff without a plan.
pub fn diff(diff: &DefinitionDiff) -> String {
    let mut page = Page::new();
    page.must(&format!(
        "{MARK}\n## Syncline: {}\n\n",
        sentence(&if diff.is_empty() { "no definition changed".to_owned() } else { totals(diff) })
    ));
    definitions(diff, None, &mut page);
    page.end()
}

/// Text within its limit.
pub(super) struct Page {
    text: String,
    /// What did not fit, in words.
    pub(super) left_out: Vec<String>,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { text: String::new(), left_out: Vec::new() }
    }

    /// What is bounded by itself.
    pub(super) fn must(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// How many characters there is room for.
    fn room(&self) -> usize {
        // Counted in characters, as GitHub counts; a forge refuses a longer comment as a whole.
        COMMENT_LENGTH_MAX.saturating_sub(self.text.chars().count() + RESERVE)
    }

    /// Takes a part if it fits.
    pub(super) fn try_push(&mut self, text: &str) -> bool {
        let fits = text.chars().count() <= self.room();
        if fits {
            self.text.push_str(text);
        }
        fits
    }

    pub(super) fn end(mut self) -> String {
        if !self.left_out.is_empty() {
            let what = self.left_out.join("; ");
            self.text.push_str(&format!(
                "\n_Not shown here: {what}. `syncline plan --changes FILE` writes every change._\n"
            ));
        }
        self.text
    }
}

fn dangers(summary: &Summary, page: &mut Page) {
    if summary.dangers.is_empty() {
        return;
    }
    // The forge's own mark for a warning, which stands out from the tables.
    page.must("> [!CAUTION]\n");
    for danger in summary.dangers.iter().take(DANGERS_MAX) {
        page.must(&format!("> - {}\n", sentence(danger)));
    }
    let more = summary.dangers.len().saturating_sub(DANGERS_MAX);
    if more > 0 {
        page.must(&format!("> - and {more} more\n"));
    }
    page.must("\n");
}

/// Columns of the totals that are always there; the others only where they count something.
const ALWAYS: [PlannedAction; 4] =
    [PlannedAction::Create, PlannedAction::Update, PlannedAction::Archive, PlannedAction::Reject];

fn totals_table(report: &PlanReport, summary: &Summary) -> String {
    let records =
        |counts: &std::collections::BTreeMap<PlannedAction, u64>, action| counts.get(&action).copied().unwrap_or(0);
    let order = [
        PlannedAction::Archive,
        PlannedAction::Reject,
        PlannedAction::Leave,
        PlannedAction::Drift,
        PlannedAction::Create,
        PlannedAction::Update,
        PlannedAction::Restore,
        PlannedAction::Adopt,
        PlannedAction::Associate,
        PlannedAction::Unchanged,
    ];
    // A column of dots for every action would be wider than a comment.
    let shown: Vec<PlannedAction> =
        order.into_iter().filter(|action| ALWAYS.contains(action) || records(&summary.actions, *action) > 0).collect();
    let head: Vec<&str> = shown.iter().map(|action| action.word()).collect();
    let mut text = format!(
        "| pipeline | {} | associations | calls | time |\n|---|{}\n",
        head.join(" | "),
        "--:|".repeat(shown.len() + 3)
    );
    let mut row = |name: String,
                   actions: &std::collections::BTreeMap<PlannedAction, u64>,
                   associations: u64,
                   calls: u64,
                   time: f64| {
        let cells: Vec<String> = shown
            .iter()
            .map(|action| match (records(actions, *action), *action) {
                (0, _) => "·".to_owned(),
                (some, PlannedAction::Archive | PlannedAction::Reject) => format!("**{}**", number(some)),
                (some, _) => number(some),
            })
            .collect();
        text.push_str(&format!(
            "| {name} | {} | {} | {} | {} |\n",
            cells.join(" | "),
            number(associations),
            number(calls),
            about(time)
        ));
    };
    let associations = |tally: &crate::model::report::Tally| tally.associated + tally.disassociated;
    // With one pipeline, both rows would be the same.
    if report.pipelines.len() != 1 {
        row(
            "**all**".to_owned(),
            &summary.actions,
            associations(&summary.tally),
            summary.hubspot_calls,
            summary.seconds,
        );
    }
    let mut pipelines: Vec<&PipelineForecast> = report.pipelines.iter().collect();
    let weight = |forecast: &&PipelineForecast| std::cmp::Reverse(summary::dangerous(forecast));
    pipelines.sort_by_key(weight);
    for pipeline in pipelines.iter().take(ROWS_MAX) {
        let estimate = &pipeline.estimate;
        row(
            cell(&code(pipeline.report.name.as_str())),
            &pipeline.actions,
            associations(&pipeline.report.tally),
            estimate.hubspot_calls,
            estimate.seconds_at_rate_limit,
        );
    }
    if pipelines.len() > ROWS_MAX {
        let more = (pipelines.len() - ROWS_MAX) as u64;
        text.push_str(&format!(
            "\n…and {} more, all of them counted under **all**.\n",
            count(more, "pipeline", "pipelines")
        ));
    }
    text.push('\n');
    text
}

/// What a reader must know of the numbers: what needs a backfill, what waits.
fn notes(report: &PlanReport, page: &mut Page) {
    let all =
        report.pipelines.iter().flat_map(|pipeline| pipeline.report.notes.iter().map(move |note| (pipeline, note)));
    let lines: Vec<String> = all
        .map(|(pipeline, note)| format!("- {}: {}\n", code(pipeline.report.name.as_str()), sentence(note)))
        .collect();
    for (index, line) in lines.iter().enumerate() {
        if index >= ROWS_MAX || !page.try_push(line) {
            page.left_out.push(count((lines.len() - index) as u64, "note", "notes"));
            break;
        }
    }
    page.must(if lines.is_empty() { "" } else { "\n" });
}

fn definitions(diff: &DefinitionDiff, report: Option<&PlanReport>, page: &mut Page) {
    let mut rows: Vec<(String, &DefinitionChange)> = diff
        .changes()
        .map(|(pipeline, change)| {
            (pipeline.map_or("syncline.yaml".to_owned(), |pipeline| pipeline.name.clone()), change)
        })
        .collect();
    rows.sort_by_key(|(_, change)| change.class);
    page.must(&format!("### Definitions since {}\n\n", code(&one_line(&diff.base, 100))));
    if rows.is_empty() {
        page.must("No mapping changed.\n\n");
    } else {
        page.must("| | pipeline | what changed | what follows for records |\n|---|---|---|---|\n");
    }
    let mut shown = 0;
    for (name, change) in rows.iter().take(ROWS_MAX) {
        let sides = match (&change.before, &change.after) {
            (Some(before), Some(after)) => format!(
                "<br>{} → {}",
                code(&one_line(before, VALUE_LENGTH_MAX)),
                code(&one_line(after, VALUE_LENGTH_MAX))
            ),
            _ => String::new(),
        };
        let touched = report.and_then(|report| summary::touched(report, name, change));
        let touched = touched.map(|records| format!("<br>**{}**", count(records, "record", "records")));
        let row = format!(
            "| {} {} | {} | {}{} | {}{} |\n",
            // Harmless for records and dangerous for what the comment itself shows.
            if summary::unmasks(change) { "🔴" } else { sign(change.class) },
            summary::class(change.class),
            cell(&code(name)),
            cell(&sentence(&change.what)),
            cell(&sides),
            cell(&sentence(&change.effect)),
            touched.unwrap_or_default()
        );
        if !page.try_push(&row) {
            break;
        }
        shown += 1;
    }
    if rows.len() > shown {
        page.left_out.push(count(
            (rows.len() - shown) as u64,
            "change of the definitions",
            "changes of the definitions",
        ));
    }
    let moved: Vec<String> = diff
        .pipelines
        .iter()
        .filter(|pipeline| pipeline.standing == DefinitionStanding::Moved)
        .map(|pipeline| format!("- {} is in {} now, and the same\n", code(&pipeline.name), code(&pipeline.file)))
        .collect();
    let catalog = diff.catalog.iter().map(|change| format!("- {}\n", sentence(&in_words(change))));
    let notes = diff.notes.iter().map(|note| format!("- {}\n", sentence(note)));
    page.must("\n");
    let more: Vec<String> = moved.into_iter().chain(catalog).chain(notes).collect();
    for (index, line) in more.iter().enumerate() {
        if index >= ROWS_MAX || !page.try_push(line) {
            page.left_out.push(count(
                (more.len() - index) as u64,
                "more line about the systems",
                "more lines about the systems",
            ));
            break;
        }
    }
    page.must(if more.is_empty() { "" } else { "\n" });
}

fn sign(class: ChangeClass) -> &'static str {
    match class {
        ChangeClass::CanRemoveData => "🔴",
        ChangeClass::NeedsBackfill => "🟡",
        ChangeClass::NewRecordsOnly => "🔵",
        ChangeClass::NoRecordEffect => "⚪",
    }
}

/// What the updates change, the most frequent first.
fn groups(report: &PlanReport, page: &mut Page) {
    let of = |forecast: &PipelineForecast| {
        let name = forecast.report.name.to_string();
        super::plan::groups_of(forecast).into_iter().map(move |group| (name.clone(), group))
    };
    let mut rows: Vec<(String, super::plan::Group)> = report.pipelines.iter().flat_map(of).collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|(_, group)| std::cmp::Reverse(group.records));
    page.must("### What the updates change\n\n| records | pipeline | change |\n|--:|---|---|\n");
    let mut shown = 0;
    for (name, group) in rows.iter().take(ROWS_MAX) {
        let mark = if group.clears { "🔴 " } else { "" };
        let row =
            format!("| {} | {} | {mark}{} |\n", number(group.records), cell(&code(name)), cell(&code(&group.what)));
        if !page.try_push(&row) {
            break;
        }
        shown += 1;
    }
    if rows.len() > shown {
        page.left_out.push(count((rows.len() - shown) as u64, "kind of update", "kinds of updates"));
    }
    page.must("\n");
}

fn rejects(report: &PlanReport, page: &mut Page) {
    let mut rows: Vec<(&str, &crate::model::forecast::RejectGroup)> = report
        .pipelines
        .iter()
        .flat_map(|pipeline| pipeline.rejects.iter().map(|group| (pipeline.report.name.as_str(), group)))
        .collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|(_, group)| std::cmp::Reverse((group.records - group.known.unwrap_or_default(), group.records)));
    page.must(
        "### Rejected records, by reason\n\n| records | of them new | pipeline | code | reason of one of them |\n|--:|--:|---|---|---|\n",
    );
    let mut shown = 0;
    for (name, group) in rows.iter().take(ROWS_MAX) {
        let anew = group.known.map(|known| group.records - known);
        let row = format!(
            "| {} | {} | {} | {} | {} |\n",
            number(group.records),
            anew.map_or_else(|| "?".to_owned(), number),
            cell(&code(name)),
            code(&group.code),
            cell(&sentence(&group.example))
        );
        if !page.try_push(&row) {
            break;
        }
        shown += 1;
    }
    if rows.len() > shown {
        page.left_out.push(count((rows.len() - shown) as u64, "reason of rejections", "reasons of rejections"));
    }
    page.must("\n`syncline explain CODE` tells what to do.\n\n");
}

/// What the plan cannot tell.
fn answers(report: &PlanReport, page: &mut Page) {
    let open = summary::unknown(report);
    if open.is_empty() {
        return;
    }
    let lines: Vec<String> = open.iter().map(|why| format!("- {}\n", sentence(why))).collect();
    page.must(&format!("What this plan cannot tell:\n\n{}\n", lines.concat()));
}

/// The most dangerous pipeline first; each gets its share of the space, and what one leaves is for those that follow.
fn examples(report: &PlanReport, page: &mut Page) {
    let mut pipelines: Vec<&PipelineForecast> = report.pipelines.iter().collect();
    pipelines.sort_by_key(|pipeline| std::cmp::Reverse(summary::dangerous(pipeline)));
    let mut omitted: u64 =
        pipelines.iter().map(|pipeline| pipeline.changes.len() as u64 + pipeline.changes_omitted).sum();
    let mut open = pipelines.iter().filter(|pipeline| !pipeline.changes.is_empty()).count();
    for pipeline in pipelines.into_iter().filter(|pipeline| !pipeline.changes.is_empty()) {
        // So that a pipeline with a thousand changes leaves room for one with two.
        let share = page.room() / open.max(1);
        open -= 1;
        let (mut body, mut length, mut shown) = (String::new(), 0, 0_u64);
        for change in &pipeline.changes {
            let entry = example(change, pipeline.addresses.as_ref());
            let added = entry.chars().count();
            if length + added + HEAD_LENGTH_MAX > share {
                break;
            }
            length += added;
            body.push_str(&entry);
            shown += 1;
        }
        // A heading without an example would say nothing.
        if shown == 0 {
            continue;
        }
        let head = format!(
            "<details>\n<summary>{}: {} of {}</summary>\n\n",
            html(pipeline.report.name.as_str()),
            count(shown, "example", "examples"),
            count(pipeline.changes.len() as u64 + pipeline.changes_omitted, "change", "changes")
        );
        page.must(&format!("{head}{body}\n</details>\n\n"));
        omitted -= shown;
    }
    if omitted > 0 {
        page.left_out.push(count(omitted, "change of a record", "changes of records"));
    }
}

/// More than the frame around the examples of a pipeline takes, in characters.
const HEAD_LENGTH_MAX: usize = 600;

/// Most properties of an example.
const PROPERTIES_MAX: usize = 12;

fn example(change: &PlannedChange, addresses: Option<&RecordAddresses>) -> String {
    let title = one_line(&change.title, VALUE_LENGTH_MAX);
    let named = if title == change.salesforce_id.as_str() { String::new() } else { format!(" {}", code(&title)) };
    let mut text = format!("- **{}** {}{named}", change.action.word(), code(change.salesforce_id.as_str()));
    for (system, address) in addresses.iter().flat_map(|addresses| addresses.named(change)) {
        text.push_str(&format!(" [{system}]({address})"));
    }
    for reason in &change.reasons {
        text.push_str(&format!(": {}", sentence(reason)));
    }
    text.push('\n');
    for (property, sides) in change.properties.iter().take(PROPERTIES_MAX) {
        let shown = |value: &str| code(&one_line(value, VALUE_LENGTH_MAX));
        let line = match (sides.before.as_deref(), sides.after.as_deref()) {
            // A new record had nothing before, and saying so for each property tells nothing.
            (None, Some(after)) if matches!(change.action, PlannedAction::Create | PlannedAction::Restore) => {
                shown(after)
            }
            (Some(before), Some(after)) => {
                let (before, after) = contrast(before, after, VALUE_LENGTH_MAX);
                match change.action {
                    PlannedAction::Drift => format!("HubSpot holds {}, Syncline wrote {}", code(&before), code(&after)),
                    _ => format!("{} → {}", code(&before), code(&after)),
                }
            }
            (before, after) => {
                let side = |value: Option<&str>| value.map_or("_blank_".to_owned(), shown);
                format!("{} → {}", side(before), side(after))
            }
        };
        text.push_str(&format!("  - {}: {line}\n", code(property)));
    }
    if change.properties.len() > PROPERTIES_MAX {
        let more = (change.properties.len() - PROPERTIES_MAX) as u64;
        text.push_str(&format!("  - and {}\n", count(more, "more property", "more properties")));
    }
    for association in &change.associations {
        let what = match association.action {
            AssociationAction::Associate => "to associate with",
            AssociationAction::Disassociate => "to disassociate from",
            AssociationAction::Pending => "waits for",
            AssociationAction::Lost => "HubSpot no longer holds the association with",
        };
        let other = association.salesforce_id.map(|id| code(id.as_str())).unwrap_or_default();
        text.push_str(&format!("  - {}: {what} {other}\n", code(&association.association)));
    }
    text
}

/// Markup as the cell of a table.
pub(super) fn cell(markup: &str) -> String {
    // A bar ends the cell even within a code span.
    markup.replace('|', "\\|")
}

/// A text as a code span: markup, links and mentions in it stay text.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text, SENTENCE_LENGTH_MAX);
    if text.trim().is_empty() {
        return "_blank_".to_owned();
    }
    // A code span ends at as many backticks as it began with, so the fence is one longer than any within.
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // A backtick at an end would join the fence.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A sentence whose literals stand in backticks: those become code spans, and nothing of the rest is markup.
pub(super) fn sentence(text: &str) -> String {
    let text = one_line(text, SENTENCE_LENGTH_MAX);
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        // A backtick of a literal itself: which of them belong together cannot be told.
        return plain(&text);
    }
    let part = |(index, part): (usize, &&str)| match index % 2 {
        0 => plain(part),
        _ if part.trim().is_empty() => "``".to_owned(),
        _ => code(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A text in which nothing is markup, a link, a mention or a reference.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '~' | '$' => {
                safe.push('\\');
                safe.push(letter);
                // A number after it would be a reference to another issue.
                if letter == '#' {
                    safe.push('\u{200b}');
                }
            }
            // An address or a name after it would be a link or a mention.
            '@' | ':' | '/' => {
                safe.push(letter);
                if letter != ':' {
                    safe.push('\u{200b}');
                }
            }
            other => safe.push(other),
        }
    }
    // Addresses without a scheme become links by these letters.
    let bare = safe.to_ascii_lowercase();
    if bare.contains("www.") { safe.replace('.', "\u{200b}.") } else { safe }
}

fn html(text: &str) -> String {
    let text = one_line(text, SENTENCE_LENGTH_MAX);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_is_markup() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code("a|b\nc"), "`a|b↵c`");
        assert_eq!(cell(&code("a|b")), "`a\\|b`");
        assert_eq!(code("  "), "_blank_");
        assert_eq!(code("\u{202e}evil"), "`\u{fffd}evil`");
        assert_eq!(
            plain("[x](http://y) <img> @me #12"),
            "\\[x\\]\\(http:/\u{200b}/\u{200b}y\\) &lt;img&gt; @\u{200b}me \\#\u{200b}12"
        );
        assert_eq!(plain("see www.x.com"), "see www\u{200b}.x\u{200b}.com");
        assert_eq!(sentence("the value `@me` of `a|b`"), "the value `@me` of `a|b`");
        assert_eq!(sentence("odd ` @me"), "odd \\` @\u{200b}me");
    }
}
