//! Reading owners, which is all that a client may do with them.

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::owners::Owner;
use super::portal::Portal;
use crate::sandbox::http::Request;

/// Owners of a page, where the caller does not say.
const PAGE: usize = 100;

/// Most owners of a page.
const PAGE_MAX: usize = 500;

/// `/crm/owners/VERSION…`
pub fn route(portal: &Portal, request: &Request, rest: &[&str]) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => list(portal, request),
        ("GET", [id]) => one(portal, request, id),
        _ => Err(Refusal::not_found()),
    }
}

/// Owners by ascending id; `after` is the last id of the page before.
fn list(portal: &Portal, request: &Request) -> Answer {
    let wrong = |name: &str, text: &str| Refusal::validation(format!("Unable to parse {name}: {text}"));
    let number = |name: &str| request.parameter(name).map(|text| text.parse::<u64>().map_err(|_| wrong(name, text)));
    let limit = match number("limit").transpose()? {
        None => PAGE,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Refusal::validation(format!("limit must be between 1 and {PAGE_MAX}")));
    }
    let after = number("after").transpose()?.unwrap_or_default();
    let archived = request.flag("archived");
    let email = request.parameter("email");
    let fits = |owner: &Owner| {
        owner.archived == archived
            && email.is_none_or(|email| owner.email.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(email)))
    };
    let mut found = portal.owners.after(after).filter(|(_, owner)| fits(owner));
    let page: Vec<(u64, &Owner)> = found.by_ref().take(limit).collect();
    let mut body = json!({"results": page.iter().map(|(id, owner)| shown(*id, owner)).collect::<Vec<_>>()});
    if let (Some((last, _)), Some(_)) = (page.last(), found.next()) {
        body["paging"] = json!({"next": {"after": last.to_string(), "link": format!("?after={last}")}});
    }
    Ok(answers::json(200, &body))
}

fn one(portal: &Portal, request: &Request, id: &str) -> Answer {
    let archived = request.flag("archived");
    let number: u64 = id.parse().map_err(|_| Refusal::validation(format!("Unable to parse ownerId: {id}")))?;
    let by_user = match request.parameter("idProperty") {
        None | Some("id") => false,
        Some("userId") => true,
        Some(other) => return Err(Refusal::validation(format!("Invalid idProperty: {other}"))),
    };
    let fits = |(id, owner): &(u64, &Owner)| {
        owner.archived == archived && if by_user { owner.user_id == Some(number) } else { *id == number }
    };
    let found = portal.owners.after(0).find(fits).map(|(id, owner)| answers::json(200, &shown(id, owner)));
    found.ok_or_else(Refusal::not_found)
}

/// An owner as an answer shows it. The user of an archived one is not told under `userId`.
fn shown(id: u64, owner: &Owner) -> Value {
    let user = owner.user_id.filter(|_| !owner.archived);
    let mut shown = json!({"id": id.to_string(), "type": owner.kind, "firstName": owner.first_name, "lastName": owner.last_name,
        "userId": user, "userIdIncludingInactive": owner.user_id, "createdAt": time(owner.created),
        "updatedAt": time(owner.updated), "archived": owner.archived});
    if let Some(email) = &owner.email {
        shown["email"] = email.as_str().into();
    }
    shown
}
