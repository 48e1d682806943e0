//! Which address shows what. Everything that is told comes from `ops`, as the command line has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{get, post};

use super::access::check_site;
use super::asked::{self, ADDRESS_BYTES_MAX, Asked, BODY_BYTES_MAX};
use super::page::{self, Part};
use super::site::Site;
use super::{answer, changes, events, headers, metrics};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::ops::failure_groups::{self, FailureList};
use crate::ops::failure_view::FailureView;
use crate::ops::history::{self, Pages, RunDetail, RunHistory};
use crate::ops::status::StatusReport;
use crate::ops::why::WhyReport;
use crate::ops::{fleet, hide, why};
use crate::ports::state::{FailureFilter, FailureMark};
use crate::project::error::OpsError;
use crate::project::wiring::Project;

type Shared = State<Arc<Site>>;
type Answered = Response<Body>;

/// Failures of a page, runs of a page, and the most of either that may be asked for.
const FAILURES_USUAL: usize = 100;
const FAILURES_MAX: usize = 1_000;
const RUNS_USUAL: usize = 50;
const RUNS_MAX: usize = 500;

/// Runs and reasons on the first page.
const RUNS_FIRST: usize = 10;

/// Paths that anybody may ask for: they tell nothing.
const OPEN: [&str; 6] = ["/healthz", "/readyz", "/page.css", "/page.js", "/icon.svg", "/sign-in"];

/// All routes, behind the checks that every request must pass.
pub fn router(site: Arc<Site>) -> Router {
    let routes = Router::new()
        .route("/", get(overview))
        .route("/status", get(overview))
        .route("/failures", get(failures))
        .route("/failures/retry", post(retry))
        .route("/failures/dismiss", post(dismiss))
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/why", get(why_asked))
        .route("/why/{id}", get(why_of))
        .route("/metrics", get(scrape))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/events", get(listen))
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/page.css", get(|| async { answer::text_of("text/css; charset=utf-8", page::STYLE) }))
        .route("/page.js", get(|| async { answer::text_of("text/javascript; charset=utf-8", page::SCRIPT) }))
        .route("/icon.svg", get(|| async { answer::text_of("image/svg+xml", page::ICON) }))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .with_state(Arc::clone(&site));
    // The checks run before a route is chosen, as they take `.json` off the path.
    Router::new().fallback_service(routes).layer(from_fn_with_state(site, front))
}

/// Every request passes here first, and every answer last.
async fn front(State(site): Shared, mut request: Request, next: Next) -> Answered {
    let signed_in = site.access.is_signed_in(request.headers());
    let asked = Asked::new(request.uri(), request.headers(), signed_in);
    let checked = checked(&site, &request, &asked);
    let mut response = match checked {
        Ok(()) => {
            asked::enter(&mut request, asked);
            next.run(request).await
        }
        Err(error) => answer::refused(&asked, &site.plain_frame(&asked).await, "status", &error),
    };
    headers::secure(response.headers_mut());
    let [answered, refused] = &site.requests;
    answered.fetch_add(1, Relaxed);
    refused.fetch_add(u64::from(response.status().is_client_error()), Relaxed);
    response
}

fn checked(site: &Site, request: &Request, asked: &Asked) -> Result<(), OpsError> {
    let (uri, headers) = (request.uri(), request.headers());
    site.access.check_host(headers, uri).map_err(|refusal| refusal.error())?;
    let length = uri.path_and_query().map_or(0, |text| text.as_str().len());
    if length > ADDRESS_BYTES_MAX {
        let message = format!("the address has {length} bytes, and at most {ADDRESS_BYTES_MAX} are read");
        return Err(OpsError::refused("SL6036", message, "ask for less"));
    }
    let path = asked.path.as_str();
    if request.method() == Method::POST {
        let allowed = if path == "/sign-in" { check_site(headers) } else { site.access.check_change(headers) };
        return allowed.map_err(|refusal| refusal.error());
    }
    // It asks Salesforce, at the project's cost: a page of another site may not make it do so.
    if path.starts_with("/why") {
        check_site(headers).map_err(|refusal| refusal.error())?;
    }
    if OPEN.contains(&path) {
        return Ok(());
    }
    site.access.check_reader(headers).map_err(|refusal| refusal.error())
}

async fn overview(State(site): Shared, asked: Asked) -> Answered {
    let told = async {
        let project = site.project(&asked).await?;
        let status = fleet::status(&project, site.show_values).await?;
        Ok::<_, OpsError>((project, status))
    };
    let (told, frame) = (told.await, site.frame(&asked).await);
    match told {
        Err(error) => answer::refused(&asked, &frame, "status", &error),
        Ok((_, status)) if asked.json => answer::json(&status),
        Ok((project, status)) => match first_page(&site, &project, &status).await {
            Ok(part) => answer::html(page::shown(&frame, &part)),
            Err(error) => answer::refused(&asked, &frame, "status", &error),
        },
    }
}

async fn first_page(site: &Site, project: &Project, status: &StatusReport) -> Result<Part, OpsError> {
    if let Some(fleet) = &status.fleet {
        return Ok(page::fleet(fleet, status));
    }
    let mut groups = failure_groups::groups(project, &[FailureFilter::default()]).await?;
    if !site.show_values {
        hide::groups(&mut groups);
    }
    let mut runs = history::runs(project, None, RUNS_FIRST).await?;
    if !site.show_values {
        hide::runs(&mut runs);
    }
    Ok(page::overview(status, &groups, &runs))
}

async fn failures(State(site): Shared, asked: Asked) -> Answered {
    let frame = site.frame(&asked).await;
    match list(&site, &asked).await {
        Err(error) => answer::refused(&asked, &frame, "failures", &error),
        Ok((list, next)) if asked.json => answer::with_next(answer::json(&list), next.as_deref()),
        Ok((list, next)) => answer::html(page::shown(&frame, &page::failures(&list, &asked, next))),
    }
}

/// One page of failures with all groups, and the address of the next page.
async fn list(site: &Site, asked: &Asked) -> Result<(FailureList, Option<String>), OpsError> {
    let (project, filter) = (site.project(asked).await?, changes::filter(asked)?);
    let mut groups = failure_groups::groups(&project, std::slice::from_ref(&filter)).await?;
    let (mut failures, next) = page_of(&project, filter, asked).await?;
    if !site.show_values {
        hide::failures(&mut failures);
        hide::groups(&mut groups);
    }
    Ok((FailureList { failures, groups }, next))
}

/// One page of failures that match, after the one that the address names.
async fn page_of(
    project: &Project,
    mut filter: FailureFilter,
    asked: &Asked,
) -> Result<(Vec<FailureView>, Option<String>), OpsError> {
    let limit = asked.number("limit", FAILURES_USUAL, FAILURES_MAX)?;
    filter.after = asked.word("after").map(after).transpose()?;
    let page = Pages::new(project, vec![filter])?.of(limit).next().await?.unwrap_or_default();
    let last = page.last().filter(|_| page.len() == limit);
    let next =
        last.map(|last| asked.with("after", &format!("{}/{}/{}", last.kind.name(), last.salesforce_id, last.pipeline)));
    Ok((page, next))
}

/// The place in the list of failures that an address names.
fn after(text: &str) -> Result<(PipelineName, SalesforceId, crate::model::failure::FailureKind), OpsError> {
    use crate::model::failure::FailureKind;
    let mut parts = text.splitn(3, '/');
    let kind = match parts.next() {
        Some("record") => Some(FailureKind::Record),
        Some("associations") => Some(FailureKind::Associations),
        _ => None,
    };
    let id = parts.next().and_then(|id| id.parse().ok());
    let place = kind.zip(id).zip(parts.next());
    place.map(|((kind, id), pipeline)| (PipelineName::new(pipeline), id, kind)).ok_or_else(|| {
        OpsError::refused("SL6036", "`after` in the address is no place in this list", "begin at the first page")
    })
}

async fn runs(State(site): Shared, asked: Asked) -> Answered {
    let frame = site.frame(&asked).await;
    let found = async {
        let project = site.project(&asked).await?;
        let limit = asked.number("limit", RUNS_USUAL, RUNS_MAX)?;
        let mut runs = history::runs(&project, asked.word("pipeline"), limit).await?;
        if !site.show_values {
            hide::runs(&mut runs);
        }
        Ok::<_, OpsError>(runs)
    };
    match found.await {
        Err(error) => answer::refused(&asked, &frame, "runs", &error),
        Ok(runs) if asked.json => answer::json(&RunHistory { runs }),
        Ok(runs) => answer::html(page::shown(&frame, &page::runs(&runs, &asked))),
    }
}

async fn run(State(site): Shared, Path(id): Path<String>, asked: Asked) -> Answered {
    let frame = site.frame(&asked).await;
    let found = async {
        let project = site.project(&asked).await?;
        let mut run = history::run(&project, &id).await?;
        let (mut failures, next) = page_of(&project, history::of_run(&run), &asked).await?;
        if !site.show_values {
            hide::failures(&mut failures);
            hide::runs(std::slice::from_mut(&mut run));
        }
        Ok::<_, OpsError>((RunDetail { run, failures }, next))
    };
    match found.await {
        Err(error) => answer::refused(&asked, &frame, "run", &error),
        Ok((detail, next)) if asked.json => answer::with_next(answer::json(&detail), next.as_deref()),
        Ok((detail, next)) => answer::html(page::shown(&frame, &page::run(&detail, next))),
    }
}

async fn why_asked(State(site): Shared, asked: Asked) -> Answered {
    let id = asked.word("id").map(str::to_owned);
    tell_why(&site, &asked, id.as_deref()).await
}

async fn why_of(State(site): Shared, Path(id): Path<String>, asked: Asked) -> Answered {
    tell_why(&site, &asked, Some(&id)).await
}

async fn tell_why(site: &Site, asked: &Asked, id: Option<&str>) -> Answered {
    let frame = site.frame(asked).await;
    let Some(id) = id.or(asked.json.then_some("")) else {
        return answer::html(page::shown(&frame, &page::why(None, None)));
    };
    let told = async {
        let project = site.project(asked).await?;
        why::why(&project, id, false).await.map(|report| hidden(site, report))
    };
    match told.await {
        Err(error) if asked.json => answer::refused(asked, &frame, "why", &error),
        Err(error) => {
            let mut response = answer::refused(asked, &frame, "why", &error);
            *response.body_mut() = Body::from(page::shown(&frame, &page::why(Some(id), Some(Err(&error)))));
            response
        }
        Ok(report) if asked.json => answer::json(&report),
        Ok(report) => answer::html(page::shown(&frame, &page::why(Some(id), Some(Ok(&report))))),
    }
}

fn hidden(site: &Site, mut report: WhyReport) -> WhyReport {
    if !site.show_values {
        hide::accounts(&mut report.pipelines);
    }
    report
}

async fn retry(state: Shared, asked: Asked, body: Request) -> Answered {
    change(state, asked, body, FailureMark::Retry).await
}

async fn dismiss(state: Shared, asked: Asked, body: Request) -> Answered {
    change(state, asked, body, FailureMark::Dismiss).await
}

async fn change(State(site): Shared, asked: Asked, request: Request, mark: FailureMark) -> Answered {
    let done = async {
        let project = site.project(&asked).await?;
        let asked = asked.clone().with_form(&form(request).await?);
        Ok::<_, OpsError>((changes::mark(&project, &asked, mark).await?, asked))
    };
    match done.await {
        Err(error) => answer::refused(&asked, &site.frame(&asked).await, "failures-marked", &error),
        Ok((marked, _)) if asked.json => answer::json(&marked),
        Ok((marked, asked)) => {
            let what = if mark == FailureMark::Retry { "retried" } else { "dismissed" };
            let words: HashMap<&str, &str> =
                ["pipeline", "code"].into_iter().filter_map(|name| Some((name, asked.word(name)?))).collect();
            answer::redirect(&page::after_change(&asked, &words, what, marked.marked), None)
        }
    }
}

/// The text of a form.
async fn form(request: Request) -> Result<String, OpsError> {
    let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let text = body.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    text.ok_or_else(|| {
        let message = format!("the form is no text of at most {BODY_BYTES_MAX} bytes");
        OpsError::refused("SL6036", message, "nothing was changed; send fewer words")
    })
}

async fn scrape(State(site): Shared, headers: HeaderMap, asked: Asked) -> Answered {
    let told = async {
        let project = site.project(&asked).await?;
        let status = fleet::status(&project, false).await?;
        let groups = failure_groups::groups(&project, &[FailureFilter::default()]).await?;
        Ok::<_, OpsError>((status, groups))
    };
    match told.await {
        Err(error) => answer::refused(&asked, &site.plain_frame(&asked).await, "status", &error),
        Ok((status, groups)) => {
            let counts = site.requests.each_ref().map(|count| count.load(Relaxed));
            let accepted = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
            // A monitor of before OpenMetrics reads the same text.
            let kind = if accepted.contains("application/openmetrics-text") {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            } else {
                "text/plain; version=0.0.4; charset=utf-8"
            };
            answer::text_of(kind, metrics::text(&status, &groups, counts, site.portal_labels))
        }
    }
}

async fn healthy() -> Answered {
    answer::text_of("text/plain; charset=utf-8", "ok\n")
}

/// Ready to answer: the state can be read, and the definitions can be used.
async fn ready(State(site): Shared) -> Answered {
    let (project, problem) = site.current.get().await;
    let problem = problem.is_some() || history::runs(&project, None, 1).await.is_err();
    let mut response = answer::text_of("text/plain; charset=utf-8", if problem { "not ready\n" } else { "ready\n" });
    if problem {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

async fn listen(State(site): Shared, asked: Asked) -> Answered {
    match Arc::clone(&site.listeners).try_acquire_owned() {
        Ok(place) => events::stream_of(site, asked, place),
        Err(_) => {
            let mut response =
                answer::text_of("text/plain; charset=utf-8", "too many pages are open; load this one again by hand\n");
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

async fn sign_in_page(State(site): Shared, asked: Asked) -> Answered {
    answer::html(page::shown(&site.frame(&asked).await, &page::sign_in()))
}

async fn sign_in(State(site): Shared, asked: Asked, request: Request) -> Answered {
    let done = async {
        let asked = asked.clone().with_form(&form(request).await?);
        let signed_in = site.access.sign_in(asked.word("token").unwrap_or_default());
        if signed_in.is_err() {
            // Guessing is slow.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        signed_in.map_err(|refusal| refusal.error())
    };
    match done.await {
        Ok(cookie) => answer::redirect("/", Some(&cookie)),
        Err(error) => answer::refused(&asked, &site.plain_frame(&asked).await, "status", &error),
    }
}

async fn sign_out(State(site): Shared) -> Answered {
    answer::redirect("/", Some(&site.access.sign_out()))
}

async fn nothing(State(site): Shared, asked: Asked) -> Answered {
    let message = format!("there is nothing at `{}`", asked.path.chars().take(100).collect::<String>());
    let help = "the pages are `/`, `/failures`, `/runs` and `/why`, of one portal of many behind `/portals/NAME`; a change is sent with POST";
    answer::refused(&asked, &site.frame(&asked).await, "status", &OpsError::refused("SL6037", message, help))
}
