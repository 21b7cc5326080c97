//! The error codes that travel on the wire, under their RFC names.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::printable;

/// A code that nobody knows, in the characters that one may have (RFC 6749, section 5.2), so that it is
/// written in a header as it was read from one.
fn of_its_own_making(name: &str) -> String {
    let ascii: String = name.chars().filter(char::is_ascii).collect();
    let mut code = printable(&ascii);
    // What was too long has been cut, and marked as such.
    code.truncate(code.trim_end_matches(['…', ' ']).len());
    code
}

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
                    other => Self::Other(of_its_own_making(other)),
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
    /// The `request_uri` is invalid or unknown (OpenID Connect Core 1.0, section 3.1.2.6).
    InvalidRequestUri = "invalid_request_uri",
    /// The request object is invalid (OpenID Connect Core 1.0, section 3.1.2.6).
    InvalidRequestObject = "invalid_request_object",
    /// The server takes no `request` parameter (OpenID Connect Core 1.0, section 3.1.2.6).
    RequestNotSupported = "request_not_supported",
    /// The server takes no `request_uri` parameter (OpenID Connect Core 1.0, section 3.1.2.6).
    RequestUriNotSupported = "request_uri_not_supported",
    /// The server takes no `registration` parameter (OpenID Connect Core 1.0, section 3.1.2.6).
    RegistrationNotSupported = "registration_not_supported",
    /// The person cannot authenticate as was asked for (OpenID Connect Core Error Code
    /// `unmet_authentication_requirements` 1.0, section 2).
    UnmetAuthenticationRequirements = "unmet_authentication_requirements",
    /// The proof beside the request is missing or wrong (RFC 9449, section 5).
    InvalidDpopProof = "invalid_dpop_proof",
    /// The proof must hold the nonce of this answer (RFC 9449, section 8).
    UseDpopNonce = "use_dpop_nonce",
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
}
