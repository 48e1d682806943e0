//! Several records written in one call, each with a result of its own.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::org::Org;
use super::records::{self, Values};
use crate::sandbox::http::Request;

/// Most records of one call.
const RECORDS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    all_or_none: bool,
    records: Vec<Box<RawValue>>,
}

/// One record of a call.
enum Work {
    Create { object: String, values: Values },
    Update { object: String, id: String, values: Values },
    Delete { object: String, id: String },
}

/// `/composite/sobjects`: POST makes, PATCH changes, DELETE takes `ids`.
pub fn route(org: &mut Org, request: &Request, now: i64) -> Answer {
    let (all_or_none, work) = match request.method.as_str() {
        "DELETE" => (request.parameter("allOrNone") == Some("true"), deletes(org, request)),
        "POST" | "PATCH" => writes(request)?,
        method => {
            let message = format!("HTTP Method '{method}' not allowed. Allowed are POST,PATCH,DELETE");
            return Err(Refusal::new(405, "METHOD_NOT_ALLOWED", message));
        }
    };
    if work.len() > RECORDS_MAX {
        let message = format!("record limit reached. cannot submit more than {RECORDS_MAX} records in this request");
        return Err(Refusal::new(400, "EXCEEDED_ID_LIMIT", message));
    }
    // All are looked at before the first one is written.
    let failing = work.iter().filter(|work| work.as_ref().map_or(true, |work| check(org, work).is_err())).count();
    let rolled_back = all_or_none && failing > 0;
    let results = work.into_iter().map(|work| {
        let done = work.and_then(|work| {
            if !rolled_back {
                return carry_out(org, &work, now);
            }
            check(org, &work)?;
            let text =
                "Record rolled back because not all records were valid and the request was using AllOrNone header";
            Err(Refusal::new(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", text))
        });
        match done {
            Ok(id) => json!({"id": id, "success": true, "errors": []}),
            Err(refusal) => {
                let error = json!({"statusCode": refusal.code, "message": refusal.message, "fields": refusal.fields});
                json!({"success": false, "errors": [error]})
            }
        }
    });
    Ok(answers::json(200, &Value::Array(results.collect())))
}

/// The records of a body; what one of them lacks is its own error.
fn writes(request: &Request) -> Result<(bool, Vec<Result<Work, Refusal>>), Refusal> {
    let body: Body = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
    let update = request.method == "PATCH";
    let work = |raw: &RawValue| -> Result<Work, Refusal> {
        let named: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let object = named["attributes"]["type"].as_str().map(str::to_owned);
        let object = object.ok_or_else(|| Refusal::new(400, "INVALID_INPUT", "The type of the record is missing"))?;
        let mut values = records::decode(raw.get().as_bytes())?;
        let key = values.keys().find(|name| name.eq_ignore_ascii_case("id")).cloned();
        let id = key.and_then(|key| values.remove(&key)).flatten();
        match (update, id) {
            (false, None) => Ok(Work::Create { object, values }),
            (false, Some(_)) => {
                Err(Refusal::new(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call"))
            }
            (true, Some(id)) => Ok(Work::Update { object, id, values }),
            (true, None) => Err(Refusal::new(400, "MISSING_ARGUMENT", "Id not specified in an update call")),
        }
    };
    Ok((body.all_or_none, body.records.iter().map(|raw| work(raw)).collect()))
}

fn deletes(org: &Org, request: &Request) -> Vec<Result<Work, Refusal>> {
    let ids = request.parameter("ids").unwrap_or_default().split(',').filter(|id| !id.is_empty());
    let work = |id: &str| {
        // An id tells its object by its first three characters.
        let object = org.objects.values().find(|object| id.starts_with(object.prefix()));
        let object = object.ok_or_else(|| Refusal::new(400, "MALFORMED_ID", format!("malformed id {id}")))?;
        Ok(Work::Delete { object: object.name().to_owned(), id: id.to_owned() })
    };
    ids.map(work).collect()
}

/// Whether the record would be written.
fn check(org: &Org, work: &Work) -> Result<(), Refusal> {
    match work {
        Work::Create { object, values } => records::check_create(org, object, values).map(|_| ()),
        Work::Update { object, id, values } => records::check_update(org, object, id, values).map(|_| ()),
        Work::Delete { object, id } => records::live(org, object, id).map(|_| ()),
    }
}

fn carry_out(org: &mut Org, work: &Work, now: i64) -> Result<String, Refusal> {
    match work {
        Work::Create { object, values } => records::create(org, object, values, now),
        Work::Update { object, id, values } => records::update(org, object, id, values, now).map(|()| id.clone()),
        Work::Delete { object, id } => records::delete(org, object, id, now).map(|()| id.clone()),
    }
}
