//! A person's login in a browser, by authorization code with a proof key, and its end.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::http::client::{Transport, TransportError, without_secrets};
use super::http::login_file::{LoginFile, StoredLogin};
use super::http::redirect::{NoCode, Redirect};
use super::hubspot::tokens::{self, Asked};
use super::salesforce::oauth::{Refusal, refusal};
use super::salesforce::wire;
use crate::config::address::{is_loopback, is_trustworthy};
use crate::ports::fault::Fault;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::network::Network;
use crate::sys::{pkce, secrets};

/// Where HubSpot's page is, whose API has another host.
const HUBSPOT_PAGE: &str = "https://app.hubspot.com/oauth/authorize";

/// Scopes that are asked for unless others are named.
const SALESFORCE_SCOPES: &str = "api refresh_token";
const HUBSPOT_SCOPES: &str = "oauth crm.objects.custom.read crm.objects.custom.write crm.schemas.custom.read \
                              crm.objects.companies.read crm.objects.companies.write crm.objects.owners.read";

/// Longest wait for the answer of a token endpoint.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Which service, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Salesforce, at its login host.
    Salesforce,
    /// HubSpot, at the address of its API.
    Hubspot,
}

/// What a login needs to know.
pub struct Login {
    /// The service.
    pub service: Service,
    /// Its address.
    pub url: Url,
    /// The app.
    pub client_id: String,
    /// The app's secret.
    pub client_secret: Option<String>,
    /// What is asked for, where others than the usual scopes are.
    pub scopes: Option<Vec<String>>,
    /// The port that the browser is sent back to.
    pub port: u16,
    /// The portal that it must be.
    pub portal_id: Option<u64>,
    /// Where the tokens go.
    pub file: LoginFile,
}

/// What ended with a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// There was none.
    Nothing,
    /// The tokens were revoked, and are gone.
    Revoked,
    /// The tokens are gone from here; the service could not be told, for this reason.
    OnlyHere(String),
}

/// The facts from outside that a login uses.
pub struct Around<'a> {
    /// What the services are reached over.
    pub network: &'a Network,
    /// Time.
    pub clock: &'a Clock,
    /// Tells when to stop.
    pub cancel: &'a Cancel,
}

impl Login {
    /// Logs in: hands the address of the page to `show`, waits for the browser, and stores what comes of it.
    ///
    /// Errors: `SL6030` where the port cannot be had; `SL4204` where the person denies it, or does not come back; `SL4205` where the
    /// service refuses the app; `SL3005` where it is another portal. Nothing is stored then.
    pub async fn log_in(
        &self,
        around: &Around<'_>,
        within: Duration,
        show: impl FnOnce(&Url),
    ) -> Result<StoredLogin, Fault> {
        let transport = self.transport(around)?;
        let redirect = Redirect::listen(self.port).await.map_err(|why| self.no_code(&why))?;
        show(&self.page(&redirect)?);
        let (uri, verifier) = (redirect.uri.clone(), redirect.verifier.clone());
        let code = redirect.code(within, around.clock, around.cancel).await.map_err(|why| self.no_code(&why))?;
        let stored = self.redeem(&transport, around, &code, &uri, &verifier).await?;
        // A process that renews the tokens of the login before must not put them over these.
        let _held = self.file.locked(around.clock, around.cancel).await?;
        self.file.write(&stored)?;
        Ok(stored)
    }

    /// Ends a login: revokes it where the service can be reached, and forgets its tokens in any case.
    pub async fn log_out(&self, around: &Around<'_>) -> Result<Ended, Fault> {
        let transport = self.transport(around)?;
        let _held = self.file.locked(around.clock, around.cancel).await?;
        let Some(stored) = self.file.stored() else {
            // What is there and no login is taken away as well.
            return self
                .file
                .remove()
                .map(|was| if was { Ended::OnlyHere("it held no login".to_owned()) } else { Ended::Nothing });
        };
        let address = match self.service {
            Service::Salesforce => self.url.join("/services/oauth2/revoke"),
            Service::Hubspot => tokens::token_url(&self.url).map(|mut url| {
                url.set_path(&format!("{}/revoke", url.path()));
                url
            }),
        };
        let mut form = vec![("token", stored.refresh_token.as_str())];
        if self.service == Service::Hubspot {
            form.extend([("token_type_hint", "refresh_token"), ("client_id", &*self.client_id)]);
            form.extend(self.client_secret.as_deref().map(|secret| ("client_secret", secret)));
        }
        let told = match address {
            // Tokens of another address are none of this one's business.
            _ if stored.address != self.url.as_str() => Err("it was a login at another address".to_owned()),
            Ok(address) => match self.post(&transport, around, &address, &form).await {
                Ok((200..300, _)) => Ok(()),
                Ok((status, _)) => Err(format!("HTTP status {status}")),
                Err(message) => Err(message),
            },
            Err(error) => Err(error.to_string()),
        };
        self.file.remove()?;
        Ok(told.map_or_else(Ended::OnlyHere, |()| Ended::Revoked))
    }

    fn transport(&self, around: &Around<'_>) -> Result<Transport, Fault> {
        if !is_trustworthy(&self.url) {
            let message = "the address is neither https nor one of this computer".to_owned();
            return Err(self.file.halt("SL4205", message, "correct the address of the connection".to_owned()));
        }
        Transport::new(&self.url, around.network, around.clock)
            .map_err(|text| self.file.halt("SL4205", text, "check the certificates of this computer".to_owned()))
    }

    /// The page on which the person decides.
    fn page(&self, redirect: &Redirect) -> Result<Url, Fault> {
        let page = match self.service {
            Service::Salesforce => self.url.join("/services/oauth2/authorize"),
            // A sandbox has page and API at one address.
            Service::Hubspot if is_loopback(&self.url) => self.url.join("/oauth/authorize"),
            Service::Hubspot => Url::parse(HUBSPOT_PAGE),
        };
        let mut page = page.map_err(|error| {
            self.file.halt("SL4205", error.to_string(), "correct the address of the connection".to_owned())
        })?;
        let usual = match self.service {
            Service::Salesforce => SALESFORCE_SCOPES,
            Service::Hubspot => HUBSPOT_SCOPES,
        };
        let scopes = self.scopes.as_ref().map_or_else(|| usual.to_owned(), |scopes| scopes.join(" "));
        let challenge = pkce::challenge(&redirect.verifier);
        let mut pairs = vec![
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", &redirect.uri),
            ("scope", &scopes),
            ("state", &redirect.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if self.service == Service::Salesforce {
            pairs.push(("response_type", "code"));
        }
        // Blanks as `%20`: some readers of addresses take a plus for one.
        let encoded =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        page.set_query(Some(&query.join("&")));
        Ok(page)
    }

    /// Changes the code for tokens.
    async fn redeem(
        &self,
        transport: &Transport,
        around: &Around<'_>,
        code: &str,
        uri: &str,
        verifier: &str,
    ) -> Result<StoredLogin, Fault> {
        let address = match self.service {
            Service::Salesforce => self.url.join("/services/oauth2/token"),
            Service::Hubspot => tokens::token_url(&self.url),
        };
        let address = address.map_err(|error| self.refused(error.to_string()))?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &*self.client_id),
            ("redirect_uri", uri),
            ("code_verifier", verifier),
        ];
        form.extend(self.client_secret.as_deref().map(|secret| ("client_secret", secret)));
        // Once: a code is good for one use, and a new one is had by beginning again.
        let (status, body) =
            self.post(transport, around, &address, &form).await.map_err(|message| self.refused(message))?;
        match self.service {
            Service::Salesforce => self.salesforce(status, &body, around),
            Service::Hubspot => self.hubspot(status, &body, around),
        }
    }

    fn salesforce(&self, status: u16, body: &[u8], around: &Around<'_>) -> Result<StoredLogin, Fault> {
        if !(200..300).contains(&status) {
            return Err(match refusal(status, body) {
                Refusal::Passing(message) | Refusal::Audience(message) => self.refused(message),
                Refusal::Final { message, .. } | Refusal::Unclear { message, .. } => self.refused(message),
            });
        }
        // The decoder's own words could quote a token.
        let answer: wire::TokenAnswer =
            serde_json::from_slice(body).map_err(|_| self.refused("the answer is not a token".to_owned()))?;
        secrets::remember_session(&answer.access_token);
        let account = answer.org();
        let refresh_token = answer.refresh_token.ok_or_else(|| {
            self.refused("Salesforce gave no refresh token: the app lacks the scope `refresh_token`".to_owned())
        })?;
        let mut stored = self.stored(around, refresh_token, answer.access_token);
        (stored.account, stored.instance_url) = (account, answer.instance_url);
        Ok(stored)
    }

    fn hubspot(&self, status: u16, body: &[u8], around: &Around<'_>) -> Result<StoredLogin, Fault> {
        let answer = tokens::TokenAnswer::read(status, body).map_err(|asked| match asked {
            Asked::Passing(message) | Asked::GrantOver(message) | Asked::Final(message) => self.refused(message),
        })?;
        if let (Some(expected), Some(portal)) = (self.portal_id, answer.hub_id)
            && expected != portal
        {
            let message = format!("the login is one to portal {portal}, and `portal_id` says {expected}");
            let help = "nothing was stored; choose that portal on HubSpot's page, or correct `portal_id`";
            return Err(self.file.halt("SL3005", message, help.to_owned()));
        }
        let until = answer.until(around.clock.now());
        let account = answer.hub_id.map(|portal| portal.to_string());
        let refresh_token =
            answer.refresh_token.ok_or_else(|| self.refused("HubSpot gave no refresh token".to_owned()))?;
        let mut stored = self.stored(around, refresh_token, answer.access_token);
        (stored.account, stored.until) = (account, until);
        Ok(stored)
    }

    fn stored(&self, around: &Around<'_>, refresh_token: String, access_token: String) -> StoredLogin {
        StoredLogin::new(self.url.as_str(), &self.client_id, around.clock.now(), refresh_token, access_token)
    }

    async fn post(
        &self,
        transport: &Transport,
        around: &Around<'_>,
        address: &Url,
        form: &[(&'static str, &str)],
    ) -> Result<(u16, Bytes), String> {
        let answer = transport.post_form(address, form, around.cancel);
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|error| match error {
                TransportError::Cancelled => "interrupted".to_owned(),
                TransportError::Failed(message) => message,
            }),
            () = around.clock.sleep(ANSWER_WITHIN) => Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
        }
        .map(|(status, body)| (status, Bytes::from(without_secrets_of_refusal(status, body))))
    }

    /// Why the browser brought no code.
    fn no_code(&self, why: &NoCode) -> Fault {
        let (code, help) = match why {
            NoCode::Cancelled => return Fault::Cancelled,
            NoCode::Port { .. } => (
                "SL6030",
                "end the other program (another `syncline login`?), or write another `port` under `login` and list its address in the app",
            ),
            NoCode::NoRandomness => ("SL9002", "look at the system's source of randomness"),
            NoCode::State => (
                "SL4204",
                "nothing was stored; begin again, and use the address that is printed then, in one window only",
            ),
            NoCode::Denied => ("SL4204", "nothing was stored; begin again, and choose to allow it"),
            NoCode::Refused(_) => ("SL4204", "nothing was stored; look at the app's settings, and begin again"),
            NoCode::Late(_) => (
                "SL4204",
                "nothing was stored; begin again. Where the browser shows an error, the app does not know the address that it was asked to \
                 send you back to, or its scopes differ",
            ),
        };
        self.file.halt(code, why.to_string(), help.to_owned())
    }

    /// The service gave no tokens.
    fn refused(&self, message: String) -> Fault {
        let help = format!(
            "nothing was stored; check `client_id` and `client_secret`, and that the app lists `http://localhost:{}/callback`; then begin again",
            self.port
        );
        self.file.halt("SL4205", message, help)
    }
}

/// A refusal may quote what was sent; a token's own answer is read as it is.
fn without_secrets_of_refusal(status: u16, body: Bytes) -> Vec<u8> {
    if (200..300).contains(&status) { body.into() } else { without_secrets(&body).into_owned() }
}
