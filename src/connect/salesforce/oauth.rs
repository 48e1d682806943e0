//! The words of the token endpoint: what to send for each way of logging in, and what its refusals mean. Pure.

use oauth2::basic::BasicErrorResponse;
use serde::Serialize;
use url::Url;

use super::errors::{self, Advice};
use crate::connect::http::oauth::{NOT_ONE, NoToken};
use crate::ports::fault::Fault;
use crate::sys::jwt;

/// What an operator sees as the operation.
pub(super) const OPERATION: &str = "log in";

/// Life of a JWT assertion, in seconds. It is used at once; three minutes leave room for a wrong clock.
const ASSERTION_SECONDS: i64 = 180;

/// A refusal of the token endpoint, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::connect) enum Refusal {
    /// Passing: ask again after a moment.
    Passing(String),
    /// The assertion's audience does not fit the org; another one may.
    Audience(String),
    /// The grant was refused for a reason that is none of the known ones: for an assertion, perhaps its audience.
    Unclear {
        /// What the endpoint said.
        message: String,
        /// What to do.
        help: &'static str,
    },
    /// Needs an administrator.
    Final {
        /// What the endpoint said.
        message: String,
        /// What to do.
        help: &'static str,
    },
}

impl Refusal {
    /// What the endpoint said.
    pub(in crate::connect) fn into_message(self) -> String {
        match self {
            Self::Passing(message) | Self::Audience(message) => message,
            Self::Unclear { message, .. } | Self::Final { message, .. } => message,
        }
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
}

/// Signs the assertion of the JWT flow. `now` in Unix seconds.
pub(super) fn assertion(
    client_id: &str,
    username: &str,
    private_key: &str,
    audience: &str,
    now: i64,
) -> Result<String, Fault> {
    // A key from an environment variable often has its line breaks written out.
    let pem = if private_key.contains('\n') { private_key.to_owned() } else { private_key.replace("\\n", "\n") };
    // One that was pasted into YAML may be indented.
    let pem: String = pem.lines().map(|line| format!("{}\n", line.trim())).collect();
    let claims = Claims { iss: client_id, sub: username, aud: audience, exp: now + ASSERTION_SECONDS };
    jwt::sign(&claims, &pem).ok_or_else(|| {
        let advice = Advice {
            code: "SL4115",
            help: "give `private_key` an RSA key of 2048 bits or more in PEM, `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`, without a passphrase",
        };
        Fault::Halt(errors::local(advice, OPERATION, "the private key cannot be used to sign"))
    })
}

/// Audiences to try, the likeliest first. Which one an org accepts varies.
pub(super) fn audiences(login: &Url, configured: Option<&str>) -> Vec<String> {
    if let Some(audience) = configured {
        return vec![audience.to_owned()];
    }
    let host = login.host_str().unwrap_or_default();
    // Sandboxes of today have a label of their own in the host; older ones, the sandbox's name after two dashes.
    let sandbox = host == "test.salesforce.com" || host.contains(".sandbox.") || host.contains("--");
    let (first, second) = ("https://login.salesforce.com", "https://test.salesforce.com");
    let shared = if sandbox { [second, first] } else { [first, second] };
    let login_origin = login.origin().ascii_serialization();
    // The shared host that fits, then the org's own; the other shared one helps where the name misled.
    let mut all = vec![shared[0].to_owned(), login_origin, shared[1].to_owned()];
    all.dedup();
    all
}

/// Sorts what came instead of a token.
pub(in crate::connect) fn refusal(no_token: NoToken<BasicErrorResponse>) -> Refusal {
    let (status, refusal) = match no_token {
        NoToken::Refused(status, refusal) => (status, refusal),
        NoToken::Unreadable(status, body) => {
            let message = format!("HTTP status {status} without a readable reason");
            return match status {
                // An org in maintenance or on its way elsewhere answers 404 with a page of the edge network.
                404 | 406 | 408 | 420 | 429 | 500..=599 => Refusal::Passing(message),
                // A page comes from another server; anything else that cannot be read was cut on its way.
                _ if !body.trim_ascii_start().starts_with(b"<") => Refusal::Passing(message),
                _ => Refusal::Final { message, help: "check `login_url`: it must be the org's login host" },
            };
        }
        NoToken::NotOne => return Refusal::Passing(NOT_ONE.to_owned()),
        NoToken::Silent(error) => return Refusal::Passing(error.to_string()),
    };
    let error = refusal.error().as_ref();
    let description: String = refusal.error_description().into_iter().flat_map(|text| text.chars()).take(200).collect();
    let message = if description.is_empty() { error.to_owned() } else { format!("{error}: {description}") };
    // Two processes refresh one token at one time: the other's answer comes first.
    if description.contains("already being processed") || error == "rate_limit_exceeded" || status >= 500 {
        return Refusal::Passing(message);
    }
    if description.to_ascii_lowercase().contains("audience") {
        return Refusal::Audience(message);
    }
    let help = help(error, &description);
    // These speak of the user or the grant, which another audience cannot cure.
    let known = ["hasn't approved", "expired access/refresh", "authentication failure", "inactive"];
    if error == "invalid_grant" && !known.iter().any(|text| description.contains(text)) {
        return Refusal::Unclear { message, help };
    }
    Refusal::Final { help, message }
}

/// What an administrator must do about a refusal.
fn help(error: &str, description: &str) -> &'static str {
    let says = |text: &str| description.to_ascii_lowercase().contains(text);
    match error {
        "invalid_grant" if says("hasn't approved this consumer") => {
            "pre-authorise the user for the app: OAuth policies, permitted users, then a profile or permission set"
        }
        "invalid_grant" if says("expired access/refresh token") => {
            "log in again and store the new refresh token; a user holds at most five grants per app, and the sixth login ends the oldest"
        }
        "invalid_grant" if says("authentication failure") => {
            "check the user, and the login hours and IP ranges of its profile"
        }
        "invalid_grant" => {
            "check that the app holds the certificate of `private_key`, and that `username` exists and is active"
        }
        "invalid_client_id" => "check `client_id`: it is the consumer key of the app",
        "invalid_client" if says("must be installed") => {
            "install the connected app in the org, or give the user `Approve Uninstalled Connected Apps`; an External Client App made in the org needs neither"
        }
        "invalid_client" => "check `client_id` and `client_secret` of the app",
        "unsupported_grant_type" => "switch this OAuth flow on in the app's settings",
        "inactive_user" | "inactive_org" => "the user or the org is not active; ask the org's administrator",
        "invalid_app_access" => "give the user access to the app by its profile or a permission set",
        _ => "check the app's OAuth settings in Salesforce and the connection's `auth` section",
    }
}

/// Where an audience for all refusals leads: none was accepted.
pub(super) fn refused(message: String, help: &str) -> Fault {
    let mut error = errors::local(Advice { code: "SL4101", help: "" }, OPERATION, message);
    error.help = Some(help.to_owned());
    Fault::Halt(error)
}

#[cfg(test)]
mod tests {
    use super::super::wire::Own;
    use super::*;
    use crate::connect::http::oauth::read;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let Err(no_token) = read::<_, Own>(status, body.into()) else { panic!("{body}") };
        let text = match refusal(no_token) {
            Refusal::Passing(_) => "passing".to_owned(),
            Refusal::Audience(_) => "audience".to_owned(),
            Refusal::Unclear { help, .. } => format!("unclear: {help}"),
            Refusal::Final { help, .. } => help.to_owned(),
        };
        assert!(text.contains(expected), "{body}: {text}");
    }

    #[test]
    fn refusals_are_sorted() {
        let error = |error: &str, text: &str| format!(r#"{{"error":"{error}","error_description":"{text}"}}"#);
        check(400, &error("invalid_grant", "user hasn't approved this consumer"), "pre-authorise");
        check(400, &error("invalid_grant", "Audience validation failed"), "audience");
        check(400, &error("invalid_grant", "expired access/refresh token"), "log in again");
        check(400, &error("invalid_grant", "Token request is already being processed"), "passing");
        check(400, &error("invalid_grant", "authentication failure - Invalid Password"), "login hours");
        check(400, &error("invalid_grant", "invalid assertion"), "unclear: check that the app holds the certificate");
        check(400, r#"{"error":"invalid_grant"}"#, "unclear");
        check(400, &error("invalid_client_id", "client identifier invalid"), "consumer key");
        check(400, &error("invalid_client", "invalid client credentials"), "client_secret");
        check(400, &error("invalid_client", "app must be installed into org"), "External Client App");
        check(400, &error("unsupported_grant_type", "grant type not supported"), "flow on");
        check(400, r#"{"error":"inactive_user"}"#, "not active");
        check(400, r#"{"error":"rate_limit_exceeded"}"#, "passing");
        check(503, "<html>", "passing");
        check(404, "<html>", "passing");
        check(406, "", "passing");
        check(403, "<html>", "login_url");
        check(400, r#"{"error":"invalid_grant","error_de"#, "passing");
    }

    #[track_caller]
    fn check_audiences(login: &str, configured: Option<&str>, expected: &[&str]) {
        assert_eq!(audiences(&login.parse().unwrap(), configured), expected);
    }

    #[test]
    fn audiences_to_try() {
        let (login, test) = ("https://login.salesforce.com", "https://test.salesforce.com");
        check_audiences("https://acme.my.salesforce.com/", None, &[login, "https://acme.my.salesforce.com", test]);
        let sandbox = "https://acme--dev.sandbox.my.salesforce.com";
        check_audiences(sandbox, None, &[test, sandbox, login]);
        check_audiences(login, None, &[login, test]);
        check_audiences(test, None, &[test, login]);
        check_audiences("http://127.0.0.1:8080", None, &[login, "http://127.0.0.1:8080", test]);
        check_audiences(login, Some("https://x.example"), &["https://x.example"]);
    }

    const KEY: &str = include_str!("../../sys/testdata/jwt_pkcs8.pem");

    #[test]
    fn assertions_name_app_user_and_audience() {
        let sign = |key: &str| assertion("id", "ann@acme.com", key, "https://login.salesforce.com", 1_790_845_200);
        let token = sign(KEY).unwrap();
        let public = include_str!("../../sys/testdata/jwt_public.pem");
        let claims = jwt::verify(&token, public).unwrap();
        let expected = serde_json::json!({
            "iss": "id", "sub": "ann@acme.com", "aud": "https://login.salesforce.com", "exp": 1_790_845_380
        });
        assert_eq!(claims, expected);
        let written_out = KEY.trim().replace('\n', "\\n");
        let windows = KEY.replace('\n', "\r\n");
        let indented = KEY.replace('\n', "\n  ");
        for key in [written_out, windows, indented] {
            assert_eq!(sign(&key).unwrap(), token, "{key}");
        }
    }

    #[test]
    fn a_bad_key_is_not_shown() {
        let Err(Fault::Halt(error)) = assertion("id", "ann", "very-secret", "aud", 0) else { panic!() };
        assert!(error.code == "SL4115" && !error.to_string().contains("very-secret"), "{error}");
    }
}
