//! Everything that can go wrong, one by one.
//!
//! Not responsible for: printing. `Display` is one line without its cause; the cause is `source()`,
//! what to do about it is [`Error::hints`].

mod endpoint;
mod hints;
mod peer;
mod redact;
mod refusal;

use std::time::Duration;

pub use endpoint::Endpoint;
pub use peer::PeerMisbehaved;
pub use refusal::Refusal;

use crate::authorization::NotOurs;
use crate::id_token::IdTokenError;
use crate::issuer::InvalidIssuer;
use crate::{ErrorCode, Secret, TransportError};

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The other side broke a rule of the protocol.
    Protocol,
    /// The other side said no, or not now, as the protocol allows.
    Refused,
    /// Something on this side: the network, the configuration, the clock.
    Local,
    /// The program that uses this crate called it wrongly.
    Misuse,
}

/// Why an exchange did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answer breaks a rule.
    #[error("the {endpoint} response is unusable")]
    PeerMisbehaved {
        /// Which part of the server.
        endpoint: Endpoint,
        /// Which rule.
        #[source]
        what: PeerMisbehaved,
    },
    /// The ID token does not prove what it should.
    #[error("the ID token is not acceptable")]
    IdToken(#[source] IdTokenError),
    /// The key set could not be used.
    #[error("the key set is unusable")]
    Keys(#[source] countersign_jose::Error),
    /// The server refused the request.
    #[error("{}", refused(.0))]
    Refused(#[source] Refusal),
    /// The person, or the server on their behalf, refused the sign-in (RFC 8628, section 3.5). A few
    /// servers say this also of a device code that they do not know.
    #[error("the sign-in was denied")]
    AccessDenied(#[source] Refusal),
    /// The device code ran out before the person approved (RFC 8628, section 3.5).
    #[error("the sign-in was not approved in time")]
    DeviceCodeExpired {
        /// What kept the flow from hearing of an approval, if anything did.
        #[source]
        last_problem: Option<Box<Error>>,
    },
    /// The server does not know the device code (any more).
    #[error("the server does not know this sign-in any more")]
    DeviceCodeUnknown(#[source] Refusal),
    /// The server does not accept the authorization code: it has expired, has been used, or belongs to
    /// another client, redirect URI or verifier (RFC 6749, section 5.2; RFC 7636, section 4.6).
    #[error("the server does not accept the code of this sign-in")]
    CodeRejected(#[source] Refusal),
    /// Text that should have been the answer to a sign-in is not; see [`CallbackError`](crate::CallbackError).
    #[error("this does not answer the sign-in")]
    NotOurs(#[source] NotOurs),
    /// The refresh token is not good any longer: the session is over, and only signing in helps.
    #[error("the session has ended")]
    RefreshRejected(#[source] Refusal),
    /// The server cannot answer now: 429, 5xx, or an error code that says so.
    #[error("the {endpoint} endpoint is unavailable (status {status})")]
    Unavailable {
        /// Which part of the server.
        endpoint: Endpoint,
        /// The status of the answer.
        status: u16,
        /// How long the server asked to be left alone.
        retry_after: Option<Duration>,
        /// What the server said, if it said anything.
        #[source]
        refusal: Option<Refusal>,
    },
    /// There was no answer.
    #[error("{} the {endpoint} endpoint", unanswered(.source))]
    Transport {
        /// Which part of the server.
        endpoint: Endpoint,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// There is no metadata at any of the well-known places.
    #[error("no metadata was found for the issuer {issuer}")]
    NoMetadata {
        /// The issuer as configured.
        issuer: String,
        /// The places that were tried.
        tried: Vec<String>,
    },
    /// The server's metadata does not name an endpoint that is needed.
    #[error("the authorization server names no {}", .0.metadata_name())]
    EndpointMissing(Endpoint),
    /// The configured issuer is not one.
    #[error("the issuer is invalid")]
    InvalidIssuer(#[from] InvalidIssuer),
    /// A configured endpoint is neither `https` nor, for a loopback issuer, `http` on loopback.
    #[error("the configured {name} is not https: {url}")]
    InsecureOverride {
        /// Which one.
        name: &'static str,
        /// Its value, without the query.
        url: String,
    },
    /// The redirect URI cannot be used (RFC 6749, section 3.1.2).
    #[error("the redirect URI {what}")]
    InvalidRedirectUri {
        /// What is wrong with it, to stand after its name.
        what: &'static str,
    },
    /// The client credentials grant is for clients that can prove who they are (RFC 6749, section 4.4).
    #[error("the client credentials grant needs a client that authenticates")]
    PublicClient,
    /// The server takes no DPoP proofs that this project can sign (RFC 9449, section 5.1).
    #[error("the server accepts no DPoP algorithm of this client; it offers {}", list(.offered))]
    DpopAlgorithm {
        /// What the server takes.
        offered: Vec<String>,
    },
    /// The crypto provider could not sign, or make a key or random values.
    #[error("this machine cannot sign, or cannot make random values")]
    Crypto(#[source] countersign_jose::Error),
    /// The calling program made a mistake.
    #[error("this program misused the protocol library")]
    Misuse(#[from] Misuse),
}

/// How a program called this crate wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// A machine was polled while the answer to its request is outstanding.
    #[error("polled before telling what became of the last request")]
    AnswerOutstanding,
    /// A machine was given an answer to a request it did not make.
    #[error("an answer to no request")]
    NothingSent,
    /// A machine was used after its end.
    #[error("the exchange is already finished")]
    Finished,
    /// An extra parameter has the name of one that this crate sets.
    #[error("the parameter `{0}` cannot be set as an extra parameter")]
    ReservedParameter(String),
    /// A code is redeemed at another server, or as another client, than it was asked for with.
    #[error("the code was asked for at another server, or as another client")]
    OtherRequest,
}

impl Error {
    pub(crate) fn peer(endpoint: Endpoint, what: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved { endpoint, what }
    }

    /// Takes out of the server's words whatever of ours it repeats. A server that quotes the refresh
    /// token it refuses shall not get it printed.
    pub(crate) fn redacted(mut self, secrets: &[Secret]) -> Self {
        match &mut self {
            Self::Refused(refusal)
            | Self::AccessDenied(refusal)
            | Self::DeviceCodeUnknown(refusal)
            | Self::CodeRejected(refusal)
            | Self::RefreshRejected(refusal)
            | Self::Unavailable {
                refusal: Some(refusal),
                ..
            } => refusal.redact(secrets),
            _ => {}
        }
        self
    }

    /// Who is at fault.
    pub fn origin(&self) -> Origin {
        match self {
            Self::PeerMisbehaved { .. }
            | Self::IdToken(_)
            | Self::Keys(_)
            | Self::NoMetadata { .. } => Origin::Protocol,
            Self::Refused(_)
            | Self::AccessDenied(_)
            | Self::DeviceCodeExpired { .. }
            | Self::DeviceCodeUnknown(_)
            | Self::CodeRejected(_)
            | Self::RefreshRejected(_)
            | Self::Unavailable { .. } => Origin::Refused,
            Self::Transport { .. }
            | Self::EndpointMissing(_)
            | Self::InvalidIssuer(_)
            | Self::InsecureOverride { .. }
            | Self::InvalidRedirectUri { .. }
            | Self::NotOurs(_)
            | Self::PublicClient
            | Self::DpopAlgorithm { .. }
            | Self::Crypto(_) => Origin::Local,
            Self::Misuse(_) => Origin::Misuse,
        }
    }

    /// A stable name for scripts and logs: the RFC's word where there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PeerMisbehaved { what, .. } => what.code(),
            Self::IdToken(error) => error.code(),
            Self::Keys(error) | Self::Crypto(error) => error.code(),
            Self::Refused(refusal) => match &refusal.code {
                Some(code) => code.known_name().unwrap_or("refused"),
                None => "refused_without_reason",
            },
            Self::AccessDenied(_) => "access_denied",
            Self::DeviceCodeExpired { .. } => "expired_token",
            Self::DeviceCodeUnknown(_) => "device_code_unknown",
            Self::CodeRejected(_) => "code_rejected",
            Self::NotOurs(reason) => reason.code(),
            Self::RefreshRejected(_) => "refresh_rejected",
            Self::Unavailable { .. } => "server_unavailable",
            Self::Transport { source, .. } => source.code(),
            Self::NoMetadata { .. } => "metadata_not_found",
            Self::EndpointMissing(_) => "endpoint_missing",
            Self::InvalidIssuer(_) => "invalid_issuer",
            Self::InsecureOverride { .. } => "insecure_endpoint",
            Self::InvalidRedirectUri { .. } => "invalid_redirect_uri",
            Self::PublicClient => "client_cannot_authenticate",
            Self::DpopAlgorithm { .. } => "dpop_algorithm_unsupported",
            Self::Misuse(_) => "misuse",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything. A refresh
    /// that fails like this has not ended the session.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Transport { source, .. } => source.is_retryable(),
            Self::PeerMisbehaved { what, .. } => what.is_passing(),
            _ => false,
        }
    }

    /// How long the server asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What the server said, if it was the server that refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal)
            | Self::AccessDenied(refusal)
            | Self::DeviceCodeUnknown(refusal)
            | Self::CodeRejected(refusal)
            | Self::RefreshRejected(refusal) => Some(refusal),
            Self::Unavailable { refusal, .. } => refusal.as_ref(),
            _ => None,
        }
    }

    /// Whether a newer key set of the same issuer could turn this into success.
    pub fn may_be_stale_keys(&self) -> bool {
        matches!(self, Self::IdToken(IdTokenError::Token(error)) if error.may_be_stale_keys())
    }

    /// What a person could do about it, one sentence each, the most likely first.
    pub fn hints(&self) -> Vec<String> {
        hints::of(self)
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

fn refused(refusal: &Refusal) -> String {
    match refusal.code {
        Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient) => {
            "the authorization server rejected this client".to_owned()
        }
        _ => format!(
            "the authorization server refused the {} request",
            refusal.endpoint
        ),
    }
}

fn unanswered(error: &TransportError) -> &'static str {
    match error {
        TransportError::Closed
        | TransportError::Malformed { .. }
        | TransportError::TooLarge
        | TransportError::Redirect { .. } => "no usable answer from",
        TransportError::Interrupted => "stopped while waiting for",
        _ => "cannot reach",
    }
}
