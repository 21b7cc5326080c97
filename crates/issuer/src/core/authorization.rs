//! An authorization request: what it has to be, and what it waits for
//! (RFC 6749, section 4.1.1; `OpenID` Connect Core 1.0, section 3.1.2).
//!
//! A request is examined when it arrives and again at every page it leads to:
//! the person may take an hour, and the client may be another by then. Nothing
//! is stored for it before it is approved; the browser carries it, sealed.
//!
//! Whether an error may be sent to the client is decided by one thing: whether
//! the address to send it to is the client's. Until that is known, and whenever
//! it is not, the person is told, and the browser goes nowhere.

use std::fmt;
use std::time::Duration;

use countersign_jose::{Timestamp, base64url};
use countersign_oauth::{ScopeSet, Secret, text};

use super::device::scopes_of_request;
use super::redirect::{self, Destination};
use super::{
    AuthorizationParameters, BrowserSession, Client, ClientAuthentication, Core, Digest, Error,
    GrantType, PushedRequest, Refusal, sealed,
};
use crate::storage::StorageError;

/// The longest request, in bytes, as a query.
const LONGEST: usize = 6 * 1_024;
/// The longest `state` and `nonce`, in bytes.
const LONGEST_VALUE: usize = 1_024;
/// The longest `login_hint` that is shown again, in characters.
const LONGEST_HINT: usize = 256;

const DOMAIN: &[u8] = b"countersign authorization request v1\0";

/// What a `request_uri` that we have made begins with (RFC 9126, section 2.2).
pub const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// Why a request cannot be answered to the client that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswerable {
    /// No client is named, or one that is not registered.
    #[error("client_id is missing, repeated, or names no client")]
    UnknownClient,
    /// No address is named, or one that is not the client's.
    #[error("redirect_uri is missing, repeated, or not registered for the client")]
    UnknownRedirectUri,
    /// The pushed request was used, is too old, or is another client's.
    #[error("request_uri names no pushed request of the client that could still be used")]
    UnknownPushedRequest,
    /// It is longer than any honest one.
    #[error("the request is too long")]
    TooLong,
    /// The account or the pushed request is gone since the page was shown.
    #[error("the request can no longer be approved")]
    Gone,
    /// The person took too long, or what the browser carried was altered.
    #[error("the request has expired")]
    Expired,
}

/// What keeps a request from being put before a person.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthorizationProblem {
    /// The person is told.
    Shown(Unanswerable),
    /// The client is told.
    Answered(AuthorizationResponse),
    /// We failed.
    Internal(Error),
}

impl From<Unanswerable> for AuthorizationProblem {
    fn from(problem: Unanswerable) -> Self {
        Self::Shown(problem)
    }
}

impl<E: Into<Error>> From<E> for AuthorizationProblem {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// Where a browser is sent with an answer (RFC 6749, section 4.1.2).
#[derive(Debug)]
pub struct AuthorizationResponse {
    /// The whole address. There may be a code in it.
    pub url: Secret,
    /// Where that is, for people.
    pub destination: Destination,
}

/// A request that can be put before a person.
pub struct AuthorizationRequest {
    pub(super) begun: Begun,
    pub(super) client: Client,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) asked: Asked,
}

impl AuthorizationRequest {
    /// The `client_id`.
    pub fn client_id(&self) -> &str {
        &self.client.id
    }

    /// The client's name for people.
    pub fn client_name(&self) -> &str {
        &self.client.name
    }

    /// What is asked for.
    pub fn scopes(&self) -> Vec<String> {
        self.asked.scopes.iter().map(str::to_owned).collect()
    }

    /// The resource servers that the tokens are asked for.
    pub fn audiences(&self) -> &[String] {
        &self.asked.audiences
    }

    /// Where the answer goes.
    pub fn destination(&self) -> Destination {
        redirect::destination(&self.redirect_uri)
    }

    /// Whether no page may be shown (`prompt=none`).
    pub fn is_silent(&self) -> bool {
        self.asked.prompt == Prompt::None
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client_id", &self.client.id)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// What a request waits for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Standing {
    /// Somebody has to sign in, or to do so again.
    SignIn,
    /// The person of this session has to decide.
    Consent,
    /// No page may be shown, and none is needed: see [`Core::consents`].
    Granted,
    /// It cannot be granted; the client is told.
    Answered(AuthorizationResponse),
}

/// A request as the browser carries it.
#[derive(Clone)]
pub(super) struct Begun {
    parameters: AuthorizationParameters,
    /// When it arrived: a sign-in counts as one for this request from then on.
    asked_at: Timestamp,
    /// The pushed request that it came as.
    pub(super) pushed: Option<Digest>,
}

/// What is asked for, once it is known that it may be asked.
pub(super) struct Asked {
    pub(super) code_challenge: Digest,
    pub(super) nonce: Option<String>,
    pub(super) scopes: ScopeSet,
    pub(super) audiences: Vec<String>,
    pub(super) dpop_jkt: Option<String>,
    prompt: Prompt,
    max_age: Option<Duration>,
    login_hint: Option<String>,
    /// The account that an `id_token_hint` is about.
    hinted_account: Option<String>,
}

/// How far `prompt` goes (`OpenID` Connect Core 1.0, section 3.1.2.1).
///
/// `consent` and `select_account` are not among these: the page that asks for
/// consent is always shown, with the account on it and a way to take another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prompt {
    None,
    Login,
    AsNeeded,
}

impl Core {
    /// Examines a request that has just arrived.
    pub fn begin_authorization(
        &self,
        parameters: AuthorizationParameters,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, AuthorizationProblem> {
        if parameters.encoded().len() > LONGEST {
            return Err(Unanswerable::TooLong.into());
        }
        let pushed = parameters
            .one("request_uri")
            .ok()
            .flatten()
            .filter(|uri| uri.starts_with(REQUEST_URI));
        let begun = match pushed {
            None => Begun {
                parameters,
                asked_at: now,
                pushed: None,
            },
            Some(uri) => {
                let request = self.pushed_request(uri, &parameters, now)?;
                // What stands beside the `request_uri` is not part of the
                // request (RFC 9126, section 4; RFC 9101, section 6.3).
                Begun {
                    parameters: AuthorizationParameters::parse(request.parameters.as_bytes()),
                    asked_at: now,
                    pushed: Some(request.uri),
                }
            }
        };
        self.examine(begun)
    }

    /// Examines a request again that a browser has carried from one page to
    /// the next.
    pub fn resume_authorization(
        &self,
        sealed: &str,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, AuthorizationProblem> {
        let opened = sealed::open(DOMAIN, sealed, self.keys().token_key(), self.provider);
        let begun = opened
            .and_then(|bytes| Begun::from_bytes(&bytes))
            .filter(|begun| now < begun.asked_at + self.lifetimes.authorization_request)
            .ok_or(Unanswerable::Expired)?;
        self.examine(begun)
    }

    /// The request as the browser is to carry it: base64url.
    pub fn seal_authorization(&self, request: &AuthorizationRequest) -> String {
        let value = request.begun.to_bytes();
        sealed::seal(DOMAIN, &value, self.keys().token_key(), self.provider)
    }

    /// What a request waits for, from the browser of `session`.
    pub fn authorization_standing(
        &self,
        request: &AuthorizationRequest,
        session: Option<&BrowserSession>,
        now: Timestamp,
    ) -> Result<Standing, Error> {
        let silent = request.is_silent();
        let Some(session) = session.filter(|session| request.accepts_sign_in_of(session, now))
        else {
            return Ok(if silent {
                Standing::Answered(self.refusal_of(request, Refusal::LoginRequired))
            } else {
                Standing::SignIn
            });
        };
        if !request.asks_for(session) {
            // Somebody else has signed in for this request than the one it is
            // about (OpenID Connect Core 1.0, section 3.1.2.1, `id_token_hint`).
            return Ok(if silent || request.was_signed_in_for(session) {
                Standing::Answered(self.refusal_of(request, Refusal::LoginRequired))
            } else {
                Standing::SignIn
            });
        }
        if !silent {
            return Ok(Standing::Consent);
        }
        Ok(if self.consents(request, session, now)? {
            Standing::Granted
        } else {
            Standing::Answered(self.refusal_of(request, Refusal::ConsentRequired))
        })
    }

    /// Whether the person has consented already to what is asked silently: as
    /// long as a login lasts that was approved for this client with all of it.
    ///
    /// Only for a client that can prove who it is, and that is answered at a
    /// site: any program on a machine can pass for another one there (RFC 8252,
    /// section 8.6).
    fn consents(
        &self,
        request: &AuthorizationRequest,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let client = &request.client;
        let known = client.authentication != ClientAuthentication::Public
            && matches!(request.destination(), Destination::Site { .. });
        if !known {
            return Ok(false);
        }
        let grants = self
            .store
            .read(|records| records.grants_of(&session.account.id, &client.id))?;
        let asked = &request.asked;
        Ok(grants.iter().any(|grant| {
            now < grant.expires_at
                && asked.scopes.is_subset(&grant.scopes)
                && asked
                    .audiences
                    .iter()
                    .all(|audience| grant.audiences.contains(audience))
        }))
    }

    /// The name to begin a sign-in with: the one of the account that the
    /// request is about, or whatever the client believes.
    pub fn expected_username(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<Option<String>, Error> {
        let account = match &request.asked.hinted_account {
            None => None,
            Some(id) => self.store.read(|records| records.account(id))?,
        };
        Ok(account
            .map(|account| account.username)
            .or_else(|| request.asked.login_hint.clone()))
    }

    /// The answer that refuses a request (RFC 6749, section 4.1.2.1).
    pub(super) fn refusal_of(
        &self,
        request: &AuthorizationRequest,
        refusal: Refusal,
    ) -> AuthorizationResponse {
        self.error_response(&request.redirect_uri, request.state.as_deref(), refusal)
    }

    fn pushed_request(
        &self,
        uri: &str,
        parameters: &AuthorizationParameters,
        now: Timestamp,
    ) -> Result<PushedRequest, AuthorizationProblem> {
        let client_id = parameters.one("client_id").ok().flatten();
        let digest = self.digest(uri);
        let request = self
            .store
            .read(|records| records.pushed_request(&digest))?
            .filter(|request| now < request.expires_at)
            .filter(|request| client_id == Some(request.client_id.as_str()));
        Ok(request.ok_or(Unanswerable::UnknownPushedRequest)?)
    }

    fn examine(&self, begun: Begun) -> Result<AuthorizationRequest, AuthorizationProblem> {
        let client = self
            .client_of(&begun.parameters)?
            .ok_or(Unanswerable::UnknownClient)?;
        let redirect_uri = client
            .redirect_uri_of(&begun.parameters)
            .map_err(|_| Unanswerable::UnknownRedirectUri)?
            .to_owned();
        let state = begun.parameters.state();
        let asked = state
            .clone()
            .and_then(|_| self.asked(&client, &begun.parameters, begun.pushed.is_some()));
        let state = state.ok().flatten();
        match asked {
            Ok(asked) => Ok(AuthorizationRequest {
                begun,
                client,
                redirect_uri,
                state,
                asked,
            }),
            Err(refusal) => {
                let response = self.error_response(&redirect_uri, state.as_deref(), refusal);
                Err(AuthorizationProblem::Answered(response))
            }
        }
    }

    /// Checks a request that a client pushes, as far as can be before there is
    /// a person; the key that its code is to be bound to, if it names one.
    pub(super) fn check_pushed(
        &self,
        client: &Client,
        parameters: &AuthorizationParameters,
    ) -> Result<Option<String>, Refusal> {
        if parameters.encoded().len() > LONGEST {
            return Err(Refusal::InvalidRequest("the request is too long"));
        }
        client.redirect_uri_of(parameters)?;
        parameters.state()?;
        Ok(self.asked(client, parameters, true)?.dpop_jkt)
    }

    fn client_of(
        &self,
        parameters: &AuthorizationParameters,
    ) -> Result<Option<Client>, StorageError> {
        match parameters.one("client_id") {
            Ok(Some(id)) => self.store.read(|records| records.client(id)),
            _ => Ok(None),
        }
    }

    /// What a client asks for, if it may: the rules for a request that comes
    /// through a browser and for one that is pushed.
    pub(super) fn asked(
        &self,
        client: &Client,
        parameters: &AuthorizationParameters,
        pushed: bool,
    ) -> Result<Asked, Refusal> {
        for (name, refusal) in [
            ("request", Refusal::RequestNotSupported),
            ("request_uri", Refusal::RequestUriNotSupported),
            ("registration", Refusal::RegistrationNotSupported),
        ] {
            if parameters.one(name)?.is_some() {
                return Err(refusal);
            }
        }
        client.may_use(GrantType::AuthorizationCode)?;
        if client.require_par && !pushed {
            return Err(Refusal::InvalidRequest(
                "this client has to push its authorization requests",
            ));
        }
        match parameters.one("response_type")? {
            Some("code") => {}
            Some(_) => return Err(Refusal::UnsupportedResponseType),
            None => return Err(Refusal::InvalidRequest("response_type is missing")),
        }
        if parameters
            .one("response_mode")?
            .is_some_and(|mode| mode != "query")
        {
            return Err(Refusal::InvalidRequest("response_mode can only be query"));
        }
        Ok(Asked {
            code_challenge: code_challenge(parameters)?,
            nonce: value(parameters, "nonce", "nonce is malformed or too long")?,
            scopes: scopes_of_request(parameters.one("scope")?, client)?,
            audiences: client
                .audiences_of_request(&parameters.all("resource"), &parameters.all("audience"))?,
            dpop_jkt: dpop_jkt(parameters)?,
            prompt: prompt(parameters)?,
            max_age: max_age(parameters)?,
            login_hint: parameters
                .one("login_hint")?
                .filter(|hint| hint.chars().count() <= LONGEST_HINT)
                .map(text::printable),
            hinted_account: match parameters.one("id_token_hint")? {
                None => None,
                Some(hint) => {
                    let hint = self
                        .read_id_token_hint(hint)
                        .ok_or(Refusal::InvalidRequest("id_token_hint is not one of ours"))?;
                    Some(hint.account_id)
                }
            },
        })
    }

    fn error_response(
        &self,
        redirect_uri: &str,
        state: Option<&str>,
        refusal: Refusal,
    ) -> AuthorizationResponse {
        let mut answer = vec![("error", refusal.code())];
        if let Some(description) = refusal.description() {
            answer.push(("error_description", description));
        }
        self.response(redirect_uri, state, answer)
    }

    /// An answer with what belongs to every one: `state`, and who gives it
    /// (RFC 9207, section 2).
    pub(super) fn response<'a>(
        &'a self,
        redirect_uri: &str,
        state: Option<&'a str>,
        mut answer: Vec<(&'a str, &'a str)>,
    ) -> AuthorizationResponse {
        if let Some(state) = state {
            answer.push(("state", state));
        }
        answer.push(("iss", self.issuer.as_str()));
        AuthorizationResponse {
            url: Secret::from(redirect::with_answer(redirect_uri, &answer)),
            destination: redirect::destination(redirect_uri),
        }
    }
}

impl Client {
    /// The address of a request, if it is the client's.
    pub(super) fn redirect_uri_of<'a>(
        &self,
        parameters: &'a AuthorizationParameters,
    ) -> Result<&'a str, Refusal> {
        parameters
            .one("redirect_uri")?
            .filter(|uri| {
                self.redirect_uris
                    .iter()
                    .any(|registered| redirect::matches(registered, uri))
            })
            .ok_or(Refusal::InvalidRequest(
                "redirect_uri is missing or not registered for this client",
            ))
    }
}

impl AuthorizationRequest {
    /// Whether a sign-in is recent enough. One that was made for this request
    /// always is, or whoever types slowly would be asked again and again.
    fn accepts_sign_in_of(&self, session: &BrowserSession, now: Timestamp) -> bool {
        let young = || match self.asked.max_age {
            None => true,
            // As `prompt=login` (OpenID Connect Core 1.0, section 3.1.2.1).
            Some(max_age) if max_age.is_zero() => false,
            Some(max_age) => now.since(session.authenticated_at) <= max_age,
        };
        self.was_signed_in_for(session) || (self.asked.prompt != Prompt::Login && young())
    }

    fn was_signed_in_for(&self, session: &BrowserSession) -> bool {
        session.authenticated_at >= self.begun.asked_at
    }

    /// Whether the request is about the account of `session`, or about any.
    fn asks_for(&self, session: &BrowserSession) -> bool {
        let hinted = self.asked.hinted_account.as_ref();
        hinted.is_none_or(|account_id| *account_id == session.account.id)
    }
}

impl AuthorizationParameters {
    /// The `state`, if it is one (RFC 6749, appendix A.5).
    fn state(&self) -> Result<Option<String>, Refusal> {
        value(self, "state", "state is malformed or too long")
    }
}

impl Begun {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.asked_at.as_millis().to_be_bytes().to_vec();
        match &self.pushed {
            None => bytes.push(0),
            Some(digest) => {
                bytes.push(1);
                bytes.extend_from_slice(digest);
            }
        }
        bytes.extend_from_slice(self.parameters.encoded().as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (asked_at, rest) = bytes.split_first_chunk::<8>()?;
        let (pushed, parameters) = match rest.split_first()? {
            (0, rest) => (None, rest),
            (_, rest) => {
                let (digest, rest) = rest.split_first_chunk::<32>()?;
                (Some(*digest), rest)
            }
        };
        Some(Self {
            parameters: AuthorizationParameters::parse(parameters),
            asked_at: Timestamp::from_millis(i64::from_be_bytes(*asked_at)),
            pushed,
        })
    }
}

/// A value that the client gets back as it was: visible ASCII and spaces.
fn value(
    parameters: &AuthorizationParameters,
    name: &str,
    malformed: &'static str,
) -> Result<Option<String>, Refusal> {
    let Some(value) = parameters.one(name)? else {
        return Ok(None);
    };
    let sound =
        value.len() <= LONGEST_VALUE && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if sound {
        Ok(Some(value.to_owned()))
    } else {
        Err(Refusal::InvalidRequest(malformed))
    }
}

/// The SHA-256 of the verifier (RFC 7636, section 4.3). `plain`, which is what
/// an absent method means, would show the verifier to whoever sees the request.
fn code_challenge(parameters: &AuthorizationParameters) -> Result<Digest, Refusal> {
    let Some(challenge) = parameters.one("code_challenge")? else {
        return Err(Refusal::InvalidRequest("code_challenge is missing"));
    };
    if parameters.one("code_challenge_method")? != Some("S256") {
        return Err(Refusal::InvalidRequest(
            "code_challenge_method has to be S256",
        ));
    }
    thumbprint(challenge).ok_or(Refusal::InvalidRequest("code_challenge is malformed"))
}

/// The key that alone may redeem the code (RFC 9449, section 10).
fn dpop_jkt(parameters: &AuthorizationParameters) -> Result<Option<String>, Refusal> {
    let Some(jkt) = parameters.one("dpop_jkt")? else {
        return Ok(None);
    };
    thumbprint(jkt).ok_or(Refusal::InvalidRequest("dpop_jkt is malformed"))?;
    Ok(Some(jkt.to_owned()))
}

/// A SHA-256 in base64url.
fn thumbprint(encoded: &str) -> Option<Digest> {
    base64url::decode(encoded).ok()?.try_into().ok()
}

fn prompt(parameters: &AuthorizationParameters) -> Result<Prompt, Refusal> {
    let values: Vec<&str> = parameters
        .one("prompt")?
        .unwrap_or_default()
        .split_ascii_whitespace()
        .collect();
    let known = ["none", "login", "consent", "select_account"];
    if !values.iter().all(|value| known.contains(value)) {
        return Err(Refusal::InvalidRequest("prompt has an unknown value"));
    }
    match values.as_slice() {
        ["none"] => Ok(Prompt::None),
        values if values.contains(&"none") => Err(Refusal::InvalidRequest(
            "prompt has none and something else",
        )),
        values if values.contains(&"login") => Ok(Prompt::Login),
        _ => Ok(Prompt::AsNeeded),
    }
}

fn max_age(parameters: &AuthorizationParameters) -> Result<Option<Duration>, Refusal> {
    let Some(max_age) = parameters.one("max_age")? else {
        return Ok(None);
    };
    let digits = max_age.bytes().all(|byte| byte.is_ascii_digit());
    max_age
        .parse::<u32>()
        .ok()
        .filter(|_| digits)
        .map(|seconds| Some(Duration::from_secs(seconds.into())))
        .ok_or(Refusal::InvalidRequest(
            "max_age is not a number of seconds",
        ))
}
