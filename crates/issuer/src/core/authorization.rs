//! An authorization request: how it arrives, and where its answer goes
//! (RFC 6749, section 4.1; `OpenID` Connect Core 1.0, section 3.1.2).
//!
//! A request is examined when it arrives and again at every page it leads to:
//! the person may take an hour, and the client may be another by then. Nothing
//! is stored for it before it is approved; the browser carries it, sealed.
//!
//! Whether an error may be sent to the client is decided by one thing: whether
//! the address to send it to is the client's. Until that is known, and whenever
//! it is not, the person is told, and the browser goes nowhere.

use std::fmt;

use countersign_jose::Timestamp;
use countersign_oauth::Secret;

use super::asked::{Asked, Prompt};
use super::redirect::{self, Destination};
use super::{AuthorizationParameters, Client, Core, Digest, Error, PushedRequest, Refusal, sealed};
use crate::storage::StorageError;

/// The longest request, in bytes, as a query.
const LONGEST: usize = 6 * 1_024;

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

/// A request as the browser carries it.
#[derive(Clone)]
pub(super) struct Begun {
    parameters: AuthorizationParameters,
    /// When it arrived: a sign-in counts as one for this request from then on.
    pub(super) asked_at: Timestamp,
    /// The pushed request that it came as.
    pub(super) pushed: Option<Digest>,
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
