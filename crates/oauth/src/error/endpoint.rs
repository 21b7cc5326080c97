//! The parts of an authorization server.

use std::fmt;

/// The part of the authorization server that a request went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// The metadata documents (RFC 8414, section 3; OpenID Connect Discovery 1.0, section 4).
    Discovery,
    /// The keys (`jwks_uri`).
    Keys,
    /// RFC 8628, section 3.1.
    DeviceAuthorization,
    /// RFC 6749, section 3.2.
    Token,
    /// OpenID Connect Core 1.0, section 5.3.
    UserInfo,
    /// RFC 7009, section 2.
    Revocation,
    /// RFC 7662, section 2.
    Introspection,
    /// RFC 6749, section 3.1. A browser goes there.
    Authorization,
    /// RFC 9126, section 2.
    PushedAuthorization,
    /// OpenID Connect RP-Initiated Logout 1.0, section 2. A browser goes there.
    EndSession,
}

impl Endpoint {
    /// The member of the metadata document that holds its address.
    pub fn metadata_name(self) -> &'static str {
        match self {
            Self::Discovery => "issuer",
            Self::Keys => "jwks_uri",
            Self::DeviceAuthorization => "device_authorization_endpoint",
            Self::Token => "token_endpoint",
            Self::UserInfo => "userinfo_endpoint",
            Self::Revocation => "revocation_endpoint",
            Self::Introspection => "introspection_endpoint",
            Self::Authorization => "authorization_endpoint",
            Self::PushedAuthorization => "pushed_authorization_request_endpoint",
            Self::EndSession => "end_session_endpoint",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery",
            Self::Keys => "key set",
            Self::DeviceAuthorization => "device authorization",
            Self::Token => "token",
            Self::UserInfo => "userinfo",
            Self::Revocation => "revocation",
            Self::Introspection => "introspection",
            Self::Authorization => "authorization",
            Self::PushedAuthorization => "pushed authorization",
            Self::EndSession => "logout",
        })
    }
}
