//! A person's login in a browser, by authorization code with a proof key, and its end.

use std::borrow::Cow;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, AuthUrl, AuthorizationCode, ClientId, CsrfToken, ErrorResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, Scope,
};
use url::Url;

use super::http::client::Transport;
use super::http::login_file::{LoginFile, StoredLogin};
use super::http::oauth::{Answer, Endpoint, Members, NoToken, app};
use super::http::redirect::{NoCode, Redirect};
use super::hubspot::tokens;
use super::salesforce::oauth::refusal;
use super::salesforce::wire::TokenAnswer;
use crate::config::address::{is_loopback, is_trustworthy};
use crate::ports::fault::Fault;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::network::Network;
use crate::sys::secrets;

/// Where HubSpot's page is, whose API has another host.
const HUBSPOT_PAGE: &str = "https://app.hubspot.com/oauth/authorize";

/// Scopes that are asked for unless others are named.
const SALESFORCE_SCOPES: &str = "api refresh_token";
const HUBSPOT_SCOPES: &str = "oauth crm.objects.custom.read crm.objects.custom.write crm.schemas.custom.read \
                              crm.objects.companies.read crm.objects.companies.write crm.objects.owners.read";

/// Random bytes of a state: as many as of a verifier.
const STATE_BYTES: u32 = 32;

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

impl<'a> Around<'a> {
    fn endpoint(&self, transport: &'a Transport) -> Endpoint<'a> {
        Endpoint::new(transport, self.clock, self.cancel, ANSWER_WITHIN)
    }
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
        let uri = RedirectUrl::new(redirect.uri.clone()).map_err(|error| self.refused(error.to_string()))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        secrets::remember_session(verifier.secret());
        let (page, state) = self.page(&uri, challenge)?;
        show(&page);
        let code = redirect.code(&state, within, around.clock, around.cancel).await;
        let code = code.map_err(|why| self.no_code(&why))?;
        let stored = self.redeem(&transport, around, (code, verifier), &uri).await?;
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
            // By hand: the crate revokes over https only, and a sandbox is a loopback address.
            Ok(address) => match around.endpoint(&transport).post_form(&address, &form).await {
                Ok((200..300, _)) => Ok(()),
                Ok((status, _)) => Err(format!("HTTP status {status}")),
                Err(error) => Err(error.to_string()),
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

    /// The page on which the person decides, and the state that comes back from it.
    fn page(&self, uri: &RedirectUrl, challenge: PkceCodeChallenge) -> Result<(Url, CsrfToken), Fault> {
        let page = match self.service {
            Service::Salesforce => self.url.join("/services/oauth2/authorize"),
            // A sandbox has page and API at one address.
            Service::Hubspot if is_loopback(&self.url) => self.url.join("/oauth/authorize"),
            Service::Hubspot => Url::parse(HUBSPOT_PAGE),
        };
        let page = page.map_err(|error| {
            self.file.halt("SL4205", error.to_string(), "correct the address of the connection".to_owned())
        })?;
        let usual = match self.service {
            Service::Salesforce => SALESFORCE_SCOPES,
            Service::Hubspot => HUBSPOT_SCOPES,
        };
        let usual = || usual.split(' ').map(str::to_owned).collect();
        let scopes: Vec<String> = self.scopes.clone().unwrap_or_else(usual);
        let app = BasicClient::new(ClientId::new(self.client_id.clone())).set_auth_uri(AuthUrl::from_url(page));
        let (mut page, state) = app
            .authorize_url(|| CsrfToken::new_random_len(STATE_BYTES))
            .set_redirect_uri(Cow::Borrowed(uri))
            .add_scopes(scopes.into_iter().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        // Blanks as `%20`: some readers of addresses take a plus for one.
        let query = page.query().map(|query| query.replace('+', "%20"));
        page.set_query(query.as_deref());
        Ok((page, state))
    }

    /// Changes the code for tokens.
    async fn redeem(
        &self,
        transport: &Transport,
        around: &Around<'_>,
        code: (AuthorizationCode, PkceCodeVerifier),
        uri: &RedirectUrl,
    ) -> Result<StoredLogin, Fault> {
        let address = match self.service {
            Service::Salesforce => self.url.join("/services/oauth2/token"),
            Service::Hubspot => tokens::token_url(&self.url),
        };
        let address = address.map_err(|error| self.refused(error.to_string()))?;
        let endpoint = around.endpoint(transport);
        match self.service {
            Service::Salesforce => {
                let came = self.exchange(&endpoint, address, code, uri).await;
                self.salesforce(came.map_err(|no_token| self.refused(refusal(no_token).into_message()))?, around)
            }
            Service::Hubspot => {
                let came = self.exchange(&endpoint, address, code, uri).await;
                self.hubspot(came.map_err(|no_token| self.refused(tokens::asked(no_token).into_message()))?, around)
            }
        }
    }

    /// Once: a code is good for one use, and a new one is had by beginning again.
    async fn exchange<E: ErrorResponse + 'static, M: Members>(
        &self,
        endpoint: &Endpoint<'_>,
        address: Url,
        (code, verifier): (AuthorizationCode, PkceCodeVerifier),
        uri: &RedirectUrl,
    ) -> Result<Answer<M>, NoToken<E>> {
        let app = app(&self.client_id, self.client_secret.as_deref(), address);
        let request = app.exchange_code(code).set_pkce_verifier(verifier).set_redirect_uri(Cow::Borrowed(uri));
        endpoint.told(request.request_async(endpoint).await)
    }

    fn salesforce(&self, answer: TokenAnswer, around: &Around<'_>) -> Result<StoredLogin, Fault> {
        let refresh_token = answer.refresh_token.ok_or_else(|| {
            self.refused("Salesforce gave no refresh token: the app lacks the scope `refresh_token`".to_owned())
        })?;
        let mut stored = self.stored(around, refresh_token, answer.access_token);
        (stored.account, stored.instance_url) = (answer.more.org(), answer.more.instance_url);
        Ok(stored)
    }

    fn hubspot(&self, answer: tokens::TokenAnswer, around: &Around<'_>) -> Result<StoredLogin, Fault> {
        let portal = answer.more.hub_id;
        if let (Some(expected), Some(portal)) = (self.portal_id, portal)
            && expected != portal
        {
            let message = format!("the login is one to portal {portal}, and `portal_id` says {expected}");
            let help = "nothing was stored; choose that portal on HubSpot's page, or correct `portal_id`";
            return Err(self.file.halt("SL3005", message, help.to_owned()));
        }
        let until = tokens::until(&answer, around.clock.now());
        let refresh_token =
            answer.refresh_token.ok_or_else(|| self.refused("HubSpot gave no refresh token".to_owned()))?;
        let mut stored = self.stored(around, refresh_token, answer.access_token);
        (stored.account, stored.until) = (portal.map(|portal| portal.to_string()), until);
        Ok(stored)
    }

    fn stored(&self, around: &Around<'_>, refresh_token: RefreshToken, access_token: AccessToken) -> StoredLogin {
        let (refresh_token, access_token) = (refresh_token.into_secret(), access_token.into_secret());
        StoredLogin::new(self.url.as_str(), &self.client_id, around.clock.now(), refresh_token, access_token)
    }

    /// Why the browser brought no code.
    fn no_code(&self, why: &NoCode) -> Fault {
        let (code, help) = match why {
            NoCode::Cancelled => return Fault::Cancelled,
            NoCode::Port { .. } => (
                "SL6030",
                "end the other program (another `syncline login`?), or write another `port` under `login` and list its address in the app",
            ),
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
