//! `query` and `queryAll`: pages by locator.

use super::answers::{self, Answer, Refusal};
use super::columns::columns;
use super::json::{Selected, record};
use super::open::Cursor;
use super::org::{Object, Org};
use super::soql::choice::Choice;
use super::soql::parser::parse;
use super::soql::{Query, Select, Wrong, eval};
use crate::sandbox::http::Request;

/// How long a cursor lives.
const CURSOR_MILLIS: i64 = 2 * 86_400_000;

/// Largest and usual page.
const PAGE_MAX: usize = 2_000;

/// Parses a query and replaces `FIELDS(…)`.
pub fn prepare(org: &Org, text: &str) -> Result<Query, Refusal> {
    let mut query = parse(text).map_err(|wrong| wrong.refusal(text))?;
    let Some(object) = org.object(&query.from) else {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
            query.from
        );
        return Err(Wrong { code: "INVALID_TYPE", message, at: Some(query.from.clone()) }.refusal(text));
    };
    if let Select::Fields(fields) = &mut query.select {
        let mut all = Vec::new();
        for field in fields.drain(..) {
            let Some(which) = field.strip_prefix("FIELDS(").and_then(|rest| rest.strip_suffix(')')) else {
                all.push(field);
                continue;
            };
            // The rule of the real service: only standard fields are free of a limit.
            if which != "STANDARD" && query.limit.is_none_or(|limit| limit > 200) {
                let message = "The SOQL FIELDS function must have a LIMIT of at most 200";
                return Err(Refusal::new(400, "MALFORMED_QUERY", message));
            }
            let source_field = object.fields.iter().filter(|field| match which {
                "CUSTOM" => field["custom"] == true,
                "STANDARD" => field["custom"] != true,
                _ => true,
            });
            if which != "CUSTOM" {
                all.extend(["Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp"].map(str::to_owned));
            }
            let names = source_field
                .filter_map(|field| field["name"].as_str())
                .filter(|name| !object.hidden_fields.contains(*name));
            all.extend(names.map(str::to_owned));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = all.iter().find(|field| !seen.insert(field.to_ascii_lowercase())) {
            return Err(Refusal::new(400, "INVALID_FIELD", format!("duplicate field selected: {twice}")));
        }
        *fields = all;
    }
    if query.offset > 2_000 {
        return Err(Refusal::new(400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"));
    }
    Ok(query)
}

fn selected<'a>(org: &'a Org, object: &'a Object, query: &Query) -> Result<Selected<'a>, Wrong> {
    let columns = match &query.select {
        Select::Fields(paths) => columns(org, object, paths)?,
        Select::Count => Vec::new(),
    };
    let choices = query.choices.iter().map(|wanted| Choice::of(org, object, wanted)).collect::<Result<_, _>>()?;
    Ok(Selected { columns, choices })
}

/// Answers a query.
pub fn run(org: &mut Org, request: &Request, text: &str, all: bool, version: &str, now: i64) -> Answer {
    let asked = request.header("sforce-query-options").and_then(|header| header.split("batchSize=").nth(1));
    let asked = asked.and_then(|size| size.split(',').next()?.trim().parse().ok()).unwrap_or(PAGE_MAX);
    // The size is a hint: real pages may be smaller, down to less than the least that can be asked for.
    let size: usize = if org.switches.short_pages { 150 } else { asked.clamp(200, PAGE_MAX) };
    let query = prepare(org, text)?;
    let object = org.object(&query.from).ok_or_else(Refusal::not_found)?;
    // Before any row is read, so that a wrong field is an error even where no row matches.
    selected(org, object, &query).map_err(|wrong| wrong.refusal(text))?;
    let ids = eval::run(org, object, &query, all, now).map_err(|wrong| wrong.refusal(text))?;
    if query.select == Select::Count {
        if !query.order.is_empty() {
            return Err(Refusal::new(400, "MALFORMED_QUERY", "unexpected token: 'ORDER'"));
        }
        return Ok(answers::text(200, format!(r#"{{"totalSize":{},"done":true,"records":[]}}"#, ids.len())));
    }
    org.cursors.retain(|_, cursor| now - cursor.opened < CURSOR_MILLIS);
    let cursor = Cursor { query, ids, size, opened: now };
    let locator = org.new_id("01g");
    page(org, cursor, &locator, 0, (version, now))
}

/// Answers a further page.
pub fn more(org: &mut Org, locator: &str, version: &str, now: i64) -> Answer {
    let gone = || Refusal::new(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    let (id, start) = locator.rsplit_once('-').ok_or_else(gone)?;
    let start: usize = start.parse().map_err(|_| gone())?;
    let cursor = org
        .cursors
        .remove(id)
        .filter(|cursor| now - cursor.opened < CURSOR_MILLIS && start <= cursor.ids.len())
        .ok_or_else(gone)?;
    page(org, cursor, id, start, (version, now))
}

fn page(org: &mut Org, cursor: Cursor, locator: &str, start: usize, (version, now): (&str, i64)) -> Answer {
    let end = (start + cursor.size).min(cursor.ids.len());
    let total = cursor.ids.len();
    let object = org.object(&cursor.query.from).ok_or_else(Refusal::not_found)?;
    let selected = selected(org, object, &cursor.query).map_err(|wrong| wrong.refusal(""))?;
    // Rows that were purged since the first page are missing, while the total still counts them.
    let records = cursor.ids[start..end].iter().filter_map(|id| Some((id, object.rows.get(id)?.seen(now)?)));
    let records: Vec<String> = records.map(|(id, row)| record(org, object, &selected, id, row, version)).collect();
    let done = end == total;
    let next = if done {
        String::new()
    } else {
        format!(r#","nextRecordsUrl":"/services/data/{version}/query/{locator}-{end}""#)
    };
    let body = format!(r#"{{"totalSize":{total},"done":{done}{next},"records":[{}]}}"#, records.join(","));
    // A cursor of several pages stays open, so that a page can be asked for again; after two days it is gone.
    if start > 0 || !done {
        org.cursors.insert(locator.to_owned(), cursor);
    }
    Ok(answers::text(200, body))
}
