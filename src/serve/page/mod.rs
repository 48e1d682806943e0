//! What is told as a page: each view is a template of its own, inside the same frame. Every value is escaped by the template engine.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;

use super::asked::Asked;
use super::words;
use crate::diagnostic::codes;
use crate::model::origin::RunOrigin;
use crate::model::report::Tally;
use crate::model::text;
use crate::ops::calls::ConnectionCalls;
use crate::ops::deploy::DeploymentView;
use crate::ops::failure_groups::{FailureGroup, FailureList};
use crate::ops::failure_view::FailureView;
use crate::ops::fleet_view::FleetStatus;
use crate::ops::history::{RunDetail, RunView};
use crate::ops::status::{Standing, StatusReport};
use crate::ops::why::WhyReport;
use crate::project::error::OpsError;

/// The style.
pub const STYLE: &str = include_str!("page.css");
/// The script that keeps a page up to date.
pub const SCRIPT: &str = include_str!("page.js");

/// The icon of the page's tab.
pub const ICON: &str = include_str!("icon.svg");

const TEMPLATES: [(&str, &str); 9] = [
    ("frame", include_str!("frame.html")),
    ("overview", include_str!("overview.html")),
    ("fleet", include_str!("fleet.html")),
    ("failures", include_str!("failures.html")),
    ("runs", include_str!("runs.html")),
    ("run", include_str!("run.html")),
    ("why", include_str!("why.html")),
    ("message", include_str!("message.html")),
    ("sign_in", include_str!("sign_in.html")),
];

/// Reasons of failures on the first page.
const GROUPS_FIRST: usize = 5;

/// Height of a chart of calls, in its own units.
const CHART_HEIGHT: u64 = 40;

/// What surrounds every view.
pub struct Frame {
    /// The present.
    pub now: Timestamp,
    /// Of the program.
    pub version: &'static str,
    /// Name of the project's folder.
    pub project: Option<String>,
    /// Why what the definitions' files hold now cannot be used.
    pub problem: Option<String>,
    /// Values of records are shown.
    pub show_values: bool,
    /// What addresses of the same portal begin with.
    pub base: String,
    /// The portal that is looked at, where the project has several.
    pub portal: Option<String>,
    /// The project has several.
    pub is_fleet: bool,
    /// Whoever looks has shown the token, and may change something.
    pub signed_in: bool,
    /// There is a token that could be shown.
    pub may_sign_in: bool,
}

/// A view.
pub struct Part {
    template: &'static str,
    title: String,
    values: Value,
}

/// A whole page.
pub fn shown(frame: &Frame, part: &Part) -> String {
    // The templates are a part of the program; tests render each.
    rendered(frame, part).unwrap_or_else(|error| {
        let error = text::line(&format!("{error:#}")).into_owned();
        format!("<!doctype html><title>Syncline</title><pre>{}</pre>", minijinja::HtmlEscape(&error))
    })
}

fn rendered(frame: &Frame, part: &Part) -> Result<String, minijinja::Error> {
    let outer = context! {
        now => frame.now.as_millisecond(),
        made => frame.now.to_string(),
        version => frame.version,
        project => frame.project.as_deref(),
        problem => frame.problem.as_deref(),
        show_values => frame.show_values,
        base => Value::from_safe_string(frame.base.clone()),
        portal_shown => frame.portal.as_deref(),
        is_fleet => frame.is_fleet,
        signed_in => frame.signed_in,
        may_sign_in => frame.may_sign_in,
        view => part.template,
        title => part.title.as_str(),
    };
    let inner = context! { ..part.values.clone(), ..outer.clone() };
    let body = ENVIRONMENT.get_template(part.template)?.render(inner)?;
    ENVIRONMENT.get_template("frame")?.render(context! { body => Value::from_safe_string(body), ..outer })
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(words::written);
    environment.add_filter("number", words::number);
    environment.add_filter("share", words::share);
    environment.add_filter("age", |seconds: f64| crate::ops::status::duration(seconds));
    environment.add_filter("ago", |moment: &str, now: i64| words::ago(moment, now));
    environment.add_filter("moment", |moment: &str| words::moment(moment));
    environment.add_filter("short", |run: &str| words::short(run));
    environment.add_filter("spaced", |name: &str| words::spaced(name));
    environment.add_filter("query", |text: &str| words::query(text));
    environment.add_filter("said", |sentence: &str| words::said(sentence));
    for (name, source) in TEMPLATES {
        // A template that is no good is missing, which every test that shows it finds.
        let _ = environment.add_template(name, source);
    }
    environment
});

/// How everything stands.
pub fn overview(status: &StatusReport, groups: &[FailureGroup], runs: &[RunView]) -> Part {
    let waiting = status.pipelines.iter().filter(|it| it.standing == Standing::Attention).count();
    let person = waiting + usize::from(status.undelivered_alerts.is_some());
    let headline = match (status.pipelines.len(), person) {
        (0, 0) => "This project has no pipelines yet".to_owned(),
        (1, 0) => "The pipeline is well".to_owned(),
        (all, 0) => format!("All {all} pipelines are well"),
        (_, 1) => "One thing needs a person".to_owned(),
        (_, more) => format!("{more} things need a person"),
    };
    let words: Vec<&str> = status.pipelines.iter().map(|it| it.standing.word()).collect();
    let connections: Vec<Value> = status.connections.iter().map(connection).collect();
    let values = context! {
        headline => headline.as_str(),
        person => person,
        status => Value::from(Serde(status)),
        words => words,
        connections => connections,
        groups => shown_groups(&groups[..groups.len().min(GROUPS_FIRST)]),
        more_groups => groups.len().saturating_sub(GROUPS_FIRST),
        runs => Value::from(Serde(&runs)),
        effects => runs.iter().map(effects).collect::<Vec<String>>(),
    };
    Part { template: "overview", title: headline, values }
}

/// How the portals of a project stand.
pub fn fleet(fleet: &FleetStatus, status: &StatusReport) -> Part {
    let FleetStatus { fresh, late, broken, .. } = fleet;
    let headline = match (late, broken) {
        (0, 0) => format!("All {} portals are fresh", fleet.portals.len()),
        _ => format!("{fresh} portals are fresh, {late} late, {broken} broken"),
    };
    let values = context! {
        headline => headline.as_str(),
        person => fleet.needs_a_person(),
        fleet => Value::from(Serde(fleet)),
        deployment => status.deployment.as_ref().map(DeploymentView::words),
    };
    Part { template: "fleet", title: headline, values }
}

/// What a run changed, in a line.
fn effects(run: &RunView) -> String {
    let tally = &run.tally;
    let all = [
        (tally.created, "created"),
        (tally.updated, "updated"),
        (tally.archived, "archived"),
        (tally.restored, "restored"),
        (tally.adopted, "adopted"),
        (tally.failed, "failed"),
    ];
    let some = all.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{} {what}", words::number(*count as f64))).collect::<Vec<_>>().join(", ")
}

/// The calls of a connection, with the bars of its chart.
fn connection(calls: &ConnectionCalls) -> Value {
    let most = calls.calls_by_five_minutes.iter().copied().max().unwrap_or_default().max(1);
    let bars: Vec<Value> = calls
        .calls_by_five_minutes
        .iter()
        .map(|count| {
            // A few calls are seen beside many.
            let height = if *count == 0 { 0 } else { (count * CHART_HEIGHT / most).max(1) };
            context! { calls => count, height => height, y => CHART_HEIGHT - height }
        })
        .collect();
    let counts: Vec<String> = calls.calls_by_five_minutes.iter().map(u64::to_string).collect();
    context! { calls => Value::from(Serde(calls)), name => calls.service.name(), bars => bars, counts => counts.join(", ") }
}

/// Groups of failures with their examples.
fn shown_groups(groups: &[FailureGroup]) -> Vec<Value> {
    let shown = |group: &FailureGroup| {
        let value = group.sample.iter().find_map(|failure| failure.value.as_deref());
        context! {
            group => Value::from(Serde(group)),
            category => group.category.label(),
            sample => Value::from(Serde(&group.sample)),
            value => value,
            // What the message quotes need not be said twice.
            quoted => value.is_some_and(|value| group.message.contains(value)),
        }
    };
    groups.iter().map(shown).collect()
}

/// Failures by reason; of one pipeline and code, one by one as well.
pub fn failures(list: &FailureList, asked: &Asked, next: Option<String>) -> Part {
    let each = asked.word("code").is_some() || asked.word("id").is_some() || asked.word("after").is_some();
    let total: u64 = list.groups.iter().map(|group| group.records).sum();
    let title = match total {
        0 => "No failures".to_owned(),
        1 => "1 failure".to_owned(),
        total => format!("{} failures", words::number(total as f64)),
    };
    let failures: &[FailureView] = if each { &list.failures } else { &[] };
    let values = context! {
        headline => title.as_str(),
        groups => shown_groups(&list.groups),
        failures => Value::from(Serde(&failures)),
        next => next.filter(|_| each),
        pipeline => asked.word("pipeline"),
        code => asked.word("code"),
        all => asked.word("all").is_some(),
        done => asked.word("done").filter(|done| ["retried", "dismissed"].contains(done)),
        marked => asked.word("marked").and_then(|marked| marked.parse::<u64>().ok()).map(|marked| marked as f64),
    };
    Part { template: "failures", title, values }
}

/// Where a page leads after a change.
pub fn after_change(asked: &Asked, words: &HashMap<&str, &str>, what: &str, marked: u64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("done", what).append_pair("marked", &marked.to_string());
    query.extend_pairs(words.iter().filter(|(name, _)| **name == "pipeline"));
    format!("{}/failures?{}", asked.base(), query.finish())
}

/// The history of runs.
pub fn runs(runs: &[RunView], asked: &Asked) -> Part {
    let values = context! { runs => Value::from(Serde(&runs)), pipeline => asked.word("pipeline") };
    Part { template: "runs", title: "Runs".to_owned(), values }
}

/// One run.
pub fn run(detail: &RunDetail, next: Option<String>) -> Part {
    let title = format!("Run {} of {}", words::short(&detail.run.run), detail.run.pipeline);
    let run = &detail.run;
    let planned = run.origin.as_ref().and_then(|origin| origin.planned.as_ref());
    let foretold = planned.map(numbers).unwrap_or_default();
    let numbers: Vec<Value> = numbers(&run.tally)
        .into_iter()
        .enumerate()
        .map(|(place, (name, count))| (name, count, foretold.get(place).map_or(0, |(_, count)| *count)))
        .filter(|(name, count, planned)| count + planned > 0 || *name == "read")
        .map(|(name, count, planned)| context! { name, count, planned })
        .collect();
    let values = context! {
        run => Value::from(Serde(run)),
        origin => run.origin.as_ref().map(RunOrigin::words),
        planned => planned.is_some(),
        numbers,
        failures => Value::from(Serde(&detail.failures)),
        next,
    };
    Part { template: "run", title, values }
}

/// What a run did, by name.
fn numbers(tally: &Tally) -> Vec<(&'static str, u64)> {
    vec![
        ("read", tally.read),
        ("created", tally.created),
        ("updated", tally.updated),
        ("unchanged", tally.unchanged),
        ("archived", tally.archived),
        ("restored", tally.restored),
        ("adopted", tally.adopted),
        ("drifted", tally.drifted),
        ("filtered", tally.filtered),
        ("failed", tally.failed),
        ("waiting failures", tally.waiting),
        ("associated", tally.associated),
        ("disassociated", tally.disassociated),
        ("waiting associations", tally.pending_associations),
        ("failed associations", tally.failed_associations),
        ("calls to Salesforce", tally.salesforce_calls),
        ("calls to HubSpot", tally.hubspot_calls),
    ]
}

/// Why a record is as it is.
pub fn why(id: Option<&str>, told: Option<Result<&WhyReport, &OpsError>>) -> Part {
    let (report, error) = match told {
        None => (None, None),
        Some(Ok(report)) => (Some(report), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let pipelines = report.map(|report| Value::from(Serde(&report.pipelines)));
    let values = context! {
        id,
        salesforce_id => report.map(|report| report.salesforce_id.as_str()),
        pipelines,
        error => error.map(said),
    };
    Part { template: "why", title: id.map_or_else(|| "Why".to_owned(), |id| format!("Why is {id} as it is?")), values }
}

/// An error in the place of a view.
pub fn message(frame: &Frame, asked: &Asked, error: &OpsError) -> String {
    let sign_in = error.code() == "SL6034" && frame.may_sign_in;
    let title = if sign_in { "Sign in" } else { "This did not work" };
    let values = context! { error => said(error), sign_in, path => asked.path.as_str() };
    shown(frame, &Part { template: "message", title: title.to_owned(), values })
}

/// The form for the token.
pub fn sign_in() -> Part {
    Part { template: "sign_in", title: "Sign in".to_owned(), values: context! {} }
}

fn said(error: &OpsError) -> Value {
    #[derive(Serialize)]
    struct Said<'a> {
        code: &'a str,
        message: String,
        help: Option<String>,
        title: Option<&'a str>,
    }
    let (code, message) = error.reason();
    let page = codes::PAGES.iter().find(|(known, _)| *known == code);
    let title = page.map(|(_, page)| codes::title(page));
    Value::from(Serde(&Said { code, message, help: error.help(), title }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for (name, source) in TEMPLATES {
            let mut environment = Environment::new();
            environment.add_template(name, source).unwrap();
            assert!(ENVIRONMENT.get_template(name).is_ok(), "{name}");
            assert!(!source.contains("<style") && !source.contains("style=") && !source.contains("<script>"), "{name}");
        }
    }
}
