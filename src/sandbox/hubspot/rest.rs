//! Routes: tokens, limits, and which part answers which path. The date-based paths and the older ones lead to the same.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::batch::{self, Verb};
use super::body::decode;
use super::columns::Columns;
use super::limits::Kind;
use super::objects::{self, Input, Undo, distinct_names, show, written};
use super::portal::Portal;
use super::{associations, oauth, owner_reads, properties, schemas, search, tokens, usage, validations};
use crate::sandbox::http::{Reply, Request};

/// Versions that a path may name.
const VERSIONS: [&str; 5] = ["2026-09", "2026-03", "2025-09", "v3", "v4"];

/// Answers a request.
pub fn answer(portal: &mut Portal, request: &Request, now: Timestamp) -> Reply {
    let now = now.as_millisecond();
    let correlation = portal.correlation();
    let searches = request.path.last().is_some_and(|last| last == "search");
    // Before the token is looked at: this is where tokens come from.
    if let Some(answer) = oauth::route(portal, request, &bare(request), now) {
        let reply = answer.unwrap_or_else(|refusal| answers::json(refusal.status, &refusal.body(&correlation)));
        return reply.with("x-hubspot-correlation-id", correlation);
    }
    let reply = match tokens::check(portal, request, &bare(request), now) {
        Err(refusal) => answers::json(refusal.status, &refusal.body(&correlation)),
        Ok(()) => {
            let kind = if searches { Kind::Search } else { Kind::Ordinary };
            // Only calls with a good token count; limits are those of an app.
            let refused = portal.limits.count(kind, now, &correlation);
            refused.unwrap_or_else(|| match route(portal, request, now) {
                Ok(reply) => reply,
                Err(refusal) => answers::json(refusal.status, &refusal.body(&correlation)),
            })
        }
    };
    let reply = reply.with("x-hubspot-correlation-id", correlation);
    // Search answers carry no headers about limits.
    if searches { reply } else { portal.limits.headers(reply) }
}

/// The path without its version: `/crm/objects/2026-09/…` and `/crm/v3/objects/…` are one, as is every other product.
fn bare(request: &Request) -> Vec<&str> {
    request.path.iter().map(String::as_str).filter(|segment| !VERSIONS.contains(segment)).collect()
}

fn route(portal: &mut Portal, request: &Request, now: i64) -> Answer {
    let path = bare(request);
    // A path without a version leads nowhere.
    if path.len() == request.path.len() {
        return Err(Refusal::not_found());
    }
    match path.as_slice() {
        ["crm", "objects", kind, rest @ ..] => object(portal, request, kind, rest, now),
        ["crm", "properties", kind, rest @ ..] => properties::route(portal, request, kind, rest, now),
        ["crm", "property-validations", kind, rest @ ..] => validations::route(portal, request, kind, rest),
        ["crm-object-schemas", "schemas", rest @ ..] | ["crm", "schemas", rest @ ..] => {
            schemas::route(portal, request, rest, now)
        }
        ["crm", "associations", "definitions", "configurations", rest @ ..] => {
            associations::configurations(portal, request, rest, now)
        }
        ["crm", "associations", from, to, rest @ ..] => associations::route(portal, request, from, to, rest, now),
        ["crm", "owners", rest @ ..] => owner_reads::route(portal, request, rest),
        ["crm", "limits", rest @ ..] => usage::route(portal, request, rest),
        ["account-info", "details"] => Ok(answers::json(
            200,
            &json!({"portalId": portal.options.portal_id, "accountType": "STANDARD", "timeZone": portal.time_zone,
                "companyCurrency": "EUR", "additionalCurrencies": [], "utcOffset": "+01:00", "utcOffsetMilliseconds": 3_600_000,
                "uiDomain": "app.hubspot.com", "dataHostingLocation": "na1"}),
        )),
        ["account-info", "api-usage", "daily", "private-apps"] => Ok(answers::json(200, &portal.limits.usage())),
        _ => Err(Refusal::not_found()),
    }
}

fn object(portal: &mut Portal, request: &Request, kind: &str, rest: &[&str], now: i64) -> Answer {
    let id = portal.type_id(kind)?;
    match (request.method.as_str(), rest) {
        ("GET", []) => list(portal, request, &id),
        ("POST", []) => {
            let input: Input = decode(&request.body)?;
            let columns = Columns::of(portal.object_mut(&id)?, std::iter::once(input.names()));
            let (mut texts, mut undo) = (input.texts(&columns)?, Undo::new());
            let record = objects::create(portal, &id, (&columns, &mut texts), &mut undo, now)?;
            if let Some(wanted) = &input.associations
                && let Err(refusal) = associations::on_create(portal, &id, record, wanted)
            {
                batch::take_back(portal, &id, undo)?;
                return Err(refusal);
            }
            let shown = shown(portal, &id, record, &written(&columns, &texts))?;
            Ok(answers::written(201, shown).with("location", format!("/crm/objects/2026-09/{id}/{record}")))
        }
        ("POST", ["batch", "create"]) => batch::write(portal, Verb::Create, &id, &request.body, now),
        ("POST", ["batch", "update"]) => batch::write(portal, Verb::Update, &id, &request.body, now),
        ("POST", ["batch", "upsert"]) => batch::write(portal, Verb::Upsert, &id, &request.body, now),
        ("POST", ["batch", "read"]) => {
            let archived = request.flag("archived");
            batch::read(portal, &id, &request.body, archived, now)
        }
        ("POST", ["batch", "archive"]) => batch::archive(portal, &id, &request.body, now),
        ("POST", ["search"]) => search::search(portal, &id, &request.body, now),
        ("POST", ["merge"]) => merge(portal, &id, &request.body, now),
        (_, [record, "associations", rest @ ..]) => associations::single(portal, request, &id, record, rest),
        ("GET", [record]) => {
            let found = find(portal, request, &id, record)?;
            Ok(answers::written(200, shown(portal, &id, found, &asked(request))?))
        }
        ("PATCH", [record]) => {
            let found = find(portal, request, &id, record)?;
            let input: Input = decode(&request.body)?;
            let columns = Columns::of(portal.object_mut(&id)?, std::iter::once(input.names()));
            let mut texts = input.texts(&columns)?;
            if texts.is_empty() {
                return Err(Refusal::validation("No properties found to update, please provide at least one."));
            }
            objects::update(portal, &id, found, (&columns, &mut texts), &mut Undo::new(), now)?;
            Ok(answers::written(200, shown(portal, &id, found, &written(&columns, &texts))?))
        }
        ("DELETE", [record]) => {
            // Archiving what is not there gives 204 as well.
            if let Ok(record) = record.parse() {
                portal.object_mut(&id)?.store.archive(record, now);
            }
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::not_found()),
    }
}

fn asked(request: &Request) -> Vec<String> {
    let lists = request.query.iter().filter(|(name, _)| name == "properties").map(|(_, value)| value);
    distinct_names(lists.flat_map(|list| list.split(',')).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn shown<N: AsRef<str>>(portal: &Portal, type_id: &str, id: u64, asked: &[N]) -> Result<String, Refusal> {
    let object = portal.object(type_id)?;
    let record = object.store.get(id).ok_or_else(Refusal::not_found)?;
    Ok(show(object, id, record, asked))
}

fn find(portal: &Portal, request: &Request, type_id: &str, record: &str) -> Result<u64, Refusal> {
    let property = request.parameter("idProperty");
    if property.is_none() && record.parse::<u64>().is_err() {
        let refusal = Refusal::plain(404, "Object not found.  objectId are usually numeric.");
        return Err(refusal.category("OBJECT_NOT_FOUND").with("id", &[record]));
    }
    let object = portal.object(type_id)?;
    if request.flag("archived") {
        let gone = |id: &u64| object.store.get(*id).is_some_and(|record| record.archived.is_some());
        return record.parse().ok().filter(gone).ok_or_else(Refusal::not_found);
    }
    objects::find(object, record, property).ok_or_else(Refusal::not_found)
}

/// Records by ascending id; `after` is the last id of the page before.
fn list(portal: &Portal, request: &Request, type_id: &str) -> Answer {
    // HubSpot's own default; a page holds at most 100 records.
    let limit: usize = request.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(10);
    if limit > 100 {
        return Err(Refusal::validation("limit may not be greater than 100"));
    }
    let after: u64 = request.parameter("after").and_then(|text| text.parse().ok()).unwrap_or(0);
    let archived = request.flag("archived");
    let asked = asked(request);
    let object = portal.object(type_id)?;
    let mut page =
        object.store.from(after.saturating_add(1)).filter(|(_, record)| record.archived.is_some() == archived);
    let shown: Vec<(u64, String)> =
        page.by_ref().take(limit).map(|(id, record)| (id, show(object, id, record, &asked))).collect();
    let last = shown.last().map(|(id, _)| *id);
    let more = page.next().is_some();
    let shown: Vec<String> = shown.into_iter().map(|(_, shown)| shown).collect();
    let mut body = format!(r#"{{"results":[{}]"#, shown.join(","));
    if let (Some(last), true) = (last, more) {
        body.push_str(&format!(r#","paging":{{"next":{{"after":"{last}","link":"?after={last}"}}}}"#));
    }
    body.push('}');
    Ok(answers::written(200, body))
}

fn merge(portal: &mut Portal, type_id: &str, body: &[u8], now: i64) -> Answer {
    let body: Value = decode(body)?;
    let id = |name: &str| body[name].as_str().and_then(|id| id.parse::<u64>().ok());
    let (Some(primary), Some(other)) = (id("primaryObjectId"), id("objectIdToMerge")) else {
        return Err(Refusal::validation("primaryObjectId and objectIdToMerge are required"));
    };
    merge_records(portal, type_id, primary, other, now)?;
    Ok(answers::written(200, shown::<&str>(portal, type_id, primary, &[])?))
}

/// Merges a record into another, which keeps its own values.
pub fn merge_records(portal: &mut Portal, type_id: &str, primary: u64, other: u64, now: i64) -> Result<(), Refusal> {
    let merged = portal.object_mut(type_id)?.store.merge(primary, other, now);
    if merged { Ok(()) } else { Err(Refusal::not_found()) }
}
