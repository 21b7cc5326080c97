//! What a client is told when it does not get what it asked for.

use std::time::Duration;

use super::Error;

/// A refusal in the words of RFC 6749 (sections 4.1.2.1 and 5.2), RFC 8628
/// (section 3.5), RFC 8707 (section 2), RFC 9449 (sections 5 and 8), RFC 9470
/// (section 5) and `OpenID` Connect Core 1.0 (section 3.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request is malformed; the text says where.
    InvalidRequest(&'static str),
    /// The client is unknown or did not prove who it is.
    InvalidClient,
    /// The client signed an assertion that is not good; the text says why.
    InvalidAssertion(&'static str),
    /// The code or refresh token is not good (any more); the text says why.
    InvalidGrant(&'static str),
    /// The client may not use this grant type.
    UnauthorizedClient,
    /// Nobody here knows this grant type.
    UnsupportedGrantType,
    /// Nobody here knows this response type.
    UnsupportedResponseType,
    /// The request came as an object.
    RequestNotSupported,
    /// The request is to be fetched from somewhere.
    RequestUriNotSupported,
    /// The client describes itself in the request.
    RegistrationNotSupported,
    /// Somebody has to sign in, and no page may be shown.
    LoginRequired,
    /// The person has to decide, and no page may be shown.
    ConsentRequired,
    /// Nobody can sign in as the request asks, or this person cannot.
    UnmetAuthenticationRequirements,
    /// A scope was asked for that was not granted or is malformed.
    InvalidScope,
    /// The `DPoP` proof is not good, or missing; the text says why.
    InvalidDpopProof(&'static str),
    /// The `DPoP` proof has to be made again, with a nonce of ours.
    UseDpopNonce,
    /// A resource was asked for that the client may not have.
    InvalidTarget,
    /// Nobody has decided yet.
    AuthorizationPending,
    /// Nobody has decided yet, and the poll came too early.
    SlowDown,
    /// The person said no, or may no longer sign in.
    AccessDenied,
    /// The device code is too old.
    ExpiredToken,
    /// Too much was asked for lately.
    Busy {
        /// How long to wait.
        retry_after: Duration,
    },
}

impl Refusal {
    /// The `error` on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient | Self::InvalidAssertion(_) => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidDpopProof(_) => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::InvalidTarget => "invalid_target",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::Busy { .. } => "temporarily_unavailable",
        }
    }

    /// The `error_description`, for whoever writes the client; `None` where
    /// the code says all there is.
    pub fn description(self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest(what)
            | Self::InvalidAssertion(what)
            | Self::InvalidDpopProof(what)
            | Self::InvalidGrant(what) => Some(what),
            Self::InvalidClient => Some("unknown client, or its authentication failed"),
            Self::UnauthorizedClient => Some("this client may not use this grant type"),
            Self::UnsupportedGrantType => Some("this server does not know this grant type"),
            Self::UnsupportedResponseType => Some("the only response_type here is code"),
            Self::RequestNotSupported => Some("request objects are not supported"),
            Self::RequestUriNotSupported => {
                Some("a request_uri can only name a request that was pushed here")
            }
            Self::RegistrationNotSupported => Some("clients are registered beforehand"),
            Self::LoginRequired => Some("nobody suitable is signed in"),
            Self::ConsentRequired => Some("the person has to be asked"),
            Self::UnmetAuthenticationRequirements => {
                Some("the person cannot sign in by a class that was asked for")
            }
            Self::InvalidScope => Some("a scope is malformed or was not granted"),
            Self::UseDpopNonce => {
                Some("the DPoP proof needs the nonce that comes with this answer")
            }
            Self::InvalidTarget => Some("a resource is malformed or not open to this client"),
            Self::AuthorizationPending | Self::SlowDown => None,
            Self::AccessDenied => Some("the request was denied"),
            Self::ExpiredToken => Some("the device code has expired"),
            Self::Busy { .. } => Some("too many requests, try again later"),
        }
    }
}

/// Why a client got nothing: it was refused, or we failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The client is told why.
    Refused(Refusal),
    /// The client is told to try again; the operator is told why.
    Internal(Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}
