//! A plan as one page that needs nothing else: no script, no request, light and dark. Every value is escaped by the template
//! engine.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, HtmlEscape, Value};
use serde::Serialize;

use super::diff::in_words;
use super::summary::{self, Summary, contrast, one_line};
use super::table::{about, count, number};
use crate::model::change::{DefinitionChange, DefinitionDiff, PipelineDiff};
use crate::model::forecast::{
    Answer, AssociationAction, BeforeAfter, PipelineForecast, PlanReport, PlannedAction, PlannedAssociation,
    PlannedChange, Question, RecordAddresses, RejectGroup, Verdict,
};

const PAGE: &str = include_str!("plan.html");
const BARS: &str = include_str!("bars.html");

/// Longest value of a record, in characters.
/// A page has room for more than a comment, and none for whole texts of 65,536 characters.
const VALUE_LENGTH_MAX: usize = 1_000;

/// Most bars of a chart; the rest stands in the tables.
/// More bars than a screen is high compare nothing.
const BARS_MAX: usize = 40;

/// A plan; `made` is when.
pub fn plan(report: &PlanReport, made: &str) -> String {
    // The template is a part of the program; a test renders it with everything that it can hold.
    page(report, made).unwrap_or_else(|error| format!("<!doctype html><title>Syncline</title><pre>{error:#}</pre>"))
}

fn page(report: &PlanReport, made: &str) -> Result<String, Error> {
    let summary = Summary::of(report);
    let mut environment = Environment::new();
    // Whatever the template's name: values of records must never be markup.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // The one filter whose output is markup; it escapes all that it is given.
    environment.add_filter("prose", |text: &str| Value::from_safe_string(prose(text)));
    environment.add_template("page", PAGE)?;
    environment.add_template("bars", BARS)?;
    let drawn = |chart: &Chart| environment.get_template("bars")?.render(Value::from(Serde(chart)));
    let mut pipelines: Vec<&PipelineForecast> = report.pipelines.iter().collect();
    // The one that can do most harm is read first.
    pipelines.sort_by_key(|pipeline| std::cmp::Reverse(summary::dangerous(pipeline)));
    let view = View {
        headline: summary.headline(),
        cost: summary.cost(),
        next: summary::next_commands(report).collect(),
        dangers: &summary.dangers,
        made,
        version: env!("CARGO_PKG_VERSION"),
        totals: totals(&summary),
        legend: legend(&summary),
        definitions: report.definitions.as_ref().map(|diff| definitions(diff, report)),
        reject_rows: reject_rows(report),
        pipelines: pipelines.into_iter().map(pipeline).collect(),
    };
    let actions = actions(report).as_ref().map(drawn).transpose()?;
    let rejects = rejects(report).as_ref().map(drawn).transpose()?;
    let charts = [("actions", actions), ("rejects", rejects)];
    let charts: std::collections::BTreeMap<&str, Value> =
        // They were rendered by the same engine, so their values are escaped already.
        charts.into_iter().filter_map(|(name, drawn)| Some((name, Value::from_safe_string(drawn?)))).collect();
    let view = minijinja::context! { charts, ..Value::from(Serde(&view)) };
    environment.get_template("page")?.render(view)
}

/// What the page shows beside its charts.
#[derive(Serialize)]
struct View<'a> {
    headline: String,
    cost: String,
    next: Vec<String>,
    dangers: &'a [String],
    made: &'a str,
    version: &'a str,
    totals: Vec<Total>,
    legend: Vec<Total>,
    definitions: Option<Definitions>,
    reject_rows: Vec<RejectRow>,
    pipelines: Vec<Pipeline>,
}

/// A sentence with its literals, which stand in backticks, as code; all of it escaped.
fn prose(sentence: &str) -> String {
    let sentence = one_line(sentence, VALUE_LENGTH_MAX);
    let pieces: Vec<&str> = sentence.split('`').collect();
    // A backtick that is not closed: the sentence stands as it is.
    if pieces.len().is_multiple_of(2) {
        return HtmlEscape(&sentence).to_string();
    }
    let piece = |(index, text): (usize, &&str)| match index % 2 {
        0 => HtmlEscape(text).to_string(),
        _ => format!("<code>{}</code>", HtmlEscape(text)),
    };
    pieces.iter().enumerate().map(piece).collect()
}

#[derive(Serialize)]
struct Total {
    action: &'static str,
    label: &'static str,
    records: String,
}

fn label(action: PlannedAction) -> &'static str {
    match action {
        PlannedAction::Archive => "archive",
        PlannedAction::Reject => "reject",
        PlannedAction::Leave => "leave in HubSpot",
        PlannedAction::Drift => "changed in HubSpot",
        PlannedAction::Restore => "restore",
        PlannedAction::Adopt => "take over",
        PlannedAction::Create => "create",
        PlannedAction::Update => "update",
        PlannedAction::Associate => "associate only",
        PlannedAction::Pending => "wait for an association",
        PlannedAction::Unchanged => "unchanged",
    }
}

fn totals(summary: &Summary) -> Vec<Total> {
    let total = |(action, records): (&PlannedAction, &u64)| Total {
        action: action.word(),
        label: label(*action),
        records: number(*records),
    };
    summary.actions.iter().filter(|(_, records)| **records > 0).map(total).collect()
}

fn legend(summary: &Summary) -> Vec<Total> {
    let mut all = totals(summary);
    // Unchanged records have no bar, and would make all the others too short to see.
    all.retain(|total| total.action != PlannedAction::Unchanged.word());
    all
}

#[derive(Serialize)]
struct Chart {
    label: &'static str,
    rows: Vec<Bar>,
    more: usize,
}

#[derive(Serialize)]
struct Bar {
    name: String,
    /// The name is that of a pipeline, which has a section on the page.
    anchor: bool,
    total: String,
    segments: Vec<Segment>,
}

#[derive(Serialize)]
struct Segment {
    /// Of the longest bar, in percent.
    share: f64,
    action: &'static str,
    title: String,
}

/// Which actions each pipeline would take.
fn actions(report: &PlanReport) -> Option<Chart> {
    let changing = |forecast: &PipelineForecast| -> u64 {
        let counted = forecast.actions.iter().filter(|(action, _)| **action != PlannedAction::Unchanged);
        counted.map(|(_, records)| records).sum()
    };
    let mut pipelines: Vec<&PipelineForecast> =
        report.pipelines.iter().filter(|pipeline| changing(pipeline) > 0).collect();
    // The longest bar is the measure of all others, so it stands first.
    pipelines.sort_by_key(|pipeline| std::cmp::Reverse(changing(pipeline)));
    let most = pipelines.first().map(|pipeline| changing(pipeline))?;
    let more = pipelines.len().saturating_sub(BARS_MAX);
    pipelines.truncate(BARS_MAX);
    let bar = |forecast: &&PipelineForecast| {
        let mut segments = Vec::new();
        for action in PlannedAction::ALL.into_iter().filter(|action| *action != PlannedAction::Unchanged) {
            let records = forecast.actions.get(&action).copied().unwrap_or_default();
            if records == 0 {
                continue;
            }
            let title = format!("{}: {} {}", forecast.report.name, number(records), label(action));
            segments.push(Segment { share: share(records, most), action: action.word(), title });
        }
        Bar { name: forecast.report.name.to_string(), anchor: true, total: number(changing(forecast)), segments }
    };
    let rows: Vec<Bar> = pipelines.iter().map(bar).collect();
    Some(Chart { label: "Records that each pipeline would change, by action", rows, more })
}

#[derive(Serialize)]
struct RejectRow {
    pipeline: String,
    code: String,
    property: String,
    records: String,
    anew: String,
    example: String,
}

/// Reasons of rejections with their pipelines, the most frequent first.
fn reject_groups(report: &PlanReport) -> Vec<(&str, &RejectGroup)> {
    let mut groups: Vec<(&str, &RejectGroup)> = Vec::new();
    for forecast in &report.pipelines {
        groups.extend(forecast.rejects.iter().map(|group| (forecast.report.name.as_str(), group)));
    }
    groups
        // By what the change brings: rejections that were there before are not this review's.
        .sort_by_key(|(_, group)| std::cmp::Reverse((group.records - group.known.unwrap_or_default(), group.records)));
    groups
}

/// Why records would be rejected.
fn rejects(report: &PlanReport) -> Option<Chart> {
    let groups = reject_groups(report);
    let most = groups.iter().map(|(_, group)| group.records).max()?;
    let bar = |(_, group): &(&str, &RejectGroup)| {
        let property = group.property.as_ref().map(|property| format!(" {property}")).unwrap_or_default();
        let name = one_line(&format!("{}{property}", group.code), VALUE_LENGTH_MAX);
        let title = format!("{name}: {}", count(group.records, "record", "records"));
        let segments = vec![Segment { share: share(group.records, most), action: PlannedAction::Reject.word(), title }];
        Bar { name, anchor: false, total: number(group.records), segments }
    };
    let rows: Vec<Bar> = groups.iter().take(BARS_MAX).map(bar).collect();
    let more = groups.len().saturating_sub(BARS_MAX);
    Some(Chart { label: "Rejected records by reason", rows, more })
}

fn reject_rows(report: &PlanReport) -> Vec<RejectRow> {
    let row = |(pipeline, group): (&str, &RejectGroup)| RejectRow {
        pipeline: pipeline.to_owned(),
        code: group.code.clone(),
        property: group.property.clone().unwrap_or_default(),
        records: number(group.records),
        // Without a base nobody knows which of them are new.
        anew: group.known.map_or_else(|| "?".to_owned(), |known| number(group.records - known)),
        example: group.example.clone(),
    };
    reject_groups(report).into_iter().map(row).collect()
}

#[derive(Serialize)]
struct Definitions {
    base: String,
    commit: String,
    changes: Vec<DefinitionRow>,
    more: Vec<String>,
}

#[derive(Serialize)]
struct DefinitionRow {
    class: &'static str,
    kind: String,
    pipeline: String,
    place: String,
    what: String,
    effect: String,
    touched: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

fn definitions(diff: &DefinitionDiff, report: &PlanReport) -> Definitions {
    let mut rows: Vec<_> = diff.changes().collect();
    // The classes are declared by what they may cost, the worst first.
    rows.sort_by_key(|(_, change)| change.class);
    let row = |(pipeline, change): (Option<&PipelineDiff>, &DefinitionChange)| {
        let file = pipeline.map_or("syncline.yaml", |pipeline| pipeline.file.as_str());
        DefinitionRow {
            class: summary::class(change.class),
            kind: serde_json::to_value(change.class)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned))
                .unwrap_or_default(),
            pipeline: pipeline.map_or("syncline.yaml".to_owned(), |pipeline| pipeline.name.clone()),
            place: change.line.map_or(file.to_owned(), |line| format!("{file}:{line}")),
            what: change.what.clone(),
            effect: change.effect.clone(),
            touched: pipeline
                .and_then(|pipeline| summary::touched(report, &pipeline.name, change))
                .map(|records| count(records, "record", "records")),
            before: change.before.as_ref().map(|text| one_line(text, VALUE_LENGTH_MAX)),
            after: change.after.as_ref().map(|text| one_line(text, VALUE_LENGTH_MAX)),
        }
    };
    Definitions {
        base: diff.base.clone(),
        commit: diff.commit.clone(),
        changes: rows.into_iter().map(row).collect(),
        more: diff.catalog.iter().map(in_words).chain(diff.notes.iter().cloned()).collect(),
    }
}

#[derive(Serialize)]
struct Pipeline {
    name: String,
    scope: String,
    read: String,
    refusal: Option<String>,
    notes: Vec<String>,
    totals: Vec<Total>,
    associations: String,
    groups: Vec<GroupRow>,
    more_groups: usize,
    cost: String,
    answers: Vec<AnswerRow>,
    changes: Vec<Change>,
    omitted: Option<String>,
}

#[derive(Serialize)]
struct AnswerRow {
    question: &'static str,
    answer: &'static str,
    why: String,
}

#[derive(Serialize)]
struct Change {
    action: &'static str,
    id: String,
    title: String,
    reasons: Vec<String>,
    rows: Vec<ChangeRow>,
    associations: Vec<String>,
    addresses: Vec<Address>,
}

/// Where a record is opened in one of the two systems.
#[derive(Serialize)]
struct Address {
    system: &'static str,
    address: String,
}

/// Most changes of properties that are listed for a pipeline.
const GROUPS_MAX: usize = 40;

#[derive(Serialize)]
struct GroupRow {
    records: String,
    what: String,
    clears: bool,
}

#[derive(Serialize)]
struct ChangeRow {
    property: String,
    before: Option<String>,
    after: Option<String>,
}

fn pipeline(forecast: &PipelineForecast) -> Pipeline {
    let tally = &forecast.report.tally;
    let estimate = &forecast.estimate;
    let total = |(action, records): (&PlannedAction, &u64)| Total {
        action: action.word(),
        label: label(*action),
        records: number(*records),
    };
    let answer = |forecast: &Answer| AnswerRow {
        question: match forecast.question {
            Question::Changes => "Would anything change?",
            Question::Archives => "Would records be archived?",
            Question::Drift => "Did someone change HubSpot?",
            Question::Vanished => "Did records vanish without a trace?",
        },
        answer: match forecast.answer {
            Verdict::Yes => "yes",
            Verdict::No => "no",
            Verdict::Unknown => "unknown",
        },
        why: forecast.why.clone(),
    };
    let groups = super::plan::groups_of(forecast);
    let group = |forecast: &super::plan::Group| GroupRow {
        records: number(forecast.records),
        what: forecast.what.clone(),
        clears: forecast.clears,
    };
    Pipeline {
        name: forecast.report.name.to_string(),
        scope: summary::scope(forecast).to_owned(),
        read: count(tally.read, "record read", "records read"),
        refusal: forecast.refusal.clone(),
        notes: forecast.report.notes.clone(),
        totals: forecast.actions.iter().filter(|(_, records)| **records > 0).map(total).collect(),
        associations: super::report::associations(tally, ["to make", "to remove"]),
        groups: groups.iter().take(GROUPS_MAX).map(group).collect(),
        more_groups: groups.len().saturating_sub(GROUPS_MAX),
        cost: format!(
            "{} to HubSpot, {} to Salesforce, {}",
            count(estimate.hubspot_calls, "call", "calls"),
            number(estimate.salesforce_calls),
            about(estimate.seconds_at_rate_limit)
        ),
        answers: forecast.answers.iter().map(answer).collect(),
        changes: forecast.changes.iter().map(|change| self::change(change, forecast.addresses.as_ref())).collect(),
        omitted: (forecast.changes_omitted > 0).then(|| number(forecast.changes_omitted)),
    }
}

fn change(change: &PlannedChange, addresses: Option<&RecordAddresses>) -> Change {
    let value = |text: &Option<String>| text.as_ref().map(|text| one_line(text, VALUE_LENGTH_MAX));
    let row = |(property, sides): (&String, &BeforeAfter)| {
        let (before, after) = match (&sides.before, &sides.after) {
            (Some(before), Some(after)) => {
                // Shortened around what differs, which may stand at the end of a long text.
                let (before, after) = contrast(before, after, VALUE_LENGTH_MAX);
                (Some(before), Some(after))
            }
            (before, after) => (value(before), value(after)),
        };
        ChangeRow { property: property.clone(), before, after }
    };
    let association = |planned: &PlannedAssociation| {
        let what = match planned.action {
            AssociationAction::Associate => "to associate with",
            AssociationAction::Disassociate => "to disassociate from",
            AssociationAction::Pending => "waits for",
            AssociationAction::Lost => "HubSpot no longer holds the association with",
        };
        format!(
            "{}: {what} {}",
            planned.association,
            planned.salesforce_id.map(|id| id.to_string()).unwrap_or_default()
        )
    };
    let address = |(system, address): (&'static str, String)| Address { system, address };
    Change {
        action: change.action.word(),
        id: change.salesforce_id.to_string(),
        title: one_line(&change.title, summary::VALUE_LENGTH_MAX),
        reasons: change.reasons.clone(),
        rows: change.properties.iter().map(row).collect(),
        associations: change.associations.iter().map(association).collect(),
        addresses: addresses.iter().flat_map(|association| association.named(change)).map(address).collect(),
    }
}

/// A part of the most there is, in percent to a tenth.
fn share(part: u64, most: u64) -> f64 {
    (part as f64 / most.max(1) as f64 * 1_000.0).round() / 10.0
}
