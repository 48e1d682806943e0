//! What the trace of a run is made of: the run, its stages batch by batch, and each HTTP request. Marked whether somebody listens
//! or not; without a listener nothing of it is built. Names of definitions, words of the services' addresses and counts stand in it:
//! no value or id of a record, no query, no token.

use std::fmt::{Debug, Display, Formatter, Result, Write};
use std::task::Poll;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tracing::Span;
use tracing::field::Empty;
use url::Url;

/// The target of all spans. It does not begin with the program's name, so that no log of its events has them.
pub const TARGET: &str = "run_trace";

/// What the span of a run is called.
pub const RUN: &str = "syncline.run";

/// A run; the root of its trace.
pub fn run(trace_id: u128, run: &dyn Display, pipeline: &dyn Display, kind: &dyn Debug) -> Span {
    tracing::info_span!(
        target: TARGET,
        RUN,
        otel.trace_id = trace_id,
        otel.status_code = Empty,
        syncline.run.id = %run,
        syncline.run.kind = word(kind),
        syncline.run.status = Empty,
        syncline.pipeline.name = %pipeline,
        syncline.records = Empty,
        "error.type" = Empty,
    )
}

/// How a run ended: the records that it read, the code of what stopped it.
pub fn run_ended(span: &Span, status: &dyn Debug, failed: bool, records: u64, code: Option<&str>) {
    if span.is_disabled() {
        return;
    }
    span.record("syncline.run.status", word(status));
    span.record("syncline.records", records);
    span.record("error.type", code);
    if failed {
        span.record("otel.status_code", "error");
    }
}

/// What is done for a run after it has ended, in its trace.
pub fn after_run(trace_id: u128, what: &'static str) -> Span {
    tracing::info_span!(target: TARGET, "after_run", otel.trace_id = trace_id, otel.name = what)
}

/// A stage's work on some records; none where they are not counted yet.
pub fn stage(name: &dyn Display, records: Option<usize>) -> Span {
    tracing::info_span!(target: TARGET, "stage", otel.name = %name, syncline.records = records)
}

/// A stage that reads: each item is a span, from the first wait for it until it is there.
pub fn reading<'a, T: 'a>(
    mut items: impl Stream<Item = T> + Send + Unpin + 'a,
    name: impl Display + Send + 'a,
    records: fn(&T) -> Option<usize>,
) -> BoxStream<'a, T> {
    let mut open: Option<Span> = None;
    let next = stream::poll_fn(move |cx| {
        let span = open.get_or_insert_with(|| stage(&name, None));
        let polled = span.in_scope(|| items.poll_next_unpin(cx));
        if let Poll::Ready(item) = &polled {
            span.record("syncline.records", item.as_ref().and_then(records));
            open = None;
        }
        polled
    });
    next.boxed()
}

/// One attempt of an HTTP request, until the head of its answer; `resends` were made before it.
pub fn request(method: &str, url: &Url, resends: u32) -> Span {
    tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = %format_args!("{method} {}", Template(url)),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method,
        http.request.resend_count = (resends > 0).then_some(resends),
        http.response.status_code = Empty,
        server.address = url.host_str(),
        server.port = url.port_or_known_default(),
        url.scheme = url.scheme(),
        url.template = %Template(url),
        "error.type" = Empty,
    )
}

/// A request got an answer.
pub fn answered(span: &Span, status: u16) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status);
    if status >= 400 {
        span.record("error.type", status.to_string());
        span.record("otel.status_code", "error");
    }
}

/// A request got none.
pub fn unanswered(span: &Span, why: &'static str) {
    span.record("error.type", why);
    span.record("otel.status_code", "error");
}

/// A variant's name as one word.
fn word(variant: &dyn Debug) -> String {
    format!("{variant:?}").to_lowercase()
}

/// The path of an address in which all but the services' own words, and the versions of their interfaces, is `{}`: objects, and whatever
/// else an address may name.
struct Template<'a>(&'a Url);

/// The words that stand in the paths of both services.
const WORDS: [&str; 36] = [
    "account-info",
    "archive",
    "associate",
    "associations",
    "batch",
    "composite",
    "create",
    "crm",
    "crm-object-schemas",
    "custom-object-types",
    "data",
    "default",
    "deleted",
    "describe",
    "details",
    "jobs",
    "labels",
    "limits",
    "oauth",
    "oauth2",
    "objects",
    "owners",
    "properties",
    "property-validations",
    "query",
    "queryAll",
    "read",
    "results",
    "revoke",
    "schemas",
    "search",
    "services",
    "sobjects",
    "token",
    "update",
    "upsert",
];

impl Display for Template<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for part in self.0.path().split('/').skip(1) {
            f.write_char('/')?;
            f.write_str(if part.is_empty() || WORDS.contains(&part) || is_version(part) { part } else { "{}" })?;
        }
        Ok(())
    }
}

/// `v67.0`, as Salesforce counts, or `2026-09`, as HubSpot does.
fn is_version(part: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    match (part.strip_prefix('v').and_then(|number| number.split_once('.')), part.split_once('-')) {
        (Some((major, minor)), _) => digits(major) && digits(minor),
        (None, Some((year, month))) => year.len() == 4 && month.len() == 2 && digits(year) && digits(month),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, template: &str) {
        let url: Url = format!("https://example.test{path}").parse().unwrap();
        assert_eq!(Template(&url).to_string(), template);
    }

    #[test]
    fn a_path_keeps_no_more_than_the_words_of_a_service() {
        check("/crm/objects/2026-09/2-4123/batch/upsert?x=y", "/crm/objects/2026-09/{}/batch/upsert");
        check("/crm/objects/2026-09/contacts/a@b.test", "/crm/objects/2026-09/{}/{}");
        check(
            "/crm/associations/2026-09/2-1/0-1/batch/labels/archive",
            "/crm/associations/2026-09/{}/{}/batch/labels/archive",
        );
        check("/services/data/v67.0/query?q=SELECT+Id+FROM+Account", "/services/data/v67.0/query");
        check("/services/data/v67.0/query/01g000000000001-2000", "/services/data/v67.0/query/{}");
        check(
            "/services/data/v67.0/jobs/query/750000000000001AAA/results?locator=x",
            "/services/data/v67.0/jobs/query/{}/results",
        );
        check("/services/data/v67.0/sobjects/Account/deleted/?start=x", "/services/data/v67.0/sobjects/{}/deleted/");
        check("/services/T000/B000/a-secret", "/services/{}/{}/{}");
        check("/v1/v1.x/2026-091/31234567890/12-34", "/{}/{}/{}/{}/{}");
        check("/", "/");
    }
}
