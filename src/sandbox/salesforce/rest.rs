//! Routes: sessions, limits, and which part answers which path.

use serde_json::json;

use super::answers::{self, Answer, Refusal};
use super::org::{BIN_MILLIS, ORG_ID, Org, USER_ID};
use super::{bulk, changes, collections, composite, describe, oauth, query, records};
use crate::sandbox::http::{Reply, Request};

/// Longest request line, and request line with headers, in bytes.
const URI_MAX: usize = 16_384;

/// API versions that are served.
const VERSIONS: std::ops::RangeInclusive<u32> = 60..=68;

/// Answers a request.
pub fn answer(org: &mut Org, request: &Request, now: i64) -> Reply {
    // Before every answer, as a test may have moved the clock by weeks.
    empty_bins(org, now);
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let reply = match path.as_slice() {
        // Logins count against no limit, and their answers lack the header about it.
        ["services", "oauth2", "token"] => return oauth::token(org, request, now),
        ["services", "oauth2", "revoke"] => return oauth::revoke(org, request),
        ["services", "oauth2", "authorize"] => return oauth::authorize(org, request, now),
        ["services", "data"] => {
            let list: Vec<_> = VERSIONS
                .map(|number| json!({"label": release(number), "url": format!("/services/data/v{number}.0"), "version": format!("{number}.0")}))
                .collect();
            return answers::json(200, &serde_json::Value::Array(list));
        }
        ["id", _, _] | ["services", "oauth2", "userinfo"] => session(org, request, now).map(|()| {
            answers::json(
                200,
                &json!({"organization_id": ORG_ID, "user_id": USER_ID, "preferred_username": org.options.username}),
            )
        }),
        _ => counted(org, request, now),
    };
    let reply = reply.unwrap_or_else(|refusal| refusal.reply());
    let mut usage = format!("api-usage={}/{}", org.calls.1, org.options.daily_limit);
    if org.switches.per_app_usage {
        usage.push_str(&format!("; per-app-api-usage={}/{}(appName=Syncline)", org.calls.1, org.options.daily_limit));
    }
    reply.with("Sforce-Limit-Info", usage)
}

/// The name of a version's release: 67 is Summer '26, 68 Winter '27.
fn release(version: u32) -> String {
    let (season, year) = match version % 3 {
        0 => ("Spring", 4),
        1 => ("Summer", 4),
        _ => ("Winter", 5),
    };
    format!("{season} '{}", year + version / 3)
}

/// A call of the API: sizes, session, the day's calls, then its resource.
fn counted(org: &mut Org, request: &Request, now: i64) -> Answer {
    if request.target.len() > URI_MAX {
        return Err(Refusal::new(414, "URI_TOO_LONG", "URI Too Long"));
    }
    // Four for the colon, the blank and the line break of each.
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if request.target.len() + headers > URI_MAX {
        return Err(Refusal::new(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "Request Header Fields Too Large"));
    }
    session(org, request, now)?;
    // Really a rolling day; the calendar's is enough to use a limit up.
    let day = now.div_euclid(86_400_000);
    if org.calls.0 != day {
        org.calls = (day, 0);
    }
    if org.calls.1 >= org.options.daily_limit {
        return Err(Refusal::new(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."));
    }
    org.calls.1 += 1;
    resource(org, request, now)
}

/// A resource of the API.
pub fn resource(org: &mut Org, request: &Request, now: i64) -> Answer {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let ["services", "data", version, rest @ ..] = path.as_slice() else { return Err(Refusal::not_found()) };
    let number =
        version.strip_prefix('v').and_then(|text| text.strip_suffix(".0")).and_then(|text| text.parse::<u32>().ok());
    match number {
        None => return Err(Refusal::not_found()),
        Some(number) if number < *VERSIONS.start() => {
            return Err(Refusal::new(410, "UNSUPPORTED_API_VERSION", "The API version is retired"));
        }
        Some(number) if number > *VERSIONS.end() => return Err(Refusal::not_found()),
        Some(_) => {}
    }
    let version = (*version).to_owned();
    match rest {
        [] => {
            let base = format!("/services/data/{version}");
            let names = ["sobjects", "query", "queryAll", "jobs", "limits", "composite"];
            let body: serde_json::Map<_, _> =
                names.into_iter().map(|name| (name.to_owned(), format!("{base}/{name}").into())).collect();
            Ok(answers::json(200, &body.into()))
        }
        ["limits"] => changes::limits(org),
        ["sobjects"] => Ok(answers::json(200, &describe::global(org, &version))),
        ["sobjects", name, "describe"] => {
            let object = org.object(name).ok_or_else(Refusal::not_found)?;
            Ok(answers::json(200, &describe::describe(org, object, &version)))
        }
        ["sobjects", name, "deleted"] => changes::list(org, request, name, true, now),
        ["sobjects", name, "updated"] => changes::list(org, request, name, false, now),
        ["sobjects", name, rest @ ..] => records::route(org, request, name, rest, &version, now),
        ["query"] | ["queryAll"] if request.method == "GET" => {
            let text = request.parameter("q").unwrap_or_default().to_owned();
            query::run(org, request, &text, rest == ["queryAll"], &version, now)
        }
        ["query" | "queryAll", locator] => query::more(org, locator, &version, now),
        ["jobs", "query", rest @ ..] => bulk::route(org, request, rest, &version, now),
        ["composite"] => composite::composite(org, request, now, resource),
        ["composite", "batch"] => composite::batch(org, request, now, resource),
        ["composite", "sobjects"] => collections::route(org, request, now),
        ["composite", "sobjects", name] => composite::collection(org, request, name, &version, now),
        _ => Err(Refusal::not_found()),
    }
}

/// A session lives as long as it is used.
fn session(org: &mut Org, request: &Request, now: i64) -> Result<(), Refusal> {
    let header = request.header("authorization").unwrap_or_default();
    let token = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("OAuth ")).unwrap_or_default();
    let lifetime = i64::try_from(org.options.token_lifetime.as_millis()).unwrap_or(i64::MAX);
    match org.sessions.get_mut(token) {
        Some(session) if now - session.used < lifetime => {
            session.used = now;
            Ok(())
        }
        _ => Err(Refusal::new(401, "INVALID_SESSION_ID", "Session expired or invalid")),
    }
}

/// Rows leave the recycle bin after 15 days.
fn empty_bins(org: &mut Org, now: i64) {
    for object in org.objects.values_mut() {
        // Deletes are noted in their order, so that the old ones come first.
        let old = object.deletes.iter().take_while(|(_, at)| now - at > BIN_MILLIS).count();
        for (id, _) in object.deletes.drain(..old).collect::<Vec<_>>() {
            // One that was restored meanwhile stays.
            if object.rows.get(&id).is_some_and(|row| row.deleted.is_some()) {
                object.rows.purge(&id);
            }
        }
    }
}
