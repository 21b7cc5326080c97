//! Why a request is refused, and what the caller is told.
//!
//! Two audiences: the API's own operator reads `Display`, `code` and the source
//! chain; the caller reads the status and the `WWW-Authenticate` header. Only
//! fixed sentences and the API's own configuration reach the caller, never a
//! word of the token.

use std::sync::Arc;
use std::time::Duration;

use countersign_jose as jose;
use countersign_oauth::challenge::BearerChallenge;
use countersign_oauth::{ErrorCode, ScopeSet};
use http::header::{CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::Error;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No bearer token in the `Authorization` header.
    #[error("the request carries no bearer token")]
    NoCredentials,

    /// More than one `Authorization` header, or a token in the query as well
    /// (RFC 6750, section 2).
    #[error("the request carries more than one credential")]
    SeveralCredentials,

    /// The `Authorization` header is not `Bearer <b64token>` (RFC 6750,
    /// section 2.1).
    #[error("the authorization header is malformed")]
    MalformedCredentials,

    /// Not a JWT, or one that uses what we refuse: another algorithm, `crit`,
    /// duplicate members, too long.
    #[error("the token is malformed")]
    MalformedToken(#[source] jose::Error),

    /// `typ` is not `at+jwt` (RFC 9068, section 4): an ID token, for example.
    #[error("the token's type is {found:?}, not at+jwt")]
    WrongType {
        /// What it says instead.
        found: String,
    },

    /// `iss` is not the configured issuer.
    #[error("the token is from the issuer {found:?}, not {expected:?}")]
    WrongIssuer {
        /// The configured issuer.
        expected: String,
        /// What the token says; not verified.
        found: String,
    },

    /// None of the issuer's keys is the one that the token names.
    #[error("the token is signed by a key that the issuer does not publish")]
    UnknownKey,

    /// There are no keys to verify the token with, because they could not be
    /// fetched. It is neither good nor bad.
    #[error("there are no keys to verify the token with")]
    KeysUnavailable {
        /// When it makes sense to try again.
        retry_after: Duration,
        /// Why the last fetch failed.
        #[source]
        cause: Option<Arc<Error>>,
    },

    /// The key that the token names cannot verify it: it is for another
    /// algorithm (RFC 8725, section 3.1), unusable, or one of too many.
    #[error("the key that the token names cannot verify it")]
    UnfitKey(#[source] jose::Error),

    /// The signature is not the issuer's.
    #[error("the token's signature is not valid")]
    BadSignature,

    /// A claim that RFC 9068, section 2.2 requires is missing.
    #[error("the token has no {0} claim")]
    MissingClaim(&'static str),

    /// A claim is not of its type.
    #[error("the token's {0} claim is malformed")]
    MalformedClaim(&'static str),

    /// `aud` does not name this API.
    #[error("the token is for {found:?}, not for {expected:?}")]
    WrongAudience {
        /// The configured audiences.
        expected: Vec<String>,
        /// Whom the token is for.
        found: Vec<String>,
    },

    /// `exp` has passed.
    #[error("the token expired {ago:?} ago")]
    Expired {
        /// How long ago; the leeway is not subtracted.
        ago: Duration,
    },

    /// `nbf` has not come yet.
    #[error("the token is not valid before {ahead:?} from now")]
    NotYetValid {
        /// How far ahead it is.
        ahead: Duration,
    },

    /// `iat` has not come yet: one of the two clocks is wrong.
    #[error("the token was issued {ahead:?} in the future")]
    IssuedInFuture {
        /// How far ahead it is.
        ahead: Duration,
    },

    /// The token is bound to a key (`cnf`, RFC 7800) and came as a plain bearer
    /// token, without proof of that key. It may be stolen.
    #[error("the token is bound to a key and came without proof of it")]
    SenderConstrained,

    /// The token is good but does not reach far enough.
    #[error("the token lacks the scope {missing}")]
    InsufficientScope {
        /// The scope that the API asks for.
        required: ScopeSet,
        /// What of it the token lacks.
        missing: ScopeSet,
    },
}

impl Rejection {
    /// What an error of the signature layer says about a token.
    pub(crate) fn of_token(error: jose::Error) -> Self {
        match error {
            jose::Error::BadSignature => Self::BadSignature,
            jose::Error::UnknownKey { .. } => Self::UnknownKey,
            jose::Error::AlgorithmMismatch { .. }
            | jose::Error::AmbiguousKey { .. }
            | jose::Error::Key(_) => Self::UnfitKey(error),
            // `iss` is the one claim that is looked at before the signature.
            jose::Error::ClaimMissing { .. } => Self::MissingClaim("iss"),
            jose::Error::ClaimType { .. } => Self::MalformedClaim("iss"),
            other => Self::MalformedToken(other),
        }
    }

    /// A stable name for this rejection, for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::SeveralCredentials => "several_credentials",
            Self::MalformedCredentials => "malformed_credentials",
            Self::MalformedToken(_) => "malformed_token",
            Self::WrongType { .. } => "wrong_type",
            Self::WrongIssuer { .. } => "wrong_issuer",
            Self::UnknownKey => "unknown_key",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::UnfitKey(_) => "unfit_key",
            Self::BadSignature => "bad_signature",
            Self::MissingClaim(_) => "missing_claim",
            Self::MalformedClaim(_) => "malformed_claim",
            Self::WrongAudience { .. } => "wrong_audience",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::IssuedInFuture { .. } => "issued_in_future",
            Self::SenderConstrained => "sender_constrained",
            Self::InsufficientScope { .. } => "insufficient_scope",
        }
    }

    /// The status of the answer (RFC 6750, section 3.1).
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SeveralCredentials | Self::MalformedCredentials => StatusCode::BAD_REQUEST,
            Self::InsufficientScope { .. } => StatusCode::FORBIDDEN,
            // The token may well be good, so neither 401, after which a client
            // would log in again, nor anything that lets it in.
            Self::KeysUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// What the caller is told, as a sentence for the client's developer.
    /// Nothing, when no credentials were sent (RFC 6750, section 3.1).
    fn told(&self) -> Option<(ErrorCode, &'static str)> {
        use ErrorCode::{InsufficientScope, InvalidRequest, InvalidToken};
        Some(match self {
            Self::NoCredentials | Self::KeysUnavailable { .. } => return None,
            Self::SeveralCredentials => (InvalidRequest, "more than one credential was sent"),
            Self::MalformedCredentials => (InvalidRequest, "the authorization header is malformed"),
            Self::MalformedToken(_) => (InvalidToken, "the token is malformed"),
            Self::WrongType { .. } => (InvalidToken, "the token is not an access token"),
            Self::WrongIssuer { .. } => (InvalidToken, "the token is from another issuer"),
            Self::UnknownKey => (InvalidToken, "the token is signed by an unknown key"),
            Self::UnfitKey(_) => (InvalidToken, "the key does not fit the token"),
            Self::BadSignature => (InvalidToken, "the signature is not valid"),
            Self::MissingClaim(_) => (InvalidToken, "a required claim is missing"),
            Self::MalformedClaim(_) => (InvalidToken, "a claim is malformed"),
            Self::WrongAudience { .. } => (InvalidToken, "the token is not for this API"),
            Self::Expired { .. } => (InvalidToken, "the token has expired"),
            Self::NotYetValid { .. } => (InvalidToken, "the token is not valid yet"),
            Self::IssuedInFuture { .. } => (InvalidToken, "the token was issued in the future"),
            Self::SenderConstrained => (InvalidToken, "the token needs proof of possession"),
            Self::InsufficientScope { .. } => (InsufficientScope, "the token lacks a scope"),
        })
    }

    /// The value of the `WWW-Authenticate` header (RFC 6750, section 3), or
    /// none when credentials are not what is wrong.
    pub fn challenge(&self) -> Option<String> {
        if matches!(self, Self::KeysUnavailable { .. }) {
            return None;
        }
        let mut challenge = BearerChallenge::default();
        if let Some((error, description)) = self.told() {
            challenge.error = Some(error);
            challenge.error_description = Some(description.to_owned());
        }
        if let Self::InsufficientScope { required, .. } = self {
            challenge.scope = Some(required.clone());
        }
        Some(challenge.header_value())
    }

    /// The whole answer: status, challenge, an empty body, and nothing that a
    /// cache would keep.
    pub fn response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        if let Some(challenge) = self.challenge().and_then(|text| text.try_into().ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Self::KeysUnavailable { retry_after, .. } = self {
            let rounded_up = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, rounded_up.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Rejection> {
        let scope = |text| ScopeSet::parse(text).unwrap();
        vec![
            Rejection::NoCredentials,
            Rejection::SeveralCredentials,
            Rejection::MalformedCredentials,
            Rejection::MalformedToken(jose::Error::NotCompact),
            Rejection::WrongType {
                found: String::new(),
            },
            Rejection::WrongIssuer {
                expected: String::new(),
                found: String::new(),
            },
            Rejection::UnknownKey,
            Rejection::KeysUnavailable {
                retry_after: Duration::from_millis(1),
                cause: None,
            },
            Rejection::UnfitKey(jose::Error::AmbiguousKey { candidates: 5 }),
            Rejection::BadSignature,
            Rejection::MissingClaim("sub"),
            Rejection::MalformedClaim("sub"),
            Rejection::WrongAudience {
                expected: vec![],
                found: vec![],
            },
            Rejection::Expired {
                ago: Duration::from_secs(61),
            },
            Rejection::NotYetValid {
                ahead: Duration::from_secs(61),
            },
            Rejection::IssuedInFuture {
                ahead: Duration::from_secs(61),
            },
            Rejection::SenderConstrained,
            Rejection::InsufficientScope {
                required: scope("a b"),
                missing: scope("b"),
            },
        ]
    }

    /// RFC 6750, section 3.1.
    #[test]
    fn the_status_belongs_to_the_error_that_is_told() {
        for rejection in all() {
            let code = rejection.code();
            let challenge = rejection
                .challenge()
                .map(|text| BearerChallenge::find([&*text]).expect(code));
            let status = rejection.status();
            match challenge {
                None => assert_eq!(
                    (code, status),
                    ("keys_unavailable", StatusCode::SERVICE_UNAVAILABLE)
                ),
                Some(BearerChallenge { error: None, .. }) => {
                    assert_eq!((code, status), ("no_credentials", StatusCode::UNAUTHORIZED));
                }
                Some(BearerChallenge {
                    error: Some(error),
                    error_description,
                    ..
                }) => {
                    let expected = match error {
                        ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
                        ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
                        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
                        other => panic!("{other:?} is none of RFC 6750"),
                    };
                    assert_eq!(status, expected, "{code}");
                    assert!(error_description.is_some(), "{code}");
                }
            }
        }
    }

    #[test]
    fn every_rejection_has_a_code_and_a_line_of_its_own() {
        let mut codes: Vec<_> = all().iter().map(Rejection::code).collect();
        let mut lines: Vec<_> = all().iter().map(ToString::to_string).collect();
        assert!(lines.iter().all(|line| !line.contains('\n')));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!((codes.len(), lines.len()), (count, count));
    }
}
