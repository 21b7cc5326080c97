//! What comes back from the browser (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).
//!
//! Anything on the machine, and any page in the browser, can send a request to a listener on loopback;
//! what does not hold our `state` is nobody's answer, and must not end the sign-in.

use countersign_jose::constant_time_eq;

use super::PendingAuthorization;
use crate::error::{Endpoint, Refusal};
use crate::text::printable;
use crate::{Error, ErrorCode, PeerMisbehaved, Secret};

/// The most bytes of an answer that are read, with its parameters still encoded.
pub const MAX_CALLBACK: usize = 16 * 1024;

/// An authorization code, ready for [`CodeFlow`](super::CodeFlow).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode(pub(super) Secret);

/// Why what came back is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// It is not the answer to this request: go on waiting, or ask again.
    #[error("this does not answer the sign-in")]
    NotOurs(#[source] NotOurs),
    /// The server, or the person there, refused: the sign-in is over.
    #[error("{}", denied(.0))]
    Refused(#[source] Refusal),
    /// The answer has our `state` and breaks a rule: the sign-in is over.
    #[error("the authorization response is unusable")]
    PeerMisbehaved(#[source] PeerMisbehaved),
}

/// Why something is not the answer to this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOurs {
    /// Longer than [`MAX_CALLBACK`].
    #[error("it is longer than {MAX_CALLBACK} bytes")]
    TooLong,
    /// A parameter is there twice (RFC 6749, section 3.1): two readers could see two values.
    #[error("it names a parameter twice")]
    DuplicateParameter,
    /// There is no `state`.
    #[error("it has no `state`")]
    StateMissing,
    /// `state` is not the one that was sent (RFC 6749, section 10.12).
    #[error("its `state` belongs to another sign-in")]
    OtherState,
    /// Neither `code` nor `error`.
    #[error("it has neither a code nor an error")]
    NoAnswer,
    /// A pasted address that is not the redirect URI.
    #[error("it is not the address that the browser was to come back to")]
    OtherAddress,
    /// A pasted text that is no code.
    #[error("it is no code")]
    NotACode,
}

impl NotOurs {
    /// A stable name for scripts and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "callback_too_long",
            Self::DuplicateParameter => "callback_duplicate_parameter",
            Self::StateMissing => "callback_state_missing",
            Self::OtherState => "callback_other_state",
            Self::NoAnswer => "callback_without_answer",
            Self::OtherAddress => "callback_other_address",
            Self::NotACode => "callback_not_a_code",
        }
    }

    /// What a person could do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::OtherState | Self::StateMissing => {
                "use the page of this sign-in; an older one, or another program's, does not count"
            }
            Self::OtherAddress => {
                "copy the address from the browser after signing in, not the one to sign in at"
            }
            _ => "copy the code, or the whole address from the browser after signing in",
        }
    }
}

impl CallbackError {
    /// A stable name for scripts and logs: the RFC's word where there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOurs(reason) => reason.code(),
            Self::Refused(refusal) => match &refusal.code {
                Some(code) => code.known_name().unwrap_or("refused"),
                None => "refused_without_reason",
            },
            Self::PeerMisbehaved(what) => what.code(),
        }
    }

    /// Whether to go on waiting, because the answer may still come.
    pub fn is_stray(&self) -> bool {
        matches!(self, Self::NotOurs(_))
    }
}

impl From<CallbackError> for Error {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::NotOurs(reason) => Self::NotOurs(reason),
            CallbackError::Refused(refusal) if is_denial(&refusal) => Self::AccessDenied(refusal),
            CallbackError::Refused(refusal) => match trouble(&refusal) {
                Some(status) => Self::Unavailable {
                    endpoint: Endpoint::Authorization,
                    status,
                    retry_after: None,
                    refusal: Some(refusal),
                },
                None => Self::Refused(refusal),
            },
            CallbackError::PeerMisbehaved(what) => Self::peer(Endpoint::Authorization, what),
        }
    }
}

fn is_denial(refusal: &Refusal) -> bool {
    refusal.code == Some(ErrorCode::AccessDenied)
}

/// The status in whose place an error was sent, because a redirect has none to say that the server is
/// in trouble (RFC 6749, section 4.1.2.1).
fn trouble(refusal: &Refusal) -> Option<u16> {
    match refusal.code {
        Some(ErrorCode::ServerError) => Some(500),
        Some(ErrorCode::TemporarilyUnavailable) => Some(503),
        _ => None,
    }
}

fn denied(refusal: &Refusal) -> &'static str {
    if is_denial(refusal) {
        "the sign-in was denied"
    } else {
        "the authorization server refused the authorization request"
    }
}

impl From<NotOurs> for CallbackError {
    fn from(reason: NotOurs) -> Self {
        Self::NotOurs(reason)
    }
}

/// The parameters of an authorization response that mean anything, decoded.
#[derive(Default)]
struct Parameters {
    state: Option<Secret>,
    iss: Option<String>,
    code: Option<Secret>,
    error: Option<String>,
    error_description: Option<String>,
    error_uri: Option<String>,
}

impl Parameters {
    fn parse(text: &str) -> Result<Self, NotOurs> {
        if text.len() > MAX_CALLBACK {
            return Err(NotOurs::TooLong);
        }
        let mut parameters = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let value = value.into_owned();
            let before = match &*name {
                "state" => parameters.state.replace(Secret::new(value)).is_some(),
                "code" => parameters.code.replace(Secret::new(value)).is_some(),
                "iss" => parameters.iss.replace(value).is_some(),
                "error" => parameters.error.replace(value).is_some(),
                "error_description" => parameters.error_description.replace(value).is_some(),
                "error_uri" => parameters.error_uri.replace(value).is_some(),
                // RFC 6749, section 4.1.2: what is unknown is ignored.
                _ => false,
            };
            if before {
                return Err(NotOurs::DuplicateParameter);
            }
        }
        Ok(parameters)
    }
}

/// Reads the parameters that came to the redirect URI of `pending`.
pub(super) fn read(
    pending: &PendingAuthorization,
    text: &str,
) -> Result<AuthorizationCode, CallbackError> {
    let parameters = Parameters::parse(text)?;
    let state = parameters.state.ok_or(NotOurs::StateMissing)?;
    // In constant time: whoever guesses learns nothing from the refusals.
    if state != pending.state {
        return Err(NotOurs::OtherState.into());
    }
    // An answer with both is a refusal: a code beside an error is nobody's promise.
    if let Some(error) = parameters.error {
        let mut refusal = Refusal {
            endpoint: Endpoint::Authorization,
            status: 302,
            code: Some(ErrorCode::from_name(&error)),
            description: parameters.error_description.as_deref().and_then(fit),
            uri: parameters.error_uri.as_deref().and_then(fit),
            unverified: !is_from(pending, parameters.iss.as_deref())?,
        };
        refusal.redact(&[pending.state.clone(), pending.nonce.clone()]);
        return Err(CallbackError::Refused(refusal));
    }
    let code = parameters.code.ok_or(NotOurs::NoAnswer)?;
    if !is_from(pending, parameters.iss.as_deref())? {
        return Err(CallbackError::PeerMisbehaved(PeerMisbehaved::IssMissing));
    }
    if !is_code(code.expose()) {
        return Err(CallbackError::PeerMisbehaved(PeerMisbehaved::UnusableCode));
    }
    Ok(AuthorizationCode(code))
}

fn fit(text: &str) -> Option<String> {
    Some(printable(text)).filter(|text| !text.is_empty())
}

/// RFC 9207, section 2.4: another issuer ends it. A server that sends `iss` without promising it is held
/// to it all the same. `false` if `iss` is promised and missing.
fn is_from(pending: &PendingAuthorization, iss: Option<&str>) -> Result<bool, CallbackError> {
    let expected = pending.issuer.as_str();
    match iss {
        None => Ok(!pending.promises_iss),
        Some(iss) if constant_time_eq(iss.as_bytes(), expected.as_bytes()) => Ok(true),
        Some(iss) => Err(CallbackError::PeerMisbehaved(PeerMisbehaved::MixedUp {
            expected: expected.to_owned(),
            received: printable(iss),
        })),
    }
}

/// `1*VSCHAR` (RFC 6749, appendix A.11).
pub(super) fn is_code(text: &str) -> bool {
    (1..=MAX_CALLBACK).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}
