//! The error codes that travel on the wire, under their RFC names.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::printable;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// An `error` value as a server sends it, in the spelling of the specifications.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
            /// A code that is in none of these specifications, fit to be printed.
            Other(String),
        }

        impl ErrorCode {
            /// Every code known by name.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),*];

            /// Reads a code. It is case-sensitive, as every value in OAuth is.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    other => Self::Other(printable(other)),
                }
            }

            /// The code as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }

            /// The name as a constant, or nothing for a code of the server's own making.
            pub fn known_name(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)*
                    Self::Other(_) => None,
                }
            }
        }
    };
}

error_codes! {
    /// The request is malformed (RFC 6749, section 5.2).
    InvalidRequest = "invalid_request",
    /// The client is unknown or did not prove who it is (RFC 6749, section 5.2).
    InvalidClient = "invalid_client",
    /// The code or refresh token is invalid, expired, revoked, or another client's (RFC 6749, section 5.2).
    InvalidGrant = "invalid_grant",
    /// This client may not use this grant (RFC 6749, section 5.2).
    UnauthorizedClient = "unauthorized_client",
    /// The server does not know the grant (RFC 6749, section 5.2).
    UnsupportedGrantType = "unsupported_grant_type",
    /// The scope is unknown, malformed, or more than was granted (RFC 6749, section 5.2).
    InvalidScope = "invalid_scope",
    /// The person or the server said no (RFC 6749, section 4.1.2.1; RFC 8628, section 3.5).
    AccessDenied = "access_denied",
    /// The server does not know the response type (RFC 6749, section 4.1.2.1).
    UnsupportedResponseType = "unsupported_response_type",
    /// The server failed (RFC 6749, section 4.1.2.1).
    ServerError = "server_error",
    /// The server is overloaded or being maintained (RFC 6749, section 4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable",
    /// The person has not decided yet (RFC 8628, section 3.5).
    AuthorizationPending = "authorization_pending",
    /// As pending, and five seconds more between polls from now on (RFC 8628, section 3.5).
    SlowDown = "slow_down",
    /// The device code has expired (RFC 8628, section 3.5).
    ExpiredToken = "expired_token",
    /// The access token is expired, revoked, malformed or otherwise invalid (RFC 6750, section 3.1).
    InvalidToken = "invalid_token",
    /// The access token does not carry the scope that is needed (RFC 6750, section 3.1).
    InsufficientScope = "insufficient_scope",
    /// The server cannot revoke this kind of token (RFC 7009, section 2.2.1).
    UnsupportedTokenType = "unsupported_token_type",
    /// The resource is unknown or malformed (RFC 8707, section 2).
    InvalidTarget = "invalid_target",
    /// A page would have to be shown (OpenID Connect Core 1.0, section 3.1.2.6).
    InteractionRequired = "interaction_required",
    /// The person would have to sign in (OpenID Connect Core 1.0, section 3.1.2.6).
    LoginRequired = "login_required",
    /// The person would have to choose an account (OpenID Connect Core 1.0, section 3.1.2.6).
    AccountSelectionRequired = "account_selection_required",
    /// The person would have to consent (OpenID Connect Core 1.0, section 3.1.2.6).
    ConsentRequired = "consent_required",
    /// The authentication was too weak or too long ago (RFC 9470, section 3).
    InsufficientUserAuthentication = "insufficient_user_authentication",
}

impl ErrorCode {
    /// The status that belongs to the code in a direct answer: 401 where authentication failed
    /// (RFC 6749, section 5.2; RFC 6750, section 3.1; RFC 9470, section 3), 403 for a valid token that
    /// is not enough, 500 and 503 for the server's own trouble, otherwise 400.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidClient | Self::InvalidToken | Self::InsufficientUserAuthentication => 401,
            Self::InsufficientScope => 403,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::from_name(&name))
    }
}

/// The body of an error answer (RFC 6749, section 5.2), for servers that send one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorResponse {
    /// The code.
    pub error: ErrorCode,
    /// A sentence for the developer of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
    /// A page that explains more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_uri: Option<String>,
}

impl ErrorResponse {
    /// An answer with a code alone.
    pub fn new(error: ErrorCode) -> Self {
        Self {
            error,
            error_description: None,
            error_uri: None,
        }
    }

    /// Adds a sentence for the developer of the client. Characters that RFC 6749, section 5.2 does not
    /// allow in it are left out.
    #[must_use]
    pub fn describe(mut self, description: &str) -> Self {
        let allowed = |c: &char| matches!(c, ' '..='~') && *c != '"' && *c != '\\';
        self.error_description = Some(description.chars().filter(allowed).collect());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_survives_a_round_trip() {
        for code in ErrorCode::KNOWN {
            assert_eq!(&ErrorCode::from_name(code.as_str()), code);
            assert_eq!(code.known_name(), Some(code.as_str()));
        }
    }

    #[test]
    fn a_code_of_the_servers_own_is_kept_fit_to_print() {
        let code = ErrorCode::from_name("device_\u{1b}[0mnot_found");
        assert_eq!(code.as_str(), "device_[0mnot_found");
        assert_eq!(code.known_name(), None);
        assert_eq!(ErrorCode::from_name("Access_Denied").known_name(), None);
    }

    #[test]
    fn statuses_tell_authentication_from_permission() {
        assert_eq!(ErrorCode::InvalidClient.status(), 401);
        assert_eq!(ErrorCode::InvalidToken.status(), 401);
        assert_eq!(ErrorCode::InsufficientScope.status(), 403);
        assert_eq!(ErrorCode::AuthorizationPending.status(), 400);
        assert_eq!(ErrorCode::TemporarilyUnavailable.status(), 503);
    }

    #[test]
    fn an_error_answer_has_only_what_was_given() {
        let answer = ErrorResponse::new(ErrorCode::InvalidGrant);
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"error":"invalid_grant"}"#
        );
        let answer = answer.describe("it \"was\"\u{7} used");
        assert_eq!(answer.error_description.as_deref(), Some("it was used"));
    }
}
