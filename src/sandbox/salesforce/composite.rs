//! Several reads in one call: collections by id, queries in a body, batches.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::columns::columns;
use super::json::{Selected, record};
use super::org::{Org, widen};
use crate::sandbox::http::Request;

/// Most ids of a collection read.
const IDS_MAX: usize = 2_000;

/// Most requests of one composite.
const REQUESTS_MAX: usize = 25;

/// Answers a request of those that are inside another.
pub type Inner = fn(&mut Org, &Request, i64) -> Answer;

/// `/composite/sobjects/{object}`: an array in the order of the request, null where a row is missing or forbidden.
pub fn collection(org: &Org, request: &Request, name: &str, version: &str, now: i64) -> Answer {
    let object = org.object(name).ok_or_else(Refusal::not_found)?;
    let (ids, fields): (Vec<String>, Vec<String>) = if request.method == "GET" {
        let list = |name: &str| request.parameter(name).unwrap_or_default().split(',').map(str::to_owned).collect();
        (list("ids"), list("fields"))
    } else {
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
        let list = |name: &str| {
            body[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        (list("ids"), list("fields"))
    };
    if ids.len() > IDS_MAX {
        return Err(Refusal::new(
            400,
            "EXCEEDED_ID_LIMIT",
            format!("record limit reached. cannot submit more than {IDS_MAX} records"),
        ));
    }
    let columns = columns(org, object, &fields).map_err(|wrong| wrong.refusal(""))?;
    let selected = Selected { columns, choices: Vec::new() };
    let one = |id: &String| {
        let id = widen(id)?;
        // Rows in the recycle bin are missing here, without a word of why.
        let row = object.rows.get(&id).and_then(|row| object.seen(&id, row, now))?;
        let row = Some(row).filter(|row| row.deleted.is_none())?;
        Some(record(org, object, &selected, &id, row, version))
    };
    let shown: Vec<String> = ids.iter().map(|id| one(id).unwrap_or_else(|| "null".to_owned())).collect();
    Ok(answers::text(200, format!("[{}]", shown.join(","))))
}

/// `/composite`: each request in turn; numbers keep their digits.
pub fn composite(org: &mut Org, request: &Request, now: i64, resource: Inner) -> Answer {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
    let requests = body["compositeRequest"].as_array().cloned().unwrap_or_default();
    if requests.len() > REQUESTS_MAX {
        return Err(Refusal::new(400, "LIMIT_EXCEEDED", "too many subrequests"));
    }
    let mut answers_of = Vec::new();
    for part in &requests {
        let inner = inner(
            request,
            part["method"].as_str().unwrap_or("GET"),
            part["url"].as_str().unwrap_or_default(),
            &part["body"],
        );
        let reply = resource(org, &inner, now).unwrap_or_else(|refusal| refusal.reply());
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        // A part without a body must leave the whole valid JSON.
        let text = if text.is_empty() { "null".to_owned() } else { text };
        answers_of.push(format!(
            r#"{{"body":{text},"httpHeaders":{{}},"httpStatusCode":{},"referenceId":{}}}"#,
            reply.status, part["referenceId"]
        ));
    }
    Ok(answers::text(200, format!(r#"{{"compositeResponse":[{}]}}"#, answers_of.join(","))))
}

/// `/composite/batch`
pub fn batch(org: &mut Org, request: &Request, now: i64, resource: Inner) -> Answer {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
    let mut failed = false;
    let mut results = Vec::new();
    for part in body["batchRequests"].as_array().into_iter().flatten().take(REQUESTS_MAX) {
        let url = format!("/services/data/{}", part["url"].as_str().unwrap_or_default().trim_start_matches('/'));
        let inner = inner(request, part["method"].as_str().unwrap_or("GET"), &url, &part["richInput"]);
        let reply = resource(org, &inner, now).unwrap_or_else(|refusal| refusal.reply());
        failed |= reply.status >= 400;
        let result: Box<RawValue> = serde_json::from_slice(&reply.body).unwrap_or_else(|_| RawValue::NULL.to_owned());
        results.push(json!({"statusCode": reply.status, "result": serde_json::to_value(&result).unwrap_or_default()}));
    }
    Ok(answers::json(200, &json!({"hasErrors": failed, "results": results})))
}

/// A request inside another.
fn inner(outer: &Request, method: &str, url: &str, body: &Value) -> Request {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    // In a path a plus sign is a plus sign; only in a query it is a blank.
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Request {
        method: method.to_owned(),
        // The inner address is not on the wire, so its length does not count.
        target: String::new(),
        path: path.split('/').filter(|part| !part.is_empty()).map(plain).collect(),
        query: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect(),
        // The parts are made with the token of the whole.
        headers: outer.headers.clone(),
        body: if body.is_null() { bytes::Bytes::new() } else { body.to_string().into() },
    }
}
