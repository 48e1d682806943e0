//! Answers: JSON as the command line prints it, pages, and refusals in both forms.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LINK, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::asked::Asked;
use super::page::{self, Frame};
use crate::model::text;
use crate::ops::schemas;
use crate::ports::state::StateError;
use crate::project::error::OpsError;
use crate::sys::secrets::masked;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A text of some kind.
pub fn text_of(kind: &'static str, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A result as JSON: what the command line prints.
pub fn json<T: Serialize>(value: &T) -> Response<Body> {
    let printed = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut response = Response::new(Body::from(text::json(&masked(&printed)).into_owned() + "\n"));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A page.
pub fn html(page: String) -> Response<Body> {
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    response
}

/// Adds where the rest of a list is.
pub fn with_next(mut response: Response<Body>, next: Option<&str>) -> Response<Body> {
    let link = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    response
}

/// Leads to another page; `cookie` is set on the way.
pub fn redirect(to: &str, cookie: Option<&str>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let cookie = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok());
    response.headers_mut().extend(HeaderValue::try_from(to).ok().map(|to| (LOCATION, to)));
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// An error: as JSON what the command line prints, which fits the schema of the result; else a page.
pub fn refused(asked: &Asked, frame: &Frame, schema: &str, error: &OpsError) -> Response<Body> {
    let status = status_of(error);
    let mut response =
        if asked.json { json(&schemas::failure(schema, error)) } else { html(page::message(frame, asked, error)) };
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn status_of(error: &OpsError) -> StatusCode {
    match (error, error.code()) {
        (_, "SL6034") => StatusCode::UNAUTHORIZED,
        (_, "SL6033" | "SL6035") => StatusCode::FORBIDDEN,
        (_, "SL6036" | "SL5004") => StatusCode::BAD_REQUEST,
        (_, "SL6037") => StatusCode::NOT_FOUND,
        (OpsError::Refused { .. }, "SL6006") => StatusCode::NOT_FOUND,
        (OpsError::Remote { .. }, _) => StatusCode::BAD_GATEWAY,
        (OpsError::State(StateError::Io { .. } | StateError::Held { .. } | StateError::Lost { .. }), _) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
